"""The second page: every number, its doubts, how it was made and where it comes from."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from reportlab.platypus import CondPageBreak, KeepTogether, Spacer

from tbsnode import text
from tbsnode.model import Analysis, SiteResult, SourcedSite
from tbsnode.reasons import Finding
from tbsnode.report import facts
from tbsnode.report.course import course
from tbsnode.report.evidence_figures import figures
from tbsnode.report.fine_print import LEADING, PAD, SIZE, fine, fine_grid
from tbsnode.report.layout import (
    BOLD,
    FAINT,
    INK,
    RULE,
    SANS,
    SHADE,
    Sheet,
    grid,
    paragraph,
    printable,
    shortened,
)
from tbsnode.report.lettering import width_of
from tbsnode.report.narrative_words import signed
from tbsnode.report.what_ran import what_ran
from tbsnode.tbs.result import LABELS, Vertebra

SOURCES = {
    "private results text": "level_source_text",
    "structured report": "level_source_report",
    "import": "level_source_import",
}
SHARES = {  # of the width, by column; the last takes the rest
    "level": 0.06,
    "slope": 0.12,
    "standard_error": 0.12,
    "area": 0.1,
    "fit": 0.075,
    "pairs": 0.1,
    "level_bmd": 0.115,
    "level_t_score": 0.075,
    "level_z_score": 0.075,
}
LEAST_ROOM = 60.0  # points that the first findings need below their head
CELL, HEAD_CELL = 7.5, 7.0  # points
FACT_SHARES = (0.15, 0.25, 0.18, 0.42)  # of the width: names and values, narrow and wide


def evidence(sheet: Sheet) -> list[Any]:
    """Return the flowables after page 1."""
    first = levels(sheet)
    parts = (course, findings, others, coding, method, provenance)
    sections = [(part, part(sheet)) for part in parts]
    flat = [piece for _, section in sections for piece in section]
    drawn, fits = figures(sheet, [*first, *flat])
    if fits:
        return [*first, *drawn, *flat]
    # findings may be many: they continue on the next page; a head is never left alone
    kept = [
        [CondPageBreak(LEAST_ROOM), *section] if part is findings else [KeepTogether(section)]
        for part, section in sections
        if section
    ]
    return [*first, *drawn, *(piece for section in kept for piece in section)]


def levels(sheet: Sheet) -> list[Any]:
    """Return the table of levels with the scanner's densities, and the secondary values."""
    analysis = sheet.report.analysis
    sites = {each.result.site: each for each in analysis.bone_densities}
    used = _used_sites(analysis, sites)
    keys = _columns(analysis, used)
    widths = [sheet.width * SHARES[key] for key in keys]
    widths.append(sheet.width - sum(widths))
    head = [sheet.say(key) for key in (*keys, "counted")]
    rows = [head, *(_level_row(sheet, v, used.get(v.label), keys) for v in analysis.vertebrae)]
    rows.append(_mean_row(sheet, used.get(_span(analysis)), keys))
    cells = [
        [shortened(cell, SANS, CELL, width - 3) for cell, width in zip(row, widths, strict=True)]
        for row in rows[:-1]
    ]
    table = grid([*cells, [printable(cell) for cell in rows[-1]]], widths, _lines())
    notes = [sheet.say("slope_is_not_tbs"), *_density_notes(sheet, keys, used), *_secondary(sheet, analysis)]
    return [
        paragraph(sheet.say("head_levels"), "head"),
        table,
        Spacer(1, 2),
        fine(" ".join(notes), "faint"),
    ]


def _lines() -> list[tuple[Any, ...]]:
    return [
        ("FONT", (0, 0), (-1, 0), SANS, HEAD_CELL, HEAD_CELL + 2),
        ("FONT", (0, 1), (-1, -2), SANS, CELL, CELL + 2),
        ("FONT", (0, -1), (-1, -1), BOLD, CELL, CELL + 2),
        ("TEXTCOLOR", (0, 0), (-1, 0), FAINT),
        ("TEXTCOLOR", (0, 1), (-1, -1), INK),
        ("LINEBELOW", (0, 0), (-1, 0), 0.7, RULE),
        ("LINEABOVE", (0, -1), (-1, -1), 0.7, RULE),
        ("BACKGROUND", (0, -1), (-1, -1), SHADE),
    ]


