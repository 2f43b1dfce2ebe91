"""DIMSE commands from fragments (PS3.8 annex E); the data sets of C-STORE grow on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from tbsnode.net import receipt
from tbsnode.net.receipt import ProtocolViolation

# For commands other than C-STORE, whose data sets are kept in memory.
_MAX_COMMAND_BYTES = 1 << 16
_MAX_IDENTIFIER_BYTES = 1 << 24


class Fragments(ABC):
    """Puts received fragments together, and checks that they make sense.

    Parameters
    ----------
    folder : Path, optional
        Where data sets go; without it nobody may store.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._context_id = 0
        self._command = bytearray()
        self._receipt: receipt.Receipt | None = None
        self._identifier_bytes: int | None = None  # of a data set that goes to memory

    @abstractmethod
    def syntaxes(self, context_id: int) -> tuple[str, str] | None:
        """Return abstract and transfer syntax of a context that was accepted."""

    @abstractmethod
    def stored(self, context_id: int, request: receipt.Stored) -> None:
        """Take a C-STORE request whose data set is on disk."""

    @abstractmethod
    def commanded(self, context_id: int, field: int, encoded: bytes) -> None:
        """Take another command; its data set follows, if it has one."""

    @abstractmethod
    def followed(self, context_id: int, data: bytes | memoryview) -> None:
        """Take a fragment of the data set of another command."""

    @property
    def is_within_message(self) -> bool:
        """Whether more of a message must come: of its command, or of its data set."""
        return bool(self._command) or self._receipt is not None or self._identifier_bytes is not None

    def take(self, context_id: int, data: bytes | memoryview) -> None:
        """Take a fragment with its message control header.

        Raises
        ------
        ProtocolViolation
            If it makes no sense here.
        """
        if not data:
            raise ProtocolViolation("a fragment has no message control header")
        is_command, is_last = data[0] & 1, data[0] & 2
        expects_data = self._receipt is not None or self._identifier_bytes is not None
        if bool(is_command) == expects_data:
            raise ProtocolViolation("fragments of command and data set come in no order")
        if expects_data and context_id != self._context_id:
            raise ProtocolViolation("the presentation context changes within a message")
        if is_command:
            self._command += memoryview(data)[1:]
            if len(self._command) > _MAX_COMMAND_BYTES:
                raise ProtocolViolation("the command set is too long")
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
        syntaxes = self.syntaxes(context_id)
        if syntaxes is None:
            raise ProtocolViolation("the presentation context was not accepted")
        self._context_id = context_id
        field = receipt.number(command, receipt.COMMAND_FIELD)
        assert field is not None, "as parsed"
        has_data = receipt.number(command, receipt.DATA_SET_TYPE) != receipt.NO_DATA_SET
        if field == receipt.C_STORE_RQ and self._folder is not None:
            self._receipt = receipt.Receipt(command, *syntaxes, self._folder)
            if not has_data:
                self._finish()
            return
        self._identifier_bytes = 0 if has_data else None
        self.commanded(context_id, field, encoded)

    def _finish(self) -> None:
        assert self._receipt is not None
        request, self._receipt = self._receipt.complete(), None
        self.stored(self._context_id, request)

    def _pass_on(self, context_id: int, data: bytes | memoryview) -> None:
        assert self._identifier_bytes is not None
        self._identifier_bytes += len(data)
        if self._identifier_bytes > _MAX_IDENTIFIER_BYTES:
            raise ProtocolViolation("the data set is too long for this command")
        if data[0] & 2:
            self._identifier_bytes = None
        self.followed(context_id, data)

    def forget(self) -> None:
        """Remove what was received of an unfinished request."""
        if self._receipt is not None:
            self._receipt.discard()
            self._receipt = None
