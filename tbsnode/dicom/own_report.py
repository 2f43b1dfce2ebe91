"""What a measurement report of ours said: read back where its image is no longer there.

The number is that of the software of its day, so it stands beside later ones and is never compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tbsnode.dicom import codes, part10, sop_classes
from tbsnode.dicom.codes import Concept
from tbsnode.dicom.identity import MODEL_NAME
from tbsnode.dicom.part10 import Header

SERIES_DESCRIPTION = "TBS Measurements"  # of every series of our measurement reports
_KEY_OBJECTS = sop_classes.STORAGE["Key Object Selection Document Storage"]
# titles of Key Object documents that withdraw what they name (IHE IOCM; PS3.16 CID 7011)
_REJECTIONS = frozenset({("113001", "DCM"), ("113037", "DCM"), ("113038", "DCM")})
_DEPTH_MAX = 12
_ITEMS_MAX = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReport:
    """The result that one report of ours states.

    Attributes
    ----------
    sop_instance_uid : str
        Of the report.
    score : float
        Mean texture slope.
    levels : tuple of str
        Included levels.
    content_at : str
        ``YYYYMMDDHHMMSS``, when it was committed; of two reports of a study the later one counts.
    """

    sop_instance_uid: str
    score: float
    levels: tuple[str, ...]
    content_at: str


def read(path: Path) -> OwnReport | None:
    """Read the result of a measurement report of ours.

    Parameters
    ----------
    path : Path
        A Part 10 file of any SOP class.

    Returns
    -------
    OwnReport or None
        None where the instance is no report of ours, or of a refusal.

    Raises
    ------
    InstanceError
        If the file is not an instance this node takes.
    """
    header = part10.read_header(path)
    if not sop_classes.is_sr(header.text("SOPClassUID")):
        return None
    if header.text("ManufacturerModelName").lower() != MODEL_NAME:
        return None
    items = list(islice(_items(header, 0), _ITEMS_MAX))
    named = {codes.VERTEBRAE[level][:2]: level for level in codes.VERTEBRAE}
    included = {named.get(_value(item)) for item in items if _is(item, codes.INCLUDED_LEVEL)}
    levels = tuple(level for level in codes.VERTEBRAE if level in included)
    scores = [score for item in items if (score := _mean_slope(item)) is not None]
    if not scores or not levels:
        return None
    return OwnReport(
        sop_instance_uid=header.text("SOPInstanceUID"),
        score=scores[0],
        levels=levels,
        content_at=header.text("ContentDate") + header.text("ContentTime")[:6],
    )


def withdrawn(path: Path) -> frozenset[str]:
    """Return the SOP Instance UIDs that a Key Object document withdraws; none of any other instance.

    Raises
    ------
    InstanceError
        If the file is not an instance this node takes.
    """
    header = part10.read_header(path)
    if (
        header.text("SOPClassUID") != _KEY_OBJECTS
        or _code(header, "ConceptNameCodeSequence") not in _REJECTIONS
    ):
        return frozenset()
    return frozenset(
        instance.text("ReferencedSOPInstanceUID")
        for study in header.items("CurrentRequestedProcedureEvidenceSequence")
        for series in study.items("ReferencedSeriesSequence")
        for instance in series.items("ReferencedSOPSequence")
    )


def _items(item: Header, depth: int) -> Iterator[Header]:
    """Yield every content item below one, in the order of the document."""
    if depth < _DEPTH_MAX:
        for child in item.items("ContentSequence"):
            yield child
            yield from _items(child, depth + 1)


def _mean_slope(group: Header) -> float | None:
    """Return the texture slope of a group that is about the whole lumbar spine."""
    children = group.items("ContentSequence")
    sites = [_value(child) for child in children if _is(child, codes.FINDING_SITE)]
    if codes.LUMBAR_SPINE[:2] not in sites:
        return None
    for child in children:
        measured = child.items("MeasuredValueSequence")
        if _is(child, codes.TEXTURE_SLOPE) and len(measured) == 1:
            numbers = measured[0].numbers("NumericValue")
            return numbers[0] if len(numbers) == 1 else None
    return None


def _is(item: Header, concept: Concept) -> bool:
    return _code(item, "ConceptNameCodeSequence") == concept[:2]


def _value(item: Header) -> tuple[str, str]:
    return _code(item, "ConceptCodeSequence")


def _code(item: Header, keyword: str) -> tuple[str, str]:
    found = item.items(keyword)
    return (found[0].text("CodeValue"), found[0].text("CodingSchemeDesignator")) if found else ("", "")
