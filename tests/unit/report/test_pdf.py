from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdf
import pytest

from tbsnode import text
from tbsnode.model import InputClass, Scanner
from tbsnode.reasons import Code, Finding
from tbsnode.report.drawings import reduced
from tbsnode.report.layout import PAGE_SIZES
from tbsnode.report.pdf import conclusion, render
from tests.peers import require_program

CATEGORY = re.compile(r"normal|degraded|osteopor", re.I)
TBS_VALUE = re.compile(r"TBS\s*(?:is|[:=])?\s*\d")


def pages(pdf: bytes) -> list[str]:
    found = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]
    return [" ".join(page.split()) for page in found]


@pytest.fixture
def uncalibrated(make_report, make_analysis):
    return make_report(make_analysis())


@pytest.fixture
def refusal(make_report, make_refused):
    return make_report(make_refused(Finding(Code.NO_PIXEL_SPACING), pixel_spacing_mm=None))


def test_page_one_is_for_the_decision(uncalibrated, make_picture):
    first = pages(render(uncalibrated, make_picture()))[0]
    for words in (
        "Muster, Erika Maria",
        "P-4711",
        "1956-02-29",
        "ACC99",
        "Densitometer 3",
        "PRELIMINARY - not reviewed",
        "TBS not available: scanner not calibrated",
        "DISPLAY_COPY",
        "not the vendor's TBS",
        "Not to be used alone for treatment decisions",
        "Signature",
        "L1",
        "L4",
        "Page 1 of 2",
    ):
        assert words in first


def test_the_raw_slope_stands_on_page_two_only(uncalibrated, make_picture):
    first, second = pages(render(uncalibrated, make_picture()))
    assert "1.27" not in first
    for words in ("1.273", "1.210", "1.330", "not estimated", "123456", "0.991", "1012"):
        assert words in second


def test_nothing_uncalibrated_carries_a_tbs_or_a_category(uncalibrated, make_picture):
    everything = " ".join(pages(render(uncalibrated, make_picture())))
    assert not CATEGORY.search(everything)
    assert not TBS_VALUE.search(everything)


def test_the_guard_above_would_see_a_value(make_report, make_analysis, make_picture):
    calibrated = make_analysis(
        tbs=1.234,
        calibration="CAL-7",
        category="partially_degraded",
        tbs_see=0.045,
        threshold_set="B: 1.230 / 1.310",
        findings=(),
    )
    first = pages(render(make_report(calibrated), make_picture()))[0]
    assert TBS_VALUE.search(first)
    assert CATEGORY.search(first)
    assert "TBS 1.234 +- 0.045" in first
    assert "Texture class: partially degraded microarchitecture" in first
    assert "Cut-offs B: 1.230 / 1.310." in first
    assert "CAL-7" in first
    assert "not the patient's overall fracture risk" in first


def test_a_borderline_value_names_both_classes_and_no_single_one(make_report, make_analysis, make_picture):
    borderline = make_analysis(
        tbs=1.30,
        tbs_see=0.03,
        calibration="CAL-7",
        category="partially_degraded",
        borderline=("normal", "partially_degraded"),
        threshold_set="B: 1.230 / 1.310",
        z_score=-0.72,
        reference="US NHANES 2007-2008 women",
        findings=(),
    )
    first = " ".join(pages(render(make_report(borderline), make_picture()))[0].split())
    assert "borderline: normal microarchitecture or partially degraded microarchitecture" in first
    assert "Texture class: " not in first
    assert "Z-score -0.7 (US NHANES 2007-2008 women). It does not change the class." in first


def test_beside_no_class_the_z_score_gives_none(make_report, make_analysis, make_picture):
    withheld = make_analysis(
        tbs=1.27,
        tbs_see=0.02,
        z_score=-1.04,
        reference="US NHANES 2007-2008 women",
        findings=(Finding(Code.CATEGORY_NOT_ELIGIBLE, values=(("detail", "women before menopause"),)),),
    )
    first = " ".join(pages(render(make_report(withheld), make_picture()))[0].split())
    assert "No texture class is given: see the findings. Z-score -1.0" in first
    assert "It gives no class." in first
    assert "does not change the class" not in first


