"""What is drawn over a picture: colored lines, white or black lines, letters, label squares.

Three signs. Color. Page pixels of one picture pixel that differ: they were drawn after the picture was
enlarged. And strokes: thin, of one gray level, with an edge sharper than any bone on the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tbsnode.tbs.ink import filled
from tbsnode.tbs.page_zoom import Zoom

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Image = NDArray[np.float64]

STROKE_PX = 5  # an opening this wide takes thinner strokes away
CONTRAST_MIN = 36.0  # gray levels of a stroke against what lies beside it
CONTRAST_NOISE = 6.0  # the same in standard deviations of the picture's noise
WEAK = 0.35  # of that contrast continues a stroke that began with all of it
SHARP = 0.75  # of a stroke's height is gone one pixel beside it; blurred bone keeps more
STROKE_SIZE_MIN = 4  # pixels
LEVELS_MAX = 3  # gray levels that strokes may have, for each polarity
LEVEL_SHARE_MIN = 0.08  # of all strongly contrasting pixels
BLENDED = 0.42  # of the way from the picture to white or black; noise stays far below
BLENDED_LENGTH_MIN = 6  # pixels; a letter, a dash
BLENDED_LINE = 0.2  # of the picture's narrower side is the length of a line between levels or an outline
FULL_INK, FULL_INK_MIN = 250, 3  # gray level, and pixels of it, that a blended line has somewhere
# Of a picture that nobody called a page: a line this long, as a part of the picture's side along it, or so
# many letters. None of 514 pictures of the phantom family has a stroke; on 409 of another generator sharp
# pieces of saturated cages, screws and endplates reach 0.14, and 2.
DRAWN_LINE, DRAWN_LETTERS = 0.2, 5
SQUARE_SIDE_MIN = 7  # pixels
SQUARE_FILL = 0.95  # of its bounding box
SQUARE_BESIDE_MAX = 0.2  # of the pixels around it have its level; clipped soft tissue goes on
SQUARES_MAX = 400
CORE = np.ones((3, 3), dtype=np.bool_)


@dataclass(frozen=True, eq=False, slots=True)
class Cleaned:
    """A picture without what is drawn over it.

    Attributes
    ----------
    gray : ndarray of shape (M, N)
        One value a picture pixel; where ink covers all of it the nearest that shows the patient.
    ink : ndarray of shape (M, N)
        Picture pixels that something is drawn on.
    blocked : ndarray of shape (M, N)
        The same with one pixel of margin.
    drawn : ndarray of shape (M * scale, N * scale)
        Page pixels that something is drawn on.
    """

    gray: Image
    ink: Mask
    blocked: Mask
    drawn: Mask


def clean(gray: Bytes, colored: Mask, zoom: Zoom) -> Cleaned:
    """Undo the zoom of a picture and find what is drawn over it.

    Parameters
    ----------
    gray, colored : ndarray of shape (M, N)
        Of the picture on the page; True where the page is colored.
    zoom : Zoom
        From `page_zoom.find_zoom`.
    """
    scale = zoom.scale
    rows, columns = (gray.shape[0] - zoom.top) // scale, (gray.shape[1] - zoom.left) // scale
    whole = (
        slice(zoom.top, zoom.top + rows * scale),
        slice(zoom.left, zoom.left + columns * scale),
    )
    gray, colored = gray[whole], colored[whole]
    native, mixed = _native(gray, colored, scale)
    colored_native = _any(colored, scale)
    ink = mixed | colored_native
    shown = colored_native & ~mixed & ~np.logical_and.reduce(_copies(colored, scale))
    ink |= strokes(native, ink)
    if scale == 1 and not colored.any():  # nothing else tells ink that blends into the picture
        ink |= blended(native)
    ink |= squares(native)
    alone = _enlarged(ink & ~mixed & ~colored_native, scale)
    drawn = colored | alone | (_enlarged(mixed, scale) & (gray != _enlarged(native, scale)))
    blocked = ndimage.maximum_filter(ink, size=3)
    return Cleaned(filled(native.astype(np.float64), ink & ~shown), ink, blocked, drawn)


def _copies(page: NDArray[Any], scale: int) -> list[NDArray[Any]]:
    """Return the page pixels of each place within a block: `scale` squared arrays of picture size."""
    return [page[i::scale, j::scale] for i in range(scale) for j in range(scale)]


def _any(page: Mask, scale: int) -> Mask:
    return np.asarray(np.logical_or.reduce(_copies(page, scale)))


def _enlarged(native: NDArray[Any], scale: int) -> NDArray[Any]:
    return native.repeat(scale, axis=0).repeat(scale, axis=1) if scale > 1 else native


def _native(gray: Bytes, colored: Mask, scale: int) -> tuple[Bytes, Mask]:
    """Return the value of each block, and which blocks have more than one where they are not colored."""
    if scale == 1:
        return gray.copy(), np.zeros(gray.shape, dtype=np.bool_)
    low = np.minimum.reduce(_copies(np.where(colored, np.uint8(255), gray), scale))
    high = np.maximum.reduce(_copies(np.where(colored, np.uint8(0), gray), scale))
    native = np.where(low <= high, low, gray[::scale, ::scale])
    mixed = low < high
    if mixed.any():  # most page pixels of a block show the picture
        values = np.stack([copy[mixed] for copy in _copies(gray, scale)], axis=1).astype(np.int16)
        covered = np.stack([copy[mixed] for copy in _copies(colored, scale)], axis=1)
        native[mixed] = _commonest(np.where(covered, np.int16(-1), values))
    return native, mixed


def _commonest(values: NDArray[np.int16]) -> Bytes:
    """Return the value that most entries of each row share, leaving out negative ones."""
    votes = (values[:, :, None] == values[:, None, :]).sum(axis=2) * (values >= 0)
    chosen = values[np.arange(values.shape[0]), np.argmax(votes, axis=1)]
    return np.asarray(chosen, dtype=np.uint8)


# ---- strokes and squares ----------------------------------------------------------------------------


def strokes(gray: Bytes, known: Mask) -> Mask:
    """Find thin lines and letters of one gray level.

    Parameters
    ----------
    gray : ndarray of shape (M, N)
        Gray levels of the picture, one value a pixel.
    known : ndarray of shape (M, N)
        What is known to be drawn; it teaches nothing about the picture.
    """
    image = gray.astype(np.int16)
    found = np.zeros(gray.shape, dtype=np.bool_)
    noise = _noise(image, known)
    for bright in (True, False):
        signed = image if bright else 255 - image
        height = signed - opened(signed)
        strong = height >= max(CONTRAST_MIN, CONTRAST_NOISE * noise)
        for level in _levels(signed[strong & ~known]):
            found |= _strokes_of(signed, signed == level, strong, height)
    return found


def is_drawn_over(gray: Bytes) -> bool:
    """Tell if lines or text are drawn into a picture that nobody called a page.

    Parameters
    ----------
    gray : ndarray of shape (M, N)
        Gray levels of the picture, one value a pixel.

    Examples
    --------
    >>> picture = np.full((80, 60), 90, dtype=np.uint8)
    >>> is_drawn_over(picture)
    False
    >>> picture[40, 10:50] = 255
    >>> is_drawn_over(picture)
    True
    """
    labels, count = ndimage.label(strokes(gray, np.zeros(gray.shape, dtype=np.bool_)), structure=CORE)
    shares = [
        (part.stop - part.start) / side
        for place in ndimage.find_objects(labels)
        for part, side in zip(place, gray.shape, strict=True)
    ]
    return int(count) >= DRAWN_LETTERS or max(shares, default=0.0) >= DRAWN_LINE


def opened(image: NDArray[Any]) -> NDArray[Any]:
    """Take away what is thinner than a stroke can be, and bright: a gray opening.

    That of SciPy with ``mode="nearest"``, and twenty times as fast: every picture is looked at.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Gray levels.

    Returns
    -------
    ndarray of shape (M, N)
        The same without thin bright things.
    """
    for take in (np.minimum, np.maximum):
        for axis in (0, 1):
            around = np.pad(image, [(STROKE_PX // 2,) * 2 if a == axis else (0, 0) for a in (0, 1)], "edge")
            parts = [around[i:, :] if axis == 0 else around[:, i:] for i in range(STROKE_PX)]
            rows, columns = image.shape
            image = reduce(take, [part[:rows, :columns] for part in parts])
    return image


def _noise(image: NDArray[np.int16], known: Mask) -> float:
    """Return the standard deviation of neighboring pixels' differences, robustly, over the tones."""
    step = image[:, 1:] - image[:, :-1]
    use = ~(known[:, 1:] | known[:, :-1]) & (image[:, 1:] > 40)
    return float(np.median(np.abs(step[use]))) / 0.6745 / 1.414 if use.any() else 0.0


