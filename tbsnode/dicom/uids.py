"""UIDs: which are valid, and how ours are derived.

Ours are derived from what they name, never drawn: work that runs twice makes the same instance.
(pydicom's ``generate_uid(prefix=None, entropy_srcs=...)`` ignores the entropy.)
"""

from __future__ import annotations

import re
from uuid import UUID, uuid5

# one constant for ever: changing it renames every instance this software ever made
_NAMESPACE = UUID("5f0c6f0e-7f4e-5b0e-9a57-0b6f2a3d8c11")

_VALID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def is_valid_uid(text: str) -> bool:
    """Return True if `text` is a UID by PS3.5 section 9.1.

    Examples
    --------
    >>> is_valid_uid("1.2.840.10008.1.1"), is_valid_uid("1.02"), is_valid_uid("../etc")
    (True, False, False)
    """
    return len(text) <= 64 and _VALID.fullmatch(text) is not None


def derived_uid(role: str, sop_class_uid: str, result_digest: str, predecessor_uid: str) -> str:
    """Return the SOP Instance UID of something made from a result.

    Parameters
    ----------
    role : str
        What it is: ``"sr"``, ``"pdf"``, ``"overlay"``.
    sop_class_uid : str
        Its class: each class that a destination may prefer is an instance of its own.
    result_digest : str
        SHA-256 hex of everything the object states.
    predecessor_uid : str
        The instance it replaces, or an empty string.
    """
    return _uid(role, sop_class_uid, result_digest, predecessor_uid)


def series_uid(study_instance_uid: str, kind: str) -> str:
    """Return the Series Instance UID for one kind of result in a study; successors join it."""
    return _uid("series", study_instance_uid, kind)


def tracking_uid(study_instance_uid: str, label: str) -> str:
    """Return the Tracking Unique Identifier of one measured region, stable in its study."""
    return _uid("tracking", study_instance_uid, label)


def device_uid(serial_number: str) -> str:
    """Return the Device Observer UID of an installation."""
    return _uid("device", serial_number)


def _uid(*parts: str) -> str:
    # PS3.5 B.2: a UUID as one decimal component under 2.25
    return f"2.25.{uuid5(_NAMESPACE, '|'.join(parts)).int}"


# PS3.7 D.3.3.2: names this implementation, in every file meta and association
IMPLEMENTATION_CLASS_UID = _uid("implementation", "tbsnode")


def implementation_version_name(version: str) -> str:
    """Return the Implementation Version Name, at most 16 characters.

    Examples
    --------
    >>> implementation_version_name("0.1.0")
    'TBSNODE_0_1_0'
    """
    return ("TBSNODE_" + re.sub(r"[^A-Za-z0-9]", "_", version))[:16]
