"""Result to instances: SR, PDF and overlay made once, archived, and queued for every destination.

A derived UID is a function of what the object states, so work that runs twice makes the same
instances; the archive, the rows and the deliveries are committed in one transaction that only the
holder of the current ticket can commit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tbsnode.model import (
    AnalysisStatus,
    DeliveryState,
    DerivedInstance,
    DerivedKind,
    Provenance,
    Report,
    ReviewState,
    StudyState,
)
from tbsnode.pipeline import coding, registered, shadow
from tbsnode.pipeline.making import Material, checked, content_digest, make, make_report
from tbsnode.pipeline.review import ReviewEvent, next_state
from tbsnode.reasons import Code
from tbsnode.report import table
from tbsnode.store import audit, deliveries, results, reviews, work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.model import Analysis, Peer, Review
    from tbsnode.pipeline.assemble import Selection, Spine
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import AnalysisRow, StudyRow


_REVIEWED = (ReviewState.SIGNED, ReviewState.REJECTED, ReviewState.NEEDS_RE_REVIEW)


def publish(site: Site, ticket: work.Ticket, study: StudyRow, selection: Selection) -> bool:
    """Store what a generation came to, and queue its result set where it changed something.

    After a signature or a rejection a changed result is stored and waits for a reviewer; nothing of
    it is made or sent.

    Parameters
    ----------
    site : Site
        Archive, database, destinations and policy.
    ticket : Ticket
        The right to finish this study's generation.
    study : StudyRow
        The study, with its generation and committed time.
    selection : Selection
        What `assemble` decided.

    Returns
    -------
    bool
        False where the ticket was void: another worker has taken over.
    """
    if study.shadow:
        would_state = stated(site, study, selection) if selection.reported is not None else None
        return shadow.keep(site, ticket, study, selection, would_state)
    if selection.reported is None:
        with site.database.transaction() as tx:
            return _conclude(tx, ticket, _without_result(study, selection), "nothing to report")
    report = stated(site, study, selection)
    result = _Result(study=study, selection=selection, report=report, content=content_digest(report))
    with site.database.read() as tx:
        result = _judged(tx, result)
    if result.wants_instances:
        result = replace(result, made=make_instances(site, study, selection.reported, report))
    with site.database.transaction() as tx:
        return _commit(tx, site, ticket, result)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Result:
    """What a generation came to, and what that means for the readers' state of the study."""

    study: StudyRow
    selection: Selection
    report: Report | None = None
    content: str = ""
    unchanged: bool = False
    review_state: ReviewState = ReviewState.NONE
    made: tuple[DerivedInstance, ...] = ()

    @property
    def wants_instances(self) -> bool:
        """Whether a result set is made: never by the node itself after a reviewer has acted."""
        return self.selection.publish and not self.unchanged and self.study.review_state not in _REVIEWED

    @property
    def reason(self) -> str:
        """Why nothing is sent, where nothing is."""
        if self.review_state is ReviewState.NEEDS_RE_REVIEW and self.selection.state is not StudyState.HELD:
            return Code.NEEDS_RE_REVIEW.value
        return self.selection.reason.code.value if self.selection.reason else ""


def _without_result(study: StudyRow, selection: Selection) -> _Result:
    """Judge a generation that reports nothing: a signature loses its ground, a rejection does not."""
    state = study.review_state
    if state is ReviewState.SIGNED and selection.state is not StudyState.HELD:
        state = next_state(state, ReviewEvent.CHANGED)
    return _Result(study=study, selection=selection, review_state=state)


