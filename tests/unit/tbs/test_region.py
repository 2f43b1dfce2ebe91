from __future__ import annotations

import numpy as np
import pytest

from tbsnode.phantom.spine import Spine
from tbsnode.tbs import axis, edges, field, region, spine
from tbsnode.tbs.parameters import Parameters
from tests import spines


def upright(rows: int = 200, half_mm: float = 20.0) -> tuple[axis.Column, edges.Edges]:
    """A straight column on a matrix of 0.5 mm, 160 mm wide, axis in column 160."""
    shape = (rows, 321)
    valid = np.ones(shape, dtype=bool)
    grid = field.Grid(np.zeros(shape), valid, (0.5, 0.5), shape, (0.0, 1.0))
    s = np.arange(float(rows))
    column = axis.Column(np.zeros(shape), valid, s, np.full(rows, 160.0), np.zeros(rows), grid)
    flat = np.full(rows, half_mm)
    return column, edges.Edges(flat, flat, flat, np.ones(rows), np.zeros(rows))


def test_rectangle_by_hand() -> None:
    column, both = upright()
    drawn = region.outline(column, both, region.Line(30.0, 0.0), region.Line(60.0, 0.0), Parameters())
    ring = np.array(drawn.ring)
    assert not drawn.cut
    assert drawn.ring[0] == drawn.ring[-1]
    # 30 to 60 mm and 20 mm to either side, each drawn in by 1 mm, in half millimeters
    np.testing.assert_allclose(ring.min(axis=0), [62.0, 122.0], atol=1e-6)
    np.testing.assert_allclose(ring.max(axis=0), [118.0, 198.0], atol=1e-6)
    mask = region.mask(drawn.ring, (200, 321))
    assert mask[63:118, 123:198].all()
    assert not mask[:62].any()
    assert not mask[119:].any()
    assert not mask[:, :122].any()
    assert not mask[:, 199:].any()


def test_lines_keep_the_tilt_of_the_discs() -> None:
    column, both = upright()
    drawn = region.outline(column, both, region.Line(30.0, 0.1), region.Line(60.0, -0.1), Parameters())
    ring = np.array(drawn.ring)
    left, right = ring[ring[:, 1] < 160], ring[ring[:, 1] > 160]
    assert right[:, 0].min() - left[:, 0].min() == pytest.approx(2 * 0.1 * 19.0 * 2, abs=0.1)
    assert right[:, 0].max() - left[:, 0].max() == pytest.approx(-2 * 0.1 * 19.0 * 2, abs=0.1)


def test_inset_counts_in_every_direction() -> None:
    column, both = upright()
    notch = both.left.copy()
    notch[100] = 15.0  # a slit of one row: 1 mm around it must go too
    narrow = edges.Edges(notch, both.right, both.half_width, both.bone, both.soft)
    drawn = region.outline(column, narrow, region.Line(30.0, 0.0), region.Line(70.0, 0.0), Parameters())
    mask = region.mask(drawn.ring, (200, 321))
    assert not mask[99:102, : 160 - 2 * 15].any()
    assert mask[110, 160 - 2 * 18]


def test_level_near_the_frame_is_cut_and_its_ring_stays_inside() -> None:
    column, both = upright()
    for upper, lower, cut in ((2.0, 35.0, True), (4.0, 35.0, False), (70.0, 98.0, True), (70.0, 120.0, True)):
        drawn = region.outline(column, both, region.Line(upper, 0.0), region.Line(lower, 0.0), Parameters())
        assert drawn.cut == cut, (upper, lower)
        rows = np.array(drawn.ring)[:, 0]
        assert rows.min() >= 0.0
        assert rows.max() <= 199.0


def test_padding_lies_outside_the_ring() -> None:
    column, both = upright()
    column.valid[:, :125] = False  # 17.5 mm from the axis
    drawn = region.outline(column, both, region.Line(30.0, 0.0), region.Line(60.0, 0.0), Parameters())
    assert drawn.cut
    assert not region.mask(drawn.ring, (200, 321))[:, :125].any()


def test_nothing_left_is_an_empty_ring() -> None:
    column, both = upright()
    drawn = region.outline(column, both, region.Line(30.0, 0.0), region.Line(33.0, 0.0), Parameters())
    assert drawn.ring == ()
    assert drawn.cut
    assert not region.mask((), (5, 5)).any()


def test_body_region_lies_inside_the_endplates() -> None:
    taken = spines.picture(Spine(), "fine")
    image, truth = spines.scanned(Spine(), "fine")
    body = spine.measure(taken, Parameters(region="body"))
    whole = spine.measure(taken)
    for inner, outer in zip(body.vertebrae, whole.vertebrae, strict=True):
        true_ring = image.to_pixels(truth.level(inner.label).body_ring_mm)
        inside = region.mask(tuple(map(tuple, true_ring)), taken.pixels.shape)
        scored = region.mask(inner.region, taken.pixels.shape)
        assert np.count_nonzero(scored & inside) > 0.99 * np.count_nonzero(scored)
        assert 0.45 < inner.area_mm2 / outer.area_mm2 < 0.8
