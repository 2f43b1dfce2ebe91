"""What is asked in a query, and what is read of its answers (PS3.4 C.4.1.1.3).

Archives answer in the character set of the question: one without would be answered in the archive's
default, and whatever that cannot hold would be missing from a name. So every question is in Unicode.
Values are decoded here, from their bytes, because pydicom quotes in its log what it dislikes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pydicom.charset import decode_bytes, default_encoding, python_encoding
from pydicom.dataset import Dataset

_UNICODE: Final = "ISO_IR 192"
# return to the first character set (PS3.5 6.1.2.5.3)
_DELIMITERS: Final = {0x0D, 0x0A, 0x09, 0x0C, ord("\\")}
_DELIMITERS_OF_NAMES: Final = {*_DELIMITERS, ord("^"), ord("=")}


def question(level: str, wanted: Mapping[str, str], asked: Iterable[str]) -> Dataset:
    """Return the identifier of a query or a retrieval.

    Parameters
    ----------
    level : str
        Query/Retrieve Level.
    wanted : mapping of str to str
        Keywords with the values that are to match.
    asked : iterable of str
        Keywords of what is to be returned.
    """
    identifier = Dataset()
    identifier.SpecificCharacterSet = _UNICODE
    identifier.QueryRetrieveLevel = level
    for keyword in asked:
        setattr(identifier, keyword, "")
    for keyword, text in wanted.items():
        setattr(identifier, keyword, text)
    return identifier


def value(match: Dataset, keyword: str) -> str:
    """Return a value of an answer, decoded and stripped; empty where there is none."""
    raw = _raw(match, keyword)
    delimiters = _DELIMITERS_OF_NAMES if keyword.endswith("Name") else _DELIMITERS
    try:
        decoded = decode_bytes(raw, _codecs(match), delimiters)
    except (UnicodeError, LookupError):
        decoded = raw.decode("latin-1")
    return decoded.strip("\0 ")


def values(match: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the values of an answer that may have several, without empty ones."""
    return tuple(part.strip() for part in value(match, keyword).split("\\") if part.strip())


def encodings(match: Dataset) -> tuple[str, ...]:
    """Return Python's names of what an answer is encoded in; the default repertoire is ASCII."""
    return tuple("ascii" if each == default_encoding else each for each in _codecs(match))


def _codecs(match: Dataset) -> list[str]:
    terms = _raw(match, "SpecificCharacterSet").decode("ascii", "replace").split("\\")
    known = [python_encoding[term.strip()] for term in terms if term.strip() in python_encoding]
    return known or [default_encoding]


def _raw(match: Dataset, keyword: str) -> bytes:
    element = match.get_item(keyword) if keyword in match else None
    encoded = None if element is None else element.value
    return encoded if isinstance(encoded, bytes) else b""
