"""Spacing from areas: of outlines, and of our own regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbsnode.phantom import hip
from tbsnode.phantom.page_picture import native_gray
from tbsnode.phantom.scanners import COARSE_DISPLAY, LINEAR_16, Scanner, scan
from tbsnode.phantom.spine import MALE, SMALL_FEMALE, Spine, draw
from tbsnode.tbs import page_spacing
from tbsnode.tbs.page_spacing import from_areas, from_own_regions, shows_spine

FOUR = [("L1", 1000.0), ("L2", 1100.0), ("L3", 1300.0), ("L4", 1350.0)]


def test_by_hand() -> None:
    found = from_areas([area / 0.36 for _, area in FOUR], FOUR)
    assert found is not None
    assert found.pixel_spacing_mm == pytest.approx(0.6)
    assert found.spread == pytest.approx(0.0, abs=1e-12)
    assert (found.labels, found.first) == (("L1", "L2", "L3", "L4"), 0)


def test_one_wrong_level_shows_in_the_spread_and_not_in_the_median() -> None:
    areas = [area / 0.25 for _, area in FOUR]
    areas[1] *= 1.5
    found = from_areas(areas, FOUR)
    assert found is not None
    assert found.pixel_spacing_mm == pytest.approx(0.5, rel=0.01)
    assert found.spread > page_spacing.SPREAD_MAX


def test_more_outlines_than_levels_or_more_levels_than_outlines() -> None:
    areas = [800.0, 1000.0, 1100.0, 1300.0, 1350.0]
    found = from_areas(areas, FOUR)
    assert found is not None
    assert (found.first, found.labels, found.pixel_spacing_mm) == (1, ("L1", "L2", "L3", "L4"), 1.0)
    found = from_areas(areas[2:4], FOUR)
    assert found is not None
    assert (found.first, found.labels) == (0, ("L2", "L3"))
    assert from_areas([1000.0], FOUR) is None
    assert from_areas([], []) is None
    assert from_areas([0.0, 4.0], FOUR) is None


@given(
    st.lists(st.floats(500.0, 2500.0), min_size=2, max_size=5),
    st.floats(0.2, 1.3),
    st.floats(0.5, 2.0),
)
def test_spacing_scales_with_the_root_of_area(areas: list[float], step: float, factor: float) -> None:
    stated = [(f"L{k + 1}", area) for k, area in enumerate(areas)]
    once = from_areas([area / step**2 for area in areas], stated)
    twice = from_areas([area / step**2 / factor**2 for area in areas], stated)
    assert once is not None
    assert twice is not None
    assert once.pixel_spacing_mm == pytest.approx(step)
    assert twice.pixel_spacing_mm == pytest.approx(step * factor)


@pytest.mark.parametrize("spine", [Spine(), MALE, SMALL_FEMALE, Spine(cobb_deg=15.0)])
@pytest.mark.parametrize("scanner", [LINEAR_16, COARSE_DISPLAY])
@pytest.mark.parametrize("inverted", [False, True])
def test_own_regions_give_the_spacing(spine: Spine, scanner: Scanner, inverted: bool) -> None:
    drawing = draw(spine, 6)
    image = scan(drawing, scanner, 6)
    pixels = native_gray(image).astype(np.float64)
    pixels = 255.0 - pixels if inverted else pixels
    assert drawing.truth is not None
    stated = [(v.label, v.area_mm2) for v in drawing.truth.levels if v.label in dict(FOUR)]
    nothing = np.zeros(pixels.shape, dtype=np.bool_)
    found = from_own_regions(pixels, nothing, stated)
    assert found is not None
    assert found.inverted == inverted
    assert found.fit.spread < page_spacing.OWN_SPREAD_MAX
    assert found.fit.pixel_spacing_mm == pytest.approx(image.pixel_spacing_mm[0], rel=0.02)
    assert shows_spine(pixels, nothing) is inverted


def test_pictures_without_a_spine_give_none() -> None:
    pixels = native_gray(scan(hip.draw(5), COARSE_DISPLAY, 5)).astype(np.float64)
    nothing = np.zeros(pixels.shape, dtype=np.bool_)
    assert from_own_regions(pixels, nothing, FOUR) is None
    assert shows_spine(pixels, nothing) is None
    flat = np.full((200, 150), 7.0)
    assert from_own_regions(flat, np.zeros(flat.shape, dtype=np.bool_), FOUR) is None
