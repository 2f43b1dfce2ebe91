from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tbsnode.dicom.acquisition import KINDS, Options, PatientTags, drawn_page, picture, study
from tbsnode.dicom.scanner_headers import age_string, simulated_uid
from tbsnode.phantom.page import Page
from tbsnode.phantom.page_layout import (
    GRAY_PAGE,
    INVERTED_PAGE,
    LAYOUTS,
    VARIANTS,
    WHITE_PAGE,
    Layout,
)
from tbsnode.phantom.scanners import LINEAR_16
from tbsnode.phantom.spine import Spine
from tests import peers

PATIENT = PatientTags()
SMALL = Options(small=True)
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def read(part10: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(part10))


def one(kind: str, patient: PatientTags = PATIENT, options: Options | None = None) -> Dataset:
    (part10,) = study(kind, patient=patient, seed=1, options=options or Options())
    return read(part10)


def test_display_copy_has_the_header_of_one() -> None:
    ds = one("display")
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1"
    assert ds.file_meta.TransferSyntaxUID == IMPLICIT
    assert ds.Modality == "CR"
    assert (ds.Rows, ds.Columns) == (780, 716)
    assert (ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation) == (8, 8, 7, 0)
    for absent in (
        "PixelSpacing",
        "ImagerPixelSpacing",
        "PixelAspectRatio",
        "ImageType",
        "BurnedInAnnotation",
    ):
        assert absent not in ds
    for empty in ("BodyPartExamined", "ViewPosition", "Laterality", "AccessionNumber"):
        assert ds[empty].is_empty
    assert ds.ProtocolName == "AP Spine"
    assert ds.PerformedProcedureStepDescription == "AP Spine"
    assert ds.PatientOrientation == ["L", "F"]
    assert ds.ExposedArea == [180, 197]  # width, height
    assert ds.KVP == 100
    assert ds.StudyID == "NONE"
    assert len(ds.RequestAttributesSequence) == 1
    assert (ds.PatientSize, ds.PatientWeight, ds.PatientAge) == (1.64, 66, "059Y")


def test_display_copy_holds_the_picture() -> None:
    ds = one("display")
    assert np.array_equal(ds.pixel_array, picture("display", seed=1).pixels)
    assert len(np.unique(ds.pixel_array)) == 127


@pytest.mark.parametrize(("kind", "spacing"), [("raw", [0.5, 0.5]), ("raw_oblong", [1.05, 0.6])])
def test_raw_is_a_sixteen_bit_capture_with_spacing(kind: str, spacing: list[float]) -> None:
    ds = one(kind)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert (ds.Modality, ds.BodyPartExamined) == ("OT", "LSPINE")
    assert ds.file_meta.TransferSyntaxUID == EXPLICIT
    assert ds.PixelSpacing == spacing
    assert (ds.BitsStored, ds.PhotometricInterpretation) == (16, "MONOCHROME2")
    assert ds.pixel_array.dtype == np.uint16
    assert np.array_equal(ds.pixel_array, picture(kind, seed=1).pixels)
    assert len(np.unique(ds.pixel_array)) > 2000


def test_page_is_rgb_with_empty_spacing_and_results_in_private_text() -> None:
    ds = one("page")
    assert ds["PixelSpacing"].is_empty
    assert (ds.PhotometricInterpretation, ds.SamplesPerPixel, ds.BitsStored) == ("RGB", 3, 8)
    assert ds.pixel_array.shape == (1400, 1200, 3)
    assert "BurnedInAnnotation" not in ds
    text = ds.private_block(0x0019, "HOLOGIC")[0x00].value
    places = {
        line.split(" = ")[0]: int(line.split(" = ")[1].rstrip(";"))
        for line in text.splitlines()
        if line.startswith("Image")
    }
    assert sorted(places) == ["ImageXPos", "ImageXSize", "ImageYPos", "ImageYSize"]
    top, left = places["ImageYPos"], places["ImageXPos"]
    block = ds.pixel_array[top : top + places["ImageYSize"], left : left + places["ImageXSize"]]
    gray = (block[..., 0] == block[..., 1]) & (block[..., 1] == block[..., 2])
    assert 0.95 < gray.mean() < 1.0  # all but the colored lines
    assert 'ResultsTable[ 1][ 0] = "L1";' in text


