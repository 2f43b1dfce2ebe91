"""How the scored pixels look: gray levels, saturation, noise; and what to doubt because of it.

Noise adds its variance to V at every lag and lowers the slope, so a thick patient looks degraded. The
share of noise at the shortest fitted lag says how much; a calibration stores its range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbsnode.reasons import Code, Finding
from tbsnode.tbs.levels import Source
from tbsnode.tbs.noise import estimate_noise
from tbsnode.tbs.result import ImageStatistics, Vertebra

NOISE_SHARE = 0.35  # of V at the shortest fitted lag; there a slope of 1.3 has lost about 0.2


@dataclass(frozen=True, slots=True)
class PictureQuality:
    """Statistics of the scored pixels, and the doubts that follow."""

    statistics: ImageStatistics
    findings: tuple[Finding, ...]


def judge(
    source: Source, scored: NDArray[np.bool_], clipped: float | None, included: Sequence[Vertebra]
) -> PictureQuality:
    """Look at the scored pixels.

    Parameters
    ----------
    source : Source
        Picture and segmentation.
    scored : ndarray of shape (M, N)
        True in the included regions.
    clipped : float or None
        Gray level at which bright bone is clipped.
    included : sequence of Vertebra
        With variograms and fits.

    Returns
    -------
    PictureQuality
        With `EXCESSIVE_NOISE` where noise is most of what the shortest fitted lag sees.
    """
    pixels = source.image[scored]
    noise = estimate_noise(source.image, scored, source.pixel_spacing_mm)
    variance = 0.0 if noise is None else noise.variance
    shortest = _v_at_shortest(included, source.parameters.lag_min_mm)
    share = min(1.0, 2.0 * variance / shortest) if shortest > 0 else 0.0
    fits = [v.fit_r2 for v in included if v.fit_r2 is not None]
    statistics = ImageStatistics(
        gray_levels=int(np.unique(pixels).size),
        saturated_fraction=0.0 if clipped is None else float(np.mean(pixels >= clipped)),
        short_lag_noise=share,
        fit_r2=float(np.mean(fits)) if fits else 0.0,
    )
    if share <= NOISE_SHARE:
        return PictureQuality(statistics, ())
    percent = round(100.0 * float(np.sqrt(variance)) / _contrast(source), 1)
    return PictureQuality(statistics, (Finding(Code.EXCESSIVE_NOISE, values=(("noise_percent", percent),)),))


def _v_at_shortest(included: Sequence[Vertebra], lag_min_mm: float) -> float:
    """Return the mean V at the first lag that is fitted; 0 where there is none."""
    values = []
    for vertebra in included:
        fitted = [(lag, value) for lag, value, _ in vertebra.variogram if lag >= lag_min_mm - 1e-6]
        if fitted:
            values.append(min(fitted)[1])
    return float(np.mean(values)) if values else 0.0


def _contrast(source: Source) -> float:
    """Return the step from soft tissue to bone [gray levels]."""
    low, high = source.found.column.grid.gray
    step = float(np.median(source.found.edges.bone - source.found.edges.soft))
    return max(abs(high - low) * step, 1e-9)
