"""What a phantom is: an areal density map and the truth beside it.

All points are (row, column) coordinates in mm from the upper left corner of the field, so the center
of pixel (i, j) lies at ``((i + 0.5) * spacing, (j + 0.5) * spacing)``. The first column is on the
patient's right: rows run toward the patient's left, columns toward the feet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWING_SPACING_MM = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiscLine:
    """A mid-disc line.

    Attributes
    ----------
    name : str
        The two levels it parts, ``"T12/L1"``.
    left_mm, right_mm : (float, float)
        Ends on the bone edge of the wider endplate, in the picture's left and right [mm].
    tilt_deg : float
        Angle to the picture's rows, positive when the right end is lower [degrees].
    """

    name: str
    left_mm: tuple[float, float]
    right_mm: tuple[float, float]
    tilt_deg: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueLevel:
    """The truth about one vertebra.

    Attributes
    ----------
    label : str
        ``"T12"``, ``"L1"`` ...
    ring_mm : ndarray of shape (K, 2)
        The densitometry region: mid-disc to mid-disc, along the bone edge [mm]; closed (the last
        point is the first).
    body_ring_mm : ndarray of shape (K, 2)
        The vertebral body, endplate to endplate [mm]; closed.
    center_mm : (float, float)
        Middle of the region on the axis [mm].
    window_mm : (float, float)
        Center of the interlaminar window, the decoy [mm].
    area_mm2 : float
        Area of `ring_mm` [mm2].
    pitch_mm : float
        Mid-disc to mid-disc along the axis [mm].
    width_mm : float
        Mean width of the region [mm].
    areal_density : float
        Mean bone areal density of the part of the region inside the field [g/cm2]; NaN outside.
    visible : float
        Fraction of the region that lies inside the field.
    """

    label: str
    ring_mm: NDArray[np.float64]
    body_ring_mm: NDArray[np.float64]
    center_mm: tuple[float, float]
    window_mm: tuple[float, float]
    area_mm2: float
    pitch_mm: float
    width_mm: float
    areal_density: float
    visible: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """The truth about one drawing of a spine.

    Attributes
    ----------
    levels : tuple of TrueLevel
        Every level that touches the field, from the head down.
    disc_lines : tuple of DiscLine
        The lines between them, from the head down.
    axis_mm : ndarray of shape (K, 2)
        Points of the spine's axis, 1 mm apart [mm].
    lumbar_count : int
        Number of lumbar vertebrae of this patient.
    """

    levels: tuple[TrueLevel, ...]
    disc_lines: tuple[DiscLine, ...]
    axis_mm: NDArray[np.float64]
    lumbar_count: int

    def level(self, label: str) -> TrueLevel:
        """Return the level called `label`.

        Raises
        ------
        KeyError
            If it does not touch the field.
        """
        for level in self.levels:
            if level.label == label:
                return level
        raise KeyError(label)

    def disc_line(self, name: str) -> DiscLine:
        """Return the mid-disc line called `name`, as ``"L1/L2"``.

        Raises
        ------
        KeyError
            If it does not touch the field.
        """
        for line in self.disc_lines:
            if line.name == name:
                return line
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """An areal density map, before any scanner.

    Attributes
    ----------
    pixels : ndarray of shape (M, N)
        Areal density, soft tissue included [g/cm2]; metal is far above any bone.
    pixel_spacing_mm : (float, float)
        Distance of rows and of columns [mm].
    truth : Truth or None
        None for what is not an AP spine.
    """

    pixels: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]
    truth: Truth | None

    @property
    def field_mm(self) -> tuple[float, float]:
        """Height and width of the field [mm]."""
        rows, columns = self.pixels.shape
        return rows * self.pixel_spacing_mm[0], columns * self.pixel_spacing_mm[1]
