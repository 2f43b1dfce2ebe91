"""A left hip: proximal femur, acetabulum, ischium and ilium."""

from __future__ import annotations

from functools import lru_cache

from tbsnode.phantom.drawing import Drawing
from tbsnode.phantom.skeleton import Oval, Rod, draw_parts

FIELD_MM = (147.0, 170.0)

PARTS = (
    Rod((-8.0, 20.0), (34.0, 44.0), (34.0, 30.0), 0.50, 0.25),  # ilium above the joint
    Oval((54.0, 62.0), (31.0, 31.0), 0.66, 0.30),  # acetabulum
    Rod((76.0, 22.0), (120.0, 38.0), (15.0, 17.0), 0.60, 0.25),  # ischium
    Rod((74.0, 6.0), (66.0, 40.0), (9.0, 11.0), 0.55, 0.25),  # pubis
    Oval((97.0, 14.0), (14.0, 11.0), -0.85),  # obturator foramen
    Oval((56.0, 64.0), (25.0, 25.0), 0.95, 0.30),  # femoral head
    Rod((56.0, 64.0), (80.0, 98.0), (17.5, 17.0), 0.85, 0.30),  # neck
    Rod((64.0, 116.0), (88.0, 106.0), (15.0, 19.0), 0.75, 0.25),  # greater trochanter
    Rod((88.0, 105.0), (160.0, 110.0), (17.5, 14.5), 1.05, 0.75),  # shaft
    Oval((108.0, 88.0), (9.0, 7.0), 0.85, 0.25),  # lesser trochanter
)


@lru_cache(maxsize=4)
def draw(seed: int) -> Drawing:
    """Draw a left hip.

    Parameters
    ----------
    seed : int
        Of texture and soft tissue.

    Returns
    -------
    Drawing
        147 x 170 mm.
    """
    return draw_parts(PARTS, FIELD_MM, seed, rim_mm=2.6)
