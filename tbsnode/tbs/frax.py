"""Adjustment of a supplied fracture probability for TBS: a research estimate, off by default.

The probability itself is an input; it is never computed here. The equation and its limits lie in
``tbs/data/frax_adjustment.toml`` with their provenance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tbsnode.reasons import Code, Finding
from tbsnode.tbs.interpretation import Patient, is_in_bmi_range, not_postmenopausal
from tbsnode.tbs.reference import frax_coefficients

PROBABILITY = (0.0, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplied:
    """Probabilities as somebody entered them, and what they rest on.

    Attributes
    ----------
    major_percent, hip_percent : float
        10-year probability of a major osteoporotic and of a hip fracture.
    with_bmd : bool
        Whether femoral neck BMD entered them.
    source : str
        Who says so.
    country_model : str
        Which country's model, where stated.
    calculated_on : str
        ``YYYYMMDD``, where stated.

    Examples
    --------
    >>> Supplied(major_percent=22.0, hip_percent=6.0, with_bmd=True, source="referral letter").with_bmd
    True
    """

    major_percent: float
    hip_percent: float
    with_bmd: bool
    source: str = ""
    country_model: str = ""
    calculated_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """One probability before and after, with the interval that the value's error gives."""

    before_percent: float
    after_percent: float
    low_percent: float
    high_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Both probabilities, or why they were not adjusted.

    Attributes
    ----------
    major, hip : Adjusted or None
        None where nothing was adjusted.
    finding : Finding or None
        `FRAX_NOT_ADJUSTED` with the reason, or `FRAX_AGE_LIMITED` with the ages that entered the
        equation in place of the patient's.
    """

    major: Adjusted | None = None
    hip: Adjusted | None = None
    finding: Finding | None = None


def family(manufacturer: str) -> str | None:
    """Recognize the two manufacturers that the adjustment exists for.

    Examples
    --------
    >>> family("GE Healthcare"), family("LUNAR"), family("Other")
    ('lunar', 'lunar', None)
    """
    name = manufacturer.casefold()
    if "hologic" in name:
        return "hologic"
    if "lunar" in name or name.split()[:1] == ["ge"]:
        return "lunar"
    return None


def adjust(supplied: Supplied, tbs: float, see: float, *, patient: Patient, manufacturer: str) -> Adjustment:
    """Adjust supplied probabilities for a calibrated value.

    Parameters
    ----------
    supplied : Supplied
        Probabilities [%] with femoral neck BMD.
    tbs, see : float
        Calibrated value and its standard error of estimate.
    patient : Patient
        Whom the equation must fit: men and postmenopausal women of 40 to 90 completed years whose body
        mass index the value is valid for. The age is clamped by manufacturer and kind of fracture, which
        is said (`FRAX_AGE_LIMITED`).
    manufacturer : str
        Of the scanner, as the image states it.

    Returns
    -------
    Adjustment
        Not adjusted, with `FRAX_NOT_ADJUSTED` and the reason, outside of what the equation is for.

    Examples
    --------
    >>> supplied = Supplied(major_percent=22.0, hip_percent=6.0, with_bmd=True)
    >>> woman = Patient(sex="F", age_years=68.0, bmi=26.0)
    >>> made = adjust(supplied, 1.18, 0.04, patient=woman, manufacturer="Hologic")
    >>> made.major.before_percent < made.major.after_percent < made.major.high_percent
    True
    >>> heavy = Patient(sex="F", age_years=68.0, bmi=44.0)
    >>> adjust(supplied, 1.18, 0.04, patient=heavy, manufacturer="Hologic").finding.code.value
    'FRAX_NOT_ADJUSTED'
    """
    numbers = frax_coefficients()
    scanner = family(manufacturer)
    why = _why_not(supplied, tbs, scanner, numbers) or _not_for(patient, numbers)
    if why or patient.age_years is None or scanner is None:
        return Adjustment(finding=Finding(Code.FRAX_NOT_ADJUSTED, values=(("detail", why),)))
    made, limited = {}, []
    for kind, before in (("major", supplied.major_percent), ("hip", supplied.hip_percent)):
        low, high = numbers["clamps_years"][scanner][kind]
        age = min(max(patient.age_years, low), high)
        if not low <= math.floor(patient.age_years) <= high:  # as people count: 80 until the birthday
            limited.append((f"{kind}_years", age))
        made[kind] = _adjusted(kind, before, (tbs, see), age)
    finding = Finding(Code.FRAX_AGE_LIMITED, values=tuple(limited)) if limited else None
    return Adjustment(major=made["major"], hip=made["hip"], finding=finding)


def _adjusted(kind: str, before: float, value: tuple[float, float], age: float) -> Adjusted:
    """Adjust one probability for the value, and for the value less and more its error."""
    tbs, see = value
    after, one, other = (adjusted_percent(kind, before, each, age) for each in (tbs, tbs - see, tbs + see))
    return Adjusted(
        before_percent=before,
        after_percent=after,
        low_percent=min(one, other),
        high_percent=max(one, other),
    )


def _why_not(supplied: Supplied, tbs: float, scanner: str | None, numbers: dict[str, Any]) -> str:
    percents = (supplied.major_percent, supplied.hip_percent)
    if not all(PROBABILITY[0] < percent < PROBABILITY[1] for percent in percents):
        return "a probability must lie between 0 and 100 percent"
    if not supplied.with_bmd:
        return "the probability was computed without bone density"
    if scanner is None:
        return "there is no adjustment for this manufacturer"
    if not numbers["tbs"][0] <= tbs <= numbers["tbs"][1]:
        return "value outside 0.7 to 1.7"
    return ""


def _not_for(patient: Patient, numbers: dict[str, Any]) -> str:
    """Return why the equation does not fit a patient; empty where it does."""
    if patient.sex not in ("F", "M"):
        return "sex not known"
    if patient.age_years is None:
        return "age not known"
    if not numbers["ages_years"][0] <= math.floor(patient.age_years) <= numbers["ages_years"][1]:
        return "age outside 40 to 90 years"
    if patient.bmi is None:
        return "height or weight not known"
    if not is_in_bmi_range(patient.bmi):
        return "body mass index outside 15 to 37"
    return not_postmenopausal(patient)


def adjusted_percent(kind: str, percent: float, tbs: float, age_years: float) -> float:
    """Apply the equation once, without any clamp.

    Parameters
    ----------
    kind : str
        ``"major"`` or ``"hip"``.
    percent : float
        Probability, above 0 and below 100.
    tbs, age_years : float
        As they enter the equation.

    Examples
    --------
    >>> round(adjusted_percent("major", 22.0, 1.18, 68.0), 4)
    23.9393
    """
    c = frax_coefficients()[kind]
    logit = -math.log(100.0 / percent - 1.0)
    w = c["constant"] + c["tbs"] * tbs + c["age"] * age_years + c["tbs_age"] * tbs * age_years
    return 100.0 / (1.0 + math.exp(-(w + c["logit"] * logit)))
