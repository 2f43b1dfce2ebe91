"""Measure segmentation, labels and repeatability on a family of phantoms, group by group.

Every case is drawn anew from its seed, measured as `tbsnode analyze` measures it, and held against its
truth. The region that a score rests on is drawn in by 1 mm; its overlap is taken with the true region drawn
in by the same, and with the whole one beside it. Exit 1 if a target is not met.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage
from skimage.draw import polygon2mask

from tbsnode.errors import AnalysisError
from tbsnode.phantom import family
from tbsnode.phantom.drawing import Truth
from tbsnode.tbs.result import SpineMeasurement
from tbsnode.tbs.spine import Picture, measure

INSET_MM = 1.0
UNCERTAIN = ("LEVELS_UNCERTAIN", "LEVELS_DISAGREE_WITH_SCANNER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one case."""

    number: int
    group: str
    name: str
    expected: str
    scanner: str
    five: bool
    in_view: bool
    scored: bool
    code: str = ""
    certain: bool = False
    right: bool | None = None
    excluded: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    boundary_mm: tuple[float, ...] = ()
    overlap: tuple[float, ...] = ()
    overlap_whole: tuple[float, ...] = ()
    patient: str = ""
    score: float | None = None
    standard_error: float | None = None
    cpu_s: float = 0.0


@dataclass(slots=True)
class Total:
    """One figure with its target."""

    name: str
    value: float | None
    target: str
    met: bool | None
    n: int = field(default=0)


def run(case: family.Case) -> Outcome:
    """Draw, measure and judge one case."""
    made = family.render(case)
    known: dict[str, Any] = {
        "number": case.number,
        "group": case.group,
        "name": case.name,
        "expected": case.expected,
        "scanner": case.scanner.name,
        "five": case.spine is not None and case.spine.lumbar_count == 5,
        "in_view": made.truth is not None and _in_view(made.truth),
        "patient": case.name if case.group == "repositioning" else "",
    }
    picture = Picture(
        pixels=made.pixels, pixel_spacing_mm=made.pixel_spacing_mm, stored_maximum=made.stored_maximum
    )
    start = time.process_time()
    try:
        found = measure(picture)
    except AnalysisError as error:
        return Outcome(**known, scored=False, code=error.code.value, cpu_s=time.process_time() - start)
    known |= {"cpu_s": time.process_time() - start, "scored": True}
    codes = tuple(finding.code.value for finding in found.findings)
    right = _labels_right(found, made) if made.truth is not None else None
    boundary, overlap, whole = _compare(found, made) if right and not case.turned else ((), (), ())
    return Outcome(
        **known,
        certain=not any(code in UNCERTAIN for code in codes),
        right=right,
        excluded=tuple(v.label for v in found.vertebrae if not v.included),
        findings=codes,
        boundary_mm=boundary,
        overlap=overlap,
        overlap_whole=whole,
        score=found.score,
        standard_error=found.standard_error,
    )


def _in_view(truth: Truth) -> bool:
    levels = {level.label: level.visible for level in truth.levels}
    return all(levels.get(label, 0.0) > 0.99 for label in ("L1", "L2", "L3", "L4"))


def _labels_right(found: SpineMeasurement, made: family.Rendered) -> bool:
    """Tell whether the middle of each region lies nearest to the middle of the true level of its name."""
    assert made.truth is not None
    spacing = np.array(made.pixel_spacing_mm)
    middles = {each.label: made.to_pixels(np.array(each.center_mm)) * spacing for each in made.truth.levels}
    for vertebra in found.vertebrae:
        own = np.mean(np.array(vertebra.region[:-1]), axis=0) * spacing
        nearest = min(middles, key=lambda label, own=own: float(np.hypot(*(middles[label] - own))))
        if nearest != vertebra.label:
            return False
    return True


