"""Archived instances to one destination, with an honest account of every answer.

An unreachable peer is tried again with doubling delays for three days; a peer that refuses is not
asked twice. What it has answered with success is never sent again. The SR goes in the first SOP
class of the destination's order that it takes, and its predecessor is what *that* destination
received before.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tbsnode import text
from tbsnode.dicom import part10, sop_classes, uids, variant
from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable
from tbsnode.model import DeliveryState, DerivedKind, Outgoing, Reference, SendOutcome
from tbsnode.net import scu
from tbsnode.pipeline import identity_check, publish
from tbsnode.store import audit, catalogue, deliveries, results, work

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tbsnode.model import Peer
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import AnalysisRow, DerivedRow, StudyRow

log = logging.getLogger(__name__)

_WAIT_FOR_OLDER_S = 1.0
_STORED = ("success", "warning")


@dataclass(frozen=True, eq=False, kw_only=True)
class _Job:
    """One delivery with everything it refers to."""

    ticket: work.Ticket
    study: StudyRow
    analysis: AnalysisRow
    peer: Peer
    tries: int
    deadline: float
    now: float
    answered: dict[str, deliveries.Answer]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Item:
    """One instance to send, and what it is registered as.

    A variant of `base` is named here and made by `_prepare` when its turn comes: most never are.
    """

    kind: str
    outgoing: Outgoing
    derived_id: int | None = None
    instance_id: int | None = None
    base: DerivedRow | None = None
    predecessor: Reference | None = None


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
    ResourceError
        Archive or database failed; the engine tries again later.
    """
    job = _begin(site, ticket)
    if job is None:
        return
    answers: list[tuple[_Item, SendOutcome]] = []
    try:
        if _is_held(site, job):
            return
        _send_all(site, job, [_unsent(job, item) for item in _items(site, job)], answers)
    except (PeerUnreachable, AssociationRejected) as error:
        _record(site, job, answers)
        _unreachable(site, job, error)
        return
    _record(site, job, answers)
    _conclude(site, job, [outcome for _, outcome in answers])


def _begin(site: Site, ticket: work.Ticket) -> _Job | None:
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
        if deliveries.another_at_work(tx, ticket, study.id, peer.name):
            work.postpone(tx, ticket, delay_s=_WAIT_FOR_OLDER_S, error="an older result is being sent")
            return None
        return _Job(
            ticket=ticket,
            study=study,
            analysis=analysis,
            peer=peer,
            tries=row["tries"],
            deadline=row["deadline"],
            now=tx.now,
            answered=deliveries.answered(tx, ticket.row_id),
        )


def _is_held(site: Site, job: _Job) -> bool:
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


def _items(site: Site, job: _Job) -> Iterable[list[_Item]]:
    """Yield what to send: for each kind its alternatives, first choice first."""
    with site.database.read() as tx:
        made = results.derived_of_analysis(tx, job.analysis.id)
        sources = catalogue.instances_of_study(tx, job.study.id) if "source" in job.peer.send else ()
    for kind in (DerivedKind.SR, DerivedKind.PDF, DerivedKind.OVERLAY):
        base = next((row for row in made if row.kind == kind.value), None)
        if base is None or kind.value not in job.peer.send:
            continue
        names = job.peer.sr_class if kind is DerivedKind.SR else ("",)
        wanted = [sop_classes.SR_CLASSES[name] if name else base.sop_class_uid for name in names]
        yield [_variant(site, job, base, sop_class_uid) for sop_class_uid in wanted]
    for row in sources:
        if row.state == "current":
            outgoing = Outgoing(
                path=site.archive.path(row.path),
                sop_class_uid=row.sop_class_uid,
                sop_instance_uid=row.sop_instance_uid,
                transfer_syntax_uid=row.transfer_syntax_uid,
            )
            yield [_Item(kind="source", outgoing=outgoing, instance_id=row.id)]


def _variant(site: Site, job: _Job, base: DerivedRow, sop_class_uid: str) -> _Item:
    """Name the archived instance in that class and with this destination's predecessor."""
    kind = DerivedKind(base.kind)
    with site.database.read() as tx:
        before = publish.predecessor(tx, job.study, job.peer.name, kind, before=job.analysis.id)
    as_made = (base.sop_class_uid, base.predecessor_uid) == (sop_class_uid, _uid(before))
    uid = base.sop_instance_uid
    if not as_made:
        uid = uids.derived_uid(kind.value, sop_class_uid, job.analysis.result_digest, _uid(before))
    outgoing = Outgoing(
        path=site.archive.path(base.path),
        sop_class_uid=sop_class_uid,
        sop_instance_uid=uid,
        transfer_syntax_uid=sop_classes.EXPLICIT_VR_LITTLE_ENDIAN,
    )
    return _Item(
        kind=kind.value,
        outgoing=outgoing,
        derived_id=base.id if as_made else None,
        base=base,
        predecessor=before,
    )


