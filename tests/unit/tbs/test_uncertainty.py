"""The repeatability standard error: exact gradients, known limits, and coverage of real repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import fft, ndimage

from tbsnode.phantom import scanners
from tbsnode.phantom import spine as phantom
from tbsnode.tbs import uncertainty
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.polygon import polygon_mask
from tbsnode.tbs.result import SpineMeasurement
from tbsnode.tbs.score import score_region, slope_weights
from tbsnode.tbs.spine import Picture, measure
from tbsnode.tbs.uncertainty import ScoredRegion, repeatability
from tbsnode.tbs.variogram import lag_plane
from tests import spines
from tests.textures import bone_texture

STEP = (0.5, 0.6)
PARAMETERS = Parameters()
RING = ((15.0, 12.0), (13.0, 80.0), (70.0, 84.0), (74.0, 15.0), (15.0, 12.0))
TEXTURE = 100 * bone_texture(STEP, (46.0, 60.0), seed=3)


def slope(image: np.ndarray, mask: np.ndarray) -> float:
    return score_region(image, mask, pixel_spacing_mm=STEP).slope


def region(image: np.ndarray, ring: uncertainty.Ring = RING) -> ScoredRegion:
    mask = polygon_mask(np.array(ring), image.shape)
    return ScoredRegion(mask, ring, score_region(image, mask, pixel_spacing_mm=STEP).variogram)


def error_of(image: np.ndarray, *rings: uncertainty.Ring) -> uncertainty.Repeatability:
    chosen = [region(image, ring) for ring in rings or (RING,)]
    return repeatability(image, chosen, [True] * len(chosen), pixel_spacing_mm=STEP, parameters=PARAMETERS)


def gradients() -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    one = region(TEXTURE)
    box = uncertainty._box(one.mask, STEP)
    weights = slope_weights(one.variogram, PARAMETERS)
    value = np.where(weights != 0, one.variogram.value, 1.0)
    by_pairs = weights / one.variogram.pairs
    shape = uncertainty._plane_shape(TEXTURE[box].shape, 7.0, STEP)
    kernels = lag_plane(one.variogram, np.stack([by_pairs / value, by_pairs]), shape, STEP)
    on_level, on_member, _ = uncertainty._gradients(TEXTURE[box], one.mask[box], kernels)
    return on_level, on_member, (box[0].start, box[1].start)


@pytest.mark.parametrize("pixel", [(30, 30), (60, 70), (16, 14), (5, 5)])
def test_gradient_on_a_gray_level_is_that_of_finite_differences(pixel: tuple[int, int]):
    on_level, _, corner = gradients()
    mask, step = region(TEXTURE).mask, 1e-3 * TEXTURE.std()
    more, less = TEXTURE.copy(), TEXTURE.copy()
    more[pixel] += step
    less[pixel] -= step
    expected = (slope(more, mask) - slope(less, mask)) / (2 * step)
    place = pixel[0] - corner[0], pixel[1] - corner[1]
    found = on_level[place] if min(place) >= 0 else 0.0
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-10)


@pytest.mark.parametrize("pixel", [(13, 40), (40, 82), (72, 30), (15, 40)])
def test_gradient_on_membership_is_what_one_pixel_more_or_less_does(pixel: tuple[int, int]):
    _, on_member, corner = gradients()
    mask = region(TEXTURE).mask
    other = mask.copy()
    other[pixel] = not mask[pixel]
    expected = (slope(TEXTURE, other) - slope(TEXTURE, mask)) * (1 if other[pixel] else -1)
    found = on_member[pixel[0] - corner[0], pixel[1] - corner[1]]
    assert found == pytest.approx(expected, rel=0.1, abs=3e-6)


def test_noise_gives_the_spread_that_new_noise_gives():
    mask = region(TEXTURE).mask
    rng = np.random.default_rng(11)

    def noisy() -> np.ndarray:
        return TEXTURE + 0.5 * TEXTURE.std() * scanners.correlated_noise(TEXTURE.shape, rng, 0.6)

    pictures = [noisy() for _ in range(80)]
    spread = np.std([slope(picture, mask) for picture in pictures], ddof=1)
    found = np.mean([error_of(picture).levels[0] for picture in pictures[:5]])
    assert found == pytest.approx(spread, rel=0.25)


def test_without_noise_and_with_a_sure_border_little_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uncertainty, "LINE_MM", 0.0)
    monkeypatch.setattr(uncertainty, "LINE_END_MM", 0.0)
    monkeypatch.setattr(uncertainty, "EDGE_MM", 0.0)
    row, column = np.mgrid[0:90, 0:100].astype(float)
    smooth = 100 * np.sin(row / 9) * np.cos(column / 11)
    (error,) = error_of(smooth).levels
    assert error is not None
    assert 0.0 < error < 2e-3  # the grid of pixels alone


def test_more_noise_is_a_larger_error():
    grain = scanners.correlated_noise(TEXTURE.shape, np.random.default_rng(4), 0.6) * TEXTURE.std()
    errors = [error_of(TEXTURE + part * grain).levels[0] for part in (0.0, 0.1, 0.2, 0.4, 0.8)]
    assert None not in errors
    assert errors == sorted(errors)
    assert 0.0 < errors[0] < 0.6 * errors[-1]


@pytest.mark.parametrize("part", ["LINE_MM", "LINE_END_MM", "EDGE_MM"])
def test_a_less_sure_border_is_a_larger_error(part: str, monkeypatch: pytest.MonkeyPatch):
    before = error_of(TEXTURE)
    monkeypatch.setattr(uncertainty, part, 1.0)
    assert error_of(TEXTURE).levels[0] > before.levels[0] * 1.05


@pytest.mark.parametrize(("move", "mode"), [(1.0, "upper"), (1.0, "lower")])
def test_a_moved_line_changes_the_slope_as_foretold(move: float, mode: str):
    smooth = ndimage.gaussian_filter(TEXTURE, 3.0)  # a rough one has another slope at each row
    ring = np.array(RING)
    corners = [0, 1, 4] if mode == "upper" else [2, 3]
    slopes = []
    for by_mm in (-move, move):
        moved = ring.copy()
        moved[corners, 0] += by_mm / STEP[0]
        slopes.append(slope(smooth, polygon_mask(moved, smooth.shape)))
    one = region(smooth)
    noise = uncertainty.Noise(0.0, (0.0, 0.0))
    influence = uncertainty._influence(smooth, one, noise, STEP, PARAMETERS)
    assert influence is not None
    for_each_mm = getattr(influence, mode)[0] / uncertainty.LINE_MM
    assert for_each_mm == pytest.approx((slopes[1] - slopes[0]) / (2 * move), rel=0.3, abs=5e-4)


def test_the_direction_in_which_a_ring_is_written_does_not_matter():
    forward, backward = error_of(TEXTURE, RING), error_of(TEXTURE, RING[::-1])
    assert forward.levels[0] == pytest.approx(backward.levels[0], rel=1e-4)


def test_the_mean_of_two_separate_levels_has_the_error_of_independent_ones():
    none = uncertainty._Influence(4e-6, (0.0, 0.0), (0.0, 0.0))
    assert uncertainty._variance_of_sum([none, none, None, none]) == pytest.approx(12e-6)


def test_a_shared_disc_line_counts_once_for_the_mean():
    above = uncertainty._Influence(0.0, (0.0, 0.0), (3e-3, 0.0))
    below = uncertainty._Influence(0.0, (-3e-3, 0.0), (0.0, 1e-3))
    # what the line gives to one level it takes from the other
    assert uncertainty._variance_of_sum([above, below]) == pytest.approx(1e-6)
    # not if the level between them is left out
    assert uncertainty._variance_of_sum([above, None, below]) == pytest.approx(19e-6)


def test_none_where_it_cannot_be_estimated():
    nothing = repeatability(
        TEXTURE, [None, None], [False, False], pixel_spacing_mm=STEP, parameters=PARAMETERS
    )
    assert nothing == uncertainty.Repeatability((None, None), None)
    one = region(TEXTURE)
    part = repeatability(TEXTURE, [one, None], [True, True], pixel_spacing_mm=STEP, parameters=PARAMETERS)
    assert part.levels[0] is not None
    assert part.levels[1] is None
    assert part.score is None
    small = ((20.0, 20.0), (20.0, 31.0), (31.0, 31.0), (31.0, 20.0), (20.0, 20.0))
    mask = polygon_mask(np.array(small), TEXTURE.shape)
    tiny = replace(one, mask=mask, ring=small)
    assert error_of(TEXTURE).levels[0] is not None
    found = repeatability(TEXTURE, [tiny], [True], pixel_spacing_mm=STEP, parameters=PARAMETERS)
    assert found == uncertainty.Repeatability((None,), None)


def test_a_level_left_out_counts_for_itself_only():
    upper = ((5.0, 12.0), (5.0, 80.0), (42.0, 80.0), (42.0, 12.0), (5.0, 12.0))
    lower = ((46.0, 12.0), (46.0, 80.0), (84.0, 80.0), (84.0, 12.0), (46.0, 12.0))
    both = [region(TEXTURE, upper), region(TEXTURE, lower)]
    found = repeatability(TEXTURE, both, [True, False], pixel_spacing_mm=STEP, parameters=PARAMETERS)
    assert None not in found.levels
    assert found.score == pytest.approx(found.levels[0])


def test_drawn_lines_on_the_border_do_not_pass_for_bone():
    free = region(TEXTURE)
    blocked = np.zeros(TEXTURE.shape, dtype=bool)
    blocked[13:16, 10:86] = True
    mask = free.mask & ~blocked
    lined = np.where(blocked, 1e4, TEXTURE)
    clean = ScoredRegion(mask, RING, score_region(lined, mask, pixel_spacing_mm=STEP).variogram)
    found = repeatability(
        lined, [clean], [True], pixel_spacing_mm=STEP, parameters=PARAMETERS, blocked=blocked
    )
    assert found.levels[0] == pytest.approx(error_of(TEXTURE).levels[0], rel=0.3)


def repeats(scanner: str, body: phantom.Spine, seed: int, count: int) -> list[SpineMeasurement]:
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        lying = replace(
            body,
            shift_mm=(float(rng.uniform(-10, 10)), float(rng.uniform(-10, 10))),
            rotation_deg=float(rng.uniform(-2, 2)),
        )
        scan = scanners.scan(phantom.draw(lying, seed), spines.SCANNERS[scanner], seed + 100 * number)
        taken = Picture(
            pixels=scan.pixels.astype(np.float64),
            pixel_spacing_mm=scan.pixel_spacing_mm,
            stored_maximum=float(np.iinfo(scan.pixels.dtype).max),
        )
        found.append(measure(taken))
    return found


@pytest.mark.parametrize("scanner", ["coarse", "linear"])
def test_repeated_scans_differ_as_much_as_the_errors_say(scanner: str):
    """A sample: the study behind it has 576 repeats, and 70 % of them within one error."""
    count = 7
    found = repeats(scanner, phantom.SMALL_FEMALE, 40, count)
    levels = np.array([[v.score for v in one.vertebrae] for one in found], dtype=float)
    errors = np.array([[v.standard_error for v in one.vertebrae] for one in found], dtype=float)
    away = (levels - levels.mean(axis=0)) * np.sqrt(count / (count - 1)) / errors
    assert 0.5 < np.sqrt(np.mean(away**2)) < 1.6
    means = np.array([one.score for one in found])
    assert means.std(ddof=1) < 0.010
    for one in found:
        assert one.standard_error is not None
        assert 0.0005 < one.standard_error < 0.010
        own = [v.standard_error for v in one.vertebrae if v.standard_error is not None]
        assert one.standard_error < min(own)  # a mean repeats better than its parts


@pytest.mark.parametrize("width", [48, 45])
def test_transforms_of_the_rows_that_hold_something_are_the_library_s_bit_for_bit(width: int):
    places = np.array([0, 1, 2, 3, 36, 38, 39])
    planes = np.zeros((2, 40, width))
    planes[:, places] = np.random.default_rng(3).normal(size=(2, places.size, width))
    spectra = uncertainty._spectra(planes[:, places], places, 40)
    np.testing.assert_array_equal(spectra, fft.rfft2(planes))
    back = fft.irfft2(fft.rfft2(planes), (40, width))
    np.testing.assert_array_equal(uncertainty._planes(spectra, width, 7), back[:, :7])