def page(layout: Layout) -> Dataset:
    return one("page", options=Options(page=layout, anatomy_seed=1))


def truth_of(layout: Layout) -> Page:
    return drawn_page(patient=PATIENT, seed=1, options=Options(page=layout, anatomy_seed=1))


def private_text(ds: Dataset) -> str:
    return str(ds.private_block(0x0019, "HOLOGIC")[0x00].value)


def test_private_text_repeats_the_printed_table_with_markup_in_its_heads() -> None:
    text, table = private_text(page(WHITE_PAGE)), truth_of(WHITE_PAGE).table
    assert 'ResultsTable[ 0][ 1] = "Area[cm<sup><small>2</small></sup>]";' in text
    assert 'ResultsTable[ 0][ 4] = "T -<br>Score";' in text
    assert 'ResultsTable[ 5][ 0] = "TOTAL";' in text
    for row, cells in enumerate(table[1:], start=1):
        for column, cell in enumerate(cells):
            assert f'ResultsTable[{row:2d}][{column:2d}] = "{cell}";' in text


def test_private_text_differs_as_its_layout_says() -> None:
    def text(**changes: Any) -> str:
        return private_text(page(replace(WHITE_PAGE, **changes)))

    usual = text()
    assert "ImageXPos = 90;" in usual
    assert "ImageYSize = 788;" in usual
    shifted = text(script_box_error=(3, -2, 0, 4))
    for line in ("ImageXPos = 93;", "ImageYPos = 298;", "ImageXSize = 548;", "ImageYSize = 792;"):
        assert line in shifted
    assert "ImageXPos" not in text(script_box=False)
    half = text(script_part=0.5)
    assert usual.startswith(half.rstrip())
    assert len(half) == pytest.approx(len(usual) / 2, abs=2)
    assert '"T -<br>Score"' not in text(scores=False)
    assert '"11,4' in text(decimal_comma=True)
    assert 'ResultsTable[ 1][ 1] = "17.18";' in text(area_factor=1.5)
    assert "ImageXPos" not in text(pictures="none")


def test_inverted_page_has_no_private_text_and_only_a_protocol() -> None:
    ds = page(INVERTED_PAGE)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert (ds.Modality, ds.Manufacturer, ds.ProtocolName) == ("OT", "GE Healthcare", "AP Spine")
    assert ds["BodyPartExamined"].is_empty
    assert "PixelSpacing" not in ds
    assert not any(element.tag.is_private for element in ds)
    assert ds.PhotometricInterpretation == "RGB"
    assert np.array_equal(ds.pixel_array, truth_of(INVERTED_PAGE).pixels)


def test_gray_page_is_one_sample() -> None:
    ds = page(GRAY_PAGE)
    assert (ds.PhotometricInterpretation, ds.SamplesPerPixel, ds.BitsStored) == ("MONOCHROME2", 1, 8)
    assert ds.pixel_array.shape == (1400, 1200)


@pytest.mark.parametrize(
    ("layout", "body_part", "protocol"),
    [(WHITE_PAGE, "HIP", "Left Hip"), (INVERTED_PAGE, "", "Left Femur")],
)
def test_page_of_a_hip_says_so(layout: Layout, body_part: str, protocol: str) -> None:
    ds = page(replace(layout, pictures="hip"))
    assert (ds.BodyPartExamined or "", ds.SeriesDescription in {protocol, "DXA Report"}) == (body_part, True)
    assert ds.get("ProtocolName", protocol) == protocol


@pytest.mark.parametrize("layout", [WHITE_PAGE, INVERTED_PAGE], ids=lambda layout: layout.name)
def test_page_picture_is_what_the_page_shows_as_a_display_copy(layout: Layout) -> None:
    ds, truth = one("page_picture", options=Options(page=layout, anatomy_seed=1)), truth_of(layout)
    assert (ds.PhotometricInterpretation, ds.SamplesPerPixel, ds.BitsStored) == ("MONOCHROME2", 1, 8)
    assert np.array_equal(ds.pixel_array, truth.gray)
    assert ds.PixelSpacing == list(truth.pixel_spacing_mm)
    assert ds.Manufacturer == page(layout).Manufacturer
    left, top, wide, high = truth.picture
    shown = truth.pixels[top : top + high : 2, left : left + wide : 2, 0]
    bright = 255 - ds.pixel_array if layout.inverted else ds.pixel_array
    assert np.array_equal(bright[~truth.ink[::2, ::2]], shown[~truth.ink[::2, ::2]])


