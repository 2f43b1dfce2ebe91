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
    Pair,
    Refusal,
    Refused,
    fit_paired,
)

TRANSFER_DAYS = 60
EXTENSION_MIN = 10
EXTENSION_MEAN = 0.010
EXTENSION_EACH = 0.020
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
    """

    pair: Pair
    days: float


def fit_transfer(twins: Sequence[Twin], source: Calibration, key: ScannerKey, approval: Approval) -> Fit:
    """Calibrate a scanner through patients who were measured on a calibrated one too.

    Errors add: the standard error of estimate is that of the source and that of this line together.
    """
    if source.kind is Kind.REFERENCE:
        return Fit(calibration=None, refusals=(Refusal(Refused.SOURCE_UNFIT),))
    late = sum(abs(twin.days) > TRANSFER_DAYS for twin in twins)
    if late:
        values = (("patients", late), ("limit_days", TRANSFER_DAYS))
        return Fit(calibration=None, refusals=(Refusal(Refused.TOO_FAR_APART, values),))
    fitted = fit_paired([twin.pair for twin in twins], key, approval)
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
        allows_category=source.allows_category,
        simulated=source.simulated or fitted.calibration.simulated,
        valid_until=min(source.valid_until, fitted.calibration.valid_until),
    )
    return Fit(calibration=made.named(), refusals=(), statistics=fitted.statistics)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """How far re-exported examinations moved after a change of software or export."""

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
        0.020 each.
    """
    difference = np.asarray(new_scores, dtype=np.float64) - np.asarray(old_scores, dtype=np.float64)
    mean = float(difference.mean()) if difference.size else 0.0
    largest = float(np.max(np.abs(difference), initial=0.0))
    found = []
    if difference.size < EXTENSION_MIN:
        values = (("pairs", difference.size), ("needed", EXTENSION_MIN))
        found.append(Refusal(Refused.TOO_FEW, values))
    if not (abs(mean) <= EXTENSION_MEAN and largest <= EXTENSION_EACH):
        differs = (("mean", mean), ("largest", largest))
        found.append(Refusal(Refused.EXTENSION_DIFFERS, differs))
    return Extension(
        examinations=int(difference.size),
        mean_difference=mean,
        largest_difference=largest,
        refusals=tuple(found),
    )


def extended(calibration: Calibration, key: ScannerKey, approval: Approval) -> Calibration:
    """Return the calibration for the scanner as it is after the change; its end stays the same."""
    made = replace(
        calibration,
        key=key,
        estimator=approval.estimator,
        approved_by=approval.approved_by,
        approved_on=approval.approved_on,
        based_on=calibration.calibration_id,
        suspended=False,
    )
    return made.named()


def fit_reference(
    scores: Sequence[float], ages_years: Sequence[float], key: ScannerKey, approval: Approval
) -> Fit:
    """Describe the slopes of the site's own adults; gives a percentile and Z of the slope only.

    Parameters
    ----------
    scores, ages_years : sequence of float
        One adult of at least 20 years each; younger ones are not counted.
    """
    adults = [score for score, age in zip(scores, ages_years, strict=True) if age >= ADULT_YEARS]
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
