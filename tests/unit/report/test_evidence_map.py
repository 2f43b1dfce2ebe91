"""The texture map on page 2: its colors, its place, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from tbsnode.report.figures import window
from tbsnode.report.map_picture import DIMMED, LEGEND, PALETTE, SCALE, MapPicture, colored, map_raster
from tbsnode.tbs.polygon import polygon_mask
from tests.report_parts import picture, region, vertebra

SPACING_MM = (0.6, 0.75)
LEVELS = tuple(vertebra(i) for i in range(4))


def luminance(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(float) @ (0.299, 0.587, 0.114)


def test_the_colors_are_in_order_on_a_gray_printer():
    steps = np.diff(luminance(PALETTE))
    assert (steps > 0).all()
    assert luminance(PALETTE)[-1] - luminance(PALETTE)[0] > 150


def test_no_color_of_risk():
    red, green, blue = (PALETTE[:, c].astype(int) for c in range(3))
    assert not ((red > 1.5 * green) & (red > 1.5 * blue)).any()
    assert not ((green > 1.5 * red) & (green > 1.5 * blue)).any()


def test_the_ends_of_the_scale_by_hand():
    low, high = SCALE
    assert colored(np.array([low, -3.0])).tolist() == [[11, 37, 89]] * 2
    assert colored(np.array([high, 9.0])).tolist() == [[255, 231, 90]] * 2
    middle = colored(np.array([(low + high) / 2]))[0].tolist()
    assert middle == pytest.approx([128, 121, 122], abs=3)


def test_a_plane_is_yellow_inside_the_regions_and_the_rest_is_gray():
    rows, columns = np.indices((260, 190))
    plane = 5.0 * rows + 3.0 * columns
    raster = map_raster(plane, LEVELS, SPACING_MM)
    assert raster is not None
    assert raster.stride == 1
    inside = np.zeros(plane.shape, bool)
    for index in range(4):
        inside |= polygon_mask(np.asarray(region(index)), plane.shape)
    part = inside[raster.row :, raster.column :][: raster.rgb.shape[0], : raster.rgb.shape[1]]
    yellow = (raster.rgb == PALETTE[-6:, np.newaxis, np.newaxis]).all(axis=3).any(axis=0)
    gray = (raster.rgb[..., 0] == raster.rgb[..., 1]) & (raster.rgb[..., 1] == raster.rgb[..., 2])
    assert yellow[part].mean() > 0.98
    assert gray[~part].all()


def test_outside_the_regions_the_picture_is_only_dimmed():
    pixels = picture()
    raster = map_raster(pixels, LEVELS[:1], SPACING_MM)
    assert raster is not None
    part = pixels[raster.row :, raster.column :][: raster.rgb.shape[0], : raster.rgb.shape[1]]
    gray = (DIMMED * window(part)).astype(np.uint8)
    assert (raster.rgb[0] == gray[0][:, np.newaxis]).all()
    assert (raster.rgb[:, -1] == gray[:, -1][:, np.newaxis]).all()


def test_a_fine_picture_is_thinned():
    raster = map_raster(picture((1600, 1200)), tuple(vertebra(i, (1600, 1200)) for i in range(4)), (0.1, 0.1))
    assert raster is not None
    assert raster.rgb.shape[0] <= 360
    assert raster.stride > 1


def test_thinned_and_whole_show_the_same_place():
    fine = np.kron(picture(), np.ones((8, 8)))
    ring = tuple((8 * r + 3.5, 8 * c + 3.5) for r, c in region(1))
    raster = map_raster(fine, (vertebra(1, region=ring),), (0.075, 0.09375))
    assert raster is not None
    step = raster.stride
    rows = raster.row + step * np.arange(raster.rgb.shape[0])
    columns = raster.column + step * np.arange(raster.rgb.shape[1])
    inside = polygon_mask(np.asarray(ring), fine.shape)[np.ix_(rows, columns)]
    gray = (raster.rgb[..., 0] == raster.rgb[..., 1]) & (raster.rgb[..., 1] == raster.rgb[..., 2])
    assert gray[~inside].all()
    assert (~gray)[inside].mean() > 0.9


def test_nothing_to_map():
    assert map_raster(picture(), (), SPACING_MM) is None
    assert map_raster(picture(), (vertebra(0, region=()),), SPACING_MM) is None


def test_the_same_bytes_each_time():
    once, again = (map_raster(picture(), LEVELS, SPACING_MM) for _ in range(2))
    assert once is not None
    assert again is not None
    assert once.rgb.tobytes() == again.rgb.tobytes()


def test_proportions_and_places_by_hand():
    raster = map_raster(picture(), LEVELS, SPACING_MM)
    assert raster is not None
    rows, columns = raster.rgb.shape[:2]
    drawn = MapPicture(raster, LEVELS, SPACING_MM, "local slope", (140.0, 100.0))
    wide = drawn.width - LEGEND
    assert wide / drawn.height == pytest.approx(columns * 0.75 / (rows * 0.6))
    assert drawn.height <= 100.0
    assert drawn.width <= 140.0
    # corners of the raster are corners of the picture, half a pixel from the centers
    assert drawn.place(raster.row - 0.5, raster.column - 0.5) == pytest.approx((0.0, drawn.height))
    last = (raster.row + rows - 0.5, raster.column + columns - 0.5)
    assert drawn.place(*last) == pytest.approx((wide, 0.0))
