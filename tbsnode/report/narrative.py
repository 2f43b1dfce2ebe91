"""The paragraph that interprets a result: what is known, what it rests on, what it may not decide."""

from __future__ import annotations

from tbsnode.model import Report


def paragraph(report: Report, *, language: str = "en") -> str:
    """Interpret a result in one paragraph.

    Parameters
    ----------
    report : Report
        Scored or refused.
    language : str
        Of the catalogue.
    """
    del report, language
    return ""
