"""Instance -> DensitometryImage: polarity, padding, spacing and its source, input class.

What a picture may be used for is decided here, once, and travels with it (PS3.3 C.7.6.3, C.11.1).
A picture that may not be measured comes back as a value with its refusal, not as an exception: the
study is refused visibly, and a person can see why.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tbsnode.dicom import part10, report_page, sop_classes
from tbsnode.dicom.codestream import UndecodablePixels
from tbsnode.dicom.frames import MAX_FRAMES, PixelForm, decode, form_of, shown
from tbsnode.dicom.hints import ScannerHints
from tbsnode.dicom.identity import identity_of
from tbsnode.dicom.part10 import Header
from tbsnode.dicom.results_text import StatedResults, read_results
from tbsnode.dicom.spacing import Spacing, spacing_of
from tbsnode.model import DensitometryImage, InputClass, InstanceIdentity
from tbsnode.model.densitometry import ScannerResults
from tbsnode.reasons import Code, Finding
from tbsnode.tbs import ink, page_ink

_log = logging.getLogger(__name__)

_IMAGE_BITS = 10  # fewer bits stored is a display copy
_IMAGE_LEVELS = 256  # so are fewer or as many distinct values
# A bone image has bright bone and dark soft tissue; GE pads up to a tenth with white. Paper is white.
_PAGE_WHITE_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class _Source:
    """What all frames of an instance share."""

    header: Header
    identity: InstanceIdentity
    spacing: Spacing
    hints: ScannerHints
    digest: str
    stated: StatedResults
    results: ScannerResults | None
    table: tuple[NDArray[np.float64], int] | None = None


@dataclass(frozen=True, slots=True)
class _Scale:
    """Stored value -> value of the image (PS3.3 C.11.1; C.7.6.3.1.2)."""

    slope: float
    intercept: float
    stored_range: tuple[int, int]
    inverted: bool
    # Modality LUT, and the stored value that its first entry is for: instead of slope and intercept
    table: tuple[NDArray[np.float64], int] | None = None

    def apply(self, stored: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.table is not None:
            table, first = self.table
            values = table[np.clip(stored - first, 0, table.size - 1).astype(np.intp)]
            return table.max() + table.min() - values if self.inverted else values
        if self.inverted:
            stored = sum(self.stored_range) - stored
        return stored * self.slope + self.intercept

    @property
    def maximum(self) -> float:
        if self.table is not None:
            return float(self.table[0].max())
        ends = self.apply(np.array(self.stored_range, dtype=np.float64))
        return float(ends.max())


def read_images(
    path: Path, *, hints: ScannerHints | None = None, results: ScannerResults | None = None
) -> tuple[DensitometryImage, ...]:
    """Read the pictures of one instance.

    Parameters
    ----------
    path : Path
        A Part 10 file.
    hints : ScannerHints, optional
        From the configuration.
    results : ScannerResults, optional
        What other instances of the study state; the areas of a report page that states none itself.

    Returns
    -------
    tuple of DensitometryImage
        One a frame; of a report page the picture inside it, where that can be cut out. An instance
        whose pixels cannot be decoded, or that has more than 16 frames, gives one without pixels and
        with a refusal. Empty if the SOP class is not an image.

    Raises
    ------
    InstanceError
        If the file is not an instance this node takes.
    """
    header = part10.read_header(path)
    identity = identity_of(header)
    if not identity.is_image:
        return ()
    hints = hints or ScannerHints()
    stated = read_results(path)
    source = _Source(
        header,
        identity,
        spacing_of(header, hints.pixel_spacing_mm),
        hints,
        part10.data_set_digest(path),
        stated,
        stated.results(identity.sop_instance_uid) or results,
    )
    try:
        form = form_of(header)
        if form.frames > MAX_FRAMES:
            return (_without_pixels(source, Finding(Code.MULTI_FRAME, values=(("frames", form.frames),))),)
        frames = [shown(header, form, _padded(header, form, frame)) for frame in decode(path, form)]
        source = replace(source, table=_modality_table(header, form))
    except UndecodablePixels as error:
        _log.warning(
            "Pixels cannot be decoded: %s",
            error,
            extra={"action": "image.undecodable", "sop_instance_uid": identity.sop_instance_uid},
        )
        return (_without_pixels(source, Finding(Code.UNREADABLE_PIXELS)),)
    return tuple(_image(source, form, frame, number) for number, frame in enumerate(frames))


def _image(source: _Source, form: PixelForm, shown: NDArray[np.generic], number: int) -> DensitometryImage:
    colored = _is_colored(shown)
    page = colored or _is_page(source.header, _one_sample(shown), form)
    if page and not _is_lossy(source.header):
        extracted = _extracted(source, form, shown)
        if isinstance(extracted, report_page.Extracted):
            return _cut_out(source, extracted, number)
        return _stored(source, form, _luma(shown) if colored else _one_sample(shown), number, extracted)
    return _stored(source, form, _luma(shown) if colored else _one_sample(shown), number, None, page=page)


def _stored(
    source: _Source,
    form: PixelForm,
    gray: NDArray[np.generic],
    number: int,
    refusal: Finding | None,
    *,
    page: bool = True,
) -> DensitometryImage:
    """Return the matrix as it is stored; `refusal` is why nothing could be cut out of a page."""
    scale = _scale(source, form)
    pixels = scale.apply(gray.astype(np.float64))
    input_class = _input_class(source, form, _distinct(gray), page=page)
    findings = source.spacing.findings
    if input_class is InputClass.DISPLAY:
        findings = (Finding(Code.DISPLAY_COPY), *findings)
    return DensitometryImage(
        identity=source.identity,
        frame=number,
        pixels=pixels,
        padding_value=_padding(source.header, form, scale),
        stored_maximum=scale.maximum,
        pixel_spacing_mm=source.spacing.row_column_mm,
        spacing_source=source.spacing.source,
        spacing_needs_check=source.spacing.needs_check,
        input_class=input_class,
        image_sha256=_image_digest(pixels),
        data_set_sha256=source.digest,
        findings=findings,
        refusal=refusal or _refusal(input_class, source.spacing),
        results=source.stated.results(source.identity.sop_instance_uid),
    )


def _extracted(
    source: _Source, form: PixelForm, shown: NDArray[np.generic]
) -> report_page.Extracted | Finding:
    return report_page.extract(
        _eight_bits(shown, form),
        box=source.stated.box,
        results=source.results,
        spacing=source.spacing,
        hints=source.hints,
        height_m=source.identity.demographics.height_m,
    )


def _eight_bits(shown: NDArray[np.generic], form: PixelForm) -> NDArray[np.uint8]:
    """Return a page as it is looked at: a display copy whatever its depth, white bright."""
    page = _one_sample(shown) if shown.ndim == 3 and not _is_colored(shown) else shown
    if page.dtype != np.uint8:
        levels = page.astype(np.float64)
        page = np.round((levels - levels.min()) * (255.0 / max(float(np.ptp(levels)), 1.0)))
    pixels = np.asarray(page, dtype=np.uint8)
    return 255 - pixels if form.photometric_interpretation == "MONOCHROME1" else pixels


def _cut_out(source: _Source, found: report_page.Extracted, number: int) -> DensitometryImage:
    """Return the picture inside a page: a display copy."""
    place = f"{found.origin.row},{found.origin.column},{found.origin.scale}"
    return DensitometryImage(
        identity=source.identity,
        frame=number,
        pixels=found.pixels,
        padding_value=None,
        stored_maximum=255.0,
        pixel_spacing_mm=found.pixel_spacing_mm,
        spacing_source=found.spacing_source,
        spacing_needs_check=True,
        input_class=InputClass.DISPLAY,
        image_sha256=_image_digest(found.pixels, place),
        data_set_sha256=source.digest,
        findings=(Finding(Code.DISPLAY_COPY), *found.findings),
        blocked=found.blocked,
        regions=found.regions,
        results=source.stated.results(source.identity.sop_instance_uid),
        page=found.origin,
    )


def _without_pixels(source: _Source, refusal: Finding) -> DensitometryImage:
    lossy = _is_lossy(source.header)
    pixels = np.zeros((0, 0), dtype=np.float64)
    return DensitometryImage(
        identity=source.identity,
        frame=0,
        pixels=pixels,
        padding_value=None,
        stored_maximum=0.0,
        pixel_spacing_mm=source.spacing.row_column_mm,
        spacing_source=source.spacing.source,
        spacing_needs_check=source.spacing.needs_check,
        input_class=InputClass.LOSSY if lossy else InputClass.DISPLAY,
        image_sha256=_image_digest(pixels),
        data_set_sha256=source.digest,
        findings=source.spacing.findings,
        refusal=refusal,
        results=source.stated.results(source.identity.sop_instance_uid),
    )


def _input_class(source: _Source, form: PixelForm, levels: int, *, page: bool) -> InputClass:
    if _is_lossy(source.header):
        return InputClass.LOSSY
    if page:
        return InputClass.PAGE
    if form.samples != 1 or form.bits_stored < _IMAGE_BITS or levels <= _IMAGE_LEVELS:
        return InputClass.DISPLAY
    # a lookup table says that the stored values are not on the scale of the measurement
    linear = source.hints.linear and not source.header.items("ModalityLUTSequence")
    in_header = source.spacing.source not in ("", "configuration", "ExposedArea")
    return InputClass.RAW if linear and in_header else InputClass.IMAGE


def _refusal(input_class: InputClass, spacing: Spacing) -> Finding | None:
    if input_class is InputClass.LOSSY:
        return Finding(Code.LOSSY_COMPRESSION)
    if input_class is InputClass.PAGE:
        return Finding(Code.REPORT_PAGE)
    if spacing.row_column_mm is None:
        return Finding(Code.NO_PIXEL_SPACING)
    return None


def _is_lossy(header: Header) -> bool:
    """Tell whether pixels went through a loss at any time (PS3.3 C.7.6.1.1.5).

    Method and ratio are stated of lossy compression only; what decompressed the image may have lost the flag.
    """
    syntax = header.meta.transfer_syntax_uid if header.meta else ""
    flag = header.text("LossyImageCompression")
    if sop_classes.lossy(syntax) or flag == "01":
        return True
    ratio = max(header.numbers("LossyImageCompressionRatio"), default=1.0)
    return not flag and (ratio > 1.0 or bool(header.text("LossyImageCompressionMethod")))


def _is_page(header: Header, gray: NDArray[np.generic], form: PixelForm) -> bool:
    if header.text("BurnedInAnnotation").upper() == "YES":
        return True
    padding = _stored_padding(header, form)  # may be ragged, and is no ink
    bare = gray if padding is None else ink.filled(gray.astype(np.float64), gray == padding)
    if page_ink.is_drawn_over(_eight_bits(bare, form)):
        return True
    if form.bits_stored > 8:
        return False
    lightest = gray.min() if form.photometric_interpretation == "MONOCHROME1" else gray.max()
    darkest = gray.max() if form.photometric_interpretation == "MONOCHROME1" else gray.min()
    return bool(lightest != darkest and np.mean(gray == lightest) > _PAGE_WHITE_SHARE)


def _is_colored(shown: NDArray[np.generic]) -> bool:
    if shown.ndim == 2:
        return False
    red, green, blue = shown[..., 0], shown[..., 1], shown[..., 2]
    return not (np.array_equal(red, green) and np.array_equal(green, blue))


def _one_sample(shown: NDArray[np.generic]) -> NDArray[np.generic]:
    return shown if shown.ndim == 2 else shown[..., 0]


def _luma(shown: NDArray[np.generic]) -> NDArray[np.generic]:
    """Weigh the channels by ITU-R BT.601: enough to show a page on a refusal report."""
    luma = np.zeros(shown.shape[:2], dtype=np.float64)
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        luma += weight * shown[..., channel].astype(np.float64)
    return luma.round()


def _distinct(stored: NDArray[np.generic]) -> int:
    """Count distinct values; sixteen bits are counted without sorting."""
    if stored.dtype in (np.uint8, np.uint16):
        return int(np.count_nonzero(np.bincount(stored.ravel())))
    return len(np.unique(stored))


def _modality_table(header: Header, form: PixelForm) -> tuple[NDArray[np.float64], int] | None:
    """Return the Modality LUT and the stored value it begins at (PS3.3 C.11.1), None where there is none.

    Raises
    ------
    UndecodablePixels
        If it is shorter than it says: what the stored values mean is then unknown.
    """
    item = next(iter(header.items("ModalityLUTSequence")), None)
    if item is None or form.samples != 1:
        return None
    descriptor, data = item.shorts("LUTDescriptor"), item.raw("LUTData")
    if len(descriptor) != 3:
        raise UndecodablePixels("the Modality LUT has no descriptor")
    entries, first, bits = descriptor[0] or 1 << 16, descriptor[1], descriptor[2]
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if header.little_endian else ">u2")
    table = np.frombuffer(data, np.uint8) if bits <= 8 and words.size < entries else words
    if table.size < entries:
        raise UndecodablePixels("the Modality LUT is shorter than it says")
    first -= 1 << 16 if form.signed and first >= 1 << 15 else 0
    return table[:entries].astype(np.float64), first


def _scale(source: _Source, form: PixelForm) -> _Scale:
    header = source.header
    slope, intercept = header.numbers("RescaleSlope"), header.numbers("RescaleIntercept")
    stored_range = form.stored_range
    if form.photometric_interpretation == "PALETTE COLOR":
        stored_range = (0, 255)
    return _Scale(
        slope=slope[0] if slope and slope[0] != 0 else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        stored_range=stored_range,
        inverted=form.photometric_interpretation == "MONOCHROME1",
        table=source.table,
    )


def _padding(header: Header, form: PixelForm, scale: _Scale) -> float | None:
    value = _stored_padding(header, form)
    return None if value is None else float(scale.apply(np.array([value], dtype=np.float64))[0])


def _stored_padding(header: Header, form: PixelForm, keyword: str = "PixelPaddingValue") -> int | None:
    values = header.shorts(keyword)
    if not values or form.samples != 1:
        return None
    return values[0] - (1 << 16) if form.signed and values[0] >= 1 << 15 else values[0]


def _padded(header: Header, form: PixelForm, frame: NDArray[np.generic]) -> NDArray[np.generic]:
    """Give all padding one value, where a range of values is stated for it (PS3.3 C.7.5.1.1.2)."""
    value = _stored_padding(header, form)
    limit = _stored_padding(header, form, "PixelPaddingRangeLimit")
    if value is None or limit is None:
        return frame
    one = np.array(frame)
    stored = frame.astype(np.int64)
    one[(stored >= min(value, limit)) & (stored <= max(value, limit))] = value
    return one


def _image_digest(pixels: NDArray[np.float64], place: str = "") -> str:
    digest = hashlib.sha256("x".join(map(str, pixels.shape)).encode() + place.encode())
    digest.update(np.ascontiguousarray(pixels, dtype="<f8").tobytes())
    return digest.hexdigest()
