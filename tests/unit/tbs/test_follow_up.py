"""Precision studies, change since earlier examinations, and the diagnosis from the lowest site."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbsnode.reasons import Code
from tbsnode.tbs import bone_density, precision, trend
from tbsnode.tbs.bone_density import Diagnosis, SiteScore
from tbsnode.tbs.result import LABELS
from tests.paired import KEY


def scans(people: int, times: int, sd: float, seed: int = 1, day: str = "") -> list[precision.Scan]:
    rng = np.random.default_rng(seed)
    made = []
    for subject in range(people):
        true = rng.uniform(1.1, 1.4)
        for time in range(times):
            scores = {level: true + rng.normal(0, sd) for level in LABELS}
            made.append(precision.Scan(subject=str(subject), scores=scores, day=day or f"2026110{time + 1}"))
    return made


def test_precision_by_hand() -> None:
    """Two people twice: SD 0.01 x sqrt 2 each; LSC is withheld with two degrees of freedom."""
    repeats = [(1.20, 1.22), (1.30, 1.28)]
    made = precision.fit(
        precision.Scan(subject=str(i), scores=dict.fromkeys(LABELS, value))
        for i, pair in enumerate(repeats)
        for value in pair
    )
    whole = made.of(LABELS)
    assert whole is not None
    assert (whole.subjects, whole.degrees) == (2, 2)
    assert whole.rms_sd == pytest.approx(0.01 * 2**0.5)
    assert whole.cv_percent == pytest.approx(100 * (((0.0002 / 1.21**2) + (0.0002 / 1.29**2)) / 2) ** 0.5)
    assert whole.lsc is None
    assert not made.is_enough


@pytest.mark.parametrize(("people", "times"), [(30, 2), (15, 3)])
def test_thirty_degrees_of_freedom_give_a_least_significant_change(people: int, times: int) -> None:
    made = precision.fit(scans(people, times, 0.02))
    whole = made.of(LABELS)
    assert whole is not None
    assert (whole.degrees, made.is_enough) == (30, True)
    assert whole.lsc == pytest.approx(2.77 * whole.rms_sd)
    assert whole.rms_sd == pytest.approx(0.01, rel=0.35)
    assert whole.upper_95 > whole.rms_sd


def test_every_set_of_levels_has_its_own_precision() -> None:
    made = precision.fit(scans(30, 2, 0.02))
    assert len(made.sets) == 1 + 4 + 6
    two = made.of(("L2", "L4"))
    whole = made.of(LABELS)
    assert two is not None
    assert whole is not None
    assert two.rms_sd > whole.rms_sd


def test_a_level_that_was_left_out_counts_only_where_it_is_there() -> None:
    some = scans(30, 2, 0.02)
    some[0] = replace(some[0], scores={k: v for k, v in some[0].scores.items() if k != "L1"})
    made = precision.fit(some)
    whole, without = made.of(LABELS), made.of(("L2", "L3", "L4"))
    assert whole is not None
    assert without is not None
    assert (whole.degrees, whole.lsc, without.degrees) == (29, None, 30)


def test_scans_of_one_day_are_flagged() -> None:
    assert precision.fit(scans(30, 2, 0.02, day="20261101")).same_day == 30
    assert precision.fit(scans(30, 2, 0.02)).same_day == 0


NOW = trend.Examination(
    examined_on="20261101", score=1.30, tbs=1.23, levels=LABELS, key=KEY, estimator="e", scan_mode="standard"
)
THEN = replace(NOW, examined_on="20241101", score=1.36)


def study() -> precision.Precision:
    return precision.fit(scans(30, 2, 0.02))


def test_a_change_is_judged_against_the_sites_own_precision() -> None:
    small = replace(THEN, score=1.305, examined_on="20251101")
    found = trend.compare(NOW, [small, THEN], study())
    assert [change.since for change in found.changes] == ["20241101", "20251101"]
    assert [change.exceeds for change in found.changes] == [True, False]
    assert found.changes[0].difference == pytest.approx(-0.06)


def test_without_a_precision_study_a_change_is_not_interpreted() -> None:
    (change,) = trend.compare(NOW, [THEN], None).changes
    assert (change.lsc, change.exceeds) == (None, None)


@pytest.mark.parametrize(
    ("prior", "code", "detail"),
    [
        (
            replace(THEN, key=replace(KEY, device_serial_number="78")),
            "PRIOR_NOT_COMPARABLE",
            "another scanner",
        ),
        (replace(THEN, key=replace(KEY, input_class="IMAGE")), "PRIOR_NOT_COMPARABLE", "input class"),
        (
            replace(THEN, key=replace(KEY, software_versions="0.9")),
            "PRIOR_NOT_COMPARABLE",
            "software version",
        ),
        (
            replace(THEN, key=replace(KEY, pixel_spacing_mm=(0.3, 0.25))),
            "PRIOR_NOT_COMPARABLE",
            "pixel spacing",
        ),
        (replace(THEN, estimator="f"), "PRIOR_NOT_COMPARABLE", "estimator"),
        (replace(THEN, levels=("L1", "L2", "L3")), "PRIOR_NOT_COMPARABLE", "levels"),
        (replace(THEN, scan_mode="thick"), "SCAN_MODE_CHANGED", "thick"),
    ],
)
def test_what_is_not_comparable_is_named_and_not_compared(
    prior: trend.Examination, code: str, detail: str
) -> None:
    found = trend.compare(NOW, [prior], study())
    assert found.changes == ()
    (finding,) = found.findings
    assert finding.code is Code(code)
    assert detail in str(dict(finding.values)["detail"])


def test_without_a_serial_number_no_change_is_stated() -> None:
    """Two machines of one model differ by more than many changes do."""
    nameless = replace(KEY, device_serial_number="")
    found = trend.compare(replace(NOW, key=nameless), [replace(THEN, key=nameless)], study())
    assert found.changes == ()
    assert "no serial number" in str(dict(found.findings[0].values)["detail"])


def scores(**t_scores: float) -> list[SiteScore]:
    return [SiteScore(site=site, t_score=value, z_score=value + 1.0) for site, value in t_scores.items()]


@pytest.mark.parametrize(
    ("sites", "diagnosis", "site"),
    [
        ({"spine": -1.0, "total_hip": -0.5}, Diagnosis.NORMAL, "spine"),
        ({"spine": -1.1, "total_hip": -0.5}, Diagnosis.LOW_BONE_MASS, "spine"),
        ({"spine": -2.4, "femoral_neck": -0.5}, Diagnosis.LOW_BONE_MASS, "spine"),
        ({"spine": 0.5, "femoral_neck": -2.5, "total_hip": -1.0}, Diagnosis.OSTEOPOROSIS, "femoral_neck"),
        (
            {"spine": 0.5, "total_hip": 0.1, "one_third_radius": -2.6},
            Diagnosis.OSTEOPOROSIS,
            "one_third_radius",
        ),
        ({"spine": -3.0}, Diagnosis.SPINE_ONLY, "spine"),
        ({"one_third_radius": -3.0}, Diagnosis.NO_HIP, "one_third_radius"),
        ({"spine": -1.2, "one_third_radius": -3.0}, Diagnosis.NO_HIP, "one_third_radius"),
        ({"spine": -3.0, "one_third_radius": -1.2}, Diagnosis.NO_HIP, "spine"),
        ({}, Diagnosis.NOT_AVAILABLE, ""),
    ],
)
def test_the_lowest_site_decides(sites: dict[str, float], diagnosis: Diagnosis, site: str) -> None:
    made = bone_density.diagnose(scores(**sites), sex="F", age_years=68.0)
    assert (made.diagnosis, made.site, made.uses_z_score) == (diagnosis, site, False)


@pytest.mark.parametrize(
    ("score", "diagnosis"),
    [
        (-1.04, Diagnosis.NORMAL),  # printed -1.0
        (-1.06, Diagnosis.LOW_BONE_MASS),
        (-2.44, Diagnosis.LOW_BONE_MASS),  # printed -2.4
        (-2.46, Diagnosis.OSTEOPOROSIS),  # printed -2.5
        (-2.499, Diagnosis.OSTEOPOROSIS),
    ],
)
def test_a_score_is_judged_as_it_is_printed(score: float, diagnosis: Diagnosis) -> None:
    made = bone_density.diagnose(scores(spine=0.0, total_hip=score), sex="F", age_years=68.0)
    assert (made.diagnosis, made.score) == (diagnosis, score)


def test_younger_people_are_judged_by_z_scores() -> None:
    some = scores(spine=-3.1, total_hip=-2.0)
    young = bone_density.diagnose(some, sex="M", age_years=35.0)
    assert (young.diagnosis, young.score, young.uses_z_score) == (
        Diagnosis.BELOW_EXPECTED,
        pytest.approx(-2.1),
        True,
    )
    assert bone_density.diagnose(some, sex="", age_years=68.0).uses_z_score
    expected = bone_density.diagnose(scores(spine=-2.9, total_hip=-2.0), sex="F", age_years=35.0)
    assert expected.diagnosis is Diagnosis.WITHIN_EXPECTED
