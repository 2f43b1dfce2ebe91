"""``tbsnode study reconcile``: the PACS and this node side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import options, output

if TYPE_CHECKING:
    from tbsnode.pipeline.reconcile import Reconciliation


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which studies are compared, and with whom."""

    since: Annotated[
        datetime,
        typer.Option(parser=options.moment, metavar="TIME", help="Studies from this day on: 2026-03-01, 2d."),
    ]
    until: Annotated[
        datetime | None,
        typer.Option(parser=options.moment, metavar="TIME", help="To this day; by default today."),
    ] = None
    destination: Annotated[
        str, typer.Option(metavar="NAME", help="Who is asked; by default the first destination.")
    ] = ""
    modality: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="As what densitometry is filed; by default as what came so far."),
    ] = None


@options.unfold
def reconcile(
    wanted: Wanted,
    *,
    send: Annotated[bool, typer.Option("--send", help="Queue the results that the PACS lacks.")] = False,
    fetch: Annotated[bool, typer.Option("--fetch", help="Let the PACS move missing studies here.")] = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Ask the PACS which studies never came here, and which results it lacks.

    Exit 1 as long as something is missing that was not seen to.
    """
    from tbsnode.pipeline import reconcile as act

    span = act.Span(
        first=wanted.since.date(),
        last=(wanted.until or datetime.now().astimezone()).date(),
        destination=wanted.destination,
        modalities=tuple(wanted.modality or ()),
    )
    with options.site(config) as site:
        found = act.compare(site, span)
        if send:
            found = act.send(site, found)
        if fetch:
            found = act.fetch(site, found)
    if as_json:
        output.as_json({**asdict(found), "first": str(found.first), "last": str(found.last)})
    else:
        _say(found)
    raise typer.Exit(0 if found.is_closed else 1)


def _say(found: Reconciliation) -> None:
    studies = output.counted(found.compared, "study", "studies")
    what = "/".join(found.modalities)
    typer.echo(f"{found.destination}, {found.first} to {found.last}, {what}: {studies} compared.")
    typer.echo(f"\nStudies at {found.destination} that never came here: {len(found.missing)}")
    if found.missing:
        columns = ("study_instance_uid", "study_date", "modalities", "description", "done")
        output.table(columns, ([getattr(each, name) for name in columns] for each in found.missing))
    for why in dict.fromkeys(each.why for each in found.missing if each.why):
        typer.echo(f"Not fetched: {why}")
    if not all(each.done for each in found.missing):
        typer.echo(
            "-> Send them again from the scanner, or --fetch while the node is receiving: "
            f"{found.destination} must be among receiver.callers, and know the node as a target of C-MOVE."
        )
    if found.strangers:
        told = ", ".join(f"{station} ({number})" for station, number in found.strangers.items())
        typer.echo(f"\nNot compared: studies of stations that never sent anything here: {told}.")
        typer.echo("-> Where one is a new scanner, let it send here; from its first study on it is compared.")
    typer.echo(f"\nResults that {found.destination} lacks: {len(found.lacking)}")
    if found.lacking:
        columns = ("study_instance_uid", "study_date", "delivery", "why", "done")
        output.table(columns, ([getattr(each, name) for name in columns] for each in found.lacking))
    if not all(each.done for each in found.lacking):
        typer.echo("-> --send queues them; `tbsnode study trace UID` says what holds one.")
