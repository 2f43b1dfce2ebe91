"""The plots of page 2: where points lie, what is drawn, and what never is."""

from __future__ import annotations

import io
from datetime import date

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from tbsnode.report.layout import register_fonts
from tbsnode.report.plot import ABOVE, BELOW, LEFT, RIGHT, Band, Dot, Line, Plot, Space, Words, axis
from tbsnode.report.position_plot import position_plot
from tbsnode.report.reference_plot import Aged, reference_plot
from tbsnode.report.trend_plot import Dated, day, trend_plot, year
from tbsnode.tbs.reference import reference_curve, threshold_set

SIZE = (27.0 + 140.0 + 5.0, 21.0 + 60.0 + 14.0)  # 140 x 60 points inside the axes
SPACE = Space(title="Title", across="x", upward="y", size=SIZE)
CURVE = reference_curve()
WOMAN = Aged(age_years=68.0, tbs=1.18, see=0.045)


def of_kind(plot: Plot, kind: type) -> list:
    return [mark for mark in plot.marks if isinstance(mark, kind)]


def reference(now: Aged = WOMAN, earlier=(), cut_offs=None, sex: str = "F") -> Plot:
    return reference_plot(CURVE, sex, now, earlier, cut_offs, SPACE)


def drawn(plot: Plot) -> str:
    register_fonts()
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(600, 400), invariant=1)
    plot.canv = canvas
    plot.draw()
    canvas.save()
    return pypdf.PdfReader(io.BytesIO(buffer.getvalue())).pages[0].extract_text()


# ---- axes


def test_ticks_by_hand():
    assert axis("t", 20.0, 90.0, 8).ticks[0] == (20.0, "20")
    assert [words for _, words in axis("t", 0.0, 1.0, 5).ticks] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [words for _, words in axis("t", 1.01, 1.24, 6).ticks] == ["1.05", "1.10", "1.15", "1.20"]
    assert [words for _, words in axis("t", -4.2, 1.0, 6).ticks] == ["-4", "-3", "-2", "-1", "0", "1"]
    assert axis("t", 3.0, 3.0).share(3.0) == 0.5  # one value stands in the middle


@given(
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e3),
    st.integers(2, 9),
)
def test_ticks_lie_on_the_axis_and_are_few(low, length, most):
    made = axis("t", low, low + length, most)
    values = [value for value, _ in made.ticks]
    assert len(values) <= most + 1
    assert all(made.low - 1e-6 * length <= v <= made.high + 1e-6 * length for v in values)
    assert [float(words) for _, words in made.ticks] == pytest.approx(values, abs=1e-9)


# ---- reference curve


def test_the_patients_point_lies_at_her_age_and_value():
    plot = reference()
    (now,) = of_kind(plot, Dot)
    assert (now.x, now.y, now.error, now.filled) == (68.0, 1.18, 0.045, True)
    # 20 to 90 years on 140 points, 1.0 to 1.6 on 60: 2 points a year, 100 points a unit
    assert plot.place(68.0, 1.18) == pytest.approx((LEFT + 96.0, BELOW + 18.0))
    assert plot.place(20.0, 1.0) == (LEFT, BELOW)
    assert plot.place(90.0, 1.6) == pytest.approx((SIZE[0] - RIGHT, SIZE[1] - ABOVE))


def test_the_curve_and_its_band_are_the_packaged_ones():
    plot = reference()
    (band,) = of_kind(plot, Band)
    at = band.x.index(50.0)
    assert band.low[at] == pytest.approx(1.36484 - 0.1316)
    assert band.high[at] == pytest.approx(1.36484 + 0.1316)
    known, beyond = of_kind(plot, Line)
    assert dict(known.points)[50.0] == pytest.approx(1.36484)
    assert known.points[0][0] == 20.0
    assert known.points[-1][0] == 75.0
    assert not known.dash
    # beyond 75 years the curve is level, and dashed
    assert beyond.dash
    assert {mean for _, mean in beyond.points} == {CURVE.mean(75.0, "F")}
    assert beyond.points[-1][0] == 90.0


def test_men_have_their_own_curve():
    known, _ = of_kind(reference(sex="M"), Line)
    assert dict(known.points)[50.0] == pytest.approx(1.33635)


def test_an_age_of_95_widens_the_axis_and_the_curve_stays_level():
    plot = reference(Aged(age_years=95.0, tbs=1.18, see=0.045))
    assert plot.across.high == 100.0
    assert plot.across.ticks[-1] == (100.0, "100")
    (now,) = of_kind(plot, Dot)
    assert plot.place(now.x, now.y)[0] < SIZE[0] - RIGHT
    assert of_kind(plot, Line)[-1].points[-1] == (100.0, CURVE.mean(75.0, "F"))


def test_earlier_points_at_their_ages_filled_where_comparable():
    earlier = [
        Aged(age_years=61.0, tbs=1.29),
        Aged(age_years=64.0, tbs=1.25, comparable=False),
    ]
    first, second, now = of_kind(reference(earlier=earlier), Dot)
    assert (first.x, first.y, first.filled) == (61.0, 1.29, True)
    assert (second.x, second.y, second.filled) == (64.0, 1.25, False)
    assert now.radius > first.radius


def test_cut_offs_only_where_they_are_given():
    assert not of_kind(reference(), Words)
    plot = reference(cut_offs=threshold_set("B"))
    assert [words.words for words in of_kind(plot, Words)] == ["1.23", "1.31"]
    levels = [line.points for line in of_kind(plot, Line)[-2:]]
    assert levels == [((20.0, 1.23), (90.0, 1.23)), ((20.0, 1.31), (90.0, 1.31))]