@pytest.mark.parametrize("layout", LAYOUTS + VARIANTS, ids=lambda layout: layout.name)
def test_every_layout_makes_an_instance_that_can_be_read(layout: Layout) -> None:
    ds = page(layout)
    assert ds.pixel_array.shape[:2] == layout.shape
    assert any(element.tag.is_private for element in ds) == layout.script


def test_page_of_other_layouts_is_the_same_in_another_process() -> None:
    program = (
        "import hashlib; from tbsnode.dicom.acquisition import *; "
        "from tbsnode.phantom.page_layout import INVERTED_PAGE; o = Options(page=INVERTED_PAGE); "
        "print(hashlib.sha256(study('page', patient=PatientTags(), seed=1, options=o)[0]).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    own = study("page", patient=PATIENT, seed=1, options=Options(page=INVERTED_PAGE))[0]
    assert other.stdout.strip() == hashlib.sha256(own).hexdigest()


@pytest.mark.parametrize(
    ("kind", "protocol", "columns"),
    [
        ("hip", "Left Femur", 676),
        ("forearm", "Left Forearm", 398),
        ("lateral", "LVA", 796),
        ("whole_body", "Total Body", 272),
    ],
)
def test_other_scans_say_what_they_are_in_the_protocol_alone(kind: str, protocol: str, columns: int) -> None:
    ds = one(kind)
    assert ds.ProtocolName == protocol
    assert ds.Columns == columns
    assert ds["BodyPartExamined"].is_empty
    spacing = ds.ExposedArea[0] / ds.Columns
    assert spacing == pytest.approx(2.42 if kind == "whole_body" else 0.2514, rel=0.01)


def test_same_arguments_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib; from tbsnode.dicom.acquisition import *; "
        "o = Options(small=True); p = PatientTags(); "
        "print(hashlib.sha256(study('display', patient=p, seed=3, options=o)[0]).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    own = study("display", patient=PATIENT, seed=3, options=SMALL)[0]
    assert other.stdout.strip() == hashlib.sha256(own).hexdigest()


def test_many_studies_differ_in_every_uid_and_in_their_pixels() -> None:
    options = Options(small=True, anatomy_seed=1)
    made = [read(study("display", patient=PATIENT, seed=seed, options=options)[0]) for seed in range(20)]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PixelData"):
        assert len({ds[keyword].value for ds in made}) == 20


def test_study_key_joins_kinds_and_seeds_into_one_study() -> None:
    parts = [
        read(study(kind, patient=PATIENT, seed=seed, study_key="visit", options=SMALL)[0])
        for kind, seed in (("display", 1), ("display", 2), ("hip", 1), ("raw", 1))
    ]
    assert len({ds.StudyInstanceUID for ds in parts}) == 1
    assert len({ds.SOPInstanceUID for ds in parts}) == 4
    assert parts[0].SeriesInstanceUID == parts[1].SeriesInstanceUID == parts[2].SeriesInstanceUID
    assert parts[3].SeriesInstanceUID != parts[0].SeriesInstanceUID  # another SOP class


def test_correcting_a_name_changes_the_header_and_neither_uids_nor_pixels() -> None:
    before, after = (
        read(study("display", patient=PatientTags(name=name), seed=1, options=SMALL)[0])
        for name in ("A^B", "C^D")
    )
    assert before.SOPInstanceUID == after.SOPInstanceUID
    assert before.PixelData == after.PixelData
    assert before.PatientName != after.PatientName


def test_copies_share_pixels_under_other_uids() -> None:
    first, second = (
        read(part)
        for part in study("display", patient=PATIENT, seed=1, options=Options(small=True, copies=2))
    )
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.PixelData == second.PixelData
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("", "Miller^Ann"),
    ],
)
def test_names_survive_their_character_set(charset: str, name: str) -> None:
    ds = one("display", PatientTags(charset=charset, name=name), SMALL)
    assert str(ds.PatientName) == name
    assert ("SpecificCharacterSet" in ds) == bool(charset)


