"""What a physician may change about a measurement; the numbers are then computed again, never typed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tbsnode.errors import CorrectionError
from tbsnode.tbs.result import LABELS

if TYPE_CHECKING:
    from tbsnode.tbs.discs import Chain
    from tbsnode.tbs.scanner_regions import Judged
    from tbsnode.tbs.segmentation import Segmentation

DISCS = ("T12/L1", "L1/L2", "L2/L3", "L3/L4", "L4/L5")
REVIEWER = "reviewer"  # region source
PITCH_MIN_MM = 12.0  # two disc lines of an adult lie further apart, also around a collapsed vertebra


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """Changes to regions and labels of one picture.

    Attributes
    ----------
    exclude : tuple of str
        Levels left out by the reviewer.
    disc_rows : tuple of (str, float) pairs
        Disc line, of `DISCS`, and the row [pixels of the stored matrix] where it crosses the axis of the
        spine. Disc lines are named after the relabeling.
    shift : int
        Relabeling: ``+1`` moves every label one vertebra further down (what was called L2 is L1), as in
        `Alternative.shift`; ``-1`` one further up.

    Examples
    --------
    >>> bool(Corrections()), bool(Corrections(exclude=("L3",)))
    (False, True)
    """

    exclude: tuple[str, ...] = ()
    disc_rows: tuple[tuple[str, float], ...] = field(default_factory=tuple)
    shift: int = 0

    def __bool__(self) -> bool:
        """Tell whether anything is changed."""
        return bool(self.exclude or self.disc_rows or self.shift)


def corrected(judged: Judged, corrections: Corrections) -> Judged:
    """Apply relabeling and moved disc lines to labeled levels.

    Parameters
    ----------
    judged : Judged
        What was found, with the labels that software or scanner give.
    corrections : Corrections
        Of the reviewer.

    Returns
    -------
    Judged
        With the reviewer as the source of regions, and labels that are no longer in doubt once they were
        given by a person.

    Raises
    ------
    CorrectionError
        If a name is none, a row lies outside the spine, or discs would cross.
    """
    _check_names(corrections)
    if not (corrections.shift or corrections.disc_rows):
        return judged
    first = judged.first + corrections.shift
    count = len(judged.found.chain.s_mm)
    if first < -1 or first + len(LABELS) > count:
        raise CorrectionError(
            f"Labels moved by {corrections.shift:+d} would leave the vertebrae that are seen.",
            remedy="Move them by +1 or -1, or choose another image.",
        )
    found = judged.found
    if corrections.disc_rows:
        chain, first = _with_lines(found, first, dict(corrections.disc_rows))
        found = replace(found, chain=chain)
    sure = bool(corrections.shift)
    return replace(
        judged,
        found=found,
        first=first,
        confidence=1.0 if sure else judged.confidence,
        difference=() if sure else judged.difference,
        region_source=REVIEWER,
    )


def _check_names(corrections: Corrections) -> None:
    for level in corrections.exclude:
        if level not in LABELS:
            raise CorrectionError(f"{level} is no level.", remedy=f"Levels: {', '.join(LABELS)}.")
    for disc, _ in corrections.disc_rows:
        if disc not in DISCS:
            raise CorrectionError(f"{disc} is no disc line.", remedy=f"Disc lines: {', '.join(DISCS)}.")


def _with_lines(found: Segmentation, first: int, rows: dict[str, float]) -> tuple[Chain, int]:
    """Return the chain with moved lines, and the index of T12/L1 in it."""
    from tbsnode.tbs import labeling  # it imports what imports this

    chain = found.chain
    places = {index: (chain.s_mm[index], chain.slope[index]) for index in range(len(chain.s_mm))}
    names = {first + number: disc for number, disc in enumerate(DISCS)}
    for index, disc in names.items():
        if disc in rows:
            places[index] = _on_axis(found, disc, rows[disc]), places.get(index, (0.0, 0.0))[1]
    seen = {
        index: places[index][0] if index in places else labeling.disc_place(found, index) for index in names
    }
    for above, below in pairwise(names):
        _check_apart(names[above], names[below], seen[below] - seen[above])
    order = sorted(places)
    moved = replace(
        chain,
        s_mm=tuple(places[index][0] for index in order),
        slope=tuple(places[index][1] for index in order),
    )
    return moved, order.index(first) if first in places else first


def _check_apart(above: str, below: str, distance_mm: float) -> None:
    if distance_mm < PITCH_MIN_MM:
        raise CorrectionError(
            f"{above} and {below} would lie {distance_mm:.0f} mm apart.",
            remedy=f"Keep disc lines at least {PITCH_MIN_MM:.0f} mm from each other, in their order.",
        )


def _on_axis(found: Segmentation, disc: str, row: float) -> float:
    """Return the place along the axis where it crosses a row of the stored matrix."""
    import numpy as np

    from tbsnode.tbs import anatomy

    column = found.column
    s_mm = np.arange(column.y.size, dtype=np.float64) * anatomy.GRID_MM
    rows, _ = column.stored(s_mm, np.zeros_like(s_mm))
    if not (np.isfinite(row) and rows[0] <= row <= rows[-1]):
        raise CorrectionError(
            f"Row {row:g} for {disc} lies outside the spine.",
            remedy=f"The axis runs from row {np.ceil(rows[0]):.0f} to row {np.floor(rows[-1]):.0f}.",
        )
    return float(np.interp(row, rows, s_mm))
