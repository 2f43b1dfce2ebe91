"""The large box of page 1: the calibrated value with its uncertainty, or that there is none, and why."""

from __future__ import annotations

from typing import Any

from tbsnode import text
from tbsnode.model import Provisional
from tbsnode.reasons import Code
from tbsnode.report import facts
from tbsnode.report.decision_known import may_be_colored
from tbsnode.report.decision_words import levels
from tbsnode.report.layout import Sheet, boxed, grid, paragraph, statement
from tbsnode.report.narrative import needed
from tbsnode.report.narrative_words import Words, signed
from tbsnode.report.texture_scale import NAMES, TextureScale
from tbsnode.tbs.reference import threshold_set

SCALE_SHARE = 0.38  # of the width of the box
PADDING = 7.0
BESIDE = 12.0  # points between the words and the scale
CUT_OFFS = ("A", "B")


def result_box(sheet: Sheet) -> Any:
    """Return the large box: the calibrated value on its scale, or that there is none and how to get it."""
    analysis = sheet.report.analysis
    if analysis.tbs is None:
        return boxed([*_absence(sheet), *_percentile(sheet, "boxtext")], sheet.width, line=1.5)
    words = [*_value(sheet), *_percentile(sheet, "boxleft")]
    inner = sheet.width - 2 * PADDING
    drawn = _scale(sheet, inner * SCALE_SHARE)
    if drawn is None:
        return boxed(words, sheet.width, line=1.5)
    left = inner * (1.0 - SCALE_SHARE)
    look = [("VALIGN", (1, 0), (1, 0), "MIDDLE"), ("LEFTPADDING", (1, 0), (1, 0), BESIDE)]
    cells = grid([[words, drawn]], [left, inner * SCALE_SHARE], look)
    return boxed([cells], sheet.width, line=1.5)


def _scale(sheet: Sheet, width: float) -> Any:
    """Return the value on its scale; None where no class may be given."""
    analysis = sheet.report.analysis
    name = analysis.threshold_set.partition(":")[0]
    known = analysis.category is not None or analysis.borderline
    if analysis.tbs is None or analysis.tbs_see is None or not known or name not in CUT_OFFS:
        return None
    names = tuple(sheet.say(f"scale_{each}") for each in NAMES)
    colored = may_be_colored(sheet.report)
    value = (analysis.tbs, analysis.tbs_see)
    return TextureScale(value, threshold_set(name), names, width - BESIDE - 3.0, colored=colored)


def _percentile(sheet: Sheet, name: str) -> list[Any]:
    analysis = sheet.report.analysis
    if analysis.site_percentile is None or analysis.site_z is None:
        return []
    percentile, z = f"{analysis.site_percentile:.0f}", signed(analysis.site_z, 1)
    return [statement(sheet.say("site_percentile", percentile=percentile, z=z), name)]


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
    if withheld is None:
        said = [sheet.say("tbs_how_to_get_it")]
    elif withheld.code is Code.OUTSIDE_CALIBRATION_RANGE:  # its words are for a value without a class
        what = needed(sheet.report.analysis, Words(sheet.language))
        said = [sheet.say("tbs_needs", what=what), sheet.say(f"interpret_get_{withheld.code}")]
    else:
        said = [sheet.sentence(withheld), sheet.remedy(withheld)]
    return [*parts, *(statement(words, "boxtext") for words in said)]


def _value(sheet: Sheet) -> list[Any]:
    analysis = sheet.report.analysis
    assert analysis.tbs is not None
    tbs = f"{analysis.tbs:.3f}"
    if analysis.tbs_see is None:
        headline = sheet.say("tbs_value", tbs=tbs)
    else:
        headline = sheet.say("tbs_value_see", tbs=tbs, see=f"{analysis.tbs_see:.3f}")
    parts = [paragraph(headline, "value"), statement(_category(sheet), "class")]
    details: list[str] = []
    has_class = analysis.category is not None or bool(analysis.borderline)
    if has_class:
        details = [sheet.say("class_is_not_risk"), sheet.say("class_cut_offs", set=analysis.threshold_set)]
    if analysis.z_score is not None:
        z = signed(analysis.z_score, 1)
        key = "tbs_z_score" if has_class else "tbs_z_score_only"
        details.append(sheet.say(key, z=z, reference=analysis.reference))
    calibration = analysis.calibration or sheet.say("not_stated")
    named = levels(analysis.included, language=sheet.language)
    details.append(sheet.say("tbs_calibration", calibration=calibration, levels=named))
    parts.append(statement(" ".join(details), "boxleft"))
    if sheet.report.simulated:
        parts.append(paragraph(sheet.say("tbs_simulated"), "alert"))
    return parts


def _category(sheet: Sheet) -> str:
    """Name the texture class, every class that the uncertainty touches, or that there is none."""
    analysis = sheet.report.analysis
    if analysis.borderline:
        separator = f" {sheet.say('or')} "
        classes = separator.join(class_name(name, language=sheet.language) for name in analysis.borderline)
        return sheet.say("tbs_borderline", classes=classes)
    if analysis.category is None:
        return sheet.say("tbs_no_category")
    category = class_name(analysis.category, language=sheet.language)
    return sheet.say("tbs_category", category=category)


def class_name(category: str, *, language: str = "en") -> str:
    """Write a texture class for people."""
    return text.phrase(f"class_{category}", language=language)
