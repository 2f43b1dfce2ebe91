"""Fused levels: bone where a disc should be, at both sides of the column.

A clear disc is dark beside the laminae, at 0.1 to 0.5 of its neighbors; a worn or narrow one is
lighter and still a gap. Where one disc is as bright as the bodies on both sides and the others are
not, its two levels have grown or been joined together. Fusion is a local structural change: ISCD
leaves such levels out, and the survey NHANES codes them as invalid (6: degenerative disease, fusion,
fracture). Both levels are touched, since the bridge belongs to both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tbsnode.tbs import anatomy
from tbsnode.tbs.axis import Column
from tbsnode.tbs.edges import Edges
from tbsnode.tbs.field import Image, Mask
from tbsnode.tbs.region import Line

STRIP = (0.50, 0.76)  # half widths: beside the laminae and inside the waist
GAP_MM = 5.0  # from the line to where the gap may be darkest
BODY_PART = (0.28, 0.45)  # of the pitch from the line: body, without its endplate
SMOOTH_MM = 2.0
FUSED = 0.85  # disc over bodies, at the side where it is darker; a worn disc stays below 0.8
CLEAR = 0.77  # what the other discs must not exceed, in their median
CLEARER = 0.20  # and how much darker they must be
# Facets can make a healthy disc as bright as bone; its endplates are seen all the same.
NEAR_MM = 3.0  # from a mid-disc line
NO_DISC = 0.2  # of the evidence for the other discs, gap and endplates together


def disc_ratios(column: Column, edges: Edges, foreign: Mask, lines: Sequence[Line]) -> tuple[float, ...]:
    """Compare the darkest place near each mid-disc line with the bodies above and below it.

    Parameters
    ----------
    column : Column
        The straightened picture.
    edges : Edges
        Its edges, with the brightness of soft tissue.
    foreign : ndarray of shape (S, U)
        True on metal, which does not count.
    lines : sequence of Line
        Mid-disc lines from the head down.

    Returns
    -------
    tuple of float
        Brightness above soft tissue, disc over body, at the darker side; NaN where it was not seen.
    """
    seen = column.valid & ~foreign
    places = [line.s_mm for line in lines]
    found = []
    for index, line in enumerate(lines):
        near = [abs(other - line.s_mm) for i, other in enumerate(places) if abs(i - index) == 1]
        pitch = float(np.mean(near)) if near else float(np.mean(anatomy.PITCH_MM))
        sides = [_ratio(column, seen, edges, line, pitch, sign) for sign in (-1.0, 1.0)]
        found.append(min(sides) if np.isfinite(sides).all() else float("nan"))
    return tuple(found)


def _ratio(column: Column, seen: Mask, edges: Edges, line: Line, pitch: float, sign: float) -> float:
    row = min(max(round(line.s_mm / anatomy.GRID_MM), 0), edges.half_width.size - 1)
    u = sign * np.arange(STRIP[0], STRIP[1], 0.04) * edges.half_width[row]
    away = np.arange(-BODY_PART[1] * pitch, BODY_PART[1] * pitch, anatomy.GRID_MM)
    profile = _profile(column, seen, line.at(u)[None, :] + away[:, None], u)
    soft = float(edges.soft[row])
    inside = np.abs(away) <= GAP_MM
    body = (np.abs(away) >= BODY_PART[0] * pitch, away < 0)
    ends = [np.median(profile[body[0] & side]) - soft for side in (body[1], ~body[1])]
    bone = float(min(ends))  # the brighter one may be crushed
    if not np.isfinite(bone) or bone <= 0.0:
        return float("nan")
    return float((np.min(profile[inside]) - soft) / bone)


def _profile(column: Column, seen: Mask, s_mm: Image, u_mm: Image) -> Image:
    """Average along lines that follow the disc, over `SMOOTH_MM`; NaN where hardly seen."""
    s = np.round(s_mm / anatomy.GRID_MM).astype(np.intp)
    u = np.broadcast_to(
        np.round(u_mm / anatomy.GRID_MM).astype(np.intp) + column.image.shape[1] // 2, s.shape
    )
    inside = (s >= 0) & (s < column.image.shape[0]) & (u >= 0) & (u < column.image.shape[1])
    s, u = np.where(inside, s, 0), np.where(inside, u, 0)
    counted = inside & seen[s, u]
    number = np.count_nonzero(counted, axis=1)
    mean = np.sum(column.image[s, u], axis=1, where=counted) / np.maximum(number, 1)
    mean = np.where(number >= 0.6 * s.shape[1], mean, np.nan)
    span = round(SMOOTH_MM / anatomy.GRID_MM)
    return np.convolve(
        np.pad(mean, (span // 2, span - 1 - span // 2), mode="edge"), np.ones(span) / span, "valid"
    )


def fused_discs(ratios: Sequence[float]) -> tuple[int, ...]:
    """Tell which discs are bone while the others are clear.

    Parameters
    ----------
    ratios : sequence of float
        From `disc_ratios`.

    Returns
    -------
    tuple of int
        Their places in `ratios`; none where too few discs can be compared.

    Examples
    --------
    >>> fused_discs([0.4, 0.5, 1.0, 0.45, 0.5])
    (2,)
    >>> fused_discs([0.9, 0.92, 1.0, 0.9, 0.93])  # a picture on which no disc is clear tells nothing
    ()
    """
    found = []
    for index, ratio in enumerate(ratios):
        others = [other for i, other in enumerate(ratios) if i != index and np.isfinite(other)]
        if len(others) < 2 or not np.isfinite(ratio):
            continue
        typical = float(np.median(others))
        if ratio >= FUSED and typical <= CLEAR and ratio - typical >= CLEARER:
            found.append(index)
    return tuple(found)
