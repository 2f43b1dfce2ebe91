"""Kill -9 of every process at random moments: nothing acknowledged is lost, nothing arrives twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread

from tbsnode.dicom import acquisition
from tests import nodes, peers
from tests.ledger import Ledger

STUDIES = 60
KILLS = 12  # at least; four of each role
_SENDERS = 2
_SR = "1.2.840.10008.5.1.4.1.1.88.34"
_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def studies(folder: Path) -> list[Path]:
    """Return studies of one small picture each; every patient has another noise."""
    options = acquisition.Options(small=True, anatomy_seed=7)
    paths = []
    for number in range(STUDIES):
        patient = acquisition.PatientTags(patient_id=f"KILL-{number:03d}")
        made = acquisition.study(
            "display", patient=patient, seed=number, study_date="20261101", options=options
        )
        paths += nodes.write(folder, made, name=f"study-{number:03d}")
    return paths


class Sender(threading.Thread):
    """A scanner that sends each study until it is acknowledged."""

    def __init__(self, port: int, images: list[Path]) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.images = images
        self.acknowledged: list[Path] = []
        self.tries = 0

    def run(self) -> None:
        for image in self.images:
            while not self._sent(image):
                time.sleep(0.2)
            self.acknowledged.append(image)

    def _sent(self, image: Path) -> bool:
        self.tries += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            argv = ["storescu", "-R", "-aet", nodes.CALLER, "-aec", nodes.AE_TITLE, "-to", "5", "-ta", "10"]
            argv += ["-td", "20", peers.LOOPBACK, str(self.port), str(image)]
            return peers.run(argv, timeout_s=30).returncode == 0
        return False


class Reaper:
    """Kills a process of a node, each role in its turn, in an order that chance decides."""

    ROLES = ("supervisor", "receive", "analyze", "deliver")

    def __init__(self, node: nodes.Node, seed: int) -> None:
        self.node = node
        self.dice = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self._next: list[str] = []

    def strike(self) -> None:
        """Kill -9 one process; a killed supervisor is started again at once."""
        if not self._next:
            self._next = self.dice.sample(self.ROLES, len(self.ROLES))
        role = self._next.pop()
        if role == "supervisor":
            self.node.kill_supervisor()
            self.node.start()
            self.kills[role] += 1
            return
        alive = [pid for pid, name in self.node.children().items() if name.startswith(role)]
        if alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.dice.choice(sorted(alive)), signal.SIGKILL)
                self.kills[role] += 1


@contextlib.contextmanager
def pacs(folder: Path) -> Iterator[peers.Storescp]:
    """A PACS that keeps every copy that it receives: two of one instance would be two files."""
    with peers.storescp(folder, "+xa", "+uf") as peer:
        yield peer


def nothing_is_lost_and_nothing_is_doubled(database_url: str, tmp_path: Path) -> None:
    """Send all studies while every process is killed at random; check what arrived."""
    images = studies(tmp_path / "studies")
    with pacs(tmp_path) as peer:
        destination = nodes.Destination("pacs", peer.ae_title, peer.port)
        node = nodes.Node(
            tmp_path / "node",
            peers.free_port(),
            [destination],
            database_url=database_url,
            quiet_s=2.0,
            workers=2,
        )
        with nodes.serving(node):
            senders = [Sender(node.port, images[n::_SENDERS]) for n in range(_SENDERS)]
            for sender in senders:
                sender.start()
            reaper = Reaper(node, seed=20261123)
            began = time.monotonic()
            while any(sender.is_alive() for sender in senders) or reaper.kills.total() < KILLS:
                time.sleep(reaper.dice.uniform(1.5, 4.5))
                reaper.strike()
            node.wait_receiving()
            print(f"sent after {time.monotonic() - began:.0f} s, killed {dict(reaper.kills)}")
            Ledger(node).settle_all(STUDIES, timeout_s=240)
            print(f"done after {time.monotonic() - began:.0f} s")
            check_all_arrived(node, peer, images)
            assert node.incoming() == []
        assert nodes.processes_of(node.config) == {}, "an orphan is left"


def check_all_arrived(node: nodes.Node, peer: peers.Storescp, images: list[Path]) -> None:
    """Each acknowledged study has exactly one SR and one PDF at the PACS, by SOP Instance UID."""
    results: dict[str, Counter[str]] = {}
    seen: set[str] = set()
    for path in peer.files():
        ds = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "StudyInstanceUID"])
        uid = dcmread(path, stop_before_pixels=True).SOPInstanceUID
        if uid not in seen:
            seen.add(uid)
            results.setdefault(ds.StudyInstanceUID, Counter())[ds.SOPClassUID] += 1
    sent = {dcmread(path, stop_before_pixels=True).StudyInstanceUID for path in images}
    assert set(results) == sent
    wrong = {uid: found for uid, found in results.items() if found != Counter({_SR: 1, _PDF: 1})}
    assert not wrong, wrong
    studies = node.studies()
    assert {row["state"] for row in studies.values()} == {"done"}
    assert {row["delivered"] for row in studies.values()} == {"pacs: sent"}
