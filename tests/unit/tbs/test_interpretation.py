"""Classes at their cut-offs, who gets one, and what may be said about a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbsnode.reasons import Code
from tbsnode.tbs import interpretation, reference
from tbsnode.tbs.interpretation import Patient, Value, interpret

A, B = reference.threshold_set("A"), reference.threshold_set("B")
CURVE = reference.reference_curve()
WOMAN = Patient(sex="F", age_years=68.0, bmi=26.0)
EPSILON = 1e-12
RANK = ["degraded", "partially_degraded", "normal"]


def codes(made: interpretation.Interpretation) -> list[Code]:
    return [finding.code for finding in made.findings]


@pytest.mark.parametrize(
    ("thresholds", "tbs", "category"),
    [
        (B, 1.310 + EPSILON, "normal"),
        (B, 1.310, "partially_degraded"),
        (B, 1.310 - EPSILON, "partially_degraded"),
        (B, 1.230 + EPSILON, "partially_degraded"),
        (B, 1.230, "degraded"),
        (B, 1.230 - EPSILON, "degraded"),
        (A, 1.350 + EPSILON, "normal"),
        (A, 1.350, "normal"),
        (A, 1.350 - EPSILON, "partially_degraded"),
        (A, 1.200 + EPSILON, "partially_degraded"),
        (A, 1.200, "degraded"),
        (A, 1.200 - EPSILON, "degraded"),
    ],
)
def test_the_cut_offs(thresholds: reference.ThresholdSet, tbs: float, category: str) -> None:
    assert thresholds.category(tbs) == category


@given(st.floats(0.7, 1.7), st.floats(0.7, 1.7), st.sampled_from([A, B]))
def test_a_higher_value_is_never_in_a_worse_class(
    a: float, b: float, thresholds: reference.ThresholdSet
) -> None:
    low, high = sorted((a, b))
    assert RANK.index(thresholds.category(low)) <= RANK.index(thresholds.category(high))


@given(st.floats(0.8, 1.6), st.floats(0.0, 0.2), st.sampled_from([A, B]))
def test_the_classes_of_an_interval_hold_those_of_its_points(
    tbs: float, see: float, thresholds: reference.ThresholdSet
) -> None:
    touched = thresholds.touched(tbs - see, tbs + see)
    points = (tbs - see, tbs - see / 2, tbs, tbs + see / 2, tbs + see)
    assert {thresholds.category(point) for point in points} <= set(touched)


def test_the_worked_example() -> None:
    made = interpret(Value(tbs=1.180, see=0.045), WOMAN, B, CURVE)
    assert (made.category, made.borderline, made.findings) == ("degraded", (), ())
    assert made.z_score == pytest.approx(-0.72, abs=0.005)
    assert made.reference == "US NHANES 2007-2008, women"
    assert made.threshold_set == "B: 1.230 / 1.310"


@pytest.mark.parametrize(
    ("tbs", "see", "borderline"),
    [
        (1.280, 0.029, ()),
        (1.280, 0.030, ("normal", "partially_degraded")),
        (1.330, 0.020, ("normal", "partially_degraded")),
        (1.240, 0.010, ("partially_degraded", "degraded")),
        (1.270, 0.060, ("normal", "partially_degraded", "degraded")),
    ],
)
def test_an_interval_that_touches_a_cut_off_is_borderline(
    tbs: float, see: float, borderline: tuple[str, ...]
) -> None:
    made = interpret(Value(tbs=tbs, see=see), WOMAN, B, CURVE)
    assert made.borderline == borderline
    assert (made.category is None) == bool(borderline)
    assert codes(made) == ([Code.BORDERLINE] if borderline else [])


@pytest.mark.parametrize(
    ("patient", "why"),
    [
        (Patient(sex="", age_years=68.0, bmi=26.0), "sex not known"),
        (Patient(sex="F", age_years=None, bmi=26.0), "age not known"),
        (Patient(sex="F", age_years=68.0, bmi=None), "height or weight not known"),
        (Patient(sex="F", age_years=68.0, bmi=37.1), "body mass index outside 15 to 37"),
        (Patient(sex="F", age_years=68.0, bmi=14.9), "body mass index outside 15 to 37"),
        (Patient(sex="M", age_years=49.9, bmi=26.0), "men below 50 years"),
        (Patient(sex="F", age_years=45.0, bmi=26.0), "women of 40 to 49 years, menopause not declared"),
        (Patient(sex="F", age_years=39.9, bmi=26.0, menopausal_status="post"), "women below 40 years"),
        (Patient(sex="F", age_years=52.0, bmi=26.0, menopausal_status="pre"), "women before menopause"),
    ],
)
def test_who_gets_no_class(patient: Patient, why: str) -> None:
    made = interpret(Value(tbs=1.18, see=0.02), patient, B, CURVE)
    assert (made.category, made.borderline) == (None, ())
    assert codes(made) == [Code.CATEGORY_NOT_ELIGIBLE]
    assert dict(made.findings[0].values)["detail"] == why


@pytest.mark.parametrize(
    "patient",
    [
        Patient(sex="M", age_years=50.0, bmi=26.0),
        Patient(sex="F", age_years=50.0, bmi=15.0),
        Patient(sex="F", age_years=40.0, bmi=37.0, menopausal_status="post"),
        Patient(sex="F", age_years=50.0, bmi=14.96),  # printed 15.0
        Patient(sex="F", age_years=50.0, bmi=37.04),
    ],
)
def test_who_gets_one(patient: Patient) -> None:
    assert interpret(Value(tbs=1.18, see=0.02), patient, B, CURVE).category == "degraded"


def test_set_a_is_for_women() -> None:
    made = interpret(Value(tbs=1.18, see=0.01), Patient(sex="M", age_years=70.0, bmi=26.0), A, CURVE)
    assert codes(made) == [Code.CATEGORY_NOT_ELIGIBLE]


def test_a_calibration_that_allows_no_class_gives_none_and_a_z_score() -> None:
    made = interpret(Value(tbs=1.18, see=0.02, category_allowed=False), WOMAN, B, CURVE)
    assert (made.category, made.borderline, made.findings) == (None, (), ())
    assert made.z_score is not None


@pytest.mark.parametrize(
    ("alternative", "category"),
    # 1.22 -+ 0.02 begins in the class of 1.18 -+ 0.02 and ends above the cut-off at 1.230
    [(1.19, "degraded"), (1.22, None), (1.26, None), (None, None)],
)
def test_uncertain_labels_give_a_class_only_where_it_does_not_depend_on_them(
    alternative: float | None, category: str | None
) -> None:
    value = Value(tbs=1.18, see=0.02, labels_certain=False, alternative_tbs=alternative)
    made = interpret(value, WOMAN, B, CURVE)
    assert made.category == category
    assert (Code.CATEGORY_DEPENDS_ON_LEVELS in codes(made)) == (category is None)


def test_fewer_levels_are_said_beside_the_class() -> None:
    made = interpret(Value(tbs=1.18, see=0.02, levels=("L1", "L2", "L4")), WOMAN, B, CURVE)
    assert made.category == "degraded"
    assert codes(made) == [Code.LEVELS_INCOMPLETE]


def test_the_adjusted_t_score_is_not_available() -> None:
    answer = interpretation.adjusted_t_score(-1.5, 1.2, 65.0)
    assert answer.why == "not available: coefficients unpublished"


# ---- the reference curve --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sex", "age", "mean"),
    [
        ("F", 30, 1.467), ("F", 50, 1.365), ("F", 68, 1.275), ("F", 75, 1.266),
        ("M", 30, 1.436), ("M", 50, 1.336), ("M", 70, 1.285),
    ],
)  # fmt: skip
def test_the_curve_by_its_check_values(sex: str, age: float, mean: float) -> None:
    assert CURVE.mean(age, sex) == pytest.approx(mean, abs=0.0006)


def test_ages_are_clamped() -> None:
    assert CURVE.mean(95, "F") == CURVE.mean(75, "F")
    assert CURVE.mean(3, "M") == CURVE.mean(20, "M")


@given(st.floats(20, 90), st.sampled_from("FM"), st.floats(0.8, 1.6))
def test_z_is_linear_in_the_value(age: float, sex: str, tbs: float) -> None:
    one = CURVE.z_score(tbs + 0.1, age, sex) - CURVE.z_score(tbs, age, sex)
    assert one == pytest.approx(0.1 / dict(CURVE.sd)[sex])


def test_beyond_the_ages_of_the_curve_the_age_of_comparison_is_said() -> None:
    for age, stated in ((75.0, "women"), (75.4, "women of 75 years"), (93.0, "women of 75 years")):
        made = interpret(Value(tbs=1.2, see=0.02), Patient(sex="F", age_years=age, bmi=25.0), B, CURVE)
        assert made.reference == f"US NHANES 2007-2008, {stated}"
    assert made.z_score == pytest.approx(CURVE.z_score(1.2, 75.0, "F"))


@pytest.mark.parametrize(("sex", "age"), [("F", 19.9), ("F", None), ("", 68.0)])
def test_who_has_no_z_score_is_compared_with_nobody(sex: str, age: float | None) -> None:
    made = interpret(Value(tbs=1.4, see=0.02), Patient(sex=sex, age_years=age, bmi=22.0), B, CURVE)
    assert (made.z_score, made.reference) == (None, "")


@pytest.mark.parametrize(
    ("sex", "age", "group"),
    [("M", 68.0, "men"), ("M", 20.0, "men"), ("F", 20.0, "women")],
)
def test_men_and_women_from_20_on_have_a_z_score(sex: str, age: float, group: str) -> None:
    made = interpret(Value(tbs=1.2, see=0.02), Patient(sex=sex, age_years=age, bmi=22.0), B, CURVE)
    assert made.z_score == CURVE.z_score(1.2, age, sex)
    assert made.reference == f"US NHANES 2007-2008, {group}"


OWN = """
name = "Our adults"
source = "Own series"
provenance = "Dr. Example, 2026"
population = "Site"
ages_years = [30, 80]
[F]
coefficients = [1.3, -0.05]
sd = 0.1
[M]
coefficients = [1.35, -0.05]
sd = 0.1
"""


def test_a_site_may_bring_its_own_curve(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    own = reference.reference_curve(path)
    assert own.z_score(1.35, 60, "F") == pytest.approx(1.0)
    made = interpret(Value(tbs=1.35, see=0.01), Patient(sex="F", age_years=60.0, bmi=26.0), B, own)
    assert made.reference == "Our adults, women"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (("provenance", "origin"), "lacks provenance"),
        (("sd = 0.1", 'sd = "wide"'), "must be numbers"),
        (("sd = 0.1", "sd = -0.1"), "positive"),
        (("[30, 80]", "[80, 30]"), "ascend"),
        (("name =", "name"), "cannot be read as TOML"),
    ],
)
def test_a_damaged_file_is_refused_with_what_to_mend(
    damage: tuple[str, str], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.toml"
    path.write_text(OWN.replace(*damage))
    with pytest.raises(reference.ReferenceDataError, match=said):
        reference.reference_curve(path)


def test_every_data_file_says_where_it_comes_from() -> None:
    folder = Path(reference.__file__).parent / "data"
    found = sorted(folder.glob("*.toml"))
    assert len(found) >= 3
    for path in found:
        words = path.read_text(encoding="utf-8")
        assert "source = " in words, path.name
        assert "provenance = " in words, path.name
