"""A whole body, coarse: skull to feet."""

from __future__ import annotations

from functools import lru_cache

from tbsnode.phantom.drawing import Drawing
from tbsnode.phantom.skeleton import Oval, Rod, draw_parts

PIXEL_SPACING_MM = 2.42
FIELD_MM = (791 * PIXEL_SPACING_MM, 272 * PIXEL_SPACING_MM)
MIDDLE_MM = FIELD_MM[1] / 2.0


def _parts() -> list[Rod | Oval]:
    middle = MIDDLE_MM
    parts: list[Rod | Oval] = [
        Oval((150.0, middle), (105.0, 78.0), 1.2, 0.9),  # skull
        Rod((250.0, middle), (330.0, middle), (26.0, 28.0), 0.7),  # neck
        Oval((865.0, middle), (75.0, 55.0), 0.7, 0.2),  # sacrum
    ]
    for k in range(17):  # T1 to L5
        parts.append(Oval((350.0 + 27.0 * k, middle), (11.5, 17.0 + 0.5 * k), 0.95, 0.2))
    for sign in (-1.0, 1.0):
        for k in range(11):
            reach = sign * (75.0 + 70.0 * min(k, 6) / 6.0)
            root = 355.0 + 27.0 * k
            parts.append(Rod((root, middle), (root + 30.0, middle + reach), (6.0, 6.0), 0.25, 0.1))
        parts += [
            Rod((345.0, middle + sign * 25.0), (335.0, middle + sign * 175.0), (8.0, 8.0), 0.5),  # clavicle
            Rod((350.0, middle + sign * 185.0), (650.0, middle + sign * 225.0), (17.0, 14.0), 1.0, 0.4),
            Rod((660.0, middle + sign * 226.0), (900.0, middle + sign * 255.0), (13.0, 9.0), 0.8, 0.4),
            Rod((910.0, middle + sign * 258.0), (1060.0, middle + sign * 265.0), (28.0, 12.0), 0.35, 0.1),
            Oval((830.0, middle + sign * 95.0), (90.0, 60.0), 0.6, 0.3),  # ilium
            Rod((945.0, middle + sign * 40.0), (990.0, middle + sign * 55.0), (24.0, 26.0), 0.7, 0.2),
            Oval((935.0, middle + sign * 105.0), (25.0, 25.0), 1.1, 0.2),  # femoral head
            Rod((960.0, middle + sign * 135.0), (1370.0, middle + sign * 85.0), (24.0, 30.0), 1.3, 0.5),
            Rod((1400.0, middle + sign * 84.0), (1760.0, middle + sign * 76.0), (32.0, 18.0), 1.1, 0.5),
            Rod((1785.0, middle + sign * 76.0), (1860.0, middle + sign * 105.0), (24.0, 26.0), 0.7, 0.2),
        ]
    return parts


@lru_cache(maxsize=2)
def draw(seed: int) -> Drawing:
    """Draw a whole body.

    Parameters
    ----------
    seed : int
        Of texture and soft tissue.

    Returns
    -------
    Drawing
        272 x 791 pixels of 2.42 mm.
    """
    return draw_parts(_parts(), FIELD_MM, seed, pixel_spacing_mm=PIXEL_SPACING_MM, rim_mm=4.0)
