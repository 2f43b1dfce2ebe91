"""The small text of page 2: captions, sentences, and tables whose cells are plain lines where they can be.

A paragraph costs a hundred times what a line does, and page 2 has a hundred cells.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Paragraph

from tbsnode.report.layout import BOLD, FAINT, INK, SANS, grid
from tbsnode.report.lettering import markup, printable, register_fonts, simplified, width_of

SIZE, LEADING = 7.0, 8.6  # points
PAD = 1.2  # points left and right of a cell
_COLORS = {"ink": INK, "faint": FAINT, "bold": INK}


@cache
def _style(name: str) -> Any:
    register_fonts()
    font = BOLD if name == "bold" else SANS
    return ParagraphStyle(name, fontName=font, fontSize=SIZE, leading=LEADING, textColor=_COLORS[name])


def fine(words: str, name: str = "ink") -> Any:
    """Set a text of any length in small letters; ``ink``, ``faint`` or ``bold``."""
    look = _style(name)
    return Paragraph(markup(simplified(words), look.fontName), look)


def fine_grid(
    rows: list[list[str]],
    widths: list[float],
    names: list[list[str]],
    commands: list[tuple[Any, ...]] | None = None,
) -> Any:
    """Lay out small text in rows: a line where it fits its column, a paragraph where it does not.

    Parameters
    ----------
    rows : list of list of str
        Cells; a cell is as wide as its column unless it is the last of its row that holds anything:
        then it may reach to the end of the table.
    widths : list of float
        Of the columns [points].
    names : list of list of str
        ``ink``, ``faint`` or ``bold`` for each cell.
    commands : list of tuple, optional
        Rules and shades of the table.
    """
    looks: list[tuple[Any, ...]] = [("FONT", (0, 0), (-1, -1), SANS, SIZE, LEADING)]
    cells: list[list[Any]] = []
    for index, (row, look) in enumerate(zip(rows, names, strict=True)):
        last = max((k for k, words in enumerate(row) if words), default=0)
        if last < len(row) - 1:
            looks.append(("SPAN", (last, index), (-1, index)))
        room = [*widths[:last], sum(widths[last:]), *widths[last + 1 :]]
        cells.append([_cell(words, name, width) for words, name, width in zip(row, look, room, strict=True)])
        for column, name in enumerate(look):
            if name != "ink":
                looks.append(("TEXTCOLOR", (column, index), (column, index), _COLORS[name]))
            if name == "bold":
                looks.append(("FONT", (column, index), (column, index), BOLD, SIZE, LEADING))
    return grid(cells, widths, [*looks, *(commands or [])], padding=PAD)


def _cell(words: str, name: str, width: float) -> Any:
    """Return a line as it is if one font has it and the column holds it; a paragraph otherwise."""
    line = printable(words)
    font = BOLD if name == "bold" else SANS
    if line.isascii() and width_of(line, font, SIZE) <= width - 2 * PAD:
        return line
    return fine(words, name)
