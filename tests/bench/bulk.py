"""Time bulk reprocessing: `tbsnode study reprocess` over many studies, compared only and sent, by 1 and 2.

The studies (one AP spine of 780 x 716 pixels each) come by DCMTK and are reported once. Then the exclusion
policy changes, so that every result changes, and the whole archive is analyzed again:
- with --no-send by 1 worker and by 2: nothing leaves the node;
- with --wait by 1 worker and by 2: successors go to DCMTK's storescp;
- with --wait by 2 workers, where the command and every process of the node are killed half way, the node is
  started again and the run gone on with: how many results reach the archive twice.
Before each of these, in this process: the bare calculation of twenty (decode, segment, measure; overlay, SR
and PDF written) without database, queue and archive.

Needs DCMTK. Exit 1 if a budget is not met.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from pydicom import dcmread

from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.files import write_files
from tests import many_studies, nodes, peers
from tests.ledger import Ledger

BUDGET_PER_S, BUDGET_TWO, BUDGET_TWO_SENT = 3.0, 1.8, 1.6
WORKERS, POLICY = "TBSNODE__ANALYSIS__WORKERS", "TBSNODE__ANALYSIS__EXCLUSION_POLICY"
_BATCH = 50  # sent in one association


def bring(node: nodes.Node, ledger: Ledger, folder: Path, number: int) -> list[Path]:
    """Send the studies and wait until all are reported; return their files."""
    files = [path for _, path in many_studies.studies(folder, number)]
    for first in range(0, number, _BATCH):
        nodes.send(node.port, files[first : first + _BATCH])
        print(".", end="", flush=True, file=sys.stderr)
    ledger.settle_all(number, timeout_s=60.0 + 2.0 * number)
    return files


def bare(files: list[Path], out: Path) -> float:
    """Return studies a second of the calculation alone."""
    settings = AnalysisSettings(made_at=datetime(2025, 1, 1, tzinfo=UTC))
    out.mkdir(exist_ok=True)

    def once(path: Path) -> None:
        for result in analyze_file(path, settings):
            write_files(result, out, settings=settings)

    once(files[0])
    began = time.perf_counter()
    for path in files[:20]:
        once(path)
    return min(20, len(files)) / (time.perf_counter() - began)


def restart(node: nodes.Node, workers: int, policy: str) -> None:
    """Serve again with so many workers, and a policy that every result states."""
    os.environ[WORKERS], os.environ[POLICY] = str(workers), policy
    if node.process is not None and node.stop():
        raise SystemExit("the node did not stop in order")
    node.start()
    peers.wait_until(lambda: len(_ready(node)) >= workers, "the workers")


def _ready(node: nodes.Node) -> list[str]:
    """Return the workers that said so since the supervisor began."""
    said = node.log.read_text().rpartition("serving as")[2]
    return [line for line in said.splitlines() if "analyze-" in line and " ready" in line]


def run(node: nodes.Node, *which: str) -> tuple[float, dict[str, object]]:
    """Run `study reprocess` to its end; return its time [s] and what it says."""
    began = time.perf_counter()
    said = subprocess.run(
        [
            sys.executable,
            "-m",
            "tbsnode",
            "study",
            "reprocess",
            *which,
            "--json",
            "--config",
            str(node.config),
        ],
        stdout=subprocess.PIPE,
        check=True,
        cwd=node.folder,
    )
    summary: dict[str, object] = json.loads(said.stdout)["summary"]
    return time.perf_counter() - began, summary


def kill_half_way(node: nodes.Node, ledger: Ledger, number: int) -> None:
    """Begin a run, and kill the command and every process of the node when half of it is done."""
    begun = max(row["id"] for row in ledger.rows("SELECT id FROM tbs_bulk_run"))
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "tbsnode", "study", "reprocess"),
            *("--since", "1d", "--wait", "--config", str(node.config)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=node.folder,
    )

    def half() -> bool:
        sql = (
            "SELECT count(*) AS n FROM tbs_bulk_study WHERE run_ref > ? AND state NOT IN ('waiting', 'asked')"
        )
        (row,) = ledger.rows(sql, begun)
        return bool(row["n"] >= number // 2)

    peers.wait_until(half, "half of the run", 60.0 + 2.0 * number, every_s=0.1)
    for pid in [command.pid, *nodes.processes_of(node.config)]:
        os.kill(pid, signal.SIGKILL)
    command.wait()
    node.kill_supervisor()


def at_archive(pacs: peers.Storescp) -> Counter[str]:
    """Count different results by study."""
    tags = ["StudyInstanceUID"]
    return Counter(
        str(dcmread(path, stop_before_pixels=True, specific_tags=tags).StudyInstanceUID)
        for path in pacs.files()
    )


def measure(
    node: nodes.Node, files: list[Path], out: Path
) -> tuple[dict[tuple[str, int], float], list[float]]:
    """Analyze all again, compared and sent, by one worker and two; return rates, and the bare ones [1/s]."""
    rates: dict[tuple[str, int], float] = {}
    alone = []
    sent = "automatic"
    for how, workers in (("--no-send", 1), ("--no-send", 2), ("--wait", 1), ("--wait", 2)):
        alone.append(bare(files, out))
        # compared only, the policy is another than that of what was sent; sent, it changes each time
        policy = "none" if sent == "automatic" else "automatic"
        sent = policy if how == "--wait" else sent
        restart(node, workers, policy)
        took_s, summary = run(node, "--since", "1d", how)
        if summary["changed"] != len(files):
            raise SystemExit(f"{summary['changed']} of {len(files)} results changed: {summary}")
        rates[how, workers] = len(files) / took_s
        print(f"  {how:10} {workers} worker(s): {rates[how, workers]:5.2f} studies a second", flush=True)
    return rates, alone


def survive(node: nodes.Node, ledger: Ledger, pacs: peers.Storescp, number: int) -> tuple[int, int]:
    """Kill a run half way and go on with it; return how many results came twice, and how many never."""
    ledger.settle_all(number, timeout_s=120.0)
    before = at_archive(pacs)
    restart(node, 2, "none")
    kill_half_way(node, ledger, number)
    node.start()
    run(node, "--resume")
    ledger.settle_all(number, timeout_s=120.0)
    came = at_archive(pacs) - before
    twice = sum(count - 2 for count in came.values() if count > 2)
    return twice, sum(2 - came.get(uid, 0) for uid in before if came.get(uid, 0) < 2)


def main() -> int:
    """Run the benchmark; exit 1 where a budget is not met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--studies", type=int, default=500, help="how many [500]")
    parser.add_argument("--json", action="store_true", help="print one JSON object besides")
    number = (options := parser.parse_args()).studies
    print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}, {number} studies")
    with tempfile.TemporaryDirectory(prefix="tbsnode-bench-") as made, peers.storescp(Path(made)) as pacs:
        destination = nodes.Destination("archive", pacs.ae_title, pacs.port)
        node = nodes.Node(Path(made) / "node", peers.free_port(), [destination], own_interpreter=True)
        os.environ[WORKERS] = "2"
        ledger = Ledger(node)
        with nodes.serving(node):
            files = bring(node, ledger, Path(made) / "images", number)
            rates, alone = measure(node, files, Path(made) / "bare")
            twice, missing = survive(node, ledger, pacs, number)
    two, two_sent = (rates[how, 2] / rates[how, 1] for how in ("--no-send", "--wait"))
    one = rates["--no-send", 1]
    verdicts = {
        f"{one:.2f} studies a second by one worker (budget 3)": one >= BUDGET_PER_S,
        f"x{two:.2f} with two workers, compared only (budget 1.8)": two >= BUDGET_TWO,
        f"x{two_sent:.2f} with two workers, sent (budget 1.6)": two_sent >= BUDGET_TWO_SENT,
        f"killed half way and gone on with: {twice} results twice, {missing} missing": twice == missing == 0,
    }
    calculated = statistics.median(alone)
    print(
        f"  bare calculation: {calculated:.2f} studies a second;"
        f" the node takes {alone[0] / one:.2f} x as long"
    )
    for said, met in verdicts.items():
        print(f"  {said}: {'met' if met else 'NOT MET'}")
    if options.json:
        listed = {f"{how} {workers}": rate for (how, workers), rate in rates.items()}
        print(json.dumps({"rates": listed, "bare": calculated, "met": verdicts}))
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
