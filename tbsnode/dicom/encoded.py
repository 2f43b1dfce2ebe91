"""The encoded data set of a Part 10 file, walked element by element without being loaded.

Intake must tell a whole instance from a truncated one before it answers Success, must not be
killed by a hostile length, and must hold a 1 GB instance in little memory. A general reader loads
values, accepts an element that ends after the file does, and recurses as deep as it is told. So
the structure (PS3.5 section 7) is walked here with seeks and limits, thread-safe and without
settings; pydicom decodes pixels, knows the dictionary and writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from struct import Struct
from typing import Literal, NamedTuple

import numpy as np
from pydicom.datadict import dictionary_VR, keyword_for_tag

from tbsnode.dicom import sop_classes
from tbsnode.dicom.begun import Begun, Seekable
from tbsnode.dicom.inflating import inflated
from tbsnode.errors import InvalidInstance, UnsupportedInstance

PIXEL_DATA = 0x7FE00010
PREAMBLE = 128
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_SHORTEST_HEAD, _LONGEST_HEAD = 8, 12  # tag, VR, reserved bytes and length
_WINDOW_BYTES = 1 << 14  # read at once: most headers lie in it, and are walked without a call to the file
_ENDS_EARLY = "The data set is truncated: it ends inside a data element."
# PS3.5 7.1.2: these have a 32-bit length field in Explicit VR
_LONG_VRS = frozenset(
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"]
)
# PS3.5 7.3: bytes of one number, for the VRs whose bytes depend on the byte order
_WORD_SIZE = {
    "AT": 2, "OW": 2, "SS": 2, "US": 2, "FL": 4, "OF": 4, "OL": 4, "SL": 4, "UL": 4,
    "FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8,
}  # fmt: skip
_MAX_DEPTH = 32  # sequences in sequences; SR trees have about ten
_MAX_ELEMENTS = 100_000  # in one data set or item
_MAX_ITEMS = 1_000_000  # items or fragments in one element
_MAX_PARTS = 500_000  # headers of elements and items read in one walk: seconds, and 100 MB of a Header


class Element(NamedTuple):
    """Where one data element's value lies.

    Attributes
    ----------
    tag : int
        Group and element number.
    vr : str
        Explicit VR, or the dictionary's where the encoding has none; ``"UN"`` where unknown.
    start : int
        Position of the value.
    length : int or None
        Bytes of the value; None where it is undefined (a sequence or fragments follow).
    """

    tag: int
    vr: str
    start: int
    length: int | None


class Fragment(NamedTuple):
    """One item of a sequence, or one fragment of encapsulated pixel data."""

    start: int
    length: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMeta:
    """File Meta Information (PS3.10 section 7.1), text of the elements that matter.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, transfer_syntax_uid, implementation_class_uid : str
        As written; empty where absent. Not validated.
    end : int
        Position of the first byte after group 0002.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    implementation_class_uid: str
    end: int


def name_of(tag: int) -> str:
    """Return the keyword of a tag, or its number where the dictionary has none.

    Examples
    --------
    >>> name_of(0x7FE00010), name_of(0x00191000)
    ('PixelData', '(0019,1000)')
    """
    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def dictionary_vr(tag: int) -> str:
    """Return the VR that the data dictionary gives, ``"UN"`` where it gives none.

    Where the dictionary leaves a choice (``"US or SS"``) the first is returned.
    """
    if tag & 0xFFFF == 0:
        return "UL"
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"


