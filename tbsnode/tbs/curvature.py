"""How far the lumbar spine is curved: an angle like Cobb's, from the axis of the column.

Cobb's angle lies between the two endplates that are tilted most against each other; more than 10
degrees is the Scoliosis Research Society's definition of a scoliosis. The axis is at a right angle to
the endplates, and one smooth curve through the whole picture is steadier than two single disc lines.
"""

from __future__ import annotations

import numpy as np

from tbsnode.reasons import Code, Finding
from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column

CURVED_DEG = 10.0  # definition of scoliosis, as above


def curve_deg(column: Column, upper_mm: float, lower_mm: float) -> float:
    """Measure the largest difference of the axis' direction between two places along it [degrees].

    Parameters
    ----------
    column : Column
        With the axis.
    upper_mm, lower_mm : float
        Ends of the stretch, as T12/L1 and L4/L5.

    Returns
    -------
    float
        0 for a straight axis, however much it is tilted.
    """
    place = np.arange(column.angle.size) * anatomy.GRID_MM
    part = column.angle[(place >= upper_mm) & (place <= lower_mm)]
    return float(np.degrees(np.ptp(part))) if part.size else 0.0


def findings(column: Column, upper_mm: float, lower_mm: float) -> tuple[Finding, ...]:
    """Return `CURVED_SPINE` where L1 to L4 are curved by more than `CURVED_DEG`."""
    curve = curve_deg(column, upper_mm, lower_mm)
    if curve <= CURVED_DEG:
        return ()
    return (Finding(Code.CURVED_SPINE, values=(("curve_degrees", round(curve, 1)),)),)
