"""Every number of a full report comes back: by our own walk, and by an independent reader of TID 1500."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom
import pytest
from pydicom.dataset import Dataset

from tbsnode.dicom import measurement_report
from tbsnode.model import Analysis, Report
from tests import reported, sources
from tests.reading import document, groups, values

DENSITIES = {
    "L1-L4": ("24966-4", "38267-1", "85394-5"),
    "total_hip": ("38261-4", "38264-8", "80933-5"),
    "femoral_neck": ("24701-5", "38263-0", "80934-3"),
    "one_third_radius": ("24890-6", "38265-5", "80932-7"),
}


def of_densities(analysis: Analysis) -> Iterator[tuple[str, str, float | None, str]]:
    """What the analysis says of every site, as group, code, value and unit."""
    levels = {vertebra.label for vertebra in analysis.vertebrae}
    for each in analysis.bone_densities:
        r = each.result
        own = r.site in levels or r.site == "L1-L4"
        group = r.site if own else " ".join(filter(None, ("BMD", r.side, r.site.replace("_", " "))))
        codes = DENSITIES.get(r.site, ("BMD-REGION-BMD", "BMD-REGION-T", "BMD-REGION-Z"))
        yield group, codes[0], r.bmd_g_cm2, "g/cm2"
        yield group, codes[1], r.t_score, "1"
        yield group, codes[2], r.z_score, "1"
        yield group, "BMD-AREA", r.area_cm2, "cm2"
        yield group, "BMD-BMC", r.bmc_g, "g"
        yield group, "BMD-HEIGHT", r.height_mm, "mm"


def of_levels(analysis: Analysis) -> Iterator[tuple[str, str, float | None, str]]:
    for vertebra in analysis.vertebrae:
        yield vertebra.label, "TEXSLOPE", vertebra.score, "1"
        yield vertebra.label, "TEXSLOPE-SE", vertebra.standard_error, "1"
        yield vertebra.label, "FIT-R2", vertebra.fit_r2, "1"
        yield vertebra.label, "42798000", vertebra.area_mm2 / 100, "cm2"


def of_summary(analysis: Analysis) -> Iterator[tuple[str, str, float | None, str]]:
    assert analysis.follow_up is not None
    for code, value, unit in (
        ("TEXSLOPE", analysis.score, "1"),
        ("TEXSLOPE-SE", analysis.standard_error, "1"),
        ("TBS", analysis.tbs, "1"),
        ("TBS-SEE", analysis.tbs_see, "1"),
        ("TBS-ZSCORE", analysis.z_score, "1"),
        ("SITE-PERCENTILE", analysis.site_percentile, "%"),
        ("SITE-ZSCORE", analysis.site_z, "1"),
        ("LABEL-CONF", analysis.label_confidence, "1"),
        ("TEXSLOPE-LSC", analysis.follow_up.lsc, "1"),
        ("TBS-LSC", analysis.follow_up.tbs_lsc, "1"),
    ):
        yield "L1-L4", code, value, unit


def of_context(analysis: Analysis) -> Iterator[tuple[str, str, float | None, str]]:
    said, made, course = analysis.clinical, analysis.frax, analysis.follow_up
    assert said is not None
    assert said.frax is not None
    assert made is not None
    assert made.major is not None
    assert made.hip is not None
    assert course is not None
    yield "Fracture risk", "90265-0", said.frax.major_percent, "%"
    yield "Fracture risk", "90266-8", said.frax.hip_percent, "%"
    yield "Fracture risk", "RF-GLUCO-DOSE", said.glucocorticoid_mg_day, "mg/d"
    for name, adjusted in (("FRAX-MOF-TBS", made.major), ("FRAX-HIP-TBS", made.hip)):
        yield "Fracture risk", name, adjusted.after_percent, "%"
        yield "Fracture risk", f"{name}-LO", adjusted.low_percent, "%"
        yield "Fracture risk", f"{name}-HI", adjusted.high_percent, "%"
    for prior in course.priors:
        group = f"Earlier examination {prior.examined_on}"
        yield group, "PRIOR-TEXSLOPE", prior.score, "1"
        yield group, "PRIOR-TBS", prior.tbs, "1"
        yield group, "TEXSLOPE-DIFF", prior.difference, "1"
        yield group, "TBS-DIFF", prior.tbs_difference, "1"
        yield group, "PRIOR-AGE", prior.age_years, "a"


def expected(analysis: Analysis) -> dict[str, dict[str, tuple[float, str]]]:
    found: dict[str, dict[str, tuple[float, str]]] = {}
    for part in (of_levels, of_summary, of_densities, of_context):
        for group, code, value, unit in part(analysis):
            if value is not None:
                assert code not in found.setdefault(group, {})
                found[group][code] = (pytest.approx(value, abs=5e-7), unit)
    return found


def full(source: Path) -> Report:
    return reported.report(
        reported.maximal(source), review=reported.AMENDED, interpretation="A paragraph.", simulated=True
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sources.write(tmp_path / "source.dcm", sources.spine())


def test_every_number_comes_back_once_and_no_other(source: Path) -> None:
    report = full(source)
    read = {name: values(group) for name, group in groups(document(report, source)).items()}
    assert read == expected(report.analysis)
    # levels, summary, densities of levels, of the spine, of sums and other bones, risk, course
    assert sum(map(len, read.values())) == 16 + 10 + 24 + 5 + 2 + 12 + 9 + 8


@pytest.fixture(scope="module")
def independent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Any]:
    """The report and its content as highdicom reads it; the three classes have the same content."""
    folder = tmp_path_factory.mktemp("independent")
    report = full(source := sources.write(folder / "source.dcm", sources.spine()))
    (folder / "sr.dcm").write_bytes(measurement_report.build(report, source).part10)
    return report, highdicom.sr.srread(folder / "sr.dcm").content


def test_highdicom_reads_the_same(independent: tuple[Report, Any]) -> None:
    report, content = independent
    planar, whole = content.get_planar_roi_measurement_groups(), content.get_image_measurement_groups()
    read = {group.tracking_identifier: measured(group) for group in (*planar, *whole)}
    assert read == expected(report.analysis)
    assert [group.tracking_identifier for group in planar] == ["L1", "L2", "L3", "L4"]


def measured(group: Any) -> dict[str, tuple[float, str]]:
    return {each.name.value: (each.value, each.unit.value) for each in group.get_measurements()}


def test_highdicom_reads_region_site_and_category(independent: tuple[Report, Any]) -> None:
    _, content = independent
    first, *_ = content.get_planar_roi_measurement_groups()
    assert first.roi.graphic_type.value == "POLYLINE"
    assert first.roi.value.tolist() == [[5.5, 1.5], [15.0, 1.5], [15.0, 5.5], [5.5, 5.5], [5.5, 1.5]]
    assert [site.value.value for site in first.finding_sites] == ["66794005"]
    whole = {group.tracking_identifier: group for group in content.get_image_measurement_groups()}
    said = {each.name.value: each.value.value for each in whole["L1-L4"].get_qualitative_evaluations()}
    assert said["TBS-CAT"] == "TBS-CAT-PART"
    assert said["TBS-CUTOFFS"] == "TBS-CUTOFFS-B"
    hip = whole["BMD left total hip"]
    assert [site.value.value for site in hip.finding_sites] == ["29836001"]
    assert hip.finding_sites[0].laterality.value == "7771000"


def test_a_rounded_number_is_rounded_to_a_millionth(source: Path) -> None:
    analysis = reported.scored(source, score=1.23456789)
    read = values(groups(document(reported.report(analysis), source))["L1-L4"])
    assert read["TEXSLOPE"] == (1.234568, "1")


def test_every_code_has_one_meaning_in_a_document(source: Path) -> None:
    meanings: dict[tuple[str, str], str] = {}

    def look(_: Dataset, element: Any) -> None:
        if element.VR == "SQ":
            for item in element.value:
                if "CodeMeaning" in item:
                    key = (item.CodeValue, item.CodingSchemeDesignator)
                    assert meanings.setdefault(key, item.CodeMeaning) == item.CodeMeaning

    document(full(source), source).walk(look)
    assert len(meanings) > 100
