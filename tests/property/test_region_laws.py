"""Laws of the regions: they belong to the patient, not to the gray scale or the handedness of a picture."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tbsnode.errors import AnalysisError
from tbsnode.phantom.spine import MALE, SMALL_FEMALE, Spine
from tbsnode.tbs import region, spine
from tbsnode.tbs.result import SpineMeasurement
from tests import spines

SPINES = (Spine(), MALE, SMALL_FEMALE, Spine(cobb_deg=15.0), Spine(tilt_deg=4.0, aorta=True))
cases = st.tuples(st.sampled_from(SPINES), st.sampled_from(["coarse", "linear", "oblong"]))


@lru_cache
def measured(case: tuple[Spine, str]) -> SpineMeasurement:
    return spine.measure(spines.picture(*case))


def overlap(first: SpineMeasurement, second: SpineMeasurement, shape: tuple[int, int]) -> float:
    """Smallest Dice coefficient over the levels."""
    dice = []
    for a, b in zip(first.vertebrae, second.vertebrae, strict=True):
        one, two = region.mask(a.region, shape), region.mask(b.region, shape)
        dice.append(2 * np.count_nonzero(one & two) / (np.count_nonzero(one) + np.count_nonzero(two)))
    return min(dice)


@settings(max_examples=12, deadline=None)
@given(case=cases, gain=st.floats(0.01, 100.0), offset=st.floats(-1e4, 1e4))
def test_gain_and_offset_move_nothing(case: tuple[Spine, str], gain: float, offset: float) -> None:
    taken = spines.picture(*case)
    changed = replace(
        taken,
        pixels=taken.pixels * gain + offset,
        stored_maximum=taken.stored_maximum * gain + offset,
    )
    other = spine.measure(changed)
    assert overlap(measured(case), other, taken.pixels.shape) > 0.999
    assert abs(other.score - measured(case).score) < 1e-3


@settings(max_examples=12, deadline=None)
@given(case=cases)
def test_a_mirrored_picture_has_mirrored_regions(case: tuple[Spine, str]) -> None:
    taken = spines.picture(*case)
    other = spine.measure(replace(taken, pixels=taken.pixels[:, ::-1]))
    last = taken.pixels.shape[1] - 1
    back = replace(
        other,
        vertebrae=tuple(
            replace(v, region=tuple((row, last - column) for row, column in v.region))
            for v in other.vertebrae
        ),
    )
    assert overlap(measured(case), back, taken.pixels.shape) > 0.98
    assert abs(other.score - measured(case).score) < 0.01


@settings(max_examples=12, deadline=None)
@given(case=cases)
def test_rings_are_simple_closed_and_apart(case: tuple[Spine, str]) -> None:
    taken = spines.picture(*case)
    total = np.zeros(taken.pixels.shape, dtype=int)
    for vertebra in measured(case).vertebrae:
        ring = np.array(vertebra.region)
        assert (ring[0] == ring[-1]).all()
        assert not crosses_itself(ring)
        assert (ring >= 0).all()
        assert (ring <= np.array(taken.pixels.shape) - 1).all()
        total += region.mask(vertebra.region, taken.pixels.shape)
    assert total.max() == 1


def crosses_itself(ring: np.ndarray) -> bool:
    """Test every pair of sides that are not neighbors."""
    a, b = ring[:-1], ring[1:]

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        return np.sign(
            (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1])
            - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])
        )

    one, two = (a[:, None], b[:, None]), (a[None], b[None])
    meets = (side(*one, two[0]) * side(*one, two[1]) < 0) & (side(*two, one[0]) * side(*two, one[1]) < 0)
    number = len(a)
    apart = np.abs(np.subtract.outer(np.arange(number), np.arange(number)))
    return bool((meets & (apart > 1) & (apart < number - 1)).any())


@settings(max_examples=40, deadline=None)
@given(
    pixels=arrays.arrays(
        np.float64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(-1e3, 1e4)
    ),
    enlarged=st.integers(1, 60),
    spacing=st.tuples(st.floats(0.1, 2.0), st.floats(0.1, 2.0)),
    checked=st.booleans(),
)
def test_any_picture_ends_in_a_measurement_or_a_coded_refusal(
    pixels: np.ndarray, enlarged: int, spacing: tuple[float, float], checked: bool
) -> None:
    large = np.kron(pixels, np.ones((enlarged, enlarged)))
    picture = spine.Picture(pixels=large, pixel_spacing_mm=spacing, spacing_needs_check=checked)
    try:
        spine.measure(picture)
    except AnalysisError:
        return  # a coded reason; any other exception fails
