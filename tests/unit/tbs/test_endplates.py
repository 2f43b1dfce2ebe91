"""Endplates: two lines one disc apart say where a disc is, however bright it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbsnode.phantom.spine import Spine
from tbsnode.tbs import discs, endplates
from tbsnode.tbs.axis import Column
from tests import spines

LEVEL = np.array([0.0])


def drawn(places: list[int], slope: float = 0.0) -> Column:
    """Return a column of brightness 1 with lines of 1.4, one millimeter thick, at grid rows."""
    column = spines.segmented(Spine(), "coarse").column
    image = np.where(np.abs(column.u_mm)[None, :] < 24.0, 1.0, 0.0) * np.ones((column.image.shape[0], 1))
    rows = np.arange(image.shape[0])[:, None] - slope * column.u_mm[None, :] / 0.5
    for place in places:
        image += 0.4 * ((np.abs(rows - place) <= 1.0) & (np.abs(column.u_mm)[None, :] < 24.0))
    return replace(column, image=image, valid=np.ones_like(column.valid))


def rated(column: Column, slopes: np.ndarray = LEVEL) -> np.ndarray:
    half = np.full(column.image.shape[0], 20.0)
    return endplates.pairs(column, half, 1.0, slopes)


def test_the_middle_between_two_lines_ten_millimeters_apart_stands_out() -> None:
    (rating,) = rated(drawn([100, 120]))
    assert rating[110] == rating.max()
    assert rating[110] > 0.25
    assert np.delete(rating, np.s_[104:117]).max() < 0.1


@pytest.mark.parametrize("places", [[100], [100, 150], [], [100, 104]])
def test_one_line_a_body_or_a_double_line_is_no_disc(places: list[int]) -> None:
    assert rated(drawn(places)).max() < 0.1


def test_a_step_is_no_line() -> None:
    column = drawn([])
    image = column.image.copy()
    image[100:] *= 0.5
    image[120:] *= 2.0
    assert rated(replace(column, image=image)).max() < 0.1


def test_lines_aslant_are_found_by_their_slope() -> None:
    slopes = np.array([-0.1, 0.0, 0.1])
    rating = rated(drawn([100, 120], slope=0.1), slopes)
    assert rating[2, 110] > 0.25
    assert rating[2, 110] > 2.0 * max(rating[0, 110], rating[1, 110], 0.0)


def test_discs_as_bright_as_the_waist_are_found_by_their_endplates() -> None:
    """Bodies that are seen by their endplates alone: the gap says nothing, the chain is found."""
    places = [40, 60, 105, 125, 172, 192, 240, 260, 310, 330]
    column = drawn(places)
    half = np.full(column.image.shape[0], 20.0)
    profile = discs.profiles(column, half, np.zeros_like(column.valid), 1.0)
    chain = discs.find_chain(profile)
    assert chain is not None
    np.testing.assert_allclose(chain.s_mm, np.array([50, 115, 182, 250, 320]) / 2, atol=1.0)
