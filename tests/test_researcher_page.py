"""Every Python block of docs/researcher.md runs, in order, and prints what the page shows."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tbsnode import tbs
from tbsnode.cli import app
from tbsnode.dicom import acquisition

PAGE = Path(__file__).parents[1] / "docs" / "researcher.md"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A researcher's folder: two exports of one spine, a hip, and a file that is no image."""
    where = tmp_path_factory.mktemp("researcher")
    scans = where / "scans"
    scans.mkdir()
    small = acquisition.Options(small=True)
    kinds = (("raw", "spine", acquisition.Options()), ("display", "window", small), ("hip", "hip", small))
    for kind, name, options in kinds:
        (part10,) = acquisition.study(kind, patient=acquisition.PatientTags(), seed=1, options=options)
        (scans / f"{name}.dcm").write_bytes(part10)
    (scans / "notes.txt").write_text("no image", encoding="utf-8")
    return where


@pytest.fixture(scope="module")
def ran(folder: Path) -> list[tuple[str, str, str]]:
    """Each block with what it printed and what the page shows; they share their names, as in a notebook."""
    names: dict[str, Any] = {}
    found = []
    with contextlib.chdir(folder):
        for program, shown in BLOCK.findall(page()):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(program, str(PAGE), "exec"), names)
            found.append((program, printed.getvalue(), shown))
    return found


def test_the_page_has_the_blocks_that_it_needs(ran: list[tuple[str, str, str]]) -> None:
    assert len(ran) == page().count("```python")
    assert sum(shown != "" for *_, shown in ran) == page().count("```text") >= 6


def test_blocks_print_what_the_page_shows(ran: list[tuple[str, str, str]]) -> None:
    """The numbers may move in the third decimal with the segmentation; the form may not."""
    for program, printed, shown in ran:
        if not shown:
            continue
        assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown), program
        given, expected = ([float(n) for n in NUMBER.findall(text)] for text in (printed, shown))
        assert given == pytest.approx(expected, abs=0.02, rel=0.03), program


def test_the_table_is_written(ran: list[tuple[str, str, str]], folder: Path) -> None:
    lines = (folder / "scores.csv").read_text().splitlines()
    assert len(lines) == 5
    assert lines[0].split(",")[:3] == ["file", "status", "score"]
    assert lines[2].startswith("scans/notes.txt,refused,,,,,,,NOT_DICOM")


def test_ten_lines_are_ten() -> None:
    (program,) = (each for each, _ in BLOCK.findall(page()) if "scores.csv" in each)
    written = [line for line in program.splitlines() if line and not re.match(r"import|from", line)]
    assert len(written) <= 10


def options_of(name: str) -> set[str]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {option for parameter in commands[name].params for option in parameter.opts}


def console() -> Iterator[str]:
    for block in re.findall(r"^```console\n(.*?)^```", page(), re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^\$ tbsnode (.*)$", block, re.MULTILINE)


def test_its_commands_exist() -> None:
    lines = list(console())
    assert len(lines) >= 3
    for line in lines:
        name = line.split()[0]
        assert set(re.findall(r"(?<= )--?[a-z][\w-]*", line)) <= options_of(name), line


def test_every_name_of_tbs_that_it_uses_exists() -> None:
    used = set(re.findall(r"\btbs\.(\w+)", page()))
    assert len(used) > 10
    assert [name for name in sorted(used) if not hasattr(tbs, name)] == []


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", page()):
        assert (PAGE.parent / target).is_file(), target
