"""How the receiver listens, and what it tells of its associations."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tbsnode.model import TlsFiles
from tbsnode.net.callers import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class ScpSettings:
    """How we listen.

    Attributes
    ----------
    ae_title : str
        Our AE title; associations to another are rejected.
    bind : str
        Address to listen on.
    port : int
        Port; 0 takes a free one.
    callers : tuple of Caller
        Who may call.
    incoming : Path
        Existing folder for what is being received, on the archive's file system.
    storage_classes : collection of str
        SOP Class UIDs that are accepted.
    reporters : tuple of Caller
        Who else may call, only to report what it keeps (storage commitment).
    transfer_syntaxes : tuple of str
        Transfer Syntax UIDs that are accepted; uncompressed ones are preferred anyway.
    max_associations : int
        Further ones are rejected as transient.
    max_idle_connections : int
        Connections beyond `max_associations` on which nothing was asked yet.
    maximum_pdu : int
        Largest P-DATA that we take [bytes].
    tls : TlsFiles or None
        Callers must do a TLS handshake with a certificate of our authorities first.
    inherited : int or None
        Descriptor of the socket that listens there already, shared with other processes.
    acse_timeout_s, idle_timeout_s, transfer_timeout_s : float
        Longest wait for an association request, for the next message, and for one PDU [s].
    """

    ae_title: str
    bind: str
    port: int
    callers: tuple[Caller, ...]
    incoming: Path
    storage_classes: Collection[str]
    transfer_syntaxes: tuple[str, ...]
    max_associations: int = 32
    max_idle_connections: int = 32
    maximum_pdu: int = 1 << 18
    reporters: tuple[Caller, ...] = ()
    tls: TlsFiles | None = None
    inherited: int | None = None
    acse_timeout_s: float = 30.0
    idle_timeout_s: float = 300.0
    transfer_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationEvent:
    """Something happened to an association.

    Attributes
    ----------
    kind : str
        ``"opened"`` comes before its first C-STORE; exactly one of ``"released"`` and
        ``"aborted"`` (also where the connection just broke) after its last. ``"rejected"`` stands
        alone.
    association_id : str
        UUID.
    calling_ae_title, called_ae_title, host : str
        Who called whom, from where.
    text : str
        Why, in an administrator's words; what could not be negotiated, for ``"opened"``.
    """

    kind: Literal["opened", "released", "aborted", "rejected"]
    association_id: str
    calling_ae_title: str
    called_ae_title: str
    host: str
    text: str = ""
