"""From the measured slope to what may be said about it: calibration, then interpretation.

Texture slope and TBS stay two concepts: `Analysis.score` is never changed here, and `tbs` is set
only where a calibration of this very scanner holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tbsnode.model import densitometry
from tbsnode.reasons import Code, Finding
from tbsnode.tbs import bone_density, calibration, calibration_choice, reference
from tbsnode.tbs.calibration import Calibration, Person, ScannerKey
from tbsnode.tbs.interpretation import Patient, Value, interpret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tbsnode.model import Analysis
    from tbsnode.tbs.bone_density import BmdDiagnosis

    Calibrated = Callable[[float], float | None]

_LABELS_IN_DOUBT = (Code.LEVELS_UNCERTAIN, Code.LEVELS_DISAGREE_WITH_SCANNER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreting:
    """What interpretation depends on besides the measurement.

    Attributes
    ----------
    calibrations : tuple of Calibration
        The active ones of the site, oldest first.
    on : date
        The day that validity is judged by: of the committed time, so that a rerun says the same.
    threshold_set : str
        ``"A"`` or ``"B"``.
    reference_file : Path or None
        The site's own reference curve.
    """

    calibrations: tuple[Calibration, ...] = ()
    on: date = date(1970, 1, 1)
    threshold_set: str = "B"
    reference_file: Path | None = None


def scanner_key(analysis: Analysis) -> ScannerKey:
    """Return what a calibration must match to hold for a result."""
    assert analysis.identity is not None
    assert analysis.input_class is not None
    assert analysis.pixel_spacing_mm is not None
    scanner = analysis.identity.scanner
    row_mm, column_mm = (round(step, 3) for step in analysis.pixel_spacing_mm)
    return ScannerKey(
        manufacturer=scanner.manufacturer,
        model_name=scanner.model_name,
        device_serial_number=scanner.device_serial_number,
        software_versions=scanner.software_versions,
        input_class=analysis.input_class.value,
        pixel_spacing_mm=(row_mm, column_mm),
    )


def person_of(analysis: Analysis) -> Person:
    """Return the covariates that the header states."""
    assert analysis.identity is not None
    who = analysis.identity.demographics
    return Person(bmi=who.bmi, age_years=who.age_years, sex=who.sex)


def patient_of(analysis: Analysis) -> Patient:
    """Return what of the patient decides over a class and over the adjustment of a probability."""
    person = person_of(analysis)
    return Patient(
        sex=person.sex,
        age_years=person.age_years,
        bmi=person.bmi,
        menopausal_status=analysis.clinical.menopausal_status if analysis.clinical else "",
    )


def diagnosis_of(analysis: Analysis) -> BmdDiagnosis | None:
    """Return what the densities say, None where there is none."""
    densities = analysis.bone_densities
    if not densities or analysis.identity is None:
        return None
    who = analysis.identity.demographics
    spine = densitometry.spine_of(densities)
    scores = [
        bone_density.SiteScore(
            site="spine" if each is spine else each.result.site,
            t_score=each.result.t_score,
            z_score=each.result.z_score,
            source=each.source,
        )
        for each in densities
    ]
    return bone_density.diagnose(
        scores,
        sex=who.sex,
        age_years=who.age_years,
        menopausal_status=analysis.clinical.menopausal_status if analysis.clinical else "",
    )


def interpreted(analysis: Analysis, rules: Interpreting) -> Analysis:
    """Add what a calibration allows to say about a scored result.

    Parameters
    ----------
    analysis : Analysis
        Scored, with an identity.
    rules : Interpreting
        Calibrations, day, cut-offs and curve.

    Returns
    -------
    Analysis
        Without a calibration only `SCANNER_UNCALIBRATED` (or why the one there is does not hold) is
        added, and a place among the site's own adults where there is a reference.
    """
    assert analysis.score is not None
    estimator = calibration.estimator_of(analysis.parameters)
    choice = calibration_choice.choose(
        rules.calibrations, scanner_key(analysis), estimator=estimator, on=rules.on
    )
    made = replace(analysis, findings=(*choice.findings, *analysis.findings))
    person = person_of(analysis)
    if choice.reference is not None:
        placed = calibration.apply(choice.reference, analysis.score, person, analysis.statistics)
        made = replace(made, site_percentile=placed.site_percentile, site_z=placed.site_z)
    if choice.calibration is None:
        return made
    return _calibrated(made, choice.calibration, person, rules)


def _calibrated(analysis: Analysis, chosen: Calibration, person: Person, rules: Interpreting) -> Analysis:
    assert analysis.score is not None
    statistics = analysis.statistics

    def calibrated(score: float) -> float | None:
        return calibration.apply(chosen, score, person, statistics).tbs

    applied = calibration.apply(chosen, analysis.score, person, statistics)
    analysis = replace(analysis, findings=(*applied.findings, *analysis.findings))
    if applied.tbs is None or applied.see is None:
        return analysis
    other = analysis.alternative.score if analysis.alternative else None
    alternative = None if other is None else calibrated(other)
    said = interpret(
        Value(
            tbs=applied.tbs,
            see=applied.see,
            levels=analysis.included,
            category_allowed=applied.category_allowed,
            labels_certain=not any(finding.code in _LABELS_IN_DOUBT for finding in analysis.findings),
            alternative_tbs=alternative,
        ),
        patient_of(analysis),
        reference.threshold_set(rules.threshold_set),
        reference.reference_curve(rules.reference_file),
    )
    simulated = (Finding(Code.SIMULATED),) if chosen.simulated else ()
    return replace(
        analysis,
        tbs=applied.tbs,
        tbs_see=applied.see,
        z_score=said.z_score,
        category=said.category,
        borderline=said.borderline,
        threshold_set=said.threshold_set,
        reference=said.reference,
        calibration=chosen.calibration_id,
        calibration_kind=chosen.kind.value,
        findings=(*said.findings, *_with_tbs(analysis.findings, calibrated), *simulated),
    )


def _with_tbs(findings: tuple[Finding, ...], calibrated: Calibrated) -> tuple[Finding, ...]:
    """Say beside the slope that is left without a doubted level which TBS that would be."""
    return tuple(
        _beside(found, calibrated) if found.code is Code.DEGENERATIVE_STEP else found for found in findings
    )


def _beside(found: Finding, calibrated: Calibrated) -> Finding:
    score = dict(found.values).get("score_without")
    tbs = calibrated(score) if isinstance(score, float) else None
    return found if tbs is None else replace(found, values=(*found.values, ("tbs_without", round(tbs, 3))))
