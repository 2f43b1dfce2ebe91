"""The scanner's regions read from lines on a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tbsnode.phantom import page as phantom_page
from tbsnode.phantom.page_layout import GRAY_PAGE, INVERTED_PAGE, WHITE_PAGE, Layout
from tbsnode.phantom.scanners import scan
from tbsnode.phantom.spine import Spine, draw
from tbsnode.tbs import page
from tbsnode.tbs.page_regions import find_cells, lines_of
from tbsnode.tbs.polygon import polygon_mask

Mask = NDArray[np.bool_]


def ladder(scale: int = 1, *, sides: bool = True) -> tuple[NDArray[np.float64], Mask]:
    """Return a bright column with three cells of 20 x 30 pixels to the middles of their lines."""
    gray = np.full((100, 90), 40.0)
    gray[:, 30:61] = 140.0
    drawn = np.zeros((100 * scale, 90 * scale), dtype=np.bool_)
    middle = scale // 2
    for row in (10, 30, 50, 70):
        drawn[row * scale + middle, 30 * scale + middle : 60 * scale + middle + 1] = True
    if sides:
        for column in (30, 60):
            drawn[10 * scale + middle : 70 * scale + middle + 1, column * scale + middle] = True
    return gray, drawn


@pytest.mark.parametrize("scale", [1, 3])
def test_by_hand(scale: int) -> None:
    found = find_cells(*ladder(scale), scale, 3)
    assert found is not None
    assert found.bright
    assert len(found.cells) == 3
    for cell in found.cells:
        # a line counts half on either side, and so do its corners
        assert cell.area_px == pytest.approx(20 * 30, rel=0.01)
    lines = np.array(lines_of(found.cells))
    np.testing.assert_allclose(lines[:, :, 0].mean(axis=1), [10, 30, 50, 70], atol=0.5)
    np.testing.assert_allclose(lines[:, 0, 1], 30, atol=0.5)
    np.testing.assert_allclose(lines[:, 1, 1], 60, atol=0.5)


def test_dark_bone() -> None:
    gray, drawn = ladder()
    found = find_cells(255.0 - gray, drawn, 1, 3)
    assert found is not None
    assert not found.bright


def test_broken_lines_are_closed() -> None:
    gray, drawn = ladder()
    whole = find_cells(gray, drawn, 1, 3)
    drawn[70, 33:60:5] = False  # dashes
    drawn[70, 34:60:5] = False
    found = find_cells(gray, drawn, 1, 3)
    assert found is not None
    assert whole is not None
    assert len(found.cells) == 3
    areas = [[cell.area_px for cell in each.cells] for each in (found, whole)]
    np.testing.assert_allclose(areas[0], areas[1], rtol=0.02)


def test_lines_that_close_nothing_give_nothing() -> None:
    gray, drawn = ladder(sides=False)
    assert find_cells(gray, drawn, 1, 3) is None
    assert find_cells(gray, np.zeros_like(drawn), 1, 3) is None
    assert find_cells(gray, np.ones_like(drawn), 1, 3) is None
    flat = np.full_like(gray, 90.0)  # cells that do not differ from what is beside them
    assert find_cells(flat, ladder()[1], 1, 3) is None


def test_a_bar_beside_the_spine_makes_no_levels() -> None:
    gray, drawn = ladder()
    drawn[10:71, 8] = True
    for row in (10, 30, 50, 70):
        drawn[row, 8:30] = True
    found = find_cells(gray, drawn, 1, 3)
    assert found is not None
    assert all(29 <= column <= 61 for cell in found.cells for _, column in cell.ring)


@pytest.mark.parametrize(
    "layout",
    [
        WHITE_PAGE,
        INVERTED_PAGE,
        GRAY_PAGE,
        replace(WHITE_PAGE, zoom=1),
        replace(WHITE_PAGE, zoom=3, shape=(1964, 1200)),
        replace(WHITE_PAGE, antialiased=True, line_width_px=2),
    ],
)
@pytest.mark.parametrize("spine", [Spine(), Spine(cobb_deg=18.0, tilt_deg=3.0)])
def test_outlines_and_lines_of_pages(layout: Layout, spine: Spine) -> None:
    drawing = draw(spine, 4)
    truth = phantom_page.report_page(scan(drawing, layout.scanner, 4), drawing.truth, ("A",), layout=layout)
    (found,) = page.cut_out(truth.pixels)
    assert len(found.cells) == 4
    true_areas = {level.label: level.area_mm2 for level in drawing.truth.levels}  # type: ignore[union-attr]
    step_mm = truth.pixel_spacing_mm[0]
    for cell, (label, ring) in zip(found.cells, truth.rings.items(), strict=True):
        assert cell.area_px * step_mm**2 == pytest.approx(true_areas[label], rel=0.015)
        true_ring = (ring - (found.row, found.column) + 0.5) / found.scale - 0.5
        shape = (found.pixels.shape[0], found.pixels.shape[1])
        ours, true = polygon_mask(np.array(cell.ring), shape), polygon_mask(true_ring, shape)
        assert np.count_nonzero(ours & true) > 0.96 * np.count_nonzero(ours | true)
    for line, drawn in zip(lines_of(found.cells), truth.lines, strict=True):
        ends = (drawn.ends - (found.row, found.column) + 0.5) / found.scale - 0.5
        rows = np.interp([line[0][1], line[1][1]], ends[:, 1], ends[:, 0])
        np.testing.assert_allclose([line[0][0], line[1][0]], rows, atol=1.5)
