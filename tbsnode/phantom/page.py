"""A report page with a small picture of the spine inside: what many scanners export instead of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbsnode.phantom.drawing import Truth
from tbsnode.phantom.page_ink import Canvas, write
from tbsnode.phantom.page_layout import (
    BLACK,
    BLUE,
    GREEN,
    NOT_DIAGNOSTIC,
    RED,
    WHITE_PAGE,
    YELLOW,
    Color,
    Layout,
)
from tbsnode.phantom.page_picture import (
    Box,
    LineOnPage,
    Placed,
    draw_labels,
    draw_neck_box,
    draw_spine_ink,
    enlarge,
    level_lines,
    level_rings,
    native_gray,
    write_caption,
)
from tbsnode.phantom.page_table import Cells, PrintedTable, printed_tables
from tbsnode.phantom.scanners import ScannedImage

__all__ = ["Page", "report_page"]

MARGIN_PX = 60
HEAD_PX = 300  # pictures and tables start below
PICTURE_LEFT_PX = 90
CAPTION_PX = 90  # below a picture
GAP_PX = 34  # between picture and table
ROW_PX = 28
LETTER_PX = 12
CHART_SHAPE = (300, 420)
NO_BOX: Box = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Page:
    """A report page and the truth about it.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (M, N, 3) or (M, N)
        Red, green, blue, or gray.
    picture : (int, int, int, int)
        Left, top, width, height of the picture [pixels], without its frame; of the spine if there
        are two; zeros without a picture.
    companion : (int, int, int, int)
        The same of the second picture, zeros if there is none.
    zoom : float
        Page pixels for each pixel of the picture; not a whole number if it was interpolated.
    inverted : bool
        Bone is dark on the page.
    gray : ndarray of uint8
        What is shown in the picture before zoom, inversion and ink: bone bright.
    ink : ndarray of bool, shape (height, width)
        True on the pixels of the picture that edges, lines, labels or captions changed.
    pixel_spacing_mm : (float, float)
        Distance of rows and of columns of `gray` [mm]; zeros without a picture.
    table, ancillary : tuple of tuples of str
        The printed results, header first; the second table, empty if there is none.
    rings : mapping of str to ndarray of shape (K, 2)
        The true regions of the levels, closed, as (row, column) on the page, drawn or not.
    lines : tuple of LineOnPage
        The mid-disc lines, drawn or not.
    """

    pixels: NDArray[np.uint8]
    picture: Box
    companion: Box
    zoom: float
    inverted: bool
    gray: NDArray[np.uint8]
    ink: NDArray[np.bool_]
    pixel_spacing_mm: tuple[float, float]
    table: Cells
    ancillary: Cells
    rings: Mapping[str, NDArray[np.float64]]
    lines: tuple[LineOnPage, ...]


def report_page(
    image: ScannedImage | None,
    truth: Truth | None,
    header: Sequence[str],
    *,
    lines: bool = True,
    layout: Layout = WHITE_PAGE,
    companion: ScannedImage | None = None,
) -> Page:
    """Draw a report page.

    Parameters
    ----------
    image : ScannedImage or None
        The picture; None: a page without one.
    truth : Truth or None
        Of the drawing that was scanned: edges, lines and results; None: a hip.
    header : sequence of str
        Lines of text at the top, as name and date of birth.
    lines : bool
        Draw bone edges, disc lines and labels into the picture, if the layout has them.
    layout : Layout
        How the page is composed.
    companion : ScannedImage or None
        A picture of the hip below the first.

    Returns
    -------
    Page
        White, with black text and a gray picture.

    Raises
    ------
    ValueError
        If pictures or tables do not fit the page.
    """
    canvas = Canvas(
        pixels=np.full((*layout.shape, 3), 255, dtype=np.uint8), ink=np.zeros(layout.shape, dtype=bool)
    )
    _write_head(canvas, header, layout)
    placed = _place([picture for picture in (image, companion) if picture is not None], layout)
    for one in placed:
        _show(canvas, one, layout)
    canvas.ink[:] = False  # from here on: what is drawn over the pictures
    for k, one in enumerate(placed):
        _draw_ink(canvas, one, truth if k == 0 else None, layout, lines=lines)
    first = placed[0] if placed else None
    ink = _cut(canvas.ink, first.box if first else NO_BOX).copy()
    tables = printed_tables(truth, layout)
    if layout.table:
        _draw_results(canvas, tables, placed, layout)
    main, *more = ((table.heads, *table.rows) for table in tables)
    spine = first if truth is not None else None
    return Page(
        pixels=canvas.pixels if layout.colored else canvas.pixels[..., 0].copy(),
        picture=first.box if first else NO_BOX,
        companion=placed[1].box if len(placed) > 1 else NO_BOX,
        zoom=layout.smooth_zoom or layout.zoom,
        inverted=layout.inverted,
        gray=native_gray(first.image) if first else np.zeros((0, 0), dtype=np.uint8),
        ink=ink,
        pixel_spacing_mm=first.image.pixel_spacing_mm if first else (0.0, 0.0),
        table=main,
        ancillary=more[0] if more else (),
        rings=level_rings(spine, truth) if spine and truth else {},
        lines=level_lines(spine, truth, layout) if spine and truth else (),
    )


def _cut(pixels: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    left, top, wide, high = box
    return pixels[top : top + high, left : left + wide]


def _on_page(color: Color, layout: Layout) -> Color:
    """Return a color as the page can show it: uncolored pages keep its luminance (BT.601)."""
    if layout.colored:
        return color
    gray = round(0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2])
    return gray, gray, gray


def _write_head(canvas: Canvas, header: Sequence[str], layout: Layout) -> None:
    blue = _on_page(BLUE, layout)
    write(canvas, (40, MARGIN_PX), "BONE DENSITY REPORT", blue, 4)
    for k, line in enumerate(header):
        write(canvas, (100 + 24 * k, MARGIN_PX), line, BLACK)
    canvas.pixels[HEAD_PX - 24 : HEAD_PX - 20, MARGIN_PX : layout.shape[1] - MARGIN_PX] = blue


def _place(images: Sequence[ScannedImage], layout: Layout) -> list[Placed]:
    """Return the pictures one below the other in their corner of the page."""
    sizes = [enlarge(native_gray(image), layout).shape for image in images]
    rows, columns = layout.shape
    top = HEAD_PX
    if layout.place.startswith("lower"):
        top = rows - sum(size[0] + CAPTION_PX for size in sizes)
    placed = []
    for image, (high, wide) in zip(images, sizes, strict=True):
        left = columns - MARGIN_PX - wide if layout.place.endswith("right") else PICTURE_LEFT_PX
        if top < HEAD_PX or top + high > rows or left < 0 or left + wide > columns:
            raise ValueError(f"a picture of {high} x {wide} pixels does not fit the {layout.name}")
        zoom = high / image.pixels.shape[0]
        placed.append(Placed(image=image, box=(left, top, wide, high), zoom=zoom))
        top += high + CAPTION_PX
    return placed


def _show(canvas: Canvas, placed: Placed, layout: Layout) -> None:
    left, top, wide, high = placed.box
    edge = layout.frame_px
    canvas.pixels[top - edge : top + high + edge, left - edge : left + wide + edge] = BLACK
    gray = enlarge(native_gray(placed.image), layout)
    shown = 255 - gray if layout.inverted else gray
    canvas.pixels[top : top + high, left : left + wide] = shown[:, :, None]


def _draw_ink(canvas: Canvas, placed: Placed, truth: Truth | None, layout: Layout, *, lines: bool) -> None:
    if lines and layout.lines:
        if truth is None:
            draw_neck_box(canvas, placed, layout)
        else:
            draw_spine_ink(canvas, placed, truth, layout)
    if lines and truth is not None and layout.labels != "none":
        draw_labels(canvas, placed, truth, layout)
    if layout.caption != "none":
        write_caption(canvas, placed, truth, layout)


def _draw_results(
    canvas: Canvas, tables: Sequence[PrintedTable], placed: Sequence[Placed], layout: Layout
) -> None:
    """Write the tables beside the pictures, or below them where the page is too narrow."""
    wide = max(table.width_px for table in tables)
    top, left = _room(wide, [one.box for one in placed], layout)
    for table in tables:
        high = ROW_PX * (len(table.rows) + 2) + 12
        if top + high > layout.shape[0]:
            raise ValueError(f"the table does not fit the {layout.name}")
        _write_table(canvas, (top, left), table)
        top += high + 24
    if layout.chart and top + CHART_SHAPE[0] + 40 <= layout.shape[0]:
        _draw_reference(canvas, (top, left), layout)


def _room(wide: int, boxes: Sequence[Box], layout: Layout) -> tuple[int, int]:
    """Return top and left of the free place that is `wide` pixels wide."""
    if not boxes:
        return HEAD_PX, MARGIN_PX
    start = min(box[0] for box in boxes)
    end = max(box[0] + max(box[2], LETTER_PX * len(NOT_DIAGNOSTIC)) for box in boxes)
    if layout.place.endswith("left") and end + GAP_PX + wide <= layout.shape[1]:
        return HEAD_PX + 20, end + GAP_PX
    if layout.place.endswith("right") and 20 + wide + GAP_PX + 32 <= start:
        return HEAD_PX + 20, 20
    if layout.place.startswith("lower"):
        return HEAD_PX, MARGIN_PX
    return boxes[-1][1] + boxes[-1][3] + CAPTION_PX, MARGIN_PX


def _write_table(canvas: Canvas, corner: tuple[int, int], table: PrintedTable) -> None:
    top, left = corner
    for row, cells in enumerate((table.heads, table.units, *table.rows)):
        below_rule = 8 if row >= 2 else 0
        for offset, cell in zip(table.offsets_px, cells, strict=True):
            write(canvas, (top + ROW_PX * row + below_rule, left + offset), cell, BLACK)
    rule = top + 2 * ROW_PX - 3
    canvas.pixels[rule : rule + 2, left : left + table.width_px] = BLACK


def _draw_reference(canvas: Canvas, corner: tuple[int, int], layout: Layout) -> None:
    """Draw the colored chart of density over age that such pages carry."""
    (top, left), (high, wide) = corner, CHART_SHAPE
    pixels = canvas.pixels[top : top + high, left : left + wide]
    for row in range(high):
        part = row / high
        color = GREEN if part < 0.4 else (YELLOW if part < 0.65 else RED)
        pixels[row] = _on_page(color, layout)
    ages = np.linspace(0.0, 1.0, wide)
    for offset in (0.22, 0.40, 0.58):
        curve = (high * (offset + 0.25 * ages**2)).astype(int)
        pixels[curve, np.arange(wide)] = BLACK
    pixels[150:160, 250:260] = BLACK
    write(canvas, (top + high + 12, left), "AGE  20   40   60   80", BLACK)
