"""Letters of the PDF: which font has a character, and what is printed where none has it.

Open Sans covers Latin, Greek and Cyrillic. What it lacks comes, character by character, from Droid
Sans Fallback: Chinese, Japanese, Korean. That font is large and is read only when a text needs it.
A character that neither has is simplified or marked, and the page says so; it never stops a report.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab import rl_config
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

SANS, BOLD, EAST_ASIAN = "TbsNodeSans", "TbsNodeSansBold", "TbsNodeEastAsian"
FOLDER = Path(__file__).parent / "fonts"
FIRST_EAST_ASIAN = 0x2E80  # nothing below it is in the large font and not in the small ones
LONGEST_TEXT = 400  # characters of one cell
MARK = "?"  # stands for a character that no embedded font has


@cache
def register_fonts() -> frozenset[int]:
    """Make the fonts known that every report needs; return the code points that they have."""
    # streams as bytes: text encoding is a third larger, and slow
    rl_config.useA85 = 0
    fonts = [
        TTFont(SANS, str(FOLDER / "OpenSans-Regular.ttf")),
        TTFont(BOLD, str(FOLDER / "OpenSans-Bold.ttf")),
    ]
    for font in fonts:
        pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(SANS, normal=SANS, bold=BOLD, italic=SANS, boldItalic=BOLD)
    return frozenset.intersection(*(frozenset(font.face.charToGlyph) for font in fonts))


@cache
def register_east_asian() -> frozenset[int]:
    """Make the East Asian font known; return the code points that it has."""
    font = TTFont(EAST_ASIAN, str(FOLDER / "DroidSansFallback.ttf"))
    pdfmetrics.registerFont(font)
    return frozenset(font.face.charToGlyph)


def printable(words: str) -> str:
    """Return `words` as the embedded fonts can show them, on one line, at most `LONGEST_TEXT` long.

    Examples
    --------
    >>> printable("Dvořák  Ωmega"), printable("שלום")
    ('Dvořák Ωmega', '????')
    """
    shown = simplified(words)
    return shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"


def is_simplified(words: str) -> bool:
    """Tell whether `printable` has to change or to mark characters."""
    return simplified(words) != unicodedata.normalize("NFC", " ".join(words.split()))


def is_marked(words: str) -> bool:
    """Tell whether `printable` has to mark characters: not even their base letter is in a font.

    Examples
    --------
    >>> is_marked("שרה"), is_marked("ℌans"), is_marked("Who?")
    (True, False, False)
    """
    return simplified(words).count(MARK) > words.count(MARK)


def simplified(words: str) -> str:
    """Return `words` on one line, with a substitute for every character that no font has."""
    line = " ".join(words.split())
    if line.isascii() and line.isprintable():
        return line
    return "".join(_character(c) for c in unicodedata.normalize("NFC", line))


def _character(character: str) -> str:
    if font_of(character, SANS):
        return character
    letters = [c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)]
    if letters and all(font_of(c, SANS) for c in letters):
        return "".join(letters)
    return MARK


def font_of(character: str, font: str) -> str:
    """Return the font that draws a character where `font` is asked for; empty where none has it."""
    code = ord(character)
    if code in register_fonts():
        return font
    return EAST_ASIAN if code >= FIRST_EAST_ASIAN and code in register_east_asian() else ""


def runs(words: str, font: str) -> Iterator[tuple[str, str]]:
    """Cut a printable text into pieces of one font each: (font, piece) pairs."""
    if words.isascii():
        yield font, words
        return
    for name, characters in groupby(words, lambda c: font_of(c, font) or font):
        yield name, "".join(characters)


def markup(words: str, font: str) -> str:
    """Return a printable text as reportlab's paragraph markup; nothing in it is taken for markup.

    Examples
    --------
    >>> markup("a<b", SANS), markup("李", SANS)
    ('a&lt;b', '<font name="TbsNodeEastAsian">李</font>')
    """
    pieces = (
        escape(piece) if name == font else f'<font name="{name}">{escape(piece)}</font>'
        for name, piece in runs(words, font)
    )
    return "".join(pieces)


def width_of(words: str, font: str, size: float) -> float:
    """Return the width of a printable text [points]."""
    return sum(float(pdfmetrics.stringWidth(piece, name, size)) for name, piece in runs(words, font))


def shortened(words: str, font: str, size: float, width: float) -> str:
    """Return one line that fits a width [points], with an ellipsis where it had to be shortened."""
    line = printable(words)
    if width_of(line, font, size) <= width:
        return line
    while line and width_of(line + "…", font, size) > width:
        line = line[:-1]
    return line + "…"


def draw_line(canvas: Any, place: tuple[float, float], words: str, font: str, size: float) -> None:
    """Draw a printable text from a place (left, baseline) [points] on, each piece in its font."""
    left, baseline = place
    for name, piece in runs(words, font):
        canvas.setFont(name, size)
        canvas.drawString(left, baseline, piece)
        left += float(pdfmetrics.stringWidth(piece, name, size))
