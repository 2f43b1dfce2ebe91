"""Laws of V(r), on integer gray levels as scanners store them and on regions of any shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tbsnode.errors import TextureError
from tbsnode.tbs.variogram import experimental_variogram

SPACINGS_MM = st.floats(0.2, 1.2).map(lambda step: round(step, 3))
LAG_MAX_MM = 3.7


@st.composite
def pictures(draw):
    """Draw gray levels, a region that has a texture, and a spacing."""
    shape = draw(st.tuples(st.integers(2, 12), st.integers(2, 12)))
    image = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 4095))).astype(float)
    region = draw(hnp.arrays(np.bool_, shape))
    spacing_mm = draw(st.tuples(SPACINGS_MM, SPACINGS_MM))
    try:
        variogram(image, region, spacing_mm)
    except TextureError:
        assume(False)
    return image, region, spacing_mm


def variogram(image, region, spacing_mm, method="fastest"):
    return experimental_variogram(
        image, region, pixel_spacing_mm=spacing_mm, lag_max_mm=LAG_MAX_MM, method=method
    )


def assert_same(one, other, *, factor=1.0, absolute=0.0):
    assert one.lag_mm == pytest.approx(other.lag_mm, abs=1e-9)
    assert np.array_equal(one.pairs, other.pairs)
    np.testing.assert_allclose(one.value, factor * other.value, rtol=1e-9, atol=absolute)


@given(pictures())
def test_both_ways_agree(picture):
    assert_same(variogram(*picture, method="fft"), variogram(*picture, method="shifted"))


@given(pictures(), st.integers(-100_000, 100_000))
def test_a_constant_changes_nothing(picture, constant):
    image, region, spacing_mm = picture
    assert_same(variogram(image + constant, region, spacing_mm), variogram(*picture))


@given(pictures(), st.floats(1e-3, 1e3), st.sampled_from([-1, 1]))
def test_v_scales_with_the_square(picture, size, sign):
    image, region, spacing_mm = picture
    assert_same(variogram(sign * size * image, region, spacing_mm), variogram(*picture), factor=size**2)


@given(pictures(), st.integers(1, 3))
def test_a_quarter_turn_changes_nothing_but_the_names_of_the_axes(picture, turns):
    image, region, spacing_mm = picture
    turned = spacing_mm[::-1] if turns % 2 else spacing_mm
    assert_same(variogram(np.rot90(image, turns), np.rot90(region, turns), turned), variogram(*picture))


@given(pictures(), st.sampled_from([0, 1, (0, 1)]))
def test_a_flip_changes_nothing(picture, axis):
    image, region, spacing_mm = picture
    assert_same(variogram(np.flip(image, axis), np.flip(region, axis), spacing_mm), variogram(*picture))


@given(pictures(), st.sampled_from([np.nan, np.inf, -1e300, 0.0, 4095.0]))
def test_what_lies_outside_is_never_looked_at(picture, outside):
    image, region, spacing_mm = picture
    other = variogram(np.where(region, image, outside), region, spacing_mm)
    assert np.array_equal(other.value, variogram(*picture).value)


@given(pictures(), st.tuples(*[st.integers(0, 5)] * 4))
def test_where_the_region_lies_in_the_picture_does_not_matter(picture, margins):
    image, region, spacing_mm = picture
    widths = (margins[:2], margins[2:])
    placed = variogram(np.pad(image, widths, constant_values=9e9), np.pad(region, widths), spacing_mm)
    assert np.array_equal(placed.value, variogram(*picture).value)


@given(pictures(), st.floats(0.1, 10.0))
def test_the_unit_of_length_scales_the_lags_alone(picture, unit):
    image, region, spacing_mm = picture
    one = variogram(*picture)
    # Two distances may be one lag in one unit and two in another where they nearly agree.
    assume(np.diff(one.lag_mm).min() > 1e-4)
    assume(abs(one.lag_mm - LAG_MAX_MM).min() > 1e-4)
    other = experimental_variogram(
        image,
        region,
        pixel_spacing_mm=(unit * spacing_mm[0], unit * spacing_mm[1]),
        lag_max_mm=unit * LAG_MAX_MM,
    )
    assert other.lag_mm == pytest.approx(unit * one.lag_mm, rel=1e-9)
    assert np.array_equal(other.pairs, one.pairs)
    np.testing.assert_allclose(other.value, one.value, rtol=1e-9)


@given(pictures())
def test_all_pairs_are_counted_once(picture):
    image, region, spacing_mm = picture
    everything = experimental_variogram(image, region, pixel_spacing_mm=spacing_mm, lag_max_mm=50.0)
    inside = image[region]
    assert everything.pairs.sum() == inside.size * (inside.size - 1) // 2
    total = inside.size * (inside**2).sum() - inside.sum() ** 2
    assert (everything.value * everything.pairs).sum() == pytest.approx(total, rel=1e-9)
