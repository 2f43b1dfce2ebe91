"""Polygon masks are those of scikit-image, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from tbsnode.phantom.spine import Spine
from tbsnode.tbs import spine
from tbsnode.tbs.polygon import polygon_mask
from tests import spines

anywhere = st.floats(-6.0, 20.0, allow_subnormal=False)
on_grid = st.integers(-6, 20).map(float)
halves = st.integers(-12, 40).map(lambda n: n / 2)


def corners(one: st.SearchStrategy[float]) -> st.SearchStrategy[list[tuple[float, float]]]:
    return st.lists(st.tuples(one, one), min_size=3, max_size=9)


def test_a_rectangle_by_hand():
    ring = np.array([[0.5, 0.5], [0.5, 3.5], [2.5, 3.5], [2.5, 0.5]])
    assert polygon_mask(ring, (4, 5)).astype(int).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0],
    ]


def test_sides_and_corners_belong_to_it():
    ring = np.array([[1.0, 1.0], [1.0, 3.0], [2.0, 3.0], [2.0, 1.0]])
    assert np.flatnonzero(polygon_mask(ring, (4, 5))).tolist() == [6, 7, 8, 11, 12, 13]


@pytest.mark.parametrize("away", [-30.0, 30.0])
def test_a_polygon_outside_the_matrix_has_no_pixels(away: float):
    ring = np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 5.0]]) + away
    assert not polygon_mask(ring, (8, 8)).any()


@settings(max_examples=300, deadline=None)
@given(ring=corners(anywhere) | corners(on_grid) | corners(halves), closed=st.booleans())
def test_any_polygon_is_that_of_scikit_image(ring: list[tuple[float, float]], closed: bool):
    points = np.array([*ring, ring[0]] if closed else ring)
    shape = (13, 15)
    assert np.array_equal(polygon_mask(points, shape), polygon2mask(shape, points))


@pytest.mark.parametrize("scanner", list(spines.SCANNERS))
def test_the_regions_of_a_spine_are_those_of_scikit_image(scanner: str):
    taken = spines.picture(Spine(cobb_deg=12.0), scanner)
    for vertebra in spine.measure(taken).vertebrae:
        ring, shape = np.array(vertebra.region), taken.pixels.shape
        found = polygon_mask(ring, shape)
        assert found.any()
        assert np.array_equal(found, polygon2mask(shape, ring))
