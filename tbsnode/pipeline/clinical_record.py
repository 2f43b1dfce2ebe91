"""One record of a file of clinical data, and how its fields are read as texts, numbers and words.

A mistake names the field, the kind of mistake and its remedy, never the value: a value may name a
patient, and messages end up in logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tbsnode.errors import FileMistake

# text fields and the longest text that each may hold
TEXTS = {
    "patient_id": 64,
    "issuer": 64,
    "accession_number": 64,
    "source": 120,
    "frax_country_model": 64,
    "t_score_reference": 100,
}
LONGEST = 64  # of any other text
_NUMBER = re.compile(r"[-+]?\d{1,6}(\.\d{1,8})?")
_WITH_MORE = re.compile(r"[-+]?\d+(\.\d+)?\s*[^\d\s.,].*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRecord:
    """One record as a file has it.

    Attributes
    ----------
    number : int
        From 1.
    line : int or None
        Where it begins, in a table.
    cells : dict of str to Any
        Texts (numbers too, as written), truth values and lists by field; nothing empty.
    """

    number: int
    line: int | None
    cells: dict[str, Any]

    def mistake(self, name: str, problem: str, remedy: str) -> FileMistake:
        """Return a mistake in a field of this record."""
        return FileMistake(line=self.line, record=self.number, field=name, problem=problem, remedy=remedy)


@dataclass(slots=True)
class Reading:
    """Reads the fields of one record and collects what is wrong with them.

    Attributes
    ----------
    record : RawRecord
        The record.
    mistakes : list of FileMistake
        What was found wrong so far.
    """

    record: RawRecord
    mistakes: list[FileMistake] = field(default_factory=list)

    def wrong(self, name: str, problem: str, remedy: str) -> None:
        """Note a mistake in a field."""
        self.mistakes.append(self.record.mistake(name, problem, remedy))

    def has(self, name: str) -> bool:
        """Tell whether a field is stated."""
        return name in self.record.cells

    def text(self, name: str, value: Any = None) -> str:
        """Return a text, empty where absent or wrong."""
        value = self.record.cells.get(name, "") if value is None else value
        if not isinstance(value, str):
            self.wrong(name, "is no text.", "Write one text.")
        elif any("\ud800" <= c <= "\udfff" for c in value):
            self.wrong(name, "is not UTF-8.", "Save the file with the encoding UTF-8.")
        elif any(c < " " or c == "\x7f" for c in value):
            self.wrong(name, "holds a line break or control character.", "Write it on one line.")
        elif len(value.strip()) > (longest := TEXTS.get(name, LONGEST)):
            self.wrong(name, f"is longer than {longest} characters.", "Shorten it.")
        else:
            return value.strip()
        return ""

    def number(self, name: str, value: Any = None) -> tuple[float, str] | None:
        """Return a number and how it is written, None where absent or wrong."""
        text = self.text(name, value).replace("\u2212", "-")
        if not text:
            return None
        if _NUMBER.fullmatch(text):
            return float(text), text
        if re.fullmatch(r"[-+]?\d+,\d+", text):
            self.wrong(name, "has a decimal comma.", "Write a decimal point.")
        elif _WITH_MORE.fullmatch(text):
            self.wrong(
                name,
                "has a unit or a sign behind the number.",
                "Write the number alone, in the field's unit.",
            )
        else:
            self.wrong(name, "is no number.", "Write digits with a decimal point, or nothing.")
        return None

    def truth(self, name: str) -> bool | None:
        """Return yes or no, None where unknown or wrong."""
        value = self.record.cells.get(name, "")
        if isinstance(value, bool):
            return value
        text = self.text(name).lower()
        if text not in ("yes", "no", ""):
            self.wrong(name, "is neither yes nor no.", "Write yes, no, or nothing where it is not known.")
        return {"yes": True, "no": False}.get(text)

    def choice(self, name: str, choices: tuple[str, ...], value: Any = None) -> str:
        """Return one of some words, empty where absent or wrong."""
        text = self.text(name, value).lower()
        if text and text not in choices:
            known = ", ".join(each for each in choices if each)
            self.wrong(name, "is a word that is not known here.", f"Known are: {known}.")
            return ""
        return text
