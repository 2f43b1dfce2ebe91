"""One picture under changed headers: what refuses it, what is only said, what changes nothing."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import acquisition
from tbsnode.dicom.image import read_images
from tbsnode.model import Analysis, AnalysisStatus, Corrections, PageOrigin
from tbsnode.model.densitometry import ScannerResults, SiteResult
from tbsnode.phantom.spine import Spine
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file, analyze_image
from tbsnode.reasons import Code
from tbsnode.text import sentence
from tests import sources


@pytest.fixture(scope="module")
def part10() -> bytes:
    (made,) = acquisition.study(
        "display",
        patient=acquisition.PatientTags(),
        seed=1,
        study_date="20261101",
        options=acquisition.Options(small=True),
    )
    return made


def write(folder: Path, part10: bytes, **changes: Any) -> Path:
    ds = dcmread(BytesIO(part10))
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    path = folder / "spine.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def analyzed(folder: Path, part10: bytes, **changes: Any) -> Analysis:
    (result,) = analyze_file(write(folder, part10, **changes), AnalysisSettings())
    return result.analysis


def codes(analysis: Analysis) -> set[Code]:
    return {finding.code for finding in analysis.findings}


@pytest.fixture(scope="module")
def plain(part10: bytes, tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analyzed(tmp_path_factory.mktemp("plain"), part10)


def test_an_ordinary_header(plain: Analysis) -> None:
    assert plain.status is AnalysisStatus.SCORED
    assert not codes(plain) & {Code.MIRRORED, Code.RECENT_CONTRAST, Code.WRONG_VIEW, Code.DEGENERATIVE_STEP}


@pytest.mark.parametrize("orientation", [["R", "F"], ["L", "H"]])
def test_a_mirrored_header_is_said_and_changes_no_number(
    tmp_path: Path, part10: bytes, plain: Analysis, orientation: list[str]
) -> None:
    found = analyzed(tmp_path, part10, PatientOrientation=orientation)
    assert found.score == plain.score
    (finding,) = [each for each in found.findings if each.code is Code.MIRRORED]
    assert "\\".join(orientation) in sentence(finding)


@pytest.mark.parametrize("part", ["HIP", "FEMUR", "PELVIS", "CSPINE", "HAND"])
def test_a_header_that_names_another_part_is_said_and_changes_no_number(
    tmp_path: Path, part10: bytes, plain: Analysis, part: str
) -> None:
    """The protocol names the scan and the picture shows a spine; a wrong label is somebody's mistake."""
    found = analyzed(tmp_path, part10, BodyPartExamined=part, ProtocolName="AP Spine")
    assert (found.status, found.score) == (AnalysisStatus.SCORED, plain.score)
    (finding,) = [each for each in found.findings if each.code is Code.OTHER_BODY_PART]
    assert f"Body Part Examined names: {part}." in sentence(finding)


PERHAPS_LUMBAR = ["LSPINE", "SPINE", "TLSPINE", "LUMBAR SPINE", "LSSPINE", "ABDOMEN", "", "WS"]


@pytest.mark.parametrize("part", PERHAPS_LUMBAR)
def test_a_part_that_may_be_the_lumbar_spine_is_no_doubt(
    tmp_path: Path, part10: bytes, plain: Analysis, part: str
) -> None:
    found = analyzed(tmp_path, part10, BodyPartExamined=part, ProtocolName="AP Spine")
    assert codes(found) == codes(plain)


def test_a_lateral_position_is_refused_though_the_name_says_spine(tmp_path: Path, part10: bytes) -> None:
    found = analyzed(tmp_path, part10, PatientOrientation=["A", "F"], ProtocolName="AP Spine")
    assert found.status is AnalysisStatus.REFUSED
    assert found.reason is not None
    assert found.reason.code is Code.WRONG_VIEW


