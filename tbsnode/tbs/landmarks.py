"""What beside the column tells the levels apart: the iliac crests and the lowest ribs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column
from tbsnode.tbs.field import Image, Mask
from tbsnode.tbs.segmentation import Segmentation

CREST_SHARE = 0.25  # of the side that must be bone at the lower border for a crest to be there
CREST_TOP_SHARE = 0.10  # where less of the side is bone, the crest has ended
CREST_BONE = 0.25  # of the step from soft tissue to column; the iliac wing has 0.44
RIB_SLOPES = np.arange(0.45, 1.80, 0.1)  # a transverse process is more nearly level
RIB_BAND = (1.3, 3.6)  # half widths from the axis where ribs are looked for
RIB_APART = 25  # millimeters, and half of that to either side, in which there is one rib
RIB_STEP = 4  # grid columns between two samples of a line
RIB_STRETCH = 12  # samples, 24 mm, along which a rib must be bright
RIB_CONTRAST = 0.05  # of the step from soft tissue to column; a rib has 0.24
RIB_NOISE = 5.0  # robust deviations of all lines tried


def crest_tops(found: Segmentation, *, reverse: bool = False) -> tuple[float | None, float | None]:
    """Find the top of the iliac crest at the left and right of the column.

    Parameters
    ----------
    found : Segmentation
        Axis and edges.
    reverse : bool
        Look for crests at the upper border, as in a picture that is upside down.

    Returns
    -------
    tuple of float or None
        Place along the axis [mm]; None where no bone reaches the border beside the column.
    """
    column, half = found.column, float(np.median(found.edges.half_width))
    step = float(np.median(found.edges.bone - found.edges.soft))
    sides: list[float | None] = []
    for sign in (-1.0, 1.0):
        u = column.u_mm * sign
        band = (u > 1.5 * half) & (u < min(3.6 * half, anatomy.SIDE_MM))
        image, valid = column.image[:, band], column.valid[:, band]
        if reverse:
            image, valid = image[::-1], valid[::-1]
        place = _crest_top(ndimage.gaussian_filter(image, 1.5), valid, CREST_BONE * step)
        if place is not None:
            place_mm = place * anatomy.GRID_MM
            sides.append(column.length_mm - place_mm if reverse else place_mm)
        else:
            sides.append(None)
    return sides[0], sides[1]


def _crest_top(image: Image, valid: Mask, step: float) -> int | None:
    """Follow bone beside the column upward from the lower border."""
    rows = image.shape[0]
    number = np.count_nonzero(valid, axis=1)
    usable = number >= round(8.0 / anatomy.GRID_MM)
    middle = slice(round(0.25 * rows), round(0.6 * rows))
    if np.count_nonzero(usable) < 0.5 * rows or not valid[middle].any():
        return None
    soft = float(np.median(image[middle][valid[middle]]))
    last = int(np.flatnonzero(usable)[-1])
    lowest = slice(max(0, last - 24), last + 1)
    crest = float(np.percentile(image[lowest][valid[lowest]], 75.0))
    if crest < soft + step:
        return None
    limit = soft + max(step, 0.5 * (crest - soft))
    share = np.count_nonzero((image > limit) & valid, axis=1) / np.maximum(number, 1)
    share = ndimage.uniform_filter1d(np.where(usable, share, 0.0), 7, mode="nearest")
    if np.mean(share[lowest]) < CREST_SHARE:
        return None
    above = np.flatnonzero(share[:last] < CREST_TOP_SHARE)
    top = int(above[-1]) + 1 if above.size else 0
    return top if top > 0.55 * rows else None


def rib_roots(found: Segmentation) -> tuple[float | None, float | None]:
    """Find where the lowest rib leaves the column at the left and right.

    Returns
    -------
    tuple of float or None
        Place along the axis [mm] where the line of the rib meets the column's edge.
    """
    column, half = found.column, float(np.median(found.edges.half_width))
    step = float(np.median(found.edges.bone - found.edges.soft))
    left = _rib_root(column, -1.0, half, step)
    right = _rib_root(column, 1.0, half, step)
    return left, right


def _rib_root(column: Column, sign: float, half_mm: float, step: float) -> float | None:
    """Return the lowest rib of a side."""
    peaks = rib_peaks(column, sign, half_mm, step)
    return peaks[-1] if peaks else None


def rib_peaks(
    column: Column, sign: float, half_mm: float, step: float, *, whole: bool = False
) -> list[float]:
    """Try lines that run outward and down; keep those that are clearly brighter than around.

    Parameters
    ----------
    column : Column
        The straightened picture.
    sign : float
        -1 for the left side, +1 for the right.
    half_mm : float
        Half of the column's width.
    step : float
        From soft tissue to bone.
    whole : bool
        Look along the whole axis instead of where a lumbar field shows ribs.

    Returns
    -------
    list of float
        Places along the axis where the lines meet the column's edge [mm], from the head down.
    """
    u = column.u_mm * sign
    order = np.flatnonzero((u > RIB_BAND[0] * half_mm) & (u < RIB_BAND[1] * half_mm))[::RIB_STEP]
    rows = column.image.shape[0] if whole else round(0.75 * column.image.shape[0])
    image = ndimage.uniform_filter1d(column.image[:rows], round(4.0 / anatomy.GRID_MM) | 1, axis=0)
    ridge = (image - ndimage.uniform_filter1d(image, round(16.0 / anatomy.GRID_MM) | 1, axis=0))[:, order]
    clear = ndimage.minimum_filter1d(column.valid[:rows], 9, axis=0)[:, order]
    # crests and the processes of L5 lie below
    roots = np.arange(-140, round((0.72 if whole else 0.4) * column.image.shape[0]), 2)
    across = (u[order] - half_mm) / anatomy.GRID_MM
    by_distance = np.argsort(across, kind="stable")
    order, across = order[by_distance], across[by_distance]
    ridge, clear = ridge[:, by_distance], clear[:, by_distance]
    place = np.round(roots[None, :, None] + RIB_SLOPES[:, None, None] * across).astype(np.intp)
    inside = (place >= 0) & (place < rows)
    at = np.clip(place, 0, rows - 1)
    counted = inside & clear[at, np.arange(order.size)]
    along = np.where(counted, ridge[at, np.arange(order.size)], 0.0)
    mean = _brightest_stretch(along, counted)
    best = np.max(mean, axis=0)
    # where there are ribs everywhere, most lines are on one, and the spread of lines is no noise
    noise = 0.0 if whole else 1.4826 * float(np.median(np.abs(mean - np.median(mean))))
    limit = max(RIB_CONTRAST * step, RIB_NOISE * noise, 0.6 * float(np.max(best, initial=0.0)), 1e-9)
    peaks = np.flatnonzero((best >= limit) & (best >= ndimage.maximum_filter1d(best, RIB_APART)))
    return [_root(roots, mean, int(peak)) for peak in peaks]


def _root(roots: NDArray[np.intp], mean: Image, peak: int) -> float:
    """Average the roots of all lines that run inside one rib [mm]; the best of them may cross it aslant."""
    near = slice(max(0, peak - 10), peak + 11)
    weight = np.maximum(mean[:, near] - 0.85 * float(mean[:, peak].max()), 0.0)
    return float(np.sum(weight * roots[near]) / np.sum(weight)) * anatomy.GRID_MM


def _brightest_stretch(along: Image, counted: Mask) -> Image:
    """Return for each line the brightness of its best stretch: of the darker of the stretch's halves.

    A rib is bright along all of such a stretch, wherever it begins and ends; a transverse process is
    shorter, and noise is not bright twice.
    """
    half = RIB_STRETCH // 2
    zero = np.zeros((*along.shape[:-1], 1))
    total = np.concatenate([zero, np.cumsum(along, axis=-1)], axis=-1)
    number = np.concatenate([zero, np.cumsum(counted, axis=-1)], axis=-1)
    sums, counts = (each[..., half:] - each[..., :-half] for each in (total, number))
    means = np.where(counts >= 0.8 * half, sums / np.maximum(counts, 1), 0.0)
    if means.shape[-1] <= half:
        return np.zeros(along.shape[:-1])
    return np.asarray(np.maximum(np.max(np.minimum(means[..., :-half], means[..., half:]), axis=-1), 0.0))
