"""What a site knows of a scanner and its images do not say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerHints:
    """What the configuration says about the scanner of an image.

    Attributes
    ----------
    linear : bool
        True if this scanner is known to export pixels that are linear in areal density.
    pixel_spacing_mm : tuple of float or None
        (row, column) spacing, used where the header states none.
    """

    linear: bool = False
    pixel_spacing_mm: tuple[float, float] | None = None
