"""Results as XML in Image Comments: three shapes that such XML may have, and what is left alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbsnode.dicom import results_comments
from tbsnode.dicom.results_comments import parse
from tests import sources

ATTRIBUTES = """<?xml version="1.0" encoding="utf-8"?>
<Patient name="Canary Zoe" id="4711" height="165"><Scan type="AP Spine" ReferencePopulation="USA (NHANES)">
 <Region name="L1-L4" BMD="0.912" TScore="-2.1" ZScore="-0.4" PercentYoungAdult="78"/>
 <Region name="L2" BMD="0.950" TScore="\u22121.9"/>
</Scan></Patient>"""
ELEMENTS = """<results><exam><site>Left Femur</site>
 <roi><name>Neck</name><bmd unit="mg/cm2">742</bmd><t_score>-1.6</t_score></roi>
 <roi><name>Neck Mean</name><bmd>0.750</bmd></roi>
 <roi><name>Wards</name><bmd>0.600</bmd></roi>
 <roi><name>Total</name><bmd unit="g/cm\u00b2">0.861</bmd><z-score> 0.3 </z-score><area>36.4</area></roi>
</exam></results>"""
TYPED = """<list><item region="Radius 33%" side="right"><result type="BMD" value="0.655"/>
 <result type="T-score" value="-0.8"/><result type="BMD change" value="-0.02"/></item></list>"""


def told(xml: str) -> dict[tuple[str, str], tuple[float | None, float | None, float | None]]:
    found = parse(xml.encode())
    sites = found[0] if found else ()
    return {(site.site, site.side): (site.bmd_g_cm2, site.t_score, site.z_score) for site in sites}


def test_results_as_attributes() -> None:
    assert told(ATTRIBUTES) == {("L1-L4", ""): (0.912, -2.1, -0.4), ("L2", ""): (0.95, -1.9, None)}
    found = parse(ATTRIBUTES.encode())
    assert found is not None
    assert found[1] == "USA (NHANES)"


def test_results_as_elements() -> None:
    assert told(ELEMENTS) == {
        ("femoral_neck", "left"): (0.742, -1.6, None),
        ("total_hip", "left"): (0.861, None, 0.3),
    }


def test_results_with_a_type() -> None:
    assert told(TYPED) == {("one_third_radius", "right"): (0.655, -0.8, None)}


@pytest.mark.parametrize(
    "text",
    [
        "", "<", "<p>Patient moved</p>", "<a><b>", "L1 < L2", '<Region name="L2" BMD="912"/>',
        '<Region name="L2" BMD="0,912"/>', '<Region BMD="0.9"/>',
        '<Region name="L2"><Area>13.0</Area></Region>', '<Patient name="Neck" BMD="0.9"/>',
        "<a>" * 20 + '<Region name="L2" BMD="0.9"/>' + "</a>" * 20,
        '<list><Region name="L2" BMD="0.9"/>' + "<x/>" * 3000 + "</list>",
    ],
)  # fmt: skip
def test_what_is_no_list_of_results_is_left_alone(text: str) -> None:
    assert parse(text.encode()) is None


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE r [<!ENTITY a "0.9">]>',
        '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE r SYSTEM "http://127.0.0.1/r.dtd">',
        '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
    ],
)
def test_no_entity_is_ever_expanded(doctype: str) -> None:
    started = time.perf_counter()
    assert parse(f'<?xml version="1.0"?>{doctype}<r><Region name="L2" BMD="0.9"/></r>'.encode()) is None
    assert time.perf_counter() - started < 1.0


def test_from_an_instance(tmp_path: Path) -> None:
    path = sources.write(
        tmp_path / "hip.dcm", sources.spine(ImageComments=ELEMENTS.encode().decode("latin-1"))
    )
    found = results_comments.read_results(path)
    assert found is not None
    assert (found.source, found.sop_instance_uid) == ("private results text", sources.INSTANCE)
    assert {site.site for site in found.sites} == {"femoral_neck", "total_hip"}
    plain = sources.write(tmp_path / "plain.dcm", sources.spine(ImageComments="patient moved"))
    assert results_comments.read_results(plain) is None


@given(st.binary(max_size=200).map(lambda data: b"<" + data))
def test_no_bytes_break_it(data: bytes) -> None:
    parse(data)