def _compare(
    found: SpineMeasurement, made: family.Rendered
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return boundary errors [mm] and overlaps (Dice) of the included levels."""
    assert made.truth is not None
    boundary: list[float] = []
    inset, whole = [], []
    for vertebra in found.vertebrae:
        if not vertebra.included:
            continue
        truth = made.to_pixels(made.truth.level(vertebra.label).ring_mm)
        ring = np.array(vertebra.region)
        boundary += _distances(ring, truth, made.pixel_spacing_mm).tolist()
        shape = (made.pixels.shape[0], made.pixels.shape[1])
        ours, full = polygon2mask(shape, ring), polygon2mask(shape, truth)
        depth = ndimage.distance_transform_edt(full, sampling=made.pixel_spacing_mm)
        inset.append(_dice(ours, depth > INSET_MM))
        whole.append(_dice(ours, full))
    return tuple(boundary), tuple(inset), tuple(whole)


def _distances(
    ring: NDArray[np.float64], outline: NDArray[np.float64], spacing: tuple[float, float]
) -> NDArray[np.float64]:
    """Return how far each point of a ring is from where an outline drawn in by the inset would be [mm]."""
    points, line = ring * spacing, outline * spacing
    start, step = line[:-1], np.diff(line, axis=0)
    along = ((points[:, None] - start) * step).sum(-1) / np.maximum((step**2).sum(-1), 1e-12)
    nearest = start + np.clip(along, 0.0, 1.0)[..., None] * step
    return np.abs(np.hypot(*np.moveaxis(nearest - points[:, None], -1, 0)).min(axis=1) - INSET_MM)


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return 2.0 * float(np.count_nonzero(a & b)) / max(1, np.count_nonzero(a) + np.count_nonzero(b))


# ---- totals -----------------------------------------------------------------------------------------


def totals(done: Sequence[Outcome]) -> list[Total]:
    """Return every figure that has a target."""
    spines = [each for each in done if each.right is not None or (each.five and each.expected != "refused")]
    certain = [each for each in spines if each.scored and each.certain]
    whole = [each for each in done if each.five and each.in_view and each.expected == family.SCORED]
    boundary = np.array([error for each in done for error in each.boundary_mm])
    overlap = np.array([value for each in done for value in each.overlap])
    others = [each for each in done if each.group == "no spine"]
    turned = [each for each in done if each.name == "upside down"]
    metal = [each for each in done if each.name in ("screws", "blob", "wire")]
    told = [each for each in done if each.name in ("L1 cut", "L4 cut")]
    odd = [each for each in done if each.group == "numbering" and not each.five]
    found = [
        _share("labels right where they are not doubted", [bool(e.right) for e in certain], 0.995),
        _share("scored, of five lumbar vertebrae in view", [e.scored for e in whole], 0.90),
        _share("no spine: refused", [not e.scored for e in others], 1.0),
        _share("upside down: refused", [not e.scored for e in turned], 1.0),
        _share("metal and wires: level left out", [bool(e.excluded) or not e.scored for e in metal], 1.0),
        _share("cut levels: left out, doubted or refused", [_is_said(e) for e in told], 1.0),
        _share("four or six lumbar: doubted or refused", [not (e.scored and e.certain) for e in odd], 1.0),
        _limit("boundary error, median [mm]", boundary, 50.0, 1.0),
        _limit("boundary error, 95th percentile [mm]", boundary, 95.0, 2.5),
        Total(
            "overlap with the true region, both drawn in, median",
            float(np.median(overlap)) if overlap.size else None,
            ">= 0.94",
            bool(np.median(overlap) >= 0.94) if overlap.size else None,
            overlap.size,
        ),
    ]
    return [*found, *_repeatability(done)]


def _is_said(each: Outcome) -> bool:
    """Tell whether a level was left out or refused, or the labels are doubted."""
    return bool(each.excluded) or not each.scored or not each.certain


def _share(name: str, hits: Sequence[bool], least: float) -> Total:
    value = float(np.mean(hits)) if hits else None
    met = None if value is None else value >= least
    return Total(name, value, f">= {least:.1%}" if least < 1 else "100 %", met, len(hits))


def _limit(name: str, values: NDArray[np.float64], percentile: float, most: float) -> Total:
    value = float(np.percentile(values, percentile)) if values.size else None
    return Total(name, value, f"<= {most}", None if value is None else value <= most, values.size)


def _repeatability(done: Iterable[Outcome]) -> list[Total]:
    """Return the RMS-SD of repositioned scans per kind of scanner, and how often errors cover."""
    patients: dict[tuple[str, str], list[Outcome]] = {}
    for each in done:
        if each.patient and each.scored and not each.excluded:
            patients.setdefault((each.scanner, each.patient), []).append(each)
    kinds: dict[str, list[float]] = {}
    within: list[bool] = []
    for (scanner, _), scans in patients.items():
        scores = np.array([each.score for each in scans], dtype=np.float64)
        if scores.size < 2:
            continue
        kinds.setdefault(scanner, []).append(float(scores.var(ddof=1)))
        # a deviation from the mean of n scans has (n - 1) / n of the variance of one scan
        wider = np.sqrt(scores.size / (scores.size - 1))
        for each, score in zip(scans, scores, strict=True):
            if each.standard_error is not None:
                within.append(bool(wider * abs(score - scores.mean()) <= each.standard_error))
    made = [
        Total(
            f"repositioned, RMS-SD, {kind}",
            float(np.sqrt(np.mean(v))),
            "<= 0.010",
            np.mean(v) <= 1e-4,
            len(v),
        )
        for kind, v in sorted(kinds.items())
    ]
    if within:
        share = float(np.mean(within))
        # fewer than 200 scans say little about a share of 68 %
        met = 0.60 <= share <= 0.76 if len(within) >= 200 else None
        made.append(Total("68 % intervals that cover", share, "60 to 76 %", met, len(within)))
    return made


# ---- output -----------------------------------------------------------------------------------------


def groups(done: Sequence[Outcome]) -> list[tuple[object, ...]]:
    """Return one line a group and kind."""
    lines: list[tuple[object, ...]] = []
    keys = dict.fromkeys(
        (each.group, _kind(each)) for each in sorted(done, key=lambda e: (e.group, _kind(e)))
    )
    for key in keys:
        own = [each for each in done if (each.group, _kind(each)) == key]
        scored = [each for each in own if each.scored]
        certain = [each for each in scored if each.certain]
        wrong = sum(each.right is False for each in certain)
        boundary = [error for each in own for error in each.boundary_mm]
        median = f"{np.median(boundary):.2f}" if boundary else ""
        left_out = sum(bool(each.excluded) for each in scored)
        codes = ", ".join(sorted({each.code for each in own if each.code}))
        lines.append((*key, len(own), len(scored), len(certain), wrong, left_out, median, codes))
    return lines


def _kind(each: Outcome) -> str:
    if each.group == "repositioning":
        return ""
    return "fracture" if each.name.startswith("fracture") else each.name


def main() -> int:
    """Print the tables; 0 if every target is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="which family")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    wanted = parser.parse_args()
    cases = family.cases(wanted.cases, wanted.seed)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before the children load a math library
    with ProcessPoolExecutor(wanted.jobs, mp_context=get_context("spawn")) as pool:
        results = pool.map(run, cases, chunksize=1)
        shown = track(results, total=len(cases), description="Measuring", disable=not sys.stderr.isatty())
        done = list(shown)
    figures = totals(done)
    if wanted.json:
        named = ("name", "value", "target", "met", "n")
        listed = [{key: getattr(each, key) for key in named} for each in figures]
        print(json.dumps({"cases": len(done), "seed": wanted.seed, "totals": listed}, indent=2))
    else:
        head = ("group", "kind", "n", "scored", "certain", "wrong", "left out", "edge mm", "refused as")
        _print([head, *groups(done)])
        print()
        _print([("total", "value", "target", "", "n"), *(_line(each) for each in figures)])
        times = [1e3 * each.cpu_s for each in done if each.scored]
        print(
            f"\nCPU time of a scored picture: median {np.median(times):.0f} ms, 95th percentile "
            f"{np.percentile(times, 95):.0f} ms"
        )
    return 0 if all(each.met is not False for each in figures) else 1


def _line(each: Total) -> tuple[object, ...]:
    value = "" if each.value is None else f"{each.value:.4f}"
    met = {None: "not judged", True: "met", False: "NOT MET"}[each.met]
    return (each.name, value, each.target, met, each.n)


def _print(rows: Sequence[tuple[object, ...]]) -> None:
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
