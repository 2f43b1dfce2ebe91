"""The large box of page 1: the calibrated value with its uncertainty, or that there is none, and why."""

from __future__ import annotations

from typing import Any

from tbsnode import text
from tbsnode.model import Provisional
from tbsnode.report import facts
from tbsnode.report.layout import Sheet, boxed, paragraph, statement


def result_box(sheet: Sheet) -> Any:
    """Return the large box: the calibrated value, or that there is none and how to get it."""
    analysis = sheet.report.analysis
    parts = _value(sheet) if analysis.tbs is not None else _absence(sheet)
    if analysis.site_percentile is not None and analysis.site_z is not None:
        percentile, z = f"{analysis.site_percentile:.0f}", f"{analysis.site_z:+.1f}"
        parts.append(statement(sheet.say("site_percentile", percentile=percentile, z=z), "boxtext"))
    return boxed(parts, sheet.width, line=1.5)


def research_box(sheet: Sheet) -> list[Any]:
    """Return the banner of a provisional class; nothing where none was asked for."""
    analysis = sheet.report.analysis
    if not analysis.research:
        return []
    parts = [paragraph(sheet.say("research_banner"), "alert")]
    if analysis.provisional is not None:
        parts.append(statement(provisional(analysis.provisional, language=sheet.language), "boxtext"))
    parts.append(statement(sheet.say("research_limits"), "boxtext"))
    return [boxed(parts, sheet.width, line=2.0)]


def provisional(made: Provisional, *, language: str = "en") -> str:
    """Say what a calibration file gives, with every finding about it."""
    codes = ", ".join(dict.fromkeys(finding.code.value for finding in made.findings))
    doubts = f" {text.phrase('research_findings', language=language, codes=codes)}" if codes else ""
    if made.tbs is None or made.see is None:
        return text.phrase("research_no_value", language=language, calibration=made.calibration) + doubts
    names = made.borderline or ((made.category,) if made.category else ())
    separator = f" {text.phrase('or', language=language)} "
    classes = separator.join(class_name(name, language=language) for name in names)
    value = text.phrase(
        "research_value",
        language=language,
        tbs=f"{made.tbs:.3f}",
        see=f"{made.see:.3f}",
        calibration=made.calibration,
        classes=classes or text.phrase("research_no_class", language=language),
        set=made.threshold_set,
    )
    return value + doubts


def _absence(sheet: Sheet) -> list[Any]:
    withheld = facts.withholding(sheet.report)
    key = f"tbs_unavailable_{withheld.code.value}" if withheld else "tbs_unavailable"
    parts = [paragraph(sheet.say(key), "box")]
    if withheld is not None:
        return [*parts, statement(sheet.sentence(withheld), "boxtext")]
    conclusion = facts.conclusion(sheet.report, language=sheet.language)
    return [*parts, statement(conclusion, "boxtext"), statement(sheet.say("tbs_how_to_get_it"), "boxtext")]


def _value(sheet: Sheet) -> list[Any]:
    analysis = sheet.report.analysis
    assert analysis.tbs is not None
    tbs = f"{analysis.tbs:.3f}"
    if analysis.tbs_see is None:
        headline = sheet.say("tbs_value", tbs=tbs)
    else:
        headline = sheet.say("tbs_value_see", tbs=tbs, see=f"{analysis.tbs_see:.3f}")
    parts = [
        paragraph(headline, "box"),
        statement(facts.conclusion(sheet.report, language=sheet.language), "boxtext"),
        statement(_category(sheet), "boxtext"),
    ]
    if analysis.z_score is not None:
        z = f"{analysis.z_score:+.1f}"
        parts.append(statement(sheet.say("tbs_z_score", z=z, reference=analysis.reference), "boxtext"))
    if sheet.report.simulated:
        parts.append(paragraph(sheet.say("tbs_simulated"), "alert"))
    return parts


def _category(sheet: Sheet) -> str:
    """Name the texture class, every class that the uncertainty touches, or that there is none."""
    analysis = sheet.report.analysis
    if analysis.borderline:
        separator = f" {sheet.say('or')} "
        classes = separator.join(class_name(name, language=sheet.language) for name in analysis.borderline)
        return sheet.say("tbs_borderline", classes=classes, set=analysis.threshold_set)
    if analysis.category is None:
        return sheet.say("tbs_no_category")
    category = class_name(analysis.category, language=sheet.language)
    return sheet.say("tbs_category", category=category, set=analysis.threshold_set)


def class_name(category: str, *, language: str = "en") -> str:
    """Write a texture class for people."""
    return text.phrase(f"class_{category}", language=language)