class EncodedDataSet:
    """Walks one encoded data set (PS3.5 section 7).

    Parameters
    ----------
    stream : binary file
        Seekable.
    meta : FileMeta
        What the file says about it.
    span : tuple of int
        Start and end of the data set in `stream`.
    explicit, little_endian : bool
        How it is encoded.

    Attributes
    ----------
    parts : int
        Headers of elements and items read so far; limited.
    """

    def __init__(
        self, stream: Seekable, meta: FileMeta, span: tuple[int, int], *, explicit: bool, little_endian: bool
    ) -> None:
        self.stream = stream
        self.meta = meta
        self.start, self.end = span
        self.explicit = explicit
        self.byte_order: Literal["little", "big"] = "little" if little_endian else "big"
        # group, element, VR and short length, at once: this is read for each element of what arrives
        self._head = Struct("<HH2sH" if little_endian else ">HH2sH")
        stream.seek(0)
        self._window = stream.read(_WINDOW_BYTES)
        self.parts = 0
        self._ends: dict[int, int] = {}  # of sequences of undefined length: walked once, however deep

    def elements(self, within: Fragment | None = None, *, depth: int = 0) -> Iterator[Element]:
        """Yield the elements of the data set or of one item, in the order of the file.

        Raises
        ------
        InvalidInstance
            If the structure is broken or ends too early.
        """
        position = self.start if within is None else within.start
        end = self.end
        if within is not None and within.length is not None:
            end = within.start + within.length
        open_ended = within is not None and within.length is None
        for _ in range(_MAX_ELEMENTS):
            # fewer bytes than a header at the very end: senders pad
            if position + 8 > end and not open_ended:
                return
            element = self._element(position)
            if element.tag == _ITEM_END or (element.tag == 0 and within is None):
                return
            yield element
            start, length = element.start, element.length
            position = self._after(element, depth) if length is None else start + length
        raise InvalidInstance("The data set has more elements than any instance needs.")

    def items(self, element: Element, *, depth: int = 0) -> Iterator[Fragment]:
        """Yield the items of a sequence, or the fragments of encapsulated pixel data."""
        _require_depth(depth)
        position = element.start
        end = None if element.length is None else element.start + element.length
        for _ in range(_MAX_ITEMS):
            if end is not None and position >= end:
                return
            item = self._item(element, position)
            if item is None:
                return
            yield item
            position = self._after_item(item, depth + 1)
        raise InvalidInstance(f"{name_of(element.tag)} has more items than any instance needs.")

    def read(self, part: Element | Fragment) -> bytes:
        """Return the value of an element of defined length."""
        if part.length is None:
            raise InvalidInstance("A value of undefined length was met where none may be.")
        return self._bytes(part.start, part.length)

    def little_endian(self, value: bytes, vr: str) -> bytes:
        """Return a value as Little Endian would encode it."""
        size = _WORD_SIZE.get(vr, 1)
        if self.byte_order == "little" or size == 1:
            return value
        words = len(value) // size * size
        return np.frombuffer(value[:words], dtype=f"u{size}").byteswap().tobytes() + value[words:]

    def after(self, element: Element) -> int:
        """Return the position of the first byte after the element."""
        return self._after(element, 0)

    def _after(self, element: Element, depth: int) -> int:
        if element.length is not None:
            return element.start + element.length
        if element.start in self._ends:
            return self._ends[element.start]
        position = element.start
        for _ in range(_MAX_ITEMS):
            item = self._item(element, position)
            if item is None:
                self._ends[element.start] = position + 8
                return position + 8
            position = self._after_item(item, depth + 1)
        raise InvalidInstance(f"{name_of(element.tag)} has more items than any instance needs.")

    def _after_item(self, item: Fragment, depth: int) -> int:
        if item.length is not None:
            self._require(item.start + item.length, _ITEM)
            return item.start + item.length
        _require_depth(depth)
        position = item.start
        for _ in range(_MAX_ELEMENTS):
            element = self._element(position)
            if element.tag == _ITEM_END:
                return element.start
            position = self._after(element, depth)
        raise InvalidInstance("An item has more elements than any instance needs.")

    def _item(self, element: Element, position: int) -> Fragment | None:
        """Return the item at `position`, None at the end of the sequence."""
        self._count()
        tag = self._number(position, 2) << 16 | self._number(position + 2, 2)
        length = self._number(position + 4, 4)
        if tag == _SEQUENCE_END:
            return None
        if tag != _ITEM:
            raise InvalidInstance(f"{name_of(element.tag)} has something that is not an item.")
        return Fragment(position + 8, None if length == _UNDEFINED else length)

    def _element(self, position: int) -> Element:
        self._count()
        head, at = self._window, position
        if at + _LONGEST_HEAD > len(head):
            head, at = self._bytes(position, _LONGEST_HEAD), 0
            if len(head) < _SHORTEST_HEAD:
                raise InvalidInstance(_ENDS_EARLY)
        group, number, vr, length = self._head.unpack_from(head, at)
        tag, start = group << 16 | number, position + 8
        if group == 0xFFFE:
            return Element(tag, "UN", start, 0)
        # some writers fall back to Implicit VR inside sequences
        if not (self.explicit and vr.isalpha() and vr.isupper()):
            length, name = self._value(head, at + 4, 4), dictionary_vr(tag)
        else:
            name = vr.decode("ascii")
            if vr in _LONG_VRS:
                length, start = self._value(head, at + 8, 4), position + 12
        if length == _UNDEFINED:
            return Element(tag, name, start, None)
        self._require(start + length, tag)
        return Element(tag, name, start, length)

    def _count(self) -> None:
        self.parts += 1
        if self.parts > _MAX_PARTS:
            raise InvalidInstance("The data set has more elements and items than any instance needs.")

    def _require(self, end: int, tag: int) -> None:
        # one byte is forgiven to writers that forget to pad the last value
        if end > self.end + (tag == PIXEL_DATA):
            raise InvalidInstance(
                f"The data set is truncated: it ends inside {name_of(tag)}.", keyword=name_of(tag)
            )

    def _number(self, position: int, size: int) -> int:
        return self._value(self._bytes(position, size), 0, size)

    def _bytes(self, position: int, size: int) -> bytes:
        end = position + size
        if end <= len(self._window):
            return self._window[position:end]
        self.stream.seek(position)
        return self.stream.read(size)

    def _value(self, data: bytes, at: int, size: int) -> int:
        if len(data) < at + size:
            raise InvalidInstance(_ENDS_EARLY)
        return int.from_bytes(data[at : at + size], self.byte_order)


