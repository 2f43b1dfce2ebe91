"""What the tests of the command line share: a runner, a clean environment, a node's folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tbsnode.cli import app

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("TBSNODE")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run() -> Run:
    """``run("study", "list")``: the result, with exit_code, stdout and stderr."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def run_json(run: Run) -> Run:
    """Run with --json; standard output must be one JSON document and nothing else."""
    return lambda *arguments: json.loads(run(*arguments, "--json").stdout)


@pytest.fixture
def site_config(tmp_path: Path, run: Run) -> Path:
    """A configuration with a caller and a destination that nobody answers for, and its database."""
    path = tmp_path / "tbsnode.toml"
    path.write_text(
        """
[node]
ae_title = "TBSTEST"
[receiver]
bind = "127.0.0.1"
port = 11199
callers = [{ ae_title = "SCANNER", host = "127.0.0.1" }]
[archive]
min_free_bytes = 0
min_free_percent = 0
[http]
port = 0
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = 9
""",
        encoding="utf-8",
    )
    assert run("db", "upgrade", "--config", path).exit_code == 0
    return path


@pytest.fixture(scope="session")
def instances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a researcher has it: a spine, a hip below it, and a file that is not DICOM."""
    from tbsnode.dicom import acquisition

    folder = tmp_path_factory.mktemp("instances")
    (folder / "below").mkdir()
    small = acquisition.Options(small=True)
    for kind, seed, path in (("display", 1, "spine.dcm"), ("hip", 2, "below/hip.dcm")):
        patient = acquisition.PatientTags(patient_id=f"CLI-{seed}", name="Canary^Zoe", birth_date="19510203")
        (part10,) = acquisition.study(kind, patient=patient, seed=seed, options=small)
        (folder / path).write_bytes(part10)
    (folder / "notes.txt").write_text("not an instance", encoding="utf-8")
    return folder
