"""The scanner's own regions: the first choice of where to measure, and the judge of our labels.

A technologist has looked at them, and the bone mineral density beside the score rests on them. Where
lines or outlines can be read they are taken over onto our axis; where only areas or heights are known
they say if our levels would fit better one vertebra up or down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tbsnode.tbs import anatomy, labeling, region
from tbsnode.tbs.axis import Column
from tbsnode.tbs.discs import Chain
from tbsnode.tbs.edges import Edges
from tbsnode.tbs.field import Image
from tbsnode.tbs.labeling import Labeling
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.polygon import polygon_mask
from tbsnode.tbs.result import LABELS, ScannerRegions, Vote
from tbsnode.tbs.segmentation import Segmentation

OURS, SCANNERS = "tbsnode", "scanner"
SAME_LEVEL = 0.3  # of a level between two lines for one disc; further off they mean different things
CLEARLY_BETTER = 0.6  # of our misfit; a smaller one up or down is a better match
MISFIT_MIN = 0.04  # root mean square of log ratios; two readers of one bone edge differ by 2-3 %
DISPUTED = 0.5  # confidence at most where software and scanner name different vertebrae
# Technologists count wrongly in 13 of 100 people whose count is not the usual one of five; Peel 1993.
LINES_WEIGHT = 2.0  # logarithm of the odds, about 7 to 1
LEVELS_MIN = 3  # with fewer areas or heights nothing can be told
SLACK_MM = 0.5  # two readers of one bone edge; the region is drawn in by twice as much
OVERLAP_MM = 1.0  # a row nearer than this to an outline's end is the line that was drawn there


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Judged:
    """A segmentation with its labels, after the scanner's own regions were asked.

    Attributes
    ----------
    found : Segmentation
        With the scanner's lines and edges where they could be read.
    first : int
        Index of T12/L1 in its chain.
    shift : int
        Where the alternative labeling lies.
    region_source : str
        ``"scanner"`` or ``"tbsnode"``.
    confidence : float
        Of the labels that are reported, 0 to 1.
    votes : tuple of Vote
        Of our cues and of the scanner, relative to the labels that are reported.
    difference : tuple of (str, float or str) pairs
        How our labels and the scanner's differ, as values of the finding; empty where they agree.
    """

    found: Segmentation
    first: int
    shift: int
    confidence: float
    votes: tuple[Vote, ...]
    region_source: str = OURS
    difference: tuple[tuple[str, float | str], ...] = ()

    @property
    def disagrees(self) -> bool:
        """Whether our labels and the scanner's name different vertebrae."""
        return bool(self.difference)


def judge(
    found: Segmentation,
    names: Labeling,
    regions: ScannerRegions | None,
    pixel_spacing_mm: tuple[float, float],
) -> Judged:
    """Hold our levels against the scanner's own, and take its regions where they can be read.

    Parameters
    ----------
    found : Segmentation
        Ours.
    names : Labeling
        Our labels.
    regions : ScannerRegions or None
        The scanner's.
    pixel_spacing_mm : tuple of float
        Of the stored matrix, rows then columns.
    """
    ours = Judged(
        found=found, first=names.first, shift=names.shift, confidence=names.confidence, votes=names.votes
    )
    if regions is None:
        return ours
    lines = _lines(found.column, regions)
    if lines:
        return _taken_over(found, names, lines, regions)
    misfits = _misfits(found, names.first, regions, pixel_spacing_mm)
    if 0 not in misfits or len(misfits) < 2:
        return ours
    best = min(misfits, key=lambda shift: (misfits[shift], abs(shift)))
    better = misfits[0] > MISFIT_MIN and misfits[best] < CLEARLY_BETTER * misfits[0]
    favored = best if better else 0
    other = min(value for shift, value in misfits.items() if shift != favored)
    weight = max(0.0, float(np.log((other + MISFIT_MIN) / (misfits[favored] + MISFIT_MIN))))
    votes = (*names.votes, Vote(cue=SCANNERS, shift=favored, weight=weight))
    if not better:
        return replace(ours, votes=votes)
    return replace(
        ours,
        votes=votes,
        shift=favored,
        confidence=min(names.confidence, DISPUTED),
        difference=(("shift", f"{favored:+d}"), ("detail", "areas and heights")),
    )


# ---- lines and outlines ---------------------------------------------------------------------------


