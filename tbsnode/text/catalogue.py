"""The shape of a catalogue: what one language must say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tbsnode.reasons import Actor, Code


@dataclass(frozen=True, slots=True)
class Entry:
    """What a person reads about one code.

    Attributes
    ----------
    found : str
        What was found, one or two short sentences. ``{level}`` is the vertebra.
    act : str
        What to do, and who does it.
    details : tuple of str
        Sentences with numbers by name; each is used only if all its numbers are known.
    """

    found: str
    act: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All words of one language.

    Attributes
    ----------
    language : str
        RFC 5646 tag, also written into the PDF.
    entries : mapping of Code to Entry
        One entry a code.
    phrases : mapping of str to str
        The fixed words of reports, with ``{names}`` where something is filled in.
    actors : mapping of Actor to str
        Who has to act.
    units : mapping of str to str
        Suffix of a value's name to the unit that is printed.
    """

    language: str
    entries: Mapping[Code, Entry]
    phrases: Mapping[str, str]
    actors: Mapping[Actor, str]
    units: Mapping[str, str]
