"""The coded findings and refusals: one table for SR, PDF, command line, database and log.

A `Code` is a word that never changes its meaning once released. Its row says how severe it is and
who has to act; its sentence for people is in `tbsnode.text`. Codes follow the flags of NHANES and
ISCD practice where they have one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How a finding changes what is reported."""

    FAIL = "fail"  # no number is given
    HOLD = "hold"  # a number may exist; nothing leaves until a person has acted
    EXCLUDE = "exclude"  # one vertebra is left out of the total
    WARN = "warn"  # the number stands, printed with this doubt
    INFO = "info"  # a fact that explains what was or was not done


class Actor(StrEnum):
    """Who has to act on a finding."""

    SENDER = "scanner or its operator"
    ADMINISTRATOR = "administrator of this node"
    PHYSICIAN = "reading physician"
    NOBODY = "nobody"


class Code(StrEnum):
    """Every finding and refusal."""

    # no number
    REPORT_PAGE = "REPORT_PAGE"
    LOSSY_COMPRESSION = "LOSSY_COMPRESSION"
    NO_PIXEL_SPACING = "NO_PIXEL_SPACING"
    IMPLAUSIBLE_PIXEL_SPACING = "IMPLAUSIBLE_PIXEL_SPACING"
    LOW_BIT_DEPTH = "LOW_BIT_DEPTH"
    BONE_CLIPPED = "BONE_CLIPPED"
    RESAMPLED_TOO_SMOOTH = "RESAMPLED_TOO_SMOOTH"
    WRONG_VIEW = "WRONG_VIEW"
    NO_SPINE_FOUND = "NO_SPINE_FOUND"
    UPSIDE_DOWN = "UPSIDE_DOWN"
    FEWER_THAN_TWO_VERTEBRAE = "FEWER_THAN_TWO_VERTEBRAE"
    OUT_OF_PHYSICAL_RANGE = "OUT_OF_PHYSICAL_RANGE"
    AGE_UNDER_20 = "AGE_UNDER_20"
    UNREADABLE_PIXELS = "UNREADABLE_PIXELS"
    MULTI_FRAME = "MULTI_FRAME"
    NO_TEXTURE = "NO_TEXTURE"
    RECENT_CONTRAST = "RECENT_CONTRAST"
    NOT_DICOM = "NOT_DICOM"
    # nothing to do
    NOT_AP_SPINE = "NOT_AP_SPINE"
    NO_IMAGE = "NO_IMAGE"
    OWN_RESULT = "OWN_RESULT"
    PHANTOM = "PHANTOM"
    NOT_ORDERED = "NOT_ORDERED"
    # held
    IDENTITY_CONFLICT = "IDENTITY_CONFLICT"
    IDENTITY_CHANGED = "IDENTITY_CHANGED"
    INSTANCE_CONFLICT = "INSTANCE_CONFLICT"
    STUDY_TOO_OLD = "STUDY_TOO_OLD"
    SHADOW_MODE = "SHADOW_MODE"
    AWAITING_SIGNATURE = "AWAITING_SIGNATURE"
    NEEDS_RE_REVIEW = "NEEDS_RE_REVIEW"
    QUARANTINED = "QUARANTINED"
    REFUSALS_PAUSED = "REFUSALS_PAUSED"
    # one vertebra left out
    REGION_TOO_SMALL = "REGION_TOO_SMALL"
    LEVEL_CUT = "LEVEL_CUT"
    HIGH_DENSITY = "HIGH_DENSITY"
    REDUCED_HEIGHT = "REDUCED_HEIGHT"
    NO_LEVEL_SCORE = "NO_LEVEL_SCORE"
    MOVEMENT = "MOVEMENT"
    LEVEL_FUSED = "LEVEL_FUSED"
    EXCLUDED_BY_REVIEWER = "EXCLUDED_BY_REVIEWER"
    # doubts
    DISPLAY_COPY = "DISPLAY_COPY"
    SCANNER_UNCALIBRATED = "SCANNER_UNCALIBRATED"
    LEVELS_UNCERTAIN = "LEVELS_UNCERTAIN"
    LEVELS_ASSUMED = "LEVELS_ASSUMED"
    FEW_GRAY_LEVELS = "FEW_GRAY_LEVELS"
    RESAMPLED = "RESAMPLED"
    SATURATED = "SATURATED"
    DERIVED_PIXEL_SPACING = "DERIVED_PIXEL_SPACING"
    SPACING_CONTRADICTION = "SPACING_CONTRADICTION"
    POOR_FIT = "POOR_FIT"
    TECHNICAL_SPREAD = "TECHNICAL_SPREAD"
    TILTED_SPINE = "TILTED_SPINE"
    INVERTED_GRAYSCALE = "INVERTED_GRAYSCALE"
    BODY_SIZE_MISSING = "BODY_SIZE_MISSING"
    BODY_SIZE_IMPLAUSIBLE = "BODY_SIZE_IMPLAUSIBLE"
    BMI_OUT_OF_RANGE = "BMI_OUT_OF_RANGE"
    AGE_UNKNOWN = "AGE_UNKNOWN"
    SEX_UNKNOWN = "SEX_UNKNOWN"
    LEVEL_EXCLUDED = "LEVEL_EXCLUDED"
    MULTIPLE_SPINES = "MULTIPLE_SPINES"
    EXTRACTED_FROM_PAGE = "EXTRACTED_FROM_PAGE"
    LEVELS_DISAGREE_WITH_SCANNER = "LEVELS_DISAGREE_WITH_SCANNER"
    EXCESSIVE_NOISE = "EXCESSIVE_NOISE"
    DEGENERATIVE_STEP = "DEGENERATIVE_STEP"
    CURVED_SPINE = "CURVED_SPINE"
    MIRRORED = "MIRRORED"
    OTHER_BODY_PART = "OTHER_BODY_PART"
    CORRECTED_BY_REVIEWER = "CORRECTED_BY_REVIEWER"
    # calibration and interpretation
    CALIBRATION_SUSPENDED = "CALIBRATION_SUSPENDED"
    CALIBRATION_EXPIRED = "CALIBRATION_EXPIRED"
    CALIBRATION_EXPIRING = "CALIBRATION_EXPIRING"
    CALIBRATION_WITHOUT_CATEGORY = "CALIBRATION_WITHOUT_CATEGORY"
    OUTSIDE_CALIBRATION_RANGE = "OUTSIDE_CALIBRATION_RANGE"
    TBS_OUT_OF_RANGE = "TBS_OUT_OF_RANGE"
    BORDERLINE = "BORDERLINE"
    CATEGORY_NOT_ELIGIBLE = "CATEGORY_NOT_ELIGIBLE"
    CATEGORY_DEPENDS_ON_LEVELS = "CATEGORY_DEPENDS_ON_LEVELS"
    LEVELS_INCOMPLETE = "LEVELS_INCOMPLETE"
    FRAX_NOT_ADJUSTED = "FRAX_NOT_ADJUSTED"
    FRAX_AGE_LIMITED = "FRAX_AGE_LIMITED"
    SCAN_MODE_CHANGED = "SCAN_MODE_CHANGED"
    PRIOR_NOT_COMPARABLE = "PRIOR_NOT_COMPARABLE"
    PRIOR_IDENTITY = "PRIOR_IDENTITY"
    PRIORS_NOT_FETCHED = "PRIORS_NOT_FETCHED"
    FETCHED_PRIOR = "FETCHED_PRIOR"
    SIMULATED = "SIMULATED"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    severity : Severity
        What the code does to the result.
    actor : Actor
        Who has to act.
    """

    severity: Severity
    actor: Actor


def _rows(severity: Severity, actor: Actor, *codes: Code) -> dict[Code, Row]:
    return {code: Row(severity, actor) for code in codes}


TABLE: dict[Code, Row] = {
    **_rows(
        Severity.FAIL,
        Actor.SENDER,
        Code.REPORT_PAGE,
        Code.LOSSY_COMPRESSION,
        Code.NO_PIXEL_SPACING,
        Code.IMPLAUSIBLE_PIXEL_SPACING,
        Code.LOW_BIT_DEPTH,
        Code.BONE_CLIPPED,
        Code.RESAMPLED_TOO_SMOOTH,
        Code.UPSIDE_DOWN,
        Code.UNREADABLE_PIXELS,
        Code.MULTI_FRAME,
        Code.NOT_DICOM,
    ),
    **_rows(
        Severity.FAIL,
        Actor.PHYSICIAN,
        Code.WRONG_VIEW,
        Code.NO_SPINE_FOUND,
        Code.FEWER_THAN_TWO_VERTEBRAE,
        Code.OUT_OF_PHYSICAL_RANGE,
        Code.AGE_UNDER_20,
        Code.NO_TEXTURE,
        Code.RECENT_CONTRAST,
    ),
    **_rows(
        Severity.INFO,
        Actor.NOBODY,
        Code.NOT_AP_SPINE,
        Code.NO_IMAGE,
        Code.OWN_RESULT,
        Code.PHANTOM,
        Code.NOT_ORDERED,
        Code.SIMULATED,
        Code.FRAX_NOT_ADJUSTED,
        Code.FRAX_AGE_LIMITED,
        Code.CORRECTED_BY_REVIEWER,
        Code.FETCHED_PRIOR,
    ),
    **_rows(
        Severity.HOLD,
        Actor.ADMINISTRATOR,
        Code.IDENTITY_CONFLICT,
        Code.IDENTITY_CHANGED,
        Code.INSTANCE_CONFLICT,
        Code.STUDY_TOO_OLD,
        Code.SHADOW_MODE,
        Code.QUARANTINED,
        Code.REFUSALS_PAUSED,
    ),
    **_rows(Severity.HOLD, Actor.PHYSICIAN, Code.AWAITING_SIGNATURE, Code.NEEDS_RE_REVIEW),
    **_rows(
        Severity.EXCLUDE,
        Actor.PHYSICIAN,
        Code.REGION_TOO_SMALL,
        Code.LEVEL_CUT,
        Code.HIGH_DENSITY,
        Code.REDUCED_HEIGHT,
        Code.NO_LEVEL_SCORE,
        Code.MOVEMENT,
        Code.LEVEL_FUSED,
        Code.EXCLUDED_BY_REVIEWER,
    ),
    **_rows(
        Severity.WARN,
        Actor.PHYSICIAN,
        Code.OTHER_BODY_PART,
        Code.LEVELS_UNCERTAIN,
        Code.LEVELS_ASSUMED,
        Code.POOR_FIT,
        Code.TECHNICAL_SPREAD,
        Code.TILTED_SPINE,
        Code.BMI_OUT_OF_RANGE,
        Code.LEVEL_EXCLUDED,
        Code.MULTIPLE_SPINES,
        Code.LEVELS_DISAGREE_WITH_SCANNER,
        Code.EXCESSIVE_NOISE,
        Code.DEGENERATIVE_STEP,
        Code.CURVED_SPINE,
        Code.OUTSIDE_CALIBRATION_RANGE,
        Code.TBS_OUT_OF_RANGE,
        Code.BORDERLINE,
        Code.CATEGORY_NOT_ELIGIBLE,
        Code.CATEGORY_DEPENDS_ON_LEVELS,
        Code.LEVELS_INCOMPLETE,
        Code.SCAN_MODE_CHANGED,
        Code.PRIOR_NOT_COMPARABLE,
    ),
    **_rows(
        Severity.WARN,
        Actor.SENDER,
        Code.DISPLAY_COPY,
        Code.FEW_GRAY_LEVELS,
        Code.RESAMPLED,
        Code.SATURATED,
        Code.DERIVED_PIXEL_SPACING,
        Code.SPACING_CONTRADICTION,
        Code.INVERTED_GRAYSCALE,
        Code.BODY_SIZE_MISSING,
        Code.BODY_SIZE_IMPLAUSIBLE,
        Code.AGE_UNKNOWN,
        Code.SEX_UNKNOWN,
        Code.EXTRACTED_FROM_PAGE,
        Code.MIRRORED,
    ),
    **_rows(
        Severity.WARN,
        Actor.ADMINISTRATOR,
        Code.SCANNER_UNCALIBRATED,
        Code.CALIBRATION_SUSPENDED,
        Code.CALIBRATION_EXPIRED,
        Code.CALIBRATION_EXPIRING,
        Code.CALIBRATION_WITHOUT_CATEGORY,
        Code.PRIOR_IDENTITY,
        Code.PRIORS_NOT_FETCHED,
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One coded finding about an image, a vertebra or a study.

    Attributes
    ----------
    code : Code
        What was found.
    vertebra : str or None
        ``"L1"`` .. ``"L4"`` where it concerns one level.
    values : tuple of (str, float or str) pairs
        Numbers the sentence quotes, by name; unit in the name. Never an identifying value.
    """

    code: Code
    vertebra: str | None = None
    values: tuple[tuple[str, float | str], ...] = ()

    @property
    def severity(self) -> Severity:
        """How it changes what is reported."""
        return TABLE[self.code].severity

    @property
    def actor(self) -> Actor:
        """Who has to act."""
        return TABLE[self.code].actor
