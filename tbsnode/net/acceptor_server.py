"""Listens: an association for each connection, ordinary until it asks for more."""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

from pynetdicom import AE
from pynetdicom.transport import AssociationServer

from tbsnode.net import tls
from tbsnode.net.acceptor import Acceptor
from tbsnode.net.ordinary import OrdinaryAssociation

if TYPE_CHECKING:
    from tbsnode.net.line import Service

log = logging.getLogger(__name__)

_COLLECT_EVERY = 200
_FOREVER_S = 1e9


class AcceptorServer(AssociationServer):
    """Listens, and opens an association for each connection, up to a limit.

    Parameters
    ----------
    ae : pynetdicom.AE
        Our titles, sizes and timeouts.
    listening : tuple or socket
        Address to listen on; or a socket that listens already, and that other processes listen on too.
    service : Service
        Decides and stores.
    max_connections : int
        Beyond, whoever has asked nothing for the longest is hung up on for a new one.
    transfer_timeout_s : float
        Longest time for one PDU [s].
    tls_context : tls.ListenerContext, optional
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
        tls_context: tls.ListenerContext | None = None,
    ) -> None:
        self.service = service
        self._shared: socket.socket | None = None
        if isinstance(listening, socket.socket):
            self._shared = listening
        address = listening if isinstance(listening, tuple) else listening.getsockname()
        self._tls = tls_context
        self._shaking: dict[socket.socket, None] = {}  # second handles of connections, oldest first
        self.transfer_timeout_s = transfer_timeout_s
        self.acse_timeout_s = ae.acse_timeout or _FOREVER_S
        self.idle_timeout_s = ae.network_timeout or _FOREVER_S
        self._max_connections = max_connections
        self._connected: dict[Acceptor | OrdinaryAssociation, None] = {}  # oldest first
        self._leaving: set[Acceptor | OrdinaryAssociation] = set()
        self._lock = threading.Lock()
        self._count = 0
        super().__init__(ae, address, ae.ae_title, [])

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
            self.open(request, client_address)
            return
        handle = request.dup()
        with self._lock:
            self._shaking[handle] = None
        arguments = (request, client_address, handle)
        threading.Thread(target=self._shake_hands, args=arguments, name="handshake", daemon=True).start()

    def _shake_hands(self, client: socket.socket, address: Any, handle: socket.socket) -> None:
        assert self._tls is not None
        try:
            if not tls.says_something(client):
                client.close()
                return
            secured = tls.accept(self._tls.current(), client)
        except OSError as error:
            self.service.unsecured(str(address[0]), tls.explain(error))
            with contextlib.suppress(OSError):
                client.close()
            return
        finally:
            with self._lock:
                self._shaking.pop(handle, None)
            handle.close()
        try:
            self.open(secured, address)
        except (OSError, RuntimeError):  # the connection is gone, or no thread can be started
            self.handle_error(secured, address)

    def open(self, client: socket.socket, address: Any) -> None:
        """Start an association on a connection."""
        assoc = OrdinaryAssociation(self, client, address)
        with self._lock:
            self._count += 1
            assoc.name = f"association-{self._count}"
            self._connected[assoc] = None
        self._start(assoc, client)

    def _start(self, assoc: Acceptor | OrdinaryAssociation, client: socket.socket) -> None:
        """Start its thread; where the system gives none, the connection ends and counts no longer."""
        started = False
        try:
            assoc.start()
            started = True
        finally:
            if not started:
                self.forget(assoc)
                client.close()

    def hand_over(
        self, ordinary: OrdinaryAssociation, client: socket.socket, address: Any, read: bytes
    ) -> None:
        """Let pynetdicom serve an association that turned out not to be ordinary.

        Parameters
        ----------
        ordinary : OrdinaryAssociation
            It ends.
        client : socket.socket
            Its connection, to an address.
        address : tuple
            Of the peer.
        read : bytes
            What it has read.
        """
        assoc = Acceptor(self, client, address, read)
        assoc.name = ordinary.name
        with self._lock:
            self._connected[assoc] = None
            self._connected.pop(ordinary, None)
        self._start(assoc, client)

    def leave(self, assoc: OrdinaryAssociation) -> bool:
        """Let an ended association wait for the peer to hang up; it takes nobody's place meanwhile.

        Returns
        -------
        bool
            False where too many wait already: who is rejected and stays on the line gains nothing by it.
        """
        with self._lock:
            self._connected.pop(assoc, None)
            may_wait = len(self._leaving) < self._max_connections
            if may_wait:
                self._leaving.add(assoc)
            return may_wait

    def forget(self, assoc: Acceptor | OrdinaryAssociation) -> None:
        """Take an association off the list whose connection is closed."""
        with self._lock:
            self._connected.pop(assoc, None)
            self._leaving.discard(assoc)

    @property
    def connected(self) -> list[Acceptor | OrdinaryAssociation]:
        """Associations and bare connections that are not closed."""
        with self._lock:
            return [*self._connected, *self._leaving]

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take a connection; beyond the limit the oldest that has asked nothing yet makes room for it.

        Whoever reaches the port can open connections: a machine that fills it must not keep scanners out.
        """
        there = len(self._connected) + len(self._shaking)
        if there < self._max_connections:
            return True
        log.warning("too many connections", extra={"action": "association.refused"})
        return there < 2 * self._max_connections and self._made_room()

    def _made_room(self) -> bool:
        with self._lock:
            connected = list(self._connected)
        for assoc in connected:
            if not assoc.association_id and not assoc.reason:
                assoc.end("made room for another caller")
                assoc.cut()
                return True
        with self._lock:
            handle = next(iter(self._shaking), None)
            if handle is None:
                return False
            del self._shaking[handle]
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
        return True

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
