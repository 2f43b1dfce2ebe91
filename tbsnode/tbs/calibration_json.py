"""A calibration read back from JSON; `calibration.to_json` writes it."""

from __future__ import annotations

from datetime import date
from typing import Any

from tbsnode.tbs.calibration import Calibration, Covariate, Kind, Limits, ScannerKey


def from_json(value: dict[str, Any]) -> Calibration:
    """Return the calibration that `to_json` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is not the JSON of a calibration.
    """
    key = dict(value["key"])
    key["pixel_spacing_mm"] = tuple(key["pixel_spacing_mm"])
    normal, partial, degraded = value["per_category"]
    return Calibration(
        **{
            **value,
            "kind": Kind(value["kind"]),
            "key": ScannerKey(**key),
            "covariates": tuple(Covariate(**each) for each in value["covariates"]),
            "limits": tuple(Limits(**each) for each in value["limits"]),
            "per_category": (normal, partial, degraded),
            "approved_on": date.fromisoformat(value["approved_on"]),
            "valid_until": date.fromisoformat(value["valid_until"]),
            "reference_scores": tuple(value["reference_scores"]),
        }
    )
