"""Which calibration holds for an image, and why one does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tbsnode.reasons import Code, Finding
from tbsnode.tbs.calibration import Calibration, Kind, ScannerKey

WARN_DAYS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The calibrations that hold for an image, and why one does not."""

    calibration: Calibration | None = None
    reference: Calibration | None = None
    findings: tuple[Finding, ...] = ()


def choose(calibrations: Sequence[Calibration], key: ScannerKey, *, estimator: str, on: date) -> Choice:
    """Choose what applies to an image.

    Parameters
    ----------
    calibrations : sequence of Calibration
        The active ones of the site, oldest first; a newer one counts before an older one.
    key : ScannerKey
        The image's.
    estimator : str
        `estimator_of` the parameters that scored it.
    on : date
        The day of the examination's analysis.

    Returns
    -------
    Choice
        With `SCANNER_UNCALIBRATED`, `CALIBRATION_SUSPENDED`, `CALIBRATION_EXPIRED` or
        `CALIBRATION_EXPIRING` where it applies.

    Examples
    --------
    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> found = choose([], key, estimator="{}", on=date(2026, 11, 25))
    >>> found.calibration, [finding.code.value for finding in found.findings]
    (None, ['SCANNER_UNCALIBRATED'])
    """
    own = [each for each in calibrations if each.key.same_scanner(key)]
    usable = [each for each in own if not _stale(each, key, estimator) and each.valid_until >= on]
    references = [each for each in usable if each.kind is Kind.REFERENCE]
    reference = references[-1] if references else None
    lines = [each for each in own if each.kind is not Kind.REFERENCE]
    good = [each for each in lines if each in usable]
    if good:
        chosen = good[-1]
        left = (chosen.valid_until - on).days
        values = (("valid_until", chosen.valid_until.isoformat()),)
        soon = (Finding(Code.CALIBRATION_EXPIRING, values=values),) if left <= WARN_DAYS else ()
        return Choice(calibration=chosen, reference=reference, findings=soon)
    if not lines:
        return Choice(reference=reference, findings=(Finding(Code.SCANNER_UNCALIBRATED),))
    # the one that least keeps from holding, of several the newest: what is told is what to act on
    nearest = min(reversed(lines), key=lambda each: len(_stale(each, key, estimator)))
    return Choice(reference=reference, findings=(_why_not(nearest, key, estimator),))


def _stale(calibration: Calibration, key: ScannerKey, estimator: str) -> tuple[str, ...]:
    changed = list(calibration.key.changes(key))
    if calibration.estimator != estimator:
        changed.append("estimator")
    if calibration.suspended and not changed:
        changed.append("by the administrator")
    return tuple(changed)


def _why_not(calibration: Calibration, key: ScannerKey, estimator: str) -> Finding:
    changed = _stale(calibration, key, estimator)
    name = ("calibration", calibration.calibration_id)
    if changed:
        values = (("detail", ", ".join(changed)), name)
        return Finding(Code.CALIBRATION_SUSPENDED, values=values)
    until = calibration.valid_until.isoformat()
    return Finding(Code.CALIBRATION_EXPIRED, values=(("valid_until", until), name))
