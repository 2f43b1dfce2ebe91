"""The words with which scanners name a site, a side and a quantity; tables, because every one has its own.

What a row of these tables does not fit is left out: a number at a guessed site would be worse than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tbsnode.model.densitometry import LIMITS

_LEVEL = re.compile(r"\b(?:l|lumbar )\s?([1-5])\b(?!\s?(?:-|–|to)\s?l?\s?[1-5])")
_SPAN = re.compile(r"\bl\s?([1-5])\s?(?:-|–|to)\s?l?\s?([1-5])\b")
# words of a concept -> field; the first row that fits counts
_QUANTITIES = (
    ("t_score", re.compile(r"\bt.?score\b|\byoung adult\b.*\bt\b")),
    ("z_score", re.compile(r"\bz.?score\b|\bage matched\b.*\bz\b")),
    ("bmd_g_cm2", re.compile(r"\bbmd\b|\bbone mineral density\b")),
    ("bmc_g", re.compile(r"\bbmc\b|\bbone mineral content\b")),
    ("area_cm2", re.compile(r"\barea\b")),
    ("height_mm", re.compile(r"\bheight\b")),
)
_NO_QUANTITY = re.compile(r"%|\bpercent|\bchange\b|\bprevious\b|\bpatient\b|\bbody\b|\bsbmd\b")
# unit (UCUM) -> factor to the unit of the field
_UNITS = {
    "bmd_g_cm2": {"g/cm2": 1.0, "mg/cm2": 1e-3},
    "bmc_g": {"g": 1.0, "mg": 1e-3},
    "area_cm2": {"cm2": 1.0, "mm2": 1e-2},
    "height_mm": {"mm": 1.0, "cm": 10.0},
}
_PARTS = (
    ("spine", re.compile(r"\bspine\b|\blumbar\b|\bl1")),
    ("hip", re.compile(r"\bhips?\b|femurs?\b|\bfemoral\b")),  # DualFemur
    ("forearm", re.compile(r"\bforearms?\b|\bradius\b|\bwrist\b")),
)
_ONE_THIRD = re.compile(r"1/3|\b33 ?%|\bone.third\b|\b33\b")
# of both sides together: no result of a site
_OF_SEVERAL = re.compile(r"\bmean\b|\baverage\b|\bdifference\b|\bdiff\b|\bboth\b|\bulna\b")
_PART_OF_NECK = re.compile(r"\bupper\b|\blower\b|\bsuperior\b|\binferior\b")
_REFERENCE = re.compile(r"\breference\b.*\b(?:population|database|data|curve|group)\b|\bnormative\b")
_MAX_REFERENCE = 100
_MAX_WORDS = 300  # characters that are looked at; a concept's meaning has 64, its abuse 65,536


@dataclass(frozen=True, slots=True)
class Place:
    """What has been said so far of where a number is from.

    Attributes
    ----------
    site, side : str
        As in `SiteResult`; empty where not said.
    part : str
        ``"spine"``, ``"hip"``, ``"forearm"`` or empty: what a bare "total" or "1/3" is of.
    is_of_one : bool
        False for means and differences of both sides.
    """

    site: str = ""
    side: str = ""
    part: str = ""
    is_of_one: bool = True

    def named(self, words: str) -> Place:
        """Return the place that words narrow this one to.

        Examples
        --------
        >>> hip = Place().named("left hip")
        >>> [hip.named(each).site for each in ("total", "neck", "upper neck", "trochanter")]
        ['total_hip', 'femoral_neck', '', '']
        >>> hip.named("neck").side, hip.named("neck mean").is_of_one
        ('left', False)
        >>> Place().named("dualfemur").named("right total").key
        ('total_hip', 'right')
        """
        if not words:
            return self
        part = next((name for name, pattern in _PARTS if pattern.search(words)), self.part)
        found = site_of(words) or _bare(words, part)
        side = re.search(r"\b(left|right)\b", words)
        return replace(
            self,
            site="" if _PART_OF_NECK.search(words) else found or self.site,
            side=side[1] if side else self.side,
            part=part,
            is_of_one=self.is_of_one and not _OF_SEVERAL.search(words),
        )

    @property
    def key(self) -> tuple[str, str] | None:
        """Site and side of a number at this place; None where it is not known well enough."""
        if not self.site or not self.is_of_one:
            return None
        return self.site, "" if self.site.startswith("L") else self.side


def site_of(words: str) -> str:
    """Return the site that words name; empty where they name none that is known here.

    Parameters
    ----------
    words : str
        In small letters.

    Examples
    --------
    >>> [site_of(w) for w in ("l2", "second lumbar vertebra", "l1-l4 bmd", "femoral neck", "liver")]
    ['L2', 'L2', 'L1-L4', 'femoral_neck', '']
    """
    if span := _SPAN.search(words):
        return f"L{span[1]}-L{span[2]}"
    if level := _LEVEL.search(words):
        return f"L{level[1]}"
    for number, ordinal in enumerate(("first", "second", "third", "fourth"), start=1):
        if f"{ordinal} lumbar" in words:
            return f"L{number}"
    if "neck" in words and "c" not in words.split() and not _PART_OF_NECK.search(words):
        return "femoral_neck"
    if re.search(r"\btotal (?:hip|femur|proximal femur)\b|\b(?:hip|femur) total\b", words):
        return "total_hip"
    return "one_third_radius" if re.search(r"\bradius\b", words) and _ONE_THIRD.search(words) else ""


def _bare(words: str, part: str) -> str:
    """Return the site of words that are short because the heading said the rest."""
    if part == "hip" and re.search(r"\btotal\b", words):
        return "total_hip"
    return "one_third_radius" if part == "forearm" and _ONE_THIRD.search(words) else ""


def field_of(words: str) -> str:
    """Return the field of `SiteResult` that a concept stands for, empty for any other.

    Parameters
    ----------
    words : str
        In small letters.

    Examples
    --------
    >>> [field_of(w) for w in ("l1-l4 bmd", "t-score", "bmd change", "young adult %", "lean mass")]
    ['bmd_g_cm2', 't_score', '', '', '']
    """
    words = words[:_MAX_WORDS]
    if _NO_QUANTITY.search(words):
        return ""
    return next((field for field, pattern in _QUANTITIES if pattern.search(words)), "")


def in_unit_of(field: str, value: float, unit: str) -> float | None:
    """Return a value in the unit of its field; None where the unit is another or it is a misprint.

    Examples
    --------
    >>> in_unit_of("bmd_g_cm2", 912.0, "mg/cm2"), in_unit_of("bmd_g_cm2", 912.0, "g/cm2")
    (0.912, None)
    >>> in_unit_of("t_score", -2.5, "{T-score}"), in_unit_of("bmd_g_cm2", 0.912, "")
    (-2.5, None)
    >>> in_unit_of("bmd_g_cm2", 0.912, "g / cm\u00b2")
    0.912
    """
    plain = re.sub(r"[\s^*]", "", unit.lower()).replace("\u00b2", "2")
    factor = _UNITS[field].get(plain, 0.0) if field in _UNITS else 1.0
    low, high = LIMITS[field]
    return value * factor if factor and low <= value * factor <= high else None


def names_reference(words: str) -> bool:
    """Tell whether a concept stands for the reference population of T-scores."""
    return _REFERENCE.search(words[:_MAX_WORDS]) is not None


def reference_text(text: str) -> str:
    """Return the name of a reference population, on one line and no longer than names are."""
    return " ".join(text.split())[:_MAX_REFERENCE]
