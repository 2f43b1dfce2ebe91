from __future__ import annotations

import numpy as np
import pytest

from tbsnode.phantom import forearm, hip, lateral, whole_body
from tbsnode.phantom.drawing import Drawing
from tbsnode.phantom.letters import text_mask
from tbsnode.phantom.page import report_page
from tbsnode.phantom.page_layout import BLACK, YELLOW
from tbsnode.phantom.page_table import results_table
from tbsnode.phantom.scanners import LINEAR_16, scan
from tbsnode.phantom.skeleton import Oval, Rod, draw_parts
from tbsnode.phantom.spine import Spine, draw


def test_parts_cover_what_their_size_says() -> None:
    parts = (Oval((25.0, 25.0), (10.0, 6.0), 1.0, 0.0), Rod((25.0, 45.0), (25.0, 55.0), (4.0, 4.0), 1.0, 0.0))
    drawing = draw_parts(parts, (50.0, 70.0), 1)
    bone_mm2 = float((drawing.pixels > 0.6).sum()) * 0.25**2
    assert drawing.truth is None
    assert bone_mm2 == pytest.approx(np.pi * 60.0 + np.pi * 16.0 + 80.0, rel=0.04)


def test_hole_is_darker_than_the_bone_around_it() -> None:
    parts = (Oval((25.0, 25.0), (20.0, 20.0), 1.0, 0.0), Oval((25.0, 25.0), (6.0, 6.0), -0.9))
    pixels = draw_parts(parts, (50.0, 50.0), 1).pixels
    assert pixels[100, 100] < 0.4 < pixels[100, 150]


@pytest.mark.parametrize(
    ("field_mm", "drawing"),
    [
        (hip.FIELD_MM, hip.draw(1)),
        (forearm.FIELD_MM, forearm.draw(1)),
        (lateral.FIELD_MM, lateral.draw(1)),
        (whole_body.FIELD_MM, whole_body.draw(1)),
    ],
    ids=["hip", "forearm", "lateral", "whole body"],
)
def test_other_bones_fill_their_field_and_carry_no_truth(
    field_mm: tuple[float, float], drawing: Drawing
) -> None:
    assert drawing.field_mm == pytest.approx(field_mm, abs=drawing.pixel_spacing_mm[0])
    assert drawing.truth is None
    bone = float((drawing.pixels > 0.5).mean())
    assert 0.03 < bone < 0.6


def test_text_is_seven_dots_high_and_scales() -> None:
    small, large = text_mask("L4"), text_mask("L4", dot_px=3)
    assert small.shape == (7, 12)
    assert np.array_equal(small.repeat(3, axis=0).repeat(3, axis=1), large)


def test_lower_case_and_unknown_letters() -> None:
    assert np.array_equal(text_mask("abc"), text_mask("ABC"))
    assert text_mask("Ω")[0, :5].all()


def test_page_is_white_with_a_gray_picture_where_it_says() -> None:
    drawing = draw(Spine(), 1)
    assert drawing.truth is not None
    image = scan(drawing, LINEAR_16, 1)
    plain = report_page(image, drawing.truth, ("NAME: X",), lines=False)
    left, top, width, height = plain.picture
    picture = plain.pixels[top : top + height, left : left + width]
    assert plain.pixels.shape == (1400, 1200, 3)
    assert (height, width) == (2 * image.pixels.shape[0], 2 * image.pixels.shape[1])
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (picture[..., 1] == picture[..., 2]).all()
    assert len(np.unique(picture)) > 100
    outside = plain.pixels.copy()
    outside[top : top + height, left : left + width] = 255
    assert 0.7 < (outside == 255).all(axis=2).mean() < 0.98
    assert (outside == BLACK).all(axis=2).any()


def test_lines_on_the_page_follow_the_truth() -> None:
    drawing = draw(Spine(), 1)
    assert drawing.truth is not None
    image = scan(drawing, LINEAR_16, 1)
    page = report_page(image, drawing.truth, ())
    left, top, _, _ = page.picture
    for point in drawing.truth.level("L2").ring_mm[10:110:20]:
        row, column = np.round(image.to_pixels(point) * 2).astype(int)
        near = page.pixels[top + row - 1 : top + row + 2, left + column - 1 : left + column + 2]
        assert (near == YELLOW).all(axis=2).any()


def test_table_adds_up() -> None:
    truth = draw(Spine(), 1).truth
    assert truth is not None
    head, *rows, total = results_table(truth)
    assert head == ("REGION", "AREA", "BMC", "BMD", "T-SCORE", "Z-SCORE")
    assert [row[0] for row in rows] == ["L1", "L2", "L3", "L4"]
    assert float(total[1]) == pytest.approx(sum(float(row[1]) for row in rows), abs=0.03)
    assert float(total[3]) == pytest.approx(float(total[2]) / float(total[1]), abs=0.002)
