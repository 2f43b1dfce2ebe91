from __future__ import annotations

import numpy as np
import pytest

from tbsnode.tbs import axis, edges, field, metal


def column_of(half_mm: np.ndarray, extra: np.ndarray | None = None) -> axis.Column:
    """A straight column of brightness 1 on 0, on the grid itself, `half_mm` wide at each row."""
    u = (np.arange(321) - 160) * 0.5
    image = np.clip((half_mm[:, None] - np.abs(u)[None, :]) / 2.0 + 0.5, 0.0, 1.0)
    if extra is not None:
        image = np.maximum(image, extra)
    valid = np.ones(image.shape, dtype=bool)
    rows = np.arange(image.shape[0], dtype=float)
    grid = field.Grid(image, valid, (0.5, 0.5), (image.shape[0], 321), (0.0, 1.0))
    return axis.Column(image, valid, rows, np.full(rows.size, 160.0), np.zeros(rows.size), grid)


def test_half_height_by_hand() -> None:
    column = column_of(np.full(300, 20.0))
    assert edges.typical_half_width(column) == pytest.approx(20.0, abs=0.6)
    found = edges.find_edges(column, 20.0)
    np.testing.assert_allclose(found.left, 20.0, atol=0.3)
    np.testing.assert_allclose(found.right, 20.0, atol=0.3)
    np.testing.assert_allclose(found.bone, 1.0, atol=0.01)
    np.testing.assert_allclose(found.soft, 0.0, atol=0.01)


def test_transverse_process_and_rib_stay_outside() -> None:
    s, u = np.arange(300)[:, None], (np.arange(321) - 160)[None, :] * 0.5
    process = np.where((np.abs(s - 100) < 8) & (np.abs(u) < 40.0), 0.2, 0.0)
    dense = np.where((np.abs(s - 200) < 8) & (u > 0) & (u < 40.0), 0.9, 0.0)
    found = edges.find_edges(column_of(np.full(300, 20.0), process + dense), 20.0)
    np.testing.assert_allclose(found.left[90:111], 20.0, atol=1.0)
    assert found.right[190:211].max() < 20.0 * 1.3 + 0.5  # cut at the envelope, not followed to 40 mm


def test_edge_follows_flare_and_notches_no_further_than_the_limit() -> None:
    half = np.full(300, 20.0)
    half[140:160] = 9.0  # a disc without any bone beside the laminae
    found = edges.find_edges(column_of(half), 20.0)
    assert 17.5 < found.left[150] < 19.0
    assert found.left[100] == pytest.approx(20.0, abs=0.4)


def test_spinous_processes_are_not_metal_but_screws_wires_and_blobs_are() -> None:
    s, u = np.arange(300)[:, None], (np.arange(321) - 160)[None, :] * 0.5
    process = np.where(((s - 80) / 26.0) ** 2 + (u / 3.8) ** 2 < 1, 3.0, 0.0)
    column = column_of(np.full(300, 20.0), process)
    found = edges.find_edges(column, 20.0)
    assert not metal.find_metal(column, found, None).any()
    shapes = {
        "screw": (np.abs(s - 200) < 20) & (np.abs(u - 15.0) < 2.5),
        "wire": (np.abs(s - 200) < 2) & (np.abs(u) < 45.0),
        "blob": ((s - 200) / 15.0) ** 2 + (u / 7.0) ** 2 < 1,
    }
    for name, shape in shapes.items():
        with_metal = column_of(np.full(300, 20.0), np.maximum(process, np.where(shape, 3.0, 0.0)))
        marked = metal.find_metal(with_metal, found, None)
        assert marked[195:206].any(), name
        assert not marked[40:120].any(), name


@pytest.mark.parametrize(("width_mm", "height_mm", "foreign"), [(10.0, 10.0, True), (8.0, 22.0, False)])
def test_a_cage_in_the_middle_is_wider_than_a_process(
    width_mm: float, height_mm: float, foreign: bool
) -> None:
    """On a clipped copy both end sharply and lie on the axis: a cage holds a block that no process does."""
    s, u = np.arange(300)[:, None] * 0.5, (np.arange(321) - 160)[None, :] * 0.5
    block = np.where((np.abs(s - 100.0) < height_mm / 2) & (np.abs(u) < width_mm / 2), 1.7, 0.0)
    column = column_of(np.full(300, 20.0), block)
    assert metal.find_metal(column, edges.find_edges(column, 20.0), 1.7).any() == foreign


def test_sclerotic_facets_fade_and_are_no_metal_but_cement_is_larger() -> None:
    """As bright, as wide and as clipped as a screw: only the end tells."""
    s, u = np.arange(300)[:, None], (np.arange(321) - 160)[None, :] * 0.5

    def fading(radius_mm: float) -> np.ndarray:
        away = np.hypot((s - 200) * 0.5, u - 15.0)
        return np.where(away < 2.5 * radius_mm, 0.9 + 1.0 * np.exp(-((away / radius_mm) ** 2)), 0.0)

    found = edges.find_edges(column_of(np.full(300, 20.0), np.zeros((300, 321))), 20.0)
    facet = column_of(np.full(300, 20.0), np.minimum(fading(7.0), 1.7))
    assert np.count_nonzero(facet.image >= 1.65) * 0.25 > metal.BESIDE_MM2
    assert not metal.find_metal(facet, found, 1.7).any()
    assert metal.find_metal(column_of(np.full(300, 20.0), np.minimum(fading(14.0), 1.7)), found, 1.7).any()


def test_in_a_picture_clipped_at_bone_only_a_large_flat_area_is_cement() -> None:
    s, u = np.arange(300)[:, None], (np.arange(321) - 160)[None, :] * 0.5
    process = (np.abs(s - 80) < 26) & (np.abs(u) < 4.0)
    pedicle = (np.abs(s - 120) < 15) & (np.abs(u - 14.0) < 5.0)
    cement = (np.abs(s - 200) < 18) & (np.abs(u + 2.0) < 8.0)
    bone = np.where(process | pedicle, 1.3, 0.0)
    clipped, filled = (column_of(np.full(300, 20.0), np.where(extra, 1.3, bone)) for extra in (s < 0, cement))
    found = edges.find_edges(clipped, 20.0)
    assert not metal.find_metal(clipped, found, 1.3).any()
    marked = metal.find_metal(filled, found, 1.3)
    assert marked[190:210].any()
    assert not marked[:150].any()


def test_bright_bone_outside_the_column_is_not_metal_in_it() -> None:
    s, u = np.arange(300)[:, None], (np.arange(321) - 160)[None, :] * 0.5
    crest = np.where((s > 240) & (u > 40.0), 3.0, 0.0)
    column = column_of(np.full(300, 20.0), crest)
    assert not metal.find_metal(column, edges.find_edges(column, 20.0), None).any()


def test_clipped_picture_finds_metal_at_the_clipping_level() -> None:
    s, u = np.arange(300)[:, None], (np.arange(321) - 160)[None, :] * 0.5
    screw = np.where((np.abs(s - 200) < 20) & (np.abs(u - 15.0) < 2.5), 1.7, 0.0)
    column = column_of(np.full(300, 20.0), screw)
    found = edges.find_edges(column, 20.0)
    assert metal.find_metal(column, found, 1.7).any()
    assert not metal.find_metal(column, found, None).any()
