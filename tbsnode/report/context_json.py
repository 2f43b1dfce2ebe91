"""What stands around the number, as JSON: densities, declared context, fracture probability, follow-up."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any

from tbsnode import text
from tbsnode.model import Analysis, ClinicalContext, FollowUp, ScannerResults
from tbsnode.reasons import Finding

DECIMALS = 6


def context(analysis: Analysis) -> dict[str, Any]:
    """Return everything around the number, by documented key; None for what is not known."""
    return {
        "other_densitometry": [densitometry(each) for each in analysis.other_densitometry],
        "bmd_diagnosis": plain(analysis.bmd_diagnosis),
        "clinical": clinical(analysis.clinical),
        "frax": None if analysis.frax is None else _frax(analysis),
        "follow_up": None if analysis.follow_up is None else _follow_up(analysis.follow_up),
    }


def densitometry(results: ScannerResults | None) -> dict[str, Any] | None:
    """Return a set of densities with its source."""
    if results is None:
        return None
    return {
        "source": results.source,
        "sop_instance_uid": results.sop_instance_uid or None,
        "reference": results.reference or None,
        "sites": [plain(site) for site in results.sites],
    }


def clinical(declared: ClinicalContext | None) -> dict[str, Any] | None:
    """Return what was declared."""
    if declared is None:
        return None
    return {
        **{name: plain(getattr(declared, name)) for name in ("present", "absent", "fracture_sites")},
        "glucocorticoid_mg_day": plain(declared.glucocorticoid_mg_day),
        "menopausal_status": declared.menopausal_status or None,
        "frax": plain(declared.frax),
        "densitometry": densitometry(declared.densitometry),
        "source": declared.source,
    }


def _frax(analysis: Analysis) -> dict[str, Any]:
    assert analysis.frax is not None
    return {
        "major": plain(analysis.frax.major),
        "hip": plain(analysis.frax.hip),
        "finding": _finding(analysis.frax.finding),
    }


def _follow_up(follow_up: FollowUp) -> dict[str, Any]:
    return {
        "priors": [plain(prior) for prior in follow_up.priors],
        "lsc": plain(follow_up.lsc),
        "tbs_lsc": plain(follow_up.tbs_lsc),
        "findings": [_finding(finding) for finding in follow_up.findings],
    }


def _finding(finding: Finding | None) -> dict[str, str] | None:
    if finding is None:
        return None
    return {"code": finding.code.value, "severity": finding.severity.value, "text": text.sentence(finding)}


def plain(value: Any) -> Any:
    """Turn a frozen value into JSON types; numbers are rounded to 1e-6."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(each) for name, each in asdict(value).items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
