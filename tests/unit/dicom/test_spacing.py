"""Which spacing is taken, from where, and what contradicts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbsnode.dicom.part10 import read_header
from tbsnode.dicom.spacing import Spacing, spacing_of
from tbsnode.reasons import Code
from tests import sources

NONE: dict[str, Any] = {
    "PixelSpacing": None,
    "PixelSpacingCalibrationType": None,
    "PixelSpacingCalibrationDescription": None,
}


def spacing(tmp_path: Path, configured: tuple[float, float] | None = None, **changes: Any) -> Spacing:
    path = sources.write(tmp_path / "x.dcm", sources.spine(**changes))
    return spacing_of(read_header(path), configured)


def test_order(tmp_path: Path) -> None:
    every: dict[str, Any] = {
        "ImagerPixelSpacing": ["0.5", "0.4"],
        "NominalScannedPixelSpacing": ["0.5", "0.4"],
        "ExposedArea": [8, 12],  # 20 columns of 0.4, 24 rows of 0.5
    }
    taken = []
    for gone in ("", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "ExposedArea"):
        every = {**every, **(NONE if gone == "PixelSpacing" else {gone: None} if gone else {})}
        found = spacing(tmp_path, (0.5, 0.4), **every)
        assert found.row_column_mm == pytest.approx((0.5, 0.4))
        taken.append((found.source, found.needs_check))
    assert taken == [
        ("PixelSpacing", False),
        ("ImagerPixelSpacing", False),
        ("NominalScannedPixelSpacing", False),
        ("ExposedArea", True),
        ("configuration", False),
    ]


@pytest.mark.parametrize("empty", ["", ["0", "0"], ["-1", "0.5"], ["0.5"], ["0.5", "0.4", "0.3"]])
def test_empty_or_impossible_is_passed_over(tmp_path: Path, empty: Any) -> None:
    changes = {**NONE, "PixelSpacing": empty}
    assert spacing(tmp_path, **changes) == Spacing(
        row_column_mm=None, source="", needs_check=False, findings=()
    )
    assert spacing(tmp_path, (0.6, 0.6), **changes).source == "configuration"


def test_exposed_area_is_width_then_height(tmp_path: Path) -> None:
    found = spacing(tmp_path, **NONE, ExposedArea=[10, 6])
    assert found.row_column_mm == pytest.approx((6 / 24, 10 / 20))
    assert [f.code for f in found.findings] == [Code.DERIVED_PIXEL_SPACING]


def test_exposed_area_must_agree_with_the_aspect_ratio(tmp_path: Path) -> None:
    agrees = spacing(tmp_path, **NONE, ExposedArea=[8, 12], PixelAspectRatio=["5", "4"])
    assert agrees.source == "ExposedArea"
    breaks = spacing(tmp_path, **NONE, ExposedArea=[8, 12], PixelAspectRatio=["1", "1"])
    assert (breaks.row_column_mm, breaks.source) == (None, "")
    assert [f.code for f in breaks.findings] == [Code.SPACING_CONTRADICTION]


def test_exposed_area_of_one_value_is_a_diameter(tmp_path: Path) -> None:
    assert spacing(tmp_path, **NONE, ExposedArea=180).source == ""


@pytest.mark.parametrize("other", [{"ImagerPixelSpacing": ["0.52", "0.4"]}, {"ExposedArea": [9, 12]}])
def test_contradiction(tmp_path: Path, other: dict[str, Any]) -> None:
    found = spacing(tmp_path, **other)
    assert found.row_column_mm == (0.5, 0.4)
    (finding,) = found.findings
    assert finding.code is Code.SPACING_CONTRADICTION
    assert dict(finding.values)["used"] == "PixelSpacing"
    assert dict(finding.values)["other"] == next(iter(other))


def test_rounding_is_no_contradiction(tmp_path: Path) -> None:
    assert spacing(tmp_path, ImagerPixelSpacing=["0.503", "0.4"]).findings == ()


def test_magnification_brings_the_detector_plane_to_the_bone(tmp_path: Path) -> None:
    found = spacing(
        tmp_path, **NONE, ImagerPixelSpacing=["0.6", "0.6"], EstimatedRadiographicMagnificationFactor="1.2"
    )
    assert found.row_column_mm == pytest.approx((0.5, 0.5))