@given(st.floats(20.0, 110.0), st.floats(0.7, 1.7), st.floats(0.0, 0.06))
def test_no_point_leaves_the_axes(age, tbs, see):
    plot = reference(Aged(age_years=age, tbs=tbs, see=see), [Aged(age_years=19.5, tbs=1.7)])
    for dot in of_kind(plot, Dot):
        x, y = plot.place(dot.x, dot.y)
        assert LEFT <= x <= SIZE[0] - RIGHT
        assert y - 1e-9 >= BELOW
        assert y <= SIZE[1] - ABOVE + 1e-9


# ---- bone density and texture


def test_the_position_by_hand():
    plot = position_plot(-1.5, 1.3, 0.03, threshold_set("B"), SPACE, calibrated=True)
    # -4 to 1 on 140 points, 1.0 to 1.6 on 60
    assert plot.place(-1.5, 1.3) == pytest.approx((LEFT + 70.0, BELOW + 30.0))
    (dot,) = of_kind(plot, Dot)
    assert (dot.x, dot.y, dot.error) == (-1.5, 1.3, 0.03)
    assert [words.words for words in of_kind(plot, Words)] == ["-2.5", "-1.0", "1.23", "1.31"]


def test_a_texture_slope_gets_no_line_of_any_kind():
    plot = position_plot(-2.0, 1.27, 0.006, None, SPACE, calibrated=False)
    assert [type(mark) for mark in plot.marks] == [Dot]
    with pytest.raises(ValueError, match="cut-offs belong to TBS"):
        position_plot(-2.0, 1.27, 0.006, threshold_set("B"), SPACE, calibrated=False)


@given(st.floats(-15.0, 15.0), st.floats(0.0, 2.0), st.floats(0.0, 0.2), st.booleans())
def test_any_score_finds_its_place(t_score, value, error, calibrated):
    plot = position_plot(t_score, value, error, None, SPACE, calibrated=calibrated)
    x, low = plot.place(t_score, value - error)
    _, high = plot.place(t_score, value + error)
    assert LEFT < x < SIZE[0] - RIGHT
    assert BELOW <= low <= high <= SIZE[1] - ABOVE


# ---- the course


def exams(*values: float, comparable: bool = True) -> list[Dated]:
    return [Dated(on=date(2016 + 2 * k, 3, 1), value=v, comparable=comparable) for k, v in enumerate(values)]


NOW = Dated(on=date(2026, 3, 1), value=1.18)


def test_one_earlier_examination_with_its_least_significant_change():
    plot = trend_plot(NOW, exams(1.25), 0.05, SPACE)
    then, now = of_kind(plot, Dot)
    assert (then.y, then.error, then.filled) == (1.25, 0.05, True)
    assert (now.y, now.error) == (1.18, None)
    (band,) = of_kind(plot, Band)
    assert band.low[0] == band.low[1] == pytest.approx(1.20)
    assert band.high[0] == band.high[1] == pytest.approx(1.30)
    assert band.x == (year(date(2016, 3, 1)), year(date(2026, 3, 1)))
    # the change of -0.07 exceeds 0.05: the point lies below the shade
    assert plot.place(now.x, now.y)[1] < plot.place(now.x, band.low[1])[1]


def test_without_a_precision_study_there_is_neither_band_nor_whisker():
    plot = trend_plot(NOW, exams(1.25, 1.22), None, SPACE)
    assert not of_kind(plot, Band)
    assert [dot.error for dot in of_kind(plot, Dot)] == [None] * 3


def test_what_cannot_be_compared_is_hollow_and_off_the_line():
    earlier = [*exams(1.30), Dated(on=date(2020, 5, 2), value=1.4, comparable=False)]
    plot = trend_plot(NOW, earlier, 0.05, SPACE)
    assert [dot.filled for dot in of_kind(plot, Dot)] == [True, False, True]
    (line,) = of_kind(plot, Line)
    assert [value for _, value in line.points] == [1.30, 1.18]
    assert of_kind(plot, Band)[0].low[0] == pytest.approx(1.25)


def test_only_examinations_that_cannot_be_compared():
    plot = trend_plot(NOW, exams(1.3, 1.2, comparable=False), 0.05, SPACE)
    assert {type(mark) for mark in plot.marks} == {Dot}


def test_eight_earlier_examinations_have_a_tick_every_few_years():
    earlier = [Dated(on=date(2008 + 2 * k, 1, 1), value=1.3 - 0.01 * k) for k in range(8)]
    plot = trend_plot(NOW, earlier, 0.05, SPACE)
    assert len(of_kind(plot, Dot)) == 9
    assert 3 <= len(plot.across.ticks) <= 8
    assert all(words == f"{value:.0f}" for value, words in plot.across.ticks)


def test_the_same_day_twice_is_no_error():
    plot = trend_plot(NOW, [Dated(on=NOW.on, value=1.18)], 0.05, SPACE)
    assert plot.across.low < year(NOW.on) < plot.across.high


@pytest.mark.parametrize("stated", ["", "2026", "20260230", "garbage!", "00000000"])
def test_no_date_is_no_day(stated):
    assert day(stated) is None


def test_years_are_evenly_spaced():
    assert year(date(1970, 1, 1)) == 1970.0
    assert year(date(2026, 1, 1)) == pytest.approx(2026.0, abs=0.003)


# ---- what is written


def test_the_words_stand_on_the_page():
    words = drawn(reference(cut_offs=threshold_set("B")))
    for each in ("Title", "20", "90", "1.23", "1.31", "1.6"):
        assert each in words
