"""Time the whole analysis, the variogram beside two other libraries, and `analyze` of a folder.

One run measures, on one thread of the math libraries each:
- decode + segment + label + score of a phantom of 780 x 716 pixels, as a file, part by part;
- the exact variogram of four vertebrae of about 20,000 pixels at 0.25 mm beside gstools and scikit-gstat.
  Both look at every pair of pixels. gstools does one whole vertebra with its cheapest useful task, 21 bins.
  scikit-gstat keeps the distance of every pair, so it does a part of one; its time for a vertebra is taken
  from the number of pairs. Values are compared at every exact lag, on that part;
- `tbsnode analyze -o` of a folder with one process and with two, less what the first files take. Run it
  on an idle machine: processor time is told beside wall time, and the load before.
Exit 1 if a budget is not met or values differ.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench import variogram as variograms

PART = (40, 60)  # rows and columns of a vertebra that scikit-gstat is given
AGREEMENT = 1e-9
BUDGETS = {  # name of a figure: (at least or at most, limit)
    "analysis_ms": ("<=", 150.0),
    "times_faster_than_gstools": (">=", 1000.0),
    "times_bare_ffts": ("<=", 3.0),
    "gstools_difference": ("<=", AGREEMENT),
    "scikit_gstat_difference": ("<=", AGREEMENT),
    "studies_s_jobs_1": (">=", 3.0),
    "speedup_jobs_2": (">=", 1.8),
}


def write_studies(folder: Path, count: int) -> list[Path]:
    """Write display copies of 780 x 716 pixels: one patient, other noise."""
    from tbsnode.dicom import acquisition

    paths = []
    for seed in range(1, count + 1):
        patient = acquisition.PatientTags(patient_id=f"BENCH-{seed}", name=f"Bench^{seed}")
        options = acquisition.Options(anatomy_seed=1)
        (part10,) = acquisition.study("display", patient=patient, seed=seed, options=options)
        paths.append(folder / f"{seed:03}.dcm")
        paths[-1].write_bytes(part10)
    return paths


def analysis(path: Path, repeats: int) -> dict[str, float]:
    """Time one file from its bytes to its scores, and the parts of that."""
    from datetime import UTC, datetime

    from tbsnode.pipeline import allocator
    from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
    from tbsnode.tbs import field, labeling, levels, segmentation
    from tbsnode.tbs.parameters import Parameters

    allocator.keep_freed_memory()  # as every process that analyzes does
    settings = AnalysisSettings(made_at=datetime(2025, 1, 1, tzinfo=UTC))
    (done,) = analyze_file(path, settings)
    if done.analysis.score is None or done.image is None:
        raise SystemExit(f"the phantom was not scored: {done.analysis.reason}")
    pixels, spacing = done.image.pixels, done.image.pixel_spacing_mm
    scanned = field.scanned_field(pixels, None)
    found = segmentation.segment(pixels, scanned, spacing)
    first = labeling.label(found).first
    source = levels.Source(pixels, spacing, found, Parameters())
    drawn = levels.draw(source, first)
    scored = levels.score_levels(source, drawn, [None] * len(drawn))
    parts: dict[str, Callable[[], object]] = {
        "analysis_ms": lambda: analyze_file(path, settings),
        "of_it_field_ms": lambda: field.scanned_field(pixels, None),
        "of_it_segment_ms": lambda: segmentation.segment(pixels, scanned, spacing),
        "of_it_label_ms": lambda: labeling.label(found),
        "of_it_regions_ms": lambda: levels.draw(source, first),
        "of_it_scores_ms": lambda: levels.score_levels(source, drawn, [None] * len(drawn)),
        "of_it_standard_errors_ms": lambda: levels.with_standard_errors(source, drawn, scored),
    }
    return {"rows": pixels.shape[0], "columns": pixels.shape[1]} | {
        name: 1e3 * variograms.median_s(work, repeats) for name, work in parts.items()
    }


def with_scikit_gstat() -> dict[str, float]:
    """Compare values at every exact lag with scikit-gstat on a part of a vertebra, and time both."""
    import numpy as np
    import skgstat

    whole = variograms.vertebra(0)
    image, region = (one[: PART[0], : PART[1]] for one in whole)
    ours = variograms.variograms([(image, region)], variograms.LAG_MAX_MM)[0]
    row, column = np.nonzero(region)
    places = np.column_stack([row, column]) * variograms.STEP_MM
    edges_mm = [*((ours.lag_mm[:-1] + ours.lag_mm[1:]) / 2), ours.lag_mm[-1] + 1e-7]

    def theirs(bins: list[float]) -> Any:
        return skgstat.Variogram(places, image[region], bin_func=bins, fit_method=None).experimental

    difference = float(np.max(np.abs(2 * theirs(edges_mm) / ours.value - 1)))
    bins_mm = (variograms.STEP_MM / 2 + variograms.STEP_MM * np.arange(1, 22)).tolist()
    theirs(bins_mm)  # compiles
    start = time.process_time()
    theirs(bins_mm)
    part_s = time.process_time() - start
    pixels = int(np.count_nonzero(whole[1]))
    return {
        "scikit_gstat_pixels": int(row.size),
        "scikit_gstat_difference": difference,
        "scikit_gstat_part_s": part_s,
        "scikit_gstat_four_vertebrae_extrapolated_s": 4 * part_s * (pixels / row.size) ** 2,
    }


def peers(repeats: int) -> dict[str, Any]:
    """Time and compare the variogram beside gstools and scikit-gstat."""
    own = variograms.measure(repeats)
    other = with_scikit_gstat()
    ours_s = float(own["four_variograms_ms"]) / 1e3
    import skgstat

    return {
        "versions": f"{own['versions']}, scikit-gstat {skgstat.__version__}",
        "pixels_a_vertebra": own["pixels_a_vertebra"],
        "four_variograms_ms": own["four_variograms_ms"],
        "times_bare_ffts": own["times_bare_ffts"],
        "gstools_four_vertebrae_extrapolated_s": own["gstools_four_vertebrae_extrapolated_s"],
        "times_faster_than_gstools": own["times_faster_than_gstools"],
        "gstools_difference": own["largest_relative_difference"],
        **other,
        "times_faster_than_scikit_gstat": other["scikit_gstat_four_vertebrae_extrapolated_s"] / ours_s,
    }


def analyze(paths: Sequence[Path], jobs: int) -> tuple[float, float, str]:
    """Return wall time and processor time of `analyze -o` of some files [s], and what it printed."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "tbsnode", "analyze", *map(str, paths), "-o", out]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--jobs", str(jobs), "--json"], capture_output=True, text=True, check=True
        )
        wall_s = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, busy_s, done.stdout


