"""Pictures: polarity, scale, class, refusals."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tbsnode.dicom.hints import ScannerHints
from tbsnode.dicom.image import read_images
from tbsnode.model import DensitometryImage, InputClass
from tbsnode.reasons import Code
from tests import sources


def one(tmp_path: Path, ds: Any, hints: ScannerHints | None = None) -> DensitometryImage:
    (image,) = read_images(sources.write(tmp_path / "x.dcm", ds), hints=hints)
    return image


def codes(image: DensitometryImage) -> list[Code]:
    return [finding.code for finding in image.findings]


def test_by_hand(tmp_path: Path) -> None:
    image = one(tmp_path, sources.spine())
    assert image.pixels.dtype == np.float64
    np.testing.assert_array_equal(image.pixels, sources.ramp())
    assert image.input_class is InputClass.IMAGE
    assert (image.frame, image.stored_maximum, image.padding_value) == (0, 4095.0, None)
    assert (image.pixel_spacing_mm, image.spacing_source) == ((0.5, 0.4), "PixelSpacing")
    assert (image.findings, image.refusal) == ((), None)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_native_syntax_gives_the_same_picture(tmp_path: Path, syntax: str) -> None:
    (image,) = read_images(sources.write(tmp_path / "y.dcm", sources.spine(), syntax))
    assert image.image_sha256 == one(tmp_path, sources.spine()).image_sha256


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_every_lossless_compression_gives_the_same_picture(tmp_path: Path, syntax: str) -> None:
    picture = sources.with_pixels(sources.spine(), sources.ramp(64, 64), 12)
    ds = dcmread(BytesIO(sources.encoded(picture)))
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(tmp_path / "c.dcm")
    (image,) = read_images(tmp_path / "c.dcm")
    assert image.image_sha256 == one(tmp_path, picture).image_sha256
    assert image.refusal is None


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    image = one(tmp_path, sources.spine(PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0))
    np.testing.assert_array_equal(image.pixels, 4095.0 - sources.ramp())
    assert (image.padding_value, image.stored_maximum) == (4095.0, 4095.0)


def test_linear_rescale_is_applied_and_a_window_is_not(tmp_path: Path) -> None:
    ds = sources.spine(
        RescaleSlope="2", RescaleIntercept="-10", WindowCenter="50", WindowWidth="10", PixelPaddingValue=7
    )
    image = one(tmp_path, ds)
    np.testing.assert_array_equal(image.pixels, sources.ramp() * 2.0 - 10.0)
    assert (image.stored_maximum, image.padding_value) == (8180.0, 4.0)


def test_signed_pixels(tmp_path: Path) -> None:
    stored = sources.ramp().astype(np.int16) - 2048
    ds = sources.with_pixels(sources.spine(), stored, 12)
    ds.PixelRepresentation = 1
    ds.add_new(0x00280120, "SS", -2048)
    image = one(tmp_path, ds)
    np.testing.assert_array_equal(image.pixels, stored)
    assert (image.stored_maximum, image.padding_value) == (2047.0, -2048.0)


def test_padding_that_is_a_range_gets_one_value(tmp_path: Path) -> None:
    stored = sources.ramp().astype(np.int16) - 2048
    ds = sources.with_pixels(sources.spine(), stored, 12)
    ds.PixelRepresentation = 1
    ds.add_new(0x00280120, "SS", -1900)
    ds.add_new(0x00280121, "SS", -2047)  # the limit may be the lower end
    image = one(tmp_path, ds)
    padding = (stored >= -2047) & (stored <= -1900)
    assert 0 < padding.sum() < (stored <= -1900).sum()
    np.testing.assert_array_equal(image.pixels, np.where(padding, -1900.0, stored))
    assert image.padding_value == -1900.0


def test_bits_above_the_stored_ones_are_not_picture(tmp_path: Path) -> None:
    with_overlay = sources.ramp() | (np.arange(480).reshape(24, 20) % 2 << 15).astype(np.uint16)
    ds = sources.with_pixels(sources.spine(), with_overlay, 12)
    np.testing.assert_array_equal(one(tmp_path, ds).pixels, sources.ramp())


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_high_bit(tmp_path: Path, syntax: str | None) -> None:
    ds = sources.with_pixels(sources.spine(), sources.ramp() << 4, 12)
    ds.HighBit = 15
    path = sources.write(tmp_path / "x.dcm", ds)
    if syntax:
        ds = dcmread(path)
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(path)
    (image,) = read_images(path)
    np.testing.assert_array_equal(image.pixels, sources.ramp())


def test_raw_needs_the_word_of_the_operator(tmp_path: Path) -> None:
    hints = ScannerHints(linear=True)
    assert one(tmp_path, sources.spine(), hints).input_class is InputClass.RAW
    table = sources.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [2, 0, 16], "OD"
    table.add_new(0x00283006, "US", [0, 9])
    assert one(tmp_path, sources.spine(ModalityLUTSequence=[table]), hints).input_class is InputClass.IMAGE
    eight = sources.with_pixels(sources.spine(), sources.ramp(levels=256).astype(np.uint8), 8)
    assert one(tmp_path, eight, hints).input_class is InputClass.DISPLAY


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
def test_a_modality_table_gives_the_values(tmp_path: Path, photometric: str, signed: bool) -> None:
    """PS3.3 C.11.1: what is stored are indices; values beyond the table take its ends."""
    stored = sources.ramp().astype(np.int64) - (2048 if signed else 0)
    first, values = int(stored.min()) + 3, (np.arange(3000) ** 2 // 200).astype("<u2")
    table = sources.Dataset()
    table.ModalityLUTType = "OD"
    table.add_new(0x00283002, "SS" if signed else "US", [values.size, first, 16])
    table.add_new(0x00283006, "OW", values.tobytes())
    ds = sources.spine(ModalityLUTSequence=[table], PhotometricInterpretation=photometric)
    ds = sources.with_pixels(ds, stored.astype(np.int16 if signed else np.uint16), 12)
    ds.PixelRepresentation, ds.PhotometricInterpretation = int(signed), photometric
    expected = values.astype(np.float64)[np.clip(stored - first, 0, values.size - 1)]
    if photometric == "MONOCHROME1":
        expected = values.max() + 0.0 - expected
    image = one(tmp_path, ds)
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.stored_maximum == values.max()


def test_a_broken_modality_table_is_refused(tmp_path: Path) -> None:
    table = sources.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4096, 0, 16], "OD"
    table.add_new(0x00283006, "OW", bytes(100))
    image = one(tmp_path, sources.spine(ModalityLUTSequence=[table]))
    assert image.refusal is not None
    assert image.refusal.code is Code.UNREADABLE_PIXELS


@pytest.mark.parametrize("levels", [256, 200])
def test_few_levels_are_a_display_copy(tmp_path: Path, levels: int) -> None:
    ds = sources.with_pixels(sources.spine(), sources.ramp(levels=levels), 12)
    image = one(tmp_path, ds)
    assert image.input_class is InputClass.DISPLAY
    assert codes(image) == [Code.DISPLAY_COPY]
    assert image.refusal is None


def page(rgb: np.ndarray, **changes: Any) -> sources.Dataset:
    return sources.with_pixels(sources.spine(SOPClassUID=sources.SC, **changes), rgb.astype(np.uint8), 8)


def test_colored_page(tmp_path: Path) -> None:
    rgb = np.repeat(sources.ramp(levels=256)[..., None], 3, axis=2)
    rgb[3, 3] = (255, 0, 0)
    image = one(tmp_path, page(rgb))
    assert image.input_class is InputClass.PAGE
    assert image.refusal is not None
    assert image.refusal.code is Code.REPORT_PAGE
    assert image.pixels.shape == (24, 20)


def test_gray_rgb_is_a_picture(tmp_path: Path) -> None:
    gray = sources.ramp(levels=256)
    image = one(tmp_path, page(np.repeat(gray[..., None], 3, axis=2)))
    assert image.input_class is InputClass.DISPLAY
    np.testing.assert_array_equal(image.pixels, gray)


def test_mostly_white_is_paper(tmp_path: Path) -> None:
    gray = sources.ramp(levels=256)
    gray[:12] = 255
    assert one(tmp_path, page(np.repeat(gray[..., None], 3, axis=2))).input_class is InputClass.PAGE
    ds = sources.with_pixels(sources.spine(), gray.astype(np.uint8), 8)
    assert one(tmp_path, ds).input_class is InputClass.PAGE
    ds.PhotometricInterpretation = "MONOCHROME1"
    assert one(tmp_path, ds).input_class is InputClass.DISPLAY


def test_text_in_the_picture(tmp_path: Path) -> None:
    assert one(tmp_path, sources.spine(BurnedInAnnotation="YES")).input_class is InputClass.PAGE


def test_ragged_padding_is_not_drawn(tmp_path: Path) -> None:
    """Scan lines of random length end in padding: as thin and as sharp as lines that were drawn."""
    stored = sources.ramp(200, 160).astype(np.int16)
    for row, length in enumerate(np.random.default_rng(1).integers(20, 38, 200)):
        stored[row, :length] = -32768
    ds = sources.with_pixels(sources.spine(), stored, 16)
    ds.PixelRepresentation = 1
    ds.add_new(0x00280120, "SS", -32768)
    assert one(tmp_path, ds).input_class is InputClass.IMAGE
    del ds.PixelPaddingValue
    assert one(tmp_path, ds).input_class is InputClass.PAGE  # then nothing tells


def test_palette_color(tmp_path: Path) -> None:
    ds = sources.with_pixels(sources.spine(), sources.ramp(levels=256).astype(np.uint8), 8)
    ds.PhotometricInterpretation = "PALETTE COLOR"
    for name in ("Red", "Green", "Blue"):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        table = (255 - np.arange(256)).astype("<u2") << 8
        setattr(ds, f"{name}PaletteColorLookupTableData", table.tobytes())
    image = one(tmp_path, ds)
    np.testing.assert_array_equal(image.pixels, 255 - sources.ramp(levels=256))
    assert image.input_class is InputClass.DISPLAY
    ds.BluePaletteColorLookupTableData = bytes(512)
    assert one(tmp_path, ds).input_class is InputClass.PAGE
    del ds.BluePaletteColorLookupTableData  # then what is stored are indices, and no picture
    refusal = one(tmp_path, ds).refusal
    assert refusal is not None
    assert refusal.code is Code.UNREADABLE_PIXELS


@pytest.mark.parametrize(
    "stated",
    [
        {"LossyImageCompression": "01"},
        {"LossyImageCompressionMethod": "ISO_10918_1"},
        {"LossyImageCompressionRatio": "12.5"},
    ],
)
def test_lossy_history(tmp_path: Path, stated: dict[str, str]) -> None:
    image = one(tmp_path, sources.spine(**stated))
    assert image.input_class is InputClass.LOSSY
    assert image.refusal is not None
    assert image.refusal.code is Code.LOSSY_COMPRESSION


def test_an_image_that_says_it_lost_nothing(tmp_path: Path) -> None:
    nothing = {"LossyImageCompression": "00", "LossyImageCompressionRatio": "1"}
    assert one(tmp_path, sources.spine(**nothing)).input_class is InputClass.IMAGE
    assert one(tmp_path, sources.spine(LossyImageCompressionRatio="1")).input_class is InputClass.IMAGE


def test_no_spacing_is_refused_after_everything_else(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"PixelSpacing": ""}
    image = one(tmp_path, sources.spine(**nothing))
    assert image.refusal is not None
    assert image.refusal.code is Code.NO_PIXEL_SPACING
    hints = ScannerHints(pixel_spacing_mm=(0.6, 0.6))
    assert one(tmp_path, sources.spine(**nothing), hints).spacing_source == "configuration"
    assert one(tmp_path, sources.spine(**nothing), hints).refusal is None
    lossy = one(tmp_path, sources.spine(**nothing, LossyImageCompression="01"))
    assert lossy.refusal is not None
    assert lossy.refusal.code is Code.LOSSY_COMPRESSION


def test_frames(tmp_path: Path) -> None:
    ds = sources.spine(SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3")
    ds.NumberOfFrames = 3
    ds.PixelData = b"".join((sources.ramp() // (k + 1)).astype(np.uint16).tobytes() for k in range(3))
    images = read_images(sources.write(tmp_path / "x.dcm", ds))
    assert [image.frame for image in images] == [0, 1, 2]
    np.testing.assert_array_equal(images[2].pixels, sources.ramp() // 3)
    assert len({image.image_sha256 for image in images}) == 3


def test_too_many_frames(tmp_path: Path) -> None:
    ds = sources.spine(SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3")
    ds.NumberOfFrames = 40
    ds.PixelData = ds.PixelData * 40
    image = one(tmp_path, ds)
    assert image.refusal is not None
    assert image.refusal.code is Code.MULTI_FRAME
    assert image.pixels.size == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"PixelData": None},
        {"PixelData": bytes(100)},
        {"Rows": None},
        {"Columns": 0},
        {"Rows": 60000, "Columns": 60000},
        {"BitsAllocated": 12},
        {"BitsStored": 17},
        {"SamplesPerPixel": 4},
    ],
)
def test_what_cannot_be_decoded_is_a_refusal(tmp_path: Path, changes: dict[str, Any]) -> None:
    image = one(tmp_path, sources.spine(**changes))
    assert image.refusal is not None
    assert image.refusal.code is Code.UNREADABLE_PIXELS
    assert image.pixels.shape == (0, 0)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_broken_compression_is_a_refusal(tmp_path: Path, syntax: str) -> None:
    ds = dcmread(BytesIO(sources.encoded(sources.with_pixels(sources.spine(), sources.ramp(64, 64), 12))))
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(tmp_path / "c.dcm")
    whole = (tmp_path / "c.dcm").read_bytes()
    fragment = whole.index(b"\xfe\xff\x00\xe0", whole.index(b"\xe0\x7f\x10\x00") + 20) + 8
    at = (fragment + len(whole)) // 2
    (tmp_path / "c.dcm").write_bytes(whole[:at] + b"\xff" * (len(whole) - at - 8) + whole[-8:])
    (image,) = read_images(tmp_path / "c.dcm")
    # a decoder may also make something of it: then it is another picture, and nothing worse
    assert image.refusal is None or image.refusal.code is Code.UNREADABLE_PIXELS


def test_documents_hold_no_pictures(tmp_path: Path) -> None:
    ds = sources.spine(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22")
    assert read_images(sources.write(tmp_path / "x.dcm", ds, ExplicitVRLittleEndian)) == ()
