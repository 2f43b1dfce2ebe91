"""Pages of a spine that a person can check: four rectangles, 30 x 40 mm each, 1 g/cm2, 1 mm pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tbsnode.phantom.drawing import DiscLine, TrueLevel, Truth
from tbsnode.phantom.page import Page, report_page
from tbsnode.phantom.page_ink import Canvas, draw_line, write
from tbsnode.phantom.page_layout import (
    BLACK,
    GRAY_PAGE,
    INVERTED_PAGE,
    LAYOUTS,
    PLAIN_PAGE,
    TEAL,
    VARIANTS,
    WHITE,
    WHITE_PAGE,
    YELLOW,
    Layout,
)
from tbsnode.phantom.page_picture import enlarge, native_gray
from tbsnode.phantom.page_table import SPANS, results_table
from tbsnode.phantom.scanners import LINEAR_16, ScannedImage, scan
from tbsnode.phantom.spine import Spine, draw

TOPS = (10.0, 40.0, 70.0, 100.0, 130.0)
NAMES = ("T12/L1", "L1/L2", "L2/L3", "L3/L4", "L4/L5")
BARE = replace(WHITE_PAGE, labels="none", caption="none")


def level(index: int) -> TrueLevel:
    top, bottom = TOPS[index], TOPS[index + 1]
    ring = np.array([(top, 30.0), (top, 70.0), (bottom, 70.0), (bottom, 30.0), (top, 30.0)])
    return TrueLevel(
        label=f"L{index + 1}",
        ring_mm=ring,
        body_ring_mm=ring,
        center_mm=((top + bottom) / 2.0, 50.0),
        window_mm=((top + bottom) / 2.0, 50.0),
        area_mm2=1200.0,
        pitch_mm=30.0,
        width_mm=40.0,
        areal_density=1.0,
        visible=1.0,
    )


TRUTH = Truth(
    levels=tuple(level(index) for index in range(4)),
    disc_lines=tuple(
        DiscLine(name=name, left_mm=(top, 30.0), right_mm=(top, 70.0), tilt_deg=0.0)
        for name, top in zip(NAMES, TOPS, strict=True)
    ),
    axis_mm=np.array([(float(row), 50.0) for row in range(160)]),
    lumbar_count=5,
)


def image(seed: int = 1) -> ScannedImage:
    """Return 160 x 100 gray pixels, 50 to 149: neither ink nor paper."""
    pixels = np.random.default_rng(seed).integers(50, 150, (160, 100)).astype(np.uint8)
    return ScannedImage(pixels=pixels, pixel_spacing_mm=(1.0, 1.0), padding_value=None, origin_mm=(0.0, 0.0))


def drawn(layout: Layout) -> Page:
    first = {"none": None, "hip": image(2)}.get(layout.pictures, image())
    return report_page(
        first,
        None if layout.pictures == "hip" else TRUTH,
        ("NAME: X",),
        layout=layout,
        companion=image(2) if layout.pictures == "spine and hip" else None,
    )


def cut(page: Page) -> NDArray[np.uint8]:
    left, top, wide, high = page.picture
    return page.pixels[top : top + high, left : left + wide]


def test_picture_stands_where_the_page_says() -> None:
    page = drawn(replace(BARE, lines=False))
    assert page.picture == (90, 300, 200, 320)
    assert page.zoom == 2
    assert page.pixel_spacing_mm == (1.0, 1.0)
    assert not page.ink.any()
    assert np.array_equal(page.gray, image().pixels)
    assert np.array_equal(cut(page)[::2, ::2, 0], page.gray)
    assert np.array_equal(cut(page)[1::2, 1::2, 2], page.gray)
    assert (page.pixels[298:300, 88:292] == BLACK).all()  # the frame, two pixels
    assert (page.pixels[297, 80:300] == WHITE).all()
    assert (page.pixels[620:622, 88:292] == BLACK).all()


@pytest.mark.parametrize(("place", "left", "top"), [("upper right", 940, 300), ("lower left", 90, 990)])
def test_other_corners(place: str, left: int, top: int) -> None:
    page = drawn(replace(BARE, place=place))  # type: ignore[arg-type]
    assert page.picture == (left, top, 200, 320)


def test_lines_edges_and_bar_are_where_a_ruler_puts_them() -> None:
    page = drawn(BARE)
    picture = cut(page)
    # A line at 10 mm lies between rows 19 and 20 of the picture, an edge at 30 mm between columns 59 and 60.
    assert [line.name for line in page.lines] == list(NAMES)
    assert np.array_equal(page.lines[0].ends, [(319.5, 90 + 19.5), (319.5, 90 + 189.5)])
    assert np.array_equal(page.rings["L1"][0], (319.5, 149.5))
    for row in (20, 80, 140, 200):
        assert (picture[row, 20:191] == YELLOW).all()
        assert page.ink[row].sum() == 171
    for column in (20, 60, 140):
        assert (picture[20:261, column] == YELLOW).all()
    dashes = page.ink[260, 21:191]
    assert 0.5 < dashes.mean() < 0.8  # the last one has gaps
    assert page.ink[50].sum() == 3  # bar and two edges, nothing else
    assert not page.ink[:20].any()
    assert not page.ink[261:].any()


def test_lines_of_an_inverted_page_are_short_and_have_no_bar() -> None:
    page = drawn(replace(INVERTED_PAGE, labels="none", caption="none"))
    picture = cut(page)
    assert page.inverted
    assert np.array_equal(page.lines[0].ends[:, 1] - 90, (26 * 2 - 0.5, 74 * 2 - 0.5))
    assert (picture[20, 52:149] == TEAL).all()
    assert page.ink[20].sum() == 97
    assert (picture[21:80, 60] == YELLOW).all()
    assert page.ink[50].sum() == 2
    assert picture[0, 0, 0] == 255 - page.gray[0, 0]


@pytest.mark.parametrize(("inverted", "ink"), [(False, 255), (True, 0)])
def test_gray_page_has_one_sample_and_ink_at_the_end_of_the_scale(inverted: bool, ink: int) -> None:
    page = drawn(replace(GRAY_PAGE, inverted=inverted, caption="over"))
    assert page.pixels.shape == (1400, 1200)
    assert (cut(page)[page.ink] == ink).all()


@pytest.mark.parametrize("layout", LAYOUTS + VARIANTS, ids=lambda layout: layout.name)
def test_picture_is_the_gray_matrix_wherever_there_is_no_ink(layout: Layout) -> None:
    page = drawn(layout)
    if layout.pictures == "none":
        assert page.picture == (0, 0, 0, 0)
        assert page.gray.size == page.ink.size == 0
        assert page.lines == ()
        return
    shown = enlarge(page.gray, layout)
    shown = 255 - shown if layout.inverted else shown
    channels = cut(page) if layout.colored else cut(page)[..., None]
    changed = (channels != shown[..., None]).any(axis=2)
    assert page.ink.shape == shown.shape == (page.picture[3], page.picture[2])
    assert not (changed & ~page.ink).any()
    assert page.ink.any() == (layout.lines or layout.caption == "over")
    assert np.array_equal(page.gray, image(2 if layout.pictures == "hip" else 1).pixels)
    if not layout.antialiased:
        assert np.array_equal(changed, page.ink)


@pytest.mark.parametrize("layout", VARIANTS, ids=lambda layout: layout.name)
def test_every_variant_shows(layout: Layout) -> None:
    family = INVERTED_PAGE if layout.inverted else WHITE_PAGE
    page, usual = drawn(layout), drawn(family)
    in_text = (layout.script, layout.script_box, layout.script_box_error, layout.script_part)
    if in_text != (family.script, family.script_box, family.script_box_error, family.script_part):
        assert np.array_equal(page.pixels, usual.pixels)  # tests/unit/dicom/test_acquisition.py reads them
    else:
        assert page.pixels.shape != usual.pixels.shape or not np.array_equal(page.pixels, usual.pixels)


def test_zoom_of_three_copies_pixels_and_a_smooth_one_does_not() -> None:
    copied = drawn(replace(PLAIN_PAGE, zoom=3, caption="none"))
    blocks = cut(copied)[..., 0].reshape(160, 3, 100, 3)
    assert copied.zoom == 3
    assert (blocks == copied.gray[:, None, :, None]).all()
    smooth = drawn(replace(PLAIN_PAGE, smooth_zoom=1.7, caption="none"))
    assert smooth.zoom == 1.7
    assert smooth.picture == (90, 300, 170, 272)
    steps = np.diff(cut(smooth)[..., 0].astype(int), axis=1)
    assert (steps == 0).mean() < 0.1


def test_broad_lines_are_two_pixels_and_smooth_ones_blend() -> None:
    broad = drawn(replace(BARE, line_width_px=2))
    assert broad.ink[50].sum() == 6
    assert broad.ink[20:22, 30:50].all()
    smooth = drawn(replace(BARE, antialiased=True))
    picture, gray = cut(smooth).astype(float), enlarge(smooth.gray, BARE).astype(float)
    # A line one pixel wide between two rows covers half of either.
    for row in (19, 20):
        half = (gray[row, 100, None] + np.array(YELLOW)) / 2.0
        assert np.abs(picture[row, 100] - half).max() <= 0.5
    assert smooth.ink[50].sum() == 6


def test_labels_inside_and_outside() -> None:
    inside = drawn(replace(WHITE_PAGE, lines=False, caption="none"))
    outside = drawn(replace(WHITE_PAGE, lines=False, caption="none", labels="outside"))
    assert inside.ink[:, 12:36].sum() == inside.ink.sum() > 0
    assert not outside.ink.any()
    margin = (outside.pixels[300:620, 56:80] == BLACK).all(axis=2)
    assert np.array_equal(margin, inside.ink[:, 12:36])


def test_caption_over_the_lower_left_is_ink_and_below_is_not() -> None:
    over = drawn(replace(PLAIN_PAGE, caption="over", calibration=False))
    below = drawn(PLAIN_PAGE)
    assert over.ink[-40:].sum() == over.ink.sum() > 0
    assert not below.ink.any()
    assert (below.pixels[632:700, 90:400] == BLACK).all(axis=2).any()


def test_caption_states_the_region_in_scan_lines() -> None:
    three = drawn(PLAIN_PAGE)
    one = drawn(replace(PLAIN_PAGE, calibration=False))
    assert (three.pixels[656:700, 90:400] == BLACK).all(axis=2).any()
    assert not (one.pixels[656:700, 90:400] == BLACK).all(axis=2).any()


def test_table_by_hand() -> None:
    assert results_table(TRUTH) == (
        ("REGION", "AREA", "BMC", "BMD", "T-SCORE", "Z-SCORE"),
        ("L1", "12.00", "12.00", "1.000", "0.4", "1.6"),
        ("L2", "12.00", "12.00", "1.000", "-0.5", "0.7"),
        ("L3", "12.00", "12.00", "1.000", "-0.7", "0.5"),
        ("L4", "12.00", "12.00", "1.000", "-0.7", "0.5"),
        ("TOTAL", "48.00", "48.00", "1.000", "-0.4", "0.8"),
    )


def test_wide_table_by_hand() -> None:
    page = drawn(INVERTED_PAGE)
    assert page.table[0] == ("REGION", "BMD", "YOUNG-ADULT", "AGE-MATCHED")
    assert page.table[1] == ("L1", "1.000", "0.4", "1.6")
    assert [row[0] for row in page.table[5:]] == list(SPANS)
    assert page.ancillary[0] == ("REGION", "BMC", "AREA", "WIDTH", "HEIGHT")
    assert page.ancillary[1] == ("L1", "12.00", "12.00", "4.0", "3.00")
    assert dict((row[0], row[1:]) for row in page.ancillary)["L2-L4"] == ("36.00", "36.00", "4.0", "9.00")


def test_table_with_comma_without_scores_and_of_another_patient() -> None:
    comma = results_table(TRUTH, replace(WHITE_PAGE, decimal_comma=True, scores=False))
    assert comma[0] == ("REGION", "AREA", "BMC", "BMD")
    assert comma[1] == ("L1", "12,00", "12,00", "1,000")
    other = results_table(TRUTH, replace(WHITE_PAGE, area_factor=1.5))
    assert other[1][:4] == ("L1", "18.00", "18.00", "1.000")


def test_level_half_outside_counts_half() -> None:
    truth = replace(TRUTH, levels=(*TRUTH.levels[:3], replace(TRUTH.levels[3], visible=0.5)))
    assert results_table(truth)[4][:3] == ("L4", "6.00", "6.00")


def test_hip_table_names_regions_of_a_hip() -> None:
    assert [row[0] for row in drawn(replace(WHITE_PAGE, pictures="hip")).table] == ["REGION", "NECK", "TOTAL"]


def test_printed_areas_are_those_of_the_rings_on_the_page() -> None:
    drawing = draw(Spine(), 1)
    scanned = scan(drawing, LINEAR_16, 1)
    page = report_page(scanned, drawing.truth, ())
    for region, area, *_ in page.table[1:5]:
        rows, columns = page.rings[region].T
        shoelace = abs(np.sum(rows[:-1] * columns[1:] - rows[1:] * columns[:-1])) / 2.0
        assert float(area) == pytest.approx(shoelace * (0.5 / 2) ** 2 / 100.0, abs=0.0051)


def test_native_gray_keeps_a_display_copy_and_windows_sixteen_bits() -> None:
    display = image()
    assert np.array_equal(native_gray(display), display.pixels)
    raw = replace(display, pixels=(display.pixels.astype(np.uint16) * 100))
    gray = native_gray(raw)
    assert (gray.min(), gray.max()) == (15, 250)


def test_two_pictures_stand_one_below_the_other() -> None:
    page = drawn(replace(BARE, pictures="spine and hip"))
    left, top, wide, high = page.companion
    assert (left, top, wide, high) == (90, 300 + 320 + 90, 200, 320)
    below = page.pixels[top : top + high, left : left + wide]
    assert (below[::2, ::2, 0] == image(2).pixels).mean() > 0.95  # all but the neck's box
    assert (below == YELLOW).all(axis=2).any()


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match="picture of 960 x 600 pixels does not fit"):
        drawn(replace(WHITE_PAGE, zoom=6, shape=(1000, 1200)))
    with pytest.raises(ValueError, match="table does not fit"):
        drawn(replace(INVERTED_PAGE, shape=(700, 1280)))


def test_tables_move_below_where_the_page_is_narrow() -> None:
    page = drawn(replace(WHITE_PAGE, shape=(1400, 700)))
    ink = (page.pixels[720:, :] < 128).all(axis=2)
    assert ink.any()
    beside = page.pixels[320:600, 300:]
    assert (beside == WHITE).all()


def test_no_table_and_no_chart_leave_paper() -> None:
    page = drawn(replace(BARE, table=False))
    assert (page.pixels[300:, 300:] == WHITE).all()
    table = drawn(replace(BARE, chart=False))
    off_picture = table.pixels.copy()
    off_picture[300:620, 90:290] = 255
    below_rule = off_picture[290:]
    assert (below_rule[..., 0] == below_rule[..., 1]).all()  # no colors left


def test_same_arguments_same_page() -> None:
    for layout in LAYOUTS:
        assert drawn(layout).pixels.tobytes() == drawn(layout).pixels.tobytes()


@pytest.mark.parametrize("corner", [(-8, 2), (2, -8), (6, 16), (400, 2), (2, 400)])
@pytest.mark.parametrize("antialiased", [False, True])
def test_ink_over_the_border_is_lost(corner: tuple[int, int], antialiased: bool) -> None:
    whole = Canvas(
        pixels=np.full((60, 60, 3), 9, dtype=np.uint8), ink=np.zeros((60, 60), dtype=bool), antialiased=False
    )
    part = whole.part((20, 20, 20, 10), antialiased=antialiased)
    write(part, corner, "L1", YELLOW)
    draw_line(part, [corner, (corner[0] + 9.0, corner[1] + 30.0)], TEAL, 2)
    assert whole.ink.sum() == part.ink.sum()
    assert ((whole.pixels == 9).all(axis=2) | whole.ink).all()
    assert part.ink.any() == (400 not in corner)
