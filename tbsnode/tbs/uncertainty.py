"""How much the score of the same bone differs when it is scanned again: a repeatability standard error.

Nothing is drawn at random. The slope is a smooth function of gray levels and of which pixels belong to the
region, so both of its gradients are exact: six more transforms a level. The gradient on gray levels and
the noise of the picture give the part of the noise; the gradient on membership, integrated along the ring,
gives what a shift of each disc line and each edge does. A disc line is shared by two levels and counts for
the mean as one shift of both. What another person's bone would give, the sampling error of a texture, is
no part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from tbsnode.errors import TextureError
from tbsnode.tbs import ink
from tbsnode.tbs.noise import Noise, estimate_noise
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.score import slope_weights
from tbsnode.tbs.variogram import Variogram, lag_plane

# Repeatability of the segmentation [mm], measured on repositioned phantoms of four kinds of scanner and
# rounded up: the middle of a disc line 0.03-0.08, its ends against each other 0.12-0.25, an edge 0.03-0.08.
LINE_MM = 0.06
LINE_END_MM = 0.2
EDGE_MM = 0.06
_PHASES = 16  # positions of the pixel grid over a pixel
MARGIN_MM = 2.0  # around a region, so that its border can be integrated over

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False, slots=True)
class ScoredRegion:
    """One region with its variogram.

    Attributes
    ----------
    mask : ndarray of shape (M, N)
        Its pixels.
    ring : tuple of (row, column) pairs
        Its closed outline, pixel centers at integers.
    variogram : Variogram
        V(r) of it.
    """

    mask: Mask
    ring: Ring
    variogram: Variogram


@dataclass(frozen=True, slots=True)
class Repeatability:
    """Standard errors of the same bone scanned again.

    Attributes
    ----------
    levels : tuple of float or None
        Of each level's score; None where it could not be estimated.
    score : float or None
        Of the mean of the included levels.
    """

    levels: tuple[float | None, ...]
    score: float | None


@dataclass(frozen=True, slots=True)
class _Influence:
    """What moves one level's score: independent variance, and shifts in multiples of their sigma."""

    alone: float
    upper: tuple[float, float]
    lower: tuple[float, float]

    @property
    def variance(self) -> float:
        return self.alone + sum(part * part for part in (*self.upper, *self.lower))


def repeatability(
    image: Floats,
    regions: Sequence[ScoredRegion | None],
    included: Sequence[bool],
    *,
    pixel_spacing_mm: tuple[float, float],
    parameters: Parameters,
    blocked: Mask | None = None,
) -> Repeatability:
    r"""Estimate the standard error of each level's score and of their mean.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Stored gray levels [a.u.].
    regions : sequence of ScoredRegion or None
        The levels from the head down, neighbors sharing a disc line; None where there is no score.
    included : sequence of bool
        Which of them count in the mean.
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns.
    parameters : Parameters
        Of the estimator.
    blocked : ndarray of shape (M, N), optional
        True where the picture does not show the patient; its nearest neighbor stands for such a pixel
        where a border is moved onto it.

    Returns
    -------
    Repeatability
        Standard errors, dimensionless as the score.

    Notes
    -----
    The slope is :math:`\sum_r g_r \ln V(r)`. With :math:`c(r) = g_r / (N(r) V(r))` its gradients on the
    gray level and on the membership of pixel p are sums over the pixels q of the region:

    .. math::

       \partial_I = 2 \sum_q c\,(I_p - I_q), \qquad \partial_m = \sum_q c\,((I_p - I_q)^2 - V)

    Noise with covariance C contributes :math:`\partial_I^T C\, \partial_I - 2\,\mathrm{tr}(ACAC)`, where
    A is the quadratic form behind the slope; the second term takes off what the noise in the gradient
    itself has added. See [1]_ for the variogram.

    References
    ----------
    .. [1] L. Pothuaud, P. Carceller, D. Hans, Bone 42(4), 775-787, 2008.
       DOI:10.1016/j.bone.2007.11.018
    """
    found = [region for region in regions if region is not None]
    if not found:
        return Repeatability((None,) * len(regions), None)
    noise = estimate_noise(image, np.any([region.mask for region in found], axis=0), pixel_spacing_mm)
    if noise is None:
        return Repeatability((None,) * len(regions), None)
    if blocked is not None and blocked.any():
        image = ink.filled(image, blocked)
    influences = [
        None if region is None else _influence(image, region, noise, pixel_spacing_mm, parameters)
        for region in regions
    ]
    errors = tuple(None if one is None else math.sqrt(one.variance) for one in influences)
    counted = [one if counts else None for one, counts in zip(influences, included, strict=True)]
    number = sum(included)
    if number == 0 or sum(one is not None for one in counted) < number:
        return Repeatability(errors, None)
    return Repeatability(errors, math.sqrt(_variance_of_sum(counted)) / number)


