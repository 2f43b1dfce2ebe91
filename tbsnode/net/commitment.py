"""Storage Commitment Push Model (PS3.4 annex J), both sides: who asks, who answers, on which association.

A report may come on the association of its request or on a new one, which the reporting side opens
in the SCP role (PS3.7 D.3.3.4). What is asked and reported crosses into the pipeline as values; no
message of an error here holds anything of a patient.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_role, evt

from tbsnode.errors import PeerError, ResourceError, TbsNodeError
from tbsnode.model.commitment import CommitmentReport, CommitmentRequest, SopReference
from tbsnode.net import same_association, status
from tbsnode.net.messages import Receiver
from tbsnode.net.requestor import AssociationBroken, association, named
from tbsnode.net.upper_layer import IMPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from pynetdicom.association import Association

    from tbsnode.model import Peer

log = logging.getLogger(__name__)

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
_CONTEXT = (PUSH_MODEL, IMPLICIT_VR_LITTLE_ENDIAN)

REQUEST_COMMITMENT: Final = 1  # Action Type ID, PS3.4 J.3.2.1.1
ALL_COMMITTED: Final = 1  # Event Type IDs, PS3.4 J.3.3.1.1
FAILURES_EXIST: Final = 2

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_MOST_INSTANCES = 10_000
_LOOK_S = 0.05


class NotOffered(PeerError):
    """The peer offers no storage commitment."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a peer answered to the proposal of the class, in both roles.

    Attributes
    ----------
    takes_requests : bool
        It is an SCP: we may ask it.
    takes_reports : bool
        It takes reports of ours on an association that we open (we in the SCP role).
    """

    takes_requests: bool
    takes_reports: bool


class Commitments(Protocol):
    """What becomes of requests and reports; called in the thread of an association."""

    def requested(self, request: CommitmentRequest) -> bool:
        """Store a request durably; True if its report should go out on the same association.

        Raises a `RequestRefused`, or a `ResourceError` where the caller shall ask again.
        """

    def report_now(self, request: CommitmentRequest) -> CommitmentReport | None:
        """Return what to report on the same association; None where it is too late for that."""

    def reported(self, request: CommitmentRequest, answer: int | None) -> None:
        """Take note of the caller's answer to it: a DIMSE status, None where none came."""

    def heard(self, report: CommitmentReport) -> bool:
        """Store what a peer reported; False if nobody asked it for this transaction."""


class RequestRefused(TbsNodeError):
    """The request for storage commitment cannot be taken."""

    def __init__(self, code: int, comment: str) -> None:
        super().__init__(comment)
        self.code = code


# ---- we ask, and report, on associations that we open --------------------------------------------


def ask(
    peer: Peer,
    request: CommitmentRequest,
    heard: Callable[[CommitmentReport], bool],
    *,
    patience_s: float,
    settled: Callable[[], bool] = lambda: False,
) -> int:
    """Ask a peer for commitment (N-ACTION), and stay a moment for its report.

    Parameters
    ----------
    peer : Peer
        Whom.
    request : CommitmentRequest
        What is to be kept.
    heard : callable
        Stores a report that comes on this association, as `Commitments.heard`.
    patience_s : float
        How long to stay after a request was accepted [s].
    settled : callable
        Tells that the report has come another way.

    Returns
    -------
    int
        The peer's DIMSE status.

    Raises
    ------
    NotOffered
        If the peer does not accept the class.
    PeerUnreachable, AssociationRejected
        As `scu.send`; `AssociationBroken` where it may have got the request.
    """
    arrived: list[Dataset] = []

    def on_report(event: Any) -> tuple[Dataset, None]:
        arrived.append(_event_reported(event, heard, peer.ae_title)[0])
        return arrived[-1], None

    with association(peer, [_CONTEXT]) as assoc:
        if not assoc.accepted_contexts:
            raise NotOffered(f"{named(peer)} offers no storage commitment.", peer=peer.name)
        assoc.bind(evt.EVT_N_EVENT_REPORT, on_report)
        assert isinstance(assoc.dimse, Receiver)
        answer, _ = assoc.send_n_action(
            _request_data_set(request), REQUEST_COMMITMENT, UID(PUSH_MODEL), UID(PUSH_MODEL_INSTANCE)
        )
        if "Status" not in answer:
            raise AssociationBroken(
                f"{named(peer)} did not answer the request for commitment.", peer=peer.name
            )
        code = int(answer.Status)
        deadline = time.monotonic() + (patience_s if is_accepted(code) else 0.0)
        while time.monotonic() < deadline and assoc.is_established and not arrived and not settled():
            assoc.dimse.listen(_LOOK_S)
    return code


