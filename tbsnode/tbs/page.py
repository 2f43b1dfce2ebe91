"""A report page -> the gray pictures on it, as they were before they were enlarged and drawn over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbsnode.tbs import page_ink, page_regions, page_search, page_zoom

__all__ = ["PagePicture", "cut_out"]

COLOR_TOLERANCE = 3  # steps between channels after a color conversion that rounds
ROUNDED_SHARE = 0.1  # of a page; so many faint colors are rounding, not ink
COVERED_MAX = 0.5  # of a picture under ink: then it is a chart
SIDE_MIN = 60  # picture pixels
MIDDLE, ASIDE = (0.36, 0.64), (0.08, 0.22)  # of the width: the spine, soft tissue beside it


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PagePicture:
    """A picture that was cut out of a page.

    Attributes
    ----------
    pixels : ndarray of shape (M, N), float64
        Gray levels 0 to 255, bone bright as far as the picture itself tells. Under ink the nearest
        pixel that shows the patient; such pixels are `blocked`.
    blocked : ndarray of shape (M, N), bool
        Pixels with anything drawn on them, with one pixel of margin.
    row, column : int
        Place of the first pixel on the page.
    scale : int
        Page pixels along one side of a picture pixel.
    uneven : bool
        True where the page enlarged it by no whole number: some rows or columns are there twice.
    inverted : bool
        True where the page shows bone dark.
    found_by : str
        ``"private text"`` for a stated place, or ``"content"``.
    cells : tuple of Cell
        The scanner's regions from the head down, empty where its lines close none.
    """

    pixels: NDArray[np.float64]
    blocked: NDArray[np.bool_]
    row: int
    column: int
    scale: int
    uneven: bool
    inverted: bool
    found_by: str
    cells: tuple[page_regions.Cell, ...]


def cut_out(
    page: NDArray[np.uint8], box: tuple[int, int, int, int] | None = None, *, levels: int = 4
) -> tuple[PagePicture, ...]:
    """Cut the gray pictures out of a page.

    Parameters
    ----------
    page : ndarray of uint8, shape (M, N, 3) or (M, N)
        Red, green, blue; or gray.
    box : tuple of int, optional
        Left, top, width and height of a picture as the page's text states it [page pixels].
    levels : int
        How many of the scanner's regions are expected.

    Returns
    -------
    tuple of PagePicture
        The likeliest first: the stated one, then by size. Empty where the page shows no picture.
    """
    gray, colored = _channels(page)
    stated = None if box is None else page_search.Box(box[1], box[0], box[1] + box[3], box[0] + box[2])
    found = []
    for place, is_stated in page_search.find_pictures(gray, colored, stated):
        picture = _cut(gray, colored, place, "private text" if is_stated else "content", levels)
        if picture is not None:
            found.append(picture)
    return tuple(found)


def _channels(page: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return one gray channel, and where the page is colored."""
    if page.ndim == 2:
        return page, np.zeros(page.shape, dtype=np.bool_)
    red, green, blue = (page[..., channel] for channel in range(3))
    gray = np.ascontiguousarray(green)
    colored = (red != green) | (blue != green)
    if np.mean(colored[::2, ::2]) > ROUNDED_SHARE:
        some = page[::2, ::2].astype(np.int16)
        spread = some.max(axis=2) - some.min(axis=2)
        faint = (spread > 0) & (spread <= COLOR_TOLERANCE)
        if np.mean(faint) > ROUNDED_SHARE:
            whole = page.astype(np.int16)
            colored = whole.max(axis=2) - whole.min(axis=2) > COLOR_TOLERANCE
    return gray, colored


def _cut(
    gray: NDArray[np.uint8],
    colored: NDArray[np.bool_],
    box: page_search.Box,
    found_by: str,
    levels: int,
) -> PagePicture | None:
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    gray, colored = gray[rows, columns], colored[rows, columns]
    if np.mean(colored) > COVERED_MAX:
        return None
    zoom = page_zoom.find_zoom(gray, colored)
    clean = page_ink.clean(gray, colored, zoom)
    if min(clean.gray.shape) < SIDE_MIN or np.mean(clean.ink) > COVERED_MAX:
        return None
    regions = page_regions.find_cells(clean.gray, clean.drawn, zoom.scale, levels)
    inverted = not regions.bright if regions else _is_inverted(clean.gray)
    return PagePicture(
        pixels=255.0 - clean.gray if inverted else clean.gray,
        blocked=clean.blocked,
        row=box.top + zoom.top,
        column=box.left + zoom.left,
        scale=zoom.scale,
        uneven=zoom.uneven,
        inverted=inverted,
        found_by=found_by,
        cells=regions.cells if regions else (),
    )


def _is_inverted(gray: NDArray[np.float64]) -> bool:
    """Tell if the middle is darker than what is beside it."""
    wide = gray.shape[1]
    middle, left, right = (
        gray[:, round(start * wide) : round(stop * wide)]
        for start, stop in (MIDDLE, ASIDE, (1 - ASIDE[1], 1 - ASIDE[0]))
    )
    return float(np.mean(middle)) < min(float(np.mean(left)), float(np.mean(right)))
