"""A report as PDF: the same report gives the same bytes, in every process.

There is no clock here: the document's dates are those of `report.provenance`.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reportlab.lib.colors import white
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

from tbsnode import text
from tbsnode.model import Report
from tbsnode.report import decision_review, facts
from tbsnode.report.decision_words import conclusion
from tbsnode.report.layout import (
    BANNER,
    BOLD,
    BOTTOM,
    FAINT,
    INK,
    MARGIN,
    PAGE_SIZES,
    RULE,
    SANS,
    Sheet,
    register_fonts,
    shortened,
)
from tbsnode.report.lettering import draw_line
from tbsnode.report.pages import story

__all__ = ["conclusion", "render"]

SECOND = 2


def render(report: Report, pixels: NDArray[np.float64] | None, page_size: str = "A4") -> bytes:
    """Render a report: a result on two pages or more, a refusal on one.

    Parameters
    ----------
    report : Report
        What is stated.
    pixels : ndarray of shape (M, N) or None
        The reported picture, bone bright; None if there is none that can be shown.
    page_size : str
        ``"A4"`` or ``"letter"``.

    Returns
    -------
    bytes
        PDF with embedded fonts; equal for equal arguments.

    Raises
    ------
    ValueError
        If `page_size` is neither.
    """
    if page_size not in PAGE_SIZES:
        raise ValueError(f"page_size {page_size!r} is not one of {', '.join(PAGE_SIZES)}")
    register_fonts()
    sheet = Sheet(report=report, pixels=pixels, size=PAGE_SIZES[page_size])
    buffer = io.BytesIO()
    document = _document(buffer, sheet)
    document.build(story(sheet), canvasmaker=_canvas_maker(sheet))
    return buffer.getvalue()


def _document(buffer: io.BytesIO, sheet: Sheet) -> Any:
    document = BaseDocTemplate(
        buffer,
        pagesize=sheet.size,
        invariant=1,
        pageCompression=1,
        title=decision_review.title(sheet.report, language=sheet.language),
        subject=sheet.say("limits"),
        author=f"tbsnode {sheet.report.provenance.version}",
        creator=f"tbsnode {sheet.report.provenance.version}",
        lang=text.LANGUAGES[sheet.language].language,
        initialFontName=SANS,
        displayDocTitle=True,
    )
    frame = Frame(MARGIN, BOTTOM, sheet.width, sheet.height, 0, 0, 0, 0)
    document.addPageTemplates([PageTemplate("page", [frame])])
    return document


def _canvas_maker(sheet: Sheet) -> Any:
    """Return a canvas class that knows the number of pages when it draws their margins."""

    class PagedCanvas(Canvas):  # type: ignore[misc]  # reportlab has no types
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._finished: list[dict[str, Any]] = []
            # reportlab would take the environment's SOURCE_DATE_EPOCH into the file's identifier
            seed = sheet.report.result_digest.encode()
            self._doc.signature = hashlib.md5(seed, usedforsecurity=False)
            stamp = sheet.report.provenance.content_at.strftime("D:%Y%m%d%H%M%S%z")
            self.setDateFormatter(lambda *_: f"{stamp[:-2]}'{stamp[-2:]}'")

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._finished.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, state in enumerate(self._finished, start=1):
                self.__dict__.update(state)
                _draw_margins(self, sheet, number, len(self._finished))
                super().showPage()
            super().save()

    return PagedCanvas


def _draw_margins(canvas: Any, sheet: Sheet, number: int, count: int) -> None:
    canvas.saveState()
    if sheet.report.simulated:
        _draw_banner(canvas, sheet)
    if number > 1:
        _draw_identity(canvas, sheet)
    if number == SECOND:
        _draw_changed_slope(canvas, sheet)
    canvas.setStrokeColor(RULE)
    canvas.setLineWidth(0.5)
    canvas.line(MARGIN, BOTTOM - 8, sheet.size[0] - MARGIN, BOTTOM - 8)
    canvas.setFillColor(FAINT)
    canvas.setFont(SANS, 7)
    footer = sheet.say("footer", version=sheet.report.provenance.version)
    canvas.drawString(MARGIN, BOTTOM - 18, shortened(footer, SANS, 7, sheet.width * 0.75))
    page = sheet.say("page", page=str(number), pages=str(count))
    canvas.drawRightString(sheet.size[0] - MARGIN, BOTTOM - 18, page)
    canvas.restoreState()


def _draw_banner(canvas: Any, sheet: Sheet) -> None:
    bottom = sheet.size[1] - 12 - BANNER
    canvas.rect(MARGIN, bottom, sheet.width, BANNER, stroke=0, fill=1)
    canvas.setFillColor(white)
    canvas.setFont(BOLD, 10)
    canvas.drawCentredString(sheet.size[0] / 2, bottom + 5.5, sheet.say("simulated"))


def _draw_identity(canvas: Any, sheet: Sheet) -> None:
    """Name the patient on every later page, so that a loose page still belongs to somebody."""
    bottom = sheet.size[1] - sheet.top + 8
    name, identifier, birth_date = facts.patient_pairs(sheet.report, sheet.language)[:3]
    canvas.setFillColor(INK)
    canvas.setFont(SANS, 8)
    status = decision_review.status(sheet.report, language=sheet.language)
    room = sheet.width - canvas.stringWidth(status, BOLD, 8) - 12
    shares = ((name, 0.5), (identifier, 0.3), (birth_date, 0.15))
    values = [shortened(value, SANS, 8, room * share) for (_, value), share in shares]
    draw_line(canvas, (MARGIN, bottom), "  /  ".join(values), SANS, 8)
    canvas.setFont(BOLD, 8)
    canvas.drawRightString(sheet.size[0] - MARGIN, bottom, status)


def _draw_changed_slope(canvas: Any, sheet: Sheet) -> None:
    """Say above page 2 how a reviewer moved the raw slope: page 1 only says that it changed."""
    words = decision_review.changed_slope(sheet.report, language=sheet.language)
    if words:
        canvas.setFillColor(INK)
        line = shortened(words, SANS, 8, sheet.width)
        draw_line(canvas, (MARGIN, sheet.size[1] - sheet.top + 19), line, SANS, 8)
