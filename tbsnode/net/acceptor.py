"""Associations that peers open to us: pynetdicom's, waiting instead of polling, and always closed.

Each association is told to its `Service` exactly once when it is asked for, and exactly once when
it has ended, however it ended; what it leaves unfinished on disk is removed.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_ACTION
from pynetdicom.pdu_primitives import A_ABORT, A_ASSOCIATE, A_P_ABORT
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.transport import AddressInformation, AssociationServer, RequestHandler

from tbsnode.net import negotiated, tls
from tbsnode.net.messages import Receiver
from tbsnode.net.one_thread import attach
from tbsnode.net.upper_layer import PatientSocket

if TYPE_CHECKING:
    from tbsnode.model.commitment import CommitmentRequest
    from tbsnode.net.commitment import CommitmentScp

log = logging.getLogger(__name__)

_COLLECT_EVERY = 200
_BEYOND_ARTIM_S = 1.0  # a request that came in time finds the association still waiting for it


class Service(Protocol):
    """What an association needs from its owner; called in the association's own thread."""

    incoming: Path
    commitments: CommitmentScp | None

    def asked(self, assoc: Acceptor) -> None:
        """Decide over an A-ASSOCIATE-RQ: set its contexts, or reject it."""

    def store(self, event: Any) -> Any:
        """Answer a C-STORE whose data set is on disk with a status."""

    def ended(self, assoc: Acceptor) -> None:
        """Take note that the association is over."""

    def unsecured(self, host: str, why: str) -> None:
        """Take note of a connection whose TLS handshake failed."""


