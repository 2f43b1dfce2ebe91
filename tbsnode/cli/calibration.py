"""``tbsnode calibration``: earn the word TBS for a scanner, look after it, and end it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbsnode.cli import calibration_output, options, output
from tbsnode.errors import CalibrationError
from tbsnode.pipeline.study_dates import local_day

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tbsnode.pipeline.analyze import AnalysisSettings
    from tbsnode.pipeline.calibrate import Line, Scored
    from tbsnode.pipeline.site import Site
    from tbsnode.tbs.calibration import Calibration, ScannerKey
    from tbsnode.tbs.calibration_fit import Approval, Fit

app = typer.Typer(
    help="Calibrate scanners against licensed software.", no_args_is_help=True, rich_markup_mode=None
)

Table = Annotated[Path, typer.Argument(metavar="FILE", help="CSV table with a header line.", exists=True)]
Name = Annotated[str, typer.Argument(metavar="ID", help="As `calibration list` shows it.")]
ApprovedBy = Annotated[str, typer.Option(metavar="NAME", help="Who vouches for it.")]


class FitKind(StrEnum):
    """What a table is fitted to."""

    PAIRED = "paired"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """What a table is fitted to, and against what."""

    kind: Annotated[FitKind, typer.Option(help="paired: columns uid,tbs. reference: column uid.")] = (
        FitKind.PAIRED
    )
    software: Annotated[
        str, typer.Option(metavar="TEXT", help="Name and version of the licensed software.")
    ] = ""
    plots: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page of plots here (PDF).")] = (
        None
    )


@app.command()
@options.unfold
def fit(
    table: Table,
    *,
    approved_by: ApprovedBy,
    wanted: FitOptions,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Fit a calibration from paired examinations, or from the site's own adults; exit 30 if refused.

    uid is a Study or SOP Instance UID of this node's archive, or the path of a file; tbs is the value of
    licensed software for the same scan and L1-L4. A scan counts once; all images must come from one
    scanner. At least 30 pairs give a value, 60 with 12 in each class a texture class.

    Of the site's own adults (--kind reference, at least 100) each counts once, with the latest
    examination; a column subject says who is who where the patient IDs do not.
    """
    from tbsnode.pipeline import calibrate
    from tbsnode.tbs import calibration_fit as fitting

    columns = ("uid", "tbs") if wanted.kind is FitKind.PAIRED else ("uid",)
    lines = calibrate.read_table(table, columns)
    with options.site(config) as site:
        settings, approval = today(site, approved_by, wanted.software)
        examined = scored(site, lines, settings)
        key = calibrate.one_key(examined)
        if wanted.kind is FitKind.PAIRED:
            pairs = [calibrate.pair_of(each, each.line.number_in("tbs")) for each in examined]
            made = fitting.fit_paired(pairs, key, approval, cut_offs=_cut_offs(settings))
            if wanted.plots is not None and made.statistics is not None:
                from tbsnode.report import calibration_plots

                about = calibration_plots.about(key, approval)
                wanted.plots.write_bytes(calibration_plots.render(pairs, made.statistics, about))
            details = calibrate.details_of(made, examined)
        else:
            made, details = _of_own_adults(examined, key, approval, quiet=as_json)
        calibration_output.end(site, made, details, dry_run=dry_run, as_json=as_json)


def _cut_offs(settings: AnalysisSettings) -> tuple[float, float]:
    """Return the cut-offs in use: the pairs must lie on both sides of these."""
    from tbsnode.tbs import reference

    thresholds = reference.threshold_set(settings.interpreting.threshold_set)
    return thresholds.degraded_at, thresholds.normal_above


def _of_own_adults(
    examined: list[Scored], key: ScannerKey, approval: Approval, *, quiet: bool
) -> tuple[Fit, dict[str, Any]]:
    """Count each adult once, say who is left out, and describe the slopes of the others."""
    from tbsnode.pipeline import calibrate
    from tbsnode.tbs.calibration_transfer import fit_reference

    counted, left_out = calibrate.each_adult_once(examined)
    if not quiet:
        calibration_output.say_left_out(left_out)
    made = fit_reference([calibrate.examination_of(each) for each in counted], key, approval)
    return made, {**calibrate.details_of(made, counted), "left_out": list(left_out)}


