"""analyze: every path a result, the same for any number of processes, and exit codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tbsnode.cli import analyze as command
from tbsnode.pipeline.analyze import AnalysisSettings


def statuses(shown: dict[str, Any]) -> dict[str, str]:
    return {Path(one["file"]).name: one["status"] for one in shown["results"]}


def test_every_path_gives_a_result_in_a_fixed_order(run: Any, run_json: Any, instances: Path) -> None:
    shown = run_json("analyze", instances)
    assert list(statuses(shown).items()) == [
        ("hip.dcm", "not_applicable"),
        ("notes.txt", "refused"),
        ("spine.dcm", "scored"),
    ]
    assert shown["results"][1]["reason"]["code"] == "NOT_DICOM"
    assert run("analyze", instances).exit_code == 1


def test_scored_and_not_applicable_end_with_0(run: Any, instances: Path) -> None:
    assert run("analyze", instances / "spine.dcm", instances / "below").exit_code == 0


def test_the_number_of_processes_changes_nothing(run: Any, instances: Path) -> None:
    one = run("analyze", instances, "--json", "--jobs", 1)
    two = run("analyze", instances, "--json", "--jobs", 2)
    assert one.stdout == two.stdout
    assert json.loads(one.stdout)["results"]


def test_table_for_people_has_one_line_an_image(run: Any, instances: Path) -> None:
    lines = run("analyze", instances).stdout.splitlines()
    spine = next(line for line in lines if "spine.dcm" in line)
    assert "scored" in spine
    assert "SCANNER_UNCALIBRATED" in spine
    assert any("NOT_DICOM: This is not a DICOM file." in line for line in lines)
    assert "it is not TBS" in lines[-1]


def test_csv_and_files(run: Any, instances: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "here"
    result = run("analyze", instances / "spine.dcm", "-o", out, "--csv", tmp_path / "t.csv")
    assert result.exit_code == 0
    (row,) = csv.DictReader((tmp_path / "t.csv").read_text(encoding="utf-8").splitlines())
    assert row["status"] == "scored"
    assert float(row["score"]) > 0
    assert row["tbs"] == ""
    assert sorted(path.suffix for path in out.iterdir()) == [".dcm", ".pdf", ".png"]
    assert "3 files written" in result.stdout
    assert "Canary" not in result.output


def test_output_that_cannot_be_written_is_a_resource_error(run: Any, instances: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run("analyze", instances / "spine.dcm", "-o", tmp_path / "file" / "below")
    assert result.exit_code == 40
    assert "file" in result.stderr


def test_nothing_to_analyze_is_a_usage_error(run: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("analyze", tmp_path / "empty").exit_code == 2
    assert run("analyze", tmp_path / "missing").exit_code == 2
    assert run("analyze").exit_code == 2


def test_a_configuration_adds_what_it_knows_of_scanners(run: Any, instances: Path, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text('[[scanners]]\nmanufacturer = "*"\nlinear = true\n', encoding="utf-8")
    result = run("analyze", instances / "spine.dcm", "--json", "--config", path)
    assert str(path) in result.stderr
    assert json.loads(result.stdout)["results"][0]["status"] == "scored"
    path.write_text("[[scanners]]\n", encoding="utf-8")
    assert run("analyze", instances / "spine.dcm", "--config", path).exit_code == 10


def test_a_fault_of_ours_costs_one_file(
    monkeypatch: pytest.MonkeyPatch, run: Any, instances: Path, tmp_path: Path
) -> None:
    right = command.work

    def work(task: command.Task) -> command.Done:
        if task.path.name == "notes.txt":
            raise KeyError("Canary^Zoe")
        return right(task)

    monkeypatch.setattr(command, "work", work)
    result = run("analyze", instances, "--json", "--jobs", 1)
    assert statuses(json.loads(result.stdout))["notes.txt"] == "error"
    assert statuses(json.loads(result.stdout))["spine.dcm"] == "scored"
    assert "KeyError" in result.stderr
    assert "Canary" not in result.output
    assert result.exit_code == 1


def test_processes_are_no_more_than_files() -> None:
    assert command._processes(8, 3) == 3
    assert command._processes(None, 2) == 1
    assert command._processes(None, 1000) >= 1


def test_work_returns_no_pixels(instances: Path) -> None:
    done = command.work(command.Task(instances / "spine.dcm", AnalysisSettings(), None))
    assert done.written == ()
    assert [analysis.status.value for analysis in done.analyses] == ["scored"]
