"""The ring of one level: between two disc lines, inside the lateral edges, drawn in.

A ring is one simple closed polygon of (row, column) on the stored matrix with pixel centers at
integers; the scored pixels are exactly those whose centers it contains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column
from tbsnode.tbs.edges import Edges
from tbsnode.tbs.field import Image, Mask
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.polygon import polygon_mask

Ring = tuple[tuple[float, float], ...]

SIDE_STEP_MM = 1.0  # distance of the ring's points along a side
DISC_HALF_MM = (2.0, 7.0)  # from the middle of a disc to an endplate


@dataclass(frozen=True, slots=True)
class Line:
    """A line across the column.

    Attributes
    ----------
    s_mm : float
        Where it crosses the axis.
    slope : float
        Rise in s for each u to the right.
    """

    s_mm: float
    slope: float

    def at(self, u_mm: Image) -> Image:
        """Place along the axis of points across it."""
        return self.s_mm + self.slope * u_mm

    def moved(self, by_mm: float) -> Line:
        """Return the line moved down the axis."""
        return Line(self.s_mm + by_mm, self.slope)


@dataclass(frozen=True, eq=False, slots=True)
class Outline:
    """Where one level may be scored.

    Attributes
    ----------
    ring : Ring
        Closed polygon, first point repeated at the end; empty where nothing is left.
    cut : bool
        True where frame or padding comes within `anatomy.CUT_MM` of the level.
    """

    ring: Ring
    cut: bool


def outline(column: Column, edges: Edges, upper: Line, lower: Line, parameters: Parameters) -> Outline:
    """Draw the region of the level between two mid-disc lines.

    Parameters
    ----------
    column : Column
        The straightened picture.
    edges : Edges
        Its lateral edges.
    upper, lower : Line
        Mid-disc lines above and below.
    parameters : Parameters
        `region`, `edge_inset_mm`, `body_erosion_mm`.
    """
    cut = _is_cut(column, edges, upper, lower)
    inset = parameters.edge_inset_mm
    if parameters.region == "body":
        inset = parameters.body_erosion_mm
        upper = upper.moved(_endplate(column, edges, upper, lower.s_mm - upper.s_mm))
        lower = lower.moved(-_endplate(column, edges, lower, upper.s_mm - lower.s_mm))
    upper, lower = upper.moved(inset), lower.moved(-inset)
    if lower.s_mm - upper.s_mm < 4.0:
        return Outline((), True)
    left, right = (_drawn_in(edge, inset) for edge in (edges.left, edges.right))
    part = np.linspace(0.0, 1.0, max(8, round((lower.s_mm - upper.s_mm) / SIDE_STEP_MM) + 1))
    u_left = _side(upper, lower, part, left, -1.0)
    u_right = _side(upper, lower, part, right, 1.0)
    s_left = (1 - part) * upper.at(u_left) + part * lower.at(u_left)
    s_right = (1 - part) * upper.at(u_right) + part * lower.at(u_right)
    keep = _seen(column, s_left, u_left) & _seen(column, s_right, u_right) & (u_right - u_left > 4.0)
    first, last = _longest_run(keep)
    if last - first < 4:
        return Outline((), True)
    run = slice(first, last)
    s = np.concatenate([s_left[run][:1], s_right[run], s_left[run][::-1]])
    u = np.concatenate([u_left[run][:1], u_right[run], u_left[run][::-1]])
    rows, columns = column.stored(s, u)
    ring = tuple((round(float(r), 3), round(float(c), 3)) for r, c in zip(rows, columns, strict=True))
    return Outline(ring, cut or not bool(keep.all()))


def mask(ring: Ring, shape: tuple[int, int]) -> Mask:
    """Return the pixels of the stored matrix whose centers a ring contains."""
    if not ring:
        return np.zeros(shape, dtype=np.bool_)
    return polygon_mask(np.array(ring), shape)


def _drawn_in(edge: Image, by_mm: float) -> Image:
    """Move an edge inward by a distance measured in every direction, not only across."""
    reach = int(by_mm / anatomy.GRID_MM)
    along = np.arange(-reach, reach + 1) * anatomy.GRID_MM
    arc = np.sqrt(np.maximum(by_mm**2 - along**2, 0.0))
    return np.asarray(ndimage.grey_erosion(edge, structure=arc, mode="nearest"))


def _side(upper: Line, lower: Line, part: Image, edge: Image, sign: float) -> Image:
    """Find where lines between two disc lines meet an edge (two rounds suffice: both are nearly level)."""
    index = np.arange(edge.size) * anatomy.GRID_MM
    u = np.full(part.size, sign * float(np.median(edge)))
    for _ in range(3):
        s = (1 - part) * upper.at(u) + part * lower.at(u)
        u = sign * np.interp(s, index, edge)
    return u


def _nearest(column: Column, s_mm: Image, u_mm: Image) -> tuple[Image, Image, Mask]:
    s = np.round(s_mm / anatomy.GRID_MM).astype(np.intp)
    u = np.round(u_mm / anatomy.GRID_MM).astype(np.intp) + column.image.shape[1] // 2
    inside = (s >= 0) & (s < column.image.shape[0]) & (u >= 0) & (u < column.image.shape[1])
    return np.where(inside, s, 0), np.where(inside, u, 0), inside


def _seen(column: Column, s_mm: Image, u_mm: Image) -> Mask:
    """Tell the places that were scanned."""
    s, u, inside = _nearest(column, s_mm, u_mm)
    return np.asarray(inside & column.valid[s, u])


def _is_cut(column: Column, edges: Edges, upper: Line, lower: Line) -> bool:
    """Tell if frame or padding comes close to the whole level, before it is drawn in."""
    part = np.linspace(0.0, 1.0, 40)
    for edge, sign in ((edges.left, -1.0), (edges.right, 1.0)):
        u = _side(upper, lower, part, edge, sign)
        s = (1 - part) * upper.at(u) + part * lower.at(u)
        aside = u + sign * anatomy.CUT_MM
        above, below = upper.at(u) - anatomy.CUT_MM, lower.at(u) + anatomy.CUT_MM
        if not all(_seen(column, *place).all() for place in ((s, aside), (above, u), (below, u))):
            return True
    return False


def _longest_run(keep: Mask) -> tuple[int, int]:
    """Return the first and one past the last index of the longest run of True."""
    best, start = (0, 0), 0
    for index, value in enumerate([*keep.tolist(), False]):
        if not value:
            if index - start > best[1] - best[0]:
                best = (start, index)
            start = index + 1
    return best


def body_height(column: Column, edges: Edges, upper: Line, lower: Line) -> float:
    """Measure the vertebral body between two mid-disc lines, endplate to endplate [mm]."""
    pitch = lower.s_mm - upper.s_mm
    return float(pitch - _endplate(column, edges, upper, pitch) - _endplate(column, edges, lower, -pitch))


def _endplate(column: Column, edges: Edges, disc: Line, toward_mm: float) -> float:
    """Measure the distance from the middle of a disc to the endplate of the level [mm]."""
    sign = 1.0 if toward_mm > 0 else -1.0
    half = float(np.interp(disc.s_mm, np.arange(edges.half_width.size) * anatomy.GRID_MM, edges.half_width))
    u = np.concatenate([-1 * np.arange(0.6, 0.95, 0.05), np.arange(0.6, 0.95, 0.05)]) * half
    away = np.arange(0.0, 10.0, anatomy.GRID_MM)
    s = disc.at(u)[None, :] + sign * away[:, None]
    row, place, inside = _nearest(column, s, np.broadcast_to(u, s.shape))
    counted = inside & column.valid[row, place]
    profile = np.sum(column.image[row, place], axis=1, where=counted) / np.maximum(counted.sum(axis=1), 1)
    middle = (float(profile[:4].min()) + float(profile[4:].max())) / 2
    beyond = np.flatnonzero(profile > middle)
    distance = float(away[beyond[0]]) if beyond.size else sum(DISC_HALF_MM) / 2
    return float(np.clip(distance, *DISC_HALF_MM))
