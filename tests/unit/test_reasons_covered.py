"""Every code of the table is provoked by a test: a word without a detector is a promise not kept.

Only tests of what finds something count. Those that print, store or send findings make their own.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tbsnode.reasons import TABLE, Code, Finding
from tbsnode.text import remedy, sentence

TESTS = Path(__file__).parents[1]

# Modules that are given findings instead of provoking them.
GIVEN = {
    "test_text.py",
    "test_reasons_covered.py",
    "test_pdf.py",
    "test_table.py",
    "test_figures.py",
    "test_results.py",
    "test_status.py",
    "test_measurement_report.py",
    "test_validators.py",
    "test_calibration_plots.py",
    "test_narrative.py",
    "test_narrative_context.py",
    "test_narrative_laws.py",
    "conftest.py",
    "test_decision_words.py",
    "test_pdf_decision.py",
    "report_cases.py",
    "report_parts.py",
    "reported.py",
}

# Codes that nothing provokes yet; the list may only shrink.
WITHOUT_A_TEST: frozenset[Code] = frozenset()


def provoking() -> dict[str, str]:
    found = {str(path): path.read_text("utf-8") for path in TESTS.rglob("*.py") if path.name not in GIVEN}
    assert len(found) > 50
    return found


SOURCES = provoking()


def names(code: Code, text: str) -> bool:
    """Tell if a test module has the code in an expression or in a string, alone or with other words."""
    return re.search(rf"""\bCode\.{code.name}\b|["'][^"'\n]*\b{code.value}\b[^"'\n]*["']""", text) is not None


@pytest.mark.parametrize("code", [code for code in Code if code not in WITHOUT_A_TEST])
def test_a_test_provokes_it(code: Code) -> None:
    assert [name for name, text in SOURCES.items() if names(code, text)] != []


def test_the_list_shrinks() -> None:
    """A code that has its test is taken off the list."""
    assert [c for c in WITHOUT_A_TEST if any(names(c, text) for text in SOURCES.values())] == []


def test_names_are_told_apart() -> None:
    assert names(Code.RESAMPLED, 'assert "RESAMPLED" in codes')
    assert not names(Code.RESAMPLED, "Code.RESAMPLED_TOO_SMOOTH")
    assert not names(Code.MOVEMENT, "a movement; MOVEMENT in a comment is no test")


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_row_and_its_words(code: Code) -> None:
    assert code in TABLE
    assert sentence(Finding(code))
    assert remedy(code)


@pytest.mark.parametrize("code", Code)
def test_something_in_the_package_says_it(code: Code) -> None:
    package = TESTS.parent / "tbsnode"
    words = {package / "reasons.py", *(package / "text").rglob("*.py")}
    texts = (path.read_text("utf-8") for path in package.rglob("*.py") if path not in words)
    assert any(re.search(rf"\bCode\.{code.name}\b", text) for text in texts)
