from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from scipy import ndimage

from tbsnode.tbs import axis, field

SPACING = (0.5, 0.5)


def column_picture(center: np.ndarray, width: int = 300, half: int = 40) -> np.ndarray:
    """A bright band whose middle follows `center`, one value a row."""
    x = np.arange(width)[None, :]
    return np.where(np.abs(x - center[:, None]) <= half, 100.0, 20.0)


def grid_of(image: np.ndarray) -> field.Grid:
    return field.on_grid(image, np.ones(image.shape, dtype=bool), SPACING)


def test_straight_column_by_hand() -> None:
    grid = grid_of(column_picture(np.full(361, 150.0), width=301))
    path = axis.trace(axis.column_contrast(grid)[0])
    np.testing.assert_allclose(path, 150.0, atol=2.0)


@pytest.mark.parametrize("degrees", [-8.0, 3.0, 10.0])
def test_tilted_column(degrees: float) -> None:
    y = np.arange(361.0)
    center = 150.0 + np.tan(np.radians(degrees)) * (y - 180.0)
    grid = grid_of(column_picture(center, width=301))
    path = axis.trace(axis.column_contrast(grid)[0])
    curve = axis.smooth_curve(y, path, np.ones_like(y))
    np.testing.assert_allclose(np.polyval(curve, y)[40:-40], center[40:-40], atol=4.0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_tissue_between_a_narrow_column_and_ribs_is_no_dark_column(sign: float) -> None:
    """Of a person's size: 30 mm wide, with ribs that run down at both sides 55 mm away."""
    narrow = column_picture(np.full(361, 150.0), width=301, half=30)
    across = np.abs(np.arange(301.0) - 150.0)
    narrow[:, (across > 100.0) & (across < 120.0)] = 100.0
    brighter, darker = axis.column_contrast(grid_of(sign * narrow))
    seen = ~np.isnan(brighter)
    most = np.max(brighter, where=seen, initial=-9.0), np.max(darker, where=seen, initial=-9.0)
    assert (most[0] - most[1]) * sign > 0.1


def test_smooth_curve_is_not_bent_by_a_few_wrong_points() -> None:
    y = np.arange(100.0)
    x = 50.0 + 0.1 * y
    bent = x.copy()
    bent[80:90] += 30.0
    np.testing.assert_allclose(np.polyval(axis.smooth_curve(y, bent, np.ones(100)), y), x, atol=1.0)


def test_straightened_picture_maps_back_onto_the_stored_matrix() -> None:
    y = np.arange(361.0)
    center = 150.0 + 0.1 * (y - 180.0)
    grid = grid_of(column_picture(center, width=301))
    column = axis.straighten(grid, axis.smooth_curve(y, center, np.ones_like(y)))
    s = np.array([20.0, 90.0, 150.0])
    row, at = column.stored(s, np.zeros(3))
    np.testing.assert_allclose(at, np.interp(row, y, center), atol=0.01)
    aside_row, aside = column.stored(s, np.full(3, 10.0))
    np.testing.assert_allclose(np.hypot(aside_row - row, aside - at) * 0.5, 10.0, atol=1e-6)
    middle = np.abs(column.u_mm) < 18.0
    assert (column.image[20:-20, middle] > 0.9 * column.image[180, column.image.shape[1] // 2]).all()


def test_places_beyond_the_end_of_the_axis_continue_straight() -> None:
    grid = grid_of(column_picture(np.full(201, 150.0), width=301))
    column = axis.straighten(grid, np.array([150.0]))
    row, _ = column.stored(np.array([column.length_mm, column.length_mm + 5.0]), np.zeros(2))
    assert row[1] - row[0] == pytest.approx(10.0)


@pytest.mark.parametrize("order", ["C", "F"])
def test_straightening_interpolates_as_scipy_does(order: Literal["C", "F"]) -> None:
    rng = np.random.default_rng(4)
    image, valid = rng.normal(size=(61, 47)), rng.random((61, 47)) < 0.97
    valid[:9, :13] = False
    grid = field.Grid(
        np.array(image, order=order), np.array(valid, order=order), SPACING, image.shape, (0.0, 1.0)
    )
    where = np.stack([rng.uniform(-3.0, 63.0, (80, 90)), rng.uniform(-3.0, 49.0, (80, 90))])
    where[:, :9] = np.round(where[:, :9])  # on pixels, and on the last row and column
    where[:, 9] = np.array([60.0, 46.0])[:, np.newaxis]
    found, seen = axis._Planes.of(grid).at(*where)
    expected = ndimage.map_coordinates(image, where, order=1, mode="constant")
    share = ndimage.map_coordinates(valid.astype(np.float32), where, order=1, mode="constant")
    assert 0.5 < seen.mean() < 0.95
    np.testing.assert_array_equal(seen, share > 0.99)
    # the same bits where the compiler does not fuse products and sums
    np.testing.assert_allclose(found, np.where(seen, expected, 0.0), rtol=0.0, atol=1e-14)
