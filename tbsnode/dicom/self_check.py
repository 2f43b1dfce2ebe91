"""A fast look at a finished instance before it leaves.

The validators of the test suite judge what this software can write; this judges the bytes at hand,
in milliseconds: an instance that was damaged on disk or written by a faulty release is held back
instead of sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from tbsnode.dicom import part10, uids
from tbsnode.dicom.encoded import dictionary_vr
from tbsnode.dicom.part10 import Header, tag_of
from tbsnode.dicom.quiet import UNREADABLE, quiet_pydicom
from tbsnode.errors import InvalidInstance
from tbsnode.model import DerivedInstance, DerivedKind

# type 1 attributes, and type 2 that must at least be there (PS3.3 A.35, A.45.1, A.8.1)
_NOT_EMPTY = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality",
    "SeriesNumber", "InstanceNumber", "Manufacturer", "ManufacturerModelName", "SoftwareVersions",
)  # fmt: skip
_PRESENT = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_NOT_EMPTY_BY_KIND = {
    DerivedKind.SR: (
        "ContentDate", "ContentTime", "CompletionFlag", "VerificationFlag", "ContentSequence",
        "ConceptNameCodeSequence", "CurrentRequestedProcedureEvidenceSequence",
    ),
    DerivedKind.PDF: (
        "ContentDate", "ContentTime", "ConversionType", "BurnedInAnnotation", "EncapsulatedDocument",
        "EncapsulatedDocumentLength", "MIMETypeOfEncapsulatedDocument", "SourceInstanceSequence",
    ),
    DerivedKind.OVERLAY: (
        "ConversionType", "ImageType", "Rows", "Columns", "PixelData", "SourceImageSequence",
    ),
    DerivedKind.REJECTION: (
        "ContentDate", "ContentTime", "ContentSequence", "ConceptNameCodeSequence",
        "ContentTemplateSequence", "CurrentRequestedProcedureEvidenceSequence",
    ),
}  # fmt: skip
# PS3.3 C.17.2: who verified, for whom, when; the identification may be empty
_VERIFYING = ("VerifyingObserverName", "VerifyingOrganization", "VerificationDateTime")
_NUMBER = re.compile(rb"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?|[+-]?\.\d+([eE][+-]?\d+)?")
_MEANING_LENGTH = 64
_MEANING, _REFERENCED, _NUMERIC = map(tag_of, ("CodeMeaning", "ReferencedSOPInstanceUID", "NumericValue"))
_VALUE_TYPE, _QUALIFIER = map(tag_of, ("ValueType", "NumericValueQualifierCodeSequence"))


def check(derived: DerivedInstance) -> tuple[str, ...]:
    """Return what is wrong with an instance; nothing if it may be sent.

    Parameters
    ----------
    derived : DerivedInstance
        Finished, as it will be sent.

    Returns
    -------
    tuple of str
        Sentences that name attributes and never quote an identifying value.
    """
    try:
        with quiet_pydicom():
            header = part10.header_in(derived.part10)
            ds = dcmread(BytesIO(derived.part10))
            return tuple(_faults(ds, header, derived))
    except (*UNREADABLE, InvalidInstance) as error:
        return (f"The bytes cannot be read as DICOM ({type(error).__name__}).",)


def _faults(ds: Dataset, header: Header, derived: DerivedInstance) -> Iterator[str]:
    """Look at the document's own attributes one by one, and at its many items as they are encoded."""
    for keyword in (*_NOT_EMPTY, *_NOT_EMPTY_BY_KIND[derived.kind]):
        if not ds.get(keyword):
            yield f"{keyword} is missing or empty."
    for keyword in _PRESENT:
        if keyword not in ds:
            yield f"{keyword} is missing."
    yield from _wrong_names(ds, derived)
    items = list(_walk(header))
    yield from _wrong_items(items)
    if derived.kind in (DerivedKind.SR, DerivedKind.REJECTION):
        yield from _wrong_references(header)
        yield from _wrong_numbers(items)
        yield from _wrong_verification(ds)
    elif derived.kind is DerivedKind.PDF:
        document, length = ds.get("EncapsulatedDocument", b""), ds.get("EncapsulatedDocumentLength", 0)
        if not document.startswith(b"%PDF-") or not len(document) - 1 <= length <= len(document):
            yield "EncapsulatedDocument is not a PDF of EncapsulatedDocumentLength."
    elif len(ds.get("PixelData", b"")) // 2 != (ds.get("Rows", 0) * ds.get("Columns", 0) * 3 + 1) // 2:
        yield "PixelData does not fit Rows and Columns."


