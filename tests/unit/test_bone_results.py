"""The densities of a whole study: every site with its instance, and the diagnosis of the lowest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tbsnode.dicom import identity as dicom_identity
from tbsnode.model import (
    Analysis,
    ClinicalContext,
    ScannerResults,
    SiteResult,
    SourcedSite,
)
from tbsnode.model.densitometry import spine_of
from tbsnode.pipeline import bone_results, interpret
from tbsnode.pipeline.site import Site
from tbsnode.store.records import InstanceRow
from tbsnode.tbs.bone_density import Diagnosis
from tests import reported, sources
from tests.unit.dicom.test_results_report import number, report, site

HIP = (("Neck", "0.742", "-1.6"), ("Total", "0.861", "-0.9"))
SPINE = (("L1", "0.9", "-1.0"), ("L2", "0.9", "-1.1"), ("L1-L4", "0.95", "-2.6"))
FOREARM = (("UD", "0.4", "-2.0"), ("1/3", "0.6", "-3.1"))
Instance = Callable[..., InstanceRow]


def script(rows: tuple[tuple[str, str, str], ...]) -> str:
    cells = [("Region", "BMD (g/cm2)", "T - score"), *rows]
    return "".join(
        f'ResultsTable[{i:2d}][{j:2d}] = "{cell}";\r\n'
        for i, row in enumerate(cells)
        for j, cell in enumerate(row)
    )


@pytest.fixture
def made(tmp_path: Path) -> Instance:
    """``made(HIP, ProtocolName=...)``: an instance with this table in its private text, as a row."""

    def instance(
        rows: tuple[tuple[str, str, str], ...], comments: str | None = None, **header: Any
    ) -> InstanceRow:
        made.count += 1  # type: ignore[attr-defined]
        ds = sources.spine(**header)
        ds.SOPInstanceUID = f"{sources.INSTANCE}.{made.count}"  # type: ignore[attr-defined]
        if rows:
            ds.private_block(0x0019, "SIMULATED DXA", create=True).add_new(0x10, "LT", script(rows))
        if comments is not None:
            ds.ImageComments = comments
        return row_of(sources.write(tmp_path / f"{made.count}.dcm", ds))  # type: ignore[attr-defined]

    made = instance
    made.count = 0  # type: ignore[attr-defined]
    return made


def row_of(path: Path) -> InstanceRow:
    identity = dicom_identity.read_identity(path)
    found = SimpleNamespace(path=str(path), identity=identity, sop_instance_uid=identity.sop_instance_uid)
    return cast("InstanceRow", found)


def results_of(*rows: InstanceRow) -> tuple[ScannerResults, ...]:
    archive = SimpleNamespace(path=Path)
    return bone_results.all_results(cast("Site", SimpleNamespace(archive=archive)), rows)


def sites(results: ScannerResults) -> list[tuple[str, str, float | None]]:
    return [(each.site, each.side, each.t_score) for each in results.sites]


# ---- what a study states ------------------------------------------------------------------------------


def test_every_instance_with_its_source(made: Instance) -> None:
    spine = made(SPINE, AcquisitionTime="101000")
    hip = made(HIP, ProtocolName="Left Femur", AcquisitionTime="100900")
    silent = made((), ProtocolName="Left Femur")
    found = results_of(spine, hip, silent)
    assert [each.sop_instance_uid for each in found] == [spine.sop_instance_uid, hip.sop_instance_uid]
    assert sites(found[1]) == [("femoral_neck", "left", -1.6), ("total_hip", "left", -0.9)]
    assert {each.source for each in found} == {"private results text"}
    assert found[1].series_instance_uid == sources.SERIES
    assert found[1].sop_class_uid == sources.CR


@pytest.mark.parametrize(
    ("header", "side"),
    [
        ({"ProtocolName": "Right Hip"}, "right"),
        ({"ProtocolName": "Hip", "Laterality": "L"}, "left"),
        ({"ProtocolName": "Right Hip", "ImageLaterality": "L"}, "left"),
        ({"ProtocolName": "Hip", "SeriesDescription": "DXA right"}, "right"),
        ({"ProtocolName": "Left and Right Femur"}, ""),
        ({"ProtocolName": "Hip"}, ""),
    ],
)
def test_the_header_tells_the_side_that_the_table_does_not(
    made: Instance, header: dict[str, str], side: str
) -> None:
    (found,) = results_of(made(HIP, **header))
    assert {each.side for each in found.sites} == {side}
    (spine,) = results_of(made(SPINE, **header))
    assert {each.side for each in spine.sites} == {""}


def test_reports_go_before_pages_and_those_before_comments(made: Instance, tmp_path: Path) -> None:
    page = made(HIP, ProtocolName="Left Femur", AcquisitionTime="235900")
    comments = made((), '<Region name="L2" BMD="0.9"/>')
    sr = row_of(report(tmp_path, number("T-score", "-1.5", "1", site("Femoral neck"))))
    found = results_of(comments, page, sr)
    uids = [sr.sop_instance_uid, page.sop_instance_uid, comments.sop_instance_uid]
    assert [each.sop_instance_uid for each in found] == uids
    assert [each.source for each in found] == ["structured report", *["private results text"] * 2]


def test_the_latest_of_repeated_scans_goes_first(made: Instance) -> None:
    first = made(HIP, AcquisitionTime="101000")
    again = made((("Neck", "0.750", "-1.5"), ("Total", "0.87", "-0.8")), AcquisitionTime="102000")
    copy = made(HIP, AcquisitionTime="101000")
    found = results_of(first, again, copy)
    assert [each.sop_instance_uid for each in found] == [again.sop_instance_uid, first.sop_instance_uid]


def test_what_cannot_be_read_or_is_ours_states_nothing(made: Instance, tmp_path: Path) -> None:
    broken, own = made(HIP), made(HIP, ManufacturerModelName="tbsnode")
    path = Path(broken.path)
    path.write_bytes(path.read_bytes()[:600])
    assert results_of(broken, own) == ()


def test_no_pixel_is_read(made: Instance) -> None:
    """A hip whose pixels nobody could decode, far too few, states its densities all the same."""
    ds = sources.spine(ProtocolName="Left Femur")
    ds.private_block(0x0019, "SIMULATED DXA", create=True).add_new(0x10, "LT", script(HIP))
    ds.PixelData = b"\0" * 16
    row = made(HIP)
    row_again = row_of(sources.write(Path(row.path), ds))
    assert len(results_of(row_again)) == 1


# ---- the diagnosis ------------------------------------------------------------------------------------


def states(*stated: tuple[str, str, float]) -> tuple[SiteResult, ...]:
    return tuple(SiteResult(site=name, side=side, t_score=t) for name, side, t in stated)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A scored result of a woman of 64 years, without densities."""
    path = sources.write(tmp_path_factory.mktemp("diagnosis") / "spine.dcm", sources.spine())
    made = replace(reported.scored(path), densitometry=None, clinical=None)
    assert made.identity is not None
    assert made.identity.demographics.age_years == 64.0
    return made


