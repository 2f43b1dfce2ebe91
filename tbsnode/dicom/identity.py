"""Header -> InstanceIdentity: who, what and when, without touching a pixel.

Headers nominate and pixels decide: what the header claims about the body part is a hint for the
assembler, drawn from the most specific attribute that names one. Nothing read here is quoted in an
error: a keyword says where, never what.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from pathlib import Path

from tbsnode.dicom import part10, sop_classes, uids
from tbsnode.dicom.part10 import Header
from tbsnode.errors import InvalidInstance, MismatchedInstance, UnsupportedInstance
from tbsnode.model import Claim, Demographics, InstanceIdentity, Scanner

MODEL_NAME = "tbsnode"  # what our own instances say in Manufacturer's Model Name

# Attributes that may name the body part, most specific first: one row decides before the next is
# asked. A densitometer fills Protocol Name per scan and describes the whole visit in the study.
_CLAIMING = (
    ("ProtocolName", "PerformedProcedureStepDescription"),
    ("SeriesDescription",),
    ("ViewPosition",),
    ("BodyPartExamined",),
    ("StudyDescription",),
)
_CLAIMING_CODES = ("PerformedProtocolCodeSequence", "ProcedureCodeSequence", "RequestedProcedureCodeSequence")

# Words of a claim, on upper-case text with everything but letters and digits as spaces.
_SPINE = re.compile(
    r"\b(AP|PA) ?SPINE\b|\bSPINE\b|\bL ?SPINE\b|\bLUMBA|\bLOMBA|\bLWS\b|\bLENDENWIRBEL|\bL1 ?L4\b"
)
_FRONTAL = re.compile(r"\b(AP|PA|FRONTAL)\b")
_OTHER_VIEW = re.compile(
    r"\bLAT(ERAL)?\b|\b(LVA|VFA|IVA|DVA|LL|RL)\b|\bVERTEBRAL (FRACTURE )?(ASSESSMENT|MORPHOMETRY)\b"
    r"|\b[TC] ?SPINE\b|\bTHORACIC\b|\bCERVICAL\b"
)
_OTHER_PART = re.compile(
    r"\bHIPS?\b|\bFEM(UR|ORA|ORAL|ORA|URS)\b|\bHUFT|\bHÜFT|\bHANCHE|\bCADERA\b|\bANCA\b|\b(FORE)?ARM\b"
    r"|\bRADIUS\b|\bWRIST\b|\bHAND\b|\b(TOTAL|WHOLE) ?BODY\b|\bBODY ?COMP|\bKNEES?\b|\bHEEL\b|\bCALCANE"
    r"|\bTIBIA\b|\bFOOT\b|\bSKULL\b|\bCHEST\b"
)
# parts that no claim rests on, and that a picture of the lumbar spine is not of; the abdomen is behind it
_FURTHER_PART = re.compile(
    r"\b(PELVIS|SACRUM|COCCYX|SHOULDER|CLAVICLE|SCAPULA|HUMERUS|ELBOW|ULNA|FINGER|THUMB|THIGH|LEG|ANKLE|TOE"
    r"|HEAD|NECK|JAW|BREAST|STERNUM|RIBS?|HEART)\b"
)

_OLD_DATE, _DATE = re.compile(r"\d{4}\.\d{2}\.\d{2}"), re.compile("[0-9]{8}")
_TIME, _AGE = re.compile("[0-9]{2,6}"), re.compile(r"(\d{1,3})([DWMY])")
_NO_WORD = re.compile(r"[\W_]+")
_DATE_TIMES = (
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)
# What a sender writes where nothing was given, besides leaving the attribute empty.
_NOTHING_GIVEN = ("NONE", "NO", "N", "NIL", "NOT GIVEN", "WITHOUT", "0", "N/A", "NA", "-")
_DEFINITELY_PREGNANT = 3  # Pregnancy Status, PS3.3 C.7.2.2; 2 is possible, 4 unknown
_AGES_APART_YEARS = 2.0  # an age in whole years, counted to another day
_OLDEST_YEARS = 125.0
_DAYS_OF_AGE_UNIT = {"Y": 365.25, "M": 30.4375, "W": 7.0, "D": 1.0}


def read_identity(path: Path) -> InstanceIdentity:
    """Read what the header of one instance says.

    Raises
    ------
    InvalidInstance
        If the file is no Part 10 file, is truncated, or lacks a valid UID.
    UnsupportedInstance
        If the SOP class or the transfer syntax is not known here.
    MismatchedInstance
        If File Meta Information announces another instance than the data set holds.
    """
    return identity_of(part10.read_header(path))


def identity_of(header: Header) -> InstanceIdentity:
    """Return the identity that a header states; raises as `read_identity` does."""
    sop_class_uid = _sop_class(header)
    rows, columns = (header.shorts(keyword) for keyword in ("Rows", "Columns"))
    frames = header.numbers("NumberOfFrames")
    return InstanceIdentity(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=_sop_instance(header),
        study_instance_uid=_uid(header, "StudyInstanceUID"),
        series_instance_uid=_uid(header, "SeriesInstanceUID"),
        transfer_syntax_uid=header.meta.transfer_syntax_uid if header.meta else "",
        modality=header.text("Modality"),
        demographics=_demographics(header),
        scanner=_scanner(header),
        accession_number=header.text("AccessionNumber"),
        study_id=header.text("StudyID"),
        study_date=_date(header.text("StudyDate")),
        study_time=header.text("StudyTime"),
        study_description=header.text("StudyDescription"),
        referring_physician=header.text("ReferringPhysicianName"),
        series_number=header.text("SeriesNumber"),
        instance_number=header.text("InstanceNumber"),
        series_description=header.text("SeriesDescription"),
        protocol_name=header.text("ProtocolName"),
        body_part_examined=header.text("BodyPartExamined"),
        acquisition_date_time=acquisition_date_time(header),
        order_codes=_order_codes(header),
        rows=rows[0] if rows else 0,
        columns=columns[0] if columns else 0,
        number_of_frames=max(1, int(frames[0])) if frames else 1,
        patient_orientation=tuple(part.strip().upper() for part in header.texts("PatientOrientation")),
        body_declarations=body_declarations(header),
        claim=claim_of(header),
        is_image=sop_classes.is_image(sop_class_uid),
        made_by_tbsnode=header.text("ManufacturerModelName").lower() == MODEL_NAME,
    )


def body_declarations(header: Header) -> tuple[str, ...]:
    """Return what the header declares about the body that spoils an absorptiometry.

    Returns
    -------
    tuple of str
        Any of ``"contrast medium"``, ``"radiopharmaceutical"`` and ``"pregnancy"`` (the survey NHANES
        excludes all three).
    """
    agent = header.text("ContrastBolusAgent").upper().strip(" .")
    found = []
    if (agent and agent not in _NOTHING_GIVEN) or header.items("ContrastBolusAgentSequence"):
        found.append("contrast medium")
    if header.items("RadiopharmaceuticalInformationSequence"):
        found.append("radiopharmaceutical")
    if header.shorts("PregnancyStatus")[:1] == (_DEFINITELY_PREGNANT,):
        found.append("pregnancy")
    return tuple(found)


def claim_of(header: Header) -> Claim:
    """Return what the header says about the body part; the most specific attribute decides."""
    for keywords in _CLAIMING:
        claim = _claim(" ".join(header.text(keyword) for keyword in keywords))
        if claim is not Claim.SILENT:
            return claim
    meanings = [item.text("CodeMeaning") for name in _CLAIMING_CODES for item in header.items(name)]
    named = _claim(" ".join(meanings))
    if named is Claim.SILENT and header.text("PatientOrientation").strip().upper()[:1] in ("A", "P"):
        return Claim.OTHER  # rows run from back to front or the reverse: a lateral view
    return named


def _claim(text: str) -> Claim:
    """Judge one attribute's text; SILENT where it names nothing, or both.

    Examples
    --------
    >>> [str(_claim(t)) for t in ("AP Spine", "LVA", "Left Femur", "DXA SPINE AND HIPS", "DXA Exam")]
    ['spine', 'other', 'other', 'silent', 'silent']
    """
    if not text.strip():
        return Claim.SILENT
    words = _NO_WORD.sub(" ", text.upper())
    spine, part = bool(_SPINE.search(words)), bool(_OTHER_PART.search(words))
    if _OTHER_VIEW.search(words):
        return Claim.SILENT if _FRONTAL.search(words) else Claim.OTHER
    if spine == part:
        return Claim.SILENT
    return Claim.SPINE if spine else Claim.OTHER


def other_body_part(body_part_examined: str) -> str:
    """Return the part of the body that is named where that is not the lumbar spine; else nothing.

    Only words that are known here are returned, never what else somebody typed.

    Examples
    --------
    >>> other_body_part("HIP"), other_body_part("T-SPINE"), other_body_part("LSPINE"), other_body_part("")
    ('HIP', 'T SPINE', '', '')
    """
    words = _NO_WORD.sub(" ", body_part_examined.upper())
    view = _OTHER_VIEW.search(words)
    if view is not None:
        return "" if _FRONTAL.search(words) else view[0]
    part = _OTHER_PART.search(words) or _FURTHER_PART.search(words)
    return part[0] if part is not None and not _SPINE.search(words) else ""


def _sop_class(header: Header) -> str:
    stated = _plain_uid(header, "SOPClassUID")
    announced = header.meta.sop_class_uid if header.meta else ""
    uid = stated or announced
    if uids.is_valid_uid(uid) and uid not in sop_classes.STORAGE.values():
        raise UnsupportedInstance("The SOP class is not one this node takes.", keyword="SOPClassUID", uid=uid)
    if announced and stated and announced != stated:
        raise MismatchedInstance("File Meta Information names another SOP class.", keyword="SOPClassUID")
    return _uid(header, "SOPClassUID")


def _sop_instance(header: Header) -> str:
    uid = _uid(header, "SOPInstanceUID")
    announced = header.meta.sop_instance_uid if header.meta else ""
    if announced and announced != uid:
        raise MismatchedInstance(
            "File Meta Information names another SOP instance.", keyword="SOPInstanceUID", uid=uid
        )
    return uid


def _plain_uid(header: Header, keyword: str) -> str:
    return header.raw(keyword).rstrip(b"\0 ").decode("ascii", "replace")


def _uid(header: Header, keyword: str) -> str:
    # checked before it can become a path or a reference
    uid = _plain_uid(header, keyword)
    if not uid:
        raise InvalidInstance(f"{keyword} is missing.", keyword=keyword)
    if not uids.is_valid_uid(uid):
        raise InvalidInstance(f"{keyword} is not a valid UID (PS3.5 section 9.1).", keyword=keyword)
    return uid


def _demographics(header: Header) -> Demographics:
    birth_date = _date(header.text("PatientBirthDate"))
    size, weight = (header.numbers(keyword) for keyword in ("PatientSize", "PatientWeight"))
    return Demographics(
        patient_id=header.text("PatientID"),
        issuer=header.text("IssuerOfPatientID"),
        name=header.text("PatientName"),
        birth_date=birth_date,
        sex=header.text("PatientSex").upper()[:1],
        age_years=_age(header.text("PatientAge"), birth_date, _date(header.text("StudyDate"))),
        height_m=size[0] if size and size[0] > 0 else None,
        weight_kg=weight[0] if weight and weight[0] > 0 else None,
    )


def _scanner(header: Header) -> Scanner:
    return Scanner(
        manufacturer=header.text("Manufacturer"),
        model_name=header.text("ManufacturerModelName"),
        device_serial_number=header.text("DeviceSerialNumber"),
        software_versions="\\".join(header.texts("SoftwareVersions")),
        station_name=header.text("StationName"),
        institution_name=header.text("InstitutionName"),
    )


def _age(stated: str, birth_date: str, study_date: str) -> float | None:
    """Return the age at the study in years: as stated (PS3.5 AS), else between the two dates.

    None where nobody can have that age, and where the statement and the dates are years apart: which of them
    is wrong is not for us to say, and a class, a Z-score or a refusal would rest on it.
    """
    by_dates = _years_between(birth_date, study_date)
    age = by_dates
    if match := _AGE.fullmatch(stated.upper()):
        value, unit = float(match[1]), match[2]
        age = value if unit == "Y" else value * _DAYS_OF_AGE_UNIT[unit] / _DAYS_OF_AGE_UNIT["Y"]
        if by_dates is not None and abs(age - by_dates) > _AGES_APART_YEARS:
            return None
    return age if age is not None and 0.0 <= age <= _OLDEST_YEARS else None


def _years_between(birth_date: str, study_date: str) -> float | None:
    if not birth_date or not study_date:
        return None
    return (_day(study_date) - _day(birth_date)).days / _DAYS_OF_AGE_UNIT["Y"]


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


@lru_cache(64)  # the same few dates for all instances of a study
def _date(text: str) -> str:
    """Return a valid date as ``YYYYMMDD``, also from the old form with dots; otherwise nothing."""
    digits = text.replace(".", "") if _OLD_DATE.fullmatch(text) else text
    if not _DATE.fullmatch(digits):
        return ""
    try:
        _day(digits)
    except ValueError:
        return ""
    return digits


def _time(text: str) -> str:
    digits = text.replace(":", "").split(".")[0]
    return (digits + "000000")[:6] if _TIME.fullmatch(digits) else ""


def acquisition_date_time(header: Header) -> str:
    """Return ``YYYYMMDDHHMMSS``, the best the header has: acquisition, content, series, study."""
    combined = header.text("AcquisitionDateTime")
    if _date(combined[:8]):
        return _date(combined[:8]) + (_time(re.split(r"[+\-]", combined[8:])[0]) or "000000")
    for date_keyword, time_keyword in _DATE_TIMES:
        if day := _date(header.text(date_keyword)):
            return day + (_time(header.text(time_keyword)) or "000000")
    return ""


def _order_codes(header: Header) -> tuple[str, ...]:
    """Return code values, meanings and descriptions of what was ordered and done, once each."""
    found: list[str] = [header.text("RequestedProcedureDescription")]
    requests = header.items("RequestAttributesSequence")
    for request in requests:
        found += [
            request.text("RequestedProcedureDescription"),
            request.text("ScheduledProcedureStepDescription"),
            request.text("RequestedProcedureID"),
        ]
    sequences = [header.items(name) for name in _CLAIMING_CODES]
    for request in requests:
        sequences += [
            request.items("RequestedProcedureCodeSequence"),
            request.items("ScheduledProtocolCodeSequence"),
        ]
    for items in sequences:
        for item in items:
            found += [item.text("CodeValue"), item.text("CodeMeaning")]
    return tuple(dict.fromkeys(text for text in found if text))
