"""Picture -> axis, discs, edges: everything that is found before anything is named.

The steps, each in its module: `field` (what was scanned), `axis` (where the column runs), `edges`
(how wide it is), `discs` (its rhythm). `labeling` then says which level is L1 and `region` draws
the rings that are scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbsnode.errors import SegmentationError
from tbsnode.reasons import Code, Finding
from tbsnode.tbs import anatomy, axis, discs, edges, field, metal
from tbsnode.tbs.field import Image, Mask

FIELD_MIN = 0.3  # of the matrix that must have been scanned
CONTRAST_MIN = 0.10  # column against its sides, of the picture's range
CHAIN_MIN = 2.0  # evidence of a chain; hips, forearms and columns without discs stay below 1.6
# The same for each disc of the chain. What is no spine from the front and exceeds both (chests, lateral
# views) is told by its view: of 134 such pictures none passed with 0.2, of 129 others none with 0.3.
CHAIN_MIN_MEAN = 0.3
ONE_SIDED_STEP = 0.15  # between the two sides, of the step from soft tissue to column
ONE_SIDED_MATCH = 0.4  # correlation of the column's halves; 0.5-0.9 from the front
ONE_SIDED_MIN = 400  # grid pixels to judge by
DISCS_MIN = 4  # three levels seen


@dataclass(frozen=True, eq=False, slots=True)
class Segmentation:
    """What was found on one picture.

    Attributes
    ----------
    column : Column
        Picture straightened along the axis.
    edges : Edges
        Lateral edges along the axis.
    profile : Profiles
        Brightness along the axis in bands.
    chain : Chain
        Discs from the head down, all that are seen.
    metal : ndarray of shape (S, U)
        True on metal and the like, on the straightened picture.
    inverted : bool
        True where bone was dark and the picture was inverted.
    tilt_deg : float
        Mean direction of the axis against the columns of the matrix.
    """

    column: axis.Column
    edges: edges.Edges
    profile: discs.Profiles
    chain: discs.Chain
    metal: Mask
    inverted: bool
    tilt_deg: float


def segment(
    image: Image,
    field_mask: Mask,
    pixel_spacing_mm: tuple[float, float],
    *,
    clipped: float | None = None,
) -> Segmentation:
    """Find the column, its discs and its edges.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Gray levels [a.u.], bone bright if the header tells the truth.
    field_mask : ndarray of shape (M, N)
        True where scanned.
    pixel_spacing_mm : tuple of float
        Row and column spacing.
    clipped : float, optional
        Gray level at which bright bone is clipped.

    Raises
    ------
    SegmentationError
        `NO_SPINE_FOUND` or `WRONG_VIEW`.

    Examples
    --------
    >>> from tbsnode.phantom import example
    >>> from tbsnode.tbs.field import scanned_field
    >>> scanned = example.spine()
    >>> found = segment(scanned.pixels, scanned_field(scanned.pixels), scanned.pixel_spacing_mm)
    >>> len(found.chain.s_mm) >= 4, abs(found.tilt_deg) < 5
    (True, True)
    """
    image = np.asarray(image, dtype=np.float64)
    if np.count_nonzero(field_mask) < FIELD_MIN * field_mask.size or np.ptp(image[field_mask]) == 0:
        raise SegmentationError(Finding(Code.NO_SPINE_FOUND))
    grid = field.on_grid(image, field_mask, pixel_spacing_mm)
    contrast, dark = axis.column_contrast(grid)
    inverted = _is_inverted(contrast, dark)
    if inverted:
        clipped = None
        grid = field.on_grid(-image, field_mask, pixel_spacing_mm)
        contrast, _ = axis.column_contrast(grid)
    path = axis.trace(contrast)
    rows = np.arange(path.size, dtype=np.float64)
    at_path = contrast[np.arange(path.size), np.clip(np.round(path).astype(int), 0, contrast.shape[1] - 1)]
    seen = ~np.isnan(at_path)
    if np.count_nonzero(seen) < 0.5 * path.size or np.nanmedian(at_path) < CONTRAST_MIN:
        raise SegmentationError(Finding(Code.NO_SPINE_FOUND))
    weight = np.where(seen, np.clip(at_path, 0.02, None), 0.005)
    column = axis.straighten(grid, axis.smooth_curve(rows, path, weight))
    tilt = float(np.degrees(np.mean(column.angle)))
    if abs(tilt) > anatomy.TILT_REFUSE_DEG:
        raise SegmentationError(Finding(Code.WRONG_VIEW, values=(("tilt_degrees", round(tilt, 1)),)))
    return _levels(column, clipped, inverted, tilt)


def _levels(column: axis.Column, clipped: float | None, inverted: bool, tilt_deg: float) -> Segmentation:
    found = edges.find_edges(column, edges.typical_half_width(column))
    low, high = column.grid.gray
    foreign = metal.find_metal(column, found, None if clipped is None else (clipped - low) / (high - low))
    if _is_one_sided(column, found, foreign):
        raise SegmentationError(Finding(Code.WRONG_VIEW))
    step = float(np.median(found.bone - found.soft))
    profile = discs.profiles(column, found.half_width, foreign, step)
    chain = discs.find_chain(profile)
    if chain is None or len(chain.s_mm) < DISCS_MIN:
        raise SegmentationError(Finding(Code.NO_SPINE_FOUND))
    if chain.value < max(CHAIN_MIN, CHAIN_MIN_MEAN * len(chain.s_mm)):
        raise SegmentationError(Finding(Code.NO_SPINE_FOUND))
    return Segmentation(column, found, profile, chain, foreign, inverted, tilt_deg)


def _is_one_sided(column: axis.Column, found: edges.Edges, foreign: Mask) -> bool:
    """Tell a lateral view: bone beside one side of the column, and two halves that do not match.

    Metal is left out: a screw on one side alone makes no lateral view.
    """
    left, right, both, across = _halves(column, found, foreign)
    inside, beside = both & (across < 1.0), both & (across > 1.1) & (across < 1.9)
    if min(np.count_nonzero(inside), np.count_nonzero(beside)) < ONE_SIDED_MIN:
        return False
    step = float(np.median(found.bone - found.soft))
    difference = abs(float(np.mean((left - right)[beside])))
    match = float(np.corrcoef(left[inside], right[inside])[0, 1])
    return difference > ONE_SIDED_STEP * step and match < ONE_SIDED_MATCH


def match_of_halves(found: Segmentation) -> float:
    """Return the correlation of the column's two halves, metal left out; 0 where too little is seen."""
    left, right, both, across = _halves(found.column, found.edges, found.metal)
    inside = both & (across < 1.0)
    if np.count_nonzero(inside) < ONE_SIDED_MIN:
        return 0.0
    return float(np.corrcoef(left[inside], right[inside])[0, 1])


def _halves(column: axis.Column, found: edges.Edges, foreign: Mask) -> tuple[Image, Image, Mask, Image]:
    """Return both halves from the axis outward, where both may be counted, and places in half widths."""
    usable = column.valid & ~foreign
    middle = column.u_mm.size // 2
    left, right = column.image[:, middle - 1 :: -1], column.image[:, middle + 1 :]
    both = usable[:, middle - 1 :: -1] & usable[:, middle + 1 :]
    return left, right, both, column.u_mm[middle + 1 :][None, :] / found.half_width[:, None]


def _is_inverted(bright: Image, dark: Image) -> bool:
    """Tell if the column is darker than its sides, by the upper three quarters of the rows."""
    upper = np.s_[: round(0.75 * bright.shape[0]) : 4]
    most = [
        np.median(np.max(np.where(np.isnan(each), 0.0, each), axis=1))
        for each in (bright[upper], dark[upper])
    ]
    return bool(most[1] > most[0])
