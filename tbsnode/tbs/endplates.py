"""Endplates: pairs of thin bright lines across the column, one on either side of a disc.

A disc may be hardly darker than the waist of a body, where laminae and facets lie over it. Its
endplates are seen all the same: two lines as wide as the column, one disc apart, where the lines of a
body are three times as far from each other.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column
from tbsnode.tbs.field import Image

# half widths; beside the spinous process, out to the corners of the bodies
BANDS = ((0.30, 0.55), (0.55, 0.78), (0.78, 1.05))
BESIDE_MM = 2.5  # above and below a line, where it must have ended; endplates are 1-1.5 mm thick [iDXA]
APART_MM = np.arange(5.0, 16.5, 1.0)  # from endplate to endplate across a disc


def pairs(column: Column, half_width_mm: Image, step: float, slopes: Image) -> Image:
    """Rate each row as the middle between two endplates.

    Parameters
    ----------
    column : Column
        The straightened picture.
    half_width_mm : ndarray of shape (S,)
        Half of the column's width along the axis.
    step : float
        From soft tissue to bone, on the scale of the picture.
    slopes : ndarray of shape (K,)
        Of the lines, rise in s for each u.

    Returns
    -------
    ndarray of shape (K, S)
        Height of the fainter line of the best pair, in steps; negative where there is no line.
    """
    reach = 1.1 * float(np.max(half_width_mm))
    near = np.flatnonzero(np.abs(column.u_mm) <= reach)
    part = np.s_[:, near[0] : near[-1] + 1]
    relative = column.u_mm[None, near] / half_width_mm[:, None]
    lines = _lines(column.image[part])
    typical = float(np.median(half_width_mm)) / anatomy.GRID_MM
    places = np.arange(lines.shape[0])
    mean = np.zeros((slopes.size, places.size))
    for sign in (-1.0, 1.0):
        for low, high in BANDS:
            band = (sign * relative >= low) & (sign * relative < high) & column.valid[part]
            profile = np.sum(lines, axis=1, where=band) / np.maximum(np.count_nonzero(band, axis=1), 1)
            arm = sign * (low + high) / 2 * typical
            mean += [np.interp(places + slope * arm, places, profile) for slope in slopes]
    mean /= 2 * len(BANDS) * max(step, 1e-9)
    return _in_pairs(np.asarray(ndimage.maximum_filter1d(mean, 3, axis=1)))


def _lines(image: Image) -> Image:
    """Compare each row with the brighter of those just above and below it: a step is no line."""
    smooth = ndimage.gaussian_filter1d(image, 0.8, axis=0, mode="nearest")
    away = round(BESIDE_MM / anatomy.GRID_MM)
    padded = np.pad(smooth, ((away, away), (0, 0)), mode="edge")
    return np.asarray(smooth - np.maximum(padded[: -2 * away], padded[2 * away :]))


def _in_pairs(line: Image) -> Image:
    """Take for each row the best pair around it, by its fainter line."""
    best = np.full(line.shape, -1.0)
    for apart_mm in APART_MM:
        half = round(apart_mm / 2 / anatomy.GRID_MM)
        both = np.minimum(line[:, : -2 * half], line[:, 2 * half :])
        inner = best[:, half:-half]
        np.maximum(inner, both, out=inner)
    return best
