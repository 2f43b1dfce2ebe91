"""The adjustment of supplied probabilities: published vectors, clamps, and what is not adjusted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbsnode.reasons import Code, Finding
from tbsnode.tbs import frax
from tbsnode.tbs.interpretation import Patient

SUPPLIED = frax.Supplied(major_percent=22.0, hip_percent=4.5, with_bmd=True, source="referrer")
VECTORS = [
    (50, 1.250, 8.0, 1.0, 9.3997, 1.1220),
    (60, 1.000, 10.0, 1.5, 16.6324, 3.6375),
    (60, 1.200, 10.0, 1.5, 12.1009, 1.9489),
    (60, 1.350, 10.0, 1.5, 9.4391, 1.2137),
    (65, 1.100, 15.0, 3.0, 19.3600, 4.5122),
    (65, 1.400, 15.0, 3.0, 12.7379, 2.2339),
    (68, 1.180, 22.0, 4.5, 23.9393, 5.2909),
    (68, 1.320, 22.0, 4.5, 20.2346, 4.0779),
    (75, 1.200, 25.0, 8.0, 25.5107, 8.3222),
    (80, 1.100, 30.0, 12.0, 31.7794, 11.8498),
    (80, 1.400, 30.0, 12.0, 25.2632, 11.6414),
]


def adjust(
    supplied: frax.Supplied = SUPPLIED,
    *,
    tbs: float = 1.18,
    see: float = 0.045,
    manufacturer: str = "GE Healthcare",
    **changed: Any,
) -> frax.Adjustment:
    who: dict[str, Any] = {"sex": "F", "age_years": 68.0, "bmi": 26.0, "menopausal_status": "post", **changed}
    return frax.adjust(supplied, tbs, see, patient=Patient(**who), manufacturer=manufacturer)


@pytest.mark.parametrize(("age", "tbs", "major", "hip", "major_out", "hip_out"), VECTORS)
def test_vectors(age: float, tbs: float, major: float, hip: float, major_out: float, hip_out: float) -> None:
    made = adjust(replace(SUPPLIED, major_percent=major, hip_percent=hip), tbs=tbs, age_years=float(age))
    assert made.finding is None
    assert made.major is not None
    assert made.hip is not None
    assert made.major.after_percent == pytest.approx(major_out, abs=1e-4)
    assert made.hip.after_percent == pytest.approx(hip_out, abs=1e-4)


def test_the_interval_of_the_worked_example() -> None:
    made = adjust()
    assert made.major is not None
    assert made.hip is not None
    assert (made.major.low_percent, made.major.high_percent) == pytest.approx((22.70, 25.22), abs=0.005)
    assert (made.hip.low_percent, made.hip.high_percent) == pytest.approx((4.87, 5.75), abs=0.005)


def test_without_the_clamp_the_sign_would_turn() -> None:
    """At 88 the bare equation gives the better bone the higher probability; the clamp prevents it."""
    assert frax.adjusted_percent("hip", 12.0, 1.0, 88.0) == pytest.approx(9.1, abs=0.05)
    assert frax.adjusted_percent("hip", 12.0, 1.4, 88.0) == pytest.approx(13.9, abs=0.05)
    elder = replace(SUPPLIED, hip_percent=12.0)
    poor, good = (adjust(elder, tbs=tbs, age_years=88.0).hip for tbs in (1.0, 1.4))
    assert poor is not None
    assert good is not None
    assert poor.after_percent > good.after_percent


def test_an_age_beyond_the_clamp_counts_as_the_clamp() -> None:
    assert adjust(age_years=83.0).hip == adjust(age_years=80.0).hip
    assert (
        adjust(age_years=45.0, manufacturer="HOLOGIC").major
        == adjust(age_years=50.0, manufacturer="HOLOGIC").major
    )
    assert adjust(age_years=45.0).major != adjust(age_years=50.0).major


@pytest.mark.parametrize(
    ("age_years", "manufacturer", "limited"),
    [
        (83.0, "LUNAR", {"hip_years": 80.0}),
        (45.0, "LUNAR", {"hip_years": 50.0}),
        (45.0, "HOLOGIC", {"major_years": 50.0, "hip_years": 50.0}),
        (49.9, "HOLOGIC", {"major_years": 50.0, "hip_years": 50.0}),
        (90.9, "HOLOGIC", {"hip_years": 80.0}),
        (80.9, "LUNAR", None),  # eighty until her birthday: the age that she would name
        (50.0, "HOLOGIC", None),
        (68.0, "LUNAR", None),
    ],
)
def test_another_age_than_the_patients_is_said(
    age_years: float, manufacturer: str, limited: dict[str, float] | None
) -> None:
    made = adjust(age_years=age_years, manufacturer=manufacturer)
    assert made.major is not None
    assert made.hip is not None
    if limited is None:
        assert made.finding is None
    else:
        assert made.finding == Finding(Code.FRAX_AGE_LIMITED, values=tuple(limited.items()))


@given(st.floats(40, 90), st.floats(0.7, 1.69), st.floats(0.5, 90), st.floats(0.5, 90))
def test_better_bone_never_has_the_higher_probability(
    age: float, tbs: float, major: float, hip: float
) -> None:
    supplied = replace(SUPPLIED, major_percent=major, hip_percent=hip)
    poor, good = (adjust(supplied, tbs=value, age_years=age) for value in (tbs, tbs + 0.01))
    for a, b in ((poor.major, good.major), (poor.hip, good.hip)):
        assert a is not None
        assert b is not None
        assert a.after_percent >= b.after_percent
        assert 0 < b.after_percent < 100
        assert a.low_percent <= a.after_percent <= a.high_percent


@pytest.mark.parametrize(
    "who",
    [
        {"age_years": 90.9},  # ninety until her birthday, as the probability takes it
        {"age_years": 40.0},
        {"sex": "M", "age_years": 41.0, "menopausal_status": ""},
        {"age_years": 50.0, "menopausal_status": ""},
        {"bmi": 15.0},
        {"bmi": 37.0},
    ],
)
def test_whom_it_is_for(who: dict[str, Any]) -> None:
    made = adjust(**who)
    assert made.major is not None
    assert made.hip is not None


def test_a_body_mass_index_is_judged_as_it_is_printed() -> None:
    assert adjust(SUPPLIED, bmi=37.04).major is not None


@pytest.mark.parametrize(
    ("supplied", "changed", "why"),
    [
        (replace(SUPPLIED, major_percent=0.0), {}, "between 0 and 100"),
        (replace(SUPPLIED, hip_percent=100.0), {}, "between 0 and 100"),
        (replace(SUPPLIED, with_bmd=False), {}, "without bone density"),
        (SUPPLIED, {"manufacturer": "Another"}, "this manufacturer"),
        (SUPPLIED, {"manufacturer": ""}, "this manufacturer"),
        (SUPPLIED, {"age_years": None}, "age not known"),
        (SUPPLIED, {"age_years": 39.9}, "outside 40 to 90"),
        (SUPPLIED, {"age_years": 91.0}, "outside 40 to 90"),
        (SUPPLIED, {"sex": "O"}, "sex not known"),
        (SUPPLIED, {"bmi": None}, "height or weight not known"),
        (SUPPLIED, {"bmi": 37.1}, "outside 15 to 37"),
        (SUPPLIED, {"bmi": 14.9}, "outside 15 to 37"),
        (SUPPLIED, {"age_years": 44.0, "menopausal_status": "pre"}, "before menopause"),
        (SUPPLIED, {"age_years": 55.0, "menopausal_status": "pre"}, "before menopause"),
        (SUPPLIED, {"age_years": 44.0, "menopausal_status": ""}, "menopause not declared"),
        (SUPPLIED, {"tbs": 0.69}, "outside 0.7 to 1.7"),
    ],
)
def test_what_is_not_adjusted(supplied: frax.Supplied, changed: dict[str, Any], why: str) -> None:
    made = adjust(supplied, **changed)
    assert (made.major, made.hip) == (None, None)
    assert made.finding is not None
    assert made.finding.code is Code.FRAX_NOT_ADJUSTED
    assert why in str(dict(made.finding.values)["detail"])
