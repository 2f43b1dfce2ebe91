"""The demonstration is the shortest proof that scanner, node and PACS work together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfReader

from tbsnode.cli.demo import CASES

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


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of one demonstration and what it printed."""
    folder = tmp_path_factory.mktemp("played") / "demo"
    done = subprocess.run([*DEMO, str(folder)], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def study_of(played: tuple[Path, str], kind: str) -> Path:
    """Folder of the PACS with the results of a case."""
    folder, _ = played
    newest = sorted((folder / "scanner").glob(f"{kind}-*.dcm"))[-1]
    header = dcmread(newest, stop_before_pixels=True)
    return folder / "pacs" / str(header.StudyInstanceUID)


def last(study: Path, pattern: str) -> Path:
    """The file that the PACS got last."""
    return max(study.glob(pattern), key=lambda path: path.stat().st_mtime_ns)


def pages(study: Path) -> list[str]:
    path = last(study, "*.pdf")
    return [page.extract_text() for page in PdfReader(path).pages]


def numbers(study: Path, code: str) -> list[Dataset]:
    """NUM content items of a concept in the SR of a study."""
    path = last(study, "sr-*.dcm")
    found: list[Dataset] = []

    def walk(item: Dataset) -> None:
        for below in item.get("ContentSequence", []):
            if below.ValueType == "NUM" and below.ConceptNameCodeSequence[0].CodeValue == code:
                found.append(below)
            walk(below)

    walk(dcmread(path))
    return found


@pytest.mark.slow
def test_demo_ends_as_it_has_to_and_leaves_nothing_running(played: tuple[Path, str]) -> None:
    folder, said = played
    reported = sum(case.reported for case in CASES)
    successors = 2  # of the calibrated study: after the referral, and signed
    assert f"{len(CASES)} of {len(CASES)} studies ended as they have to" in said
    assert len(list(folder.glob("pacs/*/*.pdf"))) == reported + successors
    assert len(list(folder.glob("pacs/*/sr-*.dcm"))) == reported + successors
    assert "Demo^" not in (folder / "node.log").read_text(encoding="utf-8")
    assert processes_of(folder) == []


@pytest.mark.slow
def test_the_calibrated_scanner_gets_a_tbs_marked_simulated(played: tuple[Path, str]) -> None:
    said = re.search(r"calibrated scanner: SIMULATED (TBS (\d\.\d{3}) \+- 0\.0\d\d), (.*)\n", played[1])
    assert said, played[1]
    study = study_of(played, "raw")
    assert said[1] in pages(study)[0]
    assert "TBS from a SIMULATED calibration: not for care" in pages(study)[0]
    (value,) = numbers(study, "TBS")
    assert float(value.MeasuredValueSequence[0].NumericValue) == pytest.approx(float(said[2]), abs=5e-4)
    path = last(study, "sr-*.dcm")
    coded = dcmread(path).to_json()
    assert "SIMULATED - demonstration data, no patient" in coded
    assert "This image comes from a simulated scanner." in coded


@pytest.mark.slow
def test_a_referral_comes_in_and_whoever_runs_it_signs(played: tuple[Path, str]) -> None:
    study = study_of(played, "raw")
    assert re.search(r"; signed by \S+, version 1\n", played[1])
    page = pages(study)[0]
    assert "SIGNED, version 1" in page
    assert "Reader, Simulated" in page
    assert "hip 2.5 %" in page  # as the referral says
    assert re.search(r"TBS [+-]0\.0\d\d since \d{4}-\d\d-\d\d", page)  # the earlier scan, measured again
    signed = dcmread(last(study, "sr-*.dcm"))
    assert (signed.VerificationFlag, signed.PreliminaryFlag) == ("VERIFIED", "FINAL")
    before = {str(dcmread(path).SOPInstanceUID) for path in study.glob("sr-*.dcm")} - {signed.SOPInstanceUID}
    assert len(before) == 2
    (predecessor,) = signed.PredecessorDocumentsSequence
    named = predecessor.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert named in before
    # the earlier scan is kept and not reported
    earlier = dcmread(sorted((played[0] / "scanner").glob("raw-*.dcm"))[0], stop_before_pixels=True)
    assert not (played[0] / "pacs" / str(earlier.StudyInstanceUID)).exists()


@pytest.mark.slow
def test_the_display_copy_of_another_scanner_stays_uncalibrated(played: tuple[Path, str]) -> None:
    study = study_of(played, "display")
    assert "TBS not available: scanner not calibrated" in pages(study)[0]
    assert not any(re.search(r"\bTBS\b[^.\n]{0,30}?\d\.\d|microarchitecture", page) for page in pages(study))
    (value,) = numbers(study, "TBS")
    assert not value.MeasuredValueSequence
    assert value.NumericValueQualifierCodeSequence[0].CodeValue == "114007"
    assert re.search(r"another scanner: texture slope \d\.\d{3}; TBS not available", played[1])


@pytest.mark.slow
def test_every_page_says_simulated(played: tuple[Path, str]) -> None:
    files = played[0].glob("pacs/*/*.pdf")
    shown = [page.extract_text() for path in files for page in PdfReader(path).pages]
    assert len(shown) >= sum(case.reported for case in CASES)
    assert all("SIMULATED - demonstration data, no patient" in page for page in shown)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_stops_everything_when_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "demo"
    with subprocess.Popen(
        [*DEMO, str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # a shell that runs the tests in the background ignores SIGINT, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as demo:
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
