"""The four levels of a labeled spine: where they are, and the texture of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tbsnode.errors import TextureError
from tbsnode.reasons import Code, Finding
from tbsnode.tbs import anatomy, labeling, region, score
from tbsnode.tbs.field import Image, Mask
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.result import LABELS, Vertebra
from tbsnode.tbs.segmentation import Segmentation
from tbsnode.tbs.uncertainty import ScoredRegion, repeatability
from tbsnode.tbs.variogram import Variogram


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """What the levels are measured on.

    Attributes
    ----------
    image : ndarray of shape (M, N)
        Stored gray levels [a.u.].
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns.
    found : Segmentation
        Axis, edges, discs.
    parameters : Parameters
        Region and estimator.
    blocked : ndarray of shape (M, N), optional
        True under drawn lines, labels and captions: such pixels are in no mask and in no pair.
    """

    image: Image
    pixel_spacing_mm: tuple[float, float]
    found: Segmentation
    parameters: Parameters
    blocked: Mask | None = None

    def mask(self, ring: region.Ring) -> Mask:
        """Return the pixels that a ring contains and that show the patient."""
        inside = region.mask(ring, (self.image.shape[0], self.image.shape[1]))
        return inside if self.blocked is None else inside & ~self.blocked


def disc_line(source: Source, index: int) -> region.Line:
    """Return a mid-disc line by its index in the chain; beyond the chain it is level."""
    chain = source.found.chain
    slope = chain.slope[index] if 0 <= index < len(chain.slope) else 0.0
    return region.Line(labeling.disc_place(source.found, index), slope)


def disc_lines(source: Source, first: int) -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
    """Return the ends of the lines T12/L1 to L4/L5 on the stored matrix."""
    edges, column = source.found.edges, source.found.column
    index = np.arange(edges.half_width.size) * anatomy.GRID_MM
    lines = []
    for number in range(first, first + len(LABELS) + 1):
        line = disc_line(source, number)
        half = float(np.interp(line.s_mm, index, edges.half_width)) * 1.15
        u = np.array([-half, half])
        rows, columns = column.stored(line.at(u), u)
        ends = [(round(float(r), 3), round(float(c), 3)) for r, c in zip(rows, columns, strict=True)]
        lines.append((ends[0], ends[1]))
    return tuple(lines)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Level:
    """One level before it is scored.

    Attributes
    ----------
    label : str
        ``"L1"`` .. ``"L4"``.
    upper, lower : Line
        Mid-disc lines above and below.
    outline : Outline
        Its region.
    mask : ndarray of shape (M, N)
        The pixels of the region.
    """

    label: str
    upper: region.Line
    lower: region.Line
    outline: region.Outline
    mask: Mask


def draw(source: Source, first: int) -> tuple[Level, ...]:
    """Draw the regions of the four levels below the disc with index `first`."""
    column, edges = source.found.column, source.found.edges
    drawn = []
    for offset, label in enumerate(LABELS):
        upper, lower = disc_line(source, first + offset), disc_line(source, first + offset + 1)
        outline = region.outline(column, edges, upper, lower, source.parameters)
        mask = source.mask(outline.ring)
        drawn.append(Level(label=label, upper=upper, lower=lower, outline=outline, mask=mask))
    return tuple(drawn)


def body_heights(source: Source, first: int) -> tuple[float | None, ...]:
    """Measure the bodies from one level above the four to one below, endplate to endplate [mm].

    Returns
    -------
    tuple of float or None
        Six heights from T12 to L5; None where a disc was not found.
    """
    found = source.found
    heights: list[float | None] = []
    for index in range(first - 1, first + len(LABELS) + 1):
        if index >= 0 and index + 1 < len(found.chain.s_mm):
            pair = disc_line(source, index), disc_line(source, index + 1)
            heights.append(region.body_height(found.column, found.edges, *pair))
        else:
            heights.append(None)
    return tuple(heights)


def score_levels(
    source: Source, drawn: Sequence[Level], reasons: Sequence[Finding | None]
) -> tuple[Vertebra, ...]:
    """Score every level that has pixels; a level left out keeps its score where there is one."""
    return tuple(_vertebra(source, level, reason) for level, reason in zip(drawn, reasons, strict=True))


def _vertebra(source: Source, level: Level, reason: Finding | None) -> Vertebra:
    values = _score(source, level.mask)
    if values is None and reason is None:
        reason = Finding(Code.NO_LEVEL_SCORE, vertebra=level.label)
    return Vertebra(
        label=level.label,
        included=reason is None,
        excluded=reason,
        score=None if values is None else values.slope,
        standard_error=None,
        native_score=None if values is None else values.native_slope,
        unweighted_score=None if values is None else values.unweighted_slope,
        fit_r2=None if values is None else values.r2,
        pairs=0 if values is None else values.pairs,
        area_mm2=area_mm2(source, level.mask),
        height_mm=float(level.lower.s_mm - level.upper.s_mm),
        region=level.outline.ring,
        variogram=() if values is None else _triples(values, source.parameters.variogram_max_mm),
    )


def _score(source: Source, mask: Mask) -> score.RegionScore | None:
    """Score one region; None where it has no texture that can be measured."""
    if not mask.any():
        return None
    try:
        return score.score_region(
            source.image, mask, pixel_spacing_mm=source.pixel_spacing_mm, parameters=source.parameters
        )
    except TextureError:
        return None


def area_mm2(source: Source, mask: Mask) -> float:
    """Return the area of a mask [mm2]."""
    return float(np.count_nonzero(mask)) * source.pixel_spacing_mm[0] * source.pixel_spacing_mm[1]


def _triples(values: score.RegionScore, largest_mm: float) -> tuple[tuple[float, float, int], ...]:
    lags = values.variogram
    stop = int(np.searchsorted(lags.lag_mm, largest_mm + 1e-6, side="right"))
    columns = (lags.lag_mm[:stop].tolist(), lags.value[:stop].tolist(), lags.pairs[:stop].tolist())
    return tuple(zip(*columns, strict=True))


def with_standard_errors(
    source: Source, drawn: Sequence[Level], vertebrae: Sequence[Vertebra]
) -> tuple[tuple[Vertebra, ...], float | None]:
    """Add to each score its repeatability standard error, and return that of the mean beside them."""
    regions = [
        ScoredRegion(level.mask, level.outline.ring, _variogram(vertebra)) if vertebra.variogram else None
        for level, vertebra in zip(drawn, vertebrae, strict=True)
    ]
    errors = repeatability(
        source.image,
        regions,
        [vertebra.included for vertebra in vertebrae],
        pixel_spacing_mm=source.pixel_spacing_mm,
        parameters=source.parameters,
        blocked=source.blocked,
    )
    pairs = zip(vertebrae, errors.levels, strict=True)
    return tuple(replace(vertebra, standard_error=error) for vertebra, error in pairs), errors.score


def _variogram(vertebra: Vertebra) -> Variogram:
    lag_mm, value, pairs = zip(*vertebra.variogram, strict=True)
    return Variogram(np.array(lag_mm), np.array(value), np.array(pairs, dtype=np.int64))
