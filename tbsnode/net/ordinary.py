"""The ordinary association: a scanner verifies or stores, and negotiates nothing else.

pynetdicom makes dozens of objects for an association and several for each PDU, and asks a general
state machine for each of them. For one image an association, which is what a densitometer sends, that
cost more than archive and catalogue together. What is ordinary is spoken here, from the bytes and in one
thread; whatever else a peer asks for (storage commitment, roles, user identity), and what it asks for
wrongly, goes to pynetdicom with the bytes that have come (see `acceptor`).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tbsnode.net import line, negotiated, pdu, receipt, status, tls, upper_layer
from tbsnode.net.admission import VERIFICATION
from tbsnode.net.fragments import Fragments
from tbsnode.net.wire import Ending, Lost, Silent, TooLarge, Wire

if TYPE_CHECKING:
    from tbsnode.net.acceptor_server import AcceptorServer

log = logging.getLogger(__name__)
log.addFilter(upper_layer.without_messages)

# We answer "window 1": a peer that puts more requests into one PDU is broken.
_MOST_IN_ONE_PDU = 8
_LAST_WORD_S = 1.0
# Source and reason of an A-ABORT, PS3.8 table 9-26.
_BY_USER = (0, 0)
_UNEXPECTED = (2, 2)
_INVALID = (2, 6)


class OrdinaryAssociation(threading.Thread):
    """One association, from the connection on; a `line.Line`.

    Parameters
    ----------
    server : AcceptorServer
        Has accepted the connection, and takes over what is not ordinary.
    client : socket.socket
        The connection, after the TLS handshake where there is one.
    address : tuple
        Of the peer.
    """

    def __init__(self, server: AcceptorServer, client: socket.socket, address: Any) -> None:
        super().__init__(daemon=True)
        self.association_id = self.calling_ae_title = self.called_ae_title = ""
        self.only_reports = self.is_established = self.is_released = False
        self.reason = ""
        self.host = str(address[0])
        self._address = address
        self._server = server
        self._service = server.service
        self._asked_to_end = False
        self._is_over = self._is_unusual = False
        self._last_word_s = 0.0
        self._wire = Wire(
            client,
            self._service.admission.maximum_pdu,
            server.transfer_timeout_s,
            lambda: self._asked_to_end,
        )
        self.contexts: dict[int, pdu.Answered] = {}
        self._fragments = _Served(self, self._service.incoming)

    @property
    def certificate(self) -> tls.CertificateFacts | None:
        """What the peer proved itself with; None in clear text."""
        return tls.facts_of_peer(self._wire.socket)

    @property
    def tls_failure(self) -> str:
        """Why TLS ended the connection, in words; empty where it did not."""
        failure = self._wire.tls_failure
        return tls.explain(failure) if failure is not None else ""

    def reject(self, result: int, source: int, diagnostic: int) -> None:
        """Send A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
        self._last_word_s = min(_LAST_WORD_S, self._server.acse_timeout_s)
        self._wire.send(pdu.reject(result, source, diagnostic))

    def end(self, reason: str) -> None:
        """Let its own thread abort it at its next turn; whatever is being stored is stored first."""
        self.reason = reason
        self._asked_to_end = True

    def cut(self) -> None:
        """Give up a PDU that has begun and does not go on; what is being stored goes on."""
        self._wire.is_cut = True

    def run(self) -> None:
        """Serve the association to its end, then clean up and tell the service."""
        try:
            self._speak()
            self._is_over = True
        finally:
            if self._is_over and self._is_unusual:
                self._server.hand_over(self, self._wire.socket, self._address, self._wire.unread)
            else:
                self._end()

    def _end(self) -> None:
        if not self._is_over:  # a bug: nothing else is known to work
            self._abort(_BY_USER)
        self._fragments.forget()
        try:
            self._service.ended(self)
        finally:
            self._wire.close(self._last_word_s if self._server.leave(self) else 0.0)
            self._server.forget(self)

    def _speak(self) -> None:
        try:
            goes_on = self._admitted()
            while goes_on:
                goes_on = self._heard()
        except Lost:
            self.reason = self.reason or line.BROKEN
            if self.association_id or not self._asked_to_end:
                self._abort(_UNEXPECTED)
        except (Ending, Silent) as end:
            if self.is_established:  # PS3.8 table 9-10: who never asked is hung up on
                self.reason = self.reason or str(end)
                self._abort(_BY_USER)
        except (receipt.ProtocolViolation, TooLarge) as violation:
            extra = {"action": "association.violation"}
            log.warning("protocol violation of %s: %s", self.host, violation, extra=extra)
            self.reason = self.reason or line.BROKEN
            self._abort(_INVALID)

    def _admitted(self) -> bool:
        """Wait for the request and answer it."""
        patience_s = self._server.acse_timeout_s
        kind, body = self._wire.receive(patience_s, whole_s=patience_s)
        request = pdu.read_request(body) if kind == pdu.ASSOCIATE_RQ else None
        if request is None or not self._service.admission.is_ordinary(request):
            self._is_unusual = True
            return False
        self._wire.skip(body)
        decided = False
        abstract = [each.abstract_syntax for each in request.contexts]
        try:
            admitted = self._service.asked(self, request.calling_ae_title, request.called_ae_title, abstract)
            decided = True
        finally:
            if not decided:
                self.reject(2, 3, 1)  # transient, temporary congestion: the sender tries again
        return admitted and self._accepted(request)

    def _accepted(self, request: pdu.Request) -> bool:
        admission = self._service.admission
        answers = admission.answers(request, only_reports=self.only_reports)
        self.contexts = {each.context_id: each for each in answers if each.result == pdu.ACCEPTED}
        self._wire.send(pdu.accept(request, answers, admission.maximum_pdu))
        self.is_established = True
        whom = f"{self.calling_ae_title} at {self.host}"
        negotiated.tell_answers(answers, whom, association_id=self.association_id)
        return True

    def _heard(self) -> bool:
        """Wait for a PDU and act; return False where it was the last."""
        if self._asked_to_end:
            raise Ending
        kind, body = self._wire.receive(self._patience_s())
        if kind == pdu.P_DATA:
            self._fragments.served = 0
            for context_id, fragment in pdu.fragments(body):
                self._fragments.take(context_id, fragment)
            self._wire.skip(body)
            return True
        if kind == pdu.RELEASE_RQ:
            self._wire.send(pdu.RELEASE_REPLY)
            self.is_released = True
            return False
        if kind == pdu.ABORT:
            self.reason = line.ABORTED
            return False
        raise receipt.ProtocolViolation(f"a PDU of type {kind} does not belong here")

    def _patience_s(self) -> float:
        """Return how long to wait for the next PDU [s]: who has begun a message does not pause in it."""
        within = self._fragments.is_within_message
        idle_s, transfer_s = self._server.idle_timeout_s, self._server.transfer_timeout_s
        return min(idle_s, transfer_s) if within else idle_s

    def _abort(self, why: tuple[int, int]) -> None:
        self._last_word_s = min(_LAST_WORD_S, self._server.acse_timeout_s)
        with contextlib.suppress(Lost):
            self._wire.send(pdu.abort(*why))

    def store(self, request: receipt.Stored) -> tuple[int, str]:
        """Have a C-STORE request stored; return status and Error Comment."""
        answer = status.HANDLER_FAILED, ""
        with _Bug(self.association_id):
            answer = self._service.store(request, self)
        return answer

    def answer(self, context_id: int, response: bytes) -> None:
        """Send a response."""
        self._wire.send(pdu.data(context_id, b"\x03" + response))


