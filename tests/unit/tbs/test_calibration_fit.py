"""Calibrations from simulated pairs with a known truth: what is found, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbsnode.tbs import calibration, deming
from tbsnode.tbs import calibration_fit as fitting
from tbsnode.tbs import calibration_transfer as transferring
from tbsnode.tbs.calibration import Kind, Person
from tbsnode.tbs.calibration_fit import Pair, Refused
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


@given(st.floats(0.2, 5.0), st.floats(-3.0, 3.0), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_change_of_units_changes_the_line_with_it(scale: float, offset: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(1.0, 1.5, 40)
    y = 0.2 + 0.9 * x + rng.normal(0, 0.02, 40)
    intercept, slope = deming.deming(x, y, 3.0)
    moved = deming.deming(x, scale * y + offset, 3.0 * scale**2)
    assert moved == pytest.approx((scale * intercept + offset, scale * slope), rel=1e-8, abs=1e-8)


def test_a_known_line_lies_in_its_confidence_interval() -> None:
    """Of 120 simulated studies, about 95 % hold the true slope and intercept in their intervals."""
    held = 0
    for seed in range(120):
        numbers = fitting.fit_paired(paired.pairs(60, seed), paired.KEY, paired.APPROVAL).statistics
        assert numbers is not None
        slope = numbers.slope_95[0] <= 1.1 <= numbers.slope_95[1]
        intercept = numbers.intercept_95[0] <= -0.2 <= numbers.intercept_95[1]
        held += slope + intercept
    assert 0.90 <= held / 240 <= 0.99


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


def test_a_dependence_that_no_line_describes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where modeling is not allowed to help, the residual slope refuses the fit."""
    nothing = lambda pairs, x, y, ratio: ([], np.zeros((x.size, 0)))  # noqa: E731
    monkeypatch.setattr(fitting, "_modeled", nothing)
    assert Refused.RESIDUAL_COVARIATE in refused(paired.pairs(90, 13, paired.Truth(bmi_slope=0.008)))


# ---- transfer, extension, reference ----------------------------------------------------------------


@pytest.fixture(scope="module")
def source() -> calibration.Calibration:
    made = fitting.fit_paired(paired.pairs(90, 1), paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    return made


def twins(number: int, days: float = 14.0) -> list[transferring.Twin]:
    return [transferring.Twin(pair=pair, days=days) for pair in paired.pairs(number, 20)]


def test_a_transfer_adds_the_errors(source: calibration.Calibration) -> None:
    key = replace(paired.KEY, device_serial_number="78")
    fit = transferring.fit_transfer(twins(35), source, key, paired.APPROVAL)
    made = fit.calibration
    assert made is not None
    assert fit.statistics is not None
    assert made.kind is Kind.TRANSFER
    assert made.see == pytest.approx(np.hypot(source.see, fit.statistics.see))
    assert made.allows_category
    assert (made.based_on, made.key) == (source.calibration_id, key)
    assert made.valid_until <= source.valid_until


def test_a_transfer_needs_30_patients_within_60_days(source: calibration.Calibration) -> None:
    assert codes(transferring.fit_transfer(twins(29), source, paired.KEY, paired.APPROVAL)) == [
        Refused.TOO_FEW
    ]
    late = [*twins(40)[1:], transferring.Twin(pair=twins(40)[0].pair, days=-61)]
    assert codes(transferring.fit_transfer(late, source, paired.KEY, paired.APPROVAL)) == [
        Refused.TOO_FAR_APART
    ]


def test_a_transfer_of_too_large_an_error_is_refused(source: calibration.Calibration) -> None:
    loose = replace(source, see=0.059)
    assert codes(transferring.fit_transfer(twins(40), loose, paired.KEY, paired.APPROVAL)) == [
        Refused.HIGH_SEE
    ]


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.0] * 10, []),
        ([0.0] * 9, [Refused.TOO_FEW]),
        ([0.010] * 10, []),
        ([0.0101] * 10, [Refused.EXTENSION_DIFFERS]),
        ([0.020, -0.020] * 5, []),
        ([0.0201, -0.0201] * 5, [Refused.EXTENSION_DIFFERS]),
    ],
)
def test_an_extension_by_hand(differences: list[float], expected: list[Refused]) -> None:
    judged = transferring.check_extension([0.0] * len(differences), differences)
    assert [refusal.code for refusal in judged.refusals] == expected


def test_an_extended_calibration_is_that_of_the_new_software(source: calibration.Calibration) -> None:
    after = replace(paired.KEY, software_versions="2.0")
    made = transferring.extended(replace(source, suspended=True), after, paired.APPROVAL)
    assert (made.key, made.suspended, made.slope) == (after, False, source.slope)
    assert made.based_on == source.calibration_id != made.calibration_id


def test_a_reference_gives_percentile_and_z_and_nothing_else() -> None:
    scores = [1.0 + i / 100 for i in range(101)]
    fit = transferring.fit_reference(scores, [50.0] * 101, paired.KEY, paired.APPROVAL)
    assert fit.calibration is not None
    applied = calibration.apply(fit.calibration, 1.5, Person(bmi=27.0), None)
    assert (applied.tbs, applied.see, applied.category_allowed) == (None, None, False)
    assert applied.site_percentile == pytest.approx(50.0)
    assert applied.site_z == pytest.approx(0.0, abs=1e-12)


def test_a_reference_needs_100_adults() -> None:
    ages = [50.0] * 99 + [19.0] * 5
    fit = transferring.fit_reference([1.2] * 104, ages, paired.KEY, paired.APPROVAL)
    assert codes(fit) == [Refused.TOO_FEW]
