"""Associations, recorded from other people's software and then damaged: sent to a live receiver.

A recording is what one caller said, byte for byte, from DCMTK or pynetdicom through `Recorder`. It is
played PDU by PDU to receivers in this process, in clear text and under TLS, with bits flipped, lengths
changed, PDUs left out, doubled or swapped, and slowly. Whatever was said, the receiver ends the
association within its time limits, tells of it once, and leaves no file and no thread.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tbsnode.model import TlsFiles
from tests import certificates, peers
from tests.fuzz.mutations import mutated
from tests.fuzz.run import Tally
from tests.fuzz.targets import corpus
from tests.raw_peer import ASSOCIATE_RQ
from tests.receiving_node import ReceivingNode, still_works

LIMIT_S = 15.0
_PATIENCE_S = 0.5  # of the receiver, so that a half-said word costs no minute
CALLERS = 8
_LENGTHS = (0, 1, 5, 6, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


class Recorder:
    """Stands between a caller and a receiver and keeps what the caller says."""

    def __init__(self, port: int) -> None:
        self._receiver = port
        self._socket = socket.create_server((peers.LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]
        self.said: list[bytes] = []
        self._threads: list[threading.Thread] = []

    def record(self, call: Callable[[int], object]) -> bytes:
        """Let somebody call through us and return what was said."""
        relay = threading.Thread(target=self._relay)
        relay.start()
        call(self.port)
        relay.join()
        return self.said[-1]

    def _relay(self) -> None:
        caller, _ = self._socket.accept()
        receiver = socket.create_connection((peers.LOOPBACK, self._receiver))
        back = threading.Thread(target=_pass_on, args=(receiver, caller, []))
        back.start()
        said: list[bytes] = []
        _pass_on(caller, receiver, said)
        back.join()
        self.said.append(b"".join(said))
        caller.close()
        receiver.close()

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()


def _pass_on(source: socket.socket, sink: socket.socket, kept: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            kept.append(piece)
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def pdus(said: bytes) -> list[bytes]:
    """Cut a recording into its PDUs (PS3.8 9.3.1); a rest that is none stands last."""
    cut = []
    while len(said) >= 6:
        end = 6 + int(struct.unpack_from(">L", said, 2)[0])
        cut.append(said[:end])
        said = said[end:]
    return [*cut, said] if said else cut


def damaged(said: Sequence[bytes], dice: Random) -> list[bytes]:
    """Return PDUs with one to three kinds of damage."""
    script = list(said)
    for _ in range(dice.choice((1, 1, 2, 3))):
        at = dice.randrange(len(script)) if script else 0
        what = dice.randrange(8)
        if not script:
            script = [dice.randbytes(dice.randrange(64))]
        elif what == 0:
            del script[at]
        elif what == 1:
            script.insert(dice.randrange(len(script) + 1), script[at])
        elif what == 2:
            other = dice.randrange(len(script))
            script[at], script[other] = script[other], script[at]
        elif what == 3:
            length = struct.pack(">L", dice.choice(_LENGTHS))
            script[at] = script[at][:2] + length + script[at][6:]
        elif what == 4:
            script[at] = bytes([dice.randrange(256)]) + script[at][1:]
        elif what == 5:
            script = [*script[:at], script[at][: dice.randrange(len(script[at]) + 1)]]
        else:
            script[at] = mutated(script[at], dice)
    return script


@dataclass(frozen=True)
class Ear:
    """One receiver, and how to reach it."""

    node: ReceivingNode
    context: ssl.SSLContext | None

    def connected(self) -> socket.socket:
        """Return a connection, after the handshake where there is one."""
        plain = socket.create_connection((peers.LOOPBACK, self.node.port), timeout=LIMIT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain if self.context is None else self.context.wrap_socket(plain)

    def settled(self) -> bool:
        """Return True where no association is left."""
        server = self.node.scp._server
        return server is not None and not server.connected

    def told(self) -> tuple[int, int]:
        """Return how many associations were opened, and how many ended."""
        count = self.node.log.count
        return count("opened"), count("released") + count("aborted")


def play(ear: Ear, script: Sequence[bytes], dice: Random) -> None:
    """Say a script and listen to the end; a receiver that does not hang up in time is a hang."""
    ends = time.monotonic() + LIMIT_S
    slowly, politely, vanishing = dice.random() < 0.03, dice.random() < 0.8, dice.random() < 0.1
    with contextlib.suppress(ConnectionError, ssl.SSLError, BrokenPipeError), ear.connected() as line:
        for each in script:
            if slowly:
                for byte in each[:40]:
                    line.sendall(bytes([byte]))
                    time.sleep(0.002)
                line.sendall(each[40:])
            else:
                line.sendall(each)
            if politely and each[:1] == bytes([ASSOCIATE_RQ]):
                line.settimeout(0.3)
                with contextlib.suppress(TimeoutError):
                    line.recv(1 << 16)
        if vanishing:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        line.settimeout(LIMIT_S)
        while line.recv(1 << 16):
            if time.monotonic() > ends:
                raise TimeoutError


@contextlib.contextmanager
def ears(folder: Path) -> Iterator[tuple[Ear, ...]]:
    """Run a receiver in clear text and one under TLS; they keep nothing."""
    folder.mkdir(parents=True)
    authority = certificates.authority(folder / "ca")
    files = authority.files(authority.issue("node", "localhost", peers.LOOPBACK))
    caller = authority.issue("SCANNER")
    context = ssl.create_default_context(cafile=authority.ca)
    context.load_cert_chain(caller.certificate, caller.key)
    context.check_hostname = False
    made = []
    with contextlib.ExitStack() as stack:
        for name, tls in (("clear", None), ("tls", files)):
            made.append(Ear(_receiver(folder / name, tls), context if tls else None))
            stack.callback(made[-1].node.scp.stop, 1.0)
            made[-1].node.scp.start()
        yield tuple(made)


def _receiver(folder: Path, tls: TlsFiles | None) -> ReceivingNode:
    folder.mkdir()
    patience = {
        "acse_timeout_s": _PATIENCE_S,
        "idle_timeout_s": _PATIENCE_S,
        "transfer_timeout_s": _PATIENCE_S,
    }
    node = ReceivingNode(folder, tls=tls, **patience)
    store = node._store

    def store_and_forget(received: object) -> None:
        store(received)  # type: ignore[arg-type]
        node.stored.clear()
        for kept in node.archive.iterdir():
            kept.unlink(missing_ok=True)

    node.scp._on_store = store_and_forget
    return node


def _crowd(listening: Sequence[Ear], dice: Random, tally: Tally, kept: Path) -> None:
    """Let several callers say something at once, then see that all is as before."""
    recordings = [pdus(said) for said in corpus("associations")]
    scripts = [
        (dice.choice(listening), damaged(dice.choice(recordings), dice), Random(dice.random()))
        for _ in range(CALLERS)
    ]
    late: list[list[bytes]] = []

    def call(ear: Ear, script: list[bytes], chance: Random) -> None:
        try:
            play(ear, script, chance)
        except TimeoutError:
            late.append(script)

    callers = [threading.Thread(target=call, args=each) for each in scripts]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    tally.executions["associations"] += len(scripts)
    for script in late:
        tally.broke("hang", "the receiver did not hang up", b"".join(script), kept)
    wrong = _wrong(listening)
    if wrong:
        tally.broke("crash", wrong, b"\n--next--\n".join(b"".join(script) for _, script, _ in scripts), kept)


def _wrong(listening: Sequence[Ear]) -> str:
    """Say what is not as before; empty where all is."""
    ends = time.monotonic() + LIMIT_S
    while not all(ear.settled() and len(set(ear.told())) == 1 for ear in listening):
        if time.monotonic() > ends:
            return f"associations are left: {[(ear.settled(), ear.told()) for ear in listening]}"
        time.sleep(0.005)
    for ear in listening:
        if any(ear.node.incoming.iterdir()):
            return f"left in incoming: {[each.name for each in ear.node.incoming.iterdir()]}"
        ear.node.log.clear()
        ear.node.events.clear()
    return ""


def _serves(node: ReceivingNode) -> None:
    """See that the next caller is served; on a busy desk the short patience may cut some off."""
    for _ in range(9):
        with contextlib.suppress(AssertionError):
            still_works(node)
            return
    still_works(node)


@contextlib.contextmanager
def _watched(tally: Tally, kept: Path) -> Iterator[None]:
    """Count a thread that dies of an exception as a crash."""

    def died(unhandled: threading.ExceptHookArgs) -> None:
        why = "".join(traceback.format_tb(unhandled.exc_traceback))
        tally.broke("crash", f"a thread died of {unhandled.exc_value!r}: {why}", b"", kept)

    before, threading.excepthook = threading.excepthook, died
    try:
        yield
    finally:
        threading.excepthook = before


def run(folder: Path, *, seed: int, kept: Path, go_on: Callable[[int], bool], tally: Tally) -> None:
    """Play damaged recordings as long as `go_on` says so; at the end the next caller is served."""
    dice = Random(seed)
    with _watched(tally, kept), ears(folder) as listening:
        count = 0
        while go_on(count):
            count += 1
            _crowd(listening, dice, tally, kept)
        _serves(listening[0].node)
