"""How far a report may be relied on, what a reviewer changed, and who signed: the words of page 1."""

from __future__ import annotations

from tbsnode import text
from tbsnode.model import Report, ReportStatus
from tbsnode.report import facts


def status(report: Report, *, language: str = "en") -> str:
    """Say how far the report may be relied on.

    Examples
    --------
    >>> from tbsnode import text
    >>> text.phrase("status_signed", version="1")
    'SIGNED, version 1'
    """
    return text.phrase(f"status_{report.status.value}", language=language, version=_version(report))


def title(report: Report, *, language: str = "en") -> str:
    """Name the document with its state and version."""
    return text.phrase(f"document_title_{report.status.value}", language=language, version=_version(report))


def _version(report: Report) -> str:
    return "" if report.review is None else str(report.review.version)


def changes(report: Report, *, language: str = "en") -> list[str]:
    """Open an amended or corrected report: by whom and when, from what to what, and why; else nothing."""
    review = report.review
    if review is None or not (report.status is ReportStatus.AMENDED or review.changes):
        return []
    amended = report.status is ReportStatus.AMENDED
    who = {"name": facts.person(review.reviewer.name), "at": _time(report), "version": str(review.version)}
    said = [text.phrase("amended_head" if amended else "corrected_head", language=language, **who)]
    for change in review.changes:
        if change.what == "score":  # the raw slope is not for page 1
            said.append(text.phrase("changed_slope", language=language))
            continue
        nothing = text.phrase("nothing", language=language)
        what = _changed(change.what, language)
        before, after = change.before or nothing, change.after or nothing
        said.append(text.phrase("changed", language=language, what=what, before=before, after=after))
    if not review.changes:
        said.append(text.phrase("changed_nothing", language=language))
    key = "change_reason" if review.comment.strip() else "change_reason_missing"
    return [*said, text.phrase(key, language=language, comment=review.comment)]


def _changed(what: str, language: str) -> str:
    key = f"change_{what}"
    return text.phrase(key, language=language) if key in text.LANGUAGES[language].phrases else what


def changed_slope(report: Report, *, language: str = "en") -> str:
    """Say on page 2 from what to what a review moved the raw slope; empty where it did not."""
    for change in report.review.changes if report.review else ():
        if change.what == "score":
            return text.phrase(
                "changed_slope_values", language=language, before=change.before, after=change.after
            )
    return ""


def signature(report: Report, *, language: str = "en") -> list[str]:
    """Say who signed: name, then organization, login and machine, time and version; else nothing."""
    review = report.review
    if review is None:
        return []
    who = review.reviewer
    key = "signed_corrected" if review.corrections or review.image_uid else "signed_accepted"
    organization = (
        text.phrase("signed_organization", language=language, organization=who.organization)
        if who.organization
        else ""
    )
    return [
        text.phrase(key, language=language, name=facts.person(who.name)),
        text.phrase(
            "signed_detail",
            language=language,
            organization=organization,
            login=who.login,
            host=review.host,
            at=_time(report),
            version=str(review.version),
        ),
    ]


def _time(report: Report) -> str:
    return "" if report.review is None else report.review.at.isoformat(sep=" ", timespec="seconds")