@pytest.mark.parametrize(
    ("code", "headline"),
    [
        (Code.CALIBRATION_SUSPENDED, "TBS not available: calibration suspended"),
        (Code.CALIBRATION_EXPIRED, "TBS not available: calibration no longer valid"),
        (Code.TBS_OUT_OF_RANGE, "TBS not available: value out of range"),
        (Code.OUTSIDE_CALIBRATION_RANGE, "TBS not available: the calibration needs what is not known"),
        (Code.SCANNER_UNCALIBRATED, "TBS not available: scanner not calibrated"),
    ],
)
def test_what_withholds_a_value_is_the_headline(code, headline, make_report, make_analysis, make_picture):
    first = pages(render(make_report(make_analysis(findings=(Finding(code),))), make_picture()))[0]
    assert headline in first
    assert not TBS_VALUE.search(first)


def test_what_a_calibration_lacks_is_named_and_no_value_is_read(make_report, make_analysis, make_picture):
    ranges = [("bmi", 41.2), ("age years", "unknown"), ("sex", "unknown")]
    outside = tuple(
        Finding(Code.OUTSIDE_CALIBRATION_RANGE, values=(("covariate", name), ("value", value)))
        for name, value in ranges
    )
    first = " ".join(pages(render(make_report(make_analysis(findings=outside)), make_picture()))[0].split())
    assert "Not known: the age and the sex. For TBS the scanner's operator has to enter what is" in first
    assert "read the value" not in first


def test_a_site_percentile_stands_beside_the_absence_of_a_value(make_report, make_analysis, make_picture):
    compared = make_analysis(site_percentile=23.4, site_z=-0.7)
    first = " ".join(pages(render(make_report(compared), make_picture()))[0].split())
    assert "TBS not available: scanner not calibrated" in first
    assert "Percentile 23 of the texture score among this site's own adults (Z -0.7)." in first
    assert not CATEGORY.search(first)


def test_page_two_says_how_to_repeat_it(uncalibrated, make_picture):
    second = pages(render(uncalibrated, make_picture()))[1]
    for words in (
        "SCANNER_UNCALIBRATED",
        "1.2.3.4.5",
        "ab" * 32,
        "cd" * 32,
        "ef" * 32,
        "0.6 x 0.75 mm",
        "ExposedArea",
        "DISPLAY: 8-bit display copy",
        "UNCALIBRATED",
        "tbsnode 0.1.0",
        "lag_min_mm = 1.05",
        "1.05 to 5.25 mm",
        "2026-03-01 11:05:09+00:00",
        "Muster, Erika Maria",
    ):
        assert words in second


def test_levels_left_out_say_why_and_a_possible_fracture_comes_first(
    make_report, make_analysis, make_picture, make_vertebra, make_left_out
):
    levels = (
        make_left_out(0, Code.LEVEL_CUT),
        make_left_out(1, Code.REDUCED_HEIGHT),
        make_vertebra(2),
        make_vertebra(3),
    )
    first, second = pages(render(make_report(make_analysis(vertebrae=levels)), make_picture()))
    assert first.startswith("Reduced height of L2: possible vertebral fracture; review the image.")
    assert "L1 is left out: it is cut off by the edge of the scan." in first
    assert "no: LEVEL_CUT" in second
    assert "no: REDUCED_HEIGHT" in second
    assert "L3 and L4" in second


