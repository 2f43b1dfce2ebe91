"""Encapsulated PDF, overlay, and the last look before sending."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import (
    encapsulated_pdf,
    measurement_report,
    overlay,
    part10,
    self_check,
    sop_classes,
    variant,
)
from tbsnode.model import DerivedInstance, DerivedKind, InputClass, Reference
from tests import reported, sources

PDF = b"%PDF-1.4\nthe pages\n%%EOF\n"
RGB = np.repeat((sources.ramp() // 16).astype(np.uint8)[..., None], 3, axis=2)
PREDECESSOR = Reference(
    sop_class_uid=sop_classes.PDF,
    sop_instance_uid="1.2.7",
    series_instance_uid="1.2.6",
    study_instance_uid="1.2.5",
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sources.write(tmp_path / "source.dcm", sources.spine())


def read(derived: DerivedInstance) -> Dataset:
    return dcmread(BytesIO(derived.part10))


def every(source: Path) -> list[DerivedInstance]:
    report = reported.report(reported.scored(source))
    return [
        measurement_report.build(report, source),
        encapsulated_pdf.build(report, PDF, source),
        overlay.build(report, RGB, source),
    ]


@pytest.mark.parametrize("length", [24, 25])
def test_pdf(source: Path, length: int) -> None:
    derived = encapsulated_pdf.build(reported.report(reported.scored(source)), PDF[:length], source)
    ds = read(derived)
    assert ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength] == PDF[:length]
    assert len(ds.EncapsulatedDocument) % 2 == 0
    assert (ds.Modality, ds.SeriesNumber, ds.BurnedInAnnotation) == ("DOC", 9002, "YES")
    assert ds.ConceptNameCodeSequence[0].CodeValue == "38269-7"
    assert ds.AcquisitionDateTime == "20240305101622"
    assert [item.ReferencedSOPInstanceUID for item in ds.SourceInstanceSequence] == [sources.INSTANCE]
    assert self_check.check(derived) == ()


def test_overlay(source: Path) -> None:
    derived = overlay.build(reported.report(reported.scored(source)), RGB, source)
    ds = read(derived)
    np.testing.assert_array_equal(ds.pixel_array, RGB)
    assert (ds.Modality, ds.SeriesNumber, ds.BurnedInAnnotation, ds.BodyPartExamined) == (
        "OT",
        9003,
        "NO",
        "LSPINE",
    )
    assert list(ds.PatientOrientation) == ["L", "F"]
    assert [float(x) for x in ds.PixelSpacing] == [0.5, 0.4]
    assert ds.LossyImageCompression == "00"
    assert "Laterality" not in ds
    assert self_check.check(derived) == ()


def test_overlay_of_another_matrix_has_no_spacing(source: Path) -> None:
    ds = read(overlay.build(reported.report(reported.scored(source)), RGB[:, :-1], source))
    assert "PixelSpacing" not in ds
    assert len(ds.PixelData) % 2 == 0


def test_overlay_of_a_lossy_picture_stays_lossy(tmp_path: Path) -> None:
    source = sources.write(
        tmp_path / "s.dcm", sources.spine(LossyImageCompression="01", LossyImageCompressionRatio="9")
    )
    report = reported.report(reported.scored(source, input_class=InputClass.LOSSY))
    ds = read(overlay.build(report, RGB, source))
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 9)


def test_same_report_same_bytes(source: Path) -> None:
    assert every(source) == every(source)


def test_one_series_a_kind_in_the_source_study(source: Path) -> None:
    made = every(source)
    assert len({derived.series_instance_uid for derived in made}) == 3
    assert {derived.study_instance_uid for derived in made} == {sources.STUDY}


def test_none_of_ours_is_taken_for_a_scan(source: Path, tmp_path: Path) -> None:
    from tbsnode.dicom.identity import read_identity

    for derived in every(source):
        (tmp_path / "own.dcm").write_bytes(derived.part10)
        assert read_identity(tmp_path / "own.dcm").made_by_tbsnode


@pytest.mark.parametrize("index", [0, 1])
def test_recast_is_what_building_would_have_made(source: Path, tmp_path: Path, index: int) -> None:
    report = reported.report(reported.scored(source))
    built = [
        measurement_report.build(report, source, sr_class="enhanced", predecessor=PREDECESSOR),
        encapsulated_pdf.build(report, PDF, source, predecessor=PREDECESSOR),
    ][index]
    (tmp_path / "archived.dcm").write_bytes(every(source)[index].part10)
    recast = variant.recast(
        tmp_path / "archived.dcm",
        kind=built.kind,
        sop_class_uid=built.sop_class_uid,
        sop_instance_uid=built.sop_instance_uid,
        predecessor=PREDECESSOR,
    )
    assert recast == built


def changed(derived: DerivedInstance, **changes: object) -> DerivedInstance:
    ds = read(derived)
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return replace(derived, part10=part10.encode(ds, version="0.1.0"))


@pytest.mark.parametrize(
    ("index", "changes", "fault"),
    [
        (0, {"PatientID": None}, "PatientID is missing."),
        (0, {"SeriesNumber": None}, "SeriesNumber is missing or empty."),
        (0, {"SOPInstanceUID": "1.2.3"}, "SOPClassUID or SOPInstanceUID is not that of the record."),
        (
            0,
            {"StudyInstanceUID": "1.2.3"},
            "StudyInstanceUID or SeriesInstanceUID is not that of the record.",
        ),
        (
            0,
            {"CurrentRequestedProcedureEvidenceSequence": [Dataset()]},
            "CurrentRequestedProcedureEvidenceSequence lacks an instance that the content refers to.",
        ),
        (0, {"ContentSequence": None}, "ContentSequence is missing or empty."),
        (0, {"FrameOfReferenceUID": "1.02"}, "FrameOfReferenceUID is not a valid UID."),
        (
            1,
            {"EncapsulatedDocument": b"%XDF"},
            "EncapsulatedDocument is not a PDF of EncapsulatedDocumentLength.",
        ),
        (
            1,
            {"EncapsulatedDocumentLength": 9},
            "EncapsulatedDocument is not a PDF of EncapsulatedDocumentLength.",
        ),
        (1, {"SourceInstanceSequence": None}, "SourceInstanceSequence is missing or empty."),
        (2, {"Rows": 23}, "PixelData does not fit Rows and Columns."),
        (2, {"ConversionType": None}, "ConversionType is missing or empty."),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_faults_are_found(source: Path, index: int, changes: dict[str, object], fault: str) -> None:
    assert fault in self_check.check(changed(every(source)[index], **changes))


def test_a_number_needs_a_value_or_a_reason(source: Path) -> None:
    derived = every(source)[0]
    ds = read(derived)
    first = ds.ContentSequence[-2].ContentSequence[0]
    numbers = [item for item in first.ContentSequence if item.ValueType == "NUM"]
    numbers[0].MeasuredValueSequence = []
    damaged = replace(derived, part10=part10.encode(ds, version="0.1.0"))
    assert self_check.check(damaged) == ("A NUM has neither a value nor a qualifier, or both.",)


def test_an_empty_meaning(source: Path) -> None:
    derived = every(source)[0]
    ds = read(derived)
    ds.ConceptNameCodeSequence[0].CodeMeaning = ""
    damaged = replace(derived, part10=part10.encode(ds, version="0.1.0"))
    assert self_check.check(damaged) == ("CodeMeaning is empty or longer than 64 characters.",)


@pytest.mark.parametrize("damaged", [b"", b"text", bytes(200)])
def test_damaged_bytes(source: Path, damaged: bytes) -> None:
    derived = replace(every(source)[0], part10=damaged)
    (fault,) = self_check.check(derived)
    assert "cannot be read" in fault


def test_truncated_bytes(source: Path) -> None:
    for derived in every(source):
        size = len(derived.part10)
        for length in range(200, size - 8, max(1, size // 150)):
            cut = replace(derived, part10=derived.part10[:length])
            assert self_check.check(cut) != (), length


def test_kinds_have_their_names(source: Path) -> None:
    assert [derived.kind for derived in every(source)] == [
        DerivedKind.SR,
        DerivedKind.PDF,
        DerivedKind.OVERLAY,
    ]
