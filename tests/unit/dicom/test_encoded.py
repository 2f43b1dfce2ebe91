"""The walk over an encoded data set: whole, truncated and hostile."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tbsnode.dicom import encoded, part10
from tbsnode.dicom.encoded import (
    PIXEL_DATA,
    EncodedDataSet,
    Fragment,
    dictionary_vr,
    name_of,
    opened,
)
from tbsnode.dicom.part10 import is_part10
from tbsnode.errors import InvalidInstance, UnsupportedInstance
from tests import sources

NATIVE = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def nested(depth: int) -> Dataset:
    ds = Dataset()
    ds.CodeValue = "x"
    ds.is_undefined_length_sequence_item = True
    for _ in range(depth):
        parent = Dataset()
        parent.is_undefined_length_sequence_item = True
        parent.ConceptCodeSequence = [ds]
        parent["ConceptCodeSequence"].is_undefined_length = True
        ds = parent
    return ds


@pytest.mark.parametrize("syntax", NATIVE)
def test_every_element_is_met_once_in_order(tmp_path: Path, syntax: str) -> None:
    ds = sources.spine(ProcedureCodeSequence=[nested(3)])
    ds["ProcedureCodeSequence"].is_undefined_length = True
    path = sources.write(tmp_path / "x.dcm", ds, syntax)
    with opened(path) as data_set:
        tags = [element.tag for element in data_set.elements()]
    assert tags == sorted(int(element.tag) for element in ds)


@pytest.mark.parametrize("syntax", NATIVE)
def test_how_much_is_read_at_once_changes_nothing(
    tmp_path: Path, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = sources.spine(ProcedureCodeSequence=[nested(3)])
    ds["ProcedureCodeSequence"].is_undefined_length = True
    path = sources.write(tmp_path / "x.dcm", ds, syntax)
    usual = part10.read_header(path)
    assert usual.sequences
    for window in (0, 1, 139, *range(150, 900, 41)):
        monkeypatch.setattr(encoded, "_WINDOW_BYTES", window)
        assert part10.read_header(path) == usual


@pytest.mark.parametrize("syntax", NATIVE)
def test_a_beginning_that_is_known_changes_nothing(tmp_path: Path, syntax: str) -> None:
    path = sources.write(tmp_path / "x.dcm", sources.spine(), syntax)
    whole = path.read_bytes()
    usual = part10.read_header(path)
    for length in (1, 140, 333, 600, 1 << 14, len(whole)):
        assert part10.read_header(path, whole[:length], len(whole)) == usual
    path.write_bytes(whole[:-20])
    with pytest.raises(InvalidInstance):
        part10.read_header(path, whole[:600], len(whole) - 20)


@pytest.mark.parametrize("syntax", NATIVE[:3])
def test_cut_anywhere_is_truncated(tmp_path: Path, syntax: str) -> None:
    whole = sources.encoded(sources.spine(), syntax)
    path = tmp_path / "x.dcm"
    for size in range(140, len(whole) - 1, 29):
        path.write_bytes(whole[:size])
        with contextlib.suppress(InvalidInstance), opened(path) as data_set:
            # cut between two elements a data set is well formed, but it is no picture any more
            assert PIXEL_DATA not in [element.tag for element in data_set.elements()]
    path.write_bytes(whole[:-30])
    with pytest.raises(InvalidInstance, match="truncated: it ends inside PixelData"):
        part10.read_header(path)


def test_truncated_deflated(tmp_path: Path) -> None:
    whole = sources.encoded(sources.spine(), DeflatedExplicitVRLittleEndian)
    path = tmp_path / "x.dcm"
    path.write_bytes(whole[:-20])
    with pytest.raises(InvalidInstance, match=r"truncated|inflated"):
        part10.read_header(path)


def test_pixel_data_may_lack_the_padding_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(sources.encoded(sources.spine())[:-1])
    part10.read_header(path)


def test_trailing_zeros_are_padding(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(sources.encoded(sources.spine()) + bytes(1000))
    assert part10.read_header(path).text("PatientID") == "P-1"


@pytest.mark.parametrize("content", [b"", b"hello", b"x" * 5000, bytes(132), bytes(128) + b"DICM"])
def test_not_dicom(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(content)
    with pytest.raises(InvalidInstance):
        part10.read_header(path)


def test_is_part10(tmp_path: Path) -> None:
    assert is_part10(sources.write(tmp_path / "x.dcm", sources.spine()))
    (tmp_path / "y").write_bytes(b"DICM")
    assert not is_part10(tmp_path / "y")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not is_part10(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert not is_part10(tmp_path / "gone")


def test_hostile_length_is_not_allocated(tmp_path: Path) -> None:
    whole = sources.encoded(sources.spine())
    header = struct.pack("<HH2s2xL", 0x0009, 0x1001, b"OB", 0xFFFFFFF0)
    path = tmp_path / "x.dcm"
    path.write_bytes(whole + header)
    with pytest.raises(InvalidInstance, match="truncated"):
        part10.read_header(path)


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    whole = sources.encoded(sources.spine())
    level = struct.pack("<HH2s2xLHHL", 0x0040, 0xA730, b"SQ", 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    path = tmp_path / "x.dcm"
    path.write_bytes(whole + level * 20_000)
    with pytest.raises(InvalidInstance, match="nests"):
        part10.read_header(path)


def test_more_items_than_any_instance_needs_are_refused(tmp_path: Path) -> None:
    """8 bytes each, and 200 in memory: a sequence holds a million of them, and a data set many sequences."""
    whole = sources.encoded(sources.spine())
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    header = struct.pack("<HH2s2xL", 0x0040, 0xA730, b"SQ", 500_001 * len(item))
    path = tmp_path / "x.dcm"
    path.write_bytes(whole + header + item * 500_001)
    with pytest.raises(InvalidInstance, match="than any instance needs"):
        part10.read_header(path)


def test_what_is_nested_is_not_walked_again_for_each_level(tmp_path: Path) -> None:
    """30 levels around 10,000 elements cost what 10,000 elements cost, not thirty or sixty times that."""
    whole = sources.encoded(sources.spine())
    begin = struct.pack("<HH2s2xLHHL", 0x0040, 0xA730, b"SQ", 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    inner = b"".join(struct.pack("<HH2sH", 0x0010, number, b"LO", 0) for number in range(10_000))
    path = tmp_path / "x.dcm"
    path.write_bytes(whole + begin * 30 + inner + end * 30)
    with opened(path) as data_set:
        walk(data_set, None, 0)
        assert data_set.parts < 60_000


def walk(data_set: EncodedDataSet, within: Fragment | None, depth: int) -> None:
    for element in data_set.elements(within, depth=depth):
        if element.vr == "SQ":
            for item in data_set.items(element, depth=depth):
                walk(data_set, item, depth + 1)


def test_something_else_in_a_sequence(tmp_path: Path) -> None:
    whole = sources.encoded(sources.spine())
    broken = struct.pack("<HH2s2xL", 0x0040, 0xA730, b"SQ", 0xFFFFFFFF) + bytes(64)
    path = tmp_path / "x.dcm"
    path.write_bytes(whole + broken)
    with pytest.raises(InvalidInstance, match="not an item"):
        part10.read_header(path)


def test_deflate_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    from tbsnode.dicom import inflating

    monkeypatch.setattr(inflating, "_MAX_INFLATED", 1 << 20)
    whole = sources.encoded(sources.spine(), DeflatedExplicitVRLittleEndian)
    with (tmp_path / "x.dcm").open("wb") as out:
        with_meta = whole[: whole.index(DeflatedExplicitVRLittleEndian.encode()) + 22]
        implementation = struct.pack("<HH2sH", 2, 0x12, b"UI", 4) + b"1.2\0"
        squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
        out.write(with_meta + implementation + squeezer.compress(bytes(8 << 20)) + squeezer.flush())
    with pytest.raises(InvalidInstance, match="too large"):
        part10.read_header(tmp_path / "x.dcm")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("padding", [b"", b"\0", bytes(3 << 20)])
def test_what_follows_a_large_deflated_data_set_is_no_part_of_it(tmp_path: Path, padding: bytes) -> None:
    """An odd length is padded (PS3.5 A.5), and DCMTK does."""
    path = tmp_path / "x.dcm"
    ds = sources.with_pixels(sources.spine(), np.zeros((1024, 1024), np.uint16), 12)
    path.write_bytes(sources.encoded(ds, DeflatedExplicitVRLittleEndian) + padding)
    assert part10.read_header(path).text("PatientID") == "P-1"


def test_unknown_transfer_syntax(tmp_path: Path) -> None:
    whole = sources.encoded(sources.spine())
    path = tmp_path / "x.dcm"
    path.write_bytes(whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"))
    with pytest.raises(UnsupportedInstance) as caught:
        part10.read_header(path)
    assert caught.value.keyword == "TransferSyntaxUID"


def test_implicit_inside_that_says_explicit(tmp_path: Path) -> None:
    implicit = sources.encoded(sources.spine(), ImplicitVRLittleEndian)
    said = sources.encoded(sources.spine(), ExplicitVRLittleEndian)
    with opened(sources.write(tmp_path / "a", sources.spine(), ImplicitVRLittleEndian)) as data_set:
        body = implicit[data_set.start :]
    with opened(sources.write(tmp_path / "b", sources.spine())) as data_set:
        meta, explicit_body = said[: data_set.start], said[data_set.start :]
    (tmp_path / "c").write_bytes(meta + body)
    assert part10.read_header(tmp_path / "c").text("PatientID") == "P-1"
    (tmp_path / "d").write_bytes(implicit[: -len(body)] + explicit_body)
    assert part10.read_header(tmp_path / "d").text("PatientID") == "P-1"


def test_names() -> None:
    assert name_of(0x00100010) == "PatientName"
    assert name_of(0x00231001) == "(0023,1001)"
    assert [dictionary_vr(tag) for tag in (0x00100000, 0x00230010, 0x00231002, 0x00280106, 0x00990001)] == [
        "UL", "LO", "UN", "US", "UN",
    ]  # fmt: skip
