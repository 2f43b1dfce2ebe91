"""What our instances have in common: the patient, the study, ourselves and the scanner.

Patient and study are copied as bytes, never decoded and encoded again: an archive that compares
finds no difference, and a character set that this software reads badly passes through unharmed.
The character set is therefore the source's, and our own words stay within ASCII.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from tbsnode.dicom import codes, part10, uids
from tbsnode.dicom.encoded import dictionary_vr
from tbsnode.dicom.identity import MODEL_NAME
from tbsnode.dicom.part10 import Header, tag_of
from tbsnode.model import DerivedInstance, DerivedKind, Provenance, Reference, Report

MANUFACTURER = "The tbsnode developers"

_SERIES_NUMBERS = {
    DerivedKind.SR: 9001,
    DerivedKind.PDF: 9002,
    DerivedKind.OVERLAY: 9003,
    DerivedKind.REJECTION: 9004,
}
_SERIES_DESCRIPTIONS = {
    DerivedKind.SR: "TBS Measurements",
    DerivedKind.PDF: "TBS Report",
    DerivedKind.OVERLAY: "TBS Overlay",
    DerivedKind.REJECTION: "TBS Rejection",
}
_MODALITIES = {
    DerivedKind.SR: "SR",
    DerivedKind.PDF: "DOC",
    DerivedKind.OVERLAY: "OT",
    DerivedKind.REJECTION: "KO",
}

# present even if empty (type 2): PS3.3 C.7.1.1, C.7.2.1
_ALWAYS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
# Patient, General Study, Patient Study (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2): copied where present
_WHERE_PRESENT = (
    "SpecificCharacterSet", "TimezoneOffsetFromUTC",
    "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID",
    "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "PatientBirthTime",
    "EthnicGroup", "PatientComments", "ReferencedPatientSequence", "PatientMotherBirthName",
    "StudyDescription", "ProcedureCodeSequence", "ReferencedStudySequence",
    "IssuerOfAccessionNumberSequence", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy",
    "ConsultingPhysicianName", "ReferringPhysicianIdentificationSequence",
    "AdmittingDiagnosesDescription", "PatientAge", "PatientSize", "PatientWeight", "Occupation",
    "AdditionalPatientHistory", "AdmissionID", "ServiceEpisodeID", "InstitutionName",
)  # fmt: skip
_SCANNER = (
    "Manufacturer", "InstitutionName", "StationName", "ManufacturerModelName",
    "DeviceSerialNumber", "SoftwareVersions",
)  # fmt: skip
# a value that breaks these would break the document that repeats it
_FORM = {
    "PatientAge": re.compile(rb"\d{3}[DWMY]"),
    "PatientSize": re.compile(rb"\s*[+-]?[0-9.]{1,12}([eE][+-]?[0-9]{1,2})?\s*"),
    "PatientWeight": re.compile(rb"\s*[+-]?[0-9.]{1,12}([eE][+-]?[0-9]{1,2})?\s*"),
    "TimezoneOffsetFromUTC": re.compile(rb"[+-](0\d|1[0-4])[0-5]\d"),
}
# binary values: their bytes depend on the byte order, and none of these is needed
_BINARY = frozenset(
    ["AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "UN", "US", "UV"]
)
_ASCII = str.maketrans(
    {"×": "x", "±": "+-", "–": "-", "—": "-", "\N{MINUS SIGN}": "-", "≥": ">=", "≤": "<=", "²": "2"}
    | {"’": "'", "‘": "'", "“": '"', "”": '"', "…": "..."}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a new instance is called after.

    Attributes
    ----------
    study_instance_uid : str
        The study it joins.
    digest : str
        Of everything that it states.
    predecessor_uid : str
        The instance it replaces; empty for none.
    instance_number : int
        1 for the first of its series.
    """

    study_instance_uid: str
    digest: str
    predecessor_uid: str = ""
    instance_number: int = 1


def named(report: Report, predecessor: Reference | None) -> Named:
    """Return what an instance of a report is called after: each signature counts one further."""
    return Named(
        study_instance_uid=report.source.study_instance_uid,
        digest=report.result_digest,
        predecessor_uid=predecessor.sop_instance_uid if predecessor else "",
        instance_number=1 if report.review is None else 1 + report.review.version,
    )


