"""Archived instances to one destination, with an honest account of every answer.

An unreachable peer is tried again with doubling delays for three days; a peer that refuses is not
asked twice. What it has answered with success is never sent again. What is sent, and as what, says
`pipeline.outgoing`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from tbsnode import text
from tbsnode.dicom import part10, sop_classes
from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable
from tbsnode.model import DeliveryState, DerivedKind, SendOutcome
from tbsnode.net import scu, status
from tbsnode.pipeline import commitments, identity_check, quarantine, release, wait_for_study
from tbsnode.pipeline.outgoing import STORED, Item, Job, items, prepare, require_intact, unsent
from tbsnode.reasons import Code
from tbsnode.store import audit, catalogue, deliveries, results, work

if TYPE_CHECKING:
    from pathlib import Path

    from tbsnode.model import Peer
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow

log = logging.getLogger(__name__)

_NOT_WELL = (DeliveryState.PARTIAL, DeliveryState.REFUSED)

_WAIT_FOR_OLDER_S = 1.0


def deliver(site: Site, ticket: work.Ticket) -> None:
    """Send one result set to one destination, once.

    Parameters
    ----------
    site : Site
        Archive, database and destinations.
    ticket : Ticket
        Which delivery, at which attempt. A void ticket does nothing.

    Raises
    ------
    InvalidResult
        A file is not what was archived: nothing is sent.
    ResourceError
        Archive or database failed; the engine tries again later.
    """
    job = _begin(site, ticket)
    if job is None:
        return
    answers: list[tuple[Item, SendOutcome]] = []
    try:
        if wait_for_study.waits(site, job) or _is_held(site, job):
            return
        wanted = [unsent(job, each) for each in items(site, job)]
        require_intact(wanted)
        _send_all(site, job, wanted, answers)
    except (PeerUnreachable, AssociationRejected) as error:
        _record(site, job, answers)
        _unreachable(site, job, error)
        return
    _record(site, job, answers)
    _conclude(site, job, [outcome for _, outcome in answers])


def _begin(site: Site, ticket: work.Ticket) -> Job | None:
    with site.database.transaction() as tx:
        if not work.start(tx, ticket):
            return None
        row = deliveries.delivery_of(tx, ticket.row_id)
        study = catalogue.study_by_id(tx, row["study_ref"])
        analysis = results.analysis_by_id(tx, row["analysis_ref"])
        assert study is not None
        assert analysis is not None
        peer = site.peer(row["destination"])
        if peer is None:
            why = f"destination {row['destination']} is not in the configuration"
            work.finish(tx, ticket, DeliveryState.FAILED, last_error=why)
            _tell(tx, study, "delivery.failed", why)
            return None
        if deliveries.replaced_by_newer(tx, ticket.row_id):
            _superseded(tx, study, ticket, peer.name)
            return None
        if quarantine.ends(tx, ticket, study):
            return None
        if deliveries.another_at_work(tx, ticket, study.id, peer.name):
            _wait_for_older(tx, ticket, row["tries"])
            return None
        if release.rejected(tx, study.id, analysis.id) is None:
            bar = release.unsigned(tx, peer, analysis.id)
            if bar is not None:
                work.finish(tx, ticket, DeliveryState.HELD, reason=Code.AWAITING_SIGNATURE.value)
                _tell(tx, study, "delivery.held", bar.why)
                return None
        return Job(
            ticket=ticket,
            study=study,
            analysis=analysis,
            peer=peer,
            tries=row["tries"],
            deadline=row["deadline"],
            now=tx.now,
            answered=deliveries.answered(tx, ticket.row_id),
        )


def _wait_for_older(tx: Transaction, ticket: work.Ticket, tries: int) -> None:
    """Look again in a moment. A look is no try: pauses and the end of trying count from what was tried."""
    error = "another delivery of this study is being sent there"
    work.postpone(tx, ticket, delay_s=_WAIT_FOR_OLDER_S, error=error, tries=max(0, tries - 1))


def _is_held(site: Site, job: Job) -> bool:
    """Hold what is sent late and belongs to somebody else by now at the destination."""
    with site.database.read() as tx:
        instances = catalogue.instances_of_study(tx, job.study.id)
    ours = [row for row in instances if row.state == "current"]
    if not ours or job.now - max(row.received_at for row in ours) <= site.policy.identity_check_after_s:
        return False
    source = next((row for row in ours if row.id == job.analysis.instance_ref), ours[-1])
    changed = identity_check.changed_at(job.peer, source.identity)
    if changed is None:
        return False
    with site.database.transaction() as tx:
        what = text.sentence(changed)
        if work.finish(tx, job.ticket, DeliveryState.HELD, reason=changed.code.value, last_error=what):
            _tell(tx, job.study, "delivery.held", f"to {job.peer.name}: {what}")
    return True


def _send_all(
    site: Site, job: Job, wanted: list[list[Item]], answers: list[tuple[Item, SendOutcome]]
) -> None:
    """Send the first alternative of each instance that the peer accepts, in one association if it can.

    Another association is needed only for what the peer did not accept: the next SR class, or the
    same instance in Implicit VR for a peer that takes nothing else. Exactly one alternative is
    stored. `answers` grows as answers come, so that a broken association loses none.
    """
    waiting = [alternatives for alternatives in wanted if alternatives]
    plain: list[Path] = []
    try:
        while waiting:
            ready = [(prepare(site, job, first), others) for first, *others in waiting]
            waiting = [[first, *others] for first, others in ready if first is not None]
            if not waiting:
                break
            outcomes = _send(job.peer, [first for first, *_ in waiting], answers)
            waiting = [
                rest
                for alternatives, outcome in zip(waiting, outcomes, strict=True)
                if (rest := _next(site, alternatives, outcome, plain, answers))
            ]
    finally:
        for path in plain:
            path.unlink(missing_ok=True)


def _send(peer: Peer, items: list[Item], answers: list[tuple[Item, SendOutcome]]) -> tuple[SendOutcome, ...]:
    try:
        return scu.send(peer, [item.outgoing for item in items])
    except PeerUnreachable as error:
        by_uid = {item.outgoing.sop_instance_uid: item for item in items}
        answers += [(by_uid[outcome.sop_instance_uid], outcome) for outcome in error.outcomes]
        raise


def _next(
    site: Site,
    alternatives: list[Item],
    outcome: SendOutcome,
    plain: list[Path],
    answers: list[tuple[Item, SendOutcome]],
) -> list[Item]:
    """Return what is left to try for one instance; note its answer where nothing is."""
    item, *others = alternatives
    if outcome.category == "not_accepted" and outcome.text == "implicit_only":
        path = site.archive.incoming / f"{item.outgoing.sop_instance_uid}.implicit"
        part10.reencode(item.outgoing.path, path)
        plain.append(path)
        syntax = sop_classes.IMPLICIT_VR_LITTLE_ENDIAN
        return [replace(item, outgoing=replace(item.outgoing, path=path, transfer_syntax_uid=syntax))]
    if outcome.category == "not_accepted" and others:
        return others
    answers.append((item, outcome))
    return others if outcome.status is not None and status.is_about_class(outcome.status) else []


def _record(site: Site, job: Job, outcomes: list[tuple[Item, SendOutcome]]) -> None:
    """Write every answer before anything is concluded from them."""
    if not outcomes:
        return
    with site.database.transaction() as tx:
        for item, outcome in outcomes:
            deliveries.record_item(
                tx,
                job.ticket.row_id,
                kind=item.kind,
                derived_ref=item.derived_id,
                instance_ref=item.instance_id,
                sop_class_uid=item.outgoing.sop_class_uid,
                sop_instance_uid=item.outgoing.sop_instance_uid,
                outcome=outcome.category,
                status=outcome.status,
                text=outcome.text,
                sent_at=tx.now,
            )
            code = "no presentation context" if outcome.status is None else f"0x{outcome.status:04X}"
            _tell(
                tx,
                job.study,
                f"delivery.{outcome.category}",
                f"{item.kind.upper()} to {job.peer.name}: {outcome.text or code}",
            )


def _unreachable(site: Site, job: Job, error: PeerError) -> None:
    """Try again later while the peer may come back; a permanent rejection ends it."""
    policy = site.policy
    final = isinstance(error, AssociationRejected) and not error.transient
    delay = min(policy.retry_cap_s, policy.retry_first_s * 2 ** min(job.tries - 1, 16))
    with site.database.transaction() as tx:
        if deliveries.replaced_by_newer(tx, job.ticket.row_id):
            _superseded(tx, job.study, job.ticket, job.peer.name)
            return
        if final or tx.now + delay > job.deadline:
            state = DeliveryState.REFUSED if final else DeliveryState.FAILED
            ended = work.finish(tx, job.ticket, state, last_error=str(error))
            action, what = f"delivery.{state.value}", str(error)
        else:
            ended = work.postpone(tx, job.ticket, delay_s=delay, error=str(error))
            action, what = "delivery.postponed", f"{str(error).rstrip('.')}; again in {delay:.0f} s"
        if ended:
            _tell(tx, job.study, action, f"to {job.peer.name}: {what}")
    log.warning(
        "delivery to %s (%s:%d): %s",
        job.peer.name,
        job.peer.host,
        job.peer.port,
        what,
        extra={"action": action, "study_instance_uid": job.study.study_instance_uid},
    )


def _superseded(tx: Transaction, study: StudyRow, ticket: work.Ticket, destination: str) -> None:
    """End what a newer result replaced while it was being tried."""
    if work.finish(tx, ticket, DeliveryState.SUPERSEDED, last_error=""):
        _tell(tx, study, "delivery.superseded", f"to {destination}: a newer result takes its place")


def _conclude(site: Site, job: Job, outcomes: list[SendOutcome]) -> None:
    """Say how the delivery ended, from every answer it has had."""
    busy = [outcome for outcome in outcomes if outcome.category == "out_of_resources"]
    if busy:
        text = f"{job.peer.name} is out of resources (0x{busy[0].status or 0:04X})"
        _unreachable(site, job, PeerUnreachable(text, peer=job.peer.name))
        return
    with site.database.transaction() as tx:
        answered = deliveries.answered(tx, job.ticket.row_id)
        state = _state_of(answered)
        if not answered and release.rejected(tx, job.study.id, job.analysis.id) is not None:
            state = DeliveryState.SUPERSEDED  # it was withdrawn before anything of it was there
        errors = _errors(answered, outcomes)
        if work.finish(tx, job.ticket, state, last_error=errors):
            commitments.want(tx, site, job.peer, job.ticket.row_id, state)
            _tell(tx, job.study, f"delivery.{state.value}", f"to {job.peer.name}: {state.value}")
    log.log(
        logging.WARNING if state in _NOT_WELL else logging.INFO,
        "delivery to %s: %s",
        job.peer.name,
        state.value,
        extra={"action": f"delivery.{state.value}", "study_instance_uid": job.study.study_instance_uid},
    )


def _errors(answered: dict[str, deliveries.Answer], outcomes: list[SendOutcome]) -> str:
    """Say what is not there and why, for a person; of an SR that is stored in another class nothing."""
    best = _best(answered)
    told = []
    for each in outcomes:
        answer = answered.get(each.sop_instance_uid)
        missing = answer is None or best[_thing(each.sop_instance_uid, answer)] not in STORED
        if missing and each.category not in STORED and each.text:
            told.append(f"{answer.kind.upper() if answer else 'instance'}: {each.text}")
    return "; ".join(told)


def _thing(uid: str, answer: deliveries.Answer) -> str:
    """Name what an answer is about: the variants of one SR are one thing."""
    return uid if answer.kind in ("source", DerivedKind.REJECTION.value) else answer.kind


def _best(answered: dict[str, deliveries.Answer]) -> dict[str, str]:
    """Return the outcome of each thing: it is stored if one of its variants is."""
    best: dict[str, str] = {}
    for uid, answer in answered.items():
        thing = _thing(uid, answer)
        if best.get(thing) not in STORED:
            best[thing] = answer.outcome
    return best


def _state_of(answered: dict[str, deliveries.Answer]) -> DeliveryState:
    """Return the state that the answers add up to: sent means that each was 0x0000."""
    outcomes = set(_best(answered).values())
    if not outcomes <= set(STORED):
        return DeliveryState.PARTIAL if outcomes & set(STORED) else DeliveryState.REFUSED
    return DeliveryState.WARNING if "warning" in outcomes else DeliveryState.SENT


def _tell(tx: Transaction, study: StudyRow, action: str, text: str) -> None:
    audit.add_event(tx, action, text, study_instance_uid=study.study_instance_uid)
