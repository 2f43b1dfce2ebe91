"""The texture map: known textures, the same for any gray scale, blind to what lies outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbsnode.tbs.polygon import polygon_mask
from tbsnode.tbs.texture_map import MappedRegion, local_slopes
from tests.textures import PIXEL_GRIDS_MM, bone_texture, fractional_brownian

SQUARE = [(4.0, 6.0), (4.0, 53.0), (47.0, 53.0), (47.0, 6.0), (4.0, 6.0)]


def mapped(image: np.ndarray, ring=SQUARE, spacing_mm=(0.5, 0.5)) -> MappedRegion:
    (found,) = local_slopes(image, [ring], spacing_mm)
    assert found is not None
    return found


@pytest.fixture(name="texture", scope="module")
def _texture() -> np.ndarray:
    return bone_texture((0.5, 0.5), (30.0, 32.0), seed=3)


@pytest.mark.parametrize("spacing_mm", PIXEL_GRIDS_MM)
def test_a_plane_has_the_slope_two(spacing_mm):
    """Whatever its direction and the grid: all windows that the edge does not touch."""
    rows, columns = (round(40.0 / step) for step in spacing_mm)
    row, column = np.mgrid[0:rows, 0:columns]
    ring = [(-0.5, -0.5), (-0.5, columns), (rows, columns), (rows, -0.5)]
    plane = 3.0 * row * spacing_mm[0] - 2.0 * column * spacing_mm[1]
    values = mapped(plane, ring, spacing_mm).by_pixel()
    margin = [round(8.0 / step) for step in spacing_mm]
    assert values[margin[0] : -margin[0], margin[1] : -margin[1]] == pytest.approx(2.0, abs=1e-9)
    assert values[np.isfinite(values)] == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("slope", [0.7, 1.3])
def test_a_power_law_has_its_exponent(slope):
    """A window of 9 x 9 pixels is biased low and noisy: the mean of 64 exact fields is not."""
    fields = fractional_brownian(slope, size=32, fields=64, seed=5)
    ring = [(0.0, 0.0), (0.0, 31.0), (31.0, 31.0), (31.0, 0.0)]
    slopes = [mapped(field, ring, (1.0, 1.0)).slope[8:24:5, 8:24:5] for field in fields]
    assert float(np.mean(slopes)) == pytest.approx(slope, abs=0.07)
    assert float(np.std(slopes)) < 0.35


def test_white_noise_is_level_and_a_rough_half_is_seen():
    noise = np.random.default_rng(2).normal(size=(60, 60))
    ring = [(0.0, 0.0), (0.0, 59.0), (59.0, 59.0), (59.0, 0.0)]
    assert np.nanmean(mapped(noise, ring).slope) == pytest.approx(0.0, abs=0.05)
    smooth = np.indices(noise.shape).sum(axis=0) + 0.0
    half = np.where(np.arange(60) < 30, noise, smooth)
    slope = mapped(half, ring).slope
    assert np.nanmax(slope[:, :8]) < 0.6
    assert np.nanmin(slope[:, -8:]) > 1.8


def test_by_hand_one_column():
    """A column of width 1: only the steps downward have pairs; V = 1, 4, 9 at 1, 2, 3."""
    ramp = np.arange(40.0)[:, np.newaxis] * np.ones((1, 3))
    one = mapped(ramp, [(-0.5, 0.6), (-0.5, 1.4), (39.5, 1.4), (39.5, 0.6)], (1.0, 9.0))
    assert one.cell == (1, 1)
    assert one.inside.sum() == 40
    assert one.slope[12, 1] == pytest.approx(2.0, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(1e-3, 1e3).flatmap(lambda a: st.sampled_from([a, -a])),
    st.floats(-1e4, 1e4),
)
def test_gain_and_offset_change_nothing(texture, gain, offset):
    assert mapped(gain * texture + offset).slope == pytest.approx(
        mapped(texture).slope, abs=1e-5, nan_ok=True
    )


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([np.nan, np.inf, -1e30, 1e6]), st.integers(0, 1000))
def test_what_lies_outside_never_enters(texture, value, seed):
    ring = [(6.0, 8.0), (3.0, 50.0), (44.0, 54.0), (48.0, 12.0), (25.0, 20.0)]
    outside = ~polygon_mask(np.asarray(ring), texture.shape)
    dirty = texture.copy()
    dirty[outside & (np.random.default_rng(seed).random(texture.shape) < 0.5)] = value
    np.testing.assert_array_equal(mapped(dirty, ring).by_pixel(), mapped(texture, ring).by_pixel())


def test_there_is_no_value_outside(texture):
    found = mapped(texture)
    box = np.full(texture.shape, np.nan)
    values = found.by_pixel()
    box[found.row : found.row + values.shape[0], found.column : found.column + values.shape[1]] = values
    inside = polygon_mask(np.asarray(SQUARE), texture.shape)
    assert not np.isfinite(box[~inside]).any()
    assert np.isfinite(box[inside]).mean() > 0.95


def test_regions_do_not_see_each_other(texture):
    upper, lower = (
        [(2.0, 5.0), (2.0, 55.0), (28.0, 55.0), (28.0, 5.0)],
        [(29.0, 5.0), (29.0, 55.0), (58.0, 55.0), (58.0, 5.0)],
    )
    both = local_slopes(texture, [upper, lower], (0.5, 0.5))
    for found, ring in zip(both, (upper, lower), strict=True):
        assert found is not None
        np.testing.assert_array_equal(found.by_pixel(), mapped(texture, ring).by_pixel())


def test_the_same_bits_each_time_and_the_picture_is_left_alone(texture):
    before = texture.copy()
    assert mapped(texture).slope.tobytes() == mapped(texture).slope.tobytes()
    np.testing.assert_array_equal(texture, before)


def test_nothing_to_map():
    image = np.full((30, 30), 5.0)
    outside = [(40.0, 40.0), (40.0, 50.0), (50.0, 50.0)]
    between = [(10.2, 10.2), (10.2, 10.7), (10.7, 10.7)]
    assert local_slopes(image, [outside, between, [(1.0, 1.0), (2.0, 2.0)], []], (0.5, 0.5)) == (None,) * 4
    ring = [(1.0, 1.0), (1.0, 28.0), (28.0, 28.0), (28.0, 1.0)]
    assert np.isnan(mapped(image, ring).by_pixel()).all()  # a constant has no slope
    assert np.isnan(mapped(np.indices((30, 30)).sum(0) * 1.0, [(1, 1), (1, 3), (3, 3)]).slope).all()


@pytest.mark.parametrize("spacing_mm", [(0.0, 0.5), (0.5, np.nan), (-1.0, 1.0)])
def test_impossible_spacing_is_an_error(texture, spacing_mm):
    with pytest.raises(ValueError, match="pixel_spacing_mm"):
        local_slopes(texture, [SQUARE], spacing_mm)
    with pytest.raises(ValueError, match="two-dimensional"):
        local_slopes(texture[0], [SQUARE], (0.5, 0.5))
