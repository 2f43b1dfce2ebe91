"""Associations that peers open to us: pynetdicom's, waiting instead of polling, and always closed.

They are for whatever is not ordinary (see `ordinary`). Each is told to its `Service` exactly once when it
is asked for, and exactly once when it has ended, however it ended; what it leaves unfinished on disk is
removed.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_ACTION
from pynetdicom.pdu_primitives import A_ABORT, A_ASSOCIATE, A_P_ABORT
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.transport import AddressInformation

from tbsnode.net import line, negotiated, pdu, tls
from tbsnode.net.messages import Receiver, Store
from tbsnode.net.one_thread import attach
from tbsnode.net.upper_layer import PatientSocket

if TYPE_CHECKING:
    from tbsnode.model.commitment import CommitmentRequest
    from tbsnode.net.acceptor_server import AcceptorServer
    from tbsnode.net.line import Service

_BEYOND_ARTIM_S = 1.0  # a request that came in time finds the association still waiting for it


class Acceptor(Association):
    """One association that a peer asked for.

    Attributes
    ----------
    association_id, calling_ae_title, called_ae_title : str
        Set by the service.
    reason : str
        Why it ended, where that is known, for an administrator.
    """

    def __init__(
        self, server: AcceptorServer, client: socket.socket, address: Any, read: bytes = b""
    ) -> None:
        super().__init__(server.ae, "acceptor")
        self.daemon = True
        self.association_id = self.calling_ae_title = self.called_ae_title = ""
        self.only_reports = False  # a destination that may tell us what it keeps, and nothing else
        self.owed: list[CommitmentRequest] = []
        self.reason = ""
        self._server: AcceptorServer = server
        self._service = server.service
        self._asked_to_end = False
        self.dimse = Receiver(self, self._service.incoming)
        self.turning = attach(self)
        if self._acse_timeout is not None:
            self._acse_timeout += _BEYOND_ARTIM_S
        self._sock = PatientSocket(
            self, client_socket=client, transfer_timeout_s=server.transfer_timeout_s, bell=False
        )
        self._sock.read_already = read
        self._has_asked = read[:1] == bytes([pdu.ASSOCIATE_RQ])
        self.set_socket(self._sock)
        self._introduce(server, address)

    def _introduce(self, server: AcceptorServer, address: Any) -> None:
        self.acceptor.maximum_length = self.ae.maximum_pdu_size
        self.acceptor.ae_title = server.ae_title
        self.acceptor.address_info = AddressInformation.from_tuple(server.server_address)
        self.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        self.acceptor.implementation_version_name = self.ae.implementation_version_name
        self.requestor.address_info = AddressInformation.from_tuple(address)
        self.bind(evt.EVT_REQUESTED, lambda event: event.assoc._requested())
        self.bind(evt.EVT_ACCEPTED, lambda event: event.assoc._accepted())
        self.bind(evt.EVT_ACSE_RECV, lambda event: event.assoc._note(event.primitive))
        self.bind(evt.EVT_C_STORE, _stored, [self._service])
        if (commitments := self._service.commitments) is not None:
            self.bind(evt.EVT_N_ACTION, commitments.action)
            self.bind(evt.EVT_N_EVENT_REPORT, commitments.event_report)

    @property
    def certificate(self) -> tls.CertificateFacts | None:
        """What the peer proved itself with; None in clear text."""
        return tls.facts_of_peer(self._sock.socket)

    @property
    def tls_failure(self) -> str:
        """Why TLS ended the connection, in words; empty where it did not."""
        failure = self._sock.tls_failure
        return tls.explain(failure) if failure is not None else ""

    @property
    def host(self) -> str:
        """Address of the peer."""
        assert self.requestor.address_info is not None
        return self.requestor.address_info.address

    def reject(self, result: int, source: int, diagnostic: int) -> None:
        """Send A-ASSOCIATE-RJ (PS3.8 table 9-21) and wait until it is gone."""
        self.acse.send_reject(result, source, diagnostic)
        self.kill()

    def end(self, reason: str) -> None:
        """Let its own thread abort it at its next turn; whatever is being stored is stored first."""
        self.reason = reason
        self._asked_to_end = True
        if not self.is_established:
            self._sock.hang_up()

    def cut(self) -> None:
        """Hang up where the peer has stopped in the middle of a PDU; what is being stored goes on."""
        if self._sock.is_reading:
            self._sock.hang_up()

    def run_reactor(self) -> None:
        """Serve the association to its end, then clean up and tell the service."""
        try:
            super().run_reactor()
        finally:
            self.dul.kill_dul()
            self._sock.dispose()
            assert isinstance(self.dimse, Receiver)
            self.dimse.discard()
            try:
                if self._has_asked and not self.association_id:
                    self._service.unreadable(self.host)
                self._service.ended(self)
            finally:  # last: who ends the node waits for those that are not forgotten
                self._server.forget(self)

    def kill(self) -> None:
        """End it; what is still to be sent is sent, and the peer given time to hang up."""
        self._reactor_checkpoint.set()
        self._kill, self.is_established, self._is_paused = True, False, True
        while self.dul.is_alive() and not self.dul.stop_dul():
            self.turning.turn()

    def _run_reactor(self) -> None:
        """Serve an established association: pynetdicom's loop, which turns where that sleeps."""
        self._is_paused = False
        while not self._kill:
            if self._asked_to_end:
                self.abort(block=False)
            context_id, message = self.dimse.get_msg(block=False)
            if message is not None and context_id is not None:
                self._serve_request(message, context_id)
            if self._is_over():
                self.kill()
                return
            self.turning.turn()

    def _is_over(self) -> bool:
        """Tell whether it was released, aborted or lost, or was silent for too long."""
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
            return True
        if self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)  # tells `_note` what came
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
            return True
        if self.dul.idle_timer_expired() or self._has_stopped_in_a_message():
            self.abort()
        return not self.dul.is_alive()

    def _has_stopped_in_a_message(self) -> bool:
        """Tell whether the peer began a message and did not go on: that is no pause."""
        assert isinstance(self.dimse, Receiver)
        idle = self.dul._idle_timer
        waited_s = (idle.timeout or 0.0) - idle.remaining
        return self.dimse.is_within_message and waited_s > self._server.transfer_timeout_s

    def _requested(self) -> None:
        if not isinstance(self.requestor.primitive, A_ASSOCIATE):
            self.is_aborted = True  # the connection closed, or worse, before a request came
            self.kill()
            return
        decided = False
        request = self.requestor.primitive
        titles = [(title or "").strip() for title in (request.calling_ae_title, request.called_ae_title)]
        proposed = [str(each.abstract_syntax) for each in request.presentation_context_definition_list]
        try:
            if self._service.asked(self, titles[0], titles[1], proposed):
                self.acceptor.supported_contexts = self._service.admission.supported(
                    proposed, only_reports=self.only_reports
                )
            decided = True
        finally:
            if not decided:
                self.reject(2, 3, 1)  # transient, temporary congestion: the sender tries again

    def _accepted(self) -> None:
        whom = f"{self.calling_ae_title} at {self.host}"
        negotiated.tell(self, whom, association_id=self.association_id)

    def _note(self, primitive: Any) -> None:
        if isinstance(primitive, A_ABORT):
            self.reason = line.ABORTED
        elif isinstance(primitive, A_P_ABORT):
            self.reason = self.reason or line.BROKEN

    def _serve_request(self, msg: Any, context_id: int) -> None:
        if threading.current_thread() is not self:  # pynetdicom's for an event report: see `Receiver.keep`
            assert isinstance(self.dimse, Receiver)
            self.dimse.keep(msg, context_id)
            return
        if isinstance(msg, C_STORE) and not self._sent_release:
            # Not by the class UID: it may be private, absent or wrong, and is answered anyway.
            self._is_paused = True
            StorageServiceClass(self).SCP(msg, self._accepted_cx[context_id])
            self._is_paused = False
            return
        super()._serve_request(msg, context_id)
        if isinstance(msg, N_ACTION) and self._service.commitments is not None:
            self._service.commitments.settle(self, context_id)


def _stored(event: Any, service: Service) -> Dataset:
    """Answer a C-STORE; what `service` does not foresee is answered by pynetdicom with 0xC211."""
    assert isinstance(event.request, Store)
    assert isinstance(event.assoc, Acceptor)
    answer = Dataset()
    answer.Status, comment = service.store(event.request.stored, event.assoc)
    if comment:
        answer.ErrorComment = comment
    return answer
