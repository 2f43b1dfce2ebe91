"""What we ask of peers: C-STORE, C-ECHO, what they accept, and C-FIND of a study.

pynetdicom's outcomes become values and errors here and nowhere else. Every wait has an end.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable
from tbsnode.model import Outgoing, Peer, SendOutcome
from tbsnode.net import status, upper_layer
from tbsnode.net.messages import Receiver
from tbsnode.net.upper_layer import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, PatientSocket

__all__ = [
    "IMPLICIT_ONLY", "AssociationBroken", "EchoResult", "FoundStudy",
    "accepts", "echo", "find_study", "send",
]  # fmt: skip

IMPLICIT_ONLY: Final = "implicit_only"

_CONNECT_S = 10.0
_ACSE_S = 30.0
_DIMSE_S = 120.0  # an archive may index before it answers
_TRANSFER_S = 60.0
_MAXIMUM_PDU = 1 << 17
_WAITING_PDUS = 4  # read ahead of a large instance
_MAX_CONTEXTS = 128  # PS3.8 table 9-18: odd context IDs in one byte
_PENDING = (0xFF00, 0xFF01)

Context = tuple[str, str]  # SOP Class UID, Transfer Syntax UID


class AssociationBroken(PeerUnreachable):
    """The association broke before every instance was answered; the others may have been stored."""


@dataclass(frozen=True, slots=True)
class EchoResult:
    """The outcome of a C-ECHO.

    Attributes
    ----------
    ok : bool
        Whether the peer answered with success.
    text : str
        What happened, for an administrator.
    milliseconds : float
        From the connection to the answer.
    """

    ok: bool
    text: str
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStudy:
    """What a peer says about a study, decoded and stripped; empty where it says nothing."""

    patient_id: str = ""
    name: str = ""
    birth_date: str = ""
    accession_number: str = ""


class _Requestor(AE):
    """An application entity whose sockets wait instead of polling, and never for ever."""

    def __init__(self, ae_title: str) -> None:
        super().__init__(ae_title)
        upper_layer.configure()
        self.connection_timeout = _CONNECT_S
        self.acse_timeout = _ACSE_S
        self.dimse_timeout = _DIMSE_S
        self.network_timeout = _DIMSE_S + _TRANSFER_S
        self.implementation_class_uid = UID(upper_layer.IMPLEMENTATION_CLASS_UID)
        self.implementation_version_name = upper_layer.IMPLEMENTATION_VERSION_NAME
        self.sock: PatientSocket | None = None

    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> PatientSocket:
        assoc.dimse = Receiver(assoc, None)
        upper_layer.attach(assoc, _WAITING_PDUS)
        self.sock = PatientSocket(assoc, address=address, transfer_timeout_s=_TRANSFER_S)
        self.sock.tls_args = tls_args
        return self.sock


@contextlib.contextmanager
def _association(peer: Peer, contexts: Sequence[Context]) -> Iterator[Association]:
    """Open an association, and release it (or abort it after an error), leaving no thread.

    It may have no accepted context; then it has ended already.

    Raises
    ------
    PeerUnreachable
        If there is no connection, or no answer in time.
    AssociationRejected
        If the peer rejects the association.
    """
    ae = _Requestor(peer.calling_ae_title)
    try:
        assoc = ae.associate(
            peer.host,
            peer.port,
            contexts=[_context(*each) for each in contexts],
            ae_title=peer.ae_title,
            max_pdu=_MAXIMUM_PDU,
        )
    except OSError as error:  # the name is not known, or no route
        if ae.sock is not None:
            ae.sock.dispose()
        raise _unreachable(peer, str(error.strerror or error)) from error
    assert ae.sock is not None
    try:
        _require_answer(peer, assoc)
        yield assoc
        if assoc.is_established:
            assoc.release()
    finally:
        if assoc.is_established:
            assoc.abort()
        assoc.dul.kill_dul()
        ae.sock.ring()
        for thread in (assoc, assoc.dul):
            if thread.is_alive():
                thread.join(_TRANSFER_S)
        ae.sock.dispose()


def _context(sop_class_uid: str, transfer_syntax_uid: str) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(sop_class_uid)
    context.transfer_syntax = [UID(transfer_syntax_uid)]
    return context


def _require_answer(peer: Peer, assoc: Association) -> None:
    answer = assoc.acceptor.primitive
    if not isinstance(answer, A_ASSOCIATE):
        answer = _unread_answer(assoc)
    if isinstance(answer, A_ASSOCIATE) and answer.result in (1, 2):  # PS3.8 table 9-21
        raise AssociationRejected(
            f"{_name(peer)} rejected the association: {answer.reason_str} ({answer.result_str}).",
            peer=peer.name,
            transient=answer.result == 2,
            remedy=_REMEDIES.get((answer.result_source, answer.diagnostic), ""),
        )
    if not isinstance(answer, A_ASSOCIATE):
        aborted = "aborted instead of answering" if assoc.is_aborted and _was_connected(assoc) else ""
        raise _unreachable(peer, aborted or "no connection, or no answer in time")


def _unread_answer(assoc: Association) -> A_ASSOCIATE | None:
    """Return an answer that came, and the connection's end with it, before pynetdicom looked.

    It asks first whether the connection is up, and takes a peer that rejects and hangs up at once
    for one that could not be reached.
    """
    with contextlib.suppress(queue.Empty):
        while True:
            primitive = assoc.dul.to_user_queue.get(block=False)
            if isinstance(primitive, A_ASSOCIATE):
                return primitive
    return None


_REMEDIES: Final[dict[tuple[int | None, int | None], str]] = {
    (1, 3): "Make our AE title and address known to the peer.",
    (1, 7): "Correct the destination's ae_title: the peer has another.",
}


def _was_connected(assoc: Association) -> bool:
    address = assoc.requestor.address_info
    return address is not None and address.port != 0


def _name(peer: Peer) -> str:
    return f"{peer.name} ({peer.ae_title}@{peer.host}:{peer.port})"


def _unreachable(peer: Peer, why: str) -> PeerUnreachable:
    return PeerUnreachable(f"{_name(peer)} cannot be reached: {why}.", peer=peer.name)


def _accepted(assoc: Association) -> set[Context]:
    return {(str(each.abstract_syntax), str(each.transfer_syntax[0])) for each in assoc.accepted_contexts}


def send(peer: Peer, items: Sequence[Outgoing]) -> tuple[SendOutcome, ...]:
    """Send archived instances in one association, their data sets byte by byte as they are.

    Parameters
    ----------
    peer : Peer
        Where to.
    items : sequence of Outgoing
        Part 10 files.

    Returns
    -------
    tuple of SendOutcome
        One for each item, in order. Where the peer takes the SOP class, but not in the item's
        transfer syntax, the category is ``"not_accepted"``; if it takes it in Implicit VR Little
        Endian, the text is `IMPLICIT_ONLY`: the caller encodes the instance anew and sends again.

    Raises
    ------
    PeerUnreachable
        If there was no association; as `AssociationBroken` if it broke, with the outcomes known.
    AssociationRejected
        If the peer rejected it; `transient` says whether a later try may help.
    """
    if not items:
        return ()
    outcomes: list[SendOutcome] = []
    with _association(peer, _proposal(items)) as assoc:
        accepted = _accepted(assoc)
        for index, item in enumerate(items):
            if (item.sop_class_uid, item.transfer_syntax_uid) not in accepted:
                outcomes.append(_not_accepted(item, accepted))
                continue
            answer = _store(assoc, item, index)
            if "Status" not in answer:
                raise AssociationBroken(
                    f"{_name(peer)} broke the association after {len(outcomes)} of {len(items)} instances.",
                    peer=peer.name,
                    outcomes=tuple(outcomes),
                )
            outcomes.append(_outcome(item, answer))
    return tuple(outcomes)


def _proposal(items: Sequence[Outgoing]) -> list[Context]:
    exact = list(dict.fromkeys((item.sop_class_uid, item.transfer_syntax_uid) for item in items))
    implicit = [(uid, IMPLICIT_VR_LITTLE_ENDIAN) for uid, _ in exact]
    # An association proposes at most 128 contexts, and the fallback is what can be spared.
    return list(dict.fromkeys([*exact, *implicit]))[:_MAX_CONTEXTS]


def _store(assoc: Association, item: Outgoing, index: int) -> Dataset:
    if not assoc.is_established:
        return Dataset()
    return assoc.send_c_store(item.path, msg_id=index % 0xFFFF + 1)


def _not_accepted(item: Outgoing, accepted: set[Context]) -> SendOutcome:
    classes = {uid for uid, _ in accepted}
    if (item.sop_class_uid, IMPLICIT_VR_LITTLE_ENDIAN) in accepted:
        text = IMPLICIT_ONLY
    elif item.sop_class_uid in classes:
        text = "the peer does not accept this transfer syntax"
    else:
        text = "the peer does not accept this SOP class"
    return SendOutcome(
        sop_instance_uid=item.sop_instance_uid, status=None, category="not_accepted", text=text
    )


def _outcome(item: Outgoing, answer: Dataset) -> SendOutcome:
    code = int(answer.Status)
    comment = str(answer.get("ErrorComment", "") or "").strip()
    described = status.describe(code)
    return SendOutcome(
        sop_instance_uid=item.sop_instance_uid,
        status=code,
        category=status.category(code),
        text=f"{described}: {comment}" if comment else described,
    )


def echo(peer: Peer) -> EchoResult:
    """Ask a peer whether it is there (C-ECHO); the answer says what is wrong if it is not."""
    started = time.perf_counter()
    try:
        with _association(peer, [(Verification, IMPLICIT_VR_LITTLE_ENDIAN)]) as assoc:
            if not assoc.accepted_contexts:
                answer = None
            else:
                answer = assoc.send_c_echo()
            elapsed = (time.perf_counter() - started) * 1000.0
    except PeerError as error:
        return EchoResult(False, str(error), (time.perf_counter() - started) * 1000.0)
    if answer is None:
        return EchoResult(False, f"{_name(peer)} does not accept Verification.", elapsed)
    if "Status" not in answer:
        return EchoResult(False, f"{_name(peer)} accepted the association, but did not answer.", elapsed)
    code = int(answer.Status)
    return EchoResult(code == status.SUCCESS, f"{_name(peer)}: {status.describe(code)}", elapsed)


def accepts(peer: Peer, sop_class_uids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Ask which storage classes a peer takes, sending nothing.

    Parameters
    ----------
    peer : Peer
        Whom.
    sop_class_uids : sequence of str
        At most 64.

    Returns
    -------
    dict
        For each class, which of Explicit and Implicit VR Little Endian it accepts; empty for none.

    Raises
    ------
    PeerUnreachable, AssociationRejected
        As `send`.
    """
    syntaxes = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
    with _association(peer, [(uid, syntax) for uid in sop_class_uids for syntax in syntaxes]) as assoc:
        accepted = _accepted(assoc)
    return {uid: tuple(each for each in syntaxes if (uid, each) in accepted) for uid in sop_class_uids}


