"""The coding aid: every rule of who did what, and that nothing but numbers of codes is ours."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbsnode import text
from tbsnode.model import Analysis, CodingAdvice, Review, ReviewAction
from tbsnode.pipeline import coding
from tbsnode.pipeline.coding import Performed, advice, judged
from tbsnode.pipeline.making import SIMULATED_STATION
from tbsnode.pipeline.site import CallerTiming, Policy
from tbsnode.reasons import Code, Finding
from tests import report_cases, report_parts

ROOT = Path(__file__).parents[2]
DONE = Performed(
    scored=True, has_tbs=True, simulated=False, action=ReviewAction.ACCEPT, organization="Example Clinic"
)


def policy(**changes: Any) -> Policy:
    """A site that has the aid on and declares a clearance."""
    values: dict[str, Any] = {
        "ae_title": "TBSNODE",
        "serial_number": "1",
        "device_uid": "2.25.1",
        "version": "0.1.0",
        "shadow": False,
        "timing": CallerTiming(quiet_s=1.0, after_release_s=1.0),
        "coding": True,
        "clearance": "K000000",
        "institution": "Example Clinic",
    }
    return Policy(**{**values, **changes})


def said(performed: Performed, **changes: Any) -> CodingAdvice:
    made = judged(performed, policy(**changes))
    assert made is not None
    return made


# ---- what a report says -------------------------------------------------------------------------


def on_report(
    analysis: Analysis | None = None, review: Review | None = None, **changes: Any
) -> CodingAdvice | None:
    return advice(analysis or report_cases.calibrated(), review, policy(**changes))


def test_computed_and_signed_by_one_organization() -> None:
    made = on_report(review=report_cases.review())
    assert made == CodingAdvice(codes=("77089",), why="Computed and signed at Example Clinic.")


def test_computed_here_and_signed_elsewhere() -> None:
    reviewer = replace(report_cases.REVIEWER, organization="Other Practice")
    made = on_report(review=report_cases.review(reviewer=reviewer))
    assert made == CodingAdvice(
        codes=("77091", "77092"), why="77091: computed at Example Clinic. 77092: signed at Other Practice."
    )


def test_off_by_default() -> None:
    assert on_report(review=report_cases.review(), coding=False) is None
    fields = Policy.__dataclass_fields__
    assert fields["coding"].default is False


def test_never_unsigned() -> None:
    assert on_report() == CodingAdvice(codes=(), why="Nobody has signed the report.")


def test_never_without_a_value() -> None:
    refused = report_parts.refused(Finding(Code.NO_TEXTURE))
    assert on_report(refused, report_cases.review()) == CodingAdvice(codes=(), why="No TBS is reported.")
    uncalibrated = report_parts.analysis()
    assert on_report(uncalibrated, report_cases.review()) == CodingAdvice(
        codes=(), why="No TBS was computed."
    )


def test_never_for_a_simulation() -> None:
    none = CodingAdvice(codes=(), why="This is a simulation.")
    assert (
        on_report(report_cases.calibrated(findings=(Finding(Code.SIMULATED),)), report_cases.review()) == none
    )
    scanner = replace(report_parts.IDENTITY.scanner, station_name=SIMULATED_STATION)
    drawn = report_cases.calibrated(identity=replace(report_parts.IDENTITY, scanner=scanner))
    assert on_report(drawn, report_cases.review()) == none


@pytest.mark.parametrize("clearance", ["", "  "])
def test_never_without_a_declared_clearance(clearance: str) -> None:
    made = on_report(review=report_cases.review(), clearance=clearance)
    assert made == CodingAdvice(codes=(), why="No clearance is declared ([site] clearance).")


def test_never_after_a_withdrawal() -> None:
    made = on_report(review=report_cases.review(ReviewAction.REJECT))
    assert made == CodingAdvice(codes=(), why="The result was withdrawn.")


def test_never_where_the_site_is_not_named() -> None:
    made = on_report(review=report_cases.review(), institution="")
    assert made == CodingAdvice(codes=(), why="The site is not named ([site] name).")


def test_an_amendment_is_charged_once() -> None:
    made = on_report(review=report_cases.AMENDED)
    assert made is not None
    assert made.codes == ("77089",)
    assert made.why == "Computed and signed at Example Clinic. Amended: charge once."


def test_a_signer_without_an_organization_answers_for_the_site() -> None:
    """As the structured report says: the Verifying Organization is then the site."""
    assert said(replace(DONE, organization="")).codes == ("77089",)


@pytest.mark.parametrize("name", ["example clinic", " Example  Clinic "])
def test_letter_case_and_blanks_make_no_other_organization(name: str) -> None:
    assert said(replace(DONE, organization=name)).codes == ("77089",)


def test_an_image_of_another_institution_is_a_reason_to_look() -> None:
    doubt = "if that one charges, 77089 does not fit."
    assert doubt in said(replace(DONE, image_institution="Mobile Scans")).why
    assert doubt not in said(replace(DONE, image_institution="EXAMPLE CLINIC")).why
    assert doubt not in said(replace(DONE, image_institution="")).why
    apart = replace(DONE, image_institution="Mobile Scans", organization="Other Practice")
    assert doubt not in said(apart).why


performed = st.builds(
    Performed,
    scored=st.booleans(),
    has_tbs=st.booleans(),
    simulated=st.booleans(),
    image_institution=st.sampled_from(["", "Example Clinic", "Mobile Scans"]),
    action=st.none() | st.sampled_from(ReviewAction),
    organization=st.sampled_from(["", "Example Clinic", "Other Practice"]),
    version=st.integers(1, 3),
)


@given(performed, st.sampled_from(["", "K000000"]), st.sampled_from(["", "Example Clinic"]))
def test_laws(what: Performed, clearance: str, institution: str) -> None:
    made = said(what, clearance=clearance, institution=institution)
    earned = (
        what.scored
        and what.has_tbs
        and not what.simulated
        and what.action in (ReviewAction.ACCEPT, ReviewAction.CORRECT)
        and bool(clearance and institution)
    )
    assert bool(made.codes) == earned
    assert made.codes in ((), ("77089",), ("77091", "77092"))
    assert all(re.fullmatch(r"\d{5}", code) for code in made.codes), "no modifier"
    assert made.why.endswith(".")
    if not made.codes:
        assert not re.search(r"\d{5}", made.why)


# ---- the words of the code book are not ours ----------------------------------------------------

# pieces of what the codes are called in the book; in halves, so that this file does not hold them
BOOK = [
    "structural " + "condition",
    "gray-scale " + "variogram",
    "grey-scale " + "variogram",
    "technical " + "preparation",
    "preparation and " + "transmission",
    "to be performed " + "elsewhere",
    "technical " + "calculation",
    "other qualified " + "health",
    "report on " + "fracture",
]


def test_no_phrase_names_what_a_code_stands_for() -> None:
    for key, phrase in text.LANGUAGES["en"].phrases.items():
        for piece in BOOK:
            assert piece not in phrase.lower(), key
    with_codes = {k: p for k, p in text.LANGUAGES["en"].phrases.items() if re.search(r"7709?[012]|77089", p)}
    assert set(with_codes) == {"coding_why_apart", "coding_why_elsewhere"}


def test_no_file_of_the_repository_holds_the_words_of_the_code_book() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    wrong = []
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".txt", ".csv") and path.is_file():
            words = " ".join(path.read_text(encoding="utf-8").lower().split())
            wrong += [(name, piece) for piece in BOOK if piece in words]
    assert wrong == []


def test_the_check_of_words_can_fail() -> None:
    assert any(piece in "x technical " + "calculation only y" for piece in BOOK)


def test_an_advice_is_stored_as_json_types() -> None:
    assert coding.as_json(None) is None
    assert coding.as_json(CodingAdvice(codes=("77089",), why="x")) == {"codes": ["77089"], "why": "x"}
