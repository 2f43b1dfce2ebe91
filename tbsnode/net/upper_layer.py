"""What we change in pynetdicom's upper layer, and why.

pynetdicom 3 polls: each thread of an association wakes every millisecond, whether or not anything
happened, and each message waits for the next wake. Here the threads wait until a byte arrives or
the other thread rings. Also, a peer that stops in the middle of a PDU would hold a thread for
ever, and one that announces a PDU of 4 GB would be given the memory; sockets have a deadline and
a limit here. Nagle's algorithm is off: with delayed acknowledgment it costs 40 ms a message.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import selectors
import socket
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from pydicom.config import IGNORE, settings
from pynetdicom import _config
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.timer import Timer
from pynetdicom.transport import AddressInformation, AssociationSocket

# Ours, as PS3.7 D.3.3.2 wants; the second is for people.
IMPLEMENTATION_CLASS_UID = "2.25.279998119923819783324424023499630841581"
IMPLEMENTATION_VERSION_NAME = "TBSNODE"

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

# A-ASSOCIATE-RQ of 128 presentation contexts with many transfer syntaxes each fits in this.
LARGEST_OTHER_PDU = 1 << 20

_WAIT_S = 0.2  # timers are looked at this often while nothing arrives
_GLANCE_S = 0.1  # the other thread is looked after this often
_SWITCH_S = 0.0005
_NOISY = ("association", "dul", "dimse", "events", "fsm", "service_class", "service_class_n", "transport")


class WithoutMessages(logging.Filter):
    """Leaves the messages of exceptions out of pynetdicom's log lines.

    An unexpected exception may quote an attribute's value, and no patient's name reaches a log
    line; the type and the traceback's lines stay.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record; keep it."""
        if record.exc_info and record.exc_info[0]:
            kind, _, lines = record.exc_info
            if not isinstance(record.msg, str) or str(record.exc_info[1]) in record.msg:
                record.msg, record.args = kind.__name__, None
            record.exc_text = "".join([*traceback.format_tb(lines), kind.__name__])
            record.exc_info = None
        return True


without_messages = WithoutMessages()


def configure() -> None:
    """Set pynetdicom's process-wide switches; harmless when repeated."""
    # The standard handlers format every PDU for the log, also when nothing is logged.
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    # Stored bytes are sent as they are, in pieces; received ones go to disk (see scp.py).
    _config.STORE_SEND_CHUNKED_DATASET = True
    _config.STORE_RECV_CHUNKED_DATASET = True
    for name in _NOISY:
        logging.getLogger(f"pynetdicom.{name}").addFilter(without_messages)


def configure_receiver() -> None:
    """Set the switches of a process that receives and does nothing else; harmless when repeated.

    It judges UIDs and headers itself (`dicom.identity`): pydicom's own check of each UID that is put into
    an association, which only warns, is off. A thread that comes back from the disk waits no longer than
    half a millisecond for one that computes.
    """
    settings.reading_validation_mode = IGNORE
    sys.setswitchinterval(_SWITCH_S)


