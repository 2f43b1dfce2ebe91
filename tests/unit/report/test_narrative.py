"""The paragraph's own sentences: validity, value and class, their absence, what it may not decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tbsnode.model import Report
from tbsnode.reasons import TABLE, Code, Finding, Severity
from tbsnode.report import facts, narrative
from tbsnode.report.narrative_words import Words, fixed, percent, plain, short, signed
from tests import report_cases, report_parts

LIMITS = "Not to be used alone to decide treatment."
CLASS = "this is a texture class, not the patient's overall fracture risk."


def said(**changes: Any) -> str:
    """What is said of a woman of 70 with a degraded texture, with these changes."""
    return narrative.paragraph(
        report_parts.report(report_cases.calibrated(**{"bmd_diagnosis": None, **changes}))
    )


def said_uncalibrated(**changes: Any) -> str:
    found = {"findings": (Finding(Code.SCANNER_UNCALIBRATED),), **changes}
    return narrative.paragraph(report_parts.report(report_parts.analysis(**found)))


def body(height_m: float | None, weight_kg: float | None) -> Any:
    who = replace(report_parts.IDENTITY.demographics, height_m=height_m, weight_kg=weight_kg)
    return replace(report_parts.IDENTITY, demographics=who)


def without(*left_out: tuple[int, Code]) -> Any:
    codes = dict(left_out)
    return tuple(
        report_parts.left_out(i, codes[i]) if i in codes else report_parts.vertebra(i) for i in range(4)
    )


# ---- the technical sentence ---------------------------------------------------------------------


def test_what_holds_is_said_first() -> None:
    assert said(calibration_kind="paired").startswith(
        "Technically valid: L1-L4, 4 vertebrae, BMI 24.1, paired calibration SEE 0.030; no soft-tissue "
        "correction. TBS (calibrated) 1.180 +- 0.030: degraded microarchitecture (cut-offs 1.23/1.31); "
        f"{CLASS} Z-score -0.7 (US NHANES 2007-2008 women) does not change the class."
    )
    assert "BMI 24.1, transfer calibration SEE 0.030;" in said(calibration_kind="transfer")
    assert "BMI 24.1, calibration SEE 0.030;" in said()


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        (((3, Code.LEVEL_CUT),), "L1-L3, 3 vertebrae, without L4 (cut off), BMI"),
        (((1, Code.MOVEMENT),), "L1, L3 and L4, 3 vertebrae, without L2 (movement), BMI"),
        (
            ((0, Code.HIGH_DENSITY), (1, Code.HIGH_DENSITY)),
            "L3-L4, 2 vertebrae, without L1 and L2 (metal, cement or contrast), BMI",
        ),
        (
            ((0, Code.LEVEL_CUT), (2, Code.EXCLUDED_BY_REVIEWER)),
            "L2 and L4, 2 vertebrae, without L1 (cut off) and L3 (excluded by the reviewing physician), BMI",
        ),
    ],
)
def test_levels_that_do_not_count_are_named_with_their_reason(left_out: Any, told: str) -> None:
    paragraph = said(vertebrae=without(*left_out))
    assert told in paragraph
    assert "(cut-offs 1.23/1.31, derived for L1-L4)" in paragraph


def test_every_exclusion_has_its_words() -> None:
    excluding = [code for code, row in TABLE.items() if row.severity is Severity.EXCLUDE]
    assert [code for code in excluding if Words("en").known(f"left_out_{code}") is None] == []


def test_a_reduced_height_comes_right_after_validity() -> None:
    paragraph = said(vertebrae=without((1, Code.REDUCED_HEIGHT)))
    sentences = paragraph.split(". ")
    assert "soft-tissue correction" in sentences[0]
    assert sentences[1] == "Reduced height of L2: possible vertebral fracture; review the image"


def test_a_level_of_reduced_height_that_is_kept_is_named_too() -> None:
    assert "Reduced height of L3: possible" in said(findings=(Finding(Code.REDUCED_HEIGHT, "L3"),))


@pytest.mark.parametrize(
    ("height_m", "weight_kg", "told"),
    [
        (1.60, 66.56, "BMI 26,"),
        (1.60, 62.7, "BMI 24.5,"),
        (1.60, 100.0, "BMI 39.1 (outside 15-37),"),
        (None, 62.7, "BMI not known,"),
        (1.60, 6270.0, "BMI not known,"),
    ],
)
def test_body_size(height_m: float | None, weight_kg: float | None, told: str) -> None:
    assert told in said(identity=body(height_m, weight_kg))


def test_doubts_stand_in_place_of_valid() -> None:
    doubts = (
        Finding(Code.POOR_FIT, "L2"),
        Finding(Code.EXCESSIVE_NOISE),
        Finding(Code.POOR_FIT, "L4"),
        Finding(Code.LEVELS_UNCERTAIN),
    )
    assert said(findings=doubts).startswith(
        "Technically limited (level labels uncertain, very noisy image, poor fit of L2 and L4): L1-L4, "
    )


@pytest.mark.parametrize("code", narrative.COVERED_BY_CALIBRATION)
def test_a_calibration_covers_the_kind_of_image_it_was_made_for(code: Code) -> None:
    assert said(findings=(Finding(code),)).startswith("Technically valid")
    assert said_uncalibrated(findings=(Finding(code),)).startswith("Technically limited (")


SAID_ELSEWHERE = frozenset(
    {
        # in the body size, the class, the trend or the remedy
        *(Code.BMI_OUT_OF_RANGE, Code.BODY_SIZE_MISSING, Code.BODY_SIZE_IMPLAUSIBLE),
        *(Code.LEVEL_EXCLUDED, Code.LEVELS_INCOMPLETE, Code.BORDERLINE, Code.CATEGORY_NOT_ELIGIBLE),
        *(Code.CATEGORY_DEPENDS_ON_LEVELS, Code.OUTSIDE_CALIBRATION_RANGE, Code.CALIBRATION_WITHOUT_CATEGORY),
        *(Code.SCANNER_UNCALIBRATED, Code.CALIBRATION_SUSPENDED, Code.CALIBRATION_EXPIRED),
        *(Code.TBS_OUT_OF_RANGE, Code.SCAN_MODE_CHANGED, Code.PRIOR_NOT_COMPARABLE, Code.PRIOR_IDENTITY),
        Code.PRIORS_NOT_FETCHED,
        # on the page alone: they do not limit this number
        *(Code.MULTIPLE_SPINES, Code.INVERTED_GRAYSCALE, Code.MIRRORED, Code.CALIBRATION_EXPIRING),
        *(Code.AGE_UNKNOWN, Code.SEX_UNKNOWN),
    }
)


def test_every_warning_is_a_doubt_or_said_elsewhere() -> None:
    """A new warning makes somebody decide what the paragraph says of it."""
    warnings = {code for code, row in TABLE.items() if row.severity is Severity.WARN}
    assert warnings == set(narrative.DOUBTS) | SAID_ELSEWHERE
    assert not set(narrative.DOUBTS) & SAID_ELSEWHERE
    for code in narrative.DOUBTS:
        assert Words("en").known(f"doubt_{code}"), code


def test_who_corrected_the_regions() -> None:
    told = "L1-L4, 4 vertebrae, regions corrected by the reviewing physician, BMI"
    assert told in said(region_source="reviewer")
    assert "corrected" not in said(region_source="scanner")


# ---- the value ----------------------------------------------------------------------------------


def test_a_borderline_value_has_every_class_it_touches() -> None:
    two = said(tbs=1.30, category=None, borderline=("normal", "partially_degraded"))
    assert (
        "TBS (calibrated) 1.300 +- 0.030; borderline: normal or partially degraded microarchitecture " in two
    )
    three = said(category=None, borderline=("normal", "partially_degraded", "degraded"))
    assert (
        "borderline: normal, partially degraded or degraded microarchitecture (cut-offs 1.23/1.31);" in three
    )
    assert CLASS in two
    assert CLASS in three


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ("B: 1.230 / 1.310", "1.23/1.31"),
        ("A: 1.200 / 1.350", "1.20/1.35"),
        ("C: 1.235 / 1.300", "1.235/1.30"),
    ],
)
def test_cut_offs(stated: str, shown: str) -> None:
    assert f"(cut-offs {shown});" in said(threshold_set=stated)


@pytest.mark.parametrize(
    ("finding", "why"),
    [
        (
            Finding(Code.CATEGORY_NOT_ELIGIBLE, values=(("detail", "men below 50 years"),)),
            "men below 50 years",
        ),
        (Finding(Code.CATEGORY_DEPENDS_ON_LEVELS), "it depends on which vertebra is L1"),
        (
            Finding(Code.OUTSIDE_CALIBRATION_RANGE, values=(("covariate", "bmi"), ("value", 41.2))),
            "the examination is outside the range of the calibration",
        ),
        (
            Finding(Code.OUTSIDE_CALIBRATION_RANGE, values=(("covariate", "bmi"), ("value", "unknown"))),
            "the calibration needs what is not known of the patient",
        ),
        (
            Finding(Code.CALIBRATION_WITHOUT_CATEGORY, values=(("pairs", 41.0),)),
            "its calibration does not allow one",
        ),
        (Finding(Code.MULTIPLE_SPINES), "see the findings"),
    ],
)
def test_a_value_without_a_class_says_why(finding: Finding, why: str) -> None:
    paragraph = said(category=None, findings=(Finding(Code.EXCESSIVE_NOISE), finding))
    assert f"TBS (calibrated) 1.180 +- 0.030; no texture class is given: {why}. " in paragraph
    assert "Z-score -0.7 (US NHANES 2007-2008 women) gives no class." in (paragraph)
    assert "degraded" not in paragraph
    assert "microarchitecture" not in paragraph


def test_without_a_z_score_nothing_is_said_of_it() -> None:
    assert "Z-score" not in said(z_score=None)
    assert "Z-score 0.0 (" in said(z_score=-0.04)
    assert "(the site's own reference)" in said(reference="基準, women".replace(", women", ""))


# ---- no value -----------------------------------------------------------------------------------


def test_uncalibrated() -> None:
    assert said_uncalibrated() == (
        "Technically valid: L1-L4, 4 vertebrae, BMI 24.1; no soft-tissue correction. TBS not available: "
        "scanner not calibrated. For TBS the scanner needs a calibration, which the administrator makes from "
        "at least 60 scans that licensed software has scored too (tbsnode calibration fit). " + LIMITS
    )


def test_a_site_percentile_is_no_tbs() -> None:
    told = "The texture score lies at percentile 23 of this site's own adults; that is not TBS."
    assert told in said_uncalibrated(site_percentile=23.4, site_z=-0.7)
    assert "percentile" not in said(site_percentile=23.4, site_z=-0.7)


@pytest.mark.parametrize(
    ("finding", "why", "act"),
    [
        (
            Finding(Code.CALIBRATION_SUSPENDED),
            "calibration suspended.",
            "at least 10 re-exported examinations",
        ),
        (Finding(Code.CALIBRATION_EXPIRED), "calibration no longer valid.", "make a new calibration"),
        (
            Finding(Code.TBS_OUT_OF_RANGE),
            "the calibrated value is out of range.",
            "Check the image for artifacts",
        ),
        (
            Finding(Code.OUTSIDE_CALIBRATION_RANGE, values=(("covariate", "bmi"), ("value", "unknown"))),
            "the calibration needs height and weight.",
            "the scanner's operator has to enter what is missing",
        ),
    ],
)
def test_what_withholds_a_value_and_what_gives_it_back(finding: Finding, why: str, act: str) -> None:
    paragraph = said_uncalibrated(findings=(finding,))
    assert f"TBS not available: {why} " in paragraph
    assert act in paragraph.split(". ")[-2]
    assert paragraph.endswith(LIMITS)


def test_several_missing_covariates_are_named_together() -> None:
    missing = tuple(
        Finding(Code.OUTSIDE_CALIBRATION_RANGE, values=(("covariate", name), ("value", "unknown")))
        for name in ("bmi", "age years")
    )
    assert "TBS not available: the calibration needs height and weight and the age." in said_uncalibrated(
        findings=missing
    )


@pytest.mark.parametrize("code", facts.WITHHELD)
def test_whatever_withholds_a_value_has_its_words(code: Code) -> None:
    words = Words("en")
    assert words.known(f"no_tbs_{code}")
    assert words.known(f"get_{code}")


# ---- refused ------------------------------------------------------------------------------------


def refused(reason: Finding | None) -> Report:
    found = report_parts.refused(Finding(Code.NO_TEXTURE), clinical=report_cases.DECLARED)
    return report_parts.report(replace(found, reason=reason))


def test_a_possible_fracture_is_said_of_a_refused_spine_too() -> None:
    found = report_parts.refused(
        Finding(Code.FEWER_THAN_TWO_VERTEBRAE, values=(("count", 1),)),
        findings=tuple(Finding(Code.REDUCED_HEIGHT, level) for level in ("L1", "L2", "L3")),
    )
    assert narrative.paragraph(report_parts.report(found)) == (
        "TBS not reported: fewer than two vertebrae can be used, so no total is given. Reduced height of "
        "L1, L2 and L3: possible vertebral fracture; review the image."
    )


def test_a_refusal_says_why_and_stops() -> None:
    assert narrative.paragraph(refused(Finding(Code.LOW_BIT_DEPTH, values=(("gray_levels", 41.0),)))) == (
        "TBS not reported: the vertebrae hold too few gray levels to measure texture."
    )
    assert narrative.paragraph(refused(None)) == "TBS not reported."


@pytest.mark.parametrize("code", [code for code, row in TABLE.items() if row.severity is Severity.FAIL])
def test_every_refusal_reads_as_one_paragraph(code: Code) -> None:
    told = narrative.paragraph(refused(Finding(code)))
    assert told.startswith("TBS not reported: ")
    assert told.endswith(".")
    assert told[18].islower() or told[18:20].isupper()


# ---- status, words, numbers ---------------------------------------------------------------------


def test_a_simulation_says_so_first() -> None:
    told = narrative.paragraph(report_parts.report(report_cases.calibrated(), simulated=True))
    assert told.startswith("SIMULATED: demonstration data, no patient. Technically valid: ")
    assert narrative.paragraph(replace(refused(None), simulated=True)).startswith("SIMULATED: ")


def test_a_signature_does_not_change_the_words() -> None:
    plain_report = report_parts.report(report_cases.calibrated())
    signed = replace(plain_report, review=report_cases.review())
    assert narrative.paragraph(signed) == narrative.paragraph(plain_report)


@pytest.mark.parametrize("name", list(report_cases.cases()))
def test_every_case_of_the_pages_reads_well(name: str) -> None:
    report, _ = report_cases.cases()[name]
    told = narrative.paragraph(report)
    assert told.isascii()
    assert told.isprintable()
    assert told.endswith(".")
    assert [wrong for wrong in ("{", "}", "None", "nan", "  ", " .", " ,", "..", "()") if wrong in told] == []
    assert told.count("Not to be used alone") == (report.analysis.score is not None)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (fixed(1.0, 3), "1.000"),
        (fixed(-0.0004, 3), "0.000"),
        (short(37.0), "37"),
        (short(7.5), "7.5"),
        (signed(-0.0004, 3), "0.000"),
        (signed(0.0006, 3), "+0.001"),
        (percent(5.748488), "5.8"),
        (percent(5.744), "5.7"),
        (percent(99.96), "100.0"),
        (percent(0.04), "0.0"),
        (plain("Jos\u00e9 \u00c5ngstr\u00f6m"), "Jose Angstrom"),
        (plain("\u75c5\u9662 A"), ""),
        (plain("a\x07b\nc"), "a b c"),
    ],
)
def test_numbers_and_words(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_language_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        narrative.paragraph(report_parts.report(report_cases.calibrated()), language="xx")
