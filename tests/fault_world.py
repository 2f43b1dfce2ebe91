"""The world of `tests.faults`: a node, a scanner that insists, and an archive that keeps every copy."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread

from tbsnode.dicom import acquisition
from tests import nodes, peers
from tests.ledger import Ledger

FAULTY = Path(__file__).parent / "faulty"
SQLITE = "sqlite:///state/tbsnode.db"
_PER_STUDY = 2  # an SR and a PDF


@dataclass
class Counts:
    """What a row counted.

    Attributes
    ----------
    sent, acknowledged : int
        Studies that the scanner tried to send, and those answered with success.
    results : int
        Different SR and PDF instances at the PACS.
    duplicates : int
        Studies with more than one SR or PDF of different UIDs.
    lost : int
        Results of acknowledged studies that are not at the PACS.
    note : str
        What else was seen.
    """

    sent: int = 0
    acknowledged: int = 0
    results: int = 0
    duplicates: int = 0
    lost: int = 0
    note: str = ""

    @property
    def survived(self) -> bool:
        """Whether nothing was lost and nothing came twice."""
        return self.acknowledged > 0 and self.lost == self.duplicates == 0


@dataclass
class World:
    """A node, its scanner and its archive."""

    folder: Path
    node: nodes.Node
    pacs_port: int
    pacs_options: tuple[str, ...] = ("+xa", "+uf")
    counts: Counts = field(default_factory=Counts)
    uids: list[str] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        """What the node has written down."""
        return Ledger(self.node)

    @contextlib.contextmanager
    def pacs(self, *options: str) -> Iterator[peers.Storescp]:
        """Run the archive; all runs write into one folder."""
        with peers.storescp(self.folder, *self.pacs_options, *options, port=self.pacs_port) as peer:
            yield peer

    def send(self, number: int, *, until_acknowledged: bool = True) -> list[bool]:
        """Let the scanner send so many new studies; return which were acknowledged."""
        return [self._send_one(until_acknowledged) for _ in range(number)]

    def _send_one(self, until_acknowledged: bool) -> bool:
        seed = self.counts.sent
        self.counts.sent += 1
        patient = acquisition.PatientTags(patient_id=f"FAULT-{seed:03d}")
        options = acquisition.Options(small=True, anatomy_seed=7)
        made = acquisition.study(
            "display", patient=patient, seed=seed, study_date="20261101", options=options
        )
        (path,) = nodes.write(self.folder / "sent", made, f"s{seed:03d}")
        return self.send_file(path, until_acknowledged=until_acknowledged)

    def send_file(self, path: Path, *, until_acknowledged: bool = True) -> bool:
        """Send one file, again and again if wanted, as a scanner does."""
        ends = time.monotonic() + 60.0
        while True:
            argv = ["storescu", "-aet", nodes.CALLER, "-aec", nodes.AE_TITLE, "-to", "5", "-ta", "10"]
            argv += ["-td", "20", peers.LOOPBACK, str(self.node.port), str(path)]
            with contextlib.suppress(subprocess.TimeoutExpired):
                done = peers.run([*argv[:1], "-R", *argv[1:]], timeout_s=30)
                if done.returncode == 0:
                    self.counts.acknowledged += 1
                    self.uids.append(str(dcmread(path, stop_before_pixels=True).StudyInstanceUID))
                    return True
            if not until_acknowledged or time.monotonic() > ends:
                return False
            time.sleep(0.3)

    def settle(self, timeout_s: float = 90.0) -> Counts:
        """Wait until all that was acknowledged is done, then count what the archive has."""
        self.ledger.settle_all(len(self.uids), timeout_s=timeout_s)
        return self.count()

    def count(self, *, wanted: int = _PER_STUDY) -> Counts:
        """Count what the archive has of the acknowledged studies; `wanted` of each."""
        found: dict[str, set[tuple[str, str]]] = {}
        for path in (self.folder / f"storescp-{self.pacs_port}").iterdir():
            ds = dcmread(path, stop_before_pixels=True)
            found.setdefault(str(ds.StudyInstanceUID), set()).add(
                (str(ds.SOPClassUID), str(ds.SOPInstanceUID))
            )
        kinds = {uid: Counter(kind for kind, _ in found.get(uid, set())) for uid in self.uids}
        self.counts.results = sum(len(each) for each in found.values())
        self.counts.duplicates = sum(max(each.values(), default=0) > 1 for each in kinds.values())
        self.counts.lost = sum(max(0, wanted - len(each)) for each in kinds.values())
        left = self.node.incoming()
        assert left == [], f"left in incoming: {left}"
        return self.counts

    def child(self, role: str) -> int:
        """Return the process ID of a role's process."""
        return min(pid for pid, name in self.node.children().items() if name.startswith(role))


@contextlib.contextmanager
def world(
    folder: Path, database_url: str = SQLITE, *, pacs_host: str = peers.LOOPBACK, **settings: object
) -> Iterator[World]:
    """Prepare a node that serves nobody yet; nothing of it is left afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    port = peers.free_port()
    destination = nodes.Destination("pacs", "STORESCP", port, host=pacs_host)
    node = nodes.Node(
        folder / "node",
        peers.free_port(),
        [destination],
        database_url=database_url,
        **{"quiet_s": 0.5, **settings},  # type: ignore[arg-type]
    )
    node.prepare()
    try:
        yield World(folder, node, port)
    finally:
        if node.process is not None:
            node.stop()
        for pid in nodes.processes_of(node.config):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Let the node's processes, and only they, load `tests/faulty`."""
    path = os.pathsep.join(filter(None, [str(FAULTY), os.environ.get("PYTHONPATH", "")]))
    before = dict(os.environ)
    os.environ.update({"PYTHONPATH": path, **values})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
