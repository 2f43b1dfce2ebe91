from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbsnode.errors import TextureError
from tbsnode.reasons import Code, Finding, Severity
from tbsnode.tbs import quality
from tbsnode.tbs.result import Vertebra


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code.value for finding in findings]


def test_nothing_to_doubt() -> None:
    assert quality.patient_findings(64.0, "F", 27.0, True) == ()
    assert quality.patient_findings(20.0, "M", 15.0, True) == ()
    assert quality.patient_findings(90.0, "M", 37.0, True) == ()
    assert quality.patient_findings(90.0, "M", 37.04, True) == ()  # printed 37.0
    assert quality.patient_findings(90.0, "M", 14.96, True) == ()


@pytest.mark.parametrize(
    ("age_years", "sex", "bmi", "has_size", "expected"),
    [
        (19.9, "F", 22.0, True, ["AGE_UNDER_20"]),
        (None, "F", 22.0, True, ["AGE_UNKNOWN"]),
        (50.0, "", 22.0, True, ["SEX_UNKNOWN"]),
        (50.0, "O", 22.0, True, ["SEX_UNKNOWN"]),
        (50.0, "M", 14.9, True, ["BMI_OUT_OF_RANGE"]),
        (50.0, "M", 37.06, True, ["BMI_OUT_OF_RANGE"]),
        (50.0, "M", 37.1, True, ["BMI_OUT_OF_RANGE"]),
        (50.0, "M", None, True, ["BODY_SIZE_IMPLAUSIBLE"]),
        (50.0, "M", None, False, ["BODY_SIZE_MISSING"]),
        (None, "", None, False, ["AGE_UNKNOWN", "SEX_UNKNOWN", "BODY_SIZE_MISSING"]),
    ],
)
def test_each_doubt_about_the_patient(
    age_years: float | None, sex: str, bmi: float | None, has_size: bool, expected: list[str]
) -> None:
    assert codes(quality.patient_findings(age_years, sex, bmi, has_size)) == expected


def test_children_are_refused() -> None:
    (finding,) = quality.patient_findings(12.0, "M", 20.0, True)
    assert finding.severity is Severity.FAIL


def test_saturation_level() -> None:
    image = np.random.default_rng(1).integers(0, 200, (100, 100)).astype(float)
    whole = np.ones(image.shape, dtype=bool)
    image[0, 0] = 230.0
    assert quality.saturation_level(image, whole, 255.0) is None
    image[10:14, 10:14] = 230.0
    assert quality.saturation_level(image, whole, 255.0) == 230.0
    image[50, 50] = 255.0
    assert quality.saturation_level(image, whole, 255.0) == 255.0
    whole[50, 50] = False  # padding does not count
    assert quality.saturation_level(image, whole, 255.0) == 230.0


def test_reduced_heights() -> None:
    assert quality.reduced_heights([30.0, 31.0, 32.0, 33.0]) == {}
    assert quality.reduced_heights([30.0, 22.5, 30.0]) == {}  # exactly 75 %
    assert list(quality.reduced_heights([30.0, 22.4, 30.0])) == [1]
    assert quality.reduced_heights([None, 20.0, None]) == {}
    assert list(quality.reduced_heights([None, 20.0, None, 30.0])) == [1]
    assert sorted(quality.reduced_heights([30.0, 15.0, 14.0, 31.0])) == [1, 2]


def vertebra(label: str, score: float, r2: float = 0.99, excluded: Finding | None = None) -> Vertebra:
    return Vertebra(
        label=label,
        included=excluded is None,
        excluded=excluded,
        score=score,
        standard_error=None,
        native_score=None,
        unweighted_score=None,
        fit_r2=r2,
        pairs=1000,
        area_mm2=900.0,
        height_mm=33.0,
        region=(),
    )


def test_level_findings() -> None:
    good = [vertebra("L1", 1.20), vertebra("L2", 1.25), vertebra("L3", 1.30), vertebra("L4", 1.22)]
    assert quality.level_findings(good) == ()
    poor = [*good[:3], vertebra("L4", 1.22, r2=0.84)]
    assert quality.level_findings(poor) == (Finding(Code.POOR_FIT, "L4", (("fit_r2", 0.84),)),)
    apart = [*good[:3], vertebra("L4", 1.46)]
    assert quality.level_findings(apart) == (Finding(Code.TECHNICAL_SPREAD, "L4", (("difference", 0.21),)),)


def test_a_level_alone_is_not_apart_from_others() -> None:
    assert quality.level_findings([vertebra("L1", 1.20)]) == ()


def test_a_level_left_out_is_named_and_not_judged_further() -> None:
    cut = Finding(Code.LEVEL_CUT, "L1")
    levels = [vertebra("L1", 0.3, r2=0.1, excluded=cut), vertebra("L2", 1.25), vertebra("L3", 1.3)]
    assert quality.level_findings(levels) == (cut,)


PIXELS = np.arange(1000.0)


def test_texture_without_doubt() -> None:
    assert quality.texture_findings(PIXELS, 1.3, 64) == ()


