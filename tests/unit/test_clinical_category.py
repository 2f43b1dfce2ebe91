"""A declared menopause decides if a woman of 45 gets a texture class, and by which scores she is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tbsnode.dicom import acquisition
from tbsnode.dicom import image as dicom_image
from tbsnode.model import Analysis, ClinicalContext, DensitometryImage, ScannerResults, SiteResult
from tbsnode.pipeline import interpret
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_image
from tbsnode.pipeline.interpret import Interpreting, scanner_key
from tbsnode.tbs.bone_density import Diagnosis
from tbsnode.tbs.calibration import Calibration, Kind, estimator_of
from tbsnode.tbs.parameters import Parameters

Analyze = Callable[[str], Analysis]
HIP = ScannerResults(
    sites=(SiteResult(site="total_hip", side="left", t_score=-2.6, z_score=-1.0),), source="import"
)


def picture(folder: Path, birth_date: str, sex: str) -> DensitometryImage:
    patient = acquisition.PatientTags(
        patient_id="MENO-1", birth_date=birth_date, sex=sex, height_m=1.65, weight_kg=65.0
    )
    (part10,) = acquisition.study(
        "display", patient=patient, seed=1, study_date="20261101", options=acquisition.Options(small=True)
    )
    path = folder / f"{birth_date}{sex}.dcm"
    path.write_bytes(part10)
    (image,) = dicom_image.read_images(path)
    return image


@pytest.fixture(scope="module")
def analyze(tmp_path_factory: pytest.TempPathFactory) -> Analyze:
    """``analyze("post")``: the calibrated result of a woman of 45 with this status imported."""
    image = picture(tmp_path_factory.mktemp("menopause"), "19810601", "F")
    plain = analyze_image(image, AnalysisSettings())
    assert plain.score is not None
    made = Calibration(
        kind=Kind.PAIRED,
        key=scanner_key(plain),
        intercept=1.15 - plain.score,
        slope=1.0,
        see=0.02,
        pairs=70,
        allows_category=True,
        estimator=estimator_of(Parameters()),
        approved_by="Dr. Example",
        approved_on=date(2026, 1, 1),
        valid_until=date(2028, 1, 1),
    ).named()
    interpreting = Interpreting(calibrations=(made,), on=date(2026, 11, 1))

    def analyzed(status: str) -> Analysis:
        declared = ClinicalContext(menopausal_status=status, densitometry=HIP, source="letter")
        settings = AnalysisSettings(interpreting=interpreting, clinical=declared if status else None)
        found = analyze_image(image, settings)
        if not status:
            found = replace(found, other_densitometry=(replace(HIP, source="structured report"),))
        return replace(found, bmd_diagnosis=interpret.diagnosis_of(found))

    return analyzed


@pytest.mark.parametrize(
    ("status", "category", "diagnosis"),
    [
        ("", None, Diagnosis.WITHIN_EXPECTED),
        ("pre", None, Diagnosis.WITHIN_EXPECTED),
        ("post", "degraded", Diagnosis.OSTEOPOROSIS),
    ],
)
def test_a_woman_of_45(analyze: Analyze, status: str, category: str | None, diagnosis: Diagnosis) -> None:
    made = analyze(status)
    assert made.tbs == pytest.approx(1.15)  # the value is hers whatever is declared
    assert made.category == category
    assert made.bmd_diagnosis is not None
    assert made.bmd_diagnosis.diagnosis is diagnosis
