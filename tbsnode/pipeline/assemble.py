"""What a ready study consists of: which instance is the spine, and what may leave.

Headers nominate, pixels decide. Every candidate is analyzed; the latest acquisition that scores is
reported, the others are stored and named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from tbsnode.dicom import image as dicom_image
from tbsnode.dicom import results_report
from tbsnode.errors import CorrectionError, InstanceError
from tbsnode.model import (
    Analysis,
    AnalysisStatus,
    Claim,
    Corrections,
    DensitometryImage,
    InputClass,
    StudyState,
)
from tbsnode.pipeline import clinical, context
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_image
from tbsnode.pipeline.interpret import Interpreting
from tbsnode.reasons import Code, Finding
from tbsnode.store import calibrations, reviews

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tbsnode.model import ScannerResults
    from tbsnode.pipeline.site import Policy, Site
    from tbsnode.store.records import InstanceRow, StudyRow


_BETTER = (InputClass.DISPLAY, InputClass.IMAGE, InputClass.RAW)  # a copy does not replace what it shows


@dataclass(frozen=True, eq=False, kw_only=True)
class Spine:
    """One analyzed candidate of a study."""

    instance: InstanceRow
    image: DensitometryImage
    analysis: Analysis


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
        spines = _analyze(site, settings, current)
    except CorrectionError:
        if tried is not None:
            raise
        settings = replace(settings, corrections=Corrections(), corrected_image="")
        spines = _analyze(site, settings, current)
    answers = [s for s in spines if s.analysis.status is not AnalysisStatus.NOT_APPLICABLE]
    if not answers:
        reason = Finding(Code.NOT_AP_SPINE if any(r.identity.is_image for r in current) else Code.NO_IMAGE)
        return Selection(state=StudyState.NOT_APPLICABLE, reason=reason)
    reported, others = _choose(answers, standing.image_uid)
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
    settings = settings_of(site, datetime.fromtimestamp(study.content_at or 0.0, UTC).date())
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


def _analyze(site: Site, settings: AnalysisSettings, current: Sequence[InstanceRow]) -> list[Spine]:
    """Analyze each distinct picture of the study once; scanners send copies under other UIDs."""
    # what one instance of the examination states, a report or a page, holds for its other pictures
    reported = _reported(site, current)
    pictures = _pictures(site, settings, current, reported)
    stated = next((image.results for _, image in pictures if image.results is not None), reported)
    return [
        Spine(instance=row, image=image, analysis=analyze_image(image, settings, stated))
        for row, image in pictures
    ]


def _reported(site: Site, current: Sequence[InstanceRow]) -> ScannerResults | None:
    """Return the scanner's results of the first structured report that has some of the spine."""
    for row in current:
        if row.identity.is_image or row.identity.made_by_tbsnode:
            continue
        try:
            results = results_report.read_results(site.archive.path(row.path))
        except InstanceError:
            continue
        if results is not None and any(each.site.startswith("L") for each in results.sites):
            return results
    return None


def _pictures(
    site: Site,
    settings: AnalysisSettings,
    current: Sequence[InstanceRow],
    reported: ScannerResults | None,
) -> list[tuple[InstanceRow, DensitometryImage]]:
    """Read each distinct picture that may be a spine."""
    seen: set[str] = set()
    pictures = []
    for row in current:
        if not row.identity.is_image or row.identity.claim is Claim.OTHER:
            continue
        try:
            images = dicom_image.read_images(
                site.archive.path(row.path), hints=settings.hints_for(row.identity), results=reported
            )
        except InstanceError:
            continue  # not an image after all; intake kept it as received
        for image in images:
            if image.image_sha256 not in seen:
                seen.add(image.image_sha256)
                pictures.append((row, image))
    return pictures


def _choose(answers: Sequence[Spine], chosen: str = "") -> tuple[Spine, tuple[Spine, ...]]:
    """Report the reviewer's choice, else the latest acquisition that scores; name the others."""
    picked = [s for s in answers if s.instance.sop_instance_uid == chosen]
    among = picked or list(answers)
    pool = [s for s in among if s.analysis.status is AnalysisStatus.SCORED] or among
    reported = max(pool, key=_order)
    others = tuple(s for s in answers if s is not reported)
    also = [s.instance.sop_instance_uid for s in others if s.analysis.status is AnalysisStatus.SCORED]
    if also:
        finding = Finding(Code.MULTIPLE_SPINES, values=(("others", ", ".join(also)),))
        analysis = replace(reported.analysis, findings=(*reported.analysis.findings, finding))
        reported = Spine(instance=reported.instance, image=reported.image, analysis=analysis)
    return reported, others


def _order(spine: Spine) -> tuple[str, int, int, int, int, str]:
    """Order acquisitions, of one the better pixels; the UID breaks ties, so that a rerun chooses the same."""
    identity, input_class = spine.instance.identity, spine.image.input_class
    return (
        identity.acquisition_date_time,
        _BETTER.index(input_class) if input_class in _BETTER else -1,
        _number(identity.series_number),
        _number(identity.instance_number),
        spine.image.frame,
        identity.sop_instance_uid,
    )


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else 0


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


def study_age_days(study_date: str, now: float) -> int | None:
    """Return a study's age in days at `now`, None where its date is absent or no date."""
    if not re.fullmatch(r"\d{8}", study_date):
        return None
    try:
        taken = date(int(study_date[:4]), int(study_date[4:6]), int(study_date[6:]))
    except ValueError:
        return None
    return (datetime.fromtimestamp(now, UTC).date() - taken).days
