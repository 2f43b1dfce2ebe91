"""One picture of a spine in, one measurement out.

The order: is the picture a possible one, what was scanned, where is the column, is it the right way
up and the right size, which level is which, what is the texture of each, what is to be doubted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tbsnode.errors import SegmentationError
from tbsnode.reasons import Code, Finding
from tbsnode.tbs import (
    anatomy,
    curvature,
    exclusion,
    field,
    ink,
    labeling,
    levels,
    picture_quality,
    quality,
    scanner_regions,
    segmentation,
    view,
)
from tbsnode.tbs.corrections import REVIEWER, Corrections, corrected
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.result import Alternative, ScannerRegions, SpineMeasurement, Vertebra
from tbsnode.tbs.score import coarsest_spacing_mm


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Picture:
    """What is measured: stored pixels with their conditions.

    Attributes
    ----------
    pixels : ndarray of shape (M, N)
        Stored gray levels [a.u.], bone bright as far as the header tells.
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns.
    padding_value : float or None
        Pixel Padding Value on the scale of `pixels`.
    stored_maximum : float
        Largest value the stored bits can hold, on the scale of `pixels`.
    spacing_needs_check : bool
        True where the spacing was derived and must fit a human spine to be used.
    blocked : ndarray of shape (M, N), optional
        True under drawn lines, labels and captions: such pixels are in no mask and in no pair.
    regions : ScannerRegions or None
        The scanner's own regions, where they can be read: the first choice of where to measure.

    Notes
    -----
    Pixels of any real type are taken and kept as float64: unsigned ones would wrap around.

    Examples
    --------
    >>> Picture(pixels=np.zeros((3, 2), np.uint16), pixel_spacing_mm=(0.5, 0.5)).pixels.dtype
    dtype('float64')
    """

    pixels: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]
    padding_value: float | None = None
    stored_maximum: float = float("inf")
    spacing_needs_check: bool = False
    blocked: NDArray[np.bool_] | None = None
    regions: ScannerRegions | None = None

    def __post_init__(self) -> None:
        pixels = np.asarray(self.pixels, dtype=np.float64)
        if pixels.ndim != 2:
            raise ValueError(f"pixels have {pixels.ndim} dimensions; one picture of rows and columns has 2")
        object.__setattr__(self, "pixels", pixels)


def measure(
    picture: Picture, parameters: Parameters | None = None, corrections: Corrections | None = None
) -> SpineMeasurement:
    """Find L1 to L4 on a picture and measure the texture of each.

    Parameters
    ----------
    picture : Picture
        Stored pixels with spacing.
    parameters : Parameters, optional
        Region and estimator; the defaults without it.
    corrections : Corrections, optional
        What a reviewer changed about labels, disc lines and levels.

    Returns
    -------
    SpineMeasurement
        Regions, scores, confidence of the labels, and every doubt.

    Raises
    ------
    SegmentationError
        `WRONG_VIEW`, `NO_SPINE_FOUND`, `UPSIDE_DOWN`, `IMPLAUSIBLE_PIXEL_SPACING` or
        `FEWER_THAN_TWO_VERTEBRAE`.
    TextureError
        `LOW_BIT_DEPTH`, `BONE_CLIPPED`, `RESAMPLED_TOO_SMOOTH`, `OUT_OF_PHYSICAL_RANGE` or `NO_TEXTURE`.
    CorrectionError
        If a correction cannot be carried out on this picture.

    Examples
    --------
    >>> from tbsnode.phantom import example
    >>> scanned = example.spine()
    >>> found = measure(Picture(pixels=scanned.pixels, pixel_spacing_mm=scanned.pixel_spacing_mm))
    >>> [level.label for level in found.vertebrae if level.included]
    ['L1', 'L2', 'L3', 'L4']
    >>> abs(found.score - sum(level.score for level in found.vertebrae) / 4) < 1e-12
    True
    """
    chosen, changed = parameters or Parameters(), corrections or Corrections()
    _check_frame(picture)
    picture = _without_ink(picture)
    found, clipped = _find(picture)
    _check_coarseness(picture.pixel_spacing_mm, chosen)
    names = labeling.label(found)
    own = scanner_regions.judge(found, names, picture.regions, picture.pixel_spacing_mm)
    judged = corrected(own, changed)
    source = levels.Source(picture.pixels, picture.pixel_spacing_mm, judged.found, chosen, picture.blocked)
    drawn, vertebrae = _measure_levels(source, judged.first, changed.exclude)
    vertebrae, standard_error = levels.with_standard_errors(source, drawn, vertebrae)
    included = [v for v in vertebrae if v.included]
    _require_two(included, vertebrae)
    score = _mean([v.score for v in included])
    scored = np.any([level.mask for level, v in zip(drawn, vertebrae, strict=True) if v.included], axis=0)
    doubts = quality.texture_findings(picture.pixels[scored], score, chosen.min_gray_levels)
    seen = picture_quality.judge(source, scored, clipped, included)
    return SpineMeasurement(
        vertebrae=vertebrae,
        score=score,
        native_score=_native(included),
        standard_error=standard_error,
        label_confidence=round(judged.confidence, 4),
        alternative=_alternative(source, judged),
        disc_lines=levels.disc_lines(source, judged.first),
        votes=judged.votes,
        statistics=seen.statistics,
        region_source=judged.region_source,
        findings=(
            *_picture_findings(found, names, judged),
            *curvature.findings(judged.found.column, drawn[0].upper.s_mm, drawn[-1].lower.s_mm),
            *doubts,
            *seen.findings,
            *quality.resampling_findings(vertebrae, picture.pixel_spacing_mm),
            *quality.level_findings(vertebrae),
        ),
    )


def pictures_a_spine(pixels: NDArray[np.float64], padding_value: float | None = None) -> bool:
    """Tell if a picture whose spacing nobody knows is one of a lumbar spine from the front.

    Parameters
    ----------
    pixels : ndarray of shape (M, N)
        Stored gray levels [a.u.].
    padding_value : float, optional
        As of a `Picture`.

    Returns
    -------
    bool
        True where square pixels of some width of field that scanners have give a spine of a person's
        size. It is good enough to say that a spacing is missing, and not to measure with.

    Examples
    --------
    >>> from tbsnode.phantom import example
    >>> pictures_a_spine(example.spine().pixels)
    True
    >>> pictures_a_spine(np.zeros((300, 250)))
    False
    """
    if pixels.ndim != 2 or pixels.size == 0:
        return False
    for width_mm in anatomy.FIELD_WIDTHS_MM:
        step_mm = width_mm / pixels.shape[1]
        picture = Picture(
            pixels=pixels,
            pixel_spacing_mm=(step_mm, step_mm),
            padding_value=padding_value,
            spacing_needs_check=True,
        )
        try:
            _check_frame(picture)
            _find(picture)
        except SegmentationError:
            continue
        return True
    return False


def _without_ink(picture: Picture) -> Picture:
    if picture.blocked is None:
        return picture
    return replace(picture, pixels=ink.filled(picture.pixels, picture.blocked))


def _find(picture: Picture) -> tuple[segmentation.Segmentation, float | None]:
    """Find the spine, see that it is one from the front, and say at which gray level it is clipped."""
    scanned = field.scanned_field(picture.pixels, picture.padding_value)
    clipped = quality.saturation_level(picture.pixels, scanned, picture.stored_maximum)
    found = _segment(picture, scanned, clipped)
    _check_view(found)
    _check_size(found, picture.pixel_spacing_mm, derived=picture.spacing_needs_check)
    return found, None if found.inverted else clipped


def _check_coarseness(pixel_spacing_mm: tuple[float, float], parameters: Parameters) -> None:
    """Refuse a spine whose pixels lie too far apart for the shortest distance of the fit."""
    row_mm, column_mm = pixel_spacing_mm
    most_mm = coarsest_spacing_mm(parameters)
    if min(row_mm, column_mm) > most_mm:
        values = (
            ("row_mm", round(row_mm, 4)),
            ("column_mm", round(column_mm, 4)),
            ("most_mm", round(most_mm, 2)),
        )
        raise SegmentationError(Finding(Code.IMPLAUSIBLE_PIXEL_SPACING, values=values))


def _require_two(included: list[Vertebra], vertebrae: tuple[Vertebra, ...]) -> None:
    if len(included) < 2:
        few = Finding(Code.FEWER_THAN_TWO_VERTEBRAE, values=(("count", len(included)),))
        raise SegmentationError(few, behind=tuple(v.excluded for v in vertebrae if v.excluded))


def _check_view(found: segmentation.Segmentation) -> None:
    """Refuse a column that is upside down, from the side, or of the chest."""
    if view.is_upside_down(found):
        raise SegmentationError(Finding(Code.UPSIDE_DOWN))
    if not view.is_from_front(found) or view.is_thoracic(found):
        raise SegmentationError(Finding(Code.WRONG_VIEW))


def _measure_levels(
    source: levels.Source, first: int, exclude: tuple[str, ...] = ()
) -> tuple[tuple[levels.Level, ...], tuple[Vertebra, ...]]:
    drawn = levels.draw(source, first)
    found = exclusion.reasons(source, drawn, levels.body_heights(source, first))
    reasons = [
        own or (Finding(Code.EXCLUDED_BY_REVIEWER, vertebra=level.label) if level.label in exclude else None)
        for level, own in zip(drawn, found, strict=True)
    ]
    return drawn, levels.score_levels(source, drawn, reasons)


def _native(included: list[Vertebra]) -> float | None:
    natives = [v.native_score for v in included]
    return None if None in natives else _mean(natives)


def _mean(values: list[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def _check_frame(picture: Picture) -> None:
    """Refuse matrices that cannot be an AP spine, before looking for one."""
    rows, columns = picture.pixels.shape
    row_mm, column_mm = picture.pixel_spacing_mm
    if not np.isfinite(picture.pixels).all():
        raise SegmentationError(Finding(Code.NO_SPINE_FOUND))
    spacing = (("row_mm", round(row_mm, 4)), ("column_mm", round(column_mm, 4)))
    if not (row_mm > 0 and column_mm > 0):
        raise SegmentationError(Finding(Code.IMPLAUSIBLE_PIXEL_SPACING, values=spacing))
    if rows * row_mm > anatomy.FRAME_ASPECT_MAX * columns * column_mm:
        raise SegmentationError(Finding(Code.WRONG_VIEW))
    limits = anatomy.SPACING_MIN_MM, anatomy.SPACING_MAX_MM
    if not all(limits[0] <= step <= limits[1] for step in (row_mm, column_mm)):
        raise SegmentationError(Finding(Code.IMPLAUSIBLE_PIXEL_SPACING, values=spacing))
    if min(rows * row_mm, columns * column_mm) < anatomy.FRAME_MIN_MM:
        raise SegmentationError(Finding(Code.NO_SPINE_FOUND))


def _segment(
    picture: Picture, scanned: NDArray[np.bool_], clipped: float | None
) -> segmentation.Segmentation:
    """Find the spine; where a derived spacing hides it, say that the spacing is wrong."""
    spacing = picture.pixel_spacing_mm
    try:
        return segmentation.segment(picture.pixels, scanned, spacing, clipped=clipped)
    except SegmentationError as error:
        if picture.spacing_needs_check:
            for factor in anatomy.SPACING_FACTORS:
                other = spacing[0] * factor, spacing[1] * factor
                if _is_spine(picture, scanned, other):
                    row_mm, column_mm = (round(step, 4) for step in spacing)
                    values = (("row_mm", row_mm), ("column_mm", column_mm))
                    raise SegmentationError(Finding(Code.IMPLAUSIBLE_PIXEL_SPACING, values=values)) from error
        raise


def _is_spine(picture: Picture, scanned: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float]) -> bool:
    try:
        segmentation.segment(picture.pixels, scanned, pixel_spacing_mm)
    except SegmentationError:
        return False
    return True


def _check_size(
    found: segmentation.Segmentation, pixel_spacing_mm: tuple[float, float], *, derived: bool
) -> None:
    """Refuse a spacing that makes the spine too small or too large for a person; a stated one grossly."""
    pitch = float(np.mean(found.chain.pitches_mm))
    width = 2.0 * float(np.median(found.edges.half_width))
    pitches = anatomy.PITCH_MM if derived else anatomy.PITCH_STATED_MM
    pitch_fits = pitches[0] <= pitch <= pitches[1]
    width_fits = not derived or anatomy.BODY_WIDTH_MM[0] <= width <= anatomy.BODY_WIDTH_MM[1]
    if not (pitch_fits and width_fits):
        row_mm, column_mm = (round(step, 4) for step in pixel_spacing_mm)
        values = (
            ("row_mm", row_mm),
            ("column_mm", column_mm),
            ("pitch_mm", round(pitch, 1)),
            ("width_mm", round(width, 1)),
        )
        raise SegmentationError(Finding(Code.IMPLAUSIBLE_PIXEL_SPACING, values=values))


def _picture_findings(
    found: segmentation.Segmentation, names: labeling.Labeling, judged: scanner_regions.Judged
) -> tuple[Finding, ...]:
    doubts = []
    if found.inverted:
        doubts.append(Finding(Code.INVERTED_GRAYSCALE))
    if abs(found.tilt_deg) > anatomy.TILT_WARN_DEG:
        doubts.append(Finding(Code.TILTED_SPINE, values=(("tilt_degrees", round(abs(found.tilt_deg), 1)),)))
    confidence = (("confidence", round(judged.confidence, 2)),)
    given = judged.region_source == REVIEWER and judged.confidence == 1.0
    if names.assumed and not given:
        doubts.append(Finding(Code.LEVELS_ASSUMED, values=confidence))
    if judged.confidence < anatomy.LABELS_CERTAIN:
        doubts.append(Finding(Code.LEVELS_UNCERTAIN, values=confidence))
    if judged.disagrees:
        doubts.append(Finding(Code.LEVELS_DISAGREE_WITH_SCANNER, values=judged.difference))
    return tuple(doubts)


def _alternative(source: levels.Source, judged: scanner_regions.Judged) -> Alternative | None:
    """Say what the second-best labeling would give, where the labels are uncertain."""
    if judged.confidence >= anatomy.LABELS_CERTAIN:
        return None
    other = _measure_levels(source, judged.first + judged.shift)[1]
    included = [v.score for v in other if v.included]
    return Alternative(shift=judged.shift, score=_mean(included) if len(included) >= 2 else None)
