"""What is accepted and what is sent: SOP classes and transfer syntaxes, as tables.

Everything that can be stored is accepted and classified afterwards: refusing a presentation
context makes many scanners fail their whole job. UIDs: PS3.6 table A-1.
"""

from __future__ import annotations

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT_PUSH_MODEL = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"

# what we ask others (PS3.4 annex C); nobody may ask us
QUERIES: dict[str, str] = {
    "Study Root Query/Retrieve Information Model - FIND": "1.2.840.10008.5.1.4.1.2.2.1",
    "Study Root Query/Retrieve Information Model - MOVE": "1.2.840.10008.5.1.4.1.2.2.2",
}

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"

# the SR classes a destination may prefer, by their name in the configuration; one content tree
SR_CLASSES: dict[str, str] = {
    "3d": "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR: what IHE AI Results asks for
    "comprehensive": "1.2.840.10008.5.1.4.1.1.88.33",
    "enhanced": "1.2.840.10008.5.1.4.1.1.88.22",  # the oldest archives take this one
}

# PS3.4 table B.5-1. Densitometers send CR or Secondary Capture; the rest travels with them.
_IMAGES: dict[str, str] = {
    "Computed Radiography Image Storage": "1.2.840.10008.5.1.4.1.1.1",
    "Digital X-Ray Image Storage - For Presentation": "1.2.840.10008.5.1.4.1.1.1.1",
    "Digital X-Ray Image Storage - For Processing": "1.2.840.10008.5.1.4.1.1.1.1.1",
    "Secondary Capture Image Storage": SECONDARY_CAPTURE,
    "Multi-frame Single Bit Secondary Capture Image Storage": "1.2.840.10008.5.1.4.1.1.7.1",
    "Multi-frame Grayscale Byte Secondary Capture Image Storage": "1.2.840.10008.5.1.4.1.1.7.2",
    "Multi-frame Grayscale Word Secondary Capture Image Storage": "1.2.840.10008.5.1.4.1.1.7.3",
    "Multi-frame True Color Secondary Capture Image Storage": "1.2.840.10008.5.1.4.1.1.7.4",
}

STORAGE: dict[str, str] = {
    **_IMAGES,
    "Grayscale Softcopy Presentation State Storage": "1.2.840.10008.5.1.4.1.1.11.1",
    "Raw Data Storage": "1.2.840.10008.5.1.4.1.1.66",
    "Basic Text SR Storage": "1.2.840.10008.5.1.4.1.1.88.11",
    "Enhanced SR Storage": SR_CLASSES["enhanced"],
    "Comprehensive SR Storage": SR_CLASSES["comprehensive"],
    "Comprehensive 3D SR Storage": SR_CLASSES["3d"],
    "Extensible SR Storage": "1.2.840.10008.5.1.4.1.1.88.35",
    "Key Object Selection Document Storage": KEY_OBJECT_SELECTION,
    "X-Ray Radiation Dose SR Storage": "1.2.840.10008.5.1.4.1.1.88.67",
    "Encapsulated PDF Storage": PDF,
    "Encapsulated CDA Storage": "1.2.840.10008.5.1.4.1.1.104.2",
}

# PS3.5 section 10 and annex A, in the order in which they are preferred. Explicit VR comes first:
# private elements keep their VR.
_LOSSLESS: dict[str, str] = {
    EXPLICIT_VR_LITTLE_ENDIAN: "Explicit VR Little Endian",
    IMPLICIT_VR_LITTLE_ENDIAN: "Implicit VR Little Endian",
    DEFLATED: "Deflated Explicit VR Little Endian",
    EXPLICIT_VR_BIG_ENDIAN: "Explicit VR Big Endian (retired)",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless, Non-Hierarchical, First-Order Prediction",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless, Non-Hierarchical (Process 14)",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 (Lossless Only)",
    RLE: "RLE Lossless",
}

# stored, marked as lossy, never scored; JPEG-LS and JPEG 2000 count as lossy unless their
# transfer syntax promises the opposite
_LOSSY: dict[str, str] = {
    "1.2.840.10008.1.2.4.50": "JPEG Baseline (Process 1)",
    "1.2.840.10008.1.2.4.51": "JPEG Extended (Process 2 & 4)",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Near-Lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
}

TRANSFER_SYNTAXES: dict[str, str] = {**_LOSSLESS, **_LOSSY}

_NATIVE = frozenset([IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED, EXPLICIT_VR_BIG_ENDIAN])
_IMAGE_UIDS = frozenset(_IMAGES.values())
_NAMES = {uid: name for name, uid in STORAGE.items()}


def is_image(sop_class_uid: str) -> bool:
    """Return True for a class whose instances are pictures that may show a spine."""
    return sop_class_uid in _IMAGE_UIDS


def is_sr(sop_class_uid: str) -> bool:
    """Return True for one of the three SR classes that this node writes."""
    return sop_class_uid in SR_CLASSES.values()


def lossy(transfer_syntax_uid: str) -> bool:
    """Return True if the transfer syntax may have changed pixel values.

    Examples
    --------
    >>> lossy("1.2.840.10008.1.2.4.50"), lossy("1.2.840.10008.1.2.4.70")
    (True, False)
    """
    return transfer_syntax_uid in _LOSSY


def compressed(transfer_syntax_uid: str) -> bool:
    """Return True if pixel data are encapsulated (PS3.5 A.4)."""
    return transfer_syntax_uid not in _NATIVE


def name(sop_class_uid: str) -> str:
    """Return the standard's name of a storage class, or the UID where it is not in the table."""
    return _NAMES.get(sop_class_uid, sop_class_uid)