CONTRAST_ITEM = sources.code("C-B0300", "SRT", "Contrast agent")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"ContrastBolusAgent": "Barium sulfate"}, "contrast medium"),
        ({"ContrastBolusAgentSequence": [CONTRAST_ITEM]}, "contrast medium"),
        ({"RadiopharmaceuticalInformationSequence": [Dataset()]}, "radiopharmaceutical"),
        ({"PregnancyStatus": 3}, "pregnancy"),
    ],
)
def test_what_the_body_holds_refuses(
    tmp_path: Path, part10: bytes, changes: dict[str, Any], detail: str
) -> None:
    found = analyzed(tmp_path, part10, **changes)
    assert found.status is AnalysisStatus.REFUSED
    assert found.reason is not None
    assert found.reason.code is Code.RECENT_CONTRAST
    assert detail in sentence(found.reason)
    assert "Barium" not in sentence(found.reason)  # free text of a header is never quoted


@pytest.mark.parametrize(
    "changes",
    [
        {"ContrastBolusAgent": ""},
        {"ContrastBolusAgent": "None"},
        {"ContrastBolusAgent": "NO"},
        {"ContrastBolusAgentSequence": []},
        {"RadiopharmaceuticalInformationSequence": []},
        {"PregnancyStatus": 1},
        {"PregnancyStatus": 4},
    ],
)
def test_nothing_declared_is_no_reason(
    tmp_path: Path, part10: bytes, plain: Analysis, changes: dict[str, Any]
) -> None:
    found = analyzed(tmp_path, part10, **changes)
    assert (found.status, found.score) == (plain.status, plain.score)


def test_our_own_instance_is_not_measured_again(tmp_path: Path, part10: bytes) -> None:
    found = analyzed(tmp_path, part10, ManufacturerModelName="tbsnode")
    assert found.reason is not None
    assert found.reason.code is Code.OWN_RESULT
    assert found.status is AnalysisStatus.NOT_APPLICABLE


def test_an_object_without_a_picture(tmp_path: Path, part10: bytes) -> None:
    report = "1.2.840.10008.5.1.4.1.1.88.33"  # Comprehensive SR
    ds = dcmread(BytesIO(part10))
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = report
    ds.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    (result,) = analyze_file(tmp_path / "report.dcm", AnalysisSettings())
    assert result.analysis.reason is not None
    assert result.analysis.reason.code is Code.NO_IMAGE


def test_a_child_is_refused(tmp_path: Path, part10: bytes) -> None:
    found = analyzed(tmp_path, part10, PatientAge="012Y", PatientBirthDate="")
    assert found.reason is not None
    assert found.reason.code is Code.AGE_UNDER_20


def test_a_spine_with_too_few_levels_says_which_are_left_out_and_why(tmp_path: Path) -> None:
    patient = acquisition.PatientTags(patient_id="FEW")
    options = acquisition.Options(spine=Spine(metal=("screws", "blob")))
    (part10,) = acquisition.study("raw", patient=patient, seed=1, options=options)
    found = analyzed(tmp_path, part10)
    assert found.reason is not None
    assert found.reason.code is Code.FEWER_THAN_TWO_VERTEBRAE
    left_out = {each.vertebra: each.code for each in found.findings if each.vertebra}
    assert left_out == dict.fromkeys(("L2", "L3", "L4"), Code.HIGH_DENSITY)


def test_a_step_of_the_scanners_t_scores_is_said_with_the_score_without(
    tmp_path: Path, part10: bytes
) -> None:
    (image,) = read_images(write(tmp_path, part10))
    t_scores = {"L1": -1.5, "L2": -1.4, "L3": 1.1, "L4": -1.2}
    sites = tuple(SiteResult(site=name, t_score=value) for name, value in t_scores.items())
    found = analyze_image(image, AnalysisSettings(), ScannerResults(sites=sites, source="import"))
    (finding,) = [each for each in found.findings if each.code is Code.DEGENERATIVE_STEP]
    others = [v.score for v in found.vertebrae if v.label != "L3" and v.score is not None]
    assert finding.vertebra == "L3"
    assert dict(finding.values) == {"t_score_step": 2.5, "score_without": round(sum(others) / 3, 3)}
    assert all(v.included for v in found.vertebrae)
    assert "Texture slope without L3: 1." in sentence(finding)
    assert (image.identity.patient_orientation, image.identity.body_declarations) == (("L", "F"), ())


