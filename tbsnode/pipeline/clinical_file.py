"""A file of clinical data to declarations: CSV by the names of its header, or JSON of the same fields.

UTF-8, comma or semicolon, decimal point. Every mistake of the file is found in one reading, each with
line and column, or record and field; no value is ever quoted.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from tbsnode.errors import FileMistake
from tbsnode.pipeline.clinical_fields import FIELDS, REQUIRED, Declaration, declaration
from tbsnode.pipeline.clinical_record import RawRecord

MAX_BYTES = 20_000_000
MAX_RECORDS = 5000  # one transaction: receivers wait meanwhile
_MAX_MISTAKES = 1000  # of one file; the first ones tell what is wrong with all
_IDENTIFYING = re.compile(
    r"((patient|given|family|first|last|birth)_?)?"
    r"(name|birth_?(date|day)|date_of_birth|dob|date|sex|gender|phone|address|e?_?mail|ssn|insurance)",
    re.IGNORECASE,
)
_WHAT_IT_IS = "A table with a header line (CSV), or a list of objects (JSON)."


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalFile:
    """What a file declares, and what is wrong with it; with mistakes nothing of it counts."""

    declarations: tuple[Declaration, ...] = ()
    mistakes: tuple[FileMistake, ...] = ()


def read(data: bytes, today: date) -> ClinicalFile:
    """Read a file of clinical data.

    Parameters
    ----------
    data : bytes
        The whole file.
    today : date
        Nothing was calculated later.

    Returns
    -------
    ClinicalFile
        Declarations in the order of the file, as far as they can be read, and every mistake.
    """
    fault = _unreadable(data)
    if fault is not None:
        return ClinicalFile(mistakes=(fault,))
    # bytes that are no UTF-8 become lone surrogates, so that the field that holds them can be named
    text = data.decode("utf-8-sig", errors="surrogateescape")
    mistakes: list[FileMistake] = []
    is_json = text.lstrip()[:1] in ("[", "{")
    records = list(_json_records(text, mistakes) if is_json else _csv_records(text, mistakes))
    if not records and not mistakes:
        mistakes.append(FileMistake(line=1, problem="The file has no record.", remedy=_WHAT_IT_IS))
    no_column = {mistake.field for mistake in mistakes if mistake.record is None}  # said once is enough
    declared = []
    for record in records[:MAX_RECORDS]:
        made, wrong = declaration(record, today)
        mistakes += [mistake for mistake in wrong if mistake.field not in no_column]
        if made is not None:
            declared.append(made)
    if len(records) > MAX_RECORDS:
        remedy = f"Import at most {MAX_RECORDS} at a time."
        mistakes.append(FileMistake(problem="The file has too many records.", remedy=remedy))
    return ClinicalFile(declarations=tuple(declared), mistakes=tuple(mistakes[:_MAX_MISTAKES]))


def _unreadable(data: bytes) -> FileMistake | None:
    """Say what is wrong with the file as a whole."""
    if len(data) > MAX_BYTES:
        return FileMistake(problem="The file is too large.", remedy=f"At most {MAX_BYTES // 10**6} MB.")
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        return FileMistake(line=1, problem="The file is empty.", remedy=_WHAT_IT_IS)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        return FileMistake(
            line=1, problem="The file is UTF-16 or no text.", remedy="Save it with the encoding UTF-8."
        )
    return None


# ---- CSV ------------------------------------------------------------------------------------------


def _csv_records(text: str, mistakes: list[FileMistake]) -> Iterator[RawRecord]:
    """Yield the lines below the header; blank lines are passed over."""
    first_line = text.split("\n", 1)[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number, header, line = 0, None, 1
    try:
        for cells in reader:
            filled = [cell.strip() for cell in cells]
            if header is None:
                header = _header(filled, mistakes)
                if header is None:
                    return
            elif any(filled):
                number += 1
                if _is_whole(header, filled, (number, line), mistakes):
                    known = {name: cell for name, cell in zip(header, filled, strict=True) if cell}
                    yield RawRecord(number=number, line=line, cells=known)
            line = reader.line_num + 1
    except csv.Error:
        mistakes.append(
            FileMistake(
                line=reader.line_num,
                problem="A quotation mark is not closed, or stands inside a cell.",
                remedy='Write it twice inside a quoted cell: "".',
            )
        )


def _header(names: Sequence[str], mistakes: list[FileMistake]) -> tuple[str, ...] | None:
    """Check the header; None where there is none, and then its cells are not quoted: they are data."""
    header = tuple(name.lower() for name in names)
    missing = [name for name in REQUIRED if name not in header]
    if len(header) == 1 and "\t" in header[0]:
        remedy = "Save the table with commas or semicolons."
        mistakes.append(FileMistake(line=1, problem="The columns are separated by tabs.", remedy=remedy))
        return None
    for name in missing:
        mistakes.append(
            FileMistake(
                line=1,
                field=name,
                problem="is not among the columns.",
                remedy="The first line must name the columns.",
            )
        )
    if len(missing) == len(REQUIRED):
        return None
    for index, name in enumerate(header, start=1):
        if not name:
            problem, remedy = "has no name.", "Name it or delete it."
            mistakes.append(FileMistake(line=1, field=f"column {index}", problem=problem, remedy=remedy))
        elif name not in FIELDS:
            place = f"column {index}"
            mistakes.append(_unknown(FileMistake(line=1, problem="is an unknown column."), name, place))
        elif header.index(name) < index - 1:
            remedy = "Keep one of the two columns."
            mistakes.append(FileMistake(line=1, field=name, problem="is named twice.", remedy=remedy))
    return tuple(name if name in FIELDS else f"column {index}" for index, name in enumerate(header, start=1))


def _is_whole(
    header: tuple[str, ...], cells: list[str], place: tuple[int, int], mistakes: list[FileMistake]
) -> bool:
    """Tell whether a line has a cell for each column; shifted by one, no cell means what it seems to."""
    if len(cells) == len(header):
        return True
    if len(cells) > len(header):
        column, remedy = header[-1], "Look for a decimal comma, or quote the text that holds a comma."
    else:
        column, remedy = header[len(cells)], "Complete the line: an empty cell keeps its delimiter."
    problem = f"The line has {len(cells)} cells, the header {len(header)}."
    number, line = place
    mistakes.append(FileMistake(line=line, record=number, field=column, problem=problem, remedy=remedy))
    return False


def _unknown(mistake: FileMistake, name: str, place: str) -> FileMistake:
    """Say where an unknown name stands, and what it may have meant.

    The name itself is shown only where it resembles one of ours or names an attribute of a person:
    any other may be a value, in a file whose first line is data.
    """
    if _IDENTIFYING.fullmatch(name):
        remedy = "Leave out what describes the person: records are matched by patient ID."
        return replace(mistake, field=name, remedy=remedy)
    near = difflib.get_close_matches(name, FIELDS, n=1)
    if near:
        return replace(mistake, field=name, remedy=f"Did you mean {near[0]}?")
    return replace(mistake, field=place, remedy="docs/clinical.md lists the columns.")


# ---- JSON -----------------------------------------------------------------------------------------


class _Object(dict[str, Any]):
    """An object, with the names that it states more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated = sorted({name for name in names if names.count(name) > 1}) if len(names) < 500 else []


