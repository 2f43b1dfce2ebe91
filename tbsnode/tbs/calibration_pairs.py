"""Pairs of a texture slope and a licensed value, and what they tell of the patients and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from tbsnode.tbs.calibration import Limits, Person
from tbsnode.tbs.deming import Vector
from tbsnode.tbs.result import ImageStatistics

FEWEST_KNOWN = 30  # pairs that must tell something before a range or a test can rest on it
FEWEST_OF_A_SEX = 5  # fewer are no group to compare with
RANGE_PERCENT = (5.0, 95.0)
COVARIATES = ("bmi", "age_years", "sex")
RANGED = ("bmi", "age_years", *(field.name for field in fields(ImageStatistics)))


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


def table(pairs: Sequence[Pair], names: Sequence[str]) -> Vector:
    """Return covariates as columns; shape (N, K), nan where one is not known."""
    columns = [[pair.person.value(name) for pair in pairs] for name in names]
    return np.array(columns, dtype=np.float64).T.reshape(len(pairs), len(names))


def testable(pairs: Sequence[Pair]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the covariates that every pair tells, and those that enough of them tell.

    Of both only such that vary; sex varies where there are at least `FEWEST_OF_A_SEX` of each.
    """
    whole: list[str] = []
    partly: list[str] = []
    for name in COVARIATES:
        values = table(pairs, [name])[:, 0]
        known = values[np.isfinite(values)]
        groups = np.unique(known, return_counts=True)[1]
        if known.size < FEWEST_KNOWN or groups.size < 2:
            continue
        if name == "sex" and groups.min() < FEWEST_OF_A_SEX:
            continue
        (whole if known.size == len(pairs) else partly).append(name)
    return tuple(whole), tuple(partly)


def limits_of(pairs: Sequence[Pair]) -> tuple[Limits, ...]:
    """Return the range of everything that enough pairs tell: 5th to 95th percentile.

    Where nearly all are of one sex, that sex is the range.
    """
    found = []
    for name in RANGED:
        known = np.array([value for value in (_told(pair, name) for pair in pairs) if value is not None])
        if known.size >= FEWEST_KNOWN:
            low, high = np.percentile(known, RANGE_PERCENT)
            found.append(Limits(covariate=name, low=float(low), high=float(high)))
    values = table(pairs, ["sex"])[:, 0]
    sexes, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if counts.sum() >= FEWEST_KNOWN:
        enough = sexes[(counts >= FEWEST_OF_A_SEX) | (counts == counts.max())]
        found.append(Limits(covariate="sex", low=float(enough.min()), high=float(enough.max())))
    return tuple(found)


def ranges_known(limits: Sequence[Limits]) -> bool:
    """Tell whether a later examination can be compared with the pairs in everything."""
    return {limit.covariate for limit in limits} >= {*RANGED, "sex"}


def _told(pair: Pair, name: str) -> float | None:
    """Return what a pair tells of one property; None where it does not, or tells no number."""
    if name in ("bmi", "age_years"):
        value = pair.person.value(name)
    else:
        value = None if pair.statistics is None else float(getattr(pair.statistics, name))
    return value if value is not None and np.isfinite(value) else None
