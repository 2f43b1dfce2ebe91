"""What a header says: identity, demographics, scanner, claim, order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from tbsnode.dicom.identity import other_body_part, read_identity
from tbsnode.errors import InvalidInstance, MismatchedInstance, UnsupportedInstance
from tbsnode.model import Claim, Demographics, InstanceIdentity, Scanner
from tests import sources


@pytest.fixture
def identity(tmp_path: Path) -> Any:
    def read(**changes: Any) -> InstanceIdentity:
        return read_identity(sources.write(tmp_path / "x.dcm", sources.spine(**changes)))

    return read


def test_by_hand(tmp_path: Path) -> None:
    path = sources.write(tmp_path / "x.dcm", sources.spine(), ImplicitVRLittleEndian)
    assert read_identity(path) == InstanceIdentity(
        sop_class_uid=sources.CR,
        sop_instance_uid=sources.INSTANCE,
        study_instance_uid=sources.STUDY,
        series_instance_uid=sources.SERIES,
        transfer_syntax_uid=ImplicitVRLittleEndian,
        modality="CR",
        demographics=Demographics(
            patient_id="P-1", issuer="CLINIC", name="Müller^Jürgen", birth_date="19600229", sex="F",
            age_years=64.0, height_m=1.65, weight_kg=68.0,
        ),
        scanner=Scanner(
            manufacturer="Maker", model_name="Model 1", device_serial_number="SN-1",
            software_versions="1.0\\2.0", station_name="DXA1", institution_name="Clinic",
        ),
        accession_number="A-77",
        study_id="S1",
        study_date="20240305",
        study_time="101500",
        study_description="DXA Exam",
        referring_physician="Doe^Jane",
        series_number="1",
        instance_number="1",
        series_description="DXA Images",
        protocol_name="AP Spine",
        body_part_examined="LSPINE",
        acquisition_date_time="20240305101622",
        rows=24,
        columns=20,
        patient_orientation=("L", "F"),
        claim=Claim.SPINE,
        is_image=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"ProtocolName": "AP Spine"}, "spine"),
        ({"ProtocolName": "PA Spine"}, "spine"),
        ({"ProtocolName": "Lumbar Spine L1-L4"}, "spine"),
        ({"ProtocolName": "LWS"}, "spine"),
        ({"ProtocolName": "Rachis lombaire"}, "spine"),
        ({"ProtocolName": "Left Femur"}, "other"),
        ({"ProtocolName": "Dual Femur"}, "other"),
        ({"ProtocolName": "Total Body"}, "other"),
        ({"ProtocolName": "Left Forearm"}, "other"),
        ({"ProtocolName": "Left Ortho Knee"}, "other"),
        ({"ProtocolName": "LVA"}, "other"),
        ({"ProtocolName": "Lateral Spine"}, "other"),
        ({"ProtocolName": "Thoracic Spine"}, "other"),
        ({"ProtocolName": "Hüfte links"}, "other"),
        # the most specific attribute wins
        ({"ProtocolName": "Left Hip", "StudyDescription": "DXA AP Spine"}, "other"),
        ({"ProtocolName": None, "SeriesDescription": "IVA lateral", "BodyPartExamined": "LSPINE"}, "other"),
        ({"ProtocolName": None, "ViewPosition": "LL", "BodyPartExamined": "LSPINE"}, "other"),
        ({"ProtocolName": None, "BodyPartExamined": "LSPINE"}, "spine"),
        ({"ProtocolName": None, "BodyPartExamined": "HIP", "StudyDescription": "Spine"}, "other"),
        ({"ProtocolName": None, "BodyPartExamined": None, "StudyDescription": "DXA Spine"}, "spine"),
        # a visit of several scans names none of them
        ({"ProtocolName": None, "BodyPartExamined": None, "StudyDescription": "DXA spine and hip"}, "silent"),
        ({"ProtocolName": None, "BodyPartExamined": None}, "silent"),
        (
            {"ProtocolName": None, "BodyPartExamined": "", "PerformedProcedureStepDescription": "AP Spine"},
            "spine",
        ),
    ],
)
def test_claim(identity: Any, changes: dict[str, Any], claim: str) -> None:
    assert identity(**changes).claim == claim


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("HIP", "HIP"),
        ("Hip^Doe Jane", "HIP"),  # what somebody typed is never quoted
        ("LEFT_FEMUR", "FEMUR"),
        ("PELVIS", "PELVIS"),
        ("C SPINE", "C SPINE"),
        ("TSPINE", "TSPINE"),
        ("LSPINE", ""),
        ("SPINE HIP", ""),  # a visit of both
        ("AP SPINE LAT", ""),
        ("CHESTNUT", ""),
        ("", ""),
    ],
)
def test_another_part_of_the_body(stated: str, told: str) -> None:
    assert other_body_part(stated) == told


SILENT = {"ProtocolName": None, "BodyPartExamined": None, "ViewPosition": None}


@pytest.mark.parametrize(
    ("orientation", "claim"),
    [
        (["A", "F"], "other"),
        (["PL", "F"], "other"),
        (["L", "F"], "silent"),
        (["R", "H"], "silent"),
        ("", "silent"),
    ],
)
def test_rows_from_front_to_back_are_a_lateral_view(identity: Any, orientation: Any, claim: str) -> None:
    assert identity(**SILENT, PatientOrientation=orientation).claim == claim
    assert identity(PatientOrientation=orientation).claim is Claim.SPINE  # what is named comes first


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"ContrastBolusAgent": "NONE"}, ()),
        ({"ContrastBolusAgent": " no "}, ()),
        ({"ContrastBolusAgent": "Iohexol"}, ("contrast medium",)),
        ({"ContrastBolusAgentSequence": [sources.code("1", "99X", "Barium")]}, ("contrast medium",)),
        ({"RadiopharmaceuticalInformationSequence": [Dataset()]}, ("radiopharmaceutical",)),
        ({"PregnancyStatus": 2}, ()),
        ({"PregnancyStatus": 3, "ContrastBolusAgent": "X"}, ("contrast medium", "pregnancy")),
    ],
)
def test_what_the_header_declares_of_the_body(
    identity: Any, changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert identity(**changes).body_declarations == expected


def test_claim_by_procedure_code(identity: Any) -> None:
    codes = [sources.code("X1", "99H", "DXA Lumbar Spine")]
    assert (
        identity(ProtocolName=None, BodyPartExamined=None, ProcedureCodeSequence=codes).claim is Claim.SPINE
    )


def test_order_codes(identity: Any) -> None:
    request = Dataset()
    request.RequestedProcedureDescription = "DXA with TBS"
    request.RequestedProcedureID = "R9"
    request.RequestedProcedureCodeSequence = [sources.code("77089", "C4", "TBS")]
    found = identity(
        RequestAttributesSequence=[request], ProcedureCodeSequence=[sources.code("77080", "C4", "DXA")]
    )
    assert found.order_codes == ("DXA with TBS", "R9", "77080", "DXA", "77089", "TBS")


@pytest.mark.parametrize(
    ("keyword", "raw"),
    [
        ("SOPInstanceUID", b"../../etc/passwd/of/everyone0"),
        ("SOPInstanceUID", b"1.2.826.0.1.3680043.10.1.001"),
        ("StudyInstanceUID", b"1.2.826.0.1.3680043.10/1"),
        ("SeriesInstanceUID", b"1.2.826.0.1.3680043.10.1.\n\n"),
    ],
)
def test_invalid_uid(tmp_path: Path, keyword: str, raw: bytes) -> None:
    path = sources.write(tmp_path / "x.dcm", sources.spine())
    value = {"SOPInstanceUID": sources.INSTANCE, "StudyInstanceUID": sources.STUDY}.get(
        keyword, sources.SERIES
    )
    tag = {"SOPInstanceUID": b"\x08\0\x18\0", "StudyInstanceUID": b"\x20\0\x0d\0"}.get(
        keyword, b"\x20\0\x0e\0"
    )
    whole = path.read_bytes()
    at = whole.index(tag + b"UI") + 8
    padded = raw.ljust(len(value) + len(value) % 2, b"\0")
    path.write_bytes(
        whole[:at] + padded[: len(value) + len(value) % 2] + whole[at + len(value) + len(value) % 2 :]
    )
    with pytest.raises(InvalidInstance) as caught:
        read_identity(path)
    assert caught.value.keyword == keyword
    assert raw.decode().split()[0] not in str(caught.value)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_missing_uid(tmp_path: Path, keyword: str) -> None:
    path = sources.write(tmp_path / "x.dcm", sources.spine())
    tag = {"SOPInstanceUID": b"\x08\0\x18\0", "StudyInstanceUID": b"\x20\0\x0d\0"}.get(
        keyword, b"\x20\0\x0e\0"
    )
    # the same element under a tag nobody knows
    path.write_bytes(path.read_bytes().replace(tag + b"UI", tag[:2] + b"\xee\xee" + b"UI"))
    with pytest.raises(InvalidInstance, match=f"{keyword} is missing"):
        read_identity(path)


def test_another_instance_than_announced(tmp_path: Path) -> None:
    path = sources.write(tmp_path / "x.dcm", sources.spine())
    whole = path.read_bytes()
    uid = sources.INSTANCE.encode()
    path.write_bytes(whole.replace(uid, uid[:-1] + b"2", 1))
    with pytest.raises(MismatchedInstance):
        read_identity(path)
    path.write_bytes(whole.replace(sources.CR.encode(), b"1.2.840.10008.5.1.4.1.1.7", 1))
    with pytest.raises(MismatchedInstance):
        read_identity(path)


def test_other_classes_are_unsupported(identity: Any) -> None:
    with pytest.raises(UnsupportedInstance) as caught:
        identity(SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    assert caught.value.uid == "1.2.840.10008.5.1.4.1.1.2"


def test_our_own_instances(identity: Any) -> None:
    assert identity(ManufacturerModelName="tbsnode").made_by_tbsnode
    assert not identity().made_by_tbsnode


@pytest.mark.parametrize(
    ("stated", "birth_date", "years"),
    [
        ("064Y", "19600229", 64.0),
        ("063Y", "19600229", 63.0),  # counted to another day
        ("018M", "", 1.5),
        ("730D", "", 2.0),
        ("", "19600229", 64.0),
        ("012Y", "19600229", None),  # which of them is wrong is not for us to say
        ("064Y", "20100412", None),
        ("000Y", "19580412", None),
        ("", "18580412", None),
        ("168Y", "", None),
    ],
)
def test_age(identity: Any, stated: str, birth_date: str, years: float | None) -> None:
    found = identity(PatientAge=stated, PatientBirthDate=birth_date).demographics.age_years
    assert found == (None if years is None else pytest.approx(years, abs=0.02))


def test_age_unknown(identity: Any) -> None:
    assert identity(PatientAge=None, PatientBirthDate="").demographics.age_years is None
    assert identity(PatientAge=None, PatientBirthDate="20300101").demographics.age_years is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"AcquisitionDateTime": "20240305101700.5+0100"}, "20240305101700"),
        ({}, "20240305101622"),
        ({"AcquisitionDate": None, "ContentDate": "20240306", "ContentTime": "0801"}, "20240306080100"),
        ({"AcquisitionDate": "", "SeriesDate": "20240307"}, "20240307000000"),
        ({"AcquisitionDate": None}, "20240305101500"),
        ({"AcquisitionDate": None, "StudyDate": ""}, ""),
    ],
)
def test_acquisition_date_time(identity: Any, changes: dict[str, Any], expected: str) -> None:
    assert identity(**changes).acquisition_date_time == expected


def test_impossible_dates_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(sources.encoded(sources.spine()).replace(b"19600229", b"19610229"))
    assert read_identity(path).demographics.birth_date == ""
