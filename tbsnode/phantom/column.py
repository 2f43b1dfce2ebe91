"""The vertebral column: bodies, endplates, discs, and what lies behind them.

Every density here is relative to the middle of a body (1.00).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbsnode.phantom.anatomy import Array, Level, Spine
from tbsnode.phantom.drawing import DRAWING_SPACING_MM
from tbsnode.phantom.shapes import bump, capsule, cover

LATERAL_EDGE_MM = 2.7  # 10-90 %, soft because a body is round
ENDPLATE = 0.38
CONCAVITY_MM = 1.1
PEDICLE_POSITION = 0.64  # of the half width: about 16 mm
SPINOUS_DENSITY = 1.02
COARSE = 8  # blocks are found on every eighth pixel
MARGIN_MM = 15.0  # how far beyond the bone edge a level's window reaches


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canvas:
    """A map under construction.

    Attributes
    ----------
    s, u : ndarray of shape (M, N)
        Spine coordinates of each pixel center [mm].
    relative : ndarray of shape (M, N)
        Density relative to a body; drawn into.
    """

    s: Array
    u: Array
    relative: Array

    def window(self, top: float, bottom: float, reach: float) -> tuple[slice, ...] | None:
        """Return a block that holds `top` <= s <= `bottom` within `reach` of the axis."""
        s, u = self.s[::COARSE, ::COARSE], self.u[::COARSE, ::COARSE]
        slack = COARSE * DRAWING_SPACING_MM
        inside = (s >= top - slack) & (s <= bottom + slack) & (np.abs(u) <= reach + slack)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if rows.size == 0:
            return None
        return tuple(slice(int(at[0]) * COARSE, (int(at[-1]) + 1) * COARSE) for at in (rows, columns))


def draw_column(canvas: Canvas, levels: tuple[Level, ...], spine: Spine, rotation: Array) -> None:
    """Draw all levels; the front first, then the arches, then the spinous processes.

    Parameters
    ----------
    canvas : Canvas
        Drawn into.
    levels : tuple of Level
        From the head down.
    spine : Spine
        What to draw.
    rotation : ndarray, one value a level
        How far rotation moves the posterior elements to the right [mm].
    """
    for level in levels:
        block = canvas.window(level.top - 4.0, level.bottom + 4.0, level.half_width + MARGIN_MM)
        if block is None:
            continue
        depth, u = level.depth(canvas.s[block], canvas.u[block]), canvas.u[block]
        own = (depth >= 0.0) & (depth < level.pitch)
        canvas.relative[block] = np.where(own, _front(depth, u, level, spine), canvas.relative[block])
    for level, offset in zip(levels, rotation, strict=True):
        block = canvas.window(level.top - 2.0, level.bottom + 12.0, level.half_width + MARGIN_MM)
        if block is not None:
            depth, aside = level.depth(canvas.s[block], canvas.u[block]), canvas.u[block] - float(offset)
            canvas.relative[block] += _arch(depth, aside, level, spine)
            canvas.relative[block] *= 1.0 - _window_dip(depth, aside, level, spine)
        if level.label not in spine.laminectomy and level.label != "S1":
            _spinous_process(canvas, level, spine, float(offset))


def _front(depth: Array, u: Array, level: Level, spine: Spine) -> Array:
    """Return body, endplates and the halves of the neighboring discs."""
    edge = level.edge(depth, u, spine.waist)
    lateral = cover(np.abs(u) - edge, LATERAL_EDGE_MM)
    across = np.minimum(np.abs(u) / level.half_width, 1.0)
    height = np.abs(depth - level.body_middle)
    plate = level.body_half_height - CONCAVITY_MM * (1.0 - across**2)
    body = cover(height - plate, 0.7) * level.gain
    center = cover(np.abs(u) - 0.66 * level.half_width, 5.0)
    side = spine.lateral_disc_ratio * (1.2 - 0.5 * across) * (1.0 + 0.3 * level.quirks[0] * np.sign(u))
    disc = side + (spine.disc_ratio - side) * center
    result = body * (1.0 - 0.06 * across**4) + (1.0 - np.minimum(body, 1.0)) * disc
    rims = bump((height - plate) / 0.55) + 0.65 * bump((height - plate + 1.9) / 0.6)
    # Osteophytes and rims harden the corners.
    corner = bump((height - plate) / 1.6) * cover(edge - 4.0 - np.abs(u), 2.0)
    if any(level.fused):
        joined = np.where(depth < level.body_middle, *level.fused) & (height > plate - 4.0)
        result, rims = np.where(joined, 1.0, result), np.where(joined, 0.25 * rims, rims)
    result += spine.posterior * ENDPLATE * rims + (0.08 + 0.35 * spine.osteophytes) * corner
    cortex = 0.07 * bump((edge - 2.0 - np.abs(u)) / 0.9) * body
    final: Array = (result + cortex) * lateral
    return final


def _arch(depth: Array, u: Array, level: Level, spine: Spine) -> Array:
    """Return pedicle rings, laminae and facet joints, added to the front."""
    size = level.half_width / 25.0
    height = depth - level.body_middle
    half = level.body_half_height
    aside = np.abs(u) - (PEDICLE_POSITION + 0.04 * level.quirks[1] * np.sign(u)) * level.half_width
    ring = np.hypot(aside / (4.6 * size), (height + 0.28 * half) / (0.58 * half))
    pedicle = 0.40 * bump((ring - 0.82) / 0.16) - 0.06 * cover(ring - 0.6, 0.4)
    # Laminae run from the pedicles down and inward to the root of the spinous process ...
    lamina = capsule(
        height,
        np.abs(u),
        (0.05 * half, 0.52 * level.half_width),
        (0.62 * half, 2.0),
        (3.2 * size, 4.2 * size),
    )
    # ... and end as articular processes beside the discs.
    facet = capsule(
        height,
        np.abs(u),
        (0.55 * half, 0.50 * level.half_width),
        (1.25 * half, 0.56 * level.half_width),
        (3.0 * size, 3.4 * size),
    )
    sclerosis = 1.0 + (2.5 * spine.facet_sclerosis if level.label in ("L4", "L5") else 0.0)
    result: Array = (
        pedicle
        + 0.13 * cover(lamina, 2.4)
        + sclerosis * (0.10 * cover(facet, 2.2) + 0.06 * bump(facet / 1.1))
    )
    return spine.posterior * result


def window_center(level: Level) -> float:
    """Return the depth of the interlaminar window below the upper mid-disc [mm]."""
    return level.body_middle - 0.22 * level.body_half_height


def _window_dip(depth: Array, u: Array, level: Level, spine: Spine) -> Array:
    """Return the part of the density that is missing in the interlaminar window."""
    size = level.half_width / 25.0
    width = 9.5 * size * (1.0 + 0.12 * level.quirks[2])
    radius = np.hypot(u / width, (depth - window_center(level)) / (0.32 * level.body_half_height))
    result: Array = 0.48 * spine.decoy * cover(radius - 1.0, 0.85)
    return result


def _spinous_process(canvas: Canvas, level: Level, spine: Spine, offset: float) -> None:
    """Add a teardrop from the middle of the body to the upper third of the next."""
    size = level.half_width / 25.0
    start = level.on_axis(level.body_middle + 0.12 * level.body_half_height)
    length = (0.72 + 0.03 * level.quirks[2]) * level.pitch
    block = canvas.window(start - 4.0, start + length + 4.0, 14.0 + abs(offset) + abs(spine.lean_mm))
    if block is None:
        return
    part = (canvas.s[block] - start) / length
    clipped = np.clip(part, 0.0, 1.0)
    middle = offset + (spine.lean_mm + 0.9 * level.quirks[3]) * clipped
    half_width = (
        3.7
        * size
        * (0.35 + 0.65 * np.sin(np.pi * clipped**1.5))
        * np.sqrt(4.0 * clipped * (1.0 - clipped) + 0.05)
    )
    ends = np.maximum(np.abs(part - 0.5) - 0.5, 0.0) * length
    distance = np.abs(canvas.u[block] - middle) - half_width + ends
    rim = 0.85 + 0.25 * bump((distance + 1.2) / 0.8)
    canvas.relative[block] += spine.posterior * SPINOUS_DENSITY * rim * cover(distance, 1.8)
