from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tbsnode.phantom.drawing import Drawing
from tbsnode.phantom.scanners import (
    COARSE_DISPLAY,
    FINE_DISPLAY,
    LINEAR_16,
    LINEAR_16_OBLONG,
    SEVEN_BIT_GRAYS,
    Scanner,
    blur_at,
    correlated_noise,
    scan,
)
from tbsnode.phantom.spine import MALE, Spine, draw


def test_seven_bit_grays_are_127() -> None:
    assert SEVEN_BIT_GRAYS[:4].tolist() == [0, 1, 3, 5]
    assert SEVEN_BIT_GRAYS[-2:].tolist() == [249, 252]
    assert len(SEVEN_BIT_GRAYS) == 127


def test_fine_display_copy_has_the_histogram_of_one() -> None:
    image = scan(draw(MALE, 1), FINE_DISPLAY, 1)
    pixels = image.pixels
    assert pixels.shape == (780, 716)
    assert pixels.dtype == np.uint8
    assert np.unique(pixels).tolist() == SEVEN_BIT_GRAYS.tolist()
    assert (pixels == 0).mean() == pytest.approx(0.32, abs=0.005)
    margins = _margin_depths(pixels)
    padded = margins.sum() / pixels.size
    assert (pixels == 252).mean() - padded == pytest.approx(0.0055, abs=0.001)


def _margin_depths(pixels: np.ndarray) -> np.ndarray:
    """Width of the 252-valued run at the left and at the right of each row."""
    white = pixels == 252
    left = np.argmin(white, axis=1)
    right = np.argmin(white[:, ::-1], axis=1)
    return np.stack([left, right])


def test_margins_are_a_staircase() -> None:
    depths = _margin_depths(scan(draw(MALE, 1), FINE_DISPLAY, 1).pixels)
    assert depths.min() >= 9
    assert depths.max() <= 46
    for side in depths:
        steps = np.count_nonzero(np.diff(side))
        assert 4 <= steps <= 12
    assert 0.04 < depths.sum() / (780 * 716) < 0.09


def test_body_is_middle_gray_and_the_spinous_process_saturates() -> None:
    drawing = draw(MALE, 2)
    image = scan(drawing, FINE_DISPLAY, 2)
    assert drawing.truth is not None
    for label in ("L2", "L3"):
        row, column = image.to_pixels(drawing.truth.level(label).center_mm).astype(int)
        assert 115 <= np.median(image.pixels[row + 8 : row + 24, column + 35 : column + 55]) <= 165
    middle = image.pixels[:, 300:416]
    assert (middle == 252).any()


def test_metal_does_not_darken_the_bone() -> None:
    plain, metal = (
        scan(draw(spine, 1), FINE_DISPLAY, 1).pixels for spine in (Spine(), Spine(metal=("screws",)))
    )
    assert (metal == 252).sum() > (plain == 252).sum() + 5000
    assert float(np.median(metal[150:260, 320:400])) == pytest.approx(
        float(np.median(plain[150:260, 320:400])), abs=6.0
    )


def test_coarse_display_copy() -> None:
    image = scan(draw(MALE, 1), COARSE_DISPLAY, 1)
    assert image.pixels.shape == (328, 300)
    assert image.padding_value == 0
    assert len(np.unique(image.pixels)) > 200


@pytest.mark.parametrize("scanner", [LINEAR_16, LINEAR_16_OBLONG])
def test_linear_image_is_linear(scanner: Scanner) -> None:
    flat = [
        Drawing(pixels=np.full((400, 720), value), pixel_spacing_mm=(0.25, 0.25), truth=None)
        for value in (0.5, 1.0)
    ]
    low, high = (scan(drawing, scanner, 1, noise=0.0).pixels for drawing in flat)
    assert low.dtype == np.uint16
    assert np.unique(low).tolist() == [7000]
    assert np.unique(high).tolist() == [12000]
    assert low.shape == (
        round(100.0 / scanner.pixel_spacing_mm[0]),
        round((scanner.width_mm or 0.0) / scanner.pixel_spacing_mm[1]),
    )


def test_narrow_field_is_cut_from_the_middle_and_knows_it() -> None:
    drawing = draw(Spine(), 1)
    image = scan(drawing, LINEAR_16, 1)
    assert image.origin_mm == (0.0, 21.5)
    assert image.to_pixels((10.25, 21.5 + 30.25)) == pytest.approx([20.0, 60.0])


@pytest.mark.parametrize("scanner", [FINE_DISPLAY, COARSE_DISPLAY, LINEAR_16, LINEAR_16_OBLONG])
def test_a_dot_lands_where_the_truth_says(scanner: Scanner) -> None:
    pixels = np.zeros((400, 720))
    pixels[197:204, 397:404] = 2.0
    drawing = Drawing(pixels=pixels, pixel_spacing_mm=(0.25, 0.25), truth=None)
    image = scan(drawing, replace(scanner, padding_value=None, display=False), 1, noise=0.0)
    values = image.pixels.astype(float) - 2000.0
    rows, columns = np.indices(values.shape)
    center = [float((values * at).sum() / values.sum()) for at in (rows, columns)]
    assert center == pytest.approx(image.to_pixels((200.5 * 0.25, 400.5 * 0.25)), abs=0.02)


def test_noise_has_the_correlation_that_was_measured() -> None:
    noise = correlated_noise((600, 600), np.random.default_rng(1), FINE_DISPLAY.noise_correlation_px)
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    for axis in (0, 1):
        lag1, lag2 = (float((noise * np.roll(noise, lag, axis=axis)).mean()) for lag in (1, 2))
        assert 0.60 < lag1 < 0.72
        assert 0.18 < lag2 < 0.32


def test_twice_the_noise_is_twice_the_spread() -> None:
    flat = Drawing(pixels=np.full((300, 720), 1.0), pixel_spacing_mm=(0.25, 0.25), truth=None)
    one, two = (scan(flat, LINEAR_16, 7, noise=noise).pixels.astype(float).std() for noise in (1.0, 2.0))
    assert two / one == pytest.approx(2.0, abs=0.01)
    assert one == pytest.approx(400.0, rel=0.05)


def test_blur_keeps_a_ramp_and_the_sum_of_a_dot() -> None:
    rows = np.arange(5.0, 35.0)
    assert blur_at(np.arange(40.0)[:, None], rows, 1.4)[:, 0] == pytest.approx(rows, abs=1e-4)
    dot = np.zeros((41, 1))
    dot[20] = 1.0
    assert blur_at(dot, np.arange(41.0), 1.4).sum() == pytest.approx(1.0)


def test_movement_shifts_the_lower_half() -> None:
    drawing = draw(Spine(), 1)
    still, moved = (scan(drawing, LINEAR_16, 1, noise=0.0, movement_mm=mm).pixels for mm in (0.0, 4.0))
    half = still.shape[0] // 2
    assert np.array_equal(still[:half], moved[:half])
    assert np.array_equal(np.roll(still[half:], 8, axis=1), moved[half:])


def test_same_seed_same_picture_in_another_process() -> None:
    program = (
        "import hashlib; from tbsnode.phantom.spine import Spine, draw; "
        "from tbsnode.phantom.scanners import FINE_DISPLAY, scan; "
        "print(hashlib.sha256(scan(draw(Spine(), 1), FINE_DISPLAY, 3).pixels.tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    own = scan(draw(Spine(), 1), FINE_DISPLAY, 3).pixels
    assert other.stdout.strip() == hashlib.sha256(own.tobytes()).hexdigest()
    assert not np.array_equal(own, scan(draw(Spine(), 1), FINE_DISPLAY, 4).pixels)
