"""``tbsnode audit``: what was done, when and by whom, and the proof that nobody changed the record."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import typer

from tbsnode.cli import options, output
from tbsnode.errors import NotFound

app = typer.Typer(
    help="Show the audit trail, and prove it whole.", no_args_is_help=True, rich_markup_mode=None
)

_HEAD = re.compile("[0-9a-f]{64}")
_LISTED = ("at", "action", "study_instance_uid", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events are wanted; what is not given matches all."""

    since: Annotated[
        datetime | None,
        typer.Option(parser=options.moment, metavar="TIME", help="At or after: 2026-03-01, 2h, 7d."),
    ] = None
    until: Annotated[datetime | None, typer.Option(parser=options.moment, metavar="TIME", help="Before.")] = (
        None
    )
    study: Annotated[str, typer.Option(metavar="UID", help="Study Instance UID.")] = ""
    action: Annotated[str, typer.Option(metavar="WORD", help="Beginning of the action: review.")] = ""


@app.command()
@options.unfold
def show(
    wanted: Wanted,
    *,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many, the newest.")] = 100,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Show what was done, the newest first."""
    from tbsnode.pipeline import audit_trail
    from tbsnode.store.audit import EventFilter

    chosen = EventFilter(
        since=wanted.since.timestamp() if wanted.since else None,
        until=wanted.until.timestamp() if wanted.until else None,
        study_instance_uid=wanted.study,
        action=wanted.action,
    )
    with options.site(config) as site:
        found = audit_trail.events(site, chosen, limit=limit)
    output.rows(found, json_wanted=as_json, empty="No event matches.", columns=_LISTED)


@app.command()
def verify(
    *,
    expect: Annotated[
        str,
        typer.Option(metavar="HEAD", help="A head that an earlier check printed."),
    ] = "",
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Compute the chain of the audit trail again; exit 1 where it is broken."""
    from tbsnode.pipeline import audit_trail

    head = expect.strip().lower()
    if head and not _HEAD.fullmatch(head):
        raise NotFound(f"{expect} is no head: that is 64 digits and letters a to f.", remedy="Copy it whole.")
    with options.site(config) as site, output.progress() as shown:
        found = audit_trail.verify(
            site, expect=head, track=lambda seals, total: shown.track(seals, total, description="Computing")
        )
    if as_json:
        output.as_json(asdict(found) | {"intact": found.intact})
    else:
        for problem in found.problems:
            seal = f"seal {problem.number}" if problem.number else "no seal"
            typer.echo(f"{seal}: event {problem.event_id or 'unknown'} {problem.what}")
        if found.expected_found is False:
            typer.echo("The expected head is not in the chain: the trail was rewritten or cut, or this is")
            typer.echo("another node's, or a backup from before that head was restored.")
        sealed = output.counted(found.sealed, "event", "events")
        typer.echo(
            f"{'Intact' if found.intact else 'BROKEN'}: {sealed} sealed, {found.waiting} not sealed yet."
        )
        typer.echo(f"Head {found.head}")
        if found.intact:
            typer.echo("Note it elsewhere: `tbsnode audit verify --expect HEAD` proves it later.")
        elif found.problems:
            typer.echo("Somebody wrote to the database past this program: keep it, and ask who may.")
            typer.echo("`tbsnode audit show` with a copy of a backup tells what stood there.")
    if not found.intact:
        raise typer.Exit(1)
