from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tbsnode.phantom.anatomy import Frame
from tbsnode.phantom.drawing import Drawing, TrueLevel, Truth
from tbsnode.phantom.spine import MALE, SMALL_FEMALE, Fracture, Spine, draw

PLAIN = Spine()
IDEAL = Spine(irregularity=0.0, soft_tissue=0.0, gas=0.0, texture_sd=0.0)


def truth_of(drawing: Drawing) -> Truth:
    assert drawing.truth is not None
    return drawing.truth


def row_of(drawing: Drawing, row_mm: float) -> NDArray[np.float64]:
    return drawing.pixels[int(row_mm / drawing.pixel_spacing_mm[0])]


def at(drawing: Drawing, point_mm: tuple[float, float]) -> float:
    row, column = (int(part / step) for part, step in zip(point_mm, drawing.pixel_spacing_mm, strict=True))
    return float(np.median(drawing.pixels[row - 3 : row + 4, column - 3 : column + 4]))


def shoelace(ring: NDArray[np.float64]) -> float:
    return abs(float(np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]))) / 2.0


def test_woman_has_the_pitch_and_the_areas_that_were_asked_for() -> None:
    truth = truth_of(draw(PLAIN, 1))
    for label, pitch_mm in zip(("L1", "L2", "L3", "L4"), PLAIN.pitch_mm, strict=True):
        level = truth.level(label)
        assert level.pitch_mm == pytest.approx(pitch_mm)
        assert 1000.0 <= level.area_mm2 <= 1700.0
        assert level.area_mm2 == pytest.approx(shoelace(level.ring_mm))
        assert level.visible == pytest.approx(1.0, abs=0.01)


def test_field_runs_from_the_lower_half_of_t12_to_the_upper_part_of_l5() -> None:
    drawing = draw(MALE, 1)
    assert drawing.field_mm == (197.0, 180.0)
    truth = truth_of(drawing)
    assert [level.label for level in truth.levels] == ["T12", "L1", "L2", "L3", "L4", "L5"]
    assert 0.3 < truth.level("T12").visible < 0.7
    assert 0.3 < truth.level("L5").visible < 0.7
    assert [line.name for line in truth.disc_lines] == ["T12/L1", "L1/L2", "L2/L3", "L3/L4", "L4/L5"]


def test_small_woman_has_small_vertebrae() -> None:
    areas = [truth_of(draw(SMALL_FEMALE, 1)).level(label).area_mm2 for label in ("L1", "L2", "L3", "L4")]
    assert areas == sorted(areas)
    assert areas[0] < 900.0


def test_scale_enlarges_every_length() -> None:
    small, large = (truth_of(draw(replace(PLAIN, scale=scale), 2)).level("L3") for scale in (0.9, 1.08))
    assert large.pitch_mm / small.pitch_mm == pytest.approx(1.2)
    assert large.area_mm2 / small.area_mm2 == pytest.approx(1.44, rel=0.01)


def test_bone_edge_of_the_ring_lies_where_the_picture_falls_to_half() -> None:
    drawing = draw(IDEAL, 1)
    level = truth_of(drawing).level("L3")
    row_mm = level.center_mm[0] + 6.0
    line = row_of(drawing, row_mm)
    ring = level.ring_mm
    flank = ring[:121]  # the left one, from the head down
    edge_mm = float(np.interp(row_mm, flank[:, 0], flank[:, 1]))
    body = line[int((edge_mm + 6.0) / 0.25)]
    soft = line[int((edge_mm - 6.0) / 0.25)]
    crossing = int(np.argmax(line[int((edge_mm - 6.0) / 0.25) :] > (body + soft) / 2.0))
    assert crossing * 0.25 - 6.0 == pytest.approx(0.0, abs=0.75)


def test_densities_follow_the_recipe() -> None:
    drawing = draw(IDEAL, 1)
    truth = truth_of(drawing)
    soft = 0.12
    level = truth.level("L2")
    row, column = level.center_mm
    body = at(drawing, (row + 4.0, column + 9.0)) - soft
    disc_row = truth.disc_line("L2/L3").left_mm[0]
    assert 1.0 < body / 1.12 < 1.25  # the laminae lie over the body
    assert (at(drawing, (disc_row, column + 9.0)) - soft) / body == pytest.approx(0.7, abs=0.1)
    assert 0.1 < (at(drawing, (disc_row, column + 17.5)) - soft) / body < 0.45
    assert (at(drawing, level.window_mm) - soft) / body == pytest.approx(0.5, abs=0.1)
    assert (at(drawing, (row + 9.0, column)) - soft) / body > 1.5  # the spinous process


