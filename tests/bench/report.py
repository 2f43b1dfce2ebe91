"""Time what is written about one study: the PDF and the structured report, as the node makes them.

One run makes a phantom of 780 x 716 pixels, scores it, adds what a full report holds (calibration, densities,
declared factors, four earlier examinations), and measures the processor time of
- both instances together, each alone, and the pages alone;
- reportlab's bare rendering of one page: the same fonts, the same picture, a page full of lines;
- pydicom's bare writing of the finished structured report, every element decoded before.
What we take is shown as a ratio to these, so that it can be compared from machine to machine.
Exit 1 if the budget is not met, or if two runs differ in one byte.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import reportlab
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tbsnode.dicom import acquisition, uids
from tbsnode.model import (
    Analysis,
    ClinicalContext,
    DerivedKind,
    Factor,
    FollowUp,
    PriorExamination,
    Provenance,
    ScannerResults,
    SiteResult,
)
from tbsnode.pipeline import allocator, making
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.interpret import diagnosis_of
from tbsnode.report import figures, layout, pdf
from tbsnode.tbs import reference
from tbsnode.tbs.frax import Supplied
from tbsnode.tbs.interpretation import Patient, Value, interpret

MADE_AT = datetime(2025, 1, 1, tzinfo=UTC)
BUDGET_MS = 150.0
LINES = 60  # of text on the bare page


def times_ms(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return median and 95th percentile of the processor time of one call [ms]."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(1e3 * (time.process_time() - start))
    times.sort()
    return times[len(times) // 2], times[math.ceil(0.95 * len(times)) - 1]


def material(folder: Path) -> making.Material:
    """Score a display copy of 780 x 716 pixels and gather what is stated about it."""
    patient = acquisition.PatientTags(patient_id="BENCH-1", name="Bench^One")
    options = acquisition.Options(anatomy_seed=1)
    (part10,) = acquisition.study("display", patient=patient, seed=1, options=options)
    path = folder / "1.dcm"
    path.write_bytes(part10)
    (done,) = analyze_file(path, AnalysisSettings(made_at=MADE_AT))
    if done.analysis.score is None or done.image is None:
        raise SystemExit(f"the phantom was not scored: {done.analysis.reason}")
    provenance = Provenance(
        version="bench",
        device_uid=uids.device_uid("bench"),
        station="BENCH",
        serial_number="1",
        content_at=MADE_AT,
    )
    report = making.make_report(in_context(done.analysis), provenance=provenance)
    return making.Material(report=report, image=done.image, source=path)


def in_context(analysis: Analysis) -> Analysis:
    """Add what a calibrated scanner, a referral and four earlier examinations bring: the full report."""
    tbs, see = 1.271, 0.03
    curve, cut_offs = reference.reference_curve(), reference.threshold_set("B")
    said = interpret(Value(tbs=tbs, see=see), Patient(sex="F", age_years=68.0, bmi=25.0), cut_offs, curve)
    levels = [SiteResult(site=f"L{n}", bmd_g_cm2=0.9 + 0.02 * n, t_score=-2.0 + 0.1 * n) for n in range(1, 5)]
    spine = ScannerResults(
        sites=(*levels, SiteResult(site="L1-L4", bmd_g_cm2=0.95, t_score=-1.8)), source="private results text"
    )
    hip = ScannerResults(
        sites=(
            SiteResult(site="total_hip", side="left", bmd_g_cm2=0.80, t_score=-1.6),
            SiteResult(site="femoral_neck", side="left", bmd_g_cm2=0.72, t_score=-2.1),
        ),
        source="structured report",
    )
    declared = ClinicalContext(
        present=(Factor.PREVIOUS_FRACTURE, Factor.GLUCOCORTICOIDS),
        fracture_sites=("wrist",),
        frax=Supplied(major_percent=22.0, hip_percent=4.5, with_bmd=True, source="referral"),
        source="referral",
    )
    assert analysis.score is not None
    priors = tuple(
        PriorExamination(
            study_instance_uid=f"1.2.{year}",
            examined_on=f"{year}0301",
            age_years=68.0 - (2025 - year),
            score=analysis.score + 0.01 * (2025 - year),
            tbs=tbs + 0.01 * (2025 - year),
            levels=analysis.included,
            comparable=True,
            difference=-0.01 * (2025 - year),
            tbs_difference=-0.01 * (2025 - year),
        )
        for year in (2017, 2019, 2021, 2023)
    )
    made = replace(
        analysis,
        tbs=tbs,
        tbs_see=see,
        z_score=said.z_score,
        category=said.category,
        borderline=said.borderline,
        threshold_set=said.threshold_set,
        reference=said.reference,
        calibration="CAL-BENCH",
        calibration_kind="paired",
        densitometry=spine,
        other_densitometry=(hip,),
        clinical=declared,
        follow_up=FollowUp(priors=priors, lsc=0.05, tbs_lsc=0.05),
    )
    return replace(made, bmd_diagnosis=diagnosis_of(made))


def bare_page(source: making.Material) -> Callable[[], bytes]:
    """Return reportlab's rendering of one page with our fonts, our picture and lines of text."""
    assert source.image is not None
    gray = figures.window(source.image.pixels)
    graymap = b"P5 %d %d 255\n" % gray.shape[::-1] + gray.tobytes()
    layout.register_fonts()

    def work() -> bytes:
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1)
        canvas.drawImage(ImageReader(io.BytesIO(graymap)), 300, 400, 250, 270)
        for line in range(LINES):
            canvas.setFont((layout.SANS, layout.BOLD)[line % 2], 8)
            canvas.drawString(40, 800 - 12 * line, f"Line {line}: the quick brown fox jumps")
        canvas.showPage()
        canvas.save()
        return buffer.getvalue()

    return work


