"""What holds for every paragraph, whatever was measured, declared, supplied and compared."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tbsnode.model import Analysis, ClinicalContext, Factor, FollowUp
from tbsnode.model.clinical import FRACTURE_SITES
from tbsnode.reasons import TABLE, Code, Finding, Severity
from tbsnode.report import narrative
from tbsnode.tbs.bone_density import SiteScore, diagnose
from tbsnode.tbs.frax import Supplied, adjust
from tbsnode.tbs.interpretation import Patient, Value, interpret
from tbsnode.tbs.reference import reference_curve, threshold_set
from tests import report_cases, report_parts

DRUGS = re.compile(
    r"bisphosphonate|denosumab|teriparatide|alendron|zoledron|raloxifen|prescri|recommend", re.I
)
CLASS_WORDS = re.compile(r"degraded|microarchitecture|texture class|cut-off|Z-score \S+ \(US")
PERCENT = re.compile(r"\d %")
percents = st.floats(0.05, 99.9)
words = st.sampled_from(["", "referral letter", "\u00dcberweisung", "\u7d39\u4ecb\u72b6", "a\nb"])
LEVELS = tuple(report_parts.vertebra(i, variogram=(), region=()) for i in range(4))
supplied = st.builds(
    Supplied,
    major_percent=percents,
    hip_percent=percents,
    with_bmd=st.booleans(),
    source=words,
    country_model=words,
    calculated_on=st.sampled_from(["", "20260220"]),
)
contexts = st.builds(
    ClinicalContext,
    present=st.lists(st.sampled_from(Factor), unique=True).map(tuple),
    fracture_sites=st.lists(st.sampled_from(FRACTURE_SITES), unique=True).map(tuple),
    glucocorticoid_mg_day=st.none() | st.floats(0.1, 200.0),
    frax=st.none() | supplied,
    source=st.just("questionnaire"),
)
courses = st.builds(
    FollowUp,
    priors=st.lists(
        st.builds(
            report_cases.prior,
            st.sampled_from(["20190502", "20240115"]),
            st.none() | st.floats(0.8, 1.6),
            comparable=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    lsc=st.none() | st.floats(0.01, 0.1),
    tbs_lsc=st.none() | st.floats(0.01, 0.1),
    findings=st.lists(
        st.sampled_from([Code.PRIOR_NOT_COMPARABLE, Code.PRIOR_IDENTITY, Code.PRIORS_NOT_FETCHED]).map(
            Finding
        ),
        max_size=2,
    ).map(tuple),
)
doubts = st.lists(
    st.builds(Finding, st.sampled_from(list(TABLE)), st.sampled_from([None, "L1", "L4"])), max_size=6
).map(tuple)
scores = st.none() | st.floats(-5.0, 4.0)


@st.composite
def surroundings(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what stands around a measurement, the diagnosis made from the scores."""
    age = draw(st.floats(20.0, 95.0))
    sex = draw(st.sampled_from(["F", "M", ""]))
    who = replace(
        report_parts.IDENTITY.demographics,
        age_years=age,
        sex=sex,
        weight_kg=draw(st.none() | st.floats(30.0, 130.0)),
    )
    sites = [
        SiteScore(site=site, t_score=draw(scores), z_score=draw(scores))
        for site in draw(st.lists(st.sampled_from(["spine", "total_hip", "femoral_neck"]), unique=True))
    ]
    return {
        "identity": replace(report_parts.IDENTITY, demographics=who),
        "vertebrae": LEVELS,
        "clinical": draw(st.none() | contexts),
        "follow_up": draw(st.none() | courses),
        "bmd_diagnosis": diagnose(sites, sex=sex, age_years=age) if sites else None,
        "site_percentile": draw(st.none() | st.floats(0.0, 100.0)),
        "region_source": draw(st.sampled_from(["tbsnode", "scanner", "reviewer"])),
        "findings": draw(doubts),
    }


@st.composite
def uncalibrated(draw: st.DrawFn) -> Analysis:
    return report_parts.analysis(**draw(surroundings()))


