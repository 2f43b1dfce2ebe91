"""The result of one image, and all that one result set states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tbsnode.model.densitometry import PageOrigin, ScannerResults
from tbsnode.model.image import InstanceIdentity
from tbsnode.model.network import Reference
from tbsnode.model.states import AnalysisStatus, InputClass
from tbsnode.reasons import Finding
from tbsnode.tbs.result import Alternative, ImageStatistics, Vertebra, Vote

if TYPE_CHECKING:
    from tbsnode.tbs.parameters import Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """What a calibration file gives outside the node: for research only, and never a TBS of a report.

    Attributes
    ----------
    tbs, see : float or None
        The calibrated value and its standard error of estimate; None where the calibration does not
        hold for the image.
    category : str or None
        Texture class of `tbs`; None where it is borderline or none may be given.
    borderline : tuple of str
        The classes that `tbs` -+ `see` touches, where more than one.
    threshold_set : str
        Which cut-offs.
    calibration : str
        Name of the calibration.
    findings : tuple of Finding
        Why there is no value or class, and what makes it doubtful.
    """

    tbs: float | None = None
    see: float | None = None
    category: str | None = None
    borderline: tuple[str, ...] = ()
    threshold_set: str = ""
    calibration: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The result of one image under given parameters and version.

    `score` is the texture slope TEXSLOPE; `tbs` the calibrated Trabecular Bone Score, None unless
    a calibration applied. They are two concepts and never share a name.

    Attributes
    ----------
    tbs_see : float or None
        Standard error of estimate of `tbs`, from the calibration.
    borderline : tuple of str
        The categories that `tbs` -+ `tbs_see` touches, where more than one.
    threshold_set : str
        Which cut-offs `category` rests on.
    reference : str
        Which reference curve `z_score` rests on.
    site_percentile, site_z : float or None
        Place of `score` among the site's own adults (calibration of kind ``reference``).
    votes, statistics, region_source
        As in `tbs.result.SpineMeasurement`.
    densitometry : ScannerResults or None
        The scanner's own results of the study.
    page : PageOrigin or None
        Where the picture was cut out of a report page.
    research : bool
        True where provisional interpretation was asked for outside the node (``analyze --research``).
    provisional : Provisional or None
        Its answer for a scored image; `tbs` and `category` stay None.
    """

    status: AnalysisStatus
    reason: Finding | None
    identity: InstanceIdentity | None
    frame: int
    image_sha256: str
    data_set_sha256: str
    input_class: InputClass | None
    pixel_spacing_mm: tuple[float, float] | None
    spacing_source: str
    label_confidence: float | None
    alternative: Alternative | None
    vertebrae: tuple[Vertebra, ...]
    score: float | None
    standard_error: float | None
    native_score: float | None
    tbs: float | None
    z_score: float | None
    category: str | None
    calibration: str | None
    findings: tuple[Finding, ...]
    parameters: Parameters
    version: str
    tbs_see: float | None = None
    borderline: tuple[str, ...] = ()
    threshold_set: str = ""
    reference: str = ""
    site_percentile: float | None = None
    site_z: float | None = None
    votes: tuple[Vote, ...] = ()
    statistics: ImageStatistics | None = None
    region_source: str = "tbsnode"
    densitometry: ScannerResults | None = None
    page: PageOrigin | None = None
    research: bool = False
    provisional: Provisional | None = None

    @property
    def included(self) -> tuple[str, ...]:
        """Labels that count in the total."""
        return tuple(v.label for v in self.vertebrae if v.included)

    def stored_region(self, vertebra: Vertebra) -> tuple[tuple[float, float], ...]:
        """Return a level's ring on the matrix that the instance stores: for a page, on the page."""
        return vertebra.region if self.page is None else self.page.on_page(vertebra.region)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made a result, with what, and when it was committed.

    Attributes
    ----------
    version : str
        Software version of tbsnode.
    device_uid : str
        Device Observer UID, stable for an installation.
    station : str
        AE title of the node.
    serial_number : str
        Identifier of this installation.
    content_at : datetime
        Aware; the time committed with the generation, so that a rerun makes the same bytes.
    """

    version: str
    device_uid: str
    station: str
    serial_number: str
    content_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that one result set states: the single source of SR, PDF and overlay.

    Attributes
    ----------
    analysis : Analysis
        The reported image's result (scored or refused).
    source : Reference
        The reported image.
    others : tuple of Analysis
        Further spines of the study, scored and not reported.
    provenance : Provenance
        Version and time; left out of `content_digest`.
    result_digest : str
        SHA-256 hex of everything stated, version and time included.
    simulated : bool
        True for the demonstration's scanner: marked SIMULATED on every page.
    """

    analysis: Analysis
    source: Reference
    others: tuple[Analysis, ...]
    provenance: Provenance
    result_digest: str
    simulated: bool = False