def _judged(tx: Transaction, result: _Result) -> _Result:
    """Compare with what stands: what was signed or rejected last, else what was published last."""
    study = result.study
    act = reviews.latest(tx, study.id)
    last = (
        results.last_published(tx, study.id) if act is None else results.analysis_by_id(tx, act.analysis_ref)
    )
    same = last is not None and (last.content_digest == result.content or _only_missed(result, last))
    result = replace(result, unchanged=same)
    state, event = study.review_state, ReviewEvent.CHANGED
    if state is ReviewState.NEEDS_RE_REVIEW and result.unchanged:
        assert act is not None, "only a reviewed result needs another review"
        event = ReviewEvent.AS_REJECTED if act.is_rejection else ReviewEvent.AS_SIGNED
    elif result.unchanged or not (result.wants_instances or state in _REVIEWED):
        return replace(result, review_state=state)  # nothing happens to what the readers have
    elif state is ReviewState.NONE:
        event = ReviewEvent.PUBLISHED
    return replace(result, review_state=next_state(state, event))


def _only_missed(result: _Result, last: AnalysisRow) -> bool:
    """Tell whether the results differ only because the PACS was not reached for earlier examinations.

    That it does not answer today says nothing about what was published, or signed, with its answer.
    """
    spine = result.selection.reported
    assert spine is not None
    course = spine.analysis.follow_up
    missed = course is not None and any(f.code is Code.PRIORS_NOT_FETCHED for f in course.findings)
    if not missed or spine.instance.id != last.instance_ref:  # another header is another instance
        return False
    now, then = table.as_json(spine.analysis), dict(last.result)
    for stored in (now, then):
        for name in ("follow_up", "version", "coding"):
            stored.pop(name, None)
    return now == then


def stated(
    site: Site,
    study: StudyRow,
    selection: Selection,
    *,
    at: float | None = None,
    review: Review | None = None,
) -> Report:
    """Gather what a selection states.

    Parameters
    ----------
    site : Site
        Whose policy names the installation.
    study : StudyRow
        The study.
    selection : Selection
        With a reported image.
    at : float, optional
        The time committed with an act of review; by default that of the generation.
    review : Review or None
        Who accepted or corrected it.
    """
    assert selection.reported is not None
    analysis = selection.reported.analysis
    return make_report(
        analysis,
        others=[other.analysis for other in selection.others],
        provenance=provenance_of(site, study, at),
        review=review,
        coding=coding.advice(analysis, review, site.policy),
    )


def provenance_of(site: Site, study: StudyRow, at: float | None = None) -> Provenance:
    """Return who makes the results of a study's generation, and its committed time or another one."""
    content_at = study.content_at if at is None else at
    assert content_at is not None
    return Provenance(
        version=site.policy.version,
        device_uid=site.policy.device_uid,
        station=site.policy.ae_title,
        serial_number=site.policy.serial_number,
        # a time without an offset is that of the place (PS3.3 C.12.1.1.8), as the scanner's own times are
        content_at=datetime.fromtimestamp(content_at, UTC).astimezone(),
        institution=site.policy.institution,
    )


def make_instances(site: Site, study: StudyRow, spine: Spine, report: Report) -> tuple[DerivedInstance, ...]:
    """Make and archive each wanted kind once, as the first destination takes it.

    `deliver` recasts the archived bytes for a destination that takes another SR class or that
    received another predecessor.
    """
    material = Material(
        report=report,
        image=spine.image,
        source=site.archive.path(spine.instance.path),
        page_size=site.policy.page_size,
    )
    made = []
    for kind in _kinds(site.peers, spine.analysis):
        first = next((peer for peer in site.peers if kind.value in peer.send), None)
        with site.database.read() as tx:
            before = registered.predecessor(tx, study, first.name if first else "", kind)
        sr_class = first.sr_class[0] if first and first.sr_class else "3d"
        made.append(checked(make(material, kind, sr_class=sr_class, predecessor=before)))
    for derived in made:
        site.archive.write(registered.path_of(site, derived), derived.part10)
    return tuple(made)


