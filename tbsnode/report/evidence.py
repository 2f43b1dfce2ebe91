"""The second page: every number, its doubts, how it was made and where it comes from."""

from __future__ import annotations

from typing import Any

from reportlab.platypus import KeepTogether, Spacer

from tbsnode import text
from tbsnode.model import Analysis
from tbsnode.reasons import Finding
from tbsnode.report import facts
from tbsnode.report.layout import RULE, SHADE, Sheet, grid, paragraph, statement
from tbsnode.report.variogram_plot import VariogramPlot
from tbsnode.tbs.result import Vertebra

PLOT_HEIGHT = 120.0
LEVEL_SHARES = (0.09, 0.14, 0.15, 0.13, 0.1, 0.13, 0.26)


def evidence(sheet: Sheet) -> list[Any]:
    """Return the flowables after page 1."""
    return [
        *levels(sheet),
        *plot(sheet),
        *findings(sheet),
        *others(sheet),
        *method(sheet),
        *provenance(sheet),
    ]


def levels(sheet: Sheet) -> list[Any]:
    """Return the table of levels and the secondary values."""
    analysis = sheet.report.analysis
    keys = ("level", "slope", "standard_error", "area", "fit", "pairs", "counted")
    head = [paragraph(sheet.say(key), "faint") for key in keys]
    rows = [head, *(_level_row(sheet, v) for v in analysis.vertebrae), _mean_row(sheet)]
    lines = [
        ("LINEBELOW", (0, 0), (-1, 0), 0.7, RULE),
        ("LINEABOVE", (0, -1), (-1, -1), 0.7, RULE),
        ("BACKGROUND", (0, -1), (-1, -1), SHADE),
    ]
    table = grid(rows, [sheet.width * share for share in LEVEL_SHARES], lines)
    notes = [sheet.say("slope_is_not_tbs"), *_secondary(sheet, analysis)]
    return [
        paragraph(sheet.say("head_levels"), "head"),
        table,
        Spacer(1, 2),
        statement(" ".join(notes), "faint"),
    ]


def _level_row(sheet: Sheet, vertebra: Vertebra) -> list[Any]:
    if vertebra.included:
        counted = sheet.say("yes")
    elif vertebra.excluded:
        counted = sheet.say("no_because", code=vertebra.excluded.code.value)
    else:
        counted = sheet.say("no")
    error = vertebra.standard_error
    cells = [
        vertebra.label,
        _number(vertebra.score, 3),
        sheet.say("not_estimated") if error is None else _number(error, 3),
        _number(vertebra.area_mm2, 0),
        _number(vertebra.fit_r2, 3),
        str(vertebra.pairs),
        counted,
    ]
    return [paragraph(cell) for cell in cells]


def _mean_row(sheet: Sheet) -> list[Any]:
    analysis = sheet.report.analysis
    error = analysis.standard_error
    cells = [
        sheet.say("mean"),
        _number(analysis.score, 3),
        sheet.say("not_estimated") if error is None else _number(error, 3),
        "",
        "",
        "",
        text.join(analysis.included, language=sheet.language),
    ]
    return [paragraph(cell, "bold") for cell in cells]


def _secondary(sheet: Sheet, analysis: Analysis) -> list[str]:
    notes = []
    if analysis.native_score is not None:
        lags = str(analysis.parameters.native_lags)
        notes.append(sheet.say("native_slope", lags=lags, score=_number(analysis.native_score, 3)))
    if analysis.label_confidence is not None:
        notes.append(sheet.say("label_confidence", confidence=_number(analysis.label_confidence, 2)))
    if analysis.alternative is not None:
        shift = f"{analysis.alternative.shift:+d}"
        score = _number(analysis.alternative.score, 3)
        notes.append(sheet.say("alternative", shift=shift, score=score))
    return notes


def plot(sheet: Sheet) -> list[Any]:
    """Return the variograms with the fitted range."""
    analysis = sheet.report.analysis
    if not any(v.variogram for v in analysis.vertebrae):
        return []
    titles = (sheet.say("axis_lag"), sheet.say("axis_variogram"))
    drawing = VariogramPlot(analysis.vertebrae, analysis.parameters, (sheet.width, PLOT_HEIGHT), titles)
    span = {
        "lag_min_mm": f"{analysis.parameters.lag_min_mm:g}",
        "lag_max_mm": f"{analysis.parameters.lag_max_mm:g}",
    }
    caption = statement(sheet.say("plot_range", **span), "faint")
    return [KeepTogether([paragraph(sheet.say("head_variogram"), "head"), drawing, caption])]


def findings(sheet: Sheet) -> list[Any]:
    """Return every finding: its code, what was found, what to do."""
    found = facts.all_findings(sheet.report)
    head = paragraph(sheet.say("head_findings"), "head")
    if not found:
        return [head, statement(sheet.say("no_findings"), "small")]
    width = sheet.width * 0.28
    rows = [_finding_row(sheet, finding) for finding in found]
    lines = [("LINEBELOW", (0, 0), (-1, -1), 0.3, RULE)]
    return [head, grid(rows, [width, sheet.width - width], lines)]


def _finding_row(sheet: Sheet, finding: Finding) -> list[Any]:
    where = f" {finding.vertebra}" if finding.vertebra else ""
    return [
        paragraph(f"{finding.code.value}{where}", "small"),
        statement(f"{sheet.sentence(finding)} {sheet.remedy(finding)}", "small"),
    ]


def others(sheet: Sheet) -> list[Any]:
    """Return the further spines of the study, if there are any."""
    if not sheet.report.others:
        return []
    lines = [statement(_other(sheet, analysis), "small") for analysis in sheet.report.others]
    return [paragraph(sheet.say("head_others"), "head"), *lines]


def _other(sheet: Sheet, analysis: Analysis) -> str:
    uid = analysis.identity.sop_instance_uid if analysis.identity else sheet.say("not_stated")
    if analysis.score is None:
        return sheet.say("other_refused", uid=uid)
    return sheet.say("other_scored", uid=uid, score=_number(analysis.score, 3))


def method(sheet: Sheet) -> list[Any]:
    """Return what ran, and every parameter."""
    analysis, parameters = sheet.report.analysis, sheet.report.analysis.parameters
    steps = text.methods(parameters, region_source=analysis.region_source, language=sheet.language)
    sentences = " ".join(words for _, words in steps)
    values = ", ".join(f"{name} = {value}" for name, value in parameters.as_dict().items())
    return [
        KeepTogether([paragraph(sheet.say("head_methods"), "head"), statement(sentences, "small")]),
        KeepTogether([paragraph(sheet.say("head_parameters"), "head"), statement(values, "small")]),
    ]


def provenance(sheet: Sheet) -> list[Any]:
    """Return what a stranger needs to repeat the result."""
    pairs = facts.provenance_pairs(sheet.report, sheet.language)
    rows = [[paragraph(key, "faint"), paragraph(value, "small")] for key, value in pairs]
    table = grid(rows, [110.0, sheet.width - 110.0])
    return [KeepTogether([paragraph(sheet.say("head_provenance"), "head"), table])]


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
