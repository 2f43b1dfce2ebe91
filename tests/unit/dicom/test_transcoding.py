"""Implicit VR Little Endian for peers that take nothing else: values stay as they came."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from tbsnode.dicom import part10
from tbsnode.errors import UnsupportedInstance
from tests import sources


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_nothing_but_the_encoding_changes(tmp_path: Path, syntax: str) -> None:
    ds = sources.spine(ProcedureCodeSequence=[sources.code("1", "99X", "Wirbelsäule")])
    ds.add_new(0x00230010, "LO", "HOLOGIC")
    ds.add_new(0x00231003, "UL", 70_000)
    source, target = sources.write(tmp_path / "a.dcm", ds, syntax), tmp_path / "b.dcm"
    part10.reencode(source, target)
    assert part10.compare(source, target) == "equal"
    read = dcmread(target)
    assert read.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID == ds.SOPInstanceUID
    assert read.PatientName == "Müller^Jürgen"
    assert read.ProcedureCodeSequence[0].CodeMeaning == "Wirbelsäule"
    assert (read.pixel_array == sources.ramp()).all()


def test_invalid_values_arrive_as_sent(tmp_path: Path) -> None:
    source, target = tmp_path / "a.dcm", tmp_path / "b.dcm"
    source.write_bytes(
        sources.encoded(sources.spine()).replace(b"1.65", b"1,65").replace(b"20240305", b"last May")
    )
    part10.reencode(source, target)
    assert part10.compare(source, target) == "equal"
    assert b"1,65" in target.read_bytes()


def test_compressed_pixels_are_decoded(tmp_path: Path) -> None:
    ds = dcmread(BytesIO(sources.encoded(sources.spine())))
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    source, target = tmp_path / "a.dcm", tmp_path / "b.dcm"
    ds.save_as(source)
    part10.reencode(source, target)
    assert part10.compare(source, target) == "equal"
    assert dcmread(target).SOPInstanceUID == sources.INSTANCE


def test_broken_compressed_pixels_are_refused(tmp_path: Path) -> None:
    ds = dcmread(BytesIO(sources.encoded(sources.spine())))
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    source = tmp_path / "a.dcm"
    ds.save_as(source)
    whole = source.read_bytes()
    start = whole.index(b"\xff\xd8")
    source.write_bytes(whole[:start] + bytes(len(whole) - start - 8) + whole[-8:])
    with pytest.raises(UnsupportedInstance):
        part10.reencode(source, tmp_path / "b.dcm")


def test_an_element_of_half_a_number_is_refused(tmp_path: Path) -> None:
    """What no plain value error tells: pydicom has an exception of its own for it."""
    ds = dcmread(BytesIO(sources.encoded(sources.spine())))
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    ds.save_as(source := tmp_path / "a.dcm")
    bits_stored = b"\x28\x00\x01\x01US"
    before, after = source.read_bytes().split(bits_stored)
    source.write_bytes(before + bits_stored + b"\x03\x00" + after[2:4] + b"\0" + after[4:])
    with pytest.raises(UnsupportedInstance):
        part10.reencode(source, tmp_path / "b.dcm")


def test_what_only_pydicom_cannot_read_is_refused(tmp_path: Path) -> None:
    ds = dcmread(BytesIO(sources.encoded(sources.spine())))
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    ds.save_as(source := tmp_path / "a.dcm")
    source.write_bytes(sources.with_an_item_in_an_item(source.read_bytes()))
    with pytest.raises(UnsupportedInstance):
        part10.reencode(source, tmp_path / "b.dcm")
