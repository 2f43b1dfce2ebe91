"""The headers that densitometers write, attribute by attribute, for simulated acquisitions.

Two exports are imitated because receivers meet them everywhere: Computed Radiography display copies
without pixel spacing, and Secondary Capture pages or images. Their manufacturer strings are what
routing rules look at, so they are the real ones; serial number, station and institution say that
nothing here was acquired from a person.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tbsnode.dicom.sop_classes import SECONDARY_CAPTURE

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
PRIVATE_CREATOR = "HOLOGIC"
# Heads of the printed table, and the markup that stands for them in private text.
_SCRIPT_HEADS = {
    "REGION": "Region",
    "AREA": "Area[cm<sup><small>2</small></sup>]",
    "BMC": "BMC[g]",
    "BMD": "BMD[g/cm<sup><small>2</small></sup>]",
    "T-SCORE": "T -<br>Score",
    "Z-SCORE": "Z -<br>Score",
    "YOUNG-ADULT": "Young-Adult<br>T-Score",
    "AGE-MATCHED": "Age-Matched<br>Z-Score",
}
# Names under which the 2.25 UIDs of simulated acquisitions are derived (RFC 9562, version 5).
_NAMESPACE = uuid.UUID("6f0d3c52-6f3e-5a43-9d53-0f5f7c2b8a11")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientTags:
    """Who is on the table, as the scanner's console was told.

    Attributes
    ----------
    patient_id, name, birth_date, sex : str
        PatientID, PatientName (PN), PatientBirthDate (DA) and PatientSex; empty: sent empty.
    height_m, weight_kg : float or None
        PatientSize and PatientWeight; None: attribute absent.
    ethnic_group : str
        EthnicGroup; empty: absent.
    charset : str
        SpecificCharacterSet, multiple values parted by a backslash; empty: absent.
    """

    patient_id: str = "SIM-0001"
    name: str = "Phantom^Petra"
    birth_date: str = "19650412"
    sex: str = "F"
    height_m: float | None = 1.64
    weight_kg: float | None = 66.0
    ethnic_group: str = ""
    charset: str = "ISO_IR 100"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One acquisition: when, under which keys, and what the operator had chosen.

    Attributes
    ----------
    study_key : str
        Equal keys make one study.
    instance_key : str
        Equal keys make one instance.
    date, time : str
        StudyDate (DA) and StudyTime (TM).
    protocol : str
        ProtocolName, or the name of the scan.
    accession_number, procedure_code : str
        AccessionNumber; a code for ProcedureCodeSequence ("" none).
    number : int
        InstanceNumber.
    """

    study_key: str
    instance_key: str
    date: str
    time: str
    protocol: str
    accession_number: str
    procedure_code: str
    number: int


def simulated_uid(*names: str) -> str:
    """Return the UID of these names: the same names, the same UID.

    Examples
    --------
    >>> simulated_uid("study", "a") == simulated_uid("study", "a")
    True
    >>> simulated_uid("study", "a").startswith("2.25.")
    True
    """
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(31).join(names)).int}"


def age_string(birth_date: str, study_date: str) -> str:
    """Return PatientAge in years, ``""`` when either date is missing.

    Examples
    --------
    >>> age_string("19650412", "20250411")
    '059Y'
    """
    if len(birth_date) != 8 or len(study_date) != 8:
        return ""
    years = int(study_date[:4]) - int(birth_date[:4]) - (study_date[4:] < birth_date[4:])
    return f"{years:03d}Y"


def display_copy_header(patient: PatientTags, event: Event, field_mm: tuple[float, float]) -> Dataset:
    """Return the header of a Computed Radiography display copy.

    Parameters
    ----------
    patient : PatientTags
        Who.
    event : Event
        When and what.
    field_mm : (float, float)
        Height and width of the scanned field [mm]; the header rounds them to whole millimeters.

    Returns
    -------
    pydicom.Dataset
        Without pixels. PixelSpacing, ImageType and BurnedInAnnotation are absent, BodyPartExamined,
        ViewPosition and Laterality empty; ProtocolName alone tells what was scanned.
    """
    ds = _identity(COMPUTED_RADIOGRAPHY, patient, event)
    ds.Modality = "CR"
    ds.Manufacturer = "GE Healthcare"
    ds.ManufacturerModelName = "Lunar iDXA"
    ds.SoftwareVersions = "16.20.059"
    ds.StudyDescription = "DXA Exam"
    ds.SeriesDescription = "DXA Images"
    ds.StudyID = "NONE"
    ds.PatientAge = age_string(patient.birth_date, event.date)
    ds.BodyPartExamined = ""
    ds.ViewPosition = ""
    ds.Laterality = ""
    ds.KVP = "100"
    ds.ProtocolName = event.protocol
    ds.PatientOrientation = ["L", "F"]
    ds.PerformedProcedureStepStartDate = event.date
    ds.PerformedProcedureStepStartTime = event.time
    ds.PerformedProcedureStepID = "1"
    ds.PerformedProcedureStepDescription = event.protocol
    ds.ExposedArea = [round(field_mm[1]), round(field_mm[0])]  # width, height; PS3.3 C.4.16
    ds.EntranceDoseInmGy = "0.146"
    request = Dataset()
    request.RequestedProcedureDescription = "DXA Exam"
    request.ScheduledProcedureStepDescription = "DXA Exam"
    request.ScheduledProcedureStepID = "1"
    request.RequestedProcedureID = "1"
    ds.RequestAttributesSequence = Sequence([request])
    return ds


