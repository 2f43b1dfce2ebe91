"""A sample of the family of phantoms, judged as `scripts/bench_segmentation` judges all of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tbsnode.phantom import family
from tests.bench import segmentation as bench

SAMPLE = 40


@pytest.fixture(scope="module")
def done() -> list[Any]:
    return [bench.run(case) for case in family.cases(SAMPLE, 5)]


def test_a_sample_meets_every_target(done: list[Any]) -> None:
    figures = bench.totals(done)
    assert [each.name for each in figures if each.met is False] == []
    assert sum(each.met is True for each in figures) >= 8


def test_a_wrong_label_would_be_seen(done: list[Any]) -> None:
    """The judge is no rubber stamp: turn one right result into a silent wrong one."""
    from dataclasses import replace

    index = next(i for i, each in enumerate(done) if each.certain and each.right)
    spoiled = [*done[:index], replace(done[index], right=False), *done[index + 1 :]]
    assert "labels right where they are not doubted" in [
        each.name for each in bench.totals(spoiled) if each.met is False
    ]


def test_the_same_seed_gives_the_same_pixels() -> None:
    for case in family.cases(3, 9):
        assert np.array_equal(family.render(case).pixels, family.render(case).pixels)
    assert family.cases(60, 1) == family.cases(120, 1)[:60]
    assert family.cases(10, 1) != family.cases(10, 2)


def test_a_sample_of_forty_has_every_group() -> None:
    assert {case.group for case in family.cases(SAMPLE, 5)} == set(family.SHARES)


def test_one_patient_is_scanned_again_and_again() -> None:
    scans = [case for case in family.cases(200, 1) if case.group == "repositioning"]
    first = [case for case in scans if case.name == "patient 0"]
    assert len(first) == family.REPEATS
    assert len({case.seed for case in first}) == 1
    assert len({case.scan_seed for case in first}) == family.REPEATS
    assert len({case.scanner for case in first}) == 1
    assert len({case.spine.shift_mm for case in first if case.spine}) == family.REPEATS


@pytest.mark.parametrize("name", ["knee", "chest"])
def test_the_new_fields_are_no_lumbar_spine(name: str) -> None:
    drawing = family.OTHERS[name](1)
    assert drawing.truth is None
    assert drawing.pixels.max() > 0.5
