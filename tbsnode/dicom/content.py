"""Content items of an SR document (PS3.3 C.17.3), each with its relationship to the parent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom.dataset import Dataset

from tbsnode.dicom import codes
from tbsnode.dicom.codes import Concept
from tbsnode.dicom.context import ascii_text, sop_reference
from tbsnode.model import Reference

CONTAINS = "CONTAINS"
CONCEPT_MODIFIER = "HAS CONCEPT MOD"
OBSERVATION_CONTEXT = "HAS OBS CONTEXT"
ACQUISITION_CONTEXT = "HAS ACQ CONTEXT"
SELECTED_FROM = "SELECTED FROM"


def _item(value_type: str, relationship: str, concept: Concept | None) -> Dataset:
    ds = Dataset()
    if relationship:
        ds.RelationshipType = relationship
    ds.ValueType = value_type
    if concept is not None:
        ds.ConceptNameCodeSequence = [codes.item(concept)]
    return ds


def container(concept: Concept, children: Iterable[Dataset], *, template: str = "") -> Dataset:
    """Return a container that its parent contains."""
    ds = _item("CONTAINER", CONTAINS, concept)
    ds.ContinuityOfContent = "SEPARATE"
    if template:
        ds.ContentTemplateSequence = [template_identification(template)]
    ds.ContentSequence = list(children)
    return ds


def template_identification(identifier: str) -> Dataset:
    """Return the item that names a template of PS3.16."""
    ds = Dataset()
    ds.MappingResource = "DCMR"
    ds.TemplateIdentifier = identifier
    return ds


def text(concept: Concept, value: str, relationship: str = CONTAINS) -> Dataset:
    """Return a TEXT item."""
    ds = _item("TEXT", relationship, concept)
    ds.TextValue = ascii_text(value)
    return ds


def code(concept: Concept, value: Concept, relationship: str = CONTAINS) -> Dataset:
    """Return a CODE item."""
    ds = _item("CODE", relationship, concept)
    ds.ConceptCodeSequence = [codes.item(value)]
    return ds


def uid_reference(concept: Concept, uid: str, relationship: str = CONTAINS) -> Dataset:
    """Return a UIDREF item."""
    ds = _item("UIDREF", relationship, concept)
    ds.UID = uid
    return ds


def number(concept: Concept, value: float, units: Concept, children: Sequence[Dataset] = ()) -> Dataset:
    """Return a NUM item with a value, rounded to 1e-6."""
    measured = Dataset()
    measured.MeasurementUnitsCodeSequence = [codes.item(units)]
    measured.NumericValue = decimal(value)
    ds = _item("NUM", CONTAINS, concept)
    ds.MeasuredValueSequence = [measured]
    if children:
        ds.ContentSequence = list(children)
    return ds


def no_number(concept: Concept, why: Concept) -> Dataset:
    """Return a NUM item without a value, and the reason (PS3.3 C.18.1, CID 42)."""
    ds = _item("NUM", CONTAINS, concept)
    ds.MeasuredValueSequence = []
    ds.NumericValueQualifierCodeSequence = [codes.item(why)]
    return ds


def image(
    reference: Reference,
    frame: int | None,
    *,
    relationship: str = CONTAINS,
    concept: Concept | None = None,
    children: Sequence[Dataset] = (),
) -> Dataset:
    """Return an IMAGE item; `frame` counts from zero and is None for a single-frame image."""
    ds = _item("IMAGE", relationship, concept)
    target = sop_reference(reference)
    if frame is not None:
        target.ReferencedFrameNumber = frame + 1
    ds.ReferencedSOPSequence = [target]
    if children:
        ds.ContentSequence = list(children)
    return ds


def closed_polyline(
    concept: Concept, ring: Sequence[tuple[float, float]], reference: Reference, frame: int | None
) -> Dataset:
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
    ds = _item("SCOORD", CONTAINS, concept)
    ds.GraphicType = "POLYLINE"
    ds.GraphicData = [value + 0.5 for row, column in points for value in (column, row)]
    ds.ContentSequence = [image(reference, frame, relationship=SELECTED_FROM)]
    return ds


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
