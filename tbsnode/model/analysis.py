"""The result of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbsnode.model.clinical import ClinicalContext
from tbsnode.model.densitometry import PageOrigin, ScannerResults, SourcedSite
from tbsnode.model.follow_up import FollowUp
from tbsnode.model.image import InstanceIdentity
from tbsnode.model.states import AnalysisStatus, InputClass
from tbsnode.reasons import Finding
from tbsnode.tbs.bone_density import BmdDiagnosis
from tbsnode.tbs.frax import Adjustment
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
    calibration_kind : str
        How the calibration behind `tbs` was made, ``"paired"`` or ``"transfer"``; empty without one.
    site_percentile, site_z : float or None
        Place of `score` among the site's own adults (calibration of kind ``reference``).
    votes, statistics, region_source
        As in `tbs.result.SpineMeasurement`.
    densitometry : ScannerResults or None
        The scanner's own results of the reported picture's examination.
    other_densitometry : tuple of ScannerResults
        Further results of the study: other sites, each with its source.
    bmd_diagnosis : BmdDiagnosis or None
        What the densities say; None where none is known.
    clinical : ClinicalContext or None
        What was declared and imported.
    frax : Adjustment or None
        The supplied probability adjusted for `tbs`, or why not; None where none was supplied or the
        adjustment is off.
    follow_up : FollowUp or None
        Earlier examinations; None where none was looked for.
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
    other_densitometry: tuple[ScannerResults, ...] = ()
    bmd_diagnosis: BmdDiagnosis | None = None
    clinical: ClinicalContext | None = None
    frax: Adjustment | None = None
    follow_up: FollowUp | None = None
    page: PageOrigin | None = None
    research: bool = False
    provisional: Provisional | None = None
    calibration_kind: str = ""

    @property
    def included(self) -> tuple[str, ...]:
        """Labels that count in the total."""
        return tuple(v.label for v in self.vertebrae if v.included)

    def stored_region(self, vertebra: Vertebra) -> tuple[tuple[float, float], ...]:
        """Return a level's ring on the matrix that the instance stores: for a page, on the page."""
        return vertebra.region if self.page is None else self.page.on_page(vertebra.region)

    @property
    def bone_densities(self) -> tuple[SourcedSite, ...]:
        """Every site's result once, with its source: the scanner's before what was imported."""
        imported = self.clinical.densitometry if self.clinical else None
        found: dict[tuple[str, str], SourcedSite] = {}
        for results in (self.densitometry, *self.other_densitometry, imported):
            for site in results.sites if results else ():
                sourced = SourcedSite(result=site, source=results.source if results else "", results=results)
                found.setdefault((site.site, site.side), sourced)
        return tuple(found.values())
