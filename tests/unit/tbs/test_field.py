from __future__ import annotations

import numpy as np
import pytest

from tbsnode.tbs import field


def ramp(rows: int = 12, columns: int = 10) -> np.ndarray:
    return np.add.outer(np.arange(float(rows)), 3.0 * np.arange(columns)) + 10.0


def test_picture_without_padding_is_all_scanned() -> None:
    assert field.scanned_field(ramp()).all()


@pytest.mark.parametrize("level", [252.0, 0.0])
def test_staircase_at_both_sides_by_hand(level: float) -> None:
    image = ramp()
    image[:6, :3] = level
    image[6:, :2] = level
    image[:4, -2:] = level
    expected = np.ones(image.shape, dtype=bool)
    expected[:6, :3] = expected[6:, :2] = expected[:4, -2:] = False
    assert (field.scanned_field(image) == expected).all()


def test_blocks_above_and_below() -> None:
    image = ramp()
    image[:3] = 252.0
    image[-2:] = 0.0
    expected = np.ones(image.shape, dtype=bool)
    expected[:3] = expected[-2:] = False
    assert (field.scanned_field(image) == expected).all()


def test_flat_block_inside_the_picture_is_no_padding() -> None:
    image = ramp()
    image[4:9, 4:8] = 252.0
    assert field.scanned_field(image).all()


def test_soft_tissue_clipped_to_zero_has_a_ragged_outline_and_stays() -> None:
    image = ramp(40, 30)
    depth = np.random.default_rng(1).integers(0, 12, 40)
    depth[[0, -1]] = 0
    image[np.arange(30)[None, :] < depth[:, None]] = 0.0
    assert field.scanned_field(image).all()
    known = field.scanned_field(image, padding_value=0.0)
    assert (known[depth >= 2] == (np.arange(30)[None, :] >= depth[depth >= 2, None])).all()


def test_bone_as_bright_as_the_padding_beside_it_is_not_swallowed() -> None:
    image = ramp(40, 30)
    image[:, :3] = 252.0
    image[20, :15] = 252.0  # one row of saturated bone touches the padding
    mask = field.scanned_field(image)
    assert not mask[:, :3].any()
    assert mask[:, 3:].all()


@pytest.mark.parametrize("spacing", [(0.25, 0.25), (1.05, 0.6), (0.5, 0.5)])
def test_grid_keeps_a_plane_and_its_places(spacing: tuple[float, float]) -> None:
    rows, columns = (round(60.0 / step) for step in spacing)
    place = np.meshgrid(np.arange(rows) * spacing[0], np.arange(columns) * spacing[1], indexing="ij")
    image = 2.0 * place[0] + place[1]
    grid = field.on_grid(image, np.ones(image.shape, dtype=bool), spacing)
    low, high = grid.gray
    inner = (slice(5, -5), slice(5, -5))
    y, x = np.indices(grid.image.shape).astype(float)
    row, column = grid.stored(y[inner], x[inner])
    expected = 2.0 * row * spacing[0] + column * spacing[1]
    unclipped = grid.image[inner] < 1.5
    np.testing.assert_allclose(
        (grid.image[inner] * (high - low) + low)[unclipped], expected[unclipped], atol=0.02
    )


def test_grid_takes_only_scanned_pixels() -> None:
    image = np.random.default_rng(2).normal(100.0, 10.0, (60, 60))
    scanned = np.ones(image.shape, dtype=bool)
    scanned[:, :20] = False
    first = field.on_grid(image, scanned, (1.0, 1.0))
    image[:, :20] = 1e6
    second = field.on_grid(image, scanned, (1.0, 1.0))
    np.testing.assert_array_equal(first.image, second.image)
    assert not first.valid[:, :38].any()
    assert first.valid[:, 42:].all()


def test_metal_does_not_set_the_scale() -> None:
    image = np.full((100, 100), 10.0)
    image[:, 40:60] = 110.0
    plain = field.on_grid(image, np.ones(image.shape, dtype=bool), (1.0, 1.0))
    image[40:60, 45:55] = 60000.0
    with_metal = field.on_grid(image, np.ones(image.shape, dtype=bool), (1.0, 1.0))
    assert with_metal.gray[1] < 3.0 * plain.gray[1]
