from __future__ import annotations

import numpy as np
import pytest

from tbsnode.phantom.texture import covariance, gaussian_field


@pytest.mark.parametrize("exponent", [0.6, 1.2, 1.8])
def test_field_has_the_variogram_it_promises(exponent: float) -> None:
    spacing_mm, length_mm = 0.25, 3.0
    fields = [
        gaussian_field(
            (300, 320),
            np.random.default_rng(seed),
            pixel_spacing_mm=spacing_mm,
            exponent=exponent,
            correlation_length_mm=length_mm,
        )
        for seed in range(6)
    ]
    for lag in (2, 4, 8, 16):
        along = [np.roll(f, lag, axis=1) - f for f in fields] + [np.roll(f, lag, axis=0) - f for f in fields]
        observed = float(np.mean(np.square(along)))
        lag_mm = np.array([lag * spacing_mm])
        expected = 2.0 - 2.0 * float(
            covariance(lag_mm, exponent=exponent, correlation_length_mm=length_mm)[0]
        )
        # six fields of about 80 x 75 mm hold some 4000 correlation areas
        assert observed == pytest.approx(expected, rel=0.06)


def test_field_has_no_mean_and_unit_variance() -> None:
    field = gaussian_field(
        (400, 400),
        np.random.default_rng(1),
        pixel_spacing_mm=0.25,
        exponent=1.2,
        correlation_length_mm=2.0,
    )
    assert abs(field.mean()) < 1e-12
    assert field.std() == pytest.approx(1.0, abs=0.05)


def test_covariance_falls_to_one_over_e_at_its_length() -> None:
    at = covariance(np.array([0.0, 4.0]), exponent=1.4, correlation_length_mm=4.0)
    assert at == pytest.approx([1.0, np.exp(-1.0)])
