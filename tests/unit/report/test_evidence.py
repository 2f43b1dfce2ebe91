"""Page 2 as it is read: what stands there, and what must never stand there."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pypdf
import pytest

from tbsnode.model import (
    CodingAdvice,
    Corrections,
    InputClass,
    PageOrigin,
    ReviewAction,
    ScannerResults,
)
from tbsnode.reasons import Code, Finding
from tbsnode.report import evidence_figures
from tbsnode.report.layout import PAGE_SIZES, Sheet
from tbsnode.report.pdf import render
from tbsnode.report.what_ran import what_ran
from tbsnode.tbs.bone_density import BmdDiagnosis, Diagnosis
from tests.report_cases import HIP, SPINE, calibrated, densities, prior, review
from tests.report_pages import both, followed, made, pages, second
from tests.report_parts import IDENTITY, analysis, left_out, report, vertebra

CATEGORY = re.compile(r"normal|degraded", re.I)
TBS_VALUE = re.compile(r"TBS\s*(?:is|[:=])?\s*\d")
CUT_OFF = re.compile(r"\b1\.(?:23|31)\b")  # as a line's number; no axis has such a tick


def uncalibrated_names() -> list[str]:
    return [
        name
        for name, (each, _) in made().items()
        if each.analysis.tbs is None and each.analysis.score is not None
    ]


def sheet(stated, pixels=None) -> Sheet:
    return Sheet(report=stated, pixels=pixels, size=PAGE_SIZES["A4"])


# ---- levels


def test_every_level_has_its_row_with_the_scanners_numbers():
    words = second("scored_calibrated")
    assert "L1 1.210 not estimated 1012 0.991 123456 0.901 -1.9 yes" in words
    assert "L4 1.330 not estimated 1015 0.991 123459 0.975 -1.9 yes" in words
    assert "Mean 1.273 0.006 0.953 -1.9 L1, L2, L3 and L4" in words
    assert "BMD and T-score as stated in: the scanner's private results text." in words
    assert "Their reference: USA (ages 20-40)." in words


def test_densities_that_a_person_imported_are_not_called_the_scanners():
    imported = ScannerResults(sites=SPINE.sites, source="import")
    words = pages(report(calibrated(densitometry=None, other_densitometry=(imported,))))[1]
    assert "BMD and T-score as stated in: an import, by a person." in words


def test_a_level_that_does_not_count_says_why_and_the_sum_is_that_of_the_rest():
    words = second("two_excluded")
    assert "L1 1.210 not estimated 1012 0.991 123456 0.901 -1.9 no: LEVEL_CUT" in words
    assert "no: HIGH_DENSITY" in words
    assert "Mean 1.273 0.006 - - L2 and L4" in words  # no scanner sums levels that are no neighbors


def test_neighbors_have_the_scanners_own_sum():
    spine = densities()["densitometry"]
    sum_of_three = replace(spine.sites[-1], site="L2-L4", bmd_g_cm2=0.967, t_score=-1.95)
    stated = calibrated(
        vertebrae=(left_out(0, Code.LEVEL_CUT), vertebra(1), vertebra(2), vertebra(3)),
        densitometry=replace(spine, sites=(*spine.sites, sum_of_three)),
    )
    assert "Mean 1.273 0.006 0.967 -1.9 L2, L3 and L4" in pages(report(stated))[1]


def test_without_densities_there_is_no_column_for_them():
    words = second("bare")
    assert "BMD" not in words
    assert "T-score" not in words
    assert "L1 1.210 not estimated 1012 0.991 123456 yes" in words


def test_the_young_have_z_scores():
    words = second("young")
    assert "Z-score Counted" in words
    assert "T-score" not in words
    assert "0.901 -0.4 yes" in words


def test_a_level_without_a_score():
    nothing = vertebra(
        1, score=None, fit_r2=None, included=False, excluded=Finding(Code.NO_LEVEL_SCORE, "L2")
    )
    words = pages(report(analysis(vertebrae=(vertebra(0), nothing, vertebra(2), vertebra(3)))))[1]
    assert "L2 - not estimated 1013 - 123457 no: NO_LEVEL_SCORE" in words


# ---- never stronger than the evidence


@pytest.mark.parametrize("name", uncalibrated_names())
def test_nothing_uncalibrated_has_a_class_a_cut_off_or_a_curve(name):
    everything = " ".join(both(name))
    page_two = second(name)
    assert not CATEGORY.search(page_two)
    assert not CUT_OFF.search(page_two)
    assert not TBS_VALUE.search(everything)
    for never in ("Reference curve", "NHANES", "cut-off", "Cut-offs"):
        assert never not in page_two


def test_the_guard_above_would_see_them():
    words = second("scored_calibrated")
    assert CUT_OFF.search(words)
    assert "Reference curve by age" in words
    assert "Dotted: cut-offs B: 1.230 / 1.310." in words


def test_a_value_without_a_class_gets_no_cut_offs():
    """They would tell the class that was withheld."""
    stated = report(calibrated(category=None, findings=(Finding(Code.OUTSIDE_CALIBRATION_RANGE),)))
    assert evidence_figures.cut_offs(sheet(stated)) is None
    words = pages(stated)[1]
    assert "Reference curve by age" in words
    assert not CUT_OFF.search(words)
    assert "No class is given; the findings say why." in words


def test_each_covariate_outside_the_range_of_the_calibration_is_named():
    outside = tuple(
        Finding(
            Code.OUTSIDE_CALIBRATION_RANGE,
            values=(("covariate", name), ("value", value), ("low", 20.0), ("high", 40.0)),
        )
        for name, value in (("bmi", 42.0), ("age years", "unknown"))
    )
    stated = report(calibrated(category=None, findings=outside))
    for page in pages(stated):
        said = " ".join(page.split())
        assert "bmi: 42; calibrated from 20 to 40" in said
        assert "age years: unknown; calibrated from 20 to 40" in said


def test_the_slope_without_a_doubted_level_is_not_on_page_one():
    values = (("t_score_step", 1.4), ("score_without", 1.377), ("tbs_without", 1.219))
    found = Finding(Code.DEGENERATIVE_STEP, "L3", values)
    first, second = (" ".join(page.split()) for page in pages(report(calibrated(findings=(found,)))))
    assert "TBS without L3: 1.22." in first
    assert "1.38" not in first
    assert "Texture slope without L3: 1.38." in second


def test_cut_offs_of_a_class_are_those_that_it_rests_on():
    assert evidence_figures.cut_offs(sheet(report(calibrated()))).name == "B"
    by_a = calibrated(threshold_set="A: 1.200 / 1.350")
    assert evidence_figures.cut_offs(sheet(report(by_a))).name == "A"
    changed = calibrated(threshold_set="B: 1.200 / 1.350")  # numbers that are not ours to draw
    assert evidence_figures.cut_offs(sheet(report(changed))) is None


def test_only_the_curve_that_the_z_score_rests_on_is_drawn():
    for other in (
        calibrated(reference="The site's own curve, women"),
        calibrated(z_score=-1.4),  # the site's own curve under the same name
        calibrated(z_score=None, reference=""),
        calibrated(identity=replace(IDENTITY, demographics=replace(IDENTITY.demographics, age_years=None))),
        calibrated(identity=replace(IDENTITY, demographics=replace(IDENTITY.demographics, sex="O"))),
    ):
        assert "Reference curve by age" not in pages(report(other))[1]


def test_an_age_of_95_is_drawn():
    old = replace(IDENTITY, demographics=replace(IDENTITY.demographics, age_years=95.0))
    curve_at_75 = 1.2656
    stated = calibrated(identity=old, z_score=(1.18 - curve_at_75) / 0.1316)
    words = pages(report(stated))[1]
    assert "Reference curve by age" in words
    assert "100" in words


def test_without_a_t_score_there_is_no_position():
    for none in (
        None,
        BmdDiagnosis(diagnosis=Diagnosis.NOT_AVAILABLE),
        BmdDiagnosis(diagnosis=Diagnosis.WITHIN_EXPECTED, site="total_hip", score=-0.6, uses_z_score=True),
    ):
        assert "Bone density and texture" not in pages(report(calibrated(bmd_diagnosis=none)))[1]
    assert "lowest T-score (femoral neck)" in second("scored_calibrated")
    assert "lowest T-score (spine)" in second("spine_only")


# ---- the map


def test_the_map_is_for_visualization_only():
    assert "For visualization only" in second("scored_calibrated")
    assert "For visualization only" in second("bare")


def test_no_map_without_a_picture_or_its_spacing():
    assert "visualization" not in pages(report(calibrated()), None)[1]
    assert "visualization" not in pages(report(analysis(pixel_spacing_mm=None)))[1]
    page = report(analysis(input_class=InputClass.PAGE))
    assert "visualization" not in pages(page)[1]


# ---- what ran, coding, provenance


def test_what_ran_names_the_page_and_the_corrections_and_nothing_that_did_not_run():
    plain = " ".join(what_ran(report(analysis())))
    for never in (
        "report page",
        "physician then changed",
        "put through calibration",
        "Z-score",
        "Earlier images",
    ):
        assert never not in plain
    page = PageOrigin(row=300, column=90, scale=2, inverted=True, found_by="private text")
    said = " ".join(what_ran(report(analysis(page=page))))
    assert (
        "cut out of a report page at row 300, column 90 (scale 2), where the page's own text places it"
        in said
    )
    assert "The page shows bone dark" in said
    said = " ".join(what_ran(report(analysis(page=replace(page, inverted=False, found_by="content")))))
    assert "where its content shows it." in said
    assert "bone dark" not in said


def test_what_ran_names_each_correction():
    corrected = review(
        ReviewAction.CORRECT,
        corrections=Corrections(exclude=("L1", "L3"), disc_rows=(("L1/L2", 102.5),), shift=-1),
        image_uid="1.2.3.77",
    )
    said = " ".join(what_ran(report(analysis(), review=corrected)))
    assert (
        "left out L1 and L3, put disc line L1/L2 to row 102.5, moved every label by -1 (+1: one vertebra "
        "further down), chose image 1.2.3.77." in said
    )
    assert "physician then changed" not in " ".join(what_ran(report(analysis(), review=review())))


def test_what_ran_describes_the_interpretation_of_a_calibrated_value():
    said = " ".join(what_ran(report(calibrated(follow_up=followed(prior("20240115", 1.2))))))
    for words in (
        "put through calibration CAL-7",
        "cut-offs B: 1.230 / 1.310",
        "men from 50, women from 50, or from 40 after menopause",
        "15 to 37 kg/m2",
        "US NHANES 2007-2008",
        "Earlier images were measured again",
    ):
        assert words in said
    assert "fracture probabilities" not in said
    assert "fracture probabilities were adjusted" in " ".join(what_ran(made()["scored_calibrated"][0]))


def test_the_calibration_behind_a_value():
    words = pages(report(calibrated(calibration_kind="paired")))[1]
    for each in ("CAL-7", "paired with licensed software", "0.030", "B: 1.230 / 1.310"):
        assert each in words
    assert "none: UNCALIBRATED" in second("bare")


def test_the_coding_aid():
    assert "Coding aid" not in second("scored_calibrated")
    words = second("signed")
    assert "Coding aid Procedure code that fits what was done: 77089. Computed here and interpreted" in words
    none = pages(report(calibrated(), coding=CodingAdvice(codes=(), why="The report is not signed.")))[1]
    assert "No procedure code. The report is not signed." in none


def test_foreign_letters_in_the_facts_are_printed():
    stated = report(calibrated(calibration="Калибровка 7"))
    words = " ".join(pages(stated))
    assert "Калибровка 7" in words


# ---- the page


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, (each, _) in made().items()
        if each.analysis.score is not None and name not in ("maximal",)
    ],
)
def test_two_pages_in_the_ordinary_case(name):
    assert len(both(name)) == 2


@pytest.mark.parametrize("name", ["scored_calibrated", "uncalibrated", "two_excluded", "signed", "bare"])
def test_two_pages_of_letter(name):
    assert len(both(name, "letter")) == 2


def test_more_continues_on_a_third_page():
    found = both("maximal")
    assert len(found) == 3
    assert "Where this comes from" in found[2]


@pytest.mark.parametrize("name", ["four_priors", "bare", "maximal", "two_excluded"])
@pytest.mark.parametrize("size", PAGE_SIZES)
def test_no_text_is_smaller_than_six_and_a_half_points_or_leaves_the_page(name, size):
    reader = pypdf.PdfReader(io.BytesIO(render(*made()[name], size)))
    seen = []

    def visit(words, cm, tm, font, font_size):
        if words.strip():
            place = (cm[0] * tm[4] + cm[2] * tm[5] + cm[4], cm[1] * tm[4] + cm[3] * tm[5] + cm[5])
            seen.append((words, font_size, place))

    for page in reader.pages[1:]:
        page.extract_text(visitor_text=visit)
    assert len(seen) > 50
    assert not [each for each in seen if each[1] < 6.5]
    wide, high = PAGE_SIZES[size]
    assert not [each for each in seen if not (36 <= each[2][0] <= wide - 36 and 20 <= each[2][1] <= high)]


def test_only_the_two_pictures_are_images():
    reader = pypdf.PdfReader(io.BytesIO(render(*made()["four_priors"])))
    assert [len(page.images) for page in reader.pages] == [1, 1]
    assert reader.pages[1].images[0].image.mode == "RGB"
    rows = reader.pages[1].images[0].image.size[1]
    assert rows <= 360


def test_a_result_on_page_two_is_the_same_each_time():
    stated, pixels = made()["four_priors"]
    assert render(stated, pixels) == render(stated, pixels)


def test_hip_scores_are_not_taken_for_a_level():
    words = pages(report(analysis(other_densitometry=(HIP,))))[1]
    assert "BMD" not in words
