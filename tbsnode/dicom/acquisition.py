"""A phantom -> the instances that a scanner would send: for the demo, the self-test and the tests.

Nothing here is random or reads a clock: the same arguments make the same bytes, so a test can make
two hundred different studies and, later, make one of them again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from tbsnode.dicom.scanner_headers import (
    Event,
    PatientTags,
    add_private_results,
    capture_header,
    display_copy_header,
    protocol_page_header,
    script_lines,
    simulated_uid,
)
from tbsnode.dicom.sop_classes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from tbsnode.phantom import forearm, hip, lateral, page, whole_body
from tbsnode.phantom.drawing import Drawing
from tbsnode.phantom.page_layout import WHITE_PAGE, Layout
from tbsnode.phantom.page_picture import native_gray
from tbsnode.phantom.scanners import (
    COARSE_DISPLAY,
    FINE_DISPLAY,
    LINEAR_16,
    LINEAR_16_OBLONG,
    ScannedImage,
    Scanner,
    scan,
)
from tbsnode.phantom.spine import Spine, draw

__all__ = ["KINDS", "Options", "PatientTags", "drawn_page", "picture", "study"]

WHOLE_BODY = replace(
    FINE_DISPLAY,
    name="whole body",
    pixel_spacing_mm=(whole_body.PIXEL_SPACING_MM,) * 2,
    sharpness_mm=1.6,
    padding_value=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may differ from the ordinary export of a kind.

    Attributes
    ----------
    spine : Spine
        The anatomy (spines only).
    anatomy_seed : int or None
        Which individual; None: the study's seed. Studies that share it share a cached drawing, and
        then differ in noise, margins and header alone: cheap.
    scanner : Scanner or None
        Another sampling than the kind's own.
    noise, movement_mm : float
        Against the scanner's own noise; a jump in the middle of the scan [mm].
    small : bool
        The coarse matrix instead of the fine one: a 300 x 328 picture of 100 kB (`display` only).
    copies : int
        How often the same picture is stored, each time under another SOP Instance UID.
    transfer_syntax : str
        UID of Implicit or Explicit VR Little Endian; "": what such a scanner uses.
    study_time : str
        TM.
    accession_number, procedure_code : str
        AccessionNumber; one code of ProcedureCodeSequence, "" for none.
    protocol : str
        ProtocolName instead of the kind's own.
    page : Layout
        What a report page looks like (`page` and `page_picture` only).
    attributes : tuple of (keyword, value) pairs
        Written last, over everything; a value of None deletes the attribute.
    """

    spine: Spine = field(default_factory=Spine)
    anatomy_seed: int | None = None
    scanner: Scanner | None = None
    noise: float = 1.0
    movement_mm: float = 0.0
    small: bool = False
    copies: int = 1
    transfer_syntax: str = ""
    study_time: str = "101500"
    accession_number: str = ""
    procedure_code: str = ""
    protocol: str = ""
    page: Layout = WHITE_PAGE
    attributes: tuple[tuple[str, str | float | tuple[float, ...] | None], ...] = ()


@dataclass(frozen=True, slots=True)
class _Kind:
    protocol: str
    scanner: Scanner
    draw: Callable[[Options, int], Drawing]


def _spine(options: Options, seed: int) -> Drawing:
    return draw(options.spine, seed)


KINDS: dict[str, _Kind] = {
    "raw": _Kind("AP Lumbar Spine", LINEAR_16, _spine),
    "raw_oblong": _Kind("AP Lumbar Spine", LINEAR_16_OBLONG, _spine),
    "display": _Kind("AP Spine", FINE_DISPLAY, _spine),
    "page": _Kind("AP Lumbar Spine", LINEAR_16, _spine),
    "page_picture": _Kind("AP Spine", LINEAR_16, _spine),
    "hip": _Kind("Left Femur", FINE_DISPLAY, lambda _, seed: hip.draw(seed)),
    "forearm": _Kind("Left Forearm", FINE_DISPLAY, lambda _, seed: forearm.draw(seed)),
    "lateral": _Kind("LVA", FINE_DISPLAY, lambda _, seed: lateral.draw(seed)),
    "whole_body": _Kind("Total Body", WHOLE_BODY, lambda _, seed: whole_body.draw(seed)),
}
_CAPTURES = ("raw", "raw_oblong", "page")
_PAGES = ("page", "page_picture")


