"""Results in private text: tables both ways up, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbsnode.dicom.results_text import SOURCE, parse, read_results
from tbsnode.model.densitometry import SiteResult
from tests import sources

HEADS = ("Region", "Area[cm<sup><small>2</small></sup>]", "BMC[g]", "BMD[g/cm<sup><small>2</small></sup>]",
         "T -<br>Score", "PR(%)", "Z -<br>Score", "AM(%)")  # fmt: skip
ROWS = (
    ("L1", "13.26", "11.57", "0.873", "-0.5", "94", "-0.2", "98"),
    ("L2", "13.72", "12.94", "0.943", "-0.8", "92", "-0.6", "94"),
    ("L3", "14.81", "13.94", "0.941", "-1.3", "87", "-1.0", "89"),
    ("L4", "13.97", "13.40", "0.959", "-0.9", "91", "-0.7", "93"),
    ("Total", "55.76", "51.85", "0.930", "-1.1", "89", "-0.8", "92"),
)


def script(table: tuple[tuple[str, ...], ...], *, turned: bool = False) -> str:
    lines = []
    for i, cells in enumerate(table):
        for j, cell in enumerate(cells):
            row, column = (j, i) if turned else (i, j)
            lines.append(f'ResultsTable[{row:2d}][{column:2d}] = "{cell}";')
    return "\r\n".join(lines)


def test_by_hand() -> None:
    found = parse(
        script((HEADS, *ROWS)) + "\r\nImageXPos = 90;\r\nImageYPos=300;ImageXSize = 548;ImageYSize = 788;"
    )
    assert found.box == (90, 300, 548, 788)
    assert [site.site for site in found.sites] == ["L1", "L2", "L3", "L4", "L1-L4"]
    assert found.sites[0] == SiteResult(
        site="L1", area_cm2=13.26, bmc_g=11.57, bmd_g_cm2=0.873, t_score=-0.5, z_score=-0.2
    )
    results = found.results("1.2.3")
    assert results is not None
    assert (results.source, results.sop_instance_uid) == (SOURCE, "1.2.3")


def test_a_table_on_its_side() -> None:
    assert parse(script((HEADS, *ROWS), turned=True)) == parse(script((HEADS, *ROWS)))


def test_decimal_commas_misprints_and_missing_cells() -> None:
    rows = (("L1", "13,26", "", "0,873*"), ("L2", "1/2/2020", "x", "94.1"), ("L3",), ("L9", "1", "2", "3"))
    found = parse(script((HEADS[:4], *rows)))
    assert found.sites == (SiteResult(site="L1", area_cm2=13.26, bmd_g_cm2=0.873),)


def test_units_of_the_head_are_honored() -> None:
    table = (("Region", "BMD (g/cm2)", "Area (mm2)", "Height (cm)"), ("L2", "1.083", "1305", "3.47"))
    (site,) = parse(script(table)).sites
    assert site.area_cm2 == pytest.approx(13.05)
    assert site.height_mm == pytest.approx(34.7)


def test_totals_are_of_what_stands_above_them() -> None:
    some = parse(script((HEADS, ROWS[1], ROWS[2], ROWS[4])))
    assert [site.site for site in some.sites] == ["L2", "L3", "L2-L3"]
    gap = parse(script((HEADS, ROWS[0], ROWS[2], ROWS[4])))  # L2 left out: no name for such a sum
    assert [site.site for site in gap.sites] == ["L1", "L3"]
    hip = parse(
        'Scan = "e. Left Hip"; '
        + script((HEADS[:4], ("Neck", "5.1", "3.6", "0.71"), ("Total", "34.0", "29.1", "0.86")))
    )
    assert [(site.site, site.side) for site in hip.sites] == [("femoral_neck", "left"), ("total_hip", "left")]
    body = parse(script((HEADS[:4], ("L Arm", "200", "180", "0.9"), ("Total", "2100", "2300", "1.1"))))
    assert body.sites == ()


@pytest.mark.parametrize("kept", range(0, 1100, 37))
def test_truncated_text_gives_what_is_whole(kept: int) -> None:
    whole = parse(script((HEADS, *ROWS))).sites
    for site, full in zip(parse(script((HEADS, *ROWS))[:kept]).sites, whole, strict=False):
        for name in ("area_cm2", "bmc_g", "bmd_g_cm2", "t_score", "z_score"):
            assert getattr(site, name) in (None, getattr(full, name))


def test_incomplete_boxes_are_none() -> None:
    assert parse("ImageXPos = 90; ImageYPos = 300; ImageXSize = 548;").box is None
    assert parse("ImageXPos = 90; ImageYPos = 300; ImageXSize = 0; ImageYSize = 9").box is None
    assert parse("ImageXPos = -9; ImageYPos = 300; ImageXSize = 4; ImageYSize = 9").box is None


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    parse(text)
    parse("ResultsTable[" + text)
    parse(f'ResultsTable[0][1] = "BMD"; ResultsTable[1][0]="L1"; ResultsTable[1][1] = "{text}";')


@pytest.mark.parametrize(
    "piece", ["ResultsTable[", 'ResultsTable[1][1] = "', "ImageXPos = ", "<", " ", "&lt;"]
)
def test_hostile_text_costs_little(piece: str) -> None:
    start = time.process_time()
    parse("ResultsTable[0][0] =" + piece * (2_000_000 // len(piece)))
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize("vr", ["UT", "LT", "UN", "OB"])
@pytest.mark.parametrize(("group", "creator"), [(0x0019, "HOLOGIC"), (0x0021, "Hologic"), (0x0099, "OTHER")])
def test_any_text_element_is_read(tmp_path: Path, vr: str, group: int, creator: str) -> None:
    ds = sources.spine()
    text = script((HEADS[:4], *(row[:4] for row in ROWS)))
    ds.private_block(group, creator, create=True).add_new(
        1, vr, text if vr in ("UT", "LT") else text.encode()
    )
    found = read_results(sources.write(tmp_path / "x.dcm", ds))
    assert [site.bmd_g_cm2 for site in found.sites] == [0.873, 0.943, 0.941, 0.959, 0.93]


def test_public_text_xml_and_wide_characters(tmp_path: Path) -> None:
    text = script((HEADS[:4], *(row[:4] for row in ROWS)))
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    for raw in (f"<x>{escaped}</x>".encode(), text.encode("utf-16"), text.encode("utf-16-be")):
        ds = sources.spine()
        ds.private_block(0x0021, "HOLOGIC", create=True).add_new(1, "UN", raw)
        assert len(read_results(sources.write(tmp_path / "x.dcm", ds)).sites) == 5
    found = read_results(sources.write(tmp_path / "y.dcm", sources.spine(ImageComments=text)))
    assert len(found.sites) == 5


def test_nothing_of_the_patient_leaves(tmp_path: Path) -> None:
    text = 'PatientName = "Secret, Sally";\nDOB = "19650412";\n' + script((HEADS, *ROWS))
    text += '\nResultsTable[7][0] = "Sally";\nResultsTable[7][1] = "19650412";'
    ds = sources.spine()
    ds.private_block(0x0019, "HOLOGIC", create=True).add_new(0, "UT", text)
    found = repr(read_results(sources.write(tmp_path / "x.dcm", ds)))
    assert "Sally" not in found
    assert "1965" not in found


def test_an_instance_without_results(tmp_path: Path) -> None:
    found = read_results(sources.write(tmp_path / "x.dcm", sources.spine()))
    assert (found.sites, found.box, found.results("1")) == ((), None, None)


def test_both_hips_on_one_page() -> None:
    rows = (
        ("Neck Left", "5.1", "3.6", "0.71", "-1.2"),
        ("Neck Right", "5.0", "3.4", "0.68", "-1.5"),
        ("Neck Mean", "5.0", "3.5", "0.69", "-1.3"),
        ("Neck Diff.", "0.1", "0.2", "0.03", "0.3"),
        ("Total Left", "34.0", "29.1", "0.86", "-0.9"),
        ("Total Right", "33.0", "27.1", "0.82", "-1.1"),
    )
    found = parse(script((HEADS[:5], *rows))).sites
    assert [(site.site, site.side, site.t_score) for site in found] == [
        ("femoral_neck", "left", -1.2),
        ("femoral_neck", "right", -1.5),
        ("total_hip", "left", -0.9),
        ("total_hip", "right", -1.1),
    ]


def test_the_forearm_is_its_one_third() -> None:
    rows = (("UD", "3.5", "1.4", "0.40"), ("1/3", "2.6", "1.7", "0.65"), ("Total", "12.0", "6.5", "0.54"))
    (site,) = parse('Scan = "Left Forearm"; ' + script((HEADS[:4], *rows))).sites
    assert (site.site, site.side, site.bmd_g_cm2) == ("one_third_radius", "left", 0.65)


@pytest.mark.parametrize(
    ("line", "reference"),
    [
        ('TScoreReferenceDatabase = "NHANES <b>III</b>,  women";', "NHANES III , women"),
        (
            'Note = "1. T-score vs. White Female; Source: Maker 2008";',
            "T-score vs. White Female; Source: Maker 2008",
        ),
        ('ReferencePhysician = "Doe^Jane"; Reference = "Doe^Jane";', ""),
    ],
)
def test_the_reference_population_is_kept(line: str, reference: str) -> None:
    found = parse(line + script((HEADS, *ROWS)))
    assert found.reference == reference
    results = found.results("1.2.3")
    assert results is not None
    assert results.reference == reference