def _variance_of_sum(counted: Sequence[_Influence | None]) -> float:
    """Add independent parts as squares, and what one disc line does to both its levels before squaring."""
    total = sum(one.alone for one in counted if one is not None)
    for above, below in zip((None, *counted), (*counted, None), strict=True):
        for mode in range(2):
            shift = (above.lower[mode] if above else 0.0) + (below.upper[mode] if below else 0.0)
            total += shift * shift
    return total


def _influence(
    image: Floats,
    region: ScoredRegion,
    noise: Noise,
    pixel_spacing_mm: tuple[float, float],
    parameters: Parameters,
) -> _Influence | None:
    try:
        weights = slope_weights(region.variogram, parameters)
    except TextureError:
        return None
    box = _box(region.mask, pixel_spacing_mm)
    corner = (float(box[0].start), float(box[1].start))
    used = weights != 0
    value = np.where(used, region.variogram.value, 1.0)
    by_pairs = weights / region.variogram.pairs
    reach = float(region.variogram.lag_mm[used].max())
    shape = _plane_shape(image[box].shape, reach, pixel_spacing_mm)
    of_lag = np.stack([by_pairs / value, by_pairs])
    kernels = lag_plane(region.variogram, of_lag, shape, pixel_spacing_mm)
    on_level, on_member, noise_factor = _gradients(image[box], region.mask[box], kernels)
    pixels = int(np.count_nonzero(region.mask))
    of_noise = _noise_variance(on_level, noise_factor, noise, pixels, shape[1])
    return _along_ring(on_member, np.array(region.ring) - corner, pixel_spacing_mm, of_noise)


def _box(mask: Mask, pixel_spacing_mm: tuple[float, float]) -> tuple[slice, slice]:
    """Return the bounding box of a mask with a margin, inside the picture."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    ends = []
    for found, size, step in zip((rows, columns), mask.shape, pixel_spacing_mm, strict=True):
        margin = math.ceil(MARGIN_MM / step)
        ends.append(slice(max(0, int(found[0]) - margin), min(size, int(found[-1]) + margin + 1)))
    return ends[0], ends[1]


def _plane_shape(
    box: tuple[int, ...], reach_mm: float, pixel_spacing_mm: tuple[float, float]
) -> tuple[int, int]:
    """Return lengths at which a sum over the reach does not wrap round."""
    height, width = (
        max(size, math.ceil(reach_mm / step) + 1) + math.ceil(reach_mm / step) + 1
        for size, step in zip(box, pixel_spacing_mm, strict=True)
    )
    return fft.next_fast_len(height), fft.next_fast_len(width, real=True)


def _gradients(image: Floats, mask: Mask, kernels: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the slope's gradient on gray levels and on membership, and A as a spectrum."""
    height, width = image.shape
    middle = float(image.sum(where=mask) / np.count_nonzero(mask))
    centered = image - middle
    squared = np.square(centered)
    planes = np.zeros((3, height, kernels.shape[2]))
    planes[0, :, :width] = mask
    np.copyto(planes[1, :, :width], centered, where=mask)
    np.copyto(planes[2, :, :width], squared, where=mask)
    spectra = _spectra(planes, np.arange(height), kernels.shape[1])
    reach = np.flatnonzero(kernels.any(axis=(0, 2)))
    symbol, other = _spectra(kernels[:, reach], reach, kernels.shape[1]).real
    crossed = spectra[0] * other
    spectra *= symbol
    spectra[2] -= crossed
    near, level, rest = _planes(spectra, kernels.shape[2], height)[:, :, :width]
    on_level = np.where(mask, 2.0 * (centered * near - level), 0.0)
    on_member = squared * near - 2.0 * centered * level + rest
    return on_level, on_member, symbol[0, 0] - symbol


