"""Simulated pairs of texture slope and licensed value, with a known truth between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from tbsnode.tbs.calibration import ScannerKey, estimator_of
from tbsnode.tbs.calibration_fit import Approval, Pair
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.result import ImageStatistics

KEY = ScannerKey(
    manufacturer="Example",
    model_name="Densitometer 1",
    device_serial_number="77",
    software_versions="1.0",
    input_class="DISPLAY",
    pixel_spacing_mm=(0.25, 0.25),
)
APPROVAL = Approval(
    approved_by="Dr. Example",
    approved_on=date(2026, 11, 1),
    estimator=estimator_of(Parameters()),
    reference_software="licensed software 3.1",
)


@dataclass(frozen=True)
class Truth:
    """How the licensed value follows from the true slope."""

    intercept: float = -0.2
    slope: float = 1.1
    score_error: float = 0.010
    tbs_error: float = 0.019
    bmi_slope: float = 0.0


def pairs(number: int, seed: int, truth: Truth | None = None) -> list[Pair]:
    """Draw pairs: slopes from 1.0 to 1.5, errors on both sides."""
    true = truth or Truth()
    rng = np.random.default_rng(seed)
    slope = rng.uniform(1.05, 1.55, number)
    bmi, age = rng.normal(27.0, 3.5, number), rng.uniform(50.0, 85.0, number)
    tbs = true.intercept + true.slope * slope + true.bmi_slope * (bmi - 27.0)
    score = slope + rng.normal(0.0, true.score_error, number)
    tbs = tbs + rng.normal(0.0, true.tbs_error, number)
    made = []
    for index in range(number):
        statistics = ImageStatistics(
            gray_levels=int(rng.integers(90, 120)),
            saturated_fraction=float(rng.uniform(0.0, 0.04)),
            short_lag_noise=float(rng.uniform(0.05, 0.2)),
            fit_r2=float(rng.uniform(0.97, 0.999)),
        )
        made.append(
            Pair(
                scan=f"1.2.3.{seed}.{index}",
                score=float(score[index]),
                tbs=float(tbs[index]),
                bmi=float(bmi[index]),
                age_years=float(age[index]),
                sex="FM"[int(rng.integers(0, 2))],
                statistics=statistics,
                standard_error=true.score_error,
            )
        )
    return made