def on_axis(column: Column, rows: Image, columns: Image) -> tuple[Image, Image]:
    """Turn places on the stored matrix into places along and across the axis.

    Parameters
    ----------
    column : Column
        The straightened picture.
    rows, columns : ndarray of shape (K,)
        On the stored matrix, pixel centers at integers.

    Returns
    -------
    s_mm, u_mm : ndarray of shape (K,)
        The inverse of `Column.stored`, to a hundredth of a millimeter.
    """
    grid = column.grid
    ends = [(size - 1) / 2 for size in grid.image.shape]
    steps = [spacing / anatomy.GRID_MM for spacing in grid.pixel_spacing_mm]
    y = (np.asarray(rows) - (grid.shape[0] - 1) / 2) * steps[0] + ends[0]
    x = (np.asarray(columns) - (grid.shape[1] - 1) / 2) * steps[1] + ends[1]
    distance = np.hypot(y[:, None] - column.y[None, :], x[:, None] - column.x[None, :])
    s = np.argmin(distance, axis=1).astype(np.float64)
    index = np.arange(column.y.size, dtype=np.float64)
    for _ in range(3):
        end = np.clip(s, 0.0, index[-1])
        angle = np.interp(end, index, column.angle)
        away = y - np.interp(end, index, column.y), x - np.interp(end, index, column.x)
        s = end + away[0] * np.cos(angle) + away[1] * np.sin(angle)
    across = -away[0] * np.sin(angle) + away[1] * np.cos(angle)
    return s * anatomy.GRID_MM, np.asarray(across) * anatomy.GRID_MM


def _lines(column: Column, regions: ScannerRegions) -> dict[int, region.Line]:
    """Return the scanner's disc lines on our axis: 0 = T12/L1 .. 4 = L4/L5; empty where it named none."""
    found: dict[int, region.Line] = {}
    for number, label in enumerate(regions.labels):
        if label in LABELS and number + 1 < len(regions.lines):
            place = LABELS.index(label)
            found[place] = _line(column, regions.lines[number])
            found[place + 1] = _line(column, regions.lines[number + 1])
    for label, ring in () if found else regions.outlines:
        if label in LABELS:
            place = LABELS.index(label)
            upper, lower = _ends_of(column, ring)
            found.setdefault(place, upper)
            found[place + 1] = lower
    places = sorted(found)
    rising = all(found[a].s_mm < found[b].s_mm for a, b in pairwise(places))
    return found if len(places) > 2 and rising else {}


def _line(column: Column, ends: tuple[tuple[float, float], tuple[float, float]]) -> region.Line:
    s, u = on_axis(column, np.array([end[0] for end in ends]), np.array([end[1] for end in ends]))
    return _through(s, u)


def _through(s: Image, u: Image) -> region.Line:
    """Fit a line; its slope is limited as that of any disc."""
    slope, place = np.polyfit(u, s, 1) if np.ptp(u) > 1.0 else (0.0, float(np.mean(s)))
    limit = anatomy.DISC_SLOPE_MAX
    if abs(slope) > limit:
        slope = float(np.clip(slope, -limit, limit))
        place = float(np.mean(s) - slope * np.mean(u))
    return region.Line(float(place), float(slope))


def _ends_of(column: Column, ring: Sequence[tuple[float, float]]) -> tuple[region.Line, region.Line]:
    """Return the upper and the lower end of an outline, by its middle half."""
    points = np.array(ring)
    s, u = on_axis(column, points[:, 0], points[:, 1])
    dense = np.linspace(0.0, 1.0, 8, endpoint=False)
    s = (s[:-1, None] + np.diff(s)[:, None] * dense).ravel()
    u = (u[:-1, None] + np.diff(u)[:, None] * dense).ravel()
    middle, half = (u.max() + u.min()) / 2, (u.max() - u.min()) / 4
    core = np.abs(u - middle) <= half
    split = (s.max() + s.min()) / 2
    upper, lower = core & (s < split), core & (s >= split)
    return _through(s[upper], u[upper]), _through(s[lower], u[lower])


def _taken_over(
    found: Segmentation, names: Labeling, lines: Mapping[int, region.Line], regions: ScannerRegions
) -> Judged:
    """Replace our discs and edges by the scanner's, keep ours above and below, and compare the labels."""
    pitch = float(np.median(found.chain.pitches_mm))
    ours = [labeling.disc_place(found, names.first + place) for place in range(len(LABELS) + 1)]
    off = float(np.median([(ours[place] - line.s_mm) / pitch for place, line in lines.items()]))
    shift = round(off)
    chain, first = _merged(found, names.first - shift, lines, pitch)
    apart = max(
        abs(labeling.disc_place(found, names.first + place - shift) - line.s_mm)
        for place, line in lines.items()
    )
    difference: tuple[tuple[str, float | str], ...] = ()
    if shift != 0:
        difference = (("shift", f"{-shift:+d}"), ("detail", "lines and labels"))
    elif apart > SAME_LEVEL * pitch:
        difference = (("difference_mm", round(apart, 1)), ("detail", "lines and labels"))
    own = [vote if vote.shift is None else replace(vote, shift=vote.shift + shift) for vote in names.votes]
    return Judged(
        found=replace(found, chain=chain, edges=_edges(found, regions)),
        first=first,
        shift=shift if shift != 0 else names.shift,
        confidence=min(names.confidence, DISPUTED) if difference else names.confidence,
        votes=(*own, Vote(cue=SCANNERS, shift=0, weight=LINES_WEIGHT)),
        region_source=SCANNERS,
        difference=difference,
    )


