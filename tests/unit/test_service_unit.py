"""The systemd unit names commands that exist, and systemd finds nothing wrong with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbsnode import config, node
from tbsnode.cli import app

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "config" / "systemd" / "tbsnode.service"


def test_its_commands_exist() -> None:
    commands = re.findall(r"^Exec\w+=/opt/tbsnode/bin/tbsnode (.+)$", UNIT.read_text(), re.MULTILINE)
    assert commands == ["db upgrade", "serve"]
    for command in commands:
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


def header() -> str:
    return UNIT.read_text().partition("[Unit]")[0]


def test_its_header_installs_as_the_manual_does() -> None:
    """Nothing is published under the name of the package: what has it elsewhere is somebody else's."""
    (installs,) = re.findall(r"pip install (.+)$", header(), re.MULTILINE)
    assert installs == "-c constraints.txt ."
    assert f".venv/bin/pip install {installs}\n" in (ROOT / "README.md").read_text()
    (copied,) = re.findall(r"cp (\S+) /etc/systemd/system/", header())
    assert ROOT / copied == UNIT
    called = re.findall(r"(\S*tbsnode) init", header())
    assert called == ["/opt/tbsnode/bin/tbsnode"], "it is on nobody's PATH"


def test_its_header_puts_what_is_written_where_the_unit_lets_it_write(tmp_path: Path) -> None:
    (words,) = re.findall(r"^#   /opt/tbsnode/bin/tbsnode (init .+)$", header(), re.MULTILINE)
    init = words.replace("/etc/tbsnode", str(tmp_path / "etc")).replace(
        "/var/lib/tbsnode", str(tmp_path / "lib")
    )
    assert CliRunner().invoke(app, init.split()).exit_code == 0
    file = tmp_path / "etc" / "tbsnode.toml"
    loaded = config.load(file)
    node.upgrade(loaded)
    home = tmp_path / "lib"
    assert loaded.node.state == home / "state"
    assert loaded.archive.path.is_relative_to(home)
    assert (home / "state" / "tbsnode.db").is_file()
    assert [path.name for path in file.parent.iterdir()] == ["tbsnode.toml"]


def test_what_serve_needs_to_stop_is_less_than_systemd_waits() -> None:
    from tbsnode import supervisor

    (allowed,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert int(allowed) > supervisor._PATIENCE_S


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_reads_it(tmp_path: Path) -> None:
    unit = tmp_path / "tbsnode.service"
    unit.write_text(UNIT.read_text().replace("/opt/tbsnode/bin/tbsnode", sys.executable))
    verify = ["systemd-analyze", "verify", "--man=no", unit]  # a small installation has no `man`
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_reviewers_run_takes_no_configuration_of_theirs(tmp_path: Path) -> None:
    """Through sudo it has the rights of the node: who brings a file could list themselves in it."""
    text = (UNIT.parent / "tbsnode-study").read_text()
    ours, theirs = tmp_path / "ours.toml", tmp_path / "tbsnode.toml"
    for old, new in (
        ("/opt/tbsnode/bin/tbsnode ", f"{sys.executable} -m tbsnode "),
        ("/etc/tbsnode/tbsnode.toml", str(ours)),
        ("/var/lib/tbsnode", "/"),
    ):
        assert old in text
        text = text.replace(old, new)
    command = tmp_path / "tbsnode-study"
    command.write_text(text)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = ["sh", str(command), *words]
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)

    theirs.write_text("nonsense = 1\n")
    for words in (["list"], ["list", "--config", str(theirs)], ["list", f"--config={theirs}"]):
        assert str(ours) in (said := run(*words)).stderr, said
        assert "nonsense" not in said.stderr
    for words in (["purge", "1.2.3"], ["delete", "1.2.3"], ["--config", str(theirs), "list"], []):
        assert (run(*words).returncode, "usage" in run(*words).stderr) == (2, True)
