"""Texture slope and TBS are two concepts: nothing uncalibrated carries a TBS value or a category."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfReader
from typer.testing import CliRunner

from tbsnode.cli import app
from tbsnode.dicom import acquisition
from tests import nodes

CATEGORIES = re.compile(r"degraded|microarchitecture|low risk|high risk|TBS-CAT", re.IGNORECASE)
TBS_WITH_NUMBER = re.compile(r"\bTBS\b[^.\n]{0,30}?\d\.\d")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with JSON, CSV, SR, PDF and overlay of an uncalibrated, scored study."""
    folder = tmp_path_factory.mktemp("uncalibrated")
    image = acquisition.study("display", patient=acquisition.PatientTags(), seed=5)
    (path,) = nodes.write(folder / "in", image)
    done = CliRunner().invoke(
        app, ["analyze", str(path), "-o", str(folder / "out"), "--json", "--csv", str(folder / "out.csv")]
    )
    assert done.exit_code == 0, done.output
    (folder / "out.json").write_text(done.stdout)
    return folder


def items(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence", []):
        yield item
        yield from items(item)


def test_json_has_the_slope_and_no_tbs(written: Path) -> None:
    (result,) = json.loads((written / "out.json").read_text())["results"]
    assert result["status"] == "scored"
    assert 0 < result["score"] < 2
    assert (result["tbs"], result["category"], result["z_score"], result["calibration"]) == (None,) * 4
    assert "SCANNER_UNCALIBRATED" in {finding["code"] for finding in result["findings"]}


def test_csv_has_the_slope_and_no_tbs(written: Path) -> None:
    (row,) = csv.DictReader((written / "out.csv").read_text().splitlines())
    assert float(row["score"]) > 0
    assert row["tbs"] == ""
    assert not CATEGORIES.search((written / "out.csv").read_text())


def test_sr_has_the_slope_and_a_tbs_without_value(written: Path) -> None:
    (path,) = (written / "out").glob("*.sr.dcm")
    ds = dcmread(path)
    numbers = [item for item in items(ds) if item.ValueType == "NUM"]
    by_code: dict[str, list[Dataset]] = {}
    for item in numbers:
        by_code.setdefault(item.ConceptNameCodeSequence[0].CodeValue, []).append(item)
    assert len(by_code["TEXSLOPE"]) == 5
    assert all(item.MeasuredValueSequence for item in by_code["TEXSLOPE"])
    for item in by_code["TBS"]:
        assert not item.MeasuredValueSequence
        assert item.NumericValueQualifierCodeSequence[0].CodeValue == "114007"
    assert not CATEGORIES.search(str(ds))


def test_pdf_says_that_tbs_is_not_available(written: Path) -> None:
    (path,) = (written / "out").glob("*.pdf")
    pages = [page.extract_text() for page in PdfReader(BytesIO(path.read_bytes())).pages]
    assert "TBS not available: scanner not calibrated" in pages[0]
    slope = json.loads((written / "out.json").read_text())["results"][0]["score"]
    assert f"{slope:.3f}" not in pages[0], "the raw slope stands on page 2 only"
    assert f"{slope:.3f}" in pages[1]
    for page in pages:
        assert not CATEGORIES.search(page)
        assert not TBS_WITH_NUMBER.search(page)
