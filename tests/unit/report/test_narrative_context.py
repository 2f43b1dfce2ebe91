"""What the paragraph says of bone density, declared factors, supplied probability and change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tbsnode.model import ClinicalContext, Factor, FollowUp
from tbsnode.reasons import Code, Finding
from tbsnode.report import narrative
from tbsnode.tbs.bone_density import BmdDiagnosis, Diagnosis
from tbsnode.tbs.frax import Supplied, adjust
from tbsnode.tbs.interpretation import Patient
from tests import report_cases, report_parts

WOMAN = Patient(sex="F", age_years=68.0, bmi=26.0)
SUPPLIED = Supplied(major_percent=22.0, hip_percent=4.5, with_bmd=True)
RISK = "fracture risk may be higher than BMD alone suggests"


def said(**changes: Any) -> str:
    """What is said of a woman of 70 with a degraded texture, with these changes."""
    return narrative.paragraph(
        report_parts.report(report_cases.calibrated(**{"bmd_diagnosis": None, **changes}))
    )


def said_uncalibrated(**changes: Any) -> str:
    found = {"findings": (Finding(Code.SCANNER_UNCALIBRATED),), **changes}
    return narrative.paragraph(report_parts.report(report_parts.analysis(**found)))


def bmd(diagnosis: Diagnosis, score: float, **changes: Any) -> BmdDiagnosis:
    return BmdDiagnosis(**{"diagnosis": diagnosis, "site": "femoral_neck", "score": score, **changes})


def declared(*present: Factor, **changes: Any) -> ClinicalContext:
    return ClinicalContext(**{"present": present, "source": "questionnaire", **changes})


# ---- bone density -------------------------------------------------------------------------------

OF_BMD = {
    "normal": (bmd(Diagnosis.NORMAL, -0.4), "normal bone density (lowest T-score -0.4, femoral neck)"),
    "low": (bmd(Diagnosis.LOW_BONE_MASS, -1.8), "low bone mass (lowest T-score -1.8, femoral neck)"),
    "osteoporosis": (bmd(Diagnosis.OSTEOPOROSIS, -2.7), "osteoporosis (lowest T-score -2.7, femoral neck)"),
}
BETTER = "TBS is better than BMD and does not cancel this diagnosis"


@pytest.mark.parametrize(
    ("category", "density", "relation"),
    [
        ("normal", "normal", "TBS and BMD are concordant"),
        ("normal", "low", BETTER),
        ("normal", "osteoporosis", BETTER),
        ("partially_degraded", "normal", "TBS is worse than BMD"),
        ("partially_degraded", "low", "TBS and BMD are concordant"),
        ("partially_degraded", "osteoporosis", BETTER),
        ("degraded", "normal", f"TBS is worse than BMD, and {RISK}"),
        ("degraded", "low", f"TBS is worse than BMD, and {RISK}"),
        ("degraded", "osteoporosis", "TBS and BMD are concordant"),
    ],
)
def test_texture_beside_density(category: str, density: str, relation: str) -> None:
    found, words = OF_BMD[density]
    assert f"BMD diagnosis: {words}; {relation}. " in said(category=category, bmd_diagnosis=found)


def test_osteoporosis_begins_at_two_and_a_half() -> None:
    """A degraded texture and a T-score of exactly -2.5: density alone says enough."""
    assert RISK not in said(bmd_diagnosis=bmd(Diagnosis.OSTEOPOROSIS, -2.5))
    assert RISK in said(bmd_diagnosis=bmd(Diagnosis.LOW_BONE_MASS, -2.4))


@pytest.mark.parametrize(
    ("borderline", "density", "relation"),
    [
        (("normal", "partially_degraded"), "normal", "how TBS compares with BMD is open"),
        (("partially_degraded", "degraded"), "normal", "TBS is worse than BMD."),
        (("normal", "partially_degraded"), "osteoporosis", BETTER),
    ],
)
def test_a_borderline_class_beside_density(borderline: Any, density: str, relation: str) -> None:
    told = said(category=None, borderline=borderline, bmd_diagnosis=OF_BMD[density][0])
    assert relation in told
    assert RISK not in told


def test_spine_only_is_no_diagnosis() -> None:
    spine = bmd(Diagnosis.SPINE_ONLY, -1.9, site="spine")
    assert f"Spine only (T-score -1.9): not a BMD diagnosis; TBS is low, and {RISK}. " in said(
        bmd_diagnosis=spine
    )
    assert "not a BMD diagnosis. " in said(bmd_diagnosis=spine, category="normal")
    assert "not a BMD diagnosis. " in said(bmd_diagnosis=replace(spine, score=-2.6))
    young = said(bmd_diagnosis=replace(spine, uses_z_score=True), category=None)
    assert "Spine only (Z-score -1.9): not a BMD diagnosis. " in young


def test_a_forearm_without_a_hip_is_not_called_a_spine() -> None:
    forearm = bmd(Diagnosis.NO_HIP, -2.6, site="one_third_radius")
    assert "No hip: not a BMD diagnosis (lowest T-score -2.6, one-third radius). " in said(
        bmd_diagnosis=forearm
    )
    low = bmd(Diagnosis.NO_HIP, -1.9, site="spine")
    assert f"(lowest T-score -1.9, lumbar spine); TBS is low, and {RISK}. " in said(bmd_diagnosis=low)
    young = said(bmd_diagnosis=replace(forearm, uses_z_score=True), category=None)
    assert "No hip: not a BMD diagnosis (lowest Z-score -2.6, one-third radius). " in young


def test_a_density_that_includes_a_level_left_out_is_doubted() -> None:
    cement = report_parts.left_out(2, Code.HIGH_DENSITY)
    levels = (*(report_parts.vertebra(index) for index in (0, 1)), cement, report_parts.vertebra(3))
    assert (
        "femoral neck); TBS is worse than BMD, and fracture risk may be higher than BMD alone suggests. The "
        "density of L1-L4 includes L3, left out here: check whether it may count. "
    ) in said(vertebrae=levels, bmd_diagnosis=OF_BMD["low"][0])


def test_z_scores_of_the_young_are_not_compared_with_a_class() -> None:
    young = bmd(Diagnosis.BELOW_EXPECTED, -2.1, site="total_hip", uses_z_score=True)
    assert "BMD: below the expected range for age (lowest Z-score -2.1, total hip). " in said(
        bmd_diagnosis=young
    )


def test_density_without_a_calibration_stands_alone() -> None:
    told = said_uncalibrated(bmd_diagnosis=OF_BMD["low"][0])
    assert "BMD diagnosis: low bone mass (lowest T-score -1.8, femoral neck). " in told


def test_unknown_density_is_not_mentioned() -> None:
    nothing = BmdDiagnosis(diagnosis=Diagnosis.NOT_AVAILABLE)
    assert "BMD" not in said(bmd_diagnosis=nothing)
    assert "BMD" not in said(bmd_diagnosis=None)


# ---- declared factors ---------------------------------------------------------------------------

INDEPENDENT = "raises fracture risk independently of BMD, and a normal TBS would not cancel it. "


@pytest.mark.parametrize(
    ("sites", "named"),
    [
        ((), "previous fragility fracture; it "),
        (("hip",), "previous hip fracture; it "),
        (("vertebra",), "previous vertebral fracture; it "),
        (("wrist", "hip"), "previous hip and wrist fractures; each "),
        (("other",), "previous fragility fracture; it "),
        (("other", "wrist"), "previous wrist and other fractures; each "),
    ],
)
def test_where_the_fracture_was(sites: tuple[str, ...], named: str) -> None:
    context = declared(Factor.PREVIOUS_FRACTURE, fracture_sites=sites)
    assert f"Declared: {named}{INDEPENDENT}" in said(clinical=context)


def test_a_normal_texture_does_not_cancel_what_is_declared() -> None:
    told = said(clinical=declared(Factor.PREVIOUS_FRACTURE), category="normal")
    assert "independently of BMD, and a normal TBS does not cancel it. " in told


@pytest.mark.parametrize(
    ("factor", "named"),
    [
        (Factor.PARENTAL_HIP_FRACTURE, "parental hip fracture"),
        (Factor.CURRENT_SMOKING, "current smoking"),
        (Factor.GLUCOCORTICOIDS, "glucocorticoid treatment"),
        (Factor.RHEUMATOID_ARTHRITIS, "rheumatoid arthritis"),
        (Factor.ALCOHOL, "alcohol (3 or more units a day)"),
        (Factor.TYPE_2_DIABETES, "type 2 diabetes"),
        (Factor.FALLS, "falls"),
        (Factor.RECENT_FRACTURE, "recent fracture"),
    ],
)
def test_each_factor(factor: Factor, named: str) -> None:
    assert f"Declared: {named}; it {INDEPENDENT}" in said(clinical=declared(factor))
    alone = f"Declared: {named}; it raises fracture risk independently of BMD. "
    assert alone in said_uncalibrated(clinical=declared(factor))


def test_secondary_osteoporosis_acts_through_bone_density() -> None:
    assert "Declared: secondary osteoporosis. " in said(clinical=declared(Factor.SECONDARY_OSTEOPOROSIS))
    both = said(clinical=declared(Factor.SECONDARY_OSTEOPOROSIS, Factor.FALLS))
    assert f"Declared: falls; it {INDEPENDENT}Also declared: secondary osteoporosis. " in both


def test_factors_stand_in_one_order_whatever_the_file_had() -> None:
    context = declared(Factor.FALLS, Factor.ALCOHOL, Factor.PREVIOUS_FRACTURE)
    told = said(clinical=context)
    assert "Declared: previous fragility fracture, alcohol (3 or more units a day) and falls; each " in told


def test_what_is_declared_absent_is_not_said() -> None:
    told = said(clinical=ClinicalContext(absent=(Factor.FALLS, Factor.ALCOHOL), source="questionnaire"))
    assert "Declared" not in told
    assert "falls" not in told


def test_diabetes_has_its_own_sentence() -> None:
    plain = said(clinical=declared(Factor.TYPE_2_DIABETES))
    assert "In type 2 diabetes BMD underestimates fracture risk. " in plain
    with_frax = said(clinical=declared(Factor.TYPE_2_DIABETES, frax=SUPPLIED))
    assert (
        "%; not adjusted for TBS: the adjustment is switched off. In type 2 diabetes BMD and FRAX "
        in with_frax
    )
    assert "BMD underestimates" not in with_frax


# ---- supplied probability -----------------------------------------------------------------------

HEAD = "FRAX with BMD as supplied: major osteoporotic 22.0 %, hip 4.5 %"


def test_not_supplied() -> None:
    assert "TBS-adjusted FRAX not calculated: FRAX not supplied. " in said()
    assert "FRAX" not in said_uncalibrated()


def test_as_supplied_with_its_source() -> None:
    supplied = replace(
        SUPPLIED, with_bmd=False, source="referral letter", country_model="US", calculated_on="20260220"
    )
    told = said(clinical=declared(frax=supplied))
    assert "FRAX without BMD as supplied (referral letter, model US, 2026-02-20): major osteo" in told
    foreign = said(clinical=declared(frax=replace(SUPPLIED, source="\u7d39\u4ecb\u72b6")))
    assert HEAD in foreign


def test_switched_off() -> None:
    told = said(clinical=declared(frax=SUPPLIED))
    assert f"{HEAD}; not adjusted for TBS: the adjustment is switched off. " in told


def test_adjusted_with_its_interval() -> None:
    made = adjust(SUPPLIED, 1.18, 0.045, patient=WOMAN, manufacturer="GE Healthcare")
    told = said(clinical=declared(frax=SUPPLIED), frax=made)
    assert f"{HEAD}; research estimate adjusted for TBS 23.9 % (22.7-25.2) and 5.3 % (4.9-5.8). " in told


@pytest.mark.parametrize(
    ("age_years", "manufacturer", "told"),
    [
        (83.0, "GE Healthcare", "), calculated at age 80 (hip), the limit of the adjustment. "),
        (
            45.0,
            "Hologic",
            "), calculated at age 50 (major osteoporotic) and age 50 (hip), the limit of the adjustment. ",
        ),
    ],
)
def test_adjusted_at_another_age_says_which(age_years: float, manufacturer: str, told: str) -> None:
    who = replace(WOMAN, age_years=age_years, menopausal_status="post")
    made = adjust(SUPPLIED, 1.18, 0.045, patient=who, manufacturer=manufacturer)
    assert told in said(clinical=declared(frax=SUPPLIED), frax=made)


def test_not_adjusted_says_why() -> None:
    made = adjust(SUPPLIED, 1.18, 0.045, patient=WOMAN, manufacturer="Other")
    told = said(clinical=declared(frax=SUPPLIED), frax=made)
    assert "; not adjusted for TBS: there is no adjustment for this manufacturer. " in told
    bare = said_uncalibrated(clinical=declared(frax=SUPPLIED))
    assert f"{HEAD}; not adjusted for TBS: no TBS is available. " in bare


@pytest.mark.parametrize(
    ("factors", "gaps"),
    [
        ((Factor.GLUCOCORTICOIDS,), "glucocorticoid dose"),
        ((Factor.PREVIOUS_FRACTURE,), "how recent a fracture is"),
        ((Factor.RECENT_FRACTURE,), "how recent a fracture is"),
        ((Factor.FALLS,), "falls"),
        (
            (Factor.GLUCOCORTICOIDS, Factor.PREVIOUS_FRACTURE),
            "glucocorticoid dose or for how recent a fracture is",
        ),
        (
            (Factor.GLUCOCORTICOIDS, Factor.PREVIOUS_FRACTURE, Factor.FALLS),
            "glucocorticoid dose, for falls or for how recent a fracture is",
        ),
    ],
)
def test_what_the_probability_does_not_know(factors: tuple[Factor, ...], gaps: str) -> None:
    assert f"FRAX does not account for {gaps}. " in said(clinical=declared(*factors, frax=SUPPLIED))
    assert "does not account" not in said(clinical=declared(*factors))


def test_what_the_probability_knows_is_no_gap() -> None:
    known = declared(Factor.CURRENT_SMOKING, Factor.ALCOHOL, frax=SUPPLIED)
    assert "does not account" not in said(clinical=known)


@pytest.mark.parametrize(
    ("dose", "told"),
    [
        (0.04, "at 0.04 mg/day it may overestimate the risk. "),
        (2.0, "at 2 mg/day it may overestimate the risk. "),
        (2.45, "at 2.45 mg/day it may overestimate the risk. "),
        (2.5, ""),
        (7.4, ""),
        (7.25, ""),
        (7.5, "at 7.5 mg/day it may underestimate the risk. "),
        (40.0, "at 40 mg/day it may underestimate the risk. "),
    ],
)
def test_a_known_dose_is_held_against_the_usual_one(dose: float, told: str) -> None:
    context = declared(Factor.GLUCOCORTICOIDS, glucocorticoid_mg_day=dose, frax=SUPPLIED)
    paragraph = said(clinical=context)
    assert f"glucocorticoid treatment ({dose:g} mg/day); it " in paragraph
    assert ("FRAX assumes an average glucocorticoid dose; " + told in paragraph) == bool(told)
    assert "estimate the risk" in paragraph or not told
    assert "for glucocorticoid dose" not in paragraph


# ---- earlier examinations -----------------------------------------------------------------------


def course(*priors: Any, **changes: Any) -> FollowUp:
    return FollowUp(**{"priors": priors, "lsc": 0.045, "tbs_lsc": 0.050, **changes})


def test_a_change_that_exceeds_is_written_larger() -> None:
    assert (
        "TBS has changed by +0.0504 since 2024-01-15; this exceeds the least significant change of 0.0500. "
    ) in said(follow_up=course(report_cases.prior("20240115", 1.1296)))


def test_a_change_is_held_against_the_least_significant_one() -> None:
    beyond = course(report_cases.prior("20220301", 1.30), report_cases.prior("20240115", 1.235))
    assert (
        "TBS has changed by -0.055 since 2024-01-15; this exceeds the least significant change of 0.050. "
    ) in said(follow_up=beyond)
    within = course(report_cases.prior("20240115", 1.16))
    assert (
        "TBS has changed by +0.020 since 2024-01-15; this does not exceed the least significant change of "
        "0.050. "
    ) in said(follow_up=within)


def test_without_a_precision_study_a_change_is_not_interpreted() -> None:
    told = said(follow_up=course(report_cases.prior("20240115", 1.235), tbs_lsc=None))
    assert "since 2024-01-15; the change is not interpreted, because there is no precision study. " in told


def test_without_a_calibration_the_slope_is_compared() -> None:
    told = said_uncalibrated(follow_up=course(report_cases.prior("20240115", None, difference=-0.0612)))
    assert (
        "The texture slope has changed by -0.061 since 2024-01-15; this exceeds the least significant change "
        "of 0.045. "
    ) in told


def test_a_value_is_not_compared_with_an_earlier_slope() -> None:
    """An earlier examination without a calibrated value: slope against slope."""
    told = said(follow_up=course(report_cases.prior("20240115", None, difference=0.01)))
    assert "The texture slope has changed by +0.010 since " in told
    assert "TBS has changed" not in told


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ((Code.PRIOR_NOT_COMPARABLE,), "no earlier examination is comparable"),
        ((Code.SCAN_MODE_CHANGED,), "no earlier examination is comparable"),
        ((Code.PRIORS_NOT_FETCHED,), "earlier examinations could not be looked for"),
        (
            (Code.PRIORS_NOT_FETCHED, Code.PRIOR_IDENTITY),
            "the identity of an earlier examination is in doubt",
        ),
    ],
)
def test_why_no_change_is_stated(codes: tuple[Code, ...], told: str) -> None:
    follow_up = course(findings=tuple(Finding(code) for code in codes))
    assert f"No change is stated: {told}. " in said(follow_up=follow_up)


def test_an_incomparable_examination_gives_no_number() -> None:
    old = report_cases.prior("20190502", 1.262, comparable=False, difference=None, tbs_difference=None)
    told = said(follow_up=course(old))
    assert "No change is stated: no earlier examination is comparable. " in told
    assert "1.262" not in told
    assert "2019" not in told


def test_a_first_examination_says_nothing_of_change() -> None:
    assert "change" not in said(follow_up=FollowUp()).replace("does not change the class", "")
    assert said(follow_up=None) == said(follow_up=FollowUp())
