"""The noise of a picture: variance and correlation recovered, structure left alone."""

from __future__ import annotations

import numpy as np
import pytest

from tbsnode.phantom.scanners import correlated_noise
from tbsnode.tbs.noise import Noise, estimate_noise

WHOLE = np.full((240, 220), True)


def noise(width_px: float, seed: int = 1) -> np.ndarray:
    return correlated_noise(WHOLE.shape, np.random.default_rng(seed), width_px)


@pytest.mark.parametrize(("width_px", "step_mm"), [(0.85, 0.25), (0.6, 0.6), (0.7, 0.5), (1.1, 0.25)])
def test_variance_and_correlation_are_recovered(width_px: float, step_mm: float):
    found = estimate_noise(100 + 4 * noise(width_px), WHOLE, (step_mm, step_mm))
    assert found is not None
    assert found.variance == pytest.approx(16, rel=0.12)
    assert found.width_px == pytest.approx((width_px, width_px), rel=0.12)


def test_white_noise_is_nearly_uncorrelated():
    image = np.random.default_rng(2).normal(0.0, 3.0, WHOLE.shape)
    found = estimate_noise(image, WHOLE, (0.5, 0.5))
    assert found is not None
    assert found.variance == pytest.approx(9, rel=0.08)
    assert max(found.width_px) < 0.35


def test_oblong_pixels_have_a_width_for_each_axis():
    found = estimate_noise(4 * noise(0.5), WHOLE, (1.05, 0.6))
    assert found is not None
    # the taps of so narrow a filter are those of a Gaussian of 0.43: neighbors correlate by 0.26
    assert found.width_px == pytest.approx((0.43, 0.43), rel=0.1)
    assert found.variance == pytest.approx(16, rel=0.12)


def test_planes_edges_along_the_grid_and_offsets_are_no_noise():
    row, column = np.mgrid[0:240, 0:220].astype(float)
    steps = 300.0 * (row > 120) + 500.0 * (column > 90)
    plain = estimate_noise(4 * noise(0.7), WHOLE, (0.5, 0.5))
    busy = estimate_noise(4 * noise(0.7) + 3 * row - 2 * column + steps, WHOLE, (0.5, 0.5))
    assert plain is not None
    assert busy is not None
    assert busy.variance == pytest.approx(plain.variance, rel=1e-6)


def test_a_smooth_picture_has_none_and_a_small_region_no_answer():
    row, column = np.mgrid[0:240, 0:220].astype(float)
    assert estimate_noise(row + column, WHOLE, (0.5, 0.5)) == Noise(0.0, (0.0, 0.0))
    few = np.zeros_like(WHOLE)
    few[:12, :12] = True
    assert estimate_noise(noise(0.7), few, (0.5, 0.5)) is None
    assert estimate_noise(noise(0.7)[:3], WHOLE[:3], (0.5, 0.5)) is None


def test_what_lies_outside_the_region_does_not_count():
    image = 4 * noise(0.7)
    region = np.zeros_like(WHOLE)
    region[40:200, 40:180] = True
    spoiled = np.where(region, image, np.random.default_rng(5).normal(0, 1e4, image.shape))
    assert estimate_noise(spoiled, region, (0.5, 0.5)) == estimate_noise(image, region, (0.5, 0.5))
