"""Time the exact variogram of four vertebrae against gstools and against the bare FFTs it needs.

Four regions of about 20,000 pixels at 0.25 mm, all lags to 5.25 mm (and to 7 mm, which a score needs).
gstools looks at every pair of pixels once for every bin, so it is given its cheapest useful task: 21 bins
of 0.25 mm, far fewer than our exact lags, on one whole vertebra; four take four times as long. Equality
is tested apart, with one bin for each exact lag, on a part of a vertebra. The bare FFTs are three real
forward and two real inverse transforms of the padded box with scipy.fft, on one thread like all the rest.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Callable

import gstools
import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import fft, ndimage

from tbsnode.tbs.parameters import Parameters
from tbsnode.tbs.score import texture_slope
from tbsnode.tbs.variogram import Variogram, experimental_variogram

STEP_MM = 0.25
VERTEBRAE = 4
LAG_MAX_MM = 5.25
BUDGET_GSTOOLS = 1000.0
BUDGET_FFT = 3.0
AGREEMENT = 1e-9

Picture = tuple[NDArray[np.float64], NDArray[np.bool_]]


def vertebra(seed: int) -> Picture:
    """Return a textured box and a rounded region of about 20,000 pixels in it."""
    shape = (140, 160)
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[0 : shape[0], 0 : shape[1]]
    down, across = 2 * (row + 0.5) / shape[0] - 1, 2 * (column + 0.5) / shape[1] - 1
    region = (np.abs(down) ** 4 + np.abs(across - 0.05 * down) ** 4) < 0.95
    grain = sum(ndimage.gaussian_filter(rng.standard_normal(shape), size) * size for size in (2, 4, 6))
    return 900 + 60 * grain + 5 * rng.standard_normal(shape), region


def median_s(work: Callable[[], object], repeats: int) -> float:
    """Return the median processor time of one call [s] after a warm-up; other processes do not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return float(np.median(times))


def variograms(pictures: list[Picture], lag_max_mm: float) -> list[Variogram]:
    """Compute V(r) of all of them."""
    return [
        experimental_variogram(*picture, pixel_spacing_mm=(STEP_MM, STEP_MM), lag_max_mm=lag_max_mm)
        for picture in pictures
    ]


def bare_ffts(pictures: list[Picture], lag_max_mm: float) -> Callable[[], None]:
    """Return the transforms alone: three forward, two inverse, of each padded box."""
    reach = math.floor(lag_max_mm / STEP_MM)
    rows = np.flatnonzero(pictures[0][1].any(axis=1))
    columns = np.flatnonzero(pictures[0][1].any(axis=0))
    box = (np.ptp(rows) + 1, np.ptp(columns) + 1)
    padded = fft.next_fast_len(int(box[0]) + reach), fft.next_fast_len(int(box[1]) + reach, real=True)
    planes = np.random.default_rng(0).standard_normal((3, *padded))

    def work() -> None:
        for _ in pictures:
            spectra = fft.rfft2(planes, workers=1)
            fft.irfft2(spectra[:2], padded, workers=1)

    return work


def with_gstools(picture: Picture, edges_mm: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the processor time of gstools [s] and twice its semivariance, which is V, in each bin."""
    image, region = picture
    row, column = np.nonzero(region)
    start = time.process_time()
    _, semivariance = gstools.vario_estimate((row * STEP_MM, column * STEP_MM), image[region], edges_mm)
    return time.process_time() - start, 2 * semivariance


def largest_difference(picture: Picture) -> tuple[int, float]:
    """Compare with gstools at every exact lag in the upper left part of a vertebra."""
    image, region = picture[0][:40, :60], picture[1][:40, :60]
    ours = variograms([(image, region)], LAG_MAX_MM)[0]
    edges_mm = np.repeat(ours.lag_mm, 2)
    edges_mm[0::2] -= 1e-7
    edges_mm[1::2] += 1e-7
    theirs = with_gstools((image, region), edges_mm)[1][0::2]
    return int(np.count_nonzero(region)), float(np.max(np.abs(theirs / ours.value - 1)))


def measure(repeats: int) -> dict[str, float | str]:
    """Measure everything once, in one run."""
    pictures = [vertebra(seed) for seed in range(VERTEBRAE)]
    result: dict[str, float | str] = {
        "pixels_a_vertebra": int(np.count_nonzero(pictures[0][1])),
        "versions": f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"gstools {gstools.__version__}",
    }
    for name, lag_max_mm in (("", LAG_MAX_MM), ("_7mm", 7.0)):
        ours = median_s(lambda r=lag_max_mm: variograms(pictures, r), repeats)
        bare = median_s(bare_ffts(pictures, lag_max_mm), repeats)
        result[f"four_variograms{name}_ms"] = 1e3 * ours
        result[f"bare_ffts{name}_ms"] = 1e3 * bare
        result[f"times_bare_ffts{name}"] = ours / bare
    full = variograms(pictures, 7.0)
    result["four_slopes_ms"] = 1e3 * median_s(lambda: [texture_slope(v, Parameters()) for v in full], repeats)
    result["compared_pixels"], result["largest_relative_difference"] = largest_difference(pictures[0])
    bins_mm = STEP_MM / 2 + STEP_MM * np.arange(22)
    one_vertebra_s = with_gstools(pictures[0], bins_mm)[0]
    result["gstools_one_vertebra_s"] = one_vertebra_s
    result["gstools_four_vertebrae_extrapolated_s"] = VERTEBRAE * one_vertebra_s
    result["times_faster_than_gstools"] = (
        1e3 * VERTEBRAE * one_vertebra_s / float(result["four_variograms_ms"])
    )
    return result


def main() -> int:
    """Print what was measured; 0 if both budgets hold and the values agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=21, help="timed runs of the fast parts")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    result = measure(options.repeats)
    held = (
        float(result["times_faster_than_gstools"]) >= BUDGET_GSTOOLS
        and float(result["times_bare_ffts"]) <= BUDGET_FFT
        and float(result["largest_relative_difference"]) <= AGREEMENT
    )
    if options.json:
        print(json.dumps(result | {"held": held}, indent=1))
    else:
        for name, value in result.items():
            print(f"{name:38} {value if isinstance(value, str) else format(value, '.4g')}")
        print(
            f"budget: >= {BUDGET_GSTOOLS:g} x gstools, <= {BUDGET_FFT:g} x bare FFTs, equal to {AGREEMENT:g}:"
        )
        print("held" if held else "NOT HELD")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
