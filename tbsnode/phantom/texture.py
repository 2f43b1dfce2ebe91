"""Stationary Gaussian fields with a stated variogram: the trabecular texture of a phantom."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def covariance(
    lag_mm: NDArray[np.float64], *, exponent: float, correlation_length_mm: float
) -> NDArray[np.float64]:
    """Return the powered-exponential covariance of unit variance at each lag.

    Parameters
    ----------
    lag_mm : ndarray
        Distances [mm].
    exponent : float
        Log-log slope of the variogram at short lags, in (0, 2).
    correlation_length_mm : float
        Distance at which the correlation has fallen to 1/e [mm].

    Returns
    -------
    ndarray
        ``exp(-(lag / length) ** exponent)``, in the shape of `lag_mm`.

    Notes
    -----
    The mean squared difference is ``V(r) = 2 (1 - exp(-(r / L) ** exponent))``, which grows like
    ``r ** exponent`` while r is small against L.

    Examples
    --------
    >>> float(covariance(np.array([0.0]), exponent=1.0, correlation_length_mm=4.0)[0])
    1.0
    """
    result: NDArray[np.float64] = np.exp(-((lag_mm / correlation_length_mm) ** exponent))
    return result


def gaussian_field(
    shape: tuple[int, int],
    generator: np.random.Generator,
    *,
    pixel_spacing_mm: float,
    exponent: float,
    correlation_length_mm: float,
) -> NDArray[np.float64]:
    """Draw a stationary Gaussian field of mean 0 and variance 1 on a torus.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the result; the field continues from each edge to the opposite one.
    generator : numpy.random.Generator
        Source of the numbers.
    pixel_spacing_mm : float
        Side of a square pixel [mm].
    exponent, correlation_length_mm : float
        As in `covariance`.

    Returns
    -------
    ndarray of shape `shape`
        The field.

    Notes
    -----
    Circulant embedding: the eigenvalues of the covariance on the torus are its Fourier transform.
    The few that the wrapping makes negative are set to zero; unlike power-law spectral synthesis
    this leaves the variogram at short lags exact.
    """
    spectrum = _root_spectrum(shape, pixel_spacing_mm, exponent, correlation_length_mm)
    white = np.fft.rfft2(generator.standard_normal(shape))
    field = np.fft.irfft2(white * spectrum, s=shape)
    result: NDArray[np.float64] = field
    return result


@lru_cache(maxsize=4)  # every individual of one anatomy has it in common
def _root_spectrum(
    shape: tuple[int, int], pixel_spacing_mm: float, exponent: float, correlation_length_mm: float
) -> NDArray[np.float64]:
    """Return the square roots of the covariance's eigenvalues on the torus."""
    rows, columns = (np.minimum(np.arange(n), n - np.arange(n)) * pixel_spacing_mm for n in shape)
    lag_mm = np.hypot(rows[:, None], columns[None, :])
    model = covariance(lag_mm, exponent=exponent, correlation_length_mm=correlation_length_mm)
    eigenvalues = np.maximum(np.fft.rfft2(model).real, 0.0)
    eigenvalues[0, 0] = 0.0  # the mean is not texture
    result: NDArray[np.float64] = np.sqrt(eigenvalues)
    result.setflags(write=False)
    return result
