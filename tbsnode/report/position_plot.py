"""Bone density and texture together: one point, and no colors of risk."""

from __future__ import annotations

from tbsnode.report.plot import Dot, Line, Mark, Plot, Space, Words, axis
from tbsnode.tbs.bone_density import LOW_BELOW, OSTEOPOROSIS_AT
from tbsnode.tbs.reference import ThresholdSet

T_SCORES = (-4.0, 1.0)  # drawn at least
TBS = (1.0, 1.6)
SLOPE = (0.8, 1.8)


def position_plot(
    t_score: float,
    value: float,
    error: float | None,
    cut_offs: ThresholdSet | None,
    space: Space,
    *,
    calibrated: bool,
) -> Plot:
    """Draw the lowest T-score against the texture.

    Parameters
    ----------
    t_score : float
        The lowest of all sites.
    value, error : float and float or None
        TBS and its standard error of estimate, or the texture slope and its repeatability.
    cut_offs : ThresholdSet or None
        Of TBS; None where no class is given.
    space : Space
        Where, and the words around it.
    calibrated : bool
        False for a texture slope: no line of any kind.

    Raises
    ------
    ValueError
        If cut-offs are given for a texture slope.
    """
    if cut_offs is not None and not calibrated:
        raise ValueError("cut-offs belong to TBS, not to a texture slope")
    least, most = TBS if calibrated else SLOPE
    spread = (error or 0.0) + 0.03
    across = axis(space.across, min(T_SCORES[0], t_score - 0.5), max(T_SCORES[1], t_score + 0.5))
    upward = axis(space.upward, min(least, value - spread), max(most, value + spread))
    marks: list[Mark] = []
    if calibrated:
        for edge in (OSTEOPOROSIS_AT, LOW_BELOW):
            marks.append(Line(points=((edge, upward.low), (edge, upward.high)), dash=(3.0, 2.0), width=0.5))
            marks.append(Words(x=edge, y=upward.high, words=f"{edge:.1f}", move=(1.5, -7.0)))
    if cut_offs is not None:
        for edge, move in ((cut_offs.degraded_at, -7.0), (cut_offs.normal_above, 2.0)):
            marks.append(Line(points=((across.low, edge), (across.high, edge)), dash=(1.0, 1.5), width=0.7))
            marks.append(Words(x=across.low, y=edge, words=f"{edge:.2f}", move=(2.0, move)))
    marks.append(Dot(x=t_score, y=value, error=error, radius=2.6))
    return Plot(space.title, across, upward, tuple(marks), space.size)
