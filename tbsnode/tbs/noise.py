"""How much noise a picture has: variance and correlation, estimated inside the scored regions.

Mixed second differences over a few tenths of a millimeter leave the noise and nearly nothing else: what
is straight along rows or along columns, as endplates and flanks are, cancels. Three step widths tell
variance and correlation apart. Finer than that noise cannot be told from texture, so on a picture without
noise the estimate is the finest texture: it errs upward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP_MM = 0.5
# The quarter of the largest squares is left out, as a median would; a mean of the rest does not jump with
# the gray levels of a display copy. The number is the mean of the rest for a standard normal variable.
_KEPT = 0.75
_MEAN_OF_KEPT = 0.368402
_MIN_PLACES = 200
# Standard deviation of the filter that correlates the noise, in steps: white to very smooth.
_WIDTHS = np.linspace(0.0, 1.1, 111)

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise that a Gaussian filter would make of white noise.

    Attributes
    ----------
    variance : float
        Of one pixel [a.u. squared].
    width_px : tuple of float
        Standard deviation of the filter along rows' numbers and along columns' numbers [pixels].
    """

    variance: float
    width_px: tuple[float, float]

    def correlation(self, length: int, axis: int) -> Floats:
        """Return the correlation along one axis of a periodic grid of `length` pixels, zero lag first."""
        lag = np.minimum(np.arange(length), length - np.arange(length)).astype(np.float64)
        return _correlation(lag, self.width_px[axis])


def _correlation(lag: Floats, width: Floats | float) -> Floats:
    """Return the correlation of white noise after a Gaussian filter."""
    return np.asarray(np.where(lag == 0, 1.0, np.exp(-(lag**2) / np.maximum(4.0 * np.square(width), 1e-9))))


def _gain(step: float, width: Floats | float) -> Floats:
    """Return the variance of x(-a) - 2 x(0) + x(a) for noise of variance 1."""
    near, far = (_correlation(np.asarray(k * step), width) for k in (1.0, 2.0))
    return np.asarray(6.0 - 8.0 * near + 2.0 * far)


def estimate_noise(image: Floats, region: Mask, pixel_spacing_mm: tuple[float, float]) -> Noise | None:
    """Estimate the noise inside a region.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Stored gray levels [a.u.].
    region : ndarray of shape (M, N)
        True where to look; several levels may be given at once.
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns.

    Returns
    -------
    Noise or None
        None where the region holds too few places.

    Examples
    --------
    >>> image = np.random.default_rng(1).normal(0.0, 3.0, (200, 200))
    >>> found = estimate_noise(image, np.full((200, 200), True), (0.5, 0.5))
    >>> round(found.variance), max(found.width_px) < 0.3
    (9, True)
    """
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if rows.size == 0:
        return None
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image, region = image[box], region[box]
    down, across = (max(1, round(STEP_MM / step)) for step in pixel_spacing_mm)
    rows_apart = _second_difference(image, region, down, 0)
    both = _difference_variance(rows_apart, across)
    wider = _difference_variance(rows_apart, 2 * across)
    taller = _difference_variance(_second_difference(image, region, 2 * down, 0), across)
    if both is None or taller is None or wider is None:
        return None
    if both == 0.0:
        return Noise(0.0, (0.0, 0.0))
    widths = (_width(taller / both), _width(wider / both))
    variance = both / float(_gain(1.0, widths[0]) * _gain(1.0, widths[1]))
    return Noise(variance, (widths[0] * down, widths[1] * across))


def _second_difference(image: Floats, whole: Mask, step: int, axis: int) -> tuple[Floats, Mask]:
    """Return x(-step) - 2 x(0) + x(step) along an axis, and where all three count; empty if too short."""
    length = max(image.shape[axis] - 2 * step, 0)
    parts = [(np.s_[k * step : k * step + length], np.s_[:])[:: 1 - 2 * axis] for k in range(3)]
    first, middle, last = (image[part] for part in parts)
    difference = 2.0 * middle
    np.subtract(first, difference, out=difference)
    difference += last
    return difference, whole[parts[0]] & whole[parts[1]] & whole[parts[2]]


def _difference_variance(rows_apart: tuple[Floats, Mask], across: int) -> float | None:
    """Return the robust variance of the mixed second differences that lie in the region."""
    difference, whole = _second_difference(*rows_apart, across, 1)
    squared = difference[whole]
    if squared.size < _MIN_PLACES:
        return None
    np.square(squared, out=squared)
    kept = int(_KEPT * squared.size)
    squared.partition(kept)
    return float(squared[:kept].mean()) / _MEAN_OF_KEPT


def _width(ratio: float) -> float:
    """Return the filter width in steps at which doubling the step multiplies the variance by `ratio`."""
    ratios = _gain(2.0, _WIDTHS) / _gain(1.0, _WIDTHS)
    return float(np.interp(ratio, ratios, _WIDTHS))