def central_contrast(drawing: Drawing, level: TrueLevel, disc_row_mm: float) -> float:
    """Density of the interlaminar window minus that of the disc below, within 9 mm of the axis."""
    middle = int(level.center_mm[1] / 0.25)
    strip = drawing.pixels[:, middle - 36 : middle + 37].mean(axis=1)
    window, disc = int(level.window_mm[0] / 0.25), int(disc_row_mm / 0.25)
    return float(strip[window - 6 : window + 7].mean() - strip[disc - 6 : disc + 7].mean())


def test_decoy_is_darker_than_the_disc_in_the_central_strip() -> None:
    drawing = draw(PLAIN, 3)
    truth = truth_of(drawing)
    for label, below in (("L1", "L1/L2"), ("L2", "L2/L3"), ("L3", "L3/L4"), ("L4", "L4/L5")):
        assert central_contrast(drawing, truth.level(label), truth.disc_line(below).left_mm[0]) < -0.1


def test_without_decoy_the_window_is_brighter_than_with_it() -> None:
    contrasts = []
    for decoy in (0.0, 0.5, 1.0):
        drawing = draw(replace(IDEAL, decoy=decoy), 3)
        truth = truth_of(drawing)
        row_mm = truth.disc_line("L2/L3").left_mm[0]
        contrasts.append(central_contrast(drawing, truth.level("L2"), row_mm))
    assert contrasts[0] > contrasts[1] + 0.1 > contrasts[2] + 0.2


def test_in_the_lateral_strip_the_discs_are_the_darkest() -> None:
    drawing = draw(PLAIN, 3)
    truth = truth_of(drawing)
    for label, below in (("L2", "L2/L3"), ("L3", "L3/L4"), ("L4", "L4/L5")):
        level = truth.level(label)
        row, column = level.center_mm
        disc = at(drawing, (truth.disc_line(below).right_mm[0], column + 18.5))
        assert disc < at(drawing, (row + 8.0, column + 16.0)) - 0.3


