"""The English words of the interpretation, the coding aid and the review.

Nothing here is longer than a clause that a physician can say in one breath. A code of the coding aid
stands as its number alone.
"""

from __future__ import annotations

_PARAGRAPH: dict[str, str] = {
    "interpret_simulated": "SIMULATED: demonstration data, no patient.",
    "interpret_refused": "TBS not reported: {reason}",
    "interpret_refused_bare": "TBS not reported.",
    # the technical sentence
    "interpret_valid": "Technically valid: {facts}; no soft-tissue correction.",
    "interpret_doubtful": "Technically limited ({doubts}): {facts}; no soft-tissue correction.",
    "interpret_vertebrae": "{count} vertebrae",
    "interpret_without": "without {levels}",
    "interpret_left_out": "{levels} ({why})",
    "interpret_corrected": "regions corrected by the reviewing physician",
    "interpret_bmi": "BMI {bmi}",
    "interpret_bmi_outside": "BMI {bmi} (outside 15-37)",
    "interpret_bmi_unknown": "BMI not known",
    "interpret_calibration": "calibration SEE {see}",
    "interpret_calibration_paired": "paired calibration SEE {see}",
    "interpret_calibration_transfer": "transfer calibration SEE {see}",
    "interpret_fracture": "Reduced height of {levels}: possible vertebral fracture; review the image.",
    # the value
    "interpret_class": "TBS (calibrated) {tbs}: {category} (cut-offs {cut_offs}); this is a texture "
    "class, not the patient's overall fracture risk.",
    "interpret_borderline": "TBS (calibrated) {tbs}; borderline: {category} (cut-offs {cut_offs}); this "
    "is a texture class, not the patient's overall fracture risk.",
    "interpret_cut_offs_incomplete": "{cut_offs}, derived for L1-L4",
    "interpret_no_class": "TBS (calibrated) {tbs}; no texture class is given: {why}.",
    "interpret_no_class_CATEGORY_DEPENDS_ON_LEVELS": "it depends on which vertebra is L1",
    "interpret_no_class_OUTSIDE_CALIBRATION_RANGE": "the examination is outside the range of the calibration",
    "interpret_no_class_range_unknown": "the calibration needs what is not known of the patient",
    "interpret_no_class_CALIBRATION_WITHOUT_CATEGORY": "its calibration does not allow one",
    "interpret_no_class_unknown": "see the findings",
    "interpret_z": "Z-score {z} ({reference}) does not change the class.",
    "interpret_z_alone": "Z-score {z} ({reference}) gives no class.",
    "interpret_own_reference": "the site's own reference",
    "class_short_normal": "normal",
    "class_short_partially_degraded": "partially degraded",
    "class_short_degraded": "degraded",
    "class_several": "{classes} microarchitecture",
    # no value
    "interpret_no_tbs": "TBS not available: scanner not calibrated.",
    "interpret_no_tbs_CALIBRATION_SUSPENDED": "TBS not available: calibration suspended.",
    "interpret_no_tbs_CALIBRATION_EXPIRED": "TBS not available: calibration no longer valid.",
    "interpret_no_tbs_TBS_OUT_OF_RANGE": "TBS not available: the calibrated value is out of range.",
    "interpret_no_tbs_OUTSIDE_CALIBRATION_RANGE": "TBS not available: the calibration needs {what}.",
    "interpret_needed_bmi": "height and weight",
    "interpret_needed_age": "the age",
    "interpret_needed_sex": "the sex",
    "interpret_needed_other": "what is not known",
    "interpret_percentile": "The texture score lies at percentile {percentile} of this site's own adults; "
    "that is not TBS.",
    "interpret_get": "For TBS the scanner needs a calibration, which the administrator makes from at "
    "least 60 scans that licensed software has scored too (tbsnode calibration fit).",
    "interpret_get_CALIBRATION_SUSPENDED": "For TBS the administrator has to restore the calibration with "
    "at least 10 re-exported examinations (tbsnode calibration extend).",
    "interpret_get_CALIBRATION_EXPIRED": "For TBS the administrator has to make a new calibration "
    "(tbsnode calibration fit).",
    "interpret_get_TBS_OUT_OF_RANGE": "Check the image for artifacts; nothing may be concluded from its "
    "texture.",
    "interpret_get_OUTSIDE_CALIBRATION_RANGE": "For TBS the scanner's operator has to enter what is "
    "missing and send the study again.",
    # bone density
    "interpret_bmd": "BMD diagnosis: {diagnosis} (lowest T-score {score}, {site}){relation}.",
    "interpret_bmd_z": "BMD: {diagnosis} (lowest Z-score {score}, {site}).",
    "interpret_spine_only": "Spine only (T-score {score}): not a BMD diagnosis{relation}.",
    "interpret_spine_only_z": "Spine only (Z-score {score}): not a BMD diagnosis.",
    "interpret_no_hip": "No hip: not a BMD diagnosis (lowest T-score {score}, {site}){relation}.",
    "interpret_no_hip_z": "No hip: not a BMD diagnosis (lowest Z-score {score}, {site}).",
    "interpret_concordant": "; TBS and BMD are concordant",
    "interpret_worse": "; TBS is worse than BMD",
    "interpret_worse_risk": "; TBS is worse than BMD, and fracture risk may be higher than BMD alone "
    "suggests",
    "interpret_risk": "; TBS is low, and fracture risk may be higher than BMD alone suggests",
    "interpret_better": "; TBS is better than BMD and does not cancel this diagnosis",
    "interpret_open": "; how TBS compares with BMD is open, because its class is borderline",
    "interpret_diagnosis_normal": "normal bone density",
    "interpret_diagnosis_low_bone_mass": "low bone mass",
    "interpret_diagnosis_osteoporosis": "osteoporosis",
    "interpret_diagnosis_within_expected_range_for_age": "within the expected range for age",
    "interpret_diagnosis_below_expected_range_for_age": "below the expected range for age",
    "interpret_site_spine": "lumbar spine",
    "interpret_site_total_hip": "total hip",
    "interpret_site_femoral_neck": "femoral neck",
    "interpret_site_one_third_radius": "one-third radius",
}

