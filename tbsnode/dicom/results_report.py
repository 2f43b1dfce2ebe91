"""The scanner's results in a structured report it sends: densities and scores by site.

Densitometers send Enhanced SR where the option is licensed; their codes are not published. What is read
is therefore what a person would read (PS3.3 C.17.3): a number whose concept says what it is, at a site
that the number itself, its modifiers or the nearest heading above it names. Whatever cannot be
understood is left out, and no text leaves this module but the name of the reference population.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tbsnode.dicom import part10, results_words, sop_classes
from tbsnode.dicom.part10 import Header
from tbsnode.dicom.results_words import Place
from tbsnode.model.densitometry import ScannerResults, SiteResult

SOURCE = "structured report"

_SR_CLASSES = frozenset(
    uid for name, uid in sop_classes.STORAGE.items() if name.endswith("SR Storage") and "Dose" not in name
)
_DEPTH_MAX = 12
_ITEMS_MAX = 5000
_FINDING_SITE = ("363698007", "G-C0E3")  # SNOMED CT, and SRT as older reports have it
_LATERALITY = ("272741003", "G-C171")


def read_results(path: Path) -> ScannerResults | None:
    """Read the scanner's results from a structured report.

    Parameters
    ----------
    path : Path
        A Part 10 file of any SOP class.

    Returns
    -------
    ScannerResults or None
        None where the instance is no structured report or states nothing that is known here.

    Raises
    ------
    InstanceError
        If the file is not an instance this node takes.
    """
    header = part10.read_header(path)
    if header.text("SOPClassUID") not in _SR_CLASSES:
        return None
    found: dict[tuple[str, str], dict[str, float]] = {}
    for key, field, value in islice(_numbers(header, Place(), 0), _ITEMS_MAX):
        found.setdefault(key, {}).setdefault(field, value)
    # a height or an area alone may be anything
    sites = tuple(
        SiteResult(site=site, side=side, **values)
        for (site, side), values in found.items()
        if values.keys() & {"bmd_g_cm2", "t_score", "z_score"}
    )
    if not sites:
        return None
    return ScannerResults(
        sites=sites,
        source=SOURCE,
        sop_instance_uid=header.text("SOPInstanceUID"),
        sop_class_uid=header.text("SOPClassUID"),
        series_instance_uid=header.text("SeriesInstanceUID"),
        reference=next(_references(header, 0), ""),
    )


def _numbers(item: Header, place: Place, depth: int) -> Iterator[tuple[tuple[str, str], str, float]]:
    """Yield site and side, field and value of every number below an item, in the order of the document."""
    if depth > _DEPTH_MAX:
        return
    name = _meaning(item, "ConceptNameCodeSequence")
    children = item.items("ContentSequence")
    for words in (name, *(_site_words(child) for child in children)):
        place = place.named(words)
    if item.text("ValueType") == "NUM" and place.key:
        found = _value(item, name)
        if found is not None:
            yield place.key, *found
    for child in children:
        yield from _numbers(child, place, depth + 1)


def _references(item: Header, depth: int) -> Iterator[str]:
    """Yield what the report says of the population that its T-scores refer to."""
    if depth > _DEPTH_MAX:
        return
    if results_words.names_reference(_meaning(item, "ConceptNameCodeSequence")):
        codes = item.items("ConceptCodeSequence")
        text = item.text("TextValue") or (codes[0].text("CodeMeaning") if codes else "")
        if text:
            yield results_words.reference_text(text)
    for child in item.items("ContentSequence"):
        yield from _references(child, depth + 1)


def _meaning(item: Header, keyword: str) -> str:
    codes = item.items(keyword)
    return _plain(codes[0].text("CodeMeaning")) if codes else ""


def _plain(text: str) -> str:
    return " ".join(text[:200].lower().replace("_", " ").split())


def _site_words(item: Header) -> str:
    """Return what an item says of the place of its parent; empty where it is about something else."""
    codes = item.items("ConceptNameCodeSequence")
    concept = _meaning(item, "ConceptNameCodeSequence")
    value = codes[0].text("CodeValue") if codes else ""
    about = value in (*_FINDING_SITE, *_LATERALITY) or re.search(
        r"\bsite\b|\bregion\b|\blaterality\b|\broi\b", concept
    )
    if not about:
        return ""
    kind = item.text("ValueType")
    if kind == "CODE":
        return _meaning(item, "ConceptCodeSequence")
    return _plain(item.text("TextValue")) if kind == "TEXT" else ""


def _value(item: Header, concept: str) -> tuple[str, float] | None:
    """Return the field and value of a number; None where either cannot be told."""
    field = results_words.field_of(concept)
    measured = item.items("MeasuredValueSequence")
    if not field or len(measured) != 1:
        return None
    numbers = measured[0].numbers("NumericValue")
    units = measured[0].items("MeasurementUnitsCodeSequence")
    if len(numbers) != 1:
        return None
    value = results_words.in_unit_of(field, numbers[0], units[0].text("CodeValue") if units else "")
    return None if value is None else (field, value)
