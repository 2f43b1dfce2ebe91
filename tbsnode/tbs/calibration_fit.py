"""Calibrations made from data: paired, transferred, extended, or of the site's own adults.

Every fit shows its numbers, accepted or refused. A refusal is coded and says what was found and
what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

import numpy as np

from tbsnode.tbs import deming
from tbsnode.tbs.calibration import (
    Calibration,
    Covariate,
    Kind,
    ScannerKey,
    valid_until,
)
from tbsnode.tbs.calibration_pairs import COVARIATES, Pair, limits_of, ranges_known, table, testable
from tbsnode.tbs.deming import Line, Vector

__all__ = [
    "CUT_OFFS",
    "SEE_MAX",
    "Approval",
    "Fit",
    "FitStatistics",
    "Pair",
    "Refusal",
    "Refused",
    "fit_paired",
]

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
class Approval:
    """Who vouches for a calibration, from when, and against what it was made.

    Examples
    --------
    >>> from tbsnode.tbs.calibration import estimator_of
    >>> from tbsnode.tbs.parameters import Parameters
    >>> by = Approval(
    ...     approved_by="Dr. Example", approved_on=date(2026, 11, 1), estimator=estimator_of(Parameters())
    ... )
    >>> by.simulated
    False
    """

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
        Share, of the pairs whose licensed value is degraded, of those that are predicted normal from all
        other pairs; 0 where none is degraded (no class is allowed then).
    covariate_p : tuple of (str, float)
        How likely the residual slope on each covariate is chance, after modeling.
    bias, limits_of_agreement : float, tuple of float
        Bland-Altman: mean of prediction less TBS, and the mean -+ 1.96 SD.
    predicted : tuple of float
        Of each pair from all others, in the order of the pairs.
    covariates : tuple of Covariate
        What is modeled besides the score.
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
    covariates: tuple[Covariate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What came of a fit: a calibration, or why there is none, with the numbers either way."""

    calibration: Calibration | None
    refusals: tuple[Refusal, ...]
    statistics: FitStatistics | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Study:
    """The pairs as arrays, with what the fit assumes."""

    pairs: Sequence[Pair]
    x: Vector  # scores, shape (N,)
    y: Vector  # licensed values, shape (N,)
    ratio: float
    cut_offs: tuple[float, float]

    def centered(self, names: Sequence[str]) -> tuple[Vector, Vector]:
        """Return covariates less their means, shape (N, K), and the means."""
        z = table(self.pairs, names)
        return z - z.mean(axis=0), z.mean(axis=0)

    def line(self, names: Sequence[str]) -> Line:
        """Return the line with these covariates modeled."""
        return deming.fit(self.x, self.y, self.centered(names)[0], self.ratio)

    def residual(self, names: Sequence[str]) -> Vector:
        """Return what that line leaves."""
        return self.y - self.line(names).at(self.x, self.centered(names)[0])


def fit_paired(
    pairs: Sequence[Pair],
    key: ScannerKey,
    approval: Approval,
    *,
    error_ratio: float | None = None,
    cut_offs: tuple[float, float] = CUT_OFFS,
) -> Fit:
    """Calibrate a scanner against licensed software on the same scans.

    Parameters
    ----------
    pairs : sequence of Pair
        At least 30; 60, with 12 in each category, for a texture class.
    key : ScannerKey
        The scanner that made all of them.
    approval : Approval
        Who vouches for it.
    error_ratio : float, optional
        Variance of the errors of TBS over that of the score. By default that of a repeated licensed
        value (`TBS_PRECISION`) over the mean square of the pairs' standard errors, or over
        `SCORE_PRECISION` where they have none.
    cut_offs : tuple of float
        Degraded at or below the first, normal above the second.

    Returns
    -------
    Fit
        Refused below 30 pairs, with a slope that is not positive, R2 below 0.5, SEE above 0.06, more
        than 3 % of the degraded called normal, or a residual slope on BMI, age or sex (p < 0.05)
        that modeling does not take off, or that cannot be modeled because some patients lack it. No
        class is allowed where ranges of patients and pictures are not known.

    Examples
    --------
    Simulated pairs on the line TBS = -0.06 + 0.95 x slope:

    >>> from tbsnode.phantom.population import adults
    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> pairs = [Pair(scan=str(i), score=each.score, tbs=each.tbs) for i, each in enumerate(adults(60, 1))]
    >>> by = Approval(approved_by="Dr. Example", approved_on=date(2026, 11, 1), estimator="{}")
    >>> fitted = fit_paired(pairs, key, by)
    >>> abs(fitted.statistics.slope - 0.95) < 0.05, fitted.statistics.see < 0.03
    (True, True)
    >>> fit_paired(pairs[:20], key, by).refusals[0].code.value
    'TOO_FEW'
    """
    refusals = _unfit(pairs)
    if refusals:
        return Fit(calibration=None, refusals=refusals)
    # in one order, so that the order of a table does not change the last digits
    pairs_sorted = sorted(pairs, key=lambda pair: (pair.score, pair.tbs, pair.scan))
    study = _Study(
        pairs=pairs_sorted,
        x=np.array([pair.score for pair in pairs_sorted]),
        y=np.array([pair.tbs for pair in pairs_sorted]),
        ratio=_error_ratio(pairs_sorted) if error_ratio is None else error_ratio,
        cut_offs=cut_offs,
    )
    numbers = _statistics(study, _modeled(study)) if np.isfinite(study.line(()).slope) else None
    if numbers is None or not np.isfinite([numbers.see, *numbers.slope_95, *numbers.intercept_95]).all():
        return Fit(calibration=None, refusals=(Refusal(Refused.NEGATIVE_SLOPE, (("slope", 0.0),)),))
    refusals = _refusals(numbers)
    places = {pair.scan: place for place, pair in enumerate(pairs_sorted)}
    predicted = tuple(numbers.predicted[places[pair.scan]] for pair in pairs)
    numbers = replace(numbers, predicted=predicted)
    if refusals:
        return Fit(calibration=None, refusals=refusals, statistics=numbers)
    return Fit(calibration=_made(numbers, pairs, key, approval), refusals=(), statistics=numbers)


