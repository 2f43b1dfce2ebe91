"""Quarantine and purge at the keyboard: what is said, what is left, which exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run


@pytest.fixture
def uid(run: Run, run_json: Run, site_config: Path, instances: Path) -> str:
    """A study that has been taken in."""
    assert run("study", "import", instances / "spine.dcm", "--config", site_config).exit_code == 0
    (row,) = run_json("study", "list", "--config", site_config)
    return str(row["study_instance_uid"])


def listed(run_json: Run, config: Path) -> list[Any]:
    found: list[Any] = run_json("study", "list", "--config", config)
    return found


def test_quarantine_and_release(run: Run, run_json: Run, site_config: Path, uid: str) -> None:
    config = ("--config", site_config)
    assert run("study", "quarantine", uid, *config).exit_code == 0
    (row,) = listed(run_json, site_config)
    assert (row["state"], row["reason"]) == ("held", "QUARANTINED")
    again = run("study", "quarantine", uid, *config)
    assert again.exit_code != 0
    assert "already" in again.stderr
    # nothing is said to be done that would wait until the release
    for act in ("ready", "resend"):
        refused = run("study", act, uid, *config)
        assert (refused.exit_code, "is in quarantine" in refused.stderr) == (2, True)
    for dry in ((), ("--dry-run",)):
        left_out = run("study", "reprocess", uid, *dry, *config)
        assert (left_out.exit_code, "Left out 1 study" in left_out.stderr) == (0, True)
        assert "nalyze 0 studies" in left_out.stdout or "Analyzing 0 studies" in left_out.stdout
    assert run("study", "release", uid, *config).exit_code == 0
    assert listed(run_json, site_config)[0]["state"] == "receiving"


def test_purge_says_first_and_deletes_with_yes(run: Run, run_json: Run, site_config: Path, uid: str) -> None:
    config = ("--config", site_config)
    said = run("study", "purge", uid, *config)
    assert said.exit_code == 0
    assert "Would delete 1 file" in said.stdout
    assert "--yes deletes" in said.stdout
    assert len(listed(run_json, site_config)) == 1
    done = run_json("study", "purge", uid, "--yes", *config)
    assert (done["files"], done["deleted"]) == (1, True)
    assert listed(run_json, site_config) == []
    story = run("audit", "show", "--study", uid, *config).stdout
    assert "study.purged" in story
    assert "CLI-1" not in story
    assert "Canary" not in story


@pytest.mark.parametrize(
    "command",
    [
        ("study", "quarantine", "1.2.3"),
        ("study", "release", "1.2.3"),
        ("study", "purge", "1.2.3"),
        ("study", "identity", "1.2.3"),
        ("patient", "merge", "A", "B"),
    ],
    ids=lambda command: command[1],
)
def test_what_is_not_here(run: Run, site_config: Path, command: tuple[str, ...]) -> None:
    done = run(*command, "--config", site_config)
    assert done.exit_code == 2
    assert "study" in done.stderr


def test_merge_tells_no_value(run: Run, site_config: Path, uid: str) -> None:
    done = run("patient", "merge", "CLI-1", "CLI-1", "--config", site_config)
    assert done.exit_code != 0
    assert "CLI-1" not in done.stderr
    assert uid


def test_nobody_is_paused(run: Run, run_json: Run, site_config: Path) -> None:
    assert run_json("study", "refusals", "--config", site_config) == []
    done = run("study", "refusals", "--resume", "SOME SCANNER", "--config", site_config)
    assert done.exit_code == 2
    assert "not paused" in done.stderr
