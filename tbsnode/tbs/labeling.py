"""Which level is L1.

The discs alone cannot tell: a chain moved by one level looks the same. The iliac crests reach about
to the L4/L5 disc, the lowest ribs leave T12, and the operator was told to scan from the middle of
T12 to the middle of L5. Each sign gives every labeling a likelihood, each may mislead (a transitional
vertebra, a missing rib), and their product says how sure the labels are. Labels are never counted
from the top alone: without crests and ribs they are assumed, whatever the field suggests.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column
from tbsnode.tbs.field import Image, Mask
from tbsnode.tbs.result import Vote
from tbsnode.tbs.segmentation import Segmentation

LEVELS = 4  # L1 to L4 lie between five discs
CREST_SHARE = 0.25  # of the side that must be bone at the lower border for a crest to be there
CREST_TOP_SHARE = 0.10  # where less of the side is bone, the crest has ended
CREST_BONE = 0.25  # of the step from soft tissue to column; the iliac wing has 0.44
RIB_SLOPES = np.arange(0.15, 1.35, 0.1)
RIB_CONTRAST = 0.05  # of the step from soft tissue to column; a rib has 0.24
RIB_PARTS = 2
RIB_NOISE = 5.0  # robust deviations of all lines tried
RIB_ROOT = -0.5  # levels below the T12/L1 disc where the lowest rib leaves the column
SAME_MM = 12.0  # left and right of one thing; further apart they are two
CHAIN_STRONG = 0.8  # evidence for each disc below which the chain itself is doubted
UPSIDE_DOWN_WEIGHT = 1.8  # more than any one sign may weigh
CONTRADICTION = 0.65  # levels; a sign further away would rather have another label
SPINOUS_PART = (0.60, 0.95)  # of a level, where its spinous process is; the lower end is disc
ASSUMED_MAX = 0.5  # confidence where neither crest nor rib is seen
# One sign cannot know how many lumbar vertebrae there are: crests alone count up from below, ribs
# alone down from above, and with four or six both are a level off. Below `anatomy.LABELS_CERTAIN`.
ONE_SIGN_MAX = 0.7
THORACIC_RIBS = 5  # on both sides; a lumbar field shows two or three lines, of T12, T11 and a process


@dataclass(frozen=True, slots=True)
class Signs:
    """What was seen beside the column.

    Attributes
    ----------
    crest_mm : float or None
        Place along the axis of the top of the iliac crests.
    crest_sure : bool
        True where both sides show the top at the same place; a lone or unequal crest may be seen
        only in part, and then seems to lie lower.
    rib_mm : float or None
        Place along the axis where the lowest rib leaves the column.
    rib_sure : bool
        True where both sides show it at the same place; a line on one side may be anything.
    """

    crest_mm: float | None
    crest_sure: bool
    rib_mm: float | None
    rib_sure: bool = True


@dataclass(frozen=True, slots=True)
class Labeling:
    """Discs T12/L1 to L4/L5, by their index in the chain.

    Attributes
    ----------
    first : int
        Index of T12/L1 in the chain; -1 where it lies one level above the first disc found.
    confidence : float
        0 to 1.
    shift : int
        Where the second-best labeling lies; +1 = every label one vertebra further down.
    assumed : bool
        True where neither crest nor rib was seen.
    signs : Signs
        What it rests on.
    votes : tuple of Vote
        What each cue says, relative to the chosen labeling.
    """

    first: int
    confidence: float
    shift: int
    assumed: bool
    signs: Signs
    votes: tuple[Vote, ...] = ()


def label(found: Segmentation) -> Labeling:
    """Name the levels of a segmented picture.

    Parameters
    ----------
    found : Segmentation
        Axis, edges and discs; at least four discs.
    """
    crests, ribs = crest_tops(found), rib_roots(found)
    signs = Signs(_highest(crests), _agree(crests), _lowest(ribs), _agree(ribs))
    discs = np.array(found.chain.s_mm)
    candidates = np.arange(-1, discs.size - LEVELS + 1)
    ratings = _table([_ratings(found, signs, int(first)) for first in candidates])
    likelihood = np.prod(list(ratings.values()), axis=0)
    posterior = likelihood / likelihood.sum()
    order = np.argsort(-posterior, kind="stable")
    best, second = int(candidates[order[0]]), int(candidates[order[1]])
    chain = found.chain
    certain = min(1.0, max(0.0, (chain.value - chain.runner_up) / max(chain.value, 1e-9)) * 2.0)
    certain *= min(1.0, chain.value / (CHAIN_STRONG * len(chain.s_mm)))
    confidence = float(posterior[order[0]]) * certain * _agreement(found, signs, best)
    seen = (signs.crest_mm is not None, signs.rib_mm is not None)
    assumed = not seen[0] and not (seen[1] and signs.rib_sure)
    if assumed:
        confidence = min(confidence, ASSUMED_MAX)
    elif not all(seen):
        confidence = min(confidence, ONE_SIGN_MAX)
    votes = tuple(_vote(cue, own, int(order[0])) for cue, own in ratings.items())
    return Labeling(best, confidence, second - best, assumed, signs, votes)


def _table(ratings: list[dict[str, float | None]]) -> dict[str, NDArray[np.float64]]:
    """Return each cue's ratings of all labelings; one that it cannot rate gets the mean of the others."""
    table = {}
    for cue in ratings[0]:
        own = np.array([np.nan if each[cue] is None else each[cue] for each in ratings], dtype=np.float64)
        known = own[~np.isnan(own)]
        table[cue] = np.where(np.isnan(own), known.mean() if known.size else 1.0, own)
    return table


