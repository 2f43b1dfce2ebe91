"""Part 10 bytes <-> data set: the one door through which DICOM files are read and written.

What comes in is never re-encoded: digest and comparison work on the received bytes, and what is
copied into our own instances is copied as bytes. What goes out is written here, the same bytes
for the same data set.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Literal

from pydicom import dcmwrite
from pydicom.charset import convert_encodings, decode_bytes, default_encoding, python_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from tbsnode.dicom import sop_classes, uids
from tbsnode.dicom.begun import Begun
from tbsnode.dicom.comparison import compare
from tbsnode.dicom.encoded import (
    PIXEL_DATA,
    PREAMBLE,
    EncodedDataSet,
    FileMeta,
    Fragment,
    opened,
    read_file_meta,
    require_whole,
)
from tbsnode.dicom.quiet import quiet_pydicom
from tbsnode.dicom.transcoding import reencode

__all__ = [
    "Header",
    "compare",
    "data_set_digest",
    "decoded",
    "encode",
    "header_in",
    "is_part10",
    "read_header",
    "reencode",
    "tag_of",
]

_CHUNK = 1 << 20
_MAX_VALUE = 1 << 16  # bytes; longer values are no part of a header
_CHARACTER_SET = 0x00080005
_ESCAPE = b"\x1b"  # code extensions are seven-bit too (PS3.5 6.1.2.5.3)
# C0 and C1 (of these, U+009B begins a command of a terminal), ends of lines and paragraphs, overrides
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CODECS = frozenset(python_encoding.values())
# delimiters that return to the first character set (PS3.5 6.1.2.5.3)
_TEXT_DELIMITERS = {0x0D, 0x0A, 0x09, 0x0C, ord("\\")}
_NAME_DELIMITERS = {ord("^"), ord("="), ord("\\")}


@dataclass(frozen=True, slots=True)
class Header:
    """The elements of a data set, or of one item, that stand before its pixels.

    Attributes
    ----------
    values : dict of int to bytes
        Encoded values by tag, up to 64 kB each.
    sequences : dict of int to tuple of Header
        Items by tag.
    encodings : tuple of str
        Python codecs of Specific Character Set, inherited by items.
    meta : FileMeta or None
        File Meta Information; None for an item.
    little_endian : bool
        Byte order of binary values.
    """

    values: dict[int, bytes]
    sequences: dict[int, tuple[Header, ...]] = field(default_factory=dict)
    encodings: tuple[str, ...] = ("iso8859",)
    meta: FileMeta | None = None
    little_endian: bool = True

    def raw(self, keyword: str) -> bytes:
        """Return the encoded value, empty where absent."""
        return self.values.get(tag_of(keyword), b"")

    def text(self, keyword: str) -> str:
        """Return the decoded, stripped text of an attribute, empty where absent.

        Control characters are dropped, and what ends a line or turns the direction of what follows: a text
        may become a line of a log, of a table or of a report.
        """
        raw = self.values.get(tag_of(keyword))
        if not raw:
            return ""
        if raw.isascii() and _ESCAPE not in raw:
            text = raw.decode("ascii")
        else:
            text = decoded(raw, self.encodings, name=keyword.endswith("Name"))
        if not text.isprintable():
            text = _UNSEEN.sub("", text)
        return text.strip()

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute that may have several, without empty ones."""
        text = self.text(keyword)
        return tuple(part.strip() for part in text.split("\\") if part.strip()) if text else ()

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return the values of a DS or IS attribute; none if one of them is not a finite number."""
        try:
            values = tuple(float(text) for text in self.texts(keyword))
        except ValueError:
            return ()
        return values if all(abs(value) < 1e18 for value in values) else ()

    def shorts(self, keyword: str) -> tuple[int, ...]:
        """Return the values of a US attribute."""
        raw = self.raw(keyword)
        order: Literal["little", "big"] = "little" if self.little_endian else "big"
        return tuple(int.from_bytes(raw[i : i + 2], order) for i in range(0, len(raw) - 1, 2))

    def items(self, keyword: str) -> tuple[Header, ...]:
        """Return the items of a sequence, none where absent."""
        return self.sequences.get(tag_of(keyword), ())


def is_part10(path: Path) -> bool:
    """Return True if it is a file that starts as PS3.10 demands: 128 bytes, then ``DICM``.

    A pipe would never begin, and a device never end: neither is opened.
    """
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        stream.seek(PREAMBLE)
        return stream.read(4) == b"DICM"


def decoded(raw: bytes, encodings: tuple[str, ...], *, name: bool) -> str:
    """Decode a text or a person name; bytes that its character set does not explain are taken as Latin-1."""
    with quiet_pydicom():
        try:
            return decode_bytes(raw, encodings, _NAME_DELIMITERS if name else _TEXT_DELIMITERS)
        except (UnicodeError, LookupError):
            return raw.decode("latin-1")


def read_header(path: Path, beginning: bytes = b"", size: int = 0) -> Header:
    """Read the elements before the pixel data, and see that the file is complete.

    Private elements and long values are passed over. Who knows the file's `beginning` and its `size` in
    bytes spares reading it back.

    Raises
    ------
    InvalidInstance
        If the file is no Part 10 file, or its data set is broken or truncated.
    UnsupportedInstance
        If its transfer syntax is not known here.
    """
    with opened(path, Begun(path, beginning, size) if beginning else None) as data_set:
        header = _header_of(data_set, None, ("iso8859",), 0)
        return Header(
            header.values,
            header.sequences,
            header.encodings,
            data_set.meta,
            data_set.byte_order == "little",
        )


def header_in(instance: bytes) -> Header:
    """Read the elements before the pixel data of a plain Part 10 file in memory, as `read_header` does.

    Raises
    ------
    InvalidInstance
        If it is no Part 10 file, or ends inside an element.
    """
    return _header_of(require_whole(instance), None, ("iso8859",), 0)


def data_set_digest(path: Path, meta: FileMeta | None = None) -> str:
    """Return the SHA-256 hex of the encoded data set: every byte after group 0002.

    File Meta Information is left out because each receiver writes its own; who has read it gives it.

    Raises
    ------
    InvalidInstance
        If the file is not a Part 10 file.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek((meta or read_file_meta(stream)).end)
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def is_as_received(path: Path, *, transfer_syntax_uid: str, data_set_sha256: str) -> bool:
    """Tell whether a file still has the data set that was received, and says truly how it is encoded.

    Raises
    ------
    InvalidInstance
        If the file is not a Part 10 file.
    """
    with path.open("rb") as stream:
        meta = read_file_meta(stream)
    return meta.transfer_syntax_uid == transfer_syntax_uid and data_set_digest(path, meta) == data_set_sha256


