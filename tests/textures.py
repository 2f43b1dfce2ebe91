"""Textures and regions with a known variogram, drawn from explicit seeds."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from tbsnode.tbs.variogram import Variogram, experimental_variogram

Floats = NDArray[np.float64]

# Row and column spacing [mm] of the matrices that scanners store or export, fine to coarse.
PIXEL_GRIDS_MM = (
    (0.25, 0.25),
    (0.30, 0.25),
    (0.2526, 0.2514),
    (0.5, 0.5),
    (0.6, 0.6),
    (1.05, 0.6),
    (0.8, 0.8),
    (1.05, 1.05),
)


@functools.cache
def _fbm_root(size: int, slope: float) -> Floats:
    """Square root of the covariance of fractional Brownian motion on (1..size, 1..size)."""
    point = np.mgrid[1 : size + 1, 1 : size + 1].reshape(2, -1).astype(np.float64)
    power = np.hypot(*point) ** slope
    apart = np.hypot(*(point[:, :, np.newaxis] - point[:, np.newaxis, :])) ** slope
    covariance = 0.5 * (power[:, np.newaxis] + power - apart)
    covariance[np.diag_indices_from(covariance)] += 1e-10 * covariance.max()
    return np.linalg.cholesky(covariance)


def fractional_brownian(slope: float, *, size: int, fields: int, seed: int) -> Floats:
    """Return exact fields with E[(B(p) - B(q))^2] = |p - q|^slope [pixels], shape (fields, size, size).

    By the Cholesky factor: synthesis from a power spectrum is periodic and has another variogram.
    """
    noise = np.random.default_rng(seed).standard_normal((size * size, fields))
    return np.ascontiguousarray((_fbm_root(size, slope) @ noise).T.reshape(fields, size, size))


def vertebra_shape(spacing_mm: tuple[float, float], size_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """Return a region like a vertebra: rounded, waisted, and symmetric in nothing."""
    height, width = (round(length / step) for length, step in zip(size_mm, spacing_mm, strict=True))
    row, column = np.mgrid[0:height, 0:width]
    down, across = 2 * (row + 0.5) / height - 1, 2 * (column + 0.5) / width - 1
    waist = 0.85 + 0.15 * down**2 + 0.05 * down
    return (np.abs(down + 0.1 * across) ** 4 + np.abs(across / waist) ** 4) < 1.0


def bone_texture(spacing_mm: tuple[float, float], size_mm: tuple[float, float], *, seed: int) -> Floats:
    """Return a stationary random texture of 0.5 to 1.5 mm grain over a tenth of white noise."""
    from scipy.ndimage import gaussian_filter

    shape = tuple(round(length / step) for length, step in zip(size_mm, spacing_mm, strict=True))
    rng = np.random.default_rng(seed)
    texture = 0.1 * rng.standard_normal(shape)
    for grain_mm in (0.5, 1.0, 1.5):
        sigma = tuple(grain_mm / step for step in spacing_mm)
        texture += gaussian_filter(rng.standard_normal(shape), sigma) * np.sqrt(np.prod(sigma))
    return texture


def analytic(form: object, spacing_mm: tuple[float, float]) -> Variogram:
    """Return V(r) = form(r) at the lags, and with the pairs, that a vertebra has on this grid."""
    assert callable(form)
    region = vertebra_shape(spacing_mm, (35.0, 45.0))
    ramp = np.add.outer(np.arange(float(region.shape[0])), np.arange(float(region.shape[1])) ** 1.1)
    grid = experimental_variogram(ramp, region, pixel_spacing_mm=spacing_mm, lag_max_mm=7.0)
    return Variogram(grid.lag_mm, form(grid.lag_mm), grid.pairs)
