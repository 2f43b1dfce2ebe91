"""A column that jumps from one scan line to the next, and what only looks like it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from tbsnode.phantom.spine import Spine
from tbsnode.reasons import Code, Severity
from tbsnode.tbs import axis, movement, spine
from tbsnode.tbs.edges import Edges
from tbsnode.tbs.field import Grid
from tests import spines

ROWS, COLUMNS, MIDDLE = 300, 301, 150  # 150 mm squares of 0.5 mm

Floats = NDArray[np.float64]


def bar(left_mm: Floats, right_mm: Floats) -> axis.Column:
    """A column of bone between two edges given for each row, from the middle; its axis is straight."""
    u = (np.arange(COLUMNS) - MIDDLE) * 0.5
    inside = special.ndtr((u - left_mm[:, None]) / 1.2) * special.ndtr((right_mm[:, None] - u) / 1.2)
    image = inside + 0.02 * np.random.default_rng(4).standard_normal((ROWS, COLUMNS))
    seen = np.full(image.shape, True)
    grid = Grid(image, seen, (0.5, 0.5), (ROWS, COLUMNS), (0.0, 1.0))
    return axis.straighten(grid, np.array([0.0, float(MIDDLE)]))


def jumps(column: axis.Column) -> tuple[movement.Jump, ...]:
    ones = np.ones(column.y.size)
    edges = Edges(20.0 * ones, 20.0 * ones, 20.0 * ones, ones, 0.0 * ones)
    return movement.find_jumps(column, edges, np.zeros(column.image.shape, dtype=np.bool_))


def step(row: int, by_mm: float) -> Floats:
    return np.where(np.arange(ROWS) >= row, by_mm, 0.0)


@pytest.mark.parametrize("by_mm", [-9.0, -3.0, 3.0, 6.0])
def test_one_jump_by_hand(by_mm: float) -> None:
    moved = step(140, by_mm)
    (found,) = jumps(bar(moved - 20.0, moved + 20.0))
    assert found.row == pytest.approx(139.5)  # between the last row before and the first one after
    assert found.s_mm == pytest.approx(139.5 * 0.5, abs=0.3)
    assert found.step_mm == pytest.approx(by_mm, abs=0.5)


def test_there_and_back_are_two_jumps() -> None:
    moved = step(100, 5.0) - step(160, 5.0)
    there, back = jumps(bar(moved - 20.0, moved + 20.0))
    assert (there.row, back.row) == (99.5, 159.5)
    assert there.step_mm == -back.step_mm == pytest.approx(5.0, abs=0.5)


def bent(degrees: float) -> Floats:
    """A smooth curve whose directions differ by so many degrees."""
    place = np.linspace(-np.pi / 2, np.pi / 2, ROWS)
    slope = np.tan(np.radians(degrees / 2)) * np.sin(place)
    return np.cumsum(slope) * 0.5


RAMP_MM = np.clip((np.arange(ROWS) - 120.0) / 30.0, 0.0, 1.0) * 6.0  # 6 mm within 15 mm

NOT_MOVED = {
    "straight": (0.0 * RAMP_MM, 0.0 * RAMP_MM),
    "scoliosis of 40 degrees": (bent(40.0), bent(40.0)),
    "slowly aside": (RAMP_MM, RAMP_MM),
    "a spur on the right": (0.0 * RAMP_MM, step(140, 6.0)),
    "wider on both sides": (-step(140, 5.0), step(140, 5.0)),
    "by one pixel": (step(140, 0.5), step(140, 0.5)),
}


@pytest.mark.parametrize("name", NOT_MOVED)
def test_what_is_no_movement(name: str) -> None:
    left, right = NOT_MOVED[name]
    assert jumps(bar(left - 20.0, right + 20.0)) == ()


def test_an_empty_strip_has_no_jumps() -> None:
    column = bar(np.full(ROWS, -20.0), np.full(ROWS, 20.0))
    unseen = replace(column.grid, valid=np.zeros((ROWS, COLUMNS), dtype=np.bool_))
    assert jumps(replace(column, grid=unseen)) == ()


@settings(max_examples=15, deadline=None)
@given(row=st.integers(20, ROWS - 20), half_mm=st.integers(8, 20), right=st.booleans())
def test_any_jump_of_4_to_10_mm_is_found(row: int, half_mm: int, right: bool) -> None:
    moved = step(row, 0.5 * half_mm * (1 if right else -1))
    (found,) = jumps(bar(moved - 20.0, moved + 20.0))
    assert found.row == row - 0.5
    assert found.step_mm == pytest.approx(moved[-1], abs=0.5)


# on a spine


def moved_spine(level: str, part: float, by_mm: float) -> spine.Picture:
    """Everything below a part of a level lies aside."""
    picture = spines.picture(Spine(), "linear")
    image, truth = spines.scanned(Spine(), "linear")
    ring = image.to_pixels(truth.level(level).ring_mm)
    row = round(float(ring[:, 0].min() + part * np.ptp(ring[:, 0])))
    pixels = picture.pixels.copy()
    pixels[row:] = np.roll(pixels[row:], round(by_mm / picture.pixel_spacing_mm[1]), axis=1)
    return replace(picture, pixels=pixels)


@pytest.mark.parametrize(("level", "part", "by_mm"), [("L1", 0.5, 5.0), ("L3", 0.3, -4.0), ("L4", 0.6, 7.0)])
def test_the_level_crossed_by_a_jump_is_left_out(level: str, part: float, by_mm: float) -> None:
    measured = spine.measure(moved_spine(level, part, by_mm))
    (finding,) = [v.excluded for v in measured.vertebrae if v.excluded is not None]
    assert (finding.code, finding.vertebra) == (Code.MOVEMENT, level)
    assert finding.severity is Severity.EXCLUDE
    assert dict(finding.values)["step_mm"] == pytest.approx(abs(by_mm), abs=0.75)
    assert finding in measured.findings


def test_a_patient_who_lay_still() -> None:
    measured = spine.measure(moved_spine("L3", 0.5, 0.0))
    assert Code.MOVEMENT not in {finding.code for finding in measured.findings}
