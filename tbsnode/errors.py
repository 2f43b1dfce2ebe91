"""What can go wrong, and who has to act.

::

    * TbsNodeError
      - ConfigError                the operator edits the configuration
        + InvalidConfiguration     carries every mistake of the file and the environment
        + SchemaOutdated           the operator runs `tbsnode db upgrade`
        + NotAReviewer             the operator lists who may sign; nobody else signs
      - InstanceError              the sender: this instance can never be analyzed
        + UnsupportedInstance      SOP class, modality or transfer syntax
        + InvalidInstance          an attribute is missing or contradicts another
        + MismatchedInstance       the data set is not what the command announced
        + TooManyVersions          one UID for ever other instances: its service
      - AnalysisError              the reader: no trustworthy number from these pixels
        + SegmentationError
        + TextureError
      - CorrectionError            the reviewer: this correction cannot be carried out
      - CalibrationError           who calibrates: the table or its examinations do not suffice
      - InvalidClinicalFile        who wrote the file of clinical data: carries every mistake in it
      - ResourceError              nobody yet: try again later                 retryable
        + StorageFull              the administrator frees disk                retryable
        + DatabaseUnavailable                                                  retryable
      - PeerError                  the administrator of the receiving node
        + PeerUnreachable                                                      retryable
        + AssociationRejected      retryable only when PS3.8 says transient
        + StoreRefused             carries the peer's status
      - DamagedFile                the administrator restores it, or its sender sends it again
      - ReviewRefused              the reviewer: the state of the result does not allow this act
      - InvalidResult              the developers: an object that we made is not valid
      - NotFound                   the person at the keyboard named something that is not here

The class docstring's first line is the default message; instances carry fields, so that log, exit
text and DICOM Error Comment are formatted once, at their border. Messages name attributes by
keyword and never quote the value of an identifying attribute.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tbsnode.reasons import Code, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """What a peer answered for one instance.

    Attributes
    ----------
    sop_instance_uid : str
        Which instance.
    status : int or None
        DIMSE status; None where the class was not accepted by the peer.
    category : str
        ``"success"``, ``"warning"``, ``"refused"`` (permanent), ``"out_of_resources"`` (try
        again) or ``"not_accepted"`` (no presentation context).
    text : str
        The peer's Error Comment or our explanation.
    """

    sop_instance_uid: str
    status: int | None
    category: str
    text: str = ""


class TbsNodeError(Exception):
    """Something went wrong."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None, *, remedy: str = "") -> None:
        first_line = (self.__doc__ or "").strip().splitlines()[0]
        self.message = message or first_line
        self.remedy = remedy
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class ConfigError(TbsNodeError):
    """The configuration cannot be used."""

    exit_code = 10


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a configuration, with what to do about it.

    Attributes
    ----------
    key : str
        Path of the key, as ``receiver.callers[0].host``; empty where it concerns the whole file.
    value : str
        The offending value as written; empty where there is none or it is a secret.
    problem, remedy : str
        What is wrong, and what to do.
    """

    key: str
    value: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        named = f"{self.key} = {self.value}" if self.value else self.key
        return ": ".join(part for part in (named, f"{self.problem} {self.remedy}".strip()) if part)


class InvalidConfiguration(ConfigError):
    """The configuration has mistakes."""

    def __init__(self, message: str | None = None, *, mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(message)
        self.mistakes = mistakes

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {mistake}" for mistake in self.mistakes)])


class SchemaOutdated(ConfigError):
    """The database schema is not the one this version needs."""


class NotAReviewer(ConfigError):
    """The login may not sign results here."""


class InstanceError(TbsNodeError):
    """The instance cannot be accepted."""

    exit_code = 20

    def __init__(
        self, message: str | None = None, *, keyword: str = "", uid: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.keyword = keyword
        self.uid = uid


class UnsupportedInstance(InstanceError):
    """The SOP class or transfer syntax is not supported."""


class InvalidInstance(InstanceError):
    """The instance lacks an attribute or has an invalid one."""


class MismatchedInstance(InstanceError):
    """The data set is not the instance that the C-STORE command announced."""


class TooManyVersions(InstanceError):
    """The same SOP Instance UID came with ever other content."""


class AnalysisError(TbsNodeError):
    """No trustworthy number can be given for these pixels.

    Attributes
    ----------
    finding : Finding
        Why.
    behind : tuple of Finding
        What led there, such as the reason of each level that is left out.
    """

    exit_code = 30

    def __init__(
        self, finding: Finding, message: str | None = None, *, behind: tuple[Finding, ...] = ()
    ) -> None:
        super().__init__(message or finding.code.value)
        self.finding = finding
        self.behind = behind

    @property
    def code(self) -> Code:
        """The coded reason."""
        return self.finding.code


class SegmentationError(AnalysisError):
    """The vertebrae could not be found."""


class TextureError(AnalysisError):
    """The region has no texture that can be measured."""


class CorrectionError(TbsNodeError):
    """A reviewer's correction cannot be carried out."""

    exit_code = 2


