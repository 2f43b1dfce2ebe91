"""Levels: what is blocked is in no mask and in no pair; errors beside scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbsnode.phantom.spine import Spine
from tbsnode.tbs import labeling, levels
from tbsnode.tbs.parameters import Parameters
from tests import spines


@pytest.fixture(scope="module")
def source() -> levels.Source:
    taken, found = spines.picture(Spine(), "coarse"), spines.segmented(Spine(), "coarse")
    return levels.Source(taken.pixels, taken.pixel_spacing_mm, found, Parameters())


def test_blocked_pixels_are_in_no_mask_and_in_no_pair(source: levels.Source):
    first = labeling.label(source.found).first
    free = levels.draw(source, first)
    blocked = np.zeros(source.image.shape, dtype=bool)
    rows, columns = np.nonzero(free[1].mask)
    blocked[int(rows.mean()), :] = True
    blocked[:, int(columns.mean())] = True
    lined = replace(source, image=np.where(blocked, 255.0, source.image), blocked=blocked)
    drawn = levels.draw(lined, first)
    for before, after in zip(free, drawn, strict=True):
        assert np.array_equal(after.mask, before.mask & ~blocked)
        assert after.outline.ring == before.outline.ring
    scored = levels.score_levels(lined, drawn, [None] * 4)
    other = replace(lined, image=np.where(blocked, -1e6, source.image))
    assert scored == levels.score_levels(other, drawn, [None] * 4)
    assert scored[1].pairs < levels.score_levels(source, free, [None] * 4)[1].pairs


def test_errors_stand_beside_the_scores_of_levels_that_have_one(source: levels.Source):
    first = labeling.label(source.found).first
    drawn = levels.draw(source, first)
    vertebrae = levels.score_levels(source, drawn, [None] * 4)
    assert [v.standard_error for v in vertebrae] == [None] * 4
    unscored = replace(vertebrae[2], score=None, included=False, variogram=())
    found, mean = levels.with_standard_errors(source, drawn, [*vertebrae[:2], unscored, vertebrae[3]])
    assert [v.standard_error is None for v in found] == [False, False, True, False]
    assert mean is not None
    assert mean > 0
    assert replace(found[0], standard_error=None) == vertebrae[0]


def test_the_stored_variogram_ends_where_the_parameters_say(source: levels.Source):
    drawn = levels.draw(source, labeling.label(source.found).first)
    (one, *_) = levels.score_levels(source, drawn, [None] * 4)
    lags = [lag for lag, _, _ in one.variogram]
    assert lags == sorted(lags)
    assert 6.5 < lags[-1] <= 7.0 + 1e-6
    assert all(type(pairs) is int and pairs > 0 for _, _, pairs in one.variogram)
