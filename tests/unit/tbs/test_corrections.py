"""What a reviewer changes is measured again: levels left out, labels moved, disc lines moved."""

from __future__ import annotations

import numpy as np
import pytest

from tbsnode.errors import CorrectionError, SegmentationError
from tbsnode.phantom import example
from tbsnode.reasons import Code
from tbsnode.tbs import spine
from tbsnode.tbs.corrections import Corrections

SCANNED = example.spine()
PICTURE = spine.Picture(pixels=SCANNED.pixels, pixel_spacing_mm=SCANNED.pixel_spacing_mm)
PLAIN = spine.measure(PICTURE)


def measured(**changes: object) -> spine.SpineMeasurement:
    return spine.measure(PICTURE, None, Corrections(**changes))


def row_of(disc: int) -> float:
    """Row of a disc line in the middle of the column."""
    (above, _), (below, _) = PLAIN.disc_lines[disc]
    return (above + below) / 2


def test_no_correction_changes_nothing() -> None:
    assert measured() == PLAIN


def test_a_level_is_left_out_and_the_mean_is_that_of_the_others() -> None:
    found = measured(exclude=("L3",))
    by_label = {v.label: v for v in found.vertebrae}
    excluded = by_label["L3"].excluded
    assert excluded is not None
    assert excluded.code is Code.EXCLUDED_BY_REVIEWER
    assert not by_label["L3"].included
    others = [v.score for v in PLAIN.vertebrae if v.label != "L3"]
    assert found.score == pytest.approx(np.mean(others), abs=1e-12)
    # the level keeps its region and its own number
    assert by_label["L3"].region == PLAIN.vertebrae[2].region
    assert by_label["L3"].score == PLAIN.vertebrae[2].score


def test_one_level_alone_gives_no_score() -> None:
    with pytest.raises(SegmentationError) as raised:
        measured(exclude=("L1", "L2", "L3"))
    assert raised.value.code is Code.FEWER_THAN_TWO_VERTEBRAE


def test_labels_move_down_by_one_vertebra() -> None:
    found = measured(shift=1)
    # what was called L2 is L1 now: the same disc lines, the same region, the same number
    assert found.disc_lines[0] == PLAIN.disc_lines[1]
    assert found.vertebrae[0].label == "L1"
    assert found.vertebrae[0].region == PLAIN.vertebrae[1].region
    assert found.vertebrae[0].score == PLAIN.vertebrae[1].score
    assert found.region_source == "reviewer"
    # a person has named them: nothing is assumed any more
    assert found.label_confidence == 1.0
    assert found.alternative is None
    assert not {f.code for f in found.findings} & {Code.LEVELS_UNCERTAIN, Code.LEVELS_ASSUMED}


def test_a_disc_line_moves_and_only_its_two_levels_change() -> None:
    place = row_of(2) + 3.0 / SCANNED.pixel_spacing_mm[0]
    found = measured(disc_rows=(("L2/L3", place),))
    changed = [now.region != then.region for now, then in zip(found.vertebrae, PLAIN.vertebrae, strict=True)]
    assert changed == [False, True, True, False]
    (above, _), (below, _) = found.disc_lines[2]
    assert (above + below) / 2 == pytest.approx(place, abs=1.0)
    assert found.vertebrae[1].area_mm2 > PLAIN.vertebrae[1].area_mm2
    assert found.vertebrae[2].area_mm2 < PLAIN.vertebrae[2].area_mm2
    assert found.region_source == "reviewer"


def test_a_disc_line_is_named_after_the_relabeling() -> None:
    place = row_of(2)
    moved = measured(shift=1, disc_rows=(("L1/L2", place + 4.0),))
    assert moved.disc_lines[1] != PLAIN.disc_lines[2]
    assert moved.disc_lines[0] == PLAIN.disc_lines[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"exclude": ("L7",)}, "L7 is no level"),
        ({"disc_rows": (("L5/S1", 100.0),)}, "L5/S1 is no disc line"),
        ({"disc_rows": (("L2/L3", -5.0),)}, "outside the spine"),
        ({"disc_rows": (("L2/L3", float("nan")),)}, "outside the spine"),
        ({"shift": 9}, "leave the vertebrae"),
        ({"shift": -9}, "leave the vertebrae"),
    ],
)
def test_what_cannot_be_done_is_said(changes: dict[str, object], said: str) -> None:
    with pytest.raises(CorrectionError, match=said) as raised:
        measured(**changes)
    assert raised.value.remedy


def test_disc_lines_never_cross() -> None:
    with pytest.raises(CorrectionError, match=r"L2/L3 and L3/L4 would lie .* mm apart"):
        measured(disc_rows=(("L2/L3", row_of(3)),))


def test_all_five_lines_may_move() -> None:
    names = ("T12/L1", "L1/L2", "L2/L3", "L3/L4", "L4/L5")
    found = measured(disc_rows=tuple((name, row_of(i) + 2.0) for i, name in enumerate(names)))
    for index in range(5):
        (above, _), (below, _) = found.disc_lines[index]
        assert (above + below) / 2 == pytest.approx(row_of(index) + 2.0, abs=1.0)
