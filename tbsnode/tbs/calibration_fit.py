"""Calibrations made from data: paired, transferred, extended, or of the site's own adults.

Every fit shows its numbers, accepted or refused. A refusal is coded and says what was found and
what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum

import numpy as np

from tbsnode.tbs import deming
from tbsnode.tbs.calibration import (
    Calibration,
    Covariate,
    Kind,
    Limits,
    Person,
    ScannerKey,
    valid_until,
)
from tbsnode.tbs.deming import Line, Vector
from tbsnode.tbs.result import ImageStatistics

PAIRS_FOR_VALUE = 30
PAIRS_FOR_CATEGORY = 60
PAIRS_PER_CATEGORY = 12
SEE_MAX = 0.06
R2_MIN = 0.5
DEGRADED_CALLED_NORMAL_MAX = 0.03
P_MIN = 0.05
CUT_OFFS = (1.23, 1.31)  # degraded at or below, normal above: meta-analysis tertiles
TBS_PRECISION = 0.019  # 1.5 % of 1.25; short-term CV of licensed software 1.4-1.6 %
SCORE_PRECISION = 0.010  # where the pairs have no standard errors: the project's own target
RANGE_PERCENT = (5.0, 95.0)
COVARIATES = ("bmi", "age_years", "sex")


class Refused(StrEnum):
    """Why a fit gives no calibration."""

    TOO_FEW = "TOO_FEW"
    NOT_FINITE = "NOT_FINITE"
    DUPLICATE = "DUPLICATE"
    NEGATIVE_SLOPE = "NEGATIVE_SLOPE"
    LOW_R2 = "LOW_R2"
    HIGH_SEE = "HIGH_SEE"
    DEGRADED_CALLED_NORMAL = "DEGRADED_CALLED_NORMAL"
    RESIDUAL_COVARIATE = "RESIDUAL_COVARIATE"
    TOO_FAR_APART = "TOO_FAR_APART"
    EXTENSION_DIFFERS = "EXTENSION_DIFFERS"
    SOURCE_UNFIT = "SOURCE_UNFIT"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason with its numbers by name."""

    code: Refused
    values: tuple[tuple[str, float | str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One scan with both scores.

    Attributes
    ----------
    scan : str
        Names the scan (SOP Instance UID); a scan counts once.
    score, tbs : float
        Our mean slope, and the value of licensed software on the same scan and levels.
    bmi, age_years : float or None
        Of the patient.
    sex : str
        ``"M"`` or ``"F"``.
    statistics : ImageStatistics or None
        How the scored pixels look.
    standard_error : float or None
        Repeatability of `score`.
    """

    scan: str
    score: float
    tbs: float
    bmi: float | None = None
    age_years: float | None = None
    sex: str = ""
    statistics: ImageStatistics | None = None
    standard_error: float | None = None

    @property
    def person(self) -> Person:
        """The patient's covariates."""
        return Person(bmi=self.bmi, age_years=self.age_years, sex=self.sex)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who vouches for a calibration, from when, and against what it was made."""

    approved_by: str
    approved_on: date
    estimator: str
    reference_software: str = ""
    simulated: bool = False
    based_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitStatistics:
    """The numbers of a fit.

    Attributes
    ----------
    pairs : int
        How many.
    error_ratio : float
        Variance of the errors of TBS over that of the score, as used by the line.
    intercept, slope : float
        The line.
    intercept_95, slope_95 : tuple of float
        Jackknife 95 % confidence intervals.
    see : float
        Root mean square of TBS less its prediction from all other pairs, on N - 2 degrees.
    r2 : float
        Squared correlation of score and TBS.
    per_category : tuple of int
        Pairs that are normal, partially degraded, degraded.
    degraded_called_normal : float
        Share of the degraded pairs whose prediction lies above the upper cut-off.
    covariate_p : tuple of (str, float)
        How likely the residual slope on each covariate is chance, after modeling.
    bias, limits_of_agreement : float, tuple of float
        Bland-Altman: mean of prediction less TBS, and the mean -+ 1.96 SD.
    predicted : tuple of float
        Of each pair from all others, in the order of the pairs.
    """

    pairs: int
    error_ratio: float
    intercept: float
    slope: float
    intercept_95: tuple[float, float]
    slope_95: tuple[float, float]
    see: float
    r2: float
    per_category: tuple[int, int, int]
    degraded_called_normal: float
    covariate_p: tuple[tuple[str, float], ...]
    bias: float
    limits_of_agreement: tuple[float, float]
    predicted: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What came of a fit: a calibration, or why there is none, with the numbers either way."""

    calibration: Calibration | None
    refusals: tuple[Refusal, ...]
    statistics: FitStatistics | None = None


def fit_paired(pairs: Sequence[Pair], key: ScannerKey, approval: Approval) -> Fit:
    """Calibrate a scanner against licensed software on the same scans.

    Parameters
    ----------
    pairs : sequence of Pair
        At least 30; 60, with 12 in each category, for a texture class.
    key : ScannerKey
        The scanner that made all of them.
    approval : Approval
        Who vouches for it.

    Returns
    -------
    Fit
        Refused below 30 pairs, with a slope that is not positive, R2 below 0.5, SEE above 0.06, more
        than 3 % of the degraded called normal, or a residual slope on BMI, age or sex (p < 0.05)
        that modeling does not take off.
    """
    refusals = _unfit(pairs)
    if refusals:
        return Fit(calibration=None, refusals=refusals)
    x, y = (np.array([getattr(pair, name) for pair in pairs]) for name in ("score", "tbs"))
    ratio = _error_ratio(pairs)
    names, z = _modeled(pairs, x, y, ratio)
    centers = z.mean(axis=0)
    numbers = _statistics(pairs, (x, y, z - centers, ratio), names)
    refusals = _refusals(numbers)
    if refusals:
        return Fit(calibration=None, refusals=refusals, statistics=numbers)
    line = deming.fit(x, y, z - centers, ratio)
    covariates = tuple(
        Covariate(name=name, slope=slope, center=float(center))
        for name, slope, center in zip(names, line.extra, centers, strict=True)
    )
    made = Calibration(
        kind=Kind.PAIRED,
        key=key,
        intercept=line.intercept,
        slope=line.slope,
        covariates=covariates,
        see=numbers.see,
        pairs=len(pairs),
        per_category=numbers.per_category,
        allows_category=len(pairs) >= PAIRS_FOR_CATEGORY and min(numbers.per_category) >= PAIRS_PER_CATEGORY,
        limits=_limits(pairs),
        estimator=approval.estimator,
        reference_software=approval.reference_software,
        approved_by=approval.approved_by,
        approved_on=approval.approved_on,
        valid_until=valid_until(approval.approved_on),
        simulated=approval.simulated,
        based_on=approval.based_on,
    )
    return Fit(calibration=made.named(), refusals=(), statistics=numbers)


def _unfit(pairs: Sequence[Pair], needed: int = PAIRS_FOR_VALUE) -> tuple[Refusal, ...]:
    """Refuse data that no line may be drawn through."""
    found = []
    if len(pairs) < needed:
        found.append(Refusal(Refused.TOO_FEW, (("pairs", len(pairs)), ("needed", needed))))
    if not all(np.isfinite([pair.score, pair.tbs]).all() for pair in pairs):
        found.append(Refusal(Refused.NOT_FINITE))
    twice = len(pairs) - len({pair.scan for pair in pairs})
    if twice:
        found.append(Refusal(Refused.DUPLICATE, (("scans", twice),)))
    return tuple(found)


def _error_ratio(pairs: Sequence[Pair]) -> float:
    """Return the variance of repeated licensed values over that of repeated scores."""
    errors = [pair.standard_error for pair in pairs if pair.standard_error]
    own = float(np.sqrt(np.mean(np.square(errors)))) if errors else SCORE_PRECISION
    return (TBS_PRECISION / max(own, 1e-4)) ** 2


def _table(pairs: Sequence[Pair], names: Sequence[str]) -> Vector:
    columns = [[pair.person.value(name) for pair in pairs] for name in names]
    return np.array(columns, dtype=np.float64).T.reshape(len(pairs), len(names))


def _known(pairs: Sequence[Pair]) -> list[str]:
    """Return the covariates that every pair has and that vary."""
    found = []
    for name in COVARIATES:
        values = [pair.person.value(name) for pair in pairs]
        if None not in values and len(set(values)) > 1:
            found.append(name)
    return found


def _modeled(pairs: Sequence[Pair], x: Vector, y: Vector, ratio: float) -> tuple[list[str], Vector]:
    """Choose the covariates that the residuals depend on; they are modeled."""
    names = _known(pairs)
    table = _table(pairs, names)
    intercept, slope = deming.deming(x, y, ratio)
    if not names or not np.isfinite(slope):
        return [], np.zeros((x.size, 0))
    p = deming.p_values(y - intercept - slope * x, table)
    chosen = [name for name, value in zip(names, p, strict=True) if value < P_MIN]
    return chosen, _table(pairs, chosen)


def _statistics(
    pairs: Sequence[Pair], data: tuple[Vector, Vector, Vector, float], modeled: list[str]
) -> FitStatistics:
    x, y, z, ratio = data
    line = deming.fit(x, y, z, ratio)
    predicted, without = deming.left_out(x, y, z, ratio)
    degraded = y <= CUT_OFFS[0]
    wrong = float(np.mean(predicted[degraded] > CUT_OFFS[1])) if degraded.any() else 0.0
    difference = line.at(x, z) - y
    spread = 1.96 * float(difference.std(ddof=1))
    bias = float(difference.mean())
    names = _known(pairs)
    p = deming.p_values(y - line.at(x, z), _table(pairs, names))
    return FitStatistics(
        pairs=len(pairs),
        error_ratio=ratio,
        intercept=line.intercept,
        slope=line.slope,
        intercept_95=_interval(line, without, "intercept"),
        slope_95=_interval(line, without, "slope"),
        see=float(np.sqrt(np.sum((y - predicted) ** 2) / (x.size - 2 - len(modeled)))),
        r2=float(np.corrcoef(x, y)[0, 1] ** 2) if x.std() > 0 and y.std() > 0 else 0.0,
        per_category=_categories(y),
        degraded_called_normal=wrong,
        covariate_p=tuple((name, float(value)) for name, value in zip(names, p, strict=True)),
        bias=bias,
        limits_of_agreement=(bias - spread, bias + spread),
        predicted=tuple(float(value) for value in predicted),
    )


def _interval(line: Line, without: list[Line], name: str) -> tuple[float, float]:
    values = np.array([getattr(each, name) for each in without])
    return deming.jackknife_interval(getattr(line, name), values)


def _categories(tbs: Vector) -> tuple[int, int, int]:
    degraded, normal = int(np.sum(tbs <= CUT_OFFS[0])), int(np.sum(tbs > CUT_OFFS[1]))
    return normal, tbs.size - normal - degraded, degraded


def _refusals(numbers: FitStatistics) -> tuple[Refusal, ...]:
    found = []
    if not numbers.slope > 0:  # nan too
        found.append(Refusal(Refused.NEGATIVE_SLOPE, (("slope", numbers.slope),)))
    if not numbers.r2 >= R2_MIN:
        found.append(Refusal(Refused.LOW_R2, (("r2", numbers.r2), ("needed", R2_MIN))))
    if not numbers.see <= SEE_MAX:
        found.append(Refusal(Refused.HIGH_SEE, (("see", numbers.see), ("limit", SEE_MAX))))
    wrong = numbers.degraded_called_normal
    if wrong > DEGRADED_CALLED_NORMAL_MAX:
        values = (("percent", 100 * wrong), ("limit_percent", 100 * DEGRADED_CALLED_NORMAL_MAX))
        found.append(Refusal(Refused.DEGRADED_CALLED_NORMAL, values))
    for name, p in numbers.covariate_p:
        if p < P_MIN:
            found.append(Refusal(Refused.RESIDUAL_COVARIATE, (("covariate", name), ("p", p))))
    return tuple(found)


def _limits(pairs: Sequence[Pair]) -> tuple[Limits, ...]:
    """Return the 5th to 95th percentile of everything that every pair tells."""
    columns = {name: [pair.person.value(name) for pair in pairs] for name in ("bmi", "age_years")}
    if all(pair.statistics is not None for pair in pairs):
        for field in fields(ImageStatistics):
            columns[field.name] = [float(getattr(pair.statistics, field.name)) for pair in pairs]
    found = []
    for name, values in columns.items():
        known = [value for value in values if value is not None]
        if len(known) == len(pairs):
            low, high = np.percentile(known, RANGE_PERCENT)
            found.append(Limits(covariate=name, low=float(low), high=float(high)))
    return tuple(found)