def find_study(peer: Peer, study_instance_uid: str) -> FoundStudy | None:
    """Ask a peer what it knows about a study (C-FIND, Study Root, PS3.4 C.6.2).

    Returns
    -------
    FoundStudy or None
        None where the peer does not have the study.

    Raises
    ------
    PeerError
        If the peer does not offer the service, or its answer is a failure.
    PeerUnreachable, AssociationRejected
        As `send`.
    """
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study_instance_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "AccessionNumber"):
        setattr(identifier, keyword, "")
    model = StudyRootQueryRetrieveInformationModelFind
    with _association(peer, [(model, IMPLICIT_VR_LITTLE_ENDIAN)]) as assoc:
        if not assoc.accepted_contexts:
            raise PeerError(f"{_name(peer)} does not offer Study Root queries.", peer=peer.name)
        found = None
        for answer, match in assoc.send_c_find(identifier, model):
            if "Status" not in answer:
                raise AssociationBroken(f"{_name(peer)} broke off the query.", peer=peer.name)
            code = int(answer.Status)
            if code in _PENDING and match is not None and match.get("StudyInstanceUID") == study_instance_uid:
                found = _found(match)
            elif code not in (*_PENDING, status.SUCCESS):
                raise PeerError(f"{_name(peer)} failed the query: {status.describe(code)}.", peer=peer.name)
    return found


def _found(match: Dataset) -> FoundStudy:
    match.decode()

    def value(keyword: str) -> str:
        return str(match.get(keyword, "") or "").strip()

    return FoundStudy(
        patient_id=value("PatientID"),
        name=value("PatientName"),
        birth_date=value("PatientBirthDate"),
        accession_number=value("AccessionNumber"),
    )
