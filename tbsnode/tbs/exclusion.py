"""Which levels are left out, and why: cut, metal or cement, movement, fusion, reduced height, too small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tbsnode.reasons import Code, Finding
from tbsnode.tbs import anatomy, fusion, movement, quality
from tbsnode.tbs.levels import Level, Source, area_mm2
from tbsnode.tbs.region import Line


def reasons(
    source: Source, drawn: Sequence[Level], heights_mm: Sequence[float | None]
) -> tuple[Finding | None, ...]:
    """Decide for each level if it is left out; the first reason in the order of importance.

    Parameters
    ----------
    source : Source
        Picture and segmentation.
    drawn : sequence of Level
        L1 to L4.
    heights_mm : sequence of float or None
        Body heights from T12 to L5, so that every level has two neighbors.
    """
    dense = _dense(source, drawn)
    # metal hides endplates: such a level has no height that its neighbors could be held against
    known = [None if 1 <= i <= len(drawn) and dense[i - 1] else h for i, h in enumerate(heights_mm)]
    reduced = quality.reduced_heights(known)
    if source.parameters.exclusion_policy == "none":  # spares what a person may judge otherwise
        reduced = {}
    moved = _moved(source, drawn)
    fused = _fused(source, drawn)
    found: list[Finding | None] = []
    for index, level in enumerate(drawn):
        name, height = level.label, heights_mm[index + 1]
        if level.outline.cut:
            found.append(Finding(Code.LEVEL_CUT, vertebra=name))
        elif dense[index]:
            found.append(Finding(Code.HIGH_DENSITY, vertebra=name))
        elif moved[index] is not None:
            found.append(Finding(Code.MOVEMENT, vertebra=name, values=(("step_mm", moved[index] or 0.0),)))
        elif index in fused:
            found.append(Finding(Code.LEVEL_FUSED, vertebra=name))
        elif index + 1 in reduced and height is not None:
            values = (("height_mm", round(height, 1)), ("percent", round(100 * reduced[index + 1])))
            found.append(Finding(Code.REDUCED_HEIGHT, vertebra=name, values=values))
        else:
            found.append(_too_small(source, level))
    return tuple(found)


def _dense(source: Source, drawn: Sequence[Level]) -> tuple[bool, ...]:
    """Tell the levels with metal, and those much brighter than the others: cement or contrast."""
    brightness = [_brightness(source, level) for level in drawn]
    found = []
    for index, level in enumerate(drawn):
        others = [value for i, value in enumerate(brightness) if i != index and np.isfinite(value)]
        found.append(_has_metal(source, level) or _is_dense(brightness[index], others))
    return tuple(found)


def _moved(source: Source, drawn: Sequence[Level]) -> tuple[float | None, ...]:
    """Return the largest sideways step [mm] among the scan lines of each level, None where there is none."""
    jumps = movement.find_jumps(source.found.column, source.found.edges, source.found.metal)
    found: list[float | None] = []
    for level in drawn:
        rows = np.flatnonzero(level.mask.any(axis=1))
        own = [abs(jump.step_mm) for jump in jumps if rows.size and rows[0] <= jump.row <= rows[-1]]
        found.append(max(own, default=None))
    return tuple(found)


def _fused(source: Source, drawn: Sequence[Level]) -> set[int]:
    """Return the levels above and below a disc that is bone."""
    lines = [drawn[0].upper, *(level.lower for level in drawn)]
    found = source.found
    ratios = fusion.disc_ratios(found.column, found.edges, found.metal, lines)
    seen = [_evidence(source, line) for line in lines]
    typical = float(np.median([one for one in seen if np.isfinite(one)] or [0.0]))
    fused = [disc for disc in fusion.fused_discs(ratios) if seen[disc] < fusion.NO_DISC * typical]
    return {level for disc in fused for level in (disc - 1, disc)}


def _evidence(source: Source, line: Line) -> float:
    """Return the evidence for a disc near a line; infinite beyond the chain, where it is only foretold."""
    chain, evidence = source.found.chain, source.found.profile.evidence
    near = np.abs(np.arange(evidence.size) * anatomy.GRID_MM - line.s_mm) <= fusion.NEAR_MM
    return float(np.max(evidence[near])) if line.s_mm in chain.s_mm and near.any() else float("inf")


def _brightness(source: Source, level: Level) -> float:
    """Return the median gray level of a region above soft tissue, positive for bone."""
    if not level.mask.any():
        return float("nan")
    low, high = source.found.column.grid.gray
    soft = low + float(np.median(source.found.edges.soft)) * (high - low)
    own = float(np.median(source.image[level.mask]))
    return (-own if source.found.inverted else own) - soft


def _is_dense(own: float, others: Sequence[float]) -> bool:
    """Tell a level much brighter than the others: cement or contrast."""
    return bool(others) and own > quality.DENSE_LEVEL * float(np.median(others))


def _has_metal(source: Source, level: Level) -> bool:
    """Tell metal between the disc lines and edges of a level."""
    found = source.found
    place = np.arange(found.metal.shape[0]) * anatomy.GRID_MM
    rows = (place >= level.upper.s_mm) & (place <= level.lower.s_mm)
    u = found.column.u_mm[None, :]
    inside = (u > -found.edges.left[rows, None]) & (u < found.edges.right[rows, None])
    return bool(np.count_nonzero(found.metal[rows] & inside) * anatomy.GRID_MM**2 > quality.METAL_MM2)


def _too_small(source: Source, level: Level) -> Finding | None:
    area, minimum = area_mm2(source, level.mask), source.parameters.min_area_mm2
    sides = [np.count_nonzero(level.mask.any(axis=axis)) for axis in (0, 1)]
    if area >= minimum and min(sides) >= quality.REGION_MIN_PIXELS:
        return None
    values = (("area_mm2", round(area, 1)), ("minimum_mm2", minimum))
    return Finding(Code.REGION_TOO_SMALL, vertebra=level.label, values=values)
