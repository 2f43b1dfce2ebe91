"""The picture on a report page: its gray levels, its size on the screen, and the ink in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from tbsnode.phantom.drawing import DiscLine, Truth
from tbsnode.phantom.page_ink import Canvas, draw_line, write
from tbsnode.phantom.page_layout import BLACK, NOT_DIAGNOSTIC, WHITE, Color, Layout
from tbsnode.phantom.page_table import REPORTED
from tbsnode.phantom.scanners import ScannedImage

Array = NDArray[np.float64]
Box = tuple[int, int, int, int]

LEFT_BAR_MM = 28.0  # from the widest level's left edge
LABEL_LEFT_PX = 12
CAPTION_LINE_PX = 24
SCAN_LINE_MM = 1.0
ON_LINE_PX = 0.05
NECK_MM = ((58.0, 76.0), (73.0, 63.0), (93.0, 88.0), (78.0, 101.0), (58.0, 76.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineOnPage:
    """A mid-disc line as drawn.

    Attributes
    ----------
    name : str
        The two levels it parts, ``"T12/L1"``.
    ends : ndarray of shape (2, 2)
        (row, column) of the left and the right end on the page, pixel centers at integers.
    """

    name: str
    ends: Array


def native_gray(image: ScannedImage) -> NDArray[np.uint8]:
    """Return the gray levels under which a screen shows a picture, one pixel for each of its own.

    Parameters
    ----------
    image : ScannedImage
        A display copy keeps its gray levels; 16 bits are windowed to 15..250.

    Returns
    -------
    ndarray of uint8, shape (M, N)
        Bone bright.
    """
    if image.pixels.dtype == np.uint8:
        return image.pixels.astype(np.uint8)
    values = image.pixels.astype(np.float64)
    low, high = np.quantile(values, (0.05, 0.997))
    scaled = np.clip((values - low) / max(high - low, 1.0), 0.0, 1.0) * 235.0 + 15.0
    result: NDArray[np.uint8] = np.round(scaled).astype(np.uint8)
    return result


def enlarge(gray: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    """Return a picture in the size in which a page shows it.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        One pixel for each of the picture's own.
    layout : Layout
        Gives the zoom.

    Returns
    -------
    ndarray of uint8
        Pixels copied `zoom` times along rows and columns, or interpolated.
    """
    if layout.smooth_zoom is None:
        return gray.repeat(layout.zoom, axis=0).repeat(layout.zoom, axis=1)
    shape = [round(count * layout.smooth_zoom) for count in gray.shape]
    rows, columns = ((np.arange(shape[axis]) + 0.5) * gray.shape[axis] / shape[axis] - 0.5 for axis in (0, 1))
    places = np.meshgrid(rows, columns, indexing="ij")
    shown = map_coordinates(gray.astype(np.float64), places, order=1, mode="nearest")
    result: NDArray[np.uint8] = np.round(shown).astype(np.uint8)
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """A picture in its place.

    Attributes
    ----------
    image : ScannedImage
        What is shown.
    box : (int, int, int, int)
        Left, top, width and height on the page [pixels].
    zoom : float
        Screen pixels for each pixel of the picture.
    """

    image: ScannedImage
    box: Box
    zoom: float

    def on_page(self, points_mm: Array | tuple[float, float]) -> Array:
        """Return (row, column) of field points on the page, pixel centers at integers."""
        left, top, _, _ = self.box
        result: Array = (self.image.to_pixels(points_mm) + 0.5) * self.zoom - 0.5 + (top, left)
        return result


def level_rings(placed: Placed, truth: Truth) -> dict[str, Array]:
    """Return the true regions of L1-L4 on the page, closed, as (row, column)."""
    return {
        level.label: placed.on_page(level.ring_mm)
        for level in truth.levels
        if level.label in REPORTED and level.visible > 0.0
    }


def level_lines(placed: Placed, truth: Truth, layout: Layout) -> tuple[LineOnPage, ...]:
    """Return the mid-disc lines around L1-L4 as the page draws them, beyond the bone or from a bar."""
    wanted = [line for line in truth.disc_lines if set(line.name.split("/")) & set(REPORTED)]
    if not wanted:
        return ()
    origin_mm, wide_mm = placed.image.origin_mm[1], placed.image.field_mm[1]
    bar_mm = max(min(line.left_mm[1] for line in wanted) - LEFT_BAR_MM, origin_mm + 0.1 * wide_mm)
    right_mm = max(line.right_mm[1] for line in wanted) + layout.line_reach_mm
    right_mm = min(right_mm, origin_mm + 0.95 * wide_mm)
    lines = []
    for line in wanted:
        start, end = (bar_mm, right_mm) if layout.left_bar else _beyond(line, layout.line_reach_mm)
        points = [(_row_at(line, column), column) for column in (start, end)]
        lines.append(LineOnPage(name=line.name, ends=placed.on_page(np.array(points))))
    return tuple(lines)


def _beyond(line: DiscLine, reach_mm: float) -> tuple[float, float]:
    return line.left_mm[1] - reach_mm, line.right_mm[1] + reach_mm


def _row_at(line: DiscLine, column_mm: float) -> float:
    (top, left), (bottom, right) = line.left_mm, line.right_mm
    return top + (bottom - top) * (column_mm - left) / (right - left)


def draw_spine_ink(page: Canvas, placed: Placed, truth: Truth, layout: Layout) -> None:
    """Draw bone edges, mid-disc lines, bar and labels into the picture."""
    canvas = page.part(placed.box, antialiased=layout.antialiased)
    corner = (placed.box[1], placed.box[0])
    edge, line_color = ink_colors(layout)
    lines = level_lines(placed, truth, layout)
    for ring in level_rings(placed, truth).values():
        for side in _sides(ring, lines):
            draw_line(canvas, side - corner, edge, layout.line_width_px)
    for line in lines:
        dashed = layout.dashed_last and line is lines[-1]
        draw_line(canvas, line.ends - corner, line_color, layout.line_width_px, dashed=dashed)
    if layout.left_bar and lines:
        bar = np.array([line.ends[0] for line in lines]) - corner
        bar[:, 1] = bar[0, 1]
        draw_line(canvas, bar, line_color, layout.line_width_px)


def _sides(ring: Array, lines: tuple[LineOnPage, ...]) -> list[Array]:
    """Return the parts of a region's ring that are bone edge and not mid-disc line."""
    kept = np.ones(len(ring) - 1, dtype=bool)  # segments
    for line in lines:
        along = line.ends[1] - line.ends[0]
        normal = np.array([along[1], -along[0]]) / np.hypot(*along)
        on_line = np.abs((ring - line.ends[0]) @ normal) < ON_LINE_PX
        kept &= ~(on_line[:-1] & on_line[1:])
    borders = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(int)))
    return [ring[start : end + 1] for start, end in zip(borders[::2], borders[1::2], strict=True)]


