"""What compressed pixels say of their own size, held against the header before anything decodes them.

A decoder makes room for the picture that the codestream announces, and only then the result is held
against Rows and Columns: two kilobytes of JPEG 2000 may announce a picture of sixteen gigabytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from tbsnode.dicom import sop_classes
from tbsnode.dicom.encoded import PIXEL_DATA, Element, EncodedDataSet, Fragment

# SOF of JPEG (ITU-T T.81 B.2.2) and JPEG-LS (T.87 C.2.2): no such bytes stand in entropy-coded data
_FRAME_HEADER = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7]")
_FRAME = struct.Struct(">2xHxHHB")  # length, lines, samples a line, components
# SOC and SIZ of JPEG 2000 (T.800 A.5.1): ends and origin of the picture, tiles, components
_IMAGE_HEADER = re.compile(rb"\xff\x4f\xff\x51")
_IMAGE = struct.Struct(">4x4xIIII16xH")
_CHUNK = 1 << 20

MAX_SAMPLES = 40_000_000  # rows x columns x samples (x frames): forty times the largest DXA export
_OVERHEAD = 1 << 20  # bytes of a compressed frame that are none of its pixels
# Of one frame: each two bytes of RLE may become 128 (PS3.5 G.3.1), and only decoding them tells. The noise of
# the largest page in color does not reach this.
_RLE_LONGEST = 8 << 20
_FRAMES, _SAMPLES, _ROWS, _COLUMNS, _BITS = 0x00280008, 0x00280002, 0x00280010, 0x00280011, 0x00280100

Size = tuple[int, int, int]


class UndecodablePixels(Exception):
    """The pixel data cannot be decoded; the message says why, for the log."""


def require_modest(data_set: EncodedDataSet) -> None:
    """See that decoding the pixels takes no more memory than the header says; moves the stream.

    Raises
    ------
    UndecodablePixels
        If they are compressed and announce a larger picture than Rows and Columns, or none; or if these
        are missing or larger than in any densitometry image.
    """
    found = {e.tag: e for e in data_set.elements() if e.tag >> 16 == 0x0028 or e.tag == PIXEL_DATA}
    pixels = found.get(PIXEL_DATA)
    if pixels is None or pixels.length is not None:
        return
    rows, columns, bits = (_number(data_set, found.get(tag), 0) for tag in (_ROWS, _COLUMNS, _BITS))
    samples = _number(data_set, found.get(_SAMPLES), 1)
    frames = _count(data_set, found.get(_FRAMES))
    if rows * columns * samples > MAX_SAMPLES:
        raise UndecodablePixels("the picture is larger than any densitometry image")
    most = 2 * rows * columns * samples * (bits + 7) // 8 + _OVERHEAD
    runs = data_set.meta.transfer_syntax_uid == sop_classes.RLE
    if runs:
        most = min(most, _RLE_LONGEST)
    if data_set.after(pixels) - pixels.start > most * frames:
        raise UndecodablePixels("the compressed pixel data are longer than the pixels")
    if runs:  # they announce no size
        _require_single(data_set, pixels, most=most, frames=frames)
    else:
        _require_announced(set(_announced(data_set, pixels)), (rows, columns, samples))


def _require_single(data_set: EncodedDataSet, pixels: Element, *, most: int, frames: int) -> None:
    """See that no frame has the room of several: each is one fragment (PS3.5 A.4.2)."""
    if frames == 1:
        return  # some writers cut it; the limit of the whole holds
    _, *each = [item.length or 0 for item in data_set.items(pixels)]  # the first is the offset table
    if len(each) != frames or max(each) > most:
        raise UndecodablePixels("a compressed frame is longer than its pixels, or not one fragment")


def _require_announced(announced: set[Size], stated: Size) -> None:
    if not announced:
        raise UndecodablePixels("the compressed pixel data announce no picture")
    for size in announced:
        if any(not 0 < each <= most for each, most in zip(size, stated, strict=True)):
            raise UndecodablePixels("the compressed picture is larger than rows and columns say")


def _number(data_set: EncodedDataSet, element: Element | None, default: int) -> int:
    value = data_set.read(element) if element is not None and element.length else b""
    return int.from_bytes(value[:2], data_set.byte_order) if len(value) >= 2 else default


def _count(data_set: EncodedDataSet, element: Element | None) -> int:
    """Return Number of Frames, 1 where it is missing or no number."""
    length = element.length if element is not None else 0
    value = data_set.read(element).strip(b"\0 ") if element is not None and length and length < 32 else b""
    return int(value) if value.isdigit() else 1


def _announced(data_set: EncodedDataSet, element: Element) -> Iterator[Size]:
    """Yield (rows, columns, components) of each header that stands in encapsulated pixel data."""
    kept = b""
    for piece in _pieces(data_set, element):
        joined = kept + piece  # a header may stand in two fragments
        for match in _FRAME_HEADER.finditer(joined, 0, max(0, len(joined) - _FRAME.size + 2)):
            length, rows, columns, components = _FRAME.unpack_from(joined, match.start())
            if length == 8 + 3 * components:
                yield rows, columns, components
        for match in _IMAGE_HEADER.finditer(joined, 0, max(0, len(joined) - _IMAGE.size + 4)):
            right, bottom, left, top, components = _IMAGE.unpack_from(joined, match.start())
            yield bottom - top, right - left, components
        kept = joined[-(_IMAGE.size - 1) :]


def _pieces(data_set: EncodedDataSet, element: Element) -> Iterator[bytes]:
    for item in data_set.items(element):
        for offset in range(0, item.length or 0, _CHUNK):
            size = min(_CHUNK, (item.length or 0) - offset)
            yield data_set.read(Fragment(item.start + offset, size))