def _levels(values: NDArray[np.int16]) -> list[int]:
    if values.size < STROKE_SIZE_MIN:
        return []
    counts = np.bincount(values, minlength=256)
    order = np.argsort(-counts, kind="stable")[:LEVELS_MAX]
    return [int(v) for v in order if counts[v] >= max(STROKE_SIZE_MIN, LEVEL_SHARE_MIN * values.size)]


def _strokes_of(signed: NDArray[np.int16], level: Mask, strong: Mask, height: NDArray[np.int16]) -> Mask:
    """Return connected pixels of one level that begin with a strong contrast and have sharp edges."""
    weak = level & (height >= WEAK * CONTRAST_MIN)
    labels, count = ndimage.label(weak, structure=CORE)
    if count == 0:
        return weak
    size = np.bincount(labels.ravel(), minlength=count + 1)
    firm = np.bincount(labels[strong & level], minlength=count + 1)
    grown = ndimage.grey_dilation(labels, size=(3, 3))
    ring = (grown > 0) & ~level
    gone = signed[level].max() - signed[ring] if ring.any() else np.zeros(0)
    tall = ndimage.grey_dilation(np.where(weak, height, 0), size=(3, 3))[ring]
    beside = np.bincount(grown[ring], minlength=count + 1)
    sharp = np.bincount(grown[ring], weights=gone >= SHARP * tall, minlength=count + 1)
    keep = (size >= STROKE_SIZE_MIN) & (firm >= 0.5 * size) & (sharp >= 0.7 * np.maximum(beside, 1))
    keep[0] = False
    return np.asarray(keep[labels])


