"""Text and lines on a page, and where they cover it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from tbsnode.phantom.letters import text_mask
from tbsnode.phantom.page_layout import Color

DASH_PX = (9.0, 6.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canvas:
    """Pixels that are drawn on, and a record of which ones were.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (M, N, 3)
        Red, green, blue.
    ink : ndarray of bool, shape (M, N)
        True where something was drawn.
    antialiased : bool
        Ink blends at its edges.
    """

    pixels: NDArray[np.uint8]
    ink: NDArray[np.bool_]
    antialiased: bool = False

    def part(self, box: tuple[int, int, int, int], *, antialiased: bool) -> Canvas:
        """Return the canvas of a box, left, top, width and height; drawing there draws here."""
        left, top, wide, high = box
        rows, columns = slice(top, top + high), slice(left, left + wide)
        return Canvas(pixels=self.pixels[rows, columns], ink=self.ink[rows, columns], antialiased=antialiased)


def write(canvas: Canvas, corner: tuple[int, int], text: str, color: Color, dot_px: int = 2) -> None:
    """Write one line of text.

    Parameters
    ----------
    canvas : Canvas
        Where; what runs over its border is lost.
    corner : (int, int)
        Top and left of the first letter [pixels].
    text : str
        What.
    color : Color
        Of the ink.
    dot_px : int
        Side of a dot of the letters [pixels].
    """
    cover = text_mask(text, dot_px=dot_px).astype(np.float64)
    if canvas.antialiased:
        cover = uniform_filter(np.pad(cover, 1), size=2, mode="constant")
        corner = (corner[0] - 1, corner[1] - 1)
    _blend(canvas, corner, cover, color)


def draw_line(
    canvas: Canvas,
    points: NDArray[np.float64] | Sequence[tuple[float, float]],
    color: Color,
    width_px: int = 1,
    *,
    dashed: bool = False,
) -> None:
    """Draw a line through points.

    Parameters
    ----------
    canvas : Canvas
        Where; what runs over its border is lost.
    points : ndarray of shape (K, 2)
        (row, column), pixel centers at integers.
    color : Color
        Of the ink.
    width_px : int
        Width of the line [pixels].
    dashed : bool
        With gaps.
    """
    track = np.asarray(points, dtype=np.float64)
    low = np.floor(track.min(axis=0)).astype(int) - width_px - 1
    size = np.ceil(track.max(axis=0)).astype(int) + width_px + 2 - low
    cover = np.zeros(tuple(size))
    for start, end in _dashes(track) if dashed else pairwise(track - low):
        shift = low if dashed else 0
        if canvas.antialiased:
            _cover_smoothly(cover, start - shift, end - shift, width_px)
        else:
            _cover_dots(cover, start - shift, end - shift, width_px)
    _blend(canvas, (int(low[0]), int(low[1])), cover, color)


def _dashes(track: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Cut a line of two points into dashes."""
    start, end = track[0], track[-1]
    length = float(np.hypot(*(end - start)))
    begins = np.arange(0.0, max(length, 1.0), sum(DASH_PX))
    along = (end - start) / max(length, 1e-9)
    return [(start + along * begin, start + along * min(begin + DASH_PX[0], length)) for begin in begins]


def _cover_dots(
    cover: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64], width_px: int
) -> None:
    count = int(np.abs(end - start).max() * 1.5) + 2
    dots = np.floor(np.linspace(start, end, count) + 0.5).astype(int)
    for down in range(width_px):
        for right in range(width_px):
            cover[dots[:, 0] + down, dots[:, 1] + right] = 1.0


def _cover_smoothly(
    cover: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64], width_px: int
) -> None:
    """Cover each pixel as far as the line's band reaches into it: a linear ramp one pixel wide."""
    low = np.maximum(np.floor(np.minimum(start, end)).astype(int) - width_px - 1, 0)
    high = np.ceil(np.maximum(start, end)).astype(int) + width_px + 2
    block = cover[low[0] : high[0], low[1] : high[1]]
    rows, columns = np.indices(block.shape)
    along = end - start
    length2 = max(float(along @ along), 1e-12)
    down, right = rows + low[0] - start[0], columns + low[1] - start[1]
    part = np.clip((down * along[0] + right * along[1]) / length2, 0.0, 1.0)
    distance = np.hypot(down - part * along[0], right - part * along[1])
    np.maximum(block, np.clip(width_px / 2.0 + 0.5 - distance, 0.0, 1.0), out=block)


def _blend(canvas: Canvas, corner: tuple[int, int], cover: NDArray[np.float64], color: Color) -> None:
    """Put ink on the canvas as far as `cover` says, 1 opaque."""
    top, left = corner
    rows, columns = canvas.ink.shape
    cut = cover[max(-top, 0) : max(rows - top, 0), max(-left, 0) : max(columns - left, 0)]
    top, left = max(top, 0), max(left, 0)
    area = slice(top, top + cut.shape[0]), slice(left, left + cut.shape[1])
    block = canvas.pixels[area]
    mixed = block * (1.0 - cut[..., None]) + np.array(color) * cut[..., None]
    canvas.pixels[area] = np.round(mixed).astype(np.uint8)
    canvas.ink[area] |= cut > 0.0
