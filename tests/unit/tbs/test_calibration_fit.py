"""Calibrations from simulated pairs with a known truth: what is found, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tbsnode.tbs import calibration, deming
from tbsnode.tbs import calibration_fit as fitting
from tbsnode.tbs.calibration import Kind, Person
from tbsnode.tbs.calibration_fit import Pair, Refused
from tbsnode.tbs.result import ImageStatistics
from tests import paired

NONE = np.zeros((0, 0))


def codes(fit: fitting.Fit) -> list[Refused]:
    return [refusal.code for refusal in fit.refusals]


def test_the_line_through_points_on_a_line_is_that_line() -> None:
    x = np.array([1.0, 1.2, 1.5])
    assert deming.deming(x, 0.3 + 0.8 * x, 2.0) == pytest.approx((0.3, 0.8), abs=1e-12)


def test_equal_errors_treat_both_axes_alike() -> None:
    """By hand: four corners of a cross; with equal errors the line is the diagonal."""
    x, y = np.array([0.0, 1.0, 2.0, 1.0]), np.array([0.0, 2.0, 2.0, 0.0])
    assert deming.deming(x, y, 1.0)[1] == pytest.approx(1.6180339887, abs=1e-9)
    assert deming.deming(y, x, 1.0)[1] == pytest.approx(1 / 1.6180339887, abs=1e-9)


def test_line_and_covariates_of_exact_data_come_back() -> None:
    x = np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.5])
    z = np.array([[-1.0, 2.0], [3.0, -1.0], [-2.0, -2.0], [1.0, 1.0], [-2.0, 1.0], [1.0, -1.0]])
    line = deming.fit(x, 0.3 + 0.8 * x + 0.02 * z[:, 0] - 0.05 * z[:, 1], z, 0.64)
    assert (line.intercept, line.slope) == pytest.approx((0.3, 0.8), abs=1e-9)
    assert line.extra == pytest.approx((0.02, -0.05), abs=1e-9)


def test_scores_that_are_all_alike_have_no_line() -> None:
    y, z = np.array([1.1, 1.2, 1.3, 1.4]), np.array([[1.0], [-1.0], [2.0], [-2.0]])
    assert np.isnan(deming.fit(np.full(4, 1.2), y, z, 1.0).slope)


@given(st.floats(0.2, 5.0), st.floats(-3.0, 3.0), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_change_of_units_changes_the_line_with_it(scale: float, offset: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(1.0, 1.5, 40)
    y = 0.2 + 0.9 * x + rng.normal(0, 0.02, 40)
    intercept, slope = deming.deming(x, y, 3.0)
    moved = deming.deming(x, scale * y + offset, 3.0 * scale**2)
    assert moved == pytest.approx((scale * intercept + offset, scale * slope), rel=1e-8, abs=1e-8)


def test_the_interval_of_a_mean_is_that_of_student() -> None:
    """Of 1 to 5 by a table of t: 3 and 2.776 times 1.5811, by the root of 5; the parameter is the mean."""
    values = np.arange(1.0, 6.0)
    without = np.array([np.delete(values, each).mean() for each in range(5)])
    assert deming.jackknife_interval(3.0, without) == pytest.approx((3 - 1.9632, 3 + 1.9632), abs=1e-3)


def test_a_known_line_lies_in_its_confidence_interval() -> None:
    """Of 200 simulated studies, about 95 % hold the true slope, and the true intercept, in its interval."""
    held = np.zeros(2)
    for seed in range(200):
        numbers = numbers_of(paired.pairs(60, seed))
        held[0] += numbers.slope_95[0] <= 1.1 <= numbers.slope_95[1]
        held[1] += numbers.intercept_95[0] <= -0.2 <= numbers.intercept_95[1]
    assert (held >= 0.92 * 200).all()
    assert (held <= 0.98 * 200).all()


def test_a_good_study_gives_a_value_and_a_category() -> None:
    fit = fitting.fit_paired(paired.pairs(90, 1), paired.KEY, paired.APPROVAL)
    made = fit.calibration
    assert fit.refusals == ()
    assert made is not None
    assert made.kind is Kind.PAIRED
    assert made.allows_category
    assert sum(made.per_category) == made.pairs == 90
    assert made.valid_until == date(2028, 11, 1)
    assert 0.015 < made.see < 0.03
    assert {each.covariate for each in made.limits} == {
        "bmi",
        "age_years",
        "gray_levels",
        "saturated_fraction",
        "short_lag_noise",
        "fit_r2",
        "sex",
    }
    assert made.calibration_id.startswith("CAL-")


def test_the_order_of_the_pairs_does_not_matter() -> None:
    pairs = paired.pairs(70, 2)
    a = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL).calibration
    b = fitting.fit_paired(pairs[::-1], paired.KEY, paired.APPROVAL).calibration
    assert a is not None
    assert b is not None
    assert (a.intercept, a.slope, a.see) == pytest.approx((b.intercept, b.slope, b.see), rel=1e-9)


def test_between_30_and_59_pairs_there_is_a_value_and_no_category() -> None:
    made = fitting.fit_paired(paired.pairs(45, 3), paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert not made.allows_category
    applied = calibration.apply(made, 1.3, Person(bmi=27.0, age_years=65.0, sex="F"), None)
    assert applied.tbs is not None
    assert not applied.category_allowed


def test_a_category_needs_twelve_pairs_in_each() -> None:
    few_degraded = [pair for pair in paired.pairs(200, 4) if pair.tbs > 1.23][:80]
    few_degraded += [pair for pair in paired.pairs(200, 5) if pair.tbs <= 1.23][:11]
    made = fitting.fit_paired(few_degraded, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert made.per_category[2] == 11
    assert not made.allows_category


def refused(pairs: list[Pair]) -> list[Refused]:
    fit = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL)
    assert fit.calibration is None
    return codes(fit)


def test_fewer_than_30_pairs() -> None:
    assert refused(paired.pairs(29, 6)) == [Refused.TOO_FEW]


def test_a_scan_counts_once() -> None:
    pairs = paired.pairs(60, 7)
    assert refused([*pairs, pairs[0]]) == [Refused.DUPLICATE]


def test_a_value_that_is_no_number() -> None:
    pairs = paired.pairs(60, 7)
    assert refused([*pairs[1:], replace(pairs[0], tbs=float("nan"))]) == [Refused.NOT_FINITE]


def test_a_slope_that_points_the_other_way() -> None:
    turned = paired.pairs(60, 8, paired.Truth(intercept=2.7, slope=-1.1))
    assert Refused.NEGATIVE_SLOPE in refused(turned)


def test_a_large_error_of_estimate() -> None:
    assert Refused.HIGH_SEE in refused(paired.pairs(60, 9, paired.Truth(tbs_error=0.08)))


def test_a_score_that_has_nothing_to_do_with_the_value() -> None:
    assert Refused.LOW_R2 in refused(paired.pairs(60, 10, paired.Truth(slope=0.05, tbs_error=0.03)))


def test_degraded_bone_called_normal() -> None:
    """Two of twenty degraded pairs look like normal ones to us."""
    pairs = [pair for pair in paired.pairs(300, 11) if pair.tbs > 1.25][:70]
    degraded = [pair for pair in paired.pairs(300, 12) if pair.tbs < 1.20][:20]
    wrong = [replace(pair, score=1.45) for pair in degraded[:2]]
    fit = fitting.fit_paired([*pairs, *wrong, *degraded[2:]], paired.KEY, paired.APPROVAL)
    assert Refused.DEGRADED_CALLED_NORMAL in codes(fit)
    assert fit.statistics is not None
    assert fit.statistics.degraded_called_normal == pytest.approx(0.1)


def test_a_slope_on_body_mass_is_modeled() -> None:
    fit = fitting.fit_paired(paired.pairs(90, 13, paired.Truth(bmi_slope=0.008)), paired.KEY, paired.APPROVAL)
    made = fit.calibration
    assert made is not None
    (covariate,) = made.covariates
    assert covariate.name == "bmi"
    assert covariate.slope == pytest.approx(0.008, abs=0.002)
    heavy = calibration.apply(made, 1.3, Person(bmi=31.0, age_years=65.0, sex="F"), None)
    light = calibration.apply(made, 1.3, Person(bmi=24.0, age_years=65.0, sex="F"), None)
    assert heavy.tbs is not None
    assert light.tbs is not None
    assert heavy.tbs - light.tbs == pytest.approx(7 * covariate.slope)
    assert calibration.apply(made, 1.3, Person(age_years=65.0, sex="F"), None).tbs is None


def test_men_and_women_on_two_lines_are_modeled() -> None:
    pairs = [replace(p, tbs=p.tbs + 0.03 * (p.sex == "M")) for p in paired.pairs(90, 14)]
    made = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert [each.name for each in made.covariates] == ["sex"]
    assert made.covariates[0].slope == pytest.approx(0.03, abs=0.012)
    unknown = calibration.apply(made, 1.3, Person(bmi=27.0, age_years=65.0), pairs[0].statistics)
    assert unknown.tbs is None
    said = [dict(finding.values) for finding in unknown.findings]
    assert {"covariate": "sex", "value": "unknown", "low": "F", "high": "M"} in said


def test_a_dependence_that_cannot_be_modeled_is_refused() -> None:
    """One patient's body mass is not known, so no line can use it; those known show the slope."""
    pairs = paired.pairs(90, 13, paired.Truth(bmi_slope=0.008))
    fit = fitting.fit_paired([replace(pairs[0], bmi=None), *pairs[1:]], paired.KEY, paired.APPROVAL)
    assert fit.calibration is None
    (refusal,) = fit.refusals
    assert refusal.code is Refused.RESIDUAL_COVARIATE
    values = dict(refusal.values)
    assert values["covariate"] == "bmi"
    assert float(values["p"]) < 0.05


