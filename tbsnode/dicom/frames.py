"""Pixel data -> arrays: decoding, within limits, and nothing else.

No windowing: a window is for eyes, and texture is measured on what was stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from tbsnode.dicom import sop_classes
from tbsnode.dicom.codestream import MAX_SAMPLES, UndecodablePixels, require_modest
from tbsnode.dicom.encoded import PIXEL_DATA, Element, EncodedDataSet, Fragment, opened
from tbsnode.dicom.part10 import Header
from tbsnode.dicom.quiet import UNREADABLE, quiet_pydicom

MAX_FRAMES = 16  # a study of a spine has a few; a cine loop is something else


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelForm:
    """The Image Pixel module (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    frames: int
    samples: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar_configuration: int

    @property
    def stored_range(self) -> tuple[int, int]:
        """Smallest and largest value the stored bits can hold."""
        if self.signed:
            half = 1 << (self.bits_stored - 1)
            return -half, half - 1
        return 0, (1 << self.bits_stored) - 1


def form_of(header: Header) -> PixelForm:
    """Read the Image Pixel module.

    Raises
    ------
    UndecodablePixels
        If it is missing, contradicts itself or asks for more memory than any such image needs.
    """

    def number(keyword: str, default: int | None = None) -> int:
        values = header.shorts(keyword)
        if values:
            return values[0]
        if default is None:
            raise UndecodablePixels(f"{keyword} is missing")
        return default

    frames = header.numbers("NumberOfFrames")
    stored = number("BitsStored")
    form = PixelForm(
        rows=number("Rows"),
        columns=number("Columns"),
        frames=max(1, int(frames[0])) if frames else 1,
        samples=number("SamplesPerPixel", 1),
        photometric_interpretation=header.text("PhotometricInterpretation").upper(),
        bits_allocated=number("BitsAllocated"),
        bits_stored=stored,
        high_bit=number("HighBit", stored - 1),
        signed=number("PixelRepresentation", 0) == 1,
        planar_configuration=number("PlanarConfiguration", 0),
    )
    if not (form.rows and form.columns and form.samples in (1, 3)):
        raise UndecodablePixels("there is no matrix of one or three samples")
    if form.bits_allocated not in (1, 8, 16, 32) or not 1 <= form.bits_stored <= form.bits_allocated:
        raise UndecodablePixels("bits allocated and bits stored make no sense")
    if form.rows * form.columns * form.samples * min(form.frames, MAX_FRAMES) > MAX_SAMPLES:
        raise UndecodablePixels("the picture is larger than any densitometry image")
    return form


def decode(path: Path, form: PixelForm) -> list[NDArray[np.generic]]:
    """Decode every frame to stored values.

    Returns
    -------
    list of ndarray of shape (M, N) or (M, N, 3)
        One array a frame; YBR is converted to RGB.

    Raises
    ------
    UndecodablePixels
        If the pixel data are missing, incomplete or broken.
    """
    with opened(path) as data_set:
        element = next((e for e in data_set.elements() if e.tag == PIXEL_DATA), None)
        if element is None:
            raise UndecodablePixels("there are no pixel data")
        data, syntax = _pixel_data(data_set, element, form)
    # whole words, as in native pixels: pydicom knows no High Bit, and would keep the wrong ones
    words = not sop_classes.compressed(syntax) or syntax == sop_classes.RLE
    try:
        with quiet_pydicom():
            decoder = get_decoder(UID(syntax))
            options: dict[str, Any] = {
                "rows": form.rows,
                "columns": form.columns,
                "number_of_frames": form.frames,
                "samples_per_pixel": form.samples,
                "photometric_interpretation": form.photometric_interpretation,
                "bits_allocated": form.bits_allocated,
                "bits_stored": form.bits_allocated if words else form.bits_stored,
                "pixel_representation": int(form.signed),
                "planar_configuration": form.planar_configuration,
                "pixel_keyword": "PixelData",
            }
            frames = [array for array, _ in decoder.iter_array(data, **options)]
    except UNREADABLE as error:
        raise UndecodablePixels(f"the decoder failed ({type(error).__name__})") from error
    if len(frames) != form.frames:
        raise UndecodablePixels("frames are missing")
    return [_stored_bits(frame, form) if words else frame for frame in frames]


def _pixel_data(data_set: EncodedDataSet, element: Element, form: PixelForm) -> tuple[bytes, str]:
    """Return the encoded pixel data and the transfer syntax to decode them by."""
    if element.length is None:
        require_modest(data_set)
        end = data_set.after(element)
        value = data_set.read(Fragment(element.start, end - element.start))
        return value, data_set.meta.transfer_syntax_uid
    needed = (form.rows * form.columns * form.samples * form.frames * form.bits_allocated + 7) // 8
    if element.length < needed - 1:
        raise UndecodablePixels("the pixel data are shorter than rows, columns and frames say")
    value = data_set.read(Fragment(element.start, min(element.length, needed + 1)))
    value = data_set.little_endian(value, element.vr) + b"\0" * (needed - len(value))
    return value, sop_classes.EXPLICIT_VR_LITTLE_ENDIAN


def _stored_bits(frame: NDArray[np.generic], form: PixelForm) -> NDArray[np.generic]:
    """Keep the stored bits: older senders put overlays into the others (PS3.5 8.1.1)."""
    spare = form.bits_allocated - form.bits_stored
    if spare == 0 or form.bits_allocated == 1 or frame.ndim != 2:
        return frame
    unused_high = max(0, form.bits_allocated - 1 - form.high_bit)
    word = frame.astype(f"{'i' if form.signed else 'u'}{form.bits_allocated // 8}", copy=False)
    shifted: NDArray[np.generic] = (word << unused_high) >> spare
    return shifted


def shown(header: Header, form: PixelForm, frame: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return what a screen would be given: gray of shape (M, N), or color of shape (M, N, 3).

    Raises
    ------
    UndecodablePixels
        If a palette is missing, or comes in segments: what is stored are indices, and no picture.
    """
    return _palette(header, frame) if form.photometric_interpretation == "PALETTE COLOR" else frame


def _palette(header: Header, frame: NDArray[np.generic]) -> NDArray[np.generic]:
    """Look up a palette of 8-bit or 16-bit entries (PS3.3 C.7.9)."""
    channels = []
    for color in ("Red", "Green", "Blue"):
        descriptor = header.shorts(f"{color}PaletteColorLookupTableDescriptor")
        data = header.raw(f"{color}PaletteColorLookupTableData")
        if len(descriptor) != 3 or not data:
            raise UndecodablePixels("the palette is missing")
        table = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if header.little_endian else ">u2")
        entries = descriptor[0] or 1 << 16
        if len(table) < entries:  # 8-bit entries, packed
            table = np.frombuffer(data, np.uint8).astype(np.uint16)
        elif descriptor[2] == 16:
            table = table >> 8
        index = np.clip(frame.astype(np.int64) - descriptor[1], 0, len(table) - 1)
        channels.append(table[index])
    return np.stack(channels, axis=-1)
