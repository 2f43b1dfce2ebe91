"""Files of clinical data: what each field may say, and how a wrong file is told to whoever wrote it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbsnode.model import ClinicalContext, Factor, ScannerResults
from tbsnode.model.densitometry import SiteResult
from tbsnode.pipeline.clinical_fields import DENSITY_FIELDS, FIELDS
from tbsnode.pipeline.clinical_file import MAX_BYTES, MAX_RECORDS, ClinicalFile, read
from tbsnode.tbs.frax import Supplied

TODAY = date(2026, 11, 25)
HEAD = "patient_id,accession_number,source,frax_major_percent,frax_hip_percent,frax_with_bmd"
WHOLE = ClinicalContext(
    present=(Factor.PREVIOUS_FRACTURE, Factor.GLUCOCORTICOIDS),
    absent=(Factor.CURRENT_SMOKING,),
    fracture_sites=("vertebra", "wrist"),
    glucocorticoid_mg_day=7.5,
    menopausal_status="post",
    frax=Supplied(
        major_percent=22.0,
        hip_percent=4.5,
        with_bmd=True,
        source="referral letter",
        country_model="US Caucasian",
        calculated_on="20261101",
    ),
    densitometry=ScannerResults(
        sites=(
            SiteResult(site="L1-L4", bmd_g_cm2=0.912, t_score=-2.1),
            SiteResult(site="total_hip", side="left", bmd_g_cm2=0.801, t_score=-1.4, z_score=0.2),
        ),
        source="import",
        reference="NHANES III",
    ),
    source="referral letter",
)
CELLS = {
    "patient_id": "007",
    "issuer": "CLINIC",
    "accession_number": "A-1",
    "source": "referral letter",
    "frax_major_percent": "22.0",
    "frax_hip_percent": "4.5",
    "frax_with_bmd": "yes",
    "frax_country_model": "US Caucasian",
    "frax_calculated_on": "2026-11-01",
    "previous_fracture": "yes",
    "glucocorticoids": "YES",
    "current_smoking": "no",
    "fracture_sites": "wrist;vertebra",
    "glucocorticoid_mg_day": "7.5",
    "menopausal_status": "post",
    "t_score_reference": "NHANES III",
    "spine_bmd_g_cm2": "0.912",
    "spine_t_score": "\u22122.1",
    "total_hip_left_bmd_g_cm2": "0.801",
    "total_hip_left_t_score": "-1.4",
    "total_hip_left_z_score": "0.2",
}


def table(*lines: str, encoding: str = "utf-8") -> ClinicalFile:
    return read("\n".join(lines).encode(encoding), TODAY)


def places(found: ClinicalFile) -> list[tuple[int | None, str]]:
    return [(mistake.line, mistake.field) for mistake in found.mistakes]


# ---- what is read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_by_hand(delimiter: str, encoding: str) -> None:
    cells = [f'"{cell}"' if delimiter in cell else cell for cell in CELLS.values()]
    found = table(delimiter.join(CELLS), delimiter.join(cells), "", delimiter * 3, encoding=encoding)
    assert found.mistakes == ()
    (declared,) = found.declarations
    assert (declared.patient_id, declared.issuer, declared.accession_number) == ("007", "CLINIC", "A-1")
    assert declared.context == WHOLE
    assert declared.raw.line == 2


@pytest.mark.parametrize("as_list", [True, False])
def test_the_same_as_json(as_list: bool) -> None:
    item: dict[str, Any] = {k: v for k, v in CELLS.items() if not k.startswith(("spine", "total_hip"))}
    item |= {"previous_fracture": True, "current_smoking": False, "frax_major_percent": 22.0, "falls": None}
    item["fracture_sites"] = ["vertebra", "wrist"]
    item["densities"] = [
        {"site": "spine", "bmd_g_cm2": 0.912, "t_score": -2.1},
        {"site": "total_hip", "side": "left", "bmd_g_cm2": "0.801", "t_score": -1.4, "z_score": 0.2},
    ]
    found = table(json.dumps([item] if as_list else item))
    assert found.mistakes == ()
    assert found.declarations[0].context == WHOLE


def test_what_is_not_stated_is_unknown() -> None:
    (declared,) = table(HEAD, "1,,letter,,,").declarations
    assert declared.context == ClinicalContext(source="letter")
    assert declared.is_empty


def test_a_low_probability_is_no_fraction() -> None:
    """FRAX prints one decimal place; 0.1 % for the hip of a young person is ordinary."""
    (declared,) = table(HEAD, "1,,letter,1.3,0.1,no").declarations
    assert declared.context.frax == Supplied(
        major_percent=1.3, hip_percent=0.1, with_bmd=False, source="letter"
    )


def test_the_manual_names_every_field_and_its_examples_are_read() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "clinical.md").read_text("utf-8")
    missing = [name for name in FIELDS if name not in DENSITY_FIELDS and f"`{name}`" not in manual]
    assert missing == []
    _, csv, _, text, *_ = (block.partition("\n")[2] for block in manual.split("```")[2:])
    for example in (csv, text):
        found = read(example.encode(), TODAY)
        assert found.mistakes == ()
        assert found.declarations[0].context.fracture_sites == ("wrist",)
        assert found.declarations[0].context.densitometry is not None


# ---- wrong files ------------------------------------------------------------------------------------

# what is wrong -> lines of the file, and where every one of its mistakes is
WRONG_TABLES: dict[str, tuple[tuple[str, ...], list[tuple[int | None, str]]]] = {
    "BMD in mg/cm2": (("patient_id,source,spine_bmd_g_cm2", "1,x,912"), [(2, "spine_bmd_g_cm2")]),
    "percent sign": ((HEAD, "1,,x,22 %,4.5,yes"), [(2, "frax_major_percent")]),
    "fraction": ((HEAD, "1,,x,0.22,0.045,yes"), [(2, "frax_major_percent"), (2, "frax_hip_percent")]),
    "FRAX 0": ((HEAD, "1,,x,0,0.0,yes"), [(2, "frax_major_percent"), (2, "frax_hip_percent")]),
    "FRAX 100": ((HEAD, "1,,x,20.0,4.0,yes", "2,,x,100,4.5,yes"), [(3, "frax_major_percent")]),
    "hip above major": ((HEAD, "1,,x,4.5,22.0,yes"), [(2, "frax_hip_percent")]),
    "half of FRAX": ((HEAD, "1,,x,22.0,,"), [(2, "frax_hip_percent"), (2, "frax_with_bmd")]),
    "FRAX of the future": (
        (f"{HEAD},frax_calculated_on", "1,,x,22.0,4.5,yes,2026-11-26"),
        [(2, "frax_calculated_on")],
    ),
    "date the other way": (
        (f"{HEAD},frax_calculated_on", "1,,x,22.0,4.5,yes,01.11.2026"),
        [(2, "frax_calculated_on")],
    ),
    "text in a number": ((HEAD, "1,,x,high,4.5,yes"), [(2, "frax_major_percent")]),
    "decimal comma": (("patient_id;source;spine_t_score", "1;x;-2,5"), [(2, "spine_t_score")]),
    "decimal comma between commas": (("patient_id,spine_t_score,source", "1,-2,5,x"), [(2, "source")]),
    "unknown column": (("patient_id,source,vitamin_d", "1,x,20"), [(1, "column 3")]),
    "a name as column": (("patient_id,source,Canarybird", "1,x,20"), [(1, "column 3")]),
    "column of a name": (("patient_id,source,patient_name", "1,x,20"), [(1, "patient_name")]),
    "misspelled column": (("patient_id,source,fracture_site", "1,x,hip"), [(1, "fracture_site")]),
    "name and birth date": (
        ("patient_id,source,patient_name,birth_date", "1,x,Doe,1950"),
        [(1, "patient_name"), (1, "birth_date")],
    ),
    "column twice": (("patient_id,source,falls,falls", "1,x,yes,no"), [(1, "falls")]),
    "missing source": ((HEAD, "1,A-1,x,,,", "2,A-2,,22.0,4.5,yes"), [(3, "source")]),
    "no column of sources": (("patient_id,falls", "1,yes"), [(1, "source")]),
    "missing patient": ((HEAD, ",A-1,x,22.0,4.5,yes"), [(2, "patient_id")]),
    "no header": (("0815,letter", "0816,letter"), [(1, "patient_id"), (1, "source")]),
    "tabs": (("patient_id\tsource", "1\tx"), [(1, "")]),
    "fewer cells": ((HEAD, "1,A-1,x,22.0"), [(2, "frax_hip_percent")]),
    "open quotation": (("patient_id,source", '1,"x'), [(2, "")]),
    "line break in a text": (("patient_id,source", '1,"a\nb"', '2,"c"'), [(2, "source")]),
    "empty": (("",), [(1, "")]),
    "only a header": ((HEAD,), [(1, "")]),
    "fracture of the wrist, but none": (
        ("patient_id,source,previous_fracture,fracture_sites", "1,x,no,wrist", "2,x,,hip", "3,x,yes,toe"),
        [(2, "fracture_sites"), (3, "fracture_sites"), (4, "fracture_sites")],
    ),
    "recent fracture, but none": (
        ("patient_id,source,previous_fracture,recent_fracture", "1,x,no,yes"),
        [(2, "recent_fracture")],
    ),
    "dose, but no glucocorticoid": (
        ("patient_id,source,glucocorticoids,glucocorticoid_mg_day", "1,x,no,7.5", "2,x,yes,7500"),
        [(2, "glucocorticoid_mg_day"), (3, "glucocorticoid_mg_day")],
    ),
    "implausible T-score": (
        ("patient_id,source,total_hip_left_t_score", "1,x,-25"), [(2, "total_hip_left_t_score")]
    ),
    "neither yes nor no": (("patient_id,source,falls", "1,x,1"), [(2, "falls")]),
    "unknown status": (("patient_id,source,menopausal_status", "1,x,peri"), [(2, "menopausal_status")]),
    "reference of nothing": (
        ("patient_id,source,t_score_reference", "1,x,NHANES III"), [(2, "t_score_reference")]
    ),
    "long text": (("patient_id,source", f"1,{'x' * 121}"), [(2, "source")]),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "wrong"), WRONG_TABLES.values(), ids=WRONG_TABLES)
def test_a_wrong_table_is_told_by_line_and_column(
    lines: tuple[str, ...], wrong: list[tuple[int | None, str]]
) -> None:
    found = table(*lines)
    assert places(found) == wrong
    assert all(mistake.problem and mistake.remedy for mistake in found.mistakes)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ("patient_id,source\n1,a\n2,Dr. Müller\n".encode("latin-1"), [(3, "source")]),
        ("patient_id,source\n1,x\n".encode("utf-16"), [(1, "")]),
        (b"\xef\xbb\xbf \n", [(1, "")]),
        (b"PK\x03\x04\0\0\0", [(1, "")]),  # a spreadsheet's own format
    ],
)
def test_a_wrong_encoding_is_told(data: bytes, wrong: list[tuple[int | None, str]]) -> None:
    assert places(read(data, TODAY)) == wrong


WRONG_JSON: dict[str, tuple[str, list[tuple[int | None, str]]]] = {
    "mg/cm2": (
        '[{"patient_id":"1","source":"x","densities":[{"site":"L2","bmd_g_cm2":912}]}]',
        [(1, "densities[0].bmd_g_cm2")],
    ),
    "unknown site": (
        '[{"patient_id":"1","source":"x","densities":[{"site":"heel","t_score":-1}]}]',
        [(1, "densities[0].site")],
    ),
    "side of a spine": (
        '[{"patient_id":"1","source":"x","densities":[{"site":"L1-L4","side":"left","t_score":-1}]}]',
        [(1, "densities[0].site")],
    ),
    "site twice": (
        '[{"patient_id":"1","source":"x","spine_t_score":-1,"densities":[{"site":"L1-L4","t_score":-1}]}]',
        [(1, "densities[0].site")],
    ),
    "nothing of a site": (
        '[{"patient_id":"1","source":"x","densities":[{"site":"L1-L4"}]}]', [(1, "densities[0]")]
    ),
    "unknown field of a site": (
        '[{"patient_id":"1","source":"x","densities":[{"site":"L2","bmd":0.9,"t_score":1}]}]',
        [(1, "densities[0].bmd")],
    ),
    "no list": ('{"patient_id":"1","source":"x","densities":{"site":"L2"}}', [(1, "densities")]),
    "name": ('{"patient_id":"1","source":"x","name":"Doe"}', [(1, "name")]),
    "field twice": ('{"patient_id":"1","source":"x","falls":true,"falls":false}', [(1, "falls")]),
    "fraction": (
        '[{"patient_id":"0","source":"x"},'
        '{"patient_id":"1","source":"x","frax_major_percent":0.22,"frax_hip_percent":0.1,"frax_with_bmd":true}]',
        [(2, "frax_major_percent")],
    ),
    "not a number": ('{"patient_id":"1","source":"x","spine_t_score":NaN}', [(1, "spine_t_score")]),
    "list for a text": ('{"patient_id":"1","source":["x"]}', [(1, "source")]),
    "no object": ('[{"patient_id":"1","source":"x"}, 5]', [(2, "")]),
    "by patient ID": ('{"0815": {"falls": true}}', [(1, "patient_id"), (1, "source")]),
    "empty list": ("[]", [(None, "")]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "wrong"), WRONG_JSON.values(), ids=WRONG_JSON)
def test_wrong_json_is_told_by_record_and_field(text: str, wrong: list[tuple[int | None, str]]) -> None:
    found = table(text)
    assert [(mistake.record, mistake.field) for mistake in found.mistakes] == wrong


def test_no_json_at_all_is_told_by_line_and_character() -> None:
    assert places(table('[{"patient_id": "1",', ' "source": }]')) == [(2, "character 12")]
    assert len(table("[" * 100_000).mistakes) == 1


def test_the_hint_fits_the_mistake() -> None:
    def said(*lines: str) -> str:
        return str(table(*lines).mistakes[0])

    assert "divided by 1000" in said("patient_id,source,spine_bmd_g_cm2", "1,x,912")
    assert "fraction" in said(HEAD, "1,,x,0.22,0.1,yes")
    assert "decimal point" in said("patient_id;source;spine_t_score", "1;x;-2,5")
    assert "fracture_sites?" in said("patient_id,source,fracture_site", "1,x,hip")
    assert "matched by patient ID" in said("patient_id,source,patient_name", "1,x,Doe")
    assert said(HEAD, "1,,x,22.0,4.5,perhaps").startswith("line 2, frax_with_bmd: ")


def test_no_value_is_ever_quoted() -> None:
    """A column that slipped holds names and birth dates; messages end up in logs."""
    canary = "Canary^Zoe"
    texts = [f"{canary},{canary}\n1,2", f"{HEAD}\n{','.join([canary] * 6)}", f"{HEAD}\n{canary},1",
             f'[{{"{canary}": 1}}]', f'[{{"patient_id": "1", "source": "x", "spine_t_score": "{canary}",'
             f' "falls": "{canary}", "densities": [{{"site": "{canary}", "side": "{canary}"}}]}}]',
             ",".join(FIELDS) + "\n" + ",".join([canary] * len(FIELDS))]  # fmt: skip
    for text in texts:
        found = read(text.encode(), TODAY)
        assert found.mistakes
        assert "Canary" not in " ".join(str(mistake) for mistake in found.mistakes)


def test_a_file_without_end_is_refused() -> None:
    assert [m.problem for m in read(b"x" * (MAX_BYTES + 1), TODAY).mistakes] == ["The file is too large."]
    found = table(HEAD, *(f"{n},,x,,," for n in range(MAX_RECORDS + 1)))
    assert len(found.mistakes) == 1
    assert len(found.declarations) == MAX_RECORDS


@given(st.binary(max_size=300))
def test_any_bytes_end_in_declarations_or_mistakes(data: bytes) -> None:
    found = read(data, TODAY)
    assert found.mistakes or found.declarations


@given(
    st.lists(
        st.sampled_from(["", "1", "yes", "-2.5", "0,5", "x", '"', "\u00e4", "22.0", "912"]),
        min_size=6,
        max_size=6,
    )
)
def test_a_line_is_right_or_told_with_its_place(cells: list[str]) -> None:
    found = table(HEAD, ",".join(cells))
    assert all(mistake.line in (1, 2) for mistake in found.mistakes)
    if not found.mistakes:
        (declared,) = found.declarations
        assert declared.context.source
