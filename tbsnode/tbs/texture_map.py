"""The texture map: the log-log slope around each place of a region, for the eye and for nothing else.

A window of a few millimeters holds few independent pairs, so a local slope is noisy and biased low: the
map shows where the texture differs, and its mean is not the score. Pairs are counted exactly as the
score counts them, both ends inside one region, but only at three lags: one, two and three times the
same four steps of about a millimeter. V at the multiples of a step follows a power law exactly as V
at all lags does, so a plane gives 2 and a power law its exponent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbsnode.tbs.polygon import polygon_mask

STEP_MM = 1.05  # as the shortest lag of the score
MULTIPLES = (1, 2, 3)  # the longest lag, along a diagonal, stays below the longest of the score
WINDOW_MM = 9.0
CELL_MM = 1.0  # the window moves by cells
LEAST_SHARE = 0.1  # of the pairs of a whole window; a corner with fewer has no value

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ring = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MappedRegion:
    """Local slopes of one region, cell by cell.

    Attributes
    ----------
    row, column : int
        First pixel of the box that the region lies in.
    cell : tuple of int
        Pixels of a cell, down and across.
    slope : ndarray of shape (R, C)
        Local slope around each cell's middle; NaN where too few pairs lie around it.
    inside : ndarray of shape (M, N), bool
        The region's pixels in its box.
    """

    row: int
    column: int
    cell: tuple[int, int]
    slope: Floats
    inside: Mask

    def by_pixel(self) -> Floats:
        """Return the local slope at each pixel of the box; NaN outside the region; shape (M, N)."""
        rows, columns = (
            np.arange(length) // cell for length, cell in zip(self.inside.shape, self.cell, strict=True)
        )
        spread: Floats = self.slope[np.ix_(rows, columns)]
        spread[~self.inside] = np.nan
        return spread


def local_slopes(
    image: NDArray[np.float64], regions: Sequence[Ring], pixel_spacing_mm: tuple[float, float]
) -> tuple[MappedRegion | None, ...]:
    """Compute the log-log slope of the variogram in a window that moves over each region.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Gray levels [a.u.], row before column.
    regions : sequence of rings
        Each a closed outline of (row, column) pairs, as in `Vertebra.region`. A pair of pixels counts
        only if both lie in the same one; what lies outside is never looked at.
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns [mm].

    Returns
    -------
    tuple of (MappedRegion or None)
        One a region, None where it holds no pixel. For visualization only: it is no score, and neither
        is its mean.

    Raises
    ------
    ValueError
        If the image is not two-dimensional or a spacing is not positive.

    Examples
    --------
    A ramp is a plane, and the slope of a plane is 2 everywhere:

    >>> ramp = np.tile(np.arange(60.0), (60, 1))
    >>> square = [(2.0, 2.0), (2.0, 57.0), (57.0, 57.0), (57.0, 2.0)]
    >>> (mapped,) = local_slopes(ramp, [square], (0.5, 0.5))
    >>> mapped.cell, round(float(mapped.slope[14, 14]), 6)
    ((2, 2), 2.0)
    """
    if image.ndim != 2:
        raise ValueError("image must be two-dimensional")
    if len(pixel_spacing_mm) != 2 or not all(math.isfinite(s) and s > 0 for s in pixel_spacing_mm):
        raise ValueError("pixel_spacing_mm must be positive")
    return tuple(_mapped(image, np.asarray(ring, np.float64), pixel_spacing_mm) for ring in regions)


def _mapped(image: NDArray[np.float64], ring: Floats, spacing_mm: tuple[float, float]) -> MappedRegion | None:
    if ring.shape[0] < 3:
        return None
    low = np.clip(np.floor(ring.min(axis=0)), 0, image.shape).astype(int)
    high = np.clip(np.ceil(ring.max(axis=0)) + 1, 0, image.shape).astype(int)
    if (high <= low).any():
        return None
    box = np.asarray(image[low[0] : high[0], low[1] : high[1]], np.float64)
    inside = polygon_mask(ring - low, (box.shape[0], box.shape[1])) & np.isfinite(box)
    if not inside.any():
        return None
    rows, columns = (_even(CELL_MM / step) for step in spacing_mm)
    slope = _slopes(np.where(inside, box, 0.0), inside, spacing_mm, (rows, columns))
    return MappedRegion(row=int(low[0]), column=int(low[1]), cell=(rows, columns), slope=slope, inside=inside)


def _even(pixels: float) -> int:
    """Return an even number of pixels next to a length, or one pixel."""
    return 2 * round(pixels / 2) if pixels >= 1.5 else 1


def _slopes(box: Floats, inside: Mask, spacing_mm: tuple[float, float], cell: tuple[int, int]) -> Floats:
    """Return the slope of ln V on the logarithm of the multiples, window by window."""
    down, across = (max(1, round(STEP_MM / step)) for step in spacing_mm)
    # on a fine grid neighbors tell the same: two pairs a cell in each direction are enough
    every = (max(1, cell[0] // 2), max(1, cell[1] // 2))
    window = tuple(_odd(WINDOW_MM / (step * side)) for step, side in zip(spacing_mm, cell, strict=True))
    coarse = tuple(-(-side // skip) for side, skip in zip(cell, every, strict=True))
    gathered = np.zeros(
        (2, len(MULTIPLES), *(-(-length // skip) for length, skip in zip(box.shape, every, strict=True)))
    )
    for index, times in enumerate(MULTIPLES):
        _gather(gathered[:, index], box, inside, (times * down, times * across), every)
    sums, pairs = _windowed(_by_cell(gathered, coarse), window)
    whole = 4.0 * math.prod(window) * math.prod(coarse)
    filled = (pairs >= LEAST_SHARE * whole) & (sums > 0)
    log_value = np.log(np.where(filled, sums, 1.0)) - np.log(np.where(filled, pairs, 1.0))
    x = np.log(MULTIPLES)
    x -= x.mean()
    weight = (x / (x * x).sum())[:, np.newaxis, np.newaxis]
    return np.where(filled.all(axis=0), (weight * log_value).sum(axis=0), np.nan)


def _odd(cells: float) -> int:
    """Return the odd number of cells next to a length, so that a window has a middle."""
    return max(1, 2 * round((cells - 1) / 2) + 1)


def _gather(target: Floats, box: Floats, inside: Mask, step: tuple[int, int], every: tuple[int, int]) -> None:
    """Add squared differences and pairs of a step's four directions at the middle of each pair."""
    height, width = box.shape
    down, across = step
    for a, b in ((down, 0), (0, across), (down, across), (down, -across)):
        if a >= height or abs(b) >= width:
            continue
        left, right = max(0, -b), min(width, width - b)
        here = np.s_[: height - a : every[0], left : right : every[1]]
        there = np.s_[a :: every[0], left + b : right + b : every[1]]
        both = inside[here] & inside[there]
        squared = box[there] - box[here]
        np.square(squared, out=squared)
        squared *= both
        first = (a // 2 // every[0], abs(b) // 2 // every[1])
        middle = np.s_[first[0] : first[0] + both.shape[0], first[1] : first[1] + both.shape[1]]
        target[0][middle] += squared
        target[1][middle] += both


def _by_cell(values: Floats, cell: tuple[int, ...]) -> Floats:
    """Add up the pixels of each cell; the last cells of a row and a column may be cut."""
    for axis, side in zip((-2, -1), cell, strict=True):
        values = np.add.reduceat(values, np.arange(0, values.shape[axis], side), axis=axis)
    return values


def _windowed(cells: Floats, window: tuple[int, ...]) -> Floats:
    """Add up the window around each cell; nothing lies beyond the box. Sums of squares stay positive."""
    for axis, length in zip((-2, -1), window, strict=True):
        margins = [(0, 0)] * cells.ndim
        margins[axis] = (length // 2, length // 2)
        padded, count = np.pad(cells, margins).swapaxes(axis, 0), cells.shape[axis]
        total = padded[:count].copy()
        for k in range(1, length):
            total += padded[k : k + count]
        cells = total.swapaxes(axis, 0)
    return cells