def _vote(cue: str, own: NDArray[np.float64], chosen: int) -> Vote:
    """Say which labeling a cue favors, relative to the chosen one, and how much over the next."""
    if own.size < 2 or np.ptp(own) == 0.0:
        return Vote(cue=cue, shift=None, weight=0.0)
    order = np.argsort(-own, kind="stable")
    return Vote(cue=cue, shift=int(order[0]) - chosen, weight=float(np.log(own[order[0]] / own[order[1]])))


def disc_place(found: Segmentation, index: int) -> float:
    """Return the place of a disc [mm]; beyond the chain, one more level of the usual pitch."""
    discs, pitch = found.chain.s_mm, float(np.median(found.chain.pitches_mm))
    if index < 0:
        return discs[0] + index * pitch
    if index >= len(discs):
        return discs[-1] + (index - len(discs) + 1) * pitch
    return discs[index]


def _ratings(found: Segmentation, signs: Signs, first: int) -> dict[str, float | None]:
    """Rate one labeling by each cue; None where a cue saw nothing."""
    top, bottom = disc_place(found, first), disc_place(found, first + LEVELS)
    pitch = (bottom - top) / LEVELS
    field = _normal(top - anatomy.TOP_MARGIN_MM, anatomy.FIELD_SD_MM)
    field *= _normal(found.column.length_mm - anatomy.BOTTOM_MARGIN_MM - bottom, anatomy.FIELD_SD_MM)
    crests = ribs = None
    if signs.crest_mm is not None:
        miss = signs.crest_mm - bottom - anatomy.CREST_MM
        partly = miss > 0 and not signs.crest_sure
        crests = _normal(miss, anatomy.CREST_PARTLY_SD_MM if partly else anatomy.CREST_SD_MM)
    if signs.rib_mm is not None:
        outlier = anatomy.NO_RIB if signs.rib_sure else anatomy.FALSE_RIB
        ribs = _normal(signs.rib_mm - (top + RIB_ROOT * pitch), anatomy.RIB_SD_MM, outlier)
    return {
        "crests": crests,
        "ribs": ribs,
        "field": field,
        "pitch": _pitch_rating(found, first),
        "density": _density_rating(found, first),
    }


def _pitch_rating(found: Segmentation, first: int) -> float | None:
    """Rate how the pitches grow from L1 to L4; None where one of the levels was not found."""
    pitches = np.array(found.chain.pitches_mm[max(first, 0) : first + LEVELS])
    if first < 0 or pitches.size < LEVELS:
        return None
    miss = pitches / pitches.mean() - np.array(anatomy.PITCH_GROWTH)
    return _normal(float(np.sqrt(np.mean(miss**2))), anatomy.PITCH_GROWTH_SD, anatomy.WEAK_CUE)


def _density_rating(found: Segmentation, first: int) -> float | None:
    """Rate the brightness of the four levels: L1 is the least dense, L3 hardly ever."""
    if first < 0 or first + LEVELS >= len(found.chain.s_mm):
        return None
    rows = np.round(np.array(found.chain.s_mm[first : first + LEVELS + 1]) / anatomy.GRID_MM).astype(int)
    bone = np.array([float(np.median(found.edges.bone[a:b])) for a, b in pairwise(rows)])
    soft = float(np.median(found.edges.soft))
    if bone.min() <= soft:
        return None
    step = (bone[0] - soft) / (bone[1:3].mean() - soft) - anatomy.DENSITY_L1
    return _normal(float(step), anatomy.DENSITY_L1_SD, anatomy.WEAK_CUE)


def _agreement(found: Segmentation, signs: Signs, first: int) -> float:
    """Halve the confidence for each sign that would rather have another level."""
    top, bottom = disc_place(found, first), disc_place(found, first + LEVELS)
    pitch = (bottom - top) / LEVELS
    misses = []
    if signs.crest_mm is not None:
        miss = (signs.crest_mm - bottom - anatomy.CREST_MM) / pitch
        partly = miss > 0 and not signs.crest_sure
        misses.append(0.6 * miss if partly else abs(miss))  # a crest partly seen seems to lie lower
    if signs.rib_mm is not None:
        misses.append(abs((signs.rib_mm - top) / pitch - RIB_ROOT))
    return float(np.prod([0.5 if miss > CONTRADICTION else 1.0 for miss in misses]))


