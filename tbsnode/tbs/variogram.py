"""The experimental variogram of an image inside a region: exact, at every lag at once.

Each offset (a, b) in pixels has a sum of squared differences S and a number of pairs N. Two independent
ways compute them: a masked FFT correlation, whose cost hardly depends on the number of lags, and sums
over shifted copies, which cost little when few offsets or pixels are involved and cannot cancel. The
FFT knows S as a difference of large numbers, so the offsets where it would keep fewer than nine digits
are summed again from the pixels. Nothing here uses BLAS or more than one thread: equal input, equal bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from tbsnode.errors import TextureError
from tbsnode.reasons import Code, Finding

LAG_TOLERANCE_MM = 1e-6
"""Distances closer than this [mm] are one lag."""

Method = Literal["fastest", "fft", "shifted"]

_MIN_LAGS = 2
# An FFT correlation errs by some 1e-15 of the norms of its factors; below this part of them its S has
# fewer than nine digits left.
_CANCELLATION = 1e-5
# A root mean square difference below this part of the largest gray level is the rounding of the pixels.
_ROUNDING = 16 * float(np.finfo(np.float64).eps)
# Measured, in samples of one transform: the calls around the transforms, the calls of one shifted offset,
# and one pixel of a shifted offset. Only the time depends on them.
_TRANSFORMS_COST = 8000.0
_OFFSET_COST = 750.0
_PIXEL_COST = 0.12

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Variogram:
    """Mean squared gray-level difference by distance.

    Attributes
    ----------
    lag_mm : ndarray of shape (K,)
        Distances r between two pixels [mm], strictly increasing.
    value : ndarray of shape (K,)
        V(r) [a.u. squared]; 0 where all pairs are equal.
    pairs : ndarray of shape (K,)
        N(r), the pairs of pixels behind each value.

    Examples
    --------
    >>> lag_mm = np.array([1.0, 2.0, 3.0])
    >>> Variogram(lag_mm, 4 * lag_mm, np.array([300, 200, 100])).value
    array([ 4.,  8., 12.])
    """

    lag_mm: Floats
    value: Floats
    pairs: Integers

    def __post_init__(self) -> None:
        if self.lag_mm.ndim != 1 or not self.lag_mm.shape == self.value.shape == self.pairs.shape:
            raise ValueError("lag_mm, value and pairs must be one-dimensional and equally long")
        if np.any(np.diff(self.lag_mm) <= 0):
            raise ValueError("lag_mm must increase")


@dataclass(frozen=True, slots=True, eq=False)
class _Offsets:
    """One of each +/- pair of offsets [pixels], sorted by distance; `lag` numbers the distinct ones."""

    row: Integers
    column: Integers
    lag: Integers
    lag_mm: Floats


def experimental_variogram(
    image: NDArray[np.float64],
    region: NDArray[np.bool_],
    *,
    pixel_spacing_mm: tuple[float, float],
    lag_max_mm: float,
    method: Method = "fastest",
) -> Variogram:
    r"""Compute the mean squared gray-level difference at each distance.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Gray levels [a.u.], linear in areal density, row before column.
    region : ndarray of shape (M, N)
        True inside. A pair of pixels counts only if both lie inside; what lies outside, NaN included,
        is never looked at.
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns [mm].
    lag_max_mm : float
        Largest distance [mm], included.
    method : {"fastest", "fft", "shifted"}
        How to sum; both ways agree to 1e-9 of each value.

    Returns
    -------
    Variogram
        All distances that have a pair, in increasing order.

    Raises
    ------
    TextureError
        `NO_TEXTURE`: the region is empty or constant, holds a pixel that is not finite, or has fewer
        than two distances up to `lag_max_mm`.

    Notes
    -----
    .. math::

       V(r) = \frac{1}{N(r)} \sum_{(p, q):\, |p - q| = r} (I(p) - I(q))^2

    over all pairs of pixels in the region whose distance is r within 1e-6 mm, in all directions. There
    is no factor 1/2: this is the variance form of [1]_, not the semivariance of geostatistics.

    With x the gray levels less their mean and m the region, and :math:`\star` the correlation,
    :math:`N = m \star m` and :math:`S = x^2 \star m + m \star x^2 - 2\, x \star x` hold for all offsets
    at once [2]_.

    References
    ----------
    .. [1] L. Pothuaud, P. Carceller, D. Hans, Bone 42(4), 775-787, 2008.
       DOI:10.1016/j.bone.2007.11.018
    .. [2] D. Marcotte, Computers & Geosciences 22(10), 1175-1186, 1996.
       DOI:10.1016/S0098-3004(96)00026-X

    Examples
    --------
    On a ramp that rises by 1 a column, pixels one column apart differ by 1, two apart by 2:

    >>> ramp = np.tile(np.arange(4.0), (4, 1))
    >>> v = experimental_variogram(ramp, np.full((4, 4), True), pixel_spacing_mm=(5.0, 1.0), lag_max_mm=3.0)
    >>> v.lag_mm, v.value, v.pairs
    (array([1., 2., 3.]), array([1., 4., 9.]), array([12,  8,  4]))
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {get_args(Method)}")
    image, region = _checked(image, region, pixel_spacing_mm, lag_max_mm)
    offsets = _offsets(region.shape, pixel_spacing_mm, lag_max_mm)
    if offsets.lag_mm.size < _MIN_LAGS:
        raise _no_texture("lags", offsets.lag_mm.size)
    use_fft = method == "fft" or (method == "fastest" and _fft_is_faster(region.shape, offsets))
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is refused below, by its infinity
        sums, pairs = (_fft_sums if use_fft else _shifted_sums)(image, region, offsets.row, offsets.column)
        variogram = _pooled(offsets, sums, pairs)
        return _cleaned(variogram, largest=float(np.abs(image).max()))


