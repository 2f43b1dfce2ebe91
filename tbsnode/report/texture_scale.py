"""The value on its scale: where it lies between the cut-offs, and how far its error reaches.

Every class is named in its band, so that color is never the only sign; a page may forbid colors.
"""

from __future__ import annotations

from typing import Any

from reportlab.lib.colors import HexColor, white
from reportlab.pdfbase import pdfmetrics
from reportlab.platypus import Flowable

from tbsnode.report.layout import BOLD, INK, RULE, SANS
from tbsnode.tbs.reference import ThresholdSet

LOW, HIGH = 1.0, 1.6  # of the scale, wider where the value needs it
HEIGHT = 46.0  # points
BAR_BOTTOM, BAR_TOP = 13.0, 26.0
TICK_SIZE, NAME_SIZE = 7.0, 7.0
NAMES = ("degraded", "partially_degraded", "normal")
COLORS = (HexColor("#F2B8A8"), HexColor("#F8E3A0"), HexColor("#BFE0C2"))
GRAYS = (HexColor("#D4D4D4"), HexColor("#E8E8E8"), white)


class TextureScale(Flowable):  # type: ignore[misc]  # reportlab has no types
    """Bands between the cut-offs, the value as a diamond, its standard error as a line.

    Attributes
    ----------
    width, height : float
        Size on the page [points].
    """

    def __init__(
        self,
        value: tuple[float, float],
        thresholds: ThresholdSet,
        names: tuple[str, ...],
        width: float,
        *,
        colored: bool,
    ) -> None:
        super().__init__()
        self._tbs, self._see = value
        self._cut_offs = (thresholds.degraded_at, thresholds.normal_above)
        self._names = names
        self._fills = COLORS if colored else GRAYS
        self._low = min(LOW, self._tbs - self._see - 0.02)
        self._high = max(HIGH, self._tbs + self._see + 0.02)
        self.width, self.height = width, HEIGHT

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        canvas = self.canv
        canvas.saveState()
        edges = [0.0, *(self._x(value) for value in self._cut_offs), self.width]
        for left, right, fill, name in zip(edges, edges[1:], self._fills, self._names, strict=False):
            self._band(left, right, fill, name)
        canvas.setFont(SANS, TICK_SIZE)
        for value in self._cut_offs:
            canvas.drawCentredString(self._x(value), BAR_BOTTOM - 8.5, f"{value:.2f}")
        self._marker()
        canvas.restoreState()

    def _x(self, value: float) -> float:
        return (value - self._low) / (self._high - self._low) * self.width

    def _band(self, left: float, right: float, fill: Any, name: str) -> None:
        self.canv.setFillColor(fill)
        self.canv.setStrokeColor(RULE)
        self.canv.setLineWidth(0.6)
        self.canv.rect(left, BAR_BOTTOM, right - left, BAR_TOP - BAR_BOTTOM, stroke=1, fill=1)
        self.canv.setFillColor(INK)
        size = NAME_SIZE
        wide = pdfmetrics.stringWidth(name, SANS, size)
        size *= min(1.0, (right - left - 2.0) / wide)
        self.canv.setFont(SANS, size)
        self.canv.drawCentredString((left + right) / 2, BAR_BOTTOM + 4.0, name)

    def _marker(self) -> None:
        canvas, middle = self.canv, BAR_TOP + 7.0
        left, right = self._x(self._tbs - self._see), self._x(self._tbs + self._see)
        at = self._x(self._tbs)
        canvas.setStrokeColor(INK)
        canvas.setFillColor(INK)
        canvas.setLineWidth(1.2)
        canvas.line(at, BAR_TOP, at, middle)  # not across the names in the bands
        canvas.line(left, middle, right, middle)
        for end in (left, right):
            canvas.line(end, middle - 3.0, end, middle + 3.0)
        path = canvas.beginPath()
        path.moveTo(at - 4.0, middle)
        for x, y in ((at, middle + 4.0), (at + 4.0, middle), (at, middle - 4.0)):
            path.lineTo(x, y)
        path.close()
        canvas.drawPath(path, stroke=0, fill=1)
        canvas.setFont(BOLD, TICK_SIZE + 0.5)
        half = pdfmetrics.stringWidth(f"{self._tbs:.3f}", BOLD, TICK_SIZE + 0.5) / 2
        canvas.drawCentredString(min(max(at, half), self.width - half), middle + 5.5, f"{self._tbs:.3f}")
