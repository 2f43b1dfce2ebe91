"""``tbsnode retention run`` and ``tbsnode study delete``: files go, rows and stories stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import options, output

if TYPE_CHECKING:
    from tbsnode.pipeline.retention import Outcome

app = typer.Typer(help="Delete old files that everybody has.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Delete old files that everybody has."""


@app.command()
def run(
    *,
    dry_run: options.DryRun = False,
    trust_clock: Annotated[
        bool,
        typer.Option("--trust-clock", help="The clock is right, however long ago the newest study was made."),
    ] = False,
    as_csv: options.AsCsv = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Delete the files of old studies that every destination has; `serve` does it by itself too."""
    from tbsnode.pipeline import retention

    with options.site(config) as site, output.progress() as shown:
        days = site.policy.retention_days
        # how many are old is not known before; an interrupted run is gone on with by the next one
        shown.add_task("Looking for old studies", total=None)
        done = retention.run(site, dry_run=dry_run, trust_clock=trust_clock)
    if as_json:
        told = {"dry_run": dry_run, "days": days, "deleted": list(done.deleted), "kept": done.kept}
        output.as_json(told | {"clock_ahead_days": done.clock_ahead_days})
    elif as_csv:
        output.csv(retention.Deleted, done.deleted)
    elif days <= 0:
        typer.echo("Nothing is ever deleted: [retention] days is 0.")
    else:
        _say(done, "Would delete" if dry_run else "Deleted")


def _say(done: Outcome, what: str) -> None:
    for one in done.deleted:
        typer.echo(one.study_instance_uid)
    size = sum(one.bytes for one in done.deleted) / 1e6
    files = output.counted(sum(one.files for one in done.deleted), "file", "files")
    studies = output.counted(len(done.deleted), "study", "studies")
    typer.echo(f"{what} {files} of {studies}, {size:.1f} MB.")
    for why, number in sorted(done.kept.items()):
        typer.echo(f"Kept {output.counted(number, 'old study', 'old studies')}: {why}.")
    if done.clock_ahead_days:
        from tbsnode.pipeline import trusted_time

        typer.echo(f"{trusted_time.told(done.clock_ahead_days)} {trusted_time.REMEDY}")


def delete(
    uid: Annotated[str, typer.Argument(metavar="UID", help="Study Instance UID.")],
    *,
    discard: Annotated[
        bool, typer.Option("--discard", help="Also what is unsent, held or unsigned: it is given up.")
    ] = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Delete the files of a study; its rows, its results' numbers and its story stay."""
    from tbsnode.pipeline import retention

    with options.site(config) as site:
        done = retention.delete(site, uid, discard=discard, dry_run=dry_run)
    if as_json:
        output.as_json(done)
    else:
        files = output.counted(done.files, "file", "files")
        typer.echo(f"{'Would delete' if dry_run else 'Deleted'} {files}, {done.bytes / 1e6:.1f} MB.")
