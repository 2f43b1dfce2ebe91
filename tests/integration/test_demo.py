"""The demonstration is the shortest proof that scanner, node and PACS work together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = [sys.executable, "-m", "tbsnode", "demo", "--keep"]


def processes_of(folder: Path) -> list[str]:
    """Command lines of living processes that mention a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line and "tbsnode" in line:
            found.append(line)
    return found


@pytest.mark.slow
def test_demo_ends_as_it_has_to_and_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = subprocess.run([*DEMO, str(folder)], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 studies ended as they have to" in done.stdout
    assert len(list(folder.glob("pacs/*/*.pdf"))) == 3
    assert len(list(folder.glob("pacs/*/sr-*.dcm"))) == 3
    assert "Demo^" not in (folder / "node.log").read_text(encoding="utf-8")
    assert processes_of(folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_stops_everything_when_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "demo"
    with subprocess.Popen([*DEMO, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        deadline = time.monotonic() + 120
        while "serve.started" not in log_of(folder) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "serve.started" in log_of(folder)
        os.kill(demo.pid, number)
        assert demo.wait(120) != 0
    assert processes_of(folder) == []


def log_of(folder: Path) -> str:
    path = folder / "node.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""
