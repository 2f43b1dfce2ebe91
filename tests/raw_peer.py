"""A scripted peer that speaks DICOM byte by byte, so that it can also misspeak (PS3.8 9.3, PS3.7 E).

`Caller` plays a sender against our SCP: it says nothing, sends garbage, aborts in the middle of a
data set or leaves out what it must send. `Listener` plays an archive against our SCU that accepts
connections and then follows a script.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence

from tests.peers import LOOPBACK

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)


def pdu(kind: int, body: bytes) -> bytes:
    """Encode one PDU."""
    return struct.pack(">BxL", kind, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def associate_request(
    calling: str = "SCANNER",
    called: str = "TBSNODE",
    contexts: Sequence[tuple[str, Sequence[str]]] = ((SECONDARY_CAPTURE, (EXPLICIT,)),),
) -> bytes:
    """Encode an A-ASSOCIATE-RQ; context IDs are 1, 3, 5, ..."""
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    for index, (abstract, transfers) in enumerate(contexts):
        subitems = _item(0x30, abstract.encode()) + b"".join(_item(0x40, each.encode()) for each in transfers)
        body += _item(0x20, bytes([2 * index + 1, 0, 0, 0]) + subitems)
    user = _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"1.2.3.4")
    return pdu(ASSOCIATE_RQ, body + _item(0x50, user))


def associate_accept(request: bytes, result: int = 0, transfer_syntax: str = IMPLICIT) -> bytes:
    """Encode the A-ASSOCIATE-AC that answers a request, with one result for every context."""
    body = request[6:74] + _item(0x10, b"1.2.840.10008.3.1.1.1")
    position = 74
    while position < len(request):
        kind, length = struct.unpack_from(">BxH", request, position)
        if kind == 0x20:
            answer = bytes([request[position + 4], 0, result, 0])
            body += _item(0x21, answer + _item(0x40, transfer_syntax.encode()))
        position += 4 + length
    user = _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"1.2.3.4")
    return pdu(ASSOCIATE_AC, body + _item(0x50, user))


def command(elements: dict[int, bytes]) -> bytes:
    """Encode a command set: values by element number of group 0000."""
    encoded = b"".join(
        struct.pack("<HHL", 0, element, len(value)) + value for element, value in elements.items()
    )
    return struct.pack("<HHLL", 0, 0, 4, len(encoded)) + encoded


def uid(value: str) -> bytes:
    """Encode a UID padded to even length."""
    return value.encode() + b"\0" * (len(value) % 2)


def store_command(
    sop_instance_uid: str | None = "1.2.3.4",
    sop_class_uid: str | None = SECONDARY_CAPTURE,
    **changes: bytes | None,
) -> bytes:
    """Encode a C-STORE-RQ command; None leaves an element out (``x0110=None``: no Message ID)."""
    elements: dict[int, bytes | None] = {
        0x0002: None if sop_class_uid is None else uid(sop_class_uid),
        0x0100: struct.pack("<H", 0x0001),
        0x0110: struct.pack("<H", 7),
        0x0700: struct.pack("<H", 0),
        0x0800: struct.pack("<H", 1),
        0x1000: None if sop_instance_uid is None else uid(sop_instance_uid),
    }
    elements.update({int(name[1:], 16): value for name, value in changes.items()})
    return command({element: value for element, value in elements.items() if value is not None})


def data(fragment: bytes, *, control: int, context_id: int = 1) -> bytes:
    """Encode a P-DATA-TF with one fragment; control 3: last of the command, 0 and 2: data set."""
    return pdu(P_DATA, struct.pack(">LBB", len(fragment) + 2, context_id, control) + fragment)


class Caller:
    """A connection to an SCP; `answer` is what came back."""

    def __init__(self, port: int, timeout_s: float = 10.0) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), timeout=timeout_s)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *encoded: bytes) -> None:
        """Send bytes; a peer that has hung up already is no error of the script."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(b"".join(encoded))

    def _exactly(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            piece = self.socket.recv(count - len(received))
            if not piece:
                raise ConnectionError
            received += piece
        return received

    def receive(self) -> tuple[int, bytes]:
        """Return kind and body of the next PDU; kind 0 where the peer has hung up."""
        try:
            kind, length = struct.unpack(">BxL", self._exactly(6))
            return kind, self._exactly(length)
        except ConnectionError:
            return 0, b""

    def associate(self, calling: str = "SCANNER", called: str = "TBSNODE") -> int:
        """Ask for an association; return the kind of the answer."""
        self.send(associate_request(calling, called))
        return self.receive()[0]

    def status(self) -> int | None:
        """Return the DIMSE status of the next answer; None where the association ended instead."""
        kind, body = self.receive()
        if kind != P_DATA:
            return None
        position = 6
        while position < len(body):
            group, element, length = struct.unpack_from("<HHL", body, position)
            if (group, element) == (0, 0x0900):
                return int(struct.unpack_from("<H", body, position + 8)[0])
            position += 8 + length
        return None

    def vanish(self) -> None:
        """Reset the connection without a word, as a pulled plug does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Listener:
    """Accepts connections on `port` and runs `script` on each."""

    def __init__(self, script: Callable[[Caller], None]) -> None:
        self._script = script
        self._socket = socket.create_server((LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()

    def serve(self) -> None:
        """Accept until stopped."""
        self._socket.settimeout(0.05)
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                accepted, _ = self._socket.accept()
                thread = threading.Thread(target=self._run, args=(accepted,))
                thread.start()
                self._threads.append(thread)

    def _run(self, accepted: socket.socket) -> None:
        connection = Caller.__new__(Caller)
        connection.socket = accepted
        accepted.settimeout(10.0)
        with contextlib.suppress(OSError), connection:
            self._script(connection)
            connection.receive()  # linger until the other side hangs up

    def close(self) -> None:
        """Stop accepting and wait for the scripts to end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()


@contextlib.contextmanager
def listener(script: Callable[[Caller], None]) -> Iterator[Listener]:
    """Run a `Listener` in the background."""
    peer = Listener(script)
    thread = threading.Thread(target=peer.serve)
    thread.start()
    try:
        yield peer
    finally:
        peer._stop.set()
        thread.join()
        peer.close()
