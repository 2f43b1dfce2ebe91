"""Page 1 in every state: nothing lost, nothing cut, nothing over anything else, no judgment unearned."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pypdf
import pytest

from tbsnode.model import AnalysisStatus, Report
from tbsnode.reasons import Code, Severity
from tbsnode.report import decision_known, decision_review, decision_words, facts, texture_scale
from tbsnode.report.layout import MARGIN, PAGE_SIZES
from tbsnode.report.pdf import render
from tests import report_cases
from tests.peers import require_program

CASES = report_cases.cases()
UNCALIBRATED = [name for name, (report, _) in CASES.items() if report.analysis.tbs is None]
CLASS = re.compile(r"degraded|microarchitecture|texture class", re.I)
COLORED = [" ".join(f"{part:.6f}".strip("0") for part in c.rgb()) + " rg" for c in texture_scale.COLORS]


@cache
def rendered(name: str, page_size: str = "A4") -> bytes:
    return render(*CASES[name], page_size)


@cache
def pages(name: str, page_size: str = "A4") -> list[str]:
    reader = pypdf.PdfReader(io.BytesIO(rendered(name, page_size)))
    return [" ".join(page.extract_text().split()) for page in reader.pages]


def solid(words: str) -> str:
    """Without blanks: a long word may go over several lines."""
    return "".join(words.split())


def everything(report: Report) -> list[str]:
    """Every sentence that page 1 has to hold, from the report."""
    analysis = report.analysis
    scored = analysis.status is AnalysisStatus.SCORED
    identity = analysis.identity
    assert identity is not None
    said = [
        decision_review.status(report),
        facts.person(identity.demographics.name),
        identity.demographics.patient_id,
        identity.accession_number,
        facts.person(identity.referring_physician),
        identity.scanner.model_name,
        *decision_known.declared(analysis),
        *decision_known.probability(analysis),
        *decision_known.overrides(analysis),
        *decision_review.changes(report),
        *decision_review.signature(report),
        report.interpretation,
        decision_known.diagnosis_sentence(analysis),
        *(cell for each in decision_known.sites(analysis) for cell in decision_known.row(each)),
    ]
    if scored:
        said += [decision_words.conclusion(report), decision_words.course(analysis)]
    return said


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_lost(name, page_size):
    report = CASES[name][0]
    first = solid(pages(name, page_size)[0])
    assert [words for words in everything(report) if solid(words) not in first] == []
    assert "…" not in first


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("name", CASES)
def test_every_finding_that_asks_for_an_act_is_named_on_page_one(name, page_size):
    report = CASES[name][0]
    first = pages(name, page_size)[0]
    elsewhere = {Code.SCANNER_UNCALIBRATED, Code.REDUCED_HEIGHT, *facts.LEFT_OUT}
    if (withheld := facts.withholding(report)) is not None:
        elsewhere.add(withheld.code)
    acting = [f for f in facts.all_findings(report) if f.actor.value != "nobody"]
    codes = {f.code for f in acting if f.severity is not Severity.INFO} - elsewhere
    assert [code for code in codes if code.value not in first] == []


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("name", CASES)
def test_the_decision_is_one_page_and_a_refusal_no_more(name, page_size):
    report = CASES[name][0]
    made = pages(name, page_size)
    scored = report.analysis.status is AnalysisStatus.SCORED
    assert f"Page 1 of {len(made)}" in made[0]
    assert (len(made) > 1) == scored
    last_of_page_one = "Signature" if report.review is None else "signed by"
    assert last_of_page_one in made[0]
    assert not any(last_of_page_one in page for page in made[1:])


@pytest.mark.parametrize("name", UNCALIBRATED)
def test_without_a_calibration_no_page_says_a_class(name):
    said = " ".join(pages(name))
    assert not CLASS.search(said)
    assert not re.search(r"\bTBS\b[^.\n]{0,30}?\d\.\d", said)


@pytest.mark.parametrize("name", CASES)
def test_the_raw_slope_is_not_on_page_one(name):
    analysis = CASES[name][0].analysis
    slopes = [analysis.score, *(v.score for v in analysis.vertebrae)]
    shown = [f"{slope:.3f}" for slope in slopes if slope is not None]
    assert [slope for slope in shown if slope in pages(name)[0]] == []


def test_a_changed_slope_is_told_on_page_two():
    first, second = pages("amended_uncalibrated")[:2]
    assert "Texture slope: changed; values on page 2." in first
    assert "1.257" not in first
    assert "texture slope from 1.270 to 1.257" in second


def test_an_amended_report_opens_with_what_changed():
    first = pages("amended")[0]
    opening = first[: first.index("Patient ID")]
    for words in (
        "AMENDED, version 2",
        "AMENDED by Doe, Jane, Dr on 2026-03-02 08:30:00+00:00",
        "Levels: from L1, L2, L3, L4 to L1, L2, L4.",
        "TBS: from 1.192 to 1.180.",
        "Texture class: from none to degraded microarchitecture.",
        "Calibration: from CAL-6 to CAL-7.",
        "Reason: The scanner's recalibration of February was entered; L3 has an osteophyte.",
    ):
        assert words in opening


def test_a_corrected_report_says_so_and_an_accepted_one_does_not():
    assert "CORRECTED by Doe, Jane, Dr" in pages("corrected")[0]
    assert "Corrected and signed by Doe, Jane, Dr" in pages("corrected")[0]
    assert "CORRECTED" not in pages("signed")[0]
    assert "Accepted and signed by Doe, Jane, Dr" in pages("signed")[0]
    assert "Example Clinic; jdoe at dxa-node, 2026-03-02 08:30:00+00:00, version 1" in pages("signed")[0]
    assert "Signature" not in pages("signed")[0]


def test_a_possible_fracture_is_the_first_line():
    assert pages("possible_fracture")[0].startswith("Reduced height of L2: possible vertebral fracture")
    assert "The software found nothing else to check." in pages("possible_fracture")[0]


def fills(name: str) -> str:
    page = pypdf.PdfReader(io.BytesIO(rendered(name))).pages[0]
    contents = page.get_contents()
    assert contents is not None
    return contents.get_data().decode("latin-1")


@pytest.mark.parametrize("name", ["scored_calibrated", "normal", "borderline", "four_priors"])
def test_a_class_may_be_colored(name):
    assert all(color in fills(name) for color in COLORED)


@pytest.mark.parametrize("name", ["prior_hip_fracture", "osteoporosis", "possible_fracture", "maximal"])
def test_nothing_is_colored_beside_a_fracture_or_a_low_t_score(name):
    assert not any(color in fills(name) for color in COLORED)
    assert "degraded" in pages(name)[0]  # the scale is there, in gray


def test_a_fracture_of_unknown_place_may_be_one_of_the_hip():
    report = CASES["scored_calibrated"][0]
    assert decision_known.may_be_colored(report)
    declared = replace(report_cases.DECLARED, fracture_sites=())
    unknown = replace(report, analysis=replace(report.analysis, clinical=declared))
    assert not decision_known.may_be_colored(unknown)


def test_every_color_is_light_enough_for_black_letters_in_gray_print():
    for color in (*texture_scale.COLORS, *texture_scale.GRAYS):
        luminance = 0.2126 * color.red + 0.7152 * color.green + 0.0722 * color.blue
        assert luminance > 0.7


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("uncalibrated", "Trabecular texture report - PRELIMINARY"),
        ("signed", "Trabecular texture report - SIGNED, version 1"),
        ("amended", "Trabecular texture report - AMENDED, version 2"),
    ],
)
def test_the_title_carries_state_and_version(name, title):
    reader = pypdf.PdfReader(io.BytesIO(rendered(name)))
    assert reader.metadata is not None
    assert reader.metadata.title == title


def test_the_interpretation_is_left_out_while_there_is_none():
    assert "Interpretation" in pages("signed")[0]
    assert "Interpretation" not in pages("uncalibrated")[0]


def test_a_refusal_shows_what_is_known_all_the_same():
    (only,) = pages("refused_known")
    for words in (
        "femoral neck",
        "-2.1",
        "BMD diagnosis: low bone mass",
        "previous fracture (wrist)",
        "22.0 %",
    ):
        assert words in only
    assert "Accepted and signed by" in pages("signed_refusal")[0]


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("sentences", [20, 60, 150])
def test_the_longest_interpretation_is_printed_to_its_end(sentences, page_size):
    """Up to 9000 characters: the page is drawn smaller, never cut."""
    words = " ".join(
        f"Sentence {number} is about the texture of bone and ends here." for number in range(sentences)
    )
    report, pixels = CASES["amended"]
    made = render(replace(report, interpretation=words), pixels, page_size)
    first = pypdf.PdfReader(io.BytesIO(made)).pages[0].extract_text()
    assert solid(words) in solid(first)
    assert "signed by" in first


HASHES = """
import hashlib, sys
from tests.report_cases import cases
from tbsnode.report.pdf import render
made = cases()
for name in sys.argv[1:]:
    print(name, hashlib.sha256(render(*made[name])).hexdigest())
