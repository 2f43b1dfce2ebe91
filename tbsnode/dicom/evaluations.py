"""The Qualitative Evaluations of the report (TID 1500 rows 12 to 14): what has no number, for the whole.

Here a reader that knows no private code finds the words: what makes the number doubtful, what it is not,
how it is interpreted, what was declared, and what the reviewer did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tbsnode import text
from tbsnode.dicom import codes, content, density_groups, risk
from tbsnode.dicom import codes_clinical as clinical
from tbsnode.dicom.content import Item
from tbsnode.dicom.context import readable
from tbsnode.dicom.measurement_groups import doubts
from tbsnode.model import Report, Review
from tbsnode.reasons import Finding


def container(report: Report, encodings: Sequence[str]) -> Item:
    """Return the container, its words in the document's character set."""
    # the template has all codes before all texts
    items = [
        *_codes(report),
        *_review(report, encodings),
        *_conclusion(report, encodings),
        *risk.sources(report.analysis.clinical, encodings),
        *_calibration(report, encodings),
        *(content.text(codes.COMMENT, sentence) for sentence in _comments(report)),
    ]
    return content.container(codes.QUALITATIVE_EVALUATIONS, items)


def _codes(report: Report) -> Iterator[Item]:
    yield content.code(clinical.STATUS, clinical.STATUSES[report.status])
    if report.review is not None:
        yield content.code(clinical.REVIEW, clinical.REVIEWS[report.review.action])
    yield from density_groups.diagnosis(report.analysis)
    yield from risk.declared(report.analysis.clinical)


def _review(report: Report, encodings: Sequence[str]) -> Iterator[Item]:
    review = report.review
    if review is None:
        return
    yield content.text(clinical.REPORT_VERSION, str(review.version))
    if review.host:
        yield content.words(clinical.REVIEW_HOST, review.host, encodings)
    if review.comment:
        yield content.words(clinical.REVIEW_COMMENT, review.comment, encodings)
    for said in _corrections(review):
        yield content.text(clinical.CORRECTION, said)
    for change in review.changes:
        said = text.phrase("change_said", what=change.what, before=change.before, after=change.after)
        yield content.words(clinical.CHANGE, readable(said), encodings)


def _corrections(review: Review) -> Iterator[str]:
    made = review.corrections
    if review.image_uid:
        yield text.phrase("correction_image", uid=review.image_uid)
    if made.shift:
        key = "correction_shift_down" if made.shift > 0 else "correction_shift_up"
        yield text.phrase(key, count=str(abs(made.shift)))
    for disc, row in made.disc_rows:
        yield text.phrase("correction_disc", disc=disc, row=content.decimal(row))
    for level in made.exclude:
        yield text.phrase("correction_exclude", level=level)


def _conclusion(report: Report, encodings: Sequence[str]) -> Iterator[Item]:
    if report.interpretation:
        yield content.words(codes.CONCLUSION, readable(report.interpretation), encodings)


def _calibration(report: Report, encodings: Sequence[str]) -> Iterator[Item]:
    analysis = report.analysis
    if analysis.calibration is not None:
        yield content.words(codes.CALIBRATION, analysis.calibration, encodings)
    # without a class they would tell the one that was withheld
    if analysis.tbs is not None and (analysis.category or analysis.borderline) and analysis.threshold_set:
        yield content.words(codes.CUT_OFFS, analysis.threshold_set, encodings)


def _comments(report: Report) -> Iterator[str]:
    """Yield every reason to doubt the number, and what it is not, as sentences."""
    analysis = report.analysis
    if report.simulated:
        yield text.phrase("simulated")
    if analysis.reason is not None:
        yield _said(analysis.reason)
    for finding in doubts(report):
        yield _said(finding)
    for vertebra in analysis.vertebrae:
        if vertebra.excluded is not None:
            yield _said(vertebra.excluded)
    yield text.phrase("limits")
    yield text.phrase("limits_compare")


def _said(finding: Finding) -> str:
    return f"{finding.code.value}: {text.sentence(finding)}"
