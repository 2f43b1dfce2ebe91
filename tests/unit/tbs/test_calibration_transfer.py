"""Calibrations carried to another scanner, restored after a change, and of the site's own adults."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from tbsnode.tbs import calibration
from tbsnode.tbs import calibration_fit as fitting
from tbsnode.tbs import calibration_transfer as transferring
from tbsnode.tbs.calibration import Kind, Person
from tbsnode.tbs.calibration_fit import Refused
from tbsnode.tbs.calibration_pairs import Examination, counted_once
from tests import paired


def codes(fit: fitting.Fit) -> list[Refused]:
    return [refusal.code for refusal in fit.refusals]


@pytest.fixture(scope="module")
def source() -> calibration.Calibration:
    made = fitting.fit_paired(paired.pairs(90, 1), paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    return made


def adults(scores: list[float]) -> list[Examination]:
    """One examination each of as many women of 50 years."""
    return [
        Examination(scan=f"1.2.{i}", subject=f"P{i}", taken_at="20261101", score=score, age_years=50.0)
        for i, score in enumerate(scores)
    ]


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
    (refusal,) = transferring.fit_transfer(late, source, paired.KEY, paired.APPROVAL).refusals
    assert refusal.code is Refused.TOO_FAR_APART
    assert dict(refusal.values) == {"patients": 1, "limit_days": 60}


def test_a_transfer_of_too_large_an_error_is_refused(source: calibration.Calibration) -> None:
    loose = replace(source, see=0.059)
    fit = transferring.fit_transfer(twins(40), loose, paired.KEY, paired.APPROVAL)
    (refusal,) = fit.refusals
    assert refusal.code is Refused.HIGH_SEE
    assert fit.statistics is not None
    assert dict(refusal.values) == {"see": np.hypot(0.059, fit.statistics.see), "limit": 0.06}


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.0] * 10, []),
        ([0.0] * 9, [Refused.TOO_FEW]),
        ([0.010] * 10, []),
        ([0.0101] * 10, [Refused.EXTENSION_DIFFERS]),
        ([0.020, -0.020] + [0.0] * 8, []),
        ([0.0201] + [0.0] * 9, [Refused.EXTENSION_DIFFERS]),
        # moves that cancel out
        ([0.020, -0.020] * 5, [Refused.EXTENSION_DIFFERS]),
        ([float("nan")] + [0.0] * 9, [Refused.NOT_FINITE]),
    ],
)
def test_an_extension_by_hand(differences: list[float], expected: list[Refused]) -> None:
    # around 1.2, where a step of 0.01 is a little more than 0.01 in binary
    judged = transferring.check_extension([1.2] * len(differences), [1.2 + each for each in differences])
    assert [refusal.code for refusal in judged.refusals] == expected


def test_an_extended_calibration_is_that_of_the_new_software(source: calibration.Calibration) -> None:
    after = replace(paired.KEY, software_versions="2.0")
    made = transferring.extended(replace(source, suspended=True), after, paired.APPROVAL)
    assert (made.key, made.suspended, made.slope) == (after, False, source.slope)
    assert made.based_on == source.calibration_id != made.calibration_id


def test_a_reference_gives_percentile_and_z_and_nothing_else() -> None:
    scores = [1.0 + i / 100 for i in range(101)]
    fit = transferring.fit_reference(adults(scores), paired.KEY, paired.APPROVAL)
    assert fit.calibration is not None
    applied = calibration.apply(fit.calibration, 1.5, Person(bmi=27.0), None)
    assert (applied.tbs, applied.see, applied.category_allowed) == (None, None, False)
    assert applied.site_percentile == pytest.approx(50.0)
    assert applied.site_z == pytest.approx(0.0, abs=1e-12)


def test_a_reference_needs_100_adults() -> None:
    young = [replace(each, age_years=19.0) for each in adults([1.2] * 104)[99:104]]
    unknown = replace(adults([1.2] * 105)[104], age_years=None)
    fit = transferring.fit_reference([*adults([1.2] * 99), *young, unknown], paired.KEY, paired.APPROVAL)
    assert codes(fit) == [Refused.TOO_FEW]
    assert dict(fit.refusals[0].values)["pairs"] == 99


def test_a_reference_counts_each_adult_once_with_the_latest_examination() -> None:
    once = adults([1.0 + i / 100 for i in range(100)])
    earlier = [replace(each, scan=f"{each.scan}-old", score=9.0, taken_at="2020") for each in once]
    made = transferring.fit_reference([*earlier, *once], paired.KEY, paired.APPROVAL).calibration
    alone = transferring.fit_reference(once, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert made == alone
    few = transferring.fit_reference([*once[:99], *earlier[:99]], paired.KEY, paired.APPROVAL)
    assert codes(few) == [Refused.TOO_FEW]


def test_a_reference_does_not_depend_on_the_order() -> None:
    many = [*adults([1.0 + i / 100 for i in range(110)])]
    many += [replace(each, scan=f"{each.scan}-again", score=2.0) for each in many[:20]]  # same day
    made = transferring.fit_reference(many, paired.KEY, paired.APPROVAL)
    assert made == transferring.fit_reference(many[::-1], paired.KEY, paired.APPROVAL)


def test_one_scan_of_two_subjects_is_refused() -> None:
    once = adults([1.0 + i / 100 for i in range(120)])
    fit = transferring.fit_reference(
        [*once, replace(once[0], subject="somebody else")], paired.KEY, paired.APPROVAL
    )
    assert codes(fit) == [Refused.DUPLICATE]


def test_who_counts_by_hand() -> None:
    def seen(scan: str, subject: str = "", taken_at: str = "") -> Examination:
        return Examination(scan=scan, subject=subject, taken_at=taken_at, score=1.2, age_years=60.0)

    assert counted_once([]) == ((), ())
    # nobody knows who they are: each scan is somebody
    assert counted_once([seen("a"), seen("b")]) == ((0, 1), ())
    # a copy of a scan; the one that names its subject counts
    counts, repeats = counted_once([seen("a"), seen("a", "P1"), seen("a", "P1")])
    assert counts == (1,)
    assert [(each.left_out, each.counted, each.same) for each in repeats] == [(0, 1, "scan"), (2, 1, "scan")]
    # the copy of an earlier scan is left out for the later scan
    counts, repeats = counted_once([seen("a", "P1", "2021"), seen("a", "", "2021"), seen("b", "P1", "2024")])
    assert counts == (2,)
    assert {(each.left_out, each.counted, each.same) for each in repeats} == {
        (0, 2, "subject"),
        (1, 2, "subject"),
    }
    # a date that is missing is the earliest
    assert counted_once([seen("a", "P1", "2021"), seen("b", "P1")])[0] == (0,)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"kind": Kind.REFERENCE}, "a reference of own adults"),
        ({"suspended": True}, "suspended"),
        ({"valid_until": date(2026, 10, 31)}, "no longer valid"),
        ({"estimator": "{}"}, "another estimator"),
    ],
)
def test_what_does_not_hold_is_not_carried_over(
    source: calibration.Calibration, change: dict[str, object], detail: str
) -> None:
    unfit = replace(source, **change)  # type: ignore[arg-type]
    fit = transferring.fit_transfer(twins(40), unfit, paired.KEY, paired.APPROVAL)
    assert fit.calibration is None
    assert [(refusal.code, dict(refusal.values)) for refusal in fit.refusals] == [
        (Refused.SOURCE_UNFIT, {"detail": detail})
    ]


def test_a_calibration_carries_over_on_its_last_day(source: calibration.Calibration) -> None:
    last = replace(source, valid_until=paired.APPROVAL.approved_on)
    made = transferring.fit_transfer(twins(40), last, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert made.valid_until == paired.APPROVAL.approved_on


def test_a_reference_of_scores_that_are_no_numbers_is_refused() -> None:
    fit = transferring.fit_reference(adults([1.2] * 99 + [float("nan")]), paired.KEY, paired.APPROVAL)
    assert codes(fit) == [Refused.NOT_FINITE]


def test_a_transfer_allows_no_more_than_its_source(source: calibration.Calibration) -> None:
    value_only = replace(source, allows_category=False)
    made = transferring.fit_transfer(twins(80), value_only, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert not made.allows_category


def test_a_transfer_takes_both_scanners_to_repeat_alike(source: calibration.Calibration) -> None:
    numbers = transferring.fit_transfer(twins(40), source, paired.KEY, paired.APPROVAL).statistics
    assert numbers is not None
    assert numbers.error_ratio == source.slope**2


def test_an_extension_compares_as_many_as_there_were() -> None:
    with pytest.raises(ValueError, match="10 scores before and 1 after"):
        transferring.check_extension([1.2] * 10, [1.2])


def test_an_extension_keeps_the_estimator_and_the_end(source: calibration.Calibration) -> None:
    after = replace(paired.KEY, software_versions="2.0")
    later = replace(paired.APPROVAL, estimator="{}", approved_on=date(2027, 5, 1))
    made = transferring.extended(source, after, later)
    assert (made.estimator, made.valid_until) == (source.estimator, source.valid_until)
    assert (made.approved_on, made.see) == (date(2027, 5, 1), source.see)


def test_what_is_simulated_stays_so(source: calibration.Calibration) -> None:
    simulated = replace(source, simulated=True)
    after = replace(paired.KEY, software_versions="2.0")
    assert transferring.extended(simulated, after, paired.APPROVAL).simulated
    made = transferring.fit_transfer(twins(40), simulated, paired.KEY, paired.APPROVAL).calibration
    assert made is not None
    assert made.simulated
