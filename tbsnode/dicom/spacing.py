"""Pixel spacing of a densitometry image, and which attribute it came from.

A slope over distance needs millimeters, and scanners state them in several ways or not at all.
The order is that of the CR image module: Pixel Spacing, where present, is a calibrated distance in
the patient (PS3.3 10.7.1.3), Imager Pixel Spacing one at the detector. GE exports state neither
and give only the exposed area in whole millimeters.
"""

from __future__ import annotations

from dataclasses import dataclass

from tbsnode.dicom.part10 import Header
from tbsnode.reasons import Code, Finding

Pair = tuple[float, float]

_STATED = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_TOLERANCE = 0.01  # relative; two statements that differ by more contradict each other
_AREA_TOLERANCE = 0.03  # whole millimeters, and rows resampled for display
_MAGNIFICATION_MAX = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """The spacing of an image.

    Attributes
    ----------
    row_column_mm : tuple of float or None
        Distance between rows and between columns; None where nothing establishes it.
    source : str
        Keyword, ``"configuration"``, or empty.
    needs_check : bool
        True where only the anatomical check may admit it.
    findings : tuple of Finding
        Derived or contradicting spacing.
    """

    row_column_mm: Pair | None
    source: str
    needs_check: bool
    findings: tuple[Finding, ...]


def spacing_of(header: Header, configured_mm: Pair | None) -> Spacing:
    """Establish the spacing from a header, else from the configuration.

    Parameters
    ----------
    header : Header
        Of the image.
    configured_mm : tuple of float or None
        (row, column) spacing that the operator configured for this scanner model.
    """
    stated = [(keyword, pair) for keyword in _STATED if (pair := _stated(header, keyword))]
    area = _exposed_area(header)
    contradictions = [
        _contradiction(stated[0], other)
        for other in stated[1:]
        if not _close(stated[0][1], other[1], _TOLERANCE)
    ]
    if stated:
        if area and not _close(stated[0][1], area, _AREA_TOLERANCE):
            contradictions.append(_contradiction(stated[0], ("ExposedArea", area)))
        keyword, pair = stated[0]
        return Spacing(
            row_column_mm=pair, source=keyword, needs_check=False, findings=tuple(contradictions[:1])
        )
    aspect = header.numbers("PixelAspectRatio")
    if area and len(aspect) == 2 and min(aspect) > 0:
        # Pixel Aspect Ratio is vertical over horizontal; a pair that breaks it is no spacing
        ratio = aspect[0] / aspect[1]
        if abs(area[0] / area[1] / ratio - 1) > _TOLERANCE:
            contradictions.append(_contradiction(("ExposedArea", area), ("PixelAspectRatio", (ratio, 1.0))))
            area = None
    if area:
        derived = Finding(Code.DERIVED_PIXEL_SPACING, values=(("row_mm", area[0]), ("column_mm", area[1])))
        return Spacing(row_column_mm=area, source="ExposedArea", needs_check=True, findings=(derived,))
    if configured_mm and min(configured_mm) > 0:
        return Spacing(
            row_column_mm=configured_mm,
            source="configuration",
            needs_check=False,
            findings=tuple(contradictions[:1]),
        )
    return Spacing(row_column_mm=None, source="", needs_check=False, findings=tuple(contradictions[:1]))


def _stated(header: Header, keyword: str) -> Pair | None:
    values = header.numbers(keyword)
    if len(values) != 2 or min(values) <= 0:
        return None
    if keyword == "ImagerPixelSpacing":
        # at the detector; the bone is nearer to the source
        factor = header.numbers("EstimatedRadiographicMagnificationFactor")
        if factor and 1 < factor[0] < _MAGNIFICATION_MAX:
            return values[0] / factor[0], values[1] / factor[0]
    return values[0], values[1]


def _exposed_area(header: Header) -> Pair | None:
    """Divide Exposed Area, width and height in mm, by the matrix."""
    area = header.shorts("ExposedArea")
    rows, columns = header.shorts("Rows"), header.shorts("Columns")
    if len(area) != 2 or min(area) <= 0 or not rows or not columns or min(rows[0], columns[0]) <= 0:
        return None
    return area[1] / rows[0], area[0] / columns[0]


def _close(a: Pair, b: Pair, tolerance: float) -> bool:
    return all(abs(x / y - 1) <= tolerance for x, y in zip(a, b, strict=True))


def _contradiction(used: tuple[str, Pair], other: tuple[str, Pair]) -> Finding:
    values: list[tuple[str, float | str]] = []
    for role, (keyword, pair) in (("used", used), ("other", other)):
        values += [(role, keyword), (f"{role}_row_mm", pair[0]), (f"{role}_column_mm", pair[1])]
    return Finding(Code.SPACING_CONTRADICTION, values=tuple(values))