def study(
    kind: str,
    *,
    patient: PatientTags,
    seed: int,
    study_date: str = "20250314",
    study_key: str = "",
    options: Options = Options(),
) -> tuple[bytes, ...]:
    """Return the instances of one acquisition as Part 10 bytes.

    Parameters
    ----------
    kind : str
        A key of `KINDS`: ``"raw"`` (16-bit grayscale Secondary Capture with PixelSpacing),
        ``"raw_oblong"`` (the same with oblong pixels), ``"display"`` (8-bit Computed Radiography
        without spacing), ``"page"`` (a report page), ``"page_picture"`` (what that page shows, as a
        display copy with PixelSpacing), or a picture that is no AP spine.
    patient : PatientTags
        Who.
    seed : int
        Of the individual, the noise and the UIDs.
    study_date : str
        DA.
    study_key : str
        Equal keys make one study: call again with another kind or seed to add to it. "": a study of
        its own for each patient ID, kind and seed.
    options : Options
        Everything else.

    Returns
    -------
    tuple of bytes
        `options.copies` instances.

    Raises
    ------
    KeyError
        If there is no such kind.
    """
    key = study_key or f"{patient.patient_id}/{kind}/{seed}"
    instances = []
    for copy in range(options.copies):
        event = Event(
            study_key=key,
            instance_key=f"{kind}/{seed}/{copy}",
            date=study_date,
            time=options.study_time,
            protocol=_protocol(kind, options),
            accession_number=options.accession_number,
            procedure_code=options.procedure_code,
            number=copy + 1,
        )
        ds = _instance(kind, patient, event, seed, options)
        for keyword, value in options.attributes:
            _overwrite(ds, keyword, value)
        instances.append(_part10(ds, options.transfer_syntax or _usual_syntax(kind)))
    return tuple(instances)


def picture(kind: str, *, seed: int, options: Options = Options()) -> ScannedImage:
    """Return the scanned picture that `study` would put into its instances.

    Parameters
    ----------
    kind, seed, options
        As for `study`.

    Returns
    -------
    ScannedImage
        For ``"page"`` the picture on the page, before it is drawn into it; for ``"page_picture"``
        in the gray levels that the page shows, bone bright.
    """
    spoiled = (options.noise, options.movement_mm)
    scanned = _scanned(_drawing(kind, seed, options), _scanner(kind, options), seed, spoiled)
    return replace(scanned, pixels=native_gray(scanned)) if kind == "page_picture" else scanned


def drawn_page(
    *, patient: PatientTags, seed: int, study_date: str = "20250314", options: Options = Options()
) -> page.Page:
    """Return the report page that ``study("page", ...)`` would put into its instances, with its truth.

    Parameters
    ----------
    patient, seed, study_date, options
        As for `study`.

    Returns
    -------
    Page
        The pixels, and what is where on them.
    """
    date = patient.birth_date
    header = (
        f"NAME: {patient.name.split('=', maxsplit=1)[0].replace('^', ', ')}",
        f"PATIENT ID: {patient.patient_id}",
        f"DOB: {date[:4]}-{date[4:6]}-{date[6:]}  SEX: {patient.sex}",
        f"SCAN: {_protocol('page', options)}  {study_date}",
    )
    shown = options.page.pictures
    spine = _drawing("page", seed, options)
    if spine.truth is None:
        raise ValueError("a report page needs a spine")
    femur = None
    if "hip" in shown:
        femur = _scanned(hip.draw(seed), _scanner("page", options), seed, (options.noise, 0.0))
    return page.report_page(
        picture("page", seed=seed, options=options) if "spine" in shown else femur,
        None if shown == "hip" else spine.truth,
        header,
        layout=options.page,
        companion=femur if "spine" in shown else None,
    )


@lru_cache(maxsize=4)
def _scanned(drawing: Drawing, scanner: Scanner, seed: int, spoiled: tuple[float, float]) -> ScannedImage:
    return scan(drawing, scanner, seed, noise=spoiled[0], movement_mm=spoiled[1])


