"""C-STORE requests to files: the data set goes to disk as it arrives, in constant memory.

pynetdicom can do this too, but in the system's temporary folder, and a request without SOP
Instance UID ends its thread. Here a request becomes a `Stored`, complete or with the error that
answers it, or `ProtocolViolation` ends the association.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from uuid import uuid4

from tbsnode.errors import InvalidInstance, ResourceError, StorageFull, TbsNodeError, UnsupportedInstance
from tbsnode.net import upper_layer

# Command elements (0000,eeee), PS3.7 E.1.
AFFECTED_SOP_CLASS_UID = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_RESPONDED_TO = 0x0120
DATA_SET_TYPE = 0x0800
STATUS = 0x0900
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE_UID = 0x1000
MOVE_ORIGINATOR_AE_TITLE = 0x1030

C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
_RESPONSE = 0x8000
NO_DATA_SET = 0x0101

_BEGINNING_BYTES = 1 << 14  # most headers lie in it

# Enough for safe file names and rows; whether the UID is conformant is judged by the taker.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


class ProtocolViolation(Exception):
    """The peer does not speak DIMSE; the association is aborted."""


@dataclass(slots=True)
class Stored:
    """A C-STORE request as received.

    Attributes
    ----------
    message_id : int
        To be answered.
    sop_class_uid, sop_instance_uid : str
        As the command names them; empty where they are no UIDs.
    error : TbsNodeError or None
        Why it cannot be stored; then there is no file.
    path : Path or None
        The complete Part 10 file.
    transfer_syntax_uid : str
        Of the presentation context.
    move_originator : str
        Move Originator AE Title: whose C-MOVE this is a sub-operation of; empty where it is none.
    data_set_sha256 : str
        Digest of the data set as it came.
    beginning : bytes
        The first bytes of the file: whoever reads its header need not read them back.
    size_bytes : int
        Of the file.
    """

    message_id: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    error: TbsNodeError | None = None
    path: Path | None = None
    transfer_syntax_uid: str = ""
    move_originator: str = ""
    data_set_sha256: str = ""
    beginning: bytes = field(default=b"", repr=False)  # names the patient
    size_bytes: int = 0


def parse_command(encoded: bytes) -> dict[int, bytes]:
    """Return the values of a command set by element number.

    Raises
    ------
    ProtocolViolation
        If it is not elements of group 0000 in Implicit VR Little Endian (PS3.7 6.3.1), or a
        number that every command needs is missing.
    """
    values: dict[int, bytes] = {}
    position = 0
    while position < len(encoded):
        if len(encoded) - position < 8:
            raise ProtocolViolation("the command set ends in the middle of an element")
        group, element, length = struct.unpack_from("<HHL", encoded, position)
        position += 8
        if group != 0 or length > len(encoded) - position:
            raise ProtocolViolation("the command set is not elements of group 0000")
        values[element] = encoded[position : position + length]
        position += length
    if any(len(values.get(needed, b"")) != 2 for needed in (COMMAND_FIELD, DATA_SET_TYPE)):
        raise ProtocolViolation("the command set has no Command Field or no Command Data Set Type")
    return values


def number(command: dict[int, bytes], element: int) -> int | None:
    """Return an unsigned short of a command set, None where it has none."""
    value = command.get(element, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None


def text(command: dict[int, bytes], element: int) -> str:
    """Return a UID or an AE title of a command set without its padding."""
    return command.get(element, b"").decode("ascii", "replace").rstrip("\0 ")


def is_safe_uid(uid: str) -> bool:
    """Return True for at most 64 digits and periods that look like a UID."""
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return the encoded File Meta Information (PS3.10 table 7.1-1).

    By hand like `encode_response`: with pydicom the two are a third of the time of a C-STORE.
    """
    elements = struct.pack("<HH2sxxL2s", 0x0002, 0x0001, b"OB", 2, b"\x00\x01")
    for element, vr, value in (
        (0x0002, b"UI", sop_class_uid),
        (0x0003, b"UI", sop_instance_uid),
        (0x0010, b"UI", transfer_syntax_uid),
        (0x0012, b"UI", upper_layer.IMPLEMENTATION_CLASS_UID),
        (0x0013, b"SH", upper_layer.IMPLEMENTATION_VERSION_NAME),
    ):
        padded = _even(value, b"\0" if vr == b"UI" else b" ")
        elements += struct.pack("<HH2sH", 0x0002, element, vr, len(padded)) + padded
    return struct.pack("<HH2sHL", 0x0002, 0x0000, b"UL", 4, len(elements)) + elements


