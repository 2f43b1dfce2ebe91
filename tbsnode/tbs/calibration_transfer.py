"""Calibrations from another one, after a change, and of the site's own adults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tbsnode.tbs.calibration import Calibration, Kind, ScannerKey, valid_until
from tbsnode.tbs.calibration_fit import (
    SEE_MAX,
    Approval,
    Fit,
    Refusal,
    Refused,
    fit_paired,
)
from tbsnode.tbs.calibration_pairs import Examination, Pair, counted_once, of_two_subjects, ranges_known

TRANSFER_DAYS = 60
EXTENSION_MIN = 10
EXTENSION_MEAN = 0.010
EXTENSION_EACH = 0.020
_BINARY = 1e-9
REFERENCE_ADULTS = 100
ADULT_YEARS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """One patient measured on a new and on a calibrated scanner.

    Attributes
    ----------
    pair : Pair
        The new scanner's scan; `tbs` is the calibrated scanner's calibrated value.
    days : float
        Days between the two scans.

    Examples
    --------
    >>> Twin(pair=Pair(scan="1.2.3", score=1.37, tbs=1.28), days=14).pair.tbs
    1.28
    """

    pair: Pair
    days: float


def fit_transfer(twins: Sequence[Twin], source: Calibration, key: ScannerKey, approval: Approval) -> Fit:
    """Calibrate a scanner through patients who were measured on a calibrated one too.

    Errors add: the standard error of estimate is the root of the squares of that of the source and that
    of this line. Both scanners are taken to repeat a slope alike, so the ratio of the error variances
    is the square of the source's slope.

    Parameters
    ----------
    twins : sequence of Twin
        At least 30 patients, both scans within 60 days.
    source : Calibration
        Of the calibrated scanner: paired or itself transferred, in force, of the same estimator.
    key : ScannerKey
        The new scanner.
    approval : Approval
        Who vouches for it.

    Returns
    -------
    Fit
        Allows a texture class where the source does; ends no later than the source.

    Examples
    --------
    >>> from datetime import date
    >>> from tbsnode.phantom.population import adults
    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> by = Approval(approved_by="Dr. Example", approved_on=date(2026, 11, 1), estimator="{}")
    >>> pairs = [Pair(scan=str(i), score=each.score, tbs=each.tbs) for i, each in enumerate(adults(60, 1))]
    >>> source = fit_paired(pairs, key, by).calibration
    >>> other = replace(key, device_serial_number="78")
    >>> made = fit_transfer([Twin(pair=pair, days=7) for pair in pairs[:40]], source, other, by)
    >>> made.calibration.based_on == source.calibration_id, made.calibration.see > source.see
    (True, True)
    """
    unfit = _unfit_source(source, approval)
    if unfit:
        return Fit(calibration=None, refusals=(Refusal(Refused.SOURCE_UNFIT, (("detail", unfit),)),))
    late = sum(not abs(twin.days) <= TRANSFER_DAYS for twin in twins)
    if late:
        values = (("patients", late), ("limit_days", TRANSFER_DAYS))
        return Fit(calibration=None, refusals=(Refusal(Refused.TOO_FAR_APART, values),))
    pairs = [twin.pair for twin in twins]
    fitted = fit_paired(pairs, key, approval, error_ratio=source.slope**2)
    if fitted.calibration is None or fitted.statistics is None:
        return fitted
    see = float(np.hypot(source.see, fitted.statistics.see))
    if see > SEE_MAX:
        refusal = Refusal(Refused.HIGH_SEE, (("see", see), ("limit", SEE_MAX)))
        return Fit(calibration=None, refusals=(refusal,), statistics=fitted.statistics)
    made = replace(
        fitted.calibration,
        kind=Kind.TRANSFER,
        see=see,
        based_on=source.calibration_id,
        reference_software=source.reference_software,
        # it can allow no more than its source does, and needs no sixty patients of its own
        allows_category=source.allows_category and ranges_known(fitted.calibration.limits),
        simulated=source.simulated or fitted.calibration.simulated,
        valid_until=min(source.valid_until, fitted.calibration.valid_until),
    )
    return Fit(calibration=made.named(), refusals=(), statistics=fitted.statistics)


def _unfit_source(source: Calibration, approval: Approval) -> str:
    """Say why nothing can be carried over from a calibration; empty where it can."""
    if source.kind is Kind.REFERENCE:
        return "a reference of own adults"
    if source.suspended:
        return "suspended"
    if source.valid_until < approval.approved_on:
        return "no longer valid"
    return "" if source.estimator == approval.estimator else "another estimator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """How far re-exported examinations moved after a change of software or export.

    Attributes
    ----------
    examinations : int
        How many.
    mean_difference, largest_difference : float
        Of the absolute differences of the scores; 0 where one of them is no number.
    refusals : tuple of Refusal
        Why the calibration stays suspended; empty where it may be restored.
    """

    examinations: int
    mean_difference: float
    largest_difference: float
    refusals: tuple[Refusal, ...]


def check_extension(old_scores: Sequence[float], new_scores: Sequence[float]) -> Extension:
    """Judge if a calibration still holds after a change.

    Parameters
    ----------
    old_scores, new_scores : sequence of float
        Scores of the same examinations before the change and exported again after it.

    Returns
    -------
    Extension
        Without refusals where at least 10 examinations moved by at most 0.010 in the mean and at most
        0.020 each, up or down: moves that cancel out are moves all the same.

    Raises
    ------
    ValueError
        If there are not as many scores after as before.

    Examples
    --------
    >>> check_extension([1.30] * 10, [1.305] * 10).refusals
    ()
    >>> check_extension([1.30] * 10, [1.34] * 10).refusals[0].code.value
    'EXTENSION_DIFFERS'
    """
    old, new = (np.asarray(scores, dtype=np.float64) for scores in (old_scores, new_scores))
    if old.shape != new.shape:
        raise ValueError(f"{old.size} scores before and {new.size} after")
    moved = np.abs(new - old)
    if not np.isfinite(moved).all():
        refusal = Refusal(Refused.NOT_FINITE)
        return Extension(
            examinations=moved.size, mean_difference=0.0, largest_difference=0.0, refusals=(refusal,)
        )
    mean, largest = float(moved.mean()) if moved.size else 0.0, float(np.max(moved, initial=0.0))
    found = []
    if moved.size < EXTENSION_MIN:
        found.append(Refusal(Refused.TOO_FEW, (("pairs", moved.size), ("needed", EXTENSION_MIN))))
    # 1.21 - 1.20 is a little more than 0.01 in binary
    if not (mean <= EXTENSION_MEAN + _BINARY and largest <= EXTENSION_EACH + _BINARY):
        differs = (("mean", mean), ("largest", largest))
        found.append(Refusal(Refused.EXTENSION_DIFFERS, differs))
    return Extension(
        examinations=moved.size,
        mean_difference=mean,
        largest_difference=largest,
        refusals=tuple(found),
    )


def extended(calibration: Calibration, key: ScannerKey, approval: Approval) -> Calibration:
    """Return the calibration for the scanner as it is after the change.

    Its end stays the same, and so does its estimator: the line was fitted to the scores of that one, and
    two exports that another scores alike say nothing about it.
    """
    made = replace(
        calibration,
        key=key,
        approved_by=approval.approved_by,
        approved_on=approval.approved_on,
        based_on=calibration.calibration_id,
        suspended=False,
        simulated=calibration.simulated or approval.simulated,
    )
    return made.named()


def fit_reference(examinations: Sequence[Examination], key: ScannerKey, approval: Approval) -> Fit:
    """Describe the slopes of the site's own adults; gives a percentile and Z of the slope only.

    Parameters
    ----------
    examinations : sequence of Examination
        At least 100 adults. Each counts once, with the latest examination (`counted_once`); who is
        below 20 years, or of unknown age, does not count.
    key : ScannerKey
        The scanner that made all of them.
    approval : Approval
        Who vouches for it.

    Returns
    -------
    Fit
        Refused below 100 adults, and where one scan is said to be of two subjects.

    Examples
    --------
    >>> from datetime import date
    >>> from tbsnode.phantom.population import adults
    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> by = Approval(approved_by="Dr. Example", approved_on=date(2026, 11, 1), estimator="{}")
    >>> seen = [
    ...     Examination(scan=str(i), subject=f"P{i}", score=each.score, age_years=each.age_years)
    ...     for i, each in enumerate(adults(120, 1))
    ... ]
    >>> fit_reference([*seen, *seen], key, by).calibration.pairs
    120
    """
    torn = of_two_subjects(examinations)
    if torn:
        scans = len({examinations[place].scan for place in torn})
        return Fit(calibration=None, refusals=(Refusal(Refused.DUPLICATE, (("scans", scans),)),))
    chosen = [examinations[place] for place in counted_once(examinations)[0]]
    adults = [each.score for each in chosen if each.age_years is not None and each.age_years >= ADULT_YEARS]
    if len(adults) < REFERENCE_ADULTS:
        values = (("pairs", len(adults)), ("needed", REFERENCE_ADULTS))
        return Fit(calibration=None, refusals=(Refusal(Refused.TOO_FEW, values),))
    if not np.isfinite(adults).all():
        return Fit(calibration=None, refusals=(Refusal(Refused.NOT_FINITE),))
    made = Calibration(
        kind=Kind.REFERENCE,
        key=key,
        pairs=len(adults),
        estimator=approval.estimator,
        approved_by=approval.approved_by,
        approved_on=approval.approved_on,
        valid_until=valid_until(approval.approved_on),
        simulated=approval.simulated,
        based_on=approval.based_on,
        reference_scores=tuple(sorted(float(score) for score in adults)),
    )
    return Fit(calibration=made.named(), refusals=())
