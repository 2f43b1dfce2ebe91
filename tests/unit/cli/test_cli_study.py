"""study and queue, on a real database and archive, without a running node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def imported(run_json: Any, site_config: Path, instances: Path) -> tuple[Path, str]:
    """Import the researcher's folder; return the configuration and the spine's study UID."""
    run_json("study", "import", instances, "--config", site_config)
    listed = run_json("study", "list", "--patient", "CLI-1", "--config", site_config)
    return site_config, listed[0]["study_instance_uid"]


def test_import_says_what_became_of_each_file(
    run: Any, run_json: Any, site_config: Path, instances: Path
) -> None:
    dry = run_json("study", "import", instances, "--dry-run", "--config", site_config)
    assert {Path(one["file"]).name: one["outcome"] for one in dry["results"]} == {
        "hip.dcm": "would import",
        "notes.txt": "refused",
        "spine.dcm": "would import",
    }
    assert run_json("study", "list", "--config", site_config) == []
    first = run_json("study", "import", instances, "--config", site_config)
    assert {Path(one["file"]).name: one["outcome"] for one in first["results"]} == {
        "hip.dcm": "stored",
        "notes.txt": "refused",
        "spine.dcm": "stored",
    }
    again = run("study", "import", instances, "--config", site_config)
    assert again.exit_code == 1
    assert "3 files: 2 duplicate, 1 refused." in again.stdout
    assert "notes.txt: refused: This is not a DICOM file." in again.stdout


def test_list_filters(run: Any, run_json: Any, imported: tuple[Path, str]) -> None:
    config, uid = imported

    def found(*filters: str) -> list[str]:
        return [one["patient_id"] for one in run_json("study", "list", *filters, "--config", config)]

    assert sorted(found()) == ["CLI-1", "CLI-2"]
    assert found("--patient", "*-1") == ["CLI-1"]
    assert found("--state", "done") == []
    assert len(found("--state", "receiving")) == 2
    assert len(found("--since", "1h")) == 2
    assert found("--until", "1h") == []
    assert found("--scanner", "no such scanner") == []
    assert len(found("--limit", "1")) == 1
    assert uid in run("study", "list", "--config", config).stdout


def test_show_and_trace(run: Any, run_json: Any, imported: tuple[Path, str]) -> None:
    config, uid = imported
    shown = run_json("study", "show", uid, "--config", config)
    assert shown["study_instance_uid"] == uid
    assert len(shown["instances"]) == 1
    printed = run("study", "show", uid, "--config", config).stdout
    assert uid in printed
    assert "instance.stored" in printed
    lines = run("study", "trace", uid, "--config", config).stdout.splitlines()
    assert run_json("study", "trace", uid, "--config", config)["lines"] == lines
    assert uid in lines[0]


@pytest.mark.parametrize("verb", ["show", "trace", "ready", "resend"])
def test_a_study_that_is_not_here(run: Any, site_config: Path, verb: str) -> None:
    result = run("study", verb, "1.2.3", "--config", site_config)
    assert result.exit_code == 2
    assert "1.2.3" in result.stderr


def test_ready_and_reprocess(run: Any, run_json: Any, imported: tuple[Path, str]) -> None:
    config, uid = imported
    assert run("study", "ready", uid, "--config", config).exit_code == 0
    dry = run_json("study", "reprocess", "--patient", "CLI-*", "--dry-run", "--config", config)
    assert uid in dry["study_instance_uids"]
    assert len(dry["study_instance_uids"]) == 2
    done = run("study", "reprocess", uid, "--config", config)
    assert done.stdout.splitlines() == [uid, "Analyzing 1 study again."]
    events = [one["action"] for one in run_json("study", "show", uid, "--config", config)["events"]]
    assert events.count("study.reprocess") == 1
    assert events.count("study.ready") == 1
    for arguments in ((), (uid, "--since", "1h")):
        assert run("study", "reprocess", *arguments, "--config", config).exit_code == 2


def test_resend_and_resolve_where_there_is_nothing(run: Any, imported: tuple[Path, str]) -> None:
    config, uid = imported
    assert "Nothing was published" in run("study", "resend", uid, "--config", config).stderr
    wrong = run("study", "resend", uid, "--destination", "nobody", "--config", config)
    assert "Configured: pacs" in wrong.stderr
    assert run("study", "resolve", uid, "--use", "first", "--config", config).exit_code == 2
    assert run("study", "resolve", uid, "--use", "best", "--config", config).exit_code == 2


def test_without_a_database_the_remedy_is_named(run: Any, tmp_path: Path) -> None:
    run("init", tmp_path)
    result = run("study", "list")
    assert result.exit_code == 10
    assert "tbsnode db upgrade" in result.stderr


def test_no_patient_in_what_goes_wrong(run: Any, imported: tuple[Path, str]) -> None:
    config, uid = imported
    for verb in ("trace", "resend"):
        result = run("study", verb, uid, "--config", config)
        assert "Canary" not in result.output
        assert "19510203" not in result.output


# ---- queue -----------------------------------------------------------------------------------------


def test_queue_count_and_list(run: Any, run_json: Any, imported: tuple[Path, str]) -> None:
    config, _ = imported
    assert run_json("queue", "count", "--config", config)["analyze"]["receiving"] == 2
    assert "receiving" in run("queue", "count", "--config", config).stdout
    listed = run_json("queue", "list", "--queue", "analyze", "--state", "receiving", "--config", config)
    assert all(one["id"].startswith("study/") for one in listed)
    assert run("queue", "list", "--state", "failed", "--config", config).stdout == "Nothing waits.\n"


def test_help_tells_that_whoever_corrects_or_rejects_says_why(run: Any, site_config: Path) -> None:
    acts = ("accept", "correct", "reject")
    told = {act: " ".join(run("study", act, "--help").stdout.split()) for act in acts}
    why = "--comment TEXT Why, in your own words; goes into the report."
    assert f"{why} --dry-run" in told["accept"]
    assert f"{why} Needed, except with --dry-run. --dry-run" in told["correct"]
    assert f"{why} [required]" in told["reject"]
    missing = run("study", "reject", "1.2.3", "--reason", "quality", "--config", site_config)
    assert missing.exit_code == 2
    assert "--comment" in missing.stderr


def test_queue_pause_and_resume(run: Any, site_config: Path) -> None:
    assert "Paused analyze" in run("queue", "pause", "analyze", "--config", site_config).stdout
    assert "Resumed analyze" in run("queue", "resume", "analyze", "--config", site_config).stdout
    wrong = run("queue", "pause", "nosuch", "--config", site_config)
    assert wrong.exit_code == 2
    assert "deliver:pacs" in wrong.stderr


def test_queue_retry_and_cancel(run: Any, imported: tuple[Path, str]) -> None:
    config, _ = imported
    for how in (("--dry-run",), ()):  # a study that still arrives is no failed work
        told = run("queue", "retry", "study/1", *how, "--json", "--config", config)
        assert json.loads(told.stdout) == {"ids": []}
    assert run("queue", "retry", "--all", "--config", config).stdout == "Tries again: nothing.\n"
    wrong = (("retry",), ("retry", "study/1", "--all"), ("cancel",), ("cancel", "nonsense"))
    for arguments in (*wrong, ("cancel", "delivery/99")):
        assert run("queue", *arguments, "--config", config).exit_code == 2
