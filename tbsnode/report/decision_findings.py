"""What somebody has to act on, as much of it as the page has room for: sentences, then codes."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import Any

from reportlab.platypus import Spacer

from tbsnode.model import AnalysisStatus
from tbsnode.reasons import Actor, Code, Finding, Severity
from tbsnode.report import decision_known, facts
from tbsnode.report.layout import Sheet, height_of, paragraph, statement

BULLET = "\N{BULLET}"


class Detail(Enum):
    """How much is said of findings."""

    REMEDIES = auto()  # what was found, and what to do
    SENTENCES = auto()  # what was found
    CODES = auto()  # what was found as long as there is room, and the codes of the rest


def to_check(sheet: Sheet) -> list[Finding]:
    """Return what somebody has to act on, unless something else on the same page says it."""
    said = {(f.code, f.vertebra) for f in facts.alerts(sheet.report)}
    if sheet.report.analysis.tbs is None:
        said.add((Code.SCANNER_UNCALIBRATED, None))
    withheld = facts.withholding(sheet.report)
    if withheld is not None:  # the large box says why and what to do
        said.add((withheld.code, withheld.vertebra))
    for vertebra in sheet.report.analysis.vertebrae:
        if vertebra.excluded:  # its own reason says more
            said.add((Code.LEVEL_EXCLUDED, vertebra.label))
    found = facts.all_findings(sheet.report)
    acting = [f for f in found if f.actor is not Actor.NOBODY and f.severity is not Severity.INFO]
    return [f for f in acting if (f.code, f.vertebra) not in said and f.code not in facts.LEFT_OUT]


def findings(sheet: Sheet, head: str, found: list[Finding], detail: Detail, room: float) -> list[Any]:
    """Return findings at the width of the page, and before them what is not one of the software's.

    That is whose report it is where the name cannot be printed, and what no texture class outweighs.

    Parameters
    ----------
    sheet : Sheet
        The document.
    head : str
        Phrase above them.
    found : list of Finding
        The most severe first.
    detail : Detail
        How much is said.
    room : float
        Height [points] that `Detail.CODES` may take.
    """
    first = decision_known.overrides(sheet.report.analysis, language=sheet.language)
    if facts.has_unprintable_name(sheet.report):
        first = [sheet.say("name_not_printed"), *first]
    start = [
        paragraph(sheet.say(head), "bold"),
        *(statement(f"{BULLET} {line}", "override") for line in first),
    ]
    if not found:
        if sheet.report.analysis.status is not AnalysisStatus.SCORED:
            return start if first else []
        more = first or facts.alerts(sheet.report)
        return [*start, statement(sheet.say("nothing_else" if more else "nothing_to_check"), "note")]
    if detail is Detail.CODES:
        return _as_many_as_fit(sheet, start, found, room)
    return [*start, *(_note(sheet, finding, detail) for finding in found)]


def _as_many_as_fit(sheet: Sheet, start: list[Any], found: list[Finding], room: float) -> list[Any]:
    parts = start
    for index, finding in enumerate(found):
        entry = _note(sheet, finding, Detail.CODES)
        if height_of([*parts, entry, *_rest(sheet, found[index + 1 :])], sheet.width) > room:
            return [*parts, *_rest(sheet, found[index:])]
        parts = [*parts, entry]
    return parts


def _note(sheet: Sheet, finding: Finding, detail: Detail) -> Any:
    remedy = f" {sheet.remedy(finding)}" if detail is Detail.REMEDIES else ""
    # a raw slope beside a TBS would be read as one
    finding = replace(finding, values=tuple(each for each in finding.values if each[0] != "score_without"))
    words = f"{BULLET} {sheet.sentence(finding)}{remedy} [{finding.code.value}]"
    return statement(words, "small" if detail is Detail.CODES else "note")


def _rest(sheet: Sheet, found: list[Finding]) -> list[Any]:
    if not found:
        return []
    codes = ", ".join(f"{f.code.value} {f.vertebra}" if f.vertebra else f.code.value for f in found)
    scored = sheet.report.analysis.status is AnalysisStatus.SCORED
    key = "more_findings" if scored else "more_findings_refused"
    return [Spacer(1, 2), statement(sheet.say(key, codes=codes), "faint")]
