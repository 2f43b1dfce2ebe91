"""A bulk run of a running node, killed half way and gone on with: nothing twice at the archive."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread

from tests import many_studies, nodes, peers
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow]

STUDIES = 9  # more than are due at once for one worker


def images(folder: Path) -> list[Path]:
    """Write one picture as the only image of several studies."""
    return [path for _, path in many_studies.studies(folder, STUDIES, size="small")]


def results_of(pacs: peers.Storescp) -> Counter[str]:
    """Count what the archive holds by study."""
    return Counter(
        str(dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
        for path in pacs.files()
    )


def test_compared_then_sent_through_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with peers.storescp(tmp_path) as pacs:
        destination = nodes.Destination("pacs", pacs.ae_title, pacs.port)
        node = nodes.Node(tmp_path / "node", peers.free_port(), [destination])
        ledger = Ledger(node)
        with nodes.serving(node):
            nodes.send(node.port, images(tmp_path / "images"))
            ledger.settle_all(STUDIES)
            uids = [row["study_instance_uid"] for row in ledger.rows("SELECT * FROM tbs_study ORDER BY id")]
            assert set(results_of(pacs).values()) == {2}
            assert node.stop() == 0

            monkeypatch.setenv("TBSNODE__ANALYSIS__EXCLUSION_POLICY", "none")  # each result states it
            node.start()
            said = node.json("study", "reprocess", "--since", "1d", "--no-send")
            assert said["summary"]["changed"] == said["summary"]["studies"] == STUDIES
            assert said["summary"]["sent"] is False
            assert set(results_of(pacs).values()) == {2}, "nothing was sent"
            assert node.json("study", "reprocess", "--resume")["summary"] == said["summary"]

            _kill_half_way(node, ledger, signal.SIGKILL)
            assert 0 < _asked(ledger) < STUDIES
            again = _kill_half_way(node, ledger, signal.SIGINT, "--resume")
            assert again.returncode == 130, again.stderr
            assert _asked(ledger) < STUDIES
            assert "--resume --run 2` goes on" in again.stderr
            ended = node.json("study", "reprocess", "--resume")
            assert ended["summary"]["changed"] == ended["summary"]["ended"] == STUDIES
            ledger.settle_all(STUDIES)
            assert [ledger.study(uid)["generation"] for uid in uids] == [3] * STUDIES
            for uid in uids:
                assert [row["state"] for row in ledger.deliveries(uid)] == ["sent", "sent"]
                assert [row["shadow"] for row in ledger.analyses(uid)] == [0, 1, 0]
            assert set(results_of(pacs).values()) == {4}, "one successor each, once"
            assert "Traceback" not in node.log.read_text()


def _kill_half_way(
    node: nodes.Node, ledger: Ledger, number: signal.Signals, *which: str
) -> subprocess.CompletedProcess[str]:
    """Begin or go on with a run, and end the command once it has asked for a study."""
    before = _asked(ledger)
    arguments = ["study", "reprocess", *(which or ("--since", "1d", "--wait")), "--config", str(node.config)]
    command = subprocess.Popen(
        [sys.executable, "-m", "tbsnode", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=node.folder,
        # a shell that runs the tests in the background ignores SIGINT, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while _asked(ledger) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    command.send_signal(number)
    out, err = command.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, command.returncode, out, err)


def _asked(ledger: Ledger) -> int:
    """Count the studies that some command of the run has asked for."""
    (row,) = ledger.rows("SELECT count(*) AS n FROM tbs_bulk_study WHERE run_ref = 2 AND state <> 'waiting'")
    return int(row["n"])
