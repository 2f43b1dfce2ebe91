from __future__ import annotations

import numpy as np
import pytest

from tbsnode.phantom.shapes import bone, capsule, cover, ellipse


def test_edge_rises_from_ten_to_ninety_percent_over_its_width() -> None:
    assert cover(np.array([-1.0, 0.0, 1.0]), 2.0) == pytest.approx([0.9, 0.5, 0.1], abs=1e-4)


def test_distance_to_a_tapered_rod_by_hand() -> None:
    row, column = np.array([0.0, 0.0, 0.0, 3.0]), np.array([-5.0, 15.0, 5.0, 5.0])
    distance = capsule(row, column, (0.0, 0.0), (0.0, 10.0), (2.0, 4.0))
    assert distance == pytest.approx([3.0, 1.0, -3.0, 0.0])


def test_ellipse_is_zero_on_its_outline() -> None:
    distance = ellipse(np.array([3.0, 0.0, 0.0]), np.array([0.0, 5.0, 0.0]), (0.0, 0.0), (3.0, 5.0))
    assert distance == pytest.approx([0.0, 0.0, -3.0])


def test_cortex_is_denser_than_the_interior() -> None:
    outside, cortex, interior = bone(np.array([9.0, -2.0, -9.0]), inside=0.5, rim=0.3)
    assert outside < 0.01 < interior < cortex
    assert interior == pytest.approx(0.5, abs=0.01)
