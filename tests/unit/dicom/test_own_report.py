"""A measurement report of ours read back: what was written by hand comes out, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tbsnode.dicom import codes, measurement_report, own_report
from tests import reported, sources

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sources.write(tmp_path / "source.dcm", sources.spine())


def written(report: object, source: Path, sr_class: str = "3d") -> Path:
    derived = measurement_report.build(report, source, sr_class=sr_class)  # type: ignore[arg-type]
    path = source.with_name(f"{derived.sop_instance_uid}.dcm")
    path.write_bytes(derived.part10)
    return path


@pytest.mark.parametrize("sr_class", ["3d", "comprehensive", "enhanced"])
def test_what_was_written_comes_back(source: Path, sr_class: str) -> None:
    """The report by hand has L4 left out, slopes of 1.21, 1.25 and 1.29, and is of 5 March 2024."""
    analysis = reported.scored(source)
    path = written(reported.report(analysis), source, sr_class)
    found = own_report.read(path)
    assert found is not None
    assert found.score == pytest.approx(analysis.score, abs=1e-6)
    assert found.levels == ("L1", "L2", "L3")
    assert found.content_at == "20240305110509"
    assert found.sop_instance_uid in path.name


def test_the_slope_of_a_level_is_not_taken_for_the_mean(source: Path) -> None:
    analysis = replace(reported.scored(source), score=1.777)
    found = own_report.read(written(reported.report(analysis), source))
    assert found is not None
    assert found.score == 1.777


def test_a_refusal_states_no_score(source: Path) -> None:
    assert own_report.read(written(reported.report(reported.refused(source)), source)) is None


def test_an_image_is_no_report(source: Path) -> None:
    assert own_report.read(source) is None
    assert own_report.withdrawn(source) == frozenset()


def test_a_report_of_somebody_else_is_not_ours(source: Path, tmp_path: Path) -> None:
    """The same document under another model name: whoever copied it, we did not make it."""
    from pydicom import dcmread

    ds = dcmread(written(reported.report(reported.scored(source)), source))
    ds.ManufacturerModelName = "another reader"
    ds.save_as(tmp_path / "other.dcm")
    assert own_report.read(tmp_path / "other.dcm") is None


@pytest.mark.parametrize(("title", "counts"), [("113001", True), ("113038", True), ("113000", False)])
def test_a_rejection_names_what_it_withdraws(title: str, counts: bool, tmp_path: Path) -> None:
    """113001 and 113038 withdraw; 113000, *Of Interest*, does not."""
    ds = sources.spine(SOPClassUID=KEY_OBJECTS, SOPInstanceUID="1.2.9", Modality="KO")
    del ds.PixelData
    ds.ConceptNameCodeSequence = [codes.item(codes.Concept(title, "DCM", "a title"))]
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = "1.2.1", "1.2.7.8"
    series.SeriesInstanceUID, series.ReferencedSOPSequence = "1.2.7", [instance]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = "1.2", [series]
    ds.CurrentRequestedProcedureEvidenceSequence = [study]
    path = sources.write(tmp_path / "ko.dcm", ds)
    assert own_report.withdrawn(path) == (frozenset({"1.2.7.8"}) if counts else frozenset())
    assert own_report.read(path) is None


def test_an_archive_shows_our_reports_under_this_description(source: Path) -> None:
    """By it they are found again at a PACS, which need not open them."""
    from pydicom import dcmread

    ds = dcmread(written(reported.report(reported.scored(source)), source))
    assert (ds.Modality, ds.SeriesDescription) == ("SR", own_report.SERIES_DESCRIPTION)
