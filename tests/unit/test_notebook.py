"""The door for notebooks gives what the command gives, and says what is wrong in Python's own words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.draw import polygon2mask

import tbsnode
from tbsnode import analyze, read_pictures, tbs
from tbsnode.cli import analyze as command
from tbsnode.dicom import acquisition
from tbsnode.errors import AnalysisError, InstanceError
from tbsnode.pipeline.analyze import AnalysisSettings
from tbsnode.reasons import Code
from tbsnode.report import table


def write(folder: Path, kind: str, **options: object) -> Path:
    (part10,) = acquisition.study(
        kind,
        patient=acquisition.PatientTags(),
        seed=1,
        options=acquisition.Options(**options),  # type: ignore[arg-type]
    )
    path = folder / f"{kind}.dcm"
    path.write_bytes(part10)
    return path


def test_rows_are_those_of_the_command(tmp_path: Path) -> None:
    path = write(tmp_path, "display", small=True)
    (row,) = analyze(path)
    done = command.work(command.Task(path, AnalysisSettings(), None))
    assert [table.as_json(each, str(path)) for each in done.analyses] == [row]
    assert json.loads(json.dumps(row)) == row
    assert row == analyze(str(path))[0], "a text is a path too"


@pytest.mark.parametrize("kind", ["raw", "display"])
def test_a_picture_that_was_read_measures_as_the_analysis_does(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    (row,), (picture,) = analyze(path), read_pictures(path)
    found = tbs.measure(picture)
    assert row["score"] == round(found.score, 6)
    assert row["standard_error"] == round(found.standard_error or 0.0, 6)
    assert [level["region"] for level in row["vertebrae"]] == [
        [list(point) for point in level.region] for level in found.vertebrae
    ]


def test_a_score_on_a_report_page_is_found_again(tmp_path: Path) -> None:
    """As docs/researcher.md says it: the ring lies on the page, the pixels are those of the picture."""
    path = write(tmp_path, "page")
    (row,), (picture,) = analyze(path), read_pictures(path)
    page = row["page"]
    assert row["status"] == "scored"
    for level in row["vertebrae"]:
        ring = np.array(level["region"])
        ring = (ring - (page["row"], page["column"]) - (page["scale"] - 1) / 2) / page["scale"]
        mask = polygon2mask(picture.pixels.shape, ring)
        if picture.blocked is not None:
            mask &= ~picture.blocked
        used = tbs.Parameters(**row["parameters"])
        found = tbs.score_region(
            picture.pixels, mask, pixel_spacing_mm=picture.pixel_spacing_mm, parameters=used
        )
        assert found.slope == pytest.approx(level["score"], abs=1e-6)


def test_parameters_reach_the_number(tmp_path: Path) -> None:
    path = write(tmp_path, "display", small=True)
    (row,) = analyze(path, tbs.Parameters(region="body"))
    assert row["parameters"]["region"] == "body"
    assert row["score"] != analyze(path)[0]["score"]


def test_what_is_no_picture_is_said(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no image")
    assert analyze(notes)[0]["reason"]["code"] == "NOT_DICOM"
    with pytest.raises(InstanceError):
        read_pictures(notes)
    for wrong in (tmp_path / "missing.dcm", tmp_path):
        with pytest.raises(FileNotFoundError, match="is no file"):
            analyze(wrong)
        with pytest.raises(FileNotFoundError, match="is no file"):
            read_pictures(wrong)


def test_what_must_not_be_measured_is_not_given(tmp_path: Path) -> None:
    lossy = write(tmp_path, "raw", attributes=(("LossyImageCompression", "01"),))
    assert analyze(lossy)[0]["reason"]["code"] == "LOSSY_COMPRESSION"
    with pytest.raises(AnalysisError) as refused:
        read_pictures(lossy)
    assert refused.value.code is Code.LOSSY_COMPRESSION


def test_the_package_names_its_doors_and_loads_none() -> None:
    assert {"analyze", "read_pictures", "tbs"} <= set(dir(tbsnode))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tbsnode.nonsense
    program = "import sys, tbsnode; dir(tbsnode); print([n for n in sys.modules if n.startswith('tbsnode.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
