"""What a calibrated value may be called: class, borderline or nothing, and its Z-score.

The class names texture, not the patient's risk. It is given only where everything that the cut-offs
assume holds: a calibration that allows it, age and sex they were derived for, known body size, and
labels that do not decide it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tbsnode.reasons import Code, Finding
from tbsnode.tbs.reference import ReferenceCurve, ThresholdSet
from tbsnode.tbs.result import LABELS

AGE_MEN = 50.0
AGE_WOMEN = 50.0
AGE_WOMEN_POSTMENOPAUSAL = 40.0
AGE_MIN_YEARS = 20.0
BMI_RANGE = (15.0, 37.0)  # Looker 2016, doi:10.1007/s00198-016-3550-6


def is_in_bmi_range(bmi: float) -> bool:
    """Tell whether a body mass index [kg/m2] is one that the value is valid for, as it is printed.

    Nobody reads "37.0, outside 15 to 37".

    Examples
    --------
    >>> is_in_bmi_range(37.04), is_in_bmi_range(37.06)
    (True, False)
    """
    return BMI_RANGE[0] <= float(f"{bmi:.1f}") <= BMI_RANGE[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What of the patient decides if a class may be given.

    Attributes
    ----------
    sex : str
        ``"F"``, ``"M"``, anything else for unknown.
    age_years, bmi : float or None
        None where not known.
    menopausal_status : str
        ``"post"``, ``"pre"`` or empty; declared, never guessed.

    Examples
    --------
    >>> Patient(sex="F", age_years=68.0, bmi=24.5).menopausal_status
    ''
    """

    sex: str
    age_years: float | None
    bmi: float | None
    menopausal_status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A calibrated value with what it rests on.

    Attributes
    ----------
    tbs, see : float
        Value and its standard error of estimate.
    levels : tuple of str
        Included levels.
    category_allowed : bool
        What the calibration says.
    labels_certain : bool
        False where the labels may be off by one.
    alternative_tbs : float or None
        The value under the second-best labels.

    Examples
    --------
    >>> Value(tbs=1.27, see=0.025).levels
    ('L1', 'L2', 'L3', 'L4')
    """

    tbs: float
    see: float
    levels: tuple[str, ...] = LABELS
    category_allowed: bool = True
    labels_certain: bool = True
    alternative_tbs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """What may be said about a value.

    Attributes
    ----------
    category : str or None
        ``"normal"``, ``"partially_degraded"`` or ``"degraded"``; None where borderline or withheld.
    borderline : tuple of str
        The classes that value -+ SEE touches, where more than one.
    threshold_set, reference : str
        Cut-offs and curve used.
    z_score : float or None
        Against the curve; it never changes the class.
    findings : tuple of Finding
        Why there is no class, and what limits it.
    """

    category: str | None = None
    borderline: tuple[str, ...] = ()
    threshold_set: str = ""
    reference: str = ""
    z_score: float | None = None
    findings: tuple[Finding, ...] = ()


def interpret(
    value: Value, patient: Patient, thresholds: ThresholdSet, curve: ReferenceCurve
) -> Interpretation:
    """Say what a calibrated value may be called.

    Parameters
    ----------
    value : Value
        Calibrated.
    patient : Patient
        Age, sex and body size.
    thresholds : ThresholdSet
        Cut-offs.
    curve : ReferenceCurve
        For the Z-score.

    Returns
    -------
    Interpretation
        With `CATEGORY_NOT_ELIGIBLE`, `CATEGORY_DEPENDS_ON_LEVELS`, `BORDERLINE` or
        `LEVELS_INCOMPLETE` where they apply.

    Examples
    --------
    >>> from tbsnode.tbs.reference import reference_curve, threshold_set
    >>> woman = Patient(sex="F", age_years=68.0, bmi=24.5)
    >>> interpret(Value(tbs=1.27, see=0.025), woman, threshold_set("B"), reference_curve()).category
    'partially_degraded'
    >>> interpret(Value(tbs=1.27, see=0.045), woman, threshold_set("B"), reference_curve()).borderline
    ('normal', 'partially_degraded', 'degraded')
    """
    z_score = _z_score(value, patient, curve)
    blank = Interpretation(
        threshold_set=thresholds.stated,
        reference="" if z_score is None else curve.compared_with(patient.age_years or 0.0, patient.sex),
        z_score=z_score,
    )
    if not value.category_allowed:
        return blank
    why = not_eligible(patient, thresholds)
    if why:
        return replace(blank, findings=(Finding(Code.CATEGORY_NOT_ELIGIBLE, values=(("detail", why),)),))
    touched = thresholds.touched(value.tbs - value.see, value.tbs + value.see)
    if not value.labels_certain and _touched_otherwise(value, thresholds) != touched:
        return replace(blank, findings=(Finding(Code.CATEGORY_DEPENDS_ON_LEVELS),))
    findings: tuple[Finding, ...] = ()
    if len(value.levels) < len(LABELS):
        findings += (Finding(Code.LEVELS_INCOMPLETE, values=(("levels", ", ".join(value.levels)),)),)
    if len(touched) > 1:
        classes = " or ".join(name.replace("_", " ") for name in touched)
        findings += (Finding(Code.BORDERLINE, values=(("classes", classes),)),)
        return replace(blank, borderline=touched, findings=findings)
    return replace(blank, category=touched[0], findings=findings)


def _touched_otherwise(value: Value, thresholds: ThresholdSet) -> tuple[str, ...] | None:
    other = value.alternative_tbs
    return None if other is None else thresholds.touched(other - value.see, other + value.see)


def _z_score(value: Value, patient: Patient, curve: ReferenceCurve) -> float | None:
    if patient.age_years is None or patient.age_years < AGE_MIN_YEARS or patient.sex not in ("F", "M"):
        return None
    return curve.z_score(value.tbs, patient.age_years, patient.sex)


def not_eligible(patient: Patient, thresholds: ThresholdSet) -> str:
    """Return why a patient gets no class; empty where one may be given.

    Examples
    --------
    >>> from tbsnode.tbs.reference import threshold_set
    >>> not_eligible(Patient(sex="M", age_years=45.0, bmi=26.0), threshold_set("B"))
    'men below 50 years'
    """
    if patient.sex not in ("F", "M"):
        return "sex not known"
    if patient.age_years is None:
        return "age not known"
    if patient.bmi is None:
        return "height or weight not known"
    if not is_in_bmi_range(patient.bmi):
        return "body mass index outside 15 to 37"
    if patient.sex not in thresholds.sexes:
        return f"cut-offs {thresholds.name} are for postmenopausal women"
    if patient.sex == "M":
        return "" if patient.age_years >= AGE_MEN else "men below 50 years"
    return not_postmenopausal(patient)


def not_postmenopausal(patient: Patient) -> str:
    """Return why a woman does not count as postmenopausal; empty where she does, and for a man.

    Examples
    --------
    >>> not_postmenopausal(Patient(sex="F", age_years=45.0, bmi=26.0))
    'women of 40 to 49 years, menopause not declared'
    """
    if patient.sex != "F" or patient.age_years is None:
        return ""
    if patient.menopausal_status == "pre":
        return "women before menopause"
    if patient.age_years >= AGE_WOMEN:
        return ""
    if patient.age_years < AGE_WOMEN_POSTMENOPAUSAL:
        return "women below 40 years"
    return "" if patient.menopausal_status == "post" else "women of 40 to 49 years, menopause not declared"


@dataclass(frozen=True, slots=True)
class NotAvailable:
    """The answer of something that is deliberately not computed."""

    why: str


def adjusted_t_score(t_score: float, tbs: float, age_years: float) -> NotAvailable:
    """Answer that a TBS-adjusted T-score is not computed, whatever the arguments.

    The form is known (Leslie et al., Osteoporos Int 2018), its coefficients are not published.
    """
    del t_score, tbs, age_years
    return NotAvailable("not available: coefficients unpublished")
