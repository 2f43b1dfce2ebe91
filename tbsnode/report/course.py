"""The table of earlier examinations: what each gave, if it may be compared, and what the change is worth."""

from __future__ import annotations

from typing import Any

from tbsnode.model import FollowUp, PriorExamination
from tbsnode.reasons import Code
from tbsnode.report import facts
from tbsnode.report.fine_print import fine, fine_grid
from tbsnode.report.layout import RULE, SHADE, Sheet, paragraph
from tbsnode.report.narrative_words import decimals_beside, signed

MOST_ROWS = 10  # the newest; older ones are counted
SHARES = (0.16, 0.12, 0.18, 0.14, 0.4)


def course(sheet: Sheet) -> list[Any]:
    """Return the table of earlier examinations; nothing where there is none."""
    follow_up = sheet.report.analysis.follow_up
    if follow_up is None or not follow_up.priors:
        return []
    head = paragraph(sheet.say("head_course"), "head")
    notes = [fine(words) for words in _notes(sheet, follow_up)]
    return [head, *_table(sheet, follow_up), *notes]


def _table(sheet: Sheet, follow_up: FollowUp) -> list[Any]:
    value = "course_slope" if sheet.report.analysis.tbs is None else "course_tbs"
    keys = ("course_date", value, "course_difference", "course_levels", "course_comparable")
    shown = follow_up.priors[-MOST_ROWS:]
    rows = [
        [sheet.say(key) for key in keys],
        *(_row(sheet, follow_up, prior) for prior in shown),
        _this(sheet),
    ]
    names = [["faint"] * len(keys), *([["ink"] * len(keys)] * (len(rows) - 1))]
    lines = [
        ("LINEBELOW", (0, 0), (-1, 0), 0.7, RULE),
        ("LINEABOVE", (0, -1), (-1, -1), 0.7, RULE),
        ("BACKGROUND", (0, -1), (-1, -1), SHADE),
    ]
    table = fine_grid(rows, [sheet.width * share for share in SHARES], names, lines)
    left = len(follow_up.priors) - len(shown)
    return [table, *([fine(sheet.say("course_more", count=str(left)), "faint")] if left else [])]


def _row(sheet: Sheet, follow_up: FollowUp, prior: PriorExamination) -> list[str]:
    value = prior.score if sheet.report.analysis.tbs is None else prior.tbs
    return [
        facts.date(prior.examined_on),
        "-" if value is None else f"{value:.3f}",
        _change(sheet, follow_up, prior),
        ", ".join(prior.levels),
        f"{_comparable(sheet, follow_up, prior)} ({sheet.say(f'origin_{prior.origin}')})",
    ]


def _this(sheet: Sheet) -> list[str]:
    analysis = sheet.report.analysis
    value = analysis.score if analysis.tbs is None else analysis.tbs
    day = facts.date(analysis.identity.study_date) if analysis.identity else ""
    return [
        sheet.say("course_this", date=day).strip(),
        "-" if value is None else f"{value:.3f}",
        "",
        ", ".join(analysis.included),
        "",
    ]


def _change(sheet: Sheet, follow_up: FollowUp, prior: PriorExamination) -> str:
    """Write the change, and if it exceeds the least significant one where that is known."""
    calibrated = sheet.report.analysis.tbs is not None
    difference = prior.tbs_difference if calibrated else prior.difference
    lsc = follow_up.tbs_lsc if calibrated else follow_up.lsc
    if difference is None or not prior.comparable:
        return "-"
    written = signed(difference, decimals_beside(difference, lsc))
    if lsc is None:
        return written
    key = "course_exceeds" if abs(difference) > lsc else "course_within"
    return sheet.say(key, difference=written)


def _comparable(sheet: Sheet, follow_up: FollowUp, prior: PriorExamination) -> str:
    if prior.comparable:
        return sheet.say("yes")
    why = _why_not(sheet, follow_up, prior)
    return sheet.say("course_not_because", why=why) if why else sheet.say("course_not")


def _why_not(sheet: Sheet, follow_up: FollowUp, prior: PriorExamination) -> str:
    """Return why an examination is not compared, as far as the findings or the row itself tell.

    Findings name what differs, equal ones once, some with the day before it: of several it is not known
    whose they are, and all findings stand below.
    """
    details = [
        str(dict(finding.values).get("detail", ""))
        for finding in follow_up.findings
        if finding.code in (Code.PRIOR_NOT_COMPARABLE, Code.SCAN_MODE_CHANGED)
    ]
    for detail in details:
        day, _, rest = detail.partition(":")
        if day in (facts.date(prior.examined_on), prior.examined_on):
            return rest.strip()
    if prior.origin == "own report":
        return sheet.say("course_image_gone")
    if len(details) == 1:
        return details[0]
    return sheet.say("course_other_levels") if prior.levels != sheet.report.analysis.included else ""


def _notes(sheet: Sheet, follow_up: FollowUp) -> list[str]:
    """Return what a change is worth; nothing where none is stated."""
    if follow_up.last_comparable is None:
        return []
    calibrated = sheet.report.analysis.tbs is not None
    lsc = follow_up.tbs_lsc if calibrated else follow_up.lsc
    if lsc is None:
        return [sheet.say("course_no_lsc")]
    differences = [p.tbs_difference if calibrated else p.difference for p in follow_up.priors if p.comparable]
    decimals = max((decimals_beside(each, lsc) for each in differences if each is not None), default=3)
    return [sheet.say("course_lsc", lsc=f"{lsc:.{decimals}f}")]
