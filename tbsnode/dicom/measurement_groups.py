"""Measurement groups of the report: one a vertebra with its outline, one for the mean, or for a refusal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tbsnode import text
from tbsnode.dicom import codes, content, course, density_groups, risk, uids
from tbsnode.dicom import codes_clinical as clinical
from tbsnode.dicom.content import CONCEPT_MODIFIER, OBSERVATION_CONTEXT, PROPERTIES, Item
from tbsnode.dicom.identity import MODEL_NAME
from tbsnode.model import Analysis, AnalysisStatus, Report, Vertebra
from tbsnode.reasons import Code, Finding

SUMMARY_LABEL = "L1-L4"


def groups(report: Report, encodings: Sequence[str]) -> Iterator[Item]:
    """Yield every group: levels, summary, regions of other bones, fracture risk, earlier examinations."""
    for vertebra in report.analysis.vertebrae:
        yield _level(report, vertebra, encodings)
    yield _summary(report, encodings)
    yield from density_groups.apart(report, encodings)
    yield from risk.groups(report)
    yield from course.groups(report)


def doubts(report: Report) -> tuple[Finding, ...]:
    """Return the findings that are neither the refusal nor the reason why a level is left out."""
    analysis = report.analysis
    said_elsewhere = {analysis.reason, *(vertebra.excluded for vertebra in analysis.vertebrae)}
    found = [finding for finding in analysis.findings if finding not in said_elsewhere]
    if analysis.follow_up is not None:
        found += analysis.follow_up.findings
    if analysis.frax is not None and analysis.frax.finding is not None:
        found.append(analysis.frax.finding)
    corrected = report.review is not None and bool(report.review.corrections or report.review.image_uid)
    if corrected and all(finding.code is not Code.CORRECTED_BY_REVIEWER for finding in found):
        found.append(Finding(Code.CORRECTED_BY_REVIEWER))
    return tuple(dict.fromkeys(found))


def frame_of(analysis: Analysis) -> int | None:
    """Return the frame that a reference names; None for an image of one frame."""
    frames = analysis.identity.number_of_frames if analysis.identity else 1
    return analysis.frame if frames > 1 else None


def _level(report: Report, vertebra: Vertebra, encodings: Sequence[str]) -> Item:
    """Return the group of one vertebra: TID 1410 with its outline, TID 1501 without one."""
    items = [*_head(report, vertebra.label, codes.VERTEBRAE[vertebra.label]), *_level_numbers(vertebra)]
    density = density_groups.of_site(report.analysis, vertebra.label)
    if density is not None:
        items += density_groups.items(report, density, clinical.REGION_DENSITY, encodings)
    if vertebra.region:
        outline = content.closed_polyline(
            codes.IMAGE_REGION,
            report.analysis.stored_region(vertebra),
            report.source,
            frame_of(report.analysis),
        )
        items.append(outline)
    if vertebra.excluded is not None:
        items.append(content.code(codes.EXCLUSION_REASON, codes.of_code(vertebra.excluded.code)))
    own = {finding.code: None for finding in doubts(report) if finding.vertebra == vertebra.label}
    items += [content.code(codes.QUALITY_FINDING, codes.of_code(code)) for code in own]
    return content.container(codes.MEASUREMENT_GROUP, items, template="1410" if vertebra.region else "1501")


def _level_numbers(vertebra: Vertebra) -> Iterator[Item]:
    if vertebra.score is None:
        why = codes.CALCULATION_FAILURE if vertebra.region else codes.MEASUREMENT_FAILURE
        yield content.no_number(codes.TEXTURE_SLOPE, why)
    else:
        yield content.number(codes.TEXTURE_SLOPE, vertebra.score, codes.NO_UNITS)
        for concept, value in (
            (codes.TEXTURE_SLOPE_ERROR, vertebra.standard_error),
            (codes.FIT_R2, vertebra.fit_r2),
        ):
            if value is not None:
                yield content.number(concept, value, codes.NO_UNITS)
    if vertebra.area_mm2 > 0:
        yield content.number(codes.AREA, vertebra.area_mm2 / 100, codes.SQUARE_CENTIMETERS)


def _summary(report: Report, encodings: Sequence[str]) -> Item:
    """Return the group of the mean (TID 1501), or of the refusal."""
    analysis = report.analysis
    items = [
        *_head(report, SUMMARY_LABEL, codes.LUMBAR_SPINE),
        content.image(report.source, frame_of(analysis), concept=codes.SOURCE_OF_MEASUREMENT),
        *_summary_numbers(analysis, encodings),
        *course.limits(analysis),
    ]
    density = density_groups.of_site(analysis, density_groups.SPINE)
    if density is not None:
        items += density_groups.items(report, density, clinical.SPINE_DENSITY, encodings)
    items += _evaluations(report)
    return content.container(codes.MEASUREMENT_GROUP, items, template="1501")


def _head(report: Report, label: str, site: codes.Concept) -> Iterator[Item]:
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


def _summary_numbers(analysis: Analysis, encodings: Sequence[str]) -> Iterator[Item]:
    mean = [content.code(codes.DERIVATION, codes.MEAN, CONCEPT_MODIFIER)]
    if analysis.status is AnalysisStatus.SCORED and analysis.score is not None:
        yield content.number(codes.TEXTURE_SLOPE, analysis.score, codes.NO_UNITS, mean)
    else:
        yield content.no_number(codes.TEXTURE_SLOPE, codes.MEASUREMENT_FAILURE)
    calibrated = analysis.tbs is not None
    if analysis.tbs is None:
        yield content.no_number(codes.TBS, codes.NOT_ATTEMPTED)
    else:
        yield content.number(codes.TBS, analysis.tbs, codes.NO_UNITS, mean)
    curve = content.words(codes.POPULATION, analysis.reference, encodings, PROPERTIES)
    population = [curve] if analysis.reference else []
    own_adults = [content.text(codes.POPULATION, text.phrase("own_adults"), PROPERTIES)]
    for concept, value, units, properties in (
        (codes.TEXTURE_SLOPE_ERROR, analysis.standard_error, codes.NO_UNITS, []),
        (codes.TBS_SEE, analysis.tbs_see if calibrated else None, codes.NO_UNITS, []),
        (codes.TBS_Z_SCORE, analysis.z_score if calibrated else None, codes.NO_UNITS, population),
        (codes.SITE_PERCENTILE, analysis.site_percentile, codes.PERCENT, own_adults),
        (codes.SITE_Z_SCORE, analysis.site_z, codes.NO_UNITS, own_adults),
        (codes.LABEL_CONFIDENCE, analysis.label_confidence, codes.NO_UNITS, []),
    ):
        if value is not None:
            yield content.number(concept, value, units, properties)


def _evaluations(report: Report) -> Iterator[Item]:
    """Yield what qualifies the number, coded."""
    analysis = report.analysis
    scored = analysis.status is AnalysisStatus.SCORED
    if analysis.reason is not None:
        yield content.code(codes.REFUSAL_REASON, codes.of_code(analysis.reason.code))
    for label in analysis.included if scored else ():
        yield content.code(codes.INCLUDED_LEVEL, codes.VERTEBRAE[label])
    if analysis.input_class is not None:
        yield content.code(codes.INPUT_CLASS, codes.INPUT_CLASSES[analysis.input_class])
    if analysis.spacing_source in codes.SPACING_SOURCES:
        yield content.code(codes.SPACING_SOURCE, codes.SPACING_SOURCES[analysis.spacing_source])
    if scored and analysis.region_source in codes.REGION_SOURCES:
        yield content.code(codes.REGION_SOURCE, codes.REGION_SOURCES[analysis.region_source])
    yield from _category(analysis)
    for code in dict.fromkeys(finding.code for finding in doubts(report)):
        yield content.code(codes.QUALITY_FINDING, codes.of_code(code))


def _category(analysis: Analysis) -> Iterator[Item]:
    """Yield the texture class of a calibrated value; a borderline one has no single class."""
    if analysis.tbs is None or not (analysis.borderline or analysis.category in codes.CATEGORIES):
        return
    for name in analysis.borderline:
        yield content.code(codes.BORDERLINE_CATEGORY, codes.CATEGORIES[name])
    if not analysis.borderline and analysis.category is not None:
        yield content.code(codes.CATEGORY, codes.CATEGORIES[analysis.category])
    # beside the class, not below it: readers of TID 1501 take evaluations, and nothing under them
    rests_on = codes.CUT_OFF_SETS.get(analysis.threshold_set.partition(":")[0])
    if rests_on is not None:
        yield content.code(codes.CUT_OFFS, rests_on)
