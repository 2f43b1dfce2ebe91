"""Storage commitment that callers ask of us: only for what is durable here, and with a report in any case.

A scanner that is told that we keep an instance may delete its copy. So each file is looked at when the
report is made: in the catalogue, in the archive, of the size that was stored. The report goes to the
caller's port on an association of ours, tried again as deliveries are; where no port of it is known, on
the association of the request, once.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable, ResourceError
from tbsnode.model.commitment import CommitmentReport, CommitmentRequest, CommitmentState, SopReference
from tbsnode.net import commitment, status
from tbsnode.pipeline import commitments
from tbsnode.store import audit, commitment_requests, work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.model import Peer
    from tbsnode.pipeline.site import Site
    from tbsnode.store.commitment_requests import Kept, RequestRow
    from tbsnode.store.database import Transaction

log = logging.getLogger(__name__)

_NO_SUCH_INSTANCE = 0x0112
_CLASS_CONFLICT = 0x0119
_INVALID_ARGUMENT = 0x0115
_AFTER_ANSWER_S = 0.2  # a report should not overtake the answer to its request
_LAST_RESORT_S = 60.0  # where the process that should have reported on the spot is gone
_NO_PORT = "add its port to receiver.callers and reports go there"
_MOST_STUDIES = 100
_MOST_NAMED = 3


def work_on(site: Site, ticket: work.Ticket) -> None:
    """Do the work of a ticket of storage commitment, of either role."""
    if ticket.kind == "commitment":
        commitments.ask(site, ticket)
    else:
        report(site, ticket)


class Commitments:
    """What the receiver does with requests and reports (`net.commitment.Commitments`).

    Parameters
    ----------
    site : Site
        Archive, database, destinations, and callers with a port.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._claimed: dict[tuple[str, str], tuple[work.Ticket, CommitmentReport]] = {}

    def requested(self, request: CommitmentRequest) -> bool:
        """Store a request; True where it is to be reported on its association."""
        on_the_spot = address_of(self._site, request.calling_ae_title, request.host) is None
        with self._site.database.transaction() as tx:
            row = commitment_requests.add_request(
                tx,
                request,
                due_in_s=_LAST_RESORT_S if on_the_spot else _AFTER_ANSWER_S,
                horizon_s=self._site.policy.retry_horizon_s,
            )
            if row is None:
                raise commitment.RequestRefused(
                    _INVALID_ARGUMENT, "Transaction UID in use for other instances"
                )
            text = f"{_who(request)} asked us to keep {len(request.instances)} instances"
            audit.add_event(tx, "commitment.requested", text, data={"transaction_uid": row.transaction_uid})
        return on_the_spot

    def report_now(self, request: CommitmentRequest) -> CommitmentReport | None:
        """Take the request out of the queue and say what we keep; None where somebody else has it."""
        with self._site.database.transaction() as tx:
            ticket = commitment_requests.claim_request(tx, request)
        if ticket is None:
            return None
        told = examine(self._site, request.transaction_uid, request.instances)
        self._claimed[request.calling_ae_title, request.transaction_uid] = ticket, told
        return told

    def reported(self, request: CommitmentRequest, answer: int | None) -> None:
        """Take note of the caller's answer to a report on the association of its request."""
        claimed = self._claimed.pop((request.calling_ae_title, request.transaction_uid), None)
        if claimed is None:
            return  # it was asked for twice at once: the other association has it
        ticket, told = claimed
        with self._site.database.transaction() as tx:
            row = commitment_requests.request_by_id(tx, ticket.row_id)
            assert row is not None
            if answer is None:
                _end(tx, ticket, row, f"{_who(request)} left before our report: {_NO_PORT}")
            else:
                _answered(tx, ticket, row, told, answer)

    def heard(self, report: CommitmentReport) -> bool:
        """Store what a destination reported to us."""
        return commitments.heard(self._site, report)


def address_of(site: Site, calling_ae_title: str, host: str) -> Peer | None:
    """Return where a caller gets reports, None where the configuration has no port for it.

    A caller whose entry names a network or any host is reported to at the address it called from.
    """
    known = [peer for peer in site.callers if peer.ae_title == calling_ae_title]
    known.sort(key=lambda peer: peer.host != host)
    return replace(known[0], host=known[0].host or host) if known else None


