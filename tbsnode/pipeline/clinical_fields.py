"""What may be declared about an examination: every field, what it may say, and what contradicts it.

A mistake names the field, the kind of mistake and its remedy, never the value: a value may name a
patient, and messages end up in logs. Nothing is guessed: what is not stated stays unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from tbsnode.errors import FileMistake
from tbsnode.model import ClinicalContext, Factor, ScannerResults
from tbsnode.model.clinical import FRACTURE_SITES
from tbsnode.model.densitometry import SiteResult
from tbsnode.pipeline.clinical_record import RawRecord, Reading
from tbsnode.tbs.frax import Supplied

SOURCE = "import"  # of densities, as `ScannerResults.source`

_SUBJECT = ("patient_id", "issuer", "accession_number")
_FRAX = (
    "frax_major_percent",
    "frax_hip_percent",
    "frax_with_bmd",
    "frax_country_model",
    "frax_calculated_on",
)
# name of a site in a column -> as the scanner's results call it; those with sides are told apart by them
_SPINE = {
    "spine": "L1-L4",
    **{f"l{level}": f"L{level}" for level in range(1, 5)},
    **{f"l{a}_l{b}": f"L{a}-L{b}" for a, b in ((1, 2), (1, 3), (2, 3), (2, 4), (3, 4))},
}
_SIDED = ("total_hip", "femoral_neck", "one_third_radius")
_SIDES = ("", "left", "right")
# quantity -> smallest and largest plausible value of a person's bone
_QUANTITIES = {"bmd_g_cm2": (0.1, 3.0), "t_score": (-10.0, 10.0), "z_score": (-10.0, 10.0)}
_DENSITY_KEYS = ("site", "side", *_QUANTITIES)
_GLUCOCORTICOID_MG_DAY = (0.0, 200.0)
_GLUCOCORTICOID_FACTOR_MG_DAY = 5.0  # what the factor "glucocorticoids" means, in prednisolone
_FIRST_FRAX = date(2008, 1, 1)
# below this a major probability is a fraction; and FRAX prints one decimal place
_LEAST_MAJOR_PERCENT = 0.5

SITES = {
    **{(name, ""): (site, "") for name, site in _SPINE.items()},
    **{(name, side): (name, side) for name in _SIDED for side in _SIDES},
}
DENSITY_FIELDS = {
    "_".join(part for part in (*site, quantity) if part): (site, quantity)
    for site in SITES
    for quantity in _QUANTITIES
}
FIELDS = (
    *_SUBJECT,
    "source",
    *_FRAX,
    *(factor.value for factor in Factor),
    *("fracture_sites", "glucocorticoid_mg_day", "menopausal_status", "t_score_reference"),
    *DENSITY_FIELDS,
)
REQUIRED = ("patient_id", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """Whose examination a record is about, and what it declares."""

    raw: RawRecord
    patient_id: str
    issuer: str
    accession_number: str
    context: ClinicalContext

    @property
    def is_empty(self) -> bool:
        """Whether nothing but the source is stated: that withdraws what was declared before."""
        return self.raw.cells.keys() <= {*_SUBJECT, "source"}


def declaration(record: RawRecord, today: date) -> tuple[Declaration | None, tuple[FileMistake, ...]]:
    """Read one record.

    Parameters
    ----------
    record : RawRecord
        As the file has it.
    today : date
        No probability was calculated later.

    Returns
    -------
    Declaration or None
        None where it cannot be said whom the record is about.
    tuple of FileMistake
        Everything that is wrong with it; then the declaration is not to be used.
    """
    reading = Reading(record)
    for name in REQUIRED:
        if not reading.has(name):
            reading.wrong(name, "is missing.", _WHY_REQUIRED[name])
    who = {name: reading.text(name) for name in _SUBJECT}
    context = _context(reading, today)
    made = Declaration(raw=record, context=context, **who) if who["patient_id"] else None
    return made, tuple(reading.mistakes)


_WHY_REQUIRED = {
    "patient_id": "Records are matched by patient ID, never by name.",
    "source": "Say who declares it, for example: referral letter.",
}


def _context(reading: Reading, today: date) -> ClinicalContext:
    stated = {factor: reading.truth(factor.value) for factor in Factor}
    dose = _within(
        reading, "glucocorticoid_mg_day", _GLUCOCORTICOID_MG_DAY, "milligrams of prednisolone a day"
    )
    sites = _fracture_sites(reading)
    _contradictions(reading, stated, sites, dose)
    densities = _densities(reading)
    reference = reading.text("t_score_reference")
    if reference and not densities:
        reading.wrong("t_score_reference", "stands without any density.", "State the T-scores that it is of.")
    return ClinicalContext(
        present=tuple(factor for factor, yes in stated.items() if yes),
        absent=tuple(factor for factor, yes in stated.items() if yes is False),
        fracture_sites=sites,
        glucocorticoid_mg_day=dose,
        menopausal_status=reading.choice("menopausal_status", ("post", "pre", "")),
        frax=_frax(reading, today),
        densitometry=ScannerResults(sites=densities, source=SOURCE, reference=reference)
        if densities
        else None,
        source=reading.text("source"),
    )


def _within(reading: Reading, name: str, limits: tuple[float, float], unit: str) -> float | None:
    number = reading.number(name)
    if number is None:
        return None
    low, high = limits
    if not low <= number[0] <= high:
        reading.wrong(name, f"lies outside {low:g} to {high:g}.", f"Write {unit}.")
        return None
    return number[0]


def _fracture_sites(reading: Reading) -> tuple[str, ...]:
    value = reading.record.cells.get("fracture_sites", "")
    parts = value if isinstance(value, list) else re.split(r"[;,]", reading.text("fracture_sites"))
    words = [reading.choice("fracture_sites", FRACTURE_SITES, part) for part in parts if part != ""]
    return tuple(site for site in FRACTURE_SITES if site in words)


def _contradictions(
    reading: Reading, stated: dict[Factor, bool | None], sites: tuple[str, ...], dose: float | None
) -> None:
    """Find what cannot be true together."""
    before = stated[Factor.PREVIOUS_FRACTURE]
    if sites and not before:
        reading.wrong(
            "fracture_sites", "stands without previous_fracture = yes.", "Say yes there, or leave this empty."
        )
    if stated[Factor.RECENT_FRACTURE] and before is False:
        reading.wrong("recent_fracture", "is yes, and previous_fracture is no.", "One of the two is wrong.")
    if dose is not None and dose >= _GLUCOCORTICOID_FACTOR_MG_DAY and stated[Factor.GLUCOCORTICOIDS] is False:
        reading.wrong(
            "glucocorticoid_mg_day", "stands beside glucocorticoids = no.", "One of the two is wrong."
        )


def _frax(reading: Reading, today: date) -> Supplied | None:
    major, hip = (_percent(reading, name) for name in _FRAX[:2])
    with_bmd = reading.truth("frax_with_bmd")
    country, on = reading.text("frax_country_model"), _day(reading, "frax_calculated_on", today)
    if not any(reading.has(name) for name in _FRAX):
        return None
    for name in _FRAX[:3]:
        if not reading.has(name):
            reading.wrong(
                name,
                "is missing, and another FRAX field is stated.",
                "State both probabilities and if bone density entered them, or none of it.",
            )
    if major is None or hip is None or with_bmd is None:
        return None
    if hip > major:
        reading.wrong(
            "frax_hip_percent",
            "is higher than frax_major_percent, which includes the hip.",
            "Check if the two are exchanged.",
        )
    return Supplied(
        major_percent=major,
        hip_percent=hip,
        with_bmd=with_bmd,
        source=reading.text("source"),
        country_model=country,
        calculated_on=on,
    )


def _percent(reading: Reading, name: str) -> float | None:
    """Return a probability in percent; a fraction is refused, so are 0 and 100."""
    number = reading.number(name)
    if number is None:
        return None
    value, written = number
    if not 0.0 < value < 100.0:
        reading.wrong(
            name, "does not lie between 0 and 100 percent.", "Leave it out where no probability is known."
        )
        return None
    decimals = len(written.partition(".")[2])
    if value < 1.0 and (decimals > 1 or (name == _FRAX[0] and value < _LEAST_MAJOR_PERCENT)):
        reading.wrong(
            name, "looks like a fraction.", "Write percent with one decimal place, as FRAX prints it: 22.0."
        )
        return None
    return value


def _day(reading: Reading, name: str, today: date) -> str:
    """Return a date as ``YYYYMMDD``, empty where absent or wrong."""
    text = reading.text(name)
    if not text:
        return ""
    match = re.fullmatch(r"(\d{4})-?(\d{2})-?(\d{2})", text)
    try:
        day = date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        day = None
    if day is None:
        reading.wrong(name, "is no date.", "Write it as 2026-03-01.")
        return ""
    if not _FIRST_FRAX <= day <= today:
        reading.wrong(name, "lies before FRAX or in the future.", "Write the day of the calculation.")
    return day.strftime("%Y%m%d")


# ---- densities ------------------------------------------------------------------------------------


def _densities(reading: Reading) -> tuple[SiteResult, ...]:
    """Read the densities of columns, and those of a list."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name, (site, quantity) in DENSITY_FIELDS.items():
        if reading.has(name):
            value = _quantity(reading, name, quantity, reading.record.cells[name])
            if value is not None:
                found.setdefault(SITES[site], {})[quantity] = value
    listed = reading.record.cells.get("densities", [])
    if not isinstance(listed, list):
        reading.wrong("densities", "is no list.", "Write a list of objects, one a site.")
        listed = []
    for index, item in enumerate(listed):
        _listed_density(reading, f"densities[{index}]", item, found)
    return tuple(SiteResult(site=site, side=side, **values) for (site, side), values in found.items())


