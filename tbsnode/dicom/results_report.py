"""The scanner's results in a structured report it sends: densities and scores by site.

Densitometers send Enhanced SR where the option is licensed; their codes are not published. What is read
is therefore what a person would read (PS3.3 C.17.3): a number whose concept says what it is, at a site
that the number itself, its modifiers or the nearest heading above it names. Whatever cannot be
understood is left out, and no text leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tbsnode.dicom import part10, sop_classes
from tbsnode.dicom.part10 import Header
from tbsnode.model.densitometry import LIMITS, ScannerResults, SiteResult

SOURCE = "structured report"

_SR_CLASSES = frozenset(
    uid for name, uid in sop_classes.STORAGE.items() if name.endswith("SR Storage") and "Dose" not in name
)
_DEPTH_MAX = 12
_ITEMS_MAX = 5000
_WORDS = re.compile(r"[^a-z0-9/.%]+")
_LEVEL = re.compile(r"\b(?:l|lumbar )\s?([1-5])\b(?!\s?(?:-|–|to)\s?l?\s?[1-5])")
_SPAN = re.compile(r"\bl\s?([1-5])\s?(?:-|–|to)\s?l?\s?([1-5])\b")
# words of a concept -> field; the first row that fits counts
_QUANTITIES = (
    ("t_score", re.compile(r"\bt.?score\b|\byoung adult\b.*\bt\b")),
    ("z_score", re.compile(r"\bz.?score\b|\bage matched\b.*\bz\b")),
    ("bmd_g_cm2", re.compile(r"\bbmd\b|\bbone mineral density\b")),
    ("bmc_g", re.compile(r"\bbmc\b|\bbone mineral content\b")),
    ("area_cm2", re.compile(r"\barea\b")),
    ("height_mm", re.compile(r"\bheight\b")),
)
_NO_QUANTITY = re.compile(r"%|\bpercent|\bchange\b|\bprevious\b|\bpatient\b|\bbody\b|\bsbmd\b")
# unit (UCUM) -> factor to the unit of the field
_UNITS = {
    "bmd_g_cm2": {"g/cm2": 1.0, "mg/cm2": 1e-3},
    "bmc_g": {"g": 1.0, "mg": 1e-3},
    "area_cm2": {"cm2": 1.0, "mm2": 1e-2},
    "height_mm": {"mm": 1.0, "cm": 10.0},
}
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
    for site, side, field, value in islice(_numbers(header, "", "", 0), _ITEMS_MAX):
        found.setdefault((site, side), {}).setdefault(field, value)
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
    )


def _numbers(item: Header, site: str, side: str, depth: int) -> Iterator[tuple[str, str, str, float]]:
    """Yield site, side, field and value of every number below an item, in the order of the document."""
    if depth > _DEPTH_MAX:
        return
    name = _meaning(item, "ConceptNameCodeSequence")
    children = item.items("ContentSequence")
    for words in (name, *(_site_words(child) for child in children)):
        site, side = _site(words) or site, _side(words) or side
    if item.text("ValueType") == "NUM" and site:
        found = _value(item, name)
        if found is not None:
            yield site, "" if site.startswith("L") else side, *found
    for child in children:
        yield from _numbers(child, site, side, depth + 1)


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


def _site(words: str) -> str:
    """Return the site that words name; empty where they name none that is known here.

    Examples
    --------
    >>> [_site(w) for w in ("l2", "second lumbar vertebra", "l1-l4 bmd", "femoral neck", "liver")]
    ['L2', 'L2', 'L1-L4', 'femoral_neck', '']
    """
    if span := _SPAN.search(words):
        return f"L{span[1]}-L{span[2]}"
    if level := _LEVEL.search(words):
        return f"L{level[1]}"
    for number, ordinal in enumerate(("first", "second", "third", "fourth"), start=1):
        if f"{ordinal} lumbar" in words:
            return f"L{number}"
    if "neck" in words and "c" not in words.split():
        return "femoral_neck"
    if re.search(r"\btotal (?:hip|femur|proximal femur)\b|\bhip total\b|\bfemur total\b", words):
        return "total_hip"
    radius = re.search(r"\bradius\b", words) and re.search(r"1/3|33 ?%|\bone.third\b", words)
    return "one_third_radius" if radius else ""


def _side(words: str) -> str:
    found = re.search(r"\b(left|right)\b", words)
    return found[1] if found else ""


def _value(item: Header, concept: str) -> tuple[str, float] | None:
    """Return the field and value of a number; None where either cannot be told."""
    if _NO_QUANTITY.search(concept):
        return None
    field = next((field for field, words in _QUANTITIES if words.search(concept)), None)
    measured = item.items("MeasuredValueSequence")
    if field is None or len(measured) != 1:
        return None
    numbers = measured[0].numbers("NumericValue")
    units = measured[0].items("MeasurementUnitsCodeSequence")
    if len(numbers) != 1:
        return None
    factor = 1.0
    if field in _UNITS:
        unit = units[0].text("CodeValue") if units else ""
        factor = _UNITS[field].get(unit, 0.0)
    value = numbers[0] * factor
    low, high = LIMITS[field]
    return (field, value) if factor and low <= value <= high else None
