"""``tbsnode precision``: how far a site's own scores move when a scan is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from tbsnode.cli import calibration, options, output

if TYPE_CHECKING:
    from collections.abc import Iterable

app = typer.Typer(help="Precision studies of this site.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def fit(
    table: calibration.Table,
    *,
    approved_by: calibration.ApprovedBy,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Compute precision and least significant change from repeated scans.

    Columns: subject (any pseudonym) and uid (study, instance or file). Reposition between scans; 30
    subjects scanned twice, or 15 three times, give the 30 degrees of freedom that a least significant
    change needs.
    """
    from tbsnode.pipeline import calibrate

    lines = calibrate.read_table(table, ("subject", "uid"))
    with options.site(config) as site:
        settings, _ = calibration.today(site, approved_by, "")
        record = calibrate.precision_record(calibration.scored(site, lines, settings))
        if not dry_run:
            calibrate.store_precision(site, record, approved_by)
    if as_json:
        output.as_json(record)
    else:
        _say(record)


@app.command()
def show(*, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Show the precision studies, the newest first."""
    from tbsnode.pipeline import calibrate

    with options.site(config) as site:
        records = calibrate.precision_records(site)
    if as_json:
        output.as_json({"studies": records})
        return
    if not records:
        typer.echo("There is no precision study.")
    for record in records:
        typer.echo(f"approved by {record['approved_by']}, {output.cell(record['created_at'], time=True)}")
        _say(record)


def _say(record: dict[str, Any]) -> None:
    output.table(
        ("levels", "subjects", "degrees of freedom", "RMS-SD", "CV %", "RMS-SD below (95 %)", "LSC (95 %)"),
        _lines(record["sets"]),
    )
    if not record["enough"]:
        typer.echo("Fewer than 30 degrees of freedom for L1-L4: no least significant change.")
    if record["same_day"]:
        several = output.counted(record["same_day"], "subject", "subjects")
        typer.echo(f"{several} scanned on one day only.")


def _lines(sets: Iterable[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [
        (
            " ".join(each["levels"]),
            each["subjects"],
            each["degrees"],
            f"{each['rms_sd']:.4f}",
            f"{each['cv_percent']:.2f}",
            f"{each['upper_95']:.4f}",
            "" if each["lsc"] is None else f"{each['lsc']:.4f}",
        )
        for each in sets
    ]
