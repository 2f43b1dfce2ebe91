"""A structured report read back with plain pydicom: groups, values and evaluations by their codes."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import measurement_report, self_check


def document(report: Any, source: Path, **options: Any) -> Dataset:
    """Build a report, hold it against the self-check, and read it."""
    derived = measurement_report.build(report, source, **options)
    assert self_check.check(derived) == ()
    return dcmread(BytesIO(derived.part10))


def name_of(item: Dataset) -> str:
    """The code of an item's concept name; empty without one."""
    return str(item.ConceptNameCodeSequence[0].CodeValue) if "ConceptNameCodeSequence" in item else ""


def children(item: Dataset, concept: str) -> list[Dataset]:
    """The items directly below that have a concept name."""
    return [child for child in item.get("ContentSequence", []) if name_of(child) == concept]


def child(item: Dataset, concept: str) -> Dataset:
    """The only one of them."""
    (only,) = children(item, concept)
    return only


def groups(ds: Dataset) -> dict[str, Dataset]:
    """Measurement groups by tracking identifier."""
    found = {child(group, "112039").TextValue: group for group in children(child(ds, "126010"), "125007")}
    assert len(found) == len(children(child(ds, "126010"), "125007"))
    return found


def values(group: Dataset) -> dict[str, tuple[float | str, str]]:
    """Value and unit of each number; of a missing one its qualifier, and no unit."""
    found: dict[str, tuple[float | str, str]] = {}
    for item in group.ContentSequence:
        if item.ValueType != "NUM":
            continue
        assert name_of(item) not in found, "one value a field"
        if item.MeasuredValueSequence:
            (measured,) = item.MeasuredValueSequence
            unit = measured.MeasurementUnitsCodeSequence[0]
            assert unit.CodingSchemeDesignator == "UCUM"
            found[name_of(item)] = (float(measured.NumericValue), unit.CodeValue)
        else:
            found[name_of(item)] = (item.NumericValueQualifierCodeSequence[0].CodeValue, "")
    return found


def coded(group: Dataset, concept: str) -> list[str]:
    """The code values that an evaluation has."""
    return [item.ConceptCodeSequence[0].CodeValue for item in children(group, concept)]


def evaluations(ds: Dataset) -> Dataset:
    """What is said of the whole report."""
    return child(ds, "C0034375")


def texts(ds: Dataset, concept: str) -> list[str]:
    """What the evaluations say under a concept."""
    return [item.TextValue for item in children(evaluations(ds), concept)]


def walk(ds: Dataset) -> Iterator[Dataset]:
    """Every content item, the root first."""
    yield ds
    for item in ds.get("ContentSequence", []):
        yield from walk(item)
