"""Which levels are left out: those the other modules' tests do not provoke."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbsnode.phantom.spine import Spine
from tbsnode.reasons import Code
from tbsnode.tbs import exclusion, labeling, levels, region, spine
from tbsnode.tbs.parameters import Parameters
from tests import spines


@pytest.fixture(scope="module")
def source() -> levels.Source:
    taken = spines.picture(Spine(), "linear")
    found = spines.segmented(Spine(), "linear")
    return levels.Source(taken.pixels, taken.pixel_spacing_mm, found, Parameters())


@pytest.fixture(scope="module")
def drawn(source: levels.Source) -> tuple[levels.Level, ...]:
    return levels.draw(source, labeling.label(source.found).first)


HEIGHTS_MM = (24.0,) * 6


def test_an_ordinary_spine_has_no_reasons(source: levels.Source, drawn: tuple[levels.Level, ...]) -> None:
    assert exclusion.reasons(source, drawn, HEIGHTS_MM) == (None,) * 4


def test_too_small_a_region(source: levels.Source, drawn: tuple[levels.Level, ...]) -> None:
    areas = [levels.area_mm2(source, level.mask) for level in drawn]
    between = (sorted(areas)[0] + sorted(areas)[1]) / 2
    strict = replace(source, parameters=Parameters(min_area_mm2=between))
    found = exclusion.reasons(strict, drawn, HEIGHTS_MM)
    (small,) = [finding for finding in found if finding is not None]
    assert small.code is Code.REGION_TOO_SMALL
    assert small.vertebra == drawn[int(np.argmin(areas))].label
    assert dict(small.values) == {"area_mm2": round(min(areas), 1), "minimum_mm2": between}


def test_a_narrow_region(source: levels.Source, drawn: tuple[levels.Level, ...]) -> None:
    """Fewer than 16 pixels along one side hold no texture, whatever the area."""
    mask = drawn[0].mask.copy()
    mask[np.flatnonzero(mask.any(axis=1))[15] :] = False
    loose = replace(source, parameters=Parameters(min_area_mm2=1.0))
    found = exclusion.reasons(loose, (replace(drawn[0], mask=mask), *drawn[1:]), HEIGHTS_MM)
    assert [finding and finding.code for finding in found] == [Code.REGION_TOO_SMALL, None, None, None]


def test_reduced_height_may_be_spared_and_metal_never(drawn: tuple[levels.Level, ...]) -> None:
    taken = spines.picture(Spine(metal=("blob",)), "linear")
    found = spines.segmented(Spine(metal=("blob",)), "linear")
    crushed = (24.0, 24.0, 24.0, 12.0, 24.0, 24.0)
    expected = {"bmd": [None, Code.HIGH_DENSITY, Code.REDUCED_HEIGHT, None]}
    expected["none"] = [None, Code.HIGH_DENSITY, None, None]
    default = Parameters().exclusion_policy
    for policy, codes in ((default, expected["bmd"]), ("none", expected["none"])):
        chosen = Parameters(exclusion_policy=policy)
        held = levels.Source(taken.pixels, taken.pixel_spacing_mm, found, chosen)
        reasons = exclusion.reasons(held, levels.draw(held, labeling.label(found).first), crushed)
        assert [finding and finding.code for finding in reasons] == codes


def test_a_level_with_metal_is_no_measure_of_its_neighbors() -> None:
    """The blob lies on L2: were its height of 45 mm believed, L1 and L3 would pass for crushed."""
    taken, found = (
        spines.picture(Spine(metal=("blob",)), "linear"),
        spines.segmented(Spine(metal=("blob",)), "linear"),
    )
    held = levels.Source(taken.pixels, taken.pixel_spacing_mm, found, Parameters())
    drawn = levels.draw(held, labeling.label(found).first)
    reasons = exclusion.reasons(held, drawn, (None, 24.0, 45.0, 24.0, 24.0, None))
    assert [finding and finding.code for finding in reasons] == [None, Code.HIGH_DENSITY, None, None]


def test_a_level_without_texture_has_no_score(source: levels.Source, drawn: tuple[levels.Level, ...]) -> None:
    flat = replace(source, image=np.full_like(source.image, 1000.0))
    for level in levels.score_levels(flat, drawn, (None,) * 4):
        assert level.score is None
        assert level.excluded is not None
        assert (level.excluded.code, level.excluded.vertebra) == (Code.NO_LEVEL_SCORE, level.label)
    for level in levels.score_levels(source, drawn, (None,) * 4):
        assert level.score is not None
        assert level.excluded is None


def test_cement_brightens_a_whole_level() -> None:
    """Dense, and below the brightness of metal: told from the other levels."""
    taken = spines.picture(Spine(), "linear")
    plain = spine.measure(taken)
    pixels = taken.pixels.copy()
    mask = region.mask(plain.vertebrae[2].region, pixels.shape)
    rows = np.flatnonzero(mask.any(axis=1))
    mask[: rows[rows.size // 5]] = mask[rows[-rows.size // 5] :] = False  # the discs stay as they are
    pixels[mask] += 1.0 * (np.median(pixels[mask]) - np.median(pixels[:, :20]))
    measured = spine.measure(replace(taken, pixels=pixels))
    left = {v.label: v.excluded.code for v in measured.vertebrae if v.excluded is not None}
    assert left == {"L3": Code.HIGH_DENSITY}


@pytest.mark.parametrize("scanner", ["coarse", "linear"])
@pytest.mark.parametrize(
    ("loop", "expected"), [("loop over", {"L3": Code.HIGH_DENSITY}), ("loop beside", {})]
)
def test_a_bowel_loop_full_of_contrast(loop: str, expected: dict[str, Code], scanner: str) -> None:
    """It spoils the level that it lies over; beside the column it changes no level."""
    phantom = Spine(metal=(loop,))
    measured = spine.measure(spines.picture(phantom, scanner))
    assert {v.label: v.excluded.code for v in measured.vertebrae if v.excluded is not None} == expected
    assert np.abs(spines.disc_errors_mm(measured, phantom, scanner)).max() < 3.0
