"""What beside the column tells the levels apart: the iliac crests and the lowest ribs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column
from tbsnode.tbs.field import Image, Mask
from tbsnode.tbs.segmentation import Segmentation

CREST_PERCENTILE = 95.0  # of the lowest 12 mm beside the column; a tip fills little of it
WING_SHARE = 0.25  # of them, filled by a crest that is seen as a whole
WING_BONE = 0.25  # of the step, of such a crest; a rib in a corner is fainter
CREST_BONE = 0.2  # of the step from soft tissue to column; the iliac wing has 0.44
CREST_NOISE = 4.0  # robust deviations of the tissue beside the column
CREST_OUT = 2.2  # half widths from the axis; transverse processes end before
CREST_MM2 = 50.0  # of bone in a corner; less is the tip of a transverse process
CREST_TOP_WIDTH_MM = 3.0  # of the bone at its top
CREST_EDGE_MM = 3.0  # to either side of the outline
CREST_EDGE = 0.5  # of the height of the bone that must be climbed there
RIB_SLOPES = np.arange(0.45, 1.80, 0.1)  # a transverse process is more nearly level
RIB_BAND = (1.3, 3.6)  # half widths from the axis where ribs are looked for
RIB_APART = 25  # millimeters, and half of that to either side, in which there is one rib
RIB_STEP = 4  # grid columns between two samples of a line
RIB_STRETCH = 12  # samples, 24 mm, along which a rib must be bright
RIB_CONTRAST = 0.05  # of the step from soft tissue to column; a rib has 0.24
SAME_MM = 12.0  # left and right of one thing; further apart they are two
RIB_NEXT = 1.35  # levels; the rib below another is no further away
RIB_NOISE = 5.0  # robust deviations of all lines tried


@dataclass(frozen=True, slots=True)
class Crest:
    """An iliac crest as far as the field shows it.

    Attributes
    ----------
    top_mm : float
        Place of its highest point along the axis.
    whole : bool
        True where it fills a good part of the corner; of a tip the border of the field may have cut the top.
    """

    top_mm: float
    whole: bool


def crests(found: Segmentation, *, reverse: bool = False) -> tuple[Crest | None, Crest | None]:
    """Find the iliac crests at the left and right of the column.

    Parameters
    ----------
    found : Segmentation
        Axis and edges.
    reverse : bool
        Look for crests at the upper border, as in a picture that is upside down.

    Returns
    -------
    tuple of Crest or None
        None where no bone reaches the lower corner beside the column.
    """
    column, half = found.column, float(np.median(found.edges.half_width))
    step = float(np.median(found.edges.bone - found.edges.soft))
    sides: list[Crest | None] = []
    for sign in (-1.0, 1.0):
        u = column.u_mm * sign
        band = np.flatnonzero((u > 1.5 * half) & (u < min(3.6 * half, anatomy.SIDE_MM)))
        band = band[:: int(sign)]  # outward
        image, valid = column.image[:, band], column.valid[:, band]
        if reverse:
            image, valid = image[::-1], valid[::-1]
        beyond = np.abs(column.u_mm[band]) > CREST_OUT * half
        crest = _crest(ndimage.gaussian_filter(image, 1.5), valid, step, beyond)
        if crest is not None and reverse:
            crest = replace(crest, top_mm=column.length_mm - crest.top_mm)
        sides.append(crest)
    return sides[0], sides[1]


def is_pair_of_crests(found: Segmentation) -> bool:
    """Tell if both crests are seen as a whole and at the same height, as only from the front."""
    left, right = crests(found)
    if left is None or right is None or not (left.whole and right.whole):
        return False
    return agree((left.top_mm, right.top_mm))


def agree(sides: tuple[float | None, float | None]) -> bool:
    """Tell if a sign is seen on both sides at the same place [mm]."""
    left, right = sides
    return left is not None and right is not None and abs(left - right) <= SAME_MM


def _crest(image: Image, valid: Mask, step: float, beyond: Mask) -> Crest | None:
    """Find bone that fills a lower corner: it touches the border, lies far out, and its outline is sharp.

    A field that ends in the middle of L5 may show no more than the tip of a wing. Bone is told from soft
    tissue by its edge: tissue changes over centimeters, a crest has a cortex.
    """
    rows = image.shape[0]
    usable = np.count_nonzero(valid, axis=1) >= round(8.0 / anatomy.GRID_MM)
    middle = slice(round(0.25 * rows), round(0.6 * rows))
    if np.count_nonzero(usable) < 0.5 * rows or not valid[middle].any():
        return None
    tissue = image[middle][valid[middle]]
    soft = float(np.median(tissue))
    spread = 1.4826 * float(np.median(np.abs(tissue - soft)))
    last = int(np.flatnonzero(usable)[-1])
    lowest = slice(max(0, last - round(12.0 / anatomy.GRID_MM)), last + 1)
    height = float(np.percentile(image[lowest][valid[lowest]], CREST_PERCENTILE)) - soft
    if height < max(CREST_BONE * step, CREST_NOISE * spread):
        return None
    bone = _corner((image > soft + 0.5 * height) & valid, beyond, last)
    if bone is None:
        return None
    width = np.count_nonzero(bone, axis=1) * anatomy.GRID_MM
    tops = np.flatnonzero(width >= CREST_TOP_WIDTH_MM)
    if tops.size == 0 or tops[0] <= 0.55 * rows or _edge(image, valid, bone) < CREST_EDGE * height:
        return None
    if _falls_outward(bone):
        return None
    wing = bone[lowest] & (image[lowest] > soft + max(WING_BONE * step, 0.5 * height))
    share = np.count_nonzero(wing) / np.count_nonzero(valid[lowest])
    return Crest(float(tops[0]) * anatomy.GRID_MM, bool(share >= WING_SHARE))


def _corner(bright: Mask, beyond: Mask, last: int) -> Mask | None:
    """Keep the largest connected part that touches the lower border and reaches where no process does."""
    labels, _ = ndimage.label(bright[: last + 1])
    low = set(np.unique(labels[last - round(2.0 / anatomy.GRID_MM) :]).tolist())
    out = set(np.unique(labels[:, beyond]).tolist())
    mm2 = np.bincount(labels.ravel()) * anatomy.GRID_MM**2
    both = [label for label in low & out if label and mm2[label] >= CREST_MM2]
    if not both:
        return None
    bone = np.zeros(bright.shape, dtype=np.bool_)
    bone[: last + 1] = labels == max(both, key=lambda label: float(mm2[label]))
    return bone


def _falls_outward(bone: Mask) -> bool:
    """Tell the ala of the sacrum: its outline falls outward, that of the iliac wing rises."""
    columns = np.flatnonzero(bone.any(axis=0))
    top = np.argmax(bone[:, columns], axis=0)
    half = columns.size // 2
    return bool(np.median(top[half:]) > np.median(top[: max(1, half)]))


def _edge(image: Image, valid: Mask, bone: Mask) -> float:
    """Measure how much the picture rises over the upper outline of a crest, within a few millimeters."""
    near = round(CREST_EDGE_MM / anatomy.GRID_MM)
    columns = np.flatnonzero(bone.any(axis=0))
    top = np.argmax(bone[:, columns], axis=0)
    above, below = np.maximum(top - near, 0), np.minimum(top + near, image.shape[0] - 1)
    known = valid[above, columns] & (top >= near)
    if not known.any():
        return 0.0
    return float(np.median((image[below, columns] - image[above, columns])[known]))


def rib_roots(found: Segmentation) -> tuple[float | None, float | None]:
    """Find where the lowest rib leaves the column at the left and right.

    Ribs leave one level after the other. Where both sides show a rib, a line on one side alone that lies
    further below than the next level is none: a process, or gas.

    Returns
    -------
    tuple of float or None
        Place along the axis [mm] where the line of the rib meets the column's edge.
    """
    column, half = found.column, float(np.median(found.edges.half_width))
    step = float(np.median(found.edges.bone - found.edges.soft))
    left, right = (rib_peaks(column, sign, half, step) for sign in (-1.0, 1.0))
    pairs = [(a + b) / 2 for a in left for b in right if abs(a - b) <= SAME_MM]
    if pairs:
        last = max(pairs) + RIB_NEXT * float(np.median(found.chain.pitches_mm))
        left, right = ([place for place in side if place <= last] for side in (left, right))
    return (left[-1] if left else None), (right[-1] if right else None)


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