class RingingQueue(queue.Queue[Any]):
    """A queue between two threads of an association, which knows when the other one is gone.

    Parameters
    ----------
    ring : callable
        Called after each `put`, to wake whoever waits for more than this queue.
    maxsize : int
        Where it is not 0, a full queue holds the sender back, so that a large instance is not
        read into memory at once.
    alive : callable
        Whether the thread on the other side runs: if not, `put` drops what does not fit, and
        `get` does not wait.
    """

    def __init__(
        self,
        ring: Callable[[], None] = lambda: None,
        maxsize: int = 0,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(maxsize)
        self._ring = ring
        self._alive = alive

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add an item and ring."""
        while self.maxsize and self.full():
            if not self._alive():
                return
            with contextlib.suppress(queue.Full):
                super().put(item, timeout=_GLANCE_S)
                self._ring()
                return
        super().put(item, block, timeout)
        self._ring()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take an item; raise `queue.Empty` after `timeout`, or when nothing can come any more."""
        if not block:
            return super().get(block=False)
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            alive = self._alive()  # asked first: what it put before it ended is still taken
            remaining = deadline - time.monotonic()
            try:
                return super().get(timeout=max(0.0, min(_GLANCE_S, remaining)) if alive else 0.0)
            except queue.Empty:
                if not alive or remaining <= 0.0:
                    raise


class _Bell:
    """What one thread rings to wake another that waits for a connection."""

    def __init__(self) -> None:
        self.near, self._far = socket.socketpair()
        self.near.setblocking(False)
        self._far.setblocking(False)
        self._lock = threading.Lock()

    def ring(self) -> None:
        with self._lock:
            if self._far.fileno() >= 0:
                with contextlib.suppress(BlockingIOError):  # it has been rung often enough
                    self._far.send(b"!")

    def close(self) -> None:
        with self._lock:
            self.near.close()
            self._far.close()


class PatientSocket(AssociationSocket):
    """An association's socket that waits instead of polling, and never for ever.

    Parameters
    ----------
    assoc : pynetdicom.association.Association
        Its association.
    client_socket : socket, optional
        Accepted connection.
    address : AddressInformation, optional
        Local address to connect from.
    transfer_timeout_s : float
        Longest time for one PDU to be read or written [s].
    bell : bool
        Whether another thread may want to wake the one that waits.
    """

    def __init__(
        self,
        assoc: Any,
        client_socket: socket.socket | None = None,
        address: AddressInformation | None = None,
        transfer_timeout_s: float = 60.0,
        bell: bool = True,
    ) -> None:
        super().__init__(assoc, client_socket=client_socket, address=address)
        self.read_already = b""  # comes before what the connection gives
        self._transfer_timeout_s = transfer_timeout_s
        self._bell = _Bell() if bell else None
        self._selector: selectors.BaseSelector | None = None
        self.is_reading = False
        self.longest_s: float | None = None  # wait no longer in `ready`, where that is less than usual
        # with TLS 1.3, a refused certificate is learned after the handshake, at the first read
        self.tls_failure: ssl.SSLError | None = None
        if client_socket is not None:
            self._settle(client_socket)

    def _settle(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.settimeout(self._transfer_timeout_s)

    def connect(self, primitive: Any) -> None:
        """Connect, then put back the time limit that pynetdicom removes."""
        super().connect(primitive)
        if self.socket is not None:
            self._settle(self.socket)

    def ring(self) -> None:
        """Wake the thread that waits in `ready`."""
        if self._bell is not None:
            self._bell.ring()

    @property
    def ready(self) -> bool:
        """Wait until there is data, the bell rings or a timer may be due; tell if there is data."""
        if self.socket is None or self._is_connected is False:
            time.sleep(0.001)
            return False
        if not self.event_queue.empty():
            return False  # what has come is judged before more is read
        if self.assoc.dul.state_machine.current_state == "Sta13":
            self._drain()  # PS3.8 table 9-10: the last word is said, pynetdicom closes now
            return False
        if self.read_already:
            return True
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return True
        try:
            found = {key.fileobj for key, _ in self._wait()}
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # PS3.8 table 9-10: transport connection closed
            return False
        if self._bell is not None and self._bell.near in found:
            self._bell.near.recv(4096)
        return self.socket in found

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        assert self.socket is not None
        if self._selector is None:
            self._selector = selectors.PollSelector()
            self._selector.register(self.socket, selectors.EVENT_READ)
            if self._bell is not None:
                self._selector.register(self._bell.near, selectors.EVENT_READ)
        return self._selector.select(_WAIT_S if self.longest_s is None else min(_WAIT_S, self.longest_s))

    def _drain(self) -> None:
        """Drop what has come: closed with unread bytes, TCP would take back our last word."""
        assert self.socket is not None
        if not isinstance(self.socket, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                self.socket.setblocking(False)
                for _ in range(64):
                    if not self.socket.recv(1 << 16):
                        break

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly `nr_bytes`, fewer only at the end of the connection.

        Raises
        ------
        OSError
            If the PDU is larger than we said we take, or does not arrive in time.
        """
        assert self.socket is not None
        ourselves = self.assoc.acceptor if self.assoc.is_acceptor else self.assoc.requestor
        if nr_bytes > max(LARGEST_OTHER_PDU, (ourselves.maximum_length or 0) + 6):
            raise OSError(f"the peer announced a PDU of {nr_bytes} bytes")
        received = bytearray(nr_bytes)
        position = len(before := self.read_already[:nr_bytes])
        received[:position] = before
        self.read_already = self.read_already[position:]
        view = memoryview(received)
        deadline = time.monotonic() + self._transfer_timeout_s
        self.is_reading = True
        try:
            while position < nr_bytes:
                if time.monotonic() > deadline:
                    raise TimeoutError("the peer stopped in the middle of a PDU")
                count = self.socket.recv_into(view[position:])
                if not count:
                    break
                position += count
        except ssl.SSLError as error:
            self.tls_failure = error
            raise
        finally:
            self.is_reading = False
        view.release()
        del received[position:]
        return received

    def hang_up(self) -> None:
        """Shut the connection down; the thread that reads it notices."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)

    def _shutdown_socket(self) -> None:
        """Shut down and close; pynetdicom's forgets to close a connection that was reset."""
        if self.socket is not None:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the peer was faster
            finally:
                self.socket.close()

    def dispose(self) -> None:
        """Give back every descriptor; the association's threads have ended."""
        self._shutdown_socket()
        if self._bell is not None:
            self._bell.close()
        if self._selector is not None:
            self._selector.close()


class SteadyTimer(Timer):
    """A timer that the wall clock does not move, and that is over once it is stopped.

    pynetdicom's asks the wall clock, so a clock that is set back keeps a dead association open, and
    one that is set forward ends a living one. One that is stopped late stays expired for ever.
    """

    @property
    def remaining(self) -> float:
        """Seconds until it expires; negative afterwards."""
        if self.timeout is None:
            return 1
        if self._start_time is None:
            return self.timeout
        return self.timeout - (time.monotonic() - self._start_time)

    def start(self) -> None:
        """Run from now."""
        self._start_time = time.monotonic()

    def stop(self) -> None:
        """Run no longer, and be not expired."""
        self._start_time = None


class Provider(DULServiceProvider):
    """The state machine's thread, which survives wrong PDUs and answers that come too late."""

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        self.artim_timer = SteadyTimer(assoc.acse_timeout)
        self._idle_timer = SteadyTimer(assoc.network_timeout)
        self._run_loop_delay = 0  # `PatientSocket.ready` waits instead
        self.daemon = True

    def _decode_pdu(self, bytestream: bytearray) -> tuple[Any, str]:
        if self.state_machine.current_state == "Sta2" and self.artim_timer.expired:
            # The association waits no longer: accepted now, the request would be answered by nobody.
            raise TimeoutError("the association request took too long to arrive")
        pdu, event = super()._decode_pdu(bytestream)
        primitive = pdu.to_primitive()  # raises here, where it means "invalid PDU"
        pdu.to_primitive = lambda: primitive  # type: ignore[assignment, method-assign]
        return pdu, event

    def _process_recv_primitive(self) -> bool:
        if not self.event_queue.empty():
            return False  # it may end the association
        if not super()._process_recv_primitive():
            return False
        if (self.event_queue.queue[0], self.state_machine.current_state) in TRANSITION_TABLE:
            return True
        self.event_queue.get(block=False)
        self.to_provider_queue.get(block=False)
        return False


def attach(assoc: Association, max_waiting: int = 0) -> None:
    """Give an association that we open a `Provider`, and queues that know when a thread is gone.

    Parameters
    ----------
    assoc : pynetdicom.association.Association
        Without socket yet.
    max_waiting : int
        How many P-DATA may wait to be sent; 0 is unlimited.
    """
    provider = assoc.dul = Provider(assoc)

    def ring_socket() -> None:
        if isinstance(provider.socket, PatientSocket):
            provider.socket.ring()

    provider.to_provider_queue = RingingQueue(ring_socket, max_waiting, provider.is_alive)
    provider.to_user_queue = RingingQueue(alive=provider.is_alive)
    assoc.dimse.msg_queue = RingingQueue(alive=provider.is_alive)
