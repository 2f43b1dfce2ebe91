"""Provisional classes: what a calibration file may say, what it may not, and that nothing else can say it."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tbsnode.dicom import acquisition
from tbsnode.errors import CalibrationError
from tbsnode.model import Analysis
from tbsnode.pipeline import research
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.interpret import scanner_key
from tbsnode.reasons import Code
from tbsnode.report import result_box, table
from tbsnode.tbs.calibration import Calibration, Kind, Limits, estimator_of, to_json
from tbsnode.tbs.parameters import Parameters

PACKAGE = Path(__file__).parents[2] / "tbsnode"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A scored, uncalibrated result of a woman of 61 years."""
    path = tmp_path_factory.mktemp("research") / "spine.dcm"
    (part10,) = acquisition.study(
        "display",
        patient=acquisition.PatientTags(),
        seed=1,
        study_date="20261101",
        options=acquisition.Options(small=True),
    )
    path.write_bytes(part10)
    (result,) = analyze_file(path, AnalysisSettings())
    assert result.analysis.score is not None
    return result.analysis


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
        "approved_on": date(2020, 1, 1),
        "valid_until": date(2022, 1, 1),
        **changed,
    }
    return Calibration(**values).named()  # type: ignore[arg-type]


def test_the_class_stands_beside_the_result_and_never_in_it(plain: Analysis) -> None:
    calibration = line(plain, 1.15)
    made = research.provisional(plain, calibration)
    assert made.research
    assert made.provisional is not None
    assert made.provisional.tbs == pytest.approx(1.15)
    assert (made.provisional.see, made.provisional.category) == (0.02, "degraded")
    assert made.provisional.calibration == calibration.calibration_id
    assert made.provisional.threshold_set == "B: 1.230 / 1.310"
    assert replace(made, research=False, provisional=None) == plain
    assert (made.tbs, made.category, made.calibration) == (None, None, None)


def test_a_cut_off_that_is_touched_gives_two_classes(plain: Analysis) -> None:
    made = research.provisional(plain, line(plain, 1.30)).provisional
    assert made is not None
    assert (made.category, made.borderline) == (None, ("normal", "partially_degraded"))
    assert "normal microarchitecture or partially degraded microarchitecture" in result_box.provisional(made)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"allows_category": False, "pairs": 35}, Code.CALIBRATION_WITHOUT_CATEGORY),
        ({"limits": (Limits(covariate="bmi", low=30.0, high=40.0),)}, Code.OUTSIDE_CALIBRATION_RANGE),
        ({"simulated": True}, Code.SIMULATED),
    ],
)
def test_what_makes_it_provisional_is_named(plain: Analysis, changed: dict[str, object], code: Code) -> None:
    made = research.provisional(plain, line(plain, 1.15, **changed)).provisional
    assert made is not None
    assert made.category == "degraded"
    assert code in {finding.code for finding in made.findings}
    assert code.value in result_box.provisional(made)


def test_another_scanner_estimator_or_software_gives_nothing(plain: Analysis) -> None:
    key = scanner_key(plain)
    for changed, code in (
        ({"key": replace(key, device_serial_number="other")}, Code.SCANNER_UNCALIBRATED),
        ({"key": replace(key, input_class="RAW")}, Code.SCANNER_UNCALIBRATED),
        ({"key": replace(key, software_versions="2")}, Code.CALIBRATION_SUSPENDED),
        ({"estimator": "{}"}, Code.CALIBRATION_SUSPENDED),
        ({"suspended": True}, Code.CALIBRATION_SUSPENDED),
    ):
        made = research.provisional(plain, line(plain, 1.15, **changed)).provisional
        assert made is not None
        assert (made.tbs, made.category, made.borderline) == (None, None, ())
        assert [finding.code for finding in made.findings] == [code]


