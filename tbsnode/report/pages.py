"""What stands on which page: the decision first, the evidence after it; a refusal is one page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from reportlab.platypus import PageBreak, Spacer

from tbsnode.model import AnalysisStatus
from tbsnode.reasons import Finding
from tbsnode.report import facts
from tbsnode.report.decision_context import context
from tbsnode.report.decision_findings import Detail, findings, to_check
from tbsnode.report.decision_frame import GAP, heading, limits, pairs_table, signature
from tbsnode.report.decision_words import conclusion
from tbsnode.report.drawings import BAR_MM, Gray, SpinePicture
from tbsnode.report.evidence import evidence
from tbsnode.report.figures import window
from tbsnode.report.layout import Sheet, Smaller, boxed, grid, height_of, paragraph, statement
from tbsnode.report.result_box import research_box, result_box

PICTURE_SHARES = (0.58, 0.52, 0.46)  # of the width of the text; the first that leaves room beside it
PADDING = 6.0  # points, of both sides of a cell
SLACK = 4.0  # points, so that rounding never starts a new page


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """How much is packed onto a page.

    Attributes
    ----------
    style : str
        Of the words of the header, beside the picture, and of the interpretation.
    picture : float
        Least height of the picture [points].
    detail : Detail
        How much is said of findings.
    """

    style: str
    picture: float
    detail: Detail


DENSITIES = (
    Density(style="text", picture=190.0, detail=Detail.REMEDIES),
    Density(style="text", picture=150.0, detail=Detail.REMEDIES),
    Density(style="small", picture=140.0, detail=Detail.REMEDIES),
    Density(style="small", picture=120.0, detail=Detail.SENTENCES),
    Density(style="small", picture=90.0, detail=Detail.CODES),
)
SCALES = (1.08, 1.16, 1.25, 1.35, 1.5, 1.75, 2.0)  # of the sheet that a full page is laid out on


@dataclass(frozen=True, eq=False, kw_only=True)
class Fixed:
    """The parts of a page that stand however full it is.

    Attributes
    ----------
    head : str
        Phrase above the findings.
    found : list of Finding
        Those of this page.
    above, below : list of flowables
        Between the header and the findings, between them and the picture.
    foot : list of flowables
        At the end of the page.
    """

    head: str
    found: list[Finding]
    above: list[Any]
    below: list[Any]
    foot: list[Any]


def story(sheet: Sheet) -> list[Any]:
    """Return the flowables of the whole document."""
    if sheet.report.analysis.status is not AnalysisStatus.SCORED:
        return refusal_page(sheet)
    return [*decision_page(sheet), PageBreak(), *evidence(sheet)]


def decision_page(sheet: Sheet) -> list[Any]:
    """Return page 1 of a result."""
    return packed(sheet, _decision)


def _decision(sheet: Sheet) -> Fixed:
    boxes = [part for each in research_box(sheet) for part in (each, Spacer(1, GAP))]
    said = statement(conclusion(sheet.report, language=sheet.language), "conclusion")
    return Fixed(
        head="head_review",
        found=to_check(sheet),
        above=[said, Spacer(1, 3)],
        below=[Spacer(1, GAP), *boxes, result_box(sheet), Spacer(1, GAP)],
        foot=[limits(sheet), Spacer(1, GAP), signature(sheet)],
    )


def refusal_page(sheet: Sheet) -> list[Any]:
    """Return the one page that says why there is no number, and what is known all the same."""
    return packed(sheet, _refusal)


def _refusal(sheet: Sheet) -> Fixed:
    reason = sheet.report.analysis.reason
    pairs = facts.provenance_pairs(sheet.report, sheet.language)
    origin = [paragraph(sheet.say("head_provenance"), "head"), pairs_table(pairs, sheet.width, "small")]
    return Fixed(
        head="head_also",
        found=[finding for finding in facts.all_findings(sheet.report) if finding != reason],
        above=[refusal_box(sheet), Spacer(1, GAP)],
        below=[Spacer(1, GAP)],
        foot=[*origin, Spacer(1, GAP), limits(sheet), Spacer(1, GAP), signature(sheet)],
    )


def packed(sheet: Sheet, parts_of: Callable[[Sheet], Fixed]) -> list[Any]:
    """Return one page, as loosely as everything fits; drawn smaller where it never does."""
    gray = None if sheet.shown is None else window(sheet.shown)
    fixed = parts_of(sheet)
    for density in DENSITIES:
        fits, parts = _at(sheet, fixed, density, gray)
        if fits:
            return parts
    for scale in SCALES:
        larger = replace(sheet, scale=scale)
        fits, parts = _at(larger, parts_of(larger), DENSITIES[-1], gray)
        if fits:
            break
    return [Smaller(parts, larger)]


def _at(sheet: Sheet, fixed: Fixed, density: Density, gray: Gray | None) -> tuple[bool, list[Any]]:
    """Return the page at a density, and whether it fits."""
    above = [*heading(sheet, density.style), *fixed.above]
    read = interpretation(sheet, density.style)
    known = context(sheet, _beside(sheet, gray), density.style)
    least = height_of(known, _beside(sheet, gray)) + PADDING
    if gray is not None:
        least = max(least, density.picture)
    standing = height_of([*above, *fixed.below, *read, *fixed.foot], sheet.width) + SLACK + GAP
    room = sheet.height - standing - least
    checked = findings(sheet, fixed.head, fixed.found, density.detail, room)
    spare = room - height_of(checked, sheet.width)
    if spare < 0.0 and sheet.scale < SCALES[-1]:
        return False, []
    middle = _middle(sheet, gray, density, least + max(0.0, spare))
    spare += least - height_of(middle, sheet.width)
    parts = [*above, *checked, *fixed.below, *middle, *read, Spacer(1, GAP + max(0.0, spare)), *fixed.foot]
    return spare >= 0.0, parts


def refusal_box(sheet: Sheet) -> Any:
    """Return the large box of a refusal: that there is no number, why, and what to do."""
    reason = sheet.report.analysis.reason
    parts = [paragraph(sheet.say("not_reported"), "box")]
    if reason is None:
        parts.append(statement(conclusion(sheet.report, language=sheet.language), "boxtext"))
    else:
        parts += [
            statement(sheet.sentence(reason), "boxtext"),
            statement(sheet.remedy(reason), "boxtext"),
            paragraph(sheet.say("head_reason", code=reason.code.value), "boxtext"),
        ]
    return boxed(parts, sheet.width, line=1.5)


def interpretation(sheet: Sheet, style: str) -> list[Any]:
    """Return the paragraph that interprets the result; nothing while there is none."""
    words = sheet.report.interpretation.strip()
    if not words:
        return []
    return [paragraph(sheet.say("head_interpretation"), "bold"), statement(words, style)]


def _beside(sheet: Sheet, gray: Gray | None, share: float = PICTURE_SHARES[-1]) -> float:
    """Return the width of what stands beside the picture [points]."""
    return sheet.width * (1.0 if gray is None else 1.0 - share) - PADDING


def _middle(sheet: Sheet, gray: Gray | None, density: Density, room: float) -> list[Any]:
    """Return the picture, as large as the room allows, and what is known beside it."""
    if gray is None:
        known = context(sheet, _beside(sheet, gray), density.style)
        return [grid([[known]], [sheet.width], padding=PADDING / 2)]
    for share in PICTURE_SHARES:
        left, right = sheet.width * share, _beside(sheet, gray, share)
        known = context(sheet, right, density.style)
        picture = _picture(sheet, gray, (left - 2 * PADDING, room - PADDING))
        fills = picture[0].width >= left - 2 * PADDING - 1.0
        if fills and height_of(known, right) + PADDING <= room:
            break
    return [grid([[picture, known]], [left, right + PADDING], padding=PADDING / 2)]


def _picture(sheet: Sheet, gray: Gray, box: tuple[float, float]) -> list[Any]:
    analysis = sheet.report.analysis
    if analysis.status is not AnalysisStatus.SCORED and not analysis.vertebrae:
        words = sheet.say("picture_caption_refused")
    elif analysis.pixel_spacing_mm is None:
        words = sheet.say("picture_caption_no_size")
    else:
        words = sheet.say("picture_caption", bar=f"{BAR_MM:g}")
    caption = statement(words, "faint")
    height = box[1] - height_of([caption], box[0]) - SLACK
    picture = SpinePicture(gray, analysis.vertebrae, analysis.pixel_spacing_mm, (box[0], height))
    return [picture, Spacer(1, 2), caption]
