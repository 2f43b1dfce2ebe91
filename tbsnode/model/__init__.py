"""Frozen values that pass between the siblings `dicom`, `net`, `report` and `store`.

Nothing here knows a format, a database or a socket. A pydicom data set or a SQLAlchemy row never
crosses a border; these do, or Part 10 bytes, or a path to them.
"""

from __future__ import annotations

from tbsnode.errors import SendOutcome
from tbsnode.model.analysis import Analysis, Provenance, Provisional, Report
from tbsnode.model.densitometry import PageOrigin, ScannerResults, SiteResult
from tbsnode.model.image import Demographics, DensitometryImage, InstanceIdentity, Scanner
from tbsnode.model.network import DerivedInstance, Outgoing, Peer, ReceivedInstance, Reference
from tbsnode.model.states import AnalysisStatus, Claim, DeliveryState, DerivedKind, InputClass, StudyState
from tbsnode.tbs.result import Alternative, ImageStatistics, ScannerRegions, Vertebra, Vote

__all__ = [
    "Alternative",
    "Analysis",
    "AnalysisStatus",
    "Claim",
    "DeliveryState",
    "Demographics",
    "DensitometryImage",
    "DerivedInstance",
    "DerivedKind",
    "ImageStatistics",
    "InputClass",
    "InstanceIdentity",
    "Outgoing",
    "PageOrigin",
    "Peer",
    "Provenance",
    "Provisional",
    "ReceivedInstance",
    "Reference",
    "Report",
    "Scanner",
    "ScannerRegions",
    "ScannerResults",
    "SendOutcome",
    "SiteResult",
    "StudyState",
    "Vertebra",
    "Vote",
]
