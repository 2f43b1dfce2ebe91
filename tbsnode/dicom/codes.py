"""Coded concepts: what the standard has a code for, and the private scheme for the rest.

No code system that could be consulted has a code for a trabecular texture score, so those concepts
are ours, in a scheme that every instance identifies (PS3.3 C.12.1.1.1, PS3.16 section 8.2). A code
never changes its meaning; an official one, should it come, is added beside it.
"""

from __future__ import annotations

from typing import NamedTuple

from pydicom.dataset import Dataset

from tbsnode.model import InputClass
from tbsnode.reasons import Code

SCHEME = "99TBSNODE"


class Concept(NamedTuple):
    """A coded concept: code value, coding scheme designator, code meaning (at most 64 characters)."""

    value: str
    scheme: str
    meaning: str


def _dcm(value: str, meaning: str) -> Concept:
    return Concept(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> Concept:
    return Concept(value, "SCT", meaning)


def private(value: str, meaning: str) -> Concept:
    """Return a concept of our own scheme."""
    return Concept(value, SCHEME, meaning)


# document and context (PS3.16 TID 1500, 1002, 1004, 1204)
IMAGING_MEASUREMENT_REPORT = _dcm("126000", "Imaging Measurement Report")
LANGUAGE = _dcm("121049", "Language of Content Item and Descendants")
ENGLISH = Concept("en", "RFC5646", "English")
OBSERVER_TYPE = _dcm("121005", "Observer Type")
DEVICE = _dcm("121007", "Device")
PERSON = _dcm("121006", "Person")
PERSON_OBSERVER_NAME = _dcm("121008", "Person Observer Name")
PERSON_OBSERVER_ORGANIZATION = _dcm("121009", "Person Observer's Organization Name")
PERSON_OBSERVER_ROLE = _dcm("121011", "Person Observer's Role in this Procedure")
PERSON_OBSERVER_LOGIN = _dcm("128774", "Person Observer's Login Name")
VERIFYING = _dcm("121098", "Verifying")
DEVICE_OBSERVER_UID = _dcm("121012", "Device Observer UID")
DEVICE_OBSERVER_NAME = _dcm("121013", "Device Observer Name")
DEVICE_OBSERVER_MANUFACTURER = _dcm("121014", "Device Observer Manufacturer")
DEVICE_OBSERVER_MODEL = _dcm("121015", "Device Observer Model Name")
DEVICE_OBSERVER_SERIAL = _dcm("121016", "Device Observer Serial Number")
PROCEDURE_REPORTED = _dcm("121058", "Procedure reported")
ABSORPTIOMETRY = _sct("241686001", "Dual energy X-ray photon absorptiometry")

# key object selection (TID 2010): what withdraws a result
REJECTED_FOR_QUALITY = _dcm("113001", "Rejected for Quality Reasons")
REJECTED_FOR_SAFETY = _dcm("113037", "Rejected for Patient Safety Reasons")
INCORRECT_WORKLIST = _dcm("113038", "Incorrect Modality Worklist Entry")
KEY_OBJECT_DESCRIPTION = _dcm("113012", "Key Object Description")

# image library (TID 1600, 1601, 1602)
IMAGE_LIBRARY = _dcm("111028", "Image Library")
IMAGE_LIBRARY_GROUP = _dcm("126200", "Image Library Group")
MODALITY = _dcm("121139", "Modality")
DENSITOMETRY = _dcm("BMD", "Bone Mineral Densitometry")
# CID 29 has no OT: a densitometer that sends Secondary Capture says so, and it is densitometry
MODALITIES = {
    "CR": _dcm("CR", "Computed Radiography"),
    "DX": _dcm("DX", "Digital Radiography"),
    "BMD": DENSITOMETRY,
}

# measurements (TID 1410, 1411, 1501, 4019)
IMAGING_MEASUREMENTS = _dcm("126010", "Imaging Measurements")
MEASUREMENT_GROUP = _dcm("125007", "Measurement Group")
TRACKING_IDENTIFIER = _dcm("112039", "Tracking Identifier")
TRACKING_UID = _dcm("112040", "Tracking Unique Identifier")
FINDING = _dcm("121071", "Finding")
BONE = _sct("272673000", "Bone")
FINDING_SITE = _sct("363698007", "Finding Site")
LATERALITY = _sct("272741003", "Laterality")
ALGORITHM_NAME = _dcm("111001", "Algorithm Name")
ALGORITHM_PARAMETERS = _dcm("111002", "Algorithm Parameters")
ALGORITHM_VERSION = _dcm("111003", "Algorithm Version")
IMAGE_REGION = _dcm("111030", "Image Region")
SOURCE_OF_MEASUREMENT = _dcm("121112", "Source of Measurement")
DERIVATION = _dcm("121401", "Derivation")
MEAN = _sct("373098007", "Mean")
AREA = _sct("42798000", "Area")
QUALITATIVE_EVALUATIONS = Concept("C0034375", "UMLS", "Qualitative Evaluations")
COMMENT = _dcm("121106", "Comment")
CONCLUSION = _dcm("121077", "Conclusion")
POPULATION = _dcm("121405", "Population description")
STUDY_DATE = _dcm("111060", "Study Date")
STUDY_UID = _dcm("110180", "Study Instance UID")
PRESENT = _sct("52101004", "Present")
ABSENT = _sct("272519000", "Absent")
YES = _sct("373066001", "Yes")
NO = _sct("373067005", "No")

SIDES = {"left": _sct("7771000", "Left"), "right": _sct("24028007", "Right")}
LUMBAR_SPINE = _sct("122496007", "Lumbar spine")
VERTEBRAE = {
    "L1": _sct("66794005", "L1 vertebra"),
    "L2": _sct("14293000", "L2 vertebra"),
    "L3": _sct("36470004", "L3 vertebra"),
    "L4": _sct("11994002", "L4 vertebra"),
}

# why a measurement has no value (CID 42)
MEASUREMENT_FAILURE = _dcm("114006", "Measurement failure")
NOT_ATTEMPTED = _dcm("114007", "Measurement not attempted")
CALCULATION_FAILURE = _dcm("114008", "Calculation failure")

NO_UNITS = Concept("1", "UCUM", "no units")
PERCENT = Concept("%", "UCUM", "percent")
SQUARE_CENTIMETERS = Concept("cm2", "UCUM", "cm2")
GRAMS = Concept("g", "UCUM", "g")
GRAMS_PER_SQUARE_CENTIMETER = Concept("g/cm2", "UCUM", "g/cm2")
MILLIMETERS = Concept("mm", "UCUM", "mm")
MILLIGRAMS_PER_DAY = Concept("mg/d", "UCUM", "mg/d")
YEARS = Concept("a", "UCUM", "year")

# purposes and titles
ACQUISITION_EQUIPMENT = _dcm("109101", "Acquisition Equipment")
SOURCE_IMAGE = _dcm("121322", "Source image for image processing operation")
SEGMENTATION = _dcm("113076", "Segmentation")
DXA_REPORT = Concept("38269-7", "LN", "DXA Skeletal system Study report")

# our own: two concepts, never one (the raw slope is not a Trabecular Bone Score)
TEXTURE_SLOPE = private("TEXSLOPE", "Texture slope of the log-log variogram")
TBS = private("TBS", "Trabecular Bone Score")
TEXTURE_SLOPE_ERROR = private("TEXSLOPE-SE", "Repeatability standard error of texture slope")
TBS_SEE = private("TBS-SEE", "Standard error of estimate of the calibration")
TBS_Z_SCORE = private("TBS-ZSCORE", "TBS Z-score")
SITE_PERCENTILE = private("SITE-PERCENTILE", "Percentile of texture slope among own adults")
SITE_Z_SCORE = private("SITE-ZSCORE", "Z-score of texture slope among own adults")
BORDERLINE_CATEGORY = private("TBS-CAT-BORDER", "Category that the uncertainty touches")
REGION_SOURCE = private("REGION-SRC", "Source of the regions")
LABEL_CONFIDENCE = private("LABEL-CONF", "Confidence of vertebral labels, 0 to 1")
INCLUDED_LEVEL = private("TBS-INCL", "Vertebra included in mean")
EXCLUSION_REASON = private("TBS-EXCL-RSN", "Reason vertebra excluded")
REFUSAL_REASON = private("REFUSAL-RSN", "Reason no number is given")
QUALITY_FINDING = private("QUALITY-FINDING", "Quality finding")
INPUT_CLASS = private("INPUT-CLASS", "Input pixel data class")
SPACING_SOURCE = private("SPACING-SRC", "Source of pixel spacing")
CATEGORY = private("TBS-CAT", "Trabecular bone microarchitecture category")
CUT_OFFS = private("TBS-CUTOFFS", "Set of cut-offs between categories")
CALIBRATION = private("CALIB-ID", "Calibration identifier")
FIT_R2 = private("FIT-R2", "Coefficient of determination of the log-log line")

INPUT_CLASSES = {
    InputClass.RAW: private("RAW", "Linear image data"),
    InputClass.IMAGE: private("IMAGE", "Grayscale bone image"),
    InputClass.DISPLAY: private("DISPLAY", "8-bit display copy"),
    InputClass.PAGE: private("PAGE", "Report page"),
    InputClass.LOSSY: private("LOSSY", "Compressed with loss"),
}
SPACING_SOURCES = {
    "PixelSpacing": private("SPC-PIXEL", "Pixel Spacing"),
    "ImagerPixelSpacing": private("SPC-IMAGER", "Imager Pixel Spacing"),
    "NominalScannedPixelSpacing": private("SPC-NOMINAL", "Nominal Scanned Pixel Spacing"),
    "ExposedArea": private("SPC-EXPOSED", "Exposed Area divided by the matrix"),
    "configuration": private("SPC-CONFIG", "Configured for the scanner"),
    "results table": private("SPC-RESULTS", "Areas of the scanner's results against pixel counts"),
}
REGION_SOURCES = {
    "tbsnode": private("REGION-OWN", "Found by this software"),
    "scanner": private("REGION-SCANNER", "Regions of the scanner itself"),
    "reviewer": private("REGION-REVIEWER", "Corrected by the reviewing physician"),
}
# Code Value holds 16 characters. Long Code Value would hold these, but archives and dictation
# systems of the age that densitometers talk to read Code Value alone.
_SHORTENED = {
    Code.LOSSY_COMPRESSION: "LOSSY_COMPRESS",
    Code.IMPLAUSIBLE_PIXEL_SPACING: "SPACING_IMPLAUS",
    Code.RESAMPLED_TOO_SMOOTH: "TOO_SMOOTH",
    Code.FEWER_THAN_TWO_VERTEBRAE: "FEW_VERTEBRAE",
    Code.OUT_OF_PHYSICAL_RANGE: "OUT_OF_RANGE",
    Code.UNREADABLE_PIXELS: "UNREADABLE",
    Code.IDENTITY_CONFLICT: "IDENT_CONFLICT",
    Code.INSTANCE_CONFLICT: "INST_CONFLICT",
    Code.SCANNER_UNCALIBRATED: "UNCALIBRATED",
    Code.DERIVED_PIXEL_SPACING: "SPACING_DERIVED",
    Code.SPACING_CONTRADICTION: "SPACING_CONTRAD",
    Code.INVERTED_GRAYSCALE: "INVERTED",
    Code.BODY_SIZE_MISSING: "SIZE_MISSING",
    Code.BODY_SIZE_IMPLAUSIBLE: "SIZE_IMPLAUSIBLE",
    Code.EXTRACTED_FROM_PAGE: "FROM_PAGE",
    Code.LEVELS_DISAGREE_WITH_SCANNER: "LEVELS_DISAGREE",
    Code.DEGENERATIVE_STEP: "DEGENERATIVE",
    Code.CALIBRATION_SUSPENDED: "CALIB_SUSPENDED",
    Code.CALIBRATION_EXPIRED: "CALIB_EXPIRED",
    Code.CALIBRATION_EXPIRING: "CALIB_EXPIRING",
    Code.CALIBRATION_WITHOUT_CATEGORY: "CALIB_NO_CLASS",
    Code.OUTSIDE_CALIBRATION_RANGE: "OUTSIDE_CALIB",
    Code.CATEGORY_NOT_ELIGIBLE: "CLASS_INELIGIBLE",
    Code.CATEGORY_DEPENDS_ON_LEVELS: "CLASS_ON_LEVELS",
    Code.LEVELS_INCOMPLETE: "LEVELS_INCOMPL",
    Code.FRAX_NOT_ADJUSTED: "FRAX_NOT_ADJ",
    Code.SCAN_MODE_CHANGED: "MODE_CHANGED",
    Code.PRIOR_NOT_COMPARABLE: "PRIOR_NOT_COMP",
    Code.PRIORS_NOT_FETCHED: "PRIORS_NOT_FETCH",
    Code.AWAITING_SIGNATURE: "NOT_SIGNED",
    Code.EXCLUDED_BY_REVIEWER: "EXCL_BY_REVIEWER",
    Code.CORRECTED_BY_REVIEWER: "CORR_BY_REVIEWER",
}
CATEGORIES = {
    "normal": private("TBS-CAT-NORM", "Normal microarchitecture"),
    "partially_degraded": private("TBS-CAT-PART", "Partially degraded microarchitecture"),
    "degraded": private("TBS-CAT-DEGR", "Degraded microarchitecture"),
}
CUT_OFF_SETS = {
    "A": private("TBS-CUTOFFS-A", "Cut-offs A: 1.200 and 1.350"),
    "B": private("TBS-CUTOFFS-B", "Cut-offs B: 1.230 and 1.310"),
}


def of_code(code: Code) -> Concept:
    """Return one of our coded findings as a concept.

    Examples
    --------
    >>> of_code(Code.DISPLAY_COPY)
    Concept(value='DISPLAY_COPY', scheme='99TBSNODE', meaning='Display copy')
    >>> of_code(Code.LOSSY_COMPRESSION).value
    'LOSSY_COMPRESS'
    """
    return private(_SHORTENED.get(code, code.value), code.value.replace("_", " ").capitalize())


def item(concept: Concept) -> Dataset:
    """Return a code sequence item (PS3.3 section 8.8)."""
    ds = Dataset()
    ds.CodeValue = concept.value
    ds.CodingSchemeDesignator = concept.scheme
    ds.CodeMeaning = concept.meaning
    return ds


def scheme_identification() -> Dataset:
    """Return the item of Coding Scheme Identification Sequence that tells whose scheme ours is."""
    ds = Dataset()
    ds.CodingSchemeDesignator = SCHEME
    ds.CodingSchemeName = "tbsnode concepts"
    ds.CodingSchemeResponsibleOrganization = "The tbsnode developers"
    return ds
