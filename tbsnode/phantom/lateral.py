"""A lateral spine, T5 to the sacrum, as vertebral fracture assessment scans it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tbsnode.phantom.drawing import Drawing
from tbsnode.phantom.skeleton import Oval, Rod, draw_parts

FIELD_MM = (437.0, 200.0)
HEIGHTS_MM = (20.0, 20.5, 21.0, 21.5, 22.0, 23.0, 24.0, 26.0, 29.0, 31.0, 33.0, 34.0, 33.0)  # T5-L5


def _parts() -> list[Rod | Oval]:
    parts: list[Rod | Oval] = []
    row = 18.0
    for k, height in enumerate(HEIGHTS_MM):
        middle = row + height / 2.0
        # Kyphosis bows the chest's part backward, lordosis the lumbar part forward.
        column = 112.0 + 24.0 * float(np.sin(np.pi * (middle - 20.0) / 200.0)) * (
            1.0 if middle < 220.0 else 0.55
        )
        depth = 27.0 + 1.1 * k
        slope = 0.09 * float(np.cos(np.pi * (middle - 20.0) / 200.0)) * depth
        radius = 0.43 * height
        parts.append(
            Rod(
                (middle - slope / 2.0, column - depth / 2.0 + radius),
                (middle + slope / 2.0, column + depth / 2.0 - radius),
                (radius, radius),
                0.62,
                0.22,
            )
        )
        back = column + depth / 2.0
        parts.append(Rod((middle - 4.0, back), (middle + 2.0, back + 13.0), (4.5, 5.0), 0.48, 0.15))
        parts.append(Rod((middle + 4.0, back + 14.0), (middle + 13.0, back + 30.0), (4.0, 5.0), 0.40, 0.15))
        if k < 8:
            parts.append(Rod((middle, back + 10.0), (middle + 55.0, 10.0), (4.0, 4.0), 0.20, 0.06))
        row += height
    parts.append(Rod((row + 12.0, 100.0), (row + 60.0, 140.0), (19.0, 12.0), 0.55, 0.2))  # sacrum
    parts.append(Oval((row + 10.0, 92.0), (34.0, 62.0), 0.30, 0.12))  # iliac wings
    return parts


@lru_cache(maxsize=2)
def draw(seed: int) -> Drawing:
    """Draw a lateral spine, front to the left.

    Parameters
    ----------
    seed : int
        Of texture and soft tissue.

    Returns
    -------
    Drawing
        437 x 200 mm.
    """
    return draw_parts(_parts(), FIELD_MM, seed)
