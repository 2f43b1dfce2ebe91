"""A right knee from the front: femur, tibia and fibula."""

from __future__ import annotations

from functools import lru_cache

from tbsnode.phantom.drawing import Drawing
from tbsnode.phantom.skeleton import Oval, Rod, draw_parts

FIELD_MM = (210.0, 160.0)

PARTS = (
    Rod((-10.0, 80.0), (70.0, 80.0), (15.0, 17.0), 0.95, 0.70),  # femur, shaft
    Rod((70.0, 80.0), (92.0, 80.0), (18.0, 36.0), 0.75, 0.25),  # femur, above the condyles
    Oval((94.0, 60.0), (15.0, 20.0), 0.35, 0.25),  # medial condyle
    Oval((94.0, 100.0), (15.0, 20.0), 0.35, 0.25),  # lateral condyle
    Oval((84.0, 80.0), (20.0, 18.0), 0.30, 0.20),  # patella, over the femur
    Rod((118.0, 80.0), (140.0, 80.0), (38.0, 20.0), 0.70, 0.25),  # tibia, plateau
    Rod((140.0, 80.0), (220.0, 80.0), (19.0, 14.0), 0.90, 0.65),  # tibia, shaft
    Rod((128.0, 118.0), (220.0, 112.0), (7.0, 6.0), 0.45, 0.35),  # fibula
)


@lru_cache(maxsize=4)
def draw(seed: int) -> Drawing:
    """Draw a knee.

    Parameters
    ----------
    seed : int
        Of texture and soft tissue.

    Returns
    -------
    Drawing
        210 x 160 mm.
    """
    return draw_parts(PARTS, FIELD_MM, seed, rim_mm=2.0)
