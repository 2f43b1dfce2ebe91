"""Frozen values that pass between the siblings `dicom`, `net`, `report` and `store`.

Nothing here knows a format, a database or a socket. A pydicom data set or a SQLAlchemy row never
crosses a border; these do, or Part 10 bytes, or a path to them.
"""

from __future__ import annotations

from tbsnode.errors import SendOutcome
from tbsnode.model.analysis import Analysis, Provisional
from tbsnode.model.clinical import ClinicalContext, Factor
from tbsnode.model.densitometry import PageOrigin, ScannerResults, SiteResult, SourcedSite
from tbsnode.model.follow_up import FollowUp, PriorExamination
from tbsnode.model.image import Demographics, DensitometryImage, InstanceIdentity, Scanner
from tbsnode.model.network import DerivedInstance, Outgoing, Peer, ReceivedInstance, Reference, TlsFiles
from tbsnode.model.report import CodingAdvice, Provenance, Report, ReportStatus
from tbsnode.model.review import Change, RejectionReason, Review, ReviewAction, Reviewer, ReviewState
from tbsnode.model.states import AnalysisStatus, Claim, DeliveryState, DerivedKind, InputClass, StudyState
from tbsnode.tbs.corrections import Corrections
from tbsnode.tbs.result import Alternative, ImageStatistics, ScannerRegions, Vertebra, Vote

__all__ = [
    "Alternative",
    "Analysis",
    "AnalysisStatus",
    "Change",
    "Claim",
    "ClinicalContext",
    "CodingAdvice",
    "Corrections",
    "DeliveryState",
    "Demographics",
    "DensitometryImage",
    "DerivedInstance",
    "DerivedKind",
    "Factor",
    "FollowUp",
    "ImageStatistics",
    "InputClass",
    "InstanceIdentity",
    "Outgoing",
    "PageOrigin",
    "Peer",
    "PriorExamination",
    "Provenance",
    "Provisional",
    "ReceivedInstance",
    "Reference",
    "RejectionReason",
    "Report",
    "ReportStatus",
    "Review",
    "ReviewAction",
    "ReviewState",
    "Reviewer",
    "Scanner",
    "ScannerRegions",
    "ScannerResults",
    "SendOutcome",
    "SiteResult",
    "SourcedSite",
    "StudyState",
    "TlsFiles",
    "Vertebra",
    "Vote",
]
