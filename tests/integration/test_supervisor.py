"""The parent of a node's processes: what its children share with it, and how it ends with them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tbsnode import node as wiring
from tests import nodes, peers

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def threads(pid: int) -> int:
    words = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(words["Threads"])


def sockets(pid: int) -> list[str]:
    """Return the descriptors of a process that are sockets or locks of others."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(each)
        if target.startswith("socket:") or "/locks/" in target:
            found.append(target.rpartition("/")[2] or target)
    return found


def test_children_are_named_and_have_what_is_theirs_only(tmp_path: Path) -> None:
    node = nodes.Node(
        tmp_path / "node",
        peers.free_port(),
        receivers=2,
        http_port=peers.free_port(),
        destinations=[nodes.Destination("pacs", "PACS", peers.free_port())],
        own_interpreter=True,
    )
    with nodes.serving(node):
        wanted = {"receive-0", "receive-1", "analyze-0", "deliver-0", "http-0"}
        peers.wait_until(lambda: node.log.read_text().count(" ready\n") == len(wanted), "all of them", 60)
        pids = {name: pid for pid, name in node.children().items()}
        assert set(pids) == wanted
        assert node.process is not None
        assert threads(node.process.pid) == 1, "it forks: a second thread may hold a lock at that moment"
        shared = {each for each in sockets(node.process.pid) if each.startswith("socket:")}
        assert shared, "the receivers' port"
        for name, pid in pids.items():
            assert "metrics" not in sockets(pid), f"{name} would hold the supervisor's lock"
            assert shared.isdisjoint(sockets(pid)) == (not name.startswith("receive")), name
            assert stat.S_ISFIFO(os.stat(f"/proc/{pid}/fd/0").st_mode), name
            assert os.getsid(pid) == pid, f"{name}: a Ctrl-C is for the supervisor"
            ends = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
            assert ends.count(os.readlink(f"/proc/{pid}/fd/0")) == 1, f"{name} would hear no end of itself"


def test_a_dead_child_is_started_again_from_what_is_loaded(tmp_path: Path) -> None:
    node = nodes.Node(tmp_path / "node", peers.free_port(), own_interpreter=True)
    with nodes.serving(node, only="receive"):
        ((first, _),) = node.children().items()
        os.kill(first, signal.SIGKILL)
        peers.wait_until(lambda: set(node.children()) - {first}, "another one", 20)
        node.wait_receiving()
        assert "receive-0 ended with -9, started again in 0.5 s" in node.log.read_text()


def test_a_child_that_waits_for_its_slot_can_be_stopped(tmp_path: Path) -> None:
    node = nodes.Node(tmp_path / "node", peers.free_port(), own_interpreter=True)
    node.prepare()
    with wiring.hold_slot(node.folder / "state", "receive", 0), node.log.open("ab") as log:
        node.process = subprocess.Popen(
            [sys.executable, "-m", "tbsnode", "serve", "--config", str(node.config), "--only", "receive"],
            stderr=log,
        )
        try:
            peers.wait_until(lambda: "receive-0 waits" in node.log.read_text(), "it to wait", 30)
            began = time.monotonic()
            node.process.send_signal(signal.SIGTERM)
            assert node.process.wait(timeout=20) == 0
            assert time.monotonic() - began < 10.0
        finally:
            node.process.kill()
            node.process.wait()


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3, 1.0])
def test_a_stop_while_children_are_being_started_reaches_all(after_s: float, tmp_path: Path) -> None:
    node = nodes.Node(tmp_path / "node", peers.free_port(), receivers=3, workers=2)
    node.prepare()
    with node.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tbsnode", "serve", "--config", str(node.config)], stderr=log
        )
    try:
        peers.wait_until(node.children, "the first child", 30)
        time.sleep(after_s)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - began < 25.0, "a signal was lost, and the child killed for it"
        assert nodes.processes_of(node.config) == {}
    finally:
        process.kill()
        process.wait()


def test_without_standard_streams_it_serves_all_the_same(tmp_path: Path) -> None:
    node = nodes.Node(tmp_path / "node", peers.free_port(), own_interpreter=True)
    node.prepare()
    command = [sys.executable, "-m", "tbsnode", "serve", "--config", str(node.config), "--only", "receive"]
    process = subprocess.Popen(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command])
    try:
        peers.wait_until(lambda: peers.answers(node.port), "it to receive", 30)
        process.kill()
        process.wait()
        peers.wait_until(lambda: not nodes.processes_of(node.config), "its child to end with it", 20)
    finally:
        process.kill()
        process.wait()
