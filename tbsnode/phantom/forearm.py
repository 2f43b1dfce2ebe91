"""A left forearm: radius, ulna and the proximal carpals, hand down."""

from __future__ import annotations

from functools import lru_cache

from tbsnode.phantom.drawing import Drawing
from tbsnode.phantom.skeleton import Oval, Rod, draw_parts

FIELD_MM = (150.0, 100.0)

PARTS = (
    Rod((-10.0, 42.0), (92.0, 38.0), (7.0, 7.5), 0.55, 0.45),  # radius, shaft
    Rod((92.0, 38.0), (118.0, 40.0), (7.5, 15.0), 0.50, 0.25),  # radius, distal end
    Rod((-10.0, 66.0), (108.0, 63.0), (6.5, 5.0), 0.55, 0.45),  # ulna, shaft
    Oval((114.0, 64.0), (9.0, 8.0), 0.45, 0.25),  # ulna, head
    Oval((138.0, 32.0), (8.0, 9.0), 0.45, 0.20),  # scaphoid
    Oval((137.0, 48.0), (7.5, 8.0), 0.45, 0.20),  # lunate
    Oval((138.0, 64.0), (7.5, 7.5), 0.45, 0.20),  # triquetrum
)


@lru_cache(maxsize=4)
def draw(seed: int) -> Drawing:
    """Draw a forearm.

    Parameters
    ----------
    seed : int
        Of texture and soft tissue.

    Returns
    -------
    Drawing
        150 x 100 mm.
    """
    return draw_parts(PARTS, FIELD_MM, seed, rim_mm=1.6)
