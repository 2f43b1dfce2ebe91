"""Report pages: the picture inside scores as its display copy does, or the page is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tbsnode.dicom.acquisition import Options, PatientTags, study
from tbsnode.dicom.hints import ScannerHints
from tbsnode.dicom.image import read_images
from tbsnode.model import DensitometryImage, InputClass
from tbsnode.model.densitometry import ScannerResults, SiteResult
from tbsnode.phantom.page_layout import GRAY_PAGE, INVERTED_PAGE, PLAIN_PAGE, WHITE_PAGE, Layout
from tbsnode.phantom.scanners import Scanner
from tbsnode.phantom.spine import MALE, SMALL_FEMALE, Spine
from tbsnode.reasons import Code, Finding
from tbsnode.tbs import spine
from tbsnode.tbs.region import mask
from tbsnode.tbs.result import SpineMeasurement

WOMAN = PatientTags()
TABLE_ON_PAGE = replace(INVERTED_PAGE, script=True, wide_table=False)

PEOPLE = {
    "woman": Spine(),
    "man": MALE,
    "small woman": SMALL_FEMALE,
    "scoliosis": Spine(cobb_deg=16.0, tilt_deg=2.0),
    "osteophytes": Spine(osteophytes=0.8, aorta=True),
    "thin bone": Spine(density=(0.66, 0.7, 0.72, 0.72)),
}
HEIGHTS = {"man": 1.80, "small woman": 1.54}


def instance(
    kind: str, layout: Layout, *, person: str = "woman", seed: int = 4, height_m: float | None = None
) -> bytes:
    patient = replace(WOMAN, height_m=height_m or HEIGHTS.get(person, 1.64))
    options = Options(page=layout, spine=PEOPLE[person], scanner=layout.scanner)
    return study(kind, patient=patient, seed=seed, options=options)[0]


def read(
    folder: Path,
    data: bytes,
    hints: ScannerHints | None = None,
    results: ScannerResults | None = None,
) -> DensitometryImage:
    path = folder / "x.dcm"
    path.write_bytes(data)
    (image,) = read_images(path, hints=hints, results=results)
    return image


def measured(image: DensitometryImage) -> SpineMeasurement:
    assert image.refusal is None, image.refusal
    assert image.pixel_spacing_mm is not None
    return spine.measure(
        spine.Picture(
            pixels=image.pixels,
            pixel_spacing_mm=image.pixel_spacing_mm,
            padding_value=image.padding_value,
            stored_maximum=image.stored_maximum,
            spacing_needs_check=image.spacing_needs_check,
            blocked=image.blocked,
            regions=image.regions,
        )
    )


@lru_cache(maxsize=32)
def display_score(folder: Path, scanner: Scanner, person: str, seed: int) -> float:
    layout = replace(WHITE_PAGE, scanner=scanner)
    return measured(read(folder, instance("page_picture", layout, person=person, seed=seed))).score


def colored_pixels_in_masks(image: DensitometryImage, found: SpineMeasurement, page: np.ndarray) -> int:
    assert image.page is not None
    assert image.blocked is not None
    colored = np.ptp(page.astype(np.int16), axis=2) > 0 if page.ndim == 3 else np.zeros(page.shape, bool)
    scale, row, column = image.page.scale, image.page.row, image.page.column
    count = 0
    for vertebra in found.vertebrae:
        scored = mask(vertebra.region, image.pixels.shape) & ~image.blocked  # type: ignore[arg-type]
        shown = scored.repeat(scale, axis=0).repeat(scale, axis=1)
        count += np.count_nonzero(
            shown & colored[row : row + shown.shape[0], column : column + shown.shape[1]]
        )
    return count


def refusal(image: DensitometryImage) -> Finding:
    assert image.refusal is not None
    assert image.input_class is InputClass.PAGE
    return image.refusal


def codes(image: DensitometryImage) -> list[Code]:
    return [finding.code for finding in image.findings]


def test_by_hand(tmp_path: Path) -> None:
    image = read(tmp_path, instance("page", WHITE_PAGE))
    assert image.refusal is None
    assert image.input_class is InputClass.DISPLAY
    assert image.spacing_source == "results table"
    assert image.spacing_needs_check
    np.testing.assert_allclose(image.pixel_spacing_mm, 0.5, rtol=0.003)  # type: ignore[arg-type]
    assert codes(image) == [Code.DISPLAY_COPY, Code.EXTRACTED_FROM_PAGE, Code.DERIVED_PIXEL_SPACING]
    assert image.page is not None
    assert (image.page.row, image.page.column, image.page.scale) == (300, 90, 2)
    assert (image.page.inverted, image.page.found_by) == (False, "private text")
    assert image.results is not None
    assert [site.site for site in image.results.sites] == ["L1", "L2", "L3", "L4", "L1-L4"]
    assert image.regions is not None
    assert image.regions.source == "page lines"
    assert image.regions.labels == ("L1", "L2", "L3", "L4")
    assert len(image.regions.lines) == 5
    assert [label for label, _ in image.regions.outlines] == ["L1", "L2", "L3", "L4"]
    stated = image.results.site("L2")
    assert stated is not None
    assert dict(image.regions.areas_mm2)["L2"] == pytest.approx(100.0 * (stated.area_cm2 or 0))


CASES = {
    "white": WHITE_PAGE,
    "not enlarged": replace(WHITE_PAGE, zoom=1),
    "three times": replace(WHITE_PAGE, zoom=3, shape=(1964, 1200)),
    "no lines": PLAIN_PAGE,
    "inverted": TABLE_ON_PAGE,
    "inverted, no lines": replace(TABLE_ON_PAGE, lines=False, labels="none"),
    "gray": GRAY_PAGE,
    "wide soft ink": replace(WHITE_PAGE, antialiased=True, line_width_px=2),
    "decimal comma": replace(WHITE_PAGE, decimal_comma=True),
    "no place stated": replace(WHITE_PAGE, script_box=False),
    "place a little off": replace(WHITE_PAGE, script_box_error=(6, -5, 4, 8)),
    "place quite wrong": replace(WHITE_PAGE, script_box_error=(420, 330, 0, 0)),
}


@pytest.mark.parametrize(
    ("name", "person"),
    [(name, list(PEOPLE)[k % len(PEOPLE)]) for k, name in enumerate(CASES)]
    + [("white", "man"), ("white", "small woman"), ("inverted", "osteophytes"), ("no lines", "scoliosis")],
)
def test_a_page_scores_as_its_picture_does(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str, person: str
) -> None:
    layout = CASES[name]
    data = instance("page", layout, person=person)
    image = read(tmp_path, data)
    found = measured(image)
    np.testing.assert_allclose(image.pixel_spacing_mm, layout.scanner.pixel_spacing_mm, rtol=0.02)
    score = display_score(tmp_path_factory.getbasetemp(), layout.scanner, person, 4)
    assert abs(found.score - score) < 0.05
    page = dcmread(tmp_path / "x.dcm").pixel_array
    assert colored_pixels_in_masks(image, found, page) == 0
    assert image.page is not None
    assert image.page.inverted == layout.inverted
    assert found.region_source == ("scanner" if layout.lines else "tbsnode")


def test_a_configured_spacing_serves_a_page_without_a_table(tmp_path: Path) -> None:
    data = instance("page", INVERTED_PAGE)
    assert refusal(read(tmp_path, data)).code is Code.NO_PIXEL_SPACING
    image = read(tmp_path, data, ScannerHints(pixel_spacing_mm=(0.6, 0.6)))
    assert (image.spacing_source, image.pixel_spacing_mm) == ("configuration", (0.6, 0.6))
    assert image.spacing_needs_check
    assert 0.8 < measured(image).score < 1.7


def test_areas_of_the_study_serve_a_page_that_states_none(tmp_path: Path) -> None:
    stated = read(tmp_path, instance("page", WHITE_PAGE)).results
    data = instance("page", replace(WHITE_PAGE, script=False))
    assert refusal(read(tmp_path, data)).code is Code.NO_PIXEL_SPACING
    image = read(tmp_path, data, results=stated)
    np.testing.assert_allclose(image.pixel_spacing_mm, 0.5, rtol=0.003)  # type: ignore[arg-type]
    assert image.results is None  # of the other instance, not of this one


@pytest.mark.parametrize("factor", [0.3, 0.5, 1.5, 2.5])
def test_the_table_of_another_patient_is_refused(tmp_path: Path, factor: float) -> None:
    for layout in (replace(WHITE_PAGE, area_factor=factor), replace(PLAIN_PAGE, area_factor=factor)):
        image = read(tmp_path, instance("page", layout))
        assert refusal(image).code is Code.IMPLAUSIBLE_PIXEL_SPACING


def test_levels_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    wrong = ScannerResults(
        sites=tuple(
            SiteResult(site=f"L{k + 1}", area_cm2=area) for k, area in enumerate((16.0, 9.5, 15.0, 10.2))
        ),
        source="structured report",
    )
    for layout in (WHITE_PAGE, PLAIN_PAGE):
        data = instance("page", replace(layout, script=False))
        assert refusal(read(tmp_path, data, results=wrong)).code is Code.IMPLAUSIBLE_PIXEL_SPACING


def test_boxes_around_vertebrae_are_no_bone_edges(tmp_path: Path) -> None:
    """Outlines that hold soft tissue would make every pixel too small."""
    plain = dcmread_of(tmp_path, instance("page", PLAIN_PAGE))
    lined = read(tmp_path, instance("page", WHITE_PAGE))
    assert lined.regions is not None
    pixels = plain.pixel_array.copy()
    for (left, right), (lower_left, _) in zip(lined.regions.lines, lined.regions.lines[1:], strict=False):
        top, bottom = int(2 * left[0]) + 300, int(2 * lower_left[0]) + 300
        first, last = int(2 * left[1]) + 90 - 60, int(2 * right[1]) + 90 + 60
        pixels[top : bottom + 1, [first, last]] = (255, 230, 0)
        pixels[[top, bottom], first : last + 1] = (255, 230, 0)
    plain.PixelData = pixels.tobytes()
    plain.save_as(tmp_path / "y.dcm")
    (image,) = read_images(tmp_path / "y.dcm")
    np.testing.assert_allclose(image.pixel_spacing_mm, 0.5, rtol=0.02)  # type: ignore[arg-type]
    assert image.regions is not None
    assert image.regions.outlines == ()


def dcmread_of(folder: Path, data: bytes):  # type: ignore[no-untyped-def]
    (folder / "p.dcm").write_bytes(data)
    return dcmread(folder / "p.dcm")


@pytest.mark.parametrize("pictures", ["none", "hip"])
def test_pages_without_a_spine_are_refused_and_their_results_are_read(tmp_path: Path, pictures: str) -> None:
    layout = replace(WHITE_PAGE, pictures=pictures)  # type: ignore[arg-type]
    image = read(tmp_path, instance("page", layout))
    assert refusal(image).code is Code.REPORT_PAGE
    assert image.results is not None
    assert image.pixels.shape == layout.shape  # the page, for the refusal
    assert (image.page, image.regions, image.blocked) == (None, None, None)


def test_a_page_with_two_pictures_gives_the_spine(tmp_path: Path) -> None:
    layout = replace(WHITE_PAGE, pictures="spine and hip", zoom=1)
    image = read(tmp_path, instance("page", layout))
    assert image.page is not None
    assert (image.page.row, image.page.column) == (300, 90)
    assert 1.0 < measured(image).score < 1.7


def test_a_header_spacing_on_a_page_only_contradicts(tmp_path: Path) -> None:
    for spacing, contradicts in (("0.25", False), ("0.5", False), ("0.31", True)):
        ds = dcmread_of(tmp_path, instance("page", WHITE_PAGE))
        ds.PixelSpacing = [spacing, spacing]
        ds.save_as(tmp_path / "y.dcm")
        (image,) = read_images(tmp_path / "y.dcm")
        np.testing.assert_allclose(image.pixel_spacing_mm, 0.5, rtol=0.003)  # type: ignore[arg-type]
        assert (Code.SPACING_CONTRADICTION in codes(image)) == contradicts
    ds = dcmread_of(tmp_path, instance("page", replace(WHITE_PAGE, script=False)))
    ds.PixelSpacing = ["0.25", "0.25"]  # of page or picture: nothing tells
    ds.save_as(tmp_path / "y.dcm")
    (image,) = read_images(tmp_path / "y.dcm")
    assert refusal(image).code is Code.NO_PIXEL_SPACING


@pytest.mark.parametrize("stated", ["YES", "NO", None])
def test_lines_burnt_into_a_whole_picture(tmp_path: Path, stated: str | None) -> None:
    """MONOCHROME2, whatever BurnedInAnnotation says: the header's spacing is the picture's."""
    layout = replace(GRAY_PAGE, zoom=1, script=False)
    page = read(tmp_path, instance("page", layout), ScannerHints(pixel_spacing_mm=(0.5, 0.5)))
    ds = dcmread_of(tmp_path, instance("page", layout))
    left, top = 90, 300
    rows, columns = page.pixels.shape
    ds.PixelData = ds.pixel_array[top : top + rows, left : left + columns].tobytes()
    ds.Rows, ds.Columns = rows, columns
    ds.BurnedInAnnotation = stated
    for spacing, code in ((["0.5", "0.5"], None), (None, Code.NO_PIXEL_SPACING)):
        ds.PixelSpacing = spacing
        ds.save_as(tmp_path / "y.dcm")
        (image,) = read_images(tmp_path / "y.dcm")
        assert (image.refusal.code if image.refusal else None) is code
    ds.PixelSpacing = ["0.5", "0.5"]
    ds.save_as(tmp_path / "y.dcm")
    (image,) = read_images(tmp_path / "y.dcm")
    assert image.spacing_source == "PixelSpacing"
    assert image.blocked is not None
    assert np.count_nonzero(image.blocked) > 1000
    found = measured(image)
    score = display_score(tmp_path, layout.scanner, "woman", 4)
    assert abs(found.score - score) < 0.05


@pytest.mark.parametrize("kind", ["raw", "display"])
def test_a_picture_with_a_caption_and_no_lines_of_the_scanner(tmp_path: Path, kind: str) -> None:
    ds = dcmread_of(tmp_path, instance(kind, WHITE_PAGE))
    ds.BurnedInAnnotation = "YES"
    for spacing in (None, ["0.5", "0.5"]):
        ds.ExposedArea, ds.PixelSpacing = None, spacing
        ds.save_as(tmp_path / "y.dcm")
        (image,) = read_images(tmp_path / "y.dcm")
        if spacing is None:
            assert refusal(image).code is Code.NO_PIXEL_SPACING
        else:
            assert Code.EXTRACTED_FROM_PAGE in codes(image)
            assert image.regions is not None
            assert image.regions.lines == ()
            assert measured(image).region_source == "tbsnode"


def test_an_enlarged_picture_is_doubted(tmp_path: Path) -> None:
    image = read(tmp_path, instance("page", replace(PLAIN_PAGE, smooth_zoom=1.7)))
    assert image.page is not None
    assert image.page.scale == 1
    assert Code.RESAMPLED in [finding.code for finding in measured(image).findings]


def test_the_same_page_twice_is_one_picture(tmp_path: Path) -> None:
    once, again = (read(tmp_path, instance("page", WHITE_PAGE)) for _ in range(2))
    assert once.image_sha256 == again.image_sha256
    assert once.image_sha256 != read(tmp_path, instance("page", WHITE_PAGE, seed=5)).image_sha256
    other_place = replace(WHITE_PAGE, place="lower left")
    assert once.image_sha256 != read(tmp_path, instance("page", other_place)).image_sha256


def test_a_grayscale_image_with_private_text_has_results(tmp_path: Path) -> None:
    ds = dcmread_of(tmp_path, instance("page_picture", WHITE_PAGE))
    block = ds.private_block(0x0019, "HOLOGIC", create=True)
    block.add_new(
        0x00, "UT", 'ResultsTable[0][1] = "BMD"; ResultsTable[1][0] = "L3"; ResultsTable[1][1] = "0.9";'
    )
    ds.save_as(tmp_path / "y.dcm")
    (image,) = read_images(tmp_path / "y.dcm")
    assert image.refusal is None
    assert image.results is not None
    assert image.results.sites == (SiteResult(site="L3", bmd_g_cm2=0.9),)
    assert image.results.sop_instance_uid == str(ds.SOPInstanceUID)


def test_height_in_another_unit_refuses_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, instance("page", WHITE_PAGE, height_m=164.0)).refusal is None
