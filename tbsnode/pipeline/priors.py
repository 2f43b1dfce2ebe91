"""Earlier examinations of the same patient, measured again with today's estimator.

They come from the own archive and, where the site wants it, from the PACS. A study counts only if its
own headers give it to the same patient, whatever the catalogue or a PACS says of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tbsnode.model import FollowUp, ReviewState, StudyState
from tbsnode.pipeline import fetch, remeasure, same_patient
from tbsnode.pipeline.interpret import scanner_key
from tbsnode.pipeline.study_dates import is_earlier, study_age_days
from tbsnode.reasons import Code, Finding
from tbsnode.store import calibrations, catalogue, reviews
from tbsnode.store import priors as store
from tbsnode.tbs import calibration
from tbsnode.tbs.calibration import ScannerKey
from tbsnode.tbs.precision import LevelSet, Precision
from tbsnode.tbs.trend import Examination, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tbsnode.model import Analysis, Demographics, PriorExamination
    from tbsnode.pipeline.analyze import AnalysisSettings
    from tbsnode.pipeline.remeasure import Measured
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow

# a study that comes to nothing for one of these reasons may still hold a spine
_STILL_COUNTS = (Code.FETCHED_PRIOR, Code.NOT_ORDERED, Code.OWN_RESULT)


def follow_up(site: Site, study: StudyRow, analysis: Analysis, settings: AnalysisSettings) -> FollowUp | None:
    """Return the course of a scored result.

    Parameters
    ----------
    site : Site
        Archive, database, and the policy: how many studies count, and which PACS is asked.
    study : StudyRow
        The study that is reported.
    analysis : Analysis
        Its scored result.
    settings : AnalysisSettings
        Those that it was made with: the earlier ones are measured with the same, each with its own
        reviewer's corrections.

    Returns
    -------
    FollowUp or None
        None where there is no earlier examination and none was looked for at the PACS.
    """
    assert analysis.identity is not None
    who = analysis.identity.demographics
    if not who.patient_id or not site.policy.priors_most or site.policy.is_phantom(who.patient_id):
        return None
    asked = _asks(site, study)
    fetched = fetch.fetch(site, analysis.identity) if asked else fetch.Fetched()
    with site.database.read() as tx:
        found = tuple(_earlier(tx, study, who))
        precision = _precision(tx, analysis)
    differences = [*fetched.differences, *(name for each in found for name in each.differences)]
    measured = _measured(site, [each for each in found if not each.differences], analysis, settings)
    slope = _slope(analysis, settings)
    compared = _all_compared(site, analysis, measured, precision, slope)
    whose = [_detailed(Code.PRIOR_IDENTITY, ", ".join(dict.fromkeys(differences)))] if differences else []
    missed = [_detailed(Code.PRIORS_NOT_FETCHED, fetched.failure)] if fetched.failure else []
    findings = (*missed, *whose, *(finding for _, why in compared for finding in why))
    if not (asked or compared or findings):
        return None
    lsc = _lsc(analysis, precision)
    return FollowUp(
        priors=tuple(prior for prior, _ in compared),
        lsc=lsc,
        tbs_lsc=None if lsc is None or slope is None else abs(slope) * lsc,
        findings=tuple(dict.fromkeys(findings)),
    )


def _asks(site: Site, study: StudyRow) -> bool:
    """Tell whether the PACS is asked: not for what came from there, nor for what is too old to report."""
    if not site.policy.priors_from:
        return False
    age = study_age_days(study.study_date, study.content_at or 0.0)
    if age is not None and age > site.policy.max_study_age_days:
        return False
    with site.database.read() as tx:
        return store.is_sent(tx, study.study_instance_uid)


def _detailed(code: Code, detail: str) -> Finding:
    return Finding(code, values=(("detail", detail),))


# ---- whose, and which count ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Earlier:
    """An earlier study under the same Patient ID, and what speaks against the same patient."""

    kept: store.KeptStudy
    differences: tuple[str, ...]


def _earlier(tx: Transaction, study: StudyRow, who: Demographics) -> Iterator[_Earlier]:
    """Yield the earlier studies that may count, newest first."""
    under = store.studies_under(tx, who.patient_id, besides=study.id)
    rejected = reviews.rejected_studies(tx, [each.study.id for each in under])
    now = study.study_date, study.study_time
    for kept in under:
        then = kept.study.study_date, kept.study.study_time
        if kept.study.id in rejected or not _may_count(kept) or not is_earlier(then, now):
            continue
        # by the header of each instance: the catalogue's patient says what the first one said
        stated = [row.identity.demographics for row in kept.current or kept.instances]
        differ = [name for each in stated for name in same_patient.differences(who, each)]
        if all(each.patient_id == who.patient_id for each in stated):
            yield _Earlier(kept=kept, differences=tuple(dict.fromkeys(differ)))


def _may_count(kept: store.KeptStudy) -> bool:
    study = kept.study
    if study.review_state is ReviewState.REJECTED or study.state is StudyState.HELD:
        return False
    if any(row.state == "conflict" for row in kept.instances):
        return False
    return study.state is not StudyState.NOT_APPLICABLE or study.reason in _STILL_COUNTS


def _measured(
    site: Site, found: Sequence[_Earlier], analysis: Analysis, settings: AnalysisSettings
) -> list[Measured]:
    """Measure the newest studies that give a score, each picture once; newest first."""
    measured: list[Measured] = []
    seen = {analysis.image_sha256}
    for each in found:
        if len(measured) == site.policy.priors_most:
            break
        one = remeasure.measured(site, each.kept, analysis, settings)
        # the same picture under another study is a copy, not an examination
        if one is not None and one.image_sha256 not in seen:
            seen.add(one.image_sha256 or one.prior.study_instance_uid)
            measured.append(one)
    return measured


# ---- compared -------------------------------------------------------------------------------------


def _all_compared(
    site: Site,
    analysis: Analysis,
    measured: Sequence[Measured],
    precision: Precision | None,
    slope: float | None,
) -> list[tuple[PriorExamination, tuple[Finding, ...]]]:
    """Return each earlier examination, oldest first, and why it cannot be compared."""
    if not measured:
        return []
    assert analysis.score is not None
    now = Examination(
        examined_on="",
        score=analysis.score,
        tbs=analysis.tbs,
        levels=analysis.included,
        key=scanner_key(analysis),
        estimator=calibration.estimator_of(analysis.parameters),
        scan_mode=_mode_of(site, analysis),
    )
    return [_compared(now, each, precision, slope) for each in reversed(measured)]


def _mode_of(site: Site, analysis: Analysis) -> str:
    assert analysis.identity is not None
    with site.database.read() as tx:
        rows = catalogue.find_instances(tx, analysis.identity.sop_instance_uid)
    current = [row for row in rows if row.state == "current"]
    return remeasure.scan_mode(site, current[0]) if current else ""


def _compared(
    now: Examination, measured: Measured, precision: Precision | None, slope: float | None
) -> tuple[PriorExamination, tuple[Finding, ...]]:
    """Return an earlier examination with its difference, or why there is none.

    Its value is that of today's age and body size: where a calibration counts these, they are no change of
    the bone, and no precision study knows how they vary.
    """
    prior = measured.prior
    if measured.key is None:
        return prior, (_detailed(Code.PRIOR_NOT_COMPARABLE, "image (only our report of it is left)"),)
    then = replace(
        now,
        examined_on=prior.examined_on,
        score=prior.score,
        tbs=prior.tbs,
        levels=prior.levels,
        key=measured.key,
        scan_mode=measured.scan_mode,
    )
    trend = compare(now, [then], precision)
    if not trend.changes:
        return prior, trend.findings
    difference = trend.changes[0].difference
    compared = replace(prior, comparable=True, difference=difference)
    if now.tbs is None or prior.tbs is None or slope is None:
        return compared, ()
    return replace(compared, tbs=now.tbs - slope * difference, tbs_difference=slope * difference), ()


# ---- the least significant change -----------------------------------------------------------------


def _precision(tx: Transaction, analysis: Analysis) -> Precision | None:
    """Return the site's newest precision study of this very scanner and estimator.

    One that is too small for a least significant change of these levels does not hide an older one.
    """
    key = scanner_key(analysis)
    estimator = calibration.estimator_of(analysis.parameters)
    newest = None
    for record in calibrations.precision_records(tx):
        stated = dict(record["key"])
        row_mm, column_mm = stated.pop("pixel_spacing_mm")
        other = ScannerKey(**stated, pixel_spacing_mm=(row_mm, column_mm))
        if record["estimator"] == estimator and key.same_scanner(other) and not key.changes(other):
            sets = tuple(LevelSet(**{**each, "levels": tuple(each["levels"])}) for each in record["sets"])
            found = Precision(sets=sets, same_day=record["same_day"])
            if _lsc(analysis, found) is not None:
                return found
            newest = newest or found
    return newest


def _lsc(analysis: Analysis, precision: Precision | None) -> float | None:
    found = None if precision is None else precision.of(analysis.included)
    return None if found is None else found.lsc


def _slope(analysis: Analysis, settings: AnalysisSettings) -> float | None:
    """Return how much a calibrated value changes with the score; None where it is not calibrated."""
    applied = [
        each for each in settings.interpreting.calibrations if each.calibration_id == analysis.calibration
    ]
    return applied[0].slope if applied and analysis.tbs is not None else None
