from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tbsnode.phantom.spine import MALE, SMALL_FEMALE, Spine
from tbsnode.tbs import anatomy, labeling, landmarks, view
from tbsnode.tbs.axis import Column
from tbsnode.tbs.segmentation import Segmentation
from tests import spines

Floats = NDArray[np.float64]


def test_places_beyond_the_chain_by_hand() -> None:
    found = spines.segmented(Spine(), "coarse")
    chain = replace(found.chain, s_mm=(40.0, 70.0, 102.0, 136.0), slope=(0.0,) * 4)
    found = replace(found, chain=chain)
    assert labeling.disc_place(found, 0) == 40.0
    assert labeling.disc_place(found, 3) == 136.0
    assert labeling.disc_place(found, -1) == pytest.approx(8.0)  # the median pitch is 32 mm
    assert labeling.disc_place(found, 5) == pytest.approx(200.0)


@pytest.mark.parametrize("phantom", [Spine(), MALE, SMALL_FEMALE], ids=["woman", "man", "small woman"])
def test_crests_and_ribs_are_where_they_are(phantom: Spine) -> None:
    found = spines.segmented(phantom, "coarse")
    image, truth = spines.scanned(phantom, "coarse")
    lowest = np.array([truth.disc_line("L4/L5").left_mm, truth.disc_line("L4/L5").right_mm]).mean(axis=0)
    crests = [crest.top_mm for crest in landmarks.crests(found) if crest is not None]
    ribs = [place for place in landmarks.rib_roots(found) if place is not None]
    assert crests
    assert ribs
    for place in crests:
        row, _ = found.column.stored(np.array([place]), np.zeros(1))
        assert abs(row[0] - image.to_pixels(lowest)[0]) * image.pixel_spacing_mm[0] < 20.0
    t12 = truth.level("T12").center_mm
    for place in ribs:
        row, _ = found.column.stored(np.array([place]), np.zeros(1))
        assert abs(row[0] - image.to_pixels(t12)[0]) * image.pixel_spacing_mm[0] < 15.0


def test_no_crests_and_no_ribs_are_not_invented() -> None:
    found = spines.segmented(Spine(ribs=False, crests=False), "coarse")
    assert landmarks.crests(found) == (None, None)
    assert landmarks.rib_roots(found) == (None, None)


def test_a_chain_with_a_strong_rival_lowers_the_confidence() -> None:
    found = spines.segmented(Spine(), "coarse")
    plain = labeling.label(found)
    rival = replace(found, chain=replace(found.chain, runner_up=0.9 * found.chain.value))
    assert labeling.label(rival).confidence < 0.4 * plain.confidence
    weak = replace(found, chain=replace(found.chain, value=2.0, runner_up=0.0))
    assert labeling.label(weak).confidence < plain.confidence


@pytest.mark.parametrize("scanner", ["fine", "coarse", "linear", "oblong"])
def test_the_right_way_up_is_not_doubted(scanner: str) -> None:
    for phantom in (Spine(), MALE, SMALL_FEMALE, Spine(crests=False), Spine(laminectomy=("L2", "L3", "L4"))):
        assert not view.is_upside_down(spines.segmented(phantom, scanner))


