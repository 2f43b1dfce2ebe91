"""``tbsnode queue``: studies and deliveries that wait, run or failed."""

from __future__ import annotations

from typing import Annotated

import typer

from tbsnode.cli import options, output
from tbsnode.errors import NotFound

app = typer.Typer(help="See and steer the work that is due.", no_args_is_help=True, rich_markup_mode=None)

State = Annotated[str, typer.Option(metavar="STATE", help="queued, running, held, failed, refused, ...")]
Queue = Annotated[str, typer.Option(metavar="QUEUE", help="analyze, or deliver:DESTINATION.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As listed: study/12, delivery/34.")]
QueueName = Annotated[str, typer.Argument(metavar="QUEUE", help="analyze, or deliver:DESTINATION.")]


@app.command("list")
def list_queue(
    *,
    state: State = "",
    queue: Queue = "",
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """List work that is not finished well: waiting, running, held, failed or refused."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        found = operate.queue_list(site, state=state or None, queue=queue or None)
    output.rows(found, json_wanted=as_json, empty="Nothing waits.")


@app.command()
def count(*, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Count the work in each queue by state."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        counts = operate.queue_count(site)
    if as_json:
        output.as_json(counts)
        return
    lines = [(queue, state, n) for queue, states in counts.items() for state, n in states.items()]
    if lines:
        output.table(("queue", "state", "number"), lines)
    else:
        typer.echo("Nothing waits.")


@app.command()
def retry(
    ids: Ids = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that failed or was refused.")] = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Try failed work again, now."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        wanted = _wanted(ids, everything, [row.id for row in operate.queue_retriable(site)])
        done = wanted if dry_run else operate.queue_retry(site, wanted)
    _report(done, "Would try again" if dry_run else "Tries again", as_json=as_json)


@app.command()
def cancel(
    ids: Ids = None,
    *,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Give up waiting work for good; what runs is finished."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        wanted = _wanted(ids, False, [])
        done = wanted if dry_run else operate.queue_cancel(site, wanted)
    _report(done, "Would cancel" if dry_run else "Cancelled", as_json=as_json)


@app.command()
def pause(queue: QueueName, *, config: options.ConfigFile = None) -> None:
    """Start nothing more from a queue until `resume`; what runs is finished."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        operate.queue_pause(site, queue)
    typer.echo(f"Paused {queue}. `tbsnode queue resume {queue}` goes on.")


@app.command()
def resume(queue: QueueName, *, config: options.ConfigFile = None) -> None:
    """Go on with a paused queue."""
    from tbsnode.pipeline import operate

    with options.site(config) as site:
        operate.queue_resume(site, queue)
    typer.echo(f"Resumed {queue}.")


def _wanted(ids: list[str] | None, everything: bool, candidates: list[str]) -> list[str]:
    if everything == bool(ids):
        raise NotFound("Say which work is meant.", remedy="Name IDs as `tbsnode queue list` shows them.")
    return candidates if everything else list(ids or ())


def _report(ids: list[str] | tuple[str, ...], what: str, *, as_json: bool) -> None:
    if as_json:
        output.as_json({"ids": list(ids)})
    else:
        typer.echo(f"{what}: {', '.join(ids) or 'nothing'}.")
