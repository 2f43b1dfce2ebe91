"""The parts that hand-made reports are put together from: a picture, levels, a result, its report.

The picture has four blocks for vertebrae; variograms are power laws.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tbsnode.model import (
    Analysis,
    AnalysisStatus,
    Demographics,
    InputClass,
    InstanceIdentity,
    Provenance,
    Reference,
    Report,
    Scanner,
)
from tbsnode.reasons import Code, Finding
from tbsnode.tbs.result import LABELS, Vertebra
from tests import analyses

SHAPE = (260, 190)
SPACING_MM = (0.6, 0.75)


def picture(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A bright column of four blocks on a dim field, seeded speckle, a frame of padding."""
    rows, columns = np.indices(shape)
    down, across = rows / shape[0], columns / shape[1]
    pixels = 300.0 + 200.0 * np.exp(-(((across - 0.5) / 0.3) ** 2))
    bone = (np.abs(across - 0.5) < 0.16) & ((down * 5.0 + 0.35) % 1.0 > 0.12)
    pixels = np.where(bone, 900.0, pixels) + np.random.default_rng(7).normal(0.0, 25.0, shape)
    pixels[: shape[0] // 40] = 0.0
    pixels[-(shape[0] // 40) :] = 0.0
    return pixels


def region(index: int, shape: tuple[int, int] = SHAPE) -> tuple[tuple[float, float], ...]:
    top, bottom = (0.13 + 0.2 * index) * shape[0], (0.31 + 0.2 * index) * shape[0]
    left, right, waist = 0.34 * shape[1], 0.66 * shape[1], 0.02 * shape[1]
    middle = (top + bottom) / 2
    ring = [(top, left), (top, right), (middle, right - waist), (bottom, right), (bottom, left)]
    return tuple((float(r), float(c)) for r, c in [*ring, (middle, left + waist)])


def vertebra(index: int, shape: tuple[int, int] = SHAPE, **changes: Any) -> Vertebra:
    slope = 1.21 + 0.04 * index
    lags = np.arange(0.6, 7.0, 0.05)
    wobble = 1.0 + 0.03 * np.sin(9.0 * lags)
    values = Vertebra(
        label=LABELS[index],
        included=True,
        excluded=None,
        score=slope,
        standard_error=None,
        native_score=slope - 0.1,
        unweighted_score=slope,
        fit_r2=0.991,
        pairs=123456 + index,
        area_mm2=1012.3 + index,
        height_mm=33.0,
        region=region(index, shape),
        variogram=tuple(
            (float(r), float(500 * r**slope * w), 4000) for r, w in zip(lags, wobble, strict=True)
        ),
    )
    return replace(values, **changes)


def left_out(index: int, code: Code) -> Vertebra:
    return vertebra(index, included=False, excluded=Finding(code, LABELS[index]))


IDENTITY = InstanceIdentity(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
    sop_instance_uid="1.2.3.4.5",
    study_instance_uid="1.2.3.4",
    series_instance_uid="1.2.3.4.9",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    modality="BMD",
    demographics=Demographics(
        patient_id="P-4711",
        issuer="CLINIC",
        name="Muster^Erika^Maria",
        birth_date="19560229",
        sex="F",
        age_years=70.1,
        height_m=1.63,
        weight_kg=64.0,
    ),
    scanner=Scanner(
        manufacturer="Example",
        model_name="Densitometer 3",
        device_serial_number="S123",
        software_versions="7.1",
        station_name="DXA1",
        institution_name="Example Clinic",
    ),
    accession_number="ACC99",
    study_date="20260301",
    study_time="104205",
    study_description="DXA spine",
    referring_physician="Kurz^Anna",
)


def analysis(**changes: Any) -> Analysis:
    values = analyses.scored(
        identity=IDENTITY,
        input_class=InputClass.DISPLAY,
        pixel_spacing_mm=SPACING_MM,
        spacing_source="ExposedArea",
        vertebrae=tuple(vertebra(i) for i in range(4)),
        score=1.2734567891,
        native_score=1.1734567,
        findings=(Finding(Code.DISPLAY_COPY), Finding(Code.SCANNER_UNCALIBRATED)),
    )
    return replace(values, **changes)


def report(found: Analysis, **changes: Any) -> Report:
    values = Report(
        analysis=found,
        source=Reference(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
            sop_instance_uid="1.2.3.4.5",
            series_instance_uid="1.2.3.4.9",
            study_instance_uid="1.2.3.4",
        ),
        others=(),
        provenance=Provenance(
            version="0.1.0",
            device_uid="2.25.123456789",
            station="TBSNODE",
            serial_number="node-1",
            content_at=datetime(2026, 3, 1, 11, 5, 9, tzinfo=UTC),
        ),
        result_digest="ef" * 32,
    )
    return replace(values, **changes)


def refused(reason: Finding, **changes: Any) -> Analysis:
    nothing: dict[str, Any] = {
        "vertebrae": (),
        "score": None,
        "native_score": None,
        "label_confidence": None,
        "findings": (),
    }
    return analysis(**{"status": AnalysisStatus.REFUSED, "reason": reason, **nothing, **changes})
