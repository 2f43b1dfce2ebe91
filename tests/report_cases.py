"""Reports made by hand, one for each state that a reader may meet; the pages are rendered from these.

Around the parts of `report_parts`: densities, declared factors, fracture probability, earlier
examinations, reviews. `cases` returns all of them by name.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tbsnode.model import (
    Alternative,
    Analysis,
    Change,
    ClinicalContext,
    CodingAdvice,
    Corrections,
    Factor,
    FollowUp,
    InputClass,
    PriorExamination,
    Report,
    Review,
    ReviewAction,
    Reviewer,
    Scanner,
    ScannerResults,
    SiteResult,
)
from tbsnode.reasons import Code, Finding
from tbsnode.tbs.bone_density import BmdDiagnosis, Diagnosis, SiteScore, diagnose
from tbsnode.tbs.frax import Adjustment, Supplied, adjust
from tbsnode.tbs.interpretation import Patient
from tbsnode.tbs.result import LABELS
from tests.report_parts import IDENTITY, analysis, left_out, picture, refused, report, vertebra

SPINE_SITE = "L1-L4"

SPINE = ScannerResults(
    sites=(
        *(
            SiteResult(site=level, area_cm2=12.1, bmc_g=11.0, bmd_g_cm2=bmd, t_score=t, z_score=z)
            for level, bmd, t, z in (
                ("L1", 0.901, -1.9, -0.4),
                ("L2", 0.944, -2.1, -0.5),
                ("L3", 0.982, -1.8, -0.2),
                ("L4", 0.975, -1.9, -0.3),
            )
        ),
        SiteResult(site=SPINE_SITE, bmd_g_cm2=0.953, t_score=-1.9, z_score=-0.3),
    ),
    source="private results text",
    sop_instance_uid="1.2.3.4.5",
    reference="USA (ages 20-40)",
)
HIP = ScannerResults(
    sites=(
        SiteResult(site="total_hip", side="left", bmd_g_cm2=0.801, t_score=-1.6, z_score=-0.3),
        SiteResult(site="femoral_neck", side="left", bmd_g_cm2=0.742, t_score=-2.1, z_score=-0.6),
    ),
    source="structured report",
    sop_instance_uid="1.2.3.4.6",
)
OTHER_HIP = ScannerResults(
    sites=(
        SiteResult(site="total_hip", side="right", bmd_g_cm2=0.792, t_score=-1.7, z_score=-0.4),
        SiteResult(site="femoral_neck", side="right", bmd_g_cm2=0.731, t_score=-2.2, z_score=-0.7),
    ),
    source="structured report",
    sop_instance_uid="1.2.3.4.7",
)
RADIUS = ScannerResults(
    sites=(SiteResult(site="one_third_radius", side="left", bmd_g_cm2=0.655, t_score=-2.6, z_score=-1.1),),
    source="import",
)
WOMAN = Patient(sex="F", age_years=70.1, bmi=26.0)
SUPPLIED = Supplied(
    major_percent=22.0,
    hip_percent=4.5,
    with_bmd=True,
    source="referral letter",
    country_model="US (Caucasian)",
    calculated_on="20260220",
)
DECLARED = ClinicalContext(
    present=(Factor.PREVIOUS_FRACTURE, Factor.GLUCOCORTICOIDS),
    absent=(Factor.CURRENT_SMOKING, Factor.ALCOHOL),
    fracture_sites=("wrist",),
    glucocorticoid_mg_day=7.5,
    menopausal_status="post",
    frax=SUPPLIED,
    source="questionnaire",
)
UNCALIBRATED = (Finding(Code.SCANNER_UNCALIBRATED),)
REVIEWER = Reviewer(login="jdoe", name="Doe^Jane^^Dr", organization="Example Clinic")
PARAGRAPH = (
    "Technically valid: L1-L4, 4 vertebrae, BMI 24, paired calibration SEE 0.030; no soft-tissue "
    "correction. TBS (calibrated) 1.180 +- 0.030: degraded microarchitecture (cut-offs 1.23/1.31); this "
    "is a texture class, not the patient's overall fracture risk. Z-score -0.7 (US NHANES 2007-2008 "
    "women) does not change the class. Declared: previous wrist fracture and glucocorticoid treatment; "
    "each raises fracture risk independently of BMD, and a normal TBS would not cancel it. FRAX with "
    "BMD as supplied: major osteoporotic 22.0 %, hip 4.5 %; research estimate adjusted for TBS 23.9 % "
    "(23.0-24.8) and 5.3 % (5.0-5.6). FRAX does not account for glucocorticoid dose or for how recent a "
    "fracture is. Not to be used alone to decide treatment."
)


def diagnosed(*results: ScannerResults) -> BmdDiagnosis:
    """What the densities of a woman of 70 say."""
    spine = {SPINE_SITE: "spine"}
    scores = [
        SiteScore(site=spine.get(site.site, site.site), t_score=site.t_score, source=each.source)
        for each in results
        for site in each.sites
    ]
    return diagnose(scores, sex="F", age_years=70.1)


def densities(*others: ScannerResults) -> dict[str, Any]:
    """The spine's results, those of other sites, and what they say."""
    return {
        "densitometry": SPINE,
        "other_densitometry": others,
        "bmd_diagnosis": diagnosed(SPINE, *others),
    }


