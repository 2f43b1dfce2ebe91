"""Simulated adults: the line is the one that is stated, and nothing else goes with it."""

from __future__ import annotations

import numpy as np
import pytest

from tbsnode.phantom.population import LEAST_SLOPE, MOST_SLOPE, Relation, adults

EXACT = Relation(intercept=0.5, slope=0.5, score_sd=0.0, tbs_sd=0.0)


def test_without_errors_each_lies_on_the_line() -> None:
    (one,) = adults(1, 3, EXACT)
    assert (one.score, one.tbs) == (LEAST_SLOPE, 0.5 + 0.5 * LEAST_SLOPE)
    assert sorted(each.score for each in adults(3, 3, EXACT)) == pytest.approx([1.2, 1.4, MOST_SLOPE])


def test_the_same_arguments_give_the_same_adults() -> None:
    assert adults(20, 7) == adults(20, 7)
    assert adults(20, 7) != adults(20, 8)


def test_errors_are_as_large_as_stated() -> None:
    relation = Relation(intercept=0.0, slope=1.0, score_sd=0.01, tbs_sd=0.03)
    off = np.array([each.tbs - each.score for each in adults(4000, 1, relation)])
    assert off.std() == pytest.approx(np.hypot(0.01, 0.03), rel=0.05)
    assert abs(off.mean()) < 0.002


def test_the_patient_does_not_go_with_the_value() -> None:
    many = adults(4000, 1)
    off = [each.tbs + 0.06 - 0.95 * each.score for each in many]
    for values in (
        [each.age_years for each in many],
        [each.bmi for each in many],
        [float(each.sex == "M") for each in many],
    ):
        assert abs(np.corrcoef(off, values)[0, 1]) < 0.05
    assert min(sum(each.sex == sex for each in many) for sex in "FM") > 1000
