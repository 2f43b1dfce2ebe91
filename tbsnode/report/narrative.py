"""The paragraph that interprets a result: what is known, what it rests on, what it may not decide.

First whether the measurement is valid, then the value and its class, then what stands around it (see
`narrative_context`), last what it may not be used for. A refused result says why, names a possible
fracture and stops. Without a calibration there is no value, no class, no Z-score and no adjusted
probability, and one sentence says what is missing and how to get it.
"""

from __future__ import annotations

import re

from tbsnode import text
from tbsnode.model import Analysis, AnalysisStatus, Report
from tbsnode.reasons import Code, Finding
from tbsnode.report import facts, narrative_context
from tbsnode.report.narrative_words import Words, fixed, plain, short
from tbsnode.tbs.interpretation import is_in_bmi_range
from tbsnode.tbs.result import LABELS

DOUBTS = (
    Code.OTHER_BODY_PART,
    Code.LEVELS_UNCERTAIN,
    Code.LEVELS_ASSUMED,
    Code.LEVELS_DISAGREE_WITH_SCANNER,
    Code.DISPLAY_COPY,
    Code.EXTRACTED_FROM_PAGE,
    Code.FEW_GRAY_LEVELS,
    Code.RESAMPLED,
    Code.SATURATED,
    Code.DERIVED_PIXEL_SPACING,
    Code.SPACING_CONTRADICTION,
    Code.EXCESSIVE_NOISE,
    Code.TILTED_SPINE,
    Code.CURVED_SPINE,
    Code.POOR_FIT,
    Code.TECHNICAL_SPREAD,
    Code.DEGENERATIVE_STEP,
)
# a calibration is of one input class and one pixel size, so it covers these
COVERED_BY_CALIBRATION = (Code.DISPLAY_COPY, Code.EXTRACTED_FROM_PAGE, Code.DERIVED_PIXEL_SPACING)
NO_CLASS = (
    Code.CATEGORY_NOT_ELIGIBLE,
    Code.CATEGORY_DEPENDS_ON_LEVELS,
    Code.OUTSIDE_CALIBRATION_RANGE,
    Code.CALIBRATION_WITHOUT_CATEGORY,
)
NOT_KNOWN = "unknown"  # the value of a covariate, in the finding that names it
_NEEDED = {"bmi": "needed_bmi", "age years": "needed_age", "sex": "needed_sex"}


def paragraph(report: Report, *, language: str = "en") -> str:
    """Interpret a result in one paragraph.

    Parameters
    ----------
    report : Report
        Scored or refused.
    language : str
        Of the catalogue.

    Returns
    -------
    str
        Sentences in ASCII on one line; the same report gives the same words.
    """
    words = Words(language)
    analysis = report.analysis
    said = [words.say("simulated")] if report.simulated else []
    if analysis.status is not AnalysisStatus.SCORED:
        return " ".join(filter(None, [*said, _refusal(analysis, words), _fracture(report, words)]))
    said += [_technical(analysis, words), _fracture(report, words)]
    said += _value(analysis, words) if analysis.tbs is not None else _absence(report, words)
    said += narrative_context.sentences(analysis, words)
    said += [_remedy(report, words), words.say("limits")]
    return " ".join(sentence for sentence in said if sentence)


def _refusal(analysis: Analysis, words: Words) -> str:
    """Say why there is no value, without the numbers that stand beside the finding on the page."""
    if analysis.reason is None:
        return words.say("refused_bare")
    found = text.sentence(Finding(analysis.reason.code), language=words.language)
    lowered = found if found[1:2].isupper() else found[:1].lower() + found[1:]
    return words.say("refused", reason=lowered)


# ---- the technical sentence ---------------------------------------------------------------------


def _technical(analysis: Analysis, words: Words) -> str:
    stated = [
        _span(analysis.included, words),
        words.say("vertebrae", count=str(len(analysis.included))),
        *_left_out(analysis, words),
        _body_size(analysis, words),
    ]
    if analysis.region_source == "reviewer":
        stated.insert(2, words.say("corrected"))
    if analysis.tbs is not None and analysis.tbs_see is not None:
        kind = f"_{analysis.calibration_kind}" if analysis.calibration_kind else ""
        stated.append(words.say(f"calibration{kind}", see=fixed(analysis.tbs_see, 3)))
    doubts = _doubts(analysis, words)
    if doubts:
        return words.say("doubtful", doubts=", ".join(doubts), facts=", ".join(stated))
    return words.say("valid", facts=", ".join(stated))


def _span(levels: tuple[str, ...], words: Words) -> str:
    """Write levels in a row as a span."""
    first = LABELS.index(levels[0]) if levels else 0
    if len(levels) > 1 and levels == LABELS[first : first + len(levels)]:
        return f"{levels[0]}-{levels[-1]}"
    return words.both(levels)


