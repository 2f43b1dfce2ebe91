"""``tbsnode queue``: studies and deliveries that wait, run or failed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import options, output
from tbsnode.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.pipeline.site import Site
    from tbsnode.store.queue import QueueFilter, QueueRow

app = typer.Typer(help="See and steer the work that is due.", no_args_is_help=True, rich_markup_mode=None)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As listed: study/12, delivery/34.")]
QueueNames = Annotated[
    list[str], typer.Argument(metavar="QUEUE...", help="analyze, report, or deliver:DESTINATION.")
]

# what `queue list` prints for people; JSON and CSV have every field
_LISTED = ("id", "queue", "state", "tries", "next_try_at", "reason", "last_error", "study_instance_uid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which work a command is about; what is not given matches all."""

    state: Annotated[
        str, typer.Option(metavar="STATE", help="queued, running, held, failed, refused, ...")
    ] = ""
    queue: Annotated[str, typer.Option(metavar="QUEUE", help="analyze, or deliver:DESTINATION.")] = ""
    destination: Annotated[str, typer.Option(metavar="NAME", help="Of one destination.")] = ""
    since: Annotated[
        datetime | None,
        typer.Option(parser=options.moment, metavar="TIME", help="There since: 2026-03-01, 2h, 7d."),
    ] = None
    until: Annotated[
        datetime | None, typer.Option(parser=options.moment, metavar="TIME", help="There since before.")
    ] = None
    scanner: Annotated[str, typer.Option(metavar="TEXT", help="Part of the scanner's name.")] = ""
    study: Annotated[str, typer.Option(metavar="UID", help="Of one study.")] = ""

    @property
    def given(self) -> bool:
        """Whether any filter was given."""
        return any(getattr(self, field.name) for field in fields(self))

    def wanted(self) -> QueueFilter:
        """Return the filter as the store takes it.

        Raises
        ------
        NotFound
            If there is no such state: an empty answer would look like good news.
        """
        from tbsnode.model import DeliveryState, StudyState
        from tbsnode.model.commitment import CommitmentState
        from tbsnode.store.queue import QueueFilter

        states = sorted(
            {state.value for kind in (StudyState, DeliveryState, CommitmentState) for state in kind}
        )
        if self.state and self.state not in states:
            raise NotFound(f"There is no state {self.state}.", remedy=f"There are: {', '.join(states)}.")
        return QueueFilter(
            state=self.state,
            queue=self.queue,
            destination=self.destination,
            since=self.since.timestamp() if self.since else None,
            until=self.until.timestamp() if self.until else None,
            scanner=self.scanner,
            study=self.study,
        )


@app.command("list")
@options.unfold
def list_queue(
    filters: Filters,
    *,
    as_csv: options.AsCsv = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """List work that is not finished well: waiting, running, held, failed or refused."""
    from tbsnode.pipeline import operate
    from tbsnode.store.queue import QueueRow

    with options.site(config) as site:
        found = operate.queue_list(site, filters.wanted())
        _tell_pauses(site)
    if as_csv:
        output.csv(QueueRow, found)
    else:
        output.rows(found, json_wanted=as_json, empty="Nothing waits.", columns=_LISTED)


@app.command()
def count(*, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Count the work in each queue by state."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        counts = operate.queue_count(site)
        _tell_pauses(site)
    if as_json:
        output.as_json(counts)
        return
    lines = [(queue, state, n) for queue, states in counts.items() for state, n in states.items()]
    if lines:
        output.table(("queue", "state", "number"), lines)
    else:
        typer.echo("Nothing waits.")


@app.command()
@options.unfold
def retry(
    ids: Ids = None,
    *,
    filters: Filters,
    everything: Annotated[bool, typer.Option("--all", help="All that failed or was refused.")] = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Try failed work again, now; what waits for its next try too."""
    from tbsnode.pipeline import operate

    _require_one_way(ids, everything, filters)
    with options.site(config) as site:
        wanted = list(ids or ()) or _ids(operate.queue_retriable(site, filters.wanted()))
        done = operate.queue_retry(site, wanted, dry_run=dry_run)
    _report(done, "Would try again" if dry_run else "Tries again", as_json=as_json)
    for work_id in wanted:
        if work_id not in done:
            typer.echo(f"{work_id} runs, has ended well, or a newer one replaced it.", err=True)


@app.command()
@options.unfold
def cancel(
    ids: Ids = None,
    *,
    filters: Filters,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Give up waiting work for good; what runs is finished."""
    from tbsnode.pipeline import operate

    _require_one_way(ids, False, filters)
    with options.site(config) as site:
        wanted = list(ids or ()) or _ids(operate.queue_cancellable(site, filters.wanted()))
        done = operate.queue_cancel(site, wanted, dry_run=dry_run)
    _report(done, "Would cancel" if dry_run else "Cancelled", as_json=as_json)
    for work_id in wanted:
        if work_id not in done:
            typer.echo(f"{work_id} does not wait: there is nothing to give up.", err=True)


@app.command()
def pause(queues: QueueNames, *, dry_run: options.DryRun = False, config: options.ConfigFile = None) -> None:
    """Start nothing more from queues until `resume`; what runs is finished."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        operate.queue_pause(site, queues, dry_run=dry_run)
    for queue in queues:
        goes_on = "" if dry_run else f" `tbsnode queue resume {queue}` goes on."
        typer.echo(f"{'Would pause' if dry_run else 'Paused'} {queue}.{goes_on}")


@app.command()
def resume(queues: QueueNames, *, dry_run: options.DryRun = False, config: options.ConfigFile = None) -> None:
    """Go on with paused queues."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        operate.queue_resume(site, queues, dry_run=dry_run)
    for queue in queues:
        typer.echo(f"{'Would resume' if dry_run else 'Resumed'} {queue}.")


def _tell_pauses(site: Site) -> None:
    """Say beside a listing which queues are paused: an empty one would look like good news."""
    from tbsnode.cli import check_queues
    from tbsnode.store import work

    with site.database.read() as tx:
        for pause in work.pauses(tx):
            told = (
                f"{pause.queue} is {check_queues.paused(pause)} `tbsnode queue resume {pause.queue}` goes on."
            )
            typer.echo(told, err=True)


def _require_one_way(ids: list[str] | None, everything: bool, filters: Filters) -> None:
    """Refuse to guess: IDs, or filters, or all; never all because nothing was said."""
    if [bool(ids), everything, filters.given].count(True) != 1:
        raise NotFound(
            "Say which work is meant.",
            remedy="Name IDs as `tbsnode queue list` shows them, or filter: --destination NAME.",
        )


def _ids(rows: Sequence[QueueRow]) -> list[str]:
    return [row.id for row in rows]


def _report(ids: list[str] | tuple[str, ...], what: str, *, as_json: bool) -> None:
    if as_json:
        output.as_json({"ids": list(ids)})
    else:
        typer.echo(f"{what}: {', '.join(ids) or 'nothing'}.")
