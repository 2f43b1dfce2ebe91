"""Every sentence a person reads: one catalogue a language.

A coded finding has an `Entry`: what was found, and what to do about it and who does it. Numbers
come from `Finding.values` by name and are left out where a finding has none, so that a sentence is
never half empty; a number that no template names is appended in brackets, so none is lost. Fixed
words of the report are phrases. A second language is one more module with one more `Catalogue` in
`LANGUAGES`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import Formatter

from tbsnode.reasons import Code, Finding
from tbsnode.tbs.parameters import Parameters
from tbsnode.text.catalogue import Catalogue, Entry
from tbsnode.text.english import ENGLISH

__all__ = [
    "CATALOGUE",
    "LANGUAGES",
    "Catalogue",
    "Entry",
    "actor",
    "join",
    "methods",
    "phrase",
    "remedy",
    "sentence",
]

CATALOGUE = ENGLISH.entries
LANGUAGES: dict[str, Catalogue] = {"en": ENGLISH}
METHOD_KEYS = {
    "labeling": "method_labeling_{region_source}",
    "segmentation": "method_region_{region}",
    "variogram": "method_variogram",
    "score": "method_score",
    "total": "method_total",
    "quality": "method_quality",
    "exclusion": "method_exclusion_{exclusion_policy}",
}
LONGEST_VALUE = 400  # characters of a text value that a sentence quotes


def sentence(finding: Finding, *, language: str = "en") -> str:
    """Say what was found.

    Parameters
    ----------
    finding : Finding
        Numbers that it carries are quoted; those that it lacks are not mentioned.
    language : str
        A key of `LANGUAGES`.

    Returns
    -------
    str
        One paragraph without braces and without line breaks.

    Examples
    --------
    >>> sentence(Finding(Code.LOW_BIT_DEPTH, values=(("gray_levels", 41), ("minimum", 64))))
    'The vertebrae hold too few gray levels to measure texture. 41 levels; at least 64 are needed.'
    """
    words = LANGUAGES[language]
    entry = words.entries[finding.code]
    known = {name: _shown(value) for name, value in finding.values if _usable(value)}
    used = [detail for detail in entry.details if _names(detail) <= known.keys() | {"level"}]
    quoted = frozenset[str]().union(*map(_names, used))
    filled = {**known, "level": finding.vertebra or words.phrases["a_vertebra"]}
    parts = [template.format_map(filled) for template in (entry.found, *used)]
    rest = [_labeled(name, shown, words) for name, shown in known.items() if name not in quoted]
    if rest:
        parts.append(f"({'; '.join(rest)})")
    text = " ".join(parts)
    return text[:1].upper() + text[1:]


def remedy(code: Code, vertebra: str | None = None, *, language: str = "en") -> str:
    """Say what to do about a code, and who does it."""
    words = LANGUAGES[language]
    return words.entries[code].act.format(level=vertebra or words.phrases["the_vertebra"])


def actor(finding: Finding, *, language: str = "en") -> str:
    """Name who has to act on a finding."""
    return LANGUAGES[language].actors[finding.actor]


def phrase(key: str, *, language: str = "en", **values: str) -> str:
    """Return a fixed phrase of the reports, filled in.

    Raises
    ------
    KeyError
        If there is no such phrase, or it names something that was not given.
    """
    return LANGUAGES[language].phrases[key].format_map(values)


def methods(
    parameters: Parameters, *, region_source: str = "tbsnode", language: str = "en"
) -> tuple[tuple[str, str], ...]:
    """Describe each step that ran, with its numbers from the parameters.

    Parameters
    ----------
    parameters : Parameters
        Of the result.
    region_source : str
        Whose lines and labels: ``"tbsnode"`` or ``"scanner"``.
    language : str
        Of the catalogue.

    Returns
    -------
    tuple of (str, str) pairs
        Step and its sentence, in the order in which the steps run.
    """
    numbers = {name: _shown(value) for name, value in parameters.as_dict().items()}
    numbers["region_source"] = region_source
    phrases = LANGUAGES[language].phrases
    keys = {step: key.format_map(numbers) for step, key in METHOD_KEYS.items()}
    return tuple((step, phrases[key].format_map(numbers)) for step, key in keys.items())


def join(words: Sequence[str], *, language: str = "en") -> str:
    """Write a list as people do.

    Examples
    --------
    >>> join(["L1", "L3", "L4"])
    'L1, L3 and L4'
    """
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {phrase('and', language=language)} {words[-1]}"


def _names(template: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def _usable(value: float | str) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return math.isfinite(value)


def _shown(value: float | str) -> str:
    """Write a value for people: three figures, no braces, one line."""
    if isinstance(value, str):
        plain = "".join(c if c.isprintable() and c not in "{}" else " " for c in value)
        return " ".join(plain.split())[:LONGEST_VALUE]
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _labeled(name: str, shown: str, words: Catalogue) -> str:
    for suffix, unit in words.units.items():
        if name.endswith(suffix):
            return f"{name.removesuffix(suffix).replace('_', ' ')} {shown} {unit}"
    return f"{name.replace('_', ' ')} {shown}"