_DECLARED: dict[str, str] = {
    "interpret_declared_one": "Declared: {factors}; it raises fracture risk independently of BMD{tbs}.",
    "interpret_declared_several": "Declared: {factors}; each raises fracture risk independently of BMD{tbs}.",
    "interpret_declared_class_normal": ", and a normal TBS does not cancel it",
    "interpret_declared_class_other": ", and a normal TBS would not cancel it",
    "interpret_declared_only": "Declared: {factors}.",
    "interpret_declared_also": "Also declared: {factors}.",
    "interpret_declared_previous_fracture": "previous {site} fracture",
    "interpret_declared_previous_fractures": "previous {site} fractures",
    "interpret_declared_site_hip": "hip",
    "interpret_declared_site_vertebra": "vertebral",
    "interpret_declared_site_wrist": "wrist",
    "interpret_declared_site_humerus": "humerus",
    "interpret_declared_site_pelvis": "pelvic",
    "interpret_declared_site_other": "other",
    "interpret_declared_site_unknown": "fragility",
    "interpret_declared_parental_hip_fracture": "parental hip fracture",
    "interpret_declared_current_smoking": "current smoking",
    "interpret_declared_glucocorticoids": "glucocorticoid treatment",
    "interpret_declared_glucocorticoids_dose": "glucocorticoid treatment ({dose} mg/day)",
    "interpret_declared_rheumatoid_arthritis": "rheumatoid arthritis",
    "interpret_declared_secondary_osteoporosis": "secondary osteoporosis",
    "interpret_declared_alcohol": "alcohol (3 or more units a day)",
    "interpret_declared_type_2_diabetes": "type 2 diabetes",
    "interpret_declared_falls": "falls",
    "interpret_declared_recent_fracture": "recent fracture",
    "interpret_declared_diabetes": "In type 2 diabetes BMD underestimates fracture risk.",
    "interpret_declared_diabetes_frax": "In type 2 diabetes BMD and FRAX underestimate fracture risk.",
    # supplied probability
    "interpret_frax_supplied": "FRAX {bmd} as supplied{source}: major osteoporotic {major} %, hip {hip} "
    "%{adjusted}.",
    "interpret_frax_source": " ({source})",
    "interpret_frax_model": "model {model}",
    "interpret_frax_with_bmd": "with BMD",
    "interpret_frax_without_bmd": "without BMD",
    "interpret_frax_adjusted": "; research estimate adjusted for TBS {major} % ({major_range}) and {hip} "
    "% ({hip_range}){limited}",
    "interpret_frax_limited": ", calculated at {ages}, the limit of the adjustment",
    "interpret_frax_major_at": "age {years} (major osteoporotic)",
    "interpret_frax_hip_at": "age {years} (hip)",
    "interpret_frax_not_adjusted": "; not adjusted for TBS: {why}",
    "interpret_frax_no_tbs": "no TBS is available",
    "interpret_frax_switched_off": "the adjustment is switched off",
    "interpret_frax_not_supplied": "TBS-adjusted FRAX not calculated: FRAX not supplied.",
    "interpret_frax_blind": "FRAX does not account for {gaps}.",
    "interpret_frax_blind_for": "for {gap}",
    "interpret_frax_blind_dose": "glucocorticoid dose",
    "interpret_frax_blind_recency": "how recent a fracture is",
    "interpret_frax_blind_falls": "falls",
    "interpret_frax_dose_above": "FRAX assumes an average glucocorticoid dose; at {dose} mg/day it may "
    "underestimate the risk.",
    "interpret_frax_dose_below": "FRAX assumes an average glucocorticoid dose; at {dose} mg/day it may "
    "overestimate the risk.",
    # earlier examinations
    "interpret_trend_tbs": "TBS has changed by {change} since {date}; {judged}.",
    "interpret_trend_slope": "The texture slope has changed by {change} since {date}; {judged}.",
    "interpret_trend_exceeds": "this exceeds the least significant change of {lsc}",
    "interpret_trend_within": "this does not exceed the least significant change of {lsc}",
    "interpret_trend_unjudged": "the change is not interpreted, because there is no precision study",
    "interpret_trend_not_comparable": "No change is stated: no earlier examination is comparable.",
    "interpret_trend_identity": "No change is stated: the identity of an earlier examination is in doubt.",
    "interpret_trend_not_fetched": "No change is stated: earlier examinations could not be looked for.",
    "interpret_limits": "Not to be used alone to decide treatment.",
}

