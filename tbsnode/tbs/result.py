"""The values that a measurement of one spine picture consists of."""

from __future__ import annotations

from dataclasses import dataclass

from tbsnode.reasons import Finding

LABELS = ("L1", "L2", "L3", "L4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertebra:
    """One measured level.

    Attributes
    ----------
    label : str
        ``"L1"`` .. ``"L4"``.
    included : bool
        Whether it counts in the total.
    excluded : Finding or None
        Why not.
    score : float or None
        Texture slope (TEXSLOPE), dimensionless; None where it could not be computed.
    standard_error : float or None
        Repeatability standard error of `score`; None while not estimated.
    native_score : float or None
        Unweighted slope over r <= 5 pixels, a secondary value.
    unweighted_score : float or None
        Unweighted slope over `unweighted_lag_min_mm` .. `lag_max_mm`, a secondary value.
    fit_r2 : float or None
        Coefficient of determination of the log-log line.
    pairs : int
        Pixel pairs used by the fit.
    area_mm2 : float
        Area of the scored mask.
    height_mm : float
        Mid-disc to mid-disc along the axis.
    region : tuple of (row, column) pairs
        One simple closed ring on the stored matrix, pixel centers at integers.
    variogram : tuple of (lag_mm, value, pairs) triples
        V(r) up to 7 mm.
    """

    label: str
    included: bool
    excluded: Finding | None
    score: float | None
    standard_error: float | None
    native_score: float | None
    unweighted_score: float | None
    fit_r2: float | None
    pairs: int
    area_mm2: float
    height_mm: float
    region: tuple[tuple[float, float], ...]
    variogram: tuple[tuple[float, float, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """What the second-best labeling would give."""

    shift: int  # levels; +1 = every label one vertebra further down
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineMeasurement:
    """Everything measured on one picture of a spine.

    Attributes
    ----------
    vertebrae : tuple of Vertebra
        L1 to L4, from the head down.
    score : float
        Mean texture slope of the included levels.
    native_score : float or None
        Mean of the included levels' native slopes.
    label_confidence : float
        0 to 1.
    alternative : Alternative or None
        The runner-up labeling where the labels are uncertain.
    disc_lines : tuple of ((row, column), (row, column))
        T12/L1 to L4/L5: left and right end of each mid-disc line on the stored matrix.
    findings : tuple of Finding
        Doubts found in the pixels.
    """

    vertebrae: tuple[Vertebra, ...]
    score: float
    native_score: float | None
    label_confidence: float
    alternative: Alternative | None
    disc_lines: tuple[tuple[tuple[float, float], tuple[float, float]], ...]
    findings: tuple[Finding, ...]