def is_accepted(code: int) -> bool:
    """Tell whether an answer to N-ACTION means that a report will come.

    0x0131, duplicate transaction UID, is what a peer may say to a request that reached it before:
    its answer was lost, or we were stopped before we could write it down.
    """
    return code == status.SUCCESS or code == 0x0131 or status.category(code) == "warning"


def report(peer: Peer, told: CommitmentReport) -> int:
    """Report what we keep (N-EVENT-REPORT), on a new association with us in the SCP role.

    Returns
    -------
    int
        The peer's DIMSE status.

    Raises
    ------
    NotOffered
        If the peer does not accept the class or the role.
    PeerUnreachable, AssociationRejected
        As `scu.send`.
    """
    with _as_scp(peer) as assoc:
        accepted = assoc.accepted_contexts
        if not accepted or not accepted[0].as_scp:
            what = "our role as SCP" if accepted else "storage commitment"
            raise NotOffered(f"{named(peer)} does not accept {what}.", peer=peer.name)
        answer, _ = assoc.send_n_event_report(
            report_data_set(told), event_type(told), UID(PUSH_MODEL), UID(PUSH_MODEL_INSTANCE)
        )
        if "Status" not in answer:
            raise AssociationBroken(f"{named(peer)} did not answer the report.", peer=peer.name)
    return int(answer.Status)


def offers(peer: Peer) -> Offer:
    """Ask which part of the service a peer takes, asking for nothing.

    Raises
    ------
    PeerUnreachable, AssociationRejected
        As `scu.send`.
    """
    with association(peer, [_CONTEXT]) as assoc:
        takes_requests = bool(assoc.accepted_contexts)
    with _as_scp(peer) as assoc:
        takes_reports = any(context.as_scp for context in assoc.accepted_contexts)
    return Offer(takes_requests, takes_reports)


def _as_scp(peer: Peer) -> Any:
    role = build_role(UID(PUSH_MODEL), scu_role=False, scp_role=True)
    return association(peer, [_CONTEXT], roles=[role])


# ---- peers ask, and report, on associations that they open ----------------------------------------


class CommitmentScp:
    """Answers N-ACTION and N-EVENT-REPORT on associations that peers open.

    Parameters
    ----------
    commitments : Commitments
        Stores and judges.
    """

    def __init__(self, commitments: Commitments) -> None:
        self._commitments = commitments

    def action(self, event: Any) -> tuple[Dataset, None]:
        """Answer an N-ACTION: success only after the request is stored."""
        try:
            request = _requested(event)
            if self._commitments.requested(request):
                event.assoc.owed.append(request)
        except RequestRefused as refusal:
            return _answer(refusal.code, refusal.message), None
        except ResourceError as error:
            log.warning("commitment not taken: %s", error, extra={"action": "commitment.postponed"})
            return _answer(status.RESOURCE_LIMITATION, "Temporarily unable; ask again later"), None
        return _answer(status.SUCCESS), None

    def event_report(self, event: Any) -> tuple[Dataset, None]:
        """Answer an N-EVENT-REPORT: success only after it is stored."""
        return _event_reported(event, self._commitments.heard, event.assoc.calling_ae_title)

    def settle(self, assoc: Any, context_id: int) -> None:
        """Report on the association of a request what is to be reported there, after its answer."""
        while assoc.owed:
            request = assoc.owed.pop(0)
            try:
                told = self._commitments.report_now(request)
                if told is None:
                    continue
                answer = same_association.send_report(
                    assoc,
                    context_id,
                    report_data_set(told),
                    (PUSH_MODEL, PUSH_MODEL_INSTANCE, event_type(told)),
                )
                self._commitments.reported(request, answer)
            except TbsNodeError as error:
                log.warning("commitment not reported: %s", error, extra={"action": "commitment.postponed"})


def _requested(event: Any) -> CommitmentRequest:
    """Read an N-ACTION, or refuse it with a status of PS3.7 10.1.4.1.10."""
    asked = event.request
    if event.context.abstract_syntax != PUSH_MODEL:
        raise RequestRefused(0x0118, "Storage Commitment needs its own presentation context")
    if asked.RequestedSOPInstanceUID != PUSH_MODEL_INSTANCE:
        raise RequestRefused(0x0112, "Not the well-known Storage Commitment instance")
    if asked.ActionTypeID != REQUEST_COMMITMENT:
        raise RequestRefused(0x0123, "Not the action Request Storage Commitment")
    if event.assoc.only_reports:
        raise RequestRefused(status.NOT_AUTHORIZED, "Not among receiver.callers")
    information = event.action_information
    transaction_uid = _uid(information, "TransactionUID")
    if not _is_uid(transaction_uid):
        raise RequestRefused(0x0115, "Transaction UID missing or invalid")
    items = information.get("ReferencedSOPSequence") or ()
    if len(items) > _MOST_INSTANCES:
        raise RequestRefused(status.RESOURCE_LIMITATION, f"More than {_MOST_INSTANCES} instances")
    instances = tuple(dict.fromkeys(_references(items)))
    if not instances or not all(_is_uid(each.sop_instance_uid) for each in instances):
        raise RequestRefused(0x0115, "Referenced SOP Sequence empty or with an invalid UID")
    if not all(_is_uid(each.sop_class_uid) for each in instances):
        raise RequestRefused(0x0115, "Referenced SOP Sequence with an invalid SOP Class UID")
    return CommitmentRequest(
        transaction_uid=transaction_uid,
        instances=instances,
        calling_ae_title=event.assoc.calling_ae_title,
        host=event.assoc.host,
    )


