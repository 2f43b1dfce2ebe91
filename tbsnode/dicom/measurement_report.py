"""Report -> measurement report: a Structured Report on TID 1500 (PS3.16).

One group a vertebra with its outline, one for the mean. The raw texture slope and the Trabecular
Bone Score are two concepts: without a calibration the second is a measurement that was not
attempted, never a number. A refusal is the same document with a measurement that failed and the
coded reason, because silence looks like "not yet".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset

from tbsnode import text
from tbsnode.dicom import codes, content, context, part10, sop_classes, uids
from tbsnode.dicom.content import CONCEPT_MODIFIER, OBSERVATION_CONTEXT
from tbsnode.dicom.identity import MODEL_NAME
from tbsnode.dicom.part10 import Header
from tbsnode.model import Analysis, AnalysisStatus, DerivedInstance, DerivedKind, Reference, Report, Vertebra
from tbsnode.reasons import Finding

SUMMARY_LABEL = "L1-L4"


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
    header = part10.read_header(source)
    uid = sop_classes.SR_CLASSES[sr_class]
    ds = context.new_instance(report, header, DerivedKind.SR, sop_class_uid=uid, predecessor=predecessor)
    _document(ds, report, header)
    if predecessor is not None:
        ds.PredecessorDocumentsSequence = context.hierarchy((predecessor,))
    root = content.container(codes.IMAGING_MEASUREMENT_REPORT, _root_items(report, header))
    del root.RelationshipType
    root.ContentTemplateSequence = [content.template_identification("1500")]
    ds.update(root)
    return DerivedInstance(
        kind=DerivedKind.SR,
        sop_class_uid=uid,
        sop_instance_uid=ds.SOPInstanceUID,
        series_instance_uid=ds.SeriesInstanceUID,
        study_instance_uid=ds.StudyInstanceUID,
        predecessor_uid=predecessor.sop_instance_uid if predecessor else "",
        part10=part10.encode(ds, version=report.provenance.version),
    )


def _document(ds: Dataset, report: Report, header: Header) -> None:
    """Add the SR Document Series and General modules (PS3.3 C.17.1, C.17.2)."""
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.CodingSchemeIdentificationSequence = [codes.scheme_identification()]
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    ds.PreliminaryFlag = "PRELIMINARY"
    ds.CurrentRequestedProcedureEvidenceSequence = context.hierarchy(context.references(report))
    requests = [_request(item, report, header) for item in header.items("RequestAttributesSequence")]
    if requests:
        ds.ReferencedRequestSequence = requests


def _request(attributes: Header, report: Report, header: Header) -> Dataset:
    """Return the order that the images were made for (type 2 attributes stay empty)."""
    ds = Dataset()
    ds.StudyInstanceUID = report.source.study_instance_uid
    ds.ReferencedStudySequence = []
    if not context.copy_element(attributes, "AccessionNumber", ds):
        context.copy_element(header, "AccessionNumber", ds, empty=True)
    for keyword in (
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "RequestedProcedureID",
        "RequestedProcedureDescription",
    ):
        context.copy_element(attributes, keyword, ds, empty=True)
    if not context.copy_element(attributes, "RequestedProcedureCodeSequence", ds):
        ds.RequestedProcedureCodeSequence = []
    return ds


def _root_items(report: Report, header: Header) -> Iterator[Dataset]:
    made = report.provenance
    yield content.code(codes.LANGUAGE, codes.ENGLISH, CONCEPT_MODIFIER)
    yield content.code(codes.OBSERVER_TYPE, codes.DEVICE, OBSERVATION_CONTEXT)
    yield content.uid_reference(codes.DEVICE_OBSERVER_UID, made.device_uid, OBSERVATION_CONTEXT)
    for concept, value in (
        (codes.DEVICE_OBSERVER_NAME, made.station),
        (codes.DEVICE_OBSERVER_MANUFACTURER, context.MANUFACTURER),
        (codes.DEVICE_OBSERVER_MODEL, MODEL_NAME),
        (codes.DEVICE_OBSERVER_SERIAL, made.serial_number),
    ):
        if value:
            yield content.text(concept, value, OBSERVATION_CONTEXT)
    yield content.code(codes.PROCEDURE_REPORTED, codes.ABSORPTIOMETRY, CONCEPT_MODIFIER)
    yield _library(report, header)
    groups = [_level(report, vertebra) for vertebra in report.analysis.vertebrae]
    yield content.container(codes.IMAGING_MEASUREMENTS, [*groups, _summary(report)])
    # TID 1500 rows 12 to 14: where a reader that knows no private code finds the words
    comments = [content.text(codes.COMMENT, sentence) for sentence in _comments(report)]
    yield content.container(codes.QUALITATIVE_EVALUATIONS, comments)


def _library(report: Report, header: Header) -> Dataset:
    """Return the image library (TID 1600): every image that the evidence lists."""
    modality = codes.MODALITIES.get(header.text("Modality"), codes.DENSITOMETRY)
    entries = [
        content.image(
            reference,
            None,
            children=[content.code(codes.MODALITY, modality, content.ACQUISITION_CONTEXT)],
        )
        for reference in context.references(report)
    ]
    return content.container(codes.IMAGE_LIBRARY, [content.container(codes.IMAGE_LIBRARY_GROUP, entries)])


def _level(report: Report, vertebra: Vertebra) -> Dataset:
    """Return the group of one vertebra: TID 1410 with its outline, TID 1501 without one."""
    items = list(_group_head(report, vertebra.label, codes.VERTEBRAE[vertebra.label]))
    if vertebra.score is not None:
        items.append(content.number(codes.TEXTURE_SLOPE, vertebra.score, codes.NO_UNITS))
        if vertebra.standard_error is not None:
            items.append(content.number(codes.TEXTURE_SLOPE_ERROR, vertebra.standard_error, codes.NO_UNITS))
    else:
        why = codes.CALCULATION_FAILURE if vertebra.region else codes.MEASUREMENT_FAILURE
        items.append(content.no_number(codes.TEXTURE_SLOPE, why))
    if vertebra.area_mm2 > 0:
        items.append(content.number(codes.AREA, vertebra.area_mm2 / 100, codes.SQUARE_CENTIMETERS))
    if vertebra.region:
        outline = content.closed_polyline(
            codes.IMAGE_REGION,
            report.analysis.stored_region(vertebra),
            report.source,
            _frame(report.analysis),
        )
        items.append(outline)
    if vertebra.excluded is not None:
        items.append(content.code(codes.EXCLUSION_REASON, codes.of_code(vertebra.excluded.code)))
    own = {f.code: None for f in _findings(report.analysis) if f.vertebra == vertebra.label}
    items += [content.code(codes.QUALITY_FINDING, codes.of_code(code)) for code in own]
    return content.container(codes.MEASUREMENT_GROUP, items, template="1410" if vertebra.region else "1501")


def _summary(report: Report) -> Dataset:
    """Return the group of the mean (TID 1501), or of the refusal."""
    analysis = report.analysis
    items = list(_group_head(report, SUMMARY_LABEL, codes.LUMBAR_SPINE))
    items.append(content.image(report.source, _frame(analysis), concept=codes.SOURCE_OF_MEASUREMENT))
    items += _summary_numbers(analysis)
    items += _evaluations(analysis)
    return content.container(codes.MEASUREMENT_GROUP, items, template="1501")


def _group_head(report: Report, label: str, site: codes.Concept) -> Iterator[Dataset]:
    study = report.source.study_instance_uid
    yield content.text(codes.TRACKING_IDENTIFIER, label, OBSERVATION_CONTEXT)
    yield content.uid_reference(codes.TRACKING_UID, uids.tracking_uid(study, label), OBSERVATION_CONTEXT)
    yield content.code(codes.FINDING, codes.BONE)
    yield content.code(codes.FINDING_SITE, site, CONCEPT_MODIFIER)
    yield content.text(codes.ALGORITHM_NAME, MODEL_NAME, CONCEPT_MODIFIER)
    yield content.text(codes.ALGORITHM_VERSION, report.analysis.version, CONCEPT_MODIFIER)
    parameters = report.analysis.parameters.as_dict().items()
    stated = ", ".join(f"{name} = {value}" for name, value in parameters)
    yield content.text(codes.ALGORITHM_PARAMETERS, stated, CONCEPT_MODIFIER)


def _summary_numbers(analysis: Analysis) -> Iterator[Dataset]:
    if analysis.status is AnalysisStatus.SCORED and analysis.score is not None:
        mean = content.code(codes.DERIVATION, codes.MEAN, CONCEPT_MODIFIER)
        yield content.number(codes.TEXTURE_SLOPE, analysis.score, codes.NO_UNITS, [mean])
    else:
        yield content.no_number(codes.TEXTURE_SLOPE, codes.MEASUREMENT_FAILURE)
    if analysis.tbs is None:
        yield content.no_number(codes.TBS, codes.NOT_ATTEMPTED)
    else:
        mean = content.code(codes.DERIVATION, codes.MEAN, CONCEPT_MODIFIER)
        yield content.number(codes.TBS, analysis.tbs, codes.NO_UNITS, [mean])
    calibrated = analysis.tbs is not None
    for concept, value, units in (
        (codes.TEXTURE_SLOPE_ERROR, analysis.standard_error, codes.NO_UNITS),
        (codes.TBS_SEE, analysis.tbs_see if calibrated else None, codes.NO_UNITS),
        (codes.TBS_Z_SCORE, analysis.z_score if calibrated else None, codes.NO_UNITS),
        (codes.SITE_PERCENTILE, analysis.site_percentile, codes.PERCENT),
        (codes.SITE_Z_SCORE, analysis.site_z, codes.NO_UNITS),
        (codes.LABEL_CONFIDENCE, analysis.label_confidence, codes.NO_UNITS),
    ):
        if value is not None:
            yield content.number(concept, value, units)


def _evaluations(analysis: Analysis) -> Iterator[Dataset]:
    """Yield what qualifies the number, coded."""
    if analysis.reason is not None:
        yield content.code(codes.REFUSAL_REASON, codes.of_code(analysis.reason.code))
    if analysis.status is AnalysisStatus.SCORED:
        for label in analysis.included:
            yield content.code(codes.INCLUDED_LEVEL, codes.VERTEBRAE[label])
    if analysis.input_class is not None:
        yield content.code(codes.INPUT_CLASS, codes.INPUT_CLASSES[analysis.input_class])
    if analysis.spacing_source in codes.SPACING_SOURCES:
        yield content.code(codes.SPACING_SOURCE, codes.SPACING_SOURCES[analysis.spacing_source])
    if analysis.status is AnalysisStatus.SCORED and analysis.region_source in codes.REGION_SOURCES:
        yield content.code(codes.REGION_SOURCE, codes.REGION_SOURCES[analysis.region_source])
    yield from _category(analysis)
    for code in dict.fromkeys(finding.code for finding in _findings(analysis)):
        yield content.code(codes.QUALITY_FINDING, codes.of_code(code))


def _category(analysis: Analysis) -> Iterator[Dataset]:
    """Yield the texture class of a calibrated value; a borderline one has no single class."""
    if analysis.tbs is None:
        return
    if analysis.borderline:
        for name in analysis.borderline:
            yield content.code(codes.BORDERLINE_CATEGORY, codes.CATEGORIES[name])
    elif analysis.category in codes.CATEGORIES:
        yield content.code(codes.CATEGORY, codes.CATEGORIES[analysis.category])


def _comments(report: Report) -> Iterator[str]:
    """Yield every reason to doubt the number, and what it is not, as sentences."""
    analysis = report.analysis
    if report.simulated:
        yield text.phrase("simulated")
    if analysis.reason is not None:
        yield _said(analysis.reason)
    if analysis.calibration is not None:
        yield f"Calibration {analysis.calibration}"
    if analysis.tbs is not None and analysis.threshold_set:
        yield f"Cut-offs {analysis.threshold_set}"
    if analysis.tbs is not None and analysis.reference:
        yield f"Reference {analysis.reference}"
    for finding in _findings(analysis):
        yield _said(finding)
    for vertebra in analysis.vertebrae:
        if vertebra.excluded is not None:
            yield _said(vertebra.excluded)
    yield text.phrase("limits")
    yield text.phrase("limits_compare")


def _said(finding: Finding) -> str:
    return f"{finding.code.value}: {text.sentence(finding)}"


def _findings(analysis: Analysis) -> tuple[Finding, ...]:
    """Return the findings that are neither the refusal nor the reason why a level is left out."""
    said_elsewhere = {analysis.reason, *(vertebra.excluded for vertebra in analysis.vertebrae)}
    return tuple(finding for finding in analysis.findings if finding not in said_elsewhere)


def _frame(analysis: Analysis) -> int | None:
    frames = analysis.identity.number_of_frames if analysis.identity else 1
    return analysis.frame if frames > 1 else None
