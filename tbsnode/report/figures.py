"""The stored picture for people: gray window, outlines and labels, drawn with numpy alone.

Sky blue and orange (Okabe and Ito's palette) differ for every kind of color vision; left-out levels
are dashed as well, so that color is never the only sign. No identity is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbsnode.model import Analysis
from tbsnode.tbs.result import Vertebra

INCLUDED_RGB = (86, 180, 233)
EXCLUDED_RGB = (230, 159, 0)
WINDOW_PERCENTILES = (1.0, 99.5)
LABEL_HEIGHT = 0.16  # of the height of a level
MOST_SAMPLED = 40_000  # pixels that decide the window, about
FEWEST_SAMPLED = 2_000
FEWEST_VALUES = 16  # distinct gray values that a picture has and a frame of padding has not

_GLYPHS = {  # 5 rows of 3 columns
    "L": ("#..", "#..", "#..", "#..", "###"),
    "1": (".#.", "##.", ".#.", ".#.", "###"),
    "2": ("##.", "..#", ".#.", "#..", "###"),
    "3": ("###", "..#", ".##", "..#", "###"),
    "4": ("#.#", "#.#", "###", "..#", "..#"),
    "5": ("###", "#..", "##.", "..#", "##."),
    "T": ("###", ".#.", ".#.", ".#.", ".#."),
}

Gray = NDArray[np.uint8]
Picture = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Pen:
    """How one level is drawn on the matrix; lengths in pixels."""

    rgb: tuple[int, int, int]
    width: int
    dash: float  # length of dash and gap, 0 = solid
    scale: int  # pixels a dot of the label


def window(pixels: Picture) -> Gray:
    """Map a picture to gray levels so that bone and soft tissue are both seen.

    Parameters
    ----------
    pixels : ndarray of shape (M, N)
        Stored values, bone bright; padding, and values that are not finite, are drawn black.

    Returns
    -------
    ndarray of shape (M, N), uint8
        Linear between robust percentiles of the scanned field; padding does not count.
    """
    finite = np.isfinite(pixels)
    field = finite & ~_padding(pixels)
    sample = _sampled(pixels, field)
    if np.unique(sample).size < FEWEST_VALUES:
        field, sample = finite, _sampled(pixels, finite)
    if not sample.size:
        return np.zeros(pixels.shape, np.uint8)
    low, high = np.percentile(sample, WINDOW_PERCENTILES)
    if high <= low:
        low, high = float(pixels[field].min()), float(pixels[field].max())
    span = high - low if high > low else 1.0
    scaled = np.where(field, pixels, low)
    scaled -= low
    scaled *= 255.0 / span
    np.clip(scaled, 0.0, 255.0, out=scaled)
    return np.asarray(np.rint(scaled, out=scaled), np.uint8)


def _sampled(pixels: Picture, field: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the values of a field on an even grid, all of them where they are few."""
    step = max(1, math.isqrt(pixels.size // MOST_SAMPLED))
    thin: NDArray[np.float64] = pixels[::step, ::step][field[::step, ::step]]
    return thin if thin.size >= FEWEST_SAMPLED or step == 1 else pixels[field]


def overlay_rgb(pixels: Picture, analysis: Analysis) -> NDArray[np.uint8]:
    """Draw the measured regions and their labels on the stored matrix.

    Parameters
    ----------
    pixels : ndarray of shape (M, N)
        Stored values, bone bright.
    analysis : Analysis
        Levels to draw; none if it was refused before they were found.

    Returns
    -------
    ndarray of shape (M, N, 3), uint8
        Same matrix as the image, so that a viewer can lay one over the other.
    """
    rgb = np.repeat(window(pixels)[:, :, np.newaxis], 3, axis=2)
    for vertebra in analysis.vertebrae:
        if len(vertebra.region) >= 3:
            _draw_level(rgb, vertebra)
    return rgb


def _padding(pixels: Picture) -> NDArray[np.bool_]:
    """Mark what lies between the border and the picture: runs of a value that fills two corners.

    Enough for a window; what was scanned is decided by `tbsnode.tbs.field`.
    """
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    values, counts = np.unique(corners[np.isfinite(corners)], return_counts=True)
    padded = np.zeros(pixels.shape, bool)
    for value in values[counts >= 2]:
        equal = pixels == value
        for turned, target in ((equal, padded), (equal.T, padded.T)):
            # only lines that begin or end with the value can have a run of it there
            lines = np.flatnonzero(turned[:, 0] | turned[:, -1])
            run, length = turned[lines], turned.shape[1]
            whole = run.all(axis=1)
            left = np.where(whole, length, np.argmin(run, axis=1))[:, np.newaxis]
            right = np.where(whole, length, np.argmin(run[:, ::-1], axis=1))[:, np.newaxis]
            place = np.arange(length)
            target[lines] |= (place < left) | (place >= length - right)
    return padded


def _draw_level(rgb: Gray, vertebra: Vertebra) -> None:
    ring = np.asarray(vertebra.region, np.float64)
    height = float(np.ptp(ring[:, 0]))
    width = max(1, round(height / 70.0))
    pen = _Pen(
        rgb=INCLUDED_RGB if vertebra.included else EXCLUDED_RGB,
        width=width,
        dash=0.0 if vertebra.included else max(3.0, 4.0 * width),
        scale=max(2, round(LABEL_HEIGHT * height / 5.0)),
    )
    _draw_ring(rgb, ring, pen)
    _draw_label(rgb, vertebra.label, ring, pen)


def _draw_ring(rgb: Gray, ring: NDArray[np.float64], pen: _Pen) -> None:
    """Paint the closed ring as dots at most half a pixel apart."""
    closed = np.vstack([ring, ring[:1]])
    lengths = np.hypot(*np.diff(closed, axis=0).T)
    position = np.concatenate([[0.0], np.cumsum(lengths)])
    along = np.arange(0.0, position[-1], 0.5)
    if pen.dash:
        along = along[(along // pen.dash) % 2 == 0]
    rows = np.interp(along, position, closed[:, 0])
    columns = np.interp(along, position, closed[:, 1])
    for offset in np.ndindex(pen.width, pen.width):
        shift = (pen.width - 1) / 2.0
        _paint(rgb, rows + offset[0] - shift, columns + offset[1] - shift, pen.rgb)


def _paint(
    rgb: Gray, rows: NDArray[np.float64], columns: NDArray[np.float64], color: tuple[int, int, int]
) -> None:
    row, column = np.rint(rows).astype(int), np.rint(columns).astype(int)
    inside = (row >= 0) & (row < rgb.shape[0]) & (column >= 0) & (column < rgb.shape[1])
    rgb[row[inside], column[inside]] = color


def _draw_label(rgb: Gray, label: str, ring: NDArray[np.float64], pen: _Pen) -> None:
    """Write the label on a black plate left of the region; inside the picture in any case."""
    plate = np.pad(_letters(label).repeat(pen.scale, axis=0).repeat(pen.scale, axis=1), pen.scale)
    rows, columns = (min(have, fits) for have, fits in zip(plate.shape, rgb.shape[:2], strict=True))
    gap = 2 * pen.width + 1
    left = round(float(ring[:, 1].min())) - gap - columns
    if left < 0:
        left = round(float(ring[:, 1].max())) + gap
    top = round(float(ring[:, 0].mean()) - rows / 2)
    top = min(max(top, 0), rgb.shape[0] - rows)
    left = min(max(left, 0), rgb.shape[1] - columns)
    target = rgb[top : top + rows, left : left + columns]
    target[:] = 0
    target[plate[:rows, :columns]] = pen.rgb


def _letters(label: str) -> NDArray[np.bool_]:
    """Return the label as dots, one empty column between the letters."""
    glyphs = [np.array([[dot == "#" for dot in line] for line in _GLYPHS[letter]]) for letter in label]
    gap = np.zeros((5, 1), bool)
    parts = [part for glyph in glyphs for part in (glyph, gap)][:-1]
    return np.hstack(parts)