# why a level does not count, and what limits the measurement: as few words as say it
_DOUBTS: dict[str, str] = {
    "interpret_left_out_REGION_TOO_SMALL": "too small",
    "interpret_left_out_LEVEL_CUT": "cut off",
    "interpret_left_out_HIGH_DENSITY": "metal, cement or contrast",
    "interpret_left_out_REDUCED_HEIGHT": "reduced height",
    "interpret_left_out_NO_LEVEL_SCORE": "not measurable",
    "interpret_left_out_MOVEMENT": "movement",
    "interpret_left_out_LEVEL_FUSED": "no disc space",
    "interpret_left_out_EXCLUDED_BY_REVIEWER": "excluded by the reviewing physician",
    "interpret_doubt_OTHER_BODY_PART": "header names another body part",
    "interpret_doubt_LEVELS_UNCERTAIN": "level labels uncertain",
    "interpret_doubt_LEVELS_ASSUMED": "level labels assumed",
    "interpret_doubt_LEVELS_DISAGREE_WITH_SCANNER": "level labels differ from the scanner's",
    "interpret_doubt_DISPLAY_COPY": "display copy",
    "interpret_doubt_EXTRACTED_FROM_PAGE": "cut out of a report page",
    "interpret_doubt_FEW_GRAY_LEVELS": "few gray levels",
    "interpret_doubt_RESAMPLED": "image smoothed",
    "interpret_doubt_SATURATED": "bone saturated",
    "interpret_doubt_DERIVED_PIXEL_SPACING": "pixel size derived",
    "interpret_doubt_SPACING_CONTRADICTION": "pixel size contradictory",
    "interpret_doubt_EXCESSIVE_NOISE": "very noisy image",
    "interpret_doubt_TILTED_SPINE": "tilted spine",
    "interpret_doubt_CURVED_SPINE": "curved spine",
    "interpret_doubt_POOR_FIT": "poor fit of {levels}",
    "interpret_doubt_TECHNICAL_SPREAD": "{levels} unlike the other levels",
    "interpret_doubt_DEGENERATIVE_STEP": "T-score step at {levels}",
}

_IDENTITY: dict[str, str] = {
    "identity_withdrawn": "Made under an identity that is no longer valid; new documents replace it.",
}

# numbers alone, never what a code stands for: the words of the code book are not ours
_CODING: dict[str, str] = {
    "coding_why_own": "Computed and signed at {site}.",
    "coding_why_apart": "77091: computed at {site}. 77092: signed at {signer}.",
    "coding_why_elsewhere": "The image names another institution: if that one charges, 77089 does not fit.",
    "coding_why_amended": "Amended: charge once.",
    "coding_why_rejected": "The result was withdrawn.",
    "coding_why_refused": "No TBS is reported.",
    "coding_why_no_tbs": "No TBS was computed.",
    "coding_why_simulated": "This is a simulation.",
    "coding_why_no_clearance": "No clearance is declared ([site] clearance).",
    "coding_why_unsigned": "Nobody has signed the report.",
    "coding_why_no_site": "The site is not named ([site] name).",
    "coding_why_now": "Not on the signed report: worked out from the configuration of today.",
}

INTERPRETATION: dict[str, str] = {**_PARAGRAPH, **_DECLARED, **_DOUBTS, **_IDENTITY, **_CODING}
