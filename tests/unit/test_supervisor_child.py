"""A child that cannot be forked is tried again, and nothing is left as it is only for a moment."""

from __future__ import annotations

import errno
import gc
import os
import signal
from typing import Any

import pytest

from tbsnode import supervisor, worker_slot


def test_where_no_process_can_be_made_it_is_said_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(worker_slot, "load", lambda role: None)
    monkeypatch.setattr(os, "fork", full)
    monkeypatch.setattr(gc, "freeze", lambda: None)  # of what runs the tests
    child = supervisor._Child("analyze", 0)
    shared: Any = None  # is not reached
    child.start(shared)
    assert "analyze-0 cannot be started (Resource temporarily unavailable), tried again in 5 s" in caplog.text
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    child.look_after(shared)
    assert caplog.text.count("cannot be started") == 1, "not at once"
    child.due_at = 0.0
    child.look_after(shared)
    assert caplog.text.count("cannot be started") == 2
