"""Many callers at once, of whom every tenth breaks off in the middle of a data set."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from tests import nodes, raw_peer
from tests.raw_peer import ABORT, ASSOCIATE_AC, P_DATA, RELEASE_RP, RELEASE_RQ, Caller

_THREADS = 4


@dataclass(frozen=True)
class Look:
    """What a process holds."""

    resident_mb: float
    threads: int
    descriptors: int

    def __str__(self) -> str:
        return f"{self.resident_mb:.0f} MB, {self.threads} threads, {self.descriptors} descriptors"


def look(pid: int) -> Look:
    """Look at a process."""
    words = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Look(int(words["VmRSS"].split()[0]) / 1000, int(words["Threads"]), open_now)


def call(port: int, number: int) -> None:
    """Open so many associations, four at a time; each verifies, or breaks off while it stores."""
    wrong: list[str] = []

    def caller(first: int) -> None:
        for count in range(first, number, _THREADS):
            if fault := _once(port, breaks_off=count % 10 == 0, vanishes=count % 20 == 0):
                wrong.append(fault)

    threads = [threading.Thread(target=caller, args=(first,)) for first in range(_THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == [], wrong[:3]


def _once(port: int, *, breaks_off: bool, vanishes: bool) -> str:
    with Caller(port, timeout_s=60.0) as line:
        contexts = (
            (raw_peer.SECONDARY_CAPTURE, (raw_peer.EXPLICIT,)),
            (raw_peer.VERIFICATION, (raw_peer.EXPLICIT,)),
        )
        line.send(raw_peer.associate_request(nodes.CALLER, nodes.AE_TITLE, contexts))
        if (kind := line.receive()[0]) != ASSOCIATE_AC:
            return f"an association was answered with {kind}"
        if breaks_off:
            command = raw_peer.store_command("1.2.3.4")
            line.send(raw_peer.data(command, control=3), raw_peer.data(bytes(8192), control=0))
            if vanishes:
                line.vanish()
            else:
                line.send(raw_peer.pdu(ABORT, bytes(4)))
            return ""
        echo = raw_peer.store_command(
            None, raw_peer.VERIFICATION, x0100=b"\x30\0", x0700=None, x0800=b"\x01\x01"
        )
        line.send(raw_peer.data(echo, control=3, context_id=3))
        if (kind := line.receive()[0]) != P_DATA:
            return f"an echo was answered with {kind}"
        line.send(raw_peer.pdu(RELEASE_RQ, bytes(4)))
        return "" if line.receive()[0] == RELEASE_RP else "not released"
