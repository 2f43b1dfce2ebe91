"""Which way a column of vertebrae is seen: from the front, the right way up, and which part of it."""

from __future__ import annotations

import numpy as np

from tbsnode.tbs import anatomy, landmarks
from tbsnode.tbs.field import Image, Mask
from tbsnode.tbs.segmentation import Segmentation, match_of_halves

# The signs together; upright spines stay below -1. A chain half a level off turns one sign round.
UPSIDE_DOWN_WEIGHT = 0.8
WINDOW_PART = (0.22, 0.48)  # of a level, between the laminae
PEDICLE_PART = (0.18, 0.48)  # of a level, at both sides of it
SPINOUS_PART = (0.60, 0.95)  # of a level, where its spinous process is; the lower end is disc
CLEAR_ARCHES = -0.3  # local deviations from window to process; of 57 lateral views none was beyond -0.26
# Lateral views that exceed one of these were seen (0.5 of 0.2, 0.55 of 0.5), none that exceeds both; without
# arches L3 to L5, spines from the front have 0.26 and 0.6.
PEDICLES = 0.2  # steps from soft tissue to bone, mean of both sides
PEDICLE = 0.05  # of the fainter side; a rotated spine has 0.16
HALVES_ALIKE = 0.5  # correlation
THORACIC_RIBS = 5  # on both sides; a lumbar field shows two or three lines, of T12, T11 and a process


def is_thoracic(found: Segmentation) -> bool:
    """Tell a view of the chest or the thoracic spine: ribs leave the column at level after level."""
    step = float(np.median(found.edges.bone - found.edges.soft))
    half = float(np.median(found.edges.half_width))
    sides = (landmarks.rib_peaks(found.column, sign, half, step, whole=True) for sign in (-1.0, 1.0))
    return all(len(peaks) >= THORACIC_RIBS for peaks in sides)


def is_upside_down(found: Segmentation) -> bool:
    """Weigh the signs of a picture whose head is at the lower border.

    The window between the laminae lies in the lower half of the levels, the column narrows and the
    levels shrink downward, and crests are at the upper border only (ribs there may pass for them).
    Each sign speaks as loud as it is clear; the width is the surest.
    """
    pitches, width = np.array(found.chain.pitches_mm), found.edges.half_width
    growth = float(np.polyfit(np.arange(pitches.size), pitches / pitches.mean(), 1)[0])
    signs = (
        (_center_step(found), 1.0, 1.6),
        (1.0 - float(width[-1] / width[0]), 0.12, 1.6),
        (-growth, 0.05, 1.0),
    )
    weight = sum(float(np.clip(sign / unit, -limit, limit)) for sign, unit, limit in signs)
    if weight + 1.0 <= UPSIDE_DOWN_WEIGHT:
        return False  # whatever crests say, and they are the dearest to ask
    crests = int(_seen(found, reverse=True)) - int(_seen(found))
    return weight + crests > UPSIDE_DOWN_WEIGHT


def is_from_front(found: Segmentation) -> bool:
    """Tell if the middle of the levels has what only a view from the front has there.

    From the front the window between the laminae lies in the upper half of a level and the spinous
    process further down. A spine whose arches are weak or were taken away still has a pair of pedicles
    beside the window, and two halves that are alike. From the side all of them stand behind the column:
    the middle is body, then disc, and so is that of any other row of blocks; a column that was traced
    along the arches has them on one side. Where the picture shows neither, because arches are faint or
    all bone is clipped, a pair of crests beside two halves that are alike tells as much: from the side the
    pelvis lies over the column or behind it. Asked only of a picture that is the right way up.
    """
    if _center_step(found, SPINOUS_PART) < CLEAR_ARCHES:
        return True
    if match_of_halves(found) <= HALVES_ALIKE:
        return False
    sides = _pedicles(found)
    if min(sides) > PEDICLE and sum(sides) / 2 > PEDICLES:
        return True
    return landmarks.is_pair_of_crests(found)


def _pedicles(found: Segmentation) -> tuple[float, float]:
    """Return how much brighter the left and the right are than the middle, more so than further down.

    In steps from soft tissue to bone: of a row of blocks, noise is the largest local deviation.
    """
    column, step = found.column, float(np.median(found.edges.bone - found.edges.soft))
    place = column.u_mm[None, :] / found.edges.half_width[:, None]
    seen = column.valid & ~found.metal
    low, high = anatomy.PARAMEDIAN
    center = _mean_of_rows(column.image, seen & (np.abs(place) < anatomy.CENTER))
    left, right = (
        _mean_of_rows(column.image, seen & (side >= low) & (side < high)) - center for side in (-place, place)
    )
    scale = max(step, 1e-9)
    return (
        _median_step(found, left / scale, PEDICLE_PART, SPINOUS_PART),
        _median_step(found, right / scale, PEDICLE_PART, SPINOUS_PART),
    )


def _mean_of_rows(image: Image, counted: Mask) -> Image:
    return np.asarray(np.sum(image, axis=1, where=counted) / np.maximum(np.count_nonzero(counted, axis=1), 1))


def _center_step(found: Segmentation, lower: tuple[float, float] = (0.52, 0.78)) -> float:
    """Compare the middle of the column in the upper and a lower part of the levels."""
    return _median_step(found, found.profile.bands["center"], WINDOW_PART, lower)


def _median_step(
    found: Segmentation, along: Image, upper: tuple[float, float], lower: tuple[float, float]
) -> float:
    """Return how much more a profile along the axis is in an upper part of the levels than in a lower one."""
    steps = []
    for top, pitch in zip(found.chain.s_mm, found.chain.pitches_mm, strict=False):
        a, b, c, d = ((top + pitch * np.array([*upper, *lower])) / anatomy.GRID_MM).round().astype(int)
        steps.append(float(np.mean(along[a:b]) - np.mean(along[c:d])))
    return float(np.median(steps))


def _seen(found: Segmentation, *, reverse: bool = False) -> bool:
    """Tell if a crest is seen on either side; a rib in a corner looks like the tip of one."""
    return any(crest is not None and crest.whole for crest in landmarks.crests(found, reverse=reverse))
