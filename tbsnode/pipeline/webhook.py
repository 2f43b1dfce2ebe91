"""One message to the webhook, within a time that is its whole time: no patient in it, no address in a log.

A timeout of a socket begins anew with each byte: an answer that drips would hold its reader for ever, and
with it everything that the housekeeping does.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path
    from typing import IO

TIMEOUT_S = 10.0


class NotTaken(Exception):
    """The webhook was reached and did not take a message; the text says why.

    It does not say where: the address may hold a secret.
    """


class NotThere(Exception):
    """Nobody answered, or not to the end in time; the text says why, and not where."""


def post(address: str, body: dict[str, Any], *, token_file: Path | None = None) -> int:
    """Post a message as JSON; return the status, one of success.

    Parameters
    ----------
    address : str
        http or https; the configuration allows nothing else.
    body : dict
        The message.
    token_file : Path or None
        Holds a token that is sent as ``Authorization: Bearer``.

    Raises
    ------
    NotTaken
        If the answer is another one, or is none of HTTP, or the token cannot be used.
    NotThere
        If there was no whole answer within `TIMEOUT_S` of the connection.
    """
    headers = {"Content-Type": "application/json"}
    if token_file is not None:
        headers["Authorization"] = f"Bearer {_token(token_file)}"
    status = _answer(address, "POST", headers, json.dumps(body).encode())
    if not 200 <= status < 300:
        raise NotTaken(f"it answered {status}")
    return status


def reach(address: str) -> int:
    """Ask for nothing (HEAD) and return the status of the answer, whichever: nobody is told anything.

    Raises
    ------
    NotTaken
        If the answer is none of HTTP.
    NotThere
        As `post` does.
    """
    return _answer(address, "HEAD", {}, None)


def _answer(address: str, method: str, headers: dict[str, str], data: bytes | None) -> int:
    try:
        request = urllib.request.Request(  # noqa: S310  the configuration allows http and https only
            address, data=data, headers={"User-Agent": "tbsnode", **headers}, method=method
        )
        with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError as error:
        raise NotThere(_words(error)) from error
    except (ValueError, http.client.HTTPException) as error:
        raise NotTaken(f"its answer is none of HTTP ({type(error).__name__})") from error


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotTaken(f"the file of its token cannot be read ({type(error).__name__})") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Take the first answer: a redirect would carry the token elsewhere."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow nothing."""


class _InTime(http.client.HTTPConnection):
    """A connection that is cut when its time is over, whatever has come until then."""

    _cut: threading.Timer | None = None
    is_late = False

    def connect(self) -> None:
        """Connect, and let the time begin."""
        super().connect()
        # Another descriptor of the same connection: what wraps it in TLS takes the first one away.
        line = self.sock.dup()

        def cut() -> None:
            self.is_late = True
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

        self._cut = threading.Timer(TIMEOUT_S, cut)
        self._cut.daemon = True
        self._cut.start()
        self._line = line

    def getresponse(self) -> http.client.HTTPResponse:
        """Return the answer, if its head has come in time."""
        try:
            return super().getresponse()
        except (OSError, http.client.HTTPException):
            if self.is_late:
                raise TimeoutError from None
            raise
        finally:
            self._end()

    def close(self) -> None:
        """Let go of the connection and of its time."""
        self._end()
        super().close()

    def _end(self) -> None:
        if self._cut is not None and not self.is_late:
            self._cut.cancel()
            self._line.close()
            self._cut = None


class _InTimeTls(http.client.HTTPSConnection, _InTime):
    """The same over TLS; the handshake is within the time."""


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open in clear text."""
        return self.do_open(_InTime, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open over TLS."""
        return self.do_open(_InTimeTls, req)


_OPENER = urllib.request.build_opener(_NoRedirect, _Http, _Https)


def _words(error: OSError) -> str:
    """Say what failed, for an administrator."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no answer within {TIMEOUT_S:.0f} s"
    told = getattr(reason, "verify_message", "") or getattr(reason, "strerror", "") or str(reason)
    return f"{type(reason).__name__}: {told}"
