"""Head and foot of page 1: alerts, status, what a reviewer changed, whose study; limits, signature."""

from __future__ import annotations

from typing import Any

from reportlab.platypus import Spacer

from tbsnode.model import AnalysisStatus, ReportStatus
from tbsnode.report import decision_review, facts
from tbsnode.report.layout import (
    FAINT,
    INK,
    MARK,
    RULE,
    SHADE,
    Sheet,
    boxed,
    grid,
    is_simplified,
    paragraph,
    statement,
)

GAP = 6.0
TITLE_SHARE = 0.54
LABEL = 74.0  # points, the widest of the labels of a study


def heading(sheet: Sheet, name: str = "text") -> list[Any]:
    """Return alerts, title, status, what was changed, patient, study and scanner in the style `name`."""
    parts: list[Any] = []
    for finding in facts.alerts(sheet.report):
        parts += [boxed([statement(sheet.sentence(finding), "alert")], sheet.width, line=2.0), Spacer(1, GAP)]
    parts += [title(sheet), Spacer(1, 4), *changed(sheet, name)]
    left = facts.patient_pairs(sheet.report, sheet.language)
    right = facts.study_pairs(sheet.report, sheet.language)
    below = facts.scanner_pairs(sheet.report, sheet.language)
    half = sheet.width / 2
    columns = [[pairs_table(left, half - 6, name), pairs_table(right, half - 6, name)]]
    parts.append(grid(columns, [half, half], [("LINEABOVE", (0, 0), (-1, 0), 0.7, RULE)], padding=3.0))
    scanner = [[pairs_table(below, sheet.width - 6, name)]]
    parts.append(grid(scanner, [sheet.width], [("LINEBELOW", (0, 0), (-1, -1), 0.7, RULE)], padding=3.0))
    if any(is_simplified(value) for _, value in left + right + below):
        parts.append(paragraph(sheet.say("replaced_characters", mark=MARK), "faint"))
    return [*parts, Spacer(1, GAP)]


def title(sheet: Sheet) -> Any:
    """Return the name of the document beside its status: framed, or white on black once it is signed."""
    status = decision_review.status(sheet.report, language=sheet.language)
    preliminary = sheet.report.status is ReportStatus.PRELIMINARY
    cells = [
        paragraph(sheet.say("title"), "title"),
        paragraph(status, "status" if preliminary else "reversed"),
    ]
    look: tuple[Any, ...] = ("BOX", (1, 0), (1, 0), 1.2, INK)
    if not preliminary:
        look = ("BACKGROUND", (1, 0), (1, 0), INK)
    left = sheet.width * TITLE_SHARE
    return grid(
        [cells], [left, sheet.width - left], [look, ("VALIGN", (0, 0), (-1, -1), "MIDDLE")], padding=3.0
    )


def changed(sheet: Sheet, name: str) -> list[Any]:
    """Return what a reviewer changed, by whom and why; nothing where nothing was."""
    said = decision_review.changes(sheet.report, language=sheet.language)
    if not said:
        return []
    parts = [statement(said[0], "bold"), statement(" ".join(said[1:-1]), name), statement(said[-1], name)]
    return [boxed(parts, sheet.width, line=1.2, fill=SHADE), Spacer(1, GAP)]


def pairs_table(pairs: list[facts.Pair], width: float, name: str = "text") -> Any:
    """Return labels and values below each other; long values wrap."""
    label = min(LABEL, width * 0.3)
    rows = [[paragraph(key, "faint"), paragraph(value, name)] for key, value in pairs]
    return grid(rows, [label, width - label])


def limits(sheet: Sheet) -> Any:
    """Return what the software is not, and what its numbers may not be used for."""
    said = [sheet.say("limits")]
    if sheet.report.analysis.status is AnalysisStatus.SCORED:
        said.append(sheet.say("limits_compare"))
    return boxed([statement(" ".join(said), "small")], sheet.width, line=0.5, fill=SHADE)


def signature(sheet: Sheet) -> Any:
    """Return who signed, or the lines on which a physician signs."""
    said = decision_review.signature(sheet.report, language=sheet.language)
    if said:
        return boxed([statement(said[0], "bold"), statement(said[1])], sheet.width, line=1.2)
    labels = ("signature_name", "signature", "signature_date")
    shares = (0.42, 0.36, 0.22)
    cells = [paragraph(sheet.say(key), "faint") for key in labels]
    lines = [("LINEABOVE", (i, 1), (i, 1), 0.7, FAINT) for i in range(3)]
    rows = [[Spacer(1, 18)] * 3, cells]
    return grid(rows, [sheet.width * share for share in shares], lines)
