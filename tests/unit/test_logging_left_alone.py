"""A test that configures logging in the process of the tests leaves nothing of it to the next one.

The two tests are in this order: the first leaves, the second looks.
"""

from __future__ import annotations

import io
import logging

import pytest

from tbsnode.cli import logs


def test_one_configures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    logs.configure(level="debug", as_json=True, libraries="error")
    assert any(isinstance(one.formatter, logs.JsonLines) for one in logging.getLogger().handlers)


def test_the_next_one_finds_logging_as_python_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Else a failing test later writes to a stream that is closed, and its lines name no file."""
    root = logging.getLogger()
    assert not [one for one in root.handlers if isinstance(one.formatter, logs.Sentences | logs.JsonLines)]
    assert root.level == logging.WARNING
    assert logging.getLogger("tbsnode").level == logging.NOTSET
    engine = logging.getLogger("dbos")
    assert (engine.filters, engine.propagate) == ([], True)
    assert logging.logThreads is True
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append  # type: ignore[method-assign]
    root.addHandler(handler)
    logging.getLogger("tbsnode.x").warning("said")
    root.removeHandler(handler)
    assert [record.filename for record in seen] == ["test_logging_left_alone.py"]
    assert capsys.readouterr().err == ""
