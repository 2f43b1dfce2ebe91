"""The scanner's results in the private text of an instance: densities, scores, place of the picture.

Report pages repeat in script-like lines what they show (``ResultsTable[ 1][ 2] = "13.26";``,
``ImageXPos = 90;``). The element's number is not documented, so every text that holds such lines is
read. The same text holds names and dates: only numbers of known columns leave this module.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tbsnode.dicom.encoded import PIXEL_DATA, Element, EncodedDataSet, opened
from tbsnode.dicom.results_words import reference_text
from tbsnode.model.densitometry import LIMITS, ScannerResults, SiteResult

SOURCE = "private results text"

_MAX_TEXT = 1 << 20  # bytes; a results table has a few kilobytes
_MAX_CELLS = 4000
_TEXT_VRS = frozenset(["LO", "LT", "OB", "SH", "ST", "UC", "UN", "UT"])
_TABLE, _BOX = b"ResultsTable[", b"ImageXPos"
# every repetition is bounded: hostile text costs time in proportion to its length
_CELL = re.compile(
    r"ResultsTable\[\s{0,8}(\d{1,3})\s{0,8}\]\s{0,8}\[\s{0,8}(\d{1,3})\s{0,8}\]\s{0,8}=\s{0,8}"
    r'(?:"([^"\r\n]{0,200})"|([^";\r\n]{0,60}))'
)
_PLACE = re.compile(r'\bImage([XY])(Pos|Size)\s{0,8}=\s{0,8}"?\s{0,8}(-?\d{1,6})')
_SCAN = re.compile(r'\bScan\s{0,8}=\s{0,8}"([^"\r\n]{0,100})"')
_MARKUP = re.compile(r"<[^<>]{0,80}>")
_NUMBER = re.compile(r"([-+\u2212]?\d{1,6}(?:[.,]\d{1,6})?)(?=[^\d.,]|$)")
_LEVEL = re.compile(r"(?:T1[0-2]|L[1-6])")
_LEVELS = re.compile(r"(L[1-5])\s?[-\u2013]\s?(L[1-5])")

_SITES = {
    "NECK": "femoral_neck",
    "FEMORAL NECK": "femoral_neck",
    "TOTAL HIP": "total_hip",
    "HIP TOTAL": "total_hip",
    "TOTAL FEMUR": "total_hip",
    "1/3": "one_third_radius",
    "33%": "one_third_radius",
    "1/3 RADIUS": "one_third_radius",
    "RADIUS 1/3": "one_third_radius",
    "33% RADIUS": "one_third_radius",
    "RADIUS 33%": "one_third_radius",
}
# of both hips on one page; means and differences of both are no result of a site
_SIDED = re.compile(r"(?:(LEFT|RIGHT)\s)?(.*?)(?:\s(LEFT|RIGHT))?")
# the two ways in which a page says whom its T-scores compare with
_REFERENCE = (
    re.compile(
        r'\b(?:T-?Score)?Reference(?:Curve|Data|Database|Population|Source)\s{0,8}=\s{0,8}"([^"\r\n]{1,200})"',
        re.IGNORECASE,
    ),
    re.compile(r'"[^"\r\n]{0,40}(T-?score vs\.?\s[^"\r\n]{1,150})"', re.IGNORECASE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedResults:
    """What the text of an instance states.

    Attributes
    ----------
    sites : tuple of SiteResult
        One a site that is known here; empty where there is no table.
    box : tuple of int or None
        Left, top, width and height of the picture on the page [pixels].
    reference : str
        The reference population of the T-scores, where the text names one.
    """

    sites: tuple[SiteResult, ...] = ()
    box: tuple[int, int, int, int] | None = None
    reference: str = ""

    def results(self, sop_instance_uid: str) -> ScannerResults | None:
        """Return the sites as results of an instance, None where there are none."""
        if not self.sites:
            return None
        return ScannerResults(
            sites=self.sites, source=SOURCE, sop_instance_uid=sop_instance_uid, reference=self.reference
        )


def read_results(path: Path) -> StatedResults:
    """Read the results that the text elements of an instance state.

    Parameters
    ----------
    path : Path
        A Part 10 file.

    Returns
    -------
    StatedResults
        The first table and the first box found; nothing of the patient.

    Raises
    ------
    InstanceError
        If the file is not an instance this node takes.
    """
    stated = StatedResults()
    with opened(path) as data_set:
        for text in _texts(data_set):
            found = parse(text)
            stated = StatedResults(
                sites=stated.sites or found.sites,
                box=stated.box or found.box,
                reference=stated.reference or found.reference,
            )
    return stated


def parse(text: str) -> StatedResults:
    """Parse script-like lines; whatever cannot be understood is left out.

    Parameters
    ----------
    text : str
        Of any length and content; the first mebibyte counts.

    Examples
    --------
    >>> lines = 'ResultsTable[0][1] = "BMD[g/cm<sup>2</sup>]"; ResultsTable[1][0] = "L1"; '
    >>> found = parse(lines + 'ResultsTable[1][1] = "0,953"; ImageXPos = 4;')
    >>> [(site.site, site.bmd_g_cm2) for site in found.sites], found.box
    ([('L1', 0.953)], None)
    """
    text = text[:_MAX_TEXT]
    if "&quot;" in text or "&lt;" in text:  # inside XML
        text = html.unescape(text)
    cells: dict[tuple[int, int], str] = {}
    for number, match in enumerate(_CELL.finditer(text)):
        if number == _MAX_CELLS:
            break
        quoted, bare = match.group(3), match.group(4)
        cells.setdefault((int(match.group(1)), int(match.group(2))), _plain(quoted or bare or ""))
    scan = _SCAN.search(text)
    references = (pattern.search(text) for pattern in _REFERENCE)
    reference = next((found[1] for found in references if found), "")
    return StatedResults(
        sites=_sites(cells, _side(scan.group(1) if scan else "")),
        box=_box(text),
        reference=reference_text(_MARKUP.sub(" ", reference)),
    )


# ---- elements ---------------------------------------------------------------------------------------


def _texts(data_set: EncodedDataSet) -> Iterator[str]:
    for element in data_set.elements():
        if element.tag >= PIXEL_DATA:
            return
        if _may_hold_text(element):
            raw = data_set.read(element)
            if b"\0" in raw[:4]:  # UTF-16
                raw = raw.replace(b"\0", b"")
            if _TABLE in raw or _BOX in raw:
                try:
                    yield raw.decode("utf-8")
                except UnicodeDecodeError:
                    yield raw.decode("latin-1")


def _may_hold_text(element: Element) -> bool:
    return element.vr in _TEXT_VRS and element.length is not None and 16 <= element.length <= _MAX_TEXT


# ---- table ------------------------------------------------------------------------------------------


def _plain(cell: str) -> str:
    """Return a cell without markup, in capitals, with single blanks."""
    return " ".join(html.unescape(_MARKUP.sub(" ", cell)).upper().split())


def _sites(cells: dict[tuple[int, int], str], side: str) -> tuple[SiteResult, ...]:
    """Read the table: heads are in one row, or in one column of a table that lies on its side."""
    for turned in (False, True):
        table = {(j, i) if turned else (i, j): text for (i, j), text in cells.items()}
        head = _head_row(table)
        if head is not None:
            return _rows(table, head, side)
    return ()


def _head_row(table: dict[tuple[int, int], str]) -> int | None:
    """Return the first row that names density or area and at least one column in all."""
    rows: dict[int, set[str]] = {}
    for (row, _), text in table.items():
        if name := _column(text):
            rows.setdefault(row, set()).add(name)
    named = [row for row, names in rows.items() if names & {"bmd_g_cm2", "area_cm2"}]
    # a table on its side has one head in each of many rows
    wide = [row for row in named if len(rows[row]) > 1 or len(named) == 1]
    return min(wide) if wide else None


def _column(head: str) -> str:
    """Return the field that a column's head names, empty for any other."""
    words = re.sub(r"[^A-Z0-9]+", " ", head).split()
    first = words[0] if words else ""
    if first in ("AREA", "BMC", "BMD"):
        return {"AREA": "area_cm2", "BMC": "bmc_g", "BMD": "bmd_g_cm2"}[first]
    if "SCORE" in words or "TSCORE" in words or "ZSCORE" in words:
        if "T" in words or "TSCORE" in words:
            return "t_score"
        if "Z" in words or "ZSCORE" in words:
            return "z_score"
    return "height_mm" if first == "HEIGHT" else ""


