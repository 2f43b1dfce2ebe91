"""Results made by hand for the DICOM builders: four vertebrae as rectangles on a small picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tbsnode.dicom import identity
from tbsnode.model import (
    Analysis,
    AnalysisStatus,
    Change,
    ClinicalContext,
    Corrections,
    Factor,
    FollowUp,
    InputClass,
    PriorExamination,
    Provenance,
    Reference,
    RejectionReason,
    Report,
    Review,
    ReviewAction,
    Reviewer,
    ScannerResults,
    SiteResult,
)
from tbsnode.reasons import Code, Finding
from tbsnode.tbs.bone_density import BmdDiagnosis, Diagnosis
from tbsnode.tbs.frax import Adjusted, Adjustment, Supplied
from tbsnode.tbs.result import LABELS, Vertebra
from tests import analyses

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
    values = analyses.scored(
        identity=identity.read_identity(source),
        pixel_spacing_mm=(0.5, 0.4),
        vertebrae=(vertebra(0), vertebra(1), vertebra(2), last),
        findings=(
            Finding(Code.LEVEL_EXCLUDED, "L4"),
            Finding(Code.SCANNER_UNCALIBRATED),
            Finding(Code.SPACING_CONTRADICTION),
        ),
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


DOE = Reviewer(login="jdoe", name="Doe^Jane^^Dr", organization="Bone Clinic")
SCANNER_SR = "1.2.826.0.1.3680043.10.9.7"  # the hip's own structured report
SPINE_RESULTS = ScannerResults(
    sites=(
        *(
            SiteResult(
                site=level,
                area_cm2=12.5 + index,
                bmc_g=11.25 + index,
                bmd_g_cm2=0.9 + index / 100,
                t_score=-1.9 - index / 10,
                z_score=-0.4 + index / 10,
                height_mm=33.5 + index,
            )
            for index, level in enumerate(LABELS)
        ),
        SiteResult(site="L1-L4", area_cm2=56.5, bmc_g=53.1, bmd_g_cm2=0.953, t_score=-2.1, z_score=-0.3),
        SiteResult(site="L2-L4", bmd_g_cm2=0.961, t_score=-2.0),
    ),
    source="private results text",
    reference="Adults 20 to 40",
)
HIP_RESULTS = ScannerResults(
    sites=(
        SiteResult(site="total_hip", side="left", bmd_g_cm2=0.801, t_score=-1.6, z_score=-0.31),
        SiteResult(site="femoral_neck", side="left", bmd_g_cm2=0.742, t_score=-2.2, z_score=-0.6),
        SiteResult(site="total_hip", side="right", bmd_g_cm2=0.792, t_score=-1.7, z_score=-0.41),
    ),
    source="structured report",
    sop_instance_uid=SCANNER_SR,
    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.22",
    series_instance_uid="1.2.826.0.1.3680043.10.9",
)
RADIUS_RESULTS = ScannerResults(
    sites=(SiteResult(site="one_third_radius", side="left", bmd_g_cm2=0.655, t_score=-2.4, z_score=-1.1),),
    source="import",
)
DECLARED = ClinicalContext(
    present=(Factor.PREVIOUS_FRACTURE, Factor.GLUCOCORTICOIDS),
    absent=tuple(f for f in Factor if f not in (Factor.PREVIOUS_FRACTURE, Factor.GLUCOCORTICOIDS))[:-1],
    fracture_sites=("wrist", "other"),
    glucocorticoid_mg_day=7.5,
    menopausal_status="post",
    frax=Supplied(
        major_percent=22.0,
        hip_percent=4.5,
        with_bmd=True,
        source="referral letter",
        country_model="US (Caucasian)",
        calculated_on="20240220",
    ),
    densitometry=RADIUS_RESULTS,
    source="questionnaire",
)
COURSE = FollowUp(
    priors=(
        PriorExamination(
            study_instance_uid="1.2.826.0.1.3680043.10.2",
            examined_on="20200302",
            age_years=60.0,
            score=1.33,
            tbs=1.40,
            levels=LABELS,
            comparable=False,
            origin="own report",
        ),
        PriorExamination(
            study_instance_uid="1.2.826.0.1.3680043.10.3",
            examined_on="20220304",
            age_years=62.01,
            score=1.3,
            tbs=1.362,
            levels=LABELS[:3],
            comparable=True,
            difference=-0.05,
            tbs_difference=-0.052,
            origin="pacs",
        ),
    ),
    lsc=0.045,
    tbs_lsc=0.06,
    findings=(Finding(Code.PRIOR_NOT_COMPARABLE, values=(("detail", "another scanner"),)),),
)


def maximal(source: Path, **changes: Any) -> Analysis:
    """Return a calibrated result with everything that can stand around it."""
    analysis = scored(source)
    assert analysis.identity is not None
    text_instance = replace(SPINE_RESULTS, sop_instance_uid=analysis.identity.sop_instance_uid)
    values: dict[str, Any] = {
        "vertebrae": tuple(replace(each, standard_error=0.011) for each in analysis.vertebrae),
        "standard_error": 0.006,
        "tbs": 1.31,
        "tbs_see": 0.031,
        "z_score": -0.42,
        "category": "partially_degraded",
        "threshold_set": "B: 1.230 / 1.310",
        "reference": "US NHANES 2007-2008, women",
        "calibration": "CAL-7",
        "site_percentile": 23.4,
        "site_z": -0.7,
        "findings": (Finding(Code.LEVEL_EXCLUDED, "L4"), Finding(Code.POOR_FIT, "L2", (("fit_r2", 0.71),))),
        "densitometry": text_instance,
        "other_densitometry": (HIP_RESULTS,),
        "bmd_diagnosis": BmdDiagnosis(diagnosis=Diagnosis.LOW_BONE_MASS, site="one_third_radius", score=-2.4),
        "clinical": DECLARED,
        "frax": Adjustment(
            major=Adjusted(before_percent=22.0, after_percent=23.9, low_percent=23.0, high_percent=24.8),
            hip=Adjusted(before_percent=4.5, after_percent=5.3, low_percent=5.0, high_percent=5.6),
        ),
        "follow_up": COURSE,
    }
    return replace(analysis, **(values | changes))


def review(action: ReviewAction = ReviewAction.ACCEPT, **changes: Any) -> Review:
    """Return an act of Dr Doe's, twenty minutes after the image was taken."""
    values = Review(
        action=action, reviewer=DOE, host="dxa-node", at=datetime(2024, 3, 5, 10, 36, 30, tzinfo=UTC)
    )
    return replace(values, **changes)


CORRECTED = review(
    ReviewAction.CORRECT,
    comment="Osteophyte at L4.\nDisc below L3 was drawn too low.",
    corrections=Corrections(exclude=("L4",), disc_rows=(("L3/L4", 16.5),), shift=-1),
    image_uid="1.2.826.0.1.3680043.10.1.1.2",
    changes=(
        Change(what="levels", before="L1, L2, L3, L4", after="L1, L2, L3"),
        Change(what="tbs", before="1.320", after="1.310"),
    ),
)
AMENDED = replace(CORRECTED, version=2, comment="Recalibrated.")


def rejected(reason: RejectionReason, **changes: Any) -> Review:
    """Return a rejection by Dr Doe."""
    return review(ReviewAction.REJECT, rejection=reason, comment="Wrong vertebrae.", **changes)