class Acceptor(Association):
    """One association that a peer asked for.

    Attributes
    ----------
    association_id, calling_ae_title, called_ae_title : str
        Set by the service.
    reason : str
        Why it ended, where that is known, for an administrator.
    """

    def __init__(self, ae: AE, server: AcceptorServer, client: socket.socket, address: Any) -> None:
        super().__init__(ae, "acceptor")
        self.daemon = True
        self.association_id = self.calling_ae_title = self.called_ae_title = ""
        self.only_reports = False  # a destination that may tell us what it keeps, and nothing else
        self.owed: list[CommitmentRequest] = []
        self.reason = ""
        self._server: AcceptorServer = server
        self._service = server.service
        self._asked_to_end = False
        self.dimse = Receiver(self, self._service.incoming)
        self.turning = attach(self)
        if self._acse_timeout is not None:
            self._acse_timeout += _BEYOND_ARTIM_S
        self._sock = PatientSocket(
            self, client_socket=client, transfer_timeout_s=server.transfer_timeout_s, bell=False
        )
        self.set_socket(self._sock)
        self._introduce(server, address)

    def _introduce(self, server: AcceptorServer, address: Any) -> None:
        self.acceptor.maximum_length = self.ae.maximum_pdu_size
        self.acceptor.ae_title = server.ae_title
        self.acceptor.address_info = AddressInformation.from_tuple(server.server_address)
        self.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        self.acceptor.implementation_version_name = self.ae.implementation_version_name
        self.requestor.address_info = AddressInformation.from_tuple(address)
        self.bind(evt.EVT_REQUESTED, lambda event: event.assoc._requested())
        self.bind(evt.EVT_ACCEPTED, lambda event: event.assoc._accepted())
        self.bind(evt.EVT_ACSE_RECV, lambda event: event.assoc._note(event.primitive))
        self.bind(evt.EVT_C_STORE, self._service.store)
        if (commitments := self._service.commitments) is not None:
            self.bind(evt.EVT_N_ACTION, commitments.action)
            self.bind(evt.EVT_N_EVENT_REPORT, commitments.event_report)

    @property
    def certificate(self) -> tls.CertificateFacts | None:
        """What the peer proved itself with; None in clear text."""
        secured = self._sock.socket
        if not isinstance(secured, ssl.SSLSocket):
            return None
        return tls.facts_of(dict(secured.getpeercert() or {}))

    @property
    def tls_failure(self) -> str:
        """Why TLS ended the connection, in words; empty where it did not."""
        failure = self._sock.tls_failure
        return tls.explain(failure) if failure is not None else ""

    @property
    def host(self) -> str:
        """Address of the peer."""
        assert self.requestor.address_info is not None
        return self.requestor.address_info.address

    def reject(self, result: int, source: int, diagnostic: int) -> None:
        """Send A-ASSOCIATE-RJ (PS3.8 table 9-21) and wait until it is gone."""
        self.acse.send_reject(result, source, diagnostic)
        self.kill()

    def end(self, reason: str) -> None:
        """Let its own thread abort it at its next turn; whatever is being stored is stored first."""
        self.reason = reason
        self._asked_to_end = True
        if not self.is_established:
            self._sock.hang_up()

    def cut(self) -> None:
        """Hang up where the peer has stopped in the middle of a PDU; what is being stored goes on."""
        if self._sock.is_reading:
            self._sock.hang_up()

    def run_reactor(self) -> None:
        """Serve the association to its end, then clean up and tell the service."""
        try:
            super().run_reactor()
        finally:
            self.dul.kill_dul()
            self._sock.dispose()
            assert isinstance(self.dimse, Receiver)
            self.dimse.discard()
            self._server.forget(self)
            self._service.ended(self)

    def kill(self) -> None:
        """End it; what is still to be sent is sent, and the peer given time to hang up."""
        self._reactor_checkpoint.set()
        self._kill, self.is_established, self._is_paused = True, False, True
        while self.dul.is_alive() and not self.dul.stop_dul():
            self.turning.turn()

    def _run_reactor(self) -> None:
        """Serve an established association: pynetdicom's loop, which turns where that sleeps."""
        self._is_paused = False
        while not self._kill:
            if self._asked_to_end:
                self.abort(block=False)
            context_id, message = self.dimse.get_msg(block=False)
            if message is not None and context_id is not None:
                self._serve_request(message, context_id)
            if self._is_over():
                self.kill()
                return
            self.turning.turn()

    def _is_over(self) -> bool:
        """Tell whether it was released, aborted or lost, or was silent for too long."""
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
            return True
        if self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)  # tells `_note` what came
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
            return True
        if self.dul.idle_timer_expired():
            self.abort()
        return not self.dul.is_alive()

    def _requested(self) -> None:
        if not isinstance(self.requestor.primitive, A_ASSOCIATE):
            self.is_aborted = True  # the connection closed, or worse, before a request came
            self.kill()
            return
        decided = False
        try:
            self._service.asked(self)
            decided = True
        finally:
            if not decided:
                self.reject(2, 3, 1)  # transient, temporary congestion: the sender tries again

    def _accepted(self) -> None:
        whom = f"{self.calling_ae_title} at {self.host}"
        negotiated.tell(self, whom, association_id=self.association_id)

    def _note(self, primitive: Any) -> None:
        if isinstance(primitive, A_ABORT):
            self.reason = "the caller aborted it"
        elif isinstance(primitive, A_P_ABORT):
            self.reason = self.reason or "the connection was lost, or the caller broke the protocol"

    def _serve_request(self, msg: Any, context_id: int) -> None:
        if isinstance(msg, C_STORE) and not self._sent_release:
            # Not by the class UID: it may be private, absent or wrong, and is answered anyway.
            self._is_paused = True
            StorageServiceClass(self).SCP(msg, self._accepted_cx[context_id])
            self._is_paused = False
            return
        super()._serve_request(msg, context_id)
        if isinstance(msg, N_ACTION) and self._service.commitments is not None:
            self._service.commitments.settle(self, context_id)


class _Handler(RequestHandler):
    server: AcceptorServer

    def handle(self) -> None:
        self.server.open(self.request, self.client_address)