def test_unknown_body_mass_costs_the_category_not_the_value() -> None:
    pairs = [replace(pair, bmi=None) for pair in paired.pairs(90, 1)]
    made = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert not made.allows_category


def test_pictures_without_statistics_cost_the_category() -> None:
    pairs = [replace(pair, statistics=None) for pair in paired.pairs(90, 1)]
    made = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert not made.allows_category


def test_a_calibration_of_women_gives_men_no_category() -> None:
    women = [replace(pair, sex="F") for pair in paired.pairs(90, 1)]
    made = fitting.fit_paired(women, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert made.allows_category
    picture = ImageStatistics(gray_levels=105, saturated_fraction=0.02, short_lag_noise=0.1, fit_r2=0.98)
    man = calibration.apply(made, 1.3, Person(bmi=27.0, age_years=65.0, sex="M"), picture)
    woman = calibration.apply(made, 1.3, Person(bmi=27.0, age_years=65.0, sex="F"), picture)
    assert woman.category_allowed
    assert man.tbs == woman.tbs
    assert not man.category_allowed
    assert dict(man.findings[0].values) == {"covariate": "sex", "value": "M", "low": "F", "high": "F"}


def test_the_ranges_are_the_5th_and_95th_percentile() -> None:
    pairs = paired.pairs(101, 15)
    made = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    ages = sorted(pair.age_years or 0.0 for pair in pairs)
    (age,) = (limit for limit in made.limits if limit.covariate == "age_years")
    assert (age.low, age.high) == pytest.approx((ages[5], ages[95]))


def test_chance_is_found_as_often_as_it_says_where_the_spread_grows() -> None:
    """Residuals without a slope, but three times as wide for the heavy: p < 0.05 in about 5 %."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=(60, 1))
    width = 1.0 + 2.0 * (z[:, 0] > 1.0)
    found = [deming.p_values(width * rng.normal(size=60), z)[0] < 0.05 for _ in range(1000)]
    assert 0.02 <= float(np.mean(found)) <= 0.08


def test_p_values_by_hand_where_the_spread_is_even() -> None:
    """Eight points in two groups, so that every leverage is a quarter."""
    z = np.array([[-1.0], [-1.0], [-1.0], [-1.0], [1.0], [1.0], [1.0], [1.0]])
    residual = 0.5 * z[:, 0] + np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    # leverage 1/8 + 1/8; error = sqrt(8 (1 / 0.75)^2) / 8
    t = 0.5 / (np.sqrt(8.0) / 0.75 / 8.0)
    assert deming.p_values(residual, z)[0] == pytest.approx(2 * stats.t.sf(t, 6))


def test_one_point_alone_proves_no_slope() -> None:
    """One man among 40: his residual is always fitted exactly, which says nothing."""
    z = np.zeros((40, 1))
    z[0] = 1.0
    residual = np.random.default_rng(3).normal(size=40)
    residual[0] = 0.5
    assert deming.p_values(residual, z)[0] > 0.05


def test_what_does_not_vary_gives_no_line() -> None:
    pairs = paired.pairs(60, 16)
    for fixed in ({"tbs": 1.25}, {"score": 1.25}):
        assert refused([replace(pair, **fixed) for pair in pairs]) == [Refused.NEGATIVE_SLOPE]


def test_other_cut_offs_are_other_categories() -> None:
    pairs = paired.pairs(60, 1)
    other = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL, cut_offs=(1.0, 1.1)).statistics
    assert other is not None
    tbs = [pair.tbs for pair in pairs]
    assert other.per_category == (
        sum(t > 1.1 for t in tbs),
        sum(1.0 < t <= 1.1 for t in tbs),
        sum(t <= 1.0 for t in tbs),
    )


def test_the_ratio_of_errors_is_stated_and_can_be_given() -> None:
    pairs = paired.pairs(60, 1)
    assert numbers_of(pairs).error_ratio == pytest.approx((0.019 / 0.010) ** 2)
    given_one = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL, error_ratio=1.0).statistics
    assert given_one is not None
    x, y = np.array([p.score for p in pairs]), np.array([p.tbs for p in pairs])
    assert given_one.error_ratio == 1.0
    assert given_one.slope == pytest.approx(deming.deming(x, y, 1.0)[1])


def test_errors_that_are_no_numbers_do_not_count() -> None:
    pairs = [
        replace(p, standard_error=float("nan") if i else 0.02) for i, p in enumerate(paired.pairs(60, 1))
    ]
    assert numbers_of(pairs).error_ratio == pytest.approx((0.019 / 0.02) ** 2)


def numbers_of(pairs: list[Pair]) -> fitting.FitStatistics:
    numbers = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL).statistics
    assert numbers is not None
    return numbers


@given(st.integers(0, 10**6), st.floats(0.25, 4.0), st.floats(-1.0, 1.0))
@settings(max_examples=15, deadline=None)
def test_another_scale_of_the_score_changes_no_prediction(seed: int, scale: float, offset: float) -> None:
    """TBS belongs to the scan, not to the units that the slope is measured in."""
    pairs = paired.pairs(40, seed, paired.Truth(bmi_slope=0.004))
    error = 0.01 * scale
    moved = [replace(p, score=scale * p.score + offset, standard_error=error) for p in pairs]
    before, after = numbers_of(pairs), numbers_of(moved)
    assert after.predicted == pytest.approx(before.predicted, abs=1e-7)
    assert after.slope * scale == pytest.approx(before.slope, abs=1e-6)
    assert dict(after.covariate_p) == pytest.approx(dict(before.covariate_p), abs=1e-5)


numbers_from = st.floats(-1e3, 1e3)


@given(st.lists(st.tuples(numbers_from, numbers_from), min_size=30, max_size=34), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_whatever_the_pairs_the_numbers_are_finite(values: list[tuple[float, float]], seed: int) -> None:
    pairs = [
        replace(pair, score=score, tbs=tbs)
        for pair, (score, tbs) in zip(paired.pairs(len(values), seed), values, strict=True)
    ]
    fit = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL)
    if fit.statistics is None:
        assert fit.refusals
    else:
        json.dumps(asdict(fit.statistics), allow_nan=False)
    for refusal in fit.refusals:
        json.dumps(dict(refusal.values), allow_nan=False)


@given(st.permutations(range(40)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_table_changes_nothing_at_all(order: list[int]) -> None:
    pairs = paired.pairs(40, 2, paired.Truth(bmi_slope=0.006))
    a = fitting.fit_paired(pairs, paired.KEY, paired.APPROVAL)
    b = fitting.fit_paired([pairs[i] for i in order], paired.KEY, paired.APPROVAL)
    assert a.calibration == b.calibration
    assert a.statistics is not None
    assert b.statistics is not None
    assert [a.statistics.predicted[i] for i in order] == list(b.statistics.predicted)