@pytest.mark.parametrize(
    ("pixels", "score", "code"),
    [
        (PIXELS % 63, 1.3, Code.LOW_BIT_DEPTH),
        (PIXELS, 0.0, Code.OUT_OF_PHYSICAL_RANGE),
        (PIXELS, 2.0, Code.OUT_OF_PHYSICAL_RANGE),
        (PIXELS, -0.2, Code.OUT_OF_PHYSICAL_RANGE),
        (PIXELS, 1.91, Code.RESAMPLED_TOO_SMOOTH),
    ],
)
def test_texture_that_cannot_be_bone(pixels: np.ndarray, score: float, code: Code) -> None:
    with pytest.raises(TextureError) as caught:
        quality.texture_findings(pixels, score, 64)
    assert caught.value.code is code


def test_doubts_about_texture() -> None:
    few = quality.texture_findings(PIXELS % 64, 1.3, 64)
    assert few == (Finding(Code.FEW_GRAY_LEVELS, values=(("gray_levels", 64),)),)
    assert codes(quality.texture_findings(PIXELS % 255, 1.89, 64)) == ["FEW_GRAY_LEVELS"]
    assert quality.texture_findings(PIXELS % 256, 1.3, 64) == ()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_clipped_bone(sign: float) -> None:
    """At the bright end or, of a picture with dark bone, at the dark one."""

    def clipped(share: float) -> np.ndarray:
        return sign * np.minimum(PIXELS, np.quantile(PIXELS, 1.0 - share))

    assert quality.texture_findings(clipped(0.07), 1.3, 64) == ()
    (doubt,) = quality.texture_findings(sign * np.minimum(PIXELS, 910.0), 1.3, 64)
    assert doubt == Finding(Code.SATURATED, values=(("percent", 9.1),))  # 910 to 999, and the other end's one
    assert codes(quality.texture_findings(clipped(0.19), 1.3, 64)) == ["SATURATED"]
    with pytest.raises(TextureError) as caught:
        quality.texture_findings(clipped(0.21), 1.3, 64)
    assert caught.value.code is Code.BONE_CLIPPED


def test_rise_between_one_and_two_pixels() -> None:
    def with_rise(power: float) -> list[Vertebra]:
        lags = tuple((lag, lag**power, 500) for lag in (0.5, 0.7, 1.0))
        return [replace(vertebra("L1", 1.2), variogram=lags)]

    assert codes(quality.resampling_findings(with_rise(1.9), (0.5, 0.6))) == ["RESAMPLED"]
    assert quality.resampling_findings(with_rise(1.7), (0.5, 0.6)) == ()
    assert quality.resampling_findings([vertebra("L1", 1.2)], (0.5, 0.6)) == ()


STEPS = {
    "alike": ((-1.0, -1.2, -0.9, -0.8), {}),
    "exactly 1.0 is none": ((-1.0, 0.0, 1.0, 2.0), {}),
    "exactly 1.0 in tenths": ((0.3, 1.3, 2.3, 3.3), {}),
    "as printed: -1.0, -2.1": ((-1.04, -2.06, -2.06, -2.06), {"L1": 1.1}),
    "as printed: -1.0, -2.0": ((-0.96, -2.04, -2.04, -2.04), {}),
    "one dense level": ((-1.0, -1.0, 1.5, -1.0), {"L3": 2.5}),
    "a level at the end": ((-3.0, -1.0, -1.0, -1.0), {"L1": -2.0}),
    "two dense levels": ((-1.0, -1.0, 1.0, 1.2), {"L3": 2.0}),
    "every other one": ((2.0, 0.0, 2.0, 0.0), {"L1": 2.0, "L3": 2.0}),
    "not stated": ((None, -1.0, None, 3.0), {}),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_t_scores(name: str) -> None:
    values, expected = STEPS[name]
    levels = [vertebra("L1", 1.2), vertebra("L2", 1.3), vertebra("L3", 1.4), vertebra("L4", 1.5)]
    t_scores = dict(zip(("L1", "L2", "L3", "L4"), values, strict=True))
    found = quality.degenerative_findings(levels, t_scores)
    assert {finding.vertebra: dict(finding.values)["t_score_step"] for finding in found} == expected
    assert all(finding.severity is Severity.WARN for finding in found)


def test_the_score_without_a_doubted_level() -> None:
    levels = [vertebra("L1", 1.2), vertebra("L2", 1.3), vertebra("L3", 1.7), vertebra("L4", 1.4)]
    t_scores = {"L1": -1.0, "L2": -1.0, "L3": 1.0, "L4": -1.0}
    (finding,) = quality.degenerative_findings(levels, t_scores)
    assert finding == Finding(Code.DEGENERATIVE_STEP, "L3", (("t_score_step", 2.0), ("score_without", 1.3)))
    (finding,) = quality.degenerative_findings(levels[1:3], t_scores)  # one level alone is no score
    assert dict(finding.values) == {"t_score_step": 2.0}


def test_a_level_left_out_is_no_neighbor() -> None:
    cut = Finding(Code.LEVEL_CUT, "L1")
    levels = [vertebra("L1", 1.2, excluded=cut), vertebra("L2", 1.3), vertebra("L3", 1.4)]
    assert quality.degenerative_findings(levels, {"L1": 3.0, "L2": 0.0, "L3": 0.0}) == ()
    assert quality.degenerative_findings(levels, {}) == ()
