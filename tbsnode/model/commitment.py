"""Storage commitment (PS3.4 annex J): who asks whom to keep what, and where that stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CommitmentState(StrEnum):
    """Where one transaction stands: one that we ask for, or one asked of us."""

    QUEUED = "queued"  # to be asked, or reported, at `next_try_at`
    RUNNING = "running"  # a sender has it
    WAITING = "waiting"  # asked; its report is awaited until `next_try_at`
    COMMITTED = "committed"  # the peer took responsibility for every instance
    VERIFIED = "verified"  # no commitment to be had; a query showed every instance
    EXPIRED = "expired"  # another transaction of the same delivery took its place
    UNCONFIRMED = "unconfirmed"  # neither a report nor a query said anything
    FAILED = "failed"  # the peer does not keep an instance; or our report could not be delivered
    REPORTED = "reported"  # asked of us, and the caller has our answer
    CANCELLED = "cancelled"  # no longer wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class SopReference:
    """One SOP instance by its two UIDs."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """Somebody asks somebody else to keep instances (PS3.4 J.3.2).

    Attributes
    ----------
    transaction_uid : str
        What the report will name.
    instances : tuple of SopReference
        What is to be kept.
    calling_ae_title, host : str
        Who asked us; empty where we ask.
    """

    transaction_uid: str
    instances: tuple[SopReference, ...]
    calling_ae_title: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentReport:
    """The answer to a `CommitmentRequest` (PS3.4 J.3.3).

    Attributes
    ----------
    transaction_uid : str
        Of the request.
    committed : tuple of SopReference
        What is kept.
    failed : tuple of (SopReference, int)
        What is not, each with its Failure Reason (0008,1197).
    calling_ae_title, host : str
        Who reported it to us; empty where we report.
    """

    transaction_uid: str
    committed: tuple[SopReference, ...] = ()
    failed: tuple[tuple[SopReference, int], ...] = ()
    calling_ae_title: str = ""
    host: str = ""