def _spectra(rows: Floats, places: NDArray[np.intp], height: int) -> NDArray[np.complex128]:
    """Transform planes of `height` rows of which only those at `places` are not 0."""
    planes = np.zeros((rows.shape[0], height, rows.shape[2] // 2 + 1), dtype=np.complex128)
    planes[:, places] = fft.rfft(rows, axis=2, workers=1)
    return np.asarray(fft.fft(planes, axis=1, workers=1, overwrite_x=True))


def _planes(spectra: NDArray[np.complex128], width: int, height: int) -> Floats:
    """Transform spectra back, the first `height` rows only; scaled once, as `irfft2` does."""
    scale = float(1 / np.longdouble(spectra.shape[1] * width))
    rows = fft.ifft(spectra, axis=1, norm="forward", workers=1, overwrite_x=True)[:, :height]
    planes = fft.irfft(rows, width, axis=2, norm="forward", workers=1)
    planes *= scale
    return np.asarray(planes)


def _noise_variance(on_level: Floats, quadratic: Floats, noise: Noise, pixels: int, width: int) -> float:
    """Return the variance that the noise gives the slope."""
    if noise.variance == 0.0:
        return 0.0
    height = quadratic.shape[0]
    down, across = (
        np.maximum(fft.fft(noise.correlation(length, axis)).real, 0.0)
        for axis, length in enumerate((height, width))
    )
    power = noise.variance * down[:, None] * across[None, : width // 2 + 1]
    twice = np.full(power.shape[1], 2.0)  # the half of the spectrum that a real transform leaves out
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    rows = np.zeros((1, on_level.shape[0], width))
    rows[0, :, : on_level.shape[1]] = on_level
    spectrum = _spectra(rows, np.arange(on_level.shape[0]), height)[0]
    size = height * width
    linear = float((twice * power * (spectrum.real**2 + spectrum.imag**2)).sum()) / size
    squared = 2.0 * pixels * float((twice * np.square(quadratic * power)).sum()) / size
    return float(max(linear - squared, 0.25 * linear))


def _along_ring(
    on_member: Floats, ring: Floats, pixel_spacing_mm: tuple[float, float], of_noise: float
) -> _Influence:
    """Integrate the gradient on membership along the ring: what moving each part of it does."""
    step = np.array(pixel_spacing_mm)
    start, side = ring[:-1] * step, np.diff(ring, axis=0) * step
    number = np.maximum(1, np.ceil(np.hypot(side[:, 0], side[:, 1]) / step.min()).astype(np.intp))
    which = np.repeat(np.arange(number.size), number)
    part = (np.arange(which.size) - np.repeat(np.cumsum(number) - number, number) + 0.5) / number[which]
    place = start[which] + part[:, None] * side[which]
    length = side[which] / number[which][:, None]
    area = float((ring[:-1, 1] * ring[1:, 0] - ring[1:, 1] * ring[:-1, 0]).sum())
    turn = 1.0 if area > 0 else -1.0
    gradient = _sampled(on_member, place / step) / step.prod()
    down, right = -turn * length[:, 1] * gradient, turn * length[:, 0] * gradient  # for each mm outward
    flat = np.abs(length[:, 1]) > np.abs(length[:, 0])
    outward_down = -turn * length[:, 1] > 0
    center = place.mean(axis=0)
    half = max(float(np.ptp(place[:, 1])) / 2, 1e-9)
    arm = (place[:, 1] - center[1]) / half
    lines = [
        (float(down[end].sum()) * LINE_MM, float((down * arm)[end].sum()) * LINE_END_MM)
        for end in (flat & ~outward_down, flat & outward_down)
    ]
    outward_right = turn * length[:, 0] > 0
    edges = [float(right[~flat & one].sum()) * EDGE_MM for one in (outward_right, ~outward_right)]
    raster = sum(
        _raster_variance(down[end] * step[0], place[end, 0] / step[0])
        for end in (flat & ~outward_down, flat & outward_down)
    )
    raster += sum(
        _raster_variance(right[one] * step[1], place[one, 1] / step[1])
        for one in (~flat & outward_right, ~flat & ~outward_right)
    )
    return _Influence(of_noise + raster + sum(edge * edge for edge in edges), lines[0], lines[1])


def _raster_variance(weight: Floats, place: Floats) -> float:
    """Return what the grid of pixels does to one side of a ring.

    A center is inside or outside: the side runs up to half a pixel off, and where it follows a row of
    pixels, it is off all along. Averaged over where the grid may lie.
    """
    off = place[:, None] + np.arange(_PHASES) / _PHASES
    off -= np.floor(off)  # exact, and a tenth of the time of a remainder
    off -= 0.5
    off *= weight[:, None]
    return float(np.square(off.sum(axis=0)).mean())


def _sampled(plane: Floats, place: Floats) -> Floats:
    """Interpolate a plane linearly; beyond its border it continues."""
    limit = np.array(plane.shape) - 1
    place = np.clip(place, 0, limit)
    low = np.minimum(np.floor(place).astype(np.intp), np.maximum(limit - 1, 0))
    high = np.minimum(low + 1, limit)
    (y, x), (row0, col0), (row1, col1) = (place - low).T, low.T, high.T
    upper = plane[row0, col0] * (1 - x) + plane[row0, col1] * x
    lower = plane[row1, col0] * (1 - x) + plane[row1, col1] * x
    return np.asarray(upper * (1 - y) + lower * y)
