"""Protocol data units of the upper layer as bytes, as far as an ordinary association has them (PS3.8 9.3)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tbsnode.net import upper_layer
from tbsnode.net.receipt import ProtocolViolation

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

# Result of a presentation context, PS3.8 table 9-18.
ACCEPTED, ABSTRACT_SYNTAX_NOT_SUPPORTED, TRANSFER_SYNTAXES_NOT_SUPPORTED = 0, 3, 4

HEADER_BYTES = 6
_FIXED = 68  # of an A-ASSOCIATE-RQ or -AC, before its items
_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_APPLICATION, _PROPOSED, _ANSWERED, _ABSTRACT, _TRANSFER, _USER = 0x10, 0x20, 0x21, 0x30, 0x40, 0x50
_MAXIMUM_LENGTH, _CLASS_UID, _ASYNCHRONOUS, _VERSION_NAME = 0x51, 0x52, 0x53, 0x55
# An operations window may be proposed to anybody; not answered, it is 1 (PS3.7 D.3.3.3).
_ORDINARY = frozenset({_MAXIMUM_LENGTH, _CLASS_UID, _ASYNCHRONOUS, _VERSION_NAME})
_UID = re.compile(rb"[0-9.]{1,64}")
_AE_TITLE = re.compile(rb"[ -\[\]-~]{16}")  # PS3.5 6.2: printable, no backslash


@dataclass(frozen=True, slots=True)
class Proposed:
    """A presentation context as proposed."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a proposed presentation context; `result` as in PS3.8 table 9-18."""

    context_id: int
    abstract_syntax: str
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Request:
    """An ordinary A-ASSOCIATE-RQ.

    Attributes
    ----------
    calling_ae_title, called_ae_title : str
        Without padding.
    contexts : tuple of Proposed
        In the order of the request.
    fixed : bytes
        What the answer repeats: protocol version, titles and reserved bytes (PS3.8 table 9-17).
    """

    calling_ae_title: str
    called_ae_title: str
    contexts: tuple[Proposed, ...]
    fixed: bytes


class _Unusual(Exception):
    """The request is not what this module reads."""


def encoded(kind: int, body: bytes) -> bytes:
    """Return a PDU."""
    return struct.pack(">BxL", kind, len(body)) + body


RELEASE_REPLY = encoded(RELEASE_RP, bytes(4))


def abort(source: int, reason: int = 0) -> bytes:
    """Return an A-ABORT (PS3.8 table 9-26)."""
    return encoded(ABORT, bytes((0, 0, source, reason)))


def reject(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    return encoded(ASSOCIATE_RJ, bytes((0, result, source, reason)))


def read_request(body: memoryview) -> Request | None:
    """Read an A-ASSOCIATE-RQ that asks for services and nothing else.

    Parameters
    ----------
    body : memoryview
        The PDU without its header.

    Returns
    -------
    Request or None
        None where it negotiates more (roles, user identity, extended negotiation), or breaks a rule.
    """
    try:
        return _request(body)
    except (_Unusual, struct.error):
        return None


def _request(body: memoryview) -> Request:
    fixed = bytes(body[:_FIXED])
    called, calling = fixed[4:20], fixed[20:36]
    _require(len(fixed) == _FIXED and bool(fixed[1] & 1))
    _require(_AE_TITLE.fullmatch(called) is not None and _AE_TITLE.fullmatch(calling) is not None)
    contexts: list[Proposed] = []
    once: list[int] = []
    for kind, value in _items(body[_FIXED:]):
        if kind == _PROPOSED:
            contexts.append(_proposed(value))
            continue
        once.append(kind)
        if kind == _APPLICATION:
            _require(bytes(value) == _APPLICATION_CONTEXT)
        else:
            _require(kind == _USER)
            _require_ordinary(value)
    _require(sorted(once) == [_APPLICATION, _USER])
    _require(0 < len(contexts) == len({each.context_id for each in contexts}))
    return Request(
        calling_ae_title=calling.decode("ascii").strip(),
        called_ae_title=called.decode("ascii").strip(),
        contexts=tuple(contexts),
        fixed=fixed,
    )


def _require(holds: bool) -> None:
    if not holds:
        raise _Unusual


def _items(encoded_items: memoryview) -> Iterator[tuple[int, memoryview]]:
    position = 0
    while position < len(encoded_items):
        kind, length = struct.unpack_from(">BxH", encoded_items, position)
        position += 4
        _require(length <= len(encoded_items) - position)
        yield kind, encoded_items[position : position + length]
        position += length


def _proposed(value: memoryview) -> Proposed:
    _require(len(value) > 4 and value[0] % 2 == 1)
    abstract: list[str] = []
    transfer: list[str] = []
    for kind, sub in _items(value[4:]):
        _require(kind in (_ABSTRACT, _TRANSFER))
        uid = bytes(sub)
        _require(_UID.fullmatch(uid) is not None)
        (abstract if kind == _ABSTRACT else transfer).append(uid.decode("ascii"))
    _require(len(abstract) == 1 and bool(transfer))
    return Proposed(value[0], abstract[0], tuple(transfer))


def _require_ordinary(user_information: memoryview) -> None:
    kinds = [kind for kind, value in _items(user_information) if kind != _MAXIMUM_LENGTH or len(value) == 4]
    _require(kinds.count(_MAXIMUM_LENGTH) == kinds.count(_CLASS_UID) == 1 and _ORDINARY.issuperset(kinds))


def accept(request: Request, answers: Sequence[Answered], maximum_length: int) -> bytes:
    """Return the A-ASSOCIATE-AC that answers a request (PS3.8 table 9-17).

    Parameters
    ----------
    request : Request
        As read.
    answers : sequence of Answered
        One for each proposed presentation context.
    maximum_length : int
        Largest P-DATA that we take [bytes].
    """
    items = [_item(_APPLICATION, _APPLICATION_CONTEXT)]
    for each in answers:
        transfer_syntax = _item(_TRANSFER, each.transfer_syntax.encode("ascii"))
        items.append(_item(_ANSWERED, bytes((each.context_id, 0, each.result, 0)) + transfer_syntax))
    ourselves = (
        _item(_MAXIMUM_LENGTH, struct.pack(">L", maximum_length)),
        _item(_CLASS_UID, upper_layer.IMPLEMENTATION_CLASS_UID.encode("ascii")),
        _item(_VERSION_NAME, upper_layer.IMPLEMENTATION_VERSION_NAME.encode("ascii")),
    )
    items.append(_item(_USER, b"".join(ourselves)))
    return encoded(ASSOCIATE_AC, request.fixed + b"".join(items))


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def data(context_id: int, fragment: bytes) -> bytes:
    """Return a P-DATA-TF with one fragment, message control header included."""
    return encoded(P_DATA, struct.pack(">LB", len(fragment) + 1, context_id) + fragment)


def fragments(body: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield context ID and fragment, message control header included, of a P-DATA-TF (PS3.8 9.3.5).

    Raises
    ------
    ProtocolViolation
        If a fragment has no presentation context, or is longer than the PDU.
    """
    position = 0
    while position < len(body):
        if len(body) - position < 5:
            raise ProtocolViolation("the P-DATA ends in the middle of a fragment's header")
        length, context_id = struct.unpack_from(">LB", body, position)
        end = position + 4 + length
        if not length or end > len(body):
            raise ProtocolViolation("a fragment is longer than its P-DATA, or has no length")
        yield context_id, body[position + 5 : end]
        position = end
