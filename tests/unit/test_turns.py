"""While the database is away, a log says so and stays readable."""

from __future__ import annotations

import logging

import pytest

from tbsnode.errors import DatabaseUnavailable
from tbsnode.pipeline import turns


def test_what_cannot_be_done_is_said_once_and_that_it_goes_on_too(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "tbsnode")
    away = True

    def turn() -> None:
        if away:
            raise DatabaseUnavailable("The database did not answer: refused")

    scanner = turns.Turns("scanner", turn)
    for _ in range(100):
        scanner.take()
    assert caplog.messages == ["scanner: The database did not answer: refused"]
    monkeypatch.setattr(turns, "SAID_AGAIN_S", 0.0)
    scanner.take()
    assert len(caplog.messages) == 2

    away = False
    scanner.take()
    scanner.take()
    assert caplog.messages[2:] == ["scanner goes on"]

    away = True
    scanner.take()
    assert len(caplog.messages) == 4, "the next outage is said at once"