def _wrong_names(ds: Dataset, derived: DerivedInstance) -> Iterator[str]:
    stated = (ds.get("SOPClassUID"), ds.get("SOPInstanceUID"))
    if stated != (derived.sop_class_uid, derived.sop_instance_uid):
        yield "SOPClassUID or SOPInstanceUID is not that of the record."
    if stated != (
        ds.file_meta.get("MediaStorageSOPClassUID"),
        ds.file_meta.get("MediaStorageSOPInstanceUID"),
    ):
        yield "File Meta Information and data set disagree."
    if (ds.get("StudyInstanceUID"), ds.get("SeriesInstanceUID")) != (
        derived.study_instance_uid,
        derived.series_instance_uid,
    ):
        yield "StudyInstanceUID or SeriesInstanceUID is not that of the record."


def _wrong_items(items: list[Header]) -> Iterator[str]:
    for item in items:
        for tag, value in item.values.items():
            if _is_uid(tag) and not all(map(uids.is_valid_uid, _values(value))):
                yield f"{keyword_for_tag(tag)} is not a valid UID."
        if _MEANING in item.values and not 0 < len(item.text("CodeMeaning")) <= _MEANING_LENGTH:
            yield "CodeMeaning is empty or longer than 64 characters."


def _wrong_references(header: Header) -> Iterator[str]:
    """Everything the content refers to must be evidence (PS3.3 C.17.2.3)."""
    evidence = _referenced(header.items("CurrentRequestedProcedureEvidenceSequence"))
    if _referenced(header.items("ContentSequence")) - evidence:
        yield "CurrentRequestedProcedureEvidenceSequence lacks an instance that the content refers to."


def _referenced(parts: tuple[Header, ...]) -> set[bytes]:
    found = (item.values.get(_REFERENCED, b"") for part in parts for item in _walk(part))
    return {uid.strip(b"\0 ") for uid in found if uid}


def _wrong_numbers(items: list[Header]) -> Iterator[str]:
    for item in items:
        if _NUMERIC in item.values and not _NUMBER.fullmatch(item.values[_NUMERIC].strip(b" ")):
            yield "NumericValue is not a number."
        if item.values.get(_VALUE_TYPE, b"").strip(b" ") != b"NUM":
            continue
        if bool(item.items("MeasuredValueSequence")) == (_QUALIFIER in item.sequences):
            yield "A NUM has neither a value nor a qualifier, or both."


def _wrong_verification(ds: Dataset) -> Iterator[str]:
    """Only what a named person has completed is verified, and nothing verified is preliminary."""
    observers = ds.get("VerifyingObserverSequence", [])
    verified = ds.get("VerificationFlag") == "VERIFIED"
    if verified != bool(observers):
        yield "VerificationFlag and VerifyingObserverSequence disagree."
    if verified and (ds.get("CompletionFlag"), ds.get("PreliminaryFlag")) != ("COMPLETE", "FINAL"):
        yield "A verified document is not complete and final."
    for observer in observers:
        if any(not observer.get(keyword) for keyword in _VERIFYING):
            yield "VerifyingObserverSequence does not say who verified, for whom and when."


def _walk(header: Header) -> Iterator[Header]:
    yield header
    for items in header.sequences.values():
        for item in items:
            yield from _walk(item)


@lru_cache(maxsize=512)
def _is_uid(tag: int) -> bool:
    return dictionary_vr(tag) == "UI"


def _values(value: bytes) -> list[str]:
    stripped = value.rstrip(b"\0 ").decode("latin-1")
    return stripped.split("\\") if stripped else []
