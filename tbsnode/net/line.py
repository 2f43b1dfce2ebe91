"""What an association that a peer opens and its owner need of each other, however it is spoken."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tbsnode.net.admission import Admission
    from tbsnode.net.commitment import CommitmentScp
    from tbsnode.net.receipt import Stored
    from tbsnode.net.tls import CertificateFacts

BROKEN = "the connection was lost, or the caller broke the protocol"
ABORTED = "the caller aborted it"


class Line(Protocol):
    """An association that a peer opens.

    Attributes
    ----------
    association_id, calling_ae_title, called_ae_title : str
        Set by the service.
    only_reports : bool
        A destination that may tell us what it keeps, and nothing else; set by the service.
    reason : str
        Why it ended, where that is known, for an administrator.
    is_released : bool
        Whether it was released.
    """

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    only_reports: bool
    reason: str
    is_released: bool

    @property
    def host(self) -> str:
        """Address of the peer."""

    @property
    def certificate(self) -> CertificateFacts | None:
        """What the peer proved itself with; None in clear text."""

    @property
    def tls_failure(self) -> str:
        """Why TLS ended the connection, in words; empty where it did not."""

    def reject(self, result: int, source: int, diagnostic: int) -> None:
        """Send A-ASSOCIATE-RJ (PS3.8 table 9-21)."""


class Service(Protocol):
    """What an association needs from its owner; called in the association's own thread."""

    incoming: Path
    admission: Admission
    commitments: CommitmentScp | None

    def asked(self, line: Line, calling: str, called: str, abstract_syntaxes: Iterable[str]) -> bool:
        """Decide over an A-ASSOCIATE-RQ: admit it, or reject it."""

    def store(self, request: Stored, line: Line) -> tuple[int, str]:
        """Answer a C-STORE whose data set is on disk with a status and an Error Comment."""

    def ended(self, line: Line) -> None:
        """Take note that the association is over."""

    def unsecured(self, host: str, why: str) -> None:
        """Take note of a connection whose TLS handshake failed."""

    def unreadable(self, host: str) -> None:
        """Take note of an association request that nobody could read."""
