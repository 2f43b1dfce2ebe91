"""A compressed picture that is larger than its header says is decoded by nobody."""

from __future__ import annotations

import itertools
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from tbsnode.dicom import comparison, part10
from tbsnode.dicom.codestream import UndecodablePixels, require_modest
from tbsnode.dicom.encoded import opened
from tbsnode.dicom.image import read_images
from tbsnode.errors import UnsupportedInstance
from tbsnode.reasons import Code
from tests import sources

SIZED = [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless]


def codestream(syntax: str, size: int) -> bytes:
    pixels = (sources.ramp(size, size, 200) % 200).astype(np.uint8)
    if syntax == JPEGBaseline8Bit:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        return buffer.getvalue()
    ds = dcmread(BytesIO(sources.encoded(sources.with_pixels(sources.spine(), pixels, 8))))
    ds.compress(syntax, generate_instance_uid=False)
    return next(generate_frames(ds.PixelData, number_of_frames=1))


def written(path: Path, syntax: str, frame: bytes, *, stated: int, cuts: tuple[int, ...] = ()) -> Path:
    """Write an instance whose one frame is cut into fragments, and whose header states a size."""
    ds = sources.with_pixels(sources.spine(), np.zeros((stated, stated), np.uint8), 8)
    del ds.PixelData
    borders = (0, *cuts, len(frame))
    pieces = [frame[begin:end] for begin, end in itertools.pairwise(borders)]
    padded = [piece + b"\0" * (len(piece) % 2) for piece in pieces]
    items = [struct.pack("<HHL", 0xFFFE, 0xE000, len(piece)) + piece for piece in (b"", *padded)]
    head = struct.pack("<HH2s2xL", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF)
    native = sources.encoded(ds)
    other = native.replace(b"1.2.840.10008.1.2.1\0", b"\xff" * 20)  # as long as the longest
    assert other != native
    named = syntax.encode().ljust(22, b"\0")
    at = other.index(b"\xff" * 20)
    meta = other[: at - 2] + struct.pack("<H", len(named)) + named
    path.write_bytes(
        meta + other[at + 20 :] + head + b"".join(items) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    )
    return path


@pytest.mark.parametrize("syntax", SIZED)
def test_an_honest_one_passes(tmp_path: Path, syntax: str) -> None:
    path = written(tmp_path / "x.dcm", syntax, codestream(syntax, 64), stated=64)
    with opened(path) as data_set:
        require_modest(data_set)
    assert read_images(path)[0].pixels.shape == (64, 64)


@pytest.mark.parametrize("syntax", SIZED)
@pytest.mark.parametrize("cut", [0, 4, 10, 160, 166])
def test_a_larger_one_is_stopped_wherever_its_fragments_are_cut(
    tmp_path: Path, syntax: str, cut: int
) -> None:
    """64 x 64 in a header of 32 x 32 stands for 60,000 x 60,000 in two kilobytes."""
    frame = codestream(syntax, 64)
    path = written(tmp_path / "x.dcm", syntax, frame, stated=32, cuts=(cut,) if cut else ())
    with opened(path) as data_set, pytest.raises(UndecodablePixels, match="larger than"):
        require_modest(data_set)
    (image,) = read_images(path)
    assert image.refusal is not None
    assert image.refusal.code is Code.UNREADABLE_PIXELS


def test_nor_is_it_decoded_to_compare_or_to_send_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "x.dcm", JPEGLSLossless, codestream(JPEGLSLossless, 64), stated=32)
    plain = sources.write(
        tmp_path / "y.dcm", sources.with_pixels(sources.spine(), np.zeros((32, 32), np.uint8), 8)
    )
    decoded: list[Path] = []
    monkeypatch.setattr(comparison, "iter_pixels", lambda path, **_: decoded.append(path))
    assert part10.compare(path, plain) == "pixels"
    assert decoded == []
    with pytest.raises(UnsupportedInstance):
        part10.reencode(path, tmp_path / "z.dcm")


def test_run_lengths_that_are_longer_than_the_pixels_are_stopped(tmp_path: Path) -> None:
    """Each two bytes may become 128."""
    runs = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x07" * (1 << 20)
    path = written(tmp_path / "x.dcm", RLELossless, runs, stated=32)
    with opened(path) as data_set, pytest.raises(UndecodablePixels, match="longer"):
        require_modest(data_set)


def test_runs_that_would_fill_the_memory_are_stopped_however_large_the_header(tmp_path: Path) -> None:
    """Ten megabytes of runs become 640; the header allows a picture of 16 only, which nothing else checks."""
    runs = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x07" * (5 << 20)
    path = written(tmp_path / "x.dcm", RLELossless, runs, stated=4096)
    with opened(path) as data_set, pytest.raises(UndecodablePixels, match="longer"):
        require_modest(data_set)


def test_no_frame_of_several_may_have_the_room_of_all(tmp_path: Path) -> None:
    """PS3.5 A.4.2: a frame of RLE is one fragment; a single one had the room of all frames."""
    runs = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x07" * (5 << 20)
    small = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x07"
    for name, fragments in (("long", [runs, small]), ("split", [runs[: 4 << 20], runs[4 << 20 :], small])):
        path = written(tmp_path / f"{name}.dcm", RLELossless, b"", stated=4096)
        ds = dcmread(path)
        ds.NumberOfFrames = 2
        ds.PixelData = encapsulate(fragments, has_bot=False)
        ds["PixelData"].is_undefined_length = True
        ds.save_as(path)
        with opened(path) as data_set, pytest.raises(UndecodablePixels, match="frame"):
            require_modest(data_set)


def test_no_picture_announced(tmp_path: Path) -> None:
    path = written(tmp_path / "x.dcm", JPEG2000Lossless, bytes(200), stated=32)
    with opened(path) as data_set, pytest.raises(UndecodablePixels, match="no picture"):
        require_modest(data_set)
