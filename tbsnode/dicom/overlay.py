"""Picture with outlines -> Secondary Capture instance (PS3.3 A.8.1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tbsnode.dicom import codes, context, part10, sop_classes
from tbsnode.dicom.part10 import Header
from tbsnode.model import DerivedInstance, DerivedKind, InputClass, Reference, Report


def build(
    report: Report, rgb: NDArray[np.uint8], source: Path, *, predecessor: Reference | None = None
) -> DerivedInstance:
    """Write the picture of a result as a color Secondary Capture.

    Parameters
    ----------
    report : Report
        What is drawn.
    rgb : ndarray of shape (M, N, 3), uint8
        The picture, without any identity drawn into it.
    source : Path
        Part 10 file of the reported image.
    predecessor : Reference or None
        The overlay that this one replaces; part of its UID.

    Returns
    -------
    DerivedInstance
        The same bytes for the same arguments.
    """
    header = part10.read_header(source)
    called = context.named(report, predecessor)
    sc = sop_classes.SECONDARY_CAPTURE
    ds = context.new_instance(header, DerivedKind.OVERLAY, sc, called, report.provenance)
    ds.ConversionType = "WSD"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    # the lumbar spine is unpaired: Body Part Examined says so, and Laterality stays away
    ds.BodyPartExamined = "LSPINE"
    context.copy_element(header, "PatientOrientation", ds, empty=True)
    ds.BurnedInAnnotation = "NO"
    ds.DerivationDescription = "Regions of the texture measurement drawn by tbsnode"
    ds.DerivationCodeSequence = [codes.item(codes.SEGMENTATION)]
    ds.SourceImageSequence = [context.source_image(report.source)]
    _spacing(ds, header, rgb)
    _compression(ds, report, header)
    _pixels(ds, rgb)
    return context.finished(ds, DerivedKind.OVERLAY, report.provenance, predecessor)


def _spacing(ds: Dataset, header: Header, rgb: NDArray[np.uint8]) -> None:
    """Copy the spacing where the picture has the matrix of its source."""
    matrix = (*header.shorts("Rows")[:1], *header.shorts("Columns")[:1])
    spacing = header.numbers("PixelSpacing")
    if matrix != rgb.shape[:2] or len(spacing) != 2 or min(spacing) <= 0:
        return
    context.copy_element(header, "PixelSpacing", ds)
    # type and description go together (PS3.3 10.7)
    if header.text("PixelSpacingCalibrationType") and header.text("PixelSpacingCalibrationDescription"):
        context.copy_element(header, "PixelSpacingCalibrationType", ds)
        context.copy_element(header, "PixelSpacingCalibrationDescription", ds)


def _compression(ds: Dataset, report: Report, header: Header) -> None:
    """Say that pixels once compressed with loss stay lossy (PS3.3 C.7.6.1.1.5)."""
    lossy = report.analysis.input_class is InputClass.LOSSY
    ds.LossyImageCompression = "01" if lossy else "00"
    if lossy:
        context.copy_element(header, "LossyImageCompressionRatio", ds)
        context.copy_element(header, "LossyImageCompressionMethod", ds)


def _pixels(ds: Dataset, rgb: NDArray[np.uint8]) -> None:
    ds.SamplesPerPixel = 3
    ds.PhotometricInterpretation = "RGB"
    ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = rgb.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.add_new(0x7FE00010, "OB", rgb.tobytes() + b"\0" * (rgb.size % 2))
