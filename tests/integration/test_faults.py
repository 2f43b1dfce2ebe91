"""The quick rows of `scripts/faults`; the others take longer than a test may."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import faults

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.mark.parametrize("border", ["one of two sent"])
def test_a_process_killed_at_a_border(border: str, tmp_path: Path) -> None:
    counts = faults.killed_at(border, tmp_path)
    assert (counts.sent, counts.acknowledged, counts.results) == (3, 3, 6)
    assert (counts.duplicates, counts.lost) == (0, 0)


def test_a_clock_that_is_set_back(tmp_path: Path) -> None:
    counts = faults.clock_set_back(tmp_path)
    assert (counts.acknowledged, counts.results, counts.duplicates, counts.lost) == (4, 8, 0, 0)


def test_100_associations_a_tenth_aborted(tmp_path: Path) -> None:
    counts = faults.associations(tmp_path, 100)
    assert counts.survived


def test_a_lost_result_would_be_counted() -> None:
    """The rows themselves: an archive that has nothing of an acknowledged study, or one thing twice."""
    counts = faults.Counts(sent=1, acknowledged=1, results=1, lost=1)
    assert not counts.survived
    assert not faults.Counts(sent=1, acknowledged=1, results=3, duplicates=1).survived
    assert not faults.Counts(sent=1).survived
    assert faults.Counts(sent=1, acknowledged=1, results=2).survived
