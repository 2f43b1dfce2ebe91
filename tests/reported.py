"""Results made by hand for the DICOM builders: four vertebrae as rectangles on a small picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tbsnode.dicom import identity
from tbsnode.model import Analysis, AnalysisStatus, InputClass, Provenance, Reference, Report
from tbsnode.reasons import Code, Finding
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.result import LABELS, Vertebra

MADE = Provenance(
    version="0.1.0",
    device_uid="2.25.123456789",
    station="TBSNODE",
    serial_number="node-1",
    content_at=datetime(2024, 3, 5, 11, 5, 9, tzinfo=UTC),
)


def vertebra(index: int, **changes: Any) -> Vertebra:
    """Return level `index` as a rectangle of rows 4 + 5 index .. 8 + 5 index, columns 5 .. 15."""
    top, bottom, left, right = 1.0 + 5 * index, 5.0 + 5 * index, 5.0, 14.5
    values = Vertebra(
        label=LABELS[index],
        included=True,
        excluded=None,
        score=1.21 + 0.04 * index,
        standard_error=None,
        native_score=1.1,
        unweighted_score=1.2,
        fit_r2=0.99,
        pairs=123456,
        area_mm2=1012.3 + index,
        height_mm=33.0,
        region=((top, left), (top, right), (bottom, right), (bottom, left), (top, left)),
    )
    return replace(values, **changes)


def scored(source: Path, **changes: Any) -> Analysis:
    """Return a scored, uncalibrated result of a source file, with L4 left out."""
    last = vertebra(3, included=False, excluded=Finding(Code.HIGH_DENSITY, "L4"))
    values = Analysis(
        status=AnalysisStatus.SCORED,
        reason=None,
        identity=identity.read_identity(source),
        frame=0,
        image_sha256="ab" * 32,
        data_set_sha256="cd" * 32,
        input_class=InputClass.IMAGE,
        pixel_spacing_mm=(0.5, 0.4),
        spacing_source="PixelSpacing",
        label_confidence=0.93,
        alternative=None,
        vertebrae=(vertebra(0), vertebra(1), vertebra(2), last),
        score=1.25,
        standard_error=None,
        native_score=1.1,
        tbs=None,
        z_score=None,
        category=None,
        calibration=None,
        findings=(
            Finding(Code.LEVEL_EXCLUDED, "L4"),
            Finding(Code.SCANNER_UNCALIBRATED),
            Finding(Code.SPACING_CONTRADICTION),
        ),
        parameters=Parameters(),
        version="0.1.0",
    )
    return replace(values, **changes)


def refused(source: Path, code: Code = Code.REPORT_PAGE) -> Analysis:
    """Return a refusal."""
    return scored(
        source,
        status=AnalysisStatus.REFUSED,
        reason=Finding(code),
        vertebrae=(),
        score=None,
        native_score=None,
        label_confidence=None,
        pixel_spacing_mm=None,
        spacing_source="",
        input_class=InputClass.PAGE,
        findings=(Finding(code),),
    )


def report(analysis: Analysis, **changes: Any) -> Report:
    """Return the report of a result."""
    assert analysis.identity is not None
    values = Report(
        analysis=analysis,
        source=Reference(
            sop_class_uid=analysis.identity.sop_class_uid,
            sop_instance_uid=analysis.identity.sop_instance_uid,
            series_instance_uid=analysis.identity.series_instance_uid,
            study_instance_uid=analysis.identity.study_instance_uid,
        ),
        others=(),
        provenance=MADE,
        result_digest="ef" * 32,
    )
    return replace(values, **changes)