def blended(gray: Bytes) -> Mask:
    """Find thin white or black lines whose edges blend into the picture.

    Parameters
    ----------
    gray : ndarray of shape (M, N)
        Gray levels of the picture, one value a pixel.
    """
    image = gray.astype(np.int16)
    found = np.zeros(gray.shape, dtype=np.bool_)
    for bright in (True, False):
        signed = image if bright else 255 - image
        ground = opened(signed)
        height = signed - ground
        line = (height >= CONTRAST_MIN) & (height >= BLENDED * (255 - ground))
        labels, count = ndimage.label(line, structure=CORE)
        if count == 0:
            continue
        long = [max(part.stop - part.start for part in place) for place in ndimage.find_objects(labels)]
        if max(long) < BLENDED_LINE * min(gray.shape):  # no line, so what is there is bone
            continue
        keep = np.array([False, *(length >= BLENDED_LENGTH_MIN for length in long)])
        full = np.bincount(labels[line & (signed >= FULL_INK)], minlength=count + 1)
        found |= (keep & (full >= FULL_INK_MIN))[labels]
    return found


def squares(gray: Bytes) -> Mask:
    """Find filled rectangles of one gray level away from the border: grounds of labels.

    Parameters
    ----------
    gray : ndarray of shape (M, N)
        Gray levels of the picture, one value a pixel.
    """
    found = np.zeros(gray.shape, dtype=np.bool_)
    flat = ndimage.maximum_filter(gray, size=3) == ndimage.minimum_filter(gray, size=3)
    flat[[0, -1]] = False
    flat[:, [0, -1]] = False
    labels, count = ndimage.label(flat)
    if count == 0:
        return found
    for rows, columns in ndimage.find_objects(labels)[:SQUARES_MAX]:
        place = rows.start, columns.start + int(np.argmax(flat[rows.start, columns]))
        high, wide = rows.stop - rows.start, columns.stop - columns.start
        if min(high, wide) + 2 < SQUARE_SIDE_MIN:
            continue
        if (
            min(rows.start, columns.start) < 2
            or rows.stop + 2 > gray.shape[0]
            or columns.stop + 2 > gray.shape[1]
        ):
            continue
        level = gray[rows.start - 2 : rows.stop + 2, columns.start - 2 : columns.stop + 2] == gray[place]
        around = level.copy()
        around[1:-1, 1:-1] = False
        if around.sum() > SQUARE_BESIDE_MAX * 2 * (high + wide + 6):
            continue
        if np.mean(ndimage.binary_fill_holes(level[1:-1, 1:-1])) >= SQUARE_FILL:
            found[rows.start - 1 : rows.stop + 1, columns.start - 1 : columns.stop + 1] = True
    return found
