"""Phantom pictures for tests of the segmentation, and how far a measurement is from their truth."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tbsnode.phantom import scanners
from tbsnode.phantom import spine as phantom
from tbsnode.phantom.drawing import Truth
from tbsnode.tbs import field, segmentation
from tbsnode.tbs.result import SpineMeasurement
from tbsnode.tbs.spine import Picture

SCANNERS = {
    "fine": scanners.FINE_DISPLAY,
    "coarse": scanners.COARSE_DISPLAY,
    "linear": scanners.LINEAR_16,
    "oblong": scanners.LINEAR_16_OBLONG,
}
DISCS = ("T12/L1", "L1/L2", "L2/L3", "L3/L4", "L4/L5")


@lru_cache(maxsize=12)
def scanned(spine: phantom.Spine, scanner: str, seed: int = 1) -> tuple[scanners.ScannedImage, Truth]:
    drawing = phantom.draw(spine, seed)
    assert drawing.truth is not None
    return scanners.scan(drawing, SCANNERS[scanner], seed), drawing.truth


def picture(
    spine: phantom.Spine, scanner: str, seed: int = 1, *, spacing_needs_check: bool = False
) -> Picture:
    image, _ = scanned(spine, scanner, seed)
    return Picture(
        pixels=image.pixels.astype(np.float64),
        pixel_spacing_mm=image.pixel_spacing_mm,
        stored_maximum=float(np.iinfo(image.pixels.dtype).max),
        spacing_needs_check=spacing_needs_check,
    )


def segmented(spine: phantom.Spine, scanner: str, seed: int = 1) -> segmentation.Segmentation:
    taken = picture(spine, scanner, seed)
    mask = field.scanned_field(taken.pixels, None)
    return segmentation.segment(taken.pixels, mask, taken.pixel_spacing_mm)


def disc_errors_mm(
    measured: SpineMeasurement, spine: phantom.Spine, scanner: str, seed: int = 1
) -> NDArray[np.float64]:
    """Signed error of each disc line at both true ends, down positive; NaN where there is none."""
    image, truth = scanned(spine, scanner, seed)
    known = {line.name: line for line in truth.disc_lines}
    errors = []
    for name, ((row0, column0), (row1, column1)) in zip(DISCS, measured.disc_lines, strict=True):
        line = known.get(name)
        if line is None:
            errors += [np.nan, np.nan]
            continue
        for row, column in image.to_pixels(np.array([line.left_mm, line.right_mm])):
            found = row0 + (column - column0) / (column1 - column0) * (row1 - row0)
            errors.append((found - row) * image.pixel_spacing_mm[0])
    return np.array(errors)


def boundary_errors_mm(
    measured: SpineMeasurement, spine: phantom.Spine, scanner: str, seed: int = 1, *, inset_mm: float = 1.0
) -> NDArray[np.float64]:
    """Distance of every ring point from the true outline, less the inset."""
    image, truth = scanned(spine, scanner, seed)
    errors = []
    for vertebra in measured.vertebrae:
        ring = (np.array(vertebra.region) + 0.5) * image.pixel_spacing_mm + np.array(image.origin_mm)
        outline = truth.level(vertebra.label).ring_mm
        start, step = outline[:-1], np.diff(outline, axis=0)
        along = ((ring[:, None] - start) * step).sum(-1) / np.maximum((step**2).sum(-1), 1e-12)
        nearest = start + np.clip(along, 0.0, 1.0)[..., None] * step
        errors.append(np.hypot(*np.moveaxis(nearest - ring[:, None], -1, 0)).min(axis=1) - inset_mm)
    return np.abs(np.concatenate(errors))
