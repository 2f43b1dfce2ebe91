"""Geometry of a lumbar spine: parameters, levels, outlines, and the curve they follow.

Values without another source come from the measurements on real pictures that this project keeps
as aggregate numbers (pitch, widths, ratios); none of the pictures is part of it.

Two frames. The *field* is (row, column) in mm from its upper left corner. The *spine* frame is
(s, u): s runs down the axis from the mid-disc T12/L1, u across it toward the picture's right [mm].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbsnode.phantom.shapes import bump

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fracture:
    """A crushed vertebra: `loss` of body height (0.2-0.4), density raised by `density_gain`."""

    label: str
    loss: float = 0.3
    density_gain: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Spine:
    """Parameters of a spine phantom; the default is a woman of 48 years and 175 cm.

    Attributes
    ----------
    pitch_mm, width_mm : tuple of 4 floats
        L1-L4: mid-disc to mid-disc, and width at the lower endplate [mm].
    density : tuple of 4 floats
        L1-L4: areal density in the middle of the body [g/cm2].
    scale : float
        Size of the body against these values.
    waist : float
        Width at the waist / width at the endplates.
    disc_height : float
        Disc height / pitch.
    disc_ratio, lateral_disc_ratio : float
        Density between two bodies / density of a body: near the axis, where laminae and facets
        overlap, and at the sides.
    decoy : float
        Depth of the interlaminar window: 0 none, 1 as in patients (half of the body's density).
    posterior : float
        Strength of endplates and of everything behind the bodies; they dominate the variogram of a
        whole vertebra, so a phantom meant for texture alone sets it low.
    lean_mm : float
        How far the tips of the spinous processes lie from the axis [mm].
    tilt_deg, cobb_deg : float
        Tilt of the whole spine; Cobb angle of a scoliosis, with rotation [degrees].
    lumbar_count : int
        4, 5 or 6 lumbar vertebrae.
    ribs, crests : bool
        Whether the 12th ribs and the iliac crests show.
    fractures : tuple of Fracture
        Crushed levels.
    metal : tuple of str
        Any of ``"screws"`` (L3-L4), ``"wire"`` (a bra wire over T12-L1), ``"blob"`` (over L2),
        ``"loop over"`` and ``"loop beside"`` (bowel full of contrast medium, over L3 and beside it).
    osteophytes, facet_sclerosis : float
        0 none, 1 severe.
    laminectomy : tuple of str
        Levels without spinous process.
    fused : tuple of str
        Levels grown together with the one below: bone instead of the disc, endplates gone.
    aorta : bool
        A calcified aorta beside the axis.
    gas, soft_tissue : float
        Strength of bowel gas and of the soft tissue's variation; 1 as usual.
    texture : float
        Log-log slope of the trabecular variogram at short lags, in (0, 2).
    texture_length_mm, texture_sd : float
        Its correlation length [mm] and its SD / density.
    irregularity : float
        Random variation of shapes from level to level; 0 for an ideal spine.
    field_mm : (float or None, float)
        Height and width of the scanned field [mm]; None: from the middle of T12 to that of L5.
    crop_top_mm, crop_bottom_mm : float
        Cut off the field, in steps of 0.25 mm [mm].
    shift_mm, rotation_deg : (float, float), float
        Repositioning of the same patient: down and right [mm], clockwise [degrees].
    """

    pitch_mm: tuple[float, float, float, float] = (32.6, 34.7, 38.0, 36.5)
    width_mm: tuple[float, float, float, float] = (41.5, 43.5, 46.5, 50.0)
    density: tuple[float, float, float, float] = (1.04, 1.12, 1.18, 1.17)
    scale: float = 1.0
    waist: float = 0.78
    disc_height: float = 0.25
    disc_ratio: float = 0.7
    lateral_disc_ratio: float = 0.3
    decoy: float = 1.0
    posterior: float = 1.0
    lean_mm: float = 0.0
    tilt_deg: float = 0.0
    cobb_deg: float = 0.0
    lumbar_count: int = 5
    ribs: bool = True
    crests: bool = True
    fractures: tuple[Fracture, ...] = ()
    metal: tuple[str, ...] = ()
    osteophytes: float = 0.0
    facet_sclerosis: float = 0.0
    laminectomy: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    aorta: bool = False
    gas: float = 1.0
    soft_tissue: float = 1.0
    texture: float = 1.2
    texture_length_mm: float = 5.0
    texture_sd: float = 0.05
    irregularity: float = 1.0
    field_mm: tuple[float | None, float] = (None, 180.0)
    crop_top_mm: float = 0.0
    crop_bottom_mm: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    rotation_deg: float = 0.0


# A man of 59 years, 180 cm, 99 kg; a woman of 77 years, 154 cm.
MALE = Spine(
    pitch_mm=(36.7, 36.5, 43.3, 43.3), width_mm=(49.0, 53.0, 58.0, 60.0), density=(1.10, 1.18, 1.19, 1.18)
)
SMALL_FEMALE = Spine(
    pitch_mm=(25.7, 26.8, 29.7, 30.2), width_mm=(37.5, 38.5, 40.0, 43.5), density=(0.90, 0.98, 1.02, 1.00)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One vertebra in the spine frame.

    Attributes
    ----------
    label : str
        Its name.
    top, bottom : float
        s of the mid-disc above and below, on the axis [mm].
    top_tilt, bottom_tilt : float
        Tangent of their tilt.
    half_width : float
        At the lower endplate [mm].
    disc_above, disc_below : float
        Height of the discs [mm].
    density : float
        Of the body [g/cm2].
    gain : float
        Relative density of a crushed body.
    left_corner, right_corner : float
        How far the corners reach out: spikes of 1-3 mm, osteophytes more [mm].
    quirks : tuple of 4 floats
        Between -1 and 1: asymmetry of the discs and of the pedicles, width of the arch's window, lean.
    fused : (bool, bool)
        Whether bone replaces the disc above and the disc below.
    """

    label: str
    top: float
    bottom: float
    top_tilt: float
    bottom_tilt: float
    half_width: float
    disc_above: float
    disc_below: float
    density: float
    gain: float
    left_corner: float
    right_corner: float
    quirks: tuple[float, float, float, float]
    fused: tuple[bool, bool] = (False, False)

    @property
    def pitch(self) -> float:
        """Mid-disc to mid-disc on the axis [mm]."""
        return self.bottom - self.top

    @property
    def upper_endplate(self) -> float:
        """Depth of the upper endplate below the mid-disc [mm]."""
        return self.disc_above / 2.0

    @property
    def lower_endplate(self) -> float:
        """Depth of the lower endplate below the upper mid-disc [mm]."""
        return self.pitch - self.disc_below / 2.0

    @property
    def body_middle(self) -> float:
        """Depth of the middle of the body below the upper mid-disc [mm]."""
        return (self.upper_endplate + self.lower_endplate) / 2.0

    @property
    def body_half_height(self) -> float:
        """Half of endplate to endplate [mm]."""
        return (self.lower_endplate - self.upper_endplate) / 2.0

    def depth(self, s: Array, u: Array) -> Array:
        """Return how far below the upper mid-disc line points lie, in mm of this level's pitch."""
        top = self.top + u * self.top_tilt
        result: Array = (s - top) / (self.pitch + u * (self.bottom_tilt - self.top_tilt)) * self.pitch
        return result

    def on_axis(self, depth: float) -> float:
        """Return s of a depth on the axis [mm]."""
        return self.top + depth

    def edge(self, depth: Array, side: Array, waist: float) -> Array:
        """Return the distance of the bone edge from the axis.

        Parameters
        ----------
        depth : ndarray
            Below the upper mid-disc line [mm].
        side : ndarray
            Negative on the left, positive on the right; broadcast with `depth`.
        waist : float
            Waist / endplate width.

        Returns
        -------
        ndarray
            Half width, notched in at the discs and at the waist [mm].
        """
        height = (depth - self.body_middle) / self.body_half_height
        beyond = np.maximum(np.abs(height) - 1.0, 0.0) * self.body_half_height
        disc = np.where(height < 0.0, self.disc_above, self.disc_below) / 2.0
        notch = 1.0 - 0.16 * np.clip(beyond / disc, 0.0, 1.0) ** 0.7
        if any(self.fused):
            notch = np.where(np.where(height < 0.0, *self.fused), 1.0, notch)
        flare = waist + (1.0 - waist) * np.minimum(np.abs(height), 1.0) ** 2.4
        corner = np.where(side < 0.0, self.left_corner, self.right_corner)
        # Corners end where the disc begins: a spike is sharp on the disc's side.
        spike = corner * bump((np.abs(height) - 0.97) * self.body_half_height / 1.3)
        end = self.half_width * (0.955 + 0.045 * np.clip(depth / self.pitch, 0.0, 1.0))
        result: Array = end * flare * notch + spike
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where the spine lies in the field.

    Attributes
    ----------
    field_mm : (float, float)
        Height and width [mm].
    origin_mm : (float, float)
        Field point of the axis at s = `pivot`, without repositioning [mm].
    pivot : float
        s of the point about which the spine turns [mm].
    shift_mm : (float, float)
        Repositioning [mm].
    turn_deg, tilt_deg : float
        Rotation by repositioning and by the patient's own tilt [degrees].
    bow_mm, wave : float
        Amplitude [mm] and wave number [1/mm] of a scoliotic axis.
    """

    field_mm: tuple[float, float]
    origin_mm: tuple[float, float]
    pivot: float
    shift_mm: tuple[float, float]
    turn_deg: float
    tilt_deg: float
    bow_mm: float
    wave: float

    def unmoved(self, row_mm: Array, column_mm: Array) -> tuple[Array, Array]:
        """Return where field points lay before the repositioning [mm]; without a turn, shapes are kept."""
        angle = np.deg2rad(self.turn_deg)
        row = row_mm - self.origin_mm[0] - self.shift_mm[0]
        column = column_mm - self.origin_mm[1] - self.shift_mm[1]
        if self.turn_deg == 0.0:
            return row + self.origin_mm[0], column + self.origin_mm[1]
        return (
            np.cos(angle) * row - np.sin(angle) * column + self.origin_mm[0],
            np.sin(angle) * row + np.cos(angle) * column + self.origin_mm[1],
        )

    def axis(self, s: Array) -> Array:
        """Return how far the axis bows to the right at s [mm]."""
        result: Array = self.bow_mm * np.cos(self.wave * (s - self.pivot))
        return result

    def lean(self, s: Array) -> Array:
        """Return the axis' angle to the vertical at s [radians]."""
        result: Array = np.arctan(-self.bow_mm * self.wave * np.sin(self.wave * (s - self.pivot)))
        return result

    def to_spine(self, row_mm: Array, column_mm: Array) -> tuple[Array, Array]:
        """Return (s, u) of field points [mm]."""
        row, column = self.unmoved(row_mm, column_mm)
        angle = np.deg2rad(self.tilt_deg)
        down, right = row - self.origin_mm[0], column - self.origin_mm[1]
        y = np.cos(angle) * down - np.sin(angle) * right + self.pivot
        x = np.sin(angle) * down + np.cos(angle) * right
        if self.bow_mm == 0.0:
            return y, x
        s, u = y, x - self.axis(y)
        for _ in range(4):  # the axis leans by at most 15 degrees: converges to below a micrometer
            lean = self.lean(s)
            s = y + u * np.sin(lean)
            u = (x - self.axis(s)) / np.cos(lean)
        return s, u

    def to_field(self, s: Array, u: Array) -> Array:
        """Return field points of (s, u), the inverse of `to_spine`.

        Returns
        -------
        ndarray of shape (..., 2)
            (row, column) [mm].
        """
        lean = self.lean(s)
        y = s - u * np.sin(lean) - self.pivot
        x = self.axis(s) + u * np.cos(lean)
        angle = np.deg2rad(self.tilt_deg + self.turn_deg)
        row = np.cos(angle) * y + np.sin(angle) * x + self.origin_mm[0] + self.shift_mm[0]
        column = -np.sin(angle) * y + np.cos(angle) * x + self.origin_mm[1] + self.shift_mm[1]
        return np.stack([row, column], axis=-1)