def encode(data_set: Dataset, *, version: str) -> bytes:
    """Write a data set as Part 10 bytes, Explicit VR Little Endian.

    Parameters
    ----------
    data_set : Dataset
        Complete, with SOP Class UID and SOP Instance UID.
    version : str
        Software version, for the Implementation Version Name.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    meta.TransferSyntaxUID = UID(sop_classes.EXPLICIT_VR_LITTLE_ENDIAN)
    meta.ImplementationClassUID = UID(uids.IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = uids.implementation_version_name(version)
    data_set.file_meta = meta
    buffer = BytesIO()
    with quiet_pydicom():
        character_set = data_set.get("SpecificCharacterSet")
        _as_encoded(data_set, convert_encodings(character_set) if character_set else default_encoding)
        dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def _as_encoded(data_set: Dataset, codecs: str | list[str]) -> None:
    """Declare the encoding that copied raw elements have, so that they are written as they are."""
    if data_set.original_encoding == (None, None):  # not read from a file
        data_set.set_original_encoding(False, True, codecs)
    for element in data_set.elements():
        if element.VR == "SQ" and isinstance(element, DataElement):
            for item in element.value:
                _as_encoded(item, default_encoding)


def _header_of(
    data_set: EncodedDataSet, within: Fragment | None, encodings: tuple[str, ...], depth: int
) -> Header:
    values: dict[int, bytes] = {}
    sequences: dict[int, tuple[Header, ...]] = {}
    for element in data_set.elements(within, depth=depth):
        if element.tag >= PIXEL_DATA or element.tag >> 16 & 1:
            continue
        if element.vr == "SQ":
            sequences[element.tag] = tuple(
                _header_of(data_set, item, encodings, depth + 1)
                for item in data_set.items(element, depth=depth)
            )
        elif element.length is not None and element.length <= _MAX_VALUE:
            values[element.tag] = data_set.read(element)
            if element.tag == _CHARACTER_SET:
                encodings = _codecs(values[element.tag])
    return Header(values, sequences, encodings, None, data_set.byte_order == "little")


def _codecs(character_set: bytes) -> tuple[str, ...]:
    terms = [term.strip() for term in character_set.decode("latin-1").strip("\0 ").split("\\")]
    with quiet_pydicom():
        try:
            found = tuple(convert_encodings(terms))
        except (LookupError, ValueError):
            return (default_encoding,)
    # pydicom also takes Python's own names of codecs, some of which decode more than text
    return found if _CODECS.issuperset(found) else (default_encoding,)


@cache
def tag_of(keyword: str) -> int:
    """Return the tag of an attribute that the data dictionary knows."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag
