"""The texture slope: fits by hand, T1 to T9 of the estimator's reference, grids, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest

from tbsnode.errors import TextureError
from tbsnode.reasons import Code
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.score import score_region, texture_slope, unweighted_slope
from tbsnode.tbs.variogram import Variogram, experimental_variogram
from tests.textures import (
    PIXEL_GRIDS_MM,
    analytic,
    bone_texture,
    fractional_brownian,
    vertebra_shape,
)

DEFAULT = Parameters()
PIXELS = (1.0, 1.0)
LAGS_TO_5 = np.arange(1.0, 6.0)
DISTINCT_TO_5 = np.sqrt([1.0, 2, 4, 5, 8, 9, 10, 13, 16, 17, 18, 20, 25])


def _fit(lag, value, *, pairs=1000):
    variogram = Variogram(np.asarray(lag), np.asarray(value), np.full(len(lag), pairs))
    return unweighted_slope(variogram, lag_min_mm=0.0, lag_max_mm=10.0, min_pairs=100)


def _slope_to_5_pixels(image, region=None):
    inside = np.full(image.shape, True) if region is None else region
    variogram = experimental_variogram(image, inside, pixel_spacing_mm=PIXELS, lag_max_mm=5.0)
    return unweighted_slope(variogram, lag_min_mm=0.0, lag_max_mm=5.0, min_pairs=1).slope


# --- by hand


def test_three_points_by_hand():
    """ln r = 0, 1, 2 and ln V = 0, 2, 1: slope 1/2; residuals -1/2, 1, -1/2 of deviations -1, 1, 0."""
    fit = _fit(np.exp([0.0, 1.0, 2.0]), np.exp([0.0, 2.0, 1.0]), pairs=150)
    assert fit.slope == pytest.approx(0.5, abs=1e-12)
    assert fit.r2 == pytest.approx(1 - 1.5 / 2, abs=1e-12)
    assert fit.pairs == 450


def test_a_local_fit_by_hand():
    """Two radii, each on a lag with one neighbor 1 bandwidth away: the local line passes both points."""
    lag = np.exp([0.0, 0.1, 3.0, 3.1])
    value = np.exp([1.0, 5.0, 2.0, 0.5])
    parameters = Parameters(
        lag_min_mm=1.0, lag_max_mm=float(np.exp(3.1)), radii=2, bandwidth=0.1, variogram_max_mm=30.0
    )
    fit = texture_slope(Variogram(lag, value, np.array([100, 900, 300, 200])), parameters)
    assert fit.slope == pytest.approx((0.5 - 1.0) / 3.1, abs=1e-9)
    assert fit.r2 == pytest.approx(1.0)
    assert fit.pairs == 1500


def test_a_local_fit_weighs_pairs_and_nearness_by_hand():
    """At ln r = 0 of -1, 0, 1 bandwidths, weights 2 e^-1/2, 1, 2 e^-1/2 and ln V 0, 3, 0: their mean."""
    lag = np.exp([-0.1, 0.0, 0.1, 4.9, 5.0, 5.1])
    value = np.exp([0.0, 3.0, 0.0, 7.0, 7.0, 7.0])
    pairs = np.array([200, 100, 200, 100, 100, 100])
    parameters = Parameters(
        lag_min_mm=1.0, lag_max_mm=float(np.exp(5.0)), radii=2, bandwidth=0.1, variogram_max_mm=200.0
    )
    near = 3 / (1 + 4 * np.exp(-0.5))
    slope = texture_slope(Variogram(lag, value, pairs), parameters).slope
    assert slope == pytest.approx((7 - near) / 5, abs=1e-9)


@pytest.mark.parametrize("left_out", ["few pairs", "zero", "too far"])
def test_lags_that_do_not_count_change_nothing(left_out):
    lag = np.arange(0.5, 7.01, 0.25)
    value, pairs = 2 * lag**1.1, np.full(lag.size, 500)
    clean = Variogram(lag, value, pairs)
    value, pairs, lag = value.copy(), pairs.copy(), lag.copy()
    if left_out == "few pairs":
        value[5], pairs[5] = 1e6, 99
    elif left_out == "zero":
        value[5] = 0.0
    else:
        value, lag, pairs = (np.append(a, b) for a, b in ((value, 1e6), (lag, 7.01), (pairs, 500)))
    dirty = Variogram(lag, value, pairs)
    assert texture_slope(dirty, DEFAULT).slope == pytest.approx(1.1, abs=1e-12)
    ends = {"lag_min_mm": 0.5, "lag_max_mm": 7.0, "min_pairs": 100}
    assert unweighted_slope(dirty, **ends).slope == pytest.approx(1.1, abs=1e-12)
    lost = 0 if left_out == "too far" else 500
    assert texture_slope(clean, DEFAULT).pairs - texture_slope(dirty, DEFAULT).pairs == lost


def test_a_level_line_has_slope_zero_and_explains_everything():
    flat = analytic(lambda r: np.full(r.size, 7.3), (0.5, 0.5))
    assert texture_slope(flat, DEFAULT).slope == pytest.approx(0.0, abs=1e-12)
    assert texture_slope(flat, DEFAULT).r2 == 1.0


# --- T1 to T9


def test_t1_a_plane_along_one_axis():
    column = 3.0 * np.arange(20.0)[:, np.newaxis]
    assert _slope_to_5_pixels(column) == pytest.approx(2.0, abs=1e-9)


def test_t2_a_plane_along_both_axes():
    plane = np.add.outer(np.arange(20.0), np.arange(20.0))
    along = [
        experimental_variogram(part, np.full(part.shape, True), pixel_spacing_mm=PIXELS, lag_max_mm=5.0)
        for part in (plane[:, :1], plane[:1, :])
    ]
    pairs = sum(v.pairs for v in along)
    pooled = Variogram(along[0].lag_mm, sum(v.value * v.pairs for v in along) / pairs, pairs)
    assert unweighted_slope(pooled, lag_min_mm=0, lag_max_mm=5, min_pairs=1).slope == pytest.approx(
        2.0, abs=1e-9
    )


@pytest.mark.parametrize("step_mm", [0.25, 0.5, 0.6, 0.8, 1.05])
def test_t2b_a_plane_with_all_offsets(step_mm):
    """Square pixels pool the offsets along the contours, where V = 0, with those along the gradient."""
    region = np.full((round(40 / step_mm), round(40 / step_mm)), True)
    plane = 3.0 * np.indices(region.shape)[0]
    score = score_region(plane, region, pixel_spacing_mm=(step_mm, step_mm))
    assert score.slope == pytest.approx(2.0, abs=0.01)
    assert score.native_slope == pytest.approx(2.0, abs=0.01)


def test_t2b_lags_along_the_contours_are_skipped_where_nothing_pools_them():
    """Narrow tall pixels: 1, 2, 3 columns apart V = 0, and has no logarithm."""
    plane = 3.0 * np.indices((40, 60))[0]
    score = score_region(plane, np.full(plane.shape, True), pixel_spacing_mm=(1.05, 0.6))
    assert np.count_nonzero(score.variogram.value == 0) == 10
    assert np.isfinite(score.slope)
    assert (
        score.pairs
        == score.variogram.pairs[
            (score.variogram.value > 0)
            & (score.variogram.lag_mm < 5.25 + 1e-9)
            & (score.variogram.lag_mm > 1)
        ].sum()
    )


def test_t3_white_noise():
    noise = np.random.default_rng(0).standard_normal((400, 400))
    assert _slope_to_5_pixels(noise) == pytest.approx(0.0, abs=0.02)
    score = score_region(noise, np.full(noise.shape, True), pixel_spacing_mm=(0.25, 0.25))
    assert score.slope == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("spacing_mm", PIXEL_GRIDS_MM)
def test_t4_affine_gray_levels(spacing_mm):
    size_mm = (25.0, 32.0)
    image, region = bone_texture(spacing_mm, size_mm, seed=4), vertebra_shape(spacing_mm, size_mm)
    one = score_region(image, region, pixel_spacing_mm=spacing_mm)
    other = score_region(7.3 * image + 100, region, pixel_spacing_mm=spacing_mm)
    assert other.slope == pytest.approx(one.slope, abs=1e-9)
    assert other.native_slope == pytest.approx(one.native_slope, abs=1e-9)
    assert other.unweighted_slope == pytest.approx(one.unweighted_slope, abs=1e-9)
    assert other.r2 == pytest.approx(one.r2, abs=1e-9)
    assert other.pairs == one.pairs


def test_t5_the_unit_of_length_of_the_unweighted_fit():
    image = bone_texture((0.6, 0.6), (25.0, 32.0), seed=5)
    inside = np.full(image.shape, True)
    millimeters = score_region(image, inside, pixel_spacing_mm=(0.6, 0.6)).native_slope
    assert millimeters == pytest.approx(_slope_to_5_pixels(image), abs=1e-6)


@pytest.mark.parametrize(("period", "slope"), [(16, 1.816022), (32, 1.955085), (64, 1.988835)])
def test_t6_the_fit_alone_on_a_sinusoid(period, slope):
    value = 1 - np.cos(2 * np.pi * LAGS_TO_5 / period)
    assert _fit(LAGS_TO_5, value).slope == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize(("length", "slope"), [(2, 0.532681), (4, 0.733006), (8, 0.857657), (16, 0.926582)])
def test_t7_the_fit_alone_on_an_exponential_covariance(length, slope):
    value = 2 * (1 - np.exp(-LAGS_TO_5 / length))
    assert _fit(LAGS_TO_5, value).slope == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize(("length", "slope"), [(2, 0.517879), (4, 0.724432), (8, 0.853091), (16, 0.924231)])
def test_t8_the_fit_alone_on_all_distinct_lags(length, slope):
    value = 2 * (1 - np.exp(-DISTINCT_TO_5 / length))
    assert _fit(DISTINCT_TO_5, value).slope == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("slope", [0.4, 0.7, 1.0, 1.3, 1.6])
def test_t9_fractional_brownian_motion_has_slope_2h(slope):
    """64 exact fields; the mean of V is fitted, because the mean of slopes is a little low."""
    fields = fractional_brownian(slope, size=32, fields=64, seed=1)
    inside = np.full((32, 32), True)
    each = [
        experimental_variogram(field, inside, pixel_spacing_mm=PIXELS, lag_max_mm=7.0) for field in fields
    ]
    mean = Variogram(each[0].lag_mm, np.mean([v.value for v in each], axis=0), each[0].pairs)
    plain = unweighted_slope(mean, lag_min_mm=0, lag_max_mm=5, min_pairs=100).slope
    assert plain == pytest.approx(slope, abs=0.05)
    assert texture_slope(mean, DEFAULT).slope == pytest.approx(slope, abs=0.05)


# --- grids

ANALYTIC = {
    "exponential, 1 mm": lambda r: 1 - np.exp(-r / 1.0),
    "exponential, 2 mm": lambda r: 1 - np.exp(-r / 2.0),
    "exponential, 4 mm": lambda r: 3 * (1 - np.exp(-r / 4.0)),
    "exponential and noise": lambda r: 0.1 + 1 - np.exp(-r / 3.0),
    "gaussian, 3 mm": lambda r: 1 - np.exp(-((r / 3.0) ** 2)),
    "power and noise": lambda r: r**1.5 + 0.3,
}


@pytest.mark.parametrize("form", ANALYTIC.values(), ids=ANALYTIC.keys())
def test_one_v_of_r_has_one_score_on_every_grid(form):
    slopes = [texture_slope(analytic(form, spacing_mm), DEFAULT).slope for spacing_mm in PIXEL_GRIDS_MM]
    assert np.ptp(slopes) < 0.002


def test_the_unweighted_slope_is_not_one_score_on_every_grid():
    """Why there are local fits: the same V(r), read at whatever distances a grid has."""
    form = ANALYTIC["gaussian, 3 mm"]
    ends = {"lag_min_mm": 1.0, "lag_max_mm": 5.25, "min_pairs": 100}
    slopes = [unweighted_slope(analytic(form, mm), **ends).slope for mm in PIXEL_GRIDS_MM]
    assert np.ptp(slopes) > 0.05


@pytest.mark.parametrize("spacing_mm", [*PIXEL_GRIDS_MM, (1.18, 1.18), (0.4, 1.5)])
@pytest.mark.parametrize("slope", [0.3, 1.0, 1.3, 2.0])
def test_a_power_law_comes_out_exact(spacing_mm, slope):
    fit = texture_slope(analytic(lambda r: 12.5 * r**slope, spacing_mm), DEFAULT)
    assert fit.slope == pytest.approx(slope, abs=1e-9)
    assert fit.r2 == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("spacing_mm", PIXEL_GRIDS_MM)
@pytest.mark.parametrize("factor", [(1.003, 1), (0.997, 1), (1, 1.003), (1, 0.997)])
def test_a_rounded_spacing_moves_the_score_by_less_than_a_hundredth(spacing_mm, factor):
    size_mm = (28.0, 38.0)
    region = vertebra_shape(spacing_mm, size_mm)
    rounded = tuple(step * change for step, change in zip(spacing_mm, factor, strict=True))
    for seed in range(4):
        image = bone_texture(spacing_mm, size_mm, seed=seed)
        one = score_region(image, region, pixel_spacing_mm=spacing_mm).slope
        other = score_region(image, region, pixel_spacing_mm=rounded).slope
        assert other == pytest.approx(one, abs=0.01)
        assert 0.2 < one < 1.9


# --- composition and refusals


def test_score_region_composes_the_parts():
    size_mm = (28.0, 38.0)
    image, region = bone_texture((0.5, 0.6), size_mm, seed=7), vertebra_shape((0.5, 0.6), size_mm)
    score = score_region(image, region, pixel_spacing_mm=(0.5, 0.6))
    v = experimental_variogram(image, region, pixel_spacing_mm=(0.5, 0.6), lag_max_mm=7.0)
    assert np.array_equal(score.variogram.value, v.value)
    fit = texture_slope(v, DEFAULT)
    assert (score.slope, score.r2, score.pairs) == (fit.slope, fit.r2, fit.pairs)
    native = unweighted_slope(v, lag_min_mm=0, lag_max_mm=3.0, min_pairs=100)
    plain = unweighted_slope(v, lag_min_mm=1.0, lag_max_mm=5.25, min_pairs=100)
    assert (score.native_slope, score.unweighted_slope) == (native.slope, plain.slope)


def test_native_lags_beyond_the_largest_are_computed_and_do_not_touch_the_score():
    """5 pixels of 1.5 mm are 7.5 mm."""
    size_mm = (30.0, 45.0)
    image, region = bone_texture((0.5, 1.5), size_mm, seed=7), vertebra_shape((0.5, 1.5), size_mm)
    score = score_region(image, region, pixel_spacing_mm=(0.5, 1.5))
    assert score.variogram.lag_mm[-1] == pytest.approx(7.5)
    v = experimental_variogram(image, region, pixel_spacing_mm=(0.5, 1.5), lag_max_mm=7.0)
    assert score.slope == pytest.approx(texture_slope(v, DEFAULT).slope, abs=1e-12)


def test_a_missing_secondary_value_is_none():
    """One pixel holds one lag, too few for a line; the score has its lags."""
    image, region = bone_texture((0.5, 0.5), (28.0, 38.0), seed=1), np.full((56, 76), True)
    parameters = Parameters(native_lags=1)
    score = score_region(image, region, pixel_spacing_mm=(0.5, 0.5), parameters=parameters)
    assert score.native_slope is None
    assert score.unweighted_slope is not None


def _refuses(variogram, parameters=DEFAULT):
    with pytest.raises(TextureError) as caught:
        texture_slope(variogram, parameters)
    assert caught.value.code is Code.NO_TEXTURE
    return True


def _power(lag_mm, pairs=1000):
    lag = np.asarray(lag_mm, dtype=float)
    return Variogram(lag, lag**1.3, np.broadcast_to(np.asarray(pairs), lag.shape))


def test_refuses_pixels_too_coarse_for_the_smallest_radius():
    assert _refuses(analytic(lambda r: r, (1.2, 1.2)))


def test_refuses_a_region_too_small_for_the_largest_radius():
    image = bone_texture((0.5, 0.5), (4.0, 4.0), seed=2)
    with pytest.raises(TextureError):
        score_region(image, np.full(image.shape, True), pixel_spacing_mm=(0.5, 0.5))


def test_refuses_a_gap_between_the_lags():
    assert _refuses(_power([0.8, 1.0, 1.2, 1.4, 1.6, 4.0, 4.5, 5.0, 5.5, 6.0]))
    assert texture_slope(_power(np.arange(0.8, 6.0, 0.4)), DEFAULT).slope == pytest.approx(1.3)


def test_refuses_too_few_lags():
    assert _refuses(_power([]))
    assert _refuses(_power([2.0]))
    assert _refuses(_power(np.arange(0.8, 6.0, 0.4), pairs=99))
    assert _refuses(Variogram(np.arange(1.0, 7.0), np.zeros(6), np.full(6, 1000)))


def test_refuses_a_local_slope_that_hangs_on_one_distance():
    """Lags 3.9 bandwidths apart, with a thousandth of the pairs at every other: no slope there."""
    lag = 1.05 * np.exp(3.9 * 0.12 * np.arange(4))
    assert lag[-1] > 4.0
    few = Parameters(lag_max_mm=float(lag[-1]), min_pairs=1)
    assert _refuses(_power(lag, pairs=[1, 100_000, 1, 1]), few)


def test_the_unweighted_fit_refuses_two_lags():
    with pytest.raises(TextureError) as caught:
        _fit([1.0, 2.0], [1.0, 2.0])
    assert caught.value.finding.values == (("lags", 2),)
    assert _fit([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]).slope == pytest.approx(1.0)
