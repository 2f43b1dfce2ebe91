"""Where on a report page the gray pictures are: by content, or by a stated place that content confirms.

Paper, text, frames and charts are flat; a densitometry picture is made of many gray levels. So blocks
that hold many are grown until paper begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

STRIDE = 2  # every second page pixel is enough to find a picture
BLOCK = 8  # of those; 16 page pixels
TONED_MIN = 0.4  # of a block; letters with soft edges reach a third
TONE_RANGE_MIN = 6  # gray levels within a block
BLACK, WHITE = 4, 250  # text and paper lie beyond
SIDE_MIN = 64  # page pixels; 90 mm at the coarsest scan step
FILL_MIN = 0.25  # of a box that shows tones; soft tissue may be clipped
LEVELS_MIN, LEVEL_SHARE_MIN = 20, 0.002  # gray levels, and the share of tones that makes one count
PAPER_SHARE = 0.5  # of a line that is paper: there the picture has ended
FLAT_SHARE = 0.98  # of a line that is dark paper: soft tissue may be nearly as dark
FRAME_SHARE = 0.9  # of a line of one value: a frame, which a label may cross
FRAME_CONTRAST = 50  # gray levels against paper
FRAME_MAX = 6  # page pixels
DARK_PAPER_SHARE = 0.4  # of the page; clipped soft tissue may fill a third of a picture
STATED_ERROR = 8  # page pixels by which a stated place may be wrong
SAME_PLACE = 0.8  # intersection over union
PICTURES_MAX = 4
PAPER, FRAME, TONES = "paper", "frame", "tones"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the page, in page pixels; `bottom` and `right` lie one past the end."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def area(self) -> int:
        """Page pixels inside."""
        return max(self.bottom - self.top, 0) * max(self.right - self.left, 0)

    def cut(self, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the part of an array of shape (M, N) or (M, N, 3) inside."""
        return pixels[self.top : self.bottom, self.left : self.right]

    def overlap(self, other: Box) -> float:
        """Return intersection over union, 0 to 1."""
        shared = Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )
        apart = shared.bottom <= shared.top or shared.right <= shared.left
        return 0.0 if apart else shared.area / (self.area + other.area - shared.area)

    def holds(self, other: Box) -> bool:
        """Tell if the middle of another box lies inside."""
        row, column = (other.top + other.bottom) / 2, (other.left + other.right) / 2
        return self.top <= row < self.bottom and self.left <= column < self.right


@dataclass(frozen=True, eq=False, slots=True)
class _Page:
    """One gray value a pixel, where it is colored, and the value of paper (-1: there is none)."""

    gray: Bytes
    colored: Mask
    paper: int
    paper_share: float

    def line(self, box: Box, side: str, outside: int) -> tuple[Bytes, Mask]:
        """Return the row or column `outside` page pixels beyond a side of a box (negative: inside)."""
        if side in ("top", "bottom"):
            row = box.top - outside if side == "top" else box.bottom - 1 + outside
            place: tuple[int | slice, int | slice] = (row, slice(box.left, box.right))
        else:
            column = box.left - outside if side == "left" else box.right - 1 + outside
            place = (slice(box.top, box.bottom), column)
        return self.gray[place], self.colored[place]

    def room(self, box: Box, side: str) -> int:
        """Return how many lines the page has beyond a side."""
        high, wide = self.gray.shape
        rooms = {"top": box.top, "left": box.left, "bottom": high - box.bottom, "right": wide - box.right}
        return int(rooms[side])

    def is_paper(self, line: tuple[Bytes, Mask]) -> bool:
        gray, colored = line
        if self.paper < 0 or gray.size == 0:
            return False
        share = np.count_nonzero((gray == self.paper) & ~colored) / gray.size
        return bool(share >= self.paper_share)


SIDES = ("top", "bottom", "left", "right")