def _made(numbers: FitStatistics, pairs: Sequence[Pair], key: ScannerKey, approval: Approval) -> Calibration:
    limits = limits_of(pairs)
    enough = len(pairs) >= PAIRS_FOR_CATEGORY and min(numbers.per_category) >= PAIRS_PER_CATEGORY
    made = Calibration(
        kind=Kind.PAIRED,
        key=key,
        intercept=numbers.intercept,
        slope=numbers.slope,
        covariates=numbers.covariates,
        see=numbers.see,
        pairs=len(pairs),
        per_category=numbers.per_category,
        allows_category=enough and ranges_known(limits),
        limits=limits,
        estimator=approval.estimator,
        reference_software=approval.reference_software,
        approved_by=approval.approved_by,
        approved_on=approval.approved_on,
        valid_until=valid_until(approval.approved_on),
        simulated=approval.simulated,
        based_on=approval.based_on,
    )
    return made.named()


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
    errors = [pair.standard_error for pair in pairs if pair.standard_error is not None]
    usable = [error for error in errors if np.isfinite(error) and error > 0]
    own = float(np.sqrt(np.mean(np.square(usable)))) if usable else SCORE_PRECISION
    return (TBS_PRECISION / max(own, 1e-4)) ** 2


def _modeled(study: _Study) -> tuple[str, ...]:
    """Choose the covariates that the residuals depend on, the clearest first, until none is left."""
    known, _ = testable(study.pairs)
    chosen: tuple[str, ...] = ()
    for _ in known:
        p = deming.p_values(study.residual(chosen), table(study.pairs, known))
        left = [(value, name) for value, name in zip(p, known, strict=True) if name not in chosen]
        clearest, name = min(left)
        if clearest >= P_MIN:
            break
        chosen = (*chosen, name)
    return chosen


def _residual_p(study: _Study, modeled: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Test what the line leaves on every covariate; one that some pairs lack, on the others alone."""
    residual = study.residual(modeled)
    whole, partly = testable(study.pairs)
    found = dict(zip(whole, deming.p_values(residual, table(study.pairs, whole)), strict=True))
    for name in partly:
        column = table(study.pairs, [name])
        has = np.isfinite(column[:, 0])
        found[name] = deming.p_values(residual[has], column[has])[0]
    return tuple((name, float(found[name])) for name in COVARIATES if name in found)


def _statistics(study: _Study, modeled: tuple[str, ...]) -> FitStatistics:
    x, y = study.x, study.y
    z, centers = study.centered(modeled)
    line = study.line(modeled)
    predicted, without = deming.left_out(x, y, z, study.ratio)
    degraded = y <= study.cut_offs[0]
    wrong = float(np.mean(predicted[degraded] > study.cut_offs[1])) if degraded.any() else 0.0
    difference = predicted - y
    bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    return FitStatistics(
        pairs=x.size,
        error_ratio=study.ratio,
        intercept=line.intercept,
        slope=line.slope,
        intercept_95=_interval(line, without, "intercept"),
        slope_95=_interval(line, without, "slope"),
        see=float(np.sqrt(np.sum(difference**2) / (x.size - 2 - len(modeled)))),
        r2=float(np.corrcoef(x, y)[0, 1] ** 2) if x.std() > 0 and y.std() > 0 else 0.0,
        per_category=_categories(y, study.cut_offs),
        degraded_called_normal=wrong,
        covariate_p=_residual_p(study, modeled),
        bias=bias,
        limits_of_agreement=(bias - spread, bias + spread),
        predicted=tuple(float(value) for value in predicted),
        covariates=tuple(
            Covariate(name=name, slope=slope, center=float(center))
            for name, slope, center in zip(modeled, line.extra, centers, strict=True)
        ),
    )


def _interval(line: Line, without: list[Line], name: str) -> tuple[float, float]:
    values = np.array([getattr(each, name) for each in without])
    return deming.jackknife_interval(getattr(line, name), values)


def _categories(tbs: Vector, cut_offs: tuple[float, float]) -> tuple[int, int, int]:
    degraded, normal = int(np.sum(tbs <= cut_offs[0])), int(np.sum(tbs > cut_offs[1]))
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
