"""Which figures page 2 shows, from a report: only what its calibration and its data allow.

Without a calibrated value there is no reference curve and no cut-off anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reportlab.platypus import Spacer

from tbsnode.report.fine_print import fine
from tbsnode.report.layout import Sheet, grid, height_of
from tbsnode.report.map_picture import MapPicture, map_raster
from tbsnode.report.plot import Heading, Space
from tbsnode.report.position_plot import position_plot
from tbsnode.report.reference_plot import Aged, reference_plot
from tbsnode.report.trend_plot import Dated, day, trend_plot
from tbsnode.report.variogram_plot import VariogramPlot
from tbsnode.tbs.bone_density import SITES
from tbsnode.tbs.reference import ReferenceCurve, ThresholdSet, reference_curve, threshold_set
from tbsnode.tbs.texture_map import WINDOW_MM

LEAST, USUAL, MOST = 76.0, 112.0, 165.0  # points, height of a figure
GAP = 8.0  # points between figures
ROW_GAP = 5.0
WIDEST = 175.0  # points; a wider plot shows nothing more
MAP_WIDTH = 138.0
SAME_Z = 0.051  # a curve that gives another Z-score than the printed one is not the one it rests on

Size = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Figure:
    """A figure before its size is known: how it is drawn, and its caption."""

    width: float
    draw: Callable[[Size], list[Any]]
    caption: str


def figures(sheet: Sheet, rest: list[Any]) -> tuple[list[Any], bool]:
    """Return the rows of figures, as high as the others leave room for, and whether all fits one page.

    Parameters
    ----------
    sheet : Sheet
        What is reported.
    rest : list of flowables
        All others of the page.
    """
    rows = [[(figure, fine(figure.caption, "faint")) for figure in row] for row in _rows(sheet) if row]
    others = height_of(rest, sheet.width)
    if not rows:
        return [], others <= sheet.height
    captions = sum(max(height_of([words], figure.width) for figure, words in row) for row in rows)
    room = sheet.height - others - captions - len(rows) * ROW_GAP - 2.0
    fits = room / len(rows)
    height = min(fits, MOST) if fits >= LEAST else USUAL
    drawn = [part for row in rows for part in (Spacer(1, ROW_GAP), _beside(row, height))]
    return drawn, fits >= LEAST


def _beside(row: list[tuple[Figure, Any]], height: float) -> Any:
    widths = [figure.width + GAP for figure, _ in row[:-1]] + [row[-1][0].width]
    apart = [("RIGHTPADDING", (0, 0), (-2, -1), GAP)] if len(row) > 1 else []
    cells = [[*figure.draw((figure.width, height)), words] for figure, words in row]
    return grid([cells], widths, apart, padding=0.0)


def _rows(sheet: Sheet) -> tuple[list[Figure], list[Figure]]:
    """Put the map beside the plots where there is room, else beside the variograms."""
    drawn = [
        plot
        for plot, known in ((_reference, _curve), (_position, _lowest_t_score), (_trend, _course))
        if known(sheet) is not None
    ]
    picture = _map(sheet)
    with_plots = picture is not None and 0 < len(drawn) < 3
    taken = MAP_WIDTH + GAP if with_plots else 0.0
    width = min(WIDEST, (sheet.width - taken - GAP * (len(drawn) - 1)) / max(1, len(drawn)))
    first = [plot(sheet, width) for plot in drawn]
    last: list[Figure] = []
    if picture is not None:
        (first if with_plots else last).append(picture)
    variograms = _variograms(sheet, sheet.width - (MAP_WIDTH + GAP if last else 0.0))
    return first, [*last, *([variograms] if variograms else [])]


def cut_offs(sheet: Sheet) -> ThresholdSet | None:
    """Return the cut-offs of a class that was given; None where none was, and without a calibration."""
    analysis = sheet.report.analysis
    if analysis.tbs is None or not (analysis.category or analysis.borderline):
        return None
    try:
        found = threshold_set(analysis.threshold_set.partition(":")[0])
    except KeyError:
        return None
    return found if found.stated == analysis.threshold_set else None


def _curve(sheet: Sheet) -> ReferenceCurve | None:
    """Return the packaged curve if the printed Z-score rests on it."""
    analysis = sheet.report.analysis
    who = analysis.identity.demographics if analysis.identity else None
    if analysis.tbs is None or analysis.z_score is None or who is None:
        return None
    curve = reference_curve()
    if (
        who.age_years is None
        or who.sex not in dict(curve.sd)
        or not analysis.reference.startswith(curve.name)
    ):
        return None
    same = abs(curve.z_score(analysis.tbs, who.age_years, who.sex) - analysis.z_score) < SAME_Z
    return curve if same else None


def _reference(sheet: Sheet, width: float) -> Figure:
    analysis, curve = sheet.report.analysis, _curve(sheet)
    assert curve is not None
    assert analysis.identity is not None
    assert analysis.tbs is not None
    who = analysis.identity.demographics
    assert who.age_years is not None
    earlier = [
        Aged(age_years=prior.age_years, tbs=prior.tbs, comparable=prior.comparable)
        for prior in (analysis.follow_up.priors if analysis.follow_up else ())
        if prior.age_years is not None and prior.tbs is not None
    ]
    now = Aged(age_years=who.age_years, tbs=analysis.tbs, see=analysis.tbs_see)
    titles = _titles(sheet, "figure_reference", "figure_age", "figure_tbs")
    words = [sheet.say("figure_reference_caption", reference=curve.group(who.sex))]
    if earlier:
        words.append(sheet.say("figure_earlier"))
    if cut_offs(sheet) is not None:
        words.append(sheet.say("figure_cut_offs", set=analysis.threshold_set))

    def draw(size: Size) -> list[Any]:
        return [reference_plot(curve, who.sex, now, earlier, cut_offs(sheet), Space(**titles, size=size))]

    return Figure(width=width, draw=draw, caption=" ".join(words))


def _lowest_t_score(sheet: Sheet) -> float | None:
    found = sheet.report.analysis.bmd_diagnosis
    if found is None or found.uses_z_score or found.site not in SITES:
        return None
    return found.score


def _position(sheet: Sheet, width: float) -> Figure:
    analysis, t_score = sheet.report.analysis, _lowest_t_score(sheet)
    assert t_score is not None
    assert analysis.bmd_diagnosis is not None
    calibrated = analysis.tbs is not None
    value = analysis.tbs if analysis.tbs is not None else analysis.score
    assert value is not None
    site = sheet.say(f"figure_site_{analysis.bmd_diagnosis.site}")
    titles = _titles(sheet, "figure_position", "figure_position_axis", _scale(sheet), site=site)
    error = analysis.tbs_see if calibrated else analysis.standard_error

    def draw(size: Size) -> list[Any]:
        space = Space(**titles, size=size)
        return [position_plot(t_score, value, error, cut_offs(sheet), space, calibrated=calibrated)]

    words = sheet.say(f"figure_position_caption_{'tbs' if calibrated else 'slope'}")
    return Figure(width=width, draw=draw, caption=words)


def _course(sheet: Sheet) -> tuple[Dated, list[Dated]] | None:
    """Return this and earlier values on one scale; None where there is nothing to draw."""
    analysis = sheet.report.analysis
    on = day(analysis.identity.study_date) if analysis.identity else None
    now = analysis.score if analysis.tbs is None else analysis.tbs
    if on is None or now is None or analysis.follow_up is None:
        return None
    earlier = []
    for prior in analysis.follow_up.priors:
        value = prior.score if analysis.tbs is None else prior.tbs
        then = day(prior.examined_on)
        if value is not None and then is not None:
            earlier.append(Dated(on=then, value=value, comparable=prior.comparable))
    return (Dated(on=on, value=now), earlier) if earlier else None


def _trend(sheet: Sheet, width: float) -> Figure:
    analysis, course = sheet.report.analysis, _course(sheet)
    assert course is not None
    assert analysis.follow_up is not None
    lsc = analysis.follow_up.lsc if analysis.tbs is None else analysis.follow_up.tbs_lsc
    titles = _titles(sheet, "figure_trend", "figure_date", _scale(sheet))
    words = [sheet.say("figure_trend_caption")]
    if any(each.comparable for each in course[1]):
        known = "figure_trend_no_lsc" if lsc is None else "figure_trend_lsc"
        words.append(sheet.say(known, **({} if lsc is None else {"lsc": f"{lsc:.3f}"})))

    def draw(size: Size) -> list[Any]:
        return [trend_plot(course[0], course[1], lsc, Space(**titles, size=size))]

    return Figure(width=width, draw=draw, caption=" ".join(words))


def _scale(sheet: Sheet) -> str:
    return "figure_slope" if sheet.report.analysis.tbs is None else "figure_tbs"


def _titles(sheet: Sheet, title: str, across: str, upward: str, **values: str) -> dict[str, str]:
    return {
        "title": sheet.say(title),
        "across": sheet.say(across, **values),
        "upward": sheet.say(upward),
    }


def _map(sheet: Sheet) -> Figure | None:
    analysis = sheet.report.analysis
    spacing_mm = analysis.pixel_spacing_mm
    if sheet.shown is None or spacing_mm is None:
        return None
    raster = map_raster(sheet.shown, analysis.vertebrae, spacing_mm)
    if raster is None:
        return None
    title = Heading(sheet.say("figure_map"), MAP_WIDTH)

    def draw(size: Size) -> list[Any]:
        box = (size[0], size[1] - title.height)
        scale = sheet.say("figure_map_scale")
        return [title, MapPicture(raster, analysis.vertebrae, spacing_mm, scale, box)]

    words = sheet.say("figure_map_caption", window=f"{WINDOW_MM:g}")
    return Figure(width=MAP_WIDTH, draw=draw, caption=words)


def _variograms(sheet: Sheet, width: float) -> Figure | None:
    """Return the variograms with the fitted range."""
    analysis = sheet.report.analysis
    if not any(v.variogram for v in analysis.vertebrae):
        return None
    heading = Heading(sheet.say("head_variogram"), width)
    titles = (sheet.say("axis_lag"), sheet.say("axis_variogram"))

    def draw(size: Size) -> list[Any]:
        box = (size[0], size[1] - heading.height)
        return [heading, VariogramPlot(analysis.vertebrae, analysis.parameters, box, titles)]

    span = {
        "lag_min_mm": f"{analysis.parameters.lag_min_mm:g}",
        "lag_max_mm": f"{analysis.parameters.lag_max_mm:g}",
    }
    return Figure(width=width, draw=draw, caption=sheet.say("figure_variogram_caption", **span))