def _span(analysis: Analysis) -> str:
    """Return the scanner's name for the sum of the counted levels; empty where they are not neighbors."""
    places = [LABELS.index(label) for label in analysis.included if label in LABELS]
    if len(places) < 2 or places[-1] - places[0] != len(places) - 1:
        return ""
    return f"{LABELS[places[0]]}-{LABELS[places[-1]]}"


def _used_sites(analysis: Analysis, sites: dict[str, SourcedSite]) -> dict[str, SourcedSite]:
    names = (*(v.label for v in analysis.vertebrae), _span(analysis))
    return {name: sites[name] for name in names if name in sites}


def _columns(analysis: Analysis, used: dict[str, SourcedSite]) -> tuple[str, ...]:
    """Name the columns before the last: densities only where there are some, Z-scores for the young."""
    measured = ("level", "slope", "standard_error", "area", "fit", "pairs")
    if not used:
        return measured
    found = analysis.bmd_diagnosis
    young = found is not None and found.uses_z_score
    return (*measured, "level_bmd", "level_z_score" if young else "level_t_score")


def _density_cells(site: SourcedSite | None, keys: tuple[str, ...]) -> list[str]:
    if "level_bmd" not in keys:
        return []
    result = site.result if site else SiteResult(site="")
    score = result.z_score if "level_z_score" in keys else result.t_score
    return [_number(result.bmd_g_cm2, 3), "-" if score is None else signed(score, 1)]


def _level_row(
    sheet: Sheet, vertebra: Vertebra, site: SourcedSite | None, keys: tuple[str, ...]
) -> list[str]:
    if vertebra.included:
        counted = sheet.say("yes")
    elif vertebra.excluded:
        counted = sheet.say("no_because", code=vertebra.excluded.code.value)
    else:
        counted = sheet.say("no")
    error = vertebra.standard_error
    return [
        vertebra.label,
        _number(vertebra.score, 3),
        sheet.say("not_estimated") if error is None else _number(error, 3),
        _number(vertebra.area_mm2, 0),
        _number(vertebra.fit_r2, 3),
        str(vertebra.pairs),
        *_density_cells(site, keys),
        counted,
    ]


def _mean_row(sheet: Sheet, site: SourcedSite | None, keys: tuple[str, ...]) -> list[str]:
    analysis = sheet.report.analysis
    error = analysis.standard_error
    return [
        sheet.say("mean"),
        _number(analysis.score, 3),
        sheet.say("not_estimated") if error is None else _number(error, 3),
        "",
        "",
        "",
        *_density_cells(site, keys),
        text.join(analysis.included, language=sheet.language),
    ]


def _density_notes(sheet: Sheet, keys: tuple[str, ...], used: dict[str, SourcedSite]) -> list[str]:
    if not used:
        return []
    stated = dict.fromkeys(each.source for each in used.values() if each.source)
    sources = ", ".join(sheet.say(SOURCES[each]) if each in SOURCES else each for each in stated)
    score = sheet.say(keys[-1])
    notes = [sheet.say("level_density_source", score=score, sources=sources or sheet.say("not_stated"))]
    results = sheet.report.analysis.densitometry
    if results is not None and results.reference:
        notes.append(sheet.say("level_density_reference", reference=results.reference))
    return notes


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


def findings(sheet: Sheet) -> list[Any]:
    """Return every finding: its code, what was found, what to do."""
    found = facts.all_findings(sheet.report)
    head = paragraph(sheet.say("head_findings"), "head")
    if not found:
        return [head, fine(sheet.say("no_findings"))]
    width = sheet.width * 0.25
    rows = [_finding_row(sheet, finding) for finding in found]
    lines = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, RULE),
        ("FONT", (0, 0), (-1, -1), SANS, SIZE, LEADING),
    ]
    return [head, grid(rows, [width, sheet.width - width], lines)]


