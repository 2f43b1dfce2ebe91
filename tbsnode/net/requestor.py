"""Associations that we open to peers: every wait has an end, and nothing is left behind.

pynetdicom's outcomes of asking for an association become errors here; what is then asked over it
stands in `scu` and `query`.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

from tbsnode.errors import AssociationRejected, ConfigError, PeerUnreachable
from tbsnode.model import Peer
from tbsnode.net import negotiated, tls, upper_layer
from tbsnode.net.messages import Receiver
from tbsnode.net.upper_layer import PatientSocket

CONNECT_S = 10.0
ACSE_S = 30.0
DIMSE_S = 120.0  # an archive may index before it answers
TRANSFER_S = 60.0
ANSWERS_S = 300.0  # all answers to a query for one study or one instance
PENDING = (0xFF00, 0xFF01)
_SMALLEST_PDU = 8  # 6 bytes say what a fragment is, and its length is even (PS3.8 9.3.1)
_MAXIMUM_PDU = 1 << 17
_WAITING_PDUS = 4  # read ahead of a large instance

Context = tuple[str, str]  # SOP Class UID, Transfer Syntax UID


class AssociationBroken(PeerUnreachable):
    """The association broke before everything was answered; what was not may have been done."""


class _ToldSocket(socket.socket):
    """A socket that remembers why it could not connect: pynetdicom logs it, and names no peer."""

    failure: OSError | None = None

    def connect(self, address: Any) -> None:
        """Connect; keep what went wrong."""
        try:
            super().connect(address)
        except OSError as error:
            self.failure = error
            raise


class _Requestor(AE):
    """An application entity whose sockets wait instead of polling, and never for ever."""

    def __init__(self, ae_title: str, limit_s: float) -> None:
        super().__init__(ae_title)
        upper_layer.configure()
        self.connection_timeout = min(CONNECT_S, limit_s)
        self.acse_timeout = min(ACSE_S, limit_s)
        self.dimse_timeout = min(DIMSE_S, limit_s)
        self.network_timeout = DIMSE_S + TRANSFER_S
        self.implementation_class_uid = UID(upper_layer.IMPLEMENTATION_CLASS_UID)
        self.implementation_version_name = upper_layer.IMPLEMENTATION_VERSION_NAME
        self.sock: PatientSocket | None = None
        self.plain: _ToldSocket | None = None

    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> PatientSocket:
        assoc.dimse = receiver = Receiver(assoc, None)
        assoc._serve_request = receiver.keep  # type: ignore[method-assign,assignment]
        upper_layer.attach(assoc, _WAITING_PDUS)
        self.sock = PatientSocket(assoc, address=address, transfer_timeout_s=TRANSFER_S)
        self.sock.tls_args = tls_args
        made = self.sock.socket
        assert made is not None
        self.plain = _ToldSocket(made.family, made.type, made.proto, fileno=made.detach())
        self.sock.socket = self.plain
        return self.sock


@contextlib.contextmanager
def association(
    peer: Peer, contexts: Sequence[Context], *, limit_s: float = float("inf"), roles: Sequence[Any] = ()
) -> Iterator[Association]:
    """Open an association, and release it (or abort it after an error), leaving no thread.

    Parameters
    ----------
    peer : Peer
        To whom.
    contexts : sequence of Context
        What is proposed, at most 128.
    limit_s : float
        No single wait for the peer is longer than this, or than the usual time [s].
    roles : sequence
        Role selections that are proposed (PS3.7 D.3.3.4); without one we are SCU.

    Yields
    ------
    pynetdicom.association.Association
        It may have no accepted context; then it has ended already.

    Raises
    ------
    PeerUnreachable
        If there is no connection, or no answer in time, or our own files of TLS cannot be used now.
    AssociationRejected
        If the peer rejects the association.
    """
    ae = _Requestor(peer.calling_ae_title, limit_s)
    secured = _secured(peer)
    try:
        assoc = ae.associate(
            peer.host,
            peer.port,
            contexts=[_context(*each) for each in contexts],
            ae_title=peer.ae_title,
            max_pdu=_MAXIMUM_PDU,
            ext_neg=list(roles),
            tls_args=(secured, peer.host) if secured else None,
        )
    except OSError as error:  # the name is not known, or no route
        if ae.sock is not None:
            ae.sock.dispose()
        raise unreachable(peer, str(error.strerror or error)) from error
    assert ae.sock is not None
    assert ae.plain is not None
    unconnected = secured.unconnected if secured else ae.plain.failure
    try:
        _require_connection(peer, unconnected)
        _require_answer(peer, assoc, (secured and secured.failure) or ae.sock.tls_failure)
        _require_room(peer, assoc)
        _leave_out_unasked(assoc, contexts)
        negotiated.tell(assoc, named(peer))
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
                thread.join(TRANSFER_S)
        ae.sock.dispose()


def _secured(peer: Peer) -> tls.ClientContext | None:
    """Return what TLS to a peer needs; while its files are being renewed they may not fit each other."""
    try:
        return tls.client_context(peer.tls) if peer.tls else None
    except ConfigError as error:
        raise unreachable(peer, str(error)) from error


def _require_room(peer: Peer, assoc: Association) -> None:
    most = assoc.acceptor.maximum_length  # 0: no limit
    if most and most < _SMALLEST_PDU:
        raise AssociationRejected(
            f"{named(peer)} takes PDUs of {most} bytes at most: nothing fits.",
            peer=peer.name,
            transient=False,
            remedy="Correct its maximum PDU size; 16384 or more is usual.",
        )


def _leave_out_unasked(assoc: Association, contexts: Sequence[Context]) -> None:
    """Take no context in a transfer syntax that was not proposed: deflated, an answer fills the memory."""
    for context_id, each in list(assoc._accepted_cx.items()):
        if (str(each.abstract_syntax), str(each.transfer_syntax[0])) not in contexts:
            del assoc._accepted_cx[context_id]


def _context(sop_class_uid: str, transfer_syntax_uid: str) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(sop_class_uid)
    context.transfer_syntax = [UID(transfer_syntax_uid)]
    return context


def _require_connection(peer: Peer, failure: OSError | None) -> None:
    if isinstance(failure, TimeoutError):
        raise unreachable(peer, "no connection in time: is it switched on, does a firewall keep us out?")
    if isinstance(failure, ConnectionRefusedError):
        raise unreachable(peer, "connection refused: nobody listens on that port")
    if failure is not None:
        raise unreachable(peer, (failure.strerror or "no connection").lower())


def _require_answer(peer: Peer, assoc: Association, tls_failure: OSError | None) -> None:
    answer = assoc.acceptor.primitive
    if not isinstance(answer, A_ASSOCIATE):
        answer = _unread_answer(assoc)
    if isinstance(answer, A_ASSOCIATE) and answer.result in (1, 2):  # PS3.8 table 9-21
        raise AssociationRejected(
            f"{named(peer)} rejected the association: {answer.reason_str} ({answer.result_str}).",
            peer=peer.name,
            transient=answer.result == 2,
            remedy=_REMEDIES.get((answer.result_source, answer.diagnostic), ""),
        )
    if not isinstance(answer, A_ASSOCIATE):
        if tls_failure is not None:
            raise unreachable(peer, tls.explain(tls_failure))
        aborted = "aborted instead of answering" if assoc.is_aborted and _was_connected(assoc) else ""
        if aborted and peer.tls is not None:
            aborted = tls.REFUSED_LATER
        raise unreachable(peer, aborted or "it took the connection and gave no answer in time")


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


def named(peer: Peer) -> str:
    """Return how an administrator knows a peer."""
    return f"{peer.name} ({peer.ae_title}@{peer.host}:{peer.port})"


def mistaken(assoc: Association) -> bool:
    """Tell whether the peer gave an answer to something that it was not asked."""
    return isinstance(assoc.dimse, Receiver) and assoc.dimse.has_mistaken


def answers_to(
    peer: Peer, answers: Iterator[tuple[Dataset, Dataset | None]]
) -> Iterator[tuple[int, Dataset | None]]:
    """Yield status and match of each answer to a query, until the last one.

    Raises
    ------
    AssociationBroken
        If the peer breaks off, or goes on for longer than `ANSWERS_S`.
    """
    ends = time.monotonic() + ANSWERS_S
    for answer, match in answers:
        if "Status" not in answer:
            raise broken_query(peer)
        code = int(answer.Status)
        if code in PENDING and time.monotonic() > ends:
            raise AssociationBroken(
                f"{named(peer)} still answers one query after {ANSWERS_S:.0f} s.", peer=peer.name
            )
        yield code, match


def broken_query(peer: Peer) -> AssociationBroken:
    """Return the error of a peer that ends the association over a query, as some do to a stranger."""
    remedy = f"See its log: it may not allow {peer.calling_ae_title} to query (C-FIND)."
    return AssociationBroken(f"{named(peer)} broke off the query.", peer=peer.name, remedy=remedy)


def unreachable(peer: Peer, why: str) -> PeerUnreachable:
    """Return the error of a peer that cannot be reached."""
    return PeerUnreachable(f"{named(peer)} cannot be reached: {why}.", peer=peer.name)


def accepted_contexts(assoc: Association) -> set[Context]:
    """Return what a peer accepted of what was proposed."""
    return {(str(each.abstract_syntax), str(each.transfer_syntax[0])) for each in assoc.accepted_contexts}
