"""A disc that is bone, among discs that are none."""

from __future__ import annotations

import numpy as np
import pytest

from tbsnode.phantom.spine import SMALL_FEMALE, Spine
from tbsnode.reasons import Code, Severity
from tbsnode.tbs import fusion, spine
from tests import spines

NAN = float("nan")


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([0.4, 0.5, 0.95, 0.45, 0.5], (2,)),
        ([0.4, 0.9, 0.95, 0.45, 0.5], (1, 2)),
        ([0.4, 0.5, 0.84, 0.45, 0.5], ()),  # worn, and still a gap
        ([0.9, 0.92, 1.0, 0.9, 0.93], ()),  # no disc is clear on this picture
        ([0.76, 0.76, 0.95, 0.76, 0.76], ()),  # hardly clearer
        ([NAN, 0.5, 0.95, 0.4, NAN], (2,)),
        ([NAN, NAN, 0.95, 0.4, NAN], ()),  # one disc is no comparison
        ([NAN] * 5, ()),
        ([], ()),
    ],
)
def test_which_discs_are_fused(ratios: list[float], expected: tuple[int, ...]) -> None:
    assert fusion.fused_discs(ratios) == expected


def left_out(phantom: Spine, scanner: str) -> dict[str, Code]:
    measured = spine.measure(spines.picture(phantom, scanner))
    return {v.label: v.excluded.code for v in measured.vertebrae if v.excluded is not None}


@pytest.mark.parametrize("scanner", ["fine", "linear"])
@pytest.mark.parametrize("level", ["L1", "L3"])
def test_both_levels_of_a_fusion_are_left_out(level: str, scanner: str) -> None:
    below = f"L{int(level[1]) + 1}"
    assert left_out(Spine(fused=(level,)), scanner) == {level: Code.LEVEL_FUSED, below: Code.LEVEL_FUSED}


def test_fusion_with_a_vertebra_outside_leaves_one_out() -> None:
    assert left_out(Spine(fused=("L4",)), "linear") == {"L4": Code.LEVEL_FUSED}


def test_the_discs_stay_in_their_places() -> None:
    phantom = Spine(fused=("L2",))
    measured = spine.measure(spines.picture(phantom, "linear"))
    assert np.abs(spines.disc_errors_mm(measured, phantom, "linear")).max() < 4.0
    assert [f.severity for f in measured.findings if f.code is Code.LEVEL_FUSED] == [Severity.EXCLUDE] * 2


@pytest.mark.parametrize(
    "phantom",
    [
        Spine(),
        SMALL_FEMALE,
        Spine(osteophytes=1.0, facet_sclerosis=1.0),
        Spine(lateral_disc_ratio=0.6, disc_ratio=0.9),
        Spine(disc_height=0.19),
    ],
    ids=["woman", "small woman", "worn", "faint discs", "narrow discs"],
)
def test_discs_that_are_no_fusion(phantom: Spine) -> None:
    assert Code.LEVEL_FUSED not in left_out(phantom, "linear").values()
