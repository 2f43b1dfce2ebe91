"""Storage and Verification SCP: who may call, what is negotiated, and each C-STORE to one callable.

Success means durable: 0x0000 is answered only after `on_store` has returned, and it returns only
after archive and catalogue have committed. Nothing stays in the incoming folder: `on_store` has
moved the file, or it is removed here, whatever happened.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tbsnode.errors import TbsNodeError, UnsupportedInstance
from tbsnode.model import ReceivedInstance, TlsFiles
from tbsnode.net import status, tls, upper_layer
from tbsnode.net.acceptor import Acceptor, AcceptorServer
from tbsnode.net.callers import Caller, KnownCallers
from tbsnode.net.commitment import PUSH_MODEL, Commitments, CommitmentScp
from tbsnode.net.listening import cannot_listen
from tbsnode.net.receipt import Store

__all__ = ["AssociationEvent", "Caller", "ScpSettings", "StorageScp"]

log = logging.getLogger(__name__)

# What we like to get, of what a peer proposes: the codecs of others are a risk, so uncompressed first.
_PREFERRED = (upper_layer.EXPLICIT_VR_LITTLE_ENDIAN, upper_layer.IMPLICIT_VR_LITTLE_ENDIAN)

# A-ASSOCIATE-RJ (result, source, diagnostic), PS3.8 table 9-21.
_CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
_CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 1, 7)
_TEMPORARY_CONGESTION = (2, 3, 1)
_LAST_WORD_S = 2.0  # for our A-ABORT; then whoever stopped in the middle of a PDU is cut off
_LOCAL_LIMIT_EXCEEDED = (2, 3, 2)


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


class StorageScp:
    """The receiver.

    Parameters
    ----------
    settings : ScpSettings
        How we listen.
    on_store : callable
        Stores a `ReceivedInstance`: it moves the file and commits, or raises a `TbsNodeError`,
        which is answered by `status.status_of`. Called in the thread of the association.
    on_association : callable
        Takes note of an `AssociationEvent`. A `TbsNodeError` at ``"opened"`` rejects the
        association as transient; at other kinds it is logged.
    commitments : Commitments, optional
        Takes requests and reports of storage commitment; without it the class is not accepted.
    """

    def __init__(
        self,
        settings: ScpSettings,
        on_store: Callable[[ReceivedInstance], None],
        on_association: Callable[[AssociationEvent], None],
        commitments: Commitments | None = None,
    ) -> None:
        upper_layer.configure()
        self.incoming = settings.incoming
        self._settings = settings
        self._on_store = on_store
        self._on_association = on_association
        self.commitments = CommitmentScp(commitments) if commitments is not None else None
        self._callers = KnownCallers(settings.callers)
        self._reporters = KnownCallers(settings.reporters)
        others = [each for each in settings.transfer_syntaxes if each not in _PREFERRED]
        preferred = [each for each in _PREFERRED if each in settings.transfer_syntaxes]
        self._transfer_syntaxes = [UID(each) for each in (*preferred, *others)]
        self._supported = {
            uid: self._context(uid) for uid in (*settings.storage_classes, str(Verification), PUSH_MODEL)
        }
        self._open: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self._server: AcceptorServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port we listen on; while stopped, the one asked for."""
        return self._settings.port if self._server is None else int(self._server.server_address[1])

    @property
    def open_associations(self) -> int:
        """How many associations are open."""
        return len(self._open)

    def start(self) -> None:
        """Listen, in a thread of our own.

        Raises
        ------
        ConfigError
            If the address cannot be listened on.
        """
        settings = self._settings
        ae = AE(settings.ae_title)
        ae.maximum_pdu_size = settings.maximum_pdu
        ae.acse_timeout = settings.acse_timeout_s
        ae.dimse_timeout = settings.transfer_timeout_s
        ae.network_timeout = settings.idle_timeout_s
        ae.maximum_associations = 1 << 16  # counted here, with what an administrator should read
        ae.implementation_class_uid = UID(upper_layer.IMPLEMENTATION_CLASS_UID)
        ae.implementation_version_name = upper_layer.IMPLEMENTATION_VERSION_NAME
        try:
            self._server = AcceptorServer(
                ae,
                (settings.bind, settings.port)
                if settings.inherited is None
                else socket.socket(fileno=settings.inherited),
                service=self,
                max_connections=settings.max_associations + settings.max_idle_connections,
                transfer_timeout_s=settings.transfer_timeout_s,
                tls_context=tls.server_context(settings.tls) if settings.tls else None,
            )
        except OSError as error:
            raise cannot_listen(settings.bind, settings.port, error) from error
        self._stopping = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="receiver")
        self._thread.start()

    def stop(self, grace_s: float = 5.0) -> None:
        """Stop listening, let open associations finish for a while, then abort them.

        Parameters
        ----------
        grace_s : float
            How long an association may go on [s]. A C-STORE that is being stored is always
            waited for.
        """
        if self._server is None or self._thread is None:
            return
        self._stopping = True
        self._server.shutdown()
        self._thread.join()
        deadline = time.monotonic() + grace_s
        while self._open and time.monotonic() < deadline:
            time.sleep(0.02)
        for assoc in self._server.connected:
            assoc.end("this node is stopping")
        deadline = time.monotonic() + _LAST_WORD_S
        for assoc in self._server.connected:
            assoc.join(max(0.0, deadline - time.monotonic()))
            assoc.cut()
            assoc.join()
        self._server, self._thread = None, None

    def asked(self, assoc: Acceptor) -> None:
        """Decide over an A-ASSOCIATE-RQ (called by the association)."""
        request = assoc.requestor.primitive
        assert isinstance(request, A_ASSOCIATE)
        assoc.association_id = str(uuid4())
        assoc.calling_ae_title = (request.calling_ae_title or "").strip()
        assoc.called_ae_title = (request.called_ae_title or "").strip()
        if objection := self._objection(assoc):
            words, reason = objection
            self._tell("rejected", assoc, words)
            assoc.reject(*reason)
            return
        assoc.acceptor.supported_contexts, refused = self._contexts(request, assoc.only_reports)
        text = "" if not refused else "not accepted: " + ", ".join(sorted(refused)[:5])
        opened = AssociationEvent(kind="opened", text=text, **_names(assoc))
        try:
            self._on_association(opened)
        except TbsNodeError as error:
            log.warning("association not opened: %s", error, extra={"action": "association.rejected"})
            assoc.reject(*_TEMPORARY_CONGESTION)
            return
        with self._lock:
            self._open.add(assoc.association_id)

    def _objection(self, assoc: Acceptor) -> tuple[str, tuple[int, int, int]] | None:
        ours, called = self._settings.ae_title, assoc.called_ae_title
        misdialed = f'caller sent called AE "{called}", we are "{ours}"' if called != ours else ""
        proved = assoc.certificate
        names = None if proved is None else proved.names
        unknown = self._callers.objection(assoc.calling_ae_title, assoc.host, names)
        if unknown and not self._reporters.objection(assoc.calling_ae_title, assoc.host, names):
            unknown, assoc.only_reports = "", True
        if unknown:
            return "; ".join(filter(None, (unknown, misdialed))), _CALLING_AE_TITLE_NOT_RECOGNIZED
        if misdialed:
            return f"{misdialed}: correct the AE title in the caller", _CALLED_AE_TITLE_NOT_RECOGNIZED
        if self._stopping:
            return "this node is stopping", _TEMPORARY_CONGESTION
        if len(self._open) >= self._settings.max_associations:
            limit = self._settings.max_associations
            return f"{limit} associations are open, the most that are allowed", _LOCAL_LIMIT_EXCEEDED
        return None

    def _contexts(
        self, request: A_ASSOCIATE, only_reports: bool
    ) -> tuple[list[PresentationContext], set[str]]:
        """Return contexts for what was proposed only (their number is the cost), and what is not taken."""
        supported: dict[str, PresentationContext] = {}
        refused: set[str] = set()
        services = {str(Verification), *([PUSH_MODEL] if self.commitments else [])}
        storage = () if only_reports else self._settings.storage_classes
        for proposed in request.presentation_context_definition_list:
            uid = str(proposed.abstract_syntax)
            if uid not in storage and uid not in services:
                refused.add(uid)
            else:
                supported[uid] = self._supported[uid]
        return list(supported.values()), refused

    def _context(self, uid: str) -> PresentationContext:
        context = PresentationContext()
        context.abstract_syntax = UID(uid)
        context.transfer_syntax = list(self._transfer_syntaxes)
        if uid == PUSH_MODEL:  # either side may report (PS3.4 J.3.3.1)
            context.scu_role = context.scp_role = True
        return context

    def store(self, event: Any) -> Dataset:
        """Answer a C-STORE (called by the association); see `StorageServiceClass` for bugs."""
        request, assoc = event.request, event.assoc
        assert isinstance(request, Store)
        assert isinstance(assoc, Acceptor)
        try:
            if request.error is not None:
                raise request.error
            if str(request.AffectedSOPClassUID) not in self._settings.storage_classes:
                raise UnsupportedInstance  # in the context of another service
            assert request.path is not None
            self._on_store(
                ReceivedInstance(
                    path=request.path,
                    sop_class_uid=str(request.AffectedSOPClassUID),
                    sop_instance_uid=str(request.AffectedSOPInstanceUID),
                    transfer_syntax_uid=request.transfer_syntax_uid,
                    fetched=request.move_originator == self._settings.ae_title,
                    **_names(assoc),
                )
            )
        except TbsNodeError as error:
            return _refusal(error, request, assoc)
        finally:
            if request.path is not None:
                request.path.unlink(missing_ok=True)
        answer = Dataset()
        answer.Status = status.SUCCESS
        return answer

    def unsecured(self, host: str, why: str) -> None:
        """Take note of a connection whose TLS handshake failed: told as a rejected association."""
        log.warning("TLS from %s: %s", host, why, extra={"action": "association.unsecured"})
        nobody = {"association_id": str(uuid4()), "calling_ae_title": "", "called_ae_title": ""}
        event = AssociationEvent(kind="rejected", text=f"TLS from {host}: {why}", host=host, **nobody)
        try:
            self._on_association(event)
        except TbsNodeError as error:
            log.warning("not noted: %s", error, extra={"action": "association.lost"})

    def ended(self, assoc: Acceptor) -> None:
        """Take note that an association is over (called by the association)."""
        if not assoc.association_id and assoc.tls_failure:
            self.unsecured(assoc.host, assoc.tls_failure)
        with self._lock:
            if assoc.association_id not in self._open:
                return  # never opened
        self._tell("released" if assoc.is_released else "aborted", assoc, assoc.reason)
        with self._lock:
            self._open.discard(assoc.association_id)

    def _tell(self, kind: Literal["released", "aborted", "rejected"], assoc: Acceptor, text: str) -> None:
        event = AssociationEvent(kind=kind, text=text, **_names(assoc))
        if text:
            log.warning("association %s: %s", kind, text, extra={"action": f"association.{kind}"})
        try:
            self._on_association(event)
        except TbsNodeError as error:
            log.warning("association %s, not noted: %s", kind, error, extra={"action": "association.lost"})


def _names(assoc: Acceptor) -> dict[str, str]:
    return {
        "association_id": assoc.association_id,
        "calling_ae_title": assoc.calling_ae_title,
        "called_ae_title": assoc.called_ae_title,
        "host": assoc.host,
    }


def _refusal(error: TbsNodeError, request: Store, assoc: Acceptor) -> Dataset:
    answer = Dataset()
    answer.Status, answer.ErrorComment = status.status_of(error)
    log.warning(
        "instance refused with %s: %s",
        status.describe(answer.Status),
        error,
        extra={
            "action": "instance.refused",
            "sop_instance_uid": str(request.AffectedSOPInstanceUID or ""),
            "association_id": assoc.association_id,
        },
    )
    return answer
