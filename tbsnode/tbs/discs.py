"""The discs: a chain of dark gaps in the lateral strips, with the rhythm of a spine.

The middle of the column is no guide: between the laminae there is a window darker than any disc,
half a level away. Beside the laminae, at about 0.75 to 1.05 of the half width, only disc and body
are seen. The middle then serves as a witness: the window belongs into the upper half of a level and
the spinous process into its lower half.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from tbsnode.tbs import anatomy, endplates
from tbsnode.tbs.axis import Column
from tbsnode.tbs.field import Image, Mask

STEP_MM = 1.0  # positions and pitches of the chain
SLOPES = np.linspace(-anatomy.DISC_SLOPE_MAX, anatomy.DISC_SLOPE_MAX, 17)
SLOPE_COST = 0.35  # evidence lost at the steepest disc line
DISC_GAIN = 0.9  # evidence a disc must bring to belong to the chain, in local standard deviations
PAIR_WEIGHT = 10.0  # evidence for each step of height of a pair of endplates; they reach 0.05 to 0.2
PAIR_LIMITS = (-0.1, 1.5)
END_GAIN = 0.35  # evidence of a disc at the end of the chain, where its place is foretold
END_LEVEL = 0.0  # and of the level between
# a disc at an end is dropped where the level is shorter than this, and the disc fainter, than most
SHORT_TOP, SHORT_BOTTOM = (0.75, 0.35), (0.85, 0.60)
DISCS_KEPT = 4
DISC_APART = 6  # steps; nearer to the place of a disc it is the same one
CRUSHED_PART = 0.62  # of the usual pitch; a body that lost half of its height leaves 0.64
# Levels grow downward; a first one taller than those below reaches past its disc, into the body above.
TALL_COST = 0.2  # evidence lost for each mm of that
PITCH_COST = 0.16  # per mm of pitch change beyond `anatomy.PITCH_CHANGE_MM`
PITCH_COST_MAX = 1.8  # a crushed level costs no more than this

# What a level looks like from its upper disc (0) to its lower one (1), in local standard
# deviations: weights of the mean of a band between two fractions of the level.
PATTERN: tuple[tuple[str, float, float, float], ...] = (
    ("lateral", 0.14, 0.86, 0.5),  # body beside the laminae, waist included
    ("paramedian", 0.15, 0.60, 0.25),  # pedicles
    ("center", 0.22, 0.48, -0.35),  # interlaminar window
    ("center", 0.60, 0.95, 0.35),  # spinous process
)


@dataclass(frozen=True, eq=False, slots=True)
class Profiles:
    """Brightness along the axis in bands, each brought to local mean 0 and deviation 1.

    Attributes
    ----------
    evidence : ndarray of shape (S,)
        How much a row looks like a disc.
    slope : ndarray of shape (S,)
        Slope of the disc line that explains the row best.
    bands : dict of str to ndarray of shape (S,)
        ``"lateral"``, ``"paramedian"``, ``"center"``.
    seen : ndarray of shape (S,)
        True where both lateral strips are scanned.
    """

    evidence: Image
    slope: Image
    bands: dict[str, Image]
    seen: Mask


@dataclass(frozen=True, slots=True)
class Chain:
    """Discs from the head down.

    Attributes
    ----------
    s_mm : tuple of float
        Places along the axis.
    slope : tuple of float
        Rise of each disc line in s for each u.
    value : float
        Evidence for the chain, in local standard deviations summed over discs and levels.
    runner_up : float
        Value of the best chain that lies elsewhere (about half a level away).
    """

    s_mm: tuple[float, ...]
    slope: tuple[float, ...]
    value: float
    runner_up: float

    @property
    def pitches_mm(self) -> tuple[float, ...]:
        """Distance from each disc to the next."""
        return tuple(float(b - a) for a, b in zip(self.s_mm, self.s_mm[1:], strict=False))


def profiles(column: Column, half_width_mm: Image, foreign: Mask, step: float) -> Profiles:
    """Average the straightened picture in bands scaled by the width of the column.

    Parameters
    ----------
    column : Column
        The straightened picture.
    half_width_mm : ndarray of shape (S,)
        Half of the column's width along the axis.
    foreign : ndarray of shape (S, U)
        True on metal, which hides a level but does not end the spine.
    step : float
        From soft tissue to bone, on the scale of the picture.
    """
    relative = column.u_mm[None, :] / half_width_mm[:, None]
    magnitude = np.abs(relative)
    whole = (magnitude > anatomy.STRIPS[0][0]) & (magnitude < anatomy.STRIPS[-1][1])
    seen = _counted(whole & (relative < 0), column.valid) & _counted(whole & (relative > 0), column.valid)
    bare = replace(column, valid=column.valid & ~foreign)
    typical_mm = float(np.median(half_width_mm))
    disc_mm = float(np.clip(anatomy.DISC_PART * typical_mm, *anatomy.DISC_MM))
    stack = np.zeros((SLOPES.size, column.image.shape[0]))
    lateral = np.zeros(column.image.shape[0])
    for low, high in anatomy.STRIPS:
        strip = (magnitude > low) & (magnitude < high)
        left, right = (
            _standard(ndimage.gaussian_filter1d(_band(bare, strip & side), 3.0), seen)
            for side in (relative < 0, relative > 0)
        )
        arm = (low + high) / 2 * typical_mm / anatomy.GRID_MM
        stack += _gaps(left, -SLOPES * arm, disc_mm) + _gaps(right, SLOPES * arm, disc_mm)
        lateral += (left + right) / (2 * len(anatomy.STRIPS))
    stack /= 2 * len(anatomy.STRIPS)
    stack += np.clip(PAIR_WEIGHT * endplates.pairs(bare, half_width_mm, step, SLOPES), *PAIR_LIMITS)
    stack -= SLOPE_COST * (np.abs(SLOPES) / anatomy.DISC_SLOPE_MAX)[:, None] ** 2
    best = np.argmax(stack, axis=0)
    middle = (magnitude > anatomy.PARAMEDIAN[0]) & (magnitude < anatomy.PARAMEDIAN[1])
    bands = {
        "lateral": lateral,
        "center": _standard(_band(bare, magnitude < anatomy.CENTER), seen),
        "paramedian": _standard(_band(bare, middle), seen),
    }
    evidence = np.where(seen, np.max(stack, axis=0), -3.0)
    return Profiles(evidence, SLOPES[best], bands, seen)


def _counted(inside: Mask, valid: Mask) -> Mask:
    """Tell the rows of which most of a band may be counted."""
    number = np.count_nonzero(inside & valid, axis=1)
    return np.asarray(number >= 0.7 * np.maximum(np.count_nonzero(inside, axis=1), 1))


def _band(column: Column, inside: Mask) -> Image:
    """Average each row over the valid pixels of a band; rows hardly seen are interpolated."""
    across = np.flatnonzero(inside.any(axis=0))
    if across.size == 0:
        return np.zeros(inside.shape[0])
    part = np.s_[:, across[0] : across[-1] + 1]
    inside, valid = inside[part], column.valid[part]
    counted = inside & valid
    mean = np.sum(column.image[part], axis=1, where=counted) / np.maximum(
        np.count_nonzero(counted, axis=1), 1
    )
    known = _counted(inside, valid)
    if known.any() and not known.all():
        places = np.arange(mean.size)
        mean = np.interp(places, places[known], mean[known])
    return np.asarray(mean)


def _standard(profile: Image, seen: Mask) -> Image:
    """Bring a profile to local mean 0 and deviation 1 over about two levels."""
    length = round(75.0 / anatomy.GRID_MM)
    weight = ndimage.uniform_filter1d(seen.astype(np.float64), length, mode="constant") + 1e-6

    def mean(values: Image) -> Image:
        return np.asarray(
            ndimage.uniform_filter1d(np.where(seen, values, 0.0), length, mode="constant") / weight
        )

    middle = mean(profile)
    deviation = np.sqrt(np.maximum(mean((profile - middle) ** 2), 0.0))
    floor = max(0.25 * float(np.max(deviation, initial=0.0)), 1e-6)
    return np.where(seen, (profile - middle) / np.maximum(deviation, floor), 0.0)


def _gaps(profile: Image, shifts: Image, disc_mm: float) -> Image:
    """Compare the rows of a disc with those just above and below it, moved by each of `shifts` rows."""
    disc = round(0.6 * disc_mm / anatomy.GRID_MM) | 1
    flank = round(0.7 * disc_mm / anatomy.GRID_MM) | 1
    inner = ndimage.uniform_filter1d(profile, disc, mode="nearest")
    outer = ndimage.uniform_filter1d(profile, flank, mode="nearest")
    offset = (disc + flank) // 2 + 1
    rows = np.arange(profile.size)
    places = rows + shifts[:, None]
    # the darker flank counts: a body has two bright ends, a slope has one
    above, below = np.interp(places - offset, rows, outer), np.interp(places + offset, rows, outer)
    return np.asarray(
        0.5 * np.minimum(above, below) + 0.25 * (above + below) - np.interp(places, rows, inner)
    )


def levels_gain(profile: Profiles, pitches: Image) -> Image:
    """Rate how well each stretch between two rows looks like one level.

    Returns
    -------
    ndarray of shape (P, S')
        For each pitch and each upper row (in steps of `STEP_MM`); minus infinity where the level
        would leave the picture.
    """
    stride = round(STEP_MM / anatomy.GRID_MM)
    rows = profile.evidence.size
    start = np.arange(0, rows, stride, dtype=np.float64)[None, :]
    length = pitches[:, None] / anatomy.GRID_MM
    gain = np.zeros((pitches.size, start.size))
    for band, low, high, weight in PATTERN:
        total = np.concatenate([[0.0], np.cumsum(profile.bands[band])])
        first = np.clip(start + low * length, 0, rows).astype(np.intp)
        last = np.clip(start + high * length, 1, rows).astype(np.intp)
        gain += weight * (total[last] - total[first]) / np.maximum(last - first, 1)
    return np.where(start + length <= rows - 1, gain, -np.inf)


def find_chain(profile: Profiles) -> Chain | None:
    """Choose the discs that together explain the picture best.

    Returns
    -------
    Chain or None
        None where not even two discs can be told.
    """
    stride = round(STEP_MM / anatomy.GRID_MM)
    pitches = np.arange(anatomy.PITCH_SINGLE_MIN_MM, anatomy.PITCH_MM[1] + 1.0, STEP_MM)
    gain = levels_gain(profile, pitches)
    evidence = profile.evidence[::stride] - DISC_GAIN
    best, value = _search(evidence, gain, pitches)
    if best is None:
        return None
    own = evidence + DISC_GAIN
    best = _without_doubtful_ends(_extend(best, own, gain, pitches), own)
    best = _with_crushed_bottom(_with_top_in_time(best, own, gain, pitches), own)
    near = np.zeros(evidence.size, dtype=np.bool_)
    for place in best:
        near[max(0, place - 7) : place + 8] = True
    _, other = _search(np.where(near, -4.0, evidence), gain, pitches)
    rows = np.array(best) * stride
    refined = [_refine(profile.evidence, int(row)) for row in rows]
    slope = tuple(float(profile.slope[round(row)]) for row in refined)
    return Chain(tuple(row * anatomy.GRID_MM for row in refined), slope, value, max(other, 0.0))


def _extend(chain: list[int], evidence: Image, gain: Image, pitches: Image) -> list[int]:
    """Add weaker discs at both ends, where the rhythm of the chain expects them."""
    steps = np.round(pitches / STEP_MM).astype(np.intp)
    for down in (True, False):
        while True:
            expected = float(np.median(np.diff(chain))) * STEP_MM
            fits = np.flatnonzero(np.abs(pitches - expected) <= anatomy.PITCH_CHANGE_MM)
            upper = np.full(fits.size, chain[-1]) if down else chain[0] - steps[fits]
            place = chain[-1] + steps[fits] if down else upper
            inside = (place >= 0) & (place < evidence.size)
            if not inside.any():
                break
            fits, upper, place = fits[inside], upper[inside], place[inside]
            level = gain[fits, upper]
            pick = int(np.argmax(evidence[place] + level))
            if evidence[place[pick]] < END_GAIN or level[pick] < END_LEVEL:
                break
            chain = [*chain, int(place[pick])] if down else [int(place[pick]), *chain]
    return chain


def _without_doubtful_ends(chain: list[int], evidence: Image) -> list[int]:
    """Drop a faint disc at an end that comes too soon: half a level seen at the border is no short one.

    A crushed vertebra has discs as clear as the others; and levels grow downward, so that the first is
    short more often than the last.
    """
    for end, next_, (short, faint) in ((0, 1, SHORT_TOP), (-1, -2, SHORT_BOTTOM)):
        pitch = abs(chain[end] - chain[next_])
        clear = float(np.median(evidence[chain]))
        soon = pitch < short * float(np.median(np.diff(chain)))
        if len(chain) > DISCS_KEPT and soon and evidence[chain[end]] < faint * clear:
            chain = chain[1:] if end == 0 else chain[:-1]
    return chain


def _with_top_in_time(chain: list[int], evidence: Image, gain: Image, pitches: Image) -> list[int]:
    """Move a first disc that comes too late to where one is seen in time.

    Nothing above speaks against it, and near the border of the field the waist of T12, its ribs and its
    endplate may look more like a disc than T12/L1 does. Where none is seen in time it stays: the levels
    below may be crushed.
    """
    if len(chain) <= DISCS_KEPT:
        return chain
    lower = np.diff(chain[1:])
    below = max(float(np.max(lower[:2])), float(np.median(lower)))
    steps = np.round(pitches / STEP_MM).astype(np.intp)
    near = np.abs(steps - below) <= anatomy.PITCH_CHANGE_MM / STEP_MM
    tall = chain[1] - chain[0]
    fits = np.flatnonzero((near | (steps == tall)) & (steps <= min(tall, chain[1])))
    if tall <= below or fits.size == 0:
        return chain
    place = chain[1] - steps[fits]
    late = TALL_COST * STEP_MM * np.clip(steps[fits] - below, 0, None)
    pick = int(np.argmax(evidence[place] + gain[fits, place] - late))
    return chain if evidence[place[pick]] < END_GAIN else [int(place[pick]), *chain[1:]]


def _with_crushed_bottom(chain: list[int], evidence: Image) -> list[int]:
    """Add the lower disc of a crushed last level: none is seen in time, and a clear one before.

    Left out, the level would be drawn on to where the disc of a healthy spine is, and its loss of height
    would be hidden. What lies half a level down is no disc; and only where the picture goes on beyond the
    healthy place is it known that there is none.
    """
    pitch = float(np.median(np.diff(chain)))
    soon = chain[-1] + round(pitch - anatomy.PITCH_CHANGE_MM / STEP_MM)
    if chain[-1] + pitch >= evidence.size:
        return chain
    first = chain[-1] + round(CRUSHED_PART * pitch)
    if first >= soon:
        return chain
    place = first + int(np.argmax(evidence[first:soon]))
    beyond = evidence[max(soon, place + DISC_APART) : soon + round(2 * anatomy.PITCH_CHANGE_MM / STEP_MM) + 1]
    if evidence[place] < DISC_GAIN or float(np.max(beyond, initial=-np.inf)) >= END_GAIN:
        return chain
    return [*chain, place]


def _refine(evidence: Image, row: int) -> float:
    """Take the middle of the peak near a row."""
    low, high = max(0, row - 5), min(evidence.size, row + 6)
    peak = low + int(np.argmax(evidence[low:high]))
    near = np.arange(max(0, peak - 6), min(evidence.size, peak + 7))
    weight = np.maximum(evidence[near] - (evidence[peak] - 0.6), 0.0) + 1e-9
    return float(np.sum(near * weight) / np.sum(weight))


def _search(evidence: Image, gain: Image, pitches: Image) -> tuple[list[int] | None, float]:
    """Run dynamic programming over (place of a disc, pitch above it)."""
    change = np.abs(pitches[:, None] - pitches[None, :]) - anatomy.PITCH_CHANGE_MM
    cost = np.clip(PITCH_COST * change, 0.0, PITCH_COST_MAX)
    short = np.clip(0.12 * (anatomy.PITCH_MM[0] - pitches), 0.0, None)
    steps = np.round(pitches / STEP_MM).astype(np.intp)
    places, number = evidence.size, pitches.size
    score = np.full((places, number), -np.inf)
    origin = np.full((places, number), -1, dtype=np.intp)
    reach = int(steps[0])
    for first in range(reach, places, reach):  # so many places depend on none of their own
        above = np.arange(first, min(first + reach, places))[:, None] - steps
        inside = above >= 0
        up = np.where(inside, above, 0)
        moved = score[up] - cost  # places, this pitch, the pitch above
        pick = np.argmax(moved, axis=2)
        chained = np.take_along_axis(moved, pick[..., None], axis=2)[..., 0]
        fresh = evidence[up]
        block = np.s_[first : first + reach]
        origin[block] = np.where(chained > fresh, pick, -1)
        level = gain[np.arange(number), up] - short
        own = evidence[block, None]
        score[block] = np.where(inside, np.maximum(chained, fresh) + level + own, -np.inf)
    if not np.isfinite(score).any():
        return None, -np.inf
    place, pitch = (int(i) for i in np.unravel_index(int(np.argmax(score)), score.shape))
    value = float(score[place, pitch])
    chain = [place]
    while pitch >= 0:
        previous = int(origin[place, pitch])
        place -= int(steps[pitch])
        chain.append(place)
        pitch = previous
    return chain[::-1], value
