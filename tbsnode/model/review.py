"""What a physician did with a result: accepted, corrected or rejected it, and what changed by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tbsnode.tbs.corrections import Corrections


class ReviewState(StrEnum):
    """Where the result of a study stands with its readers; see `pipeline.review` for the transitions."""

    NONE = "none"  # nothing was published
    PRELIMINARY = "preliminary"  # published, nobody has signed
    SIGNED = "signed"  # accepted or corrected by a named reviewer
    NEEDS_RE_REVIEW = "needs_re_review"  # signed or rejected, and the result has changed since
    REJECTED = "rejected"  # withdrawn


class ReviewAction(StrEnum):
    """What a reviewer does."""

    ACCEPT = "accept"
    CORRECT = "correct"
    REJECT = "reject"


class RejectionReason(StrEnum):
    """Why a result is withdrawn (IHE IOCM)."""

    QUALITY = "quality"
    SAFETY = "safety"
    WORKLIST = "worklist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewer:
    """A person who may sign, as the configuration names them.

    Attributes
    ----------
    login : str
        Account on this machine; it alone decides who signs.
    name : str
        DICOM person name, ``Family^Given``.
    organization : str
        Verifying Organization; empty where not configured.
    """

    login: str
    name: str
    organization: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs from what was signed before.

    Attributes
    ----------
    what : str
        A stable word: ``"tbs"``, ``"score"``, ``"category"``, ``"levels"``, ``"image"``,
        ``"status"``, ``"calibration"``, ``"clinical"``, ``"findings"``, ``"regions"``.
    before, after : str
        As people read them; empty for nothing.
    """

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One act of a reviewer, as it goes into SR, PDF, audit and database.

    Attributes
    ----------
    action : ReviewAction
        What was done.
    reviewer : Reviewer
        By whom.
    host : str
        On which machine.
    at : datetime
        Aware; committed with the act, so that a rerun makes the same bytes.
    version : int
        1 for the first signature of a study, 2 and up for amendments.
    comment : str
        The reviewer's own words; the reason of an amendment or a rejection.
    corrections : Corrections
        What was changed about the measurement.
    image_uid : str
        SOP Instance UID of the image that the reviewer chose; empty for the automatic choice.
    changes : tuple of Change
        Against what was signed before; for a first correction, against the preliminary result.
    rejection : RejectionReason or None
        Of a rejection.
    """

    action: ReviewAction
    reviewer: Reviewer
    host: str
    at: datetime
    version: int = 1
    comment: str = ""
    corrections: Corrections = field(default_factory=Corrections)
    image_uid: str = ""
    changes: tuple[Change, ...] = ()
    rejection: RejectionReason | None = None
