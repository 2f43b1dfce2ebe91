"""The words of page 1, each from a result whose answer can be said by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tbsnode.model import Change, Factor, FollowUp, ScannerResults, SiteResult
from tbsnode.reasons import Code, Finding
from tbsnode.report import decision_known, decision_review, facts
from tbsnode.report.decision_words import conclusion, course, levels
from tbsnode.tbs.bone_density import BmdDiagnosis, Diagnosis
from tbsnode.tbs.frax import Adjusted, Adjustment
from tbsnode.text import (
    english,
    english_decision,
    english_documents,
    english_evidence,
    english_interpretation,
)
from tests.report_cases import (
    DECLARED,
    FOUR_PRIORS,
    HIP,
    OTHER_HIP,
    RADIUS,
    SPINE,
    analysis,
    calibrated,
    densities,
    prior,
    refused,
    report,
    review,
)
from tests.report_parts import left_out, vertebra


def test_no_phrase_is_given_twice():
    """One catalogue merged from several files: a later one would silently win."""
    files = (
        english.PHRASES,
        english_decision.DECISION,
        english_documents.DOCUMENTS,
        english_evidence.EVIDENCE,
        english_interpretation.INTERPRETATION,
    )
    assert [set(one) & set(other) for one, other in itertools.combinations(files, 2)] == [set()] * 10


@pytest.mark.parametrize(
    ("labels", "written"),
    [
        (("L1", "L2", "L3", "L4"), "L1-L4"),
        (("L2", "L3", "L4"), "L2-L4"),
        (("L1", "L2", "L4"), "L1, L2 and L4"),
        (("L3", "L4"), "L3 and L4"),
        (("L2",), "L2"),
        ((), ""),
    ],
)
def test_levels_are_written_shortly(labels, written):
    assert levels(labels) == written


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Degraded microarchitecture: TBS 1.180 +- 0.030 from L1-L4; bone density: low bone mass "
         "(osteopenia), lowest T-score -2.1 (femoral neck)."),
        ({"bmd_diagnosis": None, "tbs_see": None}, "Degraded microarchitecture: TBS 1.180 from L1-L4."),
        ({"bmd_diagnosis": BmdDiagnosis(diagnosis=Diagnosis.NOT_AVAILABLE)},
         "Degraded microarchitecture: TBS 1.180 +- 0.030 from L1-L4."),
        ({"bmd_diagnosis": None, "category": None, "borderline": ("partially_degraded", "degraded")},
         "Texture class borderline: TBS 1.180 +- 0.030 from L1-L4."),
        ({**densities(), "category": None},
         "TBS 1.180 +- 0.030 from L1-L4, without a texture class; bone density of the spine only, not a BMD "
         "diagnosis."),
        ({"bmd_diagnosis": BmdDiagnosis(diagnosis=Diagnosis.NO_HIP, site="spine", score=-1.9)},
         "Degraded microarchitecture: TBS 1.180 +- 0.030 from L1-L4; no bone density of a hip, not a BMD "
         "diagnosis."),
        ({"bmd_diagnosis": None, "follow_up": FOUR_PRIORS},
         "Degraded microarchitecture: TBS 1.180 +- 0.030 from L1-L4; change since 2024-01-15 exceeds LSC."),
        ({"bmd_diagnosis": None, "follow_up": replace(FOUR_PRIORS, tbs_lsc=0.06)},
         "Degraded microarchitecture: TBS 1.180 +- 0.030 from L1-L4; change since 2024-01-15 does not "
         "exceed LSC."),
        ({"bmd_diagnosis": None, "follow_up": replace(FOUR_PRIORS, tbs_lsc=None)},
         "Degraded microarchitecture: TBS 1.180 +- 0.030 from L1-L4."),
    ],
)  # fmt: skip
def test_the_conclusion(changes, said):
    assert conclusion(report(calibrated(**changes))) == said


def test_a_refusal_names_its_code_and_what_is_known():
    assert conclusion(report(refused(Finding(Code.NO_TEXTURE), **densities(HIP)))) == (
        "No texture score is given (NO_TEXTURE); bone density: low bone mass (osteopenia), lowest "
        "T-score -2.1 (femoral neck)."
    )
    assert conclusion(report(replace(refused(Finding(Code.NO_TEXTURE)), reason=None))) == (
        "No texture score is given."
    )


# ---- the course ----


def test_a_change_is_told_with_its_least_significant_one():
    assert course(calibrated(follow_up=FOUR_PRIORS)) == (
        "TBS -0.055 since 2024-01-15 (1.235 then): change exceeds LSC (0.050). "
        "Left out: PRIOR_NOT_COMPARABLE."
    )


@pytest.mark.parametrize(
    ("lsc", "verdict"), [(0.054, "change exceeds LSC"), (0.056, "change does not exceed LSC")]
)
def test_the_verdict_is_that_of_the_exact_difference(lsc, verdict):
    follow_up = FollowUp(priors=(prior("20240115", 1.235),), tbs_lsc=lsc)
    assert f"{verdict} ({lsc:.3f})." in course(calibrated(follow_up=follow_up))


def test_without_a_precision_study_a_change_is_not_interpreted():
    said = course(calibrated(follow_up=FollowUp(priors=(prior("20240115", 1.235),))))
    assert said.endswith("change not interpreted, there is no precision study of this scanner.")
    assert "LSC" not in said


def test_a_change_that_exceeds_is_printed_larger():
    """Nobody reads "+0.050 exceeds 0.050"."""
    close = FollowUp(priors=(prior("20240115", 1.12996),), tbs_lsc=0.05)
    assert "TBS +0.05004 since 2024-01-15 (1.130 then): change exceeds LSC (0.05000)." in course(
        calibrated(follow_up=close)
    )
    within = replace(close, tbs_lsc=0.05008)
    assert "TBS +0.050 since 2024-01-15 (1.130 then): change does not exceed LSC (0.050)." in course(
        calibrated(follow_up=within)
    )


@pytest.mark.parametrize(
    ("lsc", "verdict"),
    [(0.02, "change exceeds LSC"), (0.03, "change does not exceed LSC"), (None, "change not interpreted")],
)
def test_the_course_of_a_raw_slope_has_no_number(lsc, verdict):
    """1.273 now, 1.300 then; slopes stand on page 2."""
    said = course(analysis(follow_up=FollowUp(priors=(prior("20240115", None),), lsc=lsc)))
    assert said.startswith(f"Texture score since 2024-01-15: {verdict}")
    assert "1." not in said
    assert "0.0" not in said


def test_no_course_has_its_reason():
    apart = prior("20240115", 1.2, comparable=False, difference=None, tbs_difference=None)
    why = (Finding(Code.SCAN_MODE_CHANGED), Finding(Code.PRIOR_IDENTITY))
    assert course(calibrated()) == "Earlier examinations were not looked for."
    assert course(calibrated(follow_up=FollowUp())) == "No earlier examination is known."
    assert course(calibrated(follow_up=FollowUp(priors=(apart,), findings=why))) == (
        "No earlier examination can be compared (SCAN_MODE_CHANGED, PRIOR_IDENTITY)."
    )
    replaced = Finding(Code.PRIOR_NOT_COMPARABLE, values=(("detail", "another scanner or input class"),))
    assert course(calibrated(follow_up=FollowUp(priors=(apart,), findings=(replaced,)))) == (
        "No earlier examination can be compared (another scanner or input class)."
    ), "after a scanner was replaced page 1 had a code for a reason"


@pytest.mark.parametrize("follow_up", [None, FollowUp(), FOUR_PRIORS, replace(FOUR_PRIORS, tbs_lsc=None)])
def test_a_change_is_never_a_response(follow_up):
    assert "respon" not in course(calibrated(follow_up=follow_up)).casefold()


def test_findings_about_earlier_examinations_are_findings_of_the_report():
    one, other = (Finding(Code.PRIOR_NOT_COMPARABLE, values=(("detail", d),)) for d in ("2019", "2020"))
    alien = Finding(Code.PRIOR_IDENTITY)
    found = facts.all_findings(report(calibrated(follow_up=FollowUp(findings=(one, other, alien)))))
    assert set(found) == {one, other, alien}


# ---- densities ----


def test_sites_in_their_order_and_once():
    everything = calibrated(**densities(RADIUS, OTHER_HIP, HIP))
    names = [decision_known.site_name(each) for each in decision_known.sites(everything)]
    assert names == [
        "spine L1-L4",
        "total hip, left",
        "total hip, right",
        "femoral neck, left",
        "femoral neck, right",
        "one-third radius, left",
    ]
    deciding = decision_known.deciding(everything)
    assert deciding is not None
    assert decision_known.row(deciding) == ("one-third radius, left", "0.655", "-2.6", "-1.1", "imported")


def test_without_a_sum_the_levels_stand_for_the_spine():
    single = replace(SPINE, sites=SPINE.sites[:2])
    assert [decision_known.site_name(each) for each in decision_known.sites(calibrated(densitometry=single))][
        :2
    ] == ["spine L1", "spine L2"]


def test_the_site_that_decides_is_printed_bold_and_no_lower_one():
    """A single level decides nothing: "low bone mass" does not stand below a bold -3.1."""
    single = replace(SPINE, sites=(SiteResult(site="L1", t_score=-3.1), *SPINE.sites[1:3]))
    neck = BmdDiagnosis(diagnosis=Diagnosis.LOW_BONE_MASS, site="femoral_neck", score=-2.2)
    found = calibrated(densitometry=single, other_densitometry=(HIP, OTHER_HIP), bmd_diagnosis=neck)
    deciding = decision_known.deciding(found)
    assert deciding is not None
    assert decision_known.row(deciding)[:3] == ("femoral neck, right", "0.731", "-2.2")
    assert decision_known.overrides(found) == [
        "T-score -3.1 at spine L1: -2.5 or lower, whatever the texture."
    ]
    nothing = BmdDiagnosis(diagnosis=Diagnosis.NOT_AVAILABLE)
    levels_alone = replace(found, other_densitometry=(), bmd_diagnosis=nothing)
    assert decision_known.deciding(levels_alone) is None


def test_the_widest_sum_stands_for_the_spine():
    sums = tuple(SiteResult(site=site, bmd_g_cm2=0.9) for site in ("L2-L4", "L1-L4", "L3-L4"))
    only = calibrated(densitometry=ScannerResults(sites=sums, source="import"), other_densitometry=())
    assert [decision_known.row(each) for each in decision_known.sites(only)] == [
        ("spine L1-L4", "0.900", "-", "-", "imported")
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, ""),
        (
            BmdDiagnosis(diagnosis=Diagnosis.NOT_AVAILABLE),
            "No BMD diagnosis: no T-score of L1-L4, hip or one-third radius is known.",
        ),
        (
            BmdDiagnosis(diagnosis=Diagnosis.NOT_AVAILABLE, uses_z_score=True),
            "No BMD diagnosis: it needs Z-scores here, and none of L1-L4, hip or one-third radius is known.",
        ),
        (
            BmdDiagnosis(diagnosis=Diagnosis.NO_HIP, site="one_third_radius", score=-2.6),
            "No hip: not a BMD diagnosis.",
        ),
        (
            BmdDiagnosis(diagnosis=Diagnosis.SPINE_ONLY, site="spine", score=-1.9),
            "Spine only: not a BMD diagnosis.",
        ),
        (
            BmdDiagnosis(diagnosis=Diagnosis.OSTEOPOROSIS, site="spine", score=-2.9),
            "BMD diagnosis: osteoporosis; the lowest T-score is printed bold.",
        ),
        (
            BmdDiagnosis(diagnosis=Diagnosis.BELOW_EXPECTED, site="spine", score=-2.2, uses_z_score=True),
            "BMD diagnosis: below the expected range for age; the lowest Z-score is printed bold.",
        ),
    ],
)
def test_the_diagnosis(found, said):
    assert decision_known.diagnosis_sentence(calibrated(bmd_diagnosis=found)) == said


def test_a_density_that_includes_a_level_left_out_is_doubted():
    """Cement or a crushed level raises the density of the sum: "normal" would be read as normal."""
    cement = (vertebra(0), vertebra(1), left_out(2, Code.HIGH_DENSITY), left_out(3, Code.REDUCED_HEIGHT))
    doubt = " The density of L1-L4 includes L3 and L4, left out here: check whether it may count."
    assert decision_known.diagnosis_sentence(calibrated(vertebrae=cement)).endswith(doubt)
    small = (vertebra(0), vertebra(1), left_out(2, Code.REGION_TOO_SMALL), vertebra(3))
    assert "includes" not in decision_known.diagnosis_sentence(calibrated(vertebrae=small))
    upper = replace(SPINE, sites=(SiteResult(site="L1-L2", t_score=-1.9),))
    assert "includes" not in decision_known.diagnosis_sentence(
        calibrated(vertebrae=cement, densitometry=upper)
    )


def test_a_t_score_is_no_matter_where_z_scores_are_used():
    low = replace(SPINE, sites=(SiteResult(site="L1-L4", t_score=-2.7, z_score=-1.9),))
    young = BmdDiagnosis(diagnosis=Diagnosis.WITHIN_EXPECTED, site="spine", score=-1.9, uses_z_score=True)
    assert (
        decision_known.overrides(calibrated(densitometry=low, other_densitometry=(), bmd_diagnosis=young))
        == []
    )
    old = replace(young, diagnosis=Diagnosis.OSTEOPOROSIS, score=-2.7, uses_z_score=False)
    assert decision_known.overrides(
        calibrated(densitometry=low, other_densitometry=(), bmd_diagnosis=old)
    ) == ["T-score -2.7 at spine L1-L4: -2.5 or lower, whatever the texture."]


# ---- declared ----


def test_declared_factors_with_place_and_dose():
    assert decision_known.declared(calibrated(clinical=DECLARED)) == [
        "Present: previous fracture (wrist), glucocorticoids (7.5 mg/day), postmenopausal.",
        "Absent: smoking, alcohol.",
        "All others: not declared.",
        "Source: questionnaire.",
    ]


def test_what_is_not_declared_is_not_absent():
    everything = replace(DECLARED, present=tuple(Factor), absent=())
    assert "All others: not declared." not in decision_known.declared(calibrated(clinical=everything))
    assert decision_known.declared(calibrated()) == ["No risk factor was declared."]
    only_frax = replace(DECLARED, present=(), absent=(), menopausal_status="")
    assert decision_known.declared(calibrated(clinical=only_frax)) == ["No risk factor was declared."]


def test_an_adjusted_probability_is_called_no_frax():
    one = Adjusted(before_percent=22.0, after_percent=23.94, low_percent=22.7, high_percent=25.22)
    other = Adjusted(before_percent=4.5, after_percent=5.29, low_percent=4.87, high_percent=5.75)
    assert decision_known.probability(
        calibrated(clinical=DECLARED, frax=Adjustment(major=one, hip=other))
    ) == [
        "FRAX with BMD as supplied (referral letter, US (Caucasian), 2026-02-20): major osteoporotic 22.0 %, "
        "hip 4.5 %.",
        "Research estimate, not FRAX, adjusted for TBS: major osteoporotic 23.9 % (22.7-25.2), "
        "hip 5.3 % (4.9-5.8).",
    ]
    assert decision_known.probability(calibrated()) == ["FRAX: not supplied."]


def test_an_adjustment_at_another_age_says_so_beside_the_numbers():
    limited = Finding(Code.FRAX_AGE_LIMITED, values=(("hip_years", 80.0),))
    one = Adjusted(before_percent=22.0, after_percent=23.94, low_percent=22.7, high_percent=25.22)
    made = Adjustment(major=one, hip=one, finding=limited)
    *_, numbers, said = decision_known.probability(calibrated(clinical=DECLARED, frax=made))
    assert numbers.startswith("Research estimate, not FRAX")
    assert said == (
        "FRAX was adjusted for TBS at the limit of what the adjustment is valid for, not at the patient's "
        "age. Age for hip: 80 years."
    )


# ---- review ----


def test_an_amendment_without_a_change_says_so():
    amended = report(calibrated(), review=review(version=2))
    assert decision_review.changes(amended) == [
        "AMENDED by Doe, Jane, Dr on 2026-03-02 08:30:00+00:00: version 2 replaces what was signed before.",
        "No value changed.",
        "Reason: not stated.",
    ]
    assert decision_review.changes(report(calibrated(), review=review())) == []
    assert decision_review.changes(report(calibrated())) == []


def test_an_unknown_change_is_printed_as_it_is():
    changed = review(
        version=3, changes=(Change(what="weather", before="", after="rain"),), comment="It rained."
    )
    assert decision_review.changes(report(calibrated(), review=changed))[1:] == [
        "weather: from none to rain.",
        "Reason: It rained.",
    ]


def test_page_1_has_the_spine_that_the_diagnosis_rests_on():
    """The scanner left L1 out; somebody imported the sum with it. Only one of them may decide."""
    scanner = replace(SPINE, sites=(SiteResult(site="L2-L4", t_score=-2.7),))
    imported = ScannerResults(sites=(SiteResult(site="L1-L4", t_score=-2.2),), source="import")
    both = calibrated(
        densitometry=scanner,
        other_densitometry=(replace(HIP, sites=(SiteResult(site="femoral_neck", t_score=-1.5),)), imported),
        bmd_diagnosis=BmdDiagnosis(diagnosis=Diagnosis.OSTEOPOROSIS, site="spine", score=-2.7),
    )
    shown = [(each.result.site, each.result.t_score) for each in decision_known.sites(both)]
    assert shown == [("L2-L4", -2.7), ("femoral_neck", -1.5)]
    deciding = decision_known.deciding(both)
    assert deciding is not None
    assert deciding.result.site == "L2-L4"
    assert decision_known.overrides(both) == [
        "T-score -2.7 at spine L2-L4: -2.5 or lower, whatever the texture."
    ]


def test_a_t_score_that_is_printed_as_minus_two_and_a_half_counts_as_that():
    low = replace(HIP, sites=(SiteResult(site="total_hip", t_score=-2.46),))
    found = calibrated(
        densitometry=None,
        other_densitometry=(low,),
        bmd_diagnosis=BmdDiagnosis(diagnosis=Diagnosis.OSTEOPOROSIS, site="total_hip", score=-2.46),
    )
    assert decision_known.overrides(found) == [
        "T-score -2.5 at total hip: -2.5 or lower, whatever the texture."
    ]
    assert not decision_known.may_be_colored(report(found))