def diagnosed(analysis: Analysis, *stated: tuple[str, str, float], imported: Any = ()) -> tuple[Any, ...]:
    declared = ScannerResults(sites=states(*imported), source="import") if imported else None
    made = replace(
        analysis,
        other_densitometry=(ScannerResults(sites=states(*stated), source="private results text"),),
        clinical=ClinicalContext(densitometry=declared, source="letter"),
    )
    found = interpret.diagnosis_of(made)
    assert found is not None
    return found.diagnosis, found.site, found.score


NECK, LEFT, RIGHT = ("femoral_neck", "left", -1.6), ("total_hip", "left", -0.9), ("total_hip", "right", -2.5)


def test_the_lowest_site_decides(analysis: Analysis) -> None:
    spine = ("L1-L4", "", -1.2)
    assert diagnosed(analysis, spine, NECK, LEFT) == (Diagnosis.LOW_BONE_MASS, "femoral_neck", -1.6)
    assert diagnosed(analysis, spine, NECK, LEFT, RIGHT) == (Diagnosis.OSTEOPOROSIS, "total_hip", -2.5)
    radius = ("one_third_radius", "left", -3.1)
    assert diagnosed(analysis, spine, NECK, radius) == (Diagnosis.OSTEOPOROSIS, "one_third_radius", -3.1)


def test_single_levels_never_decide(analysis: Analysis) -> None:
    assert diagnosed(analysis, ("L3", "", -4.0), NECK) == (Diagnosis.LOW_BONE_MASS, "femoral_neck", -1.6)


def test_without_l1_to_l4_the_longest_other_sum_is_the_spine(analysis: Analysis) -> None:
    """L1 was left out by the technologist: L2-L4 stands for the spine."""
    some = (("L2-L3", "", -3.4), ("L2-L4", "", -2.8), ("L3-L4", "", -3.5), NECK)
    assert diagnosed(analysis, *some) == (Diagnosis.OSTEOPOROSIS, "spine", -2.8)
    assert diagnosed(analysis, *some, ("L1-L4", "", -2.6)) == (Diagnosis.OSTEOPOROSIS, "spine", -2.6)


def test_the_scanners_sum_goes_before_an_imported_one(analysis: Analysis) -> None:
    imported = [("L1-L4", "", -1.0), ("total_hip", "left", -0.9)]
    assert diagnosed(analysis, ("L2-L4", "", -2.8), imported=imported)[1:] == ("spine", -2.8)


def test_an_imported_hip_completes_the_diagnosis(analysis: Analysis) -> None:
    spine = ("L1-L4", "", -1.2)
    assert diagnosed(analysis, spine)[0] is Diagnosis.SPINE_ONLY
    assert diagnosed(analysis, spine, imported=[NECK])[0] is Diagnosis.LOW_BONE_MASS


def test_no_densities_no_diagnosis(analysis: Analysis) -> None:
    assert interpret.diagnosis_of(analysis) is None


def test_a_sum_with_scores_goes_before_one_without() -> None:
    bare = SourcedSite(result=SiteResult(site="L1-L4", bmd_g_cm2=0.9), source="structured report")
    scored = SourcedSite(result=SiteResult(site="L2-L4", t_score=-2.0), source="private results text")
    assert spine_of([bare, scored]) is scored
    assert spine_of([]) is None
