"""Image to result: what the picture gives, under given parameters, in one frozen `Analysis`.

Bad input never raises here: it becomes a refused, not applicable or erroneous result with a coded
reason, because every image that anybody gives must end in an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tbsnode import __version__
from tbsnode.dicom import identity as dicom_identity
from tbsnode.dicom import image as dicom_image
from tbsnode.dicom import part10
from tbsnode.dicom.hints import ScannerHints
from tbsnode.errors import AnalysisError, InstanceError
from tbsnode.model import (
    Analysis,
    AnalysisStatus,
    Claim,
    Corrections,
    DensitometryImage,
    InputClass,
    InstanceIdentity,
)
from tbsnode.pipeline.interpret import Interpreting, diagnosis_of, interpreted
from tbsnode.reasons import Code, Finding, Severity
from tbsnode.tbs import declared, quality, spine
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.result import LABELS, ScannerRegions

if TYPE_CHECKING:
    from pathlib import Path

    from tbsnode.model import ClinicalContext, ScannerResults
    from tbsnode.pipeline.site import HintRule
    from tbsnode.tbs.result import SpineMeasurement

# A picture that is plainly not a lumbar spine is no failure where nobody said that it was one.
_NOT_A_SPINE = (Code.NO_SPINE_FOUND, Code.WRONG_VIEW)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSettings:
    """What an analysis depends on besides the image.

    Attributes
    ----------
    parameters : Parameters
        Region and estimator.
    hint_rules : tuple of HintRule
        What the site knows of its scanners.
    interpreting : Interpreting
        Calibrations, cut-offs and reference curve.
    clinical : ClinicalContext or None
        What was declared for the examination.
    corrections : Corrections
        What a reviewer changed about regions and labels of `corrected_image`.
    corrected_image : str
        SOP Instance UID of the image that the corrections are for.
    version : str
        Software version stated in the result.
    made_at : datetime
        Aware; the time that written files state. No part of the number.
    """

    parameters: Parameters = field(default_factory=Parameters)
    hint_rules: tuple[HintRule, ...] = ()
    interpreting: Interpreting = field(default_factory=Interpreting)
    clinical: ClinicalContext | None = None
    corrections: Corrections = field(default_factory=Corrections)
    corrected_image: str = ""
    version: str = __version__
    made_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def hints_for(self, identity: InstanceIdentity) -> ScannerHints:
        """Return what the site knows of the scanner of an instance; the first rule counts."""
        for rule in self.hint_rules:
            if rule.matches(identity.scanner):
                return rule.hints
        return ScannerHints()


@dataclass(frozen=True, eq=False, kw_only=True)
class FileResult:
    """The result of one image of a file.

    Attributes
    ----------
    path : Path
        The file.
    analysis : Analysis
        Its result.
    image : DensitometryImage or None
        The picture, None where there is none to show.
    """

    path: Path
    analysis: Analysis
    image: DensitometryImage | None = None


def analyze_file(path: Path, settings: AnalysisSettings) -> tuple[FileResult, ...]:
    """Analyze every frame of a file; every path given yields a result.

    Parameters
    ----------
    path : Path
        Any file.
    settings : AnalysisSettings
        Parameters and hints.

    Returns
    -------
    tuple of FileResult
        At least one. A file that is not DICOM is refused `NOT_DICOM`; an object without pixels is
        not applicable.
    """
    if not part10.is_part10(path):
        return (FileResult(path=path, analysis=_without_image(Code.NOT_DICOM, settings)),)
    try:
        identity = dicom_identity.read_identity(path)
        if identity.made_by_tbsnode:
            return (FileResult(path=path, analysis=_without_image(Code.OWN_RESULT, settings, identity)),)
        if not identity.is_image:
            return (FileResult(path=path, analysis=_without_image(Code.NO_IMAGE, settings, identity)),)
        images = dicom_image.read_images(path, hints=settings.hints_for(identity))
    except InstanceError as error:
        finding = Finding(Code.UNREADABLE_PIXELS, values=(("detail", error.message),))
        return (FileResult(path=path, analysis=_empty(finding, AnalysisStatus.ERROR, settings)),)
    return tuple(_alone(path, image, settings) for image in images)


def _alone(path: Path, image: DensitometryImage, settings: AnalysisSettings) -> FileResult:
    """Analyze a picture whose study is not at hand: its own densities are all that is known."""
    found = analyze_image(image, settings)
    found = replace(found, bmd_diagnosis=diagnosis_of(found))
    return FileResult(path=path, analysis=found, image=image)


def failed(settings: AnalysisSettings) -> Analysis:
    """Return the result of a file whose analysis broke off by a fault of ours."""
    return _empty(None, AnalysisStatus.ERROR, settings)


def analyze_image(
    image: DensitometryImage, settings: AnalysisSettings, stated: ScannerResults | None = None
) -> Analysis:
    """Measure one picture, or say why no number may be given.

    Parameters
    ----------
    image : DensitometryImage
        As `dicom.image` read it.
    settings : AnalysisSettings
        Parameters and version.
    stated : ScannerResults, optional
        The scanner's results of the examination, for a picture that states none itself.

    Returns
    -------
    Analysis
        Scored, refused, or not applicable (nothing says or shows that it is an AP spine).
    """
    if image.identity.claim is Claim.OTHER:
        return _outcome(image, settings, Finding(Code.NOT_AP_SPINE), AnalysisStatus.NOT_APPLICABLE)
    image = _with_results(image, stated)
    declarations = _declared(image.identity)
    try:
        measured = (
            None if image.refusal else _measure(image, settings.parameters, _corrections(image, settings))
        )
    except AnalysisError as error:
        image = replace(image, findings=(*image.findings, *error.behind))
        return _refused(image, settings, error.finding)
    if measured is None:
        assert image.refusal is not None
        return _refused(image, settings, image.refusal)
    forbidding = next((f for f in declarations if f.severity is Severity.FAIL), None)
    if forbidding is not None:
        return _outcome(image, settings, forbidding, AnalysisStatus.REFUSED)
    return _scored(image, settings, measured, declarations)


def _declared(identity: InstanceIdentity) -> tuple[Finding, ...]:
    """Judge what the header says of the patient: age, sex, size, contrast medium, position, part."""
    who = identity.demographics
    return (
        *quality.patient_findings(
            age_years=who.age_years,
            sex=who.sex,
            bmi=who.bmi,
            has_size=who.height_m is not None and who.weight_kg is not None,
        ),
        *declared.body_findings(identity.body_declarations),
        *declared.position_findings(identity.patient_orientation),
        *declared.part_findings(dicom_identity.other_body_part(identity.body_part_examined)),
    )


def _with_results(image: DensitometryImage, stated: ScannerResults | None) -> DensitometryImage:
    """Give a picture the scanner's results, and their areas and heights as judge of its levels."""
    results = image.results or stated
    if results is None:
        return image
    regions = image.regions
    if regions is None:
        levels = [each for each in results.sites if each.site in LABELS]
        regions = ScannerRegions(
            areas_mm2=tuple((each.site, 100.0 * each.area_cm2) for each in levels if each.area_cm2),
            heights_mm=tuple((each.site, each.height_mm) for each in levels if each.height_mm),
            source="results table",
        )
    return replace(image, results=results, regions=regions)


