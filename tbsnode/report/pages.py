"""What stands on which page: the decision first, the evidence after it; a refusal is one page."""

from __future__ import annotations

from typing import Any

from reportlab.platypus import PageBreak, Spacer

from tbsnode.model import AnalysisStatus
from tbsnode.reasons import Actor, Code, Finding, Severity
from tbsnode.report import facts
from tbsnode.report.drawings import BAR_MM, SpinePicture
from tbsnode.report.evidence import evidence
from tbsnode.report.figures import window
from tbsnode.report.layout import (
    FAINT,
    MARK,
    RULE,
    SHADE,
    Sheet,
    boxed,
    grid,
    height_of,
    is_simplified,
    on_one_page,
    paragraph,
    statement,
)
from tbsnode.report.result_box import research_box, result_box

GAP = 6.0
PICTURE_SHARE = 0.48  # of the width of the text
REFUSAL_PICTURE = 300.0  # points; a refusal needs no large picture
LEAST_PICTURE = 70.0  # points; a smaller picture shows nothing
SLACK = 4.0  # points, so that rounding never starts a new page


def story(sheet: Sheet) -> list[Any]:
    """Return the flowables of the whole document."""
    if sheet.report.analysis.status is AnalysisStatus.SCORED:
        return [*decision_page(sheet), PageBreak(), *evidence(sheet)]
    return refusal_page(sheet)


def decision_page(sheet: Sheet) -> list[Any]:
    """Return page 1 of a result: who, what, what to check, the picture, the limits, the signature."""
    provisional = [part for box in research_box(sheet) for part in (box, Spacer(1, GAP))]
    upper = [*heading(sheet), *provisional, result_box(sheet), Spacer(1, GAP)]
    lower = [Spacer(1, GAP), limits(sheet), Spacer(1, GAP), signature(sheet)]
    room = sheet.height - height_of([*upper, *lower], sheet.width) - SLACK
    parts = [*upper, *middle(sheet, "head_review", _to_check(sheet), room), *lower]
    return on_one_page(parts, sheet.width, sheet.height)


def refusal_page(sheet: Sheet) -> list[Any]:
    """Return the one page that says why there is no number, and what to do."""
    reason = sheet.report.analysis.reason
    findings = [f for f in facts.all_findings(sheet.report) if f != reason]
    upper = [*heading(sheet), refusal_box(sheet), Spacer(1, GAP)]
    lower = [
        Spacer(1, GAP),
        paragraph(sheet.say("head_provenance"), "head"),
        pairs_table(facts.provenance_pairs(sheet.report, sheet.language), sheet.width, "small"),
        Spacer(1, GAP),
        limits(sheet),
    ]
    room = sheet.height - height_of([*upper, *lower], sheet.width) - SLACK
    if room < LEAST_PICTURE or (sheet.shown is None and not findings):
        parts = [*upper, *_rest(sheet, findings), *lower]
    else:
        parts = [*upper, *middle(sheet, "head_also", findings, min(room, REFUSAL_PICTURE)), *lower]
    return on_one_page(parts, sheet.width, sheet.height)


def heading(sheet: Sheet) -> list[Any]:
    """Return alerts, title, status, patient, study and scanner."""
    parts: list[Any] = []
    for finding in facts.alerts(sheet.report):
        parts += [boxed([statement(sheet.sentence(finding), "alert")], sheet.width, line=2.0), Spacer(1, GAP)]
    title = [[paragraph(sheet.say("title"), "title"), paragraph(sheet.say("preliminary"), "status")]]
    parts.append(grid(title, [sheet.width * 0.5, sheet.width * 0.5]))
    left = facts.patient_pairs(sheet.report, sheet.language)
    right = facts.study_pairs(sheet.report, sheet.language)
    half = sheet.width / 2
    columns = [[pairs_table(left, half - 6), pairs_table(right, half - 6)]]
    rules = [("LINEABOVE", (0, 0), (-1, 0), 0.7, RULE), ("LINEBELOW", (0, -1), (-1, -1), 0.7, RULE)]
    parts.append(grid(columns, [half, half], rules, padding=3.0))
    if any(is_simplified(value) for _, value in left + right):
        parts.append(paragraph(sheet.say("replaced_characters", mark=MARK), "faint"))
    return [*parts, Spacer(1, GAP)]


def pairs_table(pairs: list[facts.Pair], width: float, name: str = "text") -> Any:
    """Return labels and values below each other; long values wrap."""
    label = min(100.0, width * 0.3)
    rows = [[paragraph(key, "faint"), paragraph(value, name)] for key, value in pairs]
    return grid(rows, [label, width - label])


def refusal_box(sheet: Sheet) -> Any:
    """Return the large box of a refusal: that there is no number, why, and what to do."""
    reason = sheet.report.analysis.reason
    parts = [paragraph(sheet.say("not_reported"), "box")]
    if reason is None:
        parts.append(statement(sheet.say("conclusion_no_reason"), "boxtext"))
    else:
        parts += [
            statement(sheet.sentence(reason), "boxtext"),
            statement(sheet.remedy(reason), "boxtext"),
            paragraph(sheet.say("head_reason", code=reason.code.value), "boxtext"),
        ]
    return boxed(parts, sheet.width, line=1.5)


