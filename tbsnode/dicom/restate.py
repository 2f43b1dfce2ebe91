"""A received instance with another identity: a copy in which only patient and order differ.

The received file stays as it is. Every other element of the copy has the bytes that were received,
unless a new name does not fit their character set: then all text is encoded again, as ISO_IR 192.
"""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import character_set, part10
from tbsnode.dicom.quiet import UNREADABLE, quiet_pydicom
from tbsnode.errors import InvalidInstance
from tbsnode.model.stated_identity import StatedIdentity

_KEYWORDS = {
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "name": "PatientName",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "accession_number": "AccessionNumber",
}
_UTF_8 = "ISO_IR 192"


def restate(source: Path, target: Path, stated: StatedIdentity) -> None:
    """Write `source` again with another identity, in its own transfer syntax.

    Parameters
    ----------
    source : Path
        A Part 10 file.
    target : Path
        Where the copy goes; the same bytes for the same source and identity.
    stated : StatedIdentity
        What it has to say; None leaves a value as it is.

    Raises
    ------
    InvalidInstance
        If the source cannot be read or written by these rules.
    """
    header = part10.read_header(source)
    wanted = {
        keyword: value
        for name, keyword in _KEYWORDS.items()
        if (value := getattr(stated, name)) is not None and value != header.text(keyword)
    }
    fits = all(
        character_set.holds(value, header.encodings, name=keyword == "PatientName")
        for keyword, value in wanted.items()
    )
    try:
        with quiet_pydicom():
            ds = dcmread(source)
            if not fits:
                ds.decode()
                ds.SpecificCharacterSet = _UTF_8
            _set(ds, wanted)
            ds.save_as(target, enforce_file_format=True)
    except UNREADABLE as error:
        raise InvalidInstance(
            "The instance cannot be written with another identity.",
            remedy="Correct the study at its scanner and send it again.",
        ) from error


def _set(ds: Dataset, wanted: dict[str, str]) -> None:
    for keyword, value in wanted.items():
        if value or keyword in ds:
            setattr(ds, keyword, value)
    if "IssuerOfPatientID" in wanted and "IssuerOfPatientIDQualifiersSequence" in ds:
        del ds.IssuerOfPatientIDQualifiersSequence  # it qualified the other issuer
    requests = ds.get("RequestAttributesSequence") or []
    if "AccessionNumber" in wanted and len(requests) == 1 and "AccessionNumber" in requests[0]:
        requests[0].AccessionNumber = wanted["AccessionNumber"]
