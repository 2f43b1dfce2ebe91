"""Report pages -> Encapsulated PDF instance (PS3.3 A.45.1, C.24)."""

from __future__ import annotations

from pathlib import Path

from tbsnode import text
from tbsnode.dicom import codes, context, part10, sop_classes
from tbsnode.dicom.identity import acquisition_date_time
from tbsnode.model import DerivedInstance, DerivedKind, Reference, Report


def build(
    report: Report, pdf: bytes, source: Path, *, predecessor: Reference | None = None
) -> DerivedInstance:
    """Wrap the pages of a report into an instance of the source's study.

    Parameters
    ----------
    report : Report
        What the pages state.
    pdf : bytes
        The document.
    source : Path
        Part 10 file of the reported image.
    predecessor : Reference or None
        The PDF instance that this one replaces.

    Returns
    -------
    DerivedInstance
        The same bytes for the same arguments.
    """
    header = part10.read_header(source)
    called = context.named(report, predecessor)
    ds = context.new_instance(header, DerivedKind.PDF, sop_classes.PDF, called, report.provenance)
    ds.ConversionType = "WSD"
    ds.AcquisitionDateTime = acquisition_date_time(header)
    # the page names the patient; it shows no face
    ds.BurnedInAnnotation = "YES"
    ds.RecognizableVisualFeatures = "NO"
    ds.DocumentTitle = title(report)
    ds.ConceptNameCodeSequence = [codes.item(codes.DXA_REPORT)]
    ds.VerificationFlag = "UNVERIFIED" if report.review is None else "VERIFIED"
    # the images only: the measurement report may reach another destination in another class
    ds.SourceInstanceSequence = [context.source_image(r) for r in context.references(report)]
    if predecessor is not None:
        ds.PredecessorDocumentsSequence = context.hierarchy((predecessor,))
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    # readers cut at the true length; the value itself must be even (PS3.5 6.2)
    ds.EncapsulatedDocumentLength = len(pdf)
    ds.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    return context.finished(ds, DerivedKind.PDF, report.provenance, predecessor)


def title(report: Report) -> str:
    """Return what a list of documents shows: what it is, its state, its version once signed."""
    version = "" if report.review is None else str(report.review.version)
    return context.ascii_text(text.phrase(f"document_title_{report.status.value}", version=version))
