"""A lumbar spine as a densitometer sees it from the front: drawn from parameters and a seed."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.ndimage import map_coordinates

from tbsnode.phantom.anatomy import MALE, SMALL_FEMALE, Array, Fracture, Frame, Level, Spine
from tbsnode.phantom.column import Canvas, draw_column, window_center
from tbsnode.phantom.drawing import DRAWING_SPACING_MM, DiscLine, Drawing, TrueLevel, Truth
from tbsnode.phantom.levels import build_frame, build_levels
from tbsnode.phantom.surroundings import draw_aorta, draw_metal, draw_surroundings, soft_tissue
from tbsnode.phantom.texture import gaussian_field

__all__ = ["MALE", "SMALL_FEMALE", "Fracture", "Spine", "draw", "truth_of"]

# One stream of numbers for each part: changing one part leaves the others as they were.
_SHAPES, _BESIDE, _TEXTURE, _SOFT, _PLAQUES = range(5)


def _stream(seed: int, part: int) -> np.random.Generator:
    return np.random.default_rng([seed, part])


@lru_cache(maxsize=8)
def draw(spine: Spine, seed: int) -> Drawing:
    """Draw a spine.

    Parameters
    ----------
    spine : Spine
        What to draw.
    seed : int
        Which individual: the same seed with other `shift_mm` and `rotation_deg` is the same patient
        lying differently.

    Returns
    -------
    Drawing
        At 0.25 mm; its arrays are read-only because drawings are cached.

    Examples
    --------
    >>> drawing = draw(Spine(), 1)
    >>> drawing.pixels.shape
    (788, 720)
    >>> [level.label for level in drawing.truth.levels]
    ['T12', 'L1', 'L2', 'L3', 'L4', 'L5']
    """
    levels = build_levels(spine, _stream(seed, _SHAPES))
    frame = build_frame(spine, levels)
    rows, columns = (round(length / DRAWING_SPACING_MM) for length in frame.field_mm)
    row_mm, column_mm = np.meshgrid(
        (np.arange(rows) + 0.5) * DRAWING_SPACING_MM,
        (np.arange(columns) + 0.5) * DRAWING_SPACING_MM,
        indexing="ij",
        sparse=True,
    )
    s, u = frame.to_spine(row_mm, column_mm)
    canvas = Canvas(s=s, u=u, relative=np.zeros((rows, columns)))
    draw_column(canvas, levels, spine, _rotation(levels, frame))
    draw_surroundings(canvas, levels, spine, _stream(seed, _BESIDE))
    draw_aorta(canvas, spine, _stream(seed, _PLAQUES))
    bone = canvas.relative * _density(canvas, levels)
    before_crop = frame.unmoved(row_mm, column_mm)
    before_crop[0][...] += spine.crop_top_mm
    whole_mm = (frame.field_mm[0] + spine.crop_top_mm + spine.crop_bottom_mm, frame.field_mm[1])
    bone *= 1.0 + spine.texture_sd * _texture(spine, whole_mm, seed, before_crop)
    pixels = bone + soft_tissue(*before_crop, whole_mm, spine, _stream(seed, _SOFT))
    pixels += draw_metal(canvas, levels, spine)
    pixels = np.round(pixels, 6)  # one micro-unit: hides the last bits in which processors differ
    pixels.setflags(write=False)
    truth = truth_of(levels, frame, spine, (canvas, bone))
    return Drawing(pixels=pixels, pixel_spacing_mm=(DRAWING_SPACING_MM,) * 2, truth=truth)


def _rotation(levels: tuple[Level, ...], frame: Frame) -> Array:
    """Return how far each level's posterior elements move to the concave side [mm]."""
    middles = np.array([level.on_axis(level.body_middle) for level in levels])
    return -0.45 * frame.axis(middles)


def _density(canvas: Canvas, levels: tuple[Level, ...]) -> Array:
    """Return the body density that holds at each pixel, smooth from level to level [g/cm2]."""
    middles = [level.on_axis(level.body_middle) for level in levels]
    grid = np.arange(-150.0, 350.0, 1.0)
    table = np.interp(grid, middles, [level.density for level in levels])
    result: Array = np.interp(canvas.s, grid, table)
    return result


