"""analyze: every path a result, the same for any number of processes, and exit codes."""

from __future__ import annotations

import csv
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pypdf import PdfReader

from tbsnode.cli import analyze as command
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.interpret import scanner_key
from tbsnode.pipeline.research import read_calibration
from tbsnode.tbs.calibration import Calibration, Kind, estimator_of, to_json


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


# ---- research -----------------------------------------------------------------------------------


@pytest.fixture
def calibration_file(instances: Path, tmp_path: Path) -> Path:
    """A calibration of the scanner that made the spine, as `calibration show --json` prints it."""
    (result,) = analyze_file(instances / "spine.dcm", AnalysisSettings())
    assert result.analysis.score is not None
    made = Calibration(
        kind=Kind.PAIRED,
        key=scanner_key(result.analysis),
        intercept=1.15 - result.analysis.score,
        slope=1.0,
        see=0.02,
        pairs=35,
        estimator=estimator_of(result.analysis.parameters),
        approved_by="Dr. Example",
        approved_on=date(2026, 1, 1),
        valid_until=date(2028, 1, 1),
    ).named()
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**to_json(made), "state": "active", "details": {}}), encoding="utf-8")
    return path


def test_research_is_marked_wherever_it_is_said(
    run: Any, instances: Path, tmp_path: Path, calibration_file: Path
) -> None:
    asked = ("--research", "--calibration", calibration_file)
    written = ("-o", tmp_path / "out", "--csv", tmp_path / "t.csv")
    done = run("analyze", instances, *asked, *written, "--jobs", 2)
    banner = "PROVISIONAL, FOR RESEARCH ONLY"
    assert banner in done.stdout
    assert re.search(r"spine.dcm: Value 1.150 \+- 0.020 .* degraded microarchitecture", done.stdout)
    rows = {
        Path(row["file"]).name: row for row in csv.DictReader((tmp_path / "t.csv").read_text().splitlines())
    }
    assert rows["spine.dcm"]["provisional_category"] == "degraded"
    assert rows["spine.dcm"]["research"] == banner
    assert (rows["spine.dcm"]["tbs"], rows["spine.dcm"]["category"]) == ("", "")
    (pdf,) = (tmp_path / "out").glob("*.pdf")
    first = PdfReader(pdf).pages[0].extract_text()
    assert banner in first
    assert "degraded microarchitecture" in first
    assert "TBS not available: scanner not calibrated" in first
    shown = json.loads(run("analyze", instances / "spine.dcm", *asked, "--json").stdout)["results"][0]
    assert (shown["research"], shown["provisional_category"]) == (True, "degraded")
    assert [finding["code"] for finding in shown["provisional_findings"]] == ["CALIBRATION_WITHOUT_CATEGORY"]


def test_the_sr_is_the_same_bytes_with_and_without_it(
    instances: Path, tmp_path: Path, calibration_file: Path
) -> None:
    made = {}
    for name, calibration in (("plain", None), ("asked", read_calibration(calibration_file))):
        (tmp_path / name).mkdir()
        task = command.Task(instances / "spine.dcm", AnalysisSettings(), tmp_path / name, calibration)
        made[name] = {path.suffix: path.read_bytes() for path in command.work(task).written}
    assert made["asked"][".dcm"] == made["plain"][".dcm"]
    assert made["asked"][".pdf"] != made["plain"][".pdf"]
    (sr,) = (tmp_path / "asked").glob("*.sr.dcm")
    for word in ("provisional", "degraded", "cal-"):
        assert word not in dcmread(sr).to_json().lower(), word


@pytest.mark.parametrize("option", ["--research", "--calibration"])
def test_research_and_calibration_need_each_other(
    run: Any, instances: Path, calibration_file: Path, option: str
) -> None:
    given = (option,) if option == "--research" else (option, calibration_file)
    done = run("analyze", instances / "spine.dcm", *given)
    assert done.exit_code == 2
    assert "Add --calibration FILE." in done.stderr or "Add --research." in done.stderr


def test_an_edited_calibration_is_refused(run: Any, instances: Path, calibration_file: Path) -> None:
    record = json.loads(calibration_file.read_text()) | {"intercept": 0.5}
    calibration_file.write_text(json.dumps(record))
    done = run("analyze", instances / "spine.dcm", "--research", "--calibration", calibration_file)
    assert done.exit_code == 30
    assert "was edited" in done.stderr