def calibrated(**changes: Any) -> Analysis:
    """A degraded texture of a scanner with a paired calibration; spine and one hip."""
    values: dict[str, Any] = {
        "tbs": 1.18,
        "tbs_see": 0.03,
        "calibration": "CAL-7",
        "category": "degraded",
        "threshold_set": "B: 1.230 / 1.310",
        "z_score": -0.72,
        "reference": "US NHANES 2007-2008, women",
        "input_class": InputClass.IMAGE,
        "findings": (),
        "standard_error": 0.006,
        **densities(HIP),
    }
    return analysis(**{**values, **changes})


def prior(examined_on: str, tbs: float | None, **changes: Any) -> PriorExamination:
    """An earlier examination of all four levels; differences against 1.18 and 1.273."""
    score = 1.30 if tbs is None else tbs + 0.09
    values: dict[str, Any] = {
        "study_instance_uid": f"1.2.3.{examined_on}",
        "examined_on": examined_on,
        "age_years": 70.1 - (2026 - int(examined_on[:4])),
        "score": score,
        "tbs": tbs,
        "levels": LABELS,
        "comparable": True,
        "difference": 1.2734567891 - score,
        "tbs_difference": None if tbs is None else 1.18 - tbs,
    }
    return PriorExamination(**{**values, **changes})


FOUR_PRIORS = FollowUp(
    priors=(
        prior("20170410", 1.291),
        prior("20190502", 1.262, comparable=False, difference=None, tbs_difference=None),
        prior("20210611", 1.244),
        prior("20240115", 1.235),
    ),
    lsc=0.045,
    tbs_lsc=0.050,
    findings=(
        Finding(
            Code.PRIOR_NOT_COMPARABLE, values=(("detail", "2019-05-02: another scanner or input class"),)
        ),
    ),
)


def review(action: ReviewAction = ReviewAction.ACCEPT, **changes: Any) -> Review:
    """An act of Dr Doe's."""
    values: dict[str, Any] = {
        "action": action,
        "reviewer": REVIEWER,
        "host": "dxa-node",
        "at": datetime(2026, 3, 2, 8, 30, 0, tzinfo=UTC),
    }
    return Review(**{**values, **changes})


CORRECTED = review(
    ReviewAction.CORRECT,
    comment="Osteophyte at L3.",
    corrections=Corrections(exclude=("L3",)),
    changes=(
        Change(what="levels", before="L1, L2, L3, L4", after="L1, L2, L4"),
        Change(what="score", before="1.270", after="1.257"),
        Change(what="tbs", before="1.192", after="1.180"),
    ),
)
AMENDED = replace(
    CORRECTED,
    version=2,
    comment="The scanner's recalibration of February was entered; L3 has an osteophyte.",
    changes=(
        *CORRECTED.changes,
        Change(what="category", before="", after="degraded microarchitecture"),
        Change(what="calibration", before="CAL-6", after="CAL-7"),
    ),
)


