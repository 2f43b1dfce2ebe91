"""Which way a column of vertebrae is seen: from the front, the right way up, and which part of it."""

from __future__ import annotations

import numpy as np

from tbsnode.tbs import anatomy, landmarks
from tbsnode.tbs.segmentation import Segmentation

# The signs together; upright spines stay below -1. A chain half a level off turns one sign round.
UPSIDE_DOWN_WEIGHT = 0.8
SPINOUS_PART = (0.60, 0.95)  # of a level, where its spinous process is; the lower end is disc
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
    crests = int(_seen(found, reverse=True)) - int(_seen(found))
    signs = (
        (_center_step(found), 1.0, 1.6),
        (1.0 - float(width[-1] / width[0]), 0.12, 1.6),
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


def _seen(found: Segmentation, *, reverse: bool = False) -> bool:
    """Tell if a crest is seen on either side; a rib in a corner looks like the tip of one."""
    return any(crest is not None and crest.whole for crest in landmarks.crests(found, reverse=reverse))
