"""An analysis as JSON and as a row of CSV. Names no patient.

`score` is the texture slope and `tbs` the calibrated value; they never share a column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from tbsnode import text
from tbsnode.model import Analysis, ImageStatistics, PageOrigin, Provisional
from tbsnode.reasons import Finding
from tbsnode.report import context_json
from tbsnode.tbs.result import LABELS, Vertebra

DECIMALS = 6
_FORMULA = tuple("=+-@\t\r")

_LEVEL_COLUMNS = ("score", "standard_error", "fit_r2", "pairs", "area_mm2", "excluded")
CSV_COLUMNS = (
    "file",
    "frame",
    "status",
    "reason",
    "score",
    "standard_error",
    "native_score",
    "tbs",
    "z_score",
    "category",
    "calibration",
    "tbs_see",
    "borderline",
    "site_percentile",
    "site_z",
    "included",
    *(f"{label}_{column}" for label in LABELS for column in _LEVEL_COLUMNS),
    "label_confidence",
    "alternative_shift",
    "alternative_score",
    "input_class",
    "row_spacing_mm",
    "column_spacing_mm",
    "spacing_source",
    "region_source",
    "findings",
    "study_instance_uid",
    "sop_instance_uid",
    "image_sha256",
    "parameters",
    "version",
)
RESEARCH_COLUMNS = (  # only in a table that was made with `analyze --research`
    "provisional_category",
    "provisional_borderline",
    "provisional_tbs",
    "provisional_tbs_see",
    "provisional_calibration",
    "provisional_findings",
)


def as_json(analysis: Analysis, file: str = "") -> dict[str, Any]:
    """Return the JSON object of one image.

    Parameters
    ----------
    analysis : Analysis
        Its result; numbers are rounded to 1e-6, outlines [pixels] are exact.
    file : str
        The path as the user gave it.

    Returns
    -------
    dict
        Keys in documented order; only JSON types.
    """
    identity = analysis.identity
    alternative = analysis.alternative
    return {
        "file": file,
        "frame": analysis.frame,
        "study_instance_uid": identity.study_instance_uid if identity else None,
        "sop_instance_uid": identity.sop_instance_uid if identity else None,
        "image_sha256": analysis.image_sha256 or None,
        "status": analysis.status.value,
        "reason": _reason(analysis.reason),
        "input_class": analysis.input_class.value if analysis.input_class else None,
        "pixel_spacing_mm": _exact_pair(analysis.pixel_spacing_mm),
        "spacing_source": analysis.spacing_source or None,
        "label_confidence": _rounded(analysis.label_confidence),
        "alternative": None
        if alternative is None
        else {"shift": alternative.shift, "score": _rounded(alternative.score)},
        "vertebrae": [_vertebra(analysis, v) for v in analysis.vertebrae],
        "score": _rounded(analysis.score),
        "standard_error": _rounded(analysis.standard_error),
        "native_score": _rounded(analysis.native_score),
        "tbs": _rounded(analysis.tbs),
        "z_score": _rounded(analysis.z_score),
        "category": analysis.category,
        "calibration": analysis.calibration,
        "findings": [_finding(f) for f in analysis.findings],
        "parameters": analysis.parameters.as_dict(),
        "version": analysis.version,
        **_more(analysis),
    }


def _more(analysis: Analysis) -> dict[str, Any]:
    """Return what stands behind score and value; the keys come after those that tools rely on."""
    return {
        "tbs_see": _rounded(analysis.tbs_see),
        "borderline": list(analysis.borderline) or None,
        "threshold_set": analysis.threshold_set or None,
        "reference": analysis.reference or None,
        "calibration_kind": analysis.calibration_kind or None,
        "site_percentile": _rounded(analysis.site_percentile),
        "site_z": _rounded(analysis.site_z),
        "region_source": analysis.region_source,
        "label_votes": [
            {"cue": vote.cue, "shift": vote.shift, "weight": _rounded(vote.weight)} for vote in analysis.votes
        ],
        "statistics": _fields(analysis.statistics),
        "densitometry": context_json.densitometry(analysis.densitometry),
        **context_json.context(analysis),
        "page": _fields(analysis.page),
        "research": analysis.research,
        **(_provisional(analysis.provisional) if analysis.research else {}),
    }


def _provisional(made: Provisional | None) -> dict[str, Any]:
    """Return what exists only with ``analyze --research``; no other result has these keys."""
    if made is None:
        return dict.fromkeys(RESEARCH_COLUMNS)
    return {
        "provisional_category": made.category,
        "provisional_borderline": list(made.borderline) or None,
        "provisional_tbs": _rounded(made.tbs),
        "provisional_tbs_see": _rounded(made.see),
        "provisional_calibration": made.calibration,
        "provisional_findings": [_finding(f) for f in made.findings],
    }


def _fields(value: ImageStatistics | PageOrigin | None) -> dict[str, Any] | None:
    if value is None:
        return None
    pairs = asdict(value).items()
    return {name: _rounded(each) if isinstance(each, float) else each for name, each in pairs}


def csv_row(analysis: Analysis, file: str = "") -> dict[str, str]:
    """Return one row, by column of `CSV_COLUMNS`; what is not known is empty."""
    spacing = analysis.pixel_spacing_mm or (None, None)
    alternative = analysis.alternative
    identity = analysis.identity
    row: dict[str, object] = {
        "file": file,
        "frame": analysis.frame,
        "status": analysis.status.value,
        "reason": analysis.reason.code.value if analysis.reason else None,
        "score": analysis.score,
        "standard_error": analysis.standard_error,
        "native_score": analysis.native_score,
        "tbs": analysis.tbs,
        "z_score": analysis.z_score,
        "category": analysis.category,
        "calibration": analysis.calibration,
        "tbs_see": analysis.tbs_see,
        "borderline": " ".join(analysis.borderline),
        "site_percentile": analysis.site_percentile,
        "site_z": analysis.site_z,
        "included": " ".join(analysis.included),
        "label_confidence": analysis.label_confidence,
        "alternative_shift": alternative.shift if alternative else None,
        "alternative_score": alternative.score if alternative else None,
        "input_class": analysis.input_class.value if analysis.input_class else None,
        "row_spacing_mm": spacing[0],
        "column_spacing_mm": spacing[1],
        "spacing_source": analysis.spacing_source,
        "region_source": analysis.region_source,
        "findings": " ".join(_coded(f) for f in analysis.findings),
        "study_instance_uid": identity.study_instance_uid if identity else None,
        "sop_instance_uid": identity.sop_instance_uid if identity else None,
        "image_sha256": analysis.image_sha256,
        "parameters": " ".join(f"{name}={value}" for name, value in analysis.parameters.as_dict().items()),
        "version": analysis.version,
    }
    for vertebra in analysis.vertebrae:
        row |= _level_cells(vertebra)
    return {column: _cell(row.get(column)) for column in CSV_COLUMNS}


def as_csv(results: Iterable[tuple[str, Analysis]]) -> str:
    """Write a table: one header line, then one line an image.

    Parameters
    ----------
    results : iterable of (file, Analysis) pairs
        In the order in which they are written.

    Returns
    -------
    str
        RFC 4180 with LF line ends.
    """
    rows = [(file, analysis) for file, analysis in results]
    research = any(analysis.research for _, analysis in rows)
    columns = (*CSV_COLUMNS, "research", *RESEARCH_COLUMNS) if research else CSV_COLUMNS
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        csv_row(analysis, file) | (_research_cells(analysis) if research else {}) for file, analysis in rows
    )
    return buffer.getvalue()


def _research_cells(analysis: Analysis) -> dict[str, str]:
    banner = {"research": text.phrase("research_banner") if analysis.research else ""}
    made = analysis.provisional
    if made is None:
        return banner | dict.fromkeys(RESEARCH_COLUMNS, "")
    values = {
        **_provisional(made),
        "provisional_borderline": " ".join(made.borderline),
        "provisional_findings": " ".join(_coded(f) for f in made.findings),
    }
    return banner | {column: _cell(value) for column, value in values.items()}


def _vertebra(analysis: Analysis, vertebra: Vertebra) -> dict[str, Any]:
    return {
        "label": vertebra.label,
        "included": vertebra.included,
        "excluded": _reason(vertebra.excluded),
        "score": _rounded(vertebra.score),
        "standard_error": _rounded(vertebra.standard_error),
        "fit_r2": _rounded(vertebra.fit_r2),
        "pairs": int(vertebra.pairs),
        "area_mm2": _rounded(vertebra.area_mm2),
        # never rounded: a pixel center may lie on the outline
        "region": [[float(row), float(column)] for row, column in analysis.stored_region(vertebra)],
    }


def _level_cells(vertebra: Vertebra) -> dict[str, object]:
    cells: dict[str, object] = {
        "score": vertebra.score,
        "standard_error": vertebra.standard_error,
        "fit_r2": vertebra.fit_r2,
        "pairs": vertebra.pairs,
        "area_mm2": vertebra.area_mm2,
        "excluded": vertebra.excluded.code.value if vertebra.excluded else None,
    }
    return {f"{vertebra.label}_{column}": cells[column] for column in _LEVEL_COLUMNS}


def _reason(finding: Finding | None) -> dict[str, str] | None:
    if finding is None:
        return None
    return {"code": finding.code.value, "text": text.sentence(finding)}


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "code": finding.code.value,
        "severity": finding.severity.value,
        "text": text.sentence(finding),
    }


def _coded(finding: Finding) -> str:
    return f"{finding.code.value}:{finding.vertebra}" if finding.vertebra else finding.code.value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), DECIMALS)


def _exact_pair(pair: tuple[float, float] | None) -> list[float] | None:
    """Keep a spacing whole: rounded, it parts lags that were equal, and the score is not found again."""
    return None if pair is None else [float(value) for value in pair]


def _cell(value: object) -> str:
    """Return what a spreadsheet reads; a text, such as the name of a file, is never taken for a formula."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return str(round(value, DECIMALS)) if isinstance(value, float) else str(value)
