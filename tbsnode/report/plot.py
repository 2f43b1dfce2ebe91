"""Plain plots of page 2: two axes and marks on them, drawn as vectors; values in, no clock.

Everything is told apart without color: by shape, filling, dash and words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from reportlab.platypus import Flowable

from tbsnode.report.layout import BOLD, FAINT, INK, RULE, SANS, SHADE, shortened

LEFT, RIGHT, BELOW, ABOVE = 27.0, 5.0, 21.0, 14.0  # points around the axes
SMALL = 6.5  # points; no text is smaller
TITLE = 7.5
MOST_STEPS = 6
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis.

    Attributes
    ----------
    title : str
        What is measured, with its unit.
    low, high : float
        Its ends.
    ticks : tuple of (float, str) pairs
        Where something is written, and what.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """Return where a value lies between the ends, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def axis(title: str, low: float, high: float, most: int = MOST_STEPS) -> Axis:
    """Return an axis with round numbers on it.

    Parameters
    ----------
    title : str
        What is measured.
    low, high : float
        Ends; they may be equal.
    most : int
        Steps at most, from tick to tick.

    Examples
    --------
    >>> axis("TBS", 1.1, 1.52).ticks
    ((1.1, '1.1'), (1.2, '1.2'), (1.3, '1.3'), (1.4, '1.4'), (1.5, '1.5'))
    """
    if high <= low:
        low, high = low - 0.5, high + 0.5
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(s * power for s in _ROUND if (high - low) / (s * power) <= most + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != step:  # 0.25
        decimals += 1
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple(
        (value, f"{value:.{decimals}f}") for value in (round(k * step, 9) for k in range(first, last + 1))
    )
    return Axis(title=title, low=low, high=high, ticks=ticks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A shaded area between two curves over the same x."""

    x: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def draw(self, canvas: Any, plot: Plot) -> None:
        """Fill it."""
        edge = [*zip(self.x, self.low, strict=True), *reversed([*zip(self.x, self.high, strict=True)])]
        path = canvas.beginPath()
        path.moveTo(*plot.place(*edge[0]))
        for point in edge[1:]:
            path.lineTo(*plot.place(*point))
        path.close()
        canvas.setFillColor(SHADE)
        canvas.drawPath(path, stroke=0, fill=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points; `dash` is dash and gap [points], empty where solid."""

    points: tuple[Point, ...]
    dash: tuple[float, ...] = ()
    width: float = 0.9

    def draw(self, canvas: Any, plot: Plot) -> None:
        """Stroke it."""
        path = canvas.beginPath()
        path.moveTo(*plot.place(*self.points[0]))
        for point in self.points[1:]:
            path.lineTo(*plot.place(*point))
        canvas.setStrokeColor(INK)
        canvas.setLineWidth(self.width)
        canvas.setDash(*([list(self.dash)] if self.dash else []))
        canvas.drawPath(path, stroke=1, fill=0)
        canvas.setDash()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A point with its interval, if it has one; `radius` in points."""

    x: float
    y: float
    error: float | None = None
    filled: bool = True
    radius: float = 2.0

    def draw(self, canvas: Any, plot: Plot) -> None:
        """Draw the interval below the point."""
        x, y = plot.place(self.x, self.y)
        canvas.setStrokeColor(INK)
        canvas.setLineWidth(0.7)
        if self.error is not None:
            bottom, top = (plot.place(self.x, self.y + sign * self.error)[1] for sign in (-1, 1))
            canvas.line(x, bottom, x, top)
            for end in (bottom, top):
                canvas.line(x - 2, end, x + 2, end)
        canvas.setFillColor(INK if self.filled else "#FFFFFF")
        canvas.circle(x, y, self.radius, stroke=1, fill=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A few words beside a place, moved by points; `anchor` is ``"start"``, ``"middle"`` or ``"end"``."""

    x: float
    y: float
    words: str
    anchor: str = "start"
    move: Point = (0.0, 2.0)

    def draw(self, canvas: Any, plot: Plot) -> None:
        """Write them."""
        x, y = plot.place(self.x, self.y)
        canvas.setFillColor(FAINT)
        canvas.setFont(SANS, SMALL)
        write = {
            "start": canvas.drawString,
            "middle": canvas.drawCentredString,
            "end": canvas.drawRightString,
        }
        write[self.anchor](x + self.move[0], y + self.move[1], self.words)


Mark = Band | Line | Dot | Words


class Heading(Flowable):  # type: ignore[misc]  # reportlab has no types
    """The title of a figure that is no `Plot`, as a plot writes its own.

    Parameters
    ----------
    title : str
        Shortened where it does not fit.
    width : float
        Of the figure [points].
    """

    def __init__(self, title: str, width: float) -> None:
        super().__init__()
        self.title, self.width, self.height = title, width, 11.0

    def draw(self) -> None:
        """Write it."""
        self.canv.setFillColor(INK)
        self.canv.setFont(BOLD, TITLE)
        self.canv.drawString(0, 3.0, shortened(self.title, BOLD, TITLE, self.width))


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The place of a plot and the words around it.

    Attributes
    ----------
    title, across, upward : str
        Above the plot and along its axes.
    size : tuple of float
        Width and height on the page [points].
    """

    title: str
    across: str
    upward: str
    size: tuple[float, float]


class Plot(Flowable):  # type: ignore[misc]  # reportlab has no types
    """Axes with marks.

    Parameters
    ----------
    title : str
        Written above, shortened where it does not fit.
    across, upward : Axis
        The axes.
    marks : tuple of Band, Line, Dot or Words
        Drawn in this order.
    size : tuple of float
        Width and height on the page [points].
    """

    def __init__(
        self, title: str, across: Axis, upward: Axis, marks: tuple[Mark, ...], size: tuple[float, float]
    ) -> None:
        super().__init__()
        self.title, self.across, self.upward, self.marks = title, across, upward, marks
        self.width, self.height = size

    def place(self, x: float, y: float) -> Point:
        """Return where a value lies, in points from the lower left corner of the flowable."""
        wide, high = self.width - LEFT - RIGHT, self.height - BELOW - ABOVE
        return LEFT + self.across.share(x) * wide, BELOW + self.upward.share(y) * high

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        canvas = self.canv
        canvas.saveState()
        canvas.setFillColor(INK)
        canvas.setFont(BOLD, TITLE)
        canvas.drawString(0, self.height - 8, shortened(self.title, BOLD, TITLE, self.width))
        for mark in self.marks:
            mark.draw(canvas, self)
        self._frame()
        canvas.restoreState()

    def _frame(self) -> None:
        canvas = self.canv
        right, top = self.width - RIGHT, self.height - ABOVE
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.5)
        canvas.rect(LEFT, BELOW, right - LEFT, top - BELOW, stroke=1, fill=0)
        canvas.setFillColor(INK)
        canvas.setFont(SANS, SMALL)
        for value, words in self.across.ticks:
            x, _ = self.place(value, self.upward.low)
            canvas.line(x, BELOW, x, BELOW - 2)
            canvas.drawCentredString(x, BELOW - 9, words)
        for value, words in self.upward.ticks:
            _, y = self.place(self.across.low, value)
            canvas.line(LEFT - 2, y, LEFT, y)
            canvas.drawRightString(LEFT - 3.5, y - 2.3, words)
        canvas.drawCentredString(
            (LEFT + right) / 2, 2.5, shortened(self.across.title, SANS, SMALL, right - LEFT + 20)
        )
        canvas.saveState()
        canvas.translate(6.0, (BELOW + top) / 2)
        canvas.rotate(90)
        canvas.drawCentredString(0, 0, shortened(self.upward.title, SANS, SMALL, top - BELOW + 10))
        canvas.restoreState()
