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
from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal
from uuid import uuid4

from pydicom.uid import UID
from pynetdicom import AE

from tbsnode.errors import TbsNodeError, UnsupportedInstance
from tbsnode.model import ReceivedInstance
from tbsnode.net import status, tls, upper_layer
from tbsnode.net.acceptor_server import AcceptorServer
from tbsnode.net.admission import LOCAL_LIMIT_EXCEEDED, TEMPORARY_CONGESTION, Admission
from tbsnode.net.callers import Caller
from tbsnode.net.commitment import Commitments, CommitmentScp
from tbsnode.net.line import Line
from tbsnode.net.listening import cannot_listen
from tbsnode.net.receipt import Stored
from tbsnode.net.scp_settings import AssociationEvent, ScpSettings

__all__ = ["AssociationEvent", "Caller", "ScpSettings", "StorageScp"]

log = logging.getLogger(__name__)

_LAST_WORD_S = 2.0  # for our A-ABORT; then whoever stopped in the middle of a PDU is cut off


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
        self.admission = Admission(settings, with_commitment=commitments is not None)
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
                tls_context=tls.ListenerContext(settings.tls) if settings.tls else None,
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

    def asked(self, line: Line, calling: str, called: str, abstract_syntaxes: Iterable[str]) -> bool:
        """Decide over an A-ASSOCIATE-RQ (called by the association): admit it, or reject it."""
        line.association_id = str(uuid4())
        line.calling_ae_title, line.called_ae_title = calling, called
        if objection := self.admission.objection(line) or self._no_room():
            words, reason = objection
            self._tell("rejected", line, words)
            line.reject(*reason)
            return False
        takes = partial(self.admission.takes, only_reports=line.only_reports)
        refused = sorted({uid for uid in abstract_syntaxes if not takes(uid)})
        text = "" if not refused else "not accepted: " + ", ".join(UID(uid).name for uid in refused[:5])
        opened = AssociationEvent(kind="opened", text=text, **_names(line))
        try:
            self._on_association(opened)
        except TbsNodeError as error:
            log.warning("association not opened: %s", error, extra={"action": "association.rejected"})
            line.reject(*TEMPORARY_CONGESTION)
            return False
        with self._lock:
            self._open.add(line.association_id)
        return True

    def _no_room(self) -> tuple[str, tuple[int, int, int]] | None:
        if self._stopping:
            return "this node is stopping", TEMPORARY_CONGESTION
        if len(self._open) >= self._settings.max_associations:
            limit = self._settings.max_associations
            return f"{limit} associations are open, the most that are allowed", LOCAL_LIMIT_EXCEEDED
        return None

    def store(self, request: Stored, line: Line) -> tuple[int, str]:
        """Answer a C-STORE (called by the association) with status and Error Comment."""
        try:
            if request.error is not None:
                raise request.error
            if request.sop_class_uid not in self._settings.storage_classes:
                raise UnsupportedInstance  # in the context of another service
            assert request.path is not None
            self._on_store(
                ReceivedInstance(
                    path=request.path,
                    sop_class_uid=request.sop_class_uid,
                    sop_instance_uid=request.sop_instance_uid,
                    transfer_syntax_uid=request.transfer_syntax_uid,
                    fetched=request.move_originator == self._settings.ae_title,
                    data_set_sha256=request.data_set_sha256,
                    beginning=request.beginning,
                    size_bytes=request.size_bytes,
                    **_names(line),
                )
            )
        except TbsNodeError as error:
            return _refusal(error, request, line)
        finally:
            if request.path is not None:
                request.path.unlink(missing_ok=True)
        return status.SUCCESS, ""

    def unsecured(self, host: str, why: str) -> None:
        """Take note of a connection whose TLS handshake failed: told as a rejected association."""
        self._tell_nameless(host, f"TLS from {host}: {why}")

    def unreadable(self, host: str) -> None:
        """Take note of a request that could not be read: told as a rejected association."""
        why = "perhaps an AE title with other signs than letters, digits and punctuation"
        self._tell_nameless(
            host, f"the association request of {host} cannot be read ({why}): correct it there"
        )

    def _tell_nameless(self, host: str, text: str) -> None:
        nobody = {"association_id": str(uuid4()), "calling_ae_title": "", "called_ae_title": ""}
        event = AssociationEvent(kind="rejected", text=text, host=host, **nobody)
        try:
            self._on_association(event)
        except TbsNodeError as error:
            log.warning("not noted: %s", error, extra={"action": "association.lost"})

    def ended(self, line: Line) -> None:
        """Take note that an association is over (called by the association)."""
        if not line.association_id and line.tls_failure:
            self.unsecured(line.host, line.tls_failure)
        with self._lock:
            if line.association_id not in self._open:
                return  # never opened
        self._tell("released" if line.is_released else "aborted", line, line.reason)
        with self._lock:
            self._open.discard(line.association_id)

    def _tell(self, kind: Literal["released", "aborted", "rejected"], line: Line, text: str) -> None:
        event = AssociationEvent(kind=kind, text=text, **_names(line))
        try:
            self._on_association(event)
        except TbsNodeError as error:
            log.warning("association %s, not noted: %s", kind, error, extra={"action": "association.lost"})


def _names(line: Line) -> dict[str, str]:
    return {
        "association_id": line.association_id,
        "calling_ae_title": line.calling_ae_title,
        "called_ae_title": line.called_ae_title,
        "host": line.host,
    }


def _refusal(error: TbsNodeError, request: Stored, line: Line) -> tuple[int, str]:
    code, comment = status.status_of(error)
    log.warning(
        "instance refused with %s: %s",
        status.describe(code),
        error,
        extra={
            "action": "instance.refused",
            "sop_instance_uid": request.sop_instance_uid,
            "association_id": line.association_id,
        },
    )
    return code, comment
