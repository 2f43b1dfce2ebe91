"""Same or not, across transfer syntaxes."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tbsnode.dicom.part10 import compare
from tests import sources

NATIVE = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
PICTURE = sources.ramp(64, 64)


def rich(**changes: object) -> Dataset:
    ds = sources.with_pixels(sources.spine(), PICTURE, 12)
    ds.ProcedureCodeSequence = [sources.code("1", "99X", "Wirbelsäule")]
    ds.add_new(0x00230010, "LO", "HOLOGIC")
    ds.add_new(0x00231001, "LO", "odd")
    ds.add_new(0x00231002, "OB", bytes(range(200)))
    ds.add_new(0x00231003, "UL", 70_000)
    ds.add_new(0x00231006, "SQ", [sources.code("2", "99X", "private")])
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


def compressed(path: Path, syntax: str, ds: Dataset | None = None) -> Path:
    ds = dcmread(BytesIO(sources.encoded(ds or rich())))
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(path)
    return path


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return sources.write(tmp_path / "a.dcm", rich())


@pytest.mark.parametrize("syntax", NATIVE)
def test_equal_in_another_native_syntax(tmp_path: Path, original: Path, syntax: str) -> None:
    other = sources.write(tmp_path / "b.dcm", rich(), syntax)
    assert compare(original, other) == compare(other, original) == "equal"


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_equal_when_compressed_without_loss(tmp_path: Path, original: Path, syntax: str) -> None:
    other = compressed(tmp_path / "b.dcm", syntax)
    assert compare(original, other) == compare(other, original) == "equal"
    assert compare(other, compressed(tmp_path / "c.dcm", RLELossless)) == "equal"


@pytest.mark.parametrize("native", NATIVE)
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_a_router_may_compress_what_came_in_any_native_syntax(
    tmp_path: Path, native: str, syntax: str
) -> None:
    received = sources.write(tmp_path / "a.dcm", rich(), native)
    other = compressed(tmp_path / "b.dcm", syntax)
    assert compare(received, other) == compare(other, received) == "equal"


def _new_name(ds: Dataset) -> None:
    ds.PatientName = "Other^Name"


def _new_private(ds: Dataset) -> None:
    ds[0x00231002].value = bytes(range(1, 201))


def _in_private_sequence(ds: Dataset) -> None:
    ds[0x00231006].value[0].CodeValue = "3"


def _in_item(ds: Dataset) -> None:
    ds.ProcedureCodeSequence[0].CodeMeaning = "Hand"


def _one_more_item(ds: Dataset) -> None:
    ds.ProcedureCodeSequence.append(sources.code("3", "99X", "more"))


def _one_less(ds: Dataset) -> None:
    del ds.StudyDescription


def _number(ds: Dataset) -> None:
    ds[0x00231003].value = 70_001


@pytest.mark.parametrize(
    "change", [_new_name, _new_private, _in_private_sequence, _in_item, _one_more_item, _one_less, _number]
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_another_header(
    tmp_path: Path, original: Path, change: Callable[[Dataset], None], syntax: str
) -> None:
    ds = rich()
    change(ds)
    assert compare(original, sources.write(tmp_path / "b.dcm", ds, syntax)) == "header"


def test_one_gray_level_is_another_picture(tmp_path: Path, original: Path) -> None:
    picture = PICTURE.copy()
    picture[10, 10] += 1
    ds = sources.with_pixels(rich(), picture, 12)
    assert compare(original, sources.write(tmp_path / "b.dcm", ds)) == "pixels"
    assert compare(original, sources.write(tmp_path / "c.dcm", ds, ExplicitVRBigEndian)) == "pixels"
    assert compare(original, compressed(tmp_path / "d.dcm", RLELossless, ds)) == "pixels"


def test_pixels_outweigh_the_header(tmp_path: Path, original: Path) -> None:
    ds = sources.with_pixels(rich(PatientName="Other"), np.zeros((64, 64), np.uint16), 12)
    assert compare(original, sources.write(tmp_path / "b.dcm", ds)) == "pixels"


def test_missing_pixels(tmp_path: Path, original: Path) -> None:
    ds = rich()
    del ds.PixelData
    assert compare(original, sources.write(tmp_path / "b.dcm", ds)) == "pixels"


def test_pixels_that_cannot_be_decoded_are_not_called_equal(tmp_path: Path, original: Path) -> None:
    other = compressed(tmp_path / "b.dcm", JPEGLSLossless)
    whole = other.read_bytes()
    other.write_bytes(whole[:-300] + bytes(280) + whole[-20:])
    assert compare(original, other) == "pixels"


def test_padding_and_group_lengths_do_not_count(tmp_path: Path, original: Path) -> None:
    ds = rich()
    ds.add_new(0xFFFCFFFC, "OB", bytes(64))
    path = sources.write(tmp_path / "b.dcm", ds)
    path.write_bytes(path.read_bytes().replace(b"DXA Exam", b"DXA Exam"))
    assert compare(original, path) == "equal"


def test_zero_is_not_a_blank(tmp_path: Path) -> None:
    # stripping padding from binary values would make 32 and 0 equal
    a = sources.write(tmp_path / "a.dcm", sources.spine(WindowCenter="1", LargestImagePixelValue=0x2020))
    b = sources.write(tmp_path / "b.dcm", sources.spine(WindowCenter="1", LargestImagePixelValue=0))
    assert compare(a, b) == "header"


def test_documents_without_pixels(tmp_path: Path) -> None:
    def document(content: bytes) -> Dataset:
        ds = sources.spine(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1")
        del ds.PixelData
        ds.EncapsulatedDocument = content
        return ds

    a = sources.write(tmp_path / "a.dcm", document(b"%PDF-1 "))
    assert (
        compare(a, sources.write(tmp_path / "b.dcm", document(b"%PDF-1 "), ImplicitVRLittleEndian)) == "equal"
    )
    assert compare(a, sources.write(tmp_path / "c.dcm", document(b"%PDF-2 "))) == "pixels"


def test_an_element_of_the_wrong_size_beside_pixels_is_no_crash(tmp_path: Path) -> None:
    """Samples per Pixel with two bytes, said to be a number of four: whether pixels agree is for a person."""
    plain, packed = sources.spine(), sources.spine()
    sources.encoded(packed)
    packed.compress(RLELossless)
    paths = []
    for name, ds, syntax in (("a", plain, ExplicitVRLittleEndian), ("b", packed, RLELossless)):
        part10 = sources.encoded(ds, syntax).replace(b"\x28\0\2\0US", b"\x28\0\2\0FL")
        paths.append(tmp_path / name)
        paths[-1].write_bytes(part10)
    assert compare(*paths) == "pixels"


def test_what_only_pydicom_cannot_read_is_not_the_same(original: Path, tmp_path: Path) -> None:
    """Found by fuzzing: its OSError left `compare`, and the sender's C-STORE failed as a fault of ours."""
    other = compressed(tmp_path / "b.dcm", RLELossless)
    original.write_bytes(sources.with_an_item_in_an_item(original.read_bytes()))
    assert compare(original, other) == compare(other, original) == "pixels"
    assert compare(original, original) == "equal"