def capture_header(patient: PatientTags, event: Event) -> Dataset:
    """Return the header of a Secondary Capture of a spine, common to page and image.

    Parameters
    ----------
    patient : PatientTags
        Who.
    event : Event
        When and what.

    Returns
    -------
    pydicom.Dataset
        Without pixels and spacing.
    """
    ds = _identity(SECONDARY_CAPTURE, patient, event)
    ds.Modality = "OT"
    ds.ConversionType = "DI"
    ds.Manufacturer = "Hologic"
    ds.ManufacturerModelName = "Discovery W (S/N 00000)"
    ds.SoftwareVersions = "13.5.3"
    ds.StudyDescription = "Bone densitometry"
    ds.SeriesDescription = event.protocol
    ds.StudyID = "1"
    ds.BodyPartExamined = "LSPINE"
    ds.PatientOrientation = ["L", "F"]
    ds.ImageAndFluoroscopyAreaDoseProduct = "0.71"
    return ds


def protocol_page_header(patient: PatientTags, event: Event) -> Dataset:
    """Return the header of a Secondary Capture page that only its protocol describes.

    Parameters
    ----------
    patient : PatientTags
        Who.
    event : Event
        When and what.

    Returns
    -------
    pydicom.Dataset
        Without pixels; PixelSpacing is absent, BodyPartExamined empty, no private text.
    """
    ds = capture_header(patient, event)
    ds.Manufacturer = "GE Healthcare"
    ds.ManufacturerModelName = "Lunar Prodigy"
    ds.SoftwareVersions = "16.20.059"
    ds.StudyDescription = "DXA Exam"
    ds.SeriesDescription = "DXA Report"
    ds.StudyID = "NONE"
    ds.BodyPartExamined = ""
    ds.ProtocolName = event.protocol
    ds.PerformedProcedureStepDescription = event.protocol
    for absent in ("PatientOrientation", "ImageAndFluoroscopyAreaDoseProduct"):
        delattr(ds, absent)
    return ds


def script_lines(
    patient: PatientTags,
    event: Event,
    table: tuple[tuple[str, ...], ...],
    picture: tuple[int, int, int, int] | None,
) -> str:
    """Return the lines in which a report page repeats in private text what it shows.

    Parameters
    ----------
    patient : PatientTags
        Who.
    event : Event
        What.
    table : tuple of tuples of str
        The printed results, header first.
    picture : (int, int, int, int) or None
        Left, top, width and height of the picture on the page [pixels]; None: not stated.

    Returns
    -------
    str
        One assignment a line.
    """
    rows = [tuple(_SCRIPT_HEADS[head] for head in table[0]), *table[1:]]
    lines = [
        f'ResultsTable[{row:2d}][{column:2d}] = "{cell}";'
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
    ]
    names = ("ImageXPos", "ImageYPos", "ImageXSize", "ImageYSize")
    if picture is not None:
        lines += [f"{name} = {value};" for name, value in zip(names, picture, strict=True)]
    lines += [
        f'PatientName = "{patient.name.split("=", maxsplit=1)[0].replace("^", ", ")}";',
        f'PatientSex = "{patient.sex}";',
        f'DOB = "{patient.birth_date}";',
        f'Scan = "{event.protocol}";',
    ]
    return "\r\n".join(lines)


def add_private_results(ds: Dataset, text: str) -> None:
    """Put the script-like lines and the name of a raw file into private blocks."""
    ds.private_block(0x0019, PRIVATE_CREATOR, create=True).add_new(0x00, "UT", text)
    block = ds.private_block(0x0023, PRIVATE_CREATOR, create=True)
    block.add_new(0x00, "LO", "1.0")
    block.add_new(0x01, "LO", "PA00000.P01")


def _identity(sop_class_uid: str, patient: PatientTags, event: Event) -> Dataset:
    """Return patient, study, series and equipment attributes that all exports share."""
    ds = Dataset()
    if patient.charset:
        values = patient.charset.split("\\")
        ds.SpecificCharacterSet = values if len(values) > 1 else values[0]
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = simulated_uid("instance", event.study_key, event.instance_key)
    ds.StudyInstanceUID = simulated_uid("study", event.study_key)
    ds.SeriesInstanceUID = simulated_uid("series", event.study_key, sop_class_uid)
    for when in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{when}Date", event.date)
        setattr(ds, f"{when}Time", event.time)
    ds.AccessionNumber = event.accession_number
    ds.ReferringPhysicianName = ""
    ds.InstitutionName = "Simulated acquisition"
    ds.StationName = "SIMULATOR"
    ds.DeviceSerialNumber = "SIM00001"
    ds.OperatorsName = ""
    ds.PatientName = patient.name
    ds.PatientID = patient.patient_id
    ds.PatientBirthDate = patient.birth_date
    ds.PatientSex = patient.sex
    if patient.height_m is not None:
        ds.PatientSize = f"{patient.height_m:.4g}"
    if patient.weight_kg is not None:
        ds.PatientWeight = f"{patient.weight_kg:.5g}"
    if patient.ethnic_group:
        ds.EthnicGroup = patient.ethnic_group
    if event.procedure_code:
        code = Dataset()
        code.CodeValue = event.procedure_code
        code.CodingSchemeDesignator = "C4"
        code.CodeMeaning = "Requested procedure"
        ds.ProcedureCodeSequence = Sequence([code])
    ds.SeriesNumber = 1
    ds.InstanceNumber = event.number
    return ds
