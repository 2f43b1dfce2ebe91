"""The course of the score: earlier examinations, this one, and the least significant change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tbsnode.report.plot import Axis, Band, Dot, Line, Mark, Plot, Space, axis

YEAR_DAYS = 365.25
MOST_YEARS = 7  # ticks
LEAST_RANGE = 0.2  # of the value; a course without change is no steep line


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """A value on a day."""

    on: date
    value: float
    comparable: bool = True


def day(examined_on: str) -> date | None:
    """Read a DICOM date, None if it is none.

    Examples
    --------
    >>> day("20260301"), day("20260230"), day("")
    (datetime.date(2026, 3, 1), None, None)
    """
    try:
        return date(int(examined_on[:4]), int(examined_on[4:6]), int(examined_on[6:8]))
    except ValueError:
        return None


def year(on: date) -> float:
    """Return a day as a year with decimals, evenly spaced."""
    return 1970.0 + (on - date(1970, 1, 1)).days / YEAR_DAYS


def trend_plot(
    now: Dated,
    earlier: Sequence[Dated],
    lsc: float | None,
    space: Space,
) -> Plot:
    """Draw values over time.

    Parameters
    ----------
    now : Dated
        This examination.
    earlier : sequence of Dated
        Oldest first; filled where comparable, hollow where not.
    lsc : float or None
        Least significant change: a whisker at each comparable one, and a band from the last of them
        to this examination, outside of which the change exceeds it. None: neither.
    space : Space
        Where, and the words around it.
    """
    comparable = [each for each in earlier if each.comparable]
    marks: list[Mark] = []
    if comparable and lsc is not None:
        last = comparable[-1]
        low, high = last.value - lsc, last.value + lsc
        marks.append(Band(x=(year(last.on), year(now.on)), low=(low, low), high=(high, high)))
    if comparable:
        marks.append(Line(points=tuple((year(each.on), each.value) for each in (*comparable, now))))
    for each in earlier:
        error = lsc if each.comparable else None
        marks.append(Dot(x=year(each.on), y=each.value, error=error, filled=each.comparable, radius=2.0))
    marks.append(Dot(x=year(now.on), y=now.value, radius=2.6))
    return Plot(
        space.title,
        _years(space.across, [each.on for each in (*earlier, now)]),
        _values(space.upward, (*earlier, now), lsc),
        tuple(marks),
        space.size,
    )


def _years(title: str, days: Sequence[date]) -> Axis:
    first, last = min(map(year, days)), max(map(year, days))
    loose = max(0.06 * (last - first), 0.3)
    low, high = first - loose, last + loose
    whole = range(int(low) + 1, int(high) + 1)
    step = -(-len(whole) // MOST_YEARS) if whole else 1
    return Axis(title=title, low=low, high=high, ticks=tuple((float(y), str(y)) for y in whole[::step]))


def _values(title: str, shown: Sequence[Dated], lsc: float | None) -> Axis:
    around = lsc or 0.0
    low = min(each.value - (around if each.comparable else 0.0) for each in shown)
    high = max(each.value + (around if each.comparable else 0.0) for each in shown)
    loose = max(0.08 * (high - low), (LEAST_RANGE - (high - low)) / 2)
    return axis(title, low - loose, high + loose)
