"""The English words of the DICOM documents that lists and other software show."""

from __future__ import annotations

DOCUMENTS: dict[str, str] = {
    "document_title_preliminary": "Trabecular texture report - PRELIMINARY",
    "document_title_signed": "Trabecular texture report - SIGNED, version {version}",
    "document_title_amended": "Trabecular texture report - AMENDED, version {version}",
    "correction_exclude": "{level} left out",
    "correction_disc": "Disc line {disc} moved to row {row}",
    "correction_shift_down": "Every label moved {count} further down",
    "correction_shift_up": "Every label moved {count} further up",
    "correction_image": "Other image chosen: {uid}",
    "change_said": "{what}: {before} -> {after}",
    "own_adults": "Adults examined at this site",
}
