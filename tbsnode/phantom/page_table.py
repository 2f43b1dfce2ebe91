"""The results that a report page prints: what the scanner would have found in the true regions."""

from __future__ import annotations

from dataclasses import dataclass

from tbsnode.phantom.drawing import TrueLevel, Truth
from tbsnode.phantom.page_layout import WHITE_PAGE, Layout

Cells = tuple[tuple[str, ...], ...]

REPORTED = ("L1", "L2", "L3", "L4")
SPANS = ("L1-L2", "L1-L3", "L1-L4", "L2-L3", "L2-L4", "L3-L4")
# Round numbers near those of young women [g/cm2]; no vendor's reference.
YOUNG_MEAN = {"L1": 0.96, "L2": 1.05, "L3": 1.08, "L4": 1.08}
YOUNG_MEAN_OTHER = 1.05
YOUNG_SD = 0.11
AGE_LOSS_SD = 1.2  # of the phantom patient's age group
WHOLE_FROM = 0.99  # `TrueLevel.visible` counts pixels, to a few thousandths
HIP_RESULTS = (("NECK", 5.12, 0.742, 0.849, 0.111), ("TOTAL", 36.40, 0.861, 0.942, 0.122))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedTable:
    """A table as printed.

    Attributes
    ----------
    heads, units : tuple of str
        Two lines of head.
    rows : tuple of tuples of str
        The cells.
    offsets_px : tuple of int
        Left edges of the columns [pixels].
    width_px : int
        Of the whole [pixels].
    """

    heads: tuple[str, ...]
    units: tuple[str, ...]
    rows: Cells
    offsets_px: tuple[int, ...]
    width_px: int = 492


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """One row before it is printed: lengths in cm, area in cm2, content in g."""

    region: str
    area: float
    content: float
    height: float
    young: float
    young_sd: float = YOUNG_SD

    @property
    def density(self) -> float:
        return self.content / self.area

    @property
    def t_score(self) -> float:
        return (self.density - self.young) / self.young_sd


def results_table(truth: Truth | None, layout: Layout = WHITE_PAGE) -> Cells:
    """Return the main table as a report prints it, header first.

    Parameters
    ----------
    truth : Truth or None
        Of a spine; None: a hip.
    layout : Layout
        Which columns and sums, how numbers are written.

    Returns
    -------
    tuple of tuples of str
        Region, area [cm2], mineral content [g], density [g/cm2] and the scores, with a total; or, in
        a wide table, region, density and the scores, with the sums of neighboring levels.
    """
    printed, *_ = printed_tables(truth, layout)
    return (printed.heads, *printed.rows)


def printed_tables(truth: Truth | None, layout: Layout) -> tuple[PrintedTable, ...]:
    """Return the tables of a page: one, or the main and the ancillary one.

    Parameters
    ----------
    truth : Truth or None
        Of a spine; None: a hip.
    layout : Layout
        Which columns and sums, how numbers are written.

    Returns
    -------
    tuple of PrintedTable
        Numbers as the scanner would find them in the true regions, inside the field.
    """
    results = _hip() if truth is None else _levels(truth, layout)
    if not layout.wide_table:
        return (_narrow(results, layout),)
    return _densities(results, layout), _ancillary(results, layout)


def _hip() -> list[_Result]:
    return [
        _Result(region=region, area=area, content=area * density, height=0.0, young=young, young_sd=sd)
        for region, area, density, young, sd in HIP_RESULTS
    ]


def _levels(truth: Truth, layout: Layout) -> list[_Result]:
    single = [
        _one(level, layout.area_factor)
        for level in truth.levels
        if level.label in REPORTED and level.visible > 0.0
    ]
    if not single:
        return []
    if not layout.wide_table:
        return [*single, _sum("TOTAL", single)]
    found = {result.region: result for result in single}
    spans = []
    for span in SPANS:
        first, last = span.split("-")
        labels = REPORTED[REPORTED.index(first) : REPORTED.index(last) + 1]
        if all(label in found for label in labels):
            spans.append(_sum(span, [found[label] for label in labels]))
    return [*single, *spans]


def _one(level: TrueLevel, area_factor: float) -> _Result:
    inside = 1.0 if level.visible > WHOLE_FROM else level.visible
    area = level.area_mm2 * inside / 100.0 * area_factor
    return _Result(
        region=level.label,
        area=area,
        content=area * level.areal_density,
        height=level.pitch_mm / 10.0 * area_factor**0.5,
        young=YOUNG_MEAN[level.label],
    )


def _sum(region: str, parts: list[_Result]) -> _Result:
    return _Result(
        region=region,
        area=sum(part.area for part in parts),
        content=sum(part.content for part in parts),
        height=sum(part.height for part in parts),
        young=sum(part.young for part in parts) / len(parts),
    )


def _number(value: float, digits: int, layout: Layout) -> str:
    text = f"{value:.{digits}f}"
    if float(text) == 0.0:
        text = text.removeprefix("-")
    return text.replace(".", ",") if layout.decimal_comma else text


def _scores(result: _Result, layout: Layout) -> tuple[str, ...]:
    if not layout.scores:
        return ()
    return tuple(_number(score, 1, layout) for score in (result.t_score, result.t_score + AGE_LOSS_SD))


def _narrow(results: list[_Result], layout: Layout) -> PrintedTable:
    rows = tuple(
        (
            result.region,
            _number(result.area, 2, layout),
            _number(result.content, 2, layout),
            _number(result.density, 3, layout),
            *_scores(result, layout),
        )
        for result in results
    )
    count = 6 if layout.scores else 4
    return PrintedTable(
        heads=("REGION", "AREA", "BMC", "BMD", "T-SCORE", "Z-SCORE")[:count],
        units=("", "(CM2)", "(G)", "(G/CM2)", "", "")[:count],
        rows=rows,
        offsets_px=(0, 82, 158, 236, 318, 408)[:count] if layout.scores else (0, 110, 220, 330),
    )


def _densities(results: list[_Result], layout: Layout) -> PrintedTable:
    count = 4 if layout.scores else 2
    return PrintedTable(
        heads=("REGION", "BMD", "YOUNG-ADULT", "AGE-MATCHED")[:count],
        units=("", "(G/CM2)", "T-SCORE", "Z-SCORE")[:count],
        rows=tuple(
            (result.region, _number(result.density, 3, layout), *_scores(result, layout))
            for result in results
        ),
        offsets_px=(0, 100, 204, 350)[:count],
    )


def _ancillary(results: list[_Result], layout: Layout) -> PrintedTable:
    return PrintedTable(
        heads=("REGION", "BMC", "AREA", "WIDTH", "HEIGHT"),
        units=("", "(G)", "(CM2)", "(CM)", "(CM)"),
        rows=tuple(
            (
                result.region,
                _number(result.content, 2, layout),
                _number(result.area, 2, layout),
                _number(result.area / result.height, 1, layout) if result.height else "-",
                _number(result.height, 2, layout) if result.height else "-",
            )
            for result in results
        ),
        offsets_px=(0, 100, 195, 295, 395),
    )