@app.command()
def transfer(
    calibration_id: Name,
    table: Table,
    *,
    approved_by: ApprovedBy,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Carry a calibration to another scanner through patients measured on both; exit 30 if refused.

    Columns: uid (the new scanner's examination) and calibrated (the same patient on the calibrated
    scanner, within 60 days). At least 30 patients.
    """
    from tbsnode.pipeline import calibrate
    from tbsnode.pipeline.interpret import person_of
    from tbsnode.tbs import calibration as calibrations
    from tbsnode.tbs import calibration_transfer as transferring

    lines = calibrate.read_table(table, ("uid", "calibrated"))
    with options.site(config) as site:
        source = calibrate.in_force(site, calibration_id, local_day(time.time()))
        settings, approval = today(site, approved_by, source.reference_software)
        new = scored(site, lines, settings)
        old = scored(site, lines, settings, column="calibrated")
        _require_of(source, old, approval)
        twins = []
        for one, other in zip(new, old, strict=True):
            assert other.analysis.score is not None
            person = person_of(other.analysis)
            value = calibrations.apply(source, other.analysis.score, person, other.analysis.statistics).tbs
            if value is None:
                raise CalibrationError(f"Line {other.line.number}: no TBS.", remedy="Leave this line out.")
            twins.append(transferring.Twin(pair=calibrate.pair_of(one, value), days=_days(one, other)))
        made = transferring.fit_transfer(twins, source, _another(source, new), approval)
        calibration_output.end(
            site, made, calibrate.details_of(made, new, "calibrated"), dry_run=dry_run, as_json=as_json
        )


@app.command()
def extend(
    calibration_id: Name,
    table: Table,
    *,
    approved_by: ApprovedBy,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Restore a calibration after a software or export change; exit 30 if the scores moved.

    Columns: before and after, the same examination exported before and again after the change. At least
    10; the scores may differ by 0.010 in the mean and by 0.020 each.
    """
    from tbsnode.pipeline import calibrate
    from tbsnode.tbs import calibration_fit as fitting
    from tbsnode.tbs import calibration_transfer as transferring

    lines = calibrate.read_table(table, ("before", "after"))
    with options.site(config) as site:
        source = calibrate.in_force(site, calibration_id, local_day(time.time()))
        settings, approval = today(site, approved_by, source.reference_software)
        before = scored(site, lines, settings, column="before")
        after = scored(site, lines, settings, column="after")
        _require_of(source, before, approval)
        key = _still_the_same(source, after)
        judged = transferring.check_extension(
            [each.analysis.score or 0.0 for each in before], [each.analysis.score or 0.0 for each in after]
        )
        made = None
        if not judged.refusals:
            made = transferring.extended(source, key, approval)
        result = fitting.Fit(calibration=made, refusals=judged.refusals)
        calibration_output.end(site, result, {"extension": asdict(judged)}, dry_run=dry_run, as_json=as_json)


@app.command("list")
def list_calibrations(*, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """List calibrations, the newest last."""
    from tbsnode.pipeline import calibrate

    with options.site(config) as site:
        rows = [calibration_output.row(each.calibration, each.state) for each in calibrate.listed(site)]
    output.rows(rows, json_wanted=as_json, empty="No scanner is calibrated.")


@app.command()
def show(calibration_id: Name, *, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Show one calibration: its line, ranges, validity, who approved it, and the numbers of its fit."""
    from tbsnode.pipeline import calibrate
    from tbsnode.tbs.calibration import to_json

    with options.site(config) as site:
        row = calibrate.found(site, calibration_id)
    record = to_json(row.calibration)
    if as_json:
        output.as_json({**record, "state": row.state, "reason": row.reason, "details": row.details})
        return
    hidden = ("limits", "estimator", "reference_scores")
    facts = [("state", row.state), ("reason", row.reason)]
    facts += [(name, calibration_output.plain(value)) for name, value in record.items() if name not in hidden]
    output.table(
        ("calibration", ""), [(name.replace("_", " "), value) for name, value in facts if value != ""]
    )
    if row.calibration.limits:
        typer.echo("\nrange of the pairs")
        output.table(("covariate", "low", "high"), [tuple(each.values()) for each in record["limits"]])
    numbers = row.details.get("statistics")
    if numbers:
        typer.echo("\nfit")
        shown = [
            (k.replace("_", " "), calibration_output.plain(v)) for k, v in numbers.items() if k != "predicted"
        ]
        output.table(("number", "value"), shown)


@app.command()
def retire(
    calibration_id: Name,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays with the calibration.")],
    config: options.ConfigFile = None,
) -> None:
    """Take a calibration out of use; results that were sent stay as they are."""
    from tbsnode.pipeline import calibrate

    with options.site(config) as site:
        calibrate.retire(site, calibration_id, reason)
    typer.echo(f"Retired {calibration_id}. `tbsnode study reprocess` replaces results that rest on it.")


# ---- what the commands share ----------------------------------------------------------------------


def today(site: Site, approved_by: str, software: str) -> tuple[AnalysisSettings, Approval]:
    """Return the estimator of today, and the approval that a calibration made now carries."""
    from tbsnode.pipeline.assemble import settings_of
    from tbsnode.tbs.calibration import estimator_of
    from tbsnode.tbs.calibration_fit import Approval

    today: date = local_day(time.time())
    approval = Approval(
        approved_by=approved_by,
        approved_on=today,
        estimator=estimator_of(site.policy.parameters),
        reference_software=software,
    )
    return settings_of(site, today), approval


def scored(
    site: Site, lines: Iterable[Line], settings: AnalysisSettings, *, column: str = "uid"
) -> list[Scored]:
    """Score the examinations of a table, with a progress bar."""
    from tbsnode.pipeline import calibrate

    wanted = list(lines)
    with output.progress() as shown:
        found = calibrate.score(site, wanted, settings, column=column)
        return list(shown.track(found, total=len(wanted), description="Scoring"))


def _require_of(source: Calibration, examined: list[Scored], approval: Approval) -> None:
    """Refuse examinations that the calibration does not hold for, or that are fewer than they look."""
    from tbsnode.pipeline import calibrate

    if source.estimator != approval.estimator:
        raise CalibrationError(
            f"{source.calibration_id} was fitted to the scores of another estimator.",
            remedy="Fit a new one from the same table: its scores are computed anew.",
        )
    _require_once(examined)
    key = calibrate.one_key(examined)
    if not source.key.same_scanner(key) or source.key.changes(key):
        raise CalibrationError(
            f"The examinations are not of the scanner, software and spacing of {source.calibration_id}.",
            remedy="Name examinations from before the change, of the calibrated scanner.",
        )


def _require_once(examined: list[Scored]) -> None:
    if len({each.scan for each in examined}) < len(examined):
        raise CalibrationError("One examination occurs twice.", remedy="Name each examination once.")


def _another(source: Calibration, examined: list[Scored]) -> ScannerKey:
    """Return the scanner that a calibration is carried to; refuse the one that it holds for already."""
    from tbsnode.pipeline import calibrate

    key = calibrate.one_key(examined)
    if source.key.same_scanner(key) and not source.key.changes(key):
        raise CalibrationError(
            f"The column uid names examinations of the scanner that {source.calibration_id} holds for.",
            remedy="uid is for the new scanner, calibrated for the calibrated one.",
        )
    return key


def _still_the_same(source: Calibration, after: list[Scored]) -> ScannerKey:
    """Return the scanner after a change; refuse another scanner or input class: that is no change."""
    from tbsnode.pipeline import calibrate

    _require_once(after)
    key = calibrate.one_key(after)
    if not source.key.same_scanner(key):
        raise CalibrationError(
            f"The column after names examinations of another scanner or input class than "
            f"{source.calibration_id}.",
            remedy="`tbsnode calibration transfer` carries a calibration to another scanner.",
        )
    return key


def _days(one: Scored, other: Scored) -> float:
    days = []
    for each in (one, other):
        text = each.analysis.identity.study_date if each.analysis.identity else ""
        try:
            days.append(datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC))
        except ValueError as error:
            raise CalibrationError(
                f"Line {each.line.number}: the study date is missing.", remedy="Leave this line out."
            ) from error
    return (days[0] - days[1]).days
