"""Reports made by hand: a picture with four blocks for vertebrae, power-law variograms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tbsnode.model import Analysis, Report
from tbsnode.tbs.result import Vertebra
from tests.report_parts import analysis, left_out, picture, refused, report, vertebra


@pytest.fixture(name="make_picture")
def _make_picture() -> Callable[..., np.ndarray]:
    return picture


@pytest.fixture(name="make_analysis")
def _make_analysis() -> Callable[..., Analysis]:
    return analysis


@pytest.fixture(name="make_refused")
def _make_refused() -> Callable[..., Analysis]:
    return refused


@pytest.fixture(name="make_report")
def _make_report() -> Callable[..., Report]:
    return report


@pytest.fixture(name="make_vertebra")
def _make_vertebra() -> Callable[..., Vertebra]:
    return vertebra


@pytest.fixture(name="make_left_out")
def _make_left_out() -> Callable[..., Vertebra]:
    return left_out
