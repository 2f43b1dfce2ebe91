"""Draw page 1 of a full, signed report as docs/report-page-1.png, the picture in README.md.

Everything in it is simulated. Needs `pdftoppm` (poppler-utils).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from tbsnode.model import Report, Review, ReviewAction, Reviewer, Scanner
from tbsnode.pipeline import making
from tbsnode.reasons import Code, Finding
from tbsnode.report import pdf
from tests.bench import report as bench

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "report-page-1.png"
DPI = "100"


def signed(report: Report) -> Report:
    """Sign a report, in simulation."""
    review = Review(
        action=ReviewAction.ACCEPT,
        reviewer=Reviewer(login="reader", name="Reader^Simulated", organization="Demonstration"),
        host="reading-room",
        at=datetime(2025, 3, 14, 11, 30, tzinfo=UTC),
    )
    identity = report.analysis.identity
    assert identity is not None
    identity = replace(
        identity,
        demographics=replace(identity.demographics, name="Demo^Patient", patient_id="DEMO-1"),
        scanner=Scanner(manufacturer="Simulated densitometer", station_name="SIMULATOR"),
        accession_number="A-2025-118",
        referring_physician="Referrer^Simulated",
    )
    analysis = replace(report.analysis, identity=identity, findings=(Finding(Code.SIMULATED),))
    provenance = replace(report.provenance, content_at=review.at, version="0.1.0")
    return making.make_report(analysis, provenance=provenance, review=review)


def main() -> int:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        material = bench.material(folder)
        page = folder / "report.pdf"
        page.write_bytes(pdf.render(signed(material.report), material.image.pixels))
        subprocess.run(
            ["pdftoppm", "-r", DPI, "-f", "1", "-l", "1", "-singlefile", "-png", page, folder / "page"],
            check=True,
        )
        with Image.open(folder / "page.png") as drawn:
            drawn.convert("RGB").save(TARGET, optimize=True)
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
