"""Small damage to bytes: what a broken disk, a broken sender or a hostile one makes of them.

Every mutation takes its chance from a `random.Random`, so that a run can be repeated from its seed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from random import Random

_VRS = (
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"OB", b"OD", b"OF",
    b"OL", b"OV", b"OW", b"PN", b"SH", b"SL", b"SQ", b"SS", b"ST", b"SV", b"TM", b"UC", b"UI", b"UL", b"UN",
    b"UR", b"US", b"UT", b"UV",
)  # fmt: skip
_ELEMENT = re.compile(rb"(?s)[^\0\xff].[\0-\x7f].(" + b"|".join(_VRS) + rb")")
_LENGTHS = (0, 1, 2, 3, 0x7F, 0xFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_TOKENS = (
    b"", b"\0", b"\xff" * 8, b"\\", b"\\" * 300, b"^=\\", b"\x1b$B", b"\x1b(J\x1b$)C", b"1e400", b"nan",
    b"../../../etc/x", b"1.2.3\0\0", b"99999999999999999999", b"%s%n", b"\xed\xa0\x80", b"]]>", b"&a;",
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0", b"DICM",
    b'"', b"\n", b"\r\n", b";", b",", b"[", b"]", b"{", b"}", b"[[", b"=", b"'''", b'"""', b"\\u0000",
)  # fmt: skip


def mutated(data: bytes, dice: Random, *, other: bytes = b"") -> bytes:
    """Return data with one to five kinds of damage; `other` is a stranger to splice in."""
    for _ in range(dice.choice((1, 1, 1, 2, 3, 5))):
        data = dice.choice(_DAMAGES)(data, dice)
    if other and dice.random() < 0.05:
        data = data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other)) :]
    return data


def _place(data: bytes, dice: Random) -> int:
    """Choose a place, mostly in the header: pixels decide little about a reader."""
    end = data.find(_PIXEL_DATA)
    if end > 0 and dice.random() < 0.9:
        return dice.randrange(end + 12)
    return dice.randrange(len(data) + 1)


def _flip(data: bytes, dice: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8, 64)) if data else 0):
        at = min(_place(data, dice), len(data) - 1)
        changed[at] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _byte(data: bytes, dice: Random) -> bytes:
    at = _place(data, dice)
    return data[:at] + bytes([dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))]) + data[at + 1 :]


def _truncate(data: bytes, dice: Random) -> bytes:
    return data[: _place(data, dice) if dice.random() < 0.7 else max(0, len(data) - dice.randrange(1, 9))]


def _remove(data: bytes, dice: Random) -> bytes:
    at = _place(data, dice)
    return data[:at] + data[at + dice.choice((1, 2, 4, 8, 100)) :]


def _repeat(data: bytes, dice: Random) -> bytes:
    at, count = _place(data, dice), dice.choice((1, 4, 8, 64, 512))
    return data[: at + count] + data[at : at + count] * dice.choice((1, 2, 30)) + data[at + count :]


def _insert(data: bytes, dice: Random) -> bytes:
    at = _place(data, dice)
    return data[:at] + dice.choice(_TOKENS) + data[at:]


def _overwrite(data: bytes, dice: Random) -> bytes:
    at, token = _place(data, dice), dice.choice(_TOKENS)
    return data[:at] + token + data[at + len(token) :]


def _number(data: bytes, dice: Random) -> bytes:
    """Put an interesting number of two or four bytes somewhere."""
    at, form = _place(data, dice), dice.choice(("<H", "<L", ">H", ">L"))
    value = dice.choice(_LENGTHS) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


def _element(data: bytes, dice: Random) -> bytes:
    """Change what an element in Explicit VR says of itself, or leave it out, or say it twice."""
    heads = [match.start() for match in _ELEMENT.finditer(data)]
    if not heads:
        return _byte(data, dice)
    at = dice.choice(heads)
    following = next((head for head in heads if head > at), len(data))
    what = dice.randrange(6)
    if what == 0:
        return data[: at + 4] + dice.choice(_VRS) + data[at + 6 :]
    if what == 1:
        return data[: at + 6] + struct.pack("<H", dice.choice(_LENGTHS) & 0xFFFF) + data[at + 8 :]
    if what == 2:
        return data[: at + 8] + struct.pack("<L", dice.choice(_LENGTHS)) + data[at + 12 :]
    if what == 3:
        return data[:at] + data[following:]
    if what == 4:
        return data[:following] + data[at:following] + data[following:]
    return data[:at] + _nested(dice) + data[at:]


def _nested(dice: Random) -> bytes:
    """Return sequences in sequences of undefined length, not always closed."""
    depth = dice.choice((1, 2, 11, 31, 33, 400, 3000))
    tag = dice.choice((b"\x40\x00\x30\xa7", b"\x40\x00\x75\x02", b"\x09\x00\x01\x10", b"\x08\x00\x32\x10"))
    opening = tag + b"SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return opening * depth + closing * dice.choice((depth, depth, depth - 1, 0))


_DAMAGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip, _byte, _truncate, _remove, _repeat, _insert, _overwrite, _number, _element, _element, _element,
)  # fmt: skip
