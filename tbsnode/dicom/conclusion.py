"""The interpretation that a measurement report of ours carries, read back as it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tbsnode.dicom import codes, part10
from tbsnode.dicom.part10 import Header

_DEPTH_MAX = 12


def read(path: Path) -> str:
    """Return the interpretation of a measurement report; empty where it has none.

    Parameters
    ----------
    path : Path
        A Part 10 file that we made.

    Raises
    ------
    InstanceError
        If the file is not an instance this node takes.
    """
    return next(_conclusions(part10.read_header(path), 0), "")


def _conclusions(item: Header, depth: int) -> Iterator[str]:
    """Yield the text of every conclusion below an item, in the order of the document."""
    for child in item.items("ContentSequence") if depth < _DEPTH_MAX else ():
        names = child.items("ConceptNameCodeSequence")
        named = (names[0].text("CodeValue"), names[0].text("CodingSchemeDesignator")) if names else ()
        if named == codes.CONCLUSION[:2] and child.text("ValueType") == "TEXT":
            yield child.text("TextValue")
        yield from _conclusions(child, depth + 1)