def _listed_density(
    reading: Reading, path: str, item: Any, found: dict[tuple[str, str], dict[str, float]]
) -> None:
    if not isinstance(item, dict):
        reading.wrong(path, "is no object.", f"Write an object with {', '.join(_DENSITY_KEYS)}.")
        return
    for key in item.keys() - set(_DENSITY_KEYS):
        reading.wrong(f"{path}.{key}", "is an unknown field.", f"Known are: {', '.join(_DENSITY_KEYS)}.")
    names = {site.lower(): name for name, site in _SPINE.items()}
    word = reading.text(f"{path}.site", item.get("site", "")).lower()
    side = reading.choice(f"{path}.side", _SIDES, item.get("side", ""))
    site = SITES.get((names.get(word, word), side))
    if site is None:
        known = ", ".join([*dict.fromkeys(_SPINE.values()), *_SIDED])
        reading.wrong(
            f"{path}.site", "is no site that is known here.", f"Known are: {known}; sides: hip, radius."
        )
        return
    if site in found:
        reading.wrong(f"{path}.site", "is stated twice.", "State each site and side once.")
        return
    found[site] = {
        quantity: value
        for quantity in _QUANTITIES
        if item.get(quantity) is not None
        and (value := _quantity(reading, f"{path}.{quantity}", quantity, item[quantity])) is not None
    }
    if not any(item.get(quantity) is not None for quantity in _QUANTITIES):
        reading.wrong(path, "states neither density nor score.", "Leave it out.")


def _quantity(reading: Reading, name: str, quantity: str, value: Any) -> float | None:
    number = reading.number(name, value)
    if number is None:
        return None
    low, high = _QUANTITIES[quantity]
    if low <= number[0] <= high:
        return number[0]
    if quantity == "bmd_g_cm2":
        reading.wrong(
            name,
            f"is no areal density: it lies outside {low:g} to {high:g} g/cm2.",
            "Write grams a square centimeter; mg/cm2 divided by 1000.",
        )
    else:
        reading.wrong(
            name,
            f"is no plausible score: it lies outside {low:g} to {high:g}.",
            "Check the sign and the point.",
        )
    return None
