"""Where the scanner scanned, and the picture on squares for searching.

Scanners with an adaptive width fill the rest of the matrix with one gray level, in a staircase of
blocks along the borders; it may be the brightest level and would then pass for bone. Soft tissue
clipped to zero is one gray level too, but its outline is noise, not a staircase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from tbsnode.tbs import anatomy

Image = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEP_FRACTION = 0.2  # a staircase changes its depth in at most this part of its rows
DEPTH_MIN = 2  # pixels; a flat run shorter than this is chance
BONE_RANGE = 2.2  # a spinous process on its body against a body
SHARE_MIN = 0.001  # of the matrix; less padding than this is no padding


def scanned_field(image: Image, padding_value: float | None = None) -> Mask:
    """Find the part of the matrix that was scanned.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Gray levels [a.u.].
    padding_value : float, optional
        Pixel Padding Value where the header gives one: every such pixel that is connected to the
        border along its row or column is padding, whatever its outline.

    Returns
    -------
    ndarray of shape (M, N)
        False where the matrix is padded: blocks of one gray level along a border, with straight
        outlines.

    Examples
    --------
    Two columns of 252 at the left of a ramp:

    >>> picture = np.tile([252.0, 252.0, 1.0, 2.0, 3.0], (6, 1)) + np.eye(6, 5, k=2)
    >>> picture[:, :2] = 252.0
    >>> scanned_field(picture)[0].tolist()
    [False, False, True, True, True]
    """
    row, column = np.arange(image.shape[0])[:, None], np.arange(image.shape[1])[None, :]
    left, top = _depths(image, padding_value)[:, None], _depths(image.T, padding_value)[None, :]
    right = _depths(image[:, ::-1], padding_value)[:, None]
    bottom = _depths(image.T[:, ::-1], padding_value)[None, :]
    scanned = (column >= left) & (column < image.shape[1] - right)
    scanned &= row >= top
    scanned &= row < image.shape[0] - bottom
    return np.asarray(scanned)


def _depths(image: Image, padding_value: float | None) -> NDArray[np.intp]:
    """Measure the flat blocks that start at the left border, in each row."""
    edge = image[:, 0]
    depth = _run_lengths(image)
    padded = np.zeros_like(depth)
    least = max(1.0, SHARE_MIN * image.size)
    for level in np.unique(edge[depth >= DEPTH_MIN]):
        of_level = np.where(edge == level, depth, 0)
        known = padding_value is not None and level == padding_value
        if not known:
            if of_level.sum() < least:  # a staircase is no more than this
                continue
            of_level = _staircase(of_level)
        if of_level.sum() >= least or known:
            padded += of_level  # no row has two levels
    return padded


def _run_lengths(image: Image) -> NDArray[np.intp]:
    """Count in each row the pixels from the left that equal the first."""
    depth = np.zeros(image.shape[0], dtype=np.intp)
    rows = np.arange(image.shape[0])
    start, stop = 0, 2  # most runs end at once; what is left is looked at in ever wider bands
    while rows.size and start < image.shape[1]:
        differs = image[rows, start:stop] != image[rows, :1]
        ended = differs.any(axis=1)
        depth[rows] = start + np.where(ended, np.argmax(differs, axis=1), differs.shape[1])
        rows = rows[~ended]
        start, stop = stop, 4 * stop
    return depth


def _staircase(depth: NDArray[np.intp]) -> NDArray[np.intp]:
    """Keep runs whose depth changes in few rows, cut short bumps, drop everything else."""
    present = depth >= DEPTH_MIN
    if np.count_nonzero(present) < 3:
        return np.zeros_like(depth)
    steady = np.asarray(ndimage.grey_opening(depth, size=3, mode="nearest"), dtype=np.intp)
    both = present[1:] & present[:-1]
    changes = np.count_nonzero(np.diff(depth)[both])
    if changes > STEP_FRACTION * np.count_nonzero(both):
        return np.zeros_like(depth)
    return np.where(present, steady, 0)


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """A picture on squares of `anatomy.GRID_MM`, centered on the stored matrix.

    Attributes
    ----------
    image : ndarray of shape (m, n)
        Bone bright; 0 = dark soft tissue, 1 = the brightest bone.
    valid : ndarray of shape (m, n)
        True where the scanner scanned.
    pixel_spacing_mm : tuple of float
        Row and column spacing of the stored matrix.
    shape : tuple of int
        Of the stored matrix.
    gray : tuple of float
        Stored gray levels that became 0 and 1.
    """

    image: Image
    valid: Mask
    pixel_spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    gray: tuple[float, float]

    def stored(self, y: Image, x: Image) -> tuple[Image, Image]:
        """Turn grid indices into (row, column) of the stored matrix."""
        return self._stored(y, 0), self._stored(x, 1)

    def _stored(self, index: Image, along: int) -> Image:
        from_center_mm = (index - (self.image.shape[along] - 1) / 2) * anatomy.GRID_MM
        return np.asarray(from_center_mm / self.pixel_spacing_mm[along] + (self.shape[along] - 1) / 2)


def on_grid(image: Image, field: Mask, pixel_spacing_mm: tuple[float, float]) -> Grid:
    """Resample a picture to squares; for searching only, scores use the stored pixels.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Gray levels [a.u.], bone bright.
    field : ndarray of shape (M, N)
        True where scanned; only these pixels count.
    pixel_spacing_mm : tuple of float
        Row and column spacing.

    Returns
    -------
    Grid
        Gray levels brought to 0 .. 1 between the 1st and 99.5th percentile of the field, clipped
        at 1.6. Metal may fill more than the last percentile: the brightest bone is at most
        `BONE_RANGE` times as far from the darkest tissue as the 90th percentile, which is bone
        already since a column covers a fifth of its field.
    """
    low, ninety, high = (float(p) for p in np.percentile(image[field][::7], (1.0, 90.0, 99.5)))
    if low + BONE_RANGE * (ninety - low) > low:
        high = min(high, low + BONE_RANGE * (ninety - low))
    scaled = np.clip((image - low) / (high - low or 1.0), -0.2, 1.6)
    vertical = _tent(image.shape[0], pixel_spacing_mm[0])
    horizontal = _tent(image.shape[1], pixel_spacing_mm[1]).T.tocsc()
    weight = np.asarray((vertical @ field.astype(np.float64)) @ horizontal)
    value = np.asarray((vertical @ np.where(field, scaled, 0.0)) @ horizontal)
    valid = weight > 0.5
    shape = (int(image.shape[0]), int(image.shape[1]))
    return Grid(
        np.where(valid, value / np.maximum(weight, 1e-9), 0.0), valid, pixel_spacing_mm, shape, (low, high)
    )


def _tent(length: int, step_mm: float) -> sparse.csr_array:
    """Build the matrix that resamples one axis: linear, averaging where the grid is coarser."""
    half = int((length - 1) / 2 * step_mm / anatomy.GRID_MM)
    center = np.arange(-half, half + 1) * anatomy.GRID_MM / step_mm + (length - 1) / 2
    width = max(1.0, anatomy.GRID_MM / step_mm)
    reach = int(np.ceil(width)) + 1
    columns = np.floor(center)[:, None].astype(np.intp) + np.arange(-reach, reach + 1)[None, :]
    weight = np.maximum(0.0, 1.0 - np.abs(columns - center[:, None]) / width)
    weight[(columns < 0) | (columns >= length)] = 0.0
    weight /= weight.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(center.size), columns.shape[1])
    keep = weight.ravel() > 0.0
    entries = (weight.ravel()[keep], (rows[keep], columns.ravel()[keep]))
    return sparse.csr_array(entries, shape=(center.size, length))
