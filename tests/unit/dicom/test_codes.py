"""Concepts fit their attributes and are told apart."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes as dictionary

from tbsnode.dicom import codes, codes_clinical
from tbsnode.dicom.codes import Concept
from tbsnode.dicom.codes_clinical import Density
from tbsnode.reasons import Code


def concepts_of(value: object) -> list[Concept]:
    """Every concept that a name of a module holds, in tables and in sets of three too."""
    if isinstance(value, Concept):
        return [value]
    if isinstance(value, dict):
        return [concept for each in value.values() for concept in concepts_of(each)]
    return [each for each in value if isinstance(each, Concept)] if isinstance(value, Density) else []


EVERY = [
    *(
        found
        for module in (codes, codes_clinical)
        for value in vars(module).values()
        for found in concepts_of(value)
    ),
    *(codes.of_code(code) for code in Code),
]


@pytest.mark.parametrize("concept", EVERY, ids=lambda concept: concept.value)
def test_fits_its_attributes(concept: Concept) -> None:
    assert 0 < len(concept.value) <= 16
    assert 0 < len(concept.scheme) <= 16
    assert 0 < len(concept.meaning) <= 64
    assert "".join(concept).isascii()


def test_no_code_means_two_things() -> None:
    meanings: dict[tuple[str, str], str] = {}
    for concept in EVERY:
        assert meanings.setdefault((concept.value, concept.scheme), concept.meaning) == concept.meaning


def test_every_finding_has_its_own_code() -> None:
    assert len({codes.of_code(code).value for code in Code}) == len(Code)


@pytest.mark.parametrize("concept", [c for c in EVERY if c.scheme in ("DCM", "SCT")], ids=lambda c: c.value)
def test_standard_codes_mean_what_the_standard_says(concept: Concept) -> None:
    # pydicom's copy of PS3.16 is the judge; where it lacks a code, or words it otherwise, see the list
    known = {
        meaning.meaning
        for name in getattr(dictionary, concept.scheme).dir()
        if (meaning := getattr(getattr(dictionary, concept.scheme), name)).value == concept.value
    }
    elsewhere = {
        "241686001": "Dual energy X-ray photon absorptiometry",  # CID 10005, older wording is shorter
        "42798000": "Area",
    }
    assert concept.meaning in known or elsewhere.get(concept.value) == concept.meaning


def test_the_tables_are_looked_into() -> None:
    values = {concept.value for concept in EVERY}
    assert {"TBS-CAT-PART", "REGION-REVIEWER", "80933-5", "RF-T2D", "BMD-DX-OP", "113037"} <= values


def test_item() -> None:
    item = codes.item(codes.TEXTURE_SLOPE)
    assert (item.CodeValue, item.CodingSchemeDesignator) == ("TEXSLOPE", "99TBSNODE")
    assert codes.scheme_identification().CodingSchemeDesignator == "99TBSNODE"
