"""The scanner's results in structured reports: two shapes that such reports have, and what is left out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tbsnode.dicom import results_report, results_words

ENHANCED = "1.2.840.10008.5.1.4.1.1.88.22"


def code(value: str, meaning: str, scheme: str = "99VENDOR") -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def item(kind: str, concept: str, *children: Dataset, value: str = "", concept_code: str = "X1") -> Dataset:
    made = Dataset()
    made.RelationshipType, made.ValueType = "CONTAINS", kind
    made.ConceptNameCodeSequence = Sequence([code(concept_code, concept)])
    if kind == "TEXT":
        made.TextValue = value
    elif kind == "CODE":
        made.ConceptCodeSequence = Sequence([code("Y1", value)])
    if children:
        made.ContentSequence = Sequence(children)
    return made


def number(concept: str, value: str, unit: str, *children: Dataset) -> Dataset:
    made = item("NUM", concept, *children)
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = Sequence([code(unit, unit, "UCUM")])
    made.MeasuredValueSequence = Sequence([measured])
    return made


def site(meaning: str) -> Dataset:
    return item("CODE", "Finding Site", value=meaning, concept_code="363698007")


def report(folder: Path, *content: Dataset, sop_class: str = ENHANCED) -> Path:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid(entropy_srcs=["report"])
    made.StudyInstanceUID = made.SeriesInstanceUID = generate_uid(entropy_srcs=["study"])
    made.PatientName, made.PatientID, made.Modality = "Nobody^Here", "1", "SR"
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = Sequence([code("38269-7", "DXA report", "LN")])
    made.ContentSequence = Sequence(content)
    path = folder / "report.dcm"
    made.save_as(path, enforce_file_format=True)
    return path


def test_a_container_for_each_region(tmp_path: Path) -> None:
    def level(name: str, bmd: str, t: str) -> Dataset:
        values = (number("BMD", bmd, "g/cm2"), number("T-score", t, "1"), number("Area", "1326", "mm2"))
        return item("CONTAINER", f"Region {name}", *values)

    path = report(
        tmp_path, level("L1", "0.873", "-0.5"), level("L2", "0.943", "-0.8"), level("L1-L4", "0.93", "-1")
    )
    found = results_report.read_results(path)
    assert found is not None
    assert found.source == "structured report"
    assert [(s.site, s.bmd_g_cm2, s.t_score, s.area_cm2) for s in found.sites] == [
        ("L1", 0.873, -0.5, pytest.approx(13.26)),
        ("L2", 0.943, -0.8, pytest.approx(13.26)),
        ("L1-L4", 0.93, -1.0, pytest.approx(13.26)),
    ]


def test_numbers_with_their_site_as_modifier(tmp_path: Path) -> None:
    left = item("CODE", "Laterality", value="Left", concept_code="272741003")
    path = report(
        tmp_path,
        number("Bone Mineral Density", "812", "mg/cm2", site("Neck of femur, femoral neck"), left),
        number("Bone mineral density Z-score", "-0.4", "1", site("Femoral neck"), left),
        number("BMD Total Hip", "0.901", "g/cm2", left),
        number("BMD", "1.1", "g/cm2", site("Third lumbar vertebra")),
        number("Height", "3.8", "cm", site("Third lumbar vertebra")),
    )
    found = results_report.read_results(path)
    assert found is not None
    neck, hip, third = found.sites
    assert (neck.site, neck.side, neck.bmd_g_cm2, neck.z_score) == ("femoral_neck", "left", 0.812, -0.4)
    assert (hip.site, hip.side, hip.bmd_g_cm2) == ("total_hip", "left", 0.901)
    assert (third.site, third.side, third.bmd_g_cm2, third.height_mm) == ("L3", "", 1.1, 38.0)


@pytest.mark.parametrize(
    "content",
    [
        number("BMD", "0.9", "kg/m2", site("L1")),  # a unit that is not known
        number("BMD", "9.9", "g/cm2", site("L1")),  # a misprint
        number("BMD change vs previous", "0.02", "g/cm2", site("L1")),
        number("BMD", "0.9", "g/cm2", site("Liver")),
        number("BMD", "0.9", "g/cm2"),  # nowhere
        number("Area", "13.0", "cm2", site("L1")),  # an area alone may be anything
        number("Patient height", "170", "cm", site("L1")),
        item("TEXT", "BMD", value="0.9"),
    ],
)
def test_what_is_not_understood_is_left_out(tmp_path: Path, content: Dataset) -> None:
    assert results_report.read_results(report(tmp_path, content)) is None


def test_only_structured_reports_are_read(tmp_path: Path) -> None:
    image = report(tmp_path, number("BMD", "0.9", "g/cm2", site("L1")), sop_class="1.2.840.10008.5.1.4.1.1.7")
    assert results_report.read_results(image) is None


def test_a_tree_without_end_ends(tmp_path: Path) -> None:
    deep = number("BMD", "0.9", "g/cm2")
    for _ in range(30):
        deep = item("CONTAINER", "L1", deep)
    assert results_report.read_results(report(tmp_path, deep)) is None


@pytest.mark.parametrize("total", ["Total", "Total BMD"])
def test_a_heading_says_what_a_bare_total_is_of(tmp_path: Path, total: str) -> None:
    """A hip as some reports have it: the side above, short names below, sums of both sides beside it."""
    hip = item(
        "CONTAINER",
        "Left Hip",
        item("CONTAINER", "Neck", number("BMD", "0.71", "g/cm2"), number("T-score", "-1.2", "1")),
        item("CONTAINER", "Upper Neck", number("BMD", "0.55", "g/cm2")),
        item("CONTAINER", "Trochanter", number("BMD", "0.62", "g/cm2")),
        item("CONTAINER", total, number("BMD", "0.86", "g/cm2"), number("Z-score", "0.1", "1")),
    )
    both = item("CONTAINER", "Dual Femur", item("CONTAINER", "Total Mean", number("BMD", "0.99", "g/cm2")))
    forearm = item("CONTAINER", "Right Forearm", item("CONTAINER", "1/3", number("BMD", "0.60", "g/cm2")))
    spine = item("CONTAINER", "AP Spine", item("CONTAINER", "Total", number("BMD", "0.9", "g/cm2")))
    found = results_report.read_results(report(tmp_path, hip, both, forearm, spine))
    assert found is not None
    told = {(site.site, site.side): (site.bmd_g_cm2, site.t_score, site.z_score) for site in found.sites}
    assert told == {
        ("femoral_neck", "left"): (0.71, -1.2, None),
        ("total_hip", "left"): (0.86, None, 0.1),
        ("one_third_radius", "right"): (0.60, None, None),
    }


def test_the_reference_population_is_kept(tmp_path: Path) -> None:
    stated = item("TEXT", "Reference Population", value="USA (NHANES III, white)  women")
    found = results_report.read_results(report(tmp_path, stated, number("L2 T-score", "-1.0", "1")))
    assert found is not None
    assert found.reference == "USA (NHANES III, white) women"
    assert found.series_instance_uid
    assert found.sop_class_uid == ENHANCED


@given(st.text(max_size=60))
def test_no_words_break_it(words: str) -> None:
    place = results_words.Place().named(words.lower())
    assert place.site == "" or place.site[0] == "L" or place.site in SIDED


SIDED = ("femoral_neck", "total_hip", "one_third_radius")


@pytest.mark.parametrize("words", ["reference " * 6_000, "young adult " * 5_000, "age matched " * 5_000])
def test_a_meaning_of_64_kb_costs_no_time(words: str) -> None:
    """Time grew with its square: 15 s for one item, and a report may have thousands."""
    begun = time.process_time()
    assert not results_words.names_reference(words)
    assert results_words.field_of(words) == ""
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    ("words", "site"),
    [
        ("first lumbar vertebra", "L1"),
        ("third lumbar vertebra", "L3"),
        ("fourth lumbar vertebra", "L4"),
        ("fifth lumbar vertebra", ""),
        ("left femoral neck", "femoral_neck"),
        ("upper femoral neck", ""),  # half of it: no reference is about that
        ("inferior neck", ""),
        ("neck c spine", ""),  # that of the head
    ],
)
def test_a_site_is_named_whole(words: str, site: str) -> None:
    assert results_words.site_of(words) == site
