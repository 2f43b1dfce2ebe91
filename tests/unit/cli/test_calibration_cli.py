"""calibration and precision: real images, simulated licensed values, refusals with their numbers."""

from __future__ import annotations

import csv
import functools
import re
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pypdf
import pytest

from tbsnode.cli import options
from tbsnode.dicom import acquisition
from tbsnode.pipeline import calibrate
from tbsnode.pipeline.analyze import AnalysisSettings, FileResult, analyze_file
from tbsnode.tbs.calibration import Calibration, Kind
from tests import paired

STUDIES = 32


@pytest.fixture(scope="module")
def spines(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Display copies of as many patients as a calibration without a class needs, and some more."""
    folder = tmp_path_factory.mktemp("spines")
    paths = []
    for number in range(STUDIES):
        patient = acquisition.PatientTags(patient_id=f"CAL-{number}", height_m=1.62, weight_kg=64.0)
        options = acquisition.Options(small=True, anatomy_seed=number % 3)
        (part10,) = acquisition.study(
            "display", patient=patient, seed=number, study_date="20261101", options=options
        )
        path = folder / f"{number}.dcm"
        path.write_bytes(part10)
        paths.append(path)
    return paths


@functools.cache
def measured(path: Path, settings: AnalysisSettings) -> tuple[FileResult, ...]:
    """What the node measures of a file, once for all tests: nobody here changes a file."""
    return analyze_file(path, settings)


@pytest.fixture(autouse=True)
def _measures_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "analyze_file", measured)


@pytest.fixture(scope="module")
def scores(spines: list[Path]) -> dict[str, float]:
    """The scores that the node computes for them; only those with all four levels."""
    found = {}
    for path in spines:
        (result,) = measured(path, AnalysisSettings())
        if result.analysis.score is not None and len(result.analysis.included) == 4:
            found[str(path)] = result.analysis.score
    assert len(found) >= 30
    return found


def write(path: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def pairs(tmp_path: Path, scores: dict[str, float], *, sign: float = 1.0) -> Path:
    """Licensed values on a known line, spread over the classes as patients are."""
    mean = sum(scores.values()) / len(scores)
    rows = [(uid, f"{1.27 + sign * 1.1 * (score - mean):.4f}") for uid, score in scores.items()]
    return write(tmp_path / "pairs.csv", ("uid", "tbs"), rows)


def test_a_calibration_from_images_to_a_value(
    run: Any, run_json: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    where = ("--config", site_config)
    table, plots = pairs(tmp_path, scores), tmp_path / "plots.pdf"
    arguments = ("calibration", "fit", table, "--approved-by", "Dr. Example", "--plots", plots, *where)
    tried = run(*arguments, "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "Would store CAL-" in tried.stdout
    assert "No scanner is calibrated." in run("calibration", "list", *where).stdout
    made = run_json(*arguments)
    assert made["stored"]
    record = made["calibration"]
    assert record["slope"] == pytest.approx(1.1, abs=0.002)
    assert (record["pairs"], record["allows_category"]) == (len(scores), False)
    shown = pypdf.PdfReader(plots).pages[0].extract_text()
    assert "Dr. Example" in shown
    assert f"{len(scores)} pairs" in shown
    listed = run("calibration", "list", *where)
    assert record["calibration_id"] in listed.stdout
    shown = run("calibration", "show", record["calibration_id"], *where)
    assert "Dr. Example" in shown.stdout
    assert "range of the pairs" in shown.stdout
    assert run("calibration", "retire", record["calibration_id"], "--reason", "test", *where).exit_code == 0
    assert run("calibration", "retire", record["calibration_id"], "--reason", "test", *where).exit_code == 30
    again = run(*arguments)
    assert again.exit_code == 30
    assert f"{record['calibration_id']} is the very calibration that is retired: test." in again.stderr


@pytest.mark.parametrize(("name", "degraded_at", "normal_above"), [("B", 1.230, 1.310), ("A", 1.200, 1.350)])
def test_pairs_are_counted_at_the_cut_offs_of_the_site(
    run_json: Any,
    site_config: Path,
    tmp_path: Path,
    scores: dict[str, float],
    name: str,
    degraded_at: float,
    normal_above: float,
) -> None:
    """A class rests on pairs on both sides of the cut-offs that are in use, not of others."""
    site_config.write_text(f'{site_config.read_text()}\n[interpretation]\nthreshold_set = "{name}"\n')
    table = pairs(tmp_path, scores, sign=3.0)
    with table.open() as stream:
        values = [float(row["tbs"]) for row in csv.DictReader(stream)]
    degraded = sum(value <= degraded_at for value in values)
    normal = sum(value > normal_above for value in values)
    assert sum(1.2 < value <= 1.23 or 1.31 < value <= 1.35 for value in values) > 0, "no difference to see"
    where = ("--approved-by", "Dr. Example", "--config", site_config)
    record = run_json("calibration", "fit", table, *where)["calibration"]
    assert sorted(record["per_category"]) == sorted((degraded, len(values) - degraded - normal, normal))


def test_a_line_that_falls_is_refused_with_its_numbers(
    run: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    table = pairs(tmp_path, scores, sign=-1.0)
    done = run("calibration", "fit", table, "--approved-by", "X", "--config", site_config)
    assert done.exit_code == 30
    assert "NEGATIVE_SLOPE: the value does not rise with the texture slope (slope -1." in done.stdout
    assert "standard error of estimate" in done.stdout
    assert "ratio of error variances" in done.stdout


def test_an_extension_after_a_change(
    run: Any, run_json: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    where = ("--config", site_config)
    fitted = run_json("calibration", "fit", pairs(tmp_path, scores), "--approved-by", "Dr. Example", *where)[
        "calibration"
    ]
    rows = [(uid, uid) for uid in list(scores)[:10]]
    table = write(tmp_path / "exams.csv", ("before", "after"), rows)
    made = run_json(
        "calibration", "extend", fitted["calibration_id"], table, "--approved-by", "Dr. E", *where
    )
    assert made["calibration"]["based_on"] == fitted["calibration_id"]
    assert made["details"]["extension"]["largest_difference"] == 0.0
    name = made["calibration"]["calibration_id"]
    twice = write(tmp_path / "twice.csv", ("before", "after"), [rows[0]] * 2)
    done = run("calibration", "extend", name, twice, "--approved-by", "Dr. E", *where)
    assert done.exit_code == 30
    assert "One examination occurs twice." in done.stderr
    few = write(tmp_path / "few.csv", ("before", "after"), rows[:9])
    done = run("calibration", "extend", name, few, "--approved-by", "Dr. E", *where)
    assert done.exit_code == 30
    assert "TOO_FEW" in done.stdout


def test_images_that_do_not_say_which_machine_made_them_calibrate_none(
    run: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    nameless = of_another_scanner(list(scores)[:2], tmp_path, serial="")
    table = write(tmp_path / "pairs.csv", ("uid", "tbs"), [(uid, "1.2") for uid in nameless])
    done = run("calibration", "fit", table, "--approved-by", "X", "--config", site_config)
    assert done.exit_code == 30
    assert "Line 2: the image states no DeviceSerialNumber" in done.stderr


def of_another_scanner(uids: list[str], folder: Path, serial: str = "OTHER") -> list[str]:
    """The same pictures under another serial number."""
    written = []
    for number, uid in enumerate(uids):
        ds = pydicom.dcmread(uid)
        ds.DeviceSerialNumber = serial
        ds.save_as(folder / f"other-{number}.dcm")
        written.append(str(folder / f"other-{number}.dcm"))
    return written


def test_a_calibration_out_of_use_is_not_carried_on(
    run: Any, run_json: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    """Whoever retired it had a reason; no extension and no transfer brings its line back."""
    where = ("--approved-by", "Dr. Example", "--config", site_config)
    name = run_json("calibration", "fit", pairs(tmp_path, scores), *where)["calibration"]["calibration_id"]
    reason = ("--reason", "wrong pairs", "--config", site_config)
    assert run("calibration", "retire", name, *reason).exit_code == 0
    rows = [(uid, uid) for uid in list(scores)[:10]]
    for command, columns in (("extend", ("before", "after")), ("transfer", ("uid", "calibrated"))):
        table = write(tmp_path / f"{command}.csv", columns, rows)
        done = run("calibration", command, name, table, *where)
        assert done.exit_code == 30
        assert f"{name} is retired: wrong pairs." in done.stderr
    assert len(run_json("calibration", "list", "--config", site_config)) == 1


def test_a_calibration_past_its_end_is_not_carried_on(
    run: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    old = Calibration(
        kind=Kind.PAIRED,
        key=paired.KEY,
        slope=1.1,
        pairs=60,
        estimator="{}",
        approved_by="Dr. Example",
        approved_on=date(2020, 1, 1),
        valid_until=date(2022, 1, 1),
    ).named()
    with options.site(site_config) as site:
        assert calibrate.store(site, old, {})
    uid = next(iter(scores))
    table = write(tmp_path / "exams.csv", ("before", "after"), [(uid, uid)])
    where = ("--approved-by", "Dr. E", "--config", site_config)
    done = run("calibration", "extend", old.calibration_id, table, *where)
    assert done.exit_code == 30
    assert f"{old.calibration_id} ended on 2022-01-01." in done.stderr


def test_an_extension_does_not_reach_another_scanner(
    run: Any, run_json: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    """Ten examinations restore a calibration; another scanner needs thirty patients and adds its error."""
    where = ("--approved-by", "Dr. Example", "--config", site_config)
    name = run_json("calibration", "fit", pairs(tmp_path, scores), *where)["calibration"]["calibration_id"]
    before = list(scores)[:10]
    after = of_another_scanner(before, tmp_path)
    table = write(tmp_path / "exams.csv", ("before", "after"), list(zip(before, after, strict=True)))
    done = run("calibration", "extend", name, table, *where)
    assert done.exit_code == 30
    assert "of another scanner or input class" in done.stderr
    table = write(tmp_path / "one.csv", ("before", "after"), [(uid, before[0]) for uid in before])
    done = run("calibration", "extend", name, table, *where)
    assert done.exit_code == 30
    assert "One examination occurs twice." in done.stderr


def test_a_transfer_goes_to_another_scanner(
    run: Any, run_json: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    where = ("--approved-by", "Dr. Example", "--config", site_config)
    name = run_json("calibration", "fit", pairs(tmp_path, scores), *where)["calibration"]["calibration_id"]
    own = list(scores)
    table = write(tmp_path / "same.csv", ("uid", "calibrated"), list(zip(own, own, strict=True)))
    done = run("calibration", "transfer", name, table, *where)
    assert done.exit_code == 30
    assert f"of the scanner that {name} holds for" in done.stderr
    new = of_another_scanner(own, tmp_path)
    table = write(tmp_path / "new.csv", ("uid", "calibrated"), list(zip(new, own, strict=True)))
    made = run_json("calibration", "transfer", name, table, *where)["calibration"]
    assert (made["key"]["device_serial_number"], made["based_on"]) == ("OTHER", name)


def test_an_extension_does_not_carry_a_line_to_another_estimator(
    run: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    """Two exports scored alike by a new estimator say nothing of the one that the line was fitted to."""
    older = (
        Calibration(
            kind=Kind.PAIRED,
            key=paired.KEY,
            intercept=-0.2,
            slope=1.1,
            see=0.02,
            pairs=60,
            estimator="{}",
            approved_by="Dr. Example",
            approved_on=date(2026, 1, 1),
            valid_until=date(2028, 1, 1),
        )
    ).named()
    with options.site(site_config) as site:
        assert calibrate.store(site, older, {})
    uid = next(iter(scores))
    table = write(tmp_path / "exams.csv", ("before", "after"), [(uid, uid)])
    where = ("--config", site_config)
    done = run("calibration", "extend", older.calibration_id, table, "--approved-by", "Dr. E", *where)
    assert done.exit_code == 30
    assert "another estimator" in done.stderr


def test_scans_without_a_repeat_are_no_precision_study(
    run: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    where = ("--config", site_config)
    rows = [(f"S{index}", uid) for index, uid in enumerate(list(scores)[:3])]
    table = write(tmp_path / "once.csv", ("subject", "uid"), rows)
    done = run("precision", "fit", table, "--approved-by", "Dr. Example", *where)
    assert done.exit_code == 30
    assert "Nobody was scanned twice" in done.stderr
    assert "There is no precision study." in run("precision", "show", *where).stdout


def test_a_precision_study(
    run: Any, run_json: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    where = ("--config", site_config)
    files = list(scores)
    rows = [(f"S{index // 2}", uid) for index, uid in enumerate(files[:8])]
    table = write(tmp_path / "repeats.csv", ("subject", "uid"), rows)
    made = run_json("precision", "fit", table, "--approved-by", "Dr. Example", *where)
    assert made["sets"][0]["degrees"] == 4
    assert made["sets"][0]["lsc"] is None
    shown = run("precision", "show", *where)
    assert "Fewer than 30 degrees of freedom" in shown.stdout
    assert "Dr. Example" in shown.stdout


@pytest.mark.parametrize(
    ("columns", "rows", "said"),
    [
        (("uid",), [("x",)], "has no column tbs"),
        (("uid", "tbs"), [], "has 0 lines"),
        (("uid", "tbs"), [("", "1.2")], "Line 2: the column uid is empty"),
        (("uid", "tbs"), [("1.2.3", "1.2")], "Line 2: 1.2.3 is neither a file nor in this node's archive"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(
    columns: tuple[str, ...],
    rows: list[tuple[object, ...]],
    said: str,
    run: Any,
    site_config: Path,
    tmp_path: Path,
) -> None:
    table = write(tmp_path / "wrong.csv", columns, rows)
    done = run("calibration", "fit", table, "--approved-by", "X", "--config", site_config)
    assert done.exit_code == 30
    assert said in done.stderr


def test_a_value_that_is_no_number(
    run: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    table = write(tmp_path / "wrong.csv", ("uid", "tbs"), [(next(iter(scores)), "1,2")])
    done = run("calibration", "fit", table, "--approved-by", "X", "--config", site_config)
    assert done.exit_code == 30
    assert "Line 2: tbs is '1,2', not a number." in done.stderr


def test_the_same_scan_twice_counts_once(
    run: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    first = next(iter(scores))
    rows = [(first, "1.2"), (first, "1.2")]
    table = write(tmp_path / "twice.csv", ("uid", "tbs"), rows)
    done = run("calibration", "fit", table, "--approved-by", "X", "--config", site_config)
    assert done.exit_code == 30
    assert "DUPLICATE" in done.stdout


def test_each_adult_counts_once_and_the_lines_left_out_are_named(
    run: Any, run_json: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    where = ("--kind", "reference", "--approved-by", "X", "--config", site_config)
    first, second, third = list(scores)[:3]
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(Path(first).read_bytes())
    rows = [(first, ""), (second, "P9"), (copy, ""), (third, "P9")]
    table = write(tmp_path / "adults.csv", ("uid", "subject"), rows)
    done = run("calibration", "fit", table, *where)
    assert done.exit_code == 30
    assert "Line 4 is left out: the same scan as line 2." in done.stdout
    # of the same day, the scan whose digest is greater counts, so that the order of lines does not matter
    assert re.search(r"Line [35] is left out: the same patient as line [35]; the latest", done.stdout)
    assert "TOO_FEW: too few examinations (pairs 2, needed 100)" in done.stdout
    details = run_json("calibration", "fit", table, *where)["details"]
    assert [each["same"] for each in details["left_out"]].count("subject") == 1
    assert len(details["pairs"]) == 2


def test_the_patient_id_says_who_is_who(
    run: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    rows = []
    for number, date_ in enumerate(("20240101", "20261101", "20250101")):
        patient = acquisition.PatientTags(patient_id="SAME")
        (part10,) = acquisition.study(
            "display",
            patient=patient,
            seed=500 + number,
            study_date=date_,
            options=acquisition.Options(small=True, anatomy_seed=0),
        )
        (tmp_path / f"{number}.dcm").write_bytes(part10)
        rows.append((tmp_path / f"{number}.dcm",))
    table = write(tmp_path / "adults.csv", ("uid",), rows)
    done = run(
        "calibration", "fit", table, "--kind", "reference", "--approved-by", "X", "--config", site_config
    )
    for line in (2, 4):
        assert (
            f"Line {line} is left out: the same patient as line 3; the latest examination counts"
            in done.stdout
        )


def test_one_scan_of_two_patients_is_refused_with_its_lines(
    run: Any, site_config: Path, tmp_path: Path, scores: dict[str, float]
) -> None:
    first = next(iter(scores))
    table = write(tmp_path / "adults.csv", ("uid", "subject"), [(first, "A"), (first, "B")])
    done = run(
        "calibration", "fit", table, "--kind", "reference", "--approved-by", "X", "--config", site_config
    )
    assert done.exit_code == 30
    assert "Lines 2 and 3 are one scan, said to be of different patients." in done.stderr


def test_an_unknown_calibration(run: Any, site_config: Path) -> None:
    done = run("calibration", "show", "CAL-none", "--config", site_config)
    assert done.exit_code == 2
    assert "There is no calibration CAL-none." in done.stderr