def _merged(
    found: Segmentation, first: int, lines: Mapping[int, region.Line], pitch_mm: float
) -> tuple[Chain, int]:
    """Put the scanner's lines into our chain; a line it did not draw is ours."""
    chain = found.chain
    discs: list[region.Line] = []
    for place in range(len(LABELS) + 1):
        index = first + place
        slope = chain.slope[index] if 0 <= index < len(chain.slope) else 0.0
        discs.append(lines.get(place, region.Line(labeling.disc_place(found, index), slope)))
    own = [region.Line(s, slope) for s, slope in zip(chain.s_mm, chain.slope, strict=True)]
    above = [line for line in own if line.s_mm < discs[0].s_mm - 0.5 * pitch_mm]
    below = [line for line in own if line.s_mm > discs[-1].s_mm + 0.5 * pitch_mm]
    every = [*above, *discs, *below]
    merged = replace(
        chain, s_mm=tuple(line.s_mm for line in every), slope=tuple(line.slope for line in every)
    )
    return merged, len(above)


def _edges(found: Segmentation, regions: ScannerRegions) -> Edges:
    """Keep our lateral edges inside the scanner's outlines.

    The edge rule stays ours: an outline that notches otherwise moves the score by 0.02, and a page
    would not score as the same picture sent as a copy.
    """
    column, edges = found.column, found.edges
    shape, middle = column.image.shape, column.image.shape[1] // 2
    inside = np.zeros(shape, dtype=np.bool_)
    for _, ring in regions.outlines:
        points = np.array(ring)
        s, u = on_axis(column, points[:, 0], points[:, 1])
        inside |= polygon_mask(np.stack([s, u], axis=1) / anatomy.GRID_MM + (0.0, middle), shape)
    rows = np.flatnonzero(inside.any(axis=1))
    if rows.size == 0:
        return edges
    reach = round(OVERLAP_MM / anatomy.GRID_MM)
    whole = rows[(rows >= rows[0] + reach) & (rows <= rows[-1] - reach)]
    first = np.argmax(inside[whole], axis=1)
    last = shape[1] - 1 - np.argmax(inside[whole, ::-1], axis=1)
    left, right = edges.left.copy(), edges.right.copy()
    left[whole] = np.minimum(left[whole], (middle - first + 0.5) * anatomy.GRID_MM + SLACK_MM)
    right[whole] = np.minimum(right[whole], (last - middle + 0.5) * anatomy.GRID_MM + SLACK_MM)
    return replace(edges, left=left, right=right)


# ---- areas and heights ----------------------------------------------------------------------------


def _misfits(
    found: Segmentation,
    first: int,
    regions: ScannerRegions,
    pixel_spacing_mm: tuple[float, float],
) -> dict[int, float]:
    """Return how badly areas and heights fit our levels, and those one vertebra up and down.

    Only their pattern over the levels counts: where bone ends is another vendor's decision, and a
    common factor of 5 % is as large as the growth from one vertebra to the next.
    """
    areas, heights = dict(regions.areas_mm2), dict(regions.heights_mm)
    misfits = {}
    for shift in (-1, 0, 1):
        ratios = []
        for stated, measured in ((areas, _area_mm2), (heights, _height_mm)):
            own = [
                np.log(measured(found, first + shift + place, pixel_spacing_mm) / stated[label])
                for place, label in enumerate(LABELS)
                if stated.get(label, 0.0) > 0 and _whole(found, first + shift + place)
            ]
            if len(own) >= LEVELS_MIN:
                ratios += [value - np.mean(own) for value in own]
        if ratios:
            misfits[shift] = float(np.sqrt(np.mean(np.square(ratios))))
    return misfits


def _whole(found: Segmentation, index: int) -> bool:
    """Tell a level whose both discs were found."""
    return index >= 0 and index + 1 < len(found.chain.s_mm)


def _height_mm(found: Segmentation, index: int, pixel_spacing_mm: tuple[float, float]) -> float:
    del pixel_spacing_mm
    return found.chain.pitches_mm[index]


def _area_mm2(found: Segmentation, index: int, pixel_spacing_mm: tuple[float, float]) -> float:
    """Measure a whole level, nothing drawn in: what a scanner states."""
    chain = found.chain
    upper, lower = (region.Line(chain.s_mm[i], chain.slope[i]) for i in (index, index + 1))
    whole = region.outline(found.column, found.edges, upper, lower, Parameters(edge_inset_mm=0.0))
    points = np.array(whole.ring) * pixel_spacing_mm
    if points.size == 0:
        return 1e-9
    (y, x), (y2, x2) = points[:-1].T, points[1:].T
    return max(abs(float(np.sum(x * y2 - x2 * y))) / 2, 1e-9)
