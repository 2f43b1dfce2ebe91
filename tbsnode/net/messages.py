"""DIMSE messages from P-DATA fragments (PS3.8 annex E), for both sides of an association."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import _MESSAGE_TYPES
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import P_DATA

from tbsnode.net import receipt

log = logging.getLogger(__name__)

# We answer "window 1": a peer that sends further requests before our answer is broken.
_MAX_WAITING = 8
# For commands other than C-STORE, whose data sets are kept in memory.
_MAX_COMMAND_BYTES = 1 << 16
_MAX_IDENTIFIER_BYTES = 1 << 24


class Receiver(DIMSEServiceProvider):
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
        super().__init__(assoc)
        self._folder = folder
        self._context_id = 0
        self._command = bytearray()
        self._receipt: receipt.Receipt | None = None
        self._identifier_bytes: int | None = None  # of a data set that goes to memory

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the fragments of one P-DATA; end the association where they make no sense."""
        try:
            for context_id, data in primitive.presentation_data_value_list:
                self._take(context_id, data)
        except receipt.ProtocolViolation as violation:
            log.warning("protocol violation: %s", violation, extra={"action": "association.violation"})
            self.dul.event_queue.put("Evt19")  # PS3.8 table 9-10: unrecognized or invalid PDU
            self.discard()

    def _take(self, context_id: int, data: bytes) -> None:
        if not data:
            raise receipt.ProtocolViolation("a fragment has no message control header")
        is_command, is_last = data[0] & 1, data[0] & 2
        expects_data = self._receipt is not None or self._identifier_bytes is not None
        if bool(is_command) == expects_data:
            raise receipt.ProtocolViolation("fragments of command and data set come in no order")
        if expects_data and context_id != self._context_id:
            raise receipt.ProtocolViolation("the presentation context changes within a message")
        if is_command:
            self._command += memoryview(data)[1:]
            if len(self._command) > _MAX_COMMAND_BYTES:
                raise receipt.ProtocolViolation("the command set is too long")
            if is_last:
                self._begin(context_id)
        elif self._receipt is not None:
            self._receipt.write(memoryview(data)[1:])
            if is_last:
                self._finish()
        else:
            self._pass_on(context_id, data)

    def _begin(self, context_id: int) -> None:
        encoded, self._command = bytes(self._command), bytearray()
        command = receipt.parse_command(encoded)
        context = self.assoc._accepted_cx.get(context_id)
        if context is None:
            raise receipt.ProtocolViolation("the presentation context was not accepted")
        self._context_id = context_id
        field = receipt.number(command, receipt.COMMAND_FIELD)
        has_data = receipt.number(command, receipt.DATA_SET_TYPE) != receipt.NO_DATA_SET
        if field == receipt.C_STORE_RQ and self._folder is not None:
            syntaxes = str(context.abstract_syntax), str(context.transfer_syntax[0])
            self._receipt = receipt.Receipt(command, *syntaxes, self._folder)
            if not has_data:
                self._finish()
            return
        if field not in _MESSAGE_TYPES or field == receipt.C_STORE_RQ:
            raise receipt.ProtocolViolation("the command is unknown")
        self._identifier_bytes = 0 if has_data else None
        self._hand_over(context_id, b"\x03" + encoded)

    def _finish(self) -> None:
        assert self._receipt is not None
        store, self._receipt = self._receipt.complete(), None
        store._context_id = self._context_id
        self.msg_queue.put((self._context_id, store))
        if self.msg_queue.qsize() > _MAX_WAITING:
            raise receipt.ProtocolViolation("requests come faster than they are answered")

    def _pass_on(self, context_id: int, data: bytes) -> None:
        assert self._identifier_bytes is not None
        self._identifier_bytes += len(data)
        if self._identifier_bytes > _MAX_IDENTIFIER_BYTES:
            raise receipt.ProtocolViolation("the data set is too long for this command")
        if data[0] & 2:
            self._identifier_bytes = None
        self._hand_over(context_id, data)

    def _hand_over(self, context_id: int, data: bytes) -> None:
        fragment = P_DATA()
        fragment.presentation_data_value_list.append((context_id, data))
        super().receive_primitive(fragment)

    def get_msg(self, block: bool = False) -> tuple[int, Any] | tuple[None, None]:
        """Take the next message; answers to what we asked are only for the thread that asked.

        pynetdicom pauses its own thread, which serves requests, while another one sends and waits. Under
        load that thread may still be on its way, and take the answer: the sender would wait for two minutes.
        """
        mine = threading.current_thread() is not self.assoc or self.assoc.is_acceptor
        if not mine and self._next_is_an_answer():
            return None, None
        taken: tuple[int, Any] | tuple[None, None] = super().get_msg(block)
        return taken

    def _next_is_an_answer(self) -> bool:
        with self.msg_queue.mutex:
            waiting = self.msg_queue.queue
            return bool(waiting) and getattr(waiting[0][1], "MessageIDBeingRespondedTo", None) is not None

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Send a message; the answer to a C-STORE without detours."""
        if isinstance(primitive, C_STORE) and primitive.MessageIDBeingRespondedTo is not None:
            answer = P_DATA()
            encoded = b"\x03" + receipt.encode_response(primitive)
            answer.presentation_data_value_list.append((context_id, encoded))
            self.dul.send_pdu(answer)
        else:
            super().send_msg(primitive, context_id)

    def discard(self) -> None:
        """Remove what was received and will not be served."""
        if self._receipt is not None:
            self._receipt.discard()
            self._receipt = None
        while not self.msg_queue.empty():
            _, message = self.msg_queue.get_nowait()
            if isinstance(message, receipt.Store) and message.path is not None:
                message.path.unlink(missing_ok=True)