def find_pictures(gray: Bytes, colored: Mask, stated: Box | None) -> tuple[tuple[Box, bool], ...]:
    """Find the pictures of a page, the likeliest first.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        One channel of the page.
    colored : ndarray of shape (M, N)
        True where its channels differ.
    stated : Box or None
        Where the page's text says that the picture is; tolerated a few pixels off, and ignored where
        there is no picture.

    Returns
    -------
    tuple of (Box, bool)
        Without frame; True for the stated one.
    """
    page = _Page(gray, colored, *_paper(gray, colored))
    found = _by_content(page)
    if stated is None:
        return tuple((box, False) for box in found)
    fitted = _fitted(page, stated)
    if fitted is None:
        return tuple((box, False) for box in found)
    same = next((box for box in found if box.overlap(fitted) >= SAME_PLACE), None)
    others = tuple((box, False) for box in found if box is not same)
    if same is not None:
        return ((_agreed(fitted, same, stated), True), *others)
    if _toned_share(page, fitted) > 2 * FILL_MIN:
        return ((fitted, True), *others)
    return (*others, (fitted, True))


def _agreed(fitted: Box, by_content: Box, stated: Box) -> Box:
    """Take each side from the content where the text agrees, else where the text says."""
    ends = []
    for side in ("top", "left", "bottom", "right"):
        seen, said = getattr(by_content, side), getattr(stated, side)
        ends.append(seen if abs(seen - said) <= 2 * STATED_ERROR else getattr(fitted, side))
    return Box(*ends)


def _paper(gray: Bytes, colored: Mask) -> tuple[int, float]:
    """Return the value of the paper and the share of a line that tells it, -1 without paper."""
    some = gray[::STRIDE, ::STRIDE][~colored[::STRIDE, ::STRIDE]]
    counts = np.bincount(some, minlength=256)
    value = int(np.argmax(counts))
    share = counts[value] / gray[::STRIDE, ::STRIDE].size
    if value >= WHITE - 10:
        return value, PAPER_SHARE
    return (value, FLAT_SHARE) if share > DARK_PAPER_SHARE else (-1, 1.0)


def _toned(page: _Page, box: Box | None = None) -> Mask:
    gray, colored = page.gray, page.colored
    if box is not None:
        gray, colored = (
            gray[box.top : box.bottom, box.left : box.right],
            colored[box.top : box.bottom, box.left : box.right],
        )
    gray, colored = gray[::STRIDE, ::STRIDE], colored[::STRIDE, ::STRIDE]
    return np.asarray((gray > BLACK) & (gray < WHITE) & ~colored)


def _toned_share(page: _Page, box: Box) -> float:
    toned = _toned(page, box)
    return float(np.mean(toned)) if toned.size else 0.0


def _shows_tones(page: _Page, box: Box) -> bool:
    """Tell a picture from a chart in shades of gray."""
    rows, columns = slice(box.top, box.bottom, STRIDE), slice(box.left, box.right, STRIDE)
    counts = np.bincount(page.gray[rows, columns][_toned(page, box)], minlength=256)
    many = np.count_nonzero(counts >= LEVEL_SHARE_MIN * counts.sum()) >= LEVELS_MIN
    return bool(many and _toned_share(page, box) >= FILL_MIN)


def _by_content(page: _Page) -> list[Box]:
    blocks = _toned_blocks(page)
    labels, count = ndimage.label(blocks, structure=np.ones((3, 3)))
    if count == 0:
        return []
    size = STRIDE * BLOCK
    found: list[Box] = []
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    objects = ndimage.find_objects(labels)
    for number in np.argsort(-sizes[1:], kind="stable")[: 4 * PICTURES_MAX]:
        rows, columns = objects[number]
        core = Box(rows.start * size, columns.start * size, rows.stop * size, columns.stop * size)
        box = _to_frame(page, _grown(page, core))
        for side in SIDES:
            box = _fit_side(page, box, side, FRAME_MAX)
        if min(box.bottom - box.top, box.right - box.left) < SIDE_MIN:
            continue
        if _shows_tones(page, box) and not any(other.holds(box) for other in found):
            found.append(box)
    return sorted(found, key=lambda box: -box.area)[:PICTURES_MAX]


