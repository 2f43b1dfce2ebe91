"""Strangers judge what is written: dicom3tools, DCMTK and poppler."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests import documents, sources
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
    # it says so of every Key Object
    r"|Check for template constraints not yet supported"
)


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [require_program(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)


def complaints(output: str) -> list[str]:
    lines = [line for line in output.splitlines() if re.match(r"(Error|Warning|[EWF]:)", line)]
    return [line for line in lines if not ALLOWED.search(line)]


@pytest.fixture(scope="module", params=[*documents.HEADERS, *documents.SCANNERS])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp(request.param)
    source = documents.source(request.param, folder)
    paths = []
    for name, derived in documents.every(source).items():
        paths.append(folder / f"{name}.dcm")
        paths[-1].write_bytes(derived.part10)
    return source, paths


def named(paths: Sequence[Path], prefix: str) -> list[Path]:
    found = [path for path in paths if path.name.startswith(prefix)]
    assert found
    return found


def character_set(path: Path) -> Any:
    return dcmread(path, specific_tags=["SpecificCharacterSet"]).get("SpecificCharacterSet")


def test_dciodvfy_finds_no_error(written: tuple[Path, list[Path]]) -> None:
    # our own sources are judged too; what real scanners leave out is theirs
    source, paths = written
    own = [] if dcmread(source, stop_before_pixels=True).StudyInstanceUID != sources.STUDY else [source]
    for path in (*own, *paths):
        outcome = run("dciodvfy", "-new", path)
        assert (path.name, complaints(outcome.stderr)) == (path.name, [])
        assert outcome.returncode == 0


def test_dcentvfy_sees_one_patient_and_one_study(written: tuple[Path, list[Path]]) -> None:
    # it compares encoded bytes: documents that had to change the character set have their own run
    source, paths = written
    own = character_set(source)
    same = [path for path in paths if character_set(path) == own]
    changed = [path for path in paths if character_set(path) != own]
    assert {path.stem for path in changed} <= {
        "sr-signed-cyrillic", "sr-signed-japanese", "rejection-japanese",
    }  # fmt: skip
    for together in ([source, *same], changed):
        if together:
            outcome = run("dcentvfy", *together)
            assert complaints(outcome.stdout + outcome.stderr) == []
            assert outcome.returncode == 0


def dumped(path: Path) -> str:
    """Content as DCMTK reads it; names only as far as its XML holds them, which is the first group."""
    content = run("dsrdump", "-Ph", "+Pc", "+Pl", path).stdout
    return re.sub(r"(PNAME:[^\n]*?\"[^\n\"=]*\"=\"?[^\n\"=]*)[^\n]*", r"\1", content)


def test_dcmtk_reads_the_documents(written: tuple[Path, list[Path]], tmp_path: Path) -> None:
    _, paths = written
    for path in named(paths, "sr-"):
        read = run("dsrdump", "+Pc", "+Pl", path)
        assert (path.name, read.returncode, complaints(read.stderr)) == (path.name, 0, [])
        assert "TEXSLOPE,99TBSNODE" in read.stdout
    for name in ("sr-amended", "sr-preliminary", "sr-refused-signed"):
        (path,) = named(paths, f"{name}.dcm")
        # to XML and back is the same content
        xml, back = tmp_path / "x.xml", tmp_path / "x.dcm"
        assert run("dsr2xml", path, xml).returncode == 0
        assert run("xml2dsr", xml, back).returncode == 0
        assert dumped(path) == dumped(back)


def test_dcmtk_reads_who_verified(written: tuple[Path, list[Path]]) -> None:
    _, paths = written
    (path,) = named(paths, "sr-signed.dcm")
    read = run("dsrdump", path).stdout
    assert re.search(r"Verification Flag +: VERIFIED", read)
    assert re.search(r"Verifying Observers *: .*Doe\^Jane\^\^Dr, Bone Clinic", read)
    assert re.search(r"Preliminary Flag +: FINAL", read)


def test_dcmtk_reads_the_rejections(written: tuple[Path, list[Path]]) -> None:
    _, paths = written
    for path in named(paths, "rejection-"):
        read = run("dsrdump", "+Pc", "+Pl", path)
        assert (path.name, read.returncode, complaints(read.stderr)) == (path.name, 0, [])
        assert '(113012,DCM,"Key Object Description")="Wrong vertebrae."' in read.stdout
        assert read.stdout.count("contains COMPOSITE") == 2


def test_a_missing_number_says_why(written: tuple[Path, list[Path]]) -> None:
    _, paths = written
    (refused,) = named(paths, "sr-refused.dcm")
    read = run("dsrdump", "+Pc", refused).stdout
    assert '=empty (114006,DCM,"Measurement failure")' in read
    assert '=empty (114007,DCM,"Measurement not attempted")' in read


def test_the_pages_come_out_as_they_went_in(written: tuple[Path, list[Path]], tmp_path: Path) -> None:
    _, paths = written
    for path in named(paths, "pdf"):
        pages = tmp_path / "pages.pdf"
        assert run("dcm2pdf", path, pages).returncode == 0
        assert pages.read_bytes() in path.read_bytes()
        assert run("pdfinfo", pages).returncode == 0
        shown = run("pdftotext", pages, "-").stdout
        assert ("REPORT_PAGE" if "refused" in path.name else "1.25") in shown


def test_the_overlay_is_decoded(written: tuple[Path, list[Path]], tmp_path: Path) -> None:
    _, paths = written
    (path,) = named(paths, "overlay")
    assert run("dcmj2pnm", "--write-raw-pnm", path, tmp_path / "x.ppm").returncode == 0
    assert (tmp_path / "x.ppm").read_bytes()[:2] == b"P6"