def _require_depth(depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise InvalidInstance("The data set nests sequences deeper than any instance needs.")


def read_file_meta(stream: Seekable) -> FileMeta:
    """Read group 0002, which is always Explicit VR Little Endian (PS3.10 section 7.1).

    Raises
    ------
    InvalidInstance
        If the stream is not a Part 10 file.
    """
    stream.seek(PREAMBLE)
    if stream.read(4) != b"DICM":
        raise InvalidInstance("This is not a DICOM Part 10 file: the prefix DICM is missing.")
    size = stream.seek(0, os.SEEK_END)
    empty = FileMeta(
        sop_class_uid="", sop_instance_uid="", transfer_syntax_uid="", implementation_class_uid="", end=0
    )
    walker = EncodedDataSet(stream, empty, (PREAMBLE + 4, size), explicit=True, little_endian=True)
    values: dict[int, str] = {}
    position = walker.start
    while position + 8 <= size and walker._number(position, 2) == 2:
        element = walker._element(position)
        if element.length is not None and element.length <= 1024:
            values[element.tag] = walker.read(element).rstrip(b"\0 ").decode("ascii", "replace").strip()
        position = walker.after(element)
    return FileMeta(
        sop_class_uid=values.get(0x00020002, ""),
        sop_instance_uid=values.get(0x00020003, ""),
        transfer_syntax_uid=values.get(0x00020010, ""),
        implementation_class_uid=values.get(0x00020012, ""),
        end=position,
    )


def require_whole(part10: bytes) -> EncodedDataSet:
    """Walk a plain Part 10 file from end to end, and return its data set.

    Raises
    ------
    InvalidInstance
        If it ends inside an element; a reader may take what is there for all there was.
    """
    stream = BytesIO(part10)
    meta = read_file_meta(stream)
    data_set = _data_set(stream, meta, meta.end)
    for _ in data_set.elements():
        pass
    if not meta.transfer_syntax_uid:
        raise InvalidInstance("The file names no transfer syntax.", keyword="TransferSyntaxUID")
    return data_set


@contextmanager
def opened(path: Path, begun: Begun | None = None) -> Iterator[EncodedDataSet]:
    """Open the data set of a Part 10 file for walking, as it has begun; inflate it where it is deflated.

    Raises
    ------
    InvalidInstance
        If the file is not a Part 10 file or names no transfer syntax.
    UnsupportedInstance
        If the transfer syntax is not one of `sop_classes.TRANSFER_SYNTAXES`.
    """
    with closing(begun or path.open("rb")) as stream:
        meta = read_file_meta(stream)
        syntax = meta.transfer_syntax_uid
        if not syntax:
            raise InvalidInstance("The file names no transfer syntax.", keyword="TransferSyntaxUID")
        if syntax not in sop_classes.TRANSFER_SYNTAXES:
            raise UnsupportedInstance("The transfer syntax is not supported.", keyword="TransferSyntaxUID")
        if syntax == sop_classes.DEFLATED:
            with inflated(stream, meta.end) as plain:
                yield _data_set(plain, meta, 0)
        else:
            yield _data_set(stream, meta, meta.end)


def _data_set(stream: Seekable, meta: FileMeta, start: int) -> EncodedDataSet:
    size = stream.seek(0, os.SEEK_END)
    explicit = meta.transfer_syntax_uid != sop_classes.IMPLICIT_VR_LITTLE_ENDIAN
    little_endian = meta.transfer_syntax_uid != sop_classes.EXPLICIT_VR_BIG_ENDIAN
    if not explicit:
        # some files say Implicit and are Explicit: the first element of a data set is short,
        # so two capitals where its length belongs cannot be a length
        stream.seek(start + 4)
        explicit = stream.read(2) in (b"CS", b"UI", b"DA", b"TM", b"UL", b"SH", b"LO")
    return EncodedDataSet(stream, meta, (start, size), explicit=explicit, little_endian=little_endian)