def _prepare(site: Site, job: _Job, item: _Item) -> _Item:
    """Make, archive and register a variant before it is sent; one UID never has two contents."""
    if item.derived_id is not None or item.base is None:
        return item
    derived = variant.recast(
        site.archive.path(item.base.path),
        kind=DerivedKind(item.kind),
        sop_class_uid=item.outgoing.sop_class_uid,
        sop_instance_uid=item.outgoing.sop_instance_uid,
        predecessor=item.predecessor,
    )
    site.archive.write(publish.path_of(site, derived), derived.part10)
    with site.database.transaction() as tx:
        row_id = publish.register(tx, site, job.analysis.id, job.study.id, derived)
    path = site.archive.path(publish.path_of(site, derived))
    return replace(item, outgoing=replace(item.outgoing, path=path), derived_id=row_id)


def _uid(reference: Reference | None) -> str:
    return reference.sop_instance_uid if reference else ""


def _unsent(job: _Job, alternatives: list[_Item]) -> list[_Item]:
    """Return the alternatives, none where the peer has stored one of them already."""
    for item in alternatives:
        answer = job.answered.get(item.outgoing.sop_instance_uid)
        if answer is not None and answer.outcome in _STORED:
            return []
    return alternatives


def _send_all(
    site: Site, job: _Job, wanted: list[list[_Item]], answers: list[tuple[_Item, SendOutcome]]
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
            waiting = [[_prepare(site, job, first), *others] for first, *others in waiting]
            firsts = [alternatives[0] for alternatives in waiting]
            outcomes = _send(job.peer, firsts, answers)
            waiting = [
                rest
                for alternatives, outcome in zip(waiting, outcomes, strict=True)
                if (rest := _next(site, alternatives, outcome, plain, answers))
            ]
    finally:
        for path in plain:
            path.unlink(missing_ok=True)


def _send(
    peer: Peer, items: list[_Item], answers: list[tuple[_Item, SendOutcome]]
) -> tuple[SendOutcome, ...]:
    try:
        return scu.send(peer, [item.outgoing for item in items])
    except PeerUnreachable as error:
        by_uid = {item.outgoing.sop_instance_uid: item for item in items}
        answers += [(by_uid[outcome.sop_instance_uid], outcome) for outcome in error.outcomes]
        raise


def _next(
    site: Site,
    alternatives: list[_Item],
    outcome: SendOutcome,
    plain: list[Path],
    answers: list[tuple[_Item, SendOutcome]],
) -> list[_Item]:
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
    return []


def _record(site: Site, job: _Job, outcomes: list[tuple[_Item, SendOutcome]]) -> None:
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
            status = "no presentation context" if outcome.status is None else f"0x{outcome.status:04X}"
            _tell(
                tx,
                job.study,
                f"delivery.{outcome.category}",
                f"{item.kind.upper()} to {job.peer.name}: {outcome.text or status}",
            )


def _unreachable(site: Site, job: _Job, error: PeerError) -> None:
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
            action, what = "delivery.postponed", f"{error}; again in {delay:.0f} s"
        if ended:
            _tell(tx, job.study, action, f"to {job.peer.name}: {what}")


def _superseded(tx: Transaction, study: StudyRow, ticket: work.Ticket, destination: str) -> None:
    """End what a newer result replaced while it was being tried."""
    if work.finish(tx, ticket, DeliveryState.SUPERSEDED, last_error=""):
        _tell(tx, study, "delivery.superseded", f"to {destination}: a newer result takes its place")


def _conclude(site: Site, job: _Job, outcomes: list[SendOutcome]) -> None:
    """Say how the delivery ended, from every answer it has had."""
    busy = [outcome for outcome in outcomes if outcome.category == "out_of_resources"]
    if busy:
        text = f"{job.peer.name} is out of resources (0x{busy[0].status or 0:04X})"
        _unreachable(site, job, PeerUnreachable(text, peer=job.peer.name))
        return
    with site.database.transaction() as tx:
        state = _state_of(deliveries.answered(tx, job.ticket.row_id))
        errors = "; ".join(o.text for o in outcomes if o.category not in _STORED and o.text)
        if work.finish(tx, job.ticket, state, last_error=errors):
            _tell(tx, job.study, f"delivery.{state.value}", f"to {job.peer.name}: {state.value}")
    log.info(
        "delivery to %s: %s",
        job.peer.name,
        state.value,
        extra={"action": f"delivery.{state.value}", "study_instance_uid": job.study.study_instance_uid},
    )


def _state_of(answered: dict[str, deliveries.Answer]) -> DeliveryState:
    """Return the state that the answers add up to: sent means that each was 0x0000.

    The variants of one SR are one thing: it is stored if one of them is.
    """
    best: dict[str, str] = {}
    for uid, answer in answered.items():
        thing = uid if answer.kind == "source" else answer.kind
        if best.get(thing) not in _STORED:
            best[thing] = answer.outcome
    outcomes = set(best.values())
    if not outcomes <= set(_STORED):
        return DeliveryState.PARTIAL if outcomes & set(_STORED) else DeliveryState.REFUSED
    return DeliveryState.WARNING if "warning" in outcomes else DeliveryState.SENT


def _tell(tx: Transaction, study: StudyRow, action: str, text: str) -> None:
    audit.add_event(tx, action, text, study_instance_uid=study.study_instance_uid)
