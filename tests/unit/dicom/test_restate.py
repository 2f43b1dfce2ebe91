"""A copy with another identity: what changes, and that nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tbsnode.dicom import part10, restate
from tbsnode.dicom.identity import read_identity
from tbsnode.errors import InvalidInstance
from tbsnode.model.stated_identity import StatedIdentity
from tests import sources

NEW = StatedIdentity(
    patient_id="NEW-1",
    issuer="HOSPITAL",
    name="Roe^Rita",
    birth_date="19490203",
    sex="F",
    accession_number="A9",
)


def restated(source: Path, stated: StatedIdentity = NEW) -> Dataset:
    target = source.with_suffix(".new")
    restate.restate(source, target, stated)
    assert stated.differences(read_identity(target)) == ()
    return dcmread(target)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_patient_and_order_change_and_nothing_else(tmp_path: Path, syntax: str) -> None:
    ds = sources.spine(ProcedureCodeSequence=[sources.code("1", "99X", "Wirbelsäule")])
    ds.add_new(0x00230010, "LO", "HOLOGIC")
    ds.add_new(0x00231003, "UL", 70_000)
    source = sources.write(tmp_path / "a.dcm", ds, syntax)
    before = source.read_bytes()
    read = restated(source)
    assert source.read_bytes() == before, "what was received stays as it was"
    assert (read.PatientID, read.PatientName, read.AccessionNumber) == ("NEW-1", "Roe^Rita", "A9")
    assert read.SOPInstanceUID == ds.SOPInstanceUID
    assert read.file_meta.TransferSyntaxUID == syntax
    changed = {
        "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"
    }  # fmt: skip
    old = dcmread(source)
    for data_set in (old, read):
        for keyword in changed:
            if keyword in data_set:
                delattr(data_set, keyword)
    assert read == old
    assert part10.compare(source, source.with_suffix(".new")) == "header"


def test_the_same_copy_every_time(tmp_path: Path) -> None:
    source = sources.write(tmp_path / "a.dcm", sources.spine())
    restated(source)
    first = source.with_suffix(".new").read_bytes()
    restated(source)
    assert source.with_suffix(".new").read_bytes() == first


def test_a_name_that_does_not_fit_makes_it_utf_8(tmp_path: Path) -> None:
    source = sources.write(tmp_path / "a.dcm", sources.spine(StudyDescription="Wirbelsäule"))
    assert dcmread(source).SpecificCharacterSet == "ISO_IR 100"
    read = restated(source, StatedIdentity(name="Yamada^Tarou=山田^太郎"))
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert str(read.PatientName) == "Yamada^Tarou=山田^太郎"
    assert read.StudyDescription == "Wirbelsäule"


def test_a_name_that_fits_keeps_the_character_set(tmp_path: Path) -> None:
    source = sources.write(tmp_path / "a.dcm", sources.spine())
    assert restated(source, StatedIdentity(name="Müller^Änne")).SpecificCharacterSet == "ISO_IR 100"


def test_what_is_none_stays(tmp_path: Path) -> None:
    source = sources.write(tmp_path / "a.dcm", sources.spine(PatientID="OLD", AccessionNumber="A1"))
    read = restated(source, StatedIdentity(patient_id="NEW"))
    assert (read.PatientID, read.AccessionNumber) == ("NEW", "A1")


def test_the_order_of_the_request_follows(tmp_path: Path) -> None:
    request = Dataset()
    request.AccessionNumber, request.RequestedProcedureID = "A1", "R1"
    source = sources.write(tmp_path / "a.dcm", sources.spine(RequestAttributesSequence=[request]))
    read = restated(source)
    assert read.RequestAttributesSequence[0].AccessionNumber == "A9"
    assert read.RequestAttributesSequence[0].RequestedProcedureID == "R1"


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    source = sources.write(tmp_path / "a.dcm", sources.spine())
    source.write_bytes(source.read_bytes()[:-10])
    with pytest.raises(InvalidInstance):
        restate.restate(source, tmp_path / "b.dcm", NEW)


def test_an_element_of_half_a_number_is_refused(tmp_path: Path) -> None:
    """A name in other letters has every element decoded, and so the broken one too."""
    source = sources.write(tmp_path / "a.dcm", sources.spine())
    bits_stored = b"\x28\x00\x01\x01US"
    before, after = source.read_bytes().split(bits_stored)
    source.write_bytes(before + bits_stored + b"\x03\x00" + after[2:4] + b"\0" + after[4:])
    with pytest.raises(InvalidInstance):
        restate.restate(source, tmp_path / "b.dcm", StatedIdentity(name="Yamada^Tarou=山田^太郎"))


def test_what_only_pydicom_cannot_read_is_refused(tmp_path: Path) -> None:
    source = sources.write(tmp_path / "a.dcm", sources.spine())
    source.write_bytes(sources.with_an_item_in_an_item(source.read_bytes()))
    with pytest.raises(InvalidInstance):
        restate.restate(source, tmp_path / "b.dcm", NEW)


def test_a_missing_file_is_no_broken_one(tmp_path: Path) -> None:
    source = sources.write(tmp_path / "a.dcm", sources.spine())
    with pytest.raises(FileNotFoundError):
        restate.restate(source, tmp_path / "no folder" / "b.dcm", NEW)
