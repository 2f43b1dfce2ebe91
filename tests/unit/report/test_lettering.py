from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tbsnode.report import lettering
from tbsnode.report.lettering import BOLD, EAST_ASIAN, MARK, SANS

LOAD = """
from tests.report_cases import cases
from tbsnode.report import lettering, pdf
made = cases()
for name in ("uncalibrated", "greek", "cyrillic", "latin"):
    pdf.render(*made[name])
print(lettering.register_east_asian.cache_info().currsize)
pdf.render(*made["korean"])
pdf.render(*made["japanese"])
print(lettering.register_east_asian.cache_info().currsize)
"""


def test_the_shipped_fonts_are_those_that_the_readme_names():
    readme = (lettering.FOLDER / "README.txt").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", readme, re.M))
    shipped = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path.name for path in lettering.FOLDER.glob("*.ttf")
    }
    assert shipped == stated
    assert len(shipped) == 3


def test_their_license_is_the_one_of_the_project():
    license_text = (Path(lettering.__file__).parents[2] / "LICENSE").read_bytes()
    assert (lettering.FOLDER / "LICENSE.txt").read_bytes() == license_text
    for path in lettering.FOLDER.glob("*.ttf"):
        assert "Licensed under the Apache License, Version 2.0".encode("utf-16-be") in path.read_bytes()


@pytest.mark.parametrize(
    ("script", "first", "last"),
    [
        ("Latin-1 and Extended-A", 0x00A1, 0x017F),
        ("Vietnamese", 0x1EA0, 0x1EF9),
        ("Greek", 0x0391, 0x03A1),
        ("Cyrillic", 0x0400, 0x045F),
        ("hiragana", 0x3041, 0x3093),
        ("katakana", 0x30A1, 0x30F6),
        ("half-width katakana", 0xFF66, 0xFF9F),
        ("unified ideographs", 0x4E00, 0x9FA5),
        ("Korean syllables", 0xAC00, 0xD7A3),
    ],
)
def test_whole_scripts_are_covered(script, first, last):
    missing = [chr(code) for code in range(first, last + 1) if not lettering.font_of(chr(code), SANS)]
    assert missing == []


def test_the_large_font_is_read_only_for_a_text_that_needs_it():
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "1"]


def test_runs_by_hand():
    assert list(lettering.runs("Yamada (山田)", BOLD)) == [
        (BOLD, "Yamada ("),
        (EAST_ASIAN, "山田"),
        (BOLD, ")"),
    ]
    assert "".join(piece for _, piece in lettering.runs("aЯ山b", SANS)) == "aЯ山b"


def test_width_adds_up_over_fonts():
    apart = lettering.width_of("Yamada ", SANS, 9.0) + lettering.width_of("山田", EAST_ASIAN, 9.0)
    assert lettering.width_of("Yamada 山田", SANS, 9.0) == pytest.approx(apart)


def test_decomposed_and_unknown_characters():
    assert lettering.printable("Dvor\u030ca\u0301k") == "Dvořák"
    assert not lettering.is_simplified("Dvor\u030ca\u0301k")
    assert lettering.printable("한") == "한"  # conjoining letters become the syllable
    assert lettering.printable("ℌans") == "Hans"
    assert lettering.is_simplified("ℌans")
    assert lettering.printable("א") == MARK


@pytest.mark.parametrize("words", ["A" * 300, "山" * 300, "Ω山" * 150])
def test_a_line_is_shortened_to_its_width(words):
    short = lettering.shortened(words, SANS, 8.0, 100.0)
    assert short.endswith("…")
    assert 85.0 < lettering.width_of(short, SANS, 8.0) <= 100.0