def _normal(distance_mm: float, deviation_mm: float, outlier: float = anatomy.OUTLIER) -> float:
    """Rate a distance; no sign alone can rule a labeling out."""
    return outlier + (1 - outlier) * float(np.exp(-0.5 * (distance_mm / deviation_mm) ** 2))


def _both(sides: tuple[float | None, float | None]) -> float | None:
    seen = [place for place in sides if place is not None]
    return float(np.mean(seen)) if seen else None


def _highest(sides: tuple[float | None, float | None]) -> float | None:
    """Take the higher crest: of the other the field shows less."""
    seen = [place for place in sides if place is not None]
    return min(seen) if seen else None


def _agree(sides: tuple[float | None, float | None]) -> bool:
    return None not in sides and abs(sides[0] - sides[1]) <= SAME_MM  # type: ignore[operator]


def _lowest(sides: tuple[float | None, float | None]) -> float | None:
    """Take both sides together, or the lower rib where one side shows only the rib above it."""
    seen = [place for place in sides if place is not None]
    if len(seen) == 2 and abs(seen[0] - seen[1]) > SAME_MM:
        return max(seen)
    return _both(sides)


def crest_tops(found: Segmentation, *, reverse: bool = False) -> tuple[float | None, float | None]:
    """Find the top of the iliac crest at the left and right of the column.

    Parameters
    ----------
    found : Segmentation
        Axis and edges.
    reverse : bool
        Look for crests at the upper border, as in a picture that is upside down.

    Returns
    -------
    tuple of float or None
        Place along the axis [mm]; None where no bone reaches the border beside the column.
    """
    column, half = found.column, float(np.median(found.edges.half_width))
    step = float(np.median(found.edges.bone - found.edges.soft))
    sides: list[float | None] = []
    for sign in (-1.0, 1.0):
        u = column.u_mm * sign
        band = (u > 1.5 * half) & (u < min(3.6 * half, anatomy.SIDE_MM))
        image, valid = column.image[:, band], column.valid[:, band]
        if reverse:
            image, valid = image[::-1], valid[::-1]
        place = _crest_top(ndimage.gaussian_filter(image, 1.5), valid, CREST_BONE * step)
        if place is not None:
            place_mm = place * anatomy.GRID_MM
            sides.append(column.length_mm - place_mm if reverse else place_mm)
        else:
            sides.append(None)
    return sides[0], sides[1]


def _crest_top(image: Image, valid: Mask, step: float) -> int | None:
    """Follow bone beside the column upward from the lower border."""
    rows = image.shape[0]
    number = np.count_nonzero(valid, axis=1)
    usable = number >= round(8.0 / anatomy.GRID_MM)
    middle = slice(round(0.25 * rows), round(0.6 * rows))
    if np.count_nonzero(usable) < 0.5 * rows or not valid[middle].any():
        return None
    soft = float(np.median(image[middle][valid[middle]]))
    last = int(np.flatnonzero(usable)[-1])
    lowest = slice(max(0, last - 24), last + 1)
    crest = float(np.percentile(image[lowest][valid[lowest]], 75.0))
    if crest < soft + step:
        return None
    limit = soft + max(step, 0.5 * (crest - soft))
    share = np.count_nonzero((image > limit) & valid, axis=1) / np.maximum(number, 1)
    share = ndimage.uniform_filter1d(np.where(usable, share, 0.0), 7, mode="nearest")
    if np.mean(share[lowest]) < CREST_SHARE:
        return None
    above = np.flatnonzero(share[:last] < CREST_TOP_SHARE)
    top = int(above[-1]) + 1 if above.size else 0
    return top if top > 0.55 * rows else None


def rib_roots(found: Segmentation) -> tuple[float | None, float | None]:
    """Find where the lowest rib leaves the column at the left and right.

    Returns
    -------
    tuple of float or None
        Place along the axis [mm] where the line of the rib meets the column's edge.
    """
    column, half = found.column, float(np.median(found.edges.half_width))
    step = float(np.median(found.edges.bone - found.edges.soft))
    left = _rib_root(column, -1.0, half, step)
    right = _rib_root(column, 1.0, half, step)
    return left, right


def is_thoracic(found: Segmentation) -> bool:
    """Tell a view of the chest or the thoracic spine: ribs leave the column at level after level."""
    step = float(np.median(found.edges.bone - found.edges.soft))
    half = float(np.median(found.edges.half_width))
    sides = (_rib_peaks(found.column, sign, half, step, whole=True) for sign in (-1.0, 1.0))
    return all(len(peaks) >= THORACIC_RIBS for peaks in sides)


