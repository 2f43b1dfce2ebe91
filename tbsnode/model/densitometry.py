"""What the scanner itself measured: bone mineral density by site, and where it drew its regions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# field -> smallest and largest value that is no misprint; one vertebra to a whole skeleton
LIMITS = {
    "area_cm2": (0.01, 5000.0),
    "bmc_g": (0.01, 10000.0),
    "bmd_g_cm2": (0.01, 6.0),
    "t_score": (-15.0, 15.0),
    "z_score": (-15.0, 15.0),
    "height_mm": (1.0, 400.0),
}

_SUM = re.compile(r"L[1-4]-L[2-4]")
_IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteResult:
    """The scanner's result of one site.

    Attributes
    ----------
    site : str
        ``"L1"`` .. ``"L4"``, a sum such as ``"L1-L4"``, ``"total_hip"``, ``"femoral_neck"``,
        ``"one_third_radius"``.
    side : str
        ``"left"``, ``"right"`` or empty.
    area_cm2, bmc_g, bmd_g_cm2, t_score, z_score, height_mm : float or None
        As the scanner states them; never recomputed.
    """

    site: str
    side: str = ""
    area_cm2: float | None = None
    bmc_g: float | None = None
    bmd_g_cm2: float | None = None
    t_score: float | None = None
    z_score: float | None = None
    height_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerResults:
    """A set of the scanner's results, with where they were read.

    Attributes
    ----------
    sites : tuple of SiteResult
        One a site.
    source : str
        ``"private results text"``, ``"structured report"`` or ``"import"``.
    sop_instance_uid : str
        The instance that states them; empty for an import.
    reference : str
        The scanner's reference population, where it names one.
    sop_class_uid, series_instance_uid : str
        Class and series of that instance, so that a document can refer to it; empty where not known.
    """

    sites: tuple[SiteResult, ...]
    source: str
    sop_instance_uid: str = ""
    reference: str = ""
    sop_class_uid: str = ""
    series_instance_uid: str = ""

    def site(self, name: str) -> SiteResult | None:
        """Return the result of a site, None where there is none."""
        return next((each for each in self.sites if each.site == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcedSite:
    """One site's result and where it was read.

    Attributes
    ----------
    result : SiteResult
        As it was stated.
    source : str
        As in `ScannerResults`.
    results : ScannerResults or None
        The set that it belongs to.
    """

    result: SiteResult
    source: str
    results: ScannerResults | None = None


def spine_of(densities: Sequence[SourcedSite]) -> SourcedSite | None:
    """Return the sum of levels that stands for the spine, None where none is stated.

    L1-L4, or where levels were left out the longest sum that there is, of two the lower one; one with
    scores goes before one without, and what the scanner states before what was imported, because it
    knows which levels were left out.

    Examples
    --------
    >>> stated = [("L1-L2", "text"), ("L2-L4", "text"), ("L1-L3", "text"), ("L1-L4", "import")]
    >>> made = [SourcedSite(result=SiteResult(site=site), source=source) for site, source in stated]
    >>> spine_of(made).result.site
    'L2-L4'
    """
    sums = [each for each in densities if _SUM.fullmatch(each.result.site)]
    return max(sums, key=_standing, default=None)


def _standing(each: SourcedSite) -> tuple[bool, bool, int, int]:
    scored = each.result.t_score is not None or each.result.z_score is not None
    first, last = int(each.result.site[1]), int(each.result.site[4])
    return scored, each.source != _IMPORT, last - first, last


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOrigin:
    """Where a picture that was cut out of a report page lies on it.

    Attributes
    ----------
    row, column : int
        Place of the cut-out's first pixel on the page.
    scale : int
        Page pixels along one side of a picture pixel.
    inverted : bool
        True where the page shows bone dark.
    found_by : str
        ``"private text"`` or ``"content"``.
    """

    row: int
    column: int
    scale: int
    inverted: bool
    found_by: str

    def on_page(self, ring: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
        """Turn places on the cut-out picture into places on the page, pixel centers at integers.

        Parameters
        ----------
        ring : iterable of (row, column) pairs
            On the picture.

        Examples
        --------
        >>> PageOrigin(row=300, column=90, scale=2, inverted=False, found_by="content").on_page([(0.0, 1.0)])
        ((300.5, 92.5),)
        """
        middle = (self.scale - 1) / 2
        return tuple(
            (self.row + self.scale * row + middle, self.column + self.scale * column + middle)
            for row, column in ring
        )

    def on_picture_row(self, row: float) -> float:
        """Turn a row of the page into a row of the cut-out picture, the inverse of `on_page`.

        Examples
        --------
        >>> PageOrigin(row=300, column=90, scale=2, inverted=False, found_by="content").on_picture_row(300.5)
        0.0
        """
        return (row - self.row - (self.scale - 1) / 2) / self.scale
