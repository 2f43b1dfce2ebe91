"""The grayscale picture inside a report page, with the spacing that the page itself establishes.

A page has no pixel spacing of its picture. What it has is a table: the area of each level in square
centimeters, and the same levels in pixels. Where the two agree level by level the spacing is known;
where they do not, or where there is no table and nobody configured a spacing, no number is given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tbsnode.dicom.hints import ScannerHints
from tbsnode.dicom.spacing import Pair, Spacing
from tbsnode.model.densitometry import PageOrigin, ScannerResults
from tbsnode.reasons import Code, Finding
from tbsnode.tbs import page, page_regions, page_spacing
from tbsnode.tbs.result import LABELS, ScannerRegions

TABLE, LINES, CONFIGURED = "results table", "page lines", "configuration"

_WHOLE_FRAME = 0.8  # of the matrix; then a header's spacing can only be the picture's
# mean distance of the lumbar discs over the patient's height; 0.0182 to 0.0222 in three people of 154 to
# 180 cm (printed on sample reports): beyond these limits the table is another patient's
_PITCH_OF_HEIGHT = (0.0160, 0.0255)
_HEIGHT_M = (1.0, 2.3)  # beyond: entered in another unit
_OUTLINE_TOLERANCE = 0.06  # relative; two readers of one bone edge differ by 3 % in area
_SAME_SPACING = 0.05  # relative; areas are printed to a hundredth of a square centimeter


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Extracted:
    """A picture that was cut out of a page, and may be measured.

    Attributes
    ----------
    pixels : ndarray of shape (M, N), float64
        Gray levels 0 to 255, bone bright.
    blocked : ndarray of shape (M, N), bool
        Pixels that something is drawn on.
    pixel_spacing_mm : tuple of float
        Rows, columns.
    spacing_source : str
        ``"results table"``, ``"configuration"`` or the keyword of a header's spacing.
    regions : ScannerRegions
        The scanner's own regions: its lines where they were read, its areas and heights.
    origin : PageOrigin
        Where the picture lies on the page.
    findings : tuple of Finding
        That it was cut out, how its spacing was derived, and what contradicts it.
    """

    pixels: NDArray[np.float64]
    blocked: NDArray[np.bool_]
    pixel_spacing_mm: Pair
    spacing_source: str
    regions: ScannerRegions
    origin: PageOrigin
    findings: tuple[Finding, ...]


def extract(
    pixels: NDArray[np.uint8],
    *,
    box: tuple[int, int, int, int] | None,
    results: ScannerResults | None,
    spacing: Spacing,
    hints: ScannerHints,
    height_m: float | None = None,
) -> Extracted | Finding:
    """Cut the picture of the spine out of a page and establish its spacing.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (M, N, 3) or (M, N)
        The page: red, green, blue; or gray with white paper.
    box : tuple of int or None
        Left, top, width and height of the picture as the page's text states it.
    results : ScannerResults or None
        The scanner's results of this examination.
    spacing : Spacing
        Of the page's header; of the page or of the picture, which nothing tells.
    hints : ScannerHints
        From the configuration.
    height_m : float, optional
        Of the patient; a spine too large or too small for it has another patient's table.

    Returns
    -------
    Extracted or Finding
        Otherwise why not: `REPORT_PAGE` (no picture of a spine), `NO_PIXEL_SPACING` or
        `IMPLAUSIBLE_PIXEL_SPACING` (table and picture do not belong together).
    """
    stated = _areas(results)
    refusals = []
    for picture in page.cut_out(pixels, box, levels=len(stated) or len(LABELS)):
        if stated:
            outcome = _by_areas(picture, stated, results, height_m)
        else:
            outcome = _by_statement(picture, pixels.shape, spacing, hints)
        if isinstance(outcome, Extracted):
            return _cross_checked(outcome, spacing, hints)
        refusals.append(outcome)
    worst = (Code.IMPLAUSIBLE_PIXEL_SPACING, Code.NO_PIXEL_SPACING, Code.REPORT_PAGE)
    return min(refusals, key=lambda finding: worst.index(finding.code), default=Finding(Code.REPORT_PAGE))


def _areas(results: ScannerResults | None) -> list[tuple[str, float]]:
    """Return the stated area of each level [mm2] from the head down."""
    sites = () if results is None else results.sites
    areas = {each.site: 100.0 * each.area_cm2 for each in sites if each.area_cm2 and each.site in LABELS}
    return [(label, areas[label]) for label in LABELS if label in areas] if len(areas) > 1 else []


def _by_areas(
    picture: page.PagePicture,
    stated: list[tuple[str, float]],
    results: ScannerResults | None,
    height_m: float | None,
) -> Extracted | Finding:
    """Take the spacing from the scanner's own outlines, else from ours."""
    drawn = page_spacing.from_areas([cell.area_px for cell in picture.cells], stated)
    if drawn is not None and drawn.spread <= page_spacing.SPREAD_MAX and _on_bone(picture, drawn, stated):
        step, regions = drawn.pixel_spacing_mm, _drawn_regions(picture, drawn)
        (top, bottom), cells = (regions.lines[0], regions.lines[-1]), len(drawn.labels)
        pitch_mm = (bottom[0][0] + bottom[1][0] - top[0][0] - top[1][0]) / 2 / cells * step
    else:
        own = page_spacing.from_own_regions(picture.pixels, picture.blocked, stated)
        if own is None or own.fit.spread > page_spacing.OWN_SPREAD_MAX:
            return _no_agreement(picture, own.fit if own else drawn)
        picture = _turned(picture) if own.inverted else picture
        step, regions, pitch_mm = own.fit.pixel_spacing_mm, ScannerRegions(source=TABLE), own.pitch_mm
    tall = height_m if height_m and _HEIGHT_M[0] <= height_m <= _HEIGHT_M[1] else None
    if tall and not _PITCH_OF_HEIGHT[0] <= pitch_mm / (1000.0 * tall) <= _PITCH_OF_HEIGHT[1]:
        return _implausible(step, pitch_mm)
    return _extracted(picture, step, TABLE, _with_table(regions, results))


