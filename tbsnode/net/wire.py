"""A connection that gives whole PDUs: never for ever, and never more than we said we take."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable

from tbsnode.net import pdu
from tbsnode.net.upper_layer import LARGEST_OTHER_PDU

_GLANCE_S = 0.2  # how often a thread that waits looks whether it shall end
_USUAL_BYTES = 1 << 16
_TLS_HANDSHAKE = 0x16  # first byte of a TLS connection; no type of a PDU
_LAST_PIECES = 64


class Lost(Exception):
    """The connection is gone, or the peer stopped in the middle of a PDU."""


class Silent(Exception):
    """Nothing came for as long as may be waited."""


class Ending(Exception):
    """We were asked to end."""


class TooLarge(Exception):
    """The peer announced a PDU that nobody here takes."""


class Wire:
    """The bytes of one connection; for the thread of its association.

    Parameters
    ----------
    connected : socket.socket
        A connection, or a `ssl.SSLSocket` after its handshake.
    maximum_pdu : int
        Largest P-DATA that we take [bytes].
    transfer_timeout_s : float
        Longest time for one PDU to be read or written [s].
    ends : callable
        Whether we were asked to end; looked at while nothing comes.
    """

    def __init__(
        self,
        connected: socket.socket,
        maximum_pdu: int,
        transfer_timeout_s: float,
        ends: Callable[[], bool],
    ) -> None:
        self.socket = connected
        self.tls_failure: ssl.SSLError | None = None
        self.is_cut = False  # set by another thread: what is being read is given up
        self._largest = max(LARGEST_OTHER_PDU, maximum_pdu + pdu.HEADER_BYTES)
        self._transfer_timeout_s = transfer_timeout_s
        self._ends = ends
        self._sends_parts = not isinstance(connected, ssl.SSLSocket)  # and tells how much has gone
        self._buffer = bytearray(_USUAL_BYTES)
        self._begin = self._end = 0
        with contextlib.suppress(OSError):  # it may be gone already
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.settimeout(_GLANCE_S)

    @property
    def unread(self) -> bytes:
        """What has come of the PDU that is next, or the last one that `receive` gave."""
        return bytes(self._buffer[self._begin : self._end])

    def receive(self, patience_s: float, *, whole_s: float | None = None) -> tuple[int, memoryview]:
        """Wait for a PDU; return its type, and its body until the next call.

        Parameters
        ----------
        patience_s : float
            Longest wait for it to begin [s].
        whole_s : float, optional
            Longest time from now until it is whole [s], where that is less than the usual one.

        Raises
        ------
        Lost, Silent, Ending, TooLarge
            No PDU came.
        """
        now = time.monotonic()
        whole_by = None if whole_s is None else now + whole_s
        self._need(pdu.HEADER_BYTES, now + patience_s, whole_by)
        kind, length = struct.unpack_from(">BxL", self._buffer, self._begin)
        size = pdu.HEADER_BYTES + length
        if size > self._largest:
            if kind == _TLS_HANDSHAKE:
                raise TooLarge("the peer speaks TLS at a port for clear text; compare port and TLS setting")
            raise TooLarge(f"the peer announced a PDU of {length} bytes")
        if size > self._end - self._begin:
            self._need(size, None, whole_by)
        view = memoryview(self._buffer)[self._begin + pdu.HEADER_BYTES : self._begin + size]
        return kind, view

    def skip(self, body: memoryview) -> None:
        """Go on behind the PDU that `receive` gave."""
        self._begin += pdu.HEADER_BYTES + len(body)
        body.release()
        if self._begin == self._end:
            self._begin = self._end = 0

    def _need(self, count: int, begun_by: float | None, whole_by: float | None) -> None:
        """Read until `count` bytes from the beginning are there."""
        if self._end - self._begin >= count:
            return
        if self._begin + count > len(self._buffer):
            kept = self._buffer[self._begin : self._end]
            if count > len(self._buffer):
                self._buffer = bytearray(count)
            self._buffer[: len(kept)] = kept
            self._begin, self._end = 0, len(kept)
        while self._end - self._begin < count:
            now, has_begun = time.monotonic(), self._end > self._begin
            if has_begun and whole_by is None:
                whole_by = now + self._transfer_timeout_s
            if self.is_cut or (has_begun and whole_by is not None and now > whole_by):
                raise Lost
            if not has_begun and self._ends():
                raise Ending
            if not has_begun and begun_by is not None and now > begun_by:
                raise Silent("nothing came for too long")
            self._fill()

    def _fill(self) -> None:
        """Read what there is, or wait a moment for it."""
        with memoryview(self._buffer) as view:
            try:
                count = self.socket.recv_into(view[self._end :])
            except TimeoutError:
                return
            except ssl.SSLError as error:
                self.tls_failure = error
                raise Lost from error
            except OSError as error:
                raise Lost from error
        if not count:
            raise Lost
        self._end += count

    def send(self, encoded: bytes) -> None:
        """Send bytes.

        Raises
        ------
        Lost
            If the connection is gone, or the peer does not take them in time.
        """
        try:
            sent = self.socket.send(encoded) if self._sends_parts else 0
            if sent == len(encoded):
                return
        except TimeoutError:
            sent = 0
        except OSError as error:
            raise Lost from error
        self.socket.settimeout(self._transfer_timeout_s)
        try:
            self.socket.sendall(encoded[sent:])
        except OSError as error:
            raise Lost from error
        finally:
            self.socket.settimeout(_GLANCE_S)

    def close(self, patience_s: float = 0.0) -> None:
        """Hang up, so that our last word arrives: closed with unread bytes, TCP would take it back.

        Parameters
        ----------
        patience_s : float
            How long to read past what still comes [s].
        """
        deadline = time.monotonic() + patience_s
        with contextlib.suppress(OSError, ValueError):
            if patience_s and not isinstance(self.socket, ssl.SSLSocket):
                self.socket.shutdown(socket.SHUT_WR)
            self.socket.settimeout(min(_GLANCE_S, patience_s))
            for _ in range(_LAST_PIECES):
                with contextlib.suppress(TimeoutError):
                    if not self.socket.recv(_USUAL_BYTES):
                        break
                if time.monotonic() > deadline:
                    break
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