class CalibrationError(TbsNodeError):
    """A calibration or precision study cannot be made from what was given."""

    exit_code = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMistake:
    """One mistake in a file that somebody wrote; it never quotes a value, which may name a patient.

    Attributes
    ----------
    line : int or None
        Of the file; None in a file that has no lines worth counting.
    record : int or None
        Which record, from 1; None where it concerns the whole file.
    field : str
        Column of a table, or path of a field such as ``densities[0].t_score``; may be empty.
    problem, remedy : str
        What kind of mistake it is, and what to do.
    """

    line: int | None = None
    record: int | None = None
    field: str = ""
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        place = [f"line {self.line}" if self.line else f"record {self.record}" if self.record else ""]
        named = ", ".join(part for part in (*place, self.field) if part)
        return ": ".join(part for part in (named, f"{self.problem} {self.remedy}".strip()) if part)


class InvalidClinicalFile(TbsNodeError):
    """The file of clinical data has mistakes: nothing of it is imported."""

    exit_code = 20

    def __init__(self, message: str | None = None, *, mistakes: tuple[FileMistake, ...] = ()) -> None:
        super().__init__(message)
        self.mistakes = mistakes

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {mistake}" for mistake in self.mistakes)])


class ResourceError(TbsNodeError):
    """A resource is exhausted; try again later."""

    retryable = True
    exit_code = 40


class StorageFull(ResourceError):
    """The archive's disk is below its watermark."""


class DatabaseUnavailable(ResourceError):
    """The database did not answer."""


class PeerError(TbsNodeError):
    """The peer did not take the instance."""

    exit_code = 50

    def __init__(self, message: str | None = None, *, peer: str = "", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.peer = peer


class PeerUnreachable(PeerError):
    """The peer cannot be reached, or the association broke.

    `outcomes` holds what it answered before that (`model.SendOutcome`).
    """

    retryable = True

    def __init__(
        self,
        message: str | None = None,
        *,
        peer: str = "",
        remedy: str = "",
        outcomes: tuple[SendOutcome, ...] = (),
    ) -> None:
        super().__init__(message, peer=peer, remedy=remedy)
        self.outcomes = outcomes


class AssociationRejected(PeerError):
    """The peer rejected the association."""

    def __init__(
        self, message: str | None = None, *, peer: str = "", transient: bool = False, remedy: str = ""
    ) -> None:
        super().__init__(message, peer=peer, remedy=remedy)
        self.transient = transient


class StoreRefused(PeerError):
    """The peer refused the instance."""

    def __init__(
        self, message: str | None = None, *, peer: str = "", status: int = 0, remedy: str = ""
    ) -> None:
        super().__init__(message, peer=peer, remedy=remedy)
        self.status = status


class DamagedFile(TbsNodeError):
    """A file of the archive is gone, or is not what was received."""


class ReviewRefused(TbsNodeError):
    """The state of the result does not allow this act of review."""

    exit_code = 2


class InvalidResult(TbsNodeError):
    """An object that this software made failed its own check and is not sent."""


class NotFound(TbsNodeError):
    """There is no such thing here."""

    exit_code = 2


def describe(error: Exception) -> str:
    """Describe an error without its message where the message might quote a patient's data."""
    if isinstance(error, TbsNodeError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" in {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
    return f"unexpected {type(error).__name__}{where}"
