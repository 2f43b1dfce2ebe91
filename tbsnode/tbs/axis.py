"""The axis of the column, and the picture straightened along it.

A window as wide as a vertebra follows the column against the soft tissue at both sides; dynamic
programming forbids jumps to ribs, crests and padding. All later search happens in (s, u): s runs
down the axis, u to the right of it, so that tilt and scoliosis need no further thought.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.field import Grid, Image, Mask

BLOCK = 10  # grid rows pooled for the path: 5 mm
LIKE_SIDE = 0.65  # weight of the flank that is more like the window
DEGREE = 3  # an S-shaped curve needs a cubic
_STRIP = 64  # rows straightened at once; more leave the cache
_SEEN = np.float32(0.99)  # of the weights of a straightened pixel must have been scanned


def column_contrast(grid: Grid) -> tuple[Image, Image]:
    """Compare a window as wide as a vertebra with the tissue at both of its sides.

    Returns
    -------
    tuple of ndarray of shape (m, n)
        How much the window is brighter than its flanks, and how much darker; NaN where a flank is hardly
        scanned. They are no opposites: the flank that is more like the window counts more in both, for a
        femur or a lateral spine has one dark side only, and dark tissue beside a column one bright side.
    """
    window = round(anatomy.WINDOW_MM * 0.8 / anatomy.GRID_MM) | 1
    flank = round(anatomy.FLANK_MM / anatomy.GRID_MM) | 1
    weight = grid.valid.astype(np.float64)
    value = np.where(grid.valid, grid.image, 0.0)
    sums = [ndimage.uniform_filter1d(a, BLOCK * 4, axis=0, mode="nearest") for a in (value, weight)]
    inner = [ndimage.uniform_filter1d(a, window, axis=1, mode="constant") for a in sums]
    outer = [ndimage.uniform_filter1d(a, flank, axis=1, mode="constant") for a in sums]
    offset = (window + flank) // 2 + 2
    columns = grid.image.shape[1] - 2 * offset  # the others have no flank on one side
    brighter, darker = np.full(grid.image.shape, np.nan), np.full(grid.image.shape, np.nan)
    if columns <= 0:
        return brighter, darker
    center = inner[0][:, offset:-offset] / np.maximum(inner[1][:, offset:-offset], 1e-9)
    sides = outer[0] / np.maximum(outer[1], 1e-9)
    left, right = sides[:, :columns], sides[:, -columns:]
    flanked = outer[1] > 0.25
    seen = (inner[1][:, offset:-offset] > 0.6) & flanked[:, :columns] & flanked[:, -columns:]
    low, high = np.minimum(left, right), np.maximum(left, right)
    part = np.s_[:, offset:-offset]
    np.copyto(brighter[part], center - (1 - LIKE_SIDE) * low - LIKE_SIDE * high, where=seen)
    np.copyto(darker[part], LIKE_SIDE * low + (1 - LIKE_SIDE) * high - center, where=seen)
    return brighter, darker


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
    across = np.arange(-half, half + 1, dtype=np.float64)
    image, valid = np.empty((y.size, across.size)), np.empty((y.size, across.size), dtype=np.bool_)
    planes = _Planes.of(grid)
    for first in range(0, y.size, _STRIP):
        strip = np.s_[first : first + _STRIP]
        down = y[strip, None] - across * np.sin(angle[strip, None])
        right = x[strip, None] + across * np.cos(angle[strip, None])
        image[strip], valid[strip] = planes.at(down, right)
    return Column(image, valid, y, x, angle, grid)


@dataclass(frozen=True, eq=False, slots=True)
class _Planes:
    """A grid laid out for sampling: gray levels, what was scanned, and how many of 2 x 2 pixels were."""

    image: Image
    valid: Mask
    number: NDArray[np.uint8]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, grid: Grid) -> _Planes:
        valid = np.ascontiguousarray(grid.valid)
        number = np.zeros(valid.shape, dtype=np.uint8)
        for part in (valid[:-1, :-1], valid[:-1, 1:], valid[1:, :-1], valid[1:, 1:]):
            number[:-1, :-1] += part
        return cls(grid.image.ravel(), valid.ravel(), number.ravel(), valid.shape)

    def at(self, y: Image, x: Image) -> tuple[Image, Mask]:
        """Interpolate linearly where all that counts was scanned; elsewhere 0.

        Adds up what `ndimage.map_coordinates` of order 1 adds up, in its order, in half of its time.
        """
        rows, columns = self.shape
        inside = (y >= 0.0) & (y <= rows - 1) & (x >= 0.0) & (x <= columns - 1)
        top, left = np.minimum(np.floor(y), rows - 2.0), np.minimum(np.floor(x), columns - 2.0)
        first = (top * columns + left).astype(np.intp)
        lower, right = y - top, x - left
        upper, left = 1.0 - lower, 1.0 - right
        corners = ((0, upper, left), (1, upper, right), (columns, lower, left), (columns + 1, lower, right))
        image, part = np.zeros(y.shape), np.empty(y.shape)
        for step, down, across in corners:
            np.take(self.image, first + step, out=part, mode="clip")  # those outside count nowhere
            part *= down
            part *= across
            image += part
        number = np.take(self.number, first, mode="clip")
        valid = inside & (number == len(corners))
        mixed = np.nonzero(inside & (number > 0) & ~valid)
        seen = np.zeros(mixed[0].size)
        for step, down, across in corners:
            seen += self.valid[first[mixed] + step] * down[mixed] * across[mixed]
        valid[mixed] = seen.astype(np.float32) > _SEEN
        image[~valid] = 0.0
        return image, valid
