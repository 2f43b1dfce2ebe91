"""How the scored pixels look, and when noise is said."""

from __future__ import annotations

import numpy as np
import pytest

from tbsnode.phantom import scanners
from tbsnode.phantom.spine import Spine, draw
from tbsnode.tbs import spine
from tbsnode.tbs.result import SpineMeasurement
from tests import spines


def measured(noise: float, scanner: str = "fine") -> SpineMeasurement:
    image = scanners.scan(draw(Spine(), 1), spines.SCANNERS[scanner], 1, noise=noise)
    return spine.measure(
        spine.Picture(
            pixels=image.pixels.astype(np.float64),
            pixel_spacing_mm=image.pixel_spacing_mm,
            stored_maximum=float(np.iinfo(image.pixels.dtype).max),
        )
    )


@pytest.mark.parametrize("scanner", ["fine", "coarse", "linear", "oblong"])
def test_ordinary_noise_is_not_doubted(scanner: str) -> None:
    found = measured(1.0, scanner)
    assert "EXCESSIVE_NOISE" not in {finding.code.value for finding in found.findings}
    assert found.statistics is not None
    assert 0.0 < found.statistics.short_lag_noise < 0.35
    assert 0.95 < found.statistics.fit_r2 <= 1.0


@pytest.mark.parametrize("scanner", ["fine", "linear"])
def test_extreme_noise_is_said_with_its_size(scanner: str) -> None:
    found = measured(6.0, scanner)
    (finding,) = [each for each in found.findings if each.code.value == "EXCESSIVE_NOISE"]
    assert 10.0 < float(dict(finding.values)["noise_percent"]) < 60.0
    assert found.score < measured(1.0, scanner).score - 0.2


def test_more_noise_is_a_larger_share_and_a_larger_error() -> None:
    shares, errors = [], []
    for noise in (0.7, 1.4, 2.8):
        found = measured(noise)
        assert found.statistics is not None
        shares.append(found.statistics.short_lag_noise)
        errors.append(found.standard_error)
    assert shares == sorted(shares)
    assert errors == sorted(errors)


def test_gray_levels_and_saturation_are_those_of_the_regions() -> None:
    display, linear = measured(1.0).statistics, measured(1.0, "linear").statistics
    assert display is not None
    assert linear is not None
    assert display.gray_levels <= 127 < linear.gray_levels
    assert display.saturated_fraction > 0.0 == linear.saturated_fraction
