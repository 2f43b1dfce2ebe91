"""What surrounds the column: processes, ribs, crests, sacrum, metal, soft tissue.

Densities are relative to a vertebral body, except those of metal and soft tissue [g/cm2].
"""

from __future__ import annotations

import numpy as np

from tbsnode.phantom.anatomy import Array, Level, Spine
from tbsnode.phantom.column import Canvas
from tbsnode.phantom.shapes import bone, bump, capsule, cover, ellipse
from tbsnode.phantom.texture import gaussian_field

TRANSVERSE_PROCESS = 0.18
RIB = 0.24
ILIUM = 0.44
METAL = 5.0  # [g/cm2], above any bone
CONTRAST = 2.6  # [g/cm2] of a bowel loop full of barium: above any bone but a spinous process
PROCESS_LENGTH_MM = {"L1": 17.0, "L2": 21.0, "L3": 25.0, "L4": 21.0, "L5": 19.0, "L6": 19.0}


def draw_surroundings(
    canvas: Canvas, levels: tuple[Level, ...], spine: Spine, generator: np.random.Generator
) -> None:
    """Add the bones beside the column, where they are denser than what is there."""
    wobble = generator.uniform(-1.0, 1.0, (2, 12)) * spine.irregularity
    for k, level in enumerate(levels):
        for side, sign in ((0, -1.0), (1, 1.0)):
            if level.label in PROCESS_LENGTH_MM:
                _transverse_process(canvas, level, spine.scale, sign, float(wobble[side, k]))
            elif spine.ribs and level.label.startswith("T"):
                _rib(canvas, level, spine.scale, sign, float(wobble[side, k]))
    if spine.crests:
        _crests(canvas, levels, spine.scale)


def _lay(canvas: Canvas, block: tuple[slice, ...], density: Array) -> None:
    canvas.relative[block] = np.maximum(canvas.relative[block], density)


def _transverse_process(canvas: Canvas, level: Level, scale: float, sign: float, wobble: float) -> None:
    length = PROCESS_LENGTH_MM[level.label] * scale * (1.0 + 0.12 * wobble)
    root = level.on_axis(level.body_middle - 0.25 * level.body_half_height)
    tip = root - (2.5 + 1.5 * wobble) * scale
    reach = level.half_width * 0.85 + length
    block = canvas.window(root - 16.0, root + 14.0, reach + 10.0)
    if block is None:
        return
    distance = capsule(
        canvas.s[block],
        canvas.u[block],
        (root, sign * 0.7 * level.half_width),
        (tip, sign * reach),
        (5.0 * scale, 3.6 * scale),
    )
    _lay(canvas, block, bone(distance, inside=TRANSVERSE_PROCESS, rim=0.06, rim_mm=1.2, edge_mm=1.8))


def _rib(canvas: Canvas, level: Level, scale: float, sign: float, wobble: float) -> None:
    root = level.on_axis(level.body_middle - 0.3 * level.body_half_height)
    start = (root, sign * 0.8 * level.half_width)
    knee = (root + (13.0 + 2.0 * wobble) * scale, sign * (0.8 * level.half_width + 26.0 * scale))
    end = (root + (42.0 + 5.0 * wobble) * scale, sign * (0.8 * level.half_width + 64.0 * scale))
    block = canvas.window(root - 12.0, end[0] + 12.0, abs(end[1]) + 10.0)
    if block is None:
        return
    s, u = canvas.s[block], canvas.u[block]
    distance = np.minimum(
        capsule(s, u, start, knee, (3.6 * scale, 4.0 * scale)),
        capsule(s, u, knee, end, (4.0 * scale, 4.4 * scale)),
    )
    _lay(canvas, block, bone(distance, inside=RIB, rim=0.08, rim_mm=1.2, edge_mm=1.6))


def _crests(canvas: Canvas, levels: tuple[Level, ...], scale: float) -> None:
    """Iliac wings whose tops lie at the disc above the last lumbar vertebra, and the sacrum between."""
    lumbar = [level for level in levels if level.label.startswith("L")]
    top = lumbar[-1].top - 2.0 * scale
    block = canvas.window(top - 8.0, top + 150.0, 200.0)
    if block is None:
        return
    s, u = canvas.s[block], np.abs(canvas.u[block])
    wing = ellipse(s, u, (top + 52.0 * scale, 90.0 * scale), (52.0 * scale, 49.0 * scale))
    _lay(canvas, block, bone(wing, inside=ILIUM, rim=0.22, rim_mm=2.2, edge_mm=2.0))
    ala_top = lumbar[-1].bottom
    ala = capsule(s, u, (ala_top + 12.0, 0.0), (ala_top + 22.0, 46.0 * scale), (13.0 * scale, 11.0 * scale))
    _lay(canvas, block, bone(ala, inside=0.55, rim=0.12, rim_mm=2.0, edge_mm=2.4))


