"""Provisional texture classes for ``analyze --research``: never in the node, nor in what it sends.

Cut-offs belong to TBS. Put to a texture slope they would mean nothing, so a calibration is asked for
here too: a file that a node exported (``calibration show ID --json``) or that a site made with
`tbs.calibration_fit`. Scanner, software, input class, spacing and estimator must be those of the
calibration, and the patient must be one that the cut-offs were derived for. What is provisional: nobody
at this site vouches for the file, the calibration may rest on too few pairs for a class, and the
examination may lie outside the range of the pairs.

Only `cli.analyze` imports this module; a test holds that.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from tbsnode.errors import CalibrationError
from tbsnode.model import Provisional
from tbsnode.pipeline.interpret import Interpreting, interpreted
from tbsnode.reasons import Code
from tbsnode.tbs.calibration import Calibration, Kind
from tbsnode.tbs.calibration_json import from_json

if TYPE_CHECKING:
    from pathlib import Path

    from tbsnode.model import Analysis

_REMEDY = "Export one: `tbsnode calibration show ID --json > calibration.json`."


def read_calibration(path: Path) -> Calibration:
    """Return the calibration of a file.

    Parameters
    ----------
    path : Path
        JSON as `calibration show --json` or `calibration fit --json` prints it.

    Returns
    -------
    Calibration
        Of kind ``paired`` or ``transfer``, with the name that its content gives it.

    Raises
    ------
    CalibrationError
        If it is no calibration, gives no value, was edited, or is not in use any more.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        record = value.get("calibration", value)
        known = {field.name for field in fields(Calibration)}
        found = from_json({name: each for name, each in record.items() if name in known})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CalibrationError(f"{path} is no calibration.", remedy=_REMEDY) from error
    if found.named().calibration_id != found.calibration_id:
        raise CalibrationError(f"{path} was edited: its name is that of another content.", remedy=_REMEDY)
    if found.kind is Kind.REFERENCE:
        raise CalibrationError(f"{path} is a reference of own adults: it gives no value.", remedy=_REMEDY)
    _require_active(path, record)
    return found


def _require_active(path: Path, record: dict[str, Any]) -> None:
    state = record.get("state", "active")
    if state != "active":
        raise CalibrationError(f"The calibration of {path} is {state}.", remedy=_REMEDY)


def provisional(analysis: Analysis, calibration: Calibration) -> Analysis:
    """Add what a calibration would say about a result, beside it.

    Parameters
    ----------
    analysis : Analysis
        Of `pipeline.analyze`; never one of the node.
    calibration : Calibration
        Of a file. Its end of validity is not judged, so that a study can be repeated years later.

    Returns
    -------
    Analysis
        With `research` set and, where it is scored, `provisional`; score, `tbs`, `category` and findings
        are those of the result given.
    """
    if analysis.score is None or analysis.identity is None:
        return replace(analysis, research=True)
    seen = tuple(f for f in analysis.findings if f.code is not Code.SCANNER_UNCALIBRATED)
    blank = replace(analysis, findings=seen)
    strict = _said(blank, calibration)
    made = _said(blank, replace(calibration, allows_category=True, limits=()))
    doubts = dict.fromkeys((*strict.findings, *made.findings))
    return replace(
        analysis,
        research=True,
        provisional=Provisional(
            tbs=made.tbs,
            see=made.tbs_see,
            category=made.category,
            borderline=made.borderline,
            threshold_set=made.threshold_set,
            calibration=calibration.calibration_id,
            findings=tuple(finding for finding in doubts if finding not in seen),
        ),
    )


def _said(analysis: Analysis, calibration: Calibration) -> Analysis:
    return interpreted(analysis, Interpreting(calibrations=(calibration,), on=calibration.approved_on))