def _signed_cases() -> dict[str, Report]:
    without_l3 = (vertebra(0), vertebra(1), left_out(2, Code.EXCLUDED_BY_REVIEWER), vertebra(3))
    reviewed = calibrated(
        clinical=DECLARED,
        vertebrae=without_l3,
        findings=(
            Finding(Code.CORRECTED_BY_REVIEWER, values=(("detail", "L3 excluded"),)),
            Finding(Code.LEVELS_INCOMPLETE, values=(("levels", "L1, L2, L4"),)),
        ),
    )
    accepted = calibrated(clinical=DECLARED)
    return {
        "signed": report(accepted, review=review(), interpretation=PARAGRAPH, coding=CODING),
        "corrected": report(reviewed, review=CORRECTED, interpretation=PARAGRAPH),
        "amended": report(reviewed, review=AMENDED, interpretation=PARAGRAPH),
        "signed_uncalibrated": report(analysis(**densities(HIP)), review=review()),
        "amended_uncalibrated": report(
            analysis(vertebrae=without_l3, **densities(HIP)),
            review=replace(AMENDED, changes=CORRECTED.changes[:2]),
        ),
        "signed_refusal": report(refused(Finding(Code.NO_TEXTURE), clinical=DECLARED), review=review()),
    }


CODING = CodingAdvice(codes=("77089",), why="Computed here and interpreted by a named physician.")


def named(name: str, **changes: Any) -> Report:
    """The calibrated result of a patient of another name."""
    who = replace(IDENTITY.demographics, name=name)
    identity = replace(IDENTITY, demographics=who, **changes)
    return report(calibrated(identity=identity, clinical=DECLARED))


def _named_cases() -> dict[str, Report]:
    return {
        "japanese": named(
            "Yamada^Tarou=山田^太郎=やまだ^たろう", referring_physician="Takahashi^Ken=髙橋^健"
        ),
        "korean": named("Hong^Gildong=洪^吉洞=홍^길동", referring_physician="김^민수"),
        "hangul": named("Kim^Minsu=김^민수"),
        "chinese": named("Wang^XiaoDong=王^小东", study_description="腰椎骨密度"),
        "greek": named("Διονυσιάδης^Γεώργιος", referring_physician="Παπαδόπουλος^Νίκος"),
        "cyrillic": named("Щербаков^Пётр^Їжакевич", study_description="Денситометрия L1-L4"),
        "latin": named("Dvořák^Jiří^Łukasz^Şükrü", referring_physician="Nguyễn^Thị Ánh"),
    }


def _maximal() -> Report:
    """As much as page 1 may ever have to hold: 64 characters in every field, every site and factor."""
    word = "Abcdefg " * 8
    who = replace(
        IDENTITY.demographics, name=f"{word[:31]}^{word[:32]}", patient_id="I" * 64, issuer="C" * 64
    )
    scanner = Scanner(
        manufacturer="M" * 64,
        model_name="N" * 64,
        device_serial_number="S" * 64,
        software_versions="V" * 64,
        station_name="DXASTATION000016",
        institution_name="J" * 64,
    )
    identity = replace(
        IDENTITY,
        demographics=who,
        scanner=scanner,
        study_description="D" * 64,
        accession_number="A" * 16,
        referring_physician=f"{word[:31]}^{word[:32]}",
    )
    codes = (
        Code.LEVELS_DISAGREE_WITH_SCANNER,
        Code.EXCESSIVE_NOISE,
        Code.TILTED_SPINE,
        Code.POOR_FIT,
        Code.BMI_OUT_OF_RANGE,
        Code.MULTIPLE_SPINES,
        Code.SATURATED,
        Code.RESAMPLED,
        Code.SPACING_CONTRADICTION,
        Code.CALIBRATION_EXPIRING,
        Code.BORDERLINE,
    )
    every = replace(
        DECLARED,
        present=tuple(Factor),
        absent=(),
        fracture_sites=("hip", "vertebra", "wrist", "humerus", "pelvis", "other"),
        source="Q" * 64,
        frax=replace(SUPPLIED, source="F" * 64, country_model="K" * 32),
    )
    found = calibrated(
        identity=identity,
        tbs=1.27,
        tbs_see=0.045,
        category=None,
        borderline=("normal", "partially_degraded", "degraded"),
        vertebrae=(
            left_out(0, Code.REDUCED_HEIGHT),
            vertebra(1),
            left_out(2, Code.HIGH_DENSITY),
            vertebra(3),
        ),
        findings=tuple(Finding(code) for code in codes),
        clinical=every,
        follow_up=FOUR_PRIORS,
        frax=adjust(SUPPLIED, 1.27, 0.045, patient=WOMAN, manufacturer="GE Healthcare"),
        site_percentile=23.4,
        site_z=-0.7,
        alternative=Alternative(shift=1, score=1.29),
        **densities(HIP, OTHER_HIP, RADIUS),
    )
    long = replace(AMENDED, comment="W" * 64, reviewer=replace(REVIEWER, organization="O" * 64))
    return report(found, review=long, interpretation=PARAGRAPH, coding=CODING, simulated=True)