def _on_bone(
    picture: page.PagePicture, drawn: page_spacing.AreaSpacing, stated: list[tuple[str, float]]
) -> bool:
    """Tell if outlines are of bone: boxes around vertebrae hold more than the area that is stated."""
    step = drawn.pixel_spacing_mm
    own = page_spacing.from_own_regions(picture.pixels, picture.blocked, stated, near_mm=step)
    return own is None or abs(own.fit.pixel_spacing_mm / step - 1) <= _OUTLINE_TOLERANCE


def _no_agreement(picture: page.PagePicture, found: page_spacing.AreaSpacing | None) -> Finding:
    """Say why there is no spacing: the areas of the levels disagree, or there is no spine."""
    if found is not None:
        return _implausible(found.pixel_spacing_mm)
    seen = page_spacing.shows_spine(picture.pixels, picture.blocked)
    return Finding(Code.REPORT_PAGE if seen is None else Code.IMPLAUSIBLE_PIXEL_SPACING)


def _implausible(step_mm: float, pitch_mm: float | None = None) -> Finding:
    values: list[tuple[str, float]] = [("row_mm", round(step_mm, 4)), ("column_mm", round(step_mm, 4))]
    if pitch_mm is not None:
        values.append(("pitch_mm", round(pitch_mm, 1)))
    return Finding(Code.IMPLAUSIBLE_PIXEL_SPACING, values=tuple(values))


