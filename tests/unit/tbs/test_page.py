"""Pictures cut out of report pages: place, zoom, polarity, and what is drawn over them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from tbsnode.phantom import hip
from tbsnode.phantom import page as phantom_page
from tbsnode.phantom.page_layout import GRAY_PAGE, INVERTED_PAGE, PLAIN_PAGE, WHITE_PAGE, Layout
from tbsnode.phantom.page_picture import native_gray
from tbsnode.phantom.scanners import COARSE_DISPLAY, FINE_DISPLAY, LINEAR_16, Scanner, scan
from tbsnode.phantom.spine import Spine, draw
from tbsnode.tbs import page, page_ink, page_search, page_zoom

RGB = NDArray[np.uint8]
HEAD = ("NAME: PHANTOM, PETRA", "DOB: 1965-04-12")

LAYOUTS = {
    "white": WHITE_PAGE,
    "inverted": INVERTED_PAGE,
    "gray": GRAY_PAGE,
    "plain": PLAIN_PAGE,
    "not enlarged": replace(WHITE_PAGE, zoom=1),
    "three times": replace(WHITE_PAGE, zoom=3, shape=(1964, 1200)),
    "wide soft ink": replace(WHITE_PAGE, antialiased=True, line_width_px=2),
    "gray, not enlarged": replace(GRAY_PAGE, zoom=1),
}


@lru_cache(maxsize=12)
def drawn(layout: Layout, *, companion: bool = False) -> phantom_page.Page:
    drawing = draw(Spine(), 3)
    second = scan(hip.draw(5), COARSE_DISPLAY, 5) if companion else None
    return phantom_page.report_page(
        scan(drawing, layout.scanner, 3), drawing.truth, HEAD, layout=layout, companion=second
    )


def textured(rows: int, columns: int, seed: int = 1) -> RGB:
    """Return a picture with a bright column in the middle, and noise."""
    across = np.exp(-(((np.arange(columns) - columns / 2) / (columns / 6)) ** 2))
    noise = np.random.default_rng(seed).normal(0.0, 6.0, (rows, columns))
    return np.clip(40.0 + 130.0 * across + noise, 10, 245).astype(np.uint8)


def on_paper(picture: RGB, row: int, column: int, zoom: int = 1, frame: int = 0) -> RGB:
    shown = picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
    pixels = np.full((600, 700, 3), 255, dtype=np.uint8)
    high, wide = shown.shape
    pixels[row - frame : row + high + frame, column - frame : column + wide + frame] = 0
    pixels[row : row + high, column : column + wide] = shown[..., None]
    return pixels


def test_by_hand() -> None:
    picture = textured(120, 100)
    (found,) = page.cut_out(on_paper(picture, 50, 70, zoom=2, frame=2))
    np.testing.assert_array_equal(found.pixels, picture)
    assert (found.row, found.column, found.scale) == (50, 70, 2)
    assert (found.inverted, found.uneven, found.found_by, found.cells) == (False, False, "content", ())
    assert not found.blocked.any()


@pytest.mark.parametrize("zoom", [1, 2, 3, 4])
@pytest.mark.parametrize("frame", [0, 1, 3])
def test_zoom_and_frame_are_undone(zoom: int, frame: int) -> None:
    picture = textured(110, 90)
    pixels = on_paper(picture, 40, 30, zoom, frame)
    for box in (None, (30, 40, 90 * zoom, 110 * zoom), (25, 44, 90 * zoom + 8, 110 * zoom - 7)):
        (found,) = page.cut_out(pixels, box)
        np.testing.assert_array_equal(found.pixels, picture)
        assert (found.row, found.column, found.scale) == (40, 30, zoom)
        assert found.found_by == ("content" if box is None else "private text")


@given(st.integers(1, 5), st.integers(0, 4), st.integers(0, 4), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_zoom_is_found_wherever_the_cut_begins(zoom: int, top: int, left: int, seed: int) -> None:
    picture = textured(60, 70, seed).repeat(zoom, axis=0).repeat(zoom, axis=1)[top:, left:]
    found = page_zoom.find_zoom(picture, np.zeros(picture.shape, dtype=np.bool_))
    assert (found.scale, found.top, found.left) == (zoom, -top % zoom, -left % zoom)


def test_a_zoom_by_a_fraction_is_seen_and_not_undone() -> None:
    picture = textured(80, 90)
    uneven = picture[(np.arange(120) / 1.5).astype(int)][:, (np.arange(135) / 1.5).astype(int)]
    found = page_zoom.find_zoom(uneven, np.zeros(uneven.shape, dtype=np.bool_))
    assert (found.scale, found.uneven) == (1, True)
    padded = np.concatenate([np.zeros((80, 30), np.uint8), picture], axis=1)  # flat is not copied
    assert not page_zoom.find_zoom(padded, np.zeros(padded.shape, dtype=np.bool_)).uneven


@pytest.mark.parametrize("name", LAYOUTS)
def test_pictures_are_restored_and_their_ink_is_known(name: str) -> None:
    layout = LAYOUTS[name]
    truth = drawn(layout)
    (found, *others) = page.cut_out(truth.pixels)
    assert others == []
    left, top, wide, high = truth.picture
    zoom = layout.zoom
    assert (found.column, found.row, found.scale, found.inverted) == (left, top, zoom, layout.inverted)
    assert found.pixels.shape == truth.gray.shape
    shows = ~found.blocked
    np.testing.assert_array_equal(found.pixels[shows], truth.gray[shows])
    ink = truth.ink.reshape(high // zoom, zoom, wide // zoom, zoom).any(axis=(1, 3))
    grown = page_ink.ndimage.binary_dilation(ink, iterations=3, structure=np.ones((3, 3)))
    assert not found.blocked[~grown].any()  # nothing is taken from the patient without need
    missed = np.count_nonzero(ink & shows)
    assert missed <= (5 if layout.zoom == 1 and not layout.colored else 0)


@pytest.mark.parametrize("scanner", [FINE_DISPLAY, COARSE_DISPLAY, LINEAR_16])
@pytest.mark.parametrize("metal", [(), ("screws", "wire"), ("blob",)])
def test_bone_and_metal_are_not_drawn(scanner: Scanner, metal: tuple[str, ...]) -> None:
    stored = scan(draw(Spine(metal=metal), 3), scanner, 3).pixels.astype(np.float64)
    gray = np.round((stored - stored.min()) * (255.0 / np.ptp(stored))).astype(np.uint8)
    assert not page_ink.is_drawn_over(gray)
    gray[60:64, 40 : 40 + 6 * page_ink.DRAWN_LETTERS : 6] = 255
    assert metal or page_ink.is_drawn_over(gray)


def test_the_rim_of_a_cage_is_not_drawn() -> None:
    """Sharp where pixels are coarse, and as long as a fifth of the rows of oblong ones: it lies across."""
    gray = np.full((185, 270), 20, dtype=np.uint8)
    gray[120:122, 100:138] = 255
    assert not page_ink.is_drawn_over(gray)
    gray[120:122, 100:160] = 255
    assert page_ink.is_drawn_over(gray)


def test_blended_ink_on_gray() -> None:
    truth = drawn(replace(GRAY_PAGE, zoom=1, antialiased=True, line_width_px=2))
    (found,) = page.cut_out(truth.pixels)
    missed = truth.ink & ~found.blocked
    assert np.count_nonzero(missed) < 0.02 * np.count_nonzero(truth.ink)


@pytest.mark.parametrize("scanner", [FINE_DISPLAY, COARSE_DISPLAY, LINEAR_16])
@pytest.mark.parametrize("inverted", [False, True])
def test_bone_is_no_ink(scanner: object, inverted: bool) -> None:
    gray = native_gray(scan(draw(Spine(metal=("screws",)), 3), scanner, 3))  # type: ignore[arg-type]
    gray = 255 - gray if inverted else gray
    found = page_ink.clean(gray, np.zeros(gray.shape, dtype=np.bool_), page_zoom.Zoom(1, 0, 0))
    assert np.count_nonzero(found.ink) <= 0.0005 * gray.size


def test_colored_pixels_are_blocked_with_a_margin() -> None:
    pixels = on_paper(textured(120, 100), 50, 70, zoom=2)
    pixels[150, 170] = (255, 230, 0)
    (found,) = page.cut_out(pixels)
    assert np.argwhere(found.blocked).tolist() == [[r, c] for r in (49, 50, 51) for c in (49, 50, 51)]
    assert found.pixels[50, 50] == textured(120, 100)[50, 50]  # three page pixels still show it


def test_rounded_colors_are_gray() -> None:
    pixels = on_paper(textured(120, 100), 50, 70, zoom=2).astype(np.int16)
    rounding = np.random.default_rng(1).integers(-1, 2, pixels.shape)
    faint = np.clip(pixels + rounding, 0, 255).astype(np.uint8)
    faint[150, 170] = (255, 230, 0)
    (found,) = page.cut_out(faint)
    assert 0 < np.count_nonzero(found.blocked) < 0.01 * found.blocked.size


def test_label_squares_are_blocked_and_clipped_tissue_is_not() -> None:
    picture = textured(150, 140)
    clipped = np.clip(picture.astype(np.int16) - 50, 0, 255).astype(np.uint8)
    assert np.mean(clipped == 0) > 0.2
    clipped[20:34, 60:78] = 0  # a black square on the bone
    (found,) = page.cut_out(on_paper(clipped, 50, 70))
    assert found.blocked[20:34, 60:78].all()
    assert np.count_nonzero(found.blocked) < 2 * 14 * 18


@pytest.mark.parametrize("error", [(0, 0, 0, 0), (6, -5, 3, 7), (-7, 7, -6, 0)])
def test_a_stated_place_may_be_off_by_a_few_pixels(error: tuple[int, int, int, int]) -> None:
    truth = drawn(WHITE_PAGE)
    box = tuple(a + b for a, b in zip(truth.picture, error, strict=True))
    found = page.cut_out(truth.pixels, box)[0]  # type: ignore[arg-type]
    assert (found.column, found.row, found.found_by) == (*truth.picture[:2], "private text")
    assert found.pixels.shape == truth.gray.shape


@pytest.mark.parametrize(
    "box", [(700, 40, 300, 200), (5000, 0, 9, 9), (0, 0, 1200, 1400), (300, 600, 900, 700)]
)
def test_a_stated_place_without_a_picture_is_passed_over(box: tuple[int, int, int, int]) -> None:
    truth = drawn(WHITE_PAGE)
    found = page.cut_out(truth.pixels, box)[0]
    assert (found.column, found.row, found.found_by) == (*truth.picture[:2], "content")


def test_two_pictures() -> None:
    layout = replace(WHITE_PAGE, pictures="spine and hip", shape=(1964, 1500), caption="none")
    truth = drawn(layout, companion=True)
    places = ({truth.picture[:2], truth.companion[:2]}, truth.companion[:2])
    both = page.cut_out(truth.pixels)
    assert len(both) == 2
    # black margins of the hip and a black frame cannot be told apart
    for found in both:
        assert any(abs(found.column - x) + abs(found.row - y) <= 4 for x, y in places[0])
    first = page.cut_out(truth.pixels, truth.companion)[0]
    assert abs(first.column - places[1][0]) + abs(first.row - places[1][1]) <= 4


def test_pages_without_a_picture() -> None:
    layout = replace(WHITE_PAGE, pictures="none")
    truth = phantom_page.report_page(None, draw(Spine(), 3).truth, HEAD, layout=layout)
    assert page.cut_out(truth.pixels) == ()
    for value in (0, 128, 255):
        assert page.cut_out(np.full((300, 200, 3), value, dtype=np.uint8)) == ()
    gradient = np.tile(np.arange(256, dtype=np.uint8), (300, 1))
    page.cut_out(gradient)  # a picture or not: nothing breaks
    page.cut_out(np.zeros((3, 2, 3), dtype=np.uint8), (0, 0, 2, 3))


def test_a_color_map_is_no_picture() -> None:
    picture = textured(200, 160)
    pixels = on_paper(picture, 50, 70)
    pixels[50:250, 70:230, 2] = 255 - picture
    assert page.cut_out(pixels, (70, 50, 160, 200)) == ()


@given(
    st.tuples(st.integers(-99, 2000), st.integers(-99, 2000), st.integers(1, 3000), st.integers(1, 3000)),
    st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_any_box_is_survived(box: tuple[int, int, int, int], seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    page.cut_out(pixels, box)
    page.cut_out(on_paper(textured(120, 100), 50, 70), box)


def test_boxes_overlap_by_area() -> None:
    box = page_search.Box(0, 0, 10, 10)
    assert box.overlap(page_search.Box(0, 5, 10, 15)) == pytest.approx(1 / 3)
    assert box.overlap(page_search.Box(10, 0, 20, 10)) == 0.0
    assert box.holds(page_search.Box(2, 2, 4, 4))
    assert not box.holds(page_search.Box(8, 8, 30, 30))


def test_same_page_same_picture() -> None:
    truth = drawn(WHITE_PAGE)
    once, again = (page.cut_out(truth.pixels)[0] for _ in range(2))
    np.testing.assert_array_equal(once.pixels, again.pixels)
    np.testing.assert_array_equal(once.blocked, again.blocked)
    assert once.cells == again.cells


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 9))
def test_an_opening_is_that_of_scipy(rows: int, columns: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (rows, columns)).astype(np.int16)
    wide = page_ink.STROKE_PX
    stranger = ndimage.grey_opening(image, size=(wide, wide), mode="nearest")
    np.testing.assert_array_equal(page_ink.opened(image), stranger)