@pytest.mark.parametrize("seed", [1, 2])
def test_same_seed_same_bytes_in_another_process(seed: int) -> None:
    program = (
        "import hashlib; from tbsnode.phantom.spine import Spine, draw; "
        f"print(hashlib.sha256(draw(Spine(cobb_deg=12.0), {seed}).pixels.tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    own = hashlib.sha256(draw(Spine(cobb_deg=12.0), seed).pixels.tobytes()).hexdigest()
    assert other.stdout.strip() == own


def test_other_seed_other_patient() -> None:
    assert not np.array_equal(draw(PLAIN, 1).pixels, draw(PLAIN, 2).pixels)


def test_drawings_are_cached_and_cannot_be_written() -> None:
    drawing = draw(PLAIN, 1)
    assert draw(Spine(), 1) is drawing
    with pytest.raises(ValueError, match="read-only"):
        drawing.pixels[0, 0] = 1.0


def test_repositioning_moves_the_truth_and_the_picture_alike() -> None:
    still, moved = draw(PLAIN, 4), draw(replace(PLAIN, shift_mm=(3.0, -5.0)), 4)
    difference = truth_of(moved).level("L2").ring_mm - truth_of(still).level("L2").ring_mm
    assert difference == pytest.approx(np.broadcast_to([3.0, -5.0], difference.shape))
    inner = np.s_[200:600, 200:500]
    back = np.roll(moved.pixels, (-12, 20), axis=(0, 1))
    assert back[inner] == pytest.approx(still.pixels[inner], abs=0.02)


def test_rotation_tilts_the_disc_lines() -> None:
    before, after = (
        truth_of(draw(replace(IDEAL, rotation_deg=angle), 1)).disc_line("L2/L3").tilt_deg
        for angle in (0.0, 4.0)
    )
    assert abs(after - before) == pytest.approx(4.0)


def test_cobb_angle_is_the_angle_between_the_most_tilted_disc_lines() -> None:
    truth = truth_of(draw(replace(IDEAL, cobb_deg=20.0, field_mm=(260.0, 180.0)), 1))
    tilts = [line.tilt_deg for line in truth.disc_lines]
    assert max(tilts) - min(tilts) == pytest.approx(20.0, abs=1.5)


def test_frame_goes_there_and_back() -> None:
    frame = Frame(
        field_mm=(197.0, 180.0),
        origin_mm=(98.0, 90.0),
        pivot=71.0,
        shift_mm=(3.0, -2.0),
        turn_deg=4.0,
        tilt_deg=2.0,
        bow_mm=8.0,
        wave=2.0 * np.pi / 290.0,
    )
    s, u = np.linspace(-20.0, 160.0, 50), np.linspace(-60.0, 60.0, 50)
    points = frame.to_field(s, u)
    s_back, u_back = frame.to_spine(points[:, 0], points[:, 1])
    assert s_back == pytest.approx(s, abs=0.001)
    assert u_back == pytest.approx(u, abs=0.001)


@pytest.mark.parametrize(("count", "last"), [(4, "L4"), (5, "L5"), (6, "L6")])
def test_number_of_lumbar_vertebrae(count: int, last: str) -> None:
    truth = truth_of(draw(Spine(lumbar_count=count), 1))
    assert truth.lumbar_count == count
    assert [level.label for level in truth.levels if level.label.startswith("L")][-1] == last


def test_crushed_body_is_low_and_dense_and_its_discs_are_spared() -> None:
    whole = truth_of(draw(IDEAL, 1)).level("L2")
    crushed = truth_of(draw(replace(IDEAL, fractures=(Fracture(label="L2", loss=0.3),)), 1)).level("L2")
    body = 1.0 - IDEAL.disc_height
    assert crushed.pitch_mm / whole.pitch_mm == pytest.approx(1.0 - 0.3 * body)
    assert np.ptp(crushed.body_ring_mm[:, 0]) / np.ptp(whole.body_ring_mm[:, 0]) == pytest.approx(
        0.7, abs=0.03
    )
    assert crushed.areal_density > whole.areal_density


@pytest.mark.parametrize("kind", ["screws", "wire", "blob"])
def test_metal_is_denser_than_any_bone(kind: str) -> None:
    assert draw(PLAIN, 1).pixels.max() < 4.0
    metal = draw(replace(PLAIN, metal=(kind,)), 1).pixels
    assert 20.0 < float((metal > 4.0).sum()) * 0.25**2 < 1500.0  # [mm2]


def test_cropping_cuts_a_level_and_leaves_the_rest_as_it_was() -> None:
    whole, cropped = draw(PLAIN, 5), draw(replace(PLAIN, crop_top_mm=45.0), 5)
    assert cropped.field_mm[0] == whole.field_mm[0] - 45.0
    assert cropped.pixels == pytest.approx(whole.pixels[180:], abs=1e-4)
    assert truth_of(cropped).level("L1").visible < 0.6
    assert truth_of(cropped).level("L2").ring_mm == pytest.approx(
        truth_of(whole).level("L2").ring_mm - [45.0, 0.0]
    )


def test_level_outside_the_field_is_not_in_the_truth() -> None:
    truth = truth_of(draw(replace(PLAIN, crop_top_mm=100.0), 5))
    with pytest.raises(KeyError):
        truth.level("L1")
    with pytest.raises(KeyError):
        truth.disc_line("T12/L1")


@pytest.mark.parametrize(
    ("change", "corner"),
    [
        ({"crests": False}, np.s_[-40:, :60]),  # lower left corner
        ({"ribs": False}, np.s_[:190, 60:260]),  # beside T12
        ({"aorta": True}, np.s_[:, 400:470]),
        ({"osteophytes": 1.0}, np.s_[:, 240:300]),
        ({"laminectomy": ("L3",)}, np.s_[400:600, 340:380]),
        ({"facet_sclerosis": 1.0}, np.s_[500:760, 280:340]),
    ],
)
def test_variant_changes_what_it_names(change: dict[str, object], corner: tuple[slice, slice]) -> None:
    usual = draw(PLAIN, 6).pixels
    other = draw(Spine(**change), 6).pixels  # type: ignore[arg-type]
    assert abs(other[corner].mean() - usual[corner].mean()) > 0.004


def test_areal_density_of_the_region_is_that_of_the_picture() -> None:
    drawing = draw(IDEAL, 1)
    level = truth_of(drawing).level("L3")
    top, left = (level.ring_mm.min(axis=0) / 0.25).astype(int)
    bottom, right = (level.ring_mm.max(axis=0) / 0.25).astype(int)
    box = drawing.pixels[top:bottom, left:right]
    # the box holds the region and, at its sides, soft tissue of about 0.12
    share = level.area_mm2 / (box.size * 0.25**2)
    assert level.areal_density == pytest.approx((float(box.mean()) - 0.12) / share, rel=0.05)