def bare_write(part10: bytes) -> Callable[[], bytes]:
    """Return pydicom's writing of a data set that it has read and decoded."""
    data_set = pydicom.dcmread(io.BytesIO(part10))
    data_set.walk(lambda _, element: None)

    def work() -> bytes:
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, data_set, enforce_file_format=True)
        return buffer.getvalue()

    return work


def measure(source: making.Material, repeats: int) -> dict[str, Any]:
    """Measure everything once, in one run."""
    assert source.image is not None
    pixels = source.image.pixels

    def both() -> tuple[bytes, bytes]:
        kinds = (DerivedKind.PDF, DerivedKind.SR)
        made = [making.make(source, kind).part10 for kind in kinds]
        return made[0], made[1]

    first, again = both(), both()
    work: dict[str, Callable[[], object]] = {
        "pdf_and_sr": both,
        "of_it_pdf": lambda: making.make(source, DerivedKind.PDF),
        "of_it_pages": lambda: pdf.render(source.report, pixels),
        "of_it_sr": lambda: making.make(source, DerivedKind.SR),
        "reportlab_bare_page": bare_page(source),
        "pydicom_bare_write": bare_write(first[1]),
    }
    result: dict[str, Any] = {
        "versions": f"Python {platform.python_version()}, reportlab {reportlab.Version}, "
        f"pydicom {pydicom.__version__}",
        "picture": f"{pixels.shape[0]} x {pixels.shape[1]}",
        "pdf_bytes": len(first[0]),
        "sr_bytes": len(first[1]),
    }
    for name, task in work.items():
        result[f"{name}_ms"], result[f"{name}_p95_ms"] = times_ms(task, repeats)
    result["pages_times_bare_page"] = result["of_it_pages_ms"] / result["reportlab_bare_page_ms"]
    result["sr_times_bare_write"] = result["of_it_sr_ms"] / result["pydicom_bare_write_ms"]
    result["same_bytes"] = "yes" if first == again == both() else "NO"
    return result


def main() -> int:
    """Print what was measured; 0 if the budget is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=40, help="timed runs of each part")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    allocator.keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        result = measure(material(Path(name)), options.repeats)
    held = result["pdf_and_sr_ms"] < BUDGET_MS and result["same_bytes"] == "yes"
    if options.json:
        print(json.dumps(result | {"held": held}, indent=1))
        return 0 if held else 1
    for key, value in result.items():
        print(f"{key:32} {format(value, '.4g') if isinstance(value, float) else value}")
    print(f"budget: PDF and SR of one study in < {BUDGET_MS:g} ms, the same bytes each time:")
    print("held" if held else "NOT HELD")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
