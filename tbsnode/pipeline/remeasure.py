"""What an earlier study comes to today: its picture measured with today's estimator and corrections.

A stored result is taken where measuring again would give the same: same version, same parameters, the
image still current, no review since. Where no image is left, our own report of it is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tbsnode.dicom import own_report, part10
from tbsnode.errors import CorrectionError, DamagedFile, InstanceError
from tbsnode.model import AnalysisStatus, Corrections, InputClass, PriorExamination
from tbsnode.pipeline.interpret import person_of, scanner_key
from tbsnode.pipeline.spines import analyze_pictures, choose
from tbsnode.store import results, reviews
from tbsnode.tbs import calibration, calibration_choice

if TYPE_CHECKING:
    from tbsnode.model import Analysis
    from tbsnode.pipeline.analyze import AnalysisSettings
    from tbsnode.pipeline.site import Site
    from tbsnode.store.priors import KeptStudy
    from tbsnode.store.records import InstanceRow
    from tbsnode.tbs.calibration import ScannerKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an earlier study comes to today.

    Attributes
    ----------
    prior : PriorExamination
        Not compared yet.
    key : ScannerKey or None
        What it was made with; None where only our report of it is left.
    scan_mode : str
        As its header states it.
    image_sha256 : str
        Of the picture; empty for a report.
    """

    prior: PriorExamination
    key: ScannerKey | None = None
    scan_mode: str = ""
    image_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """The measurement of one image of an earlier study, stored or made now."""

    instance: InstanceRow
    score: float
    levels: tuple[str, ...]
    input_class: InputClass
    pixel_spacing_mm: tuple[float, float]
    image_sha256: str


def measured(site: Site, kept: KeptStudy, analysis: Analysis, settings: AnalysisSettings) -> Measured | None:
    """Return what an earlier study comes to today.

    Parameters
    ----------
    site : Site
        Archive and database.
    kept : KeptStudy
        The study.
    analysis : Analysis
        The result that it will stand beside.
    settings : AnalysisSettings
        Those of that result.

    Returns
    -------
    Measured or None
        None where its image gives no score, or there is neither an image nor a report of ours.
    """
    if not any(row.identity.is_image for row in kept.current):
        return _reported(site, kept)
    result = _stored(site, kept, settings) or _measured_now(site, kept, settings)
    return None if result is None else _as_prior(site, kept, result, analysis, settings)


def _stored(site: Site, kept: KeptStudy, settings: AnalysisSettings) -> _Result | None:
    """Return the stored result of a study where it is what measuring it today would give."""
    with site.database.read() as tx:
        reported = [each for each in results.analyses_of_study(tx, kept.study.id) if each.reported]
        act = reviews.latest(tx, kept.study.id)
    row = reported[-1] if reported else None
    if row is None or row.status is not AnalysisStatus.SCORED or row.score is None:
        return None
    instance = next((each for each in kept.current if each.id == row.instance_ref), None)
    estimated_alike = (
        row.version == settings.version and row.result.get("parameters") == settings.parameters.as_dict()
    )
    older_than_review = act is not None and row.id < act.analysis_ref
    spacing = row.result.get("pixel_spacing_mm")
    if instance is None or not estimated_alike or older_than_review or not spacing:
        return None
    return _Result(
        instance=instance,
        score=row.score,
        levels=tuple(level.label for level in row.vertebrae if level.included),
        input_class=InputClass(row.input_class),
        pixel_spacing_mm=(spacing[0], spacing[1]),
        image_sha256=row.result.get("image_sha256") or "",
    )


def _measured_now(site: Site, kept: KeptStudy, settings: AnalysisSettings) -> _Result | None:
    """Measure a study as if it were today's, with what its reviewer corrected; None without a score."""
    with site.database.read() as tx:
        standing = reviews.standing(tx, kept.study.id)
    plain = replace(settings, clinical=None, corrections=Corrections(), corrected_image="")
    corrected = replace(plain, corrections=standing.corrections, corrected_image=standing.corrected_image)
    try:
        spines = analyze_pictures(site, corrected, kept.current)
    except CorrectionError:  # they no longer fit the picture
        spines = analyze_pictures(site, plain, kept.current)
    except (DamagedFile, OSError):  # not what was received, or gone, be it just now
        return None
    answers = [each for each in spines if each.analysis.status is not AnalysisStatus.NOT_APPLICABLE]
    if not answers:
        return None
    chosen, _ = choose(answers, standing.image_uid)
    then = chosen.analysis
    if then.score is None or then.input_class is None or then.pixel_spacing_mm is None:
        return None
    return _Result(
        instance=chosen.instance,
        score=then.score,
        levels=then.included,
        input_class=then.input_class,
        pixel_spacing_mm=then.pixel_spacing_mm,
        image_sha256=then.image_sha256,
    )


def _as_prior(
    site: Site, kept: KeptStudy, result: _Result, analysis: Analysis, settings: AnalysisSettings
) -> Measured:
    """Return a measurement as an earlier examination, under today's calibration."""
    stand_in = replace(
        analysis,
        identity=result.instance.identity,
        input_class=result.input_class,
        pixel_spacing_mm=result.pixel_spacing_mm,
    )
    key = scanner_key(stand_in)
    rules = settings.interpreting
    estimator = calibration.estimator_of(settings.parameters)
    choice = calibration_choice.choose(rules.calibrations, key, estimator=estimator, on=rules.on)
    tbs = None
    if choice.calibration is not None:
        tbs = calibration.apply(choice.calibration, result.score, person_of(stand_in), None).tbs
    prior = PriorExamination(
        study_instance_uid=kept.study.study_instance_uid,
        examined_on=kept.study.study_date,
        age_years=result.instance.identity.demographics.age_years,
        score=result.score,
        tbs=tbs,
        levels=result.levels,
        comparable=False,
        origin="pacs" if result.instance.fetched else "archive",
    )
    mode = scan_mode(site, result.instance)
    return Measured(prior=prior, key=key, scan_mode=mode, image_sha256=result.image_sha256)


def scan_mode(site: Site, row: InstanceRow) -> str:
    """Return the mode that a header states; most densitometers state none, and an absent file none either."""
    try:
        return part10.read_header(site.archive.path(row.path)).text("ScanOptions")
    except (InstanceError, OSError):
        return ""


def _reported(site: Site, kept: KeptStudy) -> Measured | None:
    """Return what our own newest report of a study says, that is not withdrawn."""
    reports: list[tuple[own_report.OwnReport, InstanceRow]] = []
    withdrawn: set[str] = set()
    for row in kept.instances:
        path = site.archive.path(row.path)
        try:
            withdrawn |= own_report.withdrawn(path)
            report = own_report.read(path) if row.identity.made_by_tbsnode else None
        except (InstanceError, OSError):
            continue
        if report is not None:
            reports.append((report, row))
    standing = [each for each in reports if each[0].sop_instance_uid not in withdrawn]
    if not standing:
        return None
    report, row = max(standing, key=lambda each: (each[0].content_at, each[0].sop_instance_uid))
    return Measured(
        prior=PriorExamination(
            study_instance_uid=kept.study.study_instance_uid,
            examined_on=kept.study.study_date,
            age_years=row.identity.demographics.age_years,
            score=report.score,
            tbs=None,
            levels=report.levels,
            comparable=False,
            origin="own report",
        )
    )
