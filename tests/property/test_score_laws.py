"""Laws of the texture slope."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.score import score_region, texture_slope, unweighted_slope
from tbsnode.tbs.variogram import Variogram
from tests.textures import PIXEL_GRIDS_MM, analytic, bone_texture, vertebra_shape

SIZE_MM = (16.0, 22.0)
COARSE_MM = st.sampled_from([(0.5, 0.5), (0.6, 0.6), (1.05, 0.6), (0.8, 0.8), (0.5, 0.7)])
SEEDS = st.integers(0, 2**32 - 1)


def _picture(spacing_mm, seed):
    return bone_texture(spacing_mm, SIZE_MM, seed=seed), vertebra_shape(spacing_mm, SIZE_MM)


def _slopes(score):
    return np.array([score.slope, score.native_slope, score.unweighted_slope])


@given(COARSE_MM, SEEDS, st.floats(0.01, 100.0), st.sampled_from([-1, 1]), st.floats(-1000, 1000))
@settings(max_examples=60)
def test_gray_levels_may_be_scaled_inverted_and_shifted(spacing_mm, seed, size, sign, shift):
    image, region = _picture(spacing_mm, seed)
    one = score_region(image, region, pixel_spacing_mm=spacing_mm)
    other = score_region(sign * size * image + shift, region, pixel_spacing_mm=spacing_mm)
    np.testing.assert_allclose(_slopes(other), _slopes(one), rtol=0, atol=1e-9)


@given(COARSE_MM, SEEDS, st.integers(0, 3), st.booleans())
@settings(max_examples=60)
def test_turns_and_flips_with_the_spacing_turned_along(spacing_mm, seed, turns, flipped):
    image, region = _picture(spacing_mm, seed)
    one = score_region(image, region, pixel_spacing_mm=spacing_mm)
    turned = [np.rot90(array[::-1] if flipped else array, turns) for array in (image, region)]
    other = score_region(*turned, pixel_spacing_mm=spacing_mm[::-1] if turns % 2 else spacing_mm)
    np.testing.assert_allclose(_slopes(other), _slopes(one), rtol=0, atol=1e-9)
    assert other.pairs == one.pairs


@given(COARSE_MM, SEEDS)
@settings(max_examples=40)
def test_pixels_outside_do_not_count(spacing_mm, seed):
    image, region = _picture(spacing_mm, seed)
    one = score_region(image, region, pixel_spacing_mm=spacing_mm)
    other = score_region(np.where(region, image, np.nan), region, pixel_spacing_mm=spacing_mm)
    assert (_slopes(other) == _slopes(one)).all()


@given(st.sampled_from(PIXEL_GRIDS_MM), st.floats(0.05, 2.0), st.floats(1e-6, 1e6))
@settings(max_examples=60)
def test_a_power_law_is_exact_in_every_form(spacing_mm, slope, size):
    v = analytic(lambda r: size * r**slope, spacing_mm)
    assert texture_slope(v, Parameters()).slope == pytest.approx(slope, abs=1e-9)
    plain = unweighted_slope(v, lag_min_mm=1.0, lag_max_mm=5.25, min_pairs=100)
    assert plain.slope == pytest.approx(slope, abs=1e-9)


@given(COARSE_MM, SEEDS, st.floats(0.1, 10.0))
@settings(max_examples=60)
def test_the_unit_of_length_cancels_if_the_lags_are_in_it_too(spacing_mm, seed, unit):
    """The unweighted native slope counts in pixels; the score needs its range in the same unit."""
    image, region = _picture(spacing_mm, seed)
    one = score_region(image, region, pixel_spacing_mm=spacing_mm)
    v = Variogram(unit * one.variogram.lag_mm, one.variogram.value, one.variogram.pairs)
    scaled = Parameters(lag_min_mm=unit * 1.05, lag_max_mm=unit * 5.25, variogram_max_mm=unit * 7.0)
    assert texture_slope(v, scaled).slope == pytest.approx(one.slope, abs=1e-9)
    native_mm = unit * 5 * max(spacing_mm)
    native = unweighted_slope(v, lag_min_mm=0.0, lag_max_mm=native_mm, min_pairs=100)
    assert native.slope == pytest.approx(one.native_slope, abs=1e-9)


@given(st.sampled_from(PIXEL_GRIDS_MM), st.floats(0.3, 1.7), st.floats(0.0, 3.0), st.floats(0.0, 3.0))
@settings(max_examples=60)
def test_noise_lowers_the_slope(spacing_mm, slope, less, more):
    noisy = [
        texture_slope(analytic(lambda r, n=n: r**slope + n, spacing_mm), Parameters()).slope
        for n in (less, less + more)
    ]
    assert noisy[1] <= noisy[0] + 1e-12
    assert 0.0 <= noisy[1] <= slope + 1e-9
