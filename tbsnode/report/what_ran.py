"""What was done to come to the numbers of one report, step by step, in sentences."""

from __future__ import annotations

from tbsnode import text
from tbsnode.model import Report
from tbsnode.tbs.interpretation import AGE_MEN, AGE_WOMEN, AGE_WOMEN_POSTMENOPAUSAL, BMI_RANGE
from tbsnode.tbs.texture_map import STEP_MM


def what_ran(report: Report, language: str = "en") -> list[str]:
    """Describe every step that this result went through, and none that it did not.

    Parameters
    ----------
    report : Report
        Of a scored result.
    language : str
        Of the catalogue.
    """
    analysis = report.analysis
    steps = text.methods(analysis.parameters, region_source=analysis.region_source, language=language)
    found, *measured = (words for _, words in steps)
    return [
        *_page(report, language),
        found,
        *_corrections(report, language),
        *measured,
        *_errors(report, language),
        *_interpretation(report, language),
        *_follow_up(report, language),
        text.phrase("method_map", language=language, step=f"{STEP_MM:g}"),
    ]


def _page(report: Report, language: str) -> list[str]:
    page = report.analysis.page
    if page is None:
        return []
    found = text.phrase(f"method_page_{page.found_by}", language=language)
    place = {"row": str(page.row), "column": str(page.column), "scale": str(page.scale)}
    said = [text.phrase("method_page", language=language, found=found, **place)]
    return [*said, text.phrase("method_page_inverted", language=language)] if page.inverted else said


def _corrections(report: Report, language: str) -> list[str]:
    """Name what the reviewer changed, where anything was."""
    review = report.review
    if review is None or not (review.corrections or review.image_uid):
        return []
    made, changes = review.corrections, []
    if made.exclude:
        levels = text.join(made.exclude, language=language)
        changes.append(text.phrase("method_corrected_exclude", language=language, levels=levels))
    for disc, row in made.disc_rows:
        changes.append(text.phrase("method_corrected_disc", language=language, disc=disc, row=f"{row:.1f}"))
    if made.shift:
        shift = f"{made.shift:+d}"
        changes.append(text.phrase("method_corrected_shift", language=language, shift=shift))
    if review.image_uid:
        changes.append(text.phrase("method_corrected_image", language=language, uid=review.image_uid))
    return [text.phrase("method_corrected", language=language, changes=", ".join(changes))]


def _errors(report: Report, language: str) -> list[str]:
    if all(v.standard_error is None for v in report.analysis.vertebrae):
        return []
    return [text.phrase("method_standard_error", language=language)]


def _interpretation(report: Report, language: str) -> list[str]:
    """Describe calibration, class, Z-score and adjustment, for a calibrated value only."""
    analysis = report.analysis
    if analysis.tbs is None:
        return []
    name = analysis.calibration or text.phrase("not_stated", language=language)
    said = [text.phrase("method_calibrated", language=language, calibration=name)]
    if analysis.category or analysis.borderline:
        limits = {
            "men": f"{AGE_MEN:g}",
            "women": f"{AGE_WOMEN:g}",
            "post": f"{AGE_WOMEN_POSTMENOPAUSAL:g}",
            "low": f"{BMI_RANGE[0]:g}",
            "high": f"{BMI_RANGE[1]:g}",
        }
        said.append(text.phrase("method_class", language=language, set=analysis.threshold_set, **limits))
    else:
        said.append(text.phrase("method_no_class", language=language))
    if analysis.z_score is not None:
        said.append(text.phrase("method_z", language=language, reference=analysis.reference))
    if analysis.frax is not None and (analysis.frax.major or analysis.frax.hip):
        said.append(text.phrase("method_frax", language=language))
    return said


def _follow_up(report: Report, language: str) -> list[str]:
    follow_up = report.analysis.follow_up
    if follow_up is None or not follow_up.priors:
        return []
    return [text.phrase("method_follow_up", language=language)]
