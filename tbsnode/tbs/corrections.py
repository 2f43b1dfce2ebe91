"""What a physician may change about a measurement; the numbers are then computed again, never typed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """Changes to regions and labels of one picture.

    Attributes
    ----------
    exclude : tuple of str
        Levels left out by the reviewer.
    disc_rows : tuple of (str, float) pairs
        Disc line and the row [pixels of the stored matrix] where it crosses the axis of the spine:
        ``"T12/L1"``, ``"L1/L2"``, ``"L2/L3"``, ``"L3/L4"``, ``"L4/L5"``.
    shift : int
        Relabeling: ``+1`` names each vertebra one level lower (what was L1 is L2), ``-1`` one higher.

    Examples
    --------
    >>> bool(Corrections()), bool(Corrections(exclude=("L3",)))
    (False, True)
    """

    exclude: tuple[str, ...] = ()
    disc_rows: tuple[tuple[str, float], ...] = ()
    shift: int = 0

    def __bool__(self) -> bool:
        """Tell whether anything is changed."""
        return bool(self.exclude or self.disc_rows or self.shift)
