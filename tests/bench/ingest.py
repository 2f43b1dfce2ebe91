"""Time how a receiver takes images: tbsnode with archive and catalogue, DCMTK storescp --fork and Orthanc.

All three run at once on this machine, and take turns: one image in each association from 1 and from 4
senders, then many images in one association and in 4 at the same time. Ours flushes every file to the disk
and commits before it answers; DCMTK flushes nothing. Nagle's algorithm is off everywhere.

Two kinds of senders: DCMTK storescu, a process for each association, as a script or a modality sends; and a
bare one that only writes three UIDs into a message that is encoded already, so that nearly all of the time
is the receiver's. Ours runs the receiver alone, without workers.
Besides: how long one of 4 bare senders waits from dialing to the answer of its release; memory, threads and
unfinished files of ours after many associations of which every tenth breaks off in the middle of a data set;
and the memory that receiving one large instance takes.

Give the disk some minutes after a run: ext4 makes files slowly where many were deleted just now.
Needs DCMTK and Orthanc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import crowd, nodes, peers
from tests.ingest_clients import Sender, Target, Took, file_of, large_instance, send

ONE_IMAGE = ((1, "1 sender"), (4, "4 senders"))
MANY_IMAGES = ((1, "1 association"), (4, "4 associations at once"))
BUDGET_STORESCP, BUDGET_ORTHANC, BUDGET_P95_MS, BUDGET_MB = 0.9, 1.0, 60.0, 300.0


@dataclass
class Bench:
    """The receivers, and what was measured."""

    targets: dict[str, Target]
    folder: Path
    next_number: int = 0
    rates: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    waits: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def bare(self, row: str, clients: int, associations: int, images: int) -> None:
        """Let bare senders send to each receiver in turn."""
        for name, target in self.targets.items():
            took = send(
                target, clients=clients, associations=associations, images=images, first=self.next_number
            )
            self.next_number += took.images
            self._note(row, name, took)

    def storescu(self, row: str, clients: int, associations: int) -> None:
        """Let DCMTK's storescu send one image an association to each receiver in turn."""
        for name, target in self.targets.items():
            numbers = range(self.next_number, self.next_number + clients * associations)
            self.next_number = numbers.stop
            files = [file_of(self.folder, place, number) for place, number in enumerate(numbers)]
            self._note(row, name, _with_storescu(target, files, clients))

    def _note(self, row: str, name: str, took: Took) -> None:
        self.rates.setdefault((row, name), []).append(took.images_per_s)
        self.waits.setdefault((row, name), []).append(took.percentile_ms(95))
        print(".", end="", flush=True, file=sys.stderr)

    def rate(self, row: str, name: str) -> float:
        """Return the median of images a second."""
        return statistics.median(self.rates[row, name])

    def ratio(self, row: str, peer: str) -> float:
        """Return ours over a peer's, as the median of the turns."""
        ours, theirs = self.rates[row, "tbsnode"], self.rates[row, peer]
        return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _with_storescu(target: Target, files: list[Path], clients: int) -> Took:
    took: list[float] = []

    def sender(mine: list[Path]) -> None:
        for path in mine:
            argv = ["storescu", "-R", "-xe", "-aet", target.calling, "-aec", target.called]
            began = time.perf_counter()
            subprocess.run(
                [*argv, peers.LOOPBACK, str(target.port), path],
                check=True,
                env=peers.ENVIRONMENT,
                capture_output=True,
            )
            took.append(time.perf_counter() - began)

    threads = [threading.Thread(target=sender, args=(files[n::clients],)) for n in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Took(time.perf_counter() - began, tuple(took), len(files))


@contextlib.contextmanager
def receivers(folder: Path, processes: int) -> Iterator[tuple[nodes.Node, dict[str, Target]]]:
    """Run tbsnode's receiver, DCMTK's and Orthanc."""
    node = nodes.Node(
        folder / "node",
        peers.free_port(),
        receivers=processes,
        quiet_s=3600.0,
        after_release_s=3600.0,
        own_interpreter=True,
    )
    with contextlib.ExitStack() as running:
        running.enter_context(nodes.serving(node, only="receive"))
        scp = running.enter_context(peers.storescp(folder, "--fork"))
        archive = running.enter_context(peers.orthanc(folder / "orthanc"))
        yield (
            node,
            {
                "tbsnode": Target(node.port, nodes.CALLER, nodes.AE_TITLE),
                "storescp": Target(scp.port, nodes.CALLER, scp.ae_title),
                "Orthanc": Target(archive.port, archive.node_ae_title, archive.ae_title),
            },
        )


def receiving(node: nodes.Node) -> int:
    """Return the process ID of a receiver."""
    return next(pid for pid, name in node.children().items() if name.startswith("receive"))


def flood(node: nodes.Node, associations: int) -> dict[str, object]:
    """Look at the receiver before and after many associations of which every tenth breaks off."""
    pid = receiving(node)
    crowd.call(node.port, associations // 10)  # what is made once is made
    time.sleep(1.0)
    before = crowd.look(pid)
    began = time.perf_counter()
    crowd.call(node.port, associations)
    took_s = time.perf_counter() - began
    peers.wait_until(lambda: not node.incoming(), "incoming to be empty")
    peers.wait_until(lambda: crowd.look(pid).threads <= before.threads, "the threads to end")
    after = crowd.look(pid)
    grew = after.resident_mb - before.resident_mb
    print(
        f"\n{associations} associations, a tenth broken off in the middle of a data set, {took_s:.0f} s:\n"
        f"  before {before}; after {after}; unfinished files: {len(node.incoming())}"
    )
    return {
        "associations": associations,
        "before": str(before),
        "after": str(after),
        "met": grew < 10.0 and after.threads <= before.threads and after.descriptors <= before.descriptors,
    }


def large(node: nodes.Node, folder: Path, gigabytes: float) -> dict[str, object]:
    """Watch the receiver's memory while one large instance arrives."""
    pid, most = receiving(node), 0.0
    path = large_instance(folder / "large.dcm", int(gigabytes * 1e9))
    with Sender(Target(node.port, nodes.CALLER, nodes.AE_TITLE), path) as sender:
        began = time.perf_counter()
        while sender.is_sending():
            most = max(most, crowd.look(pid).resident_mb)
            time.sleep(0.02)
        took_s = time.perf_counter() - began
        status = sender.status
    path.unlink()
    print(
        f"\nOne instance of {gigabytes:g} GB: status {status:#06x}, {took_s:.1f} s,"
        f" {1e3 * gigabytes / took_s:.0f} MB/s, at most {most:.0f} MB resident"
    )
    return {"gigabytes": gigabytes, "resident_mb": most, "met": status == 0 and most < BUDGET_MB}


def report(bench: Bench, rows: list[tuple[str, str]]) -> list[dict[str, object]]:
    """Print the table; return its rows."""
    names = list(bench.targets)
    print(f"\n{'images a second':42}" + "".join(f"{name:>10}" for name in names) + "   tbsnode over   budget")
    said: list[dict[str, object]] = []
    for row, peer in rows:
        budget = BUDGET_STORESCP if peer == "storescp" else BUDGET_ORTHANC
        ratio = bench.ratio(row, peer)
        met = ratio >= budget
        rates = "".join(f"{bench.rate(row, name):10.0f}" for name in names)
        verdict = f"{budget:.1f} {'met' if met else 'NOT MET'}"
        print(f"{row:42}{rates}   {peer} {ratio:5.2f}   {verdict}")
        values = {name: bench.rate(row, name) for name in names}
        said.append({"row": row, "rates": values, "over": peer, "ratio": ratio, "met": met})
    row = f"bare, one image, {ONE_IMAGE[1][1]}"
    waits = {name: statistics.median(bench.waits[row, name]) for name in names}
    listed = ", ".join(f"{name} {wait:.0f} ms" for name, wait in waits.items())
    met = waits["tbsnode"] < BUDGET_P95_MS
    print(f"p95 of an association at 4 bare senders: {listed}; budget 60 ms {'met' if met else 'NOT MET'}")
    return [*said, {"row": "p95", "waits_ms": waits, "met": met}]


def main() -> int:
    """Run the benchmark; exit 1 where a budget is not met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--turns", type=int, default=5, help="times that each row is measured [5]")
    parser.add_argument("--images", type=int, default=100, help="images of each row and turn [100]")
    parser.add_argument("--processes", type=int, default=1, help="receiver processes of tbsnode [1]")
    parser.add_argument("--associations", type=int, default=10000, help="of the flood; 0: none [10000]")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of the large instance; 0: none [1]")
    parser.add_argument("--json", action="store_true", help="print one JSON object besides")
    options = parser.parse_args()
    print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}")
    results: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="tbsnode-bench-") as made:
        folder = Path(made)
        with receivers(folder, options.processes) as (node, targets):
            bench = Bench(targets, folder)
            rows: list[tuple[str, str]] = []
            for turn in range(-1, options.turns):  # the first warms up
                if turn == 0:
                    bench.rates.clear()
                    bench.waits.clear()
                rows = measure(bench, max(4, options.images) if turn >= 0 else 8)
            results += report(bench, rows)
            if options.associations:
                results.append(flood(node, options.associations))
            if options.gigabytes:
                results.append(large(node, folder, options.gigabytes))
    if options.json:
        print(json.dumps(results))
    return 0 if all(result["met"] for result in results) else 1


def measure(bench: Bench, images: int) -> list[tuple[str, str]]:
    """Take each row once; return the rows with the peer that each is held against."""
    rows = []
    for clients, name in ONE_IMAGE:
        bench.storescu(f"storescu, one image, {name}", clients, images // clients)
        bench.bare(f"bare, one image, {name}", clients, images // clients, 1)
        rows += [(f"{kind}, one image, {name}", "storescp") for kind in ("storescu", "bare")]
    for clients, name in MANY_IMAGES:
        bench.bare(f"bare, many images, {name}", clients, 1, 4 * images // clients)
        rows.append((f"bare, many images, {name}", "Orthanc"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
