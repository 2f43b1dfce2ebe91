"""The states and kinds that rows, files and messages share."""

from __future__ import annotations

from enum import StrEnum


class InputClass(StrEnum):
    """What kind of pixels an image holds (design: what may come in)."""

    RAW = "RAW"
    IMAGE = "IMAGE"
    DISPLAY = "DISPLAY"
    PAGE = "PAGE"
    LOSSY = "LOSSY"


class Claim(StrEnum):
    """What the header says about the body part; headers nominate, pixels decide."""

    SPINE = "spine"  # it names an AP spine
    OTHER = "other"  # it names something else
    SILENT = "silent"  # it names nothing


class AnalysisStatus(StrEnum):
    """The outcome of one image."""

    SCORED = "scored"
    REFUSED = "refused"
    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"


class StudyState(StrEnum):
    """Where a study stands."""

    RECEIVING = "receiving"  # instances arrive; `ready_at` is set
    QUEUED = "queued"  # taken by the scanner, a workflow is enqueued
    RUNNING = "running"  # a worker has it
    DONE = "done"  # scored or refused, results published (or withheld: see reason)
    NOT_APPLICABLE = "not_applicable"  # nothing in it is an AP spine; nothing sent
    HELD = "held"  # waits for a person: reason says why
    FAILED = "failed"  # our fault, after retries; `queue retry` runs it again


class DeliveryState(StrEnum):
    """Where one result set to one destination stands."""

    QUEUED = "queued"  # due at `next_try_at`
    RUNNING = "running"  # a sender has it
    SENT = "sent"  # every instance answered 0x0000
    WARNING = "warning"  # stored, with a warning status
    PARTIAL = "partial"  # some stored, some refused
    REFUSED = "refused"  # the peer refused; a retry would not help
    FAILED = "failed"  # unreachable until the deadline, or stopped its worker 5 times
    HELD = "held"  # waits for a person: shadow mode, identity
    SUPERSEDED = "superseded"  # a newer result replaced it before it was sent
    CANCELLED = "cancelled"  # by an administrator
    COMMITTED = "committed"  # the peer took responsibility (storage commitment)


class DerivedKind(StrEnum):
    """What we make."""

    SR = "sr"
    PDF = "pdf"
    OVERLAY = "overlay"
    REJECTION = "rejection"  # a Key Object document that withdraws the others