def _by_statement(
    picture: page.PagePicture, page_shape: tuple[int, ...], spacing: Spacing, hints: ScannerHints
) -> Extracted | Finding:
    """Without a table: the configured spacing, or a header's where the picture is the whole matrix."""
    inverted = page_spacing.shows_spine(picture.pixels, picture.blocked)
    if inverted is None:
        return Finding(Code.REPORT_PAGE)
    picture = _turned(picture) if inverted else picture
    regions = ScannerRegions()
    if picture.cells:
        regions = ScannerRegions(lines=page_regions.lines_of(picture.cells), source=LINES)
    shown = picture.pixels.size * picture.scale**2 / (page_shape[0] * page_shape[1])
    pair = spacing.row_column_mm
    if pair and spacing.source != CONFIGURED and shown >= _WHOLE_FRAME:
        pair = pair[0] * picture.scale, pair[1] * picture.scale
        return _extracted(picture, pair, spacing.source, regions)
    if hints.pixel_spacing_mm and min(hints.pixel_spacing_mm) > 0:
        return _extracted(picture, hints.pixel_spacing_mm, CONFIGURED, regions)
    return Finding(Code.NO_PIXEL_SPACING)


def _turned(picture: page.PagePicture) -> page.PagePicture:
    return replace(picture, pixels=255.0 - picture.pixels, inverted=not picture.inverted)


def _drawn_regions(picture: page.PagePicture, fit: page_spacing.AreaSpacing) -> ScannerRegions:
    cells = picture.cells[fit.first : fit.first + len(fit.labels)]
    return ScannerRegions(
        lines=page_regions.lines_of(cells),
        labels=fit.labels,
        outlines=tuple((label, cell.ring) for label, cell in zip(fit.labels, cells, strict=True)),
        source=LINES,
    )


def _with_table(regions: ScannerRegions, results: ScannerResults | None) -> ScannerRegions:
    sites = () if results is None else results.sites
    heights = tuple((s.site, s.height_mm) for s in sites if s.height_mm and s.site in LABELS)
    return replace(regions, areas_mm2=tuple(_areas(results)), heights_mm=heights)


def _extracted(
    picture: page.PagePicture, spacing_mm: Pair | float, source: str, regions: ScannerRegions
) -> Extracted:
    pair = spacing_mm if isinstance(spacing_mm, tuple) else (spacing_mm, spacing_mm)
    pair = (round(pair[0], 6), round(pair[1], 6))
    findings = [Finding(Code.EXTRACTED_FROM_PAGE, values=(("source", source),))]
    if source == TABLE:
        values = (("row_mm", round(pair[0], 4)), ("column_mm", round(pair[1], 4)))
        findings.append(Finding(Code.DERIVED_PIXEL_SPACING, values=values))
    if picture.uneven:
        findings.append(Finding(Code.RESAMPLED))
    return Extracted(
        pixels=picture.pixels,
        blocked=picture.blocked,
        pixel_spacing_mm=pair,
        spacing_source=source,
        regions=regions,
        origin=PageOrigin(
            row=picture.row,
            column=picture.column,
            scale=picture.scale,
            inverted=picture.inverted,
            found_by=picture.found_by,
        ),
        findings=tuple(findings),
    )


def _cross_checked(found: Extracted, spacing: Spacing, hints: ScannerHints) -> Extracted:
    """Hold the spacing against what header and configuration say: of the picture, or of the page."""
    scale = found.origin.scale
    others: list[tuple[str, Pair, tuple[int, ...]]] = []
    if spacing.row_column_mm and spacing.source != CONFIGURED:
        others.append((spacing.source, spacing.row_column_mm, (1, scale)))
    if hints.pixel_spacing_mm:
        others.append((CONFIGURED, hints.pixel_spacing_mm, (1,)))
    used = found.pixel_spacing_mm
    for source, pair, factors in others:
        if source == found.spacing_source or any(_same(used, pair, factor) for factor in factors):
            continue
        values: list[tuple[str, float | str]] = []
        for role, (word, steps) in (("used", (found.spacing_source, used)), ("other", (source, pair))):
            values += [(role, word), (f"{role}_row_mm", steps[0]), (f"{role}_column_mm", steps[1])]
        contradiction = Finding(Code.SPACING_CONTRADICTION, values=tuple(values))
        return replace(found, findings=(*found.findings, contradiction))
    return found


def _same(used: Pair, other: Pair, factor: int) -> bool:
    return all(abs(a / (b * factor) - 1) <= _SAME_SPACING for a, b in zip(used, other, strict=True) if b > 0)