def test_a_refusal_is_one_page_with_reason_and_remedy(refusal, make_picture):
    for pixels in (make_picture(), None):
        (only,) = pages(render(refusal, pixels))
        for words in (
            "TBS not reported",
            "NO_PIXEL_SPACING",
            text.sentence(Finding(Code.NO_PIXEL_SPACING)),
            text.remedy(Code.NO_PIXEL_SPACING),
            "ab" * 32,
            "PRELIMINARY - not reviewed",
            "Page 1 of 1",
        ):
            assert words in only
        assert not re.search(r"Texture slope|1\.27", only)


def test_a_report_page_is_not_repeated_in_the_refusal(make_report, make_refused, make_picture):
    """Its numbers were burned in by somebody else."""
    page = make_refused(Finding(Code.REPORT_PAGE), input_class=InputClass.PAGE)
    image = make_refused(Finding(Code.NO_TEXTURE), input_class=InputClass.DISPLAY)
    pictures = []
    for refused in (page, image):
        (only,) = pypdf.PdfReader(io.BytesIO(render(make_report(refused), make_picture()))).pages
        pictures.append(len(only.images))
    assert pictures == [0, 1]


@pytest.mark.parametrize("code", Code)
def test_every_reason_can_be_printed(make_report, make_refused, code):
    (only,) = pages(render(make_report(make_refused(Finding(code, "L2"))), None))
    assert code.value in only


@pytest.mark.parametrize("input_class", [*InputClass, None])
def test_every_input_class_has_words(make_report, make_refused, input_class):
    refused = make_refused(Finding(Code.NO_TEXTURE), input_class=input_class)
    (only,) = pages(render(make_report(refused), None))
    assert (input_class.value if input_class else "not stated") in only


def test_simulated_stands_on_every_page(make_report, make_analysis, make_picture):
    for page in pages(render(make_report(make_analysis(), simulated=True), make_picture())):
        assert "SIMULATED - demonstration data, no patient" in page
    for page in pages(render(make_report(make_analysis()), make_picture())):
        assert "SIMULATED" not in page


def test_further_spines_are_named_and_not_reported(make_report, make_analysis, make_picture):
    pdf = render(make_report(make_analysis(), others=(make_analysis(score=1.11),)), make_picture())
    assert "texture slope 1.110" in pages(pdf)[1]


def absurd(identity):
    """Every header field 5000 characters long, against the standard."""
    long = "W" * 5000
    who = replace(identity.demographics, name=long, patient_id=long, issuer=long, birth_date=long, sex=long)
    scanner = Scanner(manufacturer=long, model_name=long, device_serial_number=long, software_versions=long)
    return replace(
        identity,
        demographics=who,
        scanner=scanner,
        study_description=long,
        accession_number=long,
        referring_physician=long,
        study_date=long,
    )


@pytest.mark.parametrize("page_size", PAGE_SIZES)
def test_absurd_headers_and_many_findings_are_laid_out(
    make_report, make_analysis, make_refused, make_picture, page_size
):
    findings = tuple(Finding(code, "L2") for code in Code)
    identity = absurd(make_analysis().identity)
    scored = make_report(make_analysis(identity=identity, findings=findings), simulated=True)
    said = pages(render(scored, make_picture(), page_size))
    assert "Signature" in said[0]
    assert not [code for code in Code if code.value not in " ".join(said)]
    refused = make_report(
        make_refused(Finding(Code.NO_TEXTURE), identity=identity, findings=findings), simulated=True
    )
    (only,) = pages(render(refused, make_picture(), page_size))
    assert not [code for code in Code if code.value not in only]


