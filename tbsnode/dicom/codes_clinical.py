"""Coded concepts of what stands around the measurement: densities, risk, earlier examinations, review.

LOINC has codes for densities and scores of spine, hip, femur and forearm, and for both probabilities; for
a single vertebra it has none, so that a reader who looks for a code finds exactly one value.
"""

from __future__ import annotations

from typing import NamedTuple

from tbsnode.dicom.codes import Concept, private
from tbsnode.model import Factor, ReportStatus, ReviewAction
from tbsnode.tbs.bone_density import Diagnosis


def _loinc(value: str, meaning: str) -> Concept:
    return Concept(value, "LN", meaning)


def _sct(value: str, meaning: str) -> Concept:
    return Concept(value, "SCT", meaning)


class Density(NamedTuple):
    """Density, T-score and Z-score of one region, as concepts."""

    bmd: Concept
    t_score: Concept
    z_score: Concept


# densities as the scanner states them
SPINE_DENSITY = Density(
    _loinc("24966-4", "DXA Lumbar spine [Mass/Area] Bone density"),
    _loinc("38267-1", "DXA Lumbar spine [T-score] Bone density"),
    _loinc("85394-5", "DXA Lumbar spine [Z-score] Bone density"),
)
HIP_DENSITY = Density(
    _loinc("38261-4", "DXA Hip [Mass/Area] Bone density"),
    _loinc("38264-8", "DXA Hip [T-score] Bone density"),
    _loinc("80933-5", "DXA Hip [Z-score] Bone density"),
)
FEMUR_DENSITY = Density(
    _loinc("24701-5", "DXA Femur [Mass/Area] Bone density"),
    _loinc("38263-0", "DXA Femur [T-score] Bone density"),
    _loinc("80934-3", "DXA Femur [Z-score] Bone density"),
)
FOREARM_DENSITY = Density(
    _loinc("24890-6", "DXA Radius and Ulna [Mass/Area] Bone density"),
    _loinc("38265-5", "DXA Radius and Ulna [T-score] Bone density"),
    _loinc("80932-7", "DXA Radius and Ulna [Z-score] Bone density"),
)
REGION_DENSITY = Density(
    private("BMD-REGION-BMD", "Bone mineral density of one region"),
    private("BMD-REGION-T", "T-score of one region"),
    private("BMD-REGION-Z", "Z-score of one region"),
)
BMD_AREA = private("BMD-AREA", "Area that the scanner states")
BMD_CONTENT = private("BMD-BMC", "Bone mineral content that the scanner states")
BMD_HEIGHT = private("BMD-HEIGHT", "Height of a region that the scanner states")
BMD_REGION = private("BMD-REGION", "Region of bone densitometry")
BMD_REGIONS = {
    "total_hip": private("REGION-TOTAL-HIP", "Total hip"),
    "femoral_neck": private("REGION-NECK", "Femoral neck"),
    "one_third_radius": private("REGION-RADIUS33", "One-third radius"),
    "spine": private("REGION-SPINE", "Lumbar spine"),
}
BMD_LEVEL = private("BMD-LEVEL", "Vertebra counted in the density")
BMD_SOURCE = private("BMD-SRC", "Source of the density")
BMD_SOURCES = {
    "structured report": private("BMD-SRC-SR", "Structured report of the scanner"),
    "private results text": private("BMD-SRC-TEXT", "Results text of the scanner"),
    "import": private("BMD-SRC-IMPORT", "Imported, declared by a person"),
}
BMD_SOURCE_UID = private("BMD-SRC-UID", "Instance that states the density")

BMD_DIAGNOSIS = private("BMD-DIAGNOSIS", "What the lowest density score says")
BMD_DIAGNOSIS_SITE = private("BMD-DIAG-SITE", "Site of the lowest density score")
BMD_DIAGNOSIS_SCALE = private("BMD-DIAG-SCALE", "Score that the diagnosis rests on")
BMD_SCALES = {False: private("BMD-DIAG-T", "T-score"), True: private("BMD-DIAG-Z", "Z-score")}
DIAGNOSES = {
    Diagnosis.NORMAL: private("BMD-DX-NORMAL", "Normal bone mineral density"),
    Diagnosis.LOW_BONE_MASS: private("BMD-DX-LOW", "Low bone mass (osteopenia)"),
    Diagnosis.OSTEOPOROSIS: private("BMD-DX-OP", "Osteoporosis by bone mineral density"),
    Diagnosis.WITHIN_EXPECTED: private("BMD-DX-WITHIN", "Within the expected range for age"),
    Diagnosis.BELOW_EXPECTED: private("BMD-DX-BELOW", "Below the expected range for age"),
    Diagnosis.SPINE_ONLY: private("BMD-DX-SPINE", "Spine only: not a diagnosis of bone density"),
    Diagnosis.NO_HIP: private("BMD-DX-NOHIP", "No hip: not a diagnosis of bone density"),
    Diagnosis.NOT_AVAILABLE: private("BMD-DX-NONE", "Not available"),
}

HIP = _sct("29836001", "Hip")
FEMUR = _sct("71341001", "Femur")
RADIUS = _sct("62413002", "Radius")