def test_page_letters_do_not_choke_on_another_alphabet() -> None:
    ds = one("page", PatientTags(charset="ISO_IR 192", name="山田^太郎"))
    assert ds.pixel_array.shape == (1400, 1200, 3)


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("kind", ["raw", "display"])
def test_either_transfer_syntax(kind: str, transfer_syntax: str) -> None:
    ds = one(kind, options=Options(transfer_syntax=transfer_syntax, anatomy_seed=1))
    assert ds.file_meta.TransferSyntaxUID == transfer_syntax
    assert np.array_equal(ds.pixel_array, picture(kind, seed=1).pixels)


def test_attributes_are_overwritten_and_deleted() -> None:
    options = Options(
        small=True,
        attributes=(
            ("BurnedInAnnotation", "YES"),
            ("ProtocolName", None),
            ("PixelSpacing", (0.6, 0.6)),
            ("KVP", None),
        ),
    )
    ds = one("display", options=options)
    assert ds.BurnedInAnnotation == "YES"
    assert ds.PixelSpacing == [0.6, 0.6]
    assert "ProtocolName" not in ds
    assert "KVP" not in ds


def test_order_reaches_the_header() -> None:
    options = Options(small=True, accession_number="A1", procedure_code="77089", study_time="235900")
    (part10,) = study("display", patient=PATIENT, seed=1, study_date="20240229", options=options)
    ds = read(part10)
    assert ds.AccessionNumber == "A1"
    assert ds.ProcedureCodeSequence[0].CodeValue == "77089"
    assert (ds.StudyDate, ds.StudyTime) == ("20240229", "235900")


def test_missing_demographics_stay_missing() -> None:
    ds = one("display", PatientTags(height_m=None, weight_kg=None, birth_date="", sex=""), SMALL)
    assert "PatientSize" not in ds
    assert "PatientWeight" not in ds
    assert ds["PatientBirthDate"].is_empty
    assert ds["PatientSex"].is_empty
    assert ds["PatientAge"].is_empty


def test_unknown_kind() -> None:
    with pytest.raises(KeyError):
        study("skull", patient=PATIENT, seed=1)


def test_anatomy_and_noise_reach_the_pixels() -> None:
    plain = picture("raw", seed=1, options=Options(anatomy_seed=1))
    bent = picture("raw", seed=1, options=Options(anatomy_seed=1, spine=Spine(cobb_deg=20.0)))
    quiet = picture("raw", seed=1, options=Options(anatomy_seed=1, noise=0.0))
    assert not np.array_equal(plain.pixels, bent.pixels)
    assert (plain.pixels.astype(float) - quiet.pixels).std() == pytest.approx(400.0, rel=0.05)
    assert picture("display", seed=1, options=Options(scanner=LINEAR_16)).pixels.dtype == np.uint16


@pytest.mark.parametrize(
    ("birth", "on", "age"),
    [
        ("19650412", "20250412", "060Y"),
        ("19650412", "20250411", "059Y"),
        ("", "20250101", ""),
        ("1965", "20250101", ""),
    ],
)
def test_age(birth: str, on: str, age: str) -> None:
    assert age_string(birth, on) == age


def test_uids_do_not_run_into_each_other() -> None:
    assert simulated_uid("ab", "c") != simulated_uid("a", "bc")
    assert len(simulated_uid("x")) <= 64


@pytest.mark.peer
@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 87"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_dciodvfy_finds_no_error_that_real_files_do_not_have(kind: str, charset: str, tmp_path: Path) -> None:
    program = peers.require_program("dciodvfy")
    file = tmp_path / "instance.dcm"
    name = "Miller^Ann" if charset == "ISO_IR 100" else "Yamada^Tarou=山田^太郎"
    file.write_bytes(study(kind, patient=PatientTags(charset=charset, name=name), seed=1)[0])
    run = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
    errors = [line for line in run.stderr.splitlines() if line.startswith("Error")]
    # real report pages carry PixelSpacing without a value
    expected = ["PixelSpacing"] if kind == "page" else []
    assert len(errors) == len(expected), errors
    assert all(keyword in error for keyword, error in zip(expected, errors, strict=True))
