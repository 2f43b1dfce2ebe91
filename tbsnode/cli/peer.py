"""``tbsnode peer``: the systems that get results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import options, output
from tbsnode.errors import NotFound, PeerError

if TYPE_CHECKING:
    from tbsnode.model import Peer

app = typer.Typer(help="Show and test the destinations.", no_args_is_help=True, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Echo:
    """What a destination answered to C-ECHO."""

    name: str
    ok: bool
    milliseconds: float
    answer: str


@app.command("list")
def list_peers(*, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """List the destinations."""
    from tbsnode import node

    output.rows(
        node.peers(options.load(config)),
        json_wanted=as_json,
        empty="No destination is configured.",
        columns=("name", "ae_title", "host", "port", "send"),
    )


@app.command()
def echo(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="By default all.")] = None,
    *,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Ask destinations whether they are there (C-ECHO); exit 50 where one is not."""
    from tbsnode import node

    peers = {peer.name: peer for peer in node.peers(options.load(config))}
    missing = [name for name in names or () if name not in peers]
    if missing:
        raise NotFound(f"No destination is named {missing[0]}.", remedy="See `tbsnode peer list`.")
    answers = [_ask(peers[name]) for name in names or peers]
    output.rows(answers, json_wanted=as_json, empty="No destination is configured.")
    if not all(answer.ok for answer in answers):
        raise typer.Exit(PeerError.exit_code)


def _ask(peer: Peer) -> Echo:
    from tbsnode.net import scu

    answer = scu.echo(peer)
    return Echo(peer.name, answer.ok, round(answer.milliseconds, 1), answer.text)
