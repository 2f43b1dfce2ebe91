"""Content items of an SR document (PS3.3 C.17.3), each with its relationship to the parent.

An item is made as the bytes that it is in the document, Explicit VR Little Endian: a report has
hundreds of them, and thousands of elements made one by one take several times the time that the whole
document may take. What is made so is judged by strangers, and read back by our own tests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from tbsnode.dicom import codes
from tbsnode.dicom.character_set import encode_name, encode_text
from tbsnode.dicom.codes import Concept
from tbsnode.dicom.context import ascii_text
from tbsnode.model import Reference

CONTAINS = "CONTAINS"
CONCEPT_MODIFIER = "HAS CONCEPT MOD"
OBSERVATION_CONTEXT = "HAS OBS CONTEXT"
ACQUISITION_CONTEXT = "HAS ACQ CONTEXT"
PROPERTIES = "HAS PROPERTIES"
SELECTED_FROM = "SELECTED FROM"

_CONTENT = 0x0040A730
_LONG_VR = frozenset([b"SQ", b"UT"])  # of those used here: a length of 32 bits (PS3.5 7.1.2)
_ITEM = b"\xfe\xff\x00\xe0"

Item: TypeAlias = bytes
_Element: TypeAlias = tuple[int, bytes]


def _element(tag: int, vr: bytes, value: bytes) -> _Element:
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    size = struct.pack("<xxI" if vr in _LONG_VR else "<H", len(value))
    return tag, head + size + value


def _items(elements: Iterable[_Element]) -> Item:
    """Return an item: its elements in the order of their tags."""
    body = b"".join(encoded for _, encoded in sorted(elements))
    return _ITEM + struct.pack("<I", len(body)) + body


def _sequence(tag: int, items: Iterable[Item]) -> _Element:
    return _element(tag, b"SQ", b"".join(items))


@lru_cache(maxsize=2048)
def _coded(tag: int, concept: Concept) -> _Element:
    """Return a code sequence of one item (PS3.3 section 8.8)."""
    parts = (
        _element(0x00080100, b"SH", concept.value.encode("ascii")),
        _element(0x00080102, b"SH", concept.scheme.encode("ascii")),
        _element(0x00080104, b"LO", concept.meaning.encode("ascii")),
    )
    return _sequence(tag, [_items(parts)])


def _item(
    value_type: str,
    relationship: str,
    concept: Concept | None,
    *elements: _Element,
    children: Iterable[Item] = (),
) -> Item:
    parts = [
        _element(0x0040A010, b"CS", relationship.encode("ascii")),
        _element(0x0040A040, b"CS", value_type.encode("ascii")),
        *elements,
    ]
    if concept is not None:
        parts.append(_coded(0x0040A043, concept))
    if below := b"".join(children):
        parts.append(_element(_CONTENT, b"SQ", below))
    return _items(parts)


def container(concept: Concept, children: Iterable[Item], *, template: str = "") -> Item:
    """Return a container that its parent contains."""
    parts = [_element(0x0040A050, b"CS", b"SEPARATE")]
    if template:
        named = _element(0x00080105, b"CS", b"DCMR"), _element(0x0040DB00, b"CS", template.encode("ascii"))
        parts.append(_sequence(0x0040A504, [_items(named)]))
    return _item("CONTAINER", CONTAINS, concept, *parts, children=children)


def put_root(ds: Dataset, title: Concept, template: str, children: Iterable[Item]) -> None:
    """Make a data set the root container of a document (PS3.3 C.17.3).

    Parameters
    ----------
    ds : Dataset
        The document without its content.
    title : Concept
        Its concept name.
    template : str
        Its template of PS3.16.
    children : iterable of Item
        Its content.
    """
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = [codes.item(title)]
    ds.ContinuityOfContent = "SEPARATE"
    root = Dataset()
    root.MappingResource, root.TemplateIdentifier = "DCMR", template
    ds.ContentTemplateSequence = [root]
    content = b"".join(children)
    ds[_CONTENT] = RawDataElement(Tag(_CONTENT), "SQ", len(content), content, 0, False, True)


def text(concept: Concept, value: str, relationship: str = CONTAINS) -> Item:
    """Return a TEXT item of our own words, in ASCII."""
    return _item(
        "TEXT", relationship, concept, _element(0x0040A160, b"UT", ascii_text(value).encode("ascii"))
    )


def words(concept: Concept, value: str, encodings: Sequence[str], relationship: str = CONTAINS) -> Item:
    """Return a TEXT item of what somebody wrote, in the document's character set."""
    return _item("TEXT", relationship, concept, _element(0x0040A160, b"UT", encode_text(value, encodings)))