def _rib_root(column: Column, sign: float, half_mm: float, step: float) -> float | None:
    """Return the lowest rib of a side."""
    peaks = _rib_peaks(column, sign, half_mm, step)
    return peaks[-1] if peaks else None


def _rib_peaks(
    column: Column, sign: float, half_mm: float, step: float, *, whole: bool = False
) -> list[float]:
    """Try lines that run outward and down; keep those that are clearly brighter than around."""
    u = column.u_mm * sign
    order = np.flatnonzero((u > 2.0 * half_mm) & (u < 3.5 * half_mm))[::4]
    rows = column.image.shape[0] if whole else round(0.75 * column.image.shape[0])
    image = ndimage.uniform_filter1d(column.image[:rows], round(4.0 / anatomy.GRID_MM) | 1, axis=0)
    ridge = (image - ndimage.uniform_filter1d(image, round(16.0 / anatomy.GRID_MM) | 1, axis=0))[:, order]
    clear = ndimage.minimum_filter1d(column.valid[:rows], 9, axis=0)[:, order]
    roots = np.arange(-60, rows - 40 if whole else round(0.4 * column.image.shape[0]), 2)
    across = (u[order] - half_mm) / anatomy.GRID_MM
    place = np.round(roots[None, :, None] + RIB_SLOPES[:, None, None] * across).astype(np.intp)
    inside = (place >= 0) & (place < rows)
    at = np.clip(place, 0, rows - 1)
    counted = inside & clear[at, np.arange(order.size)]
    along = np.where(counted, ridge[at, np.arange(order.size)], 0.0)
    parts = []
    for part in np.array_split(np.arange(order.size), RIB_PARTS):
        number = np.count_nonzero(counted[..., part], axis=2)
        mean = np.sum(along[..., part], axis=2) / np.maximum(number, 1)
        parts.append(np.where(number >= 0.6 * part.size, mean, 0.0))
    mean = np.min(parts, axis=0)  # a rib is bright along all of its length
    best = np.max(mean, axis=0)
    # where there are ribs everywhere, most lines are on one, and the spread of lines is no noise
    noise = 0.0 if whole else 1.4826 * float(np.median(np.abs(mean - np.median(mean))))
    limit = max(RIB_CONTRAST * step, RIB_NOISE * noise, 0.6 * float(np.max(best, initial=0.0)), 1e-9)
    peaks = np.flatnonzero((best >= limit) & (best >= ndimage.maximum_filter1d(best, 11)))
    return [float(roots[peak] * anatomy.GRID_MM) for peak in peaks]


def is_upside_down(found: Segmentation) -> bool:
    """Weigh the signs of a picture whose head is at the lower border.

    The window between the laminae lies in the lower half of the levels, the column narrows and the
    levels shrink downward, and crests are at the upper border only (ribs there may pass for them).
    Each sign speaks as loud as it is clear, none alone is enough.
    """
    pitches, width = np.array(found.chain.pitches_mm), found.edges.half_width
    growth = float(np.polyfit(np.arange(pitches.size), pitches / pitches.mean(), 1)[0])
    crests = int(_both(crest_tops(found, reverse=True)) is not None) - int(
        _both(crest_tops(found)) is not None
    )
    signs = (
        (_center_step(found), 1.0, 1.6),
        (1.0 - float(width[-1] / width[0]), 0.15, 1.2),
        (-growth, 0.05, 1.0),
        (float(crests), 1.0, 1.0),
    )
    weight = sum(float(np.clip(sign / unit, -limit, limit)) for sign, unit, limit in signs)
    return weight > UPSIDE_DOWN_WEIGHT


def is_from_front(found: Segmentation) -> bool:
    """Tell if the middle of the levels has what only a view from the front has there.

    From the front the window between the laminae lies in the upper half of a level and the spinous
    process further down. From the side both stand behind the column: the middle is body, then disc,
    and so is that of any other row of blocks. Asked only of a picture that is the right way up.
    """
    return _center_step(found, SPINOUS_PART) < 0.0


def _center_step(found: Segmentation, lower: tuple[float, float] = (0.52, 0.78)) -> float:
    """Compare the middle of the column in the upper and a lower part of the levels."""
    steps = []
    for top, pitch in zip(found.chain.s_mm, found.chain.pitches_mm, strict=False):
        rows = (top + pitch * np.array([0.22, 0.48, *lower])) / anatomy.GRID_MM
        a, b, c, d = rows.round().astype(int)
        center = found.profile.bands["center"]
        steps.append(float(np.mean(center[a:b]) - np.mean(center[c:d])))
    return float(np.median(steps))
