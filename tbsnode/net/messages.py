"""DIMSE messages from P-DATA fragments (PS3.8 annex E), for both sides of an association."""

from __future__ import annotations

import logging
import queue
import threading
import time
from pathlib import Path
from typing import Any

from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import _MESSAGE_TYPES
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import P_DATA

from tbsnode.net import receipt
from tbsnode.net.fragments import Fragments

log = logging.getLogger(__name__)

# We answer "window 1": a peer that sends further requests before our answer is broken.
_MAX_WAITING = 8
_PAUSE_LOOK_S = 1e-4


class Store(C_STORE):
    """A C-STORE request as received, for pynetdicom: `stored` is what there is to know."""

    def __init__(self, stored: receipt.Stored) -> None:
        super().__init__()
        self.stored = stored
        self.MessageID = stored.message_id
        # Echoed in the response only where they are what they should be.
        if stored.sop_class_uid:
            self.AffectedSOPClassUID = UID(stored.sop_class_uid)
        if stored.sop_instance_uid:
            self.AffectedSOPInstanceUID = UID(stored.sop_instance_uid)


class Receiver(Fragments, DIMSEServiceProvider):
    """Puts received P-DATA together to messages; the data sets of C-STORE go to disk.

    pynetdicom's trusts what it gets: a command set that is none would end its thread. Here it is
    checked before it is handed on.

    Parameters
    ----------
    assoc : pynetdicom.association.Association
        Its association.
    folder : Path, optional
        Where data sets go; without it nobody may store.
    """

    def __init__(self, assoc: Association, folder: Path | None) -> None:
        DIMSEServiceProvider.__init__(self, assoc)
        Fragments.__init__(self, folder)
        self._asked: tuple[type, int | None] | None = None  # the last request of ours, and its Message ID
        self.has_mistaken = False  # the peer gave an answer to something else

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the fragments of one P-DATA; end the association where they make no sense."""
        try:
            for context_id, data in primitive.presentation_data_value_list:
                self.take(context_id, data)
        except receipt.ProtocolViolation as violation:
            log.warning("protocol violation: %s", violation, extra={"action": "association.violation"})
            self.dul.event_queue.put("Evt19")  # PS3.8 table 9-10: unrecognized or invalid PDU
            self.discard()

    def syntaxes(self, context_id: int) -> tuple[str, str] | None:
        """Return abstract and transfer syntax of a context that was accepted."""
        context = self.assoc._accepted_cx.get(context_id)
        if context is None:
            return None
        return str(context.abstract_syntax), str(context.transfer_syntax[0])

    def stored(self, context_id: int, request: receipt.Stored) -> None:
        """Hand a C-STORE request over to be answered."""
        store = Store(request)
        store._context_id = context_id
        self.msg_queue.put((context_id, store))
        if self.msg_queue.qsize() > _MAX_WAITING:
            raise receipt.ProtocolViolation("requests come faster than they are answered")

    def commanded(self, context_id: int, field: int, encoded: bytes) -> None:
        """Hand another command over to pynetdicom."""
        if field not in _MESSAGE_TYPES or field == receipt.C_STORE_RQ:
            raise receipt.ProtocolViolation("the command is unknown")
        self.followed(context_id, b"\x03" + encoded)

    def followed(self, context_id: int, data: bytes | memoryview) -> None:
        """Hand a fragment over to pynetdicom."""
        fragment = P_DATA()
        fragment.presentation_data_value_list.append((context_id, bytes(data)))
        super().receive_primitive(fragment)

    def keep(self, message: Any, context_id: int) -> None:
        """Queue a request, in place of pynetdicom's `_serve_request`.

        Event reports would get a thread of their own at once. When done it says that the association's own
        thread goes on, although that may have been paused meanwhile: whoever paused it waits for ever.
        """
        self.msg_queue.put((context_id, message))

    def get_msg(self, block: bool = False) -> tuple[int, Any] | tuple[None, None]:
        """Take the next message; the thread that asks serves what is no answer.

        pynetdicom pauses its own thread, which serves requests, while another one sends and waits. Under
        load that thread may still be on its way, and take the answer: the sender would wait for two minutes.
        Nor does it look what is answered: an answer that came twice would count for the next instance.
        """
        if self.assoc.is_acceptor:
            return self._next(block)
        if threading.current_thread() is self.assoc:
            return None, None
        deadline = time.monotonic() + (self.dimse_timeout or 0.0)
        while True:
            context_id, message = self._next(block)
            if message is None or context_id is None:
                return None, None
            if _is_answer(message):
                return (context_id, message) if self._is_wanted(message) else (None, None)
            self._serve(message, context_id)
            if not self.assoc.is_established or time.monotonic() > deadline:
                return None, None

    def _is_wanted(self, message: Any) -> bool:
        """Tell whether an answer is to what was asked last; after another one the association is aborted."""
        if (type(message), message.MessageIDBeingRespondedTo) == self._asked:
            return True
        self.has_mistaken = True
        log.warning("the peer's answer is to something else", extra={"action": "association.violation"})
        return False

    def listen(self, longest_s: float) -> None:
        """Serve a request on an association that we opened, if one comes within this time [s]."""
        try:
            context_id, message = self.msg_queue.get(timeout=longest_s)
        except queue.Empty:
            return
        if message is not None and context_id is not None and not _is_answer(message):
            self.assoc._reactor_checkpoint.clear()
            while not self.assoc._is_paused and self.assoc.is_alive():
                time.sleep(_PAUSE_LOOK_S)
            self._serve(message, context_id)
            self.assoc._reactor_checkpoint.set()

    def _next(self, block: bool) -> tuple[int, Any] | tuple[None, None]:
        taken: tuple[int, Any] | tuple[None, None] = super().get_msg(block)
        return taken

    def _serve(self, message: Any, context_id: int) -> None:
        """Serve a request while the association's own thread is paused, which pynetdicom forgets."""
        Association._serve_request(self.assoc, message, context_id)
        self.assoc._is_paused = True

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Send a message; the answer to a C-STORE without detours."""
        if isinstance(primitive, C_STORE) and primitive.MessageIDBeingRespondedTo is not None:
            answer = P_DATA()
            encoded = receipt.encode_response(
                receipt.C_STORE_RQ,
                primitive.MessageIDBeingRespondedTo,
                (primitive.AffectedSOPClassUID or "", primitive.AffectedSOPInstanceUID or ""),
                (primitive.Status or 0, primitive.ErrorComment or ""),
            )
            answer.presentation_data_value_list.append((context_id, b"\x03" + encoded))
            self.dul.send_pdu(answer)
            return
        if not _is_answer(primitive):
            self._asked = type(primitive), primitive.MessageID
        super().send_msg(primitive, context_id)

    def discard(self) -> None:
        """Remove what was received and will not be served."""
        self.forget()
        while not self.msg_queue.empty():
            _, message = self.msg_queue.get_nowait()
            if isinstance(message, Store) and message.stored.path is not None:
                message.stored.path.unlink(missing_ok=True)


def _is_answer(message: Any) -> bool:
    return getattr(message, "MessageIDBeingRespondedTo", None) is not None