def encode_response(field: int, message_id: int, uids: tuple[str, str], answer: tuple[int, str]) -> bytes:
    """Return the encoded command set of a C-STORE-RSP or C-ECHO-RSP (PS3.7 tables 9.3-2 and 9.3-13).

    Parameters
    ----------
    field : int
        Command Field of the request.
    message_id : int
        Its Message ID.
    uids : tuple of str
        Affected SOP Class UID and Affected SOP Instance UID; empty ones are left out.
    answer : tuple
        Status and Error Comment; an empty comment is left out.
    """
    fields: list[tuple[int, bytes]] = [
        (AFFECTED_SOP_CLASS_UID, _even(uids[0])),
        (COMMAND_FIELD, struct.pack("<H", field | _RESPONSE)),
        (MESSAGE_ID_RESPONDED_TO, struct.pack("<H", message_id)),
        (DATA_SET_TYPE, struct.pack("<H", NO_DATA_SET)),
        (STATUS, struct.pack("<H", answer[0])),
        (ERROR_COMMENT, _even(answer[1], b" ")),
        (AFFECTED_SOP_INSTANCE_UID, _even(uids[1])),
    ]
    encoded = b"".join(
        struct.pack("<HHL", 0, element, len(value)) + value for element, value in fields if value
    )
    return struct.pack("<HHLL", 0, 0, 4, len(encoded)) + encoded


def _even(value: str, padding: bytes = b"\0") -> bytes:
    encoded = value.encode("ascii", "replace")
    return encoded + padding if len(encoded) % 2 else encoded


class Receipt:
    """One C-STORE request being received.

    Parameters
    ----------
    command : dict
        Its command set.
    sop_class_uid : str
        Abstract syntax of its presentation context.
    transfer_syntax_uid : str
        Transfer syntax of its presentation context.
    folder : Path
        Where its file grows.
    """

    def __init__(
        self, command: dict[int, bytes], sop_class_uid: str, transfer_syntax_uid: str, folder: Path
    ) -> None:
        message_id = number(command, MESSAGE_ID)
        if message_id is None:
            raise ProtocolViolation("the C-STORE request has no Message ID, so it cannot be answered")
        self._store = Stored(message_id, transfer_syntax_uid=transfer_syntax_uid)
        self._digest = hashlib.sha256()
        self._beginning = bytearray()
        self._file: IO[bytes] | None = None
        self._store.move_originator = text(command, MOVE_ORIGINATOR_AE_TITLE).strip()
        self._store.error = self._identify(command, sop_class_uid)
        if self._store.error is None:
            self._open(folder)

    def _identify(self, command: dict[int, bytes], context_class: str) -> TbsNodeError | None:
        sop_class_uid = text(command, AFFECTED_SOP_CLASS_UID)
        sop_instance_uid = text(command, AFFECTED_SOP_INSTANCE_UID)
        self._store.sop_class_uid = sop_class_uid if is_safe_uid(sop_class_uid) else ""
        self._store.sop_instance_uid = sop_instance_uid if is_safe_uid(sop_instance_uid) else ""
        if not self._store.sop_instance_uid:
            return InvalidInstance(keyword="AffectedSOPInstanceUID")
        if sop_class_uid != context_class:
            return UnsupportedInstance("The SOP class is not that of the presentation context.")
        if number(command, DATA_SET_TYPE) == NO_DATA_SET:
            return InvalidInstance("The request has no data set.")
        return None

    def _open(self, folder: Path) -> None:
        meta = file_meta(
            self._store.sop_class_uid, self._store.sop_instance_uid, self._store.transfer_syntax_uid
        )
        path = folder / f"{uuid4().hex}.part"  # a name that no other process gives, nor gave
        try:
            # Unbuffered: fragments are large, and a full disk shows where it is written.
            self._file = path.open("xb", buffering=0)
            self._store.path = path
            self._write_all(memoryview(bytes(128) + b"DICM" + meta))
        except OSError as error:
            self._fail(error)

    def write(self, fragment: memoryview) -> None:
        """Add a piece of the data set; after a failure it is only read past."""
        if self._file is not None:
            self._digest.update(fragment)
            try:
                self._write_all(fragment)
            except OSError as error:
                self._fail(error)

    def _write_all(self, data: memoryview) -> None:
        assert self._file is not None
        self._store.size_bytes += len(data)
        if (missing := _BEGINNING_BYTES - len(self._beginning)) > 0:
            self._beginning += data[:missing]
        while data:
            data = data[self._file.write(data) :]

    def complete(self) -> Stored:
        """Return the request: with its file, or with the error that answers it."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._fail(error)
        self._file = None
        self._store.data_set_sha256 = self._digest.hexdigest()
        self._store.beginning = bytes(self._beginning)
        return self._store

    def discard(self) -> None:
        """Remove what was received of an unfinished request."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        if self._store.path is not None:
            self._store.path.unlink(missing_ok=True)
            self._store.path = None

    def _fail(self, error: OSError) -> None:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        self._store.error = StorageFull() if full else ResourceError("The incoming folder is not writable.")
        self.discard()
