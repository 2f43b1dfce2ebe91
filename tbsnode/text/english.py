"""The English words of reports, and the English catalogue."""

from __future__ import annotations

from tbsnode.reasons import Actor
from tbsnode.text.catalogue import Catalogue
from tbsnode.text.english_decision import DECISION
from tbsnode.text.english_documents import DOCUMENTS
from tbsnode.text.english_evidence import EVIDENCE
from tbsnode.text.english_findings import ENTRIES
from tbsnode.text.english_interpretation import INTERPRETATION
from tbsnode.text.english_review_findings import REVIEW_ENTRIES

PHRASES: dict[str, str] = {
    "a_vertebra": "one vertebra",
    "the_vertebra": "the vertebra",
    "and": "and",
    "none": "none",
    "not_stated": "not stated",
    # status and limits: SR, PDF and overlay say the same
    "title": "Trabecular texture report",
    "simulated": "SIMULATED - demonstration data, no patient",
    "tbs_unavailable": "TBS not available: scanner not calibrated",
    "tbs_how_to_get_it": "What is missing: a calibration of this scanner against licensed software "
    "(`tbsnode calibration fit`).",
    "tbs_unavailable_CALIBRATION_SUSPENDED": "TBS not available: calibration suspended",
    "tbs_unavailable_CALIBRATION_EXPIRED": "TBS not available: calibration no longer valid",
    "tbs_unavailable_TBS_OUT_OF_RANGE": "TBS not available: value out of range",
    "tbs_unavailable_OUTSIDE_CALIBRATION_RANGE": "TBS not available: the calibration needs what is not known",
    "tbs_needs": "Not known: {what}.",
    "tbs_value": "TBS {tbs}",
    "tbs_value_see": "TBS {tbs} +- {see}",
    "tbs_simulated": "TBS from a SIMULATED calibration: not for care",
    "site_percentile": "Percentile {percentile} of the texture score among this site's own adults (Z {z}). "
    "It compares the texture score only; it is not TBS.",
    "tbs_calibration": "Calibration {calibration}. Levels: {levels}.",
    "tbs_category": "Texture class: {category}",
    "tbs_borderline": "Texture class borderline: {classes}",
    "tbs_no_category": "No texture class is given: see the findings.",
    "tbs_z_score": "Z-score {z} ({reference}). It does not change the class.",
    "tbs_z_score_only": "Z-score {z} ({reference}). It gives no class.",
    "research_banner": "PROVISIONAL, FOR RESEARCH ONLY",
    "research_value": "Value {tbs} +- {see} from calibration file {calibration}: {classes} (cut-offs {set}).",
    "research_no_value": "No provisional value from calibration file {calibration}.",
    "research_no_class": "no texture class",
    "research_findings": "Findings: {codes}.",
    "research_limits": "Nobody at this site vouches for it. It is no TBS of a report, and no structured "
    "report carries it.",
    "or": "or",
    "calibration_plots_title": "Calibration of a scanner",
    "calibration_plots_summary": "{pairs} pairs. TBS = {intercept} + {slope} x texture slope. "
    "Standard error of estimate {see}. R2 {r2}.",
    "calibration_plot_line": "Deming line, dashed: -+ 1.96 standard errors",
    "calibration_plot_agreement": "Agreement, dashed: 95 % of differences",
    "calibration_plot_bmi": "Residuals and body mass index",
    "calibration_plot_age_years": "Residuals and age",
    "calibration_axis_slope": "texture slope",
    "calibration_axis_tbs": "TBS of licensed software",
    "calibration_axis_tbs_adjusted": "TBS of licensed software, less what is modeled",
    "calibration_axis_residual": "TBS less its prediction from the other pairs",
    "calibration_axis_mean": "mean of prediction and TBS",
    "calibration_axis_difference": "prediction less TBS",
    "calibration_axis_bmi": "body mass index [kg/m2]",
    "calibration_axis_age_years": "age [years]",
    "calibration_TOO_FEW": "too few examinations",
    "calibration_NOT_FINITE": "a value is not a number",
    "calibration_DUPLICATE": "a scan occurs more than once",
    "calibration_NEGATIVE_SLOPE": "the value does not rise with the texture slope",
    "calibration_LOW_R2": "texture slope and value go together too loosely",
    "calibration_HIGH_SEE": "the standard error of estimate is too large",
    "calibration_DEGRADED_CALLED_NORMAL": "too many of the lowest class would be put into the highest",
    "calibration_RESIDUAL_COVARIATE": "the error depends on the patient, and modeling does not help",
    "calibration_TOO_FAR_APART": "the two scans of a patient lie too far apart",
    "calibration_EXTENSION_DIFFERS": "the scores moved with the change",
    "calibration_SOURCE_UNFIT": "that calibration cannot be transferred",
    "class_normal": "normal microarchitecture",
    "class_partially_degraded": "partially degraded microarchitecture",
    "class_degraded": "degraded microarchitecture",
    "not_reported": "TBS not reported",
    "limits": "tbsnode computes a texture score from the image. It is not the vendor's TBS. "
    "For research use; not cleared or approved as a medical device. "
    "Not to be used alone for treatment decisions.",
    "limits_compare": "Scores of different scanners, export modes or pixel sizes must not be compared.",
    # page furniture
    "page": "Page {page} of {pages}",
    "footer": "tbsnode {version} - research use, not cleared as a medical device",
    "replaced_characters": "Some characters cannot be printed here; they are simplified or shown as {mark}; "
    "the study holds the full text.",
    "name_not_printed": "The patient's name cannot be printed here as it is written: identify the patient by "
    "ID and birth date.",
    "head_review": "Please check",
    "head_levels": "Levels",
    "head_variogram": "Variogram: mean squared gray-level difference V against distance r",
    "head_findings": "All findings",
    "head_others": "Further AP spine images of this study, not reported",
    "head_methods": "Method",
    "head_parameters": "Parameters",
    "head_provenance": "Where this comes from",
    "head_reason": "Reason: {code}",
    "head_also": "Also noted",
    "nothing_to_check": "The software found nothing to check. Look at the picture before you use the result.",
    "more_findings": "Further findings, explained on page 2: {codes}.",
    "more_findings_refused": "Further findings: {codes}.",
    "no_findings": "None.",
    "picture_caption": "Solid outline: counted. Dashed: left out. The bar is {bar} mm long.",
    "picture_caption_no_size": "Solid outline: counted. Dashed: left out. Pixel size not known.",
    "picture_caption_refused": "The picture as received. Nothing was measured in it.",
    "signature_name": "Reviewed by (name)",
    "signature": "Signature",
    "signature_date": "Date",
    "other_scored": "Image {uid}: texture slope {score}.",
    "other_refused": "Image {uid}: no score.",
    # patient, study, scanner
    "patient": "Patient",
    "patient_id": "Patient ID",
    "birth_date": "Birth date",
    "sex_age": "Sex, age",
    "sex_F": "female",
    "sex_M": "male",
    "sex_O": "other",
    "years": "{years} years",
    "body_size": "Height, weight, BMI",
    "height": "{height} m",
    "weight": "{weight} kg",
    "bmi": "{bmi} kg/m2",
    "study": "Study",
    "study_date": "Study date",
    "accession": "Accession",
    "referring": "Referring",
    "scanner": "Scanner",
    "software": "software {version}",
    "serial": "serial {serial}",
    "reported_at": "Report made",
    # levels
    "level": "Level",
    "slope": "Texture slope",
    "standard_error": "Std. error",
    "area": "Area [mm2]",
    "fit": "Fit R2",
    "pairs": "Pixel pairs",
    "counted": "Counted",
    "yes": "yes",
    "no_because": "no: {code}",
    "no": "no",
    "mean": "Mean",
    "not_estimated": "not estimated",
    "native_slope": "Secondary value: unweighted slope over the first {lags} pixels {score}.",
    "label_confidence": "Confidence of the labels {confidence}.",
    "alternative": "If the labels are off by {shift}, the mean is {score}.",
    "slope_is_not_tbs": "The texture slope is not TBS and has no reference values.",
    "axis_lag": "r [mm]",
    "axis_variogram": "V(r)",
    # provenance
    "software_version": "Software",
    "node": "Node",
    "input_class": "Input class",
    "input_RAW": "RAW: linear image data",
    "input_IMAGE": "IMAGE: grayscale bone image",
    "input_DISPLAY": "DISPLAY: 8-bit display copy",
    "input_PAGE": "PAGE: report page",
    "input_LOSSY": "LOSSY: compressed with loss",
    "pixel_spacing": "Pixel spacing",
    "spacing_value": "{row} x {column} mm (row x column), from {source}",
    "study_uid": "Study Instance UID",
    "series_uid": "Series Instance UID",
    "image_uid": "Source SOP Instance UID",
    "frame": "Frame",
    "image_digest": "Image SHA-256",
    "data_set_digest": "Data set SHA-256",
    "result_digest": "Result SHA-256",
    "device_uid": "Device UID",
    "calibration": "Calibration",
    "uncalibrated": "none: UNCALIBRATED",
    # what ran, step by step; the numbers come from the parameters
    "method_labeling_tbsnode": "The software alone found the vertebrae in the picture and labeled "
    "them L1 to L4.",
    "method_labeling_scanner": "Lines and labels of L1 to L4 are the scanner's own, read from the "
    "picture; the software counted the vertebrae itself and says where it disagrees.",
    "method_labeling_reviewer": "The software found the vertebrae; the reviewing physician corrected "
    "disc lines or labels.",
    "method_region_bmd": "Each region is the densitometry region from mid-disc to mid-disc and to the edge "
    "of the bone, drawn in by {edge_inset_mm} mm (rule {region_rule}).",
    "method_region_body": "Each region is the vertebral body inside its endplates, drawn in by "
    "{body_erosion_mm} mm (rule {region_rule}).",
    "method_variogram": "V(r) is the mean squared gray-level difference of all pixel pairs in the region at "
    "distance r, computed up to {variogram_max_mm} mm; a distance counts from {min_pairs} pairs on.",
    "method_score": "The texture slope is the line through ln V against ln r at {radii} distances, equally "
    "spaced in ln r from {lag_min_mm} to {lag_max_mm} mm, each from a local fit of width {bandwidth}.",
    "method_total": "The mean is that of the counted levels, at least two.",
    "method_quality": "A region below {min_area_mm2} mm2 is left out; an image with fewer than "
    "{min_gray_levels} gray levels in the regions gets no score.",
    "method_exclusion_automatic": "Levels that are cut, metallic, crossed by a movement, grown together "
    "or reduced in height are left out automatically.",
    "method_exclusion_none": "Only levels that cannot be measured (cut, metallic, moved, fused, too "
    "small) are left out; one of reduced height is kept.",
}

ACTORS: dict[Actor, str] = {
    Actor.SENDER: "scanner or its operator",
    Actor.ADMINISTRATOR: "administrator of this node",
    Actor.PHYSICIAN: "reading physician",
    Actor.NOBODY: "nobody",
}

UNITS: dict[str, str] = {"_mm2": "mm2", "_mm": "mm", "_years": "years", "_days": "days", "_percent": "%"}

ENGLISH = Catalogue(
    "en", ENTRIES | REVIEW_ENTRIES, PHRASES | DECISION | DOCUMENTS | EVIDENCE | INTERPRETATION, ACTORS, UNITS
)
