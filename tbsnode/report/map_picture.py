"""The texture map over the picture: for visualization only, and printed so.

The colors go from dark blue over gray to yellow, brighter for a steeper slope all the way, so that they stay
in order on a gray printer and for every kind of color vision. They are no classes: nothing turns red.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reportlab.lib.colors import Color, black, white
from reportlab.platypus import Flowable

from tbsnode.report import raster
from tbsnode.report.figures import window
from tbsnode.report.layout import INK, SANS
from tbsnode.report.plot import SMALL
from tbsnode.tbs.result import Vertebra
from tbsnode.tbs.texture_map import local_slopes

SCALE = (0.5, 2.0)  # texture slope; beyond, the end's color
TICKS = (0.5, 1.0, 1.5, 2.0)
ANCHORS = ((11, 37, 89), (128, 121, 122), (255, 231, 90))  # at the ends and in the middle of the scale
COLORS = 64
MOST_CORNERS = 50  # of an outline, about: more cannot be seen at this size
MARGIN_MM = 6.0  # of the picture around the regions
MOST_ROWS = 360  # of the embedded raster
DIMMED = 0.75  # the picture around the regions
LEGEND = 40.0  # points right of the picture

Rgb = NDArray[np.uint8]


def _palette() -> Rgb:
    places = np.linspace(0.0, 1.0, len(ANCHORS))
    at = np.linspace(0.0, 1.0, COLORS)
    channels = [np.interp(at, places, [anchor[c] for anchor in ANCHORS]) for c in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


PALETTE = _palette()


def colored(slope: NDArray[np.float64]) -> Rgb:
    """Return the color of each local slope.

    Parameters
    ----------
    slope : ndarray
        Finite values; beyond `SCALE` they take the color of its end.

    Returns
    -------
    ndarray of shape (*slope.shape, 3), uint8
        From `PALETTE`.
    """
    share = (slope - SCALE[0]) / (SCALE[1] - SCALE[0])
    rgb: Rgb = PALETTE[np.clip(np.rint(share * (COLORS - 1)), 0, COLORS - 1).astype(int)]
    return rgb


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MapRaster:
    """The picture around the regions with the map in them.

    Attributes
    ----------
    rgb : ndarray of shape (M, N, 3), uint8
        Every `stride`-th pixel of the part of the picture.
    row, column : int
        Its first pixel on the picture.
    stride : int
        Pixels of the picture a pixel of the raster.
    """

    rgb: Rgb
    row: int
    column: int
    stride: int


def map_raster(
    pixels: NDArray[np.float64], vertebrae: tuple[Vertebra, ...], spacing_mm: tuple[float, float]
) -> MapRaster | None:
    """Draw the local slopes into the part of the picture that holds the regions.

    Parameters
    ----------
    pixels : ndarray of shape (M, N)
        Stored values, bone bright.
    vertebrae : tuple of Vertebra
        All levels that have a region, counted or not.
    spacing_mm : tuple of float
        Distance of rows, then of columns.

    Returns
    -------
    MapRaster or None
        None where no region holds a pixel.
    """
    rings = [v.region for v in vertebrae if len(v.region) >= 3]
    mapped = [found for found in local_slopes(pixels, rings, spacing_mm) if found is not None]
    if not mapped:
        return None
    margin = [round(MARGIN_MM / step) for step in spacing_mm]
    top = max(0, min(m.row for m in mapped) - margin[0])
    left = max(0, min(m.column for m in mapped) - margin[1])
    bottom = min(pixels.shape[0], max(m.row + m.inside.shape[0] for m in mapped) + margin[0])
    right = min(pixels.shape[1], max(m.column + m.inside.shape[1] for m in mapped) + margin[1])
    stride = -(-(bottom - top) // MOST_ROWS)
    gray = window(np.asarray(pixels[top:bottom:stride, left:right:stride], np.float64))
    rgb = np.repeat((DIMMED * gray).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)
    for each in mapped:
        values = each.by_pixel()
        first = (-(each.row - top) % stride, -(each.column - left) % stride)
        values = values[first[0] :: stride, first[1] :: stride]
        at = ((each.row - top + first[0]) // stride, (each.column - left + first[1]) // stride)
        target = rgb[at[0] : at[0] + values.shape[0], at[1] : at[1] + values.shape[1]]
        known = np.isfinite(values)
        target[known] = colored(values[known])
    return MapRaster(rgb=rgb, row=top, column=left, stride=stride)


class MapPicture(Flowable):  # type: ignore[misc]  # reportlab has no types
    """The raster in its true proportions, outlines, and the scale beside it.

    Parameters
    ----------
    raster : MapRaster
        Picture and map.
    vertebrae : tuple of Vertebra
        Their outlines are drawn, dashed where left out.
    spacing_mm : tuple of float
        Distance of rows, then of columns of the picture.
    title : str
        Beside the scale.
    box : tuple of float
        Width and height at most [points]; the scale takes `LEGEND` of the width.
    """

    def __init__(
        self,
        raster: MapRaster,
        vertebrae: tuple[Vertebra, ...],
        spacing_mm: tuple[float, float],
        title: str,
        box: tuple[float, float],
    ) -> None:
        super().__init__()
        self._raster, self._vertebrae, self._title = raster, vertebrae, title
        rows, columns = raster.rgb.shape[:2]
        size_mm = (columns * spacing_mm[1] * raster.stride, rows * spacing_mm[0] * raster.stride)
        scale = min((box[0] - LEGEND) / size_mm[0], box[1] / size_mm[1])
        self._picture = (size_mm[0] * scale, size_mm[1] * scale)
        self.width, self.height = self._picture[0] + LEGEND, self._picture[1]

    def place(self, row: float, column: float) -> tuple[float, float]:
        """Return where a pixel's center lies, in points from the lower left corner."""
        raster = self._raster
        rows, columns = raster.rgb.shape[:2]
        across = ((column - raster.column) / raster.stride + 0.5) / columns
        down = ((row - raster.row) / raster.stride + 0.5) / rows
        return across * self._picture[0], (1.0 - down) * self._picture[1]

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        canvas, rgb = self.canv, self._raster.rgb
        canvas.saveState()
        raster.draw(canvas, rgb, self._picture)
        for vertebra in self._vertebrae:
            if len(vertebra.region) >= 3:
                self._outline(canvas, vertebra)
        canvas.restoreState()
        self._scale(canvas)

    def _outline(self, canvas: Any, vertebra: Vertebra) -> None:
        ring = vertebra.region[:: max(1, len(vertebra.region) // MOST_CORNERS)]
        path = canvas.beginPath()
        path.moveTo(*self.place(*ring[0]))
        for row, column in ring[1:]:
            path.lineTo(*self.place(row, column))
        path.close()
        for color, width in ((black, 1.3), (white, 0.6)):
            canvas.setStrokeColor(color)
            canvas.setLineWidth(width)
            canvas.setDash(*(() if vertebra.included else (3, 2)))
            canvas.drawPath(path, stroke=1, fill=0)

    def _scale(self, canvas: Any) -> None:
        left, height = self._picture[0] + 6.0, min(self._picture[1] - 10.0, 90.0)
        colors = PALETTE[:: COLORS // 16]
        step = height / len(colors)
        canvas.saveState()
        for index, (red, green, blue) in enumerate(colors.tolist()):
            canvas.setFillColor(Color(red / 255, green / 255, blue / 255))
            canvas.rect(left, 4.0 + index * step, 8.0, step + 0.2, stroke=0, fill=1)
        canvas.setFillColor(INK)
        canvas.setFont(SANS, SMALL)
        for tick in TICKS:
            at = 4.0 + height * (tick - SCALE[0]) / (SCALE[1] - SCALE[0])
            canvas.drawString(left + 10.5, at - 2.3, f"{tick:.1f}")
        canvas.translate(left + 32.0, 4.0 + height / 2)
        canvas.rotate(90)
        canvas.drawCentredString(0, 0, self._title)
        canvas.restoreState()
