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

    Examples
    --------
    >>> from tbsnode.tbs.calibration import to_json
    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> made = Calibration(
    ...     kind=Kind.PAIRED, key=key, intercept=-0.06, slope=0.95, see=0.025, pairs=80, estimator="{}",
    ...     approved_by="Dr. Example", approved_on=date(2026, 11, 1), valid_until=date(2028, 11, 1),
    ... )
    >>> from_json(to_json(made)) == made
    True
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
