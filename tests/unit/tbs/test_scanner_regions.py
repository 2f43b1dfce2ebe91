"""The scanner's own regions: taken over where they can be read, and the judge of our labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbsnode.phantom.spine import Spine
from tbsnode.tbs import scanner_regions, spine
from tbsnode.tbs.result import LABELS, ScannerRegions, SpineMeasurement
from tests import spines

TILTED = Spine(cobb_deg=12.0, tilt_deg=3.0)


def drawn(
    phantom: Spine, scanner: str, *, moved: int = 0, outlines: bool = True, lines: bool = True
) -> ScannerRegions:
    """Return what a technologist drew: the truth, or every label one vertebra further down."""
    image, truth = spines.scanned(phantom, scanner)
    known = {line.name: line for line in truth.disc_lines}
    names = ["T12", "L1", "L2", "L3", "L4", "L5"]
    real = [names[names.index(label) + moved] for label in LABELS]
    ends = [
        image.to_pixels(np.array([known[name].left_mm, known[name].right_mm]))
        for name in spines.DISCS[moved:]
    ]
    rings = [image.to_pixels(truth.level(label).ring_mm) for label in real]
    return ScannerRegions(
        lines=tuple((tuple(a), tuple(b)) for a, b in ends) if lines else (),
        labels=LABELS[: len(ends) - 1] if lines else (),
        outlines=tuple((label, tuple(map(tuple, ring))) for label, ring in zip(LABELS, rings, strict=True))
        if outlines
        else (),
        source="page lines",
    )


def codes(measured: SpineMeasurement) -> set[str]:
    return {finding.code.value for finding in measured.findings}


def measured_with(phantom: Spine, scanner: str, regions: ScannerRegions | None) -> SpineMeasurement:
    return spine.measure(replace(spines.picture(phantom, scanner), regions=regions))


def test_places_go_to_the_axis_and_back() -> None:
    column = spines.segmented(TILTED, "oblong").column
    s, u = np.array([12.5, 60.0, 133.25]), np.array([-25.0, 0.0, 31.5])
    rows, columns = column.stored(s, u)
    back = scanner_regions.on_axis(column, rows, columns)
    assert back[0] == pytest.approx(s, abs=0.05)
    assert back[1] == pytest.approx(u, abs=0.05)


@pytest.mark.parametrize("scanner", ["coarse", "oblong"])
@pytest.mark.parametrize("kind", ["both", "lines", "outlines"])
def test_regions_that_agree_are_measured(scanner: str, kind: str) -> None:
    regions = drawn(TILTED, scanner, outlines=kind != "lines", lines=kind != "outlines")
    ours, theirs = measured_with(TILTED, scanner, None), measured_with(TILTED, scanner, regions)
    assert ours.region_source == "tbsnode"
    assert theirs.region_source == "scanner"
    assert "LEVELS_DISAGREE_WITH_SCANNER" not in codes(theirs)
    assert theirs.label_confidence == ours.label_confidence
    assert [vote.shift for vote in theirs.votes if vote.cue == "scanner"] == [0]
    errors = spines.boundary_errors_mm(theirs, TILTED, scanner)
    before = spines.boundary_errors_mm(ours, TILTED, scanner)
    assert np.percentile(errors, 95) < 2.5
    assert errors.mean() <= before.mean() + 0.05
    # lines move, lateral edges stay: a page scores as the same picture sent as a copy
    assert theirs.score == pytest.approx(ours.score, abs=0.01)


def test_an_edge_beyond_the_scanners_outline_is_brought_back() -> None:
    regions = drawn(Spine(), "coarse")
    middle = np.mean([column for _, ring in regions.outlines for _, column in ring])
    narrow = tuple(
        (label, tuple((row, middle + 0.8 * (column - middle)) for row, column in ring))
        for label, ring in regions.outlines
    )
    wide, thin = (
        measured_with(Spine(), "coarse", each) for each in (regions, replace(regions, outlines=narrow))
    )
    for one, other in zip(wide.vertebrae, thin.vertebrae, strict=True):
        assert other.area_mm2 == pytest.approx(0.8 * one.area_mm2, rel=0.06)


def test_labels_one_vertebra_down_are_reported_as_the_scanner_has_them_and_doubted() -> None:
    ours, theirs = (
        measured_with(Spine(), "coarse", regions) for regions in (None, drawn(Spine(), "coarse", moved=1))
    )
    assert ours.label_confidence > 0.8
    assert {"LEVELS_DISAGREE_WITH_SCANNER", "LEVELS_UNCERTAIN"} <= codes(theirs)
    assert theirs.label_confidence <= 0.5
    # the scanner's L1 is our L2
    places = [np.mean([row for row, _ in v.region]) for v in ours.vertebrae]
    assert np.mean([row for row, _ in theirs.vertebrae[0].region]) == pytest.approx(places[1], abs=3.0)
    # and our labels lie one vertebra further up, with the score that we would have given
    assert theirs.alternative is not None
    assert theirs.alternative.shift == -1
    assert theirs.alternative.score == pytest.approx(ours.score, abs=0.03)
    votes = {vote.cue: vote.shift for vote in theirs.votes}
    assert votes["scanner"] == 0
    assert votes["crests"] == -1


def test_lines_half_a_level_off_are_no_agreement() -> None:
    regions = drawn(Spine(), "coarse", outlines=False)
    half = 0.45 * (regions.lines[1][0][0] - regions.lines[0][0][0])
    moved = tuple(tuple((row + half, column) for row, column in line) for line in regions.lines)
    theirs = measured_with(Spine(), "coarse", replace(regions, lines=moved))
    assert "LEVELS_DISAGREE_WITH_SCANNER" in codes(theirs)


def stated(phantom: Spine, scanner: str, moved: int = 0, scale: float = 1.0) -> ScannerRegions:
    """Return a results table: the true areas, or those of the vertebrae one further down."""
    _, truth = spines.scanned(phantom, scanner)
    names = ["L1", "L2", "L3", "L4", "L5"]
    real = [truth.level(names[names.index(label) + moved]) for label in LABELS]
    areas = [(label, scale * level.area_mm2) for label, level in zip(LABELS, real, strict=True)]
    return ScannerRegions(areas_mm2=tuple(areas), source="results table")


# a spine that widens clearly, so that a table one level off can be told
WIDENING = Spine(disc_height=0.25)


def test_a_table_that_fits_is_no_reason_to_doubt() -> None:
    ours = measured_with(WIDENING, "coarse", None)
    theirs = measured_with(WIDENING, "coarse", stated(WIDENING, "coarse"))
    assert theirs.region_source == "tbsnode"
    assert theirs.vertebrae == ours.vertebrae
    assert codes(theirs) == codes(ours)
    assert theirs.votes[-1].cue == "scanner"
    assert theirs.votes[-1].shift == 0


def test_a_table_of_the_vertebrae_one_further_down_is_told() -> None:
    ours = measured_with(WIDENING, "coarse", None)
    theirs = measured_with(WIDENING, "coarse", stated(WIDENING, "coarse", moved=1))
    assert theirs.region_source == "tbsnode"
    assert theirs.vertebrae == ours.vertebrae
    assert "LEVELS_DISAGREE_WITH_SCANNER" in codes(theirs)
    assert theirs.label_confidence <= 0.5
    assert theirs.alternative is not None
    assert theirs.alternative.shift == 1
    assert theirs.votes[-1].shift == 1


@pytest.mark.parametrize(("moved", "told"), [(0, False), (1, True)])
@pytest.mark.parametrize("scale", [0.9, 1.1])
def test_only_the_pattern_of_the_areas_counts(moved: int, told: bool, scale: float) -> None:
    """Another vendor's edge makes all areas larger by a factor, which is no other vertebra."""
    regions = stated(WIDENING, "coarse", moved, scale)
    theirs = measured_with(WIDENING, "coarse", regions)
    assert ("LEVELS_DISAGREE_WITH_SCANNER" in codes(theirs)) == told


def test_too_few_areas_say_nothing() -> None:
    regions = stated(WIDENING, "coarse")
    few = replace(regions, areas_mm2=regions.areas_mm2[:2])
    assert measured_with(WIDENING, "coarse", few) == measured_with(WIDENING, "coarse", None)


def test_blocked_pixels_neither_move_a_ring_nor_enter_a_score() -> None:
    taken = spines.picture(Spine(), "coarse")
    plain = spine.measure(taken)
    blocked = np.zeros(taken.pixels.shape, dtype=bool)
    blocked[::40, :] = True
    ink = [np.where(blocked, value, taken.pixels) for value in (255.0, 0.0)]
    white, black = (spine.measure(replace(taken, pixels=pixels, blocked=blocked)) for pixels in ink)
    assert white == black
    assert white.score == pytest.approx(plain.score, abs=0.02)
    for vertebra, before in zip(white.vertebrae, plain.vertebrae, strict=True):
        assert vertebra.pairs < before.pairs
