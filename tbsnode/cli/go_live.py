"""``tbsnode check --go-live``: the last look before results leave."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from tbsnode.cli import output

if TYPE_CHECKING:
    from tbsnode.config import Config
    from tbsnode.pipeline.go_live import GoLive

_COLUMNS = (
    "study_instance_uid", "study_date", "scanner", "result", "patient_id", "accession_number", "order_code"
)  # fmt: skip


def look(config: Config) -> GoLive:
    """Look at the last studies, and send the documents of the test patient.

    Raises
    ------
    SchemaOutdated, ResourceError
        If database or archive cannot be used.
    """
    from tbsnode import node
    from tbsnode.pipeline import go_live

    with node.open_site(config) as site:
        return go_live.look(site)


def as_json(found: GoLive, config: Config, *, checks_ok: bool) -> dict[str, Any]:
    """Return the same facts as `say` prints."""
    return {
        **asdict(found),
        "counts": found.counts,
        "mode": config.node.mode,
        "ready": checks_ok and not found.obstacles,
    }


def say(found: GoLive, config: Config, *, checks_ok: bool) -> None:
    """Print the studies, what the destinations answered, and a verdict."""
    typer.echo(f"\nThe last {output.counted(len(found.studies), 'study', 'studies')}")
    if found.studies:
        output.table(_COLUMNS, ([getattr(each, name) for name in _COLUMNS] for each in found.studies))
        typer.echo(", ".join(f"{number} {result}" for result, number in found.counts.items()))
    typer.echo("\nReport and PDF of the test patient TBSNODE-TEST (simulated; delete them at the PACS)")
    for one in found.sent:
        typer.echo(f"{'OK  ' if one.ok else 'FAIL'}  {one.destination} {one.kind.upper()}: {one.text}")
    if not found.sent:
        typer.echo("sent to nobody")
    if found.webhook is not None:
        typer.echo(f"\n{'OK  ' if found.webhook.ok else 'FAIL'}  webhook: {found.webhook.text}")
    for remark in found.remarks:
        typer.echo(f"NOTE  {remark}")
    typer.echo("")
    obstacles = [*found.obstacles] if checks_ok else ["A check above failed.", *found.obstacles]
    for obstacle in obstacles:
        typer.echo(f"NOT READY  {obstacle}")
    if obstacles:
        typer.echo("Mend this, then run `tbsnode check --go-live` again.")
    elif config.node.mode == "live":
        typer.echo("READY: the node is live already.")
    else:
        typer.echo('READY. To go live, write this under [node] and restart `tbsnode serve`:\n\nmode = "live"')
