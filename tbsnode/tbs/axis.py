"""The axis of the column, and the picture straightened along it.

A window as wide as a vertebra follows the column against the soft tissue at both sides; dynamic
programming forbids jumps to ribs, crests and padding. All later search happens in (s, u): s runs
down the axis, u to the right of it, so that tilt and scoliosis need no further thought.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.field import Grid, Image, Mask

BLOCK = 10  # grid rows pooled for the path: 5 mm
DEGREE = 3  # an S-shaped curve needs a cubic


def column_contrast(grid: Grid) -> Image:
    """Compare a window as wide as a vertebra with the tissue at both of its sides.

    Returns
    -------
    ndarray of shape (m, n)
        Mean of the window less mean of the flanks; NaN where a flank is hardly scanned.
    """
    window = round(anatomy.WINDOW_MM * 0.8 / anatomy.GRID_MM) | 1
    flank = round(anatomy.FLANK_MM / anatomy.GRID_MM) | 1
    weight = grid.valid.astype(np.float64)
    value = np.where(grid.valid, grid.image, 0.0)
    sums = [ndimage.uniform_filter1d(a, BLOCK * 4, axis=0, mode="nearest") for a in (value, weight)]
    inner = [ndimage.uniform_filter1d(a, window, axis=1, mode="constant") for a in sums]
    outer = [ndimage.uniform_filter1d(a, flank, axis=1, mode="constant") for a in sums]
    offset = (window + flank) // 2 + 2
    left = [_shifted(a, offset) for a in outer]
    right = [_shifted(a, -offset) for a in outer]
    center = inner[0] / np.maximum(inner[1], 1e-9)
    sides = [pair[0] / np.maximum(pair[1], 1e-9) for pair in (left, right)]
    seen = (inner[1] > 0.6) & (left[1] > 0.25) & (right[1] > 0.25)
    # the brighter side counts more: a femur or a lateral spine has one dark side only
    contrast = center - (0.35 * np.minimum(*sides) + 0.65 * np.maximum(*sides))
    return np.where(seen, contrast, np.nan)


def _shifted(image: Image, columns: int) -> Image:
    """Move an image to the right (left where negative), zeros following."""
    out = np.zeros_like(image)
    if columns > 0:
        out[:, columns:] = image[:, :-columns]
    else:
        out[:, :columns] = image[:, -columns:]
    return out


def trace(contrast: Image) -> Image:
    """Follow the column from top to bottom.

    Parameters
    ----------
    contrast : ndarray of shape (m, n)
        From `column_contrast`.

    Returns
    -------
    ndarray of shape (m,)
        Column index of the axis in every row.
    """
    rows = contrast[BLOCK // 2 :: BLOCK, ::2]
    gain = np.where(np.isnan(rows), -1.0, rows)
    best = gain[0].copy()
    steps = np.zeros(gain.shape, dtype=np.intp)
    for i in range(1, gain.shape[0]):
        padded = np.pad(best, 1, constant_values=-np.inf)
        moves = np.stack([padded[1:-1], padded[:-2] - 0.004, padded[2:] - 0.004])
        choice = np.argmax(moves, axis=0)
        steps[i] = np.array([0, -1, 1])[choice]
        best = np.take_along_axis(moves, choice[None], axis=0)[0] + gain[i]
    path = np.empty(gain.shape[0])
    j = int(np.argmax(best))
    for i in range(gain.shape[0] - 1, -1, -1):
        path[i] = j
        j += int(steps[i, j])
    y = np.arange(path.size) * BLOCK + BLOCK // 2
    return np.asarray(np.interp(np.arange(contrast.shape[0]), y, path * 2.0))


def smooth_curve(y: Image, x: Image, weight: Image, degree: int = DEGREE) -> Image:
    """Fit a polynomial that a few wrong points cannot bend (Huber weights).

    Returns
    -------
    ndarray of shape (degree + 1,)
        Coefficients, highest power first, of x on y.
    """
    coefficients = np.polyfit(y, x, degree, w=np.sqrt(weight))
    for _ in range(8):
        residual = np.abs(x - np.polyval(coefficients, y))
        scale = max(1.4826 * float(np.median(residual)), 0.5)
        huber = np.minimum(1.0, 1.345 * scale / np.maximum(residual, 1e-9))
        coefficients = np.polyfit(y, x, degree, w=np.sqrt(weight * huber))
    return np.asarray(coefficients)


@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """The picture straightened along the axis, on `anatomy.GRID_MM`.

    Attributes
    ----------
    image : ndarray of shape (S, U)
        Row s along the axis from the head, column u from left to right across it.
    valid : ndarray of shape (S, U)
        True where scanned.
    y, x : ndarray of shape (S,)
        The axis in grid indices.
    angle : ndarray of shape (S,)
        Direction of the axis against the columns of the matrix [rad]; positive leans right.
    grid : Grid
        The picture it was sampled from.
    """

    image: Image
    valid: Mask
    y: Image
    x: Image
    angle: Image
    grid: Grid

    @property
    def u_mm(self) -> Image:
        """Position of each column across the axis [mm]."""
        half = (self.image.shape[1] - 1) // 2
        return np.arange(-half, half + 1) * anatomy.GRID_MM

    @property
    def length_mm(self) -> float:
        """Length of the axis inside the picture [mm]."""
        return float(self.image.shape[0] - 1) * anatomy.GRID_MM

    def stored(self, s_mm: Image, u_mm: Image) -> tuple[Image, Image]:
        """Turn places along and across the axis into (row, column) of the stored matrix."""
        index = np.arange(self.y.size) * anatomy.GRID_MM
        end = np.clip(s_mm, 0.0, index[-1])
        beyond = (s_mm - end) / anatomy.GRID_MM
        angle = np.interp(end, index, self.angle)
        across = u_mm / anatomy.GRID_MM
        y = np.interp(end, index, self.y) + beyond * np.cos(angle) - across * np.sin(angle)
        x = np.interp(end, index, self.x) + beyond * np.sin(angle) + across * np.cos(angle)
        return self.grid.stored(y, x)


def straighten(grid: Grid, coefficients: Image) -> Column:
    """Sample the picture along a curve and its normals.

    Parameters
    ----------
    grid : Grid
        The picture.
    coefficients : ndarray
        Of the axis, grid column on grid row, as `smooth_curve` gives them.
    """
    rows = grid.image.shape[0]
    fine = np.linspace(0.0, rows - 1.0, 4 * rows)
    slope = np.polyval(np.polyder(coefficients), fine)
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(1.0, (slope[1:] + slope[:-1]) / 2) * np.diff(fine))])
    y = np.interp(np.arange(0.0, arc[-1]), arc, fine)
    x = np.polyval(coefficients, y)
    angle = np.arctan(np.polyval(np.polyder(coefficients), y))
    half = round(anatomy.SIDE_MM / anatomy.GRID_MM)
    across = np.arange(-half, half + 1)
    where = np.stack(
        [
            y[:, None] - across[None, :] * np.sin(angle)[:, None],
            x[:, None] + across[None, :] * np.cos(angle)[:, None],
        ]
    )
    image = ndimage.map_coordinates(grid.image, where, order=1, mode="constant", cval=0.0)
    valid = ndimage.map_coordinates(grid.valid.astype(np.float32), where, order=1, mode="constant") > 0.99
    return Column(np.where(valid, image, 0.0), valid, y, x, angle, grid)