def _rows(table: dict[tuple[int, int], str], head: int, side: str) -> tuple[SiteResult, ...]:
    columns = {j: (name, text) for (i, j), text in sorted(table.items()) if i == head
               if (name := _column(text))}  # fmt: skip
    names: dict[int, str] = {}
    for (row, column), text in sorted(table.items()):
        if row > head and column not in columns and text:
            names.setdefault(row, text)
    levels = [name for name in names.values() if _LEVEL.fullmatch(name)]
    bare = {row: _one_side(name) for row, name in names.items()}
    found: dict[tuple[str, str], SiteResult] = {}
    for row, (name, own_side) in bare.items():
        site = _site(name, levels, [each for each, _ in bare.values()])
        values = {
            field: value
            for column, (field, text) in columns.items()
            if (value := _value(table.get((row, column), ""), field, text)) is not None
        }
        key = (site, "" if site.startswith(("L", "T1")) else own_side or side)
        if site and values and key not in found:
            found[key] = SiteResult(site=site, side=key[1], **values)
    return tuple(found.values())


def _one_side(name: str) -> tuple[str, str]:
    """Return a row's name without the side that it states, and that side.

    Examples
    --------
    >>> _one_side("NECK LEFT"), _one_side("RIGHT TOTAL"), _one_side("L1"), _one_side("NECK MEAN")
    (('NECK', 'left'), ('TOTAL', 'right'), ('L1', ''), ('NECK MEAN', ''))
    """
    match = _SIDED.fullmatch(name)
    if match is None:
        return name, ""
    return match[2], (match[1] or match[3] or "").lower()


