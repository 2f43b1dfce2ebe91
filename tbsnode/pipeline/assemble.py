"""What a ready study consists of: which instance is the spine, and what may leave.

Headers nominate, pixels decide. Every candidate is analyzed; the latest acquisition that scores is
reported, the others are stored and named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from tbsnode.errors import CorrectionError
from tbsnode.model import (
    AnalysisStatus,
    Corrections,
    StudyState,
)
from tbsnode.pipeline import clinical, context
from tbsnode.pipeline.analyze import AnalysisSettings
from tbsnode.pipeline.interpret import Interpreting
from tbsnode.pipeline.spines import Spine, analyze_pictures, choose
from tbsnode.pipeline.study_dates import local_day, study_age_days
from tbsnode.reasons import Code, Finding
from tbsnode.store import calibrations, reviews

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tbsnode.pipeline.site import Policy, Site
    from tbsnode.store.records import InstanceRow, StudyRow

__all__ = ["Selection", "Spine", "assemble", "settings_of"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection:
    """What a generation of a study comes to.

    Attributes
    ----------
    state : StudyState
        DONE, NOT_APPLICABLE or HELD.
    reason : Finding or None
        Why nothing is sent, where nothing is.
    reported : Spine or None
        The image whose result is reported (scored or refused).
    others : tuple of Spine
        Further results, stored only.
    publish : bool
        Whether a result set is made.
    """

    state: StudyState
    reason: Finding | None = None
    reported: Spine | None = None
    others: tuple[Spine, ...] = ()
    publish: bool = False


def assemble(
    site: Site,
    study: StudyRow,
    instances: Sequence[InstanceRow],
    *,
    tried: reviews.Standing | None = None,
) -> Selection:
    """Decide what a study comes to.

    What the newest review corrected, and the image that it chose, stand in every later generation.

    Parameters
    ----------
    site : Site
        Archive and policy.
    study : StudyRow
        The study, with the time committed with its generation.
    instances : sequence of InstanceRow
        All its instances, of every state, in order of arrival.
    tried : Standing, optional
        What a reviewer is about to decide, in place of what stands.

    Returns
    -------
    Selection
        Its state, what is reported and what else was found.

    Raises
    ------
    CorrectionError
        If what is `tried` cannot be carried out. What stands and no longer fits the picture is left
        out instead: the result has changed then, and waits for a reviewer.
    """
    held = _held(instances)
    if held is not None:
        return Selection(state=StudyState.HELD, reason=held)
    current = [row for row in instances if row.state == "current"]
    if site.policy.when == "ordered" and not any(_is_ordered(site.policy, row) for row in current):
        return Selection(state=StudyState.NOT_APPLICABLE, reason=Finding(Code.NOT_ORDERED))
    standing = tried or _standing(site, study)
    settings = _settings(site, study, current, standing)
    try:
        spines = analyze_pictures(site, settings, current)
    except CorrectionError:
        if tried is not None:
            raise
        settings = replace(settings, corrections=Corrections(), corrected_image="")
        spines = analyze_pictures(site, settings, current)
    answers = [s for s in spines if s.analysis.status is not AnalysisStatus.NOT_APPLICABLE]
    if not answers:
        reason = Finding(Code.NOT_AP_SPINE if any(r.identity.is_image for r in current) else Code.NO_IMAGE)
        return Selection(state=StudyState.NOT_APPLICABLE, reason=reason)
    reported, others = choose(answers, standing.image_uid)
    reported = _in_context(site, study, current, reported, settings)
    fetched = all(row.fetched for row in current)  # nothing of it came from a scanner
    withheld = Finding(Code.FETCHED_PRIOR) if fetched else _withheld(site.policy, study, reported)
    return Selection(
        state=StudyState.DONE,
        reason=withheld,
        reported=reported,
        others=others,
        publish=withheld is None,
    )


def _held(instances: Iterable[InstanceRow]) -> Finding | None:
    """Conflicts that a person must resolve before anything is computed or sent."""
    rows = list(instances)
    if any(row.state == "conflict" for row in rows):
        return Finding(Code.INSTANCE_CONFLICT)
    patients = {
        (row.identity.demographics.patient_id, row.identity.demographics.issuer)
        for row in rows
        if row.state == "current"
    }
    if len(patients) > 1:
        return Finding(Code.IDENTITY_CONFLICT, values=(("patient_ids", float(len(patients))),))
    return None


def _is_ordered(policy: Policy, row: InstanceRow) -> bool:
    """Look for an order in the request, the procedure codes and the description of the study."""
    return policy.is_ordered((*row.identity.order_codes, row.identity.study_description))


def settings_of(site: Site, on: date) -> AnalysisSettings:
    """Return what an analysis of this site depends on, on a day."""
    with site.database.read() as tx:
        active = calibrations.active(tx)
    return AnalysisSettings(
        parameters=site.policy.parameters,
        hint_rules=site.policy.hint_rules,
        interpreting=Interpreting(
            calibrations=active,
            on=on,
            threshold_set=site.policy.threshold_set,
            reference_file=site.policy.reference_file,
        ),
        version=site.policy.version,
    )


def _standing(site: Site, study: StudyRow) -> reviews.Standing:
    with site.database.read() as tx:
        return reviews.standing(tx, study.id)


def _settings(
    site: Site, study: StudyRow, current: Sequence[InstanceRow], standing: reviews.Standing
) -> AnalysisSettings:
    """Return what the analysis depends on: the site's rules, what was declared and corrected."""
    settings = settings_of(site, local_day(study.content_at or 0.0))
    declared = clinical.context_of(site, current[0].identity) if current else None
    return replace(
        settings,
        clinical=declared,
        corrections=standing.corrections,
        corrected_image=standing.corrected_image,
    )


def _in_context(
    site: Site,
    study: StudyRow,
    current: Sequence[InstanceRow],
    reported: Spine,
    settings: AnalysisSettings,
) -> Spine:
    made = context.in_context(site, study, current, reported.analysis, settings)
    return Spine(instance=reported.instance, image=reported.image, analysis=made)


def _withheld(policy: Policy, study: StudyRow, reported: Spine) -> Finding | None:
    """Say why a result is kept and not published, if so."""
    if policy.is_phantom(reported.instance.identity.demographics.patient_id):
        return Finding(Code.PHANTOM)
    age = study_age_days(study.study_date, study.content_at or 0.0)
    if age is not None and age > policy.max_study_age_days:
        return Finding(Code.STUDY_TOO_OLD, values=(("age_days", float(age)),))
    if reported.analysis.status is not AnalysisStatus.SCORED and not policy.report_refusals:
        return reported.analysis.reason
    return None
