from __future__ import annotations

import math
import re
from string import Formatter

import pytest

from tbsnode import text
from tbsnode.reasons import Actor, Code, Finding
from tbsnode.tbs.parameters import Parameters

NUMBERS = (  # noqa: SIM905 - shorter than a list
    "age_days age_years area_mm2 attributes bmi calibration classes column_mm confidence count "
    "covariate curve_degrees curve_mm detail difference difference_mm fit_r2 frames gray_levels "
    "height_mm high most_mm most_percent hip_years levels limit_days low major_years minimum "
    "minimum_mm2 noise_percent other other_column_mm other_row_mm others pairs patient_ids percent "
    "pitch_mm reason row_mm score_without shift slope source step_mm t_score_step tbs_without "
    "tilt_degrees used used_column_mm used_row_mm valid_until value width_mm"
).split()
FORBIDDEN = re.compile(
    r"bisphosphonate|denosumab|teriparatide|alendron|hologic|lunar|insight|normal|degraded|osteoporo", re.I
)


# texture classes, which only a calibrated result names, on its scale too; diagnoses of bone density
EARNED_KEYS = ("class_", "scale_", "diagnosis_", "interpret_diagnosis_")
# what is declared and supplied, and that no texture cancels it
EARNED = re.compile(r"a normal TBS (does|would) not cancel it|major osteoporotic|secondary osteoporosis")


def all_wordings(language: str) -> list[str]:
    words = text.LANGUAGES[language]
    return [
        *(w for e in words.entries.values() for w in (e.found, e.act, *e.details)),
        *(words for key, words in words.phrases.items() if not key.startswith(EARNED_KEYS)),
        *words.actors.values(),
    ]


def test_quotes_the_numbers_of_a_finding():
    finding = Finding(Code.REGION_TOO_SMALL, "L2", (("area_mm2", 251.25), ("minimum_mm2", 300.0)))
    assert text.sentence(finding) == (
        "L2 is left out: its measured area is too small. 251 mm2; at least 300 mm2 are needed."
    )
    assert text.remedy(finding.code, "L2") == "Reading physician: check the outline of L2."


def test_leaves_out_what_a_finding_does_not_carry():
    assert text.sentence(Finding(Code.REGION_TOO_SMALL)) == (
        "One vertebra is left out: its measured area is too small."
    )
    assert text.sentence(Finding(Code.REGION_TOO_SMALL, "L2", (("minimum_mm2", 300.0),))) == (
        "L2 is left out: its measured area is too small. (minimum 300 mm2)"
    )


def test_appends_a_number_that_no_template_names():
    finding = Finding(Code.NO_SPINE_FOUND, values=(("column_width_mm", 12.34), ("tries", 3.0)))
    assert text.sentence(finding) == (
        "No lumbar spine was found in the picture. (column width 12.3 mm; tries 3)"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.6, "0.6"), (1.05, "1.05"), (0.9312, "0.931"), (24.13, "24.1"), (780.4, "780"), (12345.0, "12345")],
)
def test_writes_numbers_with_three_figures(value, shown):
    assert f"({'n'} {shown})" in text.sentence(Finding(Code.NO_IMAGE, values=(("n", value),)))


def test_a_text_value_cannot_break_a_sentence():
    said = text.sentence(Finding(Code.NO_IMAGE, values=(("why", "{level}\n\x1b[31m" + "x" * 999),)))
    assert "\n" not in said
    assert "\x1b" not in said
    assert "{" not in said
    assert len(said) < text.LONGEST_VALUE + 100


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "", "  "])
def test_says_nothing_about_a_value_that_is_none(value):
    assert text.sentence(Finding(Code.NO_IMAGE, values=(("n", value),))) == text.sentence(
        Finding(Code.NO_IMAGE)
    )


def test_every_code_has_an_entry_in_every_language():
    for words in text.LANGUAGES.values():
        assert set(words.entries) == set(Code)
        assert set(words.actors) == set(Actor)


@pytest.mark.parametrize("language", text.LANGUAGES)
@pytest.mark.parametrize("level", [None, "L3"])
@pytest.mark.parametrize("code", Code)
def test_sentences_are_complete(code, level, language):
    bare = Finding(code, level)
    full = Finding(code, level, tuple((name, 7.0) for name in NUMBERS))
    for said in (text.sentence(bare, language=language), text.sentence(full, language=language)):
        assert said[0].isupper() or said.startswith("tbsnode")
        assert said[-1] in ".)"
        assert not re.search(r"[{}]|\bNone\b|\bnan\b|  ", said)
        assert level is None or "{level}" not in text.CATALOGUE[code].found or level in said
    assert "(" not in text.sentence(bare) or "(" in text.CATALOGUE[code].found
    told = text.remedy(code, level, language=language)
    assert told.endswith(".")
    assert not re.search(r"[{}]|None", told)
    assert text.actor(bare, language=language)


@pytest.mark.parametrize("code", Code)
def test_the_remedy_speaks_to_the_actor_of_the_table(code):
    openings = {
        Actor.SENDER: ("Scanner operator: ", "Sender: "),
        Actor.ADMINISTRATOR: ("Administrator: ",),
        Actor.PHYSICIAN: ("Reading physician: ",),
        Actor.NOBODY: ("Nobody has to act.",),
    }
    assert text.remedy(code).startswith(openings[Finding(code).actor])


def test_templates_use_only_known_names():
    for entry in text.CATALOGUE.values():
        names = {
            n for w in (entry.found, entry.act, *entry.details) for _, n, _, _ in Formatter().parse(w) if n
        }
        assert names <= {"level", *NUMBERS}


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_no_wording_names_a_drug_a_product_or_an_unearned_category(language):
    for wording in all_wordings(language):
        assert not FORBIDDEN.search(EARNED.sub("", wording)), wording


def test_sentences_are_short():
    for entry in text.CATALOGUE.values():
        assert max(len(s.split()) for s in re.split(r"[.;:]\s", entry.found)) <= 25, entry.found


def test_the_limits_say_what_the_software_is_not():
    limits = text.phrase("limits")
    for words in ("not the vendor's TBS", "research use", "not cleared", "Not to be used alone"):
        assert words in limits


def test_a_phrase_that_lacks_its_value_is_an_error():
    with pytest.raises(KeyError):
        text.phrase("tbs_value")
    with pytest.raises(KeyError):
        text.phrase("no such phrase")


def test_methods_quote_the_parameters_that_ran():
    said = dict(text.methods(Parameters(lag_min_mm=0.77, edge_inset_mm=1.5, radii=21)))
    assert "0.77 to 5.25 mm" in said["score"]
    assert "21 distances" in said["score"]
    assert "drawn in by 1.5 mm" in said["segmentation"]
    body = dict(text.methods(Parameters(region="body")))
    assert "inside its endplates" in body["segmentation"]
    assert "drawn in by 2 mm" in body["segmentation"]
    assert all("{" not in words for _, words in text.methods(Parameters()))
    scanner = dict(text.methods(Parameters(), region_source="scanner"))
    assert "the scanner's own" in scanner["labeling"]
    assert "software alone" in said["labeling"]


@pytest.mark.parametrize(
    ("words", "joined"),
    [((), ""), (("L1",), "L1"), (("L1", "L2"), "L1 and L2"), (("L1", "L2", "L4"), "L1, L2 and L4")],
)
def test_joins_words(words, joined):
    assert text.join(words) == joined
