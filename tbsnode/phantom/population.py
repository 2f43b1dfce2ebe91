"""Simulated adults with texture slope and licensed value: a line and errors that are stated.

They stand for the paired examinations that a site would collect. No patient and no licensed software is
behind them: what is fitted to them says how a calibration works and nothing about bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_SLOPE, MOST_SLOPE = 1.20, 1.60  # the texture slopes of the population
LEAST_AGE_YEARS, MOST_AGE_YEARS = 40.0, 90.0
BMI, BMI_SD = 26.5, 4.5  # kg/m2
LEAST_BMI, MOST_BMI = 16.0, 37.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Adult:
    """One simulated adult, examined once.

    Attributes
    ----------
    score : float
        Texture slope as measured, with its error.
    tbs : float
        The value that a licensed software would have given, with its error.
    age_years, bmi : float
        Age; body mass index [kg/m2].
    sex : str
        ``"F"`` or ``"M"``.
    """

    score: float
    tbs: float
    age_years: float
    bmi: float
    sex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """How the licensed value follows from the true slope, and how far both are off.

    Attributes
    ----------
    intercept, slope : float
        TBS = intercept + slope x texture slope.
    score_sd, tbs_sd : float
        Standard deviations of the errors of the measured slope and of the licensed value.
    """

    intercept: float = -0.06
    slope: float = 0.95
    score_sd: float = 0.003
    tbs_sd: float = 0.024


def adults(number: int, seed: int, relation: Relation = Relation()) -> tuple[Adult, ...]:
    """Return simulated adults; the same arguments give the same ones.

    Parameters
    ----------
    number : int
        How many.
    seed : int
        Of everything that is drawn.
    relation : Relation
        The line between slope and licensed value.

    Returns
    -------
    tuple of Adult
        Slopes evenly from `LEAST_SLOPE` to `MOST_SLOPE`; age, sex and body size do not depend on them.

    Examples
    --------
    >>> exact = Relation(score_sd=0.0, tbs_sd=0.0)
    >>> all(abs(each.tbs - (0.95 * each.score - 0.06)) < 1e-12 for each in adults(5, 1, exact))
    True
    """
    rng = np.random.default_rng(seed)
    true = rng.permutation(np.linspace(LEAST_SLOPE, MOST_SLOPE, number))
    score = true + relation.score_sd * rng.standard_normal(number)
    tbs = relation.intercept + relation.slope * true + relation.tbs_sd * rng.standard_normal(number)
    age = rng.uniform(LEAST_AGE_YEARS, MOST_AGE_YEARS, number)
    bmi = np.clip(BMI + BMI_SD * rng.standard_normal(number), LEAST_BMI, MOST_BMI)
    women = rng.random(number) < 0.6
    return tuple(
        Adult(
            score=float(score[i]),
            tbs=float(tbs[i]),
            age_years=float(age[i]),
            bmi=float(bmi[i]),
            sex="F" if women[i] else "M",
        )
        for i in range(number)
    )