def _corrections(image: DensitometryImage, settings: AnalysisSettings) -> Corrections:
    """Return what a reviewer changed about this picture, rows as on the picture; a page has its own."""
    if image.identity.sop_instance_uid != settings.corrected_image:
        return Corrections()
    if image.page is None:
        return settings.corrections
    rows = tuple((disc, image.page.on_picture_row(row)) for disc, row in settings.corrections.disc_rows)
    return replace(settings.corrections, disc_rows=rows)


def _measure(
    image: DensitometryImage, parameters: Parameters, corrections: Corrections | None = None
) -> SpineMeasurement:
    assert image.pixel_spacing_mm is not None
    picture = spine.Picture(
        pixels=image.pixels,
        pixel_spacing_mm=image.pixel_spacing_mm,
        padding_value=image.padding_value,
        stored_maximum=image.stored_maximum,
        spacing_needs_check=image.spacing_needs_check,
        blocked=image.blocked,
        regions=image.regions,
    )
    return spine.measure(picture, parameters, corrections)


def _refused(image: DensitometryImage, settings: AnalysisSettings, finding: Finding) -> Analysis:
    """Refuse where the header or the picture claims a spine; else it is nothing to us."""
    silent = image.identity.claim is Claim.SILENT
    if silent and (finding.code in _NOT_A_SPINE or not _pictures_a_spine(image, settings, finding)):
        return _outcome(image, settings, Finding(Code.NOT_AP_SPINE), AnalysisStatus.NOT_APPLICABLE)
    if finding.code is Code.IMPLAUSIBLE_PIXEL_SPACING:  # then it was derived, and found wrong
        kept = tuple(f for f in image.findings if f.code is not Code.DERIVED_PIXEL_SPACING)
        image = replace(image, findings=kept)
    return _outcome(image, settings, finding, AnalysisStatus.REFUSED)


