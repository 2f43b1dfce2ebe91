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

from tbsnode.tbs import anatomy, landmarks
from tbsnode.tbs.result import Vote
from tbsnode.tbs.segmentation import Segmentation

LEVELS = 4  # L1 to L4 lie between five discs
# levels below the T12/L1 disc where the lowest rib, drawn out straight, meets the column's edge: it
# leaves T12 beside the pedicle, in the upper half, and bends down
RIB_ROOT = -0.68
CHAIN_STRONG = 0.8  # evidence for each disc below which the chain itself is doubted
CONTRADICTION = 0.65  # levels; a sign further away would rather have another label
ASSUMED_MAX = 0.5  # confidence where neither crest nor rib is seen
# One sign cannot know how many lumbar vertebrae there are: crests alone count up from below, ribs
# alone down from above, and with four or six both are a level off. Below `anatomy.LABELS_CERTAIN`.
ONE_SIGN_MAX = 0.7
CONFIRMS = 0.8  # logarithm of the odds (2.2 to 1) with which a sign must favor the chosen labeling


@dataclass(frozen=True, slots=True)
class Signs:
    """What was seen beside the column.

    Attributes
    ----------
    crest_mm : float or None
        Place along the axis of the top of the iliac crests.
    crest_sure : bool
        True where both sides show the top at the same place; a lone or unequal crest, or a tip, may be
        seen only in part, and then seems to lie lower.
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

    Returns
    -------
    Labeling
        Which disc is T12/L1, how sure that is, and what each cue says.

    Examples
    --------
    >>> from tbsnode.phantom import example
    >>> from tbsnode.tbs.field import scanned_field
    >>> from tbsnode.tbs.segmentation import segment
    >>> scanned = example.spine()
    >>> found = segment(scanned.pixels, scanned_field(scanned.pixels), scanned.pixel_spacing_mm)
    >>> label(found).confidence > 0.9
    True
    """
    crests, ribs = landmarks.crests(found), landmarks.rib_roots(found)
    left, right = (None if crest is None else crest.top_mm for crest in crests)
    whole = all(crest is not None and crest.whole for crest in crests)
    signs = Signs(
        _highest((left, right)),
        whole and landmarks.agree((left, right)),
        _lowest(ribs),
        landmarks.agree(ribs),
    )
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
    assumed = signs.crest_mm is None and not (signs.rib_mm is not None and signs.rib_sure)
    votes = tuple(_vote(cue, own, int(order[0])) for cue, own in ratings.items())
    if assumed:
        confidence = min(confidence, ASSUMED_MAX)
    elif best < 0 or not all(_confirms(vote) for vote in votes if vote.cue in ("crests", "ribs")):
        confidence = min(confidence, ONE_SIGN_MAX)
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


def _confirms(vote: Vote) -> bool:
    """Tell if a sign was seen and clearly favors the labeling that was chosen."""
    return vote.shift == 0 and vote.weight >= CONFIRMS


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
        "shape": _shape_rating(found, first),
        "density": _density_rating(found, first),
    }


def _pitch_rating(found: Segmentation, first: int) -> float | None:
    """Rate how the pitches grow from L1 to L4; None where one of the levels was not found."""
    pitches = np.array(found.chain.pitches_mm[max(first, 0) : first + LEVELS])
    if first < 0 or pitches.size < LEVELS:
        return None
    miss = pitches / pitches.mean() - np.array(anatomy.PITCH_GROWTH)
    return _normal(float(np.sqrt(np.mean(miss**2))), anatomy.PITCH_GROWTH_SD, anatomy.WEAK_CUE)


def _shape_rating(found: Segmentation, first: int) -> float | None:
    """Rate how the bodies widen: L4 is clearly the widest of the four, and L5 is wider still."""
    if first < 0 or first + LEVELS >= len(found.chain.s_mm):
        return None
    width = found.edges.left + found.edges.right
    discs = np.array(found.chain.s_mm[first : first + LEVELS + 1]) / anatomy.GRID_MM
    bodies = [
        np.median(width[round(a + 0.2 * (b - a)) : round(b - 0.2 * (b - a))]) for a, b in pairwise(discs)
    ]
    miss = np.array(bodies) / np.mean(bodies) - np.array(anatomy.WIDTH_GROWTH)
    return _normal(float(np.sqrt(np.mean(miss**2))), anatomy.WIDTH_GROWTH_SD, anatomy.WEAK_CUE)


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


def _lowest(sides: tuple[float | None, float | None]) -> float | None:
    """Take both sides together, or the lower rib where one side shows only the rib above it."""
    seen = [place for place in sides if place is not None]
    if len(seen) == 2 and abs(seen[0] - seen[1]) > landmarks.SAME_MM:
        return max(seen)
    return _both(sides)
