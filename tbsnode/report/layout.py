"""Fonts, styles and the page frame of the PDF.

Every font is embedded: the two that come with reportlab cover Western European scripts. Text
outside them is simplified or marked, and the page says so; it never stops a report.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import reportlab
from numpy.typing import NDArray
from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import KeepInFrame, Paragraph, Table, TableStyle

from tbsnode import text
from tbsnode.model import InputClass, Report
from tbsnode.reasons import Finding

PAGE_SIZES: dict[str, tuple[float, float]] = {"A4": A4, "letter": LETTER}
SANS, BOLD = "TbsNodeSans", "TbsNodeSansBold"
MARGIN = 40.0  # points, left and right
TOP, BOTTOM = 44.0, 44.0  # points, without the banner
BANNER = 18.0
LONGEST_TEXT = 400  # characters of one cell
MARK = "?"  # stands for a character that no embedded font has

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
    """

    report: Report
    pixels: NDArray[np.float64] | None
    size: tuple[float, float]
    language: str = "en"

    @property
    def width(self) -> float:
        """Width of the text [points]."""
        return self.size[0] - 2 * MARGIN

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
        return self.size[1] - self.top - BOTTOM

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
def register_fonts() -> frozenset[int]:
    """Make the embedded fonts known; return the code points that they have."""
    # streams as bytes: text encoding is a third larger, and slow
    rl_config.useA85 = 0
    folder = Path(reportlab.__file__).parent / "fonts"
    fonts = [TTFont(SANS, str(folder / "Vera.ttf")), TTFont(BOLD, str(folder / "VeraBd.ttf"))]
    for font in fonts:
        pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(SANS, normal=SANS, bold=BOLD, italic=SANS, boldItalic=BOLD)
    return frozenset.intersection(*(frozenset(font.face.charToGlyph) for font in fonts))


def printable(words: str) -> str:
    """Return `words` as the embedded fonts can show them, on one line, at most `LONGEST_TEXT` long.

    Examples
    --------
    >>> printable("Dvořák")
    'Dvorák'
    """
    shown = _simplified(words)
    return shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"


def is_simplified(words: str) -> bool:
    """Tell whether `printable` has to change or to mark characters."""
    return _simplified(words) != " ".join(words.split())


@cache
def style(name: str) -> Any:
    """Return a paragraph style: ``text``, ``small``, ``faint``, ``head``, ``title``, ``status``,
    ``box``, ``alert``, ``bold`` or ``number``.
    """  # noqa: D205 - the names are the summary
    register_fonts()
    plain: dict[str, Any] = {"fontName": SANS, "fontSize": 8.5, "leading": 11.0, "textColor": INK}
    special: dict[str, dict[str, Any]] = {
        "text": {},
        "bold": {"fontName": BOLD},
        "small": {"fontSize": 7.0, "leading": 9.0},
        "faint": {"fontSize": 7.0, "leading": 9.0, "textColor": FAINT},
        "number": {"fontSize": 7.5, "leading": 10.0, "alignment": TA_RIGHT},
        "head": {"fontName": BOLD, "fontSize": 9.5, "leading": 12.0, "spaceBefore": 7.0, "spaceAfter": 2.0},
        "title": {"fontName": BOLD, "fontSize": 14.0, "leading": 17.0},
        "status": {"fontName": BOLD, "fontSize": 10.0, "leading": 13.0, "alignment": TA_RIGHT},
        "box": {"fontName": BOLD, "fontSize": 17.0, "leading": 21.0, "alignment": TA_CENTER},
        "boxtext": {"fontSize": 9.0, "leading": 12.0, "alignment": TA_CENTER},
        "alert": {"fontName": BOLD, "fontSize": 10.0, "leading": 13.0},
    }
    return ParagraphStyle(name, **{**plain, **special[name]})


def paragraph(words: str, name: str = "text") -> Any:
    """Set plain text; nothing in it is taken for markup."""
    return Paragraph(escape(printable(words)), style(name))


def statement(words: str, name: str = "text") -> Any:
    """Set one of our own sentences, however long; nothing in it is taken for markup."""
    return Paragraph(escape(_simplified(words)), style(name))


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


def on_one_page(parts: list[Any], width: float, height: float) -> list[Any]:
    """Return parts that fit one page: as they are, or scaled down if a header is absurdly long."""
    if height_of(parts, width) <= height:
        return parts
    return [KeepInFrame(width, height - 1.0, parts, mode="shrink", hAlign="LEFT")]


def shortened(words: str, font: str, size: float, width: float) -> str:
    """Return one line that fits a width [points], with an ellipsis where it had to be shortened."""
    line = printable(words)
    if pdfmetrics.stringWidth(line, font, size) <= width:
        return line
    while line and pdfmetrics.stringWidth(line + "…", font, size) > width:
        line = line[:-1]
    return line + "…"


def _simplified(words: str) -> str:
    known = register_fonts()
    line = " ".join(unicodedata.normalize("NFC", words).split())
    return "".join(_character(c, known) for c in line)


def _character(character: str, known: frozenset[int]) -> str:
    if ord(character) in known:
        return character
    letters = [c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)]
    if letters and all(ord(c) in known for c in letters):
        return "".join(letters)
    return MARK