def _site(name: str, levels: list[str], names: list[str]) -> str:
    """Return the site that a row's name means among the others, empty for one not known here."""
    if _LEVEL.fullmatch(name):
        return name
    if match := _LEVELS.fullmatch(name):
        return f"{match.group(1)}-{match.group(2)}"
    if name == "TOTAL":
        if levels:
            return f"{levels[0]}-{levels[-1]}" if _in_a_row(levels) else ""
        return "total_hip" if any(_SITES.get(other) == "femoral_neck" for other in names) else ""
    return _SITES.get(name, "")


def _in_a_row(levels: list[str]) -> bool:
    lumbar = [int(level[1:]) for level in levels if level[0] == "L"]
    return len(lumbar) == len(levels) > 1 and lumbar == list(range(lumbar[0], lumbar[-1] + 1))


def _value(cell: str, field: str, head: str) -> float | None:
    match = _NUMBER.search(cell)
    if match is None or len(_NUMBER.findall(cell)) > 1:  # a date, a range
        return None
    value = float(match.group(1).replace(",", ".").replace("\u2212", "-"))
    if field == "area_cm2" and "MM" in head:
        value /= 100.0
    if field == "height_mm" and "CM" in head:
        value *= 10.0
    low, high = LIMITS[field]
    return value if low <= value <= high else None


def _side(scan: str) -> str:
    words = scan.upper().split()
    return "left" if "LEFT" in words else "right" if "RIGHT" in words else ""


def _box(text: str) -> tuple[int, int, int, int] | None:
    stated: dict[str, int] = {}
    for match in _PLACE.finditer(text):
        stated.setdefault(match.group(1) + match.group(2), int(match.group(3)))
    places = [stated.get(name, 0) for name in ("XPos", "YPos", "XSize", "YSize")]
    whole = len(stated) == 4 and min(places[:2]) >= 0 and min(places[2:]) > 0
    return (places[0], places[1], places[2], places[3]) if whole else None
