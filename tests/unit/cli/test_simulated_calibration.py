"""The demonstration's calibration: the real fit of played pairs, stored as an administrator's is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tbsnode.cli import demo_cases as demo
from tbsnode.cli import options, simulated_calibration
from tbsnode.dicom import acquisition
from tbsnode.errors import CalibrationError
from tbsnode.model import Analysis
from tbsnode.phantom.population import Relation
from tbsnode.pipeline import calibrate
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.interpret import Interpreting, interpreted
from tbsnode.reasons import Code
from tbsnode.tbs.calibration import Kind

TODAY = date(2026, 11, 25)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the demonstration's calibrated scanner sends."""
    path = tmp_path_factory.mktemp("simulated") / "raw.dcm"
    (part10,) = acquisition.study("raw", patient=acquisition.PatientTags(), seed=1, study_date="20261125")
    path.write_bytes(part10)
    return path


@pytest.fixture(scope="module")
def examined(image: Path) -> Analysis:
    """It measured without a calibration."""
    (result,) = analyze_file(image, AnalysisSettings())
    return result.analysis


def test_the_fit_finds_the_stated_line(examined: Analysis) -> None:
    made = simulated_calibration.fit(examined, TODAY)
    assert made.refusals == ()
    assert made.calibration is not None
    assert made.statistics is not None
    truth = Relation()
    low, high = made.statistics.slope_95
    assert low < truth.slope < high
    assert made.statistics.see == pytest.approx(truth.tbs_sd, rel=0.2)
    assert (made.calibration.kind, made.calibration.simulated) == (Kind.PAIRED, True)
    assert made.calibration.allows_category
    assert "SIMULATED" in made.calibration.approved_by
    assert "SIMULATED" in made.calibration.reference_software


def test_the_examination_lies_within_its_range_and_is_marked(examined: Analysis) -> None:
    made = simulated_calibration.fit(examined, TODAY).calibration
    assert made is not None
    said = interpreted(examined, Interpreting(calibrations=(made,), on=TODAY))
    assert said.tbs is not None
    assert said.category or said.borderline
    codes = {finding.code for finding in said.findings}
    assert Code.SIMULATED in codes
    assert Code.OUTSIDE_CALIBRATION_RANGE not in codes


def test_it_is_stored_like_any_other(site_config: Path, image: Path) -> None:
    with options.site(site_config) as site:
        made = simulated_calibration.install(site, image)
        (row,) = calibrate.listed(site)
    assert (row.calibration, row.state) == (made, "active")
    assert row.details["statistics"]["pairs"] == simulated_calibration.PAIRS


def test_an_image_without_a_score_is_said(site_config: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with options.site(site_config) as site, pytest.raises(CalibrationError, match="gives no score"):
        simulated_calibration.install(site, tmp_path / "notes.txt")


SCORED = demo.Outcome(
    case=demo.CASES[0],
    status="scored",
    reason="",
    score=1.4,
    tbs=1.27,
    category="",
    pdf=Path("p"),
    sr=Path("s"),
)


def test_what_a_study_gave_is_said_in_words() -> None:
    assert demo.came_back(SCORED, 0.025) == "SIMULATED TBS 1.270 +- 0.025, no single texture class"
    named = replace(SCORED, category="degraded")
    assert demo.came_back(named, 0.025) == "SIMULATED TBS 1.270 +- 0.025, degraded microarchitecture"
    slope = replace(SCORED, tbs=None)
    assert demo.came_back(slope, 0.025) == "texture slope 1.400; TBS not available: scanner not calibrated"
    refused = replace(slope, status="not_applicable", reason="NOT_AP_SPINE", score=None)
    assert demo.came_back(refused, 0.025) == "not applicable: NOT_AP_SPINE"


def test_a_value_where_none_may_be_is_not_as_expected() -> None:
    assert SCORED.as_expected
    assert not replace(SCORED, tbs=None).as_expected
    assert not replace(SCORED, case=demo.CASES[1]).as_expected
    assert not replace(SCORED, sr=None).as_expected
