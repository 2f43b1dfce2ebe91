"""DIMSE statuses as tables: what we answer to a C-STORE, and what a peer's answer means.

The Storage statuses are those of PS3.4 B.2.3, the general ones those of PS3.7 9.1.1.1.9 and C.
The domain knows no codes: it raises the classes of `tbsnode.errors`, the most specific wins.
"""

from __future__ import annotations

from typing import Final, Literal

from tbsnode.errors import (
    InstanceError,
    InvalidInstance,
    MismatchedInstance,
    ResourceError,
    StorageFull,
    TbsNodeError,
    TooManyVersions,
    UnsupportedInstance,
)

Category = Literal["success", "warning", "refused", "out_of_resources"]

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
INVALID_SOP_INSTANCE: Final = 0x0117
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
NOT_AUTHORIZED: Final = 0x0124
RESOURCE_LIMITATION: Final = 0x0213
OUT_OF_RESOURCES: Final = 0xA700
DATA_SET_MISMATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
HANDLER_FAILED: Final = 0xC211  # what pynetdicom answers when our code has a bug

ANSWERS: Final[dict[type[TbsNodeError], tuple[int, str]]] = {
    StorageFull: (OUT_OF_RESOURCES, "The archive disk is full; send again later"),
    ResourceError: (OUT_OF_RESOURCES, "Temporarily unable to store; send again later"),
    UnsupportedInstance: (SOP_CLASS_NOT_SUPPORTED, "SOP class or transfer syntax not supported"),
    MismatchedInstance: (DATA_SET_MISMATCH, "Data set is not what the command announced"),
    InvalidInstance: (CANNOT_UNDERSTAND, "Missing or invalid attribute"),
    TooManyVersions: (CANNOT_UNDERSTAND, "One UID for too many different instances"),
    InstanceError: (CANNOT_UNDERSTAND, "Instance cannot be accepted"),
    TbsNodeError: (PROCESSING_FAILURE, "Processing failure"),
}

# The UID that names the instance has a status of its own (PS3.7 C.5.18).
_UID_KEYWORDS = frozenset({"SOPInstanceUID", "AffectedSOPInstanceUID", "MediaStorageSOPInstanceUID"})

_COMMENT_LENGTH = 64  # Error Comment (0000,0902) is LO

# PS3.7 C.4 and C.5, and PS3.4 table B.2-1 for the ranges.
_MEANINGS: Final[dict[int, str]] = {
    0x0000: "Success",
    0x0001: "Requested optional attributes are not supported",
    0x0105: "No such attribute",
    0x0106: "Invalid attribute value",
    0x0107: "Attribute list error",
    0x0110: "Processing failure",
    0x0111: "Duplicate SOP instance",
    0x0112: "No such SOP instance",
    0x0113: "No such event type",
    0x0114: "No such argument",
    0x0115: "Invalid argument value",
    0x0116: "Attribute value out of range",
    0x0117: "Invalid SOP instance",
    0x0118: "No such SOP class",
    0x0119: "Class-instance conflict",
    0x0120: "Missing attribute",
    0x0121: "Missing attribute value",
    0x0122: "Refused: SOP class not supported",
    0x0123: "No such action",
    0x0124: "Refused: not authorized",
    0x0210: "Duplicate invocation",
    0x0211: "Unrecognized operation",
    0x0212: "Mistyped argument",
    0x0213: "Resource limitation",
    0xB000: "Coercion of data elements",
    0xB006: "Elements discarded",
    0xB007: "Data set does not match SOP class",
    0xFE00: "Cancelled",
}

_RANGES: Final[tuple[tuple[range, str], ...]] = (
    (range(0xA700, 0xA800), "Refused: out of resources"),
    (range(0xA900, 0xAA00), "Data set does not match SOP class"),
    (range(0xB000, 0xC000), "Warning"),
    (range(0xC000, 0xD000), "Cannot understand"),
    (range(0xFF00, 0xFF02), "Pending"),
)


def status_of(error: TbsNodeError) -> tuple[int, str]:
    """Return the C-STORE status and Error Comment that answer an error.

    Parameters
    ----------
    error : TbsNodeError
        What storing the instance raised.

    Returns
    -------
    status : int
        Of PS3.4 B.2.3 or PS3.7 C.
    comment : str
        For Error Comment (0000,0902): ASCII, at most 64 characters, made from this module's
        texts and a keyword only, so that no value of the instance can be in it.

    Examples
    --------
    >>> status, comment = status_of(InvalidInstance(keyword="StudyInstanceUID"))
    >>> f"{status:#06x} {comment}"
    '0xc000 Missing or invalid attribute: StudyInstanceUID'
    """
    code, comment = next(ANSWERS[each] for each in type(error).__mro__ if each in ANSWERS)
    keyword = error.keyword if isinstance(error, InstanceError) else ""
    if isinstance(error, InvalidInstance) and keyword in _UID_KEYWORDS:
        code = INVALID_SOP_INSTANCE
    if keyword.isascii() and keyword.isalnum():
        comment = f"{comment}: {keyword}"
    return code, comment[:_COMMENT_LENGTH]


def describe(status: int) -> str:
    """Return a status with its meaning, as an administrator reads it.

    Examples
    --------
    >>> describe(0xA702)
    '0xA702 Refused: out of resources'
    """
    meaning = _MEANINGS.get(status) or next(
        (text for codes, text in _RANGES if status in codes), "Unknown status"
    )
    return f"0x{status:04X} {meaning}"


def is_about_class(status: int) -> bool:
    """Tell whether a peer refuses the SOP class, not the content: the same in another class may be stored.

    Some archives accept the presentation context and say only then that they do not take the class.
    """
    return status == SOP_CLASS_NOT_SUPPORTED or 0xA900 <= status <= 0xA9FF


def category(status: int) -> Category:
    """Return what a peer's answer to a C-STORE means for the delivery.

    Returns
    -------
    str
        ``"success"``; ``"warning"``: stored, with a remark; ``"out_of_resources"``: send the same
        bytes again later; ``"refused"``: sending again would not help.

    Notes
    -----
    Two readings go beyond PS3.4 B.2.3. *Processing failure* (0x0110) says nothing about the
    instance, and archives answer it when their database or disk fails: it is worth another try.
    *Duplicate SOP instance* (0x0111) is not a C-STORE status, but some archives answer it when
    they hold the UID already; since one UID never has two contents here, they hold this instance.
    """
    if status == SUCCESS:
        return "success"
    if status in (0x0001, 0x0107, 0x0111, 0x0116) or 0xB000 <= status <= 0xBFFF:
        return "warning"
    if status in (PROCESSING_FAILURE, 0x0213) or 0xA700 <= status <= 0xA7FF:
        return "out_of_resources"
    return "refused"
