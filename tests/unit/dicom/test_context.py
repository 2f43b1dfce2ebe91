"""Patient and study go through as bytes; times and equipment are ours."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tbsnode.dicom import encapsulated_pdf, part10
from tbsnode.dicom.context import hierarchy, references
from tbsnode.model import Reference
from tests import reported, sources

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
COPIED = [
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "PatientAge", "PatientSize", "PatientWeight", "StudyDate", "StudyTime", "StudyID", "StudyDescription",
    "AccessionNumber", "ReferringPhysicianName", "InstitutionName",
]  # fmt: skip


def made_from(path: Path, **changes: Any) -> bytes:
    report = reported.report(reported.scored(path), **changes)
    return encapsulated_pdf.build(report, b"%PDF-1.4 x", path).part10


def write_and_make(tmp_path: Path, ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> tuple[Path, Path]:
    source = sources.write(tmp_path / "source.dcm", ds, syntax)
    (tmp_path / "made.dcm").write_bytes(made_from(source))
    return source, tmp_path / "made.dcm"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Müller^山田"),
        (["", "ISO 2022 IR 87"], JAPANESE),
        (None, "Doe^Jane"),
    ],
)
def test_copied_as_bytes(tmp_path: Path, syntax: str, character_set: Any, name: str) -> None:
    item = sources.code("77080", "C4", name.split("^")[0])
    ds = sources.spine(SpecificCharacterSet=character_set, PatientName=name, ProcedureCodeSequence=[item])
    source, made = write_and_make(tmp_path, ds, syntax)
    a, b = part10.read_header(source), part10.read_header(made)
    for keyword in COPIED:
        assert a.raw(keyword) == b.raw(keyword), keyword
    assert a.items("ProcedureCodeSequence")[0].values == b.items("ProcedureCodeSequence")[0].values
    if character_set is None:
        assert "SpecificCharacterSet" not in dcmread(made)
    assert dcmread(made).PatientName == name


def test_bytes_that_no_character_set_explains_are_copied_too(tmp_path: Path) -> None:
    source = tmp_path / "source.dcm"
    source.write_bytes(sources.encoded(sources.spine()).replace(b"ISO_IR 100", b"ISO_IR 192"))
    (tmp_path / "made.dcm").write_bytes(made_from(source))
    assert part10.read_header(tmp_path / "made.dcm").raw("PatientName") == "Müller^Jürgen ".encode("latin-1")


def test_type_2_attributes_are_there_though_empty(tmp_path: Path) -> None:
    gone = dict.fromkeys(
        ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
         "AccessionNumber", "ReferringPhysicianName"]
    )  # fmt: skip
    _, made = write_and_make(tmp_path, sources.spine(**gone))
    ds = dcmread(made)
    assert [keyword for keyword in gone if keyword not in ds or ds.get(keyword)] == []


def test_private_elements_stay_with_the_source(tmp_path: Path) -> None:
    ds = sources.spine()
    ds.add_new(0x00230010, "LO", "HOLOGIC")
    ds.add_new(0x00231001, "LO", "secret")
    _, made = write_and_make(tmp_path, ds)
    assert not [element for element in dcmread(made) if element.tag.is_private]


@pytest.mark.parametrize(
    ("keyword", "good", "bad"), [("PatientSize", b"1.65", b"1,65"), ("PatientAge", b"064Y", b"64 Y")]
)
def test_a_broken_measure_is_left_out(tmp_path: Path, keyword: str, good: bytes, bad: bytes) -> None:
    source = tmp_path / "source.dcm"
    source.write_bytes(sources.encoded(sources.spine()).replace(good, bad))
    assert keyword not in dcmread(BytesIO(made_from(source)))


def test_equipment(tmp_path: Path) -> None:
    _, made = write_and_make(tmp_path, sources.spine())
    ds = dcmread(made)
    assert (ds.ManufacturerModelName, ds.SoftwareVersions, ds.DeviceSerialNumber) == (
        "tbsnode",
        "0.1.0",
        "node-1",
    )
    (scanner,) = ds.ContributingEquipmentSequence
    assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("Maker", "Model 1")
    assert list(scanner.SoftwareVersions) == ["1.0", "2.0"]
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"


def test_no_scanner_without_a_manufacturer(tmp_path: Path) -> None:
    _, made = write_and_make(tmp_path, sources.spine(Manufacturer=""))
    assert "ContributingEquipmentSequence" not in dcmread(made)


def test_times_follow_a_stated_offset(tmp_path: Path) -> None:
    _, made = write_and_make(tmp_path, sources.spine())
    assert dcmread(made).ContentTime == "110509"
    _, made = write_and_make(tmp_path, sources.spine(TimezoneOffsetFromUTC="+0930"))
    ds = dcmread(made)
    assert (ds.TimezoneOffsetFromUTC, ds.ContentTime, ds.InstanceCreationTime) == (
        "+0930",
        "203509",
        "203509",
    )
    source = sources.write(tmp_path / "s.dcm", sources.spine(TimezoneOffsetFromUTC="-1200"))
    early = reported.replace(reported.MADE, content_at=datetime(2024, 3, 5, 3, 0, tzinfo=UTC))
    assert dcmread(BytesIO(made_from(source, provenance=early))).ContentDate == "20240304"


def test_references(tmp_path: Path) -> None:
    source = sources.write(tmp_path / "s.dcm", sources.spine())
    other = reported.scored(sources.write(tmp_path / "o.dcm", sources.spine(SOPInstanceUID="1.2.99")))
    report = reported.report(reported.scored(source), others=(other, other))
    assert [r.sop_instance_uid for r in references(report)] == [sources.INSTANCE, "1.2.99"]


def test_hierarchy() -> None:
    def reference(study: str, series: str, instance: str) -> Reference:
        return Reference(
            sop_class_uid="1.2",
            sop_instance_uid=instance,
            series_instance_uid=series,
            study_instance_uid=study,
        )

    items = hierarchy(
        (reference("1.1", "1.2", "1.3"), reference("1.1", "1.2", "1.4"), reference("1.9", "1.8", "1.7"))
    )
    assert [item.StudyInstanceUID for item in items] == ["1.1", "1.9"]
    (series,) = items[0].ReferencedSeriesSequence
    assert [r.ReferencedSOPInstanceUID for r in series.ReferencedSOPSequence] == ["1.3", "1.4"]
