"""V(r) of every level in the PDF: log-log panels on common axes, the fitted range shaded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from reportlab.lib.colors import HexColor
from reportlab.platypus import Flowable

from tbsnode.report.layout import BOLD, FAINT, INK, RULE, SANS, SHADE
from tbsnode.report.plot import SMALL
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.result import Vertebra

DOTS = 22  # points drawn in one panel
DOT = 1.9  # points
DECADE = (1.0, 2.0, 5.0)
LINE = HexColor("#0072B2")  # Okabe and Ito's blue
LEFT, RIGHT, BELOW, ABOVE = 25.0, 4.0, 21.0, 13.0  # points around a panel


class VariogramPlot(Flowable):  # type: ignore[misc]  # reportlab has no types
    """One panel a level; levels without a variogram leave their panel empty.

    Attributes
    ----------
    width, height : float
        Size on the page [points].
    """

    def __init__(
        self,
        vertebrae: tuple[Vertebra, ...],
        parameters: Parameters,
        size: tuple[float, float],
        titles: tuple[str, str],
    ) -> None:
        super().__init__()
        self.width, self.height = size
        self._vertebrae, self._parameters, self._titles = vertebrae, parameters, titles

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        together = np.vstack([_positive(v) for v in self._vertebrae])
        if not together.size:
            return
        step = self.width / len(self._vertebrae)
        axes = _Axes(
            lags=(float(together[:, 0].min()), max(float(together[:, 0].max()), self._parameters.lag_max_mm)),
            values=(float(together[:, 1].min()) / 1.3, float(together[:, 1].max()) * 1.3),
            size=(step - LEFT - RIGHT, self.height - BELOW - ABOVE),
        )
        for index, vertebra in enumerate(self._vertebrae):
            self.canv.saveState()
            self.canv.translate(index * step + LEFT, BELOW)
            self._panel(vertebra, axes)
            self._ticks(axes)
            self._curve(vertebra, axes)
            self.canv.restoreState()

    def _panel(self, vertebra: Vertebra, axes: _Axes) -> None:
        canvas, (width, height) = self.canv, axes.size
        low, high = (
            max(lag, axes.lags[0]) for lag in (self._parameters.lag_min_mm, self._parameters.lag_max_mm)
        )
        canvas.setFillColor(SHADE)
        canvas.rect(axes.x(low), 0, axes.x(high) - axes.x(low), height, stroke=0, fill=1)
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.5)
        canvas.rect(0, 0, width, height, stroke=1, fill=0)
        canvas.setFillColor(INK)
        canvas.setFont(BOLD, 8)
        canvas.drawCentredString(width / 2, height + 4, _mark(vertebra))
        canvas.setFont(SANS, SMALL)
        canvas.drawCentredString(width / 2, -18.5, self._titles[0])
        canvas.drawRightString(-2, height + 4, self._titles[1])

    def _ticks(self, axes: _Axes) -> None:
        canvas = self.canv
        canvas.setFont(SANS, SMALL)
        for lag in _round_numbers(*axes.lags):
            canvas.line(axes.x(lag), 0, axes.x(lag), -2)
            canvas.drawCentredString(axes.x(lag), -9, f"{lag:g}")
        for value in _round_numbers(*axes.values, most=5):
            canvas.line(-2, axes.y(value), 0, axes.y(value))
            canvas.drawRightString(-4, axes.y(value) - 2, f"{value:g}")

    def _curve(self, vertebra: Vertebra, axes: _Axes) -> None:
        canvas = self.canv
        canvas.setFillColor(FAINT)
        for lag, value in _thinned(_positive(vertebra)):  # squares: a circle takes six times as long
            canvas.rect(axes.x(lag) - DOT / 2, axes.y(value) - DOT / 2, DOT, DOT, stroke=0, fill=1)
        ends = _fitted(vertebra, self._parameters)
        if ends:
            (low, bottom), (high, top) = ends
            canvas.setStrokeColor(LINE)
            canvas.setLineWidth(1.2)
            canvas.line(axes.x(low), axes.y(bottom), axes.x(high), axes.y(top))


class _Axes:
    """Maps r and V to points of one panel."""

    def __init__(
        self, *, lags: tuple[float, float], values: tuple[float, float], size: tuple[float, float]
    ) -> None:
        self.lags, self.values, self.size = lags, values, size

    def x(self, lag: float) -> float:
        low, high = self.lags
        return math.log(lag / low) / math.log(high / low) * self.size[0] if high > low else 0.0

    def y(self, value: float) -> float:
        low, high = self.values
        return math.log(value / low) / math.log(high / low) * self.size[1]


def _mark(vertebra: Vertebra) -> str:
    """Bracket the levels that do not count."""
    return vertebra.label if vertebra.included else f"({vertebra.label})"


def _round_numbers(low: float, high: float, most: int = 8) -> list[float]:
    """Return 1, 2 and 5 times powers of ten inside a range, or powers of ten if those are too many."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in (DECADE, (1.0,)):
        ticks = [s * 10.0**e for e in exponents for s in steps if low <= s * 10.0**e <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def _positive(vertebra: Vertebra) -> NDArray[np.float64]:
    """Return (lag, value, pairs) rows that a logarithm can show; shape (K, 3)."""
    rows = np.asarray(vertebra.variogram, np.float64).reshape(-1, 3)
    return rows[(rows[:, 0] > 0) & (rows[:, 1] > 0)]


def _thinned(rows: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return the mean of ln V in bins of ln r, weighted with the pairs, at most `DOTS`."""
    if len(rows) <= DOTS:
        return [(float(lag), float(value)) for lag, value, _ in rows]
    log_lag, log_value, pairs = np.log(rows[:, 0]), np.log(rows[:, 1]), np.maximum(rows[:, 2], 1.0)
    edges = np.linspace(log_lag.min(), log_lag.max(), DOTS + 1)[1:-1]
    place = np.digitize(log_lag, edges)
    weight = np.bincount(place, pairs, DOTS)
    filled = weight > 0
    lag = np.bincount(place, pairs * log_lag, DOTS)[filled] / weight[filled]
    value = np.bincount(place, pairs * log_value, DOTS)[filled] / weight[filled]
    return [(float(x), float(y)) for x, y in zip(np.exp(lag), np.exp(value), strict=True)]


def _fitted(vertebra: Vertebra, parameters: Parameters) -> Sequence[tuple[float, float]]:
    """Return both ends (r, V) of the slope over its range, at the height of the measured values."""
    rows = _positive(vertebra)
    if vertebra.score is None or len(rows) < 2:
        return ()
    rows = rows[np.argsort(rows[:, 0])]
    low = max(parameters.lag_min_mm, float(rows[0, 0]))
    high = min(parameters.lag_max_mm, float(rows[-1, 0]))
    if high <= low:
        return ()
    radii = np.linspace(math.log(low), math.log(high), parameters.radii)
    measured = np.interp(radii, np.log(rows[:, 0]), np.log(rows[:, 1]))
    level = float(measured.mean() - vertebra.score * radii.mean())
    return [(lag, math.exp(level + vertebra.score * math.log(lag))) for lag in (low, high)]
