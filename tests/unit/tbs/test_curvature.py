"""The angle of a curved spine."""

from __future__ import annotations

import numpy as np
import pytest

from tbsnode.phantom.spine import Spine
from tbsnode.reasons import Code, Severity
from tbsnode.tbs import axis, curvature, spine
from tbsnode.tbs.field import Grid
from tests import spines


def column(*coefficients: float) -> axis.Column:
    """An empty picture of 150 mm with an axis x(y), in squares of 0.5 mm."""
    empty = np.zeros((300, 301))
    grid = Grid(empty, empty == 0.0, (0.5, 0.5), (300, 301), (0.0, 1.0))
    return axis.straighten(grid, np.array(coefficients))


def test_a_straight_axis_is_not_curved_however_tilted() -> None:
    assert curvature.curve_deg(column(0.0, 150.0), 10.0, 140.0) == 0.0
    assert curvature.curve_deg(column(np.tan(np.radians(12.0)), 130.0), 10.0, 140.0) == pytest.approx(0.0)


def test_a_parabola_by_hand() -> None:
    """Slope k (2 y - 300): at rows 50 and 250 it is -0.1 and 0.1, 5.71 degrees to either side."""
    bow = column(0.0005, -0.15, 150.0)
    ends = np.interp([50.0, 250.0], bow.y, np.arange(bow.y.size) * 0.5)
    assert curvature.curve_deg(bow, *ends) == pytest.approx(2 * 5.711, abs=0.1)
    (finding,) = curvature.findings(bow, *ends)
    assert (finding.code, finding.severity) == (Code.CURVED_SPINE, Severity.WARN)
    assert dict(finding.values)["curve_degrees"] == pytest.approx(11.4, abs=0.1)
    assert curvature.findings(bow, 45.0, 105.0) == ()
    assert curvature.curve_deg(bow, 500.0, 510.0) == 0.0


@pytest.mark.parametrize("degrees", [15.0, 20.0, 25.0])
def test_scoliosis_is_said_with_its_angle(degrees: float) -> None:
    measured = spine.measure(spines.picture(Spine(cobb_deg=degrees), "linear"))
    (finding,) = [f for f in measured.findings if f.code is Code.CURVED_SPINE]
    assert dict(finding.values)["curve_degrees"] == pytest.approx(degrees, abs=4.0)
    assert all(v.included for v in measured.vertebrae)


@pytest.mark.parametrize("phantom", [Spine(), Spine(cobb_deg=6.0), Spine(tilt_deg=6.0)])
def test_a_nearly_straight_spine_is_not_called_curved(phantom: Spine) -> None:
    measured = spine.measure(spines.picture(phantom, "linear"))
    assert Code.CURVED_SPINE not in {finding.code for finding in measured.findings}