def _drawing(kind: str, seed: int, options: Options) -> Drawing:
    return KINDS[kind].draw(options, seed if options.anatomy_seed is None else options.anatomy_seed)


def _scanner(kind: str, options: Options) -> Scanner:
    usual = options.page.scanner if kind in _PAGES else KINDS[kind].scanner
    return options.scanner or (COARSE_DISPLAY if options.small else usual)


def _protocol(kind: str, options: Options) -> str:
    """Return the name of the scan: the operator's, or the usual one of such pages, or of the kind."""
    if options.protocol:
        return options.protocol
    if kind == "page" and options.page.pictures == "hip":
        return "Left Femur" if options.page.named_by == "protocol" else "Left Hip"
    if kind == "page" and options.page.named_by == "protocol":
        return "AP Spine"
    return KINDS[kind].protocol


def _usual_syntax(kind: str) -> str:
    return EXPLICIT_VR_LITTLE_ENDIAN if kind in _CAPTURES else IMPLICIT_VR_LITTLE_ENDIAN


def _instance(kind: str, patient: PatientTags, event: Event, seed: int, options: Options) -> Dataset:
    """Return one data set of a kind."""
    if kind == "page":
        return _page(patient, event, seed, options)
    scanned = picture(kind, seed=seed, options=options)
    if kind in _CAPTURES:
        ds = capture_header(patient, event)
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        ds.BurnedInAnnotation = "NO"
    else:
        ds = display_copy_header(patient, event, scanned.field_mm)
    if kind == "page_picture":  # of the scanner that printed the page
        printed = _page_header(patient, event, options.page)
        for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions"):
            setattr(ds, keyword, printed[keyword].value)
    if kind == "page_picture" or kind in _CAPTURES:
        ds.PixelSpacing = [f"{spacing:.6g}" for spacing in scanned.pixel_spacing_mm]
    _add_pixels(ds, scanned.pixels)
    return ds


def _page(patient: PatientTags, event: Event, seed: int, options: Options) -> Dataset:
    """Return a report page: identity in the pixels, results in private text if the layout says so."""
    drawn = drawn_page(patient=patient, seed=seed, study_date=event.date, options=options)
    layout = options.page
    ds = _page_header(patient, event, layout)
    if layout.script:
        box = None
        if layout.script_box and layout.pictures != "none":
            left, top, wide, high = (
                value + error for value, error in zip(drawn.picture, layout.script_box_error, strict=True)
            )
            box = (left, top, wide, high)
        text = script_lines(patient, event, drawn.table, box)
        add_private_results(ds, text[: round(layout.script_part * len(text))])
    _add_pixels(ds, drawn.pixels)
    return ds


def _page_header(patient: PatientTags, event: Event, layout: Layout) -> Dataset:
    if layout.named_by == "protocol":
        return protocol_page_header(patient, event)
    ds = capture_header(patient, event)
    ds.PixelSpacing = None  # present and empty, as received
    if layout.pictures == "hip":
        ds.BodyPartExamined = "HIP"
        ds.Laterality = "L"
    return ds


def _add_pixels(ds: Dataset, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Add the Image Pixel module, PS3.3 C.7.6.3."""
    bits = 8 * pixels.dtype.itemsize
    ds.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    ds.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.BitsAllocated = bits
    ds.BitsStored = bits
    ds.HighBit = bits - 1
    ds.PixelRepresentation = 0
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OW" if bits == 16 else "OB"


def _overwrite(ds: Dataset, keyword: str, value: str | float | tuple[float, ...] | None) -> None:
    if value is not None:
        setattr(ds, keyword, list(value) if isinstance(value, tuple) else value)
    elif keyword in ds:
        delattr(ds, keyword)


def _part10(ds: Dataset, transfer_syntax: str) -> bytes:
    """Encode a data set in the Part 10 file format, PS3.10 section 7."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(simulated_uid("implementation", "scanner"))
    meta.ImplementationVersionName = "TBSNODE_PHANTOM"
    ds.file_meta = meta
    if transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN:
        ds["PixelData"].VR = "OW"  # PS3.5 annex A.1
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()
