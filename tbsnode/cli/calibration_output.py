"""What ``tbsnode calibration`` shows: the numbers of a fit, refusals, one line a calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from tbsnode.cli import output
from tbsnode.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tbsnode.pipeline.site import Site
    from tbsnode.tbs.calibration import Calibration
    from tbsnode.tbs.calibration_fit import Fit, FitStatistics, Refusal


def end(site: Site, made: Fit, details: dict[str, Any], *, dry_run: bool, as_json: bool) -> None:
    """Show what came of a fit; store it unless it was refused or only tried."""
    from tbsnode.pipeline import calibrate
    from tbsnode.tbs.calibration import to_json

    stored = False
    if made.calibration is not None and not dry_run:
        stored = calibrate.store(site, made.calibration, details)
        _require_active(site, made.calibration.calibration_id)
    if as_json:
        output.as_json(
            {
                "calibration": to_json(made.calibration) if made.calibration else None,
                "refusals": [{"code": each.code.value, **dict(each.values)} for each in made.refusals],
                "details": details,
                "stored": stored,
            }
        )
    else:
        _say(made, stored=stored, dry_run=dry_run)
    if made.calibration is None:
        raise typer.Exit(CalibrationError.exit_code)


def _require_active(site: Site, calibration_id: str) -> None:
    """Refuse the very one that was taken out of use: it is stored, and holds for nothing."""
    from tbsnode.pipeline import calibrate

    row = calibrate.found(site, calibration_id)
    if row.state != "active":
        raise CalibrationError(
            f"{calibration_id} is the very calibration that is {row.state}: {row.reason}.",
            remedy="It does not come back. Correct the table; or fit it again on another day, which is a new "
            "approval.",
        )


def say_left_out(left_out: Sequence[Mapping[str, Any]]) -> None:
    """Say which lines do not count because another one is of the same scan or subject."""
    why = {
        "scan": "the same scan as line {counted_line}",
        "subject": "the same patient as line {counted_line}; the latest examination counts",
    }
    for each in left_out:
        typer.echo(f"Line {each['line']} is left out: {why[each['same']].format(**each)}.")


def _say(made: Fit, *, stored: bool, dry_run: bool) -> None:
    if made.statistics is not None:
        output.table(("number", "value"), _numbers(made.statistics))
    if made.calibration is None:
        typer.echo("Refused:")
        for refusal in made.refusals:
            typer.echo(f"  {_refusal(refusal)}")
        return
    made_id = made.calibration.calibration_id
    if dry_run:
        typer.echo(f"Would store {made_id}.")
    elif not stored:
        typer.echo(f"{made_id} is stored already.")
    else:
        typer.echo(f"Stored {made_id}; it holds until {made.calibration.valid_until}.")
        typer.echo(
            "New studies use it. `tbsnode study reprocess --scanner NAME` makes successors of older ones."
        )


def _numbers(numbers: FitStatistics) -> list[tuple[str, str]]:
    normal, partial, degraded = numbers.per_category
    return [
        ("pairs", f"{numbers.pairs} ({normal} normal, {partial} partially degraded, {degraded} degraded)"),
        ("line (Deming)", f"TBS = {numbers.intercept:.4f} + {numbers.slope:.4f} x slope"),
        ("95 % of intercept", f"{numbers.intercept_95[0]:.3f} to {numbers.intercept_95[1]:.3f}"),
        ("95 % of slope", f"{numbers.slope_95[0]:.3f} to {numbers.slope_95[1]:.3f}"),
        ("standard error of estimate", f"{numbers.see:.4f}"),
        ("R2", f"{numbers.r2:.3f}"),
        ("degraded called normal", f"{100 * numbers.degraded_called_normal:.1f} %"),
        ("bias, agreement", "{:.4f}, {:.3f} to {:.3f}".format(numbers.bias, *numbers.limits_of_agreement)),
        ("ratio of error variances", f"{numbers.error_ratio:.3g}"),
        *((f"modeled {c.name}", f"{c.slope:+.4f} a unit, from {c.center:.1f}") for c in numbers.covariates),
        *((f"residual on {name}", f"p = {p:.3f}") for name, p in numbers.covariate_p),
    ]


def _refusal(refusal: Refusal) -> str:
    from tbsnode import text

    numbers = ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float | int) else f"{name} {value}"
        for name, value in refusal.values
    )
    words = text.phrase(f"calibration_{refusal.code.value}")
    return f"{refusal.code.value}: {words}" + (f" ({numbers})" if numbers else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One line of `calibration list`."""

    calibration_id: str
    kind: str
    state: str
    scanner: str
    input_class: str
    pairs: int
    see: float | None
    allows_category: bool
    approved_by: str
    valid_until: str


def row(calibration: Calibration, state: str) -> Listed:
    """Return one calibration as a line."""
    key = calibration.key
    parts = (key.manufacturer, key.model_name, key.device_serial_number, key.software_versions)
    return Listed(
        calibration_id=calibration.calibration_id,
        kind=calibration.kind.value,
        state="suspended" if calibration.suspended and state == "active" else state,
        scanner=" ".join(part for part in parts if part),
        input_class=key.input_class,
        pairs=calibration.pairs,
        see=calibration.see or None,
        allows_category=calibration.allows_category,
        approved_by=calibration.approved_by,
        valid_until=calibration.valid_until.isoformat(),
    )


def plain(value: Any) -> str:
    """Write any value of a record in one cell."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain(each)}" for name, each in value.items() if each != "")
    if isinstance(value, list | tuple):
        return ", ".join(plain(each) for each in value)
    return output.cell(value)
