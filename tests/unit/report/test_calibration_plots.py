"""The page of plots about a fit: what it shows, and that it is the same file every time."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbsnode.report import calibration_plots
from tbsnode.tbs.calibration_fit import FitStatistics, Pair, fit_paired
from tests import paired

ABOUT = "Densitometer 1, serial number 77"


def numbers_of(pairs: list[Pair]) -> FitStatistics:
    numbers = fit_paired(pairs, paired.KEY, paired.APPROVAL).statistics
    assert numbers is not None
    return numbers


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return paired.pairs(60, 1)


@pytest.fixture(scope="module")
def numbers(pairs: list[Pair]) -> FitStatistics:
    return numbers_of(pairs)


def page(pdf: bytes) -> pypdf.PageObject:
    (only,) = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return only


def dots(pdf: bytes) -> int:
    """Count the circles: each is four curves, and nothing else is curved."""
    stream = page(pdf).get_contents()
    assert stream is not None
    return len(re.findall(rb"\bc\b", stream.get_data())) // 4


def test_four_panels_show_every_pair(pairs, numbers):
    assert dots(calibration_plots.render(pairs, numbers)) == 4 * 60


def test_a_patient_without_body_mass_is_missing_there_only(pairs, numbers):
    less = [replace(pairs[0], bmi=None), *pairs[1:]]
    assert dots(calibration_plots.render(less, numbers)) == 4 * 60 - 1


def test_without_any_body_mass_there_is_no_panel_of_it(pairs, numbers):
    without = [replace(pair, bmi=None) for pair in pairs]
    pdf = calibration_plots.render(without, numbers)
    assert dots(pdf) == 3 * 60
    assert "body mass" not in page(pdf).extract_text()


def test_says_what_was_fitted(pairs, numbers):
    said = page(calibration_plots.render(pairs, numbers, ABOUT)).extract_text()
    p = dict(numbers.covariate_p)
    for words in (
        ABOUT,
        "60 pairs",
        f"{numbers.intercept:.3f} + {numbers.slope:.3f} x texture slope",
        f"estimate {numbers.see:.3f}",
        f"p = {p['bmi']:.3f}",
        f"p = {p['age_years']:.3f}",
        "1.23",
        "1.31",
    ):
        assert words in said


def test_what_is_modeled_is_taken_off_the_points_around_the_line():
    pairs = paired.pairs(90, 13, paired.Truth(bmi_slope=0.02))
    numbers = numbers_of(pairs)
    assert [each.name for each in numbers.covariates] == ["bmi"]
    scatter = calibration_plots._all(pairs, numbers)[0]
    left = scatter.y - numbers.intercept - numbers.slope * scatter.x
    assert abs(left).max() < 4 * numbers.see
    assert abs(np.array([pair.tbs for pair in pairs]) - scatter.y).max() > 4 * numbers.see
    assert "less what is modeled" in page(calibration_plots.render(pairs, numbers)).extract_text()


def test_the_page_names_the_scanner_and_who_approves():
    assert calibration_plots.about(paired.KEY, paired.APPROVAL) == (
        "Example Densitometer 1 / 77 / 1.0 / DISPLAY / 0.25 x 0.25 mm / Dr. Example, 2026-11-01"
    )
    simulated = replace(paired.APPROVAL, simulated=True)
    unnamed = replace(paired.KEY, manufacturer="", model_name="", device_serial_number=" ")
    said = calibration_plots.about(unnamed, simulated)
    assert said.startswith("SIMULATED")
    assert " / 1.0 / DISPLAY / " in said


def test_a_refused_fit_is_shown_too():
    turned = paired.pairs(40, 8, paired.Truth(intercept=2.7, slope=-1.1))
    assert dots(calibration_plots.render(turned, numbers_of(turned))) == 160


def test_without_a_line_there_are_still_the_pairs(pairs, numbers):
    nan = float("nan")
    none = replace(numbers, slope=nan, intercept=nan, see=nan, predicted=(nan,) * 60)
    pdf = calibration_plots.render(pairs, none)
    assert dots(pdf) == 60


def test_every_font_is_embedded(pairs, numbers):
    fonts = page(calibration_plots.render(pairs, numbers))["/Resources"]["/Font"]  # type: ignore[index]
    assert fonts
    for font in fonts.values():
        descriptor = font.get_object()["/FontDescriptor"]
        assert "/FontFile2" in descriptor


def test_another_process_another_day_writes_the_same_bytes(pairs, numbers):
    script = (
        "import sys; from tests import paired; from tbsnode.report.calibration_plots import render;"
        "from tbsnode.tbs.calibration_fit import fit_paired; pairs = paired.pairs(60, 1);"
        "made = fit_paired(pairs, paired.KEY, paired.APPROVAL);"
        "sys.stdout.buffer.write(render(pairs, made.statistics))"
    )
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment)
    assert done.stdout == calibration_plots.render(pairs, numbers)


def test_one_moved_pair_is_another_page(pairs, numbers):
    moved = [replace(pairs[0], tbs=pairs[0].tbs + 0.05), *pairs[1:]]
    assert calibration_plots.render(moved, numbers) != calibration_plots.render(pairs, numbers)


def test_numbers_of_other_pairs_are_an_error(pairs, numbers):
    with pytest.raises(ValueError, match="59 pairs"):
        calibration_plots.render(pairs[1:], numbers)
    with pytest.raises(ValueError, match="page_size"):
        calibration_plots.render(pairs, numbers, page_size="A7")


@given(st.floats(-1e3, 1e3), st.floats(1e-4, 1e4))
def test_ticks_are_round_few_and_inside(low: float, width: float) -> None:
    high = low + width
    ticks = calibration_plots._round_numbers(low, high)
    assert 1 <= len(ticks) <= calibration_plots.MOST_TICKS
    assert len({shown for _, shown in ticks}) == len(ticks)
    for value, shown in ticks:
        assert low - 1e-6 * width <= value <= high + 1e-6 * width
        assert float(shown) == pytest.approx(value, rel=1e-9, abs=1e-9 * width)