def lag_plane(
    variogram: Variogram,
    of_lag: Floats,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
) -> Floats:
    """Lay out values that belong to lags over all offsets of a periodic plane.

    Parameters
    ----------
    variogram : Variogram
        Whose lags are meant.
    of_lag : ndarray of shape (..., K)
        A value for each lag, for one or several planes; lags that are 0 in all of them take no room.
    shape : tuple of int
        Of the plane: at least twice the longest lag that counts, in pixels.
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns [mm], as the variogram was computed with.

    Returns
    -------
    ndarray of shape (..., *shape)
        The value of each offset and of its opposite, offset 0 first; 0 where there is none.
    """
    plane = np.zeros((*of_lag.shape[:-1], *shape))
    used = np.flatnonzero(of_lag.reshape(-1, of_lag.shape[-1]).any(axis=0))
    if used.size == 0:
        return plane
    half = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
    offsets = _offsets(half, pixel_spacing_mm, float(variogram.lag_mm[used[-1]]))
    place = np.searchsorted(variogram.lag_mm, offsets.lag_mm - LAG_TOLERANCE_MM)
    place = np.minimum(place, variogram.lag_mm.size - 1)
    same = np.abs(variogram.lag_mm[place] - offsets.lag_mm) <= LAG_TOLERANCE_MM
    value = np.where(same, of_lag[..., place], 0.0)[..., offsets.lag]
    plane[..., offsets.row, offsets.column] = value
    plane[..., -offsets.row, -offsets.column] = value
    return plane


def _no_texture(name: str, value: float) -> TextureError:
    """Return the refusal, with the one number that explains it."""
    return TextureError(Finding(Code.NO_TEXTURE, values=((name, value),)))


