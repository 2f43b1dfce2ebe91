"""The scanner's results in Image Comments (0020,4000), where a scanner writes them there as XML.

Nobody publishes the form. Elements are therefore read as a person would: those that name a region hold
those that name a quantity. Anything else in that attribute is a comment of a person and is left alone.
Document types and entities end the reading: there is nothing that a list of numbers needs them for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from tbsnode.dicom import part10, results_text, results_words
from tbsnode.dicom.results_words import Place
from tbsnode.model.densitometry import ScannerResults, SiteResult

SOURCE = results_text.SOURCE  # to a reader it is the same: text that the scanner wrote into the instance

_MAX_TEXT = 1 << 16
_MAX_ELEMENTS = 2000
_MAX_DEPTH = 12
# attributes, and elements without children, that say what their parent is about
_NAMING = frozenset({"name", "region", "site", "roi", "label", "id", "side", "laterality", "title", "scan"})
_PEOPLE = frozenset({"patient", "person", "operator", "physician", "technologist", "user"})  # named Neck
_TYPING = frozenset({"name", "type", "quantity", "label", "id"})
_UNIT = frozenset({"unit", "units", "uom"})
_NUMBER = re.compile(r"\s*([-+\u2212]?\d{1,5}(?:\.\d{1,6})?)\s*")


@dataclass(eq=False, slots=True)
class _Element:
    tag: str
    attributes: dict[str, str]
    children: list[_Element] = field(default_factory=list)
    text: str = ""


class _Unwanted(Exception):
    """The text is no plain list of results."""


def read_results(path: Path) -> ScannerResults | None:
    """Read the results in the comments of an instance.

    Parameters
    ----------
    path : Path
        A Part 10 file.

    Returns
    -------
    ScannerResults or None
        None where the comments are empty, no XML, or state nothing that is known here.

    Raises
    ------
    InstanceError
        If the file is not an instance this node takes.
    """
    header = part10.read_header(path)
    raw = header.raw("ImageComments").strip(b"\0 ")
    if not raw.startswith((b"<", b"\xef\xbb\xbf<")):
        return None
    found = parse(raw)
    if found is None:
        return None
    sites, reference = found
    return ScannerResults(
        sites=sites,
        source=SOURCE,
        sop_instance_uid=header.text("SOPInstanceUID"),
        sop_class_uid=header.text("SOPClassUID"),
        series_instance_uid=header.text("SeriesInstanceUID"),
        reference=reference,
    )


def parse(raw: bytes) -> tuple[tuple[SiteResult, ...], str] | None:
    """Return sites and reference population that XML states; None where it states none.

    Parameters
    ----------
    raw : bytes
        Of any content.

    Examples
    --------
    >>> xml = b'<Scan name="Left Femur"><Region name="Total"><BMD>0.861</BMD></Region></Scan>'
    >>> [(site.site, site.side, site.bmd_g_cm2) for site in parse(xml)[0]]
    [('total_hip', 'left', 0.861)]
    """
    try:
        root = _tree(raw)
    except (_Unwanted, expat.ExpatError, UnicodeError, LookupError, ValueError):
        return None
    found: dict[tuple[str, str], dict[str, float]] = {}
    for key, name, value in _numbers(root, Place()):
        found.setdefault(key, {}).setdefault(name, value)
    sites = tuple(
        SiteResult(site=site, side=side, **values)
        for (site, side), values in found.items()
        if values.keys() & {"bmd_g_cm2", "t_score", "z_score"}
    )
    return (sites, next(_references(root), "")) if sites else None


def _tree(raw: bytes) -> _Element:
    """Parse without document type, entities or great depth."""
    if len(raw) > _MAX_TEXT:
        raise _Unwanted
    stack = [_Element("", {})]
    count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > _MAX_DEPTH or count > _MAX_ELEMENTS:
            raise _Unwanted
        made = _Element(_words(tag), {_words(name): text for name, text in attributes.items()})
        stack[-1].children.append(made)
        stack.append(made)

    def text(data: str) -> None:
        stack[-1].text += data

    def refuse(*_: object) -> None:
        raise _Unwanted

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop() and None
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.Parse(raw, True)
    return stack[0]


def _words(name: str) -> str:
    """Return a name as words: ``TScore``, ``t-score`` and ``AP_Spine`` are people's words run together."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name.rpartition(":")[2])
    return _plain(re.sub(r"[_.\-]+", " ", spaced))


def _plain(text: str) -> str:
    return " ".join(text[:200].lower().replace("_", " ").split())


def _naming(element: _Element) -> Iterator[str]:
    """Yield what an element says of the place of what is in it."""
    if _PEOPLE & set(element.tag.split()):
        return
    yield element.tag
    for name, text in element.attributes.items():
        if _NAMING & set(name.split()):
            yield _plain(text)
    for child in element.children:
        if not child.children and _NAMING & set(child.tag.split()):
            yield _plain(child.text)


def _numbers(element: _Element, place: Place) -> Iterator[tuple[tuple[str, str], str, float]]:
    """Yield site and side, field and value of every number in an element, in the order of the text."""
    for words in _naming(element):
        place = place.named(words)
    for name, text in element.attributes.items():
        if place.key and (found := _value(results_words.field_of(name), text, "")):
            yield place.key, *found
    if place.key and not element.children:
        kinds = [element.tag, *(_plain(t) for n, t in element.attributes.items() if n in _TYPING)]
        name = next((name for kind in kinds if (name := results_words.field_of(kind))), "")
        unit = next((text for n, text in element.attributes.items() if n in _UNIT), "")
        if found := _value(name, element.attributes.get("value", element.text), unit):
            yield place.key, *found
    for child in element.children:
        yield from _numbers(child, place)


def _value(name: str, text: str, unit: str) -> tuple[str, float] | None:
    """Return a field and its value; densities without a unit are in g/cm2, or are left out."""
    match = _NUMBER.fullmatch(text)
    if not name or match is None or (not unit and name not in _USUAL_UNITS):
        return None
    value = float(match[1].replace("\u2212", "-"))
    found = results_words.in_unit_of(name, value, unit or _USUAL_UNITS[name])
    return None if found is None else (name, found)


# heights and areas come in too many units to be taken without one
_USUAL_UNITS = {"bmd_g_cm2": "g/cm2", "t_score": "1", "z_score": "1"}


def _references(element: _Element) -> Iterator[str]:
    if results_words.names_reference(element.tag) and element.text.strip():
        yield results_words.reference_text(element.text)
    for name, text in element.attributes.items():
        if results_words.names_reference(name):
            yield results_words.reference_text(text)
    for child in element.children:
        yield from _references(child)
