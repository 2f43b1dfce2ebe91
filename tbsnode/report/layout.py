"""Styles and the page frame of the PDF; its letters are those of `lettering`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Flowable, Frame, KeepInFrame, Paragraph, Table, TableStyle

from tbsnode import text
from tbsnode.model import InputClass, Report
from tbsnode.reasons import Finding
from tbsnode.report.lettering import (
    BOLD,
    LONGEST_TEXT,
    MARK,
    SANS,
    is_simplified,
    markup,
    printable,
    register_fonts,
    shortened,
    simplified,
)

__all__ = [
    "BOLD",
    "LONGEST_TEXT",
    "MARK",
    "SANS",
    "is_simplified",
    "printable",
    "register_fonts",
    "shortened",
]

PAGE_SIZES: dict[str, tuple[float, float]] = {"A4": A4, "letter": LETTER}
MARGIN = 40.0  # points, left and right
TOP, BOTTOM = 44.0, 44.0  # points, without the banner
BANNER = 18.0
# a number is not torn from its unit or its error at the end of a line
TOGETHER = ((" %", "\N{NO-BREAK SPACE}%"), (" +- ", "\N{NO-BREAK SPACE}+-\N{NO-BREAK SPACE}"))

INK = HexColor("#000000")
FAINT = HexColor("#555555")
RULE = HexColor("#999999")
SHADE = HexColor("#EEEEEE")


@dataclass(frozen=True, eq=False, kw_only=True)
class Sheet:
    """What every part of the document needs to know.

    Attributes
    ----------
    report : Report
        What is reported.
    pixels : ndarray of shape (M, N) or None
        The picture, bone bright.
    size : tuple of float
        Page width and height [points].
    language : str
        Key of the catalogue.
    scale : float
        Above 1 for a page with more than fits: it is laid out on a larger sheet and drawn smaller.
    """

    report: Report
    pixels: NDArray[np.float64] | None
    size: tuple[float, float]
    language: str = "en"
    scale: float = 1.0

    @property
    def width(self) -> float:
        """Width of the text [points]."""
        return (self.size[0] - 2 * MARGIN) * self.scale

    @property
    def shown(self) -> NDArray[np.float64] | None:
        """The picture, unless it is a report page: its burned-in numbers are not ours to repeat."""
        return None if self.report.analysis.input_class is InputClass.PAGE else self.pixels

    @property
    def top(self) -> float:
        """Height of the upper margin [points]; the SIMULATED banner stands in it."""
        return TOP + (BANNER if self.report.simulated else 0.0)

    @property
    def height(self) -> float:
        """Height of the text [points]."""
        return (self.size[1] - self.top - BOTTOM) * self.scale

    def say(self, key: str, **values: str) -> str:
        """Return a phrase in the language of the report."""
        return text.phrase(key, language=self.language, **values)

    def sentence(self, finding: Finding) -> str:
        """Return the sentence of a finding."""
        return text.sentence(finding, language=self.language)

    def remedy(self, finding: Finding) -> str:
        """Return what to do about a finding."""
        return text.remedy(finding.code, finding.vertebra, language=self.language)


@cache
def style(name: str) -> Any:
    """Return a paragraph style by its name in this function."""
    register_fonts()
    plain: dict[str, Any] = {"fontName": SANS, "fontSize": 9.0, "leading": 11.2, "textColor": INK}
    special: dict[str, dict[str, Any]] = {
        "text": {},
        "bold": {"fontName": BOLD},
        "small": {"fontSize": 7.5, "leading": 9.2},
        "note": {"fontSize": 8.2, "leading": 10.0, "leftIndent": 7.0, "firstLineIndent": -7.0},
        "smallbold": {"fontName": BOLD, "fontSize": 7.5, "leading": 9.2},
        "faint": {"fontSize": 7.5, "leading": 9.2, "textColor": FAINT},
        "number": {"fontSize": 7.5, "leading": 10.0, "alignment": TA_RIGHT},
        "head": {"fontName": BOLD, "fontSize": 9.5, "leading": 12.0, "spaceBefore": 7.0, "spaceAfter": 2.0},
        "title": {"fontName": BOLD, "fontSize": 15.0, "leading": 18.0},
        "status": {"fontName": BOLD, "fontSize": 12.0, "leading": 15.0, "alignment": TA_CENTER},
        "reversed": {
            "fontName": BOLD,
            "fontSize": 12.0,
            "leading": 15.0,
            "alignment": TA_CENTER,
            "textColor": white,
        },
        "conclusion": {"fontName": BOLD, "fontSize": 11.0, "leading": 14.0},
        "value": {"fontName": BOLD, "fontSize": 22.0, "leading": 27.0},
        "class": {"fontName": BOLD, "fontSize": 10.5, "leading": 13.0},
        "box": {"fontName": BOLD, "fontSize": 17.0, "leading": 21.0, "alignment": TA_CENTER},
        "boxtext": {"fontSize": 9.0, "leading": 12.0, "alignment": TA_CENTER},
        "boxleft": {"fontSize": 8.0, "leading": 10.0},
        "alert": {"fontName": BOLD, "fontSize": 10.0, "leading": 13.0},
        "override": {
            "fontName": BOLD,
            "fontSize": 9.0,
            "leading": 11.2,
            "leftIndent": 7.0,
            "firstLineIndent": -7.0,
        },
    }
    return ParagraphStyle(name, **{**plain, **special[name]})


def paragraph(words: str, name: str = "text") -> Any:
    """Set plain text; nothing in it is taken for markup."""
    return _set(printable(words), name)


def statement(words: str, name: str = "text") -> Any:
    """Set one of our own sentences, however long; nothing in it is taken for markup."""
    return _set(simplified(words), name)


def _set(words: str, name: str) -> Any:
    look = style(name)
    if name != "value":  # it stands alone on its line
        for apart, together in TOGETHER:
            words = words.replace(apart, together)
    return Paragraph(markup(words, look.fontName), look)


def boxed(parts: list[Any], width: float, *, line: float = 1.0, fill: str | None = None) -> Any:
    """Frame paragraphs."""
    commands: list[tuple[Any, ...]] = [("BOX", (0, 0), (-1, -1), line, INK)]
    if fill:
        commands.append(("BACKGROUND", (0, 0), (-1, -1), fill))
    return grid([[parts]], [width], commands, padding=5.0)


def grid(
    rows: list[list[Any]],
    widths: list[float],
    commands: list[tuple[Any, ...]] | None = None,
    *,
    padding: float = 1.5,
    repeat: int = 0,
) -> Any:
    """Lay cells out in rows; a row grows with its longest cell, a table continues on the next page."""
    base: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), SANS),  # or a table names a font that is not embedded
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), padding),
        ("RIGHTPADDING", (0, 0), (-1, -1), padding),
        ("TOPPADDING", (0, 0), (-1, -1), padding * 0.7),
        ("BOTTOMPADDING", (0, 0), (-1, -1), padding * 0.7),
    ]
    return Table(rows, widths, style=TableStyle(base + (commands or [])), repeatRows=repeat, hAlign="LEFT")


def height_of(parts: list[Any], width: float) -> float:
    """Return the height that flowables take at a width [points], spacing between them included."""
    total = 0.0
    for part in parts:
        total += (
            float(part.wrap(width, 10_000.0)[1]) + float(part.getSpaceBefore()) + float(part.getSpaceAfter())
        )
    return total


class Smaller(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A page that was laid out on a larger sheet, drawn at the size of the real one.

    Attributes
    ----------
    width, height : float
        Size on the page [points].
    """

    def __init__(self, parts: list[Any], sheet: Sheet) -> None:
        super().__init__()
        self._parts, self._scale = parts, sheet.scale
        self.width, self.height = sheet.width / sheet.scale, sheet.height / sheet.scale - 1.0

    def draw(self) -> None:
        """Draw with the lower left corner at the origin; what does not fit is shrunk once more."""
        self.canv.scale(1.0 / self._scale, 1.0 / self._scale)
        width, height = self.width * self._scale, self.height * self._scale
        whole = self._parts
        if height_of(whole, width) > height:
            whole = [KeepInFrame(width, height - 1.0, whole, mode="shrink", hAlign="LEFT")]
        Frame(0.0, 0.0, width, height, 0, 0, 0, 0).addFromList(whole, self.canv)
