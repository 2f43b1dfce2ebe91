"""The texture slope: how steeply V(r) rises with r on log-log axes between two distances in mm.

The slope is not fitted to the lags themselves. A grid of 0.25 mm has hundreds of distinct distances,
most of them long, a grid of 1.05 mm has twenty, and an unweighted line follows whichever there are more
of. Instead ln V is read off at fixed radii by local linear fits, so every grid answers one question.
A local fit interpolates: where the lags do not reach a radius, nothing is extrapolated, it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbsnode.errors import TextureError
from tbsnode.reasons import Code, Finding
from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.variogram import LAG_TOLERANCE_MM, Variogram, experimental_variogram

_MIN_LINE_LAGS = 3
# In bandwidths. A radius may lie this far outside the lags, so that a spacing written as 1.053 mm for
# 1.05 mm still counts, and the nearest lag may be this far away: the gaps of a 1.05 mm grid are 2.9 wide.
_REACH_OUTSIDE = 1.0
_REACH_INSIDE = 2.0
# Weighted variance of the lags around a radius, in squared bandwidths, that a local slope needs.
_MIN_SPREAD = 1e-3

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slope:
    """A line through ln V on ln r.

    Attributes
    ----------
    slope : float
        Its slope, dimensionless: 0 for white noise, 2H for fractional Brownian motion, 2 for a plane.
    r2 : float
        Coefficient of determination, 0 to 1.
    pairs : int
        Pairs of pixels at the lags within the range of the fit.
    """

    slope: float
    r2: float
    pairs: int


@dataclass(frozen=True, slots=True, eq=False)
class RegionScore:
    """The texture of one region.

    Attributes
    ----------
    slope, r2, pairs
        The score, as in `Slope`.
    native_slope : float or None
        Unweighted slope over lags up to 5 times the larger pixel spacing; None with too few lags.
    unweighted_slope : float or None
        Unweighted slope over 1.0 to 5.25 mm; None with too few lags.
    variogram : Variogram
        What the slopes were fitted to.
    """

    slope: float
    r2: float
    pairs: int
    native_slope: float | None
    unweighted_slope: float | None
    variogram: Variogram


def texture_slope(variogram: Variogram, parameters: Parameters) -> Slope:
    r"""Fit the log-log slope of a variogram between two distances, alike on every pixel grid.

    Parameters
    ----------
    variogram : Variogram
        V(r), best up to `parameters.variogram_max_mm`.
    parameters : Parameters
        Range, radii, bandwidth [ln mm], fewest pairs and largest lag.

    Returns
    -------
    Slope
        The score, TEXSLOPE.

    Raises
    ------
    TextureError
        `NO_TEXTURE`: somewhere between `lag_min_mm` and `lag_max_mm` the lags are too few or too far
        away to tell V, as on pixels above 1.18 mm.

    Notes
    -----
    With :math:`r_j` the `radii` distances equally spaced in ln r and b the `bandwidth`, at each

    .. math::

       (\alpha_j, \beta_j) = \arg\min \sum_r N(r)\, e^{-(\ln r - \ln r_j)^2 / 2 b^2}
       \left(\ln V(r) - \alpha - \beta (\ln r - \ln r_j)\right)^2

    and the slope is that of the ordinary least-squares line through :math:`(\ln r_j, \alpha_j)`. Lags
    with fewer than `min_pairs` pairs or with V = 0, which has no logarithm, are left out. A power law
    comes out exact. The slope at the origin of the log-log variogram is the idea of [1]_; range, radii
    and weights are this project's.

    References
    ----------
    .. [1] L. Pothuaud, P. Carceller, D. Hans, Bone 42(4), 775-787, 2008.
       DOI:10.1016/j.bone.2007.11.018

    Examples
    --------
    >>> lag_mm = np.arange(0.5, 7.25, 0.25)
    >>> power_law = Variogram(lag_mm, 40 * lag_mm**1.3, np.full(lag_mm.size, 1000))
    >>> round(texture_slope(power_law, Parameters()).slope, 12)
    1.3
    """
    used = _usable(variogram, parameters.min_pairs, lag_max_mm=parameters.variogram_max_mm)
    log_radius = np.linspace(np.log(parameters.lag_min_mm), np.log(parameters.lag_max_mm), parameters.radii)
    log_value = _local_fits(used, log_radius, parameters.bandwidth)
    slope, r2 = _line(log_radius, log_value)
    within = _within(used.lag_mm, parameters.lag_min_mm, parameters.lag_max_mm)
    return Slope(slope, r2, int(used.pairs[within].sum()))


def coarsest_spacing_mm(parameters: Parameters) -> float:
    """Return the distance of pixels [mm] from which on no lag reaches the shortest radius of the fit.

    Parameters
    ----------
    parameters : Parameters
        Range and bandwidth.

    Examples
    --------
    >>> round(coarsest_spacing_mm(Parameters()), 3)
    1.184
    """
    return float(parameters.lag_min_mm * np.exp(_REACH_OUTSIDE * parameters.bandwidth)) + LAG_TOLERANCE_MM


def slope_weights(variogram: Variogram, parameters: Parameters) -> Floats:
    """Return how the texture slope depends on each lag: it is the sum of these times ln V.

    Parameters
    ----------
    variogram : Variogram
        V(r), as `texture_slope` takes it.
    parameters : Parameters
        Range, radii, bandwidth, fewest pairs and largest lag.

    Returns
    -------
    ndarray of shape (K,)
        One weight for each lag of `variogram`, 0 where a lag is left out.

    Raises
    ------
    TextureError
        `NO_TEXTURE`: where `texture_slope` refuses.

    Examples
    --------
    >>> lag_mm = np.arange(0.5, 7.25, 0.25)
    >>> power_law = Variogram(lag_mm, 40 * lag_mm**1.3, np.full(lag_mm.size, 1000))
    >>> weights = slope_weights(power_law, Parameters())
    >>> round(float((weights * np.log(power_law.value)).sum()), 9)
    1.3
    """
    chosen = _chosen(variogram, parameters.min_pairs, 0.0, parameters.variogram_max_mm)
    used = Variogram(variogram.lag_mm[chosen], variogram.value[chosen], variogram.pairs[chosen])
    log_radius = np.linspace(np.log(parameters.lag_min_mm), np.log(parameters.lag_max_mm), parameters.radii)
    weight, apart, mean_away, spread = _local_weights(used, log_radius, parameters.bandwidth)
    fitted = weight * (1.0 - apart * (mean_away / spread)[:, np.newaxis])
    off = log_radius - log_radius.mean()
    result = np.zeros(variogram.lag_mm.size)
    result[chosen] = (off[:, np.newaxis] * fitted).sum(axis=0) / (off * off).sum()
    return result


def unweighted_slope(variogram: Variogram, *, lag_min_mm: float, lag_max_mm: float, min_pairs: int) -> Slope:
    r"""Fit the ordinary least-squares line of ln V on ln r through all lags of a range.

    Parameters
    ----------
    variogram : Variogram
        V(r), at least up to `lag_max_mm`.
    lag_min_mm, lag_max_mm : float
        Range of the lags [mm], both ends included.
    min_pairs : int
        Fewest pairs for a lag to count.

    Returns
    -------
    Slope
        A secondary value: it depends on which distances the pixel grid happens to have.

    Raises
    ------
    TextureError
        `NO_TEXTURE`: fewer than three lags have enough pairs and V > 0.

    Notes
    -----
    This is the plainest reading of the published idea [1]_: each distinct distance counts once.

    References
    ----------
    .. [1] L. Pothuaud, P. Carceller, D. Hans, Bone 42(4), 775-787, 2008.
       DOI:10.1016/j.bone.2007.11.018

    Examples
    --------
    A plane has V(r) = 9 r squared along its gradient:

    >>> lag_mm = np.arange(1.0, 6.0)
    >>> plane = Variogram(lag_mm, 9 * lag_mm**2, np.full(5, 200))
    >>> round(unweighted_slope(plane, lag_min_mm=1, lag_max_mm=5, min_pairs=100).slope, 12)
    2.0
    """
    used = _usable(variogram, min_pairs, lag_min_mm=lag_min_mm, lag_max_mm=lag_max_mm)
    if used.lag_mm.size < _MIN_LINE_LAGS:
        raise _too_few_lags(used.lag_mm.size)
    slope, r2 = _line(np.log(used.lag_mm), np.log(used.value))
    return Slope(slope, r2, int(used.pairs.sum()))


def score_region(
    image: NDArray[np.float64],
    region: NDArray[np.bool_],
    *,
    pixel_spacing_mm: tuple[float, float],
    parameters: Parameters | None = None,
) -> RegionScore:
    """Score the texture of one region: its variogram and the slopes of it.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Gray levels [a.u.], linear in areal density, at the scanner's own sampling.
    region : ndarray of shape (M, N)
        True inside.
    pixel_spacing_mm : tuple of float
        Distance of rows, then of columns [mm].
    parameters : Parameters, optional
        Estimator parameters; the defaults without it.

    Returns
    -------
    RegionScore
        The score with its conditions.

    Raises
    ------
    TextureError
        `NO_TEXTURE`: as `experimental_variogram` and `texture_slope` refuse.

    References
    ----------
    .. [1] L. Pothuaud, P. Carceller, D. Hans, Bone 42(4), 775-787, 2008.
       DOI:10.1016/j.bone.2007.11.018

    Examples
    --------
    A plane rises by the same amount everywhere, so V(r) grows as r squared:

    >>> plane = np.add.outer(np.arange(40.0), 2 * np.arange(40.0))
    >>> plane_score = score_region(plane, np.full((40, 40), True), pixel_spacing_mm=(0.5, 0.5))
    >>> round(plane_score.slope, 1)
    2.0
    """
    chosen = parameters or Parameters()
    native_mm = chosen.native_lags * max(pixel_spacing_mm)
    variogram = experimental_variogram(
        image,
        region,
        pixel_spacing_mm=pixel_spacing_mm,
        lag_max_mm=max(chosen.variogram_max_mm, native_mm),
    )
    score = texture_slope(variogram, chosen)
    return RegionScore(
        slope=score.slope,
        r2=score.r2,
        pairs=score.pairs,
        native_slope=_slope_or_none(variogram, 0.0, native_mm, chosen.min_pairs),
        unweighted_slope=_slope_or_none(
            variogram, chosen.unweighted_lag_min_mm, chosen.lag_max_mm, chosen.min_pairs
        ),
        variogram=variogram,
    )


def _too_few_lags(lags: int) -> TextureError:
    return TextureError(Finding(Code.NO_TEXTURE, values=(("lags", lags),)))


def _slope_or_none(
    variogram: Variogram, lag_min_mm: float, lag_max_mm: float, min_pairs: int
) -> float | None:
    """Return the unweighted slope; a secondary value may be missing where the score is not."""
    try:
        return unweighted_slope(
            variogram, lag_min_mm=lag_min_mm, lag_max_mm=lag_max_mm, min_pairs=min_pairs
        ).slope
    except TextureError:
        return None


def _within(lag_mm: Floats, lag_min_mm: float, lag_max_mm: float) -> NDArray[np.bool_]:
    """Tell the lags of a closed range, whatever the last digit of a product of spacings is."""
    return (lag_mm >= lag_min_mm - LAG_TOLERANCE_MM) & (lag_mm <= lag_max_mm + LAG_TOLERANCE_MM)


def _usable(variogram: Variogram, min_pairs: int, *, lag_min_mm: float = 0.0, lag_max_mm: float) -> Variogram:
    """Keep the lags of a range that have enough pairs and a logarithm."""
    kept = _chosen(variogram, min_pairs, lag_min_mm, lag_max_mm)
    return Variogram(variogram.lag_mm[kept], variogram.value[kept], variogram.pairs[kept])


def _chosen(variogram: Variogram, min_pairs: int, lag_min_mm: float, lag_max_mm: float) -> NDArray[np.bool_]:
    """Tell the lags of a range that have enough pairs and a logarithm."""
    within = _within(variogram.lag_mm, lag_min_mm, lag_max_mm)
    return np.asarray(within & (variogram.pairs >= min_pairs) & (variogram.value > 0))


def _local_fits(used: Variogram, log_radius: Floats, bandwidth: float) -> Floats:
    """Return the locally fitted ln V at each radius; refuse if one of them is not determined."""
    weight, apart, mean_away, spread = _local_weights(used, log_radius, bandwidth)
    log_value = np.log(used.value)
    mean_value = (weight * log_value).sum(axis=1)
    local_slope = (weight * apart * (log_value - mean_value[:, np.newaxis])).sum(axis=1) / spread
    fitted: Floats = mean_value - local_slope * mean_away
    return fitted


def _local_weights(
    used: Variogram, log_radius: Floats, bandwidth: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return weights of the lags around each radius, places less their mean, the mean, the variance."""
    if used.lag_mm.size < _MIN_LINE_LAGS:
        raise _too_few_lags(used.lag_mm.size)
    away = (np.log(used.lag_mm) - log_radius[:, np.newaxis]) / bandwidth
    outside = np.maximum(away.min(axis=1), -away.max(axis=1))
    reached = (outside <= _REACH_OUTSIDE) & (np.abs(away).min(axis=1) <= _REACH_INSIDE)
    if not reached.all():
        raise _too_few_lags(used.lag_mm.size)
    weight = used.pairs.astype(np.float64) * np.exp(-0.5 * away**2)
    weight = weight / weight.sum(axis=1, keepdims=True)
    # Sums, not matrix products: BLAS may add in another order on another number of threads.
    mean_away = (weight * away).sum(axis=1)
    apart = away - mean_away[:, np.newaxis]
    spread = (weight * apart**2).sum(axis=1)
    if spread.min() < _MIN_SPREAD:
        raise _too_few_lags(used.lag_mm.size)
    return weight, apart, mean_away, spread


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Fit the ordinary least-squares line and return its slope and coefficient of determination."""
    dx, dy = x - x.mean(), y - y.mean()
    slope = float((dx * dy).sum() / (dx * dx).sum())
    total, rest = float((dy * dy).sum()), float(((dy - slope * dx) ** 2).sum())
    # A level line explains all there is to explain; rounding must not make 0/0 of it.
    return slope, 1.0 - rest / total if total > 1e-24 * x.size else 1.0
