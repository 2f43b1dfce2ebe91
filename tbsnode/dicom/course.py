"""Earlier examinations: one group each, under concepts of their own, and the least significant change."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tbsnode.dicom import codes, content, uids
from tbsnode.dicom import codes_clinical as clinical
from tbsnode.dicom.content import CONCEPT_MODIFIER, OBSERVATION_CONTEXT, Item
from tbsnode.model import Analysis, FollowUp, PriorExamination, Report

_DAY = re.compile(r"\d{8}")


def groups(report: Report) -> Iterator[Item]:
    """Yield a group (TID 1501) for each earlier examination, oldest first."""
    course = report.analysis.follow_up
    for prior in course.priors if course else ():
        assert course is not None
        items = [
            *_head(report, prior),
            *_numbers(prior, report.analysis),
            *_evaluations(prior, course, report.analysis),
        ]
        yield content.container(codes.MEASUREMENT_GROUP, items, template="1501")


def _head(report: Report, prior: PriorExamination) -> Iterator[Item]:
    name = f"Earlier examination {prior.examined_on}"
    uid = uids.tracking_uid(report.source.study_instance_uid, f"prior {prior.study_instance_uid}")
    yield content.text(codes.TRACKING_IDENTIFIER, name, OBSERVATION_CONTEXT)
    yield content.uid_reference(codes.TRACKING_UID, uid, OBSERVATION_CONTEXT)
    if _DAY.fullmatch(prior.examined_on):
        yield content.date(codes.STUDY_DATE, prior.examined_on)
    yield content.uid_reference(codes.STUDY_UID, prior.study_instance_uid)
    yield content.code(codes.FINDING, codes.BONE)
    yield content.code(codes.FINDING_SITE, codes.LUMBAR_SPINE, CONCEPT_MODIFIER)


def _numbers(prior: PriorExamination, analysis: Analysis) -> Iterator[Item]:
    # without a calibration no document carries a TBS with a value, not an earlier one either
    calibrated = analysis.tbs is not None
    for concept, value, units in (
        (clinical.PRIOR_SLOPE, prior.score, codes.NO_UNITS),
        (clinical.PRIOR_TBS, prior.tbs if calibrated else None, codes.NO_UNITS),
        (clinical.SLOPE_DIFFERENCE, prior.difference, codes.NO_UNITS),
        (clinical.TBS_DIFFERENCE, prior.tbs_difference if calibrated else None, codes.NO_UNITS),
        (clinical.PRIOR_AGE, prior.age_years, codes.YEARS),
    ):
        if value is not None:
            yield content.number(concept, value, units)


def _evaluations(prior: PriorExamination, course: FollowUp, analysis: Analysis) -> Iterator[Item]:
    yield content.code(clinical.PRIOR_COMPARABLE, codes.YES if prior.comparable else codes.NO)
    if prior.origin in clinical.PRIOR_ORIGINS:
        yield content.code(clinical.PRIOR_ORIGIN, clinical.PRIOR_ORIGINS[prior.origin])
    for level in prior.levels:
        yield content.code(clinical.PRIOR_LEVEL, codes.VERTEBRAE[level])
    exceeds = _exceeds(prior, course, calibrated=analysis.tbs is not None)
    if exceeds is not None:
        yield content.code(clinical.EXCEEDS_LSC, codes.YES if exceeds else codes.NO)


def _exceeds(prior: PriorExamination, course: FollowUp, *, calibrated: bool) -> bool | None:
    """Judge a change on the scale that both have; None where it is not interpreted."""
    difference, lsc = prior.difference, course.lsc
    if calibrated and prior.tbs_difference is not None:
        difference, lsc = prior.tbs_difference, course.tbs_lsc
    if not prior.comparable or difference is None or lsc is None:
        return None
    return abs(difference) > lsc


def limits(analysis: Analysis) -> Iterator[Item]:
    """Yield the least significant changes of the site's own precision study."""
    course = analysis.follow_up
    if course is None:
        return
    tbs_lsc = course.tbs_lsc if analysis.tbs is not None else None
    for concept, value in ((clinical.SLOPE_LSC, course.lsc), (clinical.TBS_LSC, tbs_lsc)):
        if value is not None:
            yield content.number(concept, value, codes.NO_UNITS)
