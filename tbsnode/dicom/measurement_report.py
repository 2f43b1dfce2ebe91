"""Report -> measurement report: a Structured Report on TID 1500 (PS3.16).

One group a vertebra with its outline, one for the mean, one for each further bone, earlier examination
and supplied probability. The raw texture slope and the Trabecular Bone Score are two concepts: without a
calibration the second is a measurement that was not attempted, never a number. A refusal is the same
document with a measurement that failed and the coded reason, because silence looks like "not yet".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset

from tbsnode.dicom import (
    character_set,
    codes,
    content,
    context,
    density_groups,
    evaluations,
    observers,
    part10,
    risk,
    sop_classes,
)
from tbsnode.dicom.content import CONCEPT_MODIFIER, Item
from tbsnode.dicom.measurement_groups import groups
from tbsnode.dicom.part10 import Header
from tbsnode.model import DerivedInstance, DerivedKind, Reference, Report


def build(
    report: Report, source: Path, *, sr_class: str = "3d", predecessor: Reference | None = None
) -> DerivedInstance:
    """Write the measurement report of a result.

    Parameters
    ----------
    report : Report
        Scored or refused.
    source : Path
        Part 10 file of the reported image; patient and study are copied from it.
    sr_class : str
        A key of `sop_classes.SR_CLASSES`; the content is the same in each.
    predecessor : Reference or None
        The measurement report that this one replaces.

    Returns
    -------
    DerivedInstance
        The same bytes for the same arguments.

    Raises
    ------
    InstanceError
        If the source cannot be read.
    """
    names = () if report.review is None else observers.names(report.review, report.provenance)
    header = character_set.holding(part10.read_header(source), _written(report), names)
    called = context.named(report, predecessor)
    uid = sop_classes.SR_CLASSES[sr_class]
    ds = context.new_instance(header, DerivedKind.SR, uid, called, report.provenance)
    _document(ds, report, header)
    if predecessor is not None:
        ds.PredecessorDocumentsSequence = context.hierarchy((predecessor,))
    content.put_root(ds, codes.IMAGING_MEASUREMENT_REPORT, "1500", _root_items(report, header))
    return context.finished(ds, DerivedKind.SR, report.provenance, predecessor)


def _written(report: Report) -> Iterator[str]:
    """Yield the words of people that the document repeats; they decide its character set."""
    analysis = report.analysis
    yield context.readable(report.interpretation)
    yield from (analysis.reference, analysis.threshold_set, analysis.calibration or "")
    yield from density_groups.written(analysis)
    yield from risk.written(analysis.clinical)
    if report.review is not None:
        yield from observers.written(report.review)


def _document(ds: Dataset, report: Report, header: Header) -> None:
    """Add the SR Document Series and General modules (PS3.3 C.17.1, C.17.2)."""
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.CodingSchemeIdentificationSequence = [codes.scheme_identification()]
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    ds.PreliminaryFlag = "PRELIMINARY"
    evidence = dict.fromkeys((*context.references(report), *density_groups.references(report)))
    ds.CurrentRequestedProcedureEvidenceSequence = context.hierarchy(tuple(evidence))
    requests = context.requests(header, report.source.study_instance_uid)
    if requests:
        ds.ReferencedRequestSequence = requests
    if report.review is not None:
        observers.verify(ds, report.review, report.provenance, header)


def _root_items(report: Report, header: Header) -> Iterator[Item]:
    yield content.code(codes.LANGUAGE, codes.ENGLISH, CONCEPT_MODIFIER)
    yield from observers.device(report.provenance)
    if report.review is not None:
        yield from observers.person(report.review, report.provenance, header.encodings)
    yield content.code(codes.PROCEDURE_REPORTED, codes.ABSORPTIOMETRY, CONCEPT_MODIFIER)
    yield _library(report, header)
    yield content.container(codes.IMAGING_MEASUREMENTS, groups(report, header.encodings))
    yield evaluations.container(report, header.encodings)


def _library(report: Report, header: Header) -> Item:
    """Return the image library (TID 1600): every image that the evidence lists."""
    modality = codes.MODALITIES.get(header.text("Modality"), codes.DENSITOMETRY)
    images = dict.fromkeys((*context.references(report), *density_groups.references(report)))
    entries = [
        content.image(
            reference,
            None,
            children=[content.code(codes.MODALITY, modality, content.ACQUISITION_CONTEXT)],
        )
        for reference in images
        if sop_classes.is_image(reference.sop_class_uid)
    ]
    return content.container(codes.IMAGE_LIBRARY, [content.container(codes.IMAGE_LIBRARY_GROUP, entries)])
