"""``tbsnode study reprocess``: many studies again, with a preview, progress, and a way to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import options, output
from tbsnode.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.pipeline.bulk import Estimate, Summary
    from tbsnode.pipeline.site import Site

Uids = Annotated[list[str] | None, typer.Argument(metavar="[UID]...", help="Study Instance UIDs.")]

# what people see of each study at the end; JSON and CSV have every field
_LISTED = (
    "study_instance_uid",
    "state",
    "score_before",
    "score_after",
    "difference",
    "changed",
    "last_error",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a run goes."""

    wait: Annotated[
        bool, typer.Option("--wait", help="Make a few due at a time, and follow them to the end.")
    ] = False
    no_send: Annotated[
        bool, typer.Option("--no-send", help="Compare only: nothing is sent or replaced. Waits.")
    ] = False
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest run, or show what it came to.")
    ] = False
    run: Annotated[int, typer.Option(metavar="N", min=0, help="With --resume: that run.")] = 0
    dry_run: options.DryRun = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the outcome is printed."""

    as_csv: options.AsCsv = False
    as_json: options.AsJson = False


@options.unfold
def reprocess(
    uids: Uids = None,
    *,
    filters: options.Filters,
    how: How,
    form: Form,
    config: options.ConfigFile = None,
) -> None:
    """Analyze studies again; a changed result replaces what was sent, or waits where that was signed.

    With --wait or --no-send, Ctrl-C ends the command and `--resume` goes on; nothing is done twice.
    """
    if [bool(uids), filters.given, how.resume].count(True) != 1:
        raise NotFound(
            "Say which studies are meant.", remedy="Name UIDs, or filter: --since 7d; or --resume."
        )
    from tbsnode.pipeline import bulk, operate

    with options.site(config) as site:
        if how.resume:
            run = bulk.known(site, how.run or None).id
            _follow(site, run)
            _say_compared(site, run, form)
            return
        wanted = uids or [s.study_instance_uid for s in operate.study_list(site, filters.study_filter())]
        if how.dry_run:
            able = operate.reprocessable(site, wanted)
            _say_estimate(bulk.estimate(site, able), able, as_json=form.as_json)
            _say_left_out(len(wanted) - len(able))
        elif how.wait or how.no_send:
            run = bulk.begin(site, wanted, shadow=how.no_send)
            _follow(site, run)
            _say_compared(site, run, form)
        else:
            done = operate.reprocess(site, wanted)
            _say_queued(done, as_json=form.as_json)
            _say_left_out(len(wanted) - len(done))


def _follow(site: Site, run: int) -> None:
    """Follow a run to its end; Ctrl-C leaves it as it is."""
    from tbsnode.pipeline import bulk

    try:
        with output.progress() as shown:
            bar = shown.add_task("Analyzing again", total=None)
            bulk.follow(site, run, told=lambda ended, total: shown.update(bar, completed=ended, total=total))
    except KeyboardInterrupt:
        seen = bulk.known(site, run)
        typer.echo(
            f"Stopped after {seen.ended} of {output.counted(seen.total, 'study', 'studies')}; "
            f"`tbsnode study reprocess --resume --run {run}` goes on.",
            err=True,
        )
        raise typer.Exit(130) from None


def _say_queued(wanted: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        output.as_json({"study_instance_uids": list(wanted), "dry_run": False})
        return
    for uid in wanted:
        typer.echo(uid)
    typer.echo(f"Analyzing {output.counted(len(wanted), 'study', 'studies')} again.")


def _say_left_out(number: int) -> None:
    if number:
        studies = output.counted(number, "study", "studies")
        typer.echo(
            f"Left out {studies}: in quarantine (`tbsnode study release`), or the images were deleted here"
            " (send them again).",
            err=True,
        )


def _say_estimate(found: Estimate, wanted: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        told = {"signed": found.signed, "rejected": found.rejected, "seconds": found.seconds}
        output.as_json({"study_instance_uids": list(wanted), "dry_run": True, **told})
        return
    for uid in wanted:
        typer.echo(uid)
    typer.echo(f"Would analyze {output.counted(found.studies, 'study', 'studies')} again.")
    if found.signed or found.rejected:
        typer.echo(
            f"Of these {found.signed} are signed and {found.rejected} rejected: "
            "a changed result of one is not sent, it waits for another review."
        )
    if found.seconds is not None:
        typer.echo(f"That takes about {_duration(found.seconds)}, judged by past analyses.")


def _duration(seconds: float) -> str:
    """Return a duration as people say it.

    Examples
    --------
    >>> _duration(42.2), _duration(600.0), _duration(9000.0)
    ('43 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{int(-(-seconds // 1))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _say_compared(site: Site, run: int, form: Form) -> None:
    from tbsnode.pipeline import bulk
    from tbsnode.store.bulk import Compared

    summary, studies = bulk.comparison(site, run)
    if form.as_csv:
        output.csv(Compared, studies)
    elif form.as_json:
        output.as_json({"summary": summary, "studies": list(studies)})
    else:
        output.rows(studies, json_wanted=False, empty="No study.", columns=_LISTED)
        _say_summary(summary)
    if summary.failed:
        raise typer.Exit(1)


def _say_summary(summary: Summary) -> None:
    sent = "changed results are sent as usual" if summary.sent else "nothing was sent"
    typer.echo(
        f"Run {summary.run}: {summary.ended} of {output.counted(summary.studies, 'study', 'studies')}, "
        f"{summary.changed} changed, {summary.failed} failed; {sent}."
    )
    if summary.difference_median is not None:
        typer.echo(
            f"Difference of the texture slope of {summary.compared}: median "
            f"{summary.difference_median:+.4f}, 5th percentile {summary.difference_p5:+.4f}, "
            f"95th percentile {summary.difference_p95:+.4f}."
        )