def _pictures_a_spine(image: DensitometryImage, settings: AnalysisSettings, finding: Finding) -> bool:
    """Look at the picture of an image that was refused for other reasons than the picture."""
    if image.refusal is None:
        return finding.code is not Code.IMPLAUSIBLE_PIXEL_SPACING
    if image.input_class is InputClass.PAGE or image.pixels.size == 0:
        return False
    if image.pixel_spacing_mm is None:  # what is missing is said of a spine, whatever the header leaves out
        return spine.pictures_a_spine(image.pixels, image.padding_value)
    try:
        _measure(image, settings.parameters)
    except AnalysisError as error:
        return error.code not in (*_NOT_A_SPINE, Code.IMPLAUSIBLE_PIXEL_SPACING)
    return True


def _scored(
    image: DensitometryImage,
    settings: AnalysisSettings,
    measured: SpineMeasurement,
    declarations: tuple[Finding, ...],
) -> Analysis:
    excluded = tuple(
        Finding(Code.LEVEL_EXCLUDED, vertebra=v.label, values=(("reason", v.excluded.code.value),))
        for v in measured.vertebrae
        if v.excluded is not None
    )
    blank = _outcome(image, settings, None, AnalysisStatus.SCORED)
    scored = replace(
        blank,
        clinical=settings.clinical,
        label_confidence=measured.label_confidence,
        alternative=measured.alternative,
        vertebrae=measured.vertebrae,
        score=measured.score,
        standard_error=measured.standard_error,
        native_score=measured.native_score,
        votes=measured.votes,
        statistics=measured.statistics,
        region_source=measured.region_source,
        findings=(
            *_corrected(image, settings),
            *image.findings,
            *measured.findings,
            *excluded,
            *_steps(image, measured),
            *declarations,
        ),
    )
    return interpreted(scored, settings.interpreting)


def _corrected(image: DensitometryImage, settings: AnalysisSettings) -> tuple[Finding, ...]:
    """Say what a reviewer changed, in the rows of the stored matrix."""
    if image.identity.sop_instance_uid != settings.corrected_image or not settings.corrections:
        return ()
    made = settings.corrections
    parts = [
        f"Left out: {', '.join(made.exclude)}" if made.exclude else "",
        f"Labels moved by {made.shift:+d}" if made.shift else "",
        *(f"{disc} moved to row {row:g}" for disc, row in made.disc_rows),
    ]
    detail = "; ".join(part for part in parts if part)
    return (Finding(Code.CORRECTED_BY_REVIEWER, values=(("detail", detail),)),)


def _steps(image: DensitometryImage, measured: SpineMeasurement) -> tuple[Finding, ...]:
    """Compare the scanner's T-scores of neighboring levels, where it states them."""
    sites = () if image.results is None else image.results.sites
    t_scores = {each.site: each.t_score for each in sites if each.site in LABELS}
    return quality.degenerative_findings(measured.vertebrae, t_scores)


def _outcome(
    image: DensitometryImage, settings: AnalysisSettings, reason: Finding | None, status: AnalysisStatus
) -> Analysis:
    return replace(
        _empty(reason, status, settings, image.identity),
        frame=image.frame,
        image_sha256=image.image_sha256,
        data_set_sha256=image.data_set_sha256,
        input_class=image.input_class,
        pixel_spacing_mm=image.pixel_spacing_mm,
        spacing_source=image.spacing_source,
        findings=image.findings,
        densitometry=image.results,
        page=image.page,
    )


def _without_image(
    code: Code, settings: AnalysisSettings, identity: InstanceIdentity | None = None
) -> Analysis:
    status = AnalysisStatus.REFUSED if code is Code.NOT_DICOM else AnalysisStatus.NOT_APPLICABLE
    return _empty(Finding(code), status, settings, identity)


def _empty(
    reason: Finding | None,
    status: AnalysisStatus,
    settings: AnalysisSettings,
    identity: InstanceIdentity | None = None,
) -> Analysis:
    return Analysis(
        status=status,
        reason=reason,
        identity=identity,
        frame=0,
        image_sha256="",
        data_set_sha256="",
        input_class=None,
        pixel_spacing_mm=None,
        spacing_source="",
        label_confidence=None,
        alternative=None,
        vertebrae=(),
        score=None,
        standard_error=None,
        native_score=None,
        tbs=None,
        z_score=None,
        category=None,
        calibration=None,
        findings=(),
        parameters=settings.parameters,
        version=settings.version,
    )
