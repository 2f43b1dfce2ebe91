"""What comes in and what goes out: peers, instances and references between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tbsnode.model.states import DerivedKind


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What one side of a TLS connection needs, as PEM files.

    Attributes
    ----------
    certificate, key : Path
        Ours, with its chain, and its private key.
    ca : Path
        Authorities that the other side's certificate must come from.
    verify_host : bool
        Of a connection that we open: whether the certificate must name the host.
    """

    certificate: Path
    key: Path
    ca: Path
    verify_host: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A remote application entity that we send to.

    Attributes
    ----------
    name : str
        The destination's name in the configuration.
    ae_title, host, port
        Where it is.
    calling_ae_title : str
        Our own AE title.
    send : tuple of str
        ``"sr"``, ``"pdf"``, ``"overlay"``, ``"source"``.
    sr_class : tuple of str
        Order of SR SOP classes to offer: ``"3d"``, ``"comprehensive"``, ``"enhanced"``.
    release : str
        ``"preliminary"``: gets results at once; ``"signed"``: only what a reviewer has signed.
    commitment : bool
        Whether it is asked for storage commitment of what it stored.
    tls : TlsFiles or None
        None: clear text.
    wait_for_study_s : float
        How long the first sending of a study waits until the peer shows the study [s]; 0: not at all.
    """

    name: str
    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    send: tuple[str, ...] = ("sr", "pdf")
    sr_class: tuple[str, ...] = ("3d", "comprehensive", "enhanced")
    release: str = "preliminary"
    commitment: bool = False
    tls: TlsFiles | None = None
    wait_for_study_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance:
    """One C-STORE (or one imported file), as it lies in ``<archive>/incoming``.

    Attributes
    ----------
    path : Path
        A complete Part 10 file that the taker must move or delete.
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
        As the C-STORE command and the presentation context said.
    calling_ae_title, called_ae_title, host : str
        Who sent it.
    association_id : str
        Identifies the association (UUID); empty for an import.
    fetched : bool
        Sub-operation of a C-MOVE that this node asked for: an earlier examination.
    data_set_sha256 : str
        Digest of the bytes after group 0002, taken as they came; empty for an import.
    beginning : bytes
        The first bytes of the file, as they were written; empty for an import.
    size_bytes : int
        Of the file; 0 for an import.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    host: str
    association_id: str
    fetched: bool = False
    data_set_sha256: str = ""
    beginning: bytes = field(default=b"", repr=False)  # names the patient
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference to one SOP instance, with the place it has in its study."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedInstance:
    """One finished object: Part 10 bytes and their names."""

    kind: DerivedKind
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    predecessor_uid: str
    part10: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One archived instance to be sent."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