"""


def test_other_scripts_and_another_order_make_the_same_bytes():
    """A report does not depend on which fonts were read before it."""
    names = ["japanese", "uncalibrated", "korean", "maximal"]
    here = {(name, hashlib.sha256(rendered(name)).hexdigest()) for name in names}
    done = subprocess.run(
        [sys.executable, "-c", HASHES, *names[::-1]],
        cwd=Path(__file__).parents[3],
        env={"PYTHONHASHSEED": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {tuple(line.split()) for line in done.stdout.splitlines()} == here


@pytest.mark.parametrize("name", CASES)
def test_every_file_is_small(name):
    assert len(rendered(name)) < 200_000


# ---- geometry, by another reader ----

WORD = re.compile(r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>')


def boxes(path: Path) -> list[tuple[float, float, float, float, str]]:
    program = require_program("pdftotext")
    done = subprocess.run(
        [program, "-bbox", "-f", "1", "-l", "1", path, "-"], capture_output=True, text=True, check=True
    )
    return [(*map(float, found[:4]), found[4]) for found in WORD.findall(done.stdout)]


def overlap(one: tuple, other: tuple) -> bool:
    """Tell whether two words share more than the slack of their line boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    # a reader's boxes are a whole line high, ascent and descent: letters touch from half a line on
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide > 0.5 and high > 0.45 * min(one[3] - one[1], other[3] - other[1])


