"""The scanner's own regions, read from the lines that it drew on its picture.

An outline and the lines between levels close one cell a level. The cells of a spine stand in a column;
other closed figures (a bar beside the spine, a box around it) stand beside it or are something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Image = NDArray[np.float64]
Point = tuple[float, float]

GAPS = (0, 2, 4)  # page pixels on each side by which broken lines are closed
CELL_MIN, CELL_MAX = 0.005, 0.15  # of the picture
CELL_ASPECT = (0.25, 2.5)  # height over width
CELL_FILL = 0.6  # of its bounding box; a figure around another has less
SHARED_WIDTH = 0.6  # of the narrower of two cells, one above the other
APART = (0.7, 1.4)  # distance of two cells' middles over the mean of their heights
CELLS_MIN, CELLS_MAX = 2, 8
CONTRAST_MIN = 4.0  # gray levels; bone against both its sides
LINE_MAX = 8  # page pixels; the width of a line
MIDDLE_PX = 0.25  # a page pixel this near to the middle of a line counts half


@dataclass(frozen=True, slots=True)
class Cell:
    """One closed cell, to the middle of the lines around it.

    Attributes
    ----------
    area_px : float
        Pixels of the picture.
    ring : tuple of (row, column)
        Closed; pixel centers of the picture at integers.
    upper, lower : ((row, column), (row, column))
        Left and right end of the lines that it ends at.
    """

    area_px: float
    ring: tuple[Point, ...]
    upper: tuple[Point, Point]
    lower: tuple[Point, Point]


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """The cells of a spine, from the head down.

    Attributes
    ----------
    cells : tuple of Cell
        At least two.
    bright : bool
        True where the picture is brighter inside than at both sides.
    """

    cells: tuple[Cell, ...]
    bright: bool


def find_cells(gray: Image, drawn: Mask, scale: int, expected: int) -> Cells | None:
    """Find the column of closed cells that holds the spine.

    Parameters
    ----------
    gray : ndarray of shape (M, N)
        Gray levels of the picture.
    drawn : ndarray of shape (M * scale, N * scale)
        Page pixels of the picture that something is drawn on.
    scale : int
        Page pixels along one side of a picture pixel.
    expected : int
        So many cells are enough; broken lines are closed by ever wider gaps until they are found.

    Returns
    -------
    Cells or None
        None where no lines close two cells that differ from what is at both their sides.
    """
    if not drawn.any():
        return None
    best: tuple[int, float, _Column] | None = None
    for gap in GAPS:
        found = [(len(c.numbers), _contrast(gray, c, scale), c) for c in _columns(drawn, gap)]
        found = [one for one in found if abs(one[1]) >= CONTRAST_MIN]
        # among columns of one picture the clearest is the spine; a wider gap must add a cell
        clearest = max(found, key=lambda one: (one[0], abs(one[1])), default=None)
        if clearest is not None and (best is None or clearest[0] > best[0]):
            best = clearest
        if best is not None and best[0] >= expected:
            break
    if best is None:
        return None
    cells = tuple(_cell(best[2], drawn, number, scale) for number in best[2].numbers)
    return Cells(cells, best[1] > 0)


@dataclass(frozen=True, eq=False, slots=True)
class _Column:
    """Labels of stacked cells on a labeled picture."""

    labels: NDArray[np.int32]
    places: list[tuple[slice, slice]]
    numbers: tuple[int, ...]
    gap: int


def _contrast(gray: Image, column: _Column, scale: int) -> float:
    """Return how much brighter cells are than both their sides; 0 where the sides do not agree."""
    steps = []
    for rows, columns in (column.places[n - 1] for n in column.numbers):
        top, bottom = rows.start // scale, max(rows.stop // scale, rows.start // scale + 1)
        left, right = columns.start // scale, columns.stop // scale
        width = max((right - left) // 2, 1)
        inside = np.mean(gray[top:bottom, left:right])
        beside = gray[top:bottom, max(left - width, 0) : left], gray[top:bottom, right : right + width]
        steps.append([float(inside - np.mean(part)) if part.size else 0.0 for part in beside])
    on_left, on_right = np.mean(np.array(steps), axis=0)
    return float(np.sign(on_left) * min(abs(on_left), abs(on_right))) if on_left * on_right > 0 else 0.0


def _columns(drawn: Mask, gap: int) -> list[_Column]:
    lines = _widened(drawn, gap)
    labels, _ = ndimage.label(~lines)
    places = ndimage.find_objects(labels)
    sizes = np.bincount(labels.ravel())
    cells = [n + 1 for n, place in enumerate(places) if _is_cell(place, int(sizes[n + 1]), drawn.shape)]
    cells.sort(key=lambda n: places[n - 1][0].start + places[n - 1][0].stop)
    columns: list[list[int]] = []
    for number in cells:
        column = next((c for c in columns if _is_below(places[c[-1] - 1], places[number - 1])), None)
        if column is None:
            columns.append([number])
        else:
            column.append(number)
    return [
        _Column(labels, places, tuple(column), gap)
        for column in columns
        if CELLS_MIN <= len(column) <= CELLS_MAX
    ]


def _is_cell(place: tuple[slice, slice], size: int, shape: tuple[int, ...]) -> bool:
    rows, columns = place
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    inside = rows.start > 0 and columns.start > 0 and rows.stop < shape[0] and columns.stop < shape[1]
    fits = CELL_MIN <= size / (shape[0] * shape[1]) <= CELL_MAX
    return bool(
        inside
        and fits
        and CELL_ASPECT[0] <= high / wide <= CELL_ASPECT[1]
        and size >= CELL_FILL * high * wide
    )


def _is_below(above: tuple[slice, slice], place: tuple[slice, slice]) -> bool:
    (rows, columns), (other_rows, other_columns) = above, place
    shared = min(columns.stop, other_columns.stop) - max(columns.start, other_columns.start)
    narrower = min(columns.stop - columns.start, other_columns.stop - other_columns.start)
    apart = (other_rows.start + other_rows.stop - rows.start - rows.stop) / 2
    height = (rows.stop - rows.start + other_rows.stop - other_rows.start) / 2
    return bool(shared >= SHARED_WIDTH * narrower and APART[0] <= apart / height <= APART[1])


def _cell(column: _Column, drawn: Mask, number: int, scale: int) -> Cell:
    """Extend a cell to the middle of the lines around it."""
    rows, columns = column.places[number - 1]
    margin = LINE_MAX + column.gap
    top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
    window = (slice(top, rows.stop + margin), slice(left, columns.stop + margin))
    inside, outside = _closed(column.labels[window], drawn[window], number, column.gap)
    to_cell = ndimage.distance_transform_edt(~inside)
    to_other = ndimage.distance_transform_edt(~outside)
    belongs = inside | (~outside & (to_cell <= np.minimum(to_other, LINE_MAX)))
    middle = belongs & ~inside & (to_other - to_cell < MIDDLE_PX)
    area = np.count_nonzero(belongs) - 0.5 * np.count_nonzero(middle)
    upper, lower = (_end(belongs, (top, left), scale, upper=upper) for upper in (True, False))
    return Cell(float(area) / scale**2, _ring(belongs, top, left, scale), upper, lower)


def _closed(labels: NDArray[np.int32], drawn: Mask, number: int, gap: int) -> tuple[Mask, Mask]:
    """Return what is inside and outside of a cell; what was closed beside a line goes to its side."""
    inside, outside = labels == number, (labels != 0) & (labels != number)
    for _ in range(2 * gap):
        free = ~(drawn | inside | outside)
        grown = _widened(inside, 1, corners=False) & free
        outside |= _widened(outside, 1, corners=False) & free
        inside |= grown & ~outside
    rest, count = ndimage.label(~(drawn | inside | outside))  # corners too narrow for the gap
    if gap and count:
        reached = np.zeros(count + 1, dtype=np.bool_)
        reached[rest[_widened(outside, 1, corners=False)]] = True
        reached[0] = False
        outside |= reached[rest]
    return inside, outside


def _widened(mask: Mask, by: int, *, corners: bool = True) -> Mask:
    """Widen a mask by a few pixels, as a square or along rows and columns only."""
    wide = mask.copy()
    for axis in (0, 1):
        source = wide.copy() if corners else mask
        for step in range(1, by + 1):
            ahead, behind = (slice(step, None), slice(None, -step))
            wide_view, source_view = (wide, source) if axis == 0 else (wide.T, source.T)
            wide_view[ahead] |= source_view[behind]
            wide_view[behind] |= source_view[ahead]
    return wide


def _to_picture(page: NDArray[Any] | float, scale: int) -> Image:
    """Turn page pixels of the cut-out into picture pixels, both with centers at integers."""
    return np.asarray((np.asarray(page, dtype=np.float64) + 0.5) / scale - 0.5)


def _ring(belongs: Mask, top: int, left: int, scale: int) -> tuple[Point, ...]:
    """Return the outline of a cell, a point a row on each side."""
    rows = np.flatnonzero(belongs.any(axis=1))
    first = np.argmax(belongs[rows], axis=1)
    last = belongs.shape[1] - 1 - np.argmax(belongs[rows, ::-1], axis=1)
    y = _to_picture(rows + float(top), scale)
    right, to_left = _to_picture(last + float(left), scale), _to_picture(first + float(left), scale)
    points = [*zip(y, right, strict=True), *zip(y[::-1], to_left[::-1], strict=True)]
    ring = [(round(float(r), 3), round(float(c), 3)) for r, c in points]
    return (*ring, ring[0])


def _end(belongs: Mask, corner: tuple[int, int], scale: int, *, upper: bool) -> tuple[Point, Point]:
    """Fit the line that a cell ends at, by the middle half of its columns."""
    columns = np.flatnonzero(belongs.any(axis=0))
    quarter = columns.size // 4
    core = columns[quarter : columns.size - quarter]
    first = np.argmax(belongs[:, core], axis=0)
    last = belongs.shape[0] - 1 - np.argmax(belongs[::-1][:, core], axis=0)
    slope, start = _robust_line(core.astype(np.float64), (first if upper else last).astype(np.float64))
    ends = []
    for column in (columns[0], columns[-1]):
        row = _to_picture(start + slope * column + corner[0], scale)
        ends.append((round(float(row), 3), round(float(_to_picture(column + float(corner[1]), scale)), 3)))
    return ends[0], ends[1]


def _robust_line(x: Image, y: Image) -> tuple[float, float]:
    """Fit a line twice, the second time without what lies far off."""
    use = np.ones(x.size, dtype=np.bool_)
    slope, start = 0.0, float(np.median(y))
    for _ in range(2):
        if np.count_nonzero(use) > 2 and np.ptp(x[use]) > 0:
            slope, start = (float(v) for v in np.polyfit(x[use], y[use], 1))
        off = np.abs(y - start - slope * x)
        use = off <= max(1.0, 2.0 * float(np.median(off)))
    return slope, start


def lines_of(cells: Sequence[Cell]) -> tuple[tuple[Point, Point], ...]:
    """Return the lines between a column's cells, with the first one's upper and the last one's lower end."""
    lines = [cells[0].upper]
    for above, below in pairwise(cells):
        pairs = zip(above.lower, below.upper, strict=True)
        ends = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairs]
        lines.append((ends[0], ends[1]))
    return (*lines, cells[-1].lower)
