"""A scored, uncalibrated result in memory: what the tests of stores and reports start from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tbsnode.model import Analysis, AnalysisStatus, InputClass
from tbsnode.tbs.parameters import Parameters


def scored(**changes: Any) -> Analysis:
    """Return a result without levels and without an identity, but for what is stated."""
    plain = Analysis(
        status=AnalysisStatus.SCORED,
        reason=None,
        identity=None,
        frame=0,
        image_sha256="ab" * 32,
        data_set_sha256="cd" * 32,
        input_class=InputClass.IMAGE,
        pixel_spacing_mm=(0.6, 0.6),
        spacing_source="PixelSpacing",
        label_confidence=0.93,
        alternative=None,
        vertebrae=(),
        score=1.25,
        standard_error=None,
        native_score=1.1,
        tbs=None,
        z_score=None,
        category=None,
        calibration=None,
        findings=(),
        parameters=Parameters(),
        version="0.1.0",
    )
    return replace(plain, **changes)
