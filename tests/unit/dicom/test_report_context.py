"""Densities, risk and course in the report: under which concept, of which site, from which source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tbsnode.model import ClinicalContext, Factor, FollowUp, ScannerResults, SiteResult
from tbsnode.reasons import Code, Finding
from tbsnode.tbs.bone_density import BmdDiagnosis, Diagnosis
from tbsnode.tbs.frax import Adjustment
from tests import reported, sources
from tests.reading import child, children, coded, document, evaluations, groups, texts, values


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sources.write(tmp_path / "source.dcm", sources.spine())


def results(*sites: SiteResult, **changes: str) -> ScannerResults:
    return ScannerResults(sites=sites, **{"source": "structured report", **changes})


def test_densities_of_the_spine_stand_in_its_group(source: Path) -> None:
    spine = results(SiteResult(site="L1-L4", bmd_g_cm2=0.953, t_score=-2.1, z_score=-0.3), reference="Adults")
    ds = document(reported.report(reported.scored(source, densitometry=spine)), source)
    summary = groups(ds)["L1-L4"]
    told = values(summary)
    assert told["24966-4"] == (0.953, "g/cm2")
    assert (told["38267-1"], told["85394-5"]) == ((-2.1, "1"), (-0.3, "1"))
    assert child(child(summary, "38267-1"), "121405").TextValue == "Adults"
    assert "ContentSequence" not in child(summary, "24966-4")
    assert coded(summary, "BMD-SRC") == ["BMD-SRC-SR"]


def test_a_vertebra_has_codes_of_its_own(source: Path) -> None:
    level = results(SiteResult(site="L2", bmd_g_cm2=0.9, t_score=-2.0), source="private results text")
    found = groups(document(reported.report(reported.scored(source, densitometry=level)), source))
    assert {name: value for name, value in values(found["L2"]).items() if name.startswith("BMD")} == {
        "BMD-REGION-BMD": (0.9, "g/cm2"),
        "BMD-REGION-T": (-2.0, "1"),
    }
    assert coded(found["L2"], "BMD-SRC") == ["BMD-SRC-TEXT"]
    assert not any(name.startswith("BMD") for name in values(found["L1"]))
    assert list(found) == ["L1", "L2", "L3", "L4", "L1-L4"]


def test_a_refused_picture_keeps_what_the_scanner_says(source: Path) -> None:
    spine = results(SiteResult(site="L2", t_score=-2.0), SiteResult(site="L1-L4", t_score=-1.0))
    found = groups(document(reported.report(replace(reported.refused(source), densitometry=spine)), source))
    assert list(found) == ["L1-L4", "BMD L2"]
    assert values(found["L1-L4"]) == {
        "TEXSLOPE": ("114006", ""),
        "TBS": ("114007", ""),
        "38267-1": (-1.0, "1"),
    }
    assert coded(found["BMD L2"], "363698007") == ["14293000"]


@pytest.mark.parametrize(
    ("site", "side", "place", "concepts", "region"),
    [
        ("total_hip", "left", "29836001", ("38261-4", "38264-8", "80933-5"), "REGION-TOTAL-HIP"),
        ("femoral_neck", "right", "71341001", ("24701-5", "38263-0", "80934-3"), "REGION-NECK"),
        ("one_third_radius", "", "62413002", ("24890-6", "38265-5", "80932-7"), "REGION-RADIUS33"),
    ],
)
def test_another_bone_is_a_group_of_its_own(
    source: Path, site: str, side: str, place: str, concepts: tuple[str, str, str], region: str
) -> None:
    bone = results(SiteResult(site=site, side=side, bmd_g_cm2=0.8, t_score=-1.6, z_score=-0.3))
    ds = document(reported.report(reported.scored(source, other_densitometry=(bone,))), source)
    group = groups(ds)[" ".join(filter(None, ("BMD", side, site.replace("_", " "))))]
    assert values(group) == dict(zip(concepts, ((0.8, "g/cm2"), (-1.6, "1"), (-0.3, "1")), strict=True))
    assert coded(group, "363698007") == [place]
    sides = coded(child(group, "363698007"), "272741003")
    assert sides == {"left": ["7771000"], "right": ["24028007"], "": []}[side]
    assert coded(group, "BMD-REGION") == [region]


@pytest.mark.parametrize(
    ("site", "place", "levels"),
    [
        ("L2-L4", "122496007", ["14293000", "36470004", "11994002"]),
        ("L3-L4", "122496007", ["36470004", "11994002"]),
        ("trochanter", "272673000", []),
        ("L1-", "272673000", []),
        ("L4-L5", "272673000", []),
    ],
)
def test_other_sums_and_sites_are_told_apart(source: Path, site: str, place: str, levels: list[str]) -> None:
    ds = document(
        reported.report(reported.scored(source, densitometry=results(SiteResult(site=site, t_score=-1.5)))),
        source,
    )
    group = groups(ds)[f"BMD {site}"]
    assert values(group) == {"BMD-REGION-T": (-1.5, "1")}
    assert coded(group, "363698007") == [place]
    assert coded(group, "BMD-LEVEL") == levels


def test_the_instance_that_states_a_density_is_named(source: Path) -> None:
    site = SiteResult(site="total_hip", side="left", t_score=-1.0)
    for found, kind in (
        (results(site, sop_instance_uid=sources.INSTANCE), "IMAGE"),
        (
            results(
                site,
                sop_instance_uid="1.2.9",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.88.22",
                series_instance_uid="1.2.8",
            ),
            "COMPOSITE",
        ),
        (
            results(site, sop_instance_uid="1.2.9", sop_class_uid=sources.SC, series_instance_uid="1.2.8"),
            "IMAGE",
        ),
        (results(site, sop_instance_uid="1.2.9"), "UIDREF"),
    ):
        ds = document(reported.report(reported.scored(source, other_densitometry=(found,))), source)
        item = child(groups(ds)["BMD left total hip"], "BMD-SRC-UID")
        assert item.ValueType == kind
        named = item.UID if kind == "UIDREF" else item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        assert named == found.sop_instance_uid
    imported = results(site, source="import")
    ds = document(reported.report(reported.scored(source, other_densitometry=(imported,))), source)
    assert children(groups(ds)["BMD left total hip"], "BMD-SRC-UID") == []
    assert coded(groups(ds)["BMD left total hip"], "BMD-SRC") == ["BMD-SRC-IMPORT"]


def test_the_scanners_report_is_evidence_and_no_image(source: Path) -> None:
    ds = document(reported.report(reported.maximal(source)), source)
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    named = [
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
    assert named == [sources.INSTANCE, reported.SCANNER_SR]
    assert len(child(child(ds, "111028"), "126200").ContentSequence) == 1


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_the_diagnosis_with_site_and_scale(source: Path, diagnosis: Diagnosis) -> None:
    said = BmdDiagnosis(diagnosis=diagnosis, site="femoral_neck", score=-2.6, uses_z_score=True)
    found = evaluations(document(reported.report(reported.scored(source, bmd_diagnosis=said)), source))
    (code,) = coded(found, "BMD-DIAGNOSIS")
    assert code.startswith("BMD-DX-")
    assert coded(found, "BMD-DIAG-SITE") == ["REGION-NECK"]
    assert coded(found, "BMD-DIAG-SCALE") == ["BMD-DIAG-Z"]


def test_no_density_no_diagnosis(source: Path) -> None:
    none = BmdDiagnosis(diagnosis=Diagnosis.NOT_AVAILABLE)
    found = evaluations(document(reported.report(reported.scored(source, bmd_diagnosis=none)), source))
    assert coded(found, "BMD-DIAGNOSIS") == ["BMD-DX-NONE"]
    assert children(found, "BMD-DIAG-SITE") == children(found, "BMD-DIAG-SCALE") == []
    found = evaluations(document(reported.report(reported.scored(source)), source))
    assert children(found, "BMD-DIAGNOSIS") == []


def test_declared_factors_present_absent_and_unknown(source: Path) -> None:
    said = ClinicalContext(
        present=(Factor.FALLS,),
        absent=(Factor.ALCOHOL,),
        fracture_sites=("hip", "vertebra"),
        menopausal_status="pre",
        source="questionnaire",
    )
    ds = document(reported.report(reported.scored(source, clinical=said)), source)
    found = evaluations(ds)
    assert (coded(found, "RF-FALLS"), coded(found, "RF-ALCOHOL")) == (["52101004"], ["272519000"])
    assert children(found, "RF-SMOKING") == []
    assert coded(found, "RF-FX-SITE") == ["FX-HIP", "FX-VERTEBRA"]
    assert coded(found, "MENOPAUSE") == ["MENOPAUSE-PRE"]
    assert texts(ds, "DECLARED-BY") == ["questionnaire"]
    assert "Fracture risk" not in groups(ds), "nothing was declared that is a number"


def test_every_factor_and_place_has_its_code(source: Path) -> None:
    from tbsnode.model.clinical import FRACTURE_SITES

    said = ClinicalContext(present=tuple(Factor), fracture_sites=FRACTURE_SITES, source="x")
    found = evaluations(document(reported.report(reported.scored(source, clinical=said)), source))
    factors = [item for item in found.ContentSequence if item.ValueType == "CODE"]
    present = [i for i in factors if i.ConceptCodeSequence[0].CodeValue == "52101004"]
    assert len({item.ConceptNameCodeSequence[0].CodeValue for item in present}) == len(Factor)
    assert len(set(coded(found, "RF-FX-SITE"))) == len(FRACTURE_SITES)


def test_supplied_probabilities_are_loincs_and_adjusted_ones_ours(source: Path) -> None:
    ds = document(reported.report(reported.maximal(source)), source)
    risk = groups(ds)["Fracture risk"]
    assert values(risk) == {
        "90265-0": (22.0, "%"),
        "90266-8": (4.5, "%"),
        "FRAX-MOF-TBS": (23.9, "%"),
        "FRAX-MOF-TBS-LO": (23.0, "%"),
        "FRAX-MOF-TBS-HI": (24.8, "%"),
        "FRAX-HIP-TBS": (5.3, "%"),
        "FRAX-HIP-TBS-LO": (5.0, "%"),
        "FRAX-HIP-TBS-HI": (5.6, "%"),
        "RF-GLUCO-DOSE": (7.5, "mg/d"),
    }
    assert coded(child(risk, "FRAX-MOF-TBS"), "121401") == ["RESEARCH-EST"]
    assert "ContentSequence" not in child(risk, "90265-0")
    assert coded(risk, "FRAX-BMD") == ["373066001"]
    assert [texts(ds, name) for name in ("FRAX-SRC", "FRAX-COUNTRY", "FRAX-DATE")] == [
        ["referral letter"],
        ["US (Caucasian)"],
        ["20240220"],
    ]


def test_an_adjustment_that_was_not_made_says_so(source: Path) -> None:
    why = Finding(Code.FRAX_NOT_ADJUSTED, values=(("detail", "age not known"),))
    analysis = reported.maximal(source, frax=Adjustment(finding=why))
    ds = document(reported.report(analysis), source)
    risk = values(groups(ds)["Fracture risk"])
    assert (risk["FRAX-MOF-TBS"], risk["FRAX-HIP-TBS"]) == (("114007", ""), ("114007", ""))
    assert risk["90265-0"] == (22.0, "%")
    assert "FRAX_NOT_ADJ" in coded(groups(ds)["L1-L4"], "QUALITY-FINDING")
    assert coded(groups(ds)["Fracture risk"], "QUALITY-FINDING") == [], "told once"


def test_an_adjustment_at_another_age_says_so_beside_the_numbers(source: Path) -> None:
    made = reported.maximal(source).frax
    assert made is not None
    limited = Finding(Code.FRAX_AGE_LIMITED, values=(("hip_years", 80.0),))
    ds = document(reported.report(reported.maximal(source, frax=replace(made, finding=limited))), source)
    risk = groups(ds)["Fracture risk"]
    assert values(risk)["FRAX-HIP-TBS"] == (5.3, "%")
    assert coded(risk, "QUALITY-FINDING") == ["FRAX_AGE_LIMITED"]
    (said,) = [words for words in texts(ds, "121106") if words.startswith("FRAX_AGE_LIMITED: ")]
    assert said.endswith("Age for hip: 80 years.")
    without = document(reported.report(reported.maximal(source)), source)
    assert coded(groups(without)["Fracture risk"], "QUALITY-FINDING") == []


def test_an_earlier_examination_is_never_taken_for_this_one(source: Path) -> None:
    ds = document(reported.report(reported.maximal(source)), source)
    gone, comparable = groups(ds)["Earlier examination 20200302"], groups(ds)["Earlier examination 20220304"]
    assert values(gone) == {
        "PRIOR-TEXSLOPE": (1.33, "1"),
        "PRIOR-TBS": (1.4, "1"),
        "PRIOR-AGE": (60.0, "a"),
    }
    assert values(comparable) == {
        "PRIOR-TEXSLOPE": (1.3, "1"),
        "PRIOR-TBS": (1.362, "1"),
        "TEXSLOPE-DIFF": (-0.05, "1"),
        "TBS-DIFF": (-0.052, "1"),
        "PRIOR-AGE": (62.01, "a"),
    }
    assert (coded(gone, "PRIOR-COMPARABL"), coded(comparable, "PRIOR-COMPARABL")) == (
        ["373067005"],
        ["373066001"],
    )
    assert (coded(gone, "PRIOR-ORIGIN"), coded(comparable, "PRIOR-ORIGIN")) == (
        ["ORIGIN-REPORT"],
        ["ORIGIN-PACS"],
    )
    assert child(comparable, "111060").Date == "20220304"
    assert child(comparable, "110180").UID == "1.2.826.0.1.3680043.10.3"
    assert coded(comparable, "PRIOR-LEVEL") == ["66794005", "14293000", "36470004"]
    summary = values(groups(ds)["L1-L4"])
    assert (summary["TEXSLOPE-LSC"], summary["TBS-LSC"]) == ((0.045, "1"), (0.06, "1"))


@pytest.mark.parametrize(
    ("changes", "lsc", "tbs_lsc", "said"),
    [
        ({}, 0.045, 0.06, ["373067005"]),  # both have TBS: 0.052 does not exceed 0.06
        ({}, 0.045, 0.05, ["373066001"]),
        ({}, 0.045, None, []),  # not judged on the other scale
        ({"tbs_difference": None}, 0.045, 0.06, ["373066001"]),
        ({"tbs_difference": None}, 0.05, None, ["373067005"]),  # as large is not larger
        ({"tbs_difference": None}, None, None, []),
        ({"comparable": False}, 0.045, 0.06, []),
    ],
)
def test_a_change_is_judged_only_against_a_precision_study(
    source: Path, changes: dict[str, object], lsc: float | None, tbs_lsc: float | None, said: list[str]
) -> None:
    prior = replace(reported.COURSE.priors[1], **changes)  # type: ignore[arg-type]
    course = FollowUp(priors=(prior,), lsc=lsc, tbs_lsc=tbs_lsc)
    ds = document(reported.report(reported.scored(source, tbs=1.31, follow_up=course)), source)
    assert coded(groups(ds)["Earlier examination 20220304"], "EXCEEDS-LSC") == said


def test_why_examinations_are_left_out(source: Path) -> None:
    ds = document(reported.report(reported.maximal(source)), source)
    assert "PRIOR_NOT_COMP" in coded(groups(ds)["L1-L4"], "QUALITY-FINDING")
    assert any(said.startswith("PRIOR_NOT_COMPARABLE: ") for said in texts(ds, "121106"))


def test_a_day_that_is_none_is_left_out(source: Path) -> None:
    prior = replace(reported.COURSE.priors[1], examined_on="")
    ds = document(reported.report(reported.scored(source, follow_up=FollowUp(priors=(prior,)))), source)
    (name,) = [name for name in groups(ds) if name.startswith("Earlier")]
    assert children(groups(ds)[name], "111060") == []


@pytest.mark.parametrize(
    ("stated", "code"),
    [("A: 1.200 / 1.350", ["TBS-CUTOFFS-A"]), ("B: 1.230 / 1.310", ["TBS-CUTOFFS-B"]), ("own", [])],
)
def test_a_category_says_which_cut_offs_it_rests_on(source: Path, stated: str, code: list[str]) -> None:
    ds = document(reported.report(reported.maximal(source, threshold_set=stated)), source)
    assert coded(groups(ds)["L1-L4"], "TBS-CUTOFFS") == code
    assert texts(ds, "TBS-CUTOFFS") == [stated]
    without = document(reported.report(reported.maximal(source, category=None)), source)
    assert coded(groups(without)["L1-L4"], "TBS-CUTOFFS") == []


def test_a_z_score_names_its_population(source: Path) -> None:
    summary = groups(document(reported.report(reported.maximal(source)), source))["L1-L4"]
    assert child(child(summary, "TBS-ZSCORE"), "121405").TextValue == "US NHANES 2007-2008, women"
    assert child(child(summary, "SITE-PERCENTILE"), "121405").TextValue == "Adults examined at this site"


def test_regions_that_the_reviewer_drew(source: Path) -> None:
    ds = document(reported.report(reported.scored(source, region_source="reviewer")), source)
    assert coded(groups(ds)["L1-L4"], "REGION-SRC") == ["REGION-REVIEWER"]
