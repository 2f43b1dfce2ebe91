"""An RGB report page with a small picture of the spine inside: what many scanners export instead of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tbsnode.phantom.drawing import Truth
from tbsnode.phantom.letters import text_mask
from tbsnode.phantom.scanners import ScannedImage

Rgb = NDArray[np.uint8]
Color = tuple[int, int, int]

PAGE_SHAPE = (1400, 1200)
PICTURE_CORNER = (300, 90)
BLACK: Color = (0, 0, 0)
BLUE: Color = (20, 40, 140)
YELLOW: Color = (255, 230, 0)
GREEN: Color = (40, 170, 70)
REPORTED = ("L1", "L2", "L3", "L4")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Page:
    """A report page and where the picture is on it.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (1400, 1200, 3)
        Red, green, blue.
    picture : (int, int, int, int)
        Left, top, width, height of the picture [pixels].
    table : tuple of tuples of str
        The printed results, header first.
    """

    pixels: Rgb
    picture: tuple[int, int, int, int]
    table: tuple[tuple[str, ...], ...]


def report_page(image: ScannedImage, truth: Truth, header: Sequence[str], *, lines: bool = True) -> Page:
    """Draw a report page.

    Parameters
    ----------
    image : ScannedImage
        The picture; shown with two screen pixels for each of its own.
    truth : Truth
        Of the drawing that was scanned: edges, lines and results.
    header : sequence of str
        Lines of text at the top, as name and date of birth.
    lines : bool
        Draw bone edges, disc lines and labels into the picture.

    Returns
    -------
    Page
        White, with black text and a gray picture.
    """
    pixels = np.full((*PAGE_SHAPE, 3), 255, dtype=np.uint8)
    _write(pixels, (40, 60), "BONE DENSITY REPORT", BLUE, 4)
    for k, line in enumerate(header):
        _write(pixels, (100 + 24 * k, 60), line, BLACK, 2)
    pixels[276:280, 60:1140] = BLUE
    gray = _as_gray(image)
    high, wide = gray.shape
    top, left = PICTURE_CORNER
    pixels[top - 2 : top + high + 2, left - 2 : left + wide + 2] = BLACK
    pixels[top : top + high, left : left + wide] = gray[:, :, None]
    if lines:
        _draw_regions(pixels[top : top + high, left : left + wide], image, truth)
    _write(pixels, (top + high + 12, left), "IMAGE NOT FOR DIAGNOSTIC USE", BLACK, 2)
    table = results_table(truth)
    for row, cells in enumerate(table):
        for column, cell in enumerate(cells):
            _write(pixels, (340 + 36 * row, 720 + 110 * column), cell, BLACK, 2)
    pixels[366:368, 710:1150] = BLACK
    _draw_reference(pixels)
    return Page(pixels=pixels, picture=(left, top, wide, high), table=table)


def results_table(truth: Truth) -> tuple[tuple[str, ...], ...]:
    """Return region, area, mineral content and density as a report prints them."""
    rows = [("REGION", "AREA", "BMC", "BMD")]
    total_area, total_content = 0.0, 0.0
    for level in truth.levels:
        if level.label not in REPORTED:
            continue
        area_cm2 = level.area_mm2 / 100.0
        content = area_cm2 * level.areal_density
        rows.append((level.label, f"{area_cm2:.2f}", f"{content:.2f}", f"{level.areal_density:.3f}"))
        total_area, total_content = total_area + area_cm2, total_content + content
    if total_area:
        rows.append(
            ("TOTAL", f"{total_area:.2f}", f"{total_content:.2f}", f"{total_content / total_area:.3f}")
        )
    return tuple(rows)


def _as_gray(image: ScannedImage) -> NDArray[np.uint8]:
    """Return the picture as a screen shows it, two pixels for each of its own where it fits."""
    values = image.pixels.astype(np.float64)
    low, high = np.quantile(values, (0.05, 0.997))
    gray: NDArray[np.uint8] = np.round(
        np.clip((values - low) / max(high - low, 1.0), 0.0, 1.0) * 235.0 + 15.0
    ).astype(np.uint8)
    if gray.shape[1] <= 290:
        gray = gray.repeat(2, axis=0).repeat(2, axis=1)
    return gray


def _draw_regions(picture: Rgb, image: ScannedImage, truth: Truth) -> None:
    zoom = picture.shape[0] // image.pixels.shape[0]
    for level in truth.levels:
        if level.label not in REPORTED:
            continue
        ring = image.to_pixels(level.ring_mm) * zoom
        _polyline(picture, ring, YELLOW)
        row = int(image.to_pixels(level.center_mm)[0] * zoom)
        _write(picture, (row, 12), level.label, YELLOW, 2)
    for line in truth.disc_lines:
        ends = image.to_pixels(np.array([line.left_mm, line.right_mm])) * zoom
        _polyline(picture, ends, (255, 255, 255))


def _polyline(picture: Rgb, points: NDArray[np.float64], color: Color) -> None:
    for start, end in pairwise(points):
        count = int(np.abs(end - start).max() * 1.5) + 2
        dots = np.round(np.linspace(start, end, count)).astype(int)
        inside = ((dots >= 0) & (dots < picture.shape[:2])).all(axis=1)
        picture[dots[inside, 0], dots[inside, 1]] = color


def _draw_reference(pixels: Rgb) -> None:
    """Draw the colored chart of density over age that such pages carry."""
    top, left, high, wide = 640, 720, 300, 420
    for row in range(high):
        part = row / high
        color = GREEN if part < 0.4 else (YELLOW if part < 0.65 else (220, 60, 40))
        pixels[top + row, left : left + wide] = color
    ages = np.linspace(0.0, 1.0, wide)
    for offset in (0.22, 0.40, 0.58):
        curve = (top + high * (offset + 0.25 * ages**2)).astype(int)
        pixels[curve, left + np.arange(wide)] = BLACK
    pixels[top + 150 : top + 160, left + 250 : left + 260] = BLACK
    _write(pixels, (top + high + 12, left), "AGE  20   40   60   80", BLACK, 2)


def _write(pixels: Rgb, corner: tuple[int, int], text: str, color: Color, dot_px: int) -> None:
    top, left = corner
    ink = text_mask(text, dot_px=dot_px)
    block = pixels[top : top + ink.shape[0], left : left + ink.shape[1]]
    block[ink[: block.shape[0], : block.shape[1]]] = color