def _kinds(peers: Sequence[Peer], analysis: Analysis) -> tuple[DerivedKind, ...]:
    """Return what is made: SR and PDF always, an overlay where a destination wants one.

    A refused picture is not drawn again: a report page has the patient's identity in its pixels.
    """
    wanted = {"sr", "pdf"}.union(*(peer.send for peer in peers))
    if analysis.status is not AnalysisStatus.SCORED:
        wanted.discard("overlay")
    return tuple(kind for kind in (DerivedKind.SR, DerivedKind.PDF, DerivedKind.OVERLAY) if kind in wanted)


def _commit(tx: Transaction, site: Site, ticket: work.Ticket, result: _Result) -> bool:
    """Write results, instances and deliveries and end the ticket: all or nothing."""
    assert result.report is not None
    status = result.report.analysis.status.value
    told = f"{status}, unchanged: nothing new is made" if result.unchanged else status
    if not _conclude(tx, ticket, result, told):
        return False
    study, selection = result.study, result.selection
    for spine in (selection.reported, *selection.others):
        assert spine is not None
        reported = spine is selection.reported
        analysis_id = results.add_analysis(
            tx,
            study.id,
            spine.analysis,
            results.AnalysisContext(
                generation=study.generation,
                instance_id=spine.instance.id,
                reported=reported,
                published=reported and bool(result.made),
                content_digest=result.content if reported else "",
                result_digest=result.report.result_digest if reported else "",
                content_at=study.content_at,
                result=table.as_json(spine.analysis),
            ),
        )
        if reported and result.made:
            queue(tx, site, study, analysis_id, result.made)
    return True


def _conclude(tx: Transaction, ticket: work.Ticket, result: _Result, what: str) -> bool:
    """End the ticket with the study's new state, and say so in its story."""
    study, selection = result.study, result.selection
    if not work.finish(
        tx, ticket, selection.state, reason=result.reason, review_state=result.review_state.value
    ):
        return False
    analysis = selection.reported.analysis if selection.reported else None
    if analysis is not None and analysis.score is not None:
        what += f", texture slope {analysis.score:.3f} from {', '.join(analysis.included)}"
    refusal = analysis.reason.code.value if analysis and analysis.reason else ""
    if refusal:
        what += f": {refusal}"
    if result.reason and result.reason != refusal:
        what += f"; {selection.state.value}: {result.reason}"
    uid = study.study_instance_uid
    audit.add_event(
        tx,
        f"study.{selection.state.value}",
        f"generation {study.generation}: {what}",
        study_instance_uid=uid,
    )
    if result.review_state is not study.review_state and study.review_state in _REVIEWED:
        needed = result.review_state is ReviewState.NEEDS_RE_REVIEW
        action = "review.needed" if needed else "review.restored"
        now = "waits for a reviewer" if needed else f"is {result.review_state.value} again, as it was"
        audit.add_event(
            tx, action, f"generation {study.generation}: the result {now}", study_instance_uid=uid
        )
    return True


def queue(
    tx: Transaction, site: Site, study: StudyRow, analysis_id: int, made: Sequence[DerivedInstance]
) -> None:
    """Register the instances of a result and queue one delivery for each destination.

    What nobody has signed is held for a destination that gets signed results only.
    """
    for derived in made:
        registered.register(tx, site, analysis_id, study.id, derived)
    names = ", ".join(f"{d.kind.value.upper()} {d.sop_instance_uid}" for d in made)
    audit.add_event(tx, "result.published", f"made {names}", study_instance_uid=study.study_instance_uid)
    signed = reviews.is_signed(tx, analysis_id)
    for peer in site.peers:
        reason = ""
        if site.policy.shadow:
            reason = Code.SHADOW_MODE.value
        elif peer.release == "signed" and not signed:
            reason = Code.AWAITING_SIGNATURE.value
        deliveries.add_delivery(
            tx,
            deliveries.NewDelivery(
                study_id=study.id,
                analysis_id=analysis_id,
                destination=peer.name,
                state=DeliveryState.HELD if reason else DeliveryState.QUEUED,
                reason=reason,
                horizon_s=site.policy.retry_horizon_s,
            ),
        )
