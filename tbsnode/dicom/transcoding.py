"""Re-encodes an instance for a peer that takes nothing but Implicit VR Little Endian.

Values are copied, not interpreted: whatever a sender wrote arrives as it was written. Only
compressed pixel data are decoded, because the default transfer syntax has no form for them
(PS3.5 section 10.1).
"""

from __future__ import annotations

from pathlib import Path
from struct import pack
from typing import IO

from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from tbsnode.dicom import sop_classes, uids
from tbsnode.dicom.codestream import UndecodablePixels, require_modest
from tbsnode.dicom.encoded import Element, EncodedDataSet, Fragment, opened
from tbsnode.dicom.quiet import UNREADABLE, quiet_pydicom
from tbsnode.errors import UnsupportedInstance

_CHUNK = 1 << 20
_ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
_ITEM_END = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def reencode(source: Path, target: Path) -> None:
    """Write `source` again in Implicit VR Little Endian.

    Raises
    ------
    InvalidInstance
        If the source is broken.
    UnsupportedInstance
        If its pixel data cannot be decoded.
    """
    with opened(source) as data_set:
        syntax = data_set.meta.transfer_syntax_uid
        if sop_classes.compressed(syntax):
            _decode(data_set, source, target)
            return
        with target.open("wb") as out:
            out.write(_file_meta(data_set))
            _copy(data_set, None, out, 0)


def _file_meta(data_set: EncodedDataSet) -> bytes:
    elements = b"".join(
        pack("<HH2sH", 2, number, b"UI", len(value)) + value
        for number, value in (
            (0x0002, _padded(data_set.meta.sop_class_uid)),
            (0x0003, _padded(data_set.meta.sop_instance_uid)),
            (0x0010, _padded(sop_classes.IMPLICIT_VR_LITTLE_ENDIAN)),
            (0x0012, _padded(uids.IMPLEMENTATION_CLASS_UID)),
        )
    )
    version = pack("<HH2s2xL", 2, 1, b"OB", 2) + b"\0\1"
    length = pack("<HH2sHL", 2, 0, b"UL", 4, len(version) + len(elements))
    return bytes(128) + b"DICM" + length + version + elements


def _padded(uid: str) -> bytes:
    return uid.encode("ascii", "replace") + b"\0" * (len(uid) % 2)


def _copy(data_set: EncodedDataSet, within: Fragment | None, out: IO[bytes], depth: int) -> None:
    for element in data_set.elements(within, depth=depth):
        if element.tag & 0xFFFF == 0:
            continue  # group lengths are retired, and no longer true
        if element.vr == "SQ" or element.length is None:
            out.write(pack("<HHL", element.tag >> 16, element.tag & 0xFFFF, 0xFFFFFFFF))
            for item in data_set.items(element, depth=depth):
                out.write(_ITEM)
                _copy(data_set, item, out, depth + 1)
                out.write(_ITEM_END)
            out.write(_SEQUENCE_END)
        else:
            _copy_value(data_set, element, element.length, out)


def _copy_value(data_set: EncodedDataSet, element: Element, length: int, out: IO[bytes]) -> None:
    out.write(pack("<HHL", element.tag >> 16, element.tag & 0xFFFF, length + length % 2))
    for offset in range(0, length, _CHUNK):
        value = data_set.read(Fragment(element.start + offset, min(_CHUNK, length - offset)))
        out.write(data_set.little_endian(value, element.vr))
    out.write(b"\0" * (length % 2))


def _decode(encoded: EncodedDataSet, source: Path, target: Path) -> None:
    try:
        require_modest(encoded)
        with quiet_pydicom():
            data_set = dcmread(source)
            if "PixelData" in data_set:
                data_set.decompress(generate_instance_uid=False)
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID = data_set.SOPClassUID
            meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
            meta.TransferSyntaxUID = UID(sop_classes.IMPLICIT_VR_LITTLE_ENDIAN)
            meta.ImplementationClassUID = UID(uids.IMPLEMENTATION_CLASS_UID)
            data_set.file_meta = meta
            data_set.save_as(target, implicit_vr=True, little_endian=True, enforce_file_format=True)
    except (UndecodablePixels, *UNREADABLE) as error:
        raise UnsupportedInstance(
            "The pixel data cannot be decoded for a peer that takes only Implicit VR Little Endian."
        ) from error