def new_instance(
    header: Header, kind: DerivedKind, sop_class_uid: str, called: Named, provenance: Provenance
) -> Dataset:
    """Return a data set with everything but the kind's own modules.

    Parameters
    ----------
    header : Header
        Of the source image; patient and study are copied from it.
    kind : DerivedKind
        Decides series and modality.
    sop_class_uid : str
        Class of the new instance.
    called : Named
        What its UIDs are derived from.
    provenance : Provenance
        The software and the time.
    """
    study = called.study_instance_uid
    ds = Dataset()
    for keyword in _ALWAYS:
        _copy(header, keyword, ds, empty=True)
    for keyword in _WHERE_PRESENT:
        _copy(header, keyword, ds)
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = uids.derived_uid(kind.value, sop_class_uid, called.digest, called.predecessor_uid)
    ds.StudyInstanceUID = study
    ds.SeriesInstanceUID = uids.series_uid(study, kind.value)
    ds.Modality = _MODALITIES[kind]
    ds.SeriesNumber = _SERIES_NUMBERS[kind]
    ds.SeriesDescription = _SERIES_DESCRIPTIONS[kind]
    ds.InstanceNumber = called.instance_number
    _equipment(ds, header, provenance)
    _times(ds, header, provenance.content_at)
    return ds


def finished(
    ds: Dataset, kind: DerivedKind, provenance: Provenance, predecessor: Reference | None = None
) -> DerivedInstance:
    """Return a complete data set as the instance that is archived and sent."""
    return DerivedInstance(
        kind=kind,
        sop_class_uid=ds.SOPClassUID,
        sop_instance_uid=ds.SOPInstanceUID,
        series_instance_uid=ds.SeriesInstanceUID,
        study_instance_uid=ds.StudyInstanceUID,
        predecessor_uid=predecessor.sop_instance_uid if predecessor else "",
        part10=part10.encode(ds, version=provenance.version),
    )


def requests(header: Header, study_instance_uid: str) -> list[Dataset]:
    """Return the orders that the images were made for (PS3.3 C.17.2; type 2 attributes stay empty)."""
    return [_request(item, header, study_instance_uid) for item in header.items("RequestAttributesSequence")]


def _request(attributes: Header, header: Header, study_instance_uid: str) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID = study_instance_uid
    ds.ReferencedStudySequence = []
    if not copy_element(attributes, "AccessionNumber", ds):
        copy_element(header, "AccessionNumber", ds, empty=True)
    for keyword in (
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "RequestedProcedureID",
        "RequestedProcedureDescription",
    ):
        copy_element(attributes, keyword, ds, empty=True)
    if not copy_element(attributes, "RequestedProcedureCodeSequence", ds):
        ds.RequestedProcedureCodeSequence = []
    return ds


def ascii_text(text: str) -> str:
    """Return text that every character set can hold.

    Examples
    --------
    >>> ascii_text("0.5 × 0.4 mm ± 1 %")
    '0.5 x 0.4 mm +- 1 %'
    """
    return readable(text).encode("ascii", "replace").decode("ascii")


def readable(text: str) -> str:
    """Return text with our own typographic signs in ASCII, and the words of people as they wrote them.

    Examples
    --------
    >>> readable("Müller: 1.18 ± 0.03")
    'Müller: 1.18 +- 0.03'
    """
    return text.translate(_ASCII)


def copy_element(header: Header, keyword: str, ds: Dataset, *, empty: bool = False) -> bool:
    """Copy one attribute as bytes; with `empty`, write it even where the source has none.

    Returns
    -------
    bool
        True if the data set now has it.
    """
    return _copy(header, keyword, ds, empty=empty)


def references(report: Report) -> tuple[Reference, ...]:
    """Return the images a report speaks about: the reported one, then the further spines."""
    others = [
        Reference(
            sop_class_uid=other.identity.sop_class_uid,
            sop_instance_uid=other.identity.sop_instance_uid,
            series_instance_uid=other.identity.series_instance_uid,
            study_instance_uid=other.identity.study_instance_uid,
        )
        for other in report.others
        if other.identity is not None
    ]
    return tuple(dict.fromkeys((report.source, *others)))


