"""Earlier examinations on page 2: their rows, what a change is worth, and why some are left out."""

from __future__ import annotations

from dataclasses import replace

from tbsnode.reasons import Code, Finding
from tests.report_cases import calibrated, prior
from tests.report_pages import followed, pages, second
from tests.report_parts import IDENTITY, report


def test_four_earlier_examinations():
    words = second("four_priors")
    for row in (
        "2017-04-10 1.291 -0.111, exceeds L1, L2, L3, L4 yes (own archive)",
        "2019-05-02 1.262 - L1, L2, L3, L4 no: another scanner or input class (own archive)",
        "2024-01-15 1.235 -0.055, exceeds",
        "2026-03-01 (this) 1.180",
        "Least significant change 0.050.",
    ):
        assert row in words
    assert "response" not in words.lower()


def test_uncalibrated_the_course_is_that_of_the_slope():
    words = second("four_priors_uncalibrated")
    assert "2017-04-10 1.381 -0.108, exceeds" in words
    assert "2026-03-01 (this) 1.273" in words
    assert "Least significant change 0.045." in words


def test_a_change_within_and_one_that_nobody_may_interpret():
    one = prior("20240115", 1.2)
    words = pages(report(calibrated(follow_up=followed(one))))[1]
    assert "2024-01-15 1.200 -0.020, within" in words
    words = pages(report(calibrated(follow_up=followed(one, lsc=None, tbs_lsc=None))))[1]
    assert "2024-01-15 1.200 -0.020 L1, L2, L3, L4 yes" in words
    assert "no change is interpreted" in words
    assert "exceeds" not in words


def test_a_change_that_exceeds_is_printed_larger():
    close = followed(prior("20240115", 1.1296), prior("20250115", 1.2))
    words = pages(report(calibrated(follow_up=close)))[1]
    assert "2024-01-15 1.130 +0.0504, exceeds" in words
    assert "2025-01-15 1.200 -0.020, within" in words
    assert "Least significant change 0.0500." in words


def test_why_an_examination_is_not_compared():
    off = {"comparable": False, "difference": None, "tbs_difference": None}
    gone = prior("20200101", None, origin="own report", **off)
    fewer = prior("20210101", 1.22, levels=("L1", "L2"), **off)
    words = pages(report(calibrated(follow_up=followed(gone, fewer))))[1]
    assert "2020-01-01 - - L1, L2, L3, L4 no: image no longer there (own report)" in words
    assert "2021-01-01 1.220 - L1, L2 no: other levels (own archive)" in words
    assert "Least significant change" not in words
    only = Finding(Code.PRIOR_NOT_COMPARABLE, values=(("detail", "pixel spacing"),))
    words = pages(report(calibrated(follow_up=followed(fewer, findings=(only,)))))[1]
    assert "no: pixel spacing (own archive)" in words


def test_eight_earlier_examinations_and_twelve():
    many = [prior(f"{2013 + k}0301", 1.3 - 0.01 * k, origin="pacs") for k in range(12)]
    words = " ".join(pages(report(calibrated(follow_up=followed(*many[4:]))))[1:])
    assert words.count("yes (image from the PACS)") == 8
    words = " ".join(pages(report(calibrated(follow_up=followed(*many))))[1:])
    assert words.count("yes (image from the PACS)") == 10
    assert "And 2 earlier ones." in words


def test_no_course_where_there_is_nothing_to_draw():
    assert "Course" not in second("scored_calibrated")
    undated = calibrated(
        identity=replace(IDENTITY, study_date=""), follow_up=followed(prior("20240115", 1.2))
    )
    words = pages(report(undated))[1]
    assert "year of examination" not in words
    assert "2024-01-15 1.200" in words
    without = prior("20240115", None)
    words = pages(report(calibrated(follow_up=followed(without))))[1]
    assert "year of examination" not in words
    assert "2024-01-15 -" in words