def _left_out(analysis: Analysis, words: Words) -> list[str]:
    """Name the levels that do not count, those of one reason together."""
    levels: dict[Code | None, list[str]] = {}
    for vertebra in analysis.vertebrae:
        if not vertebra.included:
            code = vertebra.excluded.code if vertebra.excluded else None
            levels.setdefault(code, []).append(vertebra.label)
    named = []
    for code, labels in levels.items():
        why = words.known(f"left_out_{code}")
        both = words.both(labels)
        named.append(words.say("left_out", levels=both, why=why) if why else both)
    return [words.say("without", levels=words.both(named))] if named else []


def _body_size(analysis: Analysis, words: Words) -> str:
    bmi = analysis.identity.demographics.bmi if analysis.identity else None
    if bmi is None:
        return words.say("bmi_unknown")
    return words.say("bmi" if is_in_bmi_range(bmi) else "bmi_outside", bmi=short(bmi))


def _doubts(analysis: Analysis, words: Words) -> list[str]:
    covered = COVERED_BY_CALIBRATION if analysis.tbs is not None else ()
    found = []
    for code in DOUBTS:
        own = [finding for finding in analysis.findings if finding.code is code]
        if own and code not in covered:
            levels = [label for label in LABELS if any(finding.vertebra == label for finding in own)]
            named = words.both(levels) or text.phrase("a_vertebra", language=words.language)
            found.append(words.say(f"doubt_{code}", levels=named))
    return found


def _fracture(report: Report, words: Words) -> str:
    levels = dict.fromkeys(finding.vertebra for finding in facts.alerts(report) if finding.vertebra)
    return words.say("fracture", levels=words.both(tuple(levels))) if levels else ""


# ---- the value, or its absence ------------------------------------------------------------------


def _value(analysis: Analysis, words: Words) -> list[str]:
    assert analysis.tbs is not None
    see = "" if analysis.tbs_see is None else f" +- {fixed(analysis.tbs_see, 3)}"
    tbs = f"{fixed(analysis.tbs, 3)}{see}"
    names = analysis.borderline or ((analysis.category,) if analysis.category else ())
    if not names:
        said = words.say("no_class", tbs=tbs, why=_why_no_class(analysis, words))
    else:
        key = "borderline" if analysis.borderline else "class"
        said = words.say(key, tbs=tbs, category=_class(names, words), cut_offs=_cut_offs(analysis, words))
    return [said, _z_score(analysis, words, classed=bool(names))]


def _class(names: tuple[str, ...], words: Words) -> str:
    if len(names) == 1:
        return text.phrase(f"class_{names[0]}", language=words.language)
    several = [text.phrase(f"class_short_{name}", language=words.language) for name in names]
    return text.phrase("class_several", language=words.language, classes=words.either(several))


def _cut_offs(analysis: Analysis, words: Words) -> str:
    """Write the cut-offs with at least two decimals; they belong to L1-L4."""
    numbers = re.findall(r"\d+\.\d+", analysis.threshold_set)
    shown = "/".join(re.sub(r"(\.\d\d\d*?)0+$", r"\1", number) for number in numbers)
    if len(analysis.included) < len(LABELS):
        return words.say("cut_offs_incomplete", cut_offs=shown)
    return shown


def _why_no_class(analysis: Analysis, words: Words) -> str:
    finding = next((found for found in analysis.findings if found.code in NO_CLASS), None)
    if finding is None:
        return words.say("no_class_unknown")
    values = dict(finding.values)
    if values.get("value") == NOT_KNOWN:
        return words.say("no_class_range_unknown")
    why = words.known(f"no_class_{finding.code}") or str(values.get("detail", ""))
    return why or words.say("no_class_unknown")


def _z_score(analysis: Analysis, words: Words, *, classed: bool) -> str:
    if analysis.z_score is None:
        return ""
    reference = plain(analysis.reference.replace(",", "")) or words.say("own_reference")
    return words.say("z" if classed else "z_alone", z=fixed(analysis.z_score, 1), reference=reference)


def _absence(report: Report, words: Words) -> list[str]:
    withheld = facts.withholding(report)
    key = f"no_tbs_{withheld.code}" if withheld else "no_tbs"
    said = [words.say(key, what=needed(report.analysis, words))]
    percentile = report.analysis.site_percentile
    if percentile is not None:
        said.append(words.say("percentile", percentile=fixed(percentile, 0)))
    return said


def needed(analysis: Analysis, words: Words) -> str:
    """Name everything that a calibration models and the header does not state."""
    values = [dict(f.values) for f in analysis.findings if f.code is Code.OUTSIDE_CALIBRATION_RANGE]
    missing = [str(each.get("covariate")) for each in values if each.get("value") == NOT_KNOWN]
    named = [words.say(_NEEDED[name]) for name in dict.fromkeys(missing) if name in _NEEDED]
    return words.both(named) or words.say("needed_other")


def _remedy(report: Report, words: Words) -> str:
    """Say in one sentence what is missing for a value and how to get it."""
    if report.analysis.tbs is not None:
        return ""
    withheld = facts.withholding(report)
    return words.say(f"get_{withheld.code}" if withheld else "get")
