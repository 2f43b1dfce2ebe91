"""The lateral edges of the column, row by row.

An edge lies half-way between the brightness of the column and that of the soft tissue beside it.
It notches in at the discs, where beside the laminae there is little bone, as maps of bone mineral
do. A smooth envelope keeps transverse processes, ribs and a calcified aorta out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column
from tbsnode.tbs.field import Image, Mask

HALF_HEIGHT = 0.5
ROW_BAND = (0.6, 0.85)  # half widths; where a row is asked how much bone it has
ROW_MIN = 0.3  # of the step from soft tissue to column; less is noise
LEVEL_SPAN_MM = 30.0  # the column's brightness is that of about one level
SOFT_SPAN_MM = 14.0
NOTCH = 0.9  # of the half width; printed mean widths leave room for a shallow notch only [GE]
START = 0.42  # half widths; an edge is searched outward from here
MEDIAN_MM = 3.0
SMOOTH_MM = 0.7


@dataclass(frozen=True, eq=False, slots=True)
class Edges:
    """Both edges along the axis.

    Attributes
    ----------
    left, right : ndarray of shape (S,)
        Distance from the axis [mm], positive on both sides.
    half_width : ndarray of shape (S,)
        Half of the width without notches, a straight line along the axis [mm].
    bone, soft : ndarray of shape (S,)
        Brightness of the column and of the soft tissue beside it.
    """

    left: Image
    right: Image
    half_width: Image
    bone: Image
    soft: Image


def typical_half_width(column: Column) -> float:
    """Estimate half of the column's width from the picture as a whole [mm].

    Both sides and the upper four fifths of the rows are averaged; crests lie below.
    """
    rows = slice(0, round(0.8 * column.image.shape[0]))
    image, valid = column.image[rows], column.valid[rows]
    weight = np.count_nonzero(valid, axis=0)
    profile = np.sum(image, axis=0, where=valid) / np.maximum(weight, 1)
    middle = profile.size // 2
    folded = (profile[middle:] + profile[middle::-1]) / 2
    seen = np.minimum(weight[middle:], weight[middle::-1]) > 0.3 * image.shape[0]
    u_mm = np.arange(folded.size) * anatomy.GRID_MM
    bone = float(np.median(folded[(u_mm > 4.0) & (u_mm < 14.0)]))
    outside = seen & (u_mm > anatomy.HALF_WIDTH_MIN_MM) & (u_mm < 45.0)
    if not outside.any():
        return anatomy.HALF_WIDTH_MIN_MM
    soft = float(np.percentile(folded[outside], 15.0))
    below = np.flatnonzero((folded < (bone + soft) / 2) & (u_mm > 8.0))
    crossing = float(u_mm[below[0]]) if below.size else 0.0
    return float(np.clip(crossing, anatomy.HALF_WIDTH_MIN_MM, anatomy.HALF_WIDTH_MAX_MM))


def find_edges(column: Column, half_width_mm: float) -> Edges:
    """Find both edges of the column.

    Parameters
    ----------
    column : Column
        The straightened picture.
    half_width_mm : float
        Its typical half width.
    """
    image = ndimage.gaussian_filter(column.image, (1.0, 0.8))
    magnitude = np.abs(column.u_mm)
    core = magnitude < 0.75 * half_width_mm
    bone = np.percentile(np.where(column.valid, image, 0.0)[:, core], 60.0, axis=1)
    bone = ndimage.median_filter(bone, round(LEVEL_SPAN_MM / anatomy.GRID_MM) | 1, mode="nearest")
    middle = column.u_mm.size // 2
    outward = [
        (image[:, middle::-1], column.valid[:, middle::-1]),
        (image[:, middle:], column.valid[:, middle:]),
    ]
    soft = [_soft(side, valid, half_width_mm) for side, valid in outward]
    raw = [
        _half_height(side, valid, _threshold(side, bone, level, half_width_mm), half_width_mm)
        for (side, valid), level in zip(outward, soft, strict=True)
    ]
    width = _straight_width(np.minimum(*raw), np.maximum(*raw))
    left, right = (_envelope(edge, width) for edge in raw)
    return Edges(left, right, width, bone, np.asarray((soft[0] + soft[1]) / 2))


def _soft(side: Image, valid: Mask, half_width_mm: float) -> Image:
    """Take the darkest tissue between the column and what may follow (crest, rib, frame)."""
    low = round(1.05 * half_width_mm / anatomy.GRID_MM)
    high = round((1.35 * half_width_mm + 14.0) / anatomy.GRID_MM)
    span = round(SOFT_SPAN_MM / anatomy.GRID_MM) | 1
    smooth = ndimage.uniform_filter1d(side[:, low:high], 7, axis=1, mode="nearest")
    lowest = np.min(np.where(valid[:, low:high], smooth, np.inf), axis=1)
    seen = np.isfinite(lowest)
    if not seen.any():
        return np.zeros(side.shape[0])
    places = np.arange(side.shape[0])
    filled = np.interp(places, places[seen], lowest[seen])
    return np.asarray(ndimage.median_filter(filled, span, mode="nearest"))


def _threshold(side: Image, bone: Image, soft: Image, half_width_mm: float) -> Image:
    """Set the threshold half-way between a row's own bone, beside the laminae, and soft tissue.

    At a disc there is little bone; what there is ends where the row has fallen to half of it.
    """
    low, high = (round(part * half_width_mm / anatomy.GRID_MM) for part in ROW_BAND)
    row = np.minimum(np.median(side[:, low:high], axis=1), bone)
    return np.asarray(soft + HALF_HEIGHT * np.maximum(row - soft, ROW_MIN * (bone - soft)))


def _half_height(side: Image, valid: Mask, threshold: Image, half_width_mm: float) -> Image:
    """Find where brightness first falls below a threshold, outward; the end of the scan stops it."""
    start = round(START * half_width_mm / anatomy.GRID_MM)
    search = side[:, start:]
    outside = (search < threshold[:, None]) | ~valid[:, start:]
    outside[:, -1] = True
    first = np.argmax(outside, axis=1)
    rows = np.arange(side.shape[0])
    before = search[rows, np.maximum(first - 1, 0)]
    after = search[rows, first]
    drop = np.where(before > after, before - after, 1.0)
    part = np.clip((before - threshold) / drop, 0.0, 1.0)
    place = np.where(first > 0, first - 1 + part, 0.0)
    return np.asarray((start + place) * anatomy.GRID_MM)


def _straight_width(inner: Image, outer: Image) -> Image:
    """Fit a straight line to the width of the bodies, without the notches at the discs."""
    length = round(LEVEL_SPAN_MM / anatomy.GRID_MM) | 1
    bodies = ndimage.percentile_filter((inner + outer) / 2, 65, size=length, mode="nearest")
    places = np.linspace(-1.0, 1.0, bodies.size)
    third = max(1, bodies.size // 3)
    top, bottom = float(np.median(bodies[:third])), float(np.median(bodies[-third:]))
    slope = np.clip((bottom - top) / (2 * 2 / 3), -0.2 * top, 0.35 * top)
    line = float(np.median(bodies)) + slope * places
    return np.asarray(np.clip(line, anatomy.HALF_WIDTH_MIN_MM, anatomy.HALF_WIDTH_MAX_MM * 1.1))


def _envelope(edge: Image, half_width: Image) -> Image:
    """Cut what sticks out of the column and smooth the rest."""
    length = round(LEVEL_SPAN_MM / anatomy.GRID_MM) | 1
    local = ndimage.percentile_filter(edge, 40, size=length, mode="nearest")
    limit = np.minimum(anatomy.ENVELOPE * np.minimum(local, half_width * 1.1), 36.0)
    smooth = ndimage.median_filter(
        np.clip(edge, np.minimum(NOTCH * half_width, limit), limit),
        round(MEDIAN_MM / anatomy.GRID_MM) | 1,
        mode="nearest",
    )
    return np.asarray(ndimage.gaussian_filter1d(smooth, SMOOTH_MM / anatomy.GRID_MM, mode="nearest"))