def _event_reported(
    event: Any, heard: Callable[[CommitmentReport], bool], ae_title: str
) -> tuple[Dataset, None]:
    """Store a report and answer it with a status of PS3.7 10.1.1.1.8."""
    asked = event.request
    if event.context.abstract_syntax != PUSH_MODEL:
        return _answer(0x0118), None
    if asked.AffectedSOPInstanceUID != PUSH_MODEL_INSTANCE:
        return _answer(0x0112), None
    if asked.EventTypeID not in (ALL_COMMITTED, FAILURES_EXIST):
        return _answer(0x0113), None
    told = _read_report(event.event_information, event.assoc, ae_title)
    if not _is_uid(told.transaction_uid):
        return _answer(0x0115), None
    try:
        known = heard(told)
    except ResourceError as error:
        log.warning("report not stored: %s", error, extra={"action": "commitment.postponed"})
        return _answer(status.RESOURCE_LIMITATION), None
    return _answer(status.SUCCESS if known else 0x0115), None


def _is_uid(text: str) -> bool:
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def _answer(code: int, comment: str = "") -> Dataset:
    answer = Dataset()
    answer.Status = code
    if comment:
        answer.ErrorComment = comment[:64]
    return answer


# ---- data sets: PS3.4 tables J.3-1 and J.3-2 -----------------------------------------------------


def _request_data_set(request: CommitmentRequest) -> Dataset:
    made = Dataset()
    made.TransactionUID = request.transaction_uid
    made.ReferencedSOPSequence = [_item(each) for each in request.instances]
    return made


def report_data_set(told: CommitmentReport) -> Dataset:
    """Return the Event Information of a report; a sequence that would be empty is left out."""
    made = Dataset()
    made.TransactionUID = told.transaction_uid
    if told.committed:
        made.ReferencedSOPSequence = [_item(each) for each in told.committed]
    if told.failed:
        made.FailedSOPSequence = [_item(each, reason) for each, reason in told.failed]
    return made


def event_type(told: CommitmentReport) -> int:
    """Return the Event Type ID of a report."""
    return FAILURES_EXIST if told.failed else ALL_COMMITTED


def _item(reference: SopReference, reason: int | None = None) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID = reference.sop_class_uid
    made.ReferencedSOPInstanceUID = reference.sop_instance_uid
    if reason is not None:
        made.FailureReason = reason
    return made


def _read_report(information: Dataset, assoc: Association, ae_title: str) -> CommitmentReport:
    failed = information.get("FailedSOPSequence") or ()
    host = assoc.requestor if assoc.is_acceptor else assoc.acceptor
    return CommitmentReport(
        transaction_uid=_uid(information, "TransactionUID"),
        committed=tuple(_references(information.get("ReferencedSOPSequence") or ())),
        failed=tuple(zip(_references(failed), map(_reason, failed), strict=True)),
        calling_ae_title=ae_title,
        host=host.address_info.address if host.address_info else "",
    )


def _references(items: Iterable[Dataset]) -> Iterator[SopReference]:
    for item in items:
        yield SopReference(
            sop_class_uid=_uid(item, "ReferencedSOPClassUID"),
            sop_instance_uid=_uid(item, "ReferencedSOPInstanceUID"),
        )


def _uid(item: Dataset, keyword: str) -> str:
    """Return a UID as it came; read here, because pydicom quotes in its log what it dislikes."""
    return _raw(item, keyword).decode("ascii", "replace").strip("\0 ")


def _reason(item: Dataset) -> int:
    value = _raw(item, "FailureReason")
    return int.from_bytes(value, "little") if len(value) == 2 else status.PROCESSING_FAILURE


def _raw(item: Dataset, keyword: str) -> bytes:
    element = item.get_item(keyword) if keyword in item else None
    value = None if element is None else element.value
    return value if isinstance(value, bytes) else b""
