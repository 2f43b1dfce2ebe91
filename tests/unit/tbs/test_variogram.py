"""V(r): by hand, at its edges, two ways, against a stranger, and bit for bit."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import gstools
import numpy as np
import pytest

from tbsnode.errors import TextureError
from tbsnode.reasons import Code
from tbsnode.tbs.variogram import Variogram, experimental_variogram
from tests.textures import PIXEL_GRIDS_MM, bone_texture, vertebra_shape

FOUR = np.array([[0.0, 1.0], [3.0, 7.0]])
ALL_FOUR = np.full((2, 2), True)
WAYS = ("fft", "shifted")


@pytest.mark.parametrize("method", WAYS)
def test_four_pixels_by_hand(method):
    v = experimental_variogram(FOUR, ALL_FOUR, pixel_spacing_mm=(1.0, 1.0), lag_max_mm=2.0, method=method)
    assert v.lag_mm == pytest.approx([1.0, np.sqrt(2)], abs=1e-12)
    assert v.value == pytest.approx([(1 + 16 + 9 + 36) / 4, (49 + 4) / 2], abs=1e-12)
    assert v.pairs.tolist() == [4, 2]


@pytest.mark.parametrize("method", WAYS)
def test_the_first_spacing_is_that_of_the_rows(method):
    v = experimental_variogram(FOUR, ALL_FOUR, pixel_spacing_mm=(2.0, 1.0), lag_max_mm=3.0, method=method)
    assert v.lag_mm == pytest.approx([1.0, 2.0, np.sqrt(5)], abs=1e-12)
    assert v.value == pytest.approx([(1 + 16) / 2, (9 + 36) / 2, (49 + 4) / 2], abs=1e-12)
    assert v.pairs.tolist() == [2, 2, 2]


@pytest.mark.parametrize("method", WAYS)
def test_both_ends_of_a_pair_lie_in_the_region(method):
    corner = np.array([[True, True], [True, False]])
    v = experimental_variogram(FOUR, corner, pixel_spacing_mm=(1.0, 1.0), lag_max_mm=2.0, method=method)
    assert v.value == pytest.approx([(1 + 9) / 2, 4.0], abs=1e-12)
    assert v.pairs.tolist() == [2, 1]


def test_the_largest_lag_is_included_although_its_product_rounds():
    ramp = np.tile(np.arange(9.0), (2, 1))
    v = experimental_variogram(ramp, np.full((2, 9), True), pixel_spacing_mm=(50.0, 0.6), lag_max_mm=0.6 * 3)
    assert v.lag_mm == pytest.approx([0.6, 1.2, 1.8])
    assert v.value == pytest.approx([1.0, 4.0, 9.0])


def test_a_region_may_have_gaps():
    """Two rows far apart: a pair one or two pixels apart lies in one row."""
    region = np.zeros((4, 3), dtype=bool)
    region[[0, 3]] = True
    image = np.arange(12.0).reshape(4, 3) ** 2
    v = experimental_variogram(image, region, pixel_spacing_mm=(1.0, 1.0), lag_max_mm=3.0)
    assert v.lag_mm == pytest.approx([1.0, 2.0, 3.0])
    assert v.pairs.tolist() == [4, 2, 3]


def test_distances_within_the_tolerance_are_one_lag_and_others_are_not():
    image = np.array([[0.0, 1.0], [3.0, 7.0]])
    for extra_mm, lags in ((5e-7, 2), (1e-5, 3)):
        v = experimental_variogram(image, ALL_FOUR, pixel_spacing_mm=(1.0, 1.0 + extra_mm), lag_max_mm=2.0)
        assert v.lag_mm.size == lags


@pytest.mark.parametrize("spacing_mm", PIXEL_GRIDS_MM)
def test_both_ways_agree_on_every_grid(spacing_mm):
    size_mm = (20.0, 26.0)
    image, region = 500 + 40 * bone_texture(spacing_mm, size_mm, seed=3), vertebra_shape(spacing_mm, size_mm)
    fast, slow = (
        experimental_variogram(image, region, pixel_spacing_mm=spacing_mm, lag_max_mm=7.0, method=way)
        for way in WAYS
    )
    assert np.array_equal(fast.lag_mm, slow.lag_mm)
    assert np.array_equal(fast.pairs, slow.pairs)
    np.testing.assert_allclose(fast.value, slow.value, rtol=1e-9, atol=0)


def test_both_ways_agree_where_the_transform_cancels():
    """A faint texture on a steep plane: along the contours V is 1e-13 of the variance."""
    rng = np.random.default_rng(5)
    image = 1e6 * np.arange(60.0)[:, np.newaxis] + rng.standard_normal((60, 50))
    region = vertebra_shape((1.0, 1.0), (60.0, 50.0))
    fast, slow = (
        experimental_variogram(image, region, pixel_spacing_mm=(1.0, 0.7), lag_max_mm=6.0, method=way)
        for way in WAYS
    )
    along = np.isclose(fast.lag_mm / 0.7, np.rint(fast.lag_mm / 0.7))
    assert along.sum() == 8
    assert fast.value[along] == pytest.approx(2.0, rel=0.2)
    np.testing.assert_allclose(fast.value, slow.value, rtol=1e-9, atol=0)


def test_a_bright_pixel_does_not_drown_the_others():
    """Metal: the pairs without it keep nine digits."""
    image = np.random.default_rng(6).standard_normal((40, 40))
    image[0, 0] = 1e7
    region = np.full((40, 40), True)
    region[:12, :12] = False
    region[0, 0] = True
    fast, slow = (
        experimental_variogram(image, region, pixel_spacing_mm=(1.0, 1.0), lag_max_mm=9.0, method=way)
        for way in WAYS
    )
    assert fast.value == pytest.approx(2.0, rel=0.2)
    np.testing.assert_allclose(fast.value, slow.value, rtol=1e-9, atol=0)


@pytest.mark.parametrize("method", WAYS)
@pytest.mark.parametrize("rise", [3.0, 0.1, 1e-7])
def test_along_the_contours_of_a_plane_v_is_exactly_zero(method, rise):
    row = np.mgrid[0:40, 0:44][0]
    region = vertebra_shape((1.0, 1.0), (40.0, 44.0))
    v = experimental_variogram(
        rise * row, region, pixel_spacing_mm=(1.05, 0.6), lag_max_mm=4.0, method=method
    )
    along = np.isclose(v.lag_mm / 0.6, np.rint(v.lag_mm / 0.6))
    assert along.sum() == 6
    assert np.array_equal(v.value == 0.0, along)


@pytest.mark.parametrize("method", WAYS)
def test_the_rounding_of_a_tilted_plane_is_recognized_as_zero(method):
    """0.1 a row and a column is not exact in binary; along the diagonal it still does not rise."""
    diagonal = np.eye(30, dtype=bool)[::-1] | np.eye(30, k=1, dtype=bool)[::-1]
    plane = np.add.outer(0.1 * np.arange(30), 0.1 * np.arange(30))
    v = experimental_variogram(plane, diagonal, pixel_spacing_mm=(1.0, 1.3), lag_max_mm=5.0, method=method)
    along = np.isclose(v.lag_mm / np.hypot(1, 1.3), np.rint(v.lag_mm / np.hypot(1, 1.3)))
    assert along.sum() == 3
    assert np.array_equal(v.value == 0.0, along)


@pytest.mark.parametrize("spacing_mm", [(0.6, 0.6), (1.05, 0.6)])
def test_equals_gstools(spacing_mm):
    """An independent program on the same pixels; it returns the semivariance, half of V."""
    region = vertebra_shape(spacing_mm, (15.0, 18.0))
    image = 300 + 20 * bone_texture(spacing_mm, (15.0, 18.0), seed=8)
    ours = experimental_variogram(image, region, pixel_spacing_mm=spacing_mm, lag_max_mm=7.0)
    edges = np.repeat(ours.lag_mm, 2)
    edges[0::2] -= 1e-7
    edges[1::2] += 1e-7
    row, column = np.nonzero(region)
    _, semivariance, pairs = gstools.vario_estimate(
        (row * spacing_mm[0], column * spacing_mm[1]), image[region], edges, return_counts=True
    )
    assert np.array_equal(pairs[0::2], ours.pairs)
    assert pairs[1::2].sum() == 0
    np.testing.assert_allclose(2 * semivariance[0::2], ours.value, rtol=1e-9, atol=0)


def test_white_noise_has_twice_its_variance_at_every_lag():
    noise = 3.0 * np.random.default_rng(9).standard_normal((200, 200))
    v = experimental_variogram(noise, np.full((200, 200), True), pixel_spacing_mm=(1.0, 1.0), lag_max_mm=8.0)
    assert v.value == pytest.approx(18.0, rel=0.04)


def _refusal(image, region, lag_max_mm=3.0):
    with pytest.raises(TextureError) as caught:
        experimental_variogram(image, region, pixel_spacing_mm=(1.0, 1.0), lag_max_mm=lag_max_mm)
    assert caught.value.code is Code.NO_TEXTURE
    return dict(caught.value.finding.values)


RAMP = np.add.outer(np.arange(6.0), np.arange(6.0) ** 2)
WHOLE = np.full((6, 6), True)


def test_refuses_an_empty_region():
    assert _refusal(RAMP, ~WHOLE) == {"region_pixels": 0}


@pytest.mark.parametrize("level", [0.0, 0.1, 4095.0])
def test_refuses_a_constant_region_whatever_surrounds_it(level):
    image, region = RAMP.copy(), np.zeros((6, 6), dtype=bool)
    image[1:5, 1:5], region[1:5, 1:5] = level, True
    assert _refusal(image, region) == {"gray_levels": 1}


@pytest.mark.parametrize("method", WAYS)
def test_refuses_a_region_that_differs_by_rounding_alone(method):
    image = np.where(np.indices((6, 6)).sum(axis=0) % 2, 0.3, 0.1 + 0.2)
    assert np.unique(image).size == 2
    with pytest.raises(TextureError):
        experimental_variogram(image, WHOLE, pixel_spacing_mm=(1.0, 1.0), lag_max_mm=3.0, method=method)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_pixels_that_are_not_finite_inside_only(bad):
    image = RAMP.copy()
    image[2, 3] = bad
    assert _refusal(image, WHOLE) == {"pixels_not_finite": 1}
    without = WHOLE.copy()
    without[2, 3] = False
    v = experimental_variogram(image, without, pixel_spacing_mm=(1.0, 1.0), lag_max_mm=3.0)
    assert np.isfinite(v.value).all()


def test_refuses_differences_whose_square_overflows():
    assert "lags_with_difference" in _refusal(RAMP * 1e160, WHOLE)


def test_refuses_fewer_than_two_lags():
    assert _refusal(RAMP, WHOLE, lag_max_mm=1.2) == {"lags": 1}
    assert _refusal(RAMP, WHOLE, lag_max_mm=0.5) == {"lags": 0}
    pair = np.zeros((6, 6), dtype=bool)
    pair[1, 1] = pair[3, 2] = True
    assert _refusal(RAMP, pair) == {"lags": 1}
    one = np.zeros((6, 6), dtype=bool)
    one[1, 1] = True
    assert _refusal(RAMP, one) == {"gray_levels": 1}


@pytest.mark.parametrize(
    ("image", "region", "changed"),
    [
        (RAMP, WHOLE[:5], {}),
        (RAMP[0], WHOLE[0], {}),
        (RAMP, WHOLE.astype(int), {}),
        (RAMP, WHOLE, {"pixel_spacing_mm": (0.0, 1.0)}),
        (RAMP, WHOLE, {"pixel_spacing_mm": (1.0, np.nan)}),
        (RAMP, WHOLE, {"pixel_spacing_mm": (1.0, 1.0, 1.0)}),
        (RAMP, WHOLE, {"lag_max_mm": -1.0}),
        (RAMP, WHOLE, {"method": "fastset"}),
    ],
)
def test_a_wrong_argument_is_an_error_of_the_caller(image, region, changed):
    with pytest.raises(ValueError, match="must be"):
        experimental_variogram(
            image, region, **{"pixel_spacing_mm": (1.0, 1.0), "lag_max_mm": 3.0, **changed}
        )


def test_integer_pixels_are_not_wrapped():
    image = np.array([[0, 255], [255, 0]], dtype=np.uint8)
    v = experimental_variogram(image, ALL_FOUR, pixel_spacing_mm=(1.0, 1.0), lag_max_mm=2.0)
    assert v.value.tolist() == [255.0**2, 0.0]


def test_arguments_are_left_alone_and_results_are_read_only():
    image, region = RAMP.copy(), WHOLE.copy()
    v = experimental_variogram(image, region, pixel_spacing_mm=(1.0, 1.0), lag_max_mm=3.0)
    assert np.array_equal(image, RAMP)
    assert np.array_equal(region, WHOLE)
    for array in (v.lag_mm, v.value, v.pairs):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_variogram_that_makes_no_sense_cannot_be_built():
    lag, value, pairs = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([10, 10])
    with pytest.raises(ValueError, match="equally long"):
        Variogram(lag, value[:1], pairs)
    with pytest.raises(ValueError, match="increase"):
        Variogram(lag[::-1], value, pairs)


_DIGEST = """
import hashlib, numpy as np
from tbsnode.tbs.score import score_region
from tests.textures import bone_texture, vertebra_shape
grid, size = (0.25, 0.25), (35.0, 45.0)
r = score_region(bone_texture(grid, size, seed=1), vertebra_shape(grid, size), pixel_spacing_mm=grid)
numbers = np.array([r.slope, r.r2, r.native_slope, r.unweighted_slope])
digest = hashlib.sha256(r.variogram.value.tobytes() + r.variogram.lag_mm.tobytes() + numbers.tobytes())
print(digest.hexdigest())
"""


def test_the_same_bits_on_any_number_of_threads():
    digests = set()
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        done = subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env=os.environ | dict.fromkeys(names, threads) | {"PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == len(hashlib.sha256().hexdigest())