def _texture(
    spine: Spine, whole_mm: tuple[float, float], seed: int, before_crop: tuple[Array, Array]
) -> Array:
    """Return the trabecular texture, fixed to the patient: neither cropping nor moving changes it."""
    rows, columns = (round(length / DRAWING_SPACING_MM) for length in whole_mm)
    field = gaussian_field(
        (rows, columns),
        _stream(seed, _TEXTURE),
        pixel_spacing_mm=DRAWING_SPACING_MM,
        exponent=spine.texture,
        correlation_length_mm=spine.texture_length_mm,
    )
    if spine.shift_mm == (0.0, 0.0) and spine.rotation_deg == 0.0:
        top = round(spine.crop_top_mm / DRAWING_SPACING_MM)
        return field[top : top + before_crop[0].shape[0]]
    places = [part / DRAWING_SPACING_MM - 0.5 for part in np.broadcast_arrays(*before_crop)]
    result: Array = map_coordinates(field, places, order=3, mode="grid-wrap")
    return result


def truth_of(levels: tuple[Level, ...], frame: Frame, spine: Spine, drawn: tuple[Canvas, Array]) -> Truth:
    """Return the truth about a drawing: outlines from the geometry, densities from what was drawn."""
    canvas, bone = drawn
    seen, lines = [], []
    for level in levels:
        true_level = _true_level(level, frame, spine, (canvas, bone))
        if true_level.visible > 0.0:
            seen.append(true_level)
    labels = [level.label for level in seen]
    for upper, lower in pairwise(levels):
        if upper.label in labels and lower.label in labels:
            lines.append(_disc_line(upper, lower, frame))
    s = np.arange(canvas.s.min(), canvas.s.max(), 1.0)
    axis_mm = frame.to_field(s, np.zeros_like(s))
    inside = (axis_mm >= 0.0).all(axis=1) & (axis_mm <= np.array(frame.field_mm)).all(axis=1)
    return Truth(
        levels=tuple(seen), disc_lines=tuple(lines), axis_mm=axis_mm[inside], lumbar_count=spine.lumbar_count
    )


def _ring(level: Level, frame: Frame, spine: Spine, span: tuple[float, float]) -> Array:
    """Return the closed outline between two depths of a level [mm]."""
    depth = np.linspace(*span, 121)
    flanks = []
    for sign in (-1.0, 1.0):
        u = sign * level.edge(depth, np.full_like(depth, sign), spine.waist)
        top = level.top + u * level.top_tilt
        pitch = level.pitch + u * (level.bottom_tilt - level.top_tilt)
        flanks.append(frame.to_field(top + depth / level.pitch * pitch, u))
    ring = np.concatenate([flanks[0], flanks[1][::-1], flanks[0][:1]])
    ring.setflags(write=False)
    return ring


def _true_level(level: Level, frame: Frame, spine: Spine, drawn: tuple[Canvas, Array]) -> TrueLevel:
    canvas, bone = drawn
    ring = _ring(level, frame, spine, (0.0, level.pitch))
    area_mm2 = float(abs(np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1])) / 2.0)
    block = canvas.window(level.top - 6.0, level.bottom + 6.0, level.half_width + 8.0)
    density, visible = float("nan"), 0.0
    if block is not None:
        s, u = canvas.s[block], canvas.u[block]
        depth = level.depth(s, u)
        inside = (depth >= 0.0) & (depth < level.pitch) & (np.abs(u) <= level.edge(depth, u, spine.waist))
        visible = float(inside.sum()) * DRAWING_SPACING_MM**2 / area_mm2
        density = float(bone[block][inside].mean()) if inside.any() else density
    middle = frame.to_field(np.array([level.on_axis(level.pitch / 2.0)]), np.zeros(1))[0]
    window = frame.to_field(np.array([level.on_axis(window_center(level))]), np.zeros(1))[0]
    return TrueLevel(
        label=level.label,
        ring_mm=ring,
        body_ring_mm=_ring(level, frame, spine, (level.upper_endplate, level.lower_endplate)),
        center_mm=(float(middle[0]), float(middle[1])),
        window_mm=(float(window[0]), float(window[1])),
        area_mm2=area_mm2,
        pitch_mm=level.pitch,
        width_mm=area_mm2 / level.pitch,
        areal_density=density,
        visible=min(visible, 1.0),
    )


def _disc_line(upper: Level, lower: Level, frame: Frame) -> DiscLine:
    u = np.array([-1.0, 1.0]) * lower.half_width * 0.955
    left, right = frame.to_field(lower.top + u * lower.top_tilt, u)
    return DiscLine(
        name=f"{upper.label}/{lower.label}",
        left_mm=(float(left[0]), float(left[1])),
        right_mm=(float(right[0]), float(right[1])),
        tilt_deg=float(np.rad2deg(np.arctan2(right[0] - left[0], right[1] - left[1]))),
    )