def _checked(
    image: NDArray[np.float64],
    region: NDArray[np.bool_],
    pixel_spacing_mm: tuple[float, float],
    lag_max_mm: float,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return both arrays cropped to the region, with 0 outside; refuse what has no texture."""
    if image.ndim != 2 or image.shape != region.shape:
        raise ValueError("image and region must be two-dimensional and of one shape")
    if region.dtype != np.bool_:
        raise ValueError("region must be boolean")
    lengths = (*pixel_spacing_mm, lag_max_mm)
    if len(lengths) != 3 or not all(math.isfinite(length) and length > 0 for length in lengths):
        raise ValueError("pixel_spacing_mm and lag_max_mm must be positive")
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if rows.size == 0:
        raise _no_texture("region_pixels", 0)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    region = np.ascontiguousarray(region[box])
    inside = np.where(region, np.asarray(image[box], dtype=np.float64), 0.0)
    if not np.isfinite(inside).all():
        raise _no_texture("pixels_not_finite", int(np.count_nonzero(~np.isfinite(inside))))
    levels = inside[region]
    if levels.min() == levels.max():
        raise _no_texture("gray_levels", 1)
    return inside, region


def _offsets(shape: tuple[int, ...], spacing_mm: tuple[float, float], lag_max_mm: float) -> _Offsets:
    """List the offsets that a box of `shape` can hold up to `lag_max_mm`."""
    reach = lag_max_mm + LAG_TOLERANCE_MM
    down, across = (
        min(size - 1, math.floor(reach / spacing)) for size, spacing in zip(shape, spacing_mm, strict=True)
    )
    row, column = np.mgrid[0 : down + 1, -across : across + 1].astype(np.int64)
    distance = np.sqrt((row * spacing_mm[0]) ** 2 + (column * spacing_mm[1]) ** 2)
    one_of_each = ((row > 0) | (column > 0)) & (distance <= reach)
    row, column, distance = row[one_of_each], column[one_of_each], distance[one_of_each]
    order = np.argsort(distance, kind="stable")
    distance = distance[order]
    first = np.diff(distance, prepend=-np.inf) > LAG_TOLERANCE_MM
    return _Offsets(row[order], column[order], np.cumsum(first) - 1, distance[first])


def _fft_is_faster(shape: tuple[int, ...], offsets: _Offsets) -> bool:
    """Compare the work of the two ways, in samples of one transform."""
    height, width = _transform_lengths(shape, offsets.row, offsets.column)
    transforms = _TRANSFORMS_COST + 5 * height * width
    return bool(transforms < offsets.row.size * (_OFFSET_COST + _PIXEL_COST * shape[0] * shape[1]))


def _transform_lengths(shape: tuple[int, ...], row: Integers, column: Integers) -> tuple[int, int]:
    """Return lengths that pad a box enough for the offsets not to wrap round onto it."""
    down, across = int(row.max()), int(np.abs(column).max())
    return fft.next_fast_len(shape[0] + down), fft.next_fast_len(shape[1] + across, real=True)


def _fft_sums(
    image: Floats, region: NDArray[np.bool_], row: Integers, column: Integers
) -> tuple[Floats, Integers]:
    """Sum squared differences and count pairs of all offsets by correlation."""
    count = int(np.count_nonzero(region))
    height, width = _transform_lengths(image.shape, row, column)
    planes = np.zeros((3, height, width))
    inside, centered, squared = planes[:, : image.shape[0], : image.shape[1]]
    inside[:] = region
    np.subtract(image, image.sum() / count, out=centered, where=region)
    np.square(centered, out=squared)
    norms = math.sqrt(float(np.square(squared).sum()) * count)
    mask, level, square = fft.rfft2(planes, workers=1, overwrite_x=True)
    power = np.empty((2, *mask.shape))
    power[0] = mask.real**2 + mask.imag**2
    power[1] = square.real * mask.real + square.imag * mask.imag - level.real**2 - level.imag**2
    # Both power spectra are real: the inverse over the rows is a real transform too, and only the wanted
    # rows go through the other.
    wanted = fft.ihfft(power, axis=1, workers=1)[:, : int(row.max()) + 1]
    pairs, halves = fft.irfft(wanted, width, axis=2, workers=1)[:, row, column]
    pairs = np.rint(pairs).astype(np.int64)
    sums = np.where(pairs > 0, 2.0 * halves, 0.0)
    doubtful = (pairs > 0) & ~(sums > _CANCELLATION * norms)
    sums[doubtful], _ = _shifted_sums(image, region, row[doubtful], column[doubtful])
    return sums, pairs


def _shifted_sums(
    image: Floats, region: NDArray[np.bool_], row: Integers, column: Integers
) -> tuple[Floats, Integers]:
    """Sum squared differences and count pairs of each offset by shifting the image."""
    height, width = image.shape
    sums, pairs = np.zeros(row.size), np.zeros(row.size, dtype=np.int64)
    for k, (a, b) in enumerate(zip(row.tolist(), column.tolist(), strict=True)):
        left, right = max(0, -b), min(width, width - b)
        here, there = np.s_[: height - a, left:right], np.s_[a:, left + b : right + b]
        both = region[here] & region[there]
        difference = image[there] - image[here]
        difference *= both
        np.square(difference, out=difference)
        sums[k], pairs[k] = difference.sum(), np.count_nonzero(both)
    return sums, pairs


def _pooled(offsets: _Offsets, sums: Floats, pairs: Integers) -> Variogram:
    """Pool the offsets of one distance: the sum of sums over the sum of pairs."""
    first = np.flatnonzero(np.diff(offsets.lag, prepend=-1))
    total, number = np.add.reduceat(sums, first), np.add.reduceat(pairs, first)
    filled = number > 0
    return Variogram(offsets.lag_mm[filled], total[filled] / number[filled], number[filled])


def _cleaned(variogram: Variogram, *, largest: float) -> Variogram:
    """Set what is only rounding to 0; refuse what has too few lags, no difference or no finite value."""
    value = np.where(variogram.value > (_ROUNDING * largest) ** 2, variogram.value, 0.0)
    if value.size < _MIN_LAGS:
        raise _no_texture("lags", value.size)
    if not np.isfinite(variogram.value).all() or not value.any():
        raise _no_texture("lags_with_difference", 0)
    for array in (variogram.lag_mm, value, variogram.pairs):
        array.setflags(write=False)
    return Variogram(variogram.lag_mm, value, variogram.pairs)
