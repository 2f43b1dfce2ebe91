"""How many page pixels show one pixel of a picture: whole numbers of copies, undone exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SCALES = (6, 5, 4, 3, 2)
WITHIN_MAX = 0.1  # of the steps between blocks; lines drawn afterwards part some blocks
STEPS_MIN = 0.02  # of neighboring pixels must differ at all
COPIED = 0.9  # of a line that equals its neighbor: it was copied
UNEVEN_MIN = 0.08  # of the lines copied, in no rhythm


@dataclass(frozen=True, slots=True)
class Zoom:
    """Copies along both sides, and where the first whole block starts.

    Attributes
    ----------
    scale : int
        Page pixels along one side of a picture pixel.
    top, left : int
        Page pixels before the first whole block.
    uneven : bool
        True where some rows or columns were copied and others were not: enlarged by a fraction.
    """

    scale: int
    top: int
    left: int
    uneven: bool = False


def find_zoom(gray: Bytes, colored: Mask) -> Zoom:
    """Find the zoom of a picture.

    Parameters
    ----------
    gray, colored : ndarray of shape (M, N)
        Gray levels; True where the page is colored.

    Examples
    --------
    >>> noise = np.random.default_rng(1).integers(0, 255, (20, 20)).astype(np.uint8)
    >>> page = noise.repeat(3, axis=0).repeat(3, axis=1)[1:, 2:]
    >>> find_zoom(page, np.zeros(page.shape, bool))
    Zoom(scale=3, top=2, left=1, uneven=False)
    """
    down, across = _steps(gray, colored), _steps(gray.T, colored.T)
    for scale in SCALES:
        top, left = _start(down, scale), _start(across, scale)
        if top is not None and left is not None:
            return Zoom(scale, top, left)
    uneven = max(_copied_share(down), _copied_share(across)) > UNEVEN_MIN
    return Zoom(1, 0, 0, uneven)


def _steps(gray: Bytes, colored: Mask) -> NDArray[np.float64]:
    """Return for each row the share of its pixels that differ from the next row's."""
    plain = ~(colored[1:] | colored[:-1])
    differs = (gray[1:] != gray[:-1]) & plain
    return np.asarray(differs.sum(axis=1) / np.maximum(plain.sum(axis=1), 1))


def _start(steps: NDArray[np.float64], scale: int) -> int | None:
    """Return the offset of the first block if steps come every `scale` rows only."""
    if steps.size < 8 * scale:
        return None
    by_phase = np.array([np.mean(steps[phase::scale]) for phase in range(scale)])
    phase = int(np.argmax(by_phase))
    within = (by_phase.sum() - by_phase[phase]) / (scale - 1)
    if by_phase[phase] < STEPS_MIN or within > WITHIN_MAX * by_phase[phase]:
        return None
    return (phase + 1) % scale


def _copied_share(steps: NDArray[np.float64]) -> float:
    """Return the share of lines that equal the next one while their neighbors differ: not a flat border."""
    usual = float(np.percentile(steps, 75))
    if usual <= STEPS_MIN or steps.size < 3:
        return 0.0
    copied, differs = steps < (1 - COPIED) * usual, steps > 0.5 * usual
    return float(np.mean(copied[1:-1] & differs[:-2] & differs[2:]))
