"""`spine.measure` on phantoms: places, labels, and every finding provoked and not provoked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from tbsnode.errors import AnalysisError, SegmentationError
from tbsnode.phantom import forearm, hip, lateral, scanners, whole_body
from tbsnode.phantom.anatomy import Fracture
from tbsnode.phantom.spine import MALE, SMALL_FEMALE, Spine
from tbsnode.reasons import Code
from tbsnode.tbs import region, spine
from tbsnode.tbs.result import SpineMeasurement
from tests import spines


def codes(measured: SpineMeasurement) -> set[str]:
    return {finding.code.value for finding in measured.findings}


def refusal(picture: spine.Picture) -> Code:
    with pytest.raises(AnalysisError) as caught:
        spine.measure(picture)
    return caught.value.code


def excluded(measured: SpineMeasurement) -> dict[str, str]:
    return {v.label: v.excluded.code.value for v in measured.vertebrae if v.excluded is not None}


ORDINARY = {
    "woman": Spine(),
    "man": MALE,
    "small woman": SMALL_FEMALE,
    "scoliosis": Spine(cobb_deg=20.0),
    "osteophytes, aorta": Spine(osteophytes=1.0, aorta=True, facet_sclerosis=1.0),
    "thin bone": Spine(density=(0.55, 0.6, 0.62, 0.62), lateral_disc_ratio=0.6, disc_ratio=0.9),
    "laminectomy": Spine(laminectomy=("L3", "L4")),
    "strong decoy": Spine(decoy=1.6, lean_mm=4.0),
}


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("scanner", ["fine", "coarse", "linear", "oblong"])
def test_levels_are_found_and_named(name: str, scanner: str) -> None:
    phantom = ORDINARY[name]
    measured = spine.measure(spines.picture(phantom, scanner))
    errors = np.abs(spines.disc_errors_mm(measured, phantom, scanner))
    assert np.median(errors) < 0.6
    assert errors.max() < 3.0
    boundary = spines.boundary_errors_mm(measured, phantom, scanner)
    assert boundary.mean() < 1.0
    assert np.percentile(boundary, 95) < 3.0
    assert [v.label for v in measured.vertebrae] == ["L1", "L2", "L3", "L4"]
    assert excluded(measured) == {}
    assert measured.label_confidence > 0.8
    assert measured.alternative is None
    assert not codes(measured) & {"LEVELS_UNCERTAIN", "LEVELS_ASSUMED", "INVERTED_GRAYSCALE", "SATURATED"}
    assert ("FEW_GRAY_LEVELS" in codes(measured)) == (scanner in ("fine", "coarse"))
    assert measured.score == pytest.approx(np.mean([v.score for v in measured.vertebrae]))


@pytest.mark.parametrize("seed", range(3, 9))
def test_individuals_and_repositioning(seed: int) -> None:
    phantom = Spine(
        irregularity=1.5, shift_mm=(6.0 - 2 * seed, seed - 5.0), rotation_deg=0.8 * (seed - 5), gas=2.0
    )
    measured = spine.measure(spines.picture(phantom, "coarse", seed))
    assert np.nanmax(np.abs(spines.disc_errors_mm(measured, phantom, "coarse", seed))) < 3.0


def test_the_scored_pixels_are_those_of_the_ring() -> None:
    taken = spines.picture(Spine(), "coarse")
    for vertebra in spine.measure(taken).vertebrae:
        assert vertebra.region[0] == vertebra.region[-1]
        mask = region.mask(vertebra.region, taken.pixels.shape)
        assert vertebra.area_mm2 == pytest.approx(np.count_nonzero(mask) * 0.36)


def test_pixels_outside_the_rings_do_not_change_a_score() -> None:
    taken = spines.picture(Spine(), "linear")
    first = spine.measure(taken)
    pixels = taken.pixels.copy()
    pixels[:3, :3] += 5.0
    second = spine.measure(replace(taken, pixels=pixels))
    assert [v.score for v in second.vertebrae] == [v.score for v in first.vertebrae]


def test_same_picture_same_result() -> None:
    taken = spines.picture(Spine(), "coarse")
    assert spine.measure(taken) == spine.measure(taken)


# labels


def test_neither_crest_nor_rib_means_assumed() -> None:
    measured = spine.measure(spines.picture(Spine(ribs=False, crests=False), "coarse"))
    assert {"LEVELS_ASSUMED", "LEVELS_UNCERTAIN"} <= codes(measured)
    assert measured.label_confidence <= 0.5
    assert measured.alternative is not None
    assert abs(measured.alternative.shift) == 1
    assert measured.alternative.score is not None


@pytest.mark.parametrize("phantom", [Spine(ribs=False), Spine(crests=False)], ids=["no ribs", "no crests"])
def test_one_sign_is_not_enough(phantom: Spine) -> None:
    """Crests alone, or ribs alone, cannot tell five lumbar vertebrae from four or six."""
    measured = spine.measure(spines.picture(phantom, "coarse"))
    assert "LEVELS_UNCERTAIN" in codes(measured)
    assert "LEVELS_ASSUMED" not in codes(measured)
    assert measured.alternative is not None
    assert measured.alternative.shift in (-1, 1)
    assert np.nanmax(np.abs(spines.disc_errors_mm(measured, phantom, "coarse"))) < 2.0


def test_discs_as_bright_as_bone_and_arches_that_hardly_show() -> None:
    phantom = Spine(disc_ratio=1.0, lateral_disc_ratio=1.0, posterior=0.06)
    measured = spine.measure(spines.picture(phantom, "linear"))
    assert "LEVELS_UNCERTAIN" in codes(measured)
    assert np.abs(spines.disc_errors_mm(measured, phantom, "linear")).max() < 2.0


@pytest.mark.parametrize("ribs", [True, False])
@pytest.mark.parametrize("crests", [True, False])
@pytest.mark.parametrize("count", [4, 6])
def test_four_and_six_lumbar_vertebrae_are_never_silent(count: int, crests: bool, ribs: bool) -> None:
    measured = spine.measure(spines.picture(Spine(lumbar_count=count, crests=crests, ribs=ribs), "fine"))
    assert "LEVELS_UNCERTAIN" in codes(measured)


def test_each_cue_has_its_vote() -> None:
    measured = spine.measure(spines.picture(Spine(), "fine"))
    votes = {vote.cue: vote for vote in measured.votes}
    assert set(votes) == {"crests", "ribs", "field", "pitch", "shape", "density"}
    assert votes["crests"].shift == votes["ribs"].shift == 0
    assert min(votes["crests"].weight, votes["ribs"].weight) > 0.5
    blind = spine.measure(spines.picture(Spine(ribs=False, crests=False), "fine"))
    unseen = {vote.cue: vote.shift for vote in blind.votes}
    assert (unseen["crests"], unseen["ribs"]) == (None, None)


@pytest.mark.parametrize("count", [4, 6])
def test_ribs_and_crests_that_disagree_make_the_labels_uncertain(count: int) -> None:
    measured = spine.measure(spines.picture(Spine(lumbar_count=count), "coarse"))
    assert "LEVELS_UNCERTAIN" in codes(measured)
    assert measured.label_confidence < 0.6
    assert measured.alternative is not None


def test_with_six_lumbar_vertebrae_the_count_is_from_below() -> None:
    phantom = Spine(lumbar_count=6)
    measured = spine.measure(spines.picture(phantom, "coarse"))
    _, truth = spines.scanned(phantom, "coarse")
    assert measured.alternative is not None
    assert measured.alternative.shift == -1
    # L4/L5 as reported is the disc above the last lumbar vertebra
    errors = spines.disc_errors_mm(measured, phantom, "coarse")
    assert errors.min() > 25.0
    assert truth.lumbar_count == 6


# orientation, polarity, size


@pytest.mark.parametrize("phantom", [Spine(), SMALL_FEMALE, Spine(ribs=False, crests=False)])
def test_upside_down_is_refused(phantom: Spine) -> None:
    taken = spines.picture(phantom, "coarse")
    assert refusal(replace(taken, pixels=taken.pixels[::-1])) is Code.UPSIDE_DOWN
    assert refusal(replace(taken, pixels=taken.pixels[::-1, ::-1])) is Code.UPSIDE_DOWN


def test_inverted_picture_is_measured_and_said() -> None:
    taken = spines.picture(Spine(), "coarse")
    plain = spine.measure(taken)
    inverted = spine.measure(replace(taken, pixels=255.0 - taken.pixels))
    assert "INVERTED_GRAYSCALE" in codes(inverted)
    assert "INVERTED_GRAYSCALE" not in codes(plain)
    assert inverted.score == pytest.approx(plain.score, abs=0.01)


@pytest.mark.parametrize(("factor", "phantom"), [(0.6, Spine()), (1.7, Spine()), (0.6, SMALL_FEMALE)])
def test_derived_spacing_that_fits_no_person_is_refused(factor: float, phantom: Spine) -> None:
    taken = spines.picture(phantom, "coarse", spacing_needs_check=True)
    assert not codes(spine.measure(taken)) & {"IMPLAUSIBLE_PIXEL_SPACING"}
    wrong = replace(taken, pixel_spacing_mm=(0.6 * factor, 0.6 * factor))
    assert refusal(wrong) is Code.IMPLAUSIBLE_PIXEL_SPACING


@pytest.mark.parametrize("scanner", ["linear", "coarse"])
def test_a_stated_spacing_of_half_the_size_is_refused(scanner: str) -> None:
    """The header is believed within what adults are, and a little beyond."""
    taken = spines.picture(Spine(), scanner)
    half = taken.pixel_spacing_mm[0] / 2
    assert refusal(replace(taken, pixel_spacing_mm=(half, half))) is Code.IMPLAUSIBLE_PIXEL_SPACING
    tiny = spines.picture(replace(SMALL_FEMALE, scale=0.85), scanner)
    assert spine.measure(tiny).score > 0.0


@pytest.mark.parametrize(("spacing_mm", "measured"), [(1.18, True), (1.19, False), (1.29, False)])
def test_pixels_too_coarse_for_the_fit_are_said_to_be_that(spacing_mm: float, measured: bool) -> None:
    """A spine is seen, but no pair of pixels is as near as the fit begins (1.05 mm and a bandwidth)."""
    fine = spines.picture(Spine(), "coarse")
    pixels = ndimage.zoom(fine.pixels, fine.pixel_spacing_mm[0] / spacing_mm, order=1)
    coarse = replace(fine, pixels=pixels, pixel_spacing_mm=(spacing_mm, spacing_mm))
    if measured:
        assert spine.measure(coarse).score > 0.0
        return
    with pytest.raises(SegmentationError) as caught:
        spine.measure(coarse)
    assert caught.value.code is Code.IMPLAUSIBLE_PIXEL_SPACING
    assert dict(caught.value.finding.values)["most_mm"] == 1.18


@pytest.mark.parametrize("spacing", [(0.19, 0.19), (1.31, 1.31), (0.0, 0.6), (-0.6, 0.6), (0.6, 1.5)])
def test_spacing_outside_the_studied_range_is_refused(spacing: tuple[float, float]) -> None:
    taken = spines.picture(Spine(), "coarse")
    assert refusal(replace(taken, pixel_spacing_mm=spacing)) is Code.IMPLAUSIBLE_PIXEL_SPACING


def test_tilt() -> None:
    assert "TILTED_SPINE" in codes(spine.measure(spines.picture(Spine(tilt_deg=8.0), "coarse")))
    assert "TILTED_SPINE" not in codes(spine.measure(spines.picture(Spine(tilt_deg=3.0), "coarse")))


# one level left out


@pytest.mark.parametrize("scanner", ["fine", "coarse", "linear"])
@pytest.mark.parametrize(("metal", "levels"), [("screws", {"L3", "L4"}), ("wire", {"L1"}), ("blob", {"L2"})])
def test_metal(scanner: str, metal: str, levels: set[str]) -> None:
    measured = spine.measure(spines.picture(Spine(metal=(metal,)), scanner))
    assert excluded(measured) == dict.fromkeys(levels, "HIGH_DENSITY")


@pytest.mark.parametrize("scanner", ["coarse", "linear"])
def test_crushed_vertebra(scanner: str) -> None:
    phantom = Spine(fractures=(Fracture(label="L2", loss=0.4),))
    measured = spine.measure(spines.picture(phantom, scanner))
    assert excluded(measured) == {"L2": "REDUCED_HEIGHT"}
    crushed = measured.vertebrae[1]
    assert crushed.score is not None
    assert crushed.region
    (finding,) = [f for f in measured.findings if f.code is Code.REDUCED_HEIGHT]
    assert 45 < dict(finding.values)["percent"] < 75


def test_two_crushed_vertebrae_side_by_side() -> None:
    crushed = (Fracture(label="L2", loss=0.4), Fracture(label="L3", loss=0.4))
    measured = spine.measure(spines.picture(Spine(fractures=crushed), "coarse"))
    assert excluded(measured) == {"L2": "REDUCED_HEIGHT", "L3": "REDUCED_HEIGHT"}


@pytest.mark.parametrize(
    ("phantom", "level"), [(Spine(crop_top_mm=25.0), "L1"), (Spine(crop_bottom_mm=35.0), "L4")]
)
def test_level_cut_by_the_frame(phantom: Spine, level: str) -> None:
    measured = spine.measure(spines.picture(phantom, "coarse"))
    assert excluded(measured) == {level: "LEVEL_CUT"}


def test_level_cut_by_padding() -> None:
    taken = spines.picture(Spine(), "linear")
    pixels = taken.pixels.copy()
    pixels[: round(29.0 / 0.5)] = 0.0
    measured = spine.measure(replace(taken, pixels=pixels))
    assert excluded(measured) == {"L1": "LEVEL_CUT"}
    for vertebra in measured.vertebrae:
        assert not region.mask(vertebra.region, pixels.shape)[: round(29.0 / 0.5)].any()


def test_fewer_than_two_vertebrae() -> None:
    taken = spines.picture(Spine(metal=("screws", "blob", "wire")), "linear")
    with pytest.raises(SegmentationError) as raised:
        spine.measure(taken)
    assert raised.value.code is Code.FEWER_THAN_TWO_VERTEBRAE
    behind = raised.value.behind
    assert [found.vertebra for found in behind] == ["L1", "L2", "L3", "L4"]
    assert {found.code for found in behind} == {Code.HIGH_DENSITY}


# texture


def test_too_few_gray_levels() -> None:
    taken = spines.picture(Spine(), "linear")
    low, high = taken.pixels.min(), taken.pixels.max()
    coarse = np.round((taken.pixels - low) / (high - low) * 60.0)
    assert refusal(replace(taken, pixels=coarse)) is Code.LOW_BIT_DEPTH


def test_saturated_bone() -> None:
    taken = spines.picture(Spine(), "linear")
    whole = spine.measure(taken)
    assert "SATURATED" not in codes(whole)
    masks = [region.mask(vertebra.region, taken.pixels.shape) for vertebra in whole.vertebrae]
    inside = taken.pixels[np.any(masks, axis=0)]

    def clipped(share: float) -> spine.Picture:
        return replace(taken, pixels=np.minimum(taken.pixels, np.quantile(inside, 1.0 - share)))

    assert "SATURATED" in codes(spine.measure(clipped(0.15)))
    dark = replace(taken, pixels=-clipped(0.15).pixels)
    assert {"SATURATED", "INVERTED_GRAYSCALE"} <= codes(spine.measure(dark))
    assert refusal(clipped(0.3)) is Code.BONE_CLIPPED


@pytest.mark.parametrize("scanner", ["linear", "coarse"])
def test_enlarged_picture_is_doubted(scanner: str) -> None:
    taken = spines.picture(Spine(), scanner)
    assert "RESAMPLED" not in codes(spine.measure(taken))
    steps = tuple(step / 2 for step in taken.pixel_spacing_mm)
    enlarged = replace(taken, pixels=np.round(ndimage.zoom(taken.pixels, 2, order=1)), pixel_spacing_mm=steps)
    assert "RESAMPLED" in codes(spine.measure(enlarged))


# not a spine


@pytest.mark.parametrize("scanner", ["fine", "coarse", "linear"])
@pytest.mark.parametrize(
    ("part", "expected"),
    [(hip, Code.NO_SPINE_FOUND), (forearm, Code.NO_SPINE_FOUND), (lateral, Code.WRONG_VIEW)],
    ids=["hip", "forearm", "lateral"],
)
def test_other_parts_are_refused(part: object, expected: Code, scanner: str) -> None:
    drawing = part.draw(1)  # type: ignore[attr-defined]
    image = scanners.scan(drawing, spines.SCANNERS[scanner], 1)
    taken = spine.Picture(pixels=image.pixels.astype(float), pixel_spacing_mm=image.pixel_spacing_mm)
    assert refusal(taken) is expected


def test_whole_body_is_refused() -> None:
    image = scanners.scan(whole_body.draw(1), spines.SCANNERS["coarse"], 1)
    taken = spine.Picture(pixels=image.pixels[::4, ::4].astype(float), pixel_spacing_mm=(2.4, 2.4))
    assert refusal(taken) is Code.WRONG_VIEW


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("start", [0.3, 0.45, 0.6])
def test_part_of_a_lateral_spine_is_refused(seed: int, start: float) -> None:
    image = scanners.scan(lateral.draw(seed), spines.SCANNERS["coarse"], seed)
    first = int(image.pixels.shape[0] * start)
    pixels = image.pixels[first : first + 316].astype(float)
    taken = spine.Picture(pixels=pixels, pixel_spacing_mm=image.pixel_spacing_mm)
    assert refusal(taken) in (Code.WRONG_VIEW, Code.NO_SPINE_FOUND)


def blocks(
    processes: float, pedicles: tuple[float, float] = (0.0, 0.0), crests: tuple[float, float] = (0.0, 0.0)
) -> spine.Picture:
    """Draw bodies as they are seen from the side, with processes of this brightness behind them.

    Pedicles or crests of their brightness, left and right: bodies without arches seen from the front.
    """
    rows, columns = np.indices((320, 300)) * 0.6
    depth, across = (rows + 9.0) % 33.0 - 16.5, columns - 90.0
    bodies = (np.abs(depth) < 12.5) & (np.abs(across) < 18.0)
    behind = (np.abs(depth - 7.0) < 5.0) & (across >= 18.0) & (across < 48.0)
    drawn = bodies + processes * behind
    for side, brightness in zip((-1.0, 1.0), pedicles, strict=True):
        drawn += brightness * (np.hypot((across - side * 10.5) / 3.0, (depth + 4.0) / 6.0) < 1.0)
    for side, brightness in zip((-1.0, 1.0), crests, strict=True):
        drawn += brightness * (np.hypot((across - side * 75.0) / 40.0, (rows - 205.0) / 47.0) < 1.0)
    clean = ndimage.gaussian_filter(100.0 * drawn, 1.5)
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(0.0, 12.0, clean.shape), 0.7)
    return spine.Picture(pixels=20.0 + clean + noise, pixel_spacing_mm=(0.6, 0.6))


@pytest.mark.parametrize("processes", [0.0, 0.3, 0.6])
def test_bodies_without_arches_are_not_seen_from_the_front(processes: float) -> None:
    assert refusal(blocks(processes)) is Code.WRONG_VIEW


@pytest.mark.parametrize("pedicles", [(0.5, 0.5), (0.4, 0.7)])
def test_bodies_with_a_pair_of_pedicles_are_seen_from_the_front(pedicles: tuple[float, float]) -> None:
    """As after a laminectomy of all levels: neither window nor process."""
    assert spine.measure(blocks(0.0, pedicles)).vertebrae


def test_bodies_between_a_pair_of_crests_are_seen_from_the_front() -> None:
    """Whatever hides the arches; the levels are counted up from the crests."""
    measured = spine.measure(blocks(0.0, crests=(0.44, 0.44)))
    assert [round((a[0] + b[0]) / 2 * 0.6) for a, b in measured.disc_lines] == pytest.approx(
        [24, 57, 90, 123, 156], abs=2
    )


@pytest.mark.parametrize("crests", [(0.44, 0.0), (0.0, 0.44)])
def test_bone_in_one_lower_corner_is_no_pair_of_crests(crests: tuple[float, float]) -> None:
    assert refusal(blocks(0.0, crests=crests)) is Code.WRONG_VIEW


def test_bodies_between_a_pair_of_crests_upside_down_are_refused() -> None:
    taken = blocks(0.0, crests=(0.44, 0.44))
    assert refusal(replace(taken, pixels=taken.pixels[::-1])) is Code.UPSIDE_DOWN


@pytest.mark.parametrize("pedicles", [(0.0, 1.2), (1.2, 0.0)])
def test_what_is_bright_on_one_side_is_no_pair_of_pedicles(pedicles: tuple[float, float]) -> None:
    assert refusal(blocks(0.0, pedicles)) is Code.WRONG_VIEW


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((400, 300)),
        np.full((400, 300), 7.0),
        np.random.default_rng(1).normal(100.0, 10.0, (400, 300)),
        np.full((400, 300), np.nan),
        np.ones((3, 3)),
        np.add.outer(np.arange(400.0), np.arange(300.0)),
    ],
    ids=["zero", "constant", "noise", "nan", "tiny", "ramp"],
)
def test_no_picture_at_all_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(SegmentationError):
        spine.measure(spine.Picture(pixels=pixels, pixel_spacing_mm=(0.6, 0.6)))