class AcceptorServer(AssociationServer):
    """Listens, and opens an `Acceptor` for each connection, up to a limit.

    Parameters
    ----------
    ae : pynetdicom.AE
        Our titles, sizes and timeouts.
    listening : tuple or socket
        Address to listen on; or a socket that listens already, and that other processes listen on too.
    service : Service
        Decides and stores.
    max_connections : int
        Connections beyond are closed at once.
    transfer_timeout_s : float
        Longest time for one PDU [s].
    tls_context : ssl.SSLContext, optional
        Callers must do a TLS handshake first.
    """

    request_queue_size = 128

    def __init__(
        self,
        ae: AE,
        listening: tuple[str, int] | socket.socket,
        *,
        service: Service,
        max_connections: int,
        transfer_timeout_s: float,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self.service = service
        self._shared: socket.socket | None = None
        if isinstance(listening, socket.socket):
            self._shared = listening
        address = listening if isinstance(listening, tuple) else listening.getsockname()
        self._tls = tls_context
        self._shaking = 0
        self.transfer_timeout_s = transfer_timeout_s
        self._max_connections = max_connections
        self._connected: set[Acceptor] = set()
        self._lock = threading.Lock()
        self._count = 0
        super().__init__(ae, address, ae.ae_title, [], request_handler=_Handler)

    def server_bind(self) -> None:
        """Listen on the address, or take the socket that is shared."""
        if self._shared is None:
            super().server_bind()
            return
        assert self.socket is not None
        self.socket.close()
        self.socket = self._shared
        self.socket.setblocking(False)  # another process may be faster to accept
        self.server_address = self.socket.getsockname()

    def server_close(self) -> None:
        """Stop listening; others may go on with a shared socket."""
        if self._shared is None:
            super().server_close()
        else:
            self._shared.close()

    def get_request(self) -> Any:
        """Accept a connection; it waits, also where the listening socket does not."""
        client, address = super().get_request()
        client.setblocking(True)
        return client, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Open an association; a handshake comes first, and must not hold up other callers."""
        if self._tls is None:
            super().process_request(request, client_address)
            return
        with self._lock:
            self._shaking += 1
        arguments = (request, client_address)
        threading.Thread(target=self._shake_hands, args=arguments, name="handshake", daemon=True).start()

    def _shake_hands(self, client: socket.socket, address: Any) -> None:
        assert self._tls is not None
        try:
            secured = tls.accept(self._tls, client)
        except OSError as error:
            self.service.unsecured(str(address[0]), tls.explain(error))
            with contextlib.suppress(OSError):
                client.close()
            return
        finally:
            with self._lock:
                self._shaking -= 1
        try:
            self.open(secured, address)
        except (OSError, RuntimeError):  # the connection is gone, or no thread can be started
            self.handle_error(secured, address)

    def open(self, client: socket.socket, address: Any) -> None:
        """Start an association on a connection."""
        assoc = Acceptor(self.ae, self, client, address)
        with self._lock:
            self._count += 1
            assoc.name = f"association-{self._count}"
            self._connected.add(assoc)
        assoc.start()

    def forget(self, assoc: Acceptor) -> None:
        """Take an ended association off the list."""
        with self._lock:
            self._connected.discard(assoc)

    @property
    def connected(self) -> list[Acceptor]:
        """Associations and bare connections that have not ended."""
        with self._lock:
            return list(self._connected)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse connections beyond the limit; a peer sees them closed."""
        if len(self._connected) + self._shaking < self._max_connections:
            return True
        log.warning("too many connections", extra={"action": "association.refused"})
        return False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say that a connection could not be opened; the listener goes on."""
        log.exception("could not open a connection", extra={"action": "association.failed"})

    def service_actions(self) -> None:
        """Collect ended associations now and then: they are cycles with buffers in them."""
        if self._count >= _COLLECT_EVERY:
            self._count = 0
            gc.collect()

    def shutdown(self) -> None:
        """Stop listening; what is open stays open."""
        super(AssociationServer, self).shutdown()
        self.server_close()