@pytest.mark.peer
@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("name", CASES)
def test_no_word_lies_over_another_or_in_the_margin(name, page_size, tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(rendered(name, page_size))
    words = boxes(path)
    assert len(words) > 60
    width, height = PAGE_SIZES[page_size]
    outside = [
        w for w in words if w[0] < MARGIN - 1 or w[2] > width - MARGIN + 1 or w[1] < 8 or w[3] > height - 8
    ]
    assert outside == []
    assert [(a[4], b[4]) for a, b in itertools.combinations(words, 2) if overlap(a, b)] == []


def test_the_check_above_sees_an_overlap():
    assert overlap((0.0, 0.0, 20.0, 12.0, "a"), (15.0, 2.0, 30.0, 14.0, "b"))
    assert not overlap((0.0, 0.0, 20.0, 12.0, "a"), (20.2, 0.0, 30.0, 12.0, "b"))
    assert not overlap((0.0, 0.0, 20.0, 12.0, "a"), (0.0, 10.0, 20.0, 22.0, "b"))


@pytest.mark.peer
@pytest.mark.parametrize(("name", "count"), [("japanese", 3), ("korean", 3), ("cyrillic", 2), ("maximal", 2)])
def test_the_fonts_of_every_script_are_embedded_subsets(name, count, tmp_path):
    program = require_program("pdffonts")
    path = tmp_path / "report.pdf"
    path.write_bytes(rendered(name))
    listed = subprocess.run([program, path], capture_output=True, text=True, check=True).stdout.splitlines()[
        2:
    ]
    assert len({line.split()[0].split("+")[-1] for line in listed}) == count
    for line in listed:
        assert re.search(r"\byes\s+yes\s+yes\b", line), line