def draw_labels(page: Canvas, placed: Placed, truth: Truth, layout: Layout) -> None:
    """Write L1-L4 at the left of the picture or into the page's margin beside it."""
    inside = layout.labels == "inside"
    canvas = page.part(placed.box, antialiased=layout.antialiased) if inside else page
    left, top = (0, 0) if inside else placed.box[:2]
    for level in truth.levels:
        if level.label in REPORTED and level.visible > 0.0:
            row = int(placed.on_page(level.center_mm)[0]) - placed.box[1] + top - 7
            column = LABEL_LEFT_PX if inside else left - layout.frame_px - 32
            write(canvas, (row, column), level.label, ink_colors(layout)[1] if inside else BLACK)


def draw_neck_box(page: Canvas, placed: Placed, layout: Layout) -> None:
    """Draw the box of the femoral neck into a picture of the hip."""
    canvas = page.part(placed.box, antialiased=layout.antialiased)
    corners = placed.on_page(np.array(NECK_MM)) - (placed.box[1], placed.box[0])
    draw_line(canvas, corners, ink_colors(layout)[1], layout.line_width_px)


def write_caption(page: Canvas, placed: Placed, truth: Truth | None, layout: Layout) -> None:
    """Write the caption below the picture or over its lower left."""
    texts = [NOT_DIAGNOSTIC]
    if layout.calibration:
        texts += ["K = 1.130, D0 = 48.6", *_region_size(placed, truth, layout)]
    left, top, _, high = placed.box
    if layout.caption == "over":
        canvas = page.part(placed.box, antialiased=layout.antialiased)
        color = BLACK if layout.inverted else WHITE
        first = high - 12 - CAPTION_LINE_PX * len(texts)
        places = [(first + CAPTION_LINE_PX * k, 10) for k in range(len(texts))]
    else:
        canvas, color = page, BLACK
        places = [(top + high + 12 + CAPTION_LINE_PX * k, left) for k in range(len(texts))]
    for place, text in zip(places, texts, strict=True):
        write(canvas, place, text, color)


def _region_size(placed: Placed, truth: Truth | None, layout: Layout) -> list[str]:
    """Return the size of the region of interest in scan lines, as ``116 X 135``."""
    lines = () if truth is None else level_lines(placed, truth, layout)
    if not lines:
        return []
    (top, left), (_, right) = lines[0].ends
    bottom = lines[-1].ends[0, 0]
    step_mm = np.array(placed.image.pixel_spacing_mm) / placed.zoom
    wide, high = (right - left) * step_mm[1], (bottom - top) * step_mm[0]
    return [f"{round(wide / SCAN_LINE_MM)} X {round(high / SCAN_LINE_MM)}"]


def ink_colors(layout: Layout) -> tuple[Color, Color]:
    """Return the colors of bone edges and of lines in the picture."""
    if layout.colored:
        return layout.edge_color, layout.line_color
    return (BLACK, BLACK) if layout.inverted else (WHITE, WHITE)