def sop_reference(reference: Reference) -> Dataset:
    """Return an item with Referenced SOP Class UID and Referenced SOP Instance UID."""
    ds = Dataset()
    ds.ReferencedSOPClassUID = reference.sop_class_uid
    ds.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return ds


def hierarchy(references: tuple[Reference, ...]) -> list[Dataset]:
    """Return references by study and series (PS3.3 table C.17-3), each instance once."""
    studies: dict[str, dict[str, list[Reference]]] = {}
    for reference in references:
        series = studies.setdefault(reference.study_instance_uid, {})
        series.setdefault(reference.series_instance_uid, []).append(reference)
    items = []
    for study_uid, series in studies.items():
        study = Dataset()
        study.StudyInstanceUID = study_uid
        study.ReferencedSeriesSequence = []
        for series_uid, members in series.items():
            item = Dataset()
            item.SeriesInstanceUID = series_uid
            item.ReferencedSOPSequence = [sop_reference(member) for member in members]
            study.ReferencedSeriesSequence.append(item)
        items.append(study)
    return items


def put(ds: Dataset, keyword: str, value: bytes) -> None:
    """Give an attribute an encoded value."""
    tag = tag_of(keyword)
    ds[tag] = _raw(tag, value)


def source_image(reference: Reference) -> Dataset:
    """Return a reference to an image that something was made from, with its purpose."""
    ds = sop_reference(reference)
    ds.PurposeOfReferenceCodeSequence = [codes.item(codes.SOURCE_IMAGE)]
    return ds


def _equipment(ds: Dataset, header: Header, provenance: Provenance) -> None:
    ds.Manufacturer = MANUFACTURER
    ds.ManufacturerModelName = MODEL_NAME
    ds.DeviceSerialNumber = ascii_text(provenance.serial_number)[:64]
    ds.SoftwareVersions = ascii_text(provenance.version)[:64]
    ds.StationName = ascii_text(provenance.station)[:16]
    if header.raw("Manufacturer").strip(b"\0 "):  # type 1 in the item
        scanner = Dataset()
        scanner.PurposeOfReferenceCodeSequence = [codes.item(codes.ACQUISITION_EQUIPMENT)]
        for keyword in _SCANNER:
            _copy(header, keyword, scanner)
        ds.ContributingEquipmentSequence = [scanner]


def local(header: Header, at: datetime) -> datetime:
    """Return a time as the source's clock would show it, where it states its offset."""
    # a stated offset applies to every time of the instance (PS3.3 C.12.1.1.8), so ours follow it
    offset = header.raw("TimezoneOffsetFromUTC").strip(b"\0 ")
    if not _FORM["TimezoneOffsetFromUTC"].fullmatch(offset):
        return at
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    sign = -1 if offset[:1] == b"-" else 1
    return at.astimezone(timezone(sign * timedelta(minutes=minutes)))


def _times(ds: Dataset, header: Header, content_at: datetime) -> None:
    content_at = local(header, content_at)
    day, time = content_at.strftime("%Y%m%d"), content_at.strftime("%H%M%S")
    ds.ContentDate, ds.ContentTime = day, time
    ds.InstanceCreationDate, ds.InstanceCreationTime = day, time


def _copy(header: Header, keyword: str, ds: Dataset, *, empty: bool = False) -> bool:
    tag = tag_of(keyword)
    if tag in header.sequences:
        if header.sequences[tag]:
            setattr(ds, keyword, [_copied_item(item) for item in header.sequences[tag]])
        return bool(header.sequences[tag])
    value = header.values.get(tag, b"")
    form = _FORM.get(keyword)
    stripped = value.strip(b"\0 ")
    if (not stripped and not empty) or (form is not None and not form.fullmatch(stripped)):
        return False
    ds[tag] = _raw(tag, value if stripped else b"")
    return True


def _copied_item(header: Header) -> Dataset:
    ds = Dataset()
    for tag, value in header.values.items():
        if tag & 0xFFFF and dictionary_vr(tag) not in _BINARY:
            ds[tag] = _raw(tag, value)
    for tag, items in header.sequences.items():
        ds.add_new(tag, "SQ", [_copied_item(item) for item in items])
    return ds


def _raw(tag: int, value: bytes) -> RawDataElement:
    vr = dictionary_vr(tag)
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    return RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
