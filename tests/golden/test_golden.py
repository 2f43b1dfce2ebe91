"""Numbers that may not move without a reason.

``cases.csv``: case, quantity, value, tolerance, source. The pictures are sums of sines, so that no random
generator of a later library can change them. A line changes only together with its source.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tbsnode.tbs.score import RegionScore, score_region
from tests.textures import vertebra_shape

_TABLE = (Path(__file__).parent / "cases.csv").read_text(encoding="utf-8")
CASES = list(csv.DictReader(_TABLE.splitlines()))
SPACING_MM = {"fine": (0.25, 0.25), "square": (0.6, 0.6), "tall": (1.05, 0.6), "coarse": (1.05, 1.05)}


def measured(case: str) -> RegionScore:
    """Score twelve waves of 3 to 25 mm in all directions on a vertebra of 28 x 40 mm."""
    spacing_mm = SPACING_MM[case]
    region = vertebra_shape(spacing_mm, (28.0, 40.0))
    down, across = (index * step for index, step in zip(np.indices(region.shape), spacing_mm, strict=True))
    image = np.full(region.shape, 1000.0)
    for k in range(12):
        length_mm, angle, phase = 3.0 * 1.21**k, 2.4 * k, 1.7 * k * k
        along = across * np.cos(angle) + down * np.sin(angle)
        image += 20 * length_mm**0.65 * np.sin(2 * np.pi * along / length_mm + phase)
    return score_region(image, region, pixel_spacing_mm=spacing_mm)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['case']} {case['quantity']}")
def test_golden(case: dict[str, str]) -> None:
    assert case["source"]
    value = float(getattr(measured(case["case"]), case["quantity"]))
    assert value == pytest.approx(float(case["value"]), abs=float(case["tolerance"]))


def test_every_grid_has_its_golden_score() -> None:
    assert {case["case"] for case in CASES if case["quantity"] == "slope"} == set(SPACING_MM)
