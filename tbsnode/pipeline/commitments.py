"""Storage commitment that we ask destinations for, and what their reports mean (PS3.4 annex J).

::

    delivery sent ──> QUEUED ──N-ACTION──> WAITING ──report──> COMMITTED | FAILED
                        │                    └── none in time: another transaction, three in all
                        └── not offered, refused, never reported: a query ──> VERIFIED | FAILED
                                                     no query either ──> UNCONFIRMED

`committed` is what the destination said of every instance, never what a query showed. What it says it
does not have is sent once more. A report may come on our association, on one of its own, after a
restart, twice, or for a transaction that another has replaced: the first for each transaction counts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable
from tbsnode.model import DeliveryState, Reference
from tbsnode.model.commitment import CommitmentReport, CommitmentRequest, CommitmentState, SopReference
from tbsnode.net import commitment, presence, status
from tbsnode.store import audit, commitments, work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.model import Peer
    from tbsnode.pipeline.site import Site
    from tbsnode.store.commitments import AskedInstance, CommitmentRow
    from tbsnode.store.database import Transaction

log = logging.getLogger(__name__)

MOST_ROUNDS = 3
_MOST_LOOKS = 3  # an archive may index what it has answered with success
_PATIENCE_S = 1.0  # for a report on the association of its request
_NO_SUCH_INSTANCE = 0x0112
_DUPLICATE_TRANSACTION = 0x0131
_MOST_NAMED = 3

Reasons = Mapping[str, int | None]


@dataclass(frozen=True, kw_only=True)
class _Job:
    ticket: work.Ticket
    row: CommitmentRow
    peer: Peer


def want(tx: Transaction, site: Site, peer: Peer, delivery_id: int, state: DeliveryState) -> None:
    """Write that a destination is to be asked to keep what a delivery brought, as the delivery ends."""
    if peer.commitment and state in (DeliveryState.SENT, DeliveryState.WARNING):
        commitments.add_commitment(tx, delivery_id, horizon_s=site.policy.retry_horizon_s)


def judge(asked: Sequence[AskedInstance], report: CommitmentReport) -> dict[str, int | None]:
    """Return what a report says of each instance: 0 committed, else a Failure Reason.

    None is what it does not name, which it should; nothing that it fails to name is committed, and
    nothing that it names as failed is, wherever else it stands.
    """
    kept = {(each.sop_class_uid, each.sop_instance_uid) for each in report.committed}
    failed = {each.sop_instance_uid: reason or status.PROCESSING_FAILURE for each, reason in report.failed}
    return {
        each.sop_instance_uid: failed.get(
            each.sop_instance_uid, 0 if (each.sop_class_uid, each.sop_instance_uid) in kept else None
        )
        for each in asked
    }


# ---- asking --------------------------------------------------------------------------------------


def ask(site: Site, ticket: work.Ticket) -> None:
    """Ask a destination for commitment, or see what follows where it has not reported in time.

    Parameters
    ----------
    site : Site
        Database and destinations.
    ticket : Ticket
        Which transaction, at which attempt. A void ticket does nothing.
    """
    job = _begin(site, ticket)
    if job is None:
        return
    try:
        if job.row.asked_at is not None:
            _overdue(site, job)
        else:
            _request(site, job)
    except (PeerUnreachable, AssociationRejected) as error:
        _unreachable(site, job, error)


def _begin(site: Site, ticket: work.Ticket) -> _Job | None:
    with site.database.transaction() as tx:
        if not work.start(tx, ticket):
            return None
        row = commitments.commitment_by_id(tx, ticket.row_id)
        assert row is not None
        peer = site.peer(row.destination)
        if peer is None or not peer.commitment:
            why = f"{row.destination} is not to be asked for storage commitment any more"
            work.finish(tx, ticket, CommitmentState.CANCELLED, last_error=why)
            _tell(tx, row, "commitment.cancelled", why)
            return None
        return _Job(ticket=ticket, row=row, peer=peer)


def _request(site: Site, job: _Job) -> None:
    instances = tuple(
        SopReference(sop_class_uid=each.sop_class_uid, sop_instance_uid=each.sop_instance_uid)
        for each in job.row.instances
    )
    request = CommitmentRequest(transaction_uid=job.row.transaction_uid, instances=instances)
    try:
        code = commitment.ask(
            job.peer,
            request,
            partial(heard, site),
            patience_s=_PATIENCE_S,
            settled=partial(_is_settled, site, job.row.id),
        )
    except commitment.NotOffered:
        _verify(site, job, "it offers no storage commitment")
        return
    if commitment.is_accepted(code):
        _await(site, job)
    elif status.category(code) == "out_of_resources":
        text = f"{job.peer.name} could not take the request ({status.describe(code)})"
        raise PeerUnreachable(text, peer=job.peer.name)
    else:
        _verify(site, job, f"it refuses the request ({status.describe(code)})")


def _is_settled(site: Site, row_id: int) -> bool:
    with site.database.read() as tx:
        row = commitments.commitment_by_id(tx, row_id)
    return row is None or row.state is not CommitmentState.RUNNING


def _await(site: Site, job: _Job) -> None:
    """Wait for the report, which may have come already."""
    patience_s = site.policy.commitment_timeout_s
    with site.database.transaction() as tx:
        waits = work.postpone(
            tx,
            job.ticket,
            delay_s=patience_s,
            error="",
            state=CommitmentState.WAITING.value,
            asked_at=tx.now,
            tries=0,
        )
        if waits:
            number = len(job.row.instances)
            text = f"{job.peer.name} was asked to keep {number} instances; its report may take a while"
            _tell(tx, job.row, "commitment.asked", text)


def _overdue(site: Site, job: _Job) -> None:
    """Ask with another transaction where no report came, and look for ourselves after the last."""
    if job.row.round >= MOST_ROUNDS:
        _verify(site, job, f"no report came to {MOST_ROUNDS} requests")
        return
    hours = site.policy.commitment_timeout_s / 3600
    with site.database.transaction() as tx:
        why = f"no report within {hours:g} h"
        if work.finish(tx, job.ticket, CommitmentState.EXPIRED, last_error=why):
            _next_round(tx, site, job.row, f"{why} from {job.peer.name}")


def _next_round(tx: Transaction, site: Site, row: CommitmentRow, why: str) -> None:
    horizon_s = site.policy.retry_horizon_s
    commitments.add_commitment(tx, row.delivery_ref, horizon_s=horizon_s, round_=row.round + 1)
    _tell(tx, row, "commitment.expired", f"{why}; asked again with another transaction")


def _verify(site: Site, job: _Job, why: str) -> None:
    """Look for the instances with a query where commitment is not to be had."""
    wanted = [
        Reference(
            sop_class_uid=each.sop_class_uid,
            sop_instance_uid=each.sop_instance_uid,
            series_instance_uid=each.series_instance_uid,
            study_instance_uid=job.row.study_instance_uid,
        )
        for each in job.row.instances
    ]
    try:
        shown = presence.present(job.peer, wanted)
    except presence.NoQuery as error:
        _unconfirmed(site, job, f"{why}; {error}")
        return
    missing = [each.sop_instance_uid for each in wanted if each.sop_instance_uid not in shown]
    if not missing:
        text = f"{job.peer.name} shows all {len(wanted)} instances (C-FIND); {why}"
        with site.database.transaction() as tx:
            if work.finish(tx, job.ticket, CommitmentState.VERIFIED, last_error=why):
                _tell(tx, job.row, "commitment.verified", text)
    elif job.row.tries < _MOST_LOOKS:
        text = f"{job.peer.name} does not show {len(missing)} of {len(wanted)} instances yet"
        raise PeerUnreachable(text, peer=job.peer.name)
    else:
        with site.database.transaction() as tx:
            if work.finish(tx, job.ticket, CommitmentState.FAILED):
                _failed(tx, site, job.row, dict.fromkeys(missing, _NO_SUCH_INSTANCE), f"; {why}")


def _unreachable(site: Site, job: _Job, error: PeerError) -> None:
    """Try again later, with the same transaction, while the peer may come back."""
    policy = site.policy
    delay = min(policy.retry_cap_s, policy.retry_first_s * 2 ** min(max(job.row.tries - 1, 0), 16))
    final = isinstance(error, AssociationRejected) and not error.transient
    with site.database.transaction() as tx:
        if not final and tx.now + delay <= job.row.deadline:
            if work.postpone(tx, job.ticket, delay_s=delay, error=str(error)):
                _tell(tx, job.row, "commitment.postponed", f"{error}; again in {delay:.0f} s")
            return
    _unconfirmed(site, job, str(error))


def _unconfirmed(site: Site, job: _Job, why: str) -> None:
    with site.database.transaction() as tx:
        if work.finish(tx, job.ticket, CommitmentState.UNCONFIRMED, last_error=why):
            _tell(tx, job.row, "commitment.unconfirmed", f"{job.peer.name}: {why}")


# ---- reports -------------------------------------------------------------------------------------


def heard(site: Site, report: CommitmentReport) -> bool:
    """Store what a destination reported, in one transaction.

    Parameters
    ----------
    site : Site
        Database and destinations.
    report : CommitmentReport
        With the AE title that called.

    Returns
    -------
    bool
        False where this AE was not asked for this transaction. What was reported before is true
        again, and changes nothing.

    Raises
    ------
    DatabaseUnavailable
        If it could not be stored: the peer reports again.
    """
    who = f"{report.calling_ae_title} at {report.host}"
    with site.database.transaction() as tx:
        row = commitments.commitment_by_uid(tx, report.transaction_uid)
        if row is None:
            text = f"{who} reported the transaction {report.transaction_uid}, which nobody asked for"
            audit.add_event(tx, "commitment.unknown", text)
            return False
        peer = site.peer(row.destination)
        if peer is None or peer.ae_title != report.calling_ae_title:
            text = f"{who} reported a transaction that {row.destination} was asked for: refused"
            _tell(tx, row, "commitment.refused", text)
            return False
        if row.reported_at is None:
            _conclude(tx, site, row, judge(row.instances, report))
        return True


def _conclude(tx: Transaction, site: Site, row: CommitmentRow, reasons: Reasons) -> None:
    failed = {reason for reason in reasons.values() if reason != 0}
    number = len(reasons)
    if not failed:
        commitments.conclude(tx, row, CommitmentState.COMMITTED, reasons, reported=True)
        commitments.expire_open(tx, row.delivery_ref, besides=row.id)
        commitments.set_committed(tx, row.delivery_ref)
        _tell(tx, row, "commitment.committed", f"{row.destination} keeps all {number} instances")
    elif failed == {_DUPLICATE_TRANSACTION} and row.round < MOST_ROUNDS:
        commitments.conclude(tx, row, CommitmentState.EXPIRED, reasons, reported=True)
        _next_round(tx, site, row, f"{row.destination} has this transaction UID for another request")
    else:
        _failed(tx, site, row, reasons, reported=True)


def _failed(
    tx: Transaction,
    site: Site,
    row: CommitmentRow,
    reasons: Reasons,
    why: str = "",
    *,
    reported: bool = False,
) -> None:
    """Write what a destination does not keep; what it does not have is sent once more."""
    lost = {uid: reason for uid, reason in reasons.items() if reason != 0}
    named = ", ".join(f"{uid} ({_meaning(reason)})" for uid, reason in list(lost.items())[:_MOST_NAMED])
    more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
    text = (
        f"{row.destination} does not keep {len(lost)} of {len(row.instances)} instances: {named}{more}{why}"
    )
    commitments.conclude(tx, row, CommitmentState.FAILED, reasons, error=text, reported=reported)
    commitments.expire_open(tx, row.delivery_ref, besides=row.id)
    missing = [uid for uid, reason in lost.items() if reason == _NO_SUCH_INSTANCE]
    again = missing and commitments.send_again(
        tx,
        row,
        missing,
        text=f"{row.destination} does not have it any more",
        horizon_s=site.policy.retry_horizon_s,
    )
    _tell(tx, row, "commitment.failed", f"{text}; sent again" if again else text)


def _meaning(reason: int | None) -> str:
    return "not named in the report" if reason is None else status.describe(reason)


def _tell(tx: Transaction, row: CommitmentRow, action: str, text: str) -> None:
    data = {"transaction_uid": row.transaction_uid}
    audit.add_event(tx, action, text, study_instance_uid=row.study_instance_uid, data=data)
    log.info("%s", text, extra={"action": action, "study_instance_uid": row.study_instance_uid})