def _scored_cases() -> dict[str, Report]:
    adjusted = adjust(SUPPLIED, 1.18, 0.03, patient=WOMAN, manufacturer="GE Healthcare")
    fractured = (vertebra(0), left_out(1, Code.REDUCED_HEIGHT), vertebra(2), vertebra(3))
    two_out = (left_out(0, Code.LEVEL_CUT), vertebra(1), left_out(2, Code.HIGH_DENSITY), vertebra(3))
    return {
        "scored_calibrated": report(
            calibrated(clinical=DECLARED, frax=adjusted, follow_up=FollowUp()), interpretation=PARAGRAPH
        ),
        "normal": report(calibrated(tbs=1.38, category="normal")),
        "borderline": report(
            calibrated(tbs=1.30, category=None, borderline=("normal", "partially_degraded"), z_score=0.2)
        ),
        "no_category": report(
            calibrated(
                category=None, threshold_set="", findings=(Finding(Code.CALIBRATION_WITHOUT_CATEGORY),)
            )
        ),
        "uncalibrated": report(
            analysis(input_class=InputClass.IMAGE, findings=UNCALIBRATED, **densities(HIP))
        ),
        "bare": report(analysis(input_class=InputClass.IMAGE, findings=UNCALIBRATED)),
        "site_percentile": report(analysis(site_percentile=23.4, site_z=-0.7, **densities(HIP))),
        "suspended": report(analysis(findings=(Finding(Code.CALIBRATION_SUSPENDED),), **densities())),
        "display_copy": report(analysis(**densities(HIP))),
        "four_priors": report(calibrated(clinical=DECLARED, follow_up=FOUR_PRIORS), interpretation=PARAGRAPH),
        "four_priors_uncalibrated": report(
            analysis(
                follow_up=replace(
                    FOUR_PRIORS,
                    priors=tuple(replace(p, tbs=None, tbs_difference=None) for p in FOUR_PRIORS.priors),
                    tbs_lsc=None,
                ),
                **densities(HIP),
            )
        ),
        "possible_fracture": report(calibrated(vertebrae=fractured, follow_up=FollowUp())),
        "spine_only": report(calibrated(**densities(), follow_up=None)),
        "two_excluded": report(calibrated(vertebrae=two_out)),
        "prior_hip_fracture": report(
            calibrated(
                tbs=1.38, category="normal", clinical=replace(DECLARED, fracture_sites=("hip",), frax=None)
            )
        ),
        "osteoporosis": report(calibrated(tbs=1.38, category="normal", **densities(HIP, RADIUS))),
        "young": report(
            calibrated(
                bmd_diagnosis=BmdDiagnosis(
                    diagnosis=Diagnosis.WITHIN_EXPECTED, site="femoral_neck", score=-0.6, uses_z_score=True
                )
            )
        ),
        "frax_not_adjusted": report(
            calibrated(
                clinical=replace(DECLARED, frax=replace(SUPPLIED, with_bmd=False)),
                frax=Adjustment(
                    finding=Finding(
                        Code.FRAX_NOT_ADJUSTED,
                        values=(("detail", "the probability was computed without bone density"),),
                    )
                ),
            )
        ),
        "simulated": report(calibrated(clinical=DECLARED), simulated=True),
    }


def cases() -> dict[str, tuple[Report, np.ndarray | None]]:
    """Return every case by name: the report and its picture."""
    refusals = {
        "refused": report(refused(Finding(Code.NO_PIXEL_SPACING), pixel_spacing_mm=None)),
        "refused_known": report(
            refused(
                Finding(Code.NO_TEXTURE),
                clinical=DECLARED,
                findings=(Finding(Code.DISPLAY_COPY), Finding(Code.TILTED_SPINE)),
                **densities(HIP),
            )
        ),
        "refused_page": report(refused(Finding(Code.REPORT_PAGE), input_class=InputClass.PAGE)),
    }
    made = {**_scored_cases(), **_signed_cases(), **_named_cases(), "maximal": _maximal(), **refusals}
    shown = picture()
    return {name: (each, shown) for name, each in made.items()}
