"""From a scored result to what may be said: with, without and with a doubtful calibration."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tbsnode.model import Alternative, Analysis, AnalysisStatus
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.interpret import Interpreting, interpreted, scanner_key
from tbsnode.reasons import Code, Finding
from tbsnode.report import table
from tbsnode.tbs.calibration import Calibration, Kind, estimator_of
from tbsnode.tbs.parameters import Parameters
from tbsnode.text import sentence

TODAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A scored, uncalibrated result of a woman of 68 years."""
    from tbsnode.dicom import acquisition

    patient = acquisition.PatientTags(
        patient_id="INT-1", birth_date="19580101", sex="F", height_m=1.60, weight_kg=65.0
    )
    (part10,) = acquisition.study(
        "display", patient=patient, seed=1, study_date="20261101", options=acquisition.Options(small=True)
    )
    path: Path = tmp_path_factory.mktemp("interpret") / "spine.dcm"
    path.write_bytes(part10)
    (result,) = analyze_file(path, AnalysisSettings())
    assert result.analysis.status is AnalysisStatus.SCORED
    kept = tuple(f for f in result.analysis.findings if f.code is not Code.SCANNER_UNCALIBRATED)
    assert len(kept) == len(result.analysis.findings) - 1
    return replace(result.analysis, findings=kept, alternative=None)


def line(plain: Analysis, tbs: float, **changed: object) -> Calibration:
    """A calibration that gives this result this value."""
    assert plain.score is not None
    values = {
        "kind": Kind.PAIRED,
        "key": scanner_key(plain),
        "intercept": tbs - plain.score,
        "slope": 1.0,
        "see": 0.02,
        "pairs": 70,
        "allows_category": True,
        "estimator": estimator_of(Parameters()),
        "approved_by": "Dr. Example",
        "approved_on": date(2026, 1, 1),
        "valid_until": date(2028, 1, 1),
        **changed,
    }
    return Calibration(**values).named()  # type: ignore[arg-type]


def say(plain: Analysis, *calibrations: Calibration) -> Analysis:
    return interpreted(plain, Interpreting(calibrations=calibrations, on=TODAY))


def codes(made: Analysis) -> set[Code]:
    return {finding.code for finding in made.findings}


def test_uncalibrated(plain: Analysis) -> None:
    made = say(plain)
    assert made.findings[0].code is Code.SCANNER_UNCALIBRATED
    assert (made.tbs, made.tbs_see, made.category, made.z_score, made.calibration) == (None,) * 5


def test_calibrated(plain: Analysis) -> None:
    calibration = line(plain, 1.15)
    made = say(plain, calibration)
    assert made.tbs == pytest.approx(1.15)
    assert (made.tbs_see, made.category, made.calibration) == (0.02, "degraded", calibration.calibration_id)
    assert made.calibration_kind == "paired"
    assert made.z_score is not None
    assert made.score == plain.score
    assert Code.SCANNER_UNCALIBRATED not in codes(made)
    shown = table.as_json(made)
    assert (shown["tbs"], shown["category"]) == (pytest.approx(1.15), "degraded")
    assert shown["threshold_set"] == "B: 1.230 / 1.310"


def test_borderline(plain: Analysis) -> None:
    made = say(plain, line(plain, 1.30))
    assert (made.category, made.borderline) == (None, ("normal", "partially_degraded"))
    assert Code.BORDERLINE in codes(made)


def test_without_a_doubted_level_there_is_a_value_too(plain: Analysis) -> None:
    """A raw slope beside a TBS would be read as the TBS without that level."""
    assert plain.score is not None
    values = (("t_score_step", 2.5), ("score_without", 1.3))
    doubted = replace(plain, findings=(Finding(Code.DEGENERATIVE_STEP, "L3", values),))
    made = say(doubted, line(plain, 1.15))
    (found,) = (each for each in made.findings if each.code is Code.DEGENERATIVE_STEP)
    assert dict(found.values)["tbs_without"] == round(1.3 + 1.15 - plain.score, 3)
    assert "TBS without L3: 1." in sentence(found)
    assert "Texture slope without L3: 1.3." in sentence(found)
    (found,) = (each for each in say(doubted).findings if each.code is Code.DEGENERATIVE_STEP)
    assert "TBS" not in sentence(found)


def test_a_category_that_depends_on_the_labels_is_none(plain: Analysis) -> None:
    assert plain.score is not None
    doubtful = replace(
        plain,
        findings=(*plain.findings, Finding(Code.LEVELS_UNCERTAIN)),
        alternative=Alternative(shift=1, score=plain.score + 0.2),
    )
    made = say(doubtful, line(plain, 1.15))
    assert made.tbs is not None
    assert made.category is None
    assert Code.CATEGORY_DEPENDS_ON_LEVELS in codes(made)
    same = replace(doubtful, alternative=Alternative(shift=1, score=plain.score + 0.001))
    assert say(same, line(plain, 1.15)).category == "degraded"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"valid_until": date(2026, 11, 23)}, Code.CALIBRATION_EXPIRED),
        ({"suspended": True}, Code.CALIBRATION_SUSPENDED),
        ({"estimator": "{}"}, Code.CALIBRATION_SUSPENDED),
        ({"intercept": 5.0}, Code.TBS_OUT_OF_RANGE),
    ],
)
def test_what_withholds_the_value(plain: Analysis, changed: dict[str, object], code: Code) -> None:
    made = say(plain, line(plain, 1.15, **changed))
    assert (made.tbs, made.category, made.calibration) == (None, None, None)
    assert code in codes(made)


def test_another_serial_number_is_another_scanner(plain: Analysis) -> None:
    key = replace(scanner_key(plain), device_serial_number="other")
    assert Code.SCANNER_UNCALIBRATED in codes(say(plain, line(plain, 1.15, key=key)))


def test_a_reference_gives_a_percentile_and_no_value(plain: Analysis) -> None:
    assert plain.score is not None
    adults = line(plain, 1.15, kind=Kind.REFERENCE, reference_scores=(0.1, plain.score, 1.9))
    made = say(plain, adults)
    assert made.site_percentile == pytest.approx(50.0)
    assert (made.tbs, made.category) == (None, None)
    assert Code.SCANNER_UNCALIBRATED in codes(made)


def test_a_simulated_calibration_says_so(plain: Analysis) -> None:
    assert Code.SIMULATED in codes(say(plain, line(plain, 1.15, simulated=True)))


def test_set_a(plain: Analysis) -> None:
    rules = Interpreting(calibrations=(line(plain, 1.16),), on=TODAY, threshold_set="A")
    made = interpreted(plain, rules)
    assert (made.category, made.threshold_set) == ("degraded", "A: 1.200 / 1.350")