@pytest.mark.parametrize(
    ("window", "narrows_to", "pitches_mm", "upside_down"),
    [
        (0.0, 1.0, (32.0, 32.0, 32.0, 32.0), False),
        (0.0, 1.0, (36.0, 34.0, 32.0, 30.0), True),
        (0.0, 1.0, (30.0, 32.0, 34.0, 36.0), False),
        (0.0, 0.8, (32.0, 32.0, 32.0, 32.0), True),
        (0.0, 1.2, (32.0, 32.0, 32.0, 32.0), False),
        (1.5, 1.0, (32.0, 32.0, 32.0, 32.0), True),
        (-1.5, 1.0, (32.0, 32.0, 32.0, 32.0), False),
        (1.5, 1.2, (32.0, 32.0, 32.0, 32.0), False),
        (1.5, 1.2, (36.0, 34.0, 32.0, 30.0), True),
    ],
)
def test_each_sign_of_the_head_has_its_say(
    monkeypatch: pytest.MonkeyPatch,
    window: float,
    narrows_to: float,
    pitches_mm: tuple[float, ...],
    upside_down: bool,
) -> None:
    """By hand: a window in the lower half, a column that narrows, levels that shrink; no crests are seen."""
    found = spines.segmented(Spine(ribs=False, crests=False), "coarse")
    monkeypatch.setattr(view, "_center_step", lambda _: window)
    width = np.linspace(20.0, 20.0 * narrows_to, found.edges.half_width.size)
    discs = tuple(float(each) for each in np.cumsum([30.0, *pitches_mm]))
    made = replace(
        found,
        edges=replace(found.edges, half_width=width),
        chain=replace(found.chain, s_mm=discs, slope=(0.0,) * len(discs)),
    )
    monkeypatch.setattr(landmarks, "crests", lambda _, reverse=False: (None, None))
    assert view.is_upside_down(made) is upside_down


@pytest.mark.parametrize(
    ("arches", "halves", "pedicles", "crests", "front"),
    [
        (-0.5, 0.0, (0.0, 0.0), False, True),  # clear arches are enough
        (0.0, 0.4, (0.3, 0.3), True, False),  # without them the halves must be alike
        (0.0, 0.6, (0.3, 0.3), False, True),
        (0.0, 0.6, (0.5, 0.01), False, False),  # a column traced along the arches has them on one side
        (0.0, 0.6, (0.15, 0.15), False, False),
        (0.0, 0.6, (0.0, 0.0), True, True),
    ],
)
def test_what_tells_the_front_from_the_side(
    monkeypatch: pytest.MonkeyPatch,
    arches: float,
    halves: float,
    pedicles: tuple[float, float],
    crests: bool,
    front: bool,
) -> None:
    monkeypatch.setattr(view, "_center_step", lambda *_: arches)
    monkeypatch.setattr(view, "match_of_halves", lambda _: halves)
    monkeypatch.setattr(view, "_pedicles", lambda _: pedicles)
    monkeypatch.setattr(landmarks, "is_pair_of_crests", lambda _: crests)
    assert view.is_from_front(spines.segmented(Spine(), "coarse")) is front


def test_how_bright_a_picture_is_says_nothing_of_its_pedicles() -> None:
    found = spines.segmented(Spine(), "coarse")
    brighter = replace(
        found,
        column=replace(found.column, image=7.0 * found.column.image),
        edges=replace(found.edges, bone=7.0 * found.edges.bone, soft=7.0 * found.edges.soft),
    )
    assert view._pedicles(brighter) == pytest.approx(view._pedicles(found), rel=1e-9)
    assert min(view._pedicles(found)) > view.PEDICLE


