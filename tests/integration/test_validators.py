"""Strangers judge what is written: dicom3tools, DCMTK and poppler."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tbsnode.dicom import encapsulated_pdf, measurement_report, overlay, sop_classes
from tbsnode.model import DerivedInstance, Reference
from tbsnode.reasons import Code, Finding
from tbsnode.report import pdf
from tests import reported, sources
from tests.peers import require_program

pytestmark = pytest.mark.peer

# a private scheme is unknown to it by definition; (0008,0110) identifies ours
ALLOWED = re.compile(
    r"Unrecognized defined term = <99TBSNODE>$"
    # dicom3tools files it under Series in images and under Study in documents; the values are equal
    r"|attribute - Element=<AccessionNumber> IE <(Series|Study)> versus <(Series|Study)>"
    # DCMTK 3.6.7 reads these character sets, and says that it does not check them
    r"|The VR checker does not support this Specific Character Set"
    r"|Reading unknown/unsupported SpecificCharacterSet \(.*ISO 2022 IR"
)


def _request() -> Dataset:
    request = Dataset()
    request.RequestedProcedureID, request.RequestedProcedureDescription = "R1", "DXA"
    request.ScheduledProcedureStepID = "S1"
    request.RequestedProcedureCodeSequence = [sources.code("77080", "C4", "DXA")]
    return request


SC: dict[str, Any] = {"SOPClassUID": sources.SC, "ConversionType": "DI", "ViewPosition": None}
BARE: dict[str, Any] = dict.fromkeys(
    [
        "PixelSpacing",
        "PixelSpacingCalibrationType",
        "PixelSpacingCalibrationDescription",
        "SpecificCharacterSet",
    ]
)
SOURCES: dict[str, dict[str, Any]] = {
    "cr-latin1": {},
    "cr-utf8-ordered": {"SpecificCharacterSet": "ISO_IR 192", "RequestAttributesSequence": [_request()]},
    "cr-japanese": {
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    },
    "sc-latin1": {**SC, "Modality": "BMD"},
    "sc-bare": {**SC, **BARE, "Modality": "OT", "PatientName": "Doe^Jane"},
}


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [require_program(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)


def complaints(output: str) -> list[str]:
    lines = [line for line in output.splitlines() if re.match(r"(Error|Warning|[EWF]:)", line)]
    return [line for line in lines if not ALLOWED.search(line)]


def reference(derived: DerivedInstance) -> Reference:
    return Reference(
        sop_class_uid=derived.sop_class_uid,
        sop_instance_uid=derived.sop_instance_uid,
        series_instance_uid=derived.series_instance_uid,
        study_instance_uid=derived.study_instance_uid,
    )


def instances(source: Path) -> dict[str, DerivedInstance]:
    """Return one of everything that can be made from a source."""
    scored = reported.report(reported.scored(source))
    refused = reported.report(reported.refused(source), result_digest="bb" * 32)
    calibrated = reported.report(
        reported.scored(source, tbs=1.31, z_score=-0.4, category="partially_degraded", calibration="CAL-7"),
        result_digest="cc" * 32,
        simulated=True,
    )
    levels = (
        reported.vertebra(0),
        reported.vertebra(1),
        reported.vertebra(2, score=None, included=False, excluded=Finding(Code.NO_LEVEL_SCORE, "L3")),
        reported.vertebra(3, score=None, region=(), included=False, excluded=Finding(Code.LEVEL_CUT, "L4")),
    )
    failed = reported.report(reported.scored(source, vertebrae=levels), result_digest="dd" * 32)
    made = {
        f"sr-{name}": measurement_report.build(scored, source, sr_class=name)
        for name in sop_classes.SR_CLASSES
    }
    successor = replace(scored, result_digest="ee" * 32)
    pages = encapsulated_pdf.build(scored, pdf.render(scored, sources.ramp().astype(float)), source)
    rgb = np.repeat((sources.ramp() // 16).astype(np.uint8)[..., None], 3, axis=2)
    made |= {
        "sr-refused": measurement_report.build(refused, source),
        "sr-calibrated": measurement_report.build(calibrated, source),
        "sr-failed-levels": measurement_report.build(failed, source),
        "sr-successor": measurement_report.build(successor, source, predecessor=reference(made["sr-3d"])),
        "pdf": pages,
        "pdf-successor": encapsulated_pdf.build(
            successor, pdf.render(successor, None), source, predecessor=reference(pages)
        ),
        "pdf-refused": encapsulated_pdf.build(refused, pdf.render(refused, None), source),
        "overlay": overlay.build(scored, rgb, source),
    }
    return made


@pytest.fixture(scope="module", params=list(SOURCES))
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp(request.param)
    source = sources.write(folder / "source.dcm", sources.spine(**SOURCES[request.param]))
    paths = []
    for name, derived in instances(source).items():
        paths.append(folder / f"{name}.dcm")
        paths[-1].write_bytes(derived.part10)
    return source, paths


def named(paths: Sequence[Path], prefix: str) -> list[Path]:
    found = [path for path in paths if path.name.startswith(prefix)]
    assert found
    return found


def test_dciodvfy_finds_no_error(written: tuple[Path, list[Path]]) -> None:
    source, paths = written
    for path in (source, *paths):
        outcome = run("dciodvfy", "-new", path)
        assert (path.name, complaints(outcome.stderr)) == (path.name, [])
        assert outcome.returncode == 0


def test_dcentvfy_sees_one_patient_and_one_study(written: tuple[Path, list[Path]]) -> None:
    source, paths = written
    outcome = run("dcentvfy", source, *paths)
    assert complaints(outcome.stdout + outcome.stderr) == []
    assert outcome.returncode == 0


def test_dcmtk_reads_the_documents(written: tuple[Path, list[Path]], tmp_path: Path) -> None:
    _, paths = written
    for path in named(paths, "sr-"):
        dumped = run("dsrdump", "+Pc", "+Pl", path)
        assert dumped.returncode == 0
        assert complaints(dumped.stderr) == []
        assert "TEXSLOPE,99TBSNODE" in dumped.stdout
        # to XML and back is the same content
        xml, back = tmp_path / "x.xml", tmp_path / "x.dcm"
        assert run("dsr2xml", path, xml).returncode == 0
        assert run("xml2dsr", xml, back).returncode == 0
        content = run("dsrdump", "-Ph", "+Pc", "+Pl", path).stdout
        assert content == run("dsrdump", "-Ph", "+Pc", "+Pl", back).stdout


def test_a_missing_number_says_why(written: tuple[Path, list[Path]]) -> None:
    _, paths = written
    (refused,) = named(paths, "sr-refused")
    dumped = run("dsrdump", "+Pc", refused).stdout
    assert '=empty (114006,DCM,"Measurement failure")' in dumped
    assert '=empty (114007,DCM,"Measurement not attempted")' in dumped


def test_the_pages_come_out_as_they_went_in(written: tuple[Path, list[Path]], tmp_path: Path) -> None:
    source, paths = written
    made = instances(source)
    for path in named(paths, "pdf"):
        pages = tmp_path / "pages.pdf"
        assert run("dcm2pdf", path, pages).returncode == 0
        assert pages.read_bytes() in made[path.stem].part10
        assert run("pdfinfo", pages).returncode == 0
        shown = run("pdftotext", pages, "-").stdout
        assert ("REPORT_PAGE" if "refused" in path.name else "1.25") in shown


def test_the_overlay_is_decoded(written: tuple[Path, list[Path]], tmp_path: Path) -> None:
    _, paths = written
    (path,) = named(paths, "overlay")
    assert run("dcmj2pnm", "--write-raw-pnm", path, tmp_path / "x.ppm").returncode == 0
    assert (tmp_path / "x.ppm").read_bytes()[:2] == b"P6"
