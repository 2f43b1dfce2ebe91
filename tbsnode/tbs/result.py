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

    Examples
    --------
    >>> from tbsnode.phantom import example
    >>> from tbsnode.tbs.spine import Picture, measure
    >>> scanned = example.spine()
    >>> spine = measure(Picture(pixels=scanned.pixels, pixel_spacing_mm=scanned.pixel_spacing_mm))
    >>> level = spine.vertebrae[0]
    >>> level.label, level.included, level.region[0] == level.region[-1], len(level.variogram[0])
    ('L1', True, True, 3)
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
class ScannerRegions:
    """Where the scanner itself drew its regions.

    Attributes
    ----------
    lines : tuple of ((row, column), (row, column))
        The lines between levels from the head down, left and right end, on the picture's matrix.
    labels : tuple of str
        The level below each line but the last, ``"L1"`` .. ``"L4"``; empty where no label was read.
    outlines : tuple of (str, ring) pairs
        Closed ring of each level where its whole outline was read, as in `Vertebra.region`.
    areas_mm2, heights_mm : tuple of (str, float) pairs
        Per level, from the scanner's results.
    source : str
        ``"page lines"``, ``"private data"``, ``"structured report"`` or ``"results table"``.
    """

    lines: tuple[tuple[tuple[float, float], tuple[float, float]], ...] = ()
    labels: tuple[str, ...] = ()
    outlines: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = ()
    areas_mm2: tuple[tuple[str, float], ...] = ()
    heights_mm: tuple[tuple[str, float], ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one independent cue says about the labels.

    Attributes
    ----------
    cue : str
        ``"crests"``, ``"ribs"``, ``"pitch"``, ``"shape"``, ``"density"``, ``"field"`` or ``"scanner"``.
    shift : int or None
        The labeling it favors: 0 the chosen one, +1 every label one vertebra further down; None where
        the cue saw nothing.
    weight : float
        Logarithm of the odds that it gives the labeling it favors over the next best one.
    """

    cue: str
    shift: int | None
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatistics:
    """What decides if a picture resembles those a calibration was made from.

    Attributes
    ----------
    gray_levels : int
        Distinct gray levels inside the scored regions.
    saturated_fraction : float
        Share of their pixels at the brightest value, 0 to 1.
    short_lag_noise : float
        Noise variance over V at the shortest fitted lag, dimensionless.
    fit_r2 : float
        Mean coefficient of determination of the included levels.
    """

    gray_levels: int
    saturated_fraction: float
    short_lag_noise: float
    fit_r2: float


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
    standard_error : float or None
        Repeatability standard error of `score`; None where it could not be estimated.
    statistics : ImageStatistics or None
        How the scored pixels look, for the range of a calibration.
    votes : tuple of Vote
        What each cue says about the labels.
    region_source : str
        ``"tbsnode"``, or ``"scanner"`` where the regions are the scanner's own.

    Examples
    --------
    >>> from tbsnode.phantom import example
    >>> from tbsnode.tbs.spine import Picture, measure
    >>> scanned = example.spine()
    >>> spine = measure(Picture(pixels=scanned.pixels, pixel_spacing_mm=scanned.pixel_spacing_mm))
    >>> spine.region_source, [vote.cue for vote in spine.votes][:2]
    ('tbsnode', ['crests', 'ribs'])
    """

    vertebrae: tuple[Vertebra, ...]
    score: float
    native_score: float | None
    label_confidence: float
    alternative: Alternative | None
    disc_lines: tuple[tuple[tuple[float, float], tuple[float, float]], ...]
    findings: tuple[Finding, ...]
    standard_error: float | None = None
    statistics: ImageStatistics | None = None
    votes: tuple[Vote, ...] = ()
    region_source: str = "tbsnode"
