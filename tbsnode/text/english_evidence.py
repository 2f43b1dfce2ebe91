"""The English words of page 2, the evidence."""

from __future__ import annotations

EVIDENCE: dict[str, str] = {
    # levels
    "level_bmd": "BMD [g/cm2]",
    "level_t_score": "T-score",
    "level_z_score": "Z-score",
    "level_density_source": "BMD and {score} as stated in: {sources}.",
    "level_source_text": "the scanner's private results text",
    "level_source_report": "the scanner's structured report",
    "level_source_import": "an import, by a person",
    "level_density_reference": "Their reference: {reference}.",
    # figures
    "figure_reference": "Reference curve by age",
    "figure_age": "age [years]",
    "figure_tbs": "TBS",
    "figure_slope": "texture slope",
    "figure_reference_caption": "Mean -+ SD: {reference}; not a healthy reference. Large point: this "
    "examination -+ standard error.",
    "figure_earlier": "Small: earlier ones.",
    "figure_cut_offs": "Dotted: cut-offs {set}.",
    "figure_position": "Bone density and texture",
    "figure_position_axis": "lowest T-score ({site})",
    "figure_position_caption_tbs": "Large point: TBS -+ standard error of estimate. Dashed: T-scores of -2.5 "
    "and -1.0.",
    "figure_position_caption_slope": "Point: texture slope -+ its standard error. Without a calibration "
    "there is nothing to compare it with.",
    "figure_trend": "Course",
    "figure_date": "year of examination",
    "figure_trend_caption": "Large point: this one. Filled: comparable. Hollow: not comparable.",
    "figure_trend_lsc": "Whiskers, shade: least significant change {lsc}; outside the shade it is exceeded.",
    "figure_trend_no_lsc": "No precision study of this scanner and these levels: change not interpreted.",
    "figure_variogram_caption": "Dots: V(r). Line: texture slope over the fitted range of {lag_min_mm} to "
    "{lag_max_mm} mm (shaded). In brackets: left out.",
    "figure_map": "Texture map",
    "figure_map_scale": "local slope",
    "figure_map_caption": "For visualization only: slope in a moving window of {window} mm. Noisy; no color "
    "is a class, and the score is not its mean.",
    "figure_site_spine": "spine",
    "figure_site_total_hip": "total hip",
    "figure_site_femoral_neck": "femoral neck",
    "figure_site_one_third_radius": "one-third radius",
    # earlier examinations
    "head_course": "Earlier examinations",
    "course_date": "Date",
    "course_tbs": "TBS",
    "course_slope": "Texture slope",
    "course_difference": "Change since",
    "course_levels": "Levels",
    "course_comparable": "Comparable",
    "course_this": "{date} (this)",
    "course_not": "no",
    "course_not_because": "no: {why}",
    "course_other_levels": "other levels",
    "course_image_gone": "image no longer there",
    "course_exceeds": "{difference}, exceeds",
    "course_within": "{difference}, within",
    "course_lsc": "Least significant change {lsc}. A change says nothing about its cause.",
    "course_no_lsc": "Without a precision study of this scanner and these levels no change is interpreted.",
    "course_more": "And {count} earlier ones.",
    "origin_archive": "own archive",
    "origin_pacs": "image from the PACS",
    "origin_own report": "own report",
    # calibration
    "calibration_kind": "Its kind",
    "kind_paired": "paired with licensed software",
    "kind_transfer": "transferred from another scanner",
    "calibration_see": "Its standard error",
    "calibration_cut_offs": "Cut-offs",
    "calibration_reference": "Reference curve",
    # what else ran
    "method_page": "The picture was cut out of a report page at row {row}, column {column} (scale {scale}), "
    "{found}.",
    "method_page_private text": "where the page's own text places it",
    "method_page_content": "where its content shows it",
    "method_page_inverted": "The page shows bone dark; gray levels were turned around.",
    "method_corrected": "The reviewing physician then changed the measurement, and every number was "
    "computed again: {changes}.",
    "method_corrected_exclude": "left out {levels}",
    "method_corrected_disc": "put disc line {disc} to row {row}",
    "method_corrected_shift": "moved every label by {shift} (+1: one vertebra further down)",
    "method_corrected_image": "chose image {uid}",
    "method_standard_error": "The standard error says how much a slope would differ if the same bone were "
    "scanned again: by the noise of the picture, and by how well lines and edges are found again.",
    "method_calibrated": "TBS is the texture slope put through calibration {calibration} of this scanner; "
    "its standard error of estimate comes from the fit.",
    "method_class": "The class compares TBS -+ that error with cut-offs {set}; it is given to men from "
    "{men}, women from {women}, or from {post} after menopause, with a body mass index of {low} to {high} "
    "kg/m2.",
    "method_no_class": "No class is given; the findings say why.",
    "method_z": "The Z-score compares with {reference}; it does not change the class.",
    "method_frax": "The supplied fracture probabilities were adjusted for TBS by an equation of the "
    "published form with coefficients from a secondary source: a research estimate.",
    "method_follow_up": "Earlier images were measured again with the same estimator; only examinations of "
    "the same scanner, mode, pixel size and levels are compared.",
    "method_map": "The texture map takes pixel pairs at 1, 2 and 3 steps of about {step} mm inside each "
    "region.",
    # coding
    "head_coding": "Coding aid",
    "coding_codes": "Procedure code that fits what was done: {codes}.",
    "coding_none": "No procedure code.",
    "coding_limits": "An aid only; who bills decides.",
}
