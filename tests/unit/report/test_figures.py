from __future__ import annotations

import numpy as np
import pytest

from tbsnode.reasons import Code
from tbsnode.report.figures import EXCLUDED_RGB, INCLUDED_RGB, overlay_rgb, window

SQUARE = ((10.0, 30.0), (10.0, 50.0), (40.0, 50.0), (40.0, 30.0))


def painted(rgb, color):
    return (rgb == np.array(color, np.uint8)).all(axis=2)


def test_window_is_a_line_between_percentiles():
    gray = window(np.linspace(0.0, 1000.0, 303).reshape(3, 101))
    assert gray.dtype == np.uint8
    assert gray[0, 0] == 0
    assert gray[-1, -1] == 255
    assert abs(int(gray[1, 50]) - 128) <= 2


def test_padding_does_not_count_for_the_window():
    pixels = np.full((60, 60), -30000.0)
    pixels[10:50, 10:50] = np.linspace(100.0, 200.0, 1600).reshape(40, 40)
    gray = window(pixels)
    assert gray[0, 0] == 0
    assert abs(int(gray[30, 10]) - 128) < 8


def test_bright_padding_is_black_and_bright_bone_stays():
    pixels = np.full((60, 60), 255.0)
    pixels[:, 10:50] = np.linspace(0.0, 255.0, 60)[:, np.newaxis]
    pixels[20:30, 20:30] = 255.0
    gray = window(pixels)
    assert not gray[:, :10].any()
    assert not gray[:, 50:].any()
    assert (gray[20:30, 20:30] == 255).all()


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_a_constant_picture_is_drawn_black(value):
    assert not window(np.full((5, 7), value)).any()


def test_pixels_that_are_not_finite_are_black():
    pixels = np.linspace(1.0, 2.0, 400).reshape(20, 20)
    pixels[3, 4] = np.nan
    pixels[5, 6] = np.inf
    gray = window(pixels)
    assert gray[3, 4] == 0
    assert gray[5, 6] == 0
    assert gray.max() == 255


def test_the_overlay_has_the_stored_matrix_and_leaves_the_rest_alone(make_picture, make_analysis):
    pixels = make_picture()
    rgb = overlay_rgb(pixels, make_analysis())
    assert rgb.dtype == np.uint8
    assert rgb.shape == (*pixels.shape, 3)
    gray = overlay_rgb(pixels, make_analysis(vertebrae=()))
    assert (gray[..., 0] == gray[..., 1]).all()
    assert (rgb == gray).all(axis=2).mean() > 0.9


def test_the_outline_runs_through_the_region(make_picture, make_analysis, make_vertebra):
    one = (make_vertebra(0, region=SQUARE),)
    outline = painted(overlay_rgb(make_picture(), make_analysis(vertebrae=one)), INCLUDED_RGB)
    assert outline[10, 30:51].all()
    assert outline[10:41, 50].all()
    assert not outline[12:39, 32:49].any()


def test_a_level_that_is_left_out_is_dashed_and_of_another_color(make_picture, make_analysis, make_left_out):
    from dataclasses import replace

    out = replace(make_left_out(1, Code.LEVEL_CUT), region=SQUARE)
    rgb = overlay_rgb(make_picture(), make_analysis(vertebrae=(out,)))
    outline = painted(rgb, EXCLUDED_RGB)
    assert 0.3 < outline[10, 30:51].mean() < 0.8
    assert not painted(rgb, INCLUDED_RGB).any()


@pytest.mark.parametrize(
    "corner",
    [((-5.0, -5.0), (-5.0, 9.0), (30.0, 9.0), (30.0, -5.0)), ((0.0, 0.0), (0.0, 39.0), (19.0, 39.0))],
)
def test_labels_and_outlines_stay_inside_the_picture(make_analysis, make_vertebra, corner):
    pixels = np.linspace(0.0, 1.0, 800).reshape(20, 40)
    rgb = overlay_rgb(pixels, make_analysis(vertebrae=(make_vertebra(0, region=corner),)))
    assert rgb.shape == (20, 40, 3)
    assert painted(rgb, INCLUDED_RGB).any()


def test_the_label_is_legible_on_a_coarse_matrix(make_picture, make_analysis, make_vertebra):
    """A dot of a letter is at least two pixels: ten pixels high."""
    coarse = (130, 100)
    analysis = make_analysis(vertebrae=(make_vertebra(2, coarse),))
    rgb = overlay_rgb(make_picture(coarse), analysis)
    left_of_region = painted(rgb, INCLUDED_RGB)[:, : int(0.33 * coarse[1])]
    rows = np.flatnonzero(left_of_region.any(axis=1))
    assert rows[-1] - rows[0] + 1 >= 10