def middle(sheet: Sheet, head: str, findings: list[Finding], room: float) -> list[Any]:
    """Return the picture on the left and findings on the right, together as high as `room`."""
    left = sheet.width * PICTURE_SHARE if sheet.shown is not None else 0.0
    right = sheet.width - left
    notes = _notes(sheet, head, findings, (right - 12, room - 10))
    if sheet.shown is None:
        table = grid([[notes]], [right], padding=3.0)
    else:
        table = grid([[_picture(sheet, (left - 12, room - 10)), notes]], [left, right], padding=3.0)
    return [table, Spacer(1, max(0.0, room - height_of([table], sheet.width)))]


def _picture(sheet: Sheet, box: tuple[float, float]) -> list[Any]:
    analysis = sheet.report.analysis
    if analysis.status is not AnalysisStatus.SCORED and not analysis.vertebrae:
        words = sheet.say("picture_caption_refused")
    elif analysis.pixel_spacing_mm is None:
        words = sheet.say("picture_caption_no_size")
    else:
        words = sheet.say("picture_caption", bar=f"{BAR_MM:g}")
    caption = statement(words, "faint")
    height = box[1] - height_of([caption], box[0]) - SLACK
    if sheet.shown is None or height < LEAST_PICTURE / 2:
        return []
    gray = window(sheet.shown)
    picture = SpinePicture(gray, analysis.vertebrae, analysis.pixel_spacing_mm, (box[0], height))
    return [picture, Spacer(1, 2), caption]


def _notes(sheet: Sheet, head: str, findings: list[Finding], box: tuple[float, float]) -> list[Any]:
    """Return as many findings as fit in full; the others are named."""
    scored = sheet.report.analysis.status is AnalysisStatus.SCORED
    if not findings:
        empty = [paragraph(sheet.say(head), "bold"), statement(sheet.say("nothing_to_check"))]
        return empty if scored else []
    parts = [paragraph(sheet.say(head), "bold")]
    for index, finding in enumerate(findings):
        rest = _rest(sheet, findings[index + 1 :])
        entry = _note(sheet, finding)
        if height_of([*parts, *entry, *rest], box[0]) > box[1]:
            return [*parts, *_rest(sheet, findings[index:])]
        parts += entry
    return parts


def _note(sheet: Sheet, finding: Finding) -> list[Any]:
    return [
        Spacer(1, 3),
        statement(sheet.sentence(finding)),
        statement(f"{sheet.remedy(finding)} [{finding.code.value}]", "faint"),
    ]


def _rest(sheet: Sheet, findings: list[Finding]) -> list[Any]:
    if not findings:
        return []
    codes = ", ".join(_coded(f) for f in findings)
    scored = sheet.report.analysis.status is AnalysisStatus.SCORED
    key = "more_findings" if scored else "more_findings_refused"
    return [Spacer(1, 3), statement(sheet.say(key, codes=codes), "faint")]


def _coded(finding: Finding) -> str:
    return f"{finding.code.value} {finding.vertebra}" if finding.vertebra else finding.code.value


def _to_check(sheet: Sheet) -> list[Finding]:
    """Return what somebody has to act on, unless the box or the alert on the same page says it."""
    said = {(f.code, f.vertebra) for f in facts.alerts(sheet.report)}
    if sheet.report.analysis.tbs is None:
        said.add((Code.SCANNER_UNCALIBRATED, None))
    for vertebra in sheet.report.analysis.vertebrae:
        if vertebra.excluded:  # its own reason says more
            said.add((Code.LEVEL_EXCLUDED, vertebra.label))
    found = facts.all_findings(sheet.report)
    acting = [f for f in found if f.actor is not Actor.NOBODY and f.severity is not Severity.INFO]
    return [f for f in acting if (f.code, f.vertebra) not in said]


def limits(sheet: Sheet) -> Any:
    """Return what the software is not, and what its numbers may not be used for."""
    parts = [statement(sheet.say("limits"))]
    if sheet.report.analysis.status is AnalysisStatus.SCORED:
        parts.append(statement(sheet.say("limits_compare")))
    return boxed(parts, sheet.width, line=0.5, fill=SHADE)


def signature(sheet: Sheet) -> Any:
    """Return the lines on which a physician signs."""
    labels = ("signature_name", "signature", "signature_date")
    shares = (0.42, 0.36, 0.22)
    cells = [paragraph(sheet.say(key), "faint") for key in labels]
    lines = [("LINEABOVE", (i, 1), (i, 1), 0.7, FAINT) for i in range(3)]
    rows = [[Spacer(1, 18)] * 3, cells]
    return grid(rows, [sheet.width * share for share in shares], lines)
