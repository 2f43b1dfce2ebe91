"""A parameter that makes no sense is refused by name, not turned into another number."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tbsnode.tbs import Parameters


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("region", "Body"),
        ("region", "foo"),
        ("region_rule", 99),
        ("exclusion_policy", "foo"),
        ("lag_min_mm", 0.0),
        ("lag_min_mm", 5.25),  # as large as lag_max_mm
        ("lag_max_mm", math.inf),
        ("lag_max_mm", math.nan),
        ("unweighted_lag_min_mm", 0.0),
        ("radii", 1),
        ("bandwidth", 0.0),
        ("bandwidth", -1.0),
        ("min_pairs", 0),
        ("variogram_max_mm", -7.0),
        ("native_lags", 0),
        ("edge_inset_mm", -3.0),
        ("body_erosion_mm", -0.1),
        ("min_area_mm2", 0.0),
        ("min_gray_levels", 0),
    ],
)
def test_nonsense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        Parameters(**{name: value})


@pytest.mark.parametrize(
    "sensible",
    [
        {},
        {"lag_min_mm": 0.3, "lag_max_mm": 12.0},
        {"radii": 2, "native_lags": 1, "min_pairs": 1, "edge_inset_mm": 0.0},
        {"region": "body", "exclusion_policy": "none"},
    ],
)
def test_what_makes_sense_is_taken(sensible: dict[str, Any]) -> None:
    stated = Parameters(**sensible).as_dict()
    assert {name: stated[name] for name in sensible} == sensible
