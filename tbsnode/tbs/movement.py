"""Movement: from one scan line to the next the whole patient lies elsewhere.

The scanner sweeps line by line. A patient who moves sideways displaces everything below a line at
once: both flanks of the column, pedicles, spinous process. A scoliosis bends over centimeters, a rib
or a spur changes one side. So a line is a jump where the same displacement makes what lies below
resemble what lies above, in the left half and in the right half, much better than none does.
Compared are slopes of brightness across the column: an edge stays an edge where a bright endplate
meets a dark disc.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column
from tbsnode.tbs.edges import Edges
from tbsnode.tbs.field import Image, Mask

BAND_ROWS = 3  # of the grid, above and below a line: 1.5 mm each
REACH_MM = 12.0  # the largest displacement looked for; further, nobody stays on the table's middle
STEP_MIN_MM = 2.5  # a smaller one is as soon anatomy, and moves a flank by less than its own width
GAIN_MIN = 0.22  # of correlation, in the half that gains less; anatomy alone gains 0.14 in 1 of 200
APART_MM = 3.0  # lines nearer to each other are one jump
STRIP_MM = 60.0  # to either side of the axis
BESIDE_MM = 8.0  # beyond the half width, so that a displaced flank is still seen
SLOPE_SD_MM = 0.6  # of the filter that turns brightness into slopes
SEEN = 0.7  # of a half, that must have been scanned and show no metal
BRIGHT = 1.3  # of the grid's range; what is brighter must not outweigh the flanks
_FLAT = 1e-7  # sum of squared slopes that are noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """One line at which the patient moved.

    Attributes
    ----------
    s_mm : float
        Where the axis crosses it.
    row : float
        On the stored matrix; what lies below is displaced.
    step_mm : float
        Displacement, positive to the right.
    """

    s_mm: float
    row: float
    step_mm: float


def find_jumps(column: Column, edges: Edges, metal: Mask) -> tuple[Jump, ...]:
    """Find the lines below which everything is displaced sideways.

    Parameters
    ----------
    column : Column
        The straightened picture; its grid is searched, whose rows are scan lines.
    edges : Edges
        Give the width of the column.
    metal : ndarray of shape (S, U)
        True on metal, which is not compared.

    Returns
    -------
    tuple of Jump
        From the head down. Displacements are good to about 0.5 mm.
    """
    strip = _strip(column, metal)
    lines = np.arange(BAND_ROWS, strip.slope.shape[0] - BAND_ROWS + 1)
    if lines.size == 0:
        return ()
    halves = _halves(strip, lines, np.interp(lines, column.y, edges.half_width) + BESIDE_MM)
    gain, step_mm = _best_gains(*_bands(strip, lines), halves)
    jumps = []
    for index in _peaks(np.where(np.abs(step_mm) >= STEP_MIN_MM, gain, 0.0)):
        y = np.array([lines[index] - 0.5])
        row, _ = column.grid.stored(y, np.interp(y, column.y, column.x))
        s_mm = np.interp(y, column.y, np.arange(column.y.size) * anatomy.GRID_MM)
        jumps.append(Jump(s_mm=float(s_mm[0]), row=float(row[0]), step_mm=float(step_mm[index])))
    return tuple(jumps)


@dataclass(frozen=True, eq=False, slots=True)
class _Strip:
    """Rows of the grid, moved so that the axis is upright: slope of brightness, and what was seen."""

    slope: Image
    seen: Mask
    u_mm: Image


def _strip(column: Column, metal: Mask) -> _Strip:
    grid = column.grid
    rows = np.arange(grid.image.shape[0])
    half = round(STRIP_MM / anatomy.GRID_MM)
    across = np.arange(-half, half + 1)
    axis = np.interp(rows, column.y, column.x)
    left = np.floor(axis).astype(np.intp)
    part = (axis - left)[:, None]
    place = left[:, None] + across[None, :]
    inside = (place >= 0) & (place + 1 < grid.image.shape[1])
    here, right = (
        np.take_along_axis(grid.image, np.clip(place + k, 0, grid.image.shape[1] - 1), axis=1) for k in (0, 1)
    )
    value = np.minimum((1.0 - part) * here + part * right, BRIGHT)
    place = np.where(inside, place, 0)
    seen = (
        inside
        & np.take_along_axis(grid.valid, place, axis=1)
        & np.take_along_axis(grid.valid, place + 1, axis=1)
    )
    if metal.any():
        angle = np.interp(rows, column.y, column.angle)
        normal = rows[:, None] + across[None, :] * np.sin(angle)[:, None]  # the row whose normal passes here
        along = np.interp(normal, column.y, np.arange(column.y.size))
        seen &= ~metal[np.round(along).astype(np.intp), metal.shape[1] // 2 + across[None, :]]
    reach = round(3 * SLOPE_SD_MM / anatomy.GRID_MM)
    slope = ndimage.gaussian_filter1d(
        value, SLOPE_SD_MM / anatomy.GRID_MM, axis=1, order=1, mode="nearest", radius=reach
    )
    whole = ndimage.minimum_filter1d(seen.astype(np.uint8), 2 * reach + 1, axis=1, mode="nearest") > 0
    u_mm = np.arange(-half, half + 1) * np.float64(anatomy.GRID_MM)
    return _Strip(np.asarray(slope, dtype=np.float64), whole, np.asarray(u_mm, dtype=np.float64))


def _bands(strip: _Strip, lines: NDArray[np.intp]) -> tuple[Image, Image]:
    """Average the slopes just above and just below each line; 0 where either was not seen."""
    mean = np.cumsum(np.pad(strip.slope, ((1, 0), (0, 0))), axis=0)
    mean = (mean[BAND_ROWS:] - mean[:-BAND_ROWS]) / BAND_ROWS
    seen = _seen(strip, lines)
    return np.where(seen, mean[lines - BAND_ROWS], 0.0), np.where(seen, mean[lines], 0.0)


def _seen(strip: _Strip, lines: NDArray[np.intp]) -> Mask:
    count = np.cumsum(np.pad(strip.seen.astype(np.intp), ((1, 0), (0, 0))), axis=0)
    return np.asarray(count[lines + BAND_ROWS] - count[lines - BAND_ROWS] == 2 * BAND_ROWS)


def _halves(strip: _Strip, lines: NDArray[np.intp], width_mm: Image) -> tuple[Mask, Mask]:
    """Return for each line where its left and its right half are compared; nowhere if hardly seen."""
    inside = np.abs(strip.u_mm)[None, :] < width_mm[:, None]
    seen = _seen(strip, lines)
    found = []
    for side in (strip.u_mm <= 0, strip.u_mm >= 0):
        half = inside & side
        share = np.count_nonzero(half & seen, axis=1) / np.maximum(np.count_nonzero(half, axis=1), 1)
        found.append(half & (share >= SEEN)[:, None])
    return found[0], found[1]


def _best_gains(above: Image, below: Image, halves: tuple[Mask, Mask]) -> tuple[Image, Image]:
    """Return the gain of the best common displacement of each line, and that displacement [mm].

    No correlation exceeds 1, so a line of which either half already matches is not searched.
    """
    still = [_correlation(above, below, half) for half in halves]
    gain, step = np.zeros(still[0].size), np.zeros(still[0].size)
    worth = np.flatnonzero(np.maximum(*still) < 1.0 - GAIN_MIN)
    above, below = above[worth], below[worth]
    (left, still_left), (right, still_right) = (
        (half[worth], own[worth]) for half, own in zip(halves, still, strict=True)
    )
    reach = round(REACH_MM / anatomy.GRID_MM)
    for displaced in range(-reach, reach + 1):
        a = np.roll(above, displaced // 2, axis=1)
        b = np.roll(below, displaced // 2 - displaced, axis=1)
        of_left = _correlation(a, b, left) - still_left
        open_ = np.flatnonzero(of_left > gain[worth])  # the other half cannot make up for this one
        least = np.minimum(
            of_left[open_], _correlation(a[open_], b[open_], right[open_]) - still_right[open_]
        )
        better = least > gain[worth[open_]]
        gain[worth[open_[better]]] = least[better]
        step[worth[open_[better]]] = displaced * anatomy.GRID_MM
    return gain, step


def _correlation(above: Image, below: Image, half: Mask) -> Image:
    """Correlate what lies above with what lies below, in one half; 1 where that was not seen."""
    a, b = np.where(half, above, 0.0), np.where(half, below, 0.0)
    energy = np.sum(a * a, axis=1) * np.sum(b * b, axis=1)
    found = np.sum(a * b, axis=1) / np.sqrt(energy + _FLAT)
    return np.where(half.any(axis=1), found, 1.0)


def _peaks(gain: Image) -> list[int]:
    """Return the lines that gain enough and most within `APART_MM`."""
    near = 2 * round(APART_MM / anatomy.GRID_MM) + 1
    highest = ndimage.maximum_filter1d(gain, near, mode="constant")
    found: list[int] = []
    for index in np.flatnonzero((gain >= GAIN_MIN) & (gain == highest)).tolist():
        if not found or index - found[-1] > near // 2:
            found.append(index)
    return found
