"""Several receiver processes on one port: all take part, and one that dies is not missed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tbsnode.errors import ConfigError
from tests import ingest_clients, nodes, peers
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def receivers_of(node: nodes.Node) -> dict[int, str]:
    return {pid: name for pid, name in node.children().items() if name.startswith("receive")}


def test_two_share_a_port_and_one_that_is_killed_is_not_missed(tmp_path: Path) -> None:
    node = nodes.Node(
        tmp_path / "node", peers.free_port(), receivers=2, quiet_s=3600.0, after_release_s=3600.0
    )
    target = ingest_clients.Target(node.port, nodes.CALLER, nodes.AE_TITLE)
    with nodes.serving(node, only="receive"):
        peers.wait_until(lambda: node.log.read_text().count(" ready\n") == 2, "both")
        assert sorted(receivers_of(node).values()) == ["receive-0", "receive-1"]
        ingest_clients.send(target, clients=4, associations=10, images=1, first=0)

        rows = Ledger(node).rows("SELECT receiver, count(*) AS n FROM tbs_association GROUP BY receiver")
        assert sum(row["n"] for row in rows) == 40
        assert len(rows) == 2, "each has its own name, so that a restart knows what it left open"

        victim = next(pid for pid, name in receivers_of(node).items() if name == "receive-1")
        os.kill(victim, signal.SIGKILL)
        ingest_clients.send(target, clients=2, associations=10, images=1, first=1000)
        peers.wait_until(lambda: len(receivers_of(node)) == 2, "the other one to be started again")
        assert len(Ledger(node).rows("SELECT id FROM tbs_instance")) == 60
        began = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - began < 20.0
        assert not peers.answers(node.port), "nobody listens on what was shared"


def test_an_address_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    first = nodes.Node(tmp_path / "first", peers.free_port(), receivers=2)
    second = nodes.Node(tmp_path / "second", first.port, receivers=2)
    with nodes.serving(first, only="receive"):
        second.prepare()
        said = second.cli("serve", "--only", "receive", ok=False)
        assert said.returncode == ConfigError.exit_code
        assert "Another program listens there" in said.stdout + said.stderr


@pytest.fixture
def heard_hangup() -> Iterator[None]:
    """Whoever runs the tests under `nohup` hands down that a hangup is ignored, and `serve` keeps to it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard_hangup")
def test_a_hangup_is_an_orderly_stop(tmp_path: Path) -> None:
    node = nodes.Node(tmp_path / "node", peers.free_port(), own_interpreter=True)
    with nodes.serving(node, only="receive"):
        assert node.process is not None
        node.process.send_signal(signal.SIGHUP)
        assert node.process.wait(timeout=30) == 0
        assert "supervisor.gone" not in node.log.read_text()
        assert "serve.stopped" in node.log.read_text()
