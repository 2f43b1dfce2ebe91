"""DCMTK compresses; the picture must come out the same, or be called lossy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tbsnode.dicom import part10
from tbsnode.dicom.image import read_images
from tbsnode.model import InputClass
from tbsnode.reasons import Code
from tests import sources
from tests.peers import require_program

pytestmark = pytest.mark.peer


def compress(program: str, option: str, source: Path) -> Path:
    target = source.with_name(f"{program}{option}.dcm")
    subprocess.run([require_program(program), option, source, target], check=True, timeout=60)
    return target


@pytest.fixture
def source(tmp_path: Path) -> Path:
    ds = sources.with_pixels(sources.spine(), sources.ramp(64, 48), 12)
    ds.add_new(0x00230010, "LO", "HOLOGIC")
    ds.add_new(0x00231002, "OB", bytes(range(100)))
    return sources.write(tmp_path / "source.dcm", ds)


@pytest.mark.parametrize(
    ("program", "option", "syntax"),
    [
        ("dcmcjpeg", "+e1", "1.2.840.10008.1.2.4.70"),
        ("dcmcjpeg", "+el", "1.2.840.10008.1.2.4.57"),
        ("dcmcjpls", "+el", "1.2.840.10008.1.2.4.80"),
        ("dcmcrle", "+un", "1.2.840.10008.1.2.5"),
        ("dcmconv", "+td", "1.2.840.10008.1.2.1.99"),
        ("dcmconv", "+tb", "1.2.840.10008.1.2.2"),
        ("dcmconv", "+ti", "1.2.840.10008.1.2"),
    ],
)
def test_without_loss(source: Path, tmp_path: Path, program: str, option: str, syntax: str) -> None:
    other = compress(program, option, source)
    (before,), (after,) = read_images(source), read_images(other)
    assert after.identity.transfer_syntax_uid == syntax
    assert after.image_sha256 == before.image_sha256
    np.testing.assert_array_equal(after.pixels, sources.ramp(64, 48))
    assert (after.input_class, after.refusal) == (InputClass.IMAGE, None)
    assert part10.compare(source, other) == "equal"
    part10.reencode(other, tmp_path / "implicit.dcm")
    assert part10.compare(other, tmp_path / "implicit.dcm") == "equal"


def test_with_loss(tmp_path: Path) -> None:
    picture = sources.ramp(64, 48, levels=256).astype(np.uint8)
    source = sources.write(tmp_path / "source.dcm", sources.with_pixels(sources.spine(), picture, 8))
    (image,) = read_images(compress("dcmcjpeg", "+eb", source))
    assert image.input_class is InputClass.LOSSY
    assert image.refusal is not None
    assert image.refusal.code is Code.LOSSY_COMPRESSION
    assert image.pixels.shape == (64, 48)


def test_implicit_is_readable_for_strangers(source: Path, tmp_path: Path) -> None:
    part10.reencode(source, tmp_path / "implicit.dcm")
    dumped = subprocess.run(
        [require_program("dcmdump"), tmp_path / "implicit.dcm"], capture_output=True, check=True, timeout=60
    )
    assert b"LittleEndianImplicit" in dumped.stdout
    assert not [line for line in dumped.stderr.splitlines() if line.startswith((b"E:", b"W:"))]
