"""The worked example of an interpretation, word for word from its inputs.

A woman of 68 years on oral glucocorticoids who has broken a wrist; TBS 1.180 by a paired calibration with
a standard error of 0.045; a probability with bone density, supplied by the referrer. Class, Z-score and
adjustment are computed, not typed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from tbsnode.model import Analysis, ClinicalContext, Demographics, Factor, Scanner
from tbsnode.pipeline import context
from tbsnode.pipeline.interpret import Interpreting, interpreted, scanner_key
from tbsnode.report import narrative
from tbsnode.tbs.calibration import Calibration, Kind, estimator_of
from tbsnode.tbs.frax import Supplied
from tests import report_parts

EXAMPLE = (
    "Technically valid: L1-L4, 4 vertebrae, BMI 26, paired calibration SEE 0.045; no soft-tissue correction. "
    "TBS (calibrated) 1.180 +- 0.045: degraded microarchitecture (cut-offs 1.23/1.31); this is a texture "
    "class, not the patient's overall fracture risk. "
    "Z-score -0.7 (US NHANES 2007-2008 women) does not change the class. "
    "Declared: previous wrist fracture and glucocorticoid treatment; each raises fracture risk independently "
    "of BMD, and a normal TBS would not cancel it. "
    "FRAX with BMD as supplied: major osteoporotic 22.0 %, hip 4.5 %; "
    "research estimate adjusted for TBS 23.9 % (22.7-25.2) and 5.3 % (4.9-5.8). "
    "FRAX does not account for glucocorticoid dose or for how recent a fracture is. "
    "Not to be used alone to decide treatment."
)
SUPPLIED = Supplied(major_percent=22.0, hip_percent=4.5, with_bmd=True)
DECLARED = ClinicalContext(
    present=(Factor.PREVIOUS_FRACTURE, Factor.GLUCOCORTICOIDS),
    fracture_sites=("wrist",),
    frax=SUPPLIED,
    source="referrer",
)


def woman_of_68(tbs: float, **changes: Any) -> Analysis:
    """The example's result, made as the node makes it: calibrated, interpreted, adjusted."""
    identity = replace(
        report_parts.IDENTITY,
        demographics=Demographics(sex="F", age_years=68.0, height_m=1.60, weight_kg=66.56),
        scanner=Scanner(manufacturer="GE-Lunar", model_name="Densitometer", device_serial_number="1"),
    )
    plain = report_parts.analysis(identity=identity, findings=(), clinical=DECLARED)
    line = Calibration(
        kind=Kind.PAIRED,
        key=scanner_key(plain),
        intercept=tbs - plain.score,
        slope=1.0,
        see=0.045,
        pairs=80,
        allows_category=True,
        estimator=estimator_of(plain.parameters),
        approved_by="Dr. Example",
        approved_on=date(2026, 1, 1),
        valid_until=date(2028, 1, 1),
    ).named()
    made = interpreted(plain, Interpreting(calibrations=(line,), on=date(2026, 11, 25)))
    return replace(made, frax=context.adjustment_of(made), **changes)


def test_the_worked_example_word_for_word() -> None:
    made = woman_of_68(1.180)
    assert narrative.paragraph(report_parts.report(made)) == EXAMPLE


def test_the_same_patient_with_a_better_texture_keeps_her_history() -> None:
    """Risk goes down slightly: 20.2 and 4.1 %; fracture and glucocorticoids are still said."""
    said = narrative.paragraph(report_parts.report(woman_of_68(1.320)))
    assert "adjusted for TBS 20.2 % (" in said
    assert " and 4.1 % (" in said
    assert "Declared: previous wrist fracture and glucocorticoid treatment;" in said
