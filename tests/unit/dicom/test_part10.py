"""Header texts in their character sets, the digest, and what is written."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tbsnode.dicom import part10, uids
from tests import sources

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def header_of(tmp_path: Path, ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> part10.Header:
    return part10.read_header(sources.write(tmp_path / "x.dcm", ds, syntax))


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Müller^山田"),
        (["", "ISO 2022 IR 87"], JAPANESE),
        ("ISO_IR 144", "Иванов^Иван"),
        (None, "Doe^Jane"),
    ],
)
def test_names_are_decoded(tmp_path: Path, character_set: str | list[str] | None, name: str) -> None:
    ds = sources.spine(SpecificCharacterSet=character_set, PatientName=name)
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        assert header_of(tmp_path, ds, syntax).text("PatientName") == name


def test_items_inherit_the_character_set(tmp_path: Path) -> None:
    ds = sources.spine(ProcedureCodeSequence=[sources.code("1", "99X", "Wirbelsäule")])
    (item,) = header_of(tmp_path, ds).items("ProcedureCodeSequence")
    assert item.text("CodeMeaning") == "Wirbelsäule"


@pytest.mark.parametrize(
    "wrong",
    [b"ISO_IR 999", b"GB\x1b8030", b"ISO 2022 IR 87", b"ISO-IR 100", b"\xff\xff", b"a\0b", b"punycode"],
)
def test_a_wrong_character_set_is_survived(tmp_path: Path, wrong: bytes) -> None:
    whole = sources.encoded(sources.spine()).replace(b"ISO_IR 100", wrong.ljust(10))
    if len(wrong) > 10:
        whole = sources.encoded(sources.spine()).replace(b"\x0a\0ISO_IR 100", b"\x0e\0" + wrong)
    path = tmp_path / "x.dcm"
    path.write_bytes(whole)
    assert part10.read_header(path).text("PatientID") == "P-1"
    assert part10.read_header(path).text("PatientName").startswith("M")


def test_bytes_that_do_not_fit_the_character_set(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(sources.encoded(sources.spine()).replace(b"ISO_IR 100", b"ISO_IR 192"))
    assert part10.read_header(path).text("PatientName") == "M\ufffdller^J\ufffdrgen"


def test_control_characters_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(sources.encoded(sources.spine()).replace(b"DXA Exam", b"DXA\r\nEx\0"))
    assert part10.read_header(path).text("StudyDescription") == "DXAEx"


def test_what_a_terminal_obeys_or_a_reader_cannot_see_is_dropped(tmp_path: Path) -> None:
    ds = sources.spine(SpecificCharacterSet="ISO_IR 192", PatientID="4\x9b2J2\x85")
    ds.StudyDescription = "AP\u2028 Spine \u202egnihton\u2069"
    header = header_of(tmp_path, ds)
    assert header.text("PatientID") == "42J2"
    assert header.text("StudyDescription") == "AP Spine gnihton"


def test_numbers_that_are_none(tmp_path: Path) -> None:
    for wrong in (b"1,65", b"abcd", b"nan ", b"inf ", b"    "):
        path = tmp_path / "x.dcm"
        path.write_bytes(sources.encoded(sources.spine()).replace(b"1.65", wrong))
        assert part10.read_header(path).numbers("PatientSize") == ()
    assert header_of(tmp_path, sources.spine()).numbers("PixelSpacing") == (0.5, 0.4)


def test_values_no_header_needs_are_passed_over(tmp_path: Path) -> None:
    ds = sources.spine()
    ds.add_new(0x00230010, "LO", "HOLOGIC")
    ds.add_new(0x00231002, "OB", bytes(200_000))
    ds.add_new(0x00204000, "LT", "x" * 10)
    header = header_of(tmp_path, ds)
    assert 0x00231002 not in header.values
    assert header.text("ImageComments") == "x" * 10
    assert part10.tag_of("PixelData") not in header.values


def test_digest_is_that_of_the_data_set(tmp_path: Path) -> None:
    ds = sources.spine()
    path = sources.write(tmp_path / "x.dcm", ds)
    whole = path.read_bytes()
    start = whole.index(b"\x08\0\x05\0CS")  # Specific Character Set is the first element
    assert part10.data_set_digest(path) == hashlib.sha256(whole[start:]).hexdigest()
    # another receiver writes another meta header
    (tmp_path / "y.dcm").write_bytes(whole.replace(b"1.2.826.0.1.3680043.10.9", b"1.2.826.0.1.3680043.10.8"))
    assert part10.data_set_digest(tmp_path / "y.dcm") == part10.data_set_digest(path)


def test_written_bytes_are_ours_and_the_same() -> None:
    first, second = (part10.encode(sources.spine(), version="0.1.0") for _ in range(2))
    assert first == second
    ds = dcmread(BytesIO(first))
    assert ds.file_meta.ImplementationClassUID == uids.IMPLEMENTATION_CLASS_UID
    assert ds.file_meta.ImplementationVersionName == "TBSNODE_0_1_0"
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert ds.PatientName == "Müller^Jürgen"