def rates(paths: Sequence[Path]) -> dict[str, Any]:
    """Time a folder with one process and with two; what one file for each process takes is taken off."""
    result: dict[str, Any] = {
        "studies": len(paths),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
    }
    printed = []
    for jobs in (1, 2):
        start_s, start_busy_s, _ = analyze(paths[:jobs], jobs)
        wall_s, busy_s, shown = analyze(paths, jobs)
        printed.append(json.loads(shown)["results"])
        result[f"studies_s_jobs_{jobs}"] = (len(paths) - jobs) / (wall_s - start_s)
        result[f"studies_a_core_s_jobs_{jobs}"] = (len(paths) - jobs) / (busy_s - start_busy_s)
    result["speedup_jobs_2"] = result["studies_s_jobs_2"] / result["studies_s_jobs_1"]
    result["same_results"] = "yes" if printed[0] == printed[1] else "NO"
    return result


def main() -> int:
    """Print what was measured; 0 if every budget is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, help="timed runs of the fast parts")
    parser.add_argument("--studies", type=int, default=40, help="files in the folder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        paths = write_studies(Path(name), options.studies)
        result = analysis(paths[0], options.repeats) | rates(paths)
    result |= peers(options.repeats)
    missed = [
        name
        for name, (sign, limit) in BUDGETS.items()
        if not (result[name] <= limit if sign == "<=" else result[name] >= limit)
    ]
    if result["same_results"] != "yes":
        missed.append("same_results")
    if options.json:
        print(json.dumps(result | {"missed": missed}, indent=1))
        return 1 if missed else 0
    for name, value in result.items():
        limit = "  (budget {} {:g})".format(*BUDGETS[name]) if name in BUDGETS else ""
        print(f"{name:44} {value if isinstance(value, str) else format(value, '.4g')}{limit}")
    print("budgets: " + ("held" if not missed else "NOT HELD: " + ", ".join(missed)))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
