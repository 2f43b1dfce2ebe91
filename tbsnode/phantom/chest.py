"""The thoracic spine from the front, T5 to T11, with its ribs: a field scanned too high."""

from __future__ import annotations

from functools import lru_cache

from tbsnode.phantom.drawing import Drawing
from tbsnode.phantom.skeleton import Oval, Rod, draw_parts

FIELD_MM = (190.0, 180.0)
LEVELS = 8
PITCH_MM = 25.0


def _parts() -> list[Rod | Oval]:
    middle = FIELD_MM[1] / 2.0
    parts: list[Rod | Oval] = []
    for level in range(LEVELS):
        top = -8.0 + level * PITCH_MM
        half = 14.0 + 0.6 * level
        radius = 0.40 * PITCH_MM
        parts.append(
            Rod(
                (top + radius, middle - half + radius),
                (top + radius, middle + half - radius),
                (radius, radius),
                0.70,
                0.20,
            )
        )
        parts.append(Rod((top + 12.0, middle), (top + 34.0, middle), (3.2, 2.4), 0.35))  # spinous process
        for side in (-1.0, 1.0):
            start = (top + 3.0, middle + side * (half - 2.0))
            bend = (top + 14.0, middle + side * (half + 32.0))
            end = (top + 46.0, middle + side * (half + 72.0))
            parts += [Rod(start, bend, (4.2, 4.4), 0.30, 0.12), Rod(bend, end, (4.4, 4.6), 0.30, 0.12)]
    return parts


@lru_cache(maxsize=4)
def draw(seed: int) -> Drawing:
    """Draw a thoracic spine with ribs.

    Parameters
    ----------
    seed : int
        Of texture and soft tissue.

    Returns
    -------
    Drawing
        190 x 180 mm; its truth is None, for no lumbar level is in it.
    """
    return draw_parts(tuple(_parts()), FIELD_MM, seed, rim_mm=1.8)
