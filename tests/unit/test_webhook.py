"""What the webhook's answer is taken for: words that tell an administrator which of four things to mend."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tbsnode.pipeline import webhook
from tests.hook import listening


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """Listen, read a request, say so much and hang up."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.rfile.read(len(b"{}"))  # closed with unread bytes, TCP would take the answer back
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/secret"
        server.shutdown()


def test_the_status_of_success_is_returned() -> None:
    with listening() as hook:
        assert webhook.post(hook.url, {"a": 1}) == 204
        assert hook.bodies == [{"a": 1}]
        assert webhook.reach(hook.url) == 405, "it listens, that is enough"
    assert not [each for each in threading.enumerate() if isinstance(each, threading.Timer)], (
        "a time still runs"
    )


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        (b"", webhook.NotThere, "RemoteDisconnected"),
        (b"SSH-2.0-server\r\n\r\n", webhook.NotTaken, "none of HTTP"),
        (b"HTTP/1.1 199 Odd\r\n\r\n", webhook.NotTaken, "it answered 199"),
        (b"HTTP/1.1 300 Odd\r\n\r\n", webhook.NotTaken, "it answered 300"),
        (b"HTTP/1.1 500 Odd\r\n\r\n", webhook.NotTaken, "it answered 500"),
    ],
)
def test_each_answer_is_told_apart(answer: bytes, error: type[Exception], why: str) -> None:
    with saying(answer) as address, pytest.raises(error, match=why) as raised:
        webhook.post(address, {})
    assert "secret" not in str(raised.value)


def test_without_its_token_nothing_is_said(tmp_path: Path) -> None:
    unreadable = tmp_path / "latin"
    unreadable.write_bytes(b"caf\xe9")
    with listening() as hook:
        for token in (tmp_path / "missing", unreadable):
            with pytest.raises(webhook.NotTaken, match="file of its token cannot be read"):
                webhook.post(hook.url, {}, token_file=token)
    assert hook.bodies == []