def test_patients_that_the_cut_offs_are_not_for_get_no_class(plain: Analysis) -> None:
    assert plain.identity is not None
    young = replace(plain.identity, demographics=replace(plain.identity.demographics, age_years=35.0))
    made = research.provisional(replace(plain, identity=young), line(plain, 1.15)).provisional
    assert made is not None
    assert made.tbs == pytest.approx(1.15)
    assert made.category is None
    assert Code.CATEGORY_NOT_ELIGIBLE in {finding.code for finding in made.findings}


def test_what_is_not_scored_stays_without(plain: Analysis) -> None:
    refused = replace(plain, score=None)
    made = research.provisional(refused, line(plain, 1.15))
    assert (made.research, made.provisional) == (True, None)


# ---- files --------------------------------------------------------------------------------------


def test_a_file_is_what_show_or_fit_printed(plain: Analysis, tmp_path: Path) -> None:
    calibration = line(plain, 1.15)
    path = tmp_path / "c.json"
    for value in (
        to_json(calibration),
        {**to_json(calibration), "state": "active", "reason": "", "details": {}},
        {"calibration": to_json(calibration), "refusals": [], "stored": True},
    ):
        path.write_text(json.dumps(value))
        assert research.read_calibration(path) == calibration


def test_a_file_that_gives_no_value_is_refused(plain: Analysis, tmp_path: Path) -> None:
    right = to_json(line(plain, 1.15))
    reference = to_json(line(plain, 1.15, kind=Kind.REFERENCE, reference_scores=(1.0, 1.1)))
    path = tmp_path / "c.json"
    for text, said in (
        ("{", "is no calibration"),
        ("[]", "is no calibration"),
        ('{"calibration": null}', "is no calibration"),
        (json.dumps({**right, "key": 3}), "is no calibration"),
        (json.dumps({**right, "slope": 1.5}), "was edited"),
        (json.dumps({**right, "approved_by": "Somebody"}), "was edited"),
        (json.dumps({**right, "state": "retired"}), "is retired"),
        (json.dumps(reference), "reference of own adults"),
    ):
        path.write_text(text)
        with pytest.raises(CalibrationError, match=said):
            research.read_calibration(path)
    with pytest.raises(CalibrationError, match="is no calibration"):
        research.read_calibration(tmp_path / "missing.json")


# ---- where it may stand -------------------------------------------------------------------------


def test_json_and_csv_have_it_only_where_it_was_asked_for(plain: Analysis) -> None:
    shown = table.as_json(plain)
    assert shown["research"] is False
    assert not [key for key in shown if key.startswith("provisional")]
    made = research.provisional(plain, line(plain, 1.15))
    shown = table.as_json(made)
    assert (shown["research"], shown["provisional_category"]) == (True, "degraded")
    assert (shown["tbs"], shown["category"]) == (None, None)
    assert json.loads(json.dumps(shown)) == shown
    assert "provisional" not in table.as_csv([("a", plain)]).lower()
    first, second = csv.DictReader(io.StringIO(table.as_csv([("a", made), ("b", plain)])))
    assert first["research"] == "PROVISIONAL, FOR RESEARCH ONLY"
    assert (first["provisional_category"], first["provisional_tbs"]) == ("degraded", "1.15")
    assert (second["research"], second["provisional_category"]) == ("", "")


def test_a_refusal_has_the_keys_too(plain: Analysis) -> None:
    made = research.provisional(replace(plain, score=None), line(plain, 1.15))
    assert {key for key in table.as_json(made) if key.startswith("provisional")} == set(
        table.RESEARCH_COLUMNS
    )


def test_only_analyze_can_ask_for_it() -> None:
    """The node has no way to it: nothing but the command imports the module, or sets the field."""
    wanted = re.compile(
        r"pipeline import [^\n]*\bresearch\b|pipeline\.research\b|research=True|provisional=(?!None)"
    )
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if wanted.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"cli/analyze.py", "pipeline/research.py"}
    for name in ("dicom", "net", "engine.py", "store"):
        paths = [PACKAGE / name] if name.endswith(".py") else list((PACKAGE / name).rglob("*.py"))
        assert paths
        assert not [path.name for path in paths if "provisional" in path.read_text(encoding="utf-8").lower()]
