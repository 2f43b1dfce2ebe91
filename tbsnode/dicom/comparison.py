"""Tells whether two instances are the same, whatever transfer syntax each came in.

A PACS router may compress what the scanner sent plain, so equal instances need not have equal
bytes. Elements are compared by value; pixel data by the pixels they decode to, frame by frame, so
that two large instances never lie in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydicom import dcmread
from pydicom.pixels.utils import iter_pixels

from tbsnode.dicom import sop_classes
from tbsnode.dicom.codestream import UndecodablePixels, require_modest
from tbsnode.dicom.encoded import PIXEL_DATA, Element, EncodedDataSet, Fragment, opened
from tbsnode.dicom.quiet import UNREADABLE, quiet_pydicom

Difference = Literal["equal", "header", "pixels"]
_Readable = tuple[EncodedDataSet, Path]

_CHUNK = 1 << 20
# Float and Double Float Pixel Data, Pixel Data, Encapsulated Document, Spectroscopy Data
_BULK = frozenset([0x7FE00008, 0x7FE00009, PIXEL_DATA, 0x00420011, 0x56000020])
_TRAILING_PADDING = 0xFFFCFFFC
# A lossless encoder may change photometric interpretation and planar configuration (PS3.5 8.2), and
# says that it was there in Derivation Description or Code; the decoded samples are the same.
_PIXEL_FORM = frozenset([0x00280004, 0x00280006, 0x00082111, 0x00089215])
# padding at the end of these means nothing
_TEXT_VRS = frozenset(
    ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"]
)


def compare(a: Path, b: Path) -> Difference:
    """Compare two Part 10 files by their decoded data sets, private elements included.

    Parameters
    ----------
    a, b : Path
        Files; their transfer syntaxes may differ. File Meta Information, group lengths and
        trailing padding are not compared.

    Returns
    -------
    str
        ``"equal"``; ``"header"``: the pixels or the document are the same, something else is not;
        ``"pixels"``: they are not the same, or could not be decoded for comparison.

    Raises
    ------
    InvalidInstance, UnsupportedInstance
        If one of them cannot be read.
    """
    with opened(a) as first, opened(b) as second:
        pixels = _Bulk(first, second, a, b)
        if not pixels.equal():
            return "pixels"
        ignored = _PIXEL_FORM if pixels.recompressed else frozenset()
        return "equal" if _equal_elements(first, second, (None, None), ignored, 0) else "header"


class _Bulk:
    """The pixel data or documents of two data sets."""

    def __init__(self, a: EncodedDataSet, b: EncodedDataSet, path_a: Path, path_b: Path) -> None:
        self.a, self.b, self.readable = a, b, ((a, path_a), (b, path_b))
        syntaxes = (a.meta.transfer_syntax_uid, b.meta.transfer_syntax_uid)
        self.recompressed = syntaxes[0] != syntaxes[1] and any(map(sop_classes.compressed, syntaxes))

    def equal(self) -> bool:
        bulk_a = {e.tag: e for e in self.a.elements() if e.tag in _BULK}
        bulk_b = {e.tag: e for e in self.b.elements() if e.tag in _BULK}
        if bulk_a.keys() != bulk_b.keys():
            return False
        return all(self._equal_element(bulk_a[tag], bulk_b[tag]) for tag in bulk_a)

    def _equal_element(self, a: Element, b: Element) -> bool:
        if a.length is not None and b.length is not None and self.a.byte_order == self.b.byte_order:
            return _equal_streams(self.a, self.b, a, b)
        if a.length is None and b.length is None and not self.recompressed:
            fragments = zip_longest(self.a.items(a), self.b.items(b))
            # the first fragment is the Basic Offset Table, which a writer may leave empty
            next(fragments, None)
            if all(x and y and self.a.read(x) == self.b.read(y) for x, y in fragments):
                return True
        return a.tag == PIXEL_DATA and _equal_frames(*self.readable)


def _equal_streams(a: EncodedDataSet, b: EncodedDataSet, of_a: Element, of_b: Element) -> bool:
    if of_a.length != of_b.length:
        return False
    for offset in range(0, of_a.length or 0, _CHUNK):
        size = min(_CHUNK, (of_a.length or 0) - offset)
        if a.read(Fragment(of_a.start + offset, size)) != b.read(Fragment(of_b.start + offset, size)):
            return False
    return True


def _equal_frames(a: _Readable, b: _Readable) -> bool:
    try:
        for data_set, _ in (a, b):
            require_modest(data_set)
        with quiet_pydicom():
            frames = zip_longest(_frames(*a), _frames(*b))
            return all(x is not None and y is not None and np.array_equal(x, y) for x, y in frames)
    except (UndecodablePixels, *UNREADABLE):
        # not decodable here: whether they are the same is for a person to say
        return False


def _frames(data_set: EncodedDataSet, path: Path) -> Iterator[Any]:
    # pydicom inflates no file from which it reads one frame after the other
    deflated = data_set.meta.transfer_syntax_uid == sop_classes.DEFLATED
    return iter_pixels(dcmread(path) if deflated else path, raw=True)


def _equal_elements(
    a: EncodedDataSet,
    b: EncodedDataSet,
    within: tuple[Fragment | None, Fragment | None],
    ignored: frozenset[int],
    depth: int,
) -> bool:
    skip = ignored | _BULK | {_TRAILING_PADDING}
    of_a, of_b = (
        {e.tag: e for e in d.elements(item, depth=depth) if e.tag not in skip and e.tag & 0xFFFF}
        for d, item in ((a, within[0]), (b, within[1]))
    )
    if of_a.keys() != of_b.keys():
        return False
    return all(_equal_values(a, b, of_a[tag], of_b[tag], depth) for tag in of_a)


def _equal_values(a: EncodedDataSet, b: EncodedDataSet, of_a: Element, of_b: Element, depth: int) -> bool:
    # an implicit encoding does not say what a private element is; the other side may
    vr = of_b.vr if of_a.vr == "UN" else of_a.vr
    if vr == "SQ" or of_a.length is None or of_b.length is None:
        items = zip_longest(a.items(of_a, depth=depth), b.items(of_b, depth=depth))
        return all(x and y and _equal_elements(a, b, (x, y), frozenset(), depth + 1) for x, y in items)
    if vr not in _TEXT_VRS and a.byte_order == b.byte_order:
        return _equal_streams(a, b, of_a, of_b)
    value_a, value_b = (_canonical(d, e, vr) for d, e in ((a, of_a), (b, of_b)))
    return value_a == value_b


def _canonical(data_set: EncodedDataSet, element: Element, vr: str) -> bytes:
    value = data_set.read(element)
    if vr in _TEXT_VRS:
        return value.rstrip(b"\0 ")
    return data_set.little_endian(value, vr)
