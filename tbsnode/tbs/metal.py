"""Metal, cement and contrast: what is too bright, and of the wrong shape, to be bone.

Brightness alone does not tell: spinous processes saturate on every display copy (0.55 % of all
pixels on a fine one). They are narrow, upright and near the axis; screws lie beside it, rods and
wires run on, blobs are wide. Sclerosis is as bright and wide, but has no sharp end.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column
from tbsnode.tbs.edges import Edges
from tbsnode.tbs.field import Mask

BRIGHT = 2.3  # steps from soft tissue to body; no bone but a spinous process is brighter
BRIGHT_CLIPPED = 1.5  # the same where the picture is clipped; below, nothing can be told
BESIDE_MM = 11.0  # from the axis; a leaning or rotated spinous process stays nearer
BESIDE_MM2 = 15.0  # of a bright shape beyond that
PROCESS_WIDTH_MM = 14.0  # a spinous process is 6-8 mm wide and leans 2-4 mm
PROCESS_RUN_MM = 10.5  # of bright pixels in one row of it
# Height and width of what is solid throughout; a cage is, a process of a drop's shape is not.
BLOCK_MM = (6.0, 9.0)
WIDE_MM2 = 12.0  # a wire of 1 mm across half a vertebra
HALO_MM = 1.5
# Where the picture is clipped little above bone, processes and pedicles saturate, and only the size of
# a flat area tells cement or contrast.
CLIPPED_PLATEAU = 1.15  # steps from soft tissue
PLATEAU_MM = 13.0  # side of a square that is clipped throughout
# Sclerotic facets of L4 and L5 saturate on display copies, up to some 75 mm2 each, and fade into the
# bone around them; screws, rods and wires end sharply, and cement that does not is larger.
RIM_MM = (1.0, 2.0)  # outside the shape, where metal has ended and bone has not
FALLEN = 0.7  # of the brightness of the shape, above soft tissue
SHARP_SHARE = 0.45  # of the rim that may still be brighter than that
SOFT_MM2 = 100.0  # a shape without a sharp end is foreign from this size on


def find_metal(column: Column, edges: Edges, clipped: float | None) -> Mask:
    """Mark metal and what looks like it on the straightened picture.

    Parameters
    ----------
    column : Column
        The straightened picture.
    edges : Edges
        Its edges, with the brightness of bone and soft tissue.
    clipped : float or None
        Brightness at which the picture is clipped, on the scale of the column.

    Returns
    -------
    ndarray of shape (S, U)
        True on metal and `HALO_MM` around it.
    """
    soft, bone = float(np.median(edges.soft)), float(np.median(edges.bone))
    step = bone - soft
    limit = soft + BRIGHT * step
    if clipped is not None and clipped > soft + BRIGHT_CLIPPED * step:
        limit = min(limit, soft + 0.97 * (clipped - soft))
    labels, number = ndimage.label((column.image >= limit) & column.valid, np.ones((3, 3)))
    metal = np.zeros(column.image.shape, dtype=np.bool_)
    inside = np.abs(column.u_mm)[None, :] < edges.half_width[:, None]
    for blob, box in enumerate(ndimage.find_objects(labels, number), start=1):
        shape = labels[box] == blob
        if not (shape.any(where=inside[box]) and _is_foreign(shape, column.u_mm[box[1]])):
            continue
        large = np.count_nonzero(shape) * anatomy.GRID_MM**2 >= SOFT_MM2
        if large or _ends_sharply(column, labels == blob, box, soft + FALLEN * (limit - soft)):
            metal[box] |= shape
    if clipped is not None and clipped > soft + CLIPPED_PLATEAU * step:
        metal |= _plateaus((column.image >= 0.98 * clipped) & column.valid & inside)
    return np.asarray(ndimage.maximum_filter(metal, round(2 * HALO_MM / anatomy.GRID_MM) | 1))


def _plateaus(clipped: Mask) -> Mask:
    """Mark clipped areas that hold a square larger than any bone that saturates."""
    side = round(PLATEAU_MM / anatomy.GRID_MM)
    core = ndimage.minimum_filter(clipped, side, mode="constant")
    return np.asarray(ndimage.maximum_filter(core, side) & clipped) if core.any() else core


def _ends_sharply(column: Column, blob: Mask, box: tuple[slice, slice], fallen: float) -> bool:
    """Tell metal from sclerosis: around metal the picture falls to that of bone within a millimeter."""
    margin = round(RIM_MM[1] / anatomy.GRID_MM) + 1
    wider = tuple(slice(max(0, part.start - margin), part.stop + margin) for part in box)
    away = ndimage.distance_transform_edt(~blob[wider]) * anatomy.GRID_MM
    rim = (away > RIM_MM[0]) & (away <= RIM_MM[1]) & column.valid[wider]
    return not rim.any() or float(np.mean(column.image[wider][rim] >= fallen)) < SHARP_SHARE


def _is_foreign(shape: Mask, u_mm: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Tell a connected bright shape from a spinous process."""
    pixel_mm2 = anatomy.GRID_MM**2
    beside_mm2 = float(np.count_nonzero(shape[:, np.abs(u_mm) > BESIDE_MM])) * pixel_mm2
    if beside_mm2 > BESIDE_MM2:
        return True
    if np.count_nonzero(shape) * pixel_mm2 < WIDE_MM2:
        return False
    if shape.shape[1] * anatomy.GRID_MM > PROCESS_WIDTH_MM:
        return True
    return _holds(shape, (anatomy.GRID_MM, PROCESS_RUN_MM)) or _holds(shape, BLOCK_MM)


def _holds(shape: Mask, size_mm: tuple[float, float]) -> bool:
    """Tell if a rectangle of this height and width fits into a shape."""
    size = tuple(round(each / anatomy.GRID_MM) for each in size_mm)
    if shape.shape[0] < size[0] or shape.shape[1] < size[1]:
        return False
    return bool(ndimage.minimum_filter(shape, size, mode="constant").any())
