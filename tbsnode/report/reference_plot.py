"""TBS against age: the reference curve, this examination and earlier ones. Calibrated values only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tbsnode.report.plot import Axis, Band, Dot, Line, Mark, Plot, Space, Words, axis
from tbsnode.tbs.reference import ReferenceCurve, ThresholdSet

AGES = (20.0, 90.0)  # years drawn; wider for who is older
STEP_YEARS = 2.5
LEAST_TBS, MOST_TBS = 1.0, 1.6  # the axis is wider where a value is


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """A calibrated value at an age; `see` is its standard error of estimate."""

    age_years: float
    tbs: float
    see: float | None = None
    comparable: bool = True


def reference_plot(
    curve: ReferenceCurve,
    sex: str,
    now: Aged,
    earlier: Sequence[Aged],
    cut_offs: ThresholdSet | None,
    space: Space,
) -> Plot:
    """Draw the curve of a sex with its SD, cut-offs, this value and earlier ones.

    Parameters
    ----------
    curve : ReferenceCurve
        Beyond its ages it is level, and drawn dashed.
    sex : str
        ``"F"`` or ``"M"``.
    now : Aged
        This examination.
    earlier : sequence of Aged
        Filled where comparable, hollow where not.
    cut_offs : ThresholdSet or None
        None where no class is given: no lines.
    space : Space
        Where, and the words around it.
    """
    low, high, step = AGES[0], max(AGES[1], 10.0 * math.ceil((now.age_years + 1.0) / 10.0)), STEP_YEARS
    ages = tuple(low + k * step for k in range(round((high - low) / step) + 1))
    mean = tuple(curve.mean(age, sex) for age in ages)
    sd = dict(curve.sd)[sex]
    begin, end = (min(max(edge, low), high) for edge in curve.ages_years)
    marks: list[Mark] = [Band(x=ages, low=_moved(mean, -sd), high=_moved(mean, sd))]
    known = tuple((a, curve.mean(a, sex)) for a in (begin, *(a for a in ages if begin < a < end), end))
    marks.append(Line(points=known))
    for outer in ((low, begin), (end, high)):
        if outer[0] < outer[1]:
            marks.append(Line(points=tuple((a, curve.mean(a, sex)) for a in outer), dash=(3.0, 2.0)))
    marks += _cut_offs(cut_offs, low, high)
    marks += [
        Dot(x=max(each.age_years, low), y=each.tbs, filled=each.comparable, radius=1.6) for each in earlier
    ]
    marks.append(Dot(x=now.age_years, y=now.tbs, error=now.see, radius=2.6))
    return Plot(
        space.title,
        _ages(space.across, low, high),
        _values(space.upward, now, earlier),
        tuple(marks),
        space.size,
    )


def _moved(values: tuple[float, ...], by: float) -> tuple[float, ...]:
    return tuple(value + by for value in values)


def _ages(title: str, low: float, high: float) -> Axis:
    ticks = tuple((float(age), str(age)) for age in range(int(low), int(high) + 1, 10))
    return Axis(title=title, low=low, high=high, ticks=ticks)


def _values(title: str, now: Aged, earlier: Sequence[Aged]) -> Axis:
    ends = [now.tbs - (now.see or 0.0), now.tbs + (now.see or 0.0), *(each.tbs for each in earlier)]
    return axis(title, min(LEAST_TBS, min(ends) - 0.03), max(MOST_TBS, max(ends) + 0.03))


def _cut_offs(cut_offs: ThresholdSet | None, low: float, high: float) -> list[Mark]:
    if cut_offs is None:
        return []
    marks: list[Mark] = []
    # the numbers stand apart from the lines' other side, so that close cut-offs do not collide
    for value, move in ((cut_offs.degraded_at, -7.0), (cut_offs.normal_above, 2.0)):
        marks.append(Line(points=((low, value), (high, value)), dash=(1.0, 1.5), width=0.7))
        marks.append(Words(x=low, y=value, words=f"{value:.2f}", move=(2.0, move)))
    return marks
