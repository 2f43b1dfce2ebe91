from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbsnode.phantom.spine import MALE, SMALL_FEMALE, Spine
from tbsnode.tbs import anatomy, discs
from tests import spines


def bare_profiles(places: list[int], rows: int = 400) -> discs.Profiles:
    """Evidence for discs at these rows, and nothing else."""
    s = np.arange(rows)
    evidence = np.full(rows, -0.5)
    for place in places:
        evidence += 3.0 * np.exp(-0.5 * ((s - place) / 3.0) ** 2)
    flat = np.zeros(rows)
    bands = {"lateral": flat, "paramedian": flat, "center": flat}
    return discs.Profiles(evidence, np.zeros(rows), bands, np.ones(rows, dtype=bool))


def test_chain_by_hand() -> None:
    places = [50, 115, 182, 250, 320]  # rows of 0.5 mm: pitches 32.5, 33.5, 34, 35 mm
    chain = discs.find_chain(bare_profiles(places))
    assert chain is not None
    np.testing.assert_allclose(chain.s_mm, np.array(places) / 2, atol=0.3)
    np.testing.assert_allclose(chain.pitches_mm, [32.5, 33.5, 34.0, 35.0], atol=0.5)


def test_half_a_level_is_no_pitch() -> None:
    """Gaps every 17 mm: the chain takes every other one."""
    chain = discs.find_chain(bare_profiles([40, 74, 108, 142, 176, 210, 244]))
    assert chain is not None
    np.testing.assert_allclose(np.diff(chain.s_mm), 34.0, atol=1.0)


def test_crushed_level_stays_in_the_chain() -> None:
    places = [50, 120, 164, 234, 304]  # 35, 22, 35, 35 mm
    chain = discs.find_chain(bare_profiles(places))
    assert chain is not None
    np.testing.assert_allclose(chain.s_mm, np.array(places) / 2, atol=0.5)


def test_nothing_to_find() -> None:
    chain = discs.find_chain(bare_profiles([]))
    assert chain is None or chain.value < 0.0


def chain_from_the_middle(spine: Spine, scanner: str, seed: int) -> np.ndarray:
    """What the obvious method finds: dark gaps, no endplates, on a strip 3.6-5.1 mm from the axis."""
    found = spines.segmented(spine, scanner, seed)
    rows = found.edges.half_width.size
    profile = discs.profiles(found.column, np.full(rows, 5.0), np.zeros_like(found.metal), np.inf)
    alone = replace(profile, bands={name: np.zeros(rows) for name in profile.bands})
    chain = discs.find_chain(alone)
    assert chain is not None
    row, _ = found.column.stored(np.array(chain.s_mm), np.zeros(len(chain.s_mm)))
    return np.asarray(row)


@pytest.mark.parametrize("spine", [Spine(), MALE, SMALL_FEMALE], ids=["woman", "man", "small woman"])
def test_the_middle_of_the_column_misleads_by_half_a_level_and_the_strips_do_not(spine: Spine) -> None:
    image, truth = spines.scanned(spine, "coarse", 2)
    found = spines.segmented(spine, "coarse", 2)
    ends = np.array([(line.left_mm, line.right_mm) for line in truth.disc_lines])
    true_mm = image.to_pixels(ends.mean(axis=1))[:, 0] * image.pixel_spacing_mm[0]

    def misses_mm(rows: np.ndarray) -> np.ndarray:
        places = rows * image.pixel_spacing_mm[0]
        return np.abs(places[:, None] - true_mm[None, :]).min(axis=1)

    obvious = misses_mm(chain_from_the_middle(spine, "coarse", 2))
    row, _ = found.column.stored(np.array(found.chain.s_mm), np.zeros(len(found.chain.s_mm)))
    assert np.median(obvious) > 9.0
    assert np.max(misses_mm(row)) < 2.0
    assert found.chain.runner_up < 0.5 * found.chain.value


@pytest.mark.parametrize(("height", "kept"), [(0.3, False), (1.0, True)])
def test_a_faint_disc_that_comes_too_soon_at_the_lower_border_is_dropped(height: float, kept: bool) -> None:
    places = [40, 110, 180, 250, 320]
    soon = 320 + 50
    evidence = bare_profiles([*places, soon]).evidence.copy()
    evidence[soon - 8 : soon + 9] *= height
    last = discs._without_doubtful_ends([place // 2 for place in (*places, soon)], evidence[::2])
    assert (last[-1] == soon // 2) == kept


def test_a_first_level_taller_than_those_below_does_not_end_in_the_vertebra_above() -> None:
    """A gap in the waist of T12, 45 mm above L1/L2, is clearer than T12/L1 itself, 33 mm above it."""
    places = [45, 111, 179, 249, 320]
    profile = bare_profiles([20, *places[1:]])
    faint = 1.2 * np.exp(-0.5 * ((np.arange(400) - places[0]) / 3.0) ** 2)
    chain = discs.find_chain(replace(profile, evidence=profile.evidence + faint))
    assert chain is not None
    np.testing.assert_allclose(chain.s_mm, np.array(places) / 2, atol=1.0)


@pytest.mark.parametrize("crushed", [(1,), (2,), (1, 2)], ids=["L2", "L3", "L2 and L3"])
def test_a_first_level_above_crushed_ones_keeps_its_disc(crushed: tuple[int, ...]) -> None:
    heights = [44 if level in crushed else 68 for level in range(4)]
    places = np.cumsum([50, *heights])
    chain = discs.find_chain(bare_profiles(places.tolist()))
    assert chain is not None
    np.testing.assert_allclose(chain.s_mm, places / 2, atol=0.5)


def chain_of(places_mm: dict[float, float], length_mm: float) -> tuple[float, ...]:
    """Find the chain of discs at these places with this evidence; the last level looks like no level."""
    place = np.arange(0.0, length_mm, anatomy.GRID_MM)
    evidence = np.full(place.size, -0.5)
    for disc_mm, height in places_mm.items():
        evidence = np.maximum(evidence, height - 0.25 * np.abs(place - disc_mm))
    above, last = sorted(places_mm)[-2:]
    level = np.where((place > above) & (place < last), -1.0, 0.5)
    bands = {"lateral": level, "paramedian": level, "center": np.zeros(place.size)}
    profile = discs.Profiles(evidence, np.zeros(place.size), bands, np.ones(place.size, dtype=bool))
    found = discs.find_chain(profile)
    assert found is not None
    return tuple(np.round(found.s_mm, 0).tolist())


HEALTHY = {20.0: 2.2, 53.0: 2.2, 87.0: 2.2, 122.0: 2.2}


def test_the_clear_disc_below_a_crushed_last_level_is_seen() -> None:
    """A fracture at the end of the chain must not be drawn on to where a healthy disc would be."""
    assert chain_of({**HEALTHY, 146.0: 1.1}, 180.0) == (20.0, 53.0, 87.0, 122.0, 146.0)


@pytest.mark.parametrize(
    ("below", "length_mm"),
    [
        ({139.0: 1.1}, 180.0),  # half a level down: the waist of a body
        ({146.0: 0.7}, 180.0),  # faint
        ({146.0: 1.1}, 152.0),  # the picture ends before a healthy disc would come
    ],
    ids=["half a level", "faint", "border"],
)
def test_what_is_no_disc_below_the_last_level(below: dict[float, float], length_mm: float) -> None:
    assert chain_of({**HEALTHY, **below}, length_mm) == tuple(HEALTHY)