def person(concept: Concept, name: str, encodings: Sequence[str], relationship: str = CONTAINS) -> Item:
    """Return a PNAME item."""
    return _item("PNAME", relationship, concept, _element(0x0040A123, b"PN", encode_name(name, encodings)))


def code(
    concept: Concept, value: Concept, relationship: str = CONTAINS, *, children: Iterable[Item] = ()
) -> Item:
    """Return a CODE item."""
    return _item("CODE", relationship, concept, _coded(0x0040A168, value), children=children)


def uid_reference(concept: Concept, uid: str, relationship: str = CONTAINS) -> Item:
    """Return a UIDREF item."""
    return _item("UIDREF", relationship, concept, _element(0x0040A124, b"UI", uid.encode("ascii")))


def date(concept: Concept, day: str, relationship: str = CONTAINS) -> Item:
    """Return a DATE item; `day` is ``YYYYMMDD``."""
    return _item("DATE", relationship, concept, _element(0x0040A121, b"DA", day.encode("ascii")))


def number(concept: Concept, value: float, units: Concept, children: Iterable[Item] = ()) -> Item:
    """Return a NUM item with a value, rounded to 1e-6."""
    measured = _items(
        (_coded(0x004008EA, units), _element(0x0040A30A, b"DS", decimal(value).encode("ascii")))
    )
    return _item("NUM", CONTAINS, concept, _sequence(0x0040A300, [measured]), children=children)


def no_number(concept: Concept, why: Concept) -> Item:
    """Return a NUM item without a value, and the reason (PS3.3 C.18.1, CID 42)."""
    return _item("NUM", CONTAINS, concept, _sequence(0x0040A300, ()), _coded(0x0040A301, why))


def _reference(reference: Reference, frame: int | None) -> _Element:
    parts = [
        _element(0x00081150, b"UI", reference.sop_class_uid.encode("ascii")),
        _element(0x00081155, b"UI", reference.sop_instance_uid.encode("ascii")),
    ]
    if frame is not None:
        parts.append(_element(0x00081160, b"IS", str(frame + 1).encode("ascii")))
    return _sequence(0x00081199, [_items(parts)])


def image(
    reference: Reference,
    frame: int | None,
    *,
    relationship: str = CONTAINS,
    concept: Concept | None = None,
    children: Iterable[Item] = (),
) -> Item:
    """Return an IMAGE item; `frame` counts from zero and is None for a single-frame image."""
    return _item("IMAGE", relationship, concept, _reference(reference, frame), children=children)


def composite(reference: Reference, *, concept: Concept | None = None) -> Item:
    """Return a COMPOSITE item: a reference to an instance that is no image."""
    return _item("COMPOSITE", CONTAINS, concept, _reference(reference, None))


def closed_polyline(
    concept: Concept, ring: Sequence[tuple[float, float]], reference: Reference, frame: int | None
) -> Item:
    r"""Return an SCOORD item: a closed outline on an image.

    Parameters
    ----------
    concept : Concept
        What is outlined.
    ring : sequence of (row, column)
        On the stored matrix, pixel centers at integers.
    reference : Reference
        The image.
    frame : int or None
        Its frame.

    Notes
    -----
    SCOORD gives column before row, with 0\0 at the top left corner of the first pixel
    (PS3.3 C.18.6.1.1), so the center of pixel (0, 0) is at 0.5\0.5.
    """
    points = [*ring] if ring[0] == ring[-1] else [*ring, ring[0]]
    places = [value + 0.5 for row, column in points for value in (column, row)]
    return _item(
        "SCOORD",
        CONTAINS,
        concept,
        _element(0x00700022, b"FL", struct.pack(f"<{len(places)}f", *places)),
        _element(0x00700023, b"CS", b"POLYLINE"),
        children=[image(reference, frame, relationship=SELECTED_FROM)],
    )


def decimal(value: float) -> str:
    """Return a decimal string of at most 16 characters, rounded to 1e-6.

    Examples
    --------
    >>> decimal(1.25), decimal(880.1 / 100), decimal(-0.0)
    ('1.25', '8.801', '0')
    """
    shown = f"{value:.6f}".rstrip("0").rstrip(".")
    if len(shown) > 16:
        shown = f"{value:.8e}"
    return "0" if shown == "-0" else shown
