"""What is known around the number, beside the picture: densities, declared factors, the course."""

from __future__ import annotations

from typing import Any

from reportlab.platypus import Spacer

from tbsnode.report import decision_known, decision_words
from tbsnode.report.layout import RULE, Sheet, grid, paragraph, statement

SHARES = (0.36, 0.15, 0.11, 0.11, 0.27)


def context(sheet: Sheet, width: float, name: str = "text") -> list[Any]:
    """Return densities with their diagnosis, declared factors and probability, and the course.

    Parameters
    ----------
    sheet : Sheet
        The document.
    width : float
        Of the column [points].
    name : str
        Style of the words: ``"text"``, or ``"small"`` where there is much.
    """
    analysis, language = sheet.report.analysis, sheet.language
    declared = " ".join(decision_known.declared(analysis, language=language))
    probability = decision_known.probability(analysis, language=language)
    parts = [
        *densities(sheet, width, name),
        paragraph(sheet.say("head_declared"), "bold"),
        *(statement(words, name) for words in (declared, *probability)),
    ]
    if analysis.score is not None:
        parts += [
            Spacer(1, 4),
            paragraph(sheet.say("head_moved"), "bold"),
            statement(decision_words.course(analysis, language=language), name),
        ]
    return parts


def densities(sheet: Sheet, width: float, name: str) -> list[Any]:
    """Return the table of sites with its diagnosis; one sentence where no density is known."""
    analysis, language = sheet.report.analysis, sheet.language
    head = paragraph(sheet.say("head_bmd"), "bold")
    found = decision_known.sites(analysis)
    if not found:
        return [head, statement(sheet.say("bmd_none"), name), Spacer(1, 4)]
    keys = ("bmd_site", "bmd_value", "bmd_t", "bmd_z", "bmd_source")
    rows = [[paragraph(sheet.say(key), "faint") for key in keys]]
    deciding = decision_known.deciding(analysis)
    for each in found:
        look = "smallbold" if each == deciding else "small"
        rows.append([paragraph(cell, look) for cell in decision_known.row(each, language=language)])
    lines = [("LINEBELOW", (0, 0), (-1, 0), 0.5, RULE), ("LINEBELOW", (0, -1), (-1, -1), 0.5, RULE)]
    table = grid(rows, [width * share for share in SHARES], lines, padding=1.0)
    said = decision_known.diagnosis_sentence(analysis, language=language)
    return [head, table, *([statement(said, "bold")] if said else []), Spacer(1, 4)]