def draw_metal(canvas: Canvas, levels: tuple[Level, ...], spine: Spine) -> Array:
    """Return the areal density of metal in each pixel [g/cm2]."""
    by_label = {level.label: level for level in levels}
    result = np.zeros_like(canvas.s)
    if "screws" in spine.metal:
        for label in ("L3", "L4"):
            level = by_label[label]
            height = level.on_axis(level.body_middle - 0.25 * level.body_half_height)
            screw = capsule(
                canvas.s,
                np.abs(canvas.u),
                (height, 0.25 * level.half_width),
                (height - 2.0, 0.8 * level.half_width),
                (2.6, 3.2),
            )
            result += METAL * cover(screw, 0.8)
        upper, lower = (by_label[label] for label in ("L3", "L4"))
        rod = capsule(
            canvas.s,
            np.abs(canvas.u),
            (upper.top + 0.2 * upper.pitch, 0.8 * upper.half_width),
            (lower.top + 0.6 * lower.pitch, 0.8 * lower.half_width),
            (2.8, 2.8),
        )
        result += METAL * cover(rod, 0.8)
    if "wire" in spine.metal:
        # An underwire: a thin arc, open upward, over T12 and L1.
        radius = np.hypot(canvas.s + 32.0, canvas.u - 12.0)
        result += METAL * bump((radius - 44.0) / 0.6) * cover(-canvas.s - 24.0, 4.0)
    if "blob" in spine.metal:
        level = by_label["L2"]
        center = (level.on_axis(level.body_middle + 2.0), 0.35 * level.half_width)
        result += METAL * cover(ellipse(canvas.s, canvas.u, center, (7.0, 5.5)), 0.8)
    for name, beside in (("loop over", 0.7), ("loop beside", 2.4)):
        if name in spine.metal:
            level = by_label["L3"]
            center = (level.on_axis(level.body_middle), beside * level.half_width)
            loop = ellipse(canvas.s, canvas.u, center, (9.0, 20.0))
            result += CONTRAST * cover(loop, 3.0)
    return result


def draw_aorta(canvas: Canvas, spine: Spine, generator: np.random.Generator) -> None:
    """Add calcified plaques of the aorta, on the patient's left of the axis."""
    places = generator.uniform(-1.0, 1.0, (14, 3))
    if not spine.aorta:
        return
    for along, across, size in places:
        center = (60.0 * spine.scale * (1.0 + along), (19.0 + 8.0 * across) * spine.scale)
        plaque = ellipse(canvas.s, canvas.u, center, (4.5 + 2.5 * size, 1.6))
        canvas.relative[...] += 0.22 * cover(plaque, 1.2)


def soft_tissue(
    row_mm: Array,
    column_mm: Array,
    field_mm: tuple[float, float],
    spine: Spine,
    generator: np.random.Generator,
) -> Array:
    """Return the apparent areal density of soft tissue [g/cm2].

    Parameters
    ----------
    row_mm, column_mm : ndarray
        Field coordinates, without repositioning [mm]: of shape (M, N), or (M, 1) and (1, N).
    field_mm : (float, float)
        Height and width of the field [mm].
    spine : Spine
        What to draw.
    generator : numpy.random.Generator
        Source of the variation.

    Returns
    -------
    ndarray of shape (M, N)
        About 0.1: what a two-component model leaves behind where fat is not where it assumes.
    """
    coarse_mm = 4.0
    field = gaussian_field(
        (96, 96), generator, pixel_spacing_mm=coarse_mm, exponent=1.8, correlation_length_mm=38.0
    )
    bubbles = generator.uniform(0.0, 1.0, (7, 5))
    variation = _bilinear(field, row_mm / coarse_mm, column_mm / coarse_mm)
    away = np.abs(column_mm / field_mm[1] - 0.5) * 2.0
    result: Array = 0.13 - 0.04 * away**2 + 0.045 * spine.soft_tissue * variation
    for row, column, high, wide, depth in bubbles:
        center = (row * field_mm[0], (0.08 + 0.84 * column) * field_mm[1])
        pocket = ellipse(row_mm, column_mm, center, (5.0 + 9.0 * high, 7.0 + 12.0 * wide))
        result -= (0.03 + 0.07 * depth) * spine.gas * cover(pocket, 5.0)
    return result


def _bilinear(field: Array, row: Array, column: Array) -> Array:
    """Sample a periodic field between its points: at (M, N) of them, or on a grid of (M, 1) by (1, N)."""
    top, left = np.floor(row), np.floor(column)
    down, right = row - top, column - left
    i, j = top.astype(np.intp) % field.shape[0], left.astype(np.intp) % field.shape[1]
    k, m = (i + 1) % field.shape[0], (j + 1) % field.shape[1]
    result: Array
    if (
        row.shape[1] == column.shape[0] == 1
    ):  # the same sums, those along a row of the field once for all rows between
        across = field[:, j[0]] * (1.0 - right) + field[:, m[0]] * right
        result = across[i[:, 0]] * (1.0 - down)
        result += across[k[:, 0]] * down
        return result
    result = (field[i, j] * (1.0 - right) + field[i, m] * right) * (1.0 - down)
    result += (field[k, j] * (1.0 - right) + field[k, m] * right) * down
    return result
