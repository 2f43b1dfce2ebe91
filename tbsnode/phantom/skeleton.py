"""Other bones as tables of soft-edged parts: enough of a hip or a forearm to be refused as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tbsnode.phantom.anatomy import Array, Spine
from tbsnode.phantom.drawing import DRAWING_SPACING_MM, Drawing
from tbsnode.phantom.shapes import bone, capsule, ellipse
from tbsnode.phantom.surroundings import soft_tissue
from tbsnode.phantom.texture import gaussian_field

BLUR_MM = 6.0  # beyond its outline a part is 0


@dataclass(frozen=True, slots=True)
class Rod:
    """A bone with round ends: from `start` to `end` (row, column), `radii` at both [mm]."""

    start: tuple[float, float]
    end: tuple[float, float]
    radii: tuple[float, float]
    inside: float
    rim: float = 0.2

    def distance(self, row_mm: Array, column_mm: Array) -> Array:
        """Return the signed distance to the outline [mm]."""
        return capsule(row_mm, column_mm, self.start, self.end, self.radii)

    def box(self) -> tuple[float, float, float, float]:
        """Return top, bottom, left, right [mm]."""
        reach = max(self.radii)
        rows, columns = zip(self.start, self.end, strict=True)
        return min(rows) - reach, max(rows) + reach, min(columns) - reach, max(columns) + reach


@dataclass(frozen=True, slots=True)
class Oval:
    """An elliptical bone; negative densities cut a hole."""

    center: tuple[float, float]
    semi_axes: tuple[float, float]
    inside: float
    rim: float = 0.2

    def distance(self, row_mm: Array, column_mm: Array) -> Array:
        """Return the signed distance to the outline [mm]."""
        return ellipse(row_mm, column_mm, self.center, self.semi_axes)

    def box(self) -> tuple[float, float, float, float]:
        """Return top, bottom, left, right [mm]."""
        (row, column), (high, wide) = self.center, self.semi_axes
        return row - high, row + high, column - wide, column + wide


def draw_parts(
    parts: Sequence[Rod | Oval],
    field_mm: tuple[float, float],
    seed: int,
    *,
    pixel_spacing_mm: float = DRAWING_SPACING_MM,
    rim_mm: float = 2.0,
) -> Drawing:
    """Draw bones over soft tissue.

    Parameters
    ----------
    parts : sequence of Rod or Oval
        Denser parts hide others; holes are subtracted last.
    field_mm : (float, float)
        Height and width [mm].
    seed : int
        Of texture and soft tissue.
    pixel_spacing_mm : float
        Of the drawing [mm].
    rim_mm : float
        Thickness of the cortices [mm].

    Returns
    -------
    Drawing
        Without truth: there is no spine in it to be found.
    """
    rows, columns = (round(length / pixel_spacing_mm) for length in field_mm)
    row_mm, column_mm = np.meshgrid(
        (np.arange(rows) + 0.5) * pixel_spacing_mm,
        (np.arange(columns) + 0.5) * pixel_spacing_mm,
        indexing="ij",
    )
    density = np.zeros((rows, columns))
    holes = np.ones((rows, columns))
    for part in parts:
        top, bottom, left, right = (round(edge / pixel_spacing_mm) for edge in part.box())
        edge = round(BLUR_MM / pixel_spacing_mm) + 1
        block = np.s_[max(top - edge, 0) : max(bottom + edge, 0), max(left - edge, 0) : max(right + edge, 0)]
        distance = part.distance(row_mm[block], column_mm[block])
        if part.inside < 0.0:
            holes[block] *= 1.0 + bone(distance, inside=part.inside, rim=0.0)
        else:
            solid = bone(distance, inside=part.inside, rim=part.rim, rim_mm=rim_mm)
            density[block] = np.maximum(density[block], solid)
    streams = [np.random.default_rng([seed, part]) for part in (20, 21)]
    texture = gaussian_field(
        (rows, columns),
        streams[0],
        pixel_spacing_mm=pixel_spacing_mm,
        exponent=1.2,
        correlation_length_mm=max(5.0, 2.0 * pixel_spacing_mm),
    )
    density *= holes * (1.0 + 0.05 * texture)
    tissue = soft_tissue(row_mm[:, :1], column_mm[:1], field_mm, Spine(), streams[1])
    pixels = np.round(density + tissue, 6)
    pixels.setflags(write=False)
    return Drawing(pixels=pixels, pixel_spacing_mm=(pixel_spacing_mm,) * 2, truth=None)
