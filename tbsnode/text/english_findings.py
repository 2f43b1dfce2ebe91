"""What the coded findings say in English. Short, plain sentences; no drug, no product, no category."""

from __future__ import annotations

from tbsnode.reasons import Code
from tbsnode.text.catalogue import Entry

ENTRIES: dict[Code, Entry] = {
    # no number
    Code.REPORT_PAGE: Entry(
        "This is a report page or screenshot with text drawn into the picture, not the bone image.",
        "Scanner operator: send the grayscale AP spine image itself, not the report page.",
    ),
    Code.LOSSY_COMPRESSION: Entry(
        "The image was compressed with loss, which changes the texture.",
        "Scanner operator: send the image uncompressed or with lossless compression.",
    ),
    Code.NO_PIXEL_SPACING: Entry(
        "The size of a pixel is not known, so distances cannot be measured.",
        "Scanner operator: let the scanner export the pixel spacing. Otherwise the administrator sets it "
        "for this scanner model in the configuration.",
    ),
    Code.IMPLAUSIBLE_PIXEL_SPACING: Entry(
        "The stated pixel size does not fit the size of a human spine, or is too coarse for its texture.",
        "Scanner operator: check the export settings. The administrator checks the configured pixel spacing.",
        (
            "Stated: {row_mm} x {column_mm} mm.",
            "Distance between discs: {pitch_mm} mm.",
            "Width of a vertebra: {width_mm} mm.",
            "Texture needs pixels of at most {most_mm} mm.",
        ),
    ),
    Code.LOW_BIT_DEPTH: Entry(
        "The vertebrae hold too few gray levels to measure texture.",
        "Scanner operator: export the image with its full depth of gray levels.",
        ("{gray_levels} levels; at least {minimum} are needed.",),
    ),
    Code.BONE_CLIPPED: Entry(
        "Too much of the bone is at the brightest or darkest value the image can hold; its texture is lost.",
        "Scanner operator: export with a window that does not clip bone, and send the study again.",
        ("{percent} % of the region; at most {most_percent} % are allowed.",),
    ),
    Code.RESAMPLED_TOO_SMOOTH: Entry(
        "The image is too smooth for an original scan; it was probably enlarged or filtered.",
        "Scanner operator: export the image in its original matrix, without interpolation.",
        ("Slope {slope}.",),
    ),
    Code.WRONG_VIEW: Entry(
        "The picture is not an AP view of the lumbar spine.",
        "Reading physician: check which image was sent; send the AP spine image.",
        ("Patient Orientation {detail}.",),
    ),
    Code.NO_SPINE_FOUND: Entry(
        "No lumbar spine was found in the picture.",
        "Reading physician: look at the image. Nothing was measured.",
    ),
    Code.UPSIDE_DOWN: Entry(
        "The spine appears upside down.",
        "Scanner operator: check orientation and export, and send the image again.",
    ),
    Code.FEWER_THAN_TWO_VERTEBRAE: Entry(
        "Fewer than two vertebrae can be used, so no total is given.",
        "Reading physician: check the image; a repeat scan may be needed.",
        ("{count} usable.",),
    ),
    Code.OUT_OF_PHYSICAL_RANGE: Entry(
        "The computed value lies outside what is physically possible and is not reported.",
        "Reading physician: check the image for artifacts. Nothing may be concluded from this scan.",
        ("Slope {slope}.",),
    ),
    Code.AGE_UNDER_20: Entry(
        "The patient is younger than 20 years; the texture score is not defined for this age.",
        "Reading physician: no score is given. Check the birth date if this is wrong.",
        ("Age {age_years} years.",),
    ),
    Code.UNREADABLE_PIXELS: Entry(
        "The picture could not be decoded.",
        "Scanner operator: send the image again, uncompressed if possible.",
        ("Decoder: {detail}",),
    ),
    Code.MULTI_FRAME: Entry(
        "The file holds several pictures, of which none could be taken as the AP spine.",
        "Scanner operator: send the AP spine image as a file of its own.",
        ("{frames} frames.",),
    ),
    Code.NO_TEXTURE: Entry(
        "The region of the vertebrae shows no texture that can be measured.",
        "Reading physician: check the image. Nothing was measured.",
    ),
    Code.RECENT_CONTRAST: Entry(
        "The header declares contrast medium, a nuclear medicine examination or a pregnancy.",
        "Reading physician: no score is given; repeat the scan when the reason is past.",
        ("Declared: {detail}.",),
    ),
    Code.NOT_DICOM: Entry(
        "This is not a DICOM file.",
        "Sender: give a DICOM file. Other formats are not read.",
    ),
    # nothing to do
    Code.NOT_AP_SPINE: Entry("This is not an AP spine image.", "Nobody has to act."),
    Code.NO_IMAGE: Entry("This object holds no picture.", "Nobody has to act."),
    Code.OWN_RESULT: Entry("This object was made by tbsnode itself.", "Nobody has to act."),
    Code.PHANTOM: Entry(
        "This is a scan of a quality-control phantom; it is kept and not reported.",
        "Nobody has to act. If this is a patient, the administrator changes `phantom_patient_ids`.",
    ),
    Code.NOT_ORDERED: Entry(
        "The texture score was not ordered for this study.",
        "Nobody has to act. To report all studies, the administrator sets `selection.when` to all.",
    ),
    # held
    Code.IDENTITY_CONFLICT: Entry(
        "The study contains objects of different patients, or the page and the header disagree. "
        "Nothing was sent.",
        "Administrator: correct the patient identity at the source and send the study again.",
        ("{patient_ids} different patient IDs.",),
    ),
    Code.IDENTITY_CHANGED: Entry(
        "The patient or order of this study has changed at the destination. Nothing was sent.",
        "Administrator: `tbsnode study identity UID` takes over what the destination has; or cancel it.",
        ("Changed: {attributes}.",),
    ),
    Code.INSTANCE_CONFLICT: Entry(
        "Two different pictures came under the same SOP Instance UID. Nothing was sent.",
        "Administrator: decide which of the two is right: `tbsnode study resolve UID --use first|latest`.",
    ),
    Code.STUDY_TOO_OLD: Entry(
        "The study is older than the configured limit. It was scored and not sent.",
        "Administrator: to send it, raise `max_study_age_days`, then `tbsnode study reprocess UID`.",
        ("Age {age_days} days.", "Limit {limit_days} days."),
    ),
    Code.SHADOW_MODE: Entry(
        "The node runs in shadow mode: the result was made and not sent.",
        'Administrator: set `mode = "live"`, then `tbsnode queue retry` sends it.',
    ),
    # one vertebra left out
    Code.REGION_TOO_SMALL: Entry(
        "{level} is left out: its measured area is too small.",
        "Reading physician: check the outline of {level}.",
        ("{area_mm2} mm2; at least {minimum_mm2} mm2 are needed.",),
    ),
    Code.LEVEL_CUT: Entry(
        "{level} is left out: it is cut off by the edge of the scan.",
        "Reading physician: check the scan field; a repeat scan may be needed.",
    ),
    Code.HIGH_DENSITY: Entry(
        "{level} is left out: very dense material lies in it (metal, cement or contrast).",
        "Reading physician: check {level} for an implant, cement or contrast medium.",
    ),
    Code.REDUCED_HEIGHT: Entry(
        "Reduced height of {level}: possible vertebral fracture; review the image. This level is left out.",
        "Reading physician: review {level} for a fracture.",
        ("Height {height_mm} mm.", "{percent} % of its neighbors."),
    ),
    Code.NO_LEVEL_SCORE: Entry(
        "{level} is left out: no slope could be computed in it.",
        "Reading physician: check the outline of {level}.",
    ),
    Code.MOVEMENT: Entry(
        "{level} is left out: the patient moved while it was scanned.",
        "Reading physician: look for a step in the outline of {level}; a repeat scan may be needed.",
        ("Sideways step of {step_mm} mm.",),
    ),
    Code.LEVEL_FUSED: Entry(
        "{level} is left out: no disc space separates it from its neighbor.",
        "Reading physician: check {level} for fusion or a bridging bony spur.",
    ),
    # doubts
    Code.DISPLAY_COPY: Entry(
        "This is a display copy of the scan (8-bit, windowed), not its original data. "
        "Its score is not comparable with that of original data.",
        "Scanner operator: send original image data if the scanner can export it.",
    ),
    Code.SCANNER_UNCALIBRATED: Entry(
        "This scanner is not calibrated, so the texture score is not given as TBS and has no category.",
        "Administrator: `tbsnode calibration fit` makes a calibration from paired examinations.",
    ),
    Code.LEVELS_UNCERTAIN: Entry(
        "It is uncertain which vertebra is L1; the labels may be off by one.",
        "Reading physician: count the vertebrae on the image and correct the labels if needed.",
        ("Confidence {confidence}.",),
    ),
    Code.LEVELS_ASSUMED: Entry(
        "The labels L1 to L4 are assumed from the usual scan field, not seen in the picture.",
        "Reading physician: count the vertebrae on the image.",
        ("Confidence {confidence}.",),
    ),
    Code.FEW_GRAY_LEVELS: Entry(
        "The vertebrae hold few gray levels; the score is less precise.",
        "Scanner operator: export the image with its full depth of gray levels.",
        ("{gray_levels} levels.",),
    ),
    Code.RESAMPLED: Entry(
        "The image seems to have been interpolated or smoothed; the score may be too high.",
        "Scanner operator: export the image in its original matrix.",
    ),
    Code.SATURATED: Entry(
        "Part of the bone is at the brightest or darkest value the image can hold; texture is lost there.",
        "Scanner operator: export with a window that does not clip bone.",
        ("{percent} % of the region.",),
    ),
    Code.DERIVED_PIXEL_SPACING: Entry(
        "The header does not state the pixel size; it was derived and agrees with a human spine.",
        "Scanner operator: let the scanner export the pixel spacing. Otherwise the administrator sets it "
        "for this scanner model in the configuration.",
        ("Derived: {row_mm} x {column_mm} mm.",),
    ),
    Code.SPACING_CONTRADICTION: Entry(
        "The header states different pixel sizes; the first in the documented order was used.",
        "Scanner operator: check the export settings of the scanner.",
        (
            "Used: {used}, {used_row_mm} x {used_column_mm} mm.",
            "Not used: {other}, {other_row_mm} x {other_column_mm} mm.",
        ),
    ),
    Code.POOR_FIT: Entry(
        "The log-log line of {level} fits poorly; its score is doubtful.",
        "Reading physician: check {level} for artifacts before using its score.",
        ("R2 {fit_r2}.",),
    ),
    Code.TECHNICAL_SPREAD: Entry(
        "The score of {level} differs much from that of the other levels.",
        "Reading physician: check {level} for degeneration, fracture or artifact.",
        ("Difference {difference}.",),
    ),
    Code.TILTED_SPINE: Entry(
        "The spine is tilted or curved; the score may be affected.",
        "Reading physician: check positioning and scoliosis.",
        ("Tilt {tilt_degrees} degrees.",),
    ),
    Code.INVERTED_GRAYSCALE: Entry(
        "The header states the opposite grayscale; bone was dark and the image was inverted.",
        "Scanner operator: check the export settings of the scanner.",
    ),
    Code.BODY_SIZE_MISSING: Entry(
        "Height or weight is missing, so the body mass index is not known.",
        "Scanner operator: enter height and weight before the scan.",
    ),
    Code.BODY_SIZE_IMPLAUSIBLE: Entry(
        "Height or weight is implausible, so the body mass index is not used.",
        "Scanner operator: correct height and weight, and send the study again.",
    ),
    Code.BMI_OUT_OF_RANGE: Entry(
        "The body mass index is outside 15 to 37 kg/m2; soft tissue may distort the score.",
        "Reading physician: read the score with caution.",
        ("BMI {bmi} kg/m2.",),
    ),
    Code.AGE_UNKNOWN: Entry(
        "The patient's age is not known: dates are missing, or age and dates do not fit each other.",
        "Scanner operator: correct birth date, age and study date, and send the study again.",
    ),
    Code.SEX_UNKNOWN: Entry(
        "The patient's sex is not stated as female or male.",
        "Scanner operator: enter the sex, and send the study again.",
    ),
    Code.LEVEL_EXCLUDED: Entry(
        "The score does not include {level}.",
        "Reading physician: compare only with results of the same levels.",
        ("Reason: {reason}.",),
    ),
    Code.MULTIPLE_SPINES: Entry(
        "The study holds more than one AP spine image; the latest that could be scored is reported.",
        "Reading physician: check that the right image is reported.",
        ("Others: {others}.",),
    ),
    Code.EXTRACTED_FROM_PAGE: Entry(
        "The picture was cut out of a report page, or lines and text drawn over it were left out; it is a "
        "display copy, not the original data.",
        "Scanner operator: send the image itself if the scanner can export it.",
        ("Spacing from {source}.",),
    ),
    Code.LEVELS_DISAGREE_WITH_SCANNER: Entry(
        "The scanner's own regions fit better with the labels moved by one level.",
        "Reading physician: count the vertebrae on the image; software and scanner disagree.",
        ("Moved by {shift}.", "Difference {difference_mm} mm.", "Scanner: {detail}."),
    ),
    Code.EXCESSIVE_NOISE: Entry(
        "The image is very noisy; noise lowers the score.",
        "Reading physician: read the score with caution; body size or scan mode may be the cause.",
        ("Noise {noise_percent} % of the bone's contrast.",),
    ),
    Code.DEGENERATIVE_STEP: Entry(
        "{level} differs from a neighbor by more than 1.0 T-score, as after degeneration or fracture. "
        "It is kept in the score.",
        "Reading physician: decide if {level} counts.",
        (
            "T-score step {t_score_step}.",
            "TBS without {level}: {tbs_without}.",
            "Texture slope without {level}: {score_without}.",
        ),
    ),
    Code.CURVED_SPINE: Entry(
        "The spine is curved; rotation of the vertebrae may affect the score.",
        "Reading physician: check for scoliosis and rotation.",
        ("Curve {curve_mm} mm.", "{curve_degrees} degrees."),
    ),
    Code.MIRRORED: Entry(
        "The header says that the picture is mirrored or turned. Nothing was turned: the picture shows the "
        "head at the top. The score does not depend on left and right.",
        "Scanner operator: check orientation and export.",
        ("Patient Orientation {detail}.",),
    ),
    Code.OTHER_BODY_PART: Entry(
        "The header names another part of the body; the picture shows a spine, and it was measured.",
        "Reading physician: check that the picture is the AP lumbar spine of this patient.",
        ("Body Part Examined names: {detail}.",),
    ),
    # calibration and interpretation
    Code.CALIBRATION_SUSPENDED: Entry(
        "The scanner's calibration is suspended since its software or export changed; no TBS is given.",
        "Administrator: `tbsnode calibration extend` restores it with re-exported examinations.",
        ("Changed: {detail}.", "Calibration {calibration}."),
    ),
    Code.CALIBRATION_EXPIRED: Entry(
        "The scanner's calibration is no longer valid; no TBS is given.",
        "Administrator: make a new one with `tbsnode calibration fit`.",
        ("Valid until {valid_until}.", "Calibration {calibration}."),
    ),
    Code.CALIBRATION_EXPIRING: Entry(
        "The scanner's calibration ends soon.",
        "Administrator: plan a new one with `tbsnode calibration fit`.",
        ("Valid until {valid_until}.",),
    ),
    Code.CALIBRATION_WITHOUT_CATEGORY: Entry(
        "The paired examinations of the calibration do not allow a texture class.",
        "Administrator: at least 60 pairs, 12 in each class, allow one.",
        ("{pairs} pairs.",),
    ),
    Code.OUTSIDE_CALIBRATION_RANGE: Entry(
        "This examination lies outside the range of the calibration; no texture class is given.",
        "Reading physician: read the value, where one is given, with caution.",
        ("{covariate}: {value}; calibrated from {low} to {high}.",),
    ),
    Code.TBS_OUT_OF_RANGE: Entry(
        "The calibrated value lies outside 0.7 to 1.7 and is not reported.",
        "Reading physician: check the image for artifacts. Nothing may be concluded from this scan.",
    ),
    Code.BORDERLINE: Entry(
        "The uncertainty of the value reaches across a cut-off: the texture class is borderline.",
        "Reading physician: do not rely on one class alone.",
        ("Borderline: {classes}.",),
    ),
    Code.CATEGORY_NOT_ELIGIBLE: Entry(
        "No texture class is given for this patient.",
        "Reading physician: read the value without a class.",
        ("Reason: {detail}.",),
    ),
    Code.CATEGORY_DEPENDS_ON_LEVELS: Entry(
        "The texture class depends on which vertebra is L1, so none is given.",
        "Reading physician: count the vertebrae on the image and correct the labels if needed.",
    ),
    Code.LEVELS_INCOMPLETE: Entry(
        "The cut-offs were derived for L1-L4; here fewer levels count.",
        "Reading physician: read the texture class with caution.",
        ("Levels: {levels}.",),
    ),
    Code.FRAX_NOT_ADJUSTED: Entry(
        "FRAX was not adjusted for TBS.",
        "Nobody has to act.",
        ("Reason: {detail}.",),
    ),
    Code.FRAX_AGE_LIMITED: Entry(
        "FRAX was adjusted for TBS at the limit of what the adjustment is valid for, not at the patient's "
        "age.",
        "Nobody has to act.",
        ("Age for major osteoporotic: {major_years} years.", "Age for hip: {hip_years} years."),
    ),
    Code.SCAN_MODE_CHANGED: Entry(
        "The scan mode differs from that of the calibration or of the prior examination.",
        "Reading physician: do not compare the two.",
        ("{detail}.",),
    ),
    Code.PRIOR_NOT_COMPARABLE: Entry(
        "A prior examination exists and is not comparable.",
        "Reading physician: no change can be stated.",
        ("Differs in: {detail}.",),
    ),
    Code.SIMULATED: Entry(
        "This image comes from a simulated scanner. It shows no patient.",
        "Nobody has to act. Do not use it for care.",
    ),
}