def report(site: Site, ticket: work.Ticket) -> None:
    """Report to a caller what we keep of what it asked for, on an association of ours, once.

    Raises
    ------
    ResourceError
        Archive or database failed; the engine tries again later.
    """
    with site.database.transaction() as tx:
        if not work.start(tx, ticket):
            return
        row = commitment_requests.request_by_id(tx, ticket.row_id)
        assert row is not None
        peer = address_of(site, row.calling_ae_title, row.host)
        if peer is None:
            _end(tx, ticket, row, f"{_who(row)} could not be told on the spot: {_NO_PORT}")
            return
    told = examine(site, row.transaction_uid, row.instances)
    try:
        answer = commitment.report(peer, told)
    except commitment.NotOffered as error:
        with site.database.transaction() as tx:
            _end(tx, ticket, row, str(error))
    except (PeerUnreachable, AssociationRejected) as error:
        _unreachable(site, ticket, row, error)
    else:
        if status.category(answer) == "out_of_resources":
            busy = f"{peer.name} could not take the report ({status.describe(answer)})"
            _unreachable(site, ticket, row, PeerUnreachable(busy, peer=peer.name))
            return
        with site.database.transaction() as tx:
            _answered(tx, ticket, row, told, answer)


def examine(site: Site, transaction_uid: str, instances: Sequence[SopReference]) -> CommitmentReport:
    """Say of each instance whether it is durable here.

    Every version under the UID must be there: the caller's copy may be any of them.

    Raises
    ------
    ResourceError
        If the archive cannot be looked at, which is no answer.
    """
    if not site.archive.root.is_dir():
        raise ResourceError("The archive's folder is not there.")
    with site.database.read() as tx:
        files = commitment_requests.kept_files(tx, [each.sop_instance_uid for each in instances])
    reasons = [(each, _reason(site, each, files.get(each.sop_instance_uid, ()))) for each in instances]
    return CommitmentReport(
        transaction_uid=transaction_uid,
        committed=tuple(each for each, reason in reasons if reason == 0),
        failed=tuple((each, reason) for each, reason in reasons if reason != 0),
    )


def _reason(site: Site, wanted: SopReference, files: Sequence[Kept]) -> int:
    """Return 0 where an instance is kept, else the Failure Reason of PS3.4 J.3.3."""
    if not files:
        return _NO_SUCH_INSTANCE
    if any(file.sop_class_uid != wanted.sop_class_uid for file in files):
        return _CLASS_CONFLICT
    for file in files:
        try:
            size = site.archive.path(file.path).stat().st_size
        except FileNotFoundError:
            size = -1
        except OSError as error:
            raise ResourceError(f"The archive cannot be read: {error.strerror}.") from error
        if size != file.size_bytes:
            state = "is missing" if size < 0 else f"has {size} bytes, not {file.size_bytes}"
            log.error("archived %s %s", file.path, state, extra={"action": "archive.damaged"})
            return _NO_SUCH_INSTANCE if size < 0 else status.PROCESSING_FAILURE
    return 0


def _unreachable(site: Site, ticket: work.Ticket, row: RequestRow, error: PeerError) -> None:
    policy = site.policy
    delay = min(policy.retry_cap_s, policy.retry_first_s * 2 ** min(max(row.tries - 1, 0), 16))
    with site.database.transaction() as tx:
        if tx.now + delay > row.deadline:
            _end(tx, ticket, row, str(error))
        elif work.postpone(tx, ticket, delay_s=delay, error=str(error)):
            commitment_requests.put_off_others(tx, row, delay_s=delay)


def _answered(
    tx: Transaction, ticket: work.Ticket, row: RequestRow, told: CommitmentReport, answer: int
) -> None:
    if answer != status.SUCCESS and status.category(answer) != "warning":
        _end(tx, ticket, row, f"{_who(row)} refused our report: {status.describe(answer)}")
        return
    kept, failed = len(told.committed), told.failed
    named = ", ".join(
        f"{each.sop_instance_uid} ({status.describe(why)})" for each, why in failed[:_MOST_NAMED]
    )
    more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
    text = f"{_who(row)} was told that we keep {kept} of {kept + len(failed)} instances"
    _end(tx, ticket, row, "", f"{text}, not {named}{more}" if failed else text)


def _end(tx: Transaction, ticket: work.Ticket, row: RequestRow, error: str, success: str = "") -> None:
    """End a request, and tell it in the story of each study that it is about."""
    state = CommitmentState.FAILED if error else CommitmentState.REPORTED
    if not work.finish(tx, ticket, state, last_error=error):
        return
    files = commitment_requests.kept_files(tx, [each.sop_instance_uid for each in row.instances])
    studies = {file.study_instance_uid for found in files.values() for file in found}
    text = error or success
    action = "commitment.unreported" if error else "commitment.reported"
    log.info("%s", text, extra={"action": action})
    for uid in sorted(studies)[:_MOST_STUDIES] or [""]:
        data = {"transaction_uid": row.transaction_uid}
        audit.add_event(tx, action, text, study_instance_uid=uid, data=data)


def _who(asked: CommitmentRequest | RequestRow) -> str:
    return f"{asked.calling_ae_title} at {asked.host}"
