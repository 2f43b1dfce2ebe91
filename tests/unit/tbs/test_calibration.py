"""Which calibration holds for an image, and what it gives."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbsnode import text
from tbsnode.reasons import Code
from tbsnode.tbs import calibration, calibration_choice, calibration_json
from tbsnode.tbs.calibration import Calibration, Covariate, Kind, Limits, Person, ScannerKey
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.result import ImageStatistics
from tests.paired import KEY

ESTIMATOR = calibration.estimator_of(Parameters())
TODAY = date(2026, 11, 24)
PERSON = Person(bmi=26.0, age_years=68.0, sex="F")
STATISTICS = ImageStatistics(gray_levels=100, saturated_fraction=0.01, short_lag_noise=0.1, fit_r2=0.99)
LINE = Calibration(
    kind=Kind.PAIRED,
    key=KEY,
    intercept=-0.2,
    slope=1.1,
    see=0.045,
    pairs=70,
    per_category=(30, 20, 20),
    allows_category=True,
    limits=(Limits(covariate="bmi", low=20.0, high=33.0), Limits(covariate="fit_r2", low=0.97, high=1.0)),
    estimator=ESTIMATOR,
    approved_by="Dr. Example",
    approved_on=date(2026, 1, 31),
    valid_until=date(2028, 1, 31),
).named()


def choose(*calibrations: Calibration, key: object = KEY, on: date = TODAY) -> calibration_choice.Choice:
    return calibration_choice.choose(calibrations, key, estimator=ESTIMATOR, on=on)  # type: ignore[arg-type]


def codes(findings: tuple[object, ...]) -> list[Code]:
    return [finding.code for finding in findings]  # type: ignore[attr-defined]


def test_by_hand() -> None:
    applied = calibration.apply(LINE, 1.25, PERSON, STATISTICS)
    assert applied.tbs == pytest.approx(-0.2 + 1.1 * 1.25)
    assert (applied.see, applied.category_allowed, applied.findings) == (0.045, True, ())


def test_covariates_count_from_their_center() -> None:
    modeled = replace(LINE, covariates=(Covariate(name="sex", slope=0.02, center=0.5),))
    man = calibration.apply(modeled, 1.25, replace(PERSON, sex="M"), STATISTICS)
    assert man.tbs == pytest.approx(-0.2 + 1.1 * 1.25 + 0.01)


@pytest.mark.parametrize(
    ("person", "statistics", "covariate"),
    [
        (replace(PERSON, bmi=33.1), STATISTICS, "bmi"),
        (replace(PERSON, bmi=None), STATISTICS, "bmi"),
        (PERSON, replace(STATISTICS, fit_r2=0.9), "fit r2"),
        (PERSON, None, "fit r2"),
    ],
)
def test_outside_the_range_the_value_stands_without_a_category(
    person: Person, statistics: ImageStatistics | None, covariate: str
) -> None:
    applied = calibration.apply(LINE, 1.25, person, statistics)
    assert applied.tbs is not None
    assert not applied.category_allowed
    (finding,) = applied.findings
    assert finding.code is Code.OUTSIDE_CALIBRATION_RANGE
    assert dict(finding.values)["covariate"] == covariate


def test_the_ends_of_a_range_are_inside() -> None:
    for bmi in (20.0, 33.0):
        assert calibration.apply(LINE, 1.25, replace(PERSON, bmi=bmi), STATISTICS).findings == ()


def test_a_range_says_its_numbers() -> None:
    (finding,) = calibration.apply(LINE, 1.25, replace(PERSON, bmi=35.5), STATISTICS).findings
    assert dict(finding.values) == {"covariate": "bmi", "value": 35.5, "low": 20.0, "high": 33.0}
    assert "bmi: 35.5; calibrated from 20 to 33." in text.sentence(finding)


def test_a_covariate_that_is_modeled_and_missing_means_no_value() -> None:
    modeled = replace(LINE, covariates=(Covariate(name="bmi", slope=0.01, center=27.0),))
    applied = calibration.apply(modeled, 1.25, replace(PERSON, bmi=None), STATISTICS)
    assert (applied.tbs, applied.see, applied.category_allowed) == (None, None, False)
    assert codes(applied.findings) == [Code.OUTSIDE_CALIBRATION_RANGE]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1e308])
def test_a_score_that_is_no_number_has_no_value(score: float) -> None:
    assert calibration.apply(LINE, score, PERSON, STATISTICS).tbs is None


@pytest.mark.parametrize("score", [0.81, 1.74])
def test_a_value_outside_what_people_have_is_none(score: float) -> None:
    applied = calibration.apply(LINE, score, PERSON, STATISTICS)
    assert applied.tbs is None
    assert codes(applied.findings) == [Code.TBS_OUT_OF_RANGE]


def test_too_few_pairs_for_a_category_is_said() -> None:
    applied = calibration.apply(replace(LINE, allows_category=False, pairs=45), 1.25, PERSON, STATISTICS)
    assert codes(applied.findings) == [Code.CALIBRATION_WITHOUT_CATEGORY]
    assert not applied.category_allowed


def test_the_newest_counts() -> None:
    newer = replace(LINE, slope=1.2).named()
    assert choose(LINE, newer).calibration is newer


def test_images_without_a_serial_number_may_come_from_two_scanners() -> None:
    nameless = replace(KEY, device_serial_number="")
    found = choose(replace(LINE, key=nameless), key=nameless)
    assert (found.calibration, codes(found.findings)) == (None, [Code.SCANNER_UNCALIBRATED])


def test_without_any_the_scanner_is_uncalibrated() -> None:
    # two manufacturers, and two models of one, may use the same serial number
    others = [
        replace(KEY, device_serial_number="78"),
        replace(KEY, input_class="IMAGE"),
        replace(KEY, manufacturer="Another"),
        replace(KEY, model_name="Densitometer 2"),
    ]
    for found in (choose(), *(choose(LINE, key=other) for other in others)):
        assert found.calibration is None
        assert codes(found.findings) == [Code.SCANNER_UNCALIBRATED]


@pytest.mark.parametrize(
    ("key", "detail"),
    [
        (replace(KEY, software_versions="2.0"), "software version"),
        (replace(KEY, pixel_spacing_mm=(0.25, 0.26)), "pixel spacing"),
    ],
)
def test_a_change_of_the_scanner_suspends(key: object, detail: str) -> None:
    found = choose(LINE, key=key)
    assert found.calibration is None
    assert codes(found.findings) == [Code.CALIBRATION_SUSPENDED]
    assert dict(found.findings[0].values)["detail"] == detail


def test_a_spacing_from_whole_millimeters_is_the_same() -> None:
    assert choose(LINE, key=replace(KEY, pixel_spacing_mm=(0.2508, 0.2495))).calibration is LINE


def test_what_is_told_is_the_calibration_that_is_nearest_to_holding() -> None:
    """The newest is of another software; the older one only has ended."""
    ended = replace(LINE, valid_until=date(2026, 11, 23)).named()
    other = replace(LINE, key=replace(KEY, software_versions="2.0")).named()
    assert codes(choose(ended, other).findings) == [Code.CALIBRATION_EXPIRED]
    assert choose(LINE, other).calibration is LINE


def test_a_reference_of_another_software_does_not_hold() -> None:
    key = replace(KEY, software_versions="2.0")
    adults = replace(LINE, kind=Kind.REFERENCE, key=key, reference_scores=(1.0, 1.1, 1.2)).named()
    assert choose(LINE, adults).reference is None


def test_another_estimator_suspends() -> None:
    found = choose(replace(LINE, estimator="{}"))
    assert dict(found.findings[0].values)["detail"] == "estimator"


def test_suspended_by_a_person() -> None:
    assert codes(choose(replace(LINE, suspended=True)).findings) == [Code.CALIBRATION_SUSPENDED]


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (date(2027, 12, 1), []),
        (date(2027, 12, 2), [Code.CALIBRATION_EXPIRING]),
        (date(2028, 1, 31), [Code.CALIBRATION_EXPIRING]),
        (date(2028, 2, 1), [Code.CALIBRATION_EXPIRED]),
    ],
)
def test_the_end_is_announced_60_days_before(on: date, expected: list[Code]) -> None:
    found = choose(LINE, on=on)
    assert codes(found.findings) == expected
    assert (found.calibration is None) == (expected == [Code.CALIBRATION_EXPIRED])
    assert all(dict(each.values)["valid_until"] == "2028-01-31" for each in found.findings)


def test_a_reference_stands_beside_the_absence_of_a_line() -> None:
    adults = replace(LINE, kind=Kind.REFERENCE, reference_scores=(1.0, 1.1, 1.2)).named()
    found = choose(adults)
    assert found.calibration is None
    assert found.reference is adults
    assert codes(found.findings) == [Code.SCANNER_UNCALIBRATED]


@pytest.mark.parametrize(
    ("approved_on", "ends_on"),
    [
        (date(2028, 2, 29), date(2030, 2, 28)),
        (date(2028, 2, 10), date(2030, 2, 10)),
        (date(2028, 3, 29), date(2030, 3, 29)),
    ],
)
def test_two_years_from_a_leap_day_and_from_others(approved_on: date, ends_on: date) -> None:
    assert calibration.valid_until(approved_on) == ends_on


def test_json_and_back_is_the_same() -> None:
    whole = replace(
        LINE,
        covariates=(Covariate(name="bmi", slope=0.1 + 0.2, center=27.123456789012345),),
        reference_scores=(1.1, 1.2),
    ).named()
    assert calibration_json.from_json(json.loads(json.dumps(calibration.to_json(whole)))) == whole


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(max_size=20)
KEYS = st.builds(
    ScannerKey,
    manufacturer=NAMES,
    model_name=NAMES,
    device_serial_number=NAMES,
    software_versions=NAMES,
    input_class=st.sampled_from(["RAW", "IMAGE", "DISPLAY"]),
    pixel_spacing_mm=st.tuples(FLOATS, FLOATS),
)
ANY = st.builds(
    Calibration,
    kind=st.sampled_from(Kind),
    key=KEYS,
    intercept=FLOATS,
    slope=FLOATS,
    covariates=st.lists(st.builds(Covariate, name=NAMES, slope=FLOATS, center=FLOATS), max_size=3).map(tuple),
    see=FLOATS,
    pairs=st.integers(0, 10**6),
    per_category=st.tuples(*[st.integers(0, 10**6)] * 3),
    allows_category=st.booleans(),
    limits=st.lists(st.builds(Limits, covariate=NAMES, low=FLOATS, high=FLOATS), max_size=3).map(tuple),
    estimator=NAMES,
    reference_software=NAMES,
    approved_by=NAMES,
    approved_on=st.dates(),
    valid_until=st.dates(),
    suspended=st.booleans(),
    simulated=st.booleans(),
    based_on=NAMES,
    reference_scores=st.lists(FLOATS, max_size=5).map(tuple),
)


@given(ANY)
@settings(max_examples=60, deadline=None)
def test_any_calibration_survives_json_bit_for_bit(made: Calibration) -> None:
    made = made.named()
    back = calibration_json.from_json(json.loads(json.dumps(calibration.to_json(made))))
    assert repr(back) == repr(made)  # 0.0 and -0.0 are equal, but not the same
    assert back.named() == made


def test_the_name_follows_the_content() -> None:
    assert LINE.named() == LINE
    assert replace(LINE, see=0.046).named().calibration_id != LINE.calibration_id
    assert replace(LINE, suspended=True).named().calibration_id == LINE.calibration_id


@pytest.mark.parametrize("damage", [{"kind": "guess"}, {"valid_until": "soon"}, {"per_category": [1]}])
def test_damaged_json_is_an_error(damage: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        calibration_json.from_json({**calibration.to_json(LINE), **damage})