def test_a_level_left_out_is_said_with_its_reason(tmp_path: Path, part10: bytes, plain: Analysis) -> None:
    ds = dcmread(BytesIO(part10))
    pixels = ds.pixel_array.copy()
    row = round(sum(row for row, _ in plain.vertebrae[1].region) / len(plain.vertebrae[1].region))
    pixels[row:] = np.roll(pixels[row:], 10, axis=1)  # 6 mm, at the middle of L2
    found = analyzed(tmp_path, part10, PixelData=pixels.tobytes())
    (finding,) = [each for each in found.findings if each.code is Code.LEVEL_EXCLUDED]
    assert (finding.vertebra, finding.values) == ("L2", (("reason", "MOVEMENT"),))
    assert Code.LEVEL_EXCLUDED not in codes(plain)


# ---- a reviewer's corrections -------------------------------------------------------------------


def test_a_reviewers_corrections_reach_their_picture_and_the_result_says_so(
    tmp_path: Path, part10: bytes, plain: Analysis
) -> None:
    (image,) = read_images(write(tmp_path, part10))
    settings = AnalysisSettings(
        corrections=Corrections(exclude=("L3",)), corrected_image=image.identity.sop_instance_uid
    )
    found = analyze_image(image, settings)
    assert found.included == ("L1", "L2", "L4")
    (finding,) = [each for each in found.findings if each.code is Code.CORRECTED_BY_REVIEWER]
    assert "Left out: L3." in sentence(finding)
    assert [v.score for v in found.vertebrae] == [v.score for v in plain.vertebrae]
    other = analyze_image(image, replace(settings, corrected_image="1.2.3"))
    assert (other.included, other.score) == (plain.included, plain.score)
    assert Code.CORRECTED_BY_REVIEWER not in codes(other)


def test_rows_of_a_page_become_rows_of_its_picture() -> None:
    page = PageOrigin(row=300, column=90, scale=3, inverted=False, found_by="content")
    ((on_page, _),) = page.on_page([(41.0, 7.0)])
    assert page.on_picture_row(on_page) == 41.0


NAMING = ["ProtocolName", "PerformedProcedureStepDescription", "SeriesDescription", "StudyDescription"]
SILENT = dict.fromkeys((*NAMING, "BodyPartExamined", "ViewPosition"), "")
NO_SPACING = {"PixelSpacing": None, "ExposedArea": None}


def test_what_is_missing_is_said_of_a_spine_that_no_header_names(tmp_path: Path, part10: bytes) -> None:
    """Headers that were made anonymous claim nothing and have lost their spacing: the picture claims it."""
    found = analyzed(tmp_path, part10, **SILENT, **NO_SPACING)
    assert found.status is AnalysisStatus.REFUSED
    assert found.reason is not None
    assert found.reason.code is Code.NO_PIXEL_SPACING


@pytest.mark.parametrize("kind", ["hip", "lateral"])
def test_nothing_is_missing_of_another_picture_that_no_header_names(tmp_path: Path, kind: str) -> None:
    patient = acquisition.PatientTags()
    (made,) = acquisition.study(kind, patient=patient, seed=1, study_date="20261101")
    found = analyzed(tmp_path, made, **SILENT, **NO_SPACING)
    assert found.status is AnalysisStatus.NOT_APPLICABLE
    assert found.reason is not None
    assert found.reason.code is Code.NOT_AP_SPINE


@pytest.mark.parametrize(
    ("birth_date", "said"),
    [("19580101", ("spine_only", False, 0.9)), ("19960101", ("spine_only", True, 2.1))],
)
def test_a_file_alone_says_what_its_densities_say(
    tmp_path: Path, birth_date: str, said: tuple[str, bool, float]
) -> None:
    """Without a node too: by Z-scores for the young, and no diagnosis without a hip."""
    (made,) = acquisition.study(
        "page", patient=acquisition.PatientTags(birth_date=birth_date), seed=7, study_date="20261101"
    )
    path = tmp_path / "page.dcm"
    path.write_bytes(made)
    (result,) = analyze_file(path, AnalysisSettings())
    found = result.analysis.bmd_diagnosis
    assert found is not None
    assert (found.diagnosis, found.uses_z_score, found.score) == said
