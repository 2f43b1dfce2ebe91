"""The measurement report, read back with plain pydicom."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import measurement_report, sop_classes, uids
from tbsnode.model import DerivedKind, Reference
from tbsnode.reasons import Code, Finding
from tests import reported, sources
from tests.reading import child, children, coded, document, texts, walk


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sources.write(tmp_path / "source.dcm", sources.spine())


def groups(ds: Dataset) -> list[Dataset]:
    return children(child(ds, "126010"), "125007")


def values(group: Dataset) -> dict[str, float | str]:
    """Numbers by code; a missing one as its qualifier."""
    found: dict[str, float | str] = {}
    for item in group.ContentSequence:
        if item.ValueType == "NUM":
            measured = item.MeasuredValueSequence
            code = item.ConceptNameCodeSequence[0].CodeValue
            found[code] = (
                float(measured[0].NumericValue)
                if measured
                else item.NumericValueQualifierCodeSequence[0].CodeValue
            )
    return found


def comments(ds: Dataset) -> list[str]:
    return texts(ds, "121106")


def test_head(source: Path) -> None:
    ds = document(reported.report(reported.scored(source)), source)
    assert (ds.Modality, ds.SeriesNumber, ds.SeriesDescription) == ("SR", 9001, "TBS Measurements")
    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert ds.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert ds.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99TBSNODE"
    assert ds.StudyInstanceUID == sources.STUDY
    assert ds.SeriesInstanceUID == uids.series_uid(sources.STUDY, "sr")
    assert child(ds, "121012").UID == "2.25.123456789"
    assert child(ds, "121016").TextValue == "node-1"
    assert "PredecessorDocumentsSequence" not in ds
    assert "ReferencedRequestSequence" not in ds


def test_every_report_says_what_must_not_be_compared(source: Path) -> None:
    for analysis in (reported.scored(source), reported.maximal(source)):
        said = comments(document(reported.report(analysis), source))
        assert "Scores of different scanners, export modes or pixel sizes must not be compared." in said


def test_one_group_a_vertebra_with_its_outline(source: Path) -> None:
    ds = document(reported.report(reported.scored(source)), source)
    first, *_, summary = groups(ds)
    assert [child(group, "112039").TextValue for group in groups(ds)] == ["L1", "L2", "L3", "L4", "L1-L4"]
    assert [coded(group, "363698007") for group in groups(ds)] == [
        ["66794005"], ["14293000"], ["36470004"], ["11994002"], ["122496007"],
    ]  # fmt: skip
    assert uids.tracking_uid(sources.STUDY, "L1") == child(first, "112040").UID
    assert values(first) == {"TEXSLOPE": 1.21, "FIT-R2": 0.99, "42798000": 10.123}
    outline = child(first, "111030")
    assert outline.GraphicType == "POLYLINE"
    # rows 1 to 5, columns 5 to 14.5, column first, half a pixel from center to corner
    assert list(outline.GraphicData) == [5.5, 1.5, 15.0, 1.5, 15.0, 5.5, 5.5, 5.5, 5.5, 1.5]
    selected = outline.ContentSequence[0].ReferencedSOPSequence[0]
    assert selected.ReferencedSOPInstanceUID == sources.INSTANCE
    assert "ReferencedFrameNumber" not in selected
    assert [child(group, "111001").TextValue for group in (first, summary)] == ["tbsnode"] * 2
    assert "lag_min_mm = 1.05" in child(summary, "111002").TextValue


def test_an_open_ring_is_closed(source: Path) -> None:
    ring = reported.vertebra(0).region[:-1]
    analysis = reported.scored(source, vertebrae=(reported.vertebra(0, region=ring),))
    data = groups(document(reported.report(analysis), source))[0]
    assert list(child(data, "111030").GraphicData)[:2] == list(child(data, "111030").GraphicData)[-2:]


def test_uncalibrated_has_a_slope_and_no_tbs(source: Path) -> None:
    ds = document(reported.report(reported.scored(source)), source)
    summary = groups(ds)[-1]
    assert values(summary) == {"TEXSLOPE": 1.25, "TBS": "114007", "LABEL-CONF": 0.93}
    assert coded(child(summary, "TEXSLOPE"), "121401") == ["373098007"]
    assert coded(summary, "TBS-INCL") == ["66794005", "14293000", "36470004"]
    assert coded(summary, "INPUT-CLASS") == ["IMAGE"]
    assert coded(summary, "SPACING-SRC") == ["SPC-PIXEL"]
    assert coded(summary, "QUALITY-FINDING") == ["LEVEL_EXCLUDED", "UNCALIBRATED", "SPACING_CONTRAD"]
    assert coded(groups(ds)[3], "TBS-EXCL-RSN") == ["HIGH_DENSITY"]
    assert [text.split(":")[0] for text in comments(ds)[:4]] == [
        "LEVEL_EXCLUDED", "SCANNER_UNCALIBRATED", "SPACING_CONTRADICTION", "HIGH_DENSITY",
    ]  # fmt: skip
    assert any("not cleared or approved" in text for text in comments(ds))


@pytest.mark.parametrize("sr_class", list(sop_classes.SR_CLASSES))
def test_no_uncalibrated_document_holds_a_tbs_value(source: Path, sr_class: str) -> None:
    for analysis in (
        reported.scored(source),
        reported.refused(source),
        reported.scored(source, category="normal"),
    ):
        ds = document(reported.report(analysis), source, sr_class=sr_class)
        for item in walk(ds):
            if item.get("ConceptNameCodeSequence") and item.ConceptNameCodeSequence[0].CodeValue.startswith(
                "TBS"
            ):
                assert not item.get("MeasuredValueSequence")
                assert item.ConceptNameCodeSequence[0].CodeValue not in ("TBS-CAT", "TBS-ZSCORE")


def test_a_borderline_value_has_no_single_category(source: Path) -> None:
    analysis = reported.scored(
        source,
        tbs=1.30,
        tbs_see=0.03,
        category="partially_degraded",
        borderline=("normal", "partially_degraded"),
        threshold_set="B: 1.230 / 1.310",
        calibration="CAL-7",
    )
    ds = document(reported.report(analysis), source)
    summary = groups(ds)[-1]
    assert values(summary)["TBS-SEE"] == 0.03
    assert coded(summary, "TBS-CAT") == []
    assert coded(summary, "TBS-CAT-BORDER") == ["TBS-CAT-NORM", "TBS-CAT-PART"]
    assert texts(ds, "TBS-CUTOFFS") == ["B: 1.230 / 1.310"]
    without = replace(analysis, category=None, borderline=())
    assert texts(document(reported.report(without), source), "TBS-CUTOFFS") == []


def test_a_site_percentile_is_of_the_slope_and_no_tbs(source: Path) -> None:
    analysis = reported.scored(source, site_percentile=23.4, site_z=-0.7, standard_error=0.006)
    summary = groups(document(reported.report(analysis), source))[-1]
    told = values(summary)
    assert (told["SITE-PERCENTILE"], told["SITE-ZSCORE"], told["TEXSLOPE-SE"]) == (23.4, -0.7, 0.006)
    assert not isinstance(told["TBS"], float)
    assert coded(summary, "TBS-CAT") == []


def test_calibrated(source: Path) -> None:
    analysis = reported.scored(
        source, tbs=1.3123456789, z_score=-0.4, category="partially_degraded", calibration="CAL-7"
    )
    ds = document(reported.report(analysis, simulated=True), source)
    summary = groups(ds)[-1]
    assert values(summary) == {"TEXSLOPE": 1.25, "TBS": 1.312346, "TBS-ZSCORE": -0.4, "LABEL-CONF": 0.93}
    assert coded(summary, "TBS-CAT") == ["TBS-CAT-PART"]
    assert comments(ds)[0].startswith("SIMULATED")
    assert texts(ds, "CALIB-ID") == ["CAL-7"]


def test_a_doubt_about_one_level_stands_in_its_group_too(source: Path) -> None:
    analysis = reported.scored(source, findings=(Finding(Code.POOR_FIT, "L2", (("fit_r2", 0.71),)),))
    ds = document(reported.report(analysis), source)
    assert [coded(group, "QUALITY-FINDING") for group in groups(ds)] == [
        [],
        ["POOR_FIT"],
        [],
        [],
        ["POOR_FIT"],
    ]


def test_failed_levels(source: Path) -> None:
    no_score = reported.vertebra(2, score=None, included=False, excluded=Finding(Code.NO_LEVEL_SCORE, "L3"))
    cut = reported.vertebra(
        3, score=None, region=(), area_mm2=0.0, included=False, excluded=Finding(Code.LEVEL_CUT, "L4")
    )
    analysis = reported.scored(source, vertebrae=(reported.vertebra(0), reported.vertebra(1), no_score, cut))
    ds = document(reported.report(analysis), source)
    assert values(groups(ds)[2])["TEXSLOPE"] == "114008"
    assert values(groups(ds)[3]) == {"TEXSLOPE": "114006"}
    assert children(groups(ds)[3], "111030") == []
    assert [g.ContentTemplateSequence[0].TemplateIdentifier for g in groups(ds)] == ["1410"] * 3 + [
        "1501"
    ] * 2


def test_refusal(source: Path) -> None:
    ds = document(reported.report(reported.refused(source)), source)
    (summary,) = groups(ds)
    assert values(summary) == {"TEXSLOPE": "114006", "TBS": "114007"}
    assert coded(summary, "REFUSAL-RSN") == ["REPORT_PAGE"]
    assert coded(summary, "TBS-INCL") == []
    assert coded(summary, "QUALITY-FINDING") == []
    assert comments(ds)[0].startswith("REPORT_PAGE: This is a report page")


def test_frames_are_named_where_there_are_several(source: Path) -> None:
    identity = replace(reported.scored(source).identity, number_of_frames=3)  # type: ignore[type-var]
    ds = document(reported.report(reported.scored(source, identity=identity, frame=2)), source)
    found = child(groups(ds)[-1], "121112").ReferencedSOPSequence[0]
    assert found.ReferencedFrameNumber == 3


@pytest.mark.parametrize(("modality", "code"), [("CR", "CR"), ("OT", "BMD"), ("BMD", "BMD"), ("", "BMD")])
def test_image_library(tmp_path: Path, modality: str, code: str) -> None:
    source = sources.write(tmp_path / "s.dcm", sources.spine(Modality=modality))
    ds = document(reported.report(reported.scored(source)), source)
    (entry,) = child(child(ds, "111028"), "126200").ContentSequence
    assert coded(entry, "121139") == [code]


def test_evidence_names_every_image(source: Path, tmp_path: Path) -> None:
    other = reported.scored(sources.write(tmp_path / "o.dcm", sources.spine(SOPInstanceUID="1.2.99")))
    ds = document(reported.report(reported.scored(source), others=(other,)), source)
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert [r.ReferencedSOPInstanceUID for r in series.ReferencedSOPSequence] == [sources.INSTANCE, "1.2.99"]
    assert len(child(child(ds, "111028"), "126200").ContentSequence) == 2


def test_order(tmp_path: Path) -> None:
    request = Dataset()
    request.RequestedProcedureID, request.AccessionNumber = "R1", "A-88"
    request.RequestedProcedureCodeSequence = [sources.code("77080", "C4", "DXA")]
    source = sources.write(tmp_path / "s.dcm", sources.spine(RequestAttributesSequence=[request]))
    (found,) = document(reported.report(reported.scored(source)), source).ReferencedRequestSequence
    assert (found.AccessionNumber, found.RequestedProcedureID) == ("A-88", "R1")
    assert found.RequestedProcedureCodeSequence[0].CodeValue == "77080"
    assert found.PlacerOrderNumberImagingServiceRequest == ""


def test_three_classes_one_content(source: Path) -> None:
    report = reported.report(reported.scored(source))
    made = {name: document(report, source, sr_class=name) for name in sop_classes.SR_CLASSES}
    assert [ds.SOPClassUID for ds in made.values()] == list(sop_classes.SR_CLASSES.values())
    assert len({ds.SOPInstanceUID for ds in made.values()}) == 3
    assert (
        made["3d"].ContentSequence
        == made["enhanced"].ContentSequence
        == made["comprehensive"].ContentSequence
    )


def test_predecessor(source: Path) -> None:
    report = reported.report(reported.scored(source))
    before = measurement_report.build(report, source)
    reference = Reference(
        sop_class_uid=before.sop_class_uid,
        sop_instance_uid=before.sop_instance_uid,
        series_instance_uid=before.series_instance_uid,
        study_instance_uid=before.study_instance_uid,
    )
    after = measurement_report.build(report, source, predecessor=reference)
    assert after.sop_instance_uid != before.sop_instance_uid
    assert after.series_instance_uid == before.series_instance_uid
    assert after.predecessor_uid == before.sop_instance_uid
    (study,) = dcmread(BytesIO(after.part10)).PredecessorDocumentsSequence
    (target,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert target.ReferencedSOPInstanceUID == before.sop_instance_uid


def test_same_report_same_bytes(source: Path) -> None:
    first, second = (
        measurement_report.build(reported.report(reported.scored(source)), source) for _ in range(2)
    )
    assert first == second
    assert first.kind is DerivedKind.SR
    later = measurement_report.build(
        reported.report(reported.scored(source), result_digest="aa" * 32), source
    )
    assert later.sop_instance_uid != first.sop_instance_uid


def test_foreign_words_do_not_leave_ascii(source: Path) -> None:
    made = replace(reported.MADE, station="DÜSSELDORF")
    ds = document(reported.report(reported.scored(source), provenance=made), source)
    assert child(ds, "121013").TextValue == "D?SSELDORF"
    assert ds.PatientName == "Müller^Jürgen"
