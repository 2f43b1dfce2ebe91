"""The systemd unit names commands that exist, and systemd finds nothing wrong with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbsnode.cli import app

UNIT = Path(__file__).parents[2] / "config" / "systemd" / "tbsnode.service"


def test_its_commands_exist() -> None:
    commands = re.findall(r"^Exec\w+=/opt/tbsnode/bin/tbsnode (.+)$", UNIT.read_text(), re.MULTILINE)
    assert commands == ["db upgrade", "serve"]
    for command in commands:
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


def test_what_serve_needs_to_stop_is_less_than_systemd_waits() -> None:
    from tbsnode import supervisor

    (allowed,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert int(allowed) > supervisor._PATIENCE_S


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_reads_it(tmp_path: Path) -> None:
    unit = tmp_path / "tbsnode.service"
    unit.write_text(UNIT.read_text().replace("/opt/tbsnode/bin/tbsnode", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
