"""What we change in pynetdicom: no message of an exception in its log lines, and queues that ring."""

from __future__ import annotations

import logging
import queue
import sys
import time

import pytest
from pynetdicom import _config

from tbsnode.net import upper_layer
from tbsnode.net.upper_layer import RingingQueue, SteadyTimer


@pytest.fixture
def record() -> logging.LogRecord:
    name = "^".join(("Doe", "Jane"))  # a traceback shows source lines: the name is not in this one
    try:
        raise ValueError(name)
    except ValueError as error:
        return logging.LogRecord("x", logging.ERROR, __file__, 1, error, None, sys.exc_info())


def test_the_message_of_an_exception_is_not_logged(record: logging.LogRecord) -> None:
    assert upper_layer.WithoutMessages().filter(record)
    line = logging.Formatter().format(record)
    assert "Doe" not in line
    assert "ValueError" in line
    assert "in record" in line  # the traceback is there


def test_a_message_that_quotes_the_exception_is_not_logged(record: logging.LogRecord) -> None:
    record.msg = "failed: Doe^Jane"
    upper_layer.WithoutMessages().filter(record)
    assert "Doe" not in logging.Formatter().format(record)


def test_other_records_pass_unchanged() -> None:
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "said %s", ("it",), None)
    assert upper_layer.WithoutMessages().filter(record)
    assert record.getMessage() == "said it"


def test_configure_twice_adds_one_filter() -> None:
    upper_layer.configure()
    upper_layer.configure()
    filters = logging.getLogger("pynetdicom.service_class").filters
    assert [type(each) for each in filters] == [upper_layer.WithoutMessages]
    assert _config.STORE_SEND_CHUNKED_DATASET is True
    assert _config.LOG_RESPONSE_IDENTIFIERS is False


def test_a_queue_rings_after_each_item() -> None:
    rung: list[int] = []
    ringing = RingingQueue(lambda: rung.append(ringing.qsize()))
    ringing.put("a")
    ringing.put("b")
    assert rung == [1, 2]


def test_a_full_queue_that_nobody_reads_drops_instead_of_blocking() -> None:
    ringing = RingingQueue(lambda: None, maxsize=1, alive=lambda: False)
    ringing.put("a")
    ringing.put("b")
    assert ringing.get_nowait() == "a"
    with pytest.raises(queue.Empty):
        ringing.get_nowait()


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_moves_no_timer(monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    timer = SteadyTimer(0.05)
    timer.start()
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + jump_s)
    assert not timer.expired
    time.sleep(0.06)
    assert timer.expired


def test_a_timer_that_is_stopped_late_is_not_expired_for_ever() -> None:
    timer = SteadyTimer(0.01)
    timer.start()
    time.sleep(0.02)
    assert timer.expired
    timer.stop()
    assert not timer.expired
    timer.restart()
    assert 0 < timer.remaining <= 0.01
    assert not SteadyTimer(None).expired
