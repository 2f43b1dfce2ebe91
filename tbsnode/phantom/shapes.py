"""Soft-edged shapes in millimeters: distances to them, and how much of a pixel they cover."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cover(distance_mm: Array, edge_mm: float) -> Array:
    """Return 1 inside, 0 outside, with a logistic edge.

    Parameters
    ----------
    distance_mm : ndarray
        Signed distance, negative inside [mm].
    edge_mm : float
        10-90 % width of the edge [mm].

    Returns
    -------
    ndarray
        Coverage, 0.5 where the distance is 0.

    Examples
    --------
    >>> cover(np.array([-9.0, 0.0, 9.0]), 1.0).round(3)
    array([1. , 0.5, 0. ])
    """
    # 4.394 = 2 ln 9 logistic scales lie between 10 and 90 %; tanh cannot overflow.
    return 0.5 * (1.0 - np.tanh(distance_mm * (4.394 / 2.0 / edge_mm)))


def bump(distance: Array) -> Array:
    """Return a Gaussian of unit height and unit standard deviation."""
    result: Array = np.exp(-0.5 * distance * distance)
    return result


def capsule(
    row_mm: Array,
    column_mm: Array,
    start: tuple[float, float],
    end: tuple[float, float],
    radii: tuple[float, float],
) -> Array:
    """Return the signed distance to a rod with round ends.

    Parameters
    ----------
    row_mm, column_mm : ndarray
        Where to measure [mm].
    start, end : (float, float)
        Centers of the ends, (row, column) [mm].
    radii : (float, float)
        Radius at start and at end [mm]; linear between them.

    Returns
    -------
    ndarray
        Distance, negative inside [mm].
    """
    along_row, along_column = end[0] - start[0], end[1] - start[1]
    length2 = along_row**2 + along_column**2
    part = ((row_mm - start[0]) * along_row + (column_mm - start[1]) * along_column) / length2
    part = np.clip(part, 0.0, 1.0)
    away = np.hypot(row_mm - start[0] - part * along_row, column_mm - start[1] - part * along_column)
    result: Array = away - (radii[0] + (radii[1] - radii[0]) * part)
    return result


def ellipse(
    row_mm: Array, column_mm: Array, center: tuple[float, float], semi_axes: tuple[float, float]
) -> Array:
    """Return an approximate signed distance to an upright ellipse.

    Parameters
    ----------
    row_mm, column_mm : ndarray
        Where to measure [mm].
    center, semi_axes : (float, float)
        Center, and semi-axes along rows' and columns' coordinate [mm].

    Returns
    -------
    ndarray
        Distance, negative inside, exact on the boundary [mm].
    """
    scaled = np.hypot((row_mm - center[0]) / semi_axes[0], (column_mm - center[1]) / semi_axes[1])
    result: Array = (scaled - 1.0) * min(semi_axes)
    return result


def bone(
    distance_mm: Array, *, inside: float, rim: float, rim_mm: float = 2.0, edge_mm: float = 1.5
) -> Array:
    """Return the areal density of a bone with a dense cortex.

    Parameters
    ----------
    distance_mm : ndarray
        Signed distance to its outline [mm].
    inside, rim : float
        Density of the interior, and what the cortex adds to it.
    rim_mm, edge_mm : float
        Thickness of the cortex and 10-90 % width of the outer edge [mm].

    Returns
    -------
    ndarray
        Density, 0 far outside.
    """
    return cover(distance_mm, edge_mm) * (inside + rim * bump((distance_mm + rim_mm) / (0.7 * rim_mm)))