@pytest.mark.parametrize("page_size", PAGE_SIZES)
def test_lawful_long_texts_are_never_cut(make_report, make_analysis, make_picture, page_size):
    """64 characters in every field, as much as DICOM allows."""
    identity = make_analysis().identity
    word = "Abcdefg " * 8
    who = replace(identity.demographics, name=f"{word[:31]}^{word[:32]}", patient_id="I" * 64)
    scanner = Scanner(manufacturer="M" * 64, model_name="N" * 64, device_serial_number="S" * 64)
    long = replace(
        identity, demographics=who, scanner=scanner, study_description="D" * 64, accession_number="A" * 16
    )
    first = pages(render(make_report(make_analysis(identity=long)), make_picture(), page_size))[0]
    assert "…" not in first
    solid = first.replace(" ", "")
    for words in ("I" * 64, "M" * 64, "N" * 64, "S" * 64, "D" * 64, "Abcdefg" * 4):
        assert words in solid


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Dvořák^Jiří", "Dvořák, Jiří"),
        ("Nguyễn^Thị Ánh", "Nguyễn, Thị Ánh"),
        ("Διονυσιάδης^Γεώργιος", "Διονυσιάδης, Γεώργιος"),
        ("Щербаков^Пётр^Їжакевич", "Щербаков, Пётр Їжакевич"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田 太郎)"),
        ("山田^太郎=x", "山田 太郎 (x)"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", "ﾔﾏﾀﾞ ﾀﾛｳ (山田 太郎)"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "Hong, Gildong (洪 吉洞)"),
        ("김^민수", "김 민수"),
        ("Wang^XiaoDong=王^小东", "Wang, XiaoDong (王 小东)"),
        ("Takasaki=髙﨑^邉", "Takasaki (髙﨑 邉)"),
        ("<b>&amp;^x", "<b>&amp;, x"),
    ],
)
def test_names_of_every_script_are_printed(make_report, make_analysis, name, shown):
    first = pages(render(make_report(named(make_analysis(), name)), None))[0]
    assert shown in first
    assert "Some characters cannot be printed here" not in first


@pytest.mark.parametrize(
    ("name", "shown"), [("כהן^שרה", "???, ???"), ("สมชาย", "?????"), ("𠮷田^一", "?田 一")]
)
def test_names_outside_the_fonts_are_marked(make_report, make_analysis, name, shown):
    first = pages(render(make_report(named(make_analysis(), name)), None))[0]
    assert shown in first
    assert "Some characters cannot be printed here" in first


UNPRINTED = "The patient's name cannot be printed here as it is written"


@pytest.mark.parametrize("name", ["כהן^שרה", "أحمد^محمد", "สมชาย", "𠮷田^一", "=כהן^שרה"])
def test_a_name_that_cannot_be_printed_is_to_be_checked(make_report, make_analysis, make_refused, name):
    """A row of question marks is easily overlooked, and two patients have the same one."""
    first = pages(render(make_report(named(make_analysis(), name)), None))[0]
    assert first.index("Please check") < first.index(UNPRINTED)
    assert "identify the patient by ID and birth date." in first
    assert "The software found nothing to check" not in first
    (only,) = pages(render(make_report(named(make_refused(Finding(Code.NO_TEXTURE)), name)), None))
    assert UNPRINTED in only


@pytest.mark.parametrize("name", ["Cohen^Sarah=כהן^שרה", "Yamada^Tarou=𠮷田^一", "ℌans", "Who?", ""])
def test_a_name_of_which_one_writing_is_printed_is_not(make_report, make_analysis, name):
    first = pages(render(make_report(named(make_analysis(), name)), None))[0]
    assert "cannot be printed here as it is written" not in first


def named(analysis, name):
    identity = analysis.identity
    return replace(
        analysis, identity=replace(identity, demographics=replace(identity.demographics, name=name))
    )


def test_no_identity_at_all_is_no_crash(make_report, make_refused):
    (only,) = pages(render(make_report(make_refused(Finding(Code.UNREADABLE_PIXELS), identity=None)), None))
    assert "not stated" in only