def _toned_blocks(page: _Page) -> Mask:
    gray = page.gray[::STRIDE, ::STRIDE]
    toned = _toned(page)
    rows, columns = (size // BLOCK for size in gray.shape)

    def blocks(values: NDArray[np.generic]) -> NDArray[np.generic]:
        return values[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)

    share = blocks(toned).mean(axis=(1, 3))
    brightest = blocks(np.where(toned, gray, 0)).max(axis=(1, 3)).astype(np.int16)
    darkest = blocks(np.where(toned, gray, 255)).min(axis=(1, 3)).astype(np.int16)
    return np.asarray((share >= TONED_MIN) & (brightest - darkest >= TONE_RANGE_MIN))


def _moved(box: Box, side: str, outward: int) -> Box:
    ends = {"top": box.top, "left": box.left, "bottom": box.bottom, "right": box.right}
    ends[side] += -outward if side in ("top", "left") else outward
    return Box(ends["top"], ends["left"], ends["bottom"], ends["right"])


def _grown(page: _Page, box: Box) -> Box:
    """Shrink a box out of paper, then move its sides outward until paper begins."""
    high, wide = page.gray.shape
    box = Box(max(box.top, 0), max(box.left, 0), min(box.bottom, high), min(box.right, wide))
    for _ in range(2):
        for side in SIDES:
            while box.area and page.is_paper(page.line(box, side, 0)):
                box = _moved(box, side, -1)
            while box.area and page.room(box, side) and not page.is_paper(page.line(box, side, 1)):
                box = _moved(box, side, 1)
    return box


def _to_frame(page: _Page, box: Box) -> Box:
    """Where soft tissue is as white as the paper, take the frame around it."""
    if page.paper < WHITE - 10 or not box.area:
        return box
    distance = {}
    for side in SIDES:
        reach = (box.bottom - box.top) if side in ("top", "bottom") else (box.right - box.left)
        for outside in range(-FRAME_MAX, min(page.room(box, side), reach // 2) + 1):
            if _kind(page, page.line(box, side, outside)) == FRAME:
                distance[side] = max(outside, 0)
                break
    if len(distance) < len(SIDES):
        return box
    for side, outside in distance.items():
        box = _moved(box, side, outside)  # the frame is trimmed afterwards
    return box


def _kind(page: _Page, line: tuple[Bytes, Mask]) -> str:
    """Tell what a line across a picture's whole side is."""
    gray, colored = line
    plain = gray[~colored]
    if gray.size == 0 or page.is_paper(line):
        return PAPER
    if plain.size < gray.size // 2:
        return FRAME  # a colored rule
    counts = np.bincount(plain)
    if counts.max() < FRAME_SHARE * plain.size:
        return TONES
    return FRAME if abs(int(np.argmax(counts)) - page.paper) > FRAME_CONTRAST else PAPER


def _fit_side(page: _Page, box: Box, side: str, reach: int) -> Box:
    """Move a side to the inside of the frame near it, else to where tones begin."""
    room = min(page.room(box, side), reach)
    depth = (box.bottom - box.top) if side in ("top", "bottom") else (box.right - box.left)
    kinds = {o: _kind(page, page.line(box, side, o)) for o in range(room, -min(reach, depth // 4) - 1, -1)}
    frames = [o for o in kinds if kinds[o] == FRAME]
    if frames and len(frames) <= FRAME_MAX and min(frames) > min(kinds):
        return _moved(box, side, min(frames) - 1)
    first = next((o for o in kinds if kinds[o] == TONES), None)
    return box if first is None else _moved(box, side, first)


def _fitted(page: _Page, stated: Box) -> Box | None:
    """Move the sides of a stated box by a few pixels, to where the picture ends."""
    high, wide = page.gray.shape
    box = Box(max(stated.top, 0), max(stated.left, 0), min(stated.bottom, high), min(stated.right, wide))
    if min(box.bottom - box.top, box.right - box.left) < SIDE_MIN or _toned_share(page, box) < FILL_MIN / 2:
        return None
    for side in SIDES:
        box = _fit_side(page, box, side, STATED_ERROR)
    return box