def test_the_package_is_light_until_a_function_is_asked_for() -> None:
    code = (
        "import sys\n"
        "from tbsnode import tbs\n"
        "import tbsnode.tbs.parameters, tbsnode.tbs.result\n"
        "heavy = {'numpy', 'scipy', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "for name in tbs.__all__:\n"
        "    assert getattr(tbs, name).__doc__, name\n"
        "assert 'measure' in dir(tbs)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    from tbsnode import tbs

    with pytest.raises(AttributeError):
        tbs.nothing  # noqa: B018


@pytest.mark.parametrize("scanner", ["fine", "coarse"])
def test_the_tips_of_the_wings_are_crests(scanner: str) -> None:
    """A narrow field that ends in the middle of L5 shows the corners of the wings and no more."""
    phantom = Spine(field_mm=(None, 120.0))
    found = spines.segmented(phantom, scanner)
    last = found.chain.s_mm[-1]
    tips = landmarks.crests(found)
    assert all(tip is not None and 0.0 < tip.top_mm - last < 22.0 for tip in tips)
    assert not all(tip is not None and tip.whole for tip in tips)
    names = labeling.label(found)
    assert names.first == 0
    assert not names.signs.crest_sure
    assert names.confidence > anatomy.LABELS_CERTAIN


def levels_of(found: Segmentation, per_level: tuple[float, ...]) -> Floats:
    """Return a profile along the axis: one value for each level of 30 mm, from 30 mm on, 1 elsewhere."""
    place = np.arange(found.edges.bone.size) * anatomy.GRID_MM
    along = np.ones(place.size)
    for number, value in enumerate(per_level):
        along[(place >= 30.0 * (number + 1)) & (place < 30.0 * (number + 2))] = value
    return along


def spaced(found: Segmentation, number: int) -> Segmentation:
    """Put so many discs at 30, 60, 90 ... mm."""
    discs = tuple(30.0 * (each + 1) for each in range(number))
    return replace(found, chain=replace(found.chain, s_mm=discs, slope=(0.0,) * number))


def test_widths_and_densities_are_those_of_the_four_levels() -> None:
    """By hand: levels just as they are in people rate 1; what is above, below or of L4 does not matter."""
    found = spaced(spines.segmented(Spine(), "linear"), 5)
    width = 15.0 * levels_of(found, anatomy.WIDTH_GROWTH)
    soft = np.full(width.size, 50.0)
    bone = soft + 100.0 * levels_of(found, (anatomy.DENSITY_L1, 0.9, 1.1, 3.0))
    edges = replace(found.edges, left=width, right=width, bone=bone, soft=soft)
    rated = labeling._ratings(replace(found, edges=edges), labeling.Signs(None, False, None), 0)
    assert (rated["shape"], rated["density"]) == pytest.approx((1.0, 1.0), abs=1e-3)
    darker = replace(edges, bone=soft + 100.0 * levels_of(found, (0.6, 0.9, 1.1, 3.0)))
    rated = labeling._ratings(replace(found, edges=darker), labeling.Signs(None, False, None), 0)
    assert rated["density"] == pytest.approx(anatomy.WEAK_CUE, abs=0.01)
    short = labeling._ratings(replace(spaced(found, 4), edges=edges), labeling.Signs(None, False, None), 0)
    assert (short["shape"], short["density"]) == (None, None), "the last level was not found"


@pytest.mark.parametrize(("levels_away", "agrees"), [(0.6, 1.0), (-0.6, 1.0), (0.7, 0.5), (-0.7, 0.5)])
def test_a_sign_that_is_two_thirds_of_a_level_away_halves_the_confidence(
    levels_away: float, agrees: float
) -> None:
    found = spaced(spines.segmented(Spine(), "linear"), 5)  # 30 mm a level, L4/L5 at 150 mm
    crest = 150.0 + anatomy.CREST_MM + 30.0 * levels_away
    rib = 30.0 + 30.0 * (labeling.RIB_ROOT + levels_away)
    assert labeling._agreement(found, labeling.Signs(crest, True, None), 0) == agrees
    assert labeling._agreement(found, labeling.Signs(None, False, rib), 0) == agrees
    assert labeling._agreement(found, labeling.Signs(crest, True, rib), 0) == agrees**2


def beside(found: Segmentation, shape: Callable[[Floats, Floats], Floats]) -> Segmentation:
    """Add something at both sides, given from millimeters above the lower border and beyond the edge."""
    step = float(np.median(found.edges.bone - found.edges.soft))
    up = (np.arange(found.column.image.shape[0])[::-1, None]) * anatomy.GRID_MM
    out = np.abs(found.column.u_mm)[None, :] - float(np.median(found.edges.half_width))
    added = 0.3 * step * np.where(out > 4.0, shape(up, out), 0.0)
    image = np.where(found.column.valid, found.column.image + added, 0.0)
    return replace(found, column=replace(found.column, image=image))


def test_a_faint_wing_is_told_from_tissue_and_processes_by_its_edge_and_place() -> None:
    found = spines.segmented(Spine(crests=False), "linear")
    wing = beside(found, lambda up, out: (up < 0.8 * (out - 14.0)) * 1.0)
    assert None not in landmarks.crests(wing)
    fat = beside(found, lambda up, out: np.clip(1.0 - up / 45.0, 0.0, 1.0) * np.clip(out / 40.0, 0.0, 1.0))
    assert landmarks.crests(fat) == (None, None)
    process = beside(found, lambda up, out: ((up < 9.0) & (out < 22.0)) * 1.0)
    assert landmarks.crests(process) == (None, None)


def test_bone_in_a_corner_touches_the_border_and_lies_where_no_process_does() -> None:
    """Blocks of 20 by 20 mm in a strip of 60 by 60 mm, drawn by hand: by where they lie."""
    rows = cols = round(60.0 / anatomy.GRID_MM)
    block = round(20.0 / anatomy.GRID_MM)
    beyond = np.arange(cols) >= cols - block

    def of(row: int, col: int) -> NDArray[np.bool_]:
        picture = np.zeros((rows, cols), dtype=bool)
        picture[row : row + block, col : col + block] = True
        return picture

    corner, low_beside, high_out = of(rows - block, cols - block), of(rows - block, 0), of(0, cols - block)
    kept = landmarks._corner(corner | low_beside | high_out, beyond, rows - 1)
    assert kept is not None
    assert (kept == corner).all()
    assert landmarks._corner(low_beside | high_out, beyond, rows - 1) is None


def test_the_ala_of_the_sacrum_is_no_crest() -> None:
    """Its outline falls outward, that of the iliac wing rises; it lies a level lower."""
    found = spines.segmented(Spine(crests=False), "linear")
    ala = beside(found, lambda up, out: (up < 24.0 - 0.5 * out) * 1.0)
    assert landmarks.crests(ala) == (None, None)


def test_a_lone_line_two_levels_below_the_ribs_is_no_rib() -> None:
    """Ribs leave one level after the other: what lies further below is a process, or gas."""
    found = spines.segmented(Spine(), "linear")
    left, right = landmarks.rib_roots(found)
    assert left is not None
    assert right is not None
    step, half = (
        float(np.median(found.edges.bone - found.edges.soft)),
        float(np.median(found.edges.half_width)),
    )
    rows = np.arange(found.column.image.shape[0])[:, None] * anatomy.GRID_MM
    out = found.column.u_mm[None, :] - half
    for below, taken in ((1.7, False), (1.0, True)):
        root = right + below * float(np.median(found.chain.pitches_mm))
        line = (np.abs(rows - root - 0.9 * out) < 3.0) & (out > 6.0) & (out < 45.0)
        column = replace(found.column, image=found.column.image + 0.15 * step * line)
        lower = landmarks.rib_roots(replace(found, column=column))[1]
        assert lower is not None
        assert (abs(lower - root) < 8.0) is taken


def test_a_rib_on_one_side_only_is_no_sure_sign() -> None:
    """With no crest beside it, the labels stay assumed."""
    found = spines.segmented(Spine(crests=False), "fine")
    left_only = replace(found, column=_without_right_side(found.column))
    assert landmarks.rib_roots(left_only)[1] is None
    names = labeling.label(left_only)
    assert names.signs.rib_mm is not None
    assert not names.signs.rib_sure
    assert names.assumed


def _without_right_side(column: Column) -> Column:
    """Take everything beyond 30 mm right of the axis for not scanned."""
    return replace(column, valid=column.valid & (column.u_mm < 30.0)[None, :])


def test_ribs_level_after_level_are_a_chest() -> None:
    found = spines.segmented(Spine(crests=False), "fine")
    assert not view.is_thoracic(found)
    image = found.column.image.copy()
    half, step = (
        float(np.median(found.edges.half_width)),
        float(np.median(found.edges.bone - found.edges.soft)),
    )
    across = np.abs(found.column.u_mm) - half
    rows = np.arange(image.shape[0])[:, None] * anatomy.GRID_MM
    for root in np.arange(10.0, 170.0, 30.0):
        near = np.abs(rows - (root + 0.45 * across)[None, :]) < 3.0
        image += 0.3 * step * (near & (across > 0)[None, :])
    assert view.is_thoracic(replace(found, column=replace(found.column, image=image)))
