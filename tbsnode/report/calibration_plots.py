"""One page of plots about a fit: line, agreement, residuals; vectors, the same bytes for the same pairs.

Whoever approves a calibration looks at these before the numbers: a bend, a group apart or a spread
that grows is seen here first. No identity is drawn, and there is no clock.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reportlab.pdfgen.canvas import Canvas

from tbsnode import text
from tbsnode.report.layout import (
    BOLD,
    FAINT,
    INK,
    MARGIN,
    PAGE_SIZES,
    RULE,
    SANS,
    register_fonts,
    shortened,
)
from tbsnode.tbs.calibration import ScannerKey
from tbsnode.tbs.calibration_fit import CUT_OFFS, Approval, FitStatistics, Pair

LINE = "#0072B2"  # Okabe and Ito's blue
DOT = "#D55E00"  # and vermilion
NORMAL_95 = 1.96
GAP = 30.0  # points between panels
SLENDER = 1.2  # height of a panel over its width, at most
LEFT, BELOW, ABOVE = 44.0, 34.0, 18.0  # points around the axes of a panel
HEAD = 60.0  # points of title and summary
MOST_TICKS = 6
LOOSE = 0.06  # of the range left empty at either end
_DATE = "D:20000101000000+00'00'"  # a fit has a date of approval, this page has none

Vector = NDArray[np.float64]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """A straight line between two points in the units of the axes."""

    ends: tuple[Point, Point]
    color: str = LINE
    dash: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """What one panel shows."""

    title: str
    labels: tuple[str, str]
    x: Vector
    y: Vector
    curves: tuple[_Curve, ...] = ()
    levels: tuple[float, ...] = ()  # faint horizontal lines; they do not widen the axis

    def ranges(self) -> tuple[Point, Point]:
        """Return the ends of both axes, with all points and lines inside."""
        ends = [end for curve in self.curves for end in curve.ends]
        across = np.concatenate([self.x, [end[0] for end in ends]])
        upward = np.concatenate([self.y, [end[1] for end in ends]])
        return _loose(across), _loose(upward)


def render(pairs: Sequence[Pair], numbers: FitStatistics, about: str = "", page_size: str = "A4") -> bytes:
    """Draw a fit on one page.

    Parameters
    ----------
    pairs : sequence of Pair
        As they were fitted.
    numbers : FitStatistics
        What the fit found, accepted or refused.
    about : str
        A line below the title, see the function `about`.
    page_size : str
        ``"A4"`` or ``"letter"``.

    Returns
    -------
    bytes
        PDF of one page with embedded fonts; equal for equal arguments.

    Raises
    ------
    ValueError
        If the numbers are of other pairs, or the page size is neither.
    """
    if len(pairs) != len(numbers.predicted):
        raise ValueError(f"{len(pairs)} pairs, but the numbers are of {len(numbers.predicted)}")
    if page_size not in PAGE_SIZES:
        raise ValueError(f"page_size {page_size!r} is not one of {', '.join(PAGE_SIZES)}")
    register_fonts()
    width, height = PAGE_SIZES[page_size]
    buffer = io.BytesIO()
    canvas = Canvas(
        buffer,
        pagesize=(width, height),
        invariant=1,
        pageCompression=1,
        initialFontName=SANS,
        lang=text.LANGUAGES["en"].language,
    )
    # reportlab would take the environment's SOURCE_DATE_EPOCH into date and identifier
    seed = repr((tuple(pairs), numbers, about, page_size)).encode()
    canvas._doc.signature = hashlib.md5(seed, usedforsecurity=False)
    canvas.setDateFormatter(lambda *_: _DATE)
    canvas.setTitle(text.phrase("calibration_plots_title"))
    canvas.setCreator("tbsnode")
    canvas.setAuthor("tbsnode")
    _head(canvas, numbers, about, (width, height))
    _panels(canvas, _all(pairs, numbers), (width, height))
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def about(key: ScannerKey, approval: Approval) -> str:
    """Return the line below the title: the scanner, who approves and when."""
    row_mm, column_mm = key.pixel_spacing_mm
    parts = (
        text.phrase("simulated") if approval.simulated else "",  # first: a long line is cut at its end
        f"{key.manufacturer} {key.model_name}",
        *(key.device_serial_number, key.software_versions, key.input_class),
        f"{row_mm:g} x {column_mm:g} mm",
        f"{approval.approved_by}, {approval.approved_on.isoformat()}",
    )
    return " / ".join(part.strip() for part in parts if part.strip())


def _head(canvas: Any, numbers: FitStatistics, about: str, size: Point) -> None:
    left, top = MARGIN, size[1] - MARGIN
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 14)
    canvas.drawString(left, top - 12, text.phrase("calibration_plots_title"))
    canvas.setFont(SANS, 8.5)
    room = size[0] - 2 * MARGIN
    canvas.drawString(left, top - 28, shortened(about, SANS, 8.5, room))
    summary = text.phrase(
        "calibration_plots_summary",
        pairs=str(numbers.pairs),
        intercept=f"{numbers.intercept:.3f}",
        slope=f"{numbers.slope:.3f}",
        see=f"{numbers.see:.3f}",
        r2=f"{numbers.r2:.2f}",
    )
    canvas.drawString(left, top - 41, shortened(summary, SANS, 8.5, room))


def _panels(canvas: Any, panels: Sequence[_Panel], size: Point) -> None:
    """Lay panels out in two columns."""
    rows = math.ceil(len(panels) / 2)
    step_x = (size[0] - 2 * MARGIN + GAP) / 2
    step_y = (size[1] - 2 * MARGIN - HEAD + GAP) / max(rows, 2)
    step_y = min(step_y, step_x * SLENDER)
    inner = (step_x - GAP - LEFT, step_y - GAP - BELOW - ABOVE)
    for index, panel in enumerate(panels):
        canvas.saveState()
        x = MARGIN + (index % 2) * step_x + LEFT
        y = size[1] - MARGIN - HEAD - (index // 2) * step_y - ABOVE - inner[1]
        canvas.translate(x, y)
        _draw(canvas, panel, inner)
        canvas.restoreState()


# ---- what is shown --------------------------------------------------------------------------------


def _all(pairs: Sequence[Pair], numbers: FitStatistics) -> list[_Panel]:
    score, tbs = (np.array([getattr(pair, name) for pair in pairs]) for name in ("score", "tbs"))
    predicted = np.asarray(numbers.predicted, dtype=np.float64)
    modeled = np.zeros(len(pairs))
    for each in numbers.covariates:
        value = np.array([pair.person.value(each.name) for pair in pairs], dtype=np.float64)
        modeled += each.slope * (value - each.center)
    found = [_scatter(score, tbs - modeled, numbers), _agreement(tbs, predicted, numbers)]
    for name in ("bmi", "age_years"):
        panel = _residuals(name, [getattr(pair, name) for pair in pairs], tbs - predicted, numbers)
        if panel is not None:
            found.append(panel)
    return found


def _scatter(score: Vector, tbs: Vector, numbers: FitStatistics) -> _Panel:
    """Show all pairs, the line, and the band that holds 95 % of what is around it.

    What is modeled besides the slope is taken off `tbs`, or the line would not be that of the points.
    """
    ends = (float(score.min()), float(score.max()))
    half = NORMAL_95 * numbers.see
    upward = "calibration_axis_tbs_adjusted" if numbers.covariates else "calibration_axis_tbs"

    def at(offset: float) -> tuple[Point, Point]:
        first, last = ((x, numbers.intercept + numbers.slope * x + offset) for x in ends)
        return first, last

    return _Panel(
        title=text.phrase("calibration_plot_line"),
        labels=(text.phrase("calibration_axis_slope"), text.phrase(upward)),
        x=score,
        y=tbs,
        curves=(_Curve(ends=at(0.0)), *(_Curve(ends=at(side), dash=(4, 3)) for side in (-half, half))),
        levels=CUT_OFFS,
    )


def _agreement(tbs: Vector, predicted: Vector, numbers: FitStatistics) -> _Panel:
    """Show the differences over the means, as Bland and Altman do (doi:10.1016/S0140-6736(86)90837-8)."""
    middle = (tbs + predicted) / 2.0
    low, high = numbers.limits_of_agreement
    levels = ((numbers.bias, None), (low, (4.0, 3.0)), (high, (4.0, 3.0)))
    return _Panel(
        title=text.phrase("calibration_plot_agreement"),
        labels=(text.phrase("calibration_axis_mean"), text.phrase("calibration_axis_difference")),
        x=middle,
        y=predicted - tbs,
        curves=tuple(_Curve(ends=_level(middle, value), dash=dash) for value, dash in levels),
        levels=(0.0,),
    )


def _residuals(
    name: str, known: Sequence[float | None], residual: Vector, numbers: FitStatistics
) -> _Panel | None:
    """Show what the line leaves over a covariate; None where too few patients have it for a line."""
    has = np.array([value is not None for value in known])
    x = np.array([value for value in known if value is not None], dtype=np.float64)
    y = residual[has]
    if x.size < 3 or x.std() == 0:
        return None
    slope = float((x - x.mean()) @ (y - y.mean()) / ((x - x.mean()) @ (x - x.mean())))
    first, last = ((at, float(y.mean()) + slope * (at - float(x.mean()))) for at in (_low(x), _high(x)))
    p = dict(numbers.covariate_p).get(name)
    shown = "" if p is None else f" (p = {p:.3f})"
    return _Panel(
        title=text.phrase(f"calibration_plot_{name}") + shown,
        labels=(text.phrase(f"calibration_axis_{name}"), text.phrase("calibration_axis_residual")),
        x=x,
        y=y,
        curves=(_Curve(ends=(first, last)),),
        levels=(0.0,),
    )


def _level(x: Vector, value: float) -> tuple[Point, Point]:
    return (_low(x), value), (_high(x), value)


def _low(x: Vector) -> float:
    return float(x.min())


def _high(x: Vector) -> float:
    return float(x.max())


# ---- drawing --------------------------------------------------------------------------------------


def _draw(canvas: Any, panel: _Panel, size: Point) -> None:
    across, upward = panel.ranges()

    def place(point: Point) -> Point:
        return (
            (point[0] - across[0]) / (across[1] - across[0]) * size[0],
            (point[1] - upward[0]) / (upward[1] - upward[0]) * size[1],
        )

    # nothing but finite numbers is drawn: without a line there are no predictions either
    _frame(canvas, panel, size)
    _ticks(canvas, (across, upward), size, place)
    canvas.setStrokeColor(FAINT)
    canvas.setFillColor(FAINT)
    canvas.setLineWidth(0.5)
    canvas.setFont(SANS, 6)
    for level in panel.levels:
        if upward[0] < level < upward[1]:
            y = place((across[0], level))[1]
            canvas.line(0, y, size[0], y)
            if level:
                canvas.drawString(size[0] + 3, y - 2.2, f"{level:g}")
    canvas.setFillColor(DOT)
    for point in zip(panel.x, panel.y, strict=True):
        if np.isfinite(point).all():
            canvas.circle(*place((float(point[0]), float(point[1]))), 1.5, stroke=0, fill=1)
    for curve in panel.curves:
        if not np.isfinite(curve.ends).all():
            continue
        canvas.setStrokeColor(curve.color)
        canvas.setLineWidth(1.1)
        canvas.setDash(*(curve.dash or ()))
        canvas.line(*place(curve.ends[0]), *place(curve.ends[1]))
    canvas.setDash()


def _frame(canvas: Any, panel: _Panel, size: Point) -> None:
    canvas.setStrokeColor(RULE)
    canvas.setLineWidth(0.5)
    canvas.rect(0, 0, *size, stroke=1, fill=0)
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 8)
    room = size[0] + LEFT - 8
    canvas.drawString(8 - LEFT, size[1] + 6, shortened(panel.title, BOLD, 8, room))
    canvas.setFillColor(FAINT)
    canvas.setFont(SANS, 7)
    canvas.drawCentredString(size[0] / 2, -24, shortened(panel.labels[0], SANS, 7, size[0]))
    canvas.saveState()
    canvas.rotate(90)
    canvas.drawCentredString(size[1] / 2, 34, shortened(panel.labels[1], SANS, 7, size[1]))
    canvas.restoreState()


def _ticks(canvas: Any, ranges: tuple[Point, Point], size: Point, place: Any) -> None:
    canvas.setFillColor(INK)
    canvas.setStrokeColor(RULE)
    canvas.setFont(SANS, 6.5)
    for value, shown in _round_numbers(*ranges[0]):
        x = place((value, ranges[1][0]))[0]
        canvas.line(x, 0, x, -3)
        canvas.drawCentredString(x, -11, shown)
    for value, shown in _round_numbers(*ranges[1]):
        y = place((ranges[0][0], value))[1]
        canvas.line(-3, y, 0, y)
        canvas.drawRightString(-5, y - 2.2, shown)


def _round_numbers(low: float, high: float) -> list[tuple[float, str]]:
    """Return multiples of 1, 2 or 5 inside a range, at most `MOST_TICKS`, each as it is written."""
    power = math.floor(math.log10(high - low)) - 1
    for exponent, digit in ((power + more, digit) for more in range(3) for digit in (1.0, 2.0, 5.0)):
        step = digit * 10.0**exponent
        multiples = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        if len(multiples) <= MOST_TICKS:
            break
    decimals = max(0, -exponent)
    return [(k * step, f"{k * step:.{decimals}f}") for k in multiples]


def _loose(values: Vector) -> Point:
    """Return a range with room at both ends, also around a single value."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    room = LOOSE * (high - low) or max(abs(low) * LOOSE, 1e-3)
    return low - room, high + room
