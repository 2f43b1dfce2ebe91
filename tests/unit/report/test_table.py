from __future__ import annotations

import csv
import io
import json

from tbsnode.model import AnalysisStatus
from tbsnode.reasons import Code, Finding
from tbsnode.report import table
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.result import Alternative

KEYS = (
    "file frame study_instance_uid sop_instance_uid image_sha256 status reason input_class pixel_spacing_mm "
    "spacing_source label_confidence alternative vertebrae score standard_error native_score tbs z_score "
    "category calibration findings parameters version tbs_see borderline threshold_set reference "
    "calibration_kind site_percentile site_z region_source label_votes statistics densitometry "
    "other_densitometry bmd_diagnosis clinical frax follow_up page research"
)
VERTEBRA_KEYS = "label included excluded score standard_error fit_r2 pairs area_mm2 region"


def test_the_object_has_the_documented_keys_in_order(make_analysis):
    found = table.as_json(make_analysis(), "x.dcm")
    assert " ".join(found) == KEYS
    assert " ".join(found["vertebrae"][0]) == VERTEBRA_KEYS
    assert [" ".join(f) for f in found["findings"]] == ["code severity text"] * 2
    assert found["parameters"] == Parameters().as_dict()


def test_a_derived_spacing_keeps_all_its_digits(make_analysis):
    spacing = (227 / 900, 180 / 716)
    assert table.as_json(make_analysis(pixel_spacing_mm=spacing))["pixel_spacing_mm"] == list(spacing)


def test_the_object_says_what_was_measured(make_analysis, make_vertebra, make_left_out):
    levels = (make_left_out(0, Code.LEVEL_CUT), make_vertebra(1), make_vertebra(2), make_vertebra(3))
    found = table.as_json(
        make_analysis(vertebrae=levels, alternative=Alternative(shift=1, score=1.3)), "x.dcm"
    )
    assert found["file"] == "x.dcm"
    assert found["status"] == "scored"
    assert found["reason"] is None
    assert found["score"] == 1.273457
    assert found["tbs"] is None
    assert found["pixel_spacing_mm"] == [0.6, 0.75]
    assert found["alternative"] == {"shift": 1, "score": 1.3}
    assert [v["included"] for v in found["vertebrae"]] == [False, True, True, True]
    assert found["vertebrae"][0]["excluded"] == {
        "code": "LEVEL_CUT",
        "text": "L1 is left out: it is cut off by the edge of the scan.",
    }
    assert found["vertebrae"][1]["excluded"] is None
    assert found["findings"][0]["severity"] == "warn"
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_outlines_are_never_rounded(make_analysis, make_vertebra):
    ring = ((1.0000004, 2.0), (1.0000004, 8.0), (7.123456789, 5.0))
    found = table.as_json(make_analysis(vertebrae=(make_vertebra(0, region=ring),)))
    assert found["vertebrae"][0]["region"] == [list(point) for point in ring]


def test_a_refusal_has_a_coded_reason_and_no_number(make_refused):
    found = table.as_json(make_refused(Finding(Code.NO_PIXEL_SPACING), pixel_spacing_mm=None))
    assert found["status"] == "refused"
    assert found["reason"]["code"] == "NO_PIXEL_SPACING"
    assert found["score"] is None
    assert found["pixel_spacing_mm"] is None
    assert found["vertebrae"] == []


def test_a_stranger_without_identity_still_has_a_result(make_refused):
    stranger = make_refused(
        Finding(Code.NOT_DICOM),
        identity=None,
        status=AnalysisStatus.ERROR,
        input_class=None,
        image_sha256="",
    )
    found = table.as_json(stranger, "notes.txt")
    assert " ".join(found) == KEYS
    assert [
        found[key] for key in ("study_instance_uid", "sop_instance_uid", "image_sha256", "input_class")
    ] == [None] * 4
    assert table.csv_row(stranger, "notes.txt")["reason"] == "NOT_DICOM"


def test_nothing_names_the_patient(make_analysis):
    analysis = make_analysis()
    who = analysis.identity.demographics
    for written in (json.dumps(table.as_json(analysis)), table.as_csv([("x.dcm", analysis)])):
        for value in ("Muster", "Erika", who.patient_id, who.birth_date):
            assert value not in written


def test_csv_keeps_score_and_tbs_apart(make_analysis):
    raw, calibrated = make_analysis(), make_analysis(tbs=1.31, calibration="CAL-7")
    rows = list(csv.DictReader(io.StringIO(table.as_csv([("a, b.dcm", raw), ("c.dcm", calibrated)]))))
    assert tuple(rows[0]) == table.CSV_COLUMNS
    assert [(r["score"], r["tbs"]) for r in rows] == [("1.273457", ""), ("1.273457", "1.31")]
    assert rows[0]["file"] == "a, b.dcm"
    assert rows[0]["included"] == "L1 L2 L3 L4"
    assert rows[0]["findings"] == "DISPLAY_COPY SCANNER_UNCALIBRATED"
    assert (rows[0]["row_spacing_mm"], rows[0]["column_spacing_mm"]) == ("0.6", "0.75")
    assert rows[0]["L2_score"] == "1.25"
    assert "lag_min_mm=1.05" in rows[0]["parameters"]


def test_csv_says_why_a_level_is_left_out(make_analysis, make_left_out, make_vertebra):
    levels = (make_left_out(0, Code.HIGH_DENSITY), make_vertebra(1), make_vertebra(2))
    findings = (Finding(Code.LEVEL_EXCLUDED, "L1"),)
    row = table.csv_row(make_analysis(vertebrae=levels, findings=findings))
    assert row["L1_excluded"] == "HIGH_DENSITY"
    assert row["included"] == "L2 L3"
    assert row["L4_score"] == ""
    assert row["findings"] == "LEVEL_EXCLUDED:L1"


def test_no_cell_is_a_formula(make_analysis):
    """A file that somebody named for a spreadsheet; a negative number stays one."""
    for name in ("=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\tx", "\rx"):
        row = table.csv_row(make_analysis(z_score=-1.5), name)
        assert row["file"] == f"'{name}"
        assert row["z_score"] == "-1.5"
    assert table.csv_row(make_analysis(), "a=b.dcm")["file"] == "a=b.dcm"
