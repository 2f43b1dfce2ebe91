"""Small data sets as a densitometer would send them, written with pydicom alone.

They hold no phantom: the pictures are ramps. What matters here is the header and its encoding.
"""

from __future__ import annotations

import copy
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

CR = "1.2.840.10008.5.1.4.1.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
STUDY, SERIES, INSTANCE = (
    "1.2.826.0.1.3680043.10.1",
    "1.2.826.0.1.3680043.10.1.1",
    "1.2.826.0.1.3680043.10.1.1.1",
)


def ramp(rows: int = 24, columns: int = 20, levels: int = 4096) -> NDArray[np.uint16]:
    """Return a picture of many gray levels, from dark to bright."""
    return np.linspace(0, levels - 1, rows * columns).reshape(rows, columns).astype(np.uint16)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return one coded concept."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def spine(**changes: Any) -> Dataset:
    """Return a 16-bit grayscale AP spine as CR, with spacing; `changes` are set, None removes."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = CR, INSTANCE
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = "Müller^Jürgen", "P-1", "CLINIC"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19600229", "F", "064Y"
    ds.PatientSize, ds.PatientWeight = "1.65", "68"
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20240305", "101500", "S1"
    ds.StudyDescription, ds.AccessionNumber = "DXA Exam", "A-77"
    ds.ReferringPhysicianName = "Doe^Jane"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CR", "1", "1"
    ds.SeriesDescription, ds.ProtocolName, ds.BodyPartExamined = "DXA Images", "AP Spine", "LSPINE"
    ds.ViewPosition, ds.PatientOrientation = "AP", ["L", "F"]
    ds.AcquisitionDate, ds.AcquisitionTime = "20240305", "101622"
    ds.Manufacturer, ds.ManufacturerModelName = "Maker", "Model 1"
    ds.DeviceSerialNumber, ds.SoftwareVersions, ds.StationName = "SN-1", ["1.0", "2.0"], "DXA1"
    ds.InstitutionName = "Clinic"
    ds.PixelSpacing = ["0.5", "0.4"]
    ds.PixelSpacingCalibrationType = "GEOMETRY"
    ds.PixelSpacingCalibrationDescription = "Scan step"
    with_pixels(ds, ramp(), 12)
    for keyword, value in changes.items():
        if value is not None:
            setattr(ds, keyword, value)
        elif keyword in ds:
            delattr(ds, keyword)
    return ds


def with_pixels(ds: Dataset, pixels: NDArray[Any], bits_stored: int) -> Dataset:
    """Put a picture of shape (M, N) or (M, N, 3) into a data set."""
    color = pixels.ndim == 3
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = 3 if color else 1
    ds.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
    if color:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits_stored, bits_stored - 1, 0
    ds.add_new(
        0x7FE00010, "OW" if ds.BitsAllocated > 8 else "OB", pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    )
    return ds


def encoded(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return Part 10 bytes of a data set in a native transfer syntax."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = "1.2.826.0.1.3680043.10.9"
    ds.file_meta = meta
    buffer = BytesIO()
    if syntax == ExplicitVRBigEndian and ds.BitsAllocated == 16:
        ds = copy.deepcopy(ds)  # pydicom leaves the order of pixel bytes to the caller
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def write(path: Path, ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set as a Part 10 file and return its path."""
    path.write_bytes(encoded(ds, syntax))
    return path


def with_an_item_in_an_item(part10: bytes) -> bytes:
    """Put a sequence before the pixel data whose item begins with an item where an element belongs.

    A reader that walks by lengths goes past it; pydicom reads on to the end of the file and raises OSError.
    """
    item, item_ends, sequence_ends = (
        bytes.fromhex(each) for each in ("feff00e0ffffffff", "feff0de000000000", "feffdde000000000")
    )
    content = b"\x40\x00\x30\xa7SQ\0\0" + b"\xff" * 4
    before, pixels, after = part10.rpartition(b"\xe0\x7f\x10\x00O")
    return before + content + item + item + item_ends + sequence_ends + pixels + after
