"""Withdrawn results -> Key Object Selection Document (PS3.3 A.35.4; PS3.16 TID 2010).

An archive that follows IHE's Imaging Object Change Management hides what such a document names; one that
does not still shows the document, with the reason as its title.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tbsnode.dicom import character_set, codes, content, context, observers, part10, sop_classes
from tbsnode.dicom.content import CONCEPT_MODIFIER, Item
from tbsnode.dicom.context import Named
from tbsnode.dicom.part10 import Header
from tbsnode.model import DerivedInstance, DerivedKind, Provenance, Reference, RejectionReason, Review

_TITLES = {
    RejectionReason.QUALITY: codes.REJECTED_FOR_QUALITY,
    RejectionReason.SAFETY: codes.REJECTED_FOR_SAFETY,
    RejectionReason.WORKLIST: codes.INCORRECT_WORKLIST,
}


def build(
    references: tuple[Reference, ...], review: Review, provenance: Provenance, source: Path, *, digest: str
) -> DerivedInstance:
    """Write the document that withdraws results.

    Parameters
    ----------
    references : tuple of Reference
        Report, pages and picture as a destination received them; at least one, all of one study.
    review : Review
        Who rejected them, and why.
    provenance : Provenance
        The software, and the time committed with the review.
    source : Path
        Part 10 file of the reported image; patient and study are copied from it.
    digest : str
        SHA-256 hex of everything stated: its UID is derived from it.

    Returns
    -------
    DerivedInstance
        The same bytes for the same arguments.

    Raises
    ------
    ValueError
        If nothing is referenced, or the review gives no reason.
    InstanceError
        If the source cannot be read.

    Notes
    -----
    The standard allows a modifier from CID 7011 beside "Rejected for Quality Reasons" and asks for none;
    all of its codes speak of how a picture was taken, so the reviewer's own words stand instead.
    """
    if not references or review.rejection is None:
        raise ValueError("a rejection names what is withdrawn, and why")
    words, names = observers.written(review), observers.names(review, provenance)
    header = character_set.holding(part10.read_header(source), words, names)
    study = references[0].study_instance_uid
    called = Named(study_instance_uid=study, digest=digest, instance_number=review.version)
    kind = DerivedKind.REJECTION
    ds = context.new_instance(header, kind, sop_classes.KEY_OBJECT_SELECTION, called, provenance)
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.CurrentRequestedProcedureEvidenceSequence = context.hierarchy(tuple(dict.fromkeys(references)))
    requests = context.requests(header, study)
    if requests:
        ds.ReferencedRequestSequence = requests
    items = _items(references, review, provenance, header)
    content.put_root(ds, _TITLES[review.rejection], "2010", items)
    return context.finished(ds, kind, provenance)


def _items(
    references: tuple[Reference, ...], review: Review, provenance: Provenance, header: Header
) -> Iterator[Item]:
    yield content.code(codes.LANGUAGE, codes.ENGLISH, CONCEPT_MODIFIER)
    yield from observers.device(provenance)
    yield from observers.person(review, provenance, header.encodings)
    if review.comment:
        yield content.words(codes.KEY_OBJECT_DESCRIPTION, review.comment, header.encodings)
    for reference in dict.fromkeys(references):
        if sop_classes.is_image(reference.sop_class_uid):
            yield content.image(reference, None)
        else:
            yield content.composite(reference)