# fracture probabilities: supplied ones are LOINC's, adjusted ones ours
FRAX_MAJOR = _loinc("90265-0", "FRAX Major osteoporotic fracture 10-year probability")
FRAX_HIP = _loinc("90266-8", "FRAX Hip fracture 10-year probability")
FRAX_WITH_BMD = private("FRAX-BMD", "Femoral neck density entered the probability")
FRAX_SOURCE = private("FRAX-SRC", "Who states the probability")
FRAX_COUNTRY = private("FRAX-COUNTRY", "Country model of the probability")
FRAX_DATE = private("FRAX-DATE", "Day of the probability")
FRAX_MAJOR_TBS = private("FRAX-MOF-TBS", "TBS-adjusted major fracture probability")
FRAX_MAJOR_TBS_LOW = private("FRAX-MOF-TBS-LO", "Its lower bound by the error of TBS")
FRAX_MAJOR_TBS_HIGH = private("FRAX-MOF-TBS-HI", "Its upper bound by the error of TBS")
FRAX_HIP_TBS = private("FRAX-HIP-TBS", "TBS-adjusted hip fracture probability")
FRAX_HIP_TBS_LOW = private("FRAX-HIP-TBS-LO", "Lower bound by the error of TBS, hip")
FRAX_HIP_TBS_HIGH = private("FRAX-HIP-TBS-HI", "Upper bound by the error of TBS, hip")
RESEARCH_ESTIMATE = private("RESEARCH-EST", "Research estimate, not FRAX")

# what was declared
FACTORS = {
    Factor.PREVIOUS_FRACTURE: private("RF-PREV-FX", "Previous fracture"),
    Factor.PARENTAL_HIP_FRACTURE: private("RF-PARENT-HIP", "Parental hip fracture"),
    Factor.CURRENT_SMOKING: private("RF-SMOKING", "Current smoking"),
    Factor.GLUCOCORTICOIDS: private("RF-GLUCO", "Glucocorticoids"),
    Factor.RHEUMATOID_ARTHRITIS: private("RF-RA", "Rheumatoid arthritis"),
    Factor.SECONDARY_OSTEOPOROSIS: private("RF-SECONDARY", "Secondary osteoporosis"),
    Factor.ALCOHOL: private("RF-ALCOHOL", "Alcohol"),
    Factor.TYPE_2_DIABETES: private("RF-T2D", "Type 2 diabetes"),
    Factor.FALLS: private("RF-FALLS", "Falls"),
    Factor.RECENT_FRACTURE: private("RF-RECENT-FX", "Recent fracture"),
}
FRACTURE_SITE = private("RF-FX-SITE", "Place of a previous fracture")
FRACTURE_SITES = {
    "hip": private("FX-HIP", "Hip"),
    "vertebra": private("FX-VERTEBRA", "Vertebra"),
    "wrist": private("FX-WRIST", "Wrist"),
    "humerus": private("FX-HUMERUS", "Humerus"),
    "pelvis": private("FX-PELVIS", "Pelvis"),
    "other": private("FX-OTHER", "Other"),
}
GLUCOCORTICOID_DOSE = private("RF-GLUCO-DOSE", "Daily dose as prednisolone equivalent")
MENOPAUSE = private("MENOPAUSE", "Menopausal status")
MENOPAUSAL = {
    "post": private("MENOPAUSE-POST", "Postmenopausal"),
    "pre": private("MENOPAUSE-PRE", "Premenopausal"),
}
DECLARED_BY = private("DECLARED-BY", "Who declared the clinical context")

# earlier examinations: other concepts than today's, so that nobody takes one for the other
PRIOR_SLOPE = private("PRIOR-TEXSLOPE", "Texture slope of an earlier examination")
PRIOR_TBS = private("PRIOR-TBS", "TBS of an earlier examination")
PRIOR_AGE = private("PRIOR-AGE", "Age at an earlier examination")
PRIOR_LEVEL = private("PRIOR-LEVEL", "Vertebra included then")
PRIOR_COMPARABLE = private("PRIOR-COMPARABL", "Comparable with this examination")
PRIOR_ORIGIN = private("PRIOR-ORIGIN", "Where an earlier examination was found")
PRIOR_ORIGINS = {
    "archive": private("ORIGIN-ARCHIVE", "Own archive, measured again"),
    "pacs": private("ORIGIN-PACS", "PACS, measured again"),
    "own report": private("ORIGIN-REPORT", "Own earlier report, not measured again"),
}
SLOPE_DIFFERENCE = private("TEXSLOPE-DIFF", "Texture slope less that of the earlier examination")
TBS_DIFFERENCE = private("TBS-DIFF", "TBS less that of the earlier examination")
SLOPE_LSC = private("TEXSLOPE-LSC", "Least significant change of the texture slope")
TBS_LSC = private("TBS-LSC", "Least significant change of TBS")
EXCEEDS_LSC = private("EXCEEDS-LSC", "Change exceeds the least significant change")

# what a reviewer did
STATUS = private("REPORT-STATUS", "Status of the report")
STATUSES = {
    ReportStatus.PRELIMINARY: private("PRELIMINARY", "Preliminary, not reviewed"),
    ReportStatus.SIGNED: private("SIGNED", "Signed"),
    ReportStatus.AMENDED: private("AMENDED", "Amended"),
}
REPORT_VERSION = private("REPORT-VERSION", "Version of the signed report")
REVIEW = private("REVIEW", "What the reviewer did")
REVIEWS = {
    ReviewAction.ACCEPT: private("REVIEW-ACCEPT", "Accepted"),
    ReviewAction.CORRECT: private("REVIEW-CORRECT", "Corrected"),
    ReviewAction.REJECT: private("REVIEW-REJECT", "Rejected"),
}
REVIEW_HOST = private("REVIEW-HOST", "Machine on which the review was made")
REVIEW_COMMENT = private("REVIEW-COMMENT", "Comment of the reviewer")
CORRECTION = private("CORRECTION", "Correction of the measurement by the reviewer")
CHANGE = private("CHANGE", "Change against what was reported before")