def _json_records(text: str, mistakes: list[FileMistake]) -> Iterator[RawRecord]:
    """Yield the objects of a list, or the one object."""
    try:
        # numbers stay as written: the number of decimals tells a fraction from a percentage
        whole = json.loads(
            text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_Object
        )
    except json.JSONDecodeError as error:
        problem = f"This is no JSON: {error.msg}."
        place = f"character {error.colno}"
        mistakes.append(FileMistake(line=error.lineno, field=place, problem=problem, remedy=_WHAT_IT_IS))
        return
    except RecursionError:
        mistakes.append(FileMistake(problem="The file is nested too deeply.", remedy=_WHAT_IT_IS))
        return
    for number, item in enumerate(whole if isinstance(whole, list) else [whole], start=1):
        if isinstance(item, _Object):
            yield _json_record(item, number, mistakes)
        else:
            mistakes.append(FileMistake(record=number, problem="is no object.", remedy=_WHAT_IT_IS))


def _json_record(item: _Object, number: int, mistakes: list[FileMistake]) -> RawRecord:
    is_one = any(name in item for name in REQUIRED)
    for index, name in enumerate(item, start=1):
        if is_one and name not in (*FIELDS, "densities"):
            mistake = FileMistake(record=number, problem="is an unknown field.")
            mistakes.append(_unknown(mistake, name[:60], f"field {index}"))
    for name in item.repeated if is_one else ():
        known = name if name in FIELDS else "a field"  # an unknown one is told above, by its place
        remedy = "State it once."
        mistakes.append(FileMistake(record=number, field=known, problem="is stated twice.", remedy=remedy))
    stated = {name: value for name, value in item.items() if value not in (None, "", [])}
    return RawRecord(number=number, line=None, cells=stated)
