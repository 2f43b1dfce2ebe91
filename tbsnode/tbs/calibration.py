"""A calibration of one scanner: what it is, when it applies, and what it gives.

The texture slope of a scanner becomes a Trabecular Bone Score only through pairs of the same scans
scored by licensed software; nothing else shows that it measures what that score measures. A
calibration belongs to one scanner with its software, input class and pixel spacing, names who
approved it, ends after two years, and is never edited, only superseded. `calibration_fit` makes one.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any

from tbsnode.reasons import Code, Finding
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.result import ImageStatistics

SPACING_TOLERANCE = 0.01  # relative; spacings derived from whole millimeters differ by 0.3 % a patient
VALID_MONTHS = 24
TBS_RANGE = (0.7, 1.7)  # NHANES 2007-2008 observed 0.719-1.692


class Kind(StrEnum):
    """How a calibration was made."""

    PAIRED = "paired"  # the same scans, scored by licensed software
    TRANSFER = "transfer"  # patients measured on this and on a calibrated scanner
    REFERENCE = "reference"  # the site's own adults: a percentile of the slope and nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerKey:
    """What a calibration belongs to.

    Attributes
    ----------
    manufacturer, model_name, device_serial_number, software_versions : str
        As the images state them.
    input_class : str
        ``"RAW"``, ``"IMAGE"`` or ``"DISPLAY"``.
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns.

    Examples
    --------
    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> key.changes(replace(key, software_versions="1.1"))
    ('software version',)
    """

    manufacturer: str
    model_name: str
    device_serial_number: str
    software_versions: str
    input_class: str
    pixel_spacing_mm: tuple[float, float]

    def same_scanner(self, other: ScannerKey) -> bool:
        """Tell whether both are images of one class from one machine, whatever its software.

        Without a serial number one machine cannot be told from another of its model.
        """
        return (
            self.device_serial_number == other.device_serial_number != ""
            and self.manufacturer == other.manufacturer
            and self.model_name == other.model_name
            and self.input_class == other.input_class
        )

    def changes(self, other: ScannerKey) -> tuple[str, ...]:
        """Name what differs from another image of the same scanner: software, spacing."""
        found = [] if self.software_versions == other.software_versions else ["software version"]
        pairs = zip(self.pixel_spacing_mm, other.pixel_spacing_mm, strict=True)
        if any(not math.isclose(a, b, rel_tol=SPACING_TOLERANCE) for a, b in pairs):
            found.append("pixel spacing")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The range of one covariate, 5th to 95th percentile of the pairs."""

    covariate: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariate:
    """A residual slope that the calibration takes off: TBS changes by `slope` a unit."""

    name: str
    slope: float
    center: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One calibration, as it is stored and applied.

    Attributes
    ----------
    calibration_id : str
        Derived from everything below, so that an edited one has another name.
    kind : Kind
        How it was made.
    key : ScannerKey
        What it belongs to.
    intercept, slope : float
        TBS = intercept + slope x score + covariates; 0 for kind ``reference``.
    covariates : tuple of Covariate
        What is modeled besides the score.
    see : float
        Standard error of estimate of TBS, from leaving one pair out at a time.
    pairs : int
        Pairs, patients or adults it rests on.
    per_category : tuple of int
        Pairs that are normal, partially degraded, degraded.
    allows_category : bool
        Whether a texture class may be given.
    limits : tuple of Limits
        Outside them: number yes, class no.
    levels : str
        The levels that the pairs were scored on.
    estimator : str
        Canonical JSON of the parameters that scored them.
    reference_software : str
        Name and version of the software that gave the values.
    approved_by : str
        Who vouches for it.
    approved_on, valid_until : date
        From when to when it applies.
    suspended, simulated : bool
        Set aside until extended; made from simulated pairs.
    based_on : str
        The calibration that a transfer, an extension or a successor rests on.
    reference_scores : tuple of float
        For kind ``reference``: the slopes of the site's adults, ascending.

    Examples
    --------
    One that was read from the JSON of ``tbsnode calibration show ID --json`` or made by `fit_paired`:

    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> made = Calibration(
    ...     kind=Kind.PAIRED, key=key, intercept=-0.06, slope=0.95, see=0.025, pairs=80,
    ...     estimator=estimator_of(Parameters()), approved_by="Dr. Example",
    ...     approved_on=date(2026, 11, 1), valid_until=date(2028, 11, 1),
    ... ).named()
    >>> round(apply(made, 1.40, Person(), None).tbs, 3)
    1.27
    """

    calibration_id: str = ""
    kind: Kind
    key: ScannerKey
    intercept: float = 0.0
    slope: float = 0.0
    covariates: tuple[Covariate, ...] = ()
    see: float = 0.0
    pairs: int
    per_category: tuple[int, int, int] = (0, 0, 0)
    allows_category: bool = False
    limits: tuple[Limits, ...] = ()
    levels: str = "L1-L4"
    estimator: str
    reference_software: str = ""
    approved_by: str
    approved_on: date
    valid_until: date
    suspended: bool = False
    simulated: bool = False
    based_on: str = ""
    reference_scores: tuple[float, ...] = ()

    def named(self) -> Calibration:
        """Return it with the name that its content gives it; suspension does not change the name."""
        content = to_json(replace(self, calibration_id="", suspended=False))
        digest = hashlib.sha256(_canonical(content).encode()).hexdigest()
        return replace(self, calibration_id=f"CAL-{digest[:12]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What of a patient a calibration may depend on; None where it is not known.

    Examples
    --------
    >>> Person(bmi=26.0, sex="M").value("sex"), Person(bmi=26.0).value("age_years")
    (1.0, None)
    """

    bmi: float | None = None
    age_years: float | None = None
    sex: str = ""

    def value(self, name: str) -> float | None:
        """Return a covariate as a number; sex is 1 for men, 0 for women."""
        if name == "sex":
            return {"M": 1.0, "F": 0.0}.get(self.sex)
        return {"bmi": self.bmi, "age_years": self.age_years}[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a calibration gives for one score.

    Attributes
    ----------
    tbs, see : float or None
        The calibrated value and its standard error of estimate.
    category_allowed : bool
        Whether a texture class may be derived from it.
    site_percentile, site_z : float or None
        Place of the score among the site's own adults.
    findings : tuple of Finding
        What limits it.
    """

    tbs: float | None = None
    see: float | None = None
    category_allowed: bool = False
    site_percentile: float | None = None
    site_z: float | None = None
    findings: tuple[Finding, ...] = ()


def estimator_of(parameters: Parameters) -> str:
    """Return the identity of an estimator: canonical JSON of everything that changes the score.

    Examples
    --------
    >>> estimator_of(Parameters()) == estimator_of(Parameters(region="body"))
    False
    """
    return _canonical(parameters.as_dict())


def valid_until(approved_on: date) -> date:
    """Return the last day of a calibration: 24 months after its approval."""
    year, day = approved_on.year + VALID_MONTHS // 12, approved_on.day
    if approved_on.month == 2 and day == 29:
        day = 28
    return date(year, approved_on.month, day)


def apply(
    calibration: Calibration, score: float, person: Person, statistics: ImageStatistics | None
) -> Applied:
    """Calibrate one score.

    Parameters
    ----------
    calibration : Calibration
        As `choose` returned it.
    score : float
        Mean texture slope.
    person : Person
        Covariates of the patient.
    statistics : ImageStatistics or None
        How the scored pixels look.

    Returns
    -------
    Applied
        Outside the range of the calibration the value stands and no class is allowed; a modeled
        covariate that is missing means no value, and is named. `see` is printed as TBS -+ SEE: about two
        of three licensed values lie in that interval. It holds the repeatability of both scores, so
        nothing is added to it.

    Examples
    --------
    A reference of own adults gives a place among them, and no TBS:

    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> adults = Calibration(
    ...     kind=Kind.REFERENCE, key=key, pairs=4, reference_scores=(1.2, 1.3, 1.4, 1.5), estimator="{}",
    ...     approved_by="Dr. Example", approved_on=date(2026, 11, 1), valid_until=date(2028, 11, 1),
    ... )
    >>> placed = apply(adults, 1.45, Person(), None)
    >>> placed.site_percentile, placed.tbs
    (75.0, None)
    """
    if calibration.kind is Kind.REFERENCE:
        return _placed(calibration.reference_scores, score)
    outside = _outside(calibration.limits, person, statistics)
    values = [person.value(each.name) for each in calibration.covariates]
    if any(value is None for value in values):
        return Applied(findings=outside)  # what is modeled has a range, so what is missing is named there
    tbs = calibration.intercept + calibration.slope * score
    for covariate, value in zip(calibration.covariates, values, strict=True):
        assert value is not None
        tbs += covariate.slope * (value - covariate.center)
    if not TBS_RANGE[0] <= tbs <= TBS_RANGE[1]:
        return Applied(findings=(*outside, Finding(Code.TBS_OUT_OF_RANGE)))
    few: tuple[Finding, ...] = ()
    if not calibration.allows_category:
        few = (Finding(Code.CALIBRATION_WITHOUT_CATEGORY, values=(("pairs", calibration.pairs),)),)
    return Applied(
        tbs=tbs,
        see=calibration.see,
        category_allowed=calibration.allows_category and not outside,
        findings=(*few, *outside),
    )


def _placed(scores: tuple[float, ...], score: float) -> Applied:
    """Place a score among the site's adults: mid-rank percentile and Z."""
    below = sum(other < score for other in scores)
    equal = sum(other == score for other in scores)
    mean = math.fsum(scores) / len(scores)
    variance = math.fsum((other - mean) ** 2 for other in scores) / (len(scores) - 1)
    z = (score - mean) / math.sqrt(variance) if variance > 0 else None
    return Applied(site_percentile=100.0 * (below + 0.5 * equal) / len(scores), site_z=z)


def _outside(
    limits: tuple[Limits, ...], person: Person, statistics: ImageStatistics | None
) -> tuple[Finding, ...]:
    """Return a finding for each covariate that is missing or outside the range of the pairs."""
    known: dict[str, float | None] = {name: person.value(name) for name in ("bmi", "age_years", "sex")}
    if statistics is not None:
        known |= {name: float(value) for name, value in asdict(statistics).items()}
    return tuple(
        Finding(Code.OUTSIDE_CALIBRATION_RANGE, values=_compared(limit, known.get(limit.covariate)))
        for limit in limits
        if not _within(limit, known.get(limit.covariate))
    )


def _within(limit: Limits, value: float | None) -> bool:
    return value is not None and limit.low <= value <= limit.high


def _compared(limit: Limits, value: float | None) -> tuple[tuple[str, float | str], ...]:
    """Return what a sentence quotes: the covariate, its value, and its range."""

    def shown(number: float | None) -> float | str:
        if number is None:
            return "unknown"
        if limit.covariate == "sex":
            return "M" if number else "F"
        return round(number, 4)

    return (
        ("covariate", limit.covariate.replace("_", " ")),
        ("value", shown(value)),
        ("low", shown(limit.low)),
        ("high", shown(limit.high)),
    )


def to_json(calibration: Calibration) -> dict[str, Any]:
    """Return a calibration as JSON types, exactly.

    Examples
    --------
    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> made = Calibration(
    ...     kind=Kind.PAIRED, key=key, slope=0.95, pairs=80, estimator="{}",
    ...     approved_by="Dr. Example", approved_on=date(2026, 11, 1), valid_until=date(2028, 11, 1),
    ... )
    >>> to_json(made)["approved_on"], to_json(made)["slope"]
    ('2026-11-01', 0.95)
    """
    value = asdict(calibration)
    value["kind"] = calibration.kind.value
    value["approved_on"] = calibration.approved_on.isoformat()
    value["valid_until"] = calibration.valid_until.isoformat()
    result: dict[str, Any] = json.loads(json.dumps(value))
    return result


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