@pytest.mark.parametrize("spacing", [None, (0.25, 0.3), (1.05, 0.6)])
def test_the_picture_has_the_proportions_of_the_patient(make_report, make_analysis, make_picture, spacing):
    pdf = render(make_report(make_analysis(pixel_spacing_mm=spacing)), make_picture())
    page = pypdf.PdfReader(io.BytesIO(pdf)).pages[0]
    sizes = []

    def visit(operator, operands, cm, tm):
        if operator == b"Do":
            sizes.append((cm[0], cm[3]))

    page.extract_text(visitor_operand_before=visit)
    ((width, height),) = sizes
    row_mm, column_mm = spacing or (1.0, 1.0)
    assert width / height == pytest.approx(190 * column_mm / (260 * row_mm), rel=1e-3)
    (image,) = page.images
    assert image.image.mode == "L"
    assert image.image.size == (190, 260)


def test_metadata_are_those_of_the_report(uncalibrated):
    reader = pypdf.PdfReader(io.BytesIO(render(uncalibrated, None)))
    assert reader.metadata.title == "Trabecular texture report - PRELIMINARY"
    assert reader.metadata.author == "tbsnode 0.1.0"
    assert reader.metadata.creation_date == uncalibrated.provenance.content_at
    assert reader.trailer["/Root"]["/Lang"] == "en"
    assert "Muster" not in str(reader.metadata)


def test_the_file_is_small_even_with_a_noisy_picture(make_report, make_analysis):
    noise = np.random.default_rng(1).normal(0.0, 1.0, (1600, 1400))
    assert len(render(make_report(make_analysis()), noise)) < 1_000_000


def test_two_processes_make_the_same_bytes(uncalibrated, make_picture):
    """The clock, the hash seed and what was rendered before do not matter."""
    program = (
        "import hashlib; from tests import report_parts; from tbsnode.report.pdf import render\n"
        "pdf = render(report_parts.report(report_parts.analysis()), report_parts.picture())\n"
        "print(hashlib.sha256(pdf).hexdigest())"
    )
    here = str(Path(__file__).parents[3])
    digests = {hashlib.sha256(render(uncalibrated, make_picture())).hexdigest() for _ in range(2)}
    for seed, epoch in (("1", "1"), ("2", "1700000000")):
        environment = {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": epoch, "PYTHONPATH": here}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_another_page_size_is_refused(uncalibrated):
    with pytest.raises(ValueError, match="A4, letter"):
        render(uncalibrated, None, "A5")


def test_the_conclusion_is_one_sentence(make_report, make_analysis, refusal, uncalibrated):
    assert conclusion(uncalibrated) == (
        "The texture of L1-L4 was measured; no TBS: the scanner is not calibrated."
    )
    suspended = make_report(make_analysis(findings=(Finding(Code.CALIBRATION_SUSPENDED),)))
    assert conclusion(suspended) == "The texture of L1-L4 was measured; no TBS (CALIBRATION_SUSPENDED)."
    assert conclusion(refusal) == "No texture score is given (NO_PIXEL_SPACING)."
    without_class = make_report(make_analysis(tbs=1.2, calibration="CAL-7"))
    assert conclusion(without_class) == "TBS 1.200 from L1-L4, without a texture class."


def test_area_average_by_hand():
    gray = np.array([[0, 100, 200], [10, 110, 210]], np.uint8)
    assert reduced(gray, 3) is not gray
    assert (reduced(gray, 3) == gray).all()
    # two thirds of 0 and one third of 100 [weights 1 and 1/2], the same from the right
    assert reduced(gray, 2).tolist() == [[33, 167], [43, 177]]


@pytest.mark.peer
@pytest.mark.parametrize("page_size", PAGE_SIZES)
def test_every_font_is_embedded(uncalibrated, make_picture, page_size, tmp_path):
    program = require_program("pdffonts")
    path = tmp_path / "report.pdf"
    path.write_bytes(render(uncalibrated, make_picture(), page_size))
    listed = subprocess.run([program, path], capture_output=True, text=True, check=True).stdout.splitlines()[
        2:
    ]
    assert len(listed) == 2
    for line in listed:
        assert re.search(r"\byes\s+yes\s+yes\b", line), line