def _finding_row(sheet: Sheet, finding: Finding) -> list[Any]:
    where = f" {finding.vertebra}" if finding.vertebra else ""
    return [
        f"{finding.code.value}{where}",
        fine(f"{sheet.sentence(finding)} {sheet.remedy(finding)}"),
    ]


def others(sheet: Sheet) -> list[Any]:
    """Return the further spines of the study, if there are any."""
    if not sheet.report.others:
        return []
    lines = [fine(_other(sheet, analysis)) for analysis in sheet.report.others]
    return [paragraph(sheet.say("head_others"), "head"), *lines]


def _other(sheet: Sheet, analysis: Analysis) -> str:
    uid = analysis.identity.sop_instance_uid if analysis.identity else sheet.say("not_stated")
    if analysis.score is None:
        return sheet.say("other_refused", uid=uid)
    return sheet.say("other_scored", uid=uid, score=_number(analysis.score, 3))


def coding(sheet: Sheet) -> list[Any]:
    """Return which procedure code fits, and why; nothing where the aid is off."""
    advice = sheet.report.coding
    if advice is None:
        return []
    codes = ", ".join(advice.codes)
    said = sheet.say("coding_codes", codes=codes) if codes else sheet.say("coding_none")
    parts = [part for part in (said, advice.why, sheet.say("coding_limits")) if part]
    body = fine(" ".join(parts))
    return [paragraph(sheet.say("head_coding"), "head"), body]


def method(sheet: Sheet) -> list[Any]:
    """Return what ran, and every parameter."""
    values = ", ".join(
        f"{name} = {value}" for name, value in sheet.report.analysis.parameters.as_dict().items()
    )
    said = f"{' '.join(what_ran(sheet.report, sheet.language))} {sheet.say('head_parameters')}: {values}."
    return [paragraph(sheet.say("head_methods"), "head"), fine(said)]


def provenance(sheet: Sheet) -> list[Any]:
    """Return what a stranger needs to repeat the result: short facts side by side, long ones below."""
    pairs = facts.provenance_pairs(sheet.report, sheet.language)
    place = next((i for i, (key, _) in enumerate(pairs, 1) if key == sheet.say("calibration")), len(pairs))
    pairs = [*pairs[:place], *_calibration_pairs(sheet), *pairs[place:]]
    left, right, long = _columns_of_facts(pairs, sheet.width)
    rows = [[*one, *other] for one, other in zip_longest(left, right, fillvalue=("", ""))]
    rows += [[*pair, "", ""] for pair in long]
    names = [["faint", "ink", "faint", "ink"]] * len(rows)
    widths = [sheet.width * share for share in FACT_SHARES]
    return [paragraph(sheet.say("head_provenance"), "head"), fine_grid(rows, widths, names)]


def _columns_of_facts(
    pairs: list[facts.Pair], width: float
) -> tuple[list[facts.Pair], list[facts.Pair], list[facts.Pair]]:
    """Sort facts by length: into the narrow column, the wide one beside it, and lines of their own."""
    narrow, wide = (FACT_SHARES[column] * width - 2 * PAD for column in (1, 3))
    left: list[facts.Pair] = []
    right: list[facts.Pair] = []
    long: list[facts.Pair] = []
    for pair in pairs:
        length = width_of(printable(pair[1]), SANS, SIZE)
        (left if length <= narrow else right if length <= wide else long).append(pair)
    kept = len(left) - max(0, len(left) - len(right)) // 2
    return left[:kept], [*right, *left[kept:]], long


def _calibration_pairs(sheet: Sheet) -> list[facts.Pair]:
    """Return what is known of the calibration behind a value."""
    analysis = sheet.report.analysis
    if analysis.tbs is None:
        return []
    kind = analysis.calibration_kind
    see = "" if analysis.tbs_see is None else f"{analysis.tbs_see:.3f}"
    known = [
        ("calibration_kind", sheet.say(f"kind_{kind}") if kind in ("paired", "transfer") else kind),
        ("calibration_see", see),
        ("calibration_cut_offs", analysis.threshold_set if analysis.category or analysis.borderline else ""),
        ("calibration_reference", analysis.reference),
    ]
    return [(sheet.say(key), value) for key, value in known if value]


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
