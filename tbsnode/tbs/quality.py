"""Findings: reasons to leave a level out, to doubt a number, or to give none.

Limits come from the flag table of the science reference (section 7.2) and from pictures measured;
each is a named constant with its unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from tbsnode.errors import TextureError
from tbsnode.reasons import Code, Finding
from tbsnode.tbs import anatomy
from tbsnode.tbs.bone_density import in_tenths
from tbsnode.tbs.field import Image, Mask
from tbsnode.tbs.interpretation import is_in_bmi_range
from tbsnode.tbs.result import Vertebra

FEW_GRAY_LEVELS = 256  # distinct levels in the regions; below, the number is doubted
SLOPE_OF_A_PLANE = 2.0
RISE_OF_ENLARGED = 1.84  # of log2 V from one to two pixels
SLOPE_TOO_SMOOTH = 1.9  # an interpolated picture; bone texture stays below
FIT_R2_MIN = 0.85
SPREAD_MAX = 0.20  # of one level from the mean of the others; natural spread about 0.07
# Of the regions at their brightest and darkest value. Spinous processes of display copies alone reach 0.04.
# 25 pictures of three generators were clipped step by step, and their slopes held against those unclipped.
# Of bright bone, a share of 0.05 costs 0.02 in the median (at most 0.08), 0.1 0.04 (0.13), 0.2 0.08 (0.18),
# 0.5 0.14 (0.29), 0.8 0.33 (0.62); of dark bone, 0.2 costs 0.06 (0.17). A least significant change is 0.05 to
# 0.07: at the first share one in ten errs by that much, at the second half of them do.
SATURATED_SHARE, CLIPPED_SHARE = 0.08, 0.20
METAL_MM2 = 6.0  # of a level, halo included, before it is left out
DENSE_LEVEL = 1.6  # times the median of the levels: cement, contrast
T_SCORE_STEP = 1.0  # from an adjacent vertebra, before a level is doubted [ISCD]
REGION_MIN_PIXELS = 16  # along either dimension

AGE_MIN_YEARS = 20.0


def patient_findings(
    age_years: float | None, sex: str, bmi: float | None, has_size: bool
) -> tuple[Finding, ...]:
    """Judge what is known of the patient.

    Parameters
    ----------
    age_years : float or None
        Age at the examination.
    sex : str
        ``"M"``, ``"F"`` or anything else for unknown.
    bmi : float or None
        Body mass index [kg/m2]; None where height or weight is missing or implausible.
    has_size : bool
        True where the header gives both height and weight.

    Returns
    -------
    tuple of Finding
        `AGE_UNDER_20` refuses; the others are doubts.

    Examples
    --------
    >>> [finding.code.value for finding in patient_findings(64.0, "F", 41.0, True)]
    ['BMI_OUT_OF_RANGE']
    >>> [finding.code.value for finding in patient_findings(None, "", None, False)]
    ['AGE_UNKNOWN', 'SEX_UNKNOWN', 'BODY_SIZE_MISSING']
    """
    found = []
    if age_years is None:
        found.append(Finding(Code.AGE_UNKNOWN))
    elif age_years < AGE_MIN_YEARS:
        found.append(Finding(Code.AGE_UNDER_20, values=(("age_years", age_years),)))
    if sex not in ("M", "F"):
        found.append(Finding(Code.SEX_UNKNOWN))
    if bmi is None:
        found.append(Finding(Code.BODY_SIZE_IMPLAUSIBLE if has_size else Code.BODY_SIZE_MISSING))
    elif not is_in_bmi_range(bmi):
        found.append(Finding(Code.BMI_OUT_OF_RANGE, values=(("bmi", round(bmi, 1)),)))
    return tuple(found)


def saturation_level(image: Image, field: Mask, stored_maximum: float) -> float | None:
    """Find the gray level at which bright bone is clipped.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Gray levels [a.u.], bone bright.
    field : ndarray of shape (M, N)
        True where scanned.
    stored_maximum : float
        Largest value the stored bits can hold.

    Returns
    -------
    float or None
        The brightest level if it is the format's last one, or occurs far more often than the
        brightest level of an unclipped picture would; None otherwise.
    """
    top = float(np.max(image, where=field, initial=-np.inf))
    count = int(np.count_nonzero((image == top) & field))
    if top >= stored_maximum or count > max(8, 2e-4 * image.size):
        return top
    return None


def reduced_heights(heights_mm: Sequence[float | None]) -> dict[int, float]:
    """Find levels much lower than their neighbors.

    Parameters
    ----------
    heights_mm : sequence of float or None
        Body heights from the head down; None where not measured.

    Returns
    -------
    dict of int to float
        Index and ratio of each level below `anatomy.REDUCED_HEIGHT` of the mean of its neighbors, or
        of the median of all others where that is larger. The lowest is judged first and is then no
        neighbor any more: two crushed levels side by side do not excuse each other.

    Examples
    --------
    >>> reduced_heights([24.0, 16.0, 15.0, 26.0, None])
    {2: 0.625, 1: 0.64}
    >>> reduced_heights([24.0, 24.0, 25.0])
    {}
    """
    left = {index: height for index, height in enumerate(heights_mm) if height is not None}
    found: dict[int, float] = {}
    while len(left) > 1:
        ratios = {index: height / _expected(left, index) for index, height in left.items()}
        lowest = min(ratios, key=lambda index: (ratios[index], index))
        if ratios[lowest] >= anatomy.REDUCED_HEIGHT:
            break
        found[lowest] = ratios[lowest]
        del left[lowest]
    return found


def _expected(heights_mm: dict[int, float], index: int) -> float:
    """Return the mean height of the levels next to one, or what most levels have if that is more."""
    others = {other: height for other, height in heights_mm.items() if other != index}
    above = [height for other, height in others.items() if other < index][-1:]
    below = [height for other, height in others.items() if other > index][:1]
    return max(float(np.mean(above + below)), float(np.median(list(others.values()))))


def texture_findings(pixels: Image, score: float, min_gray_levels: int) -> tuple[Finding, ...]:
    """Refuse texture that cannot be bone; doubt what may not be.

    Parameters
    ----------
    pixels : ndarray of shape (K,)
        Gray levels of all scored pixels [a.u.].
    score : float
        Mean slope of the included levels.
    min_gray_levels : int
        Fewest distinct gray levels.

    Returns
    -------
    tuple of Finding
        Doubts.

    Raises
    ------
    TextureError
        `LOW_BIT_DEPTH`, `BONE_CLIPPED`, `OUT_OF_PHYSICAL_RANGE` or `RESAMPLED_TOO_SMOOTH`.
    """
    number = int(np.unique(pixels).size)
    if number < min_gray_levels:
        values = (("gray_levels", number), ("minimum", min_gray_levels))
        raise TextureError(Finding(Code.LOW_BIT_DEPTH, values=values))
    share = float(np.mean((pixels == pixels.min()) | (pixels == pixels.max())))
    percent = ("percent", round(100 * share, 1))
    if share > CLIPPED_SHARE:
        most = ("most_percent", round(100 * CLIPPED_SHARE))
        raise TextureError(Finding(Code.BONE_CLIPPED, values=(percent, most)))
    slope = (("slope", round(score, 3)),)
    if not 0.0 < score < SLOPE_OF_A_PLANE:
        raise TextureError(Finding(Code.OUT_OF_PHYSICAL_RANGE, values=slope))
    if score > SLOPE_TOO_SMOOTH:
        raise TextureError(Finding(Code.RESAMPLED_TOO_SMOOTH, values=slope))
    doubts = []
    if number < FEW_GRAY_LEVELS:
        doubts.append(Finding(Code.FEW_GRAY_LEVELS, values=(("gray_levels", number),)))
    if share > SATURATED_SHARE:
        doubts.append(Finding(Code.SATURATED, values=(percent,)))
    return tuple(doubts)


def resampling_findings(
    vertebrae: Sequence[Vertebra], pixel_spacing_mm: tuple[float, float]
) -> tuple[Finding, ...]:
    """Doubt a picture without detail at the size of its pixels: it was probably enlarged.

    Parameters
    ----------
    vertebrae : sequence of Vertebra
        With their variograms.
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns.

    Notes
    -----
    Between one and two pixels, V of an original scan rises as r to the power 1.6-1.77 (noise of the
    next pixel is hardly correlated); enlarged 1.5 to 2 times it rises almost as r squared.
    """
    step = min(pixel_spacing_mm)
    rises = []
    for vertebra in vertebrae:
        near = [value for lag, value, _ in vertebra.variogram if abs(lag - step) < 1e-4]
        far = [value for lag, value, _ in vertebra.variogram if abs(lag - 2 * step) < 1e-4]
        if vertebra.included and near and far and near[0] > 0:
            rises.append(float(np.log2(far[0] / near[0])))
    if rises and float(np.median(rises)) > RISE_OF_ENLARGED:
        return (Finding(Code.RESAMPLED),)
    return ()


def level_findings(vertebrae: Sequence[Vertebra]) -> tuple[Finding, ...]:
    """Judge the levels of one spine: exclusions, fits and spread.

    Parameters
    ----------
    vertebrae : sequence of Vertebra
        L1 to L4.
    """
    found = [v.excluded for v in vertebrae if v.excluded is not None]
    included = [v for v in vertebrae if v.included and v.score is not None]
    for vertebra in included:
        if vertebra.fit_r2 is not None and vertebra.fit_r2 < FIT_R2_MIN:
            values = (("fit_r2", round(vertebra.fit_r2, 3)),)
            found.append(Finding(Code.POOR_FIT, vertebra=vertebra.label, values=values))
        others = [v.score for v in included if v is not vertebra and v.score is not None]
        if others and vertebra.score is not None:
            difference = vertebra.score - float(np.mean(others))
            if abs(difference) > SPREAD_MAX:
                spread = (("difference", round(difference, 3)),)
                found.append(Finding(Code.TECHNICAL_SPREAD, vertebra=vertebra.label, values=spread))
    return tuple(found)


def degenerative_findings(
    vertebrae: Sequence[Vertebra], t_scores: Mapping[str, float | None]
) -> tuple[Finding, ...]:
    """Doubt a level whose T-score is more than 1.0 from that of an adjacent one; it is kept.

    Parameters
    ----------
    vertebrae : sequence of Vertebra
        L1 to L4.
    t_scores : mapping of str to float or None
        The scanner's own T-score of each level.

    Returns
    -------
    tuple of Finding
        `DEGENERATIVE_STEP` with the step between the T-scores as they are printed, and with the mean score
        of the other levels where two or more remain. Of two levels apart, the one that is apart from all
        its neighbors is named; where that does not tell, the denser, since degeneration adds bone.
    """
    known = [(v, t_scores.get(v.label)) for v in vertebrae]
    steps: list[tuple[int, int, float]] = []
    for index, ((above, first), (below, second)) in enumerate(pairwise(known)):
        if above.included and below.included and first is not None and second is not None:
            step = in_tenths(in_tenths(second) - in_tenths(first))
            steps.append((index, index + 1, step))
    large = [each for each in steps if abs(each[2]) > T_SCORE_STEP]
    found: dict[int, float] = {}
    for upper, lower, step in large:
        apart = [all(s in large for s in steps if level in s[:2]) for level in (upper, lower)]
        denser = lower if step > 0 else upper
        named = denser if apart[0] == apart[1] else (upper if apart[0] else lower)
        own = step if named == lower else -step
        found[named] = max(own, found.get(named, own), key=abs)
    return tuple(_degenerative(vertebrae, index, step) for index, step in sorted(found.items()))


def _degenerative(vertebrae: Sequence[Vertebra], index: int, step: float) -> Finding:
    values = [("t_score_step", step)]
    others = [v.score for i, v in enumerate(vertebrae) if i != index and v.included and v.score is not None]
    if len(others) >= 2:
        values.append(("score_without", round(float(np.mean(others)), 3)))
    return Finding(Code.DEGENERATIVE_STEP, vertebra=vertebrae[index].label, values=tuple(values))
