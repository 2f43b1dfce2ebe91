"""``tbsnode patient``: two records that are one person."""

from __future__ import annotations

from typing import Annotated

import typer

from tbsnode.cli import identity, options, output

app = typer.Typer(help="Merge patients.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _patient() -> None:
    """Merge patients."""


@app.command()
def merge(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Patient ID that is no longer valid.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Patient ID that takes its place.")],
    *,
    issuer: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Who issued OLD, where several did.")
    ] = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Give all studies of one patient to another: new documents in that name, the old ones withdrawn.

    Signed results wait for their readers. Exit 1 where a study could not be changed in this moment.
    """
    from tbsnode.pipeline import patient_merge

    with options.site(config) as site:
        done = patient_merge.merge(site, old, new, issuer=issuer, dry_run=dry_run)
    if as_json:
        output.as_json(done)
    else:
        for change in done.changes:
            typer.echo(identity.told(change))
        for uid, why in done.failed:
            typer.echo(f"{uid}: not changed: {why}")
        records = output.counted(done.clinical, "record", "records")
        typer.echo(f"{output.counted(len(done.changes), 'study', 'studies')}; {records} of clinical data.")
    if done.failed:
        raise typer.Exit(1)