class _Bug:
    """Lets an association live where storing failed for a reason that nobody foresaw.

    pynetdicom does the same: the sender is told that it failed and keeps what it has, and the next
    instance may go well. The message stays out of the log: it may quote a value.
    """

    def __init__(self, association_id: str) -> None:
        self._association_id = association_id

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, lines: TracebackType | None
    ) -> bool:
        if kind is None or error is None or not issubclass(kind, Exception):
            return False
        extra = {"action": "instance.failed", "association_id": self._association_id}
        log.error("a C-STORE failed", exc_info=(kind, error, lines), extra=extra)
        return True


class _Served(Fragments):
    """The commands of an ordinary association, answered as soon as they are whole."""

    def __init__(self, association: OrdinaryAssociation, folder: Path) -> None:
        super().__init__(folder)
        self._association = association
        self.served = 0  # within one PDU

    def syntaxes(self, context_id: int) -> tuple[str, str] | None:
        """Return abstract and transfer syntax of a context that was accepted."""
        context = self._association.contexts.get(context_id)
        return None if context is None else (context.abstract_syntax, context.transfer_syntax)

    def stored(self, context_id: int, request: receipt.Stored) -> None:
        """Store and answer."""
        uids = request.sop_class_uid, request.sop_instance_uid
        self._answer(
            context_id, receipt.C_STORE_RQ, request.message_id, uids, self._association.store(request)
        )

    def commanded(self, context_id: int, field: int, encoded: bytes) -> None:
        """Answer a C-ECHO; nothing else belongs here."""
        message_id = receipt.number(receipt.parse_command(encoded), receipt.MESSAGE_ID)
        syntaxes = self.syntaxes(context_id)
        if (
            field != receipt.C_ECHO_RQ
            or message_id is None
            or syntaxes is None
            or syntaxes[0] != VERIFICATION
        ):
            raise receipt.ProtocolViolation("the command is unknown in this presentation context")
        self._answer(context_id, field, message_id, (VERIFICATION, ""), (status.SUCCESS, ""))

    def followed(self, context_id: int, data: bytes | memoryview) -> None:
        """Read past it: a C-ECHO has no data set."""

    def _answer(
        self, context_id: int, field: int, message_id: int, uids: tuple[str, str], answer: tuple[int, str]
    ) -> None:
        self.served += 1
        if self.served > _MOST_IN_ONE_PDU:
            raise receipt.ProtocolViolation("requests come faster than they are answered")
        self._association.answer(context_id, receipt.encode_response(field, message_id, uids, answer))
