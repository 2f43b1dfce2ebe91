"""The result in one sentence, and how it moved: the words of page 1 that decide."""

from __future__ import annotations

from dataclasses import dataclass

from tbsnode import text
from tbsnode.model import Analysis, AnalysisStatus, Report
from tbsnode.reasons import Finding
from tbsnode.report import facts
from tbsnode.report.decision_known import diagnosis
from tbsnode.report.narrative_words import decimals_beside, signed
from tbsnode.tbs.bone_density import WITHOUT_HIP
from tbsnode.tbs.result import LABELS


def conclusion(report: Report, *, language: str = "en") -> str:
    """Say the whole result in one sentence, without any judgment that was not earned."""
    clauses = [_texture(report, language)]
    clauses += _density(report.analysis, language)
    verdict = _movement(report.analysis)
    if verdict is not None and verdict.exceeds is not None:
        key = "says_exceeds" if verdict.exceeds else "says_within"
        clauses.append(text.phrase(key, language=language, date=verdict.since))
    sentence = "; ".join(clauses)
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _density(analysis: Analysis, language: str) -> list[str]:
    found = analysis.bmd_diagnosis
    if found is not None and found.diagnosis in WITHOUT_HIP:
        return [text.phrase(f"says_{found.diagnosis}", language=language)]
    diagnosed = diagnosis(analysis, language=language)
    return [text.phrase("says_bmd", language=language, diagnosis=diagnosed)] if diagnosed else []


def _texture(report: Report, language: str) -> str:
    analysis = report.analysis
    if analysis.status is not AnalysisStatus.SCORED:
        if analysis.reason is None:
            return text.phrase("says_no_reason", language=language)
        return text.phrase("says_refused", language=language, code=analysis.reason.code.value)
    named = levels(analysis.included, language=language)
    if analysis.tbs is None:
        withheld = facts.withholding(report)
        if withheld is None:
            return text.phrase("says_uncalibrated", language=language, levels=named)
        return text.phrase("says_withheld", language=language, levels=named, code=withheld.code.value)
    tbs = f"{analysis.tbs:.3f}"
    if analysis.tbs_see is not None:
        tbs = text.phrase("value_see", language=language, tbs=tbs, see=f"{analysis.tbs_see:.3f}")
    if analysis.borderline:
        return text.phrase("says_borderline", language=language, tbs=tbs, levels=named)
    if analysis.category is None:
        return text.phrase("says_no_category", language=language, tbs=tbs, levels=named)
    category = text.phrase(f"class_{analysis.category}", language=language)
    return text.phrase("says_category", language=language, category=category, tbs=tbs, levels=named)


def levels(labels: tuple[str, ...], *, language: str = "en") -> str:
    """Write levels shortly.

    Examples
    --------
    >>> levels(("L1", "L2", "L3", "L4")), levels(("L1", "L2", "L4"))
    ('L1-L4', 'L1, L2 and L4')
    """
    if len(labels) > 2 and labels == LABELS[LABELS.index(labels[0]) :][: len(labels)]:
        return f"{labels[0]}-{labels[-1]}"
    return text.join(labels, language=language)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Movement:
    """The change since the last comparable examination; `exceeds` is None where it is not interpreted."""

    since: str
    exceeds: bool | None
    difference: float | None = None  # of TBS; the raw slope is not for page 1
    then: float | None = None
    lsc: float | None = None


def _movement(analysis: Analysis) -> _Movement | None:
    follow_up = analysis.follow_up
    prior = follow_up.last_comparable if follow_up else None
    if follow_up is None or prior is None:
        return None
    since = facts.date(prior.examined_on)
    if analysis.tbs is not None and prior.tbs_difference is not None and prior.tbs is not None:
        lsc = follow_up.tbs_lsc
        exceeds = None if lsc is None else abs(prior.tbs_difference) > lsc
        return _Movement(
            since=since, exceeds=exceeds, difference=prior.tbs_difference, then=prior.tbs, lsc=lsc
        )
    if prior.difference is None:
        return None
    known = follow_up.lsc is not None
    return _Movement(since=since, exceeds=abs(prior.difference) > (follow_up.lsc or 0.0) if known else None)


def _apart(findings: tuple[Finding, ...]) -> str:
    """Say in words what differs, where that is one thing; several stand on page 2, each at its row."""
    details = {dict(each.values).get("detail", "") for each in findings if each.code in facts.LEFT_OUT}
    alone = len(details) == 1 and all(each.code in facts.LEFT_OUT for each in findings)
    return str(details.pop()) if alone else ""


def course(analysis: Analysis, *, language: str = "en") -> str:
    """Say how the score moved, in one sentence: change against LSC, never a response to anything."""
    follow_up = analysis.follow_up
    if follow_up is None:
        return text.phrase("moved_not_looked_for", language=language)
    codes = ", ".join(dict.fromkeys(f.code.value for f in follow_up.findings))
    moved = _movement(analysis)
    if moved is None:
        key = "moved_not_comparable" if codes else "moved_none"
        return text.phrase(key, language=language, why=_apart(follow_up.findings) or codes)
    verdict = _verdict(moved, language)
    if moved.difference is None or moved.then is None:
        said = text.phrase("moved_slope", language=language, date=moved.since, verdict=verdict)
    else:
        said = text.phrase(
            "moved_tbs",
            language=language,
            difference=signed(moved.difference, decimals_beside(moved.difference, moved.lsc)),
            date=moved.since,
            tbs=f"{moved.then:.3f}",
            verdict=verdict,
        )
    return f"{said} {text.phrase('moved_left_out', language=language, codes=codes)}" if codes else said


def _verdict(moved: _Movement, language: str) -> str:
    if moved.exceeds is None:
        return text.phrase("moved_no_precision", language=language)
    key = "moved_exceeds" if moved.exceeds else "moved_within"
    if moved.lsc is None or moved.difference is None:
        return text.phrase(key, language=language)
    lsc = f"{moved.lsc:.{decimals_beside(moved.difference, moved.lsc)}f}"
    return text.phrase(f"{key}_by", language=language, lsc=lsc)
