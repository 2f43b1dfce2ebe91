"""The picture in the PDF: gray levels as an image, outlines and labels as vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from reportlab.lib.colors import Color, black, white
from reportlab.platypus import Flowable

from tbsnode.report import raster
from tbsnode.report.figures import EXCLUDED_RGB, INCLUDED_RGB
from tbsnode.report.layout import BOLD
from tbsnode.tbs.result import Vertebra

MOST_PIXELS = 900  # rows or columns embedded; more than 200 pixels an inch on the page
BAR_MM = 50.0


Gray = NDArray[np.uint8]


def color_of(vertebra: Vertebra) -> Any:
    """Return the color of a level: sky blue where it counts, orange where it does not."""
    red, green, blue = INCLUDED_RGB if vertebra.included else EXCLUDED_RGB
    return Color(red / 255, green / 255, blue / 255)


def reduced(gray: Gray, limit: int = MOST_PIXELS) -> Gray:
    """Shrink a picture by area average until no side is longer than `limit` [pixels].

    Parameters
    ----------
    gray : ndarray of shape (M, N), uint8
        The picture; returned as it is if small enough.
    limit : int
        Longest side.

    Returns
    -------
    ndarray of shape (min(M, limit), min(N, limit)), uint8
        Each side is reduced on its own; the drawing restores the aspect.
    """
    values = gray.astype(np.float64)
    for axis, length in enumerate(gray.shape):
        if length > limit:
            edges = np.linspace(0.0, length, limit + 1)
            values = _area_average(values, edges, axis)
    return np.asarray(np.rint(values), np.uint8)


def _area_average(values: NDArray[np.float64], edges: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    moved = np.moveaxis(values, axis, 0)
    integral = np.concatenate([np.zeros((1, moved.shape[1])), np.cumsum(moved, axis=0)])
    below = np.minimum(edges.astype(int), len(moved) - 1)
    at_edges = integral[below] + (edges - below)[:, np.newaxis] * moved[below]
    mean = np.diff(at_edges, axis=0) / np.diff(edges)[:, np.newaxis]
    return np.moveaxis(mean, 0, axis)


class SpinePicture(Flowable):  # type: ignore[misc]  # reportlab has no types
    """The picture in its true proportions, with outlines, labels and a scale bar.

    Attributes
    ----------
    width, height : float
        Size on the page [points].
    """

    def __init__(
        self,
        gray: Gray,
        vertebrae: tuple[Vertebra, ...],
        spacing_mm: tuple[float, float] | None,
        box: tuple[float, float],
    ) -> None:
        super().__init__()
        self._gray, self._vertebrae, self._spacing = gray, vertebrae, spacing_mm
        row_mm, column_mm = spacing_mm or (1.0, 1.0)
        size_mm = (gray.shape[1] * column_mm, gray.shape[0] * row_mm)
        self._scale = min(box[0] / size_mm[0], box[1] / size_mm[1])  # points per mm
        self.width, self.height = size_mm[0] * self._scale, size_mm[1] * self._scale

    def draw(self) -> None:
        """Draw with the lower left corner at the origin."""
        embedded = reduced(self._gray)
        raster.draw(self.canv, embedded, (self.width, self.height))
        for vertebra in self._vertebrae:
            if len(vertebra.region) >= 3:
                self._outline(vertebra)
        for vertebra in self._vertebrae:
            if len(vertebra.region) >= 3:
                self._label(vertebra)
        if self._spacing is not None:
            self._bar()

    def _point(self, row: float, column: float) -> tuple[float, float]:
        rows, columns = self._gray.shape
        return (column + 0.5) / columns * self.width, (1.0 - (row + 0.5) / rows) * self.height

    def _outline(self, vertebra: Vertebra) -> None:
        path = self.canv.beginPath()
        path.moveTo(*self._point(*vertebra.region[0]))
        for row, column in vertebra.region[1:]:
            path.lineTo(*self._point(row, column))
        path.close()
        self.canv.saveState()
        self.canv.setLineJoin(1)
        # dark below bright: seen on bone and on background
        for color, width in ((black, 2.2), (color_of(vertebra), 1.1)):
            self.canv.setStrokeColor(color)
            self.canv.setLineWidth(width)
            self.canv.setDash(*(() if vertebra.included else (4, 3)))
            self.canv.drawPath(path, stroke=1, fill=0)
        self.canv.restoreState()

    def _label(self, vertebra: Vertebra) -> None:
        points = [self._point(row, column) for row, column in vertebra.region]
        size = 10.0
        plate = self.canv.stringWidth(vertebra.label, BOLD, size) + 4
        left = min(x for x, _ in points) - plate - 4
        if left < 0:
            left = min(max(x for x, _ in points) + 4, self.width - plate)
        middle = sum(y for _, y in points) / len(points)
        bottom = min(max(middle - 7, 0.0), self.height - 14)
        self.canv.setFillColor(black)
        self.canv.rect(left, bottom, plate, 14, stroke=0, fill=1)
        self.canv.setFillColor(color_of(vertebra))
        self.canv.setFont(BOLD, size)
        self.canv.drawString(left + 2, bottom + 3.5, vertebra.label)

    def _bar(self) -> None:
        length = BAR_MM * self._scale
        if length > self.width - 16:
            return
        self.canv.setFillColor(black)
        self.canv.rect(5, 4, length + 6, 7, stroke=0, fill=1)
        self.canv.setFillColor(white)
        self.canv.rect(8, 6.5, length, 2, stroke=0, fill=1)