@st.composite
def calibrated(draw: st.DrawFn) -> Analysis:
    """Draw a calibrated result, class and adjustment made from the value."""
    around = draw(surroundings())
    tbs, see = draw(st.floats(0.71, 1.69)), draw(st.floats(0.01, 0.06))
    who = around["identity"].demographics
    patient = Patient(sex=who.sex, age_years=who.age_years, bmi=who.bmi)
    made = interpret(
        Value(tbs=tbs, see=see, category_allowed=draw(st.booleans())),
        patient,
        threshold_set(draw(st.sampled_from(["A", "B"]))),
        reference_curve(),
    )
    frax = around["clinical"].frax if around["clinical"] else None
    manufacturer = draw(st.sampled_from(["GE Healthcare", "Other"]))
    adjusted = frax and adjust(frax, tbs, see, patient=patient, manufacturer=manufacturer)
    return report_parts.analysis(
        **{**around, "findings": (*made.findings, *around["findings"])},
        tbs=tbs,
        tbs_see=see,
        category=made.category,
        borderline=made.borderline,
        threshold_set=made.threshold_set,
        reference=made.reference,
        z_score=made.z_score,
        calibration="CAL-1",
        calibration_kind=draw(st.sampled_from(["paired", "transfer", ""])),
        frax=draw(st.sampled_from([None, adjusted])),
    )


def paragraph(analysis: Analysis) -> str:
    return narrative.paragraph(report_parts.report(analysis))


@settings(max_examples=40, deadline=None)
@given(st.one_of(uncalibrated(), calibrated()))
def test_every_paragraph(analysis: Analysis) -> None:
    told = paragraph(analysis)
    assert told == paragraph(analysis)
    assert told.isascii()
    assert told.isprintable()
    assert "  " not in told
    assert told.startswith(("Technically valid: L1-L4", "Technically limited ("))
    assert told.endswith(" Not to be used alone to decide treatment.")
    assert not DRUGS.search(told)
    assert "respon" not in told
    sentences = told.split(". ")
    assert len(sentences) == len(set(sentences))


@settings(max_examples=40, deadline=None)
@given(uncalibrated())
def test_no_calibration_no_value_no_class(analysis: Analysis) -> None:
    told = paragraph(analysis)
    assert not CLASS_WORDS.search(told)
    assert not re.search(r"\bTBS \(?c?\w*\)? ?\d", told)
    assert "adjusted for TBS 2" not in told
    assert "research estimate" not in told
    assert "a normal TBS" not in told
    assert f"{analysis.score:.3f}" not in told
    assert "TBS not available: " in told


@settings(max_examples=40, deadline=None)
@given(st.one_of(uncalibrated(), calibrated()))
def test_a_probability_stands_there_only_as_supplied(analysis: Analysis) -> None:
    frax = analysis.clinical.frax if analysis.clinical else None
    told = paragraph(analysis)
    if frax is None:
        assert not PERCENT.search(told)
        assert told.count("FRAX") == (2 if analysis.tbs is not None else 0)
    else:
        assert "as supplied" in told
        assert "FRAX not supplied" not in told


@settings(max_examples=40, deadline=None)
@given(st.one_of(uncalibrated(), calibrated()))
def test_osteoporosis_comes_from_density_or_from_a_declaration(analysis: Analysis) -> None:
    found = analysis.bmd_diagnosis
    by_density = found is not None and found.diagnosis.value == "osteoporosis"
    factors = analysis.clinical.present if analysis.clinical else ()
    told = paragraph(replace(analysis, clinical=replace(analysis.clinical, frax=None) if factors else None))
    assert ("osteoporosis" in told) == (by_density or Factor.SECONDARY_OSTEOPOROSIS in factors)


@settings(max_examples=40, deadline=None)
@given(calibrated(), st.floats(0.71, 1.69))
def test_a_fracture_is_said_whatever_the_texture(analysis: Analysis, tbs: float) -> None:
    fractured = ClinicalContext(present=(Factor.PREVIOUS_FRACTURE,), source="questionnaire")
    told = paragraph(replace(analysis, clinical=fractured, tbs=tbs, frax=None))
    assert "Declared: previous fragility fracture; it raises fracture risk independently of BMD" in told
    assert "not cancel it. " in told


@settings(max_examples=40, deadline=None)
@given(
    surroundings(),
    st.sampled_from([code for code, row in TABLE.items() if row.severity is Severity.FAIL]),
    st.floats(2000.0, 9000.0),
)
def test_a_refusal_has_no_number_of_its_finding_and_nothing_else_but_a_fracture(
    around: dict[str, Any], code: Code, value: float
) -> None:
    names = ("age_years", "gray_levels", "minimum", "count", "slope", "row_mm", "frames", "patient_ids")
    reason = Finding(code, values=tuple((name, value) for name in names))
    told = paragraph(report_parts.refused(reason, **around))
    fractures = tuple(f for f in around["findings"] if f.code is Code.REDUCED_HEIGHT)
    assert told == paragraph(report_parts.refused(Finding(code), findings=fractures))
    assert told.startswith("TBS not reported: ")
    assert "FRAX" not in told
    assert "BMD" not in told
