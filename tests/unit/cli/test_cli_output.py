"""Options, logs and what commands print."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from dbos._logger import init_logger
from typer.testing import CliRunner

from tbsnode.cli import logs, options, output


class Color(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Record:
    name: str
    color: Color
    size: float | None
    made_at: float


RECORDS = (Record("a" * 150, Color.RED, 1.23456, 0.0), Record("b", Color.RED, None, 1.0))


def test_rows_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows(RECORDS, json_wanted=True, empty="none")
    printed = json.loads(capsys.readouterr().out)
    assert printed[0] == {"name": "a" * 150, "color": "red", "size": 1.23456, "made_at": 0.0}
    output.rows((), json_wanted=True, empty="none")
    assert json.loads(capsys.readouterr().out) == []


def test_rows_as_a_table_are_one_line_each_through_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows(RECORDS, json_wanted=False, empty="none")
    header, _, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "color", "size", "made"]
    assert first.split()[:3] == ["a" * 150, "red", "1.235"]
    assert second.split()[0] == "b"
    output.rows((), json_wanted=False, empty="none")
    assert capsys.readouterr().out == "none\n"


def test_json_knows_paths_and_times_and_refuses_the_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    output.as_json({"path": Path("a/b"), "at": datetime(2026, 1, 2, tzinfo=UTC)})
    assert json.loads(capsys.readouterr().out) == {"path": "a/b", "at": "2026-01-02T00:00:00+00:00"}
    with pytest.raises(TypeError, match="object"):
        output.as_json(object())


def test_moments() -> None:
    day = options.moment("2026-03-01")
    assert (day.year, day.month, day.day, day.tzinfo is not None) == (2026, 3, 1, True)
    before = datetime.now(UTC)
    ago = options.moment("2h") + timedelta(hours=2)
    assert before <= ago <= datetime.now(UTC)
    with pytest.raises(typer.BadParameter, match="30m, 2h, 7d"):
        options.moment("yesterday")


def listing(seen: list[Any]) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @options.unfold
    def command(
        name: Annotated[str, typer.Argument()] = "",
        *,
        filters: options.Filters,
        as_json: options.AsJson = False,
    ) -> None:
        seen.append((name, filters, as_json))

    return app


def test_a_dataclass_of_options_unfolds() -> None:
    seen: list[Any] = []
    arguments = [
        "N",
        "--since",
        "2026-03-01",
        "--patient",
        "A*",
        "--state",
        "done",
        "--scanner",
        "x",
        "--json",
    ]
    result = CliRunner().invoke(listing(seen), arguments)
    assert result.exit_code == 0, result.output
    ((name, filters, as_json),) = seen
    assert (name, as_json, filters.given) == ("N", True, True)
    chosen = filters.study_filter(limit=5)
    assert chosen.patient == "A*"
    assert chosen.state.value == "done"
    assert chosen.scanner == "x"
    assert chosen.limit == 5
    assert datetime.fromtimestamp(chosen.since, UTC) == filters.since
    assert chosen.until is None


def test_no_filter_and_a_wrong_one() -> None:
    seen: list[Any] = []
    CliRunner().invoke(listing(seen), [])
    CliRunner().invoke(listing(seen), ["--state", "lost"])
    assert not seen[0][1].given
    assert seen[0][1].study_filter() == options.Filters().study_filter()
    with pytest.raises(typer.BadParameter, match="receiving, queued"):
        seen[1][1].study_filter()
    assert CliRunner().invoke(listing(seen), ["--since", "soon"]).exit_code == 2


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], io.StringIO]:
    def configure(as_json: bool) -> io.StringIO:
        stream = io.StringIO()
        monkeypatch.setattr("sys.stderr", stream)
        logs.configure(level="info", as_json=as_json)
        logging.getLogger("tbsnode.x").info("stored", extra={"action": "instance.stored", "uid": "1.2"})
        logging.getLogger("tbsnode.x").debug("too much")
        logging.getLogger("pynetdicom").info("too much")
        logging.getLogger("pynetdicom.acse").error("said by us, with the remedy")
        return stream

    return configure


def test_log_for_a_collector(logged: Callable[[bool], io.StringIO]) -> None:
    (line,) = logged(True).getvalue().splitlines()
    entry = json.loads(line)
    assert entry["action"] == "instance.stored"
    assert entry["uid"] == "1.2"
    assert entry["level"] == "info"
    assert entry["message"] == "stored"
    assert datetime.fromisoformat(entry["at"]).tzinfo is not None


def test_log_for_people(logged: Callable[[bool], io.StringIO]) -> None:
    (line,) = logged(False).getvalue().splitlines()
    assert line.endswith("INFO    instance.stored: stored (uid=1.2)")


def test_text_of_others_begins_no_line_and_moves_no_cursor(
    logged: Callable[[bool], io.StringIO], capsys: pytest.CaptureFixture[str]
) -> None:
    """A peer's Error Comment, a UID of a command: as they came."""
    stream = logged(False)
    logging.getLogger("tbsnode").warning(
        "answered 0xC000: %s", "no\n2026 INFO forged\x9b2J\u2028", extra={"uid": "1\r"}
    )
    _, line, end = stream.getvalue().split("\n")
    assert end == ""
    assert line.endswith(r"no\n2026 INFO forged\x9b2J\u2028 (uid=1\r)")
    output.table(["last_error"], [["busy\nNow\x9b2J\u202e"]])
    assert r"busy\nNow\x9b2J\u202e" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("formatter", [logs.Sentences(), logs.JsonLines()])
def test_log_of_an_exception_has_its_traceback(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.getLogger("tbsnode").makeRecord(
            "tbsnode", logging.ERROR, __file__, 1, "went wrong", (), __import__("sys").exc_info()
        )
    assert "ValueError: why" in formatter.format(record)


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        (1792889999.0, "2026-10-25T02:59:59.000+02:00"),
        (1792890000.0625, "2026-10-25T02:00:00.062+01:00"),  # the clocks went back in that second
        (1792890000.9375, "2026-10-25T02:00:00.937+01:00"),
    ],
)
def test_a_line_says_when_to_the_millisecond_and_in_which_zone(
    monkeypatch: pytest.MonkeyPatch, created: float, expected: str
) -> None:
    record = logging.makeLogRecord({"created": created, "msecs": created % 1 * 1000})
    try:
        monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        logs._second.cache_clear()
        assert logs.Sentences().format(record).startswith(f"{expected} ")
        assert json.loads(logs.JsonLines().format(record))["at"] == expected
    finally:
        monkeypatch.undo()
        time.tzset()
        logs._second.cache_clear()


def test_configured_twice_logs_once(logged: Callable[[bool], io.StringIO]) -> None:
    logged(False)
    assert len(logged(False).getvalue().splitlines()) == 1


def test_the_job_engine_speaks_in_our_form_and_not_hundreds_of_times(
    logged: Callable[[bool], io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, engine = logged(True), logging.getLogger("dbos")
    began = len(stream.getvalue().splitlines())
    init_logger()  # what it does when it starts: it adds a handler where there is none
    clock = [1000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: clock[0])
    for number in range(300):
        engine.warning(
            "Database error, retrying: (psycopg.OperationalError) gone\nDETAIL: Key (name)=(Doe) %d", number
        )
    engine.error("Something else")
    clock[0] += 11.0
    engine.warning("Database error, retrying: (psycopg.OperationalError) back soon")
    entries = [json.loads(line) for line in stream.getvalue().splitlines()[began:]]
    assert [entry["message"] for entry in entries] == [
        "Database error, retrying: (psycopg.OperationalError) gone",
        "Something else",
        "Database error, retrying: (psycopg.OperationalError) back soon (299 more like it left out)",
    ]
    assert {entry["action"] for entry in entries} == {"engine"}


def test_the_job_engine_says_what_it_caught(logged: Callable[[bool], io.StringIO]) -> None:
    """It logs a whole traceback: the first line of that says nothing, the rest may quote a row."""
    stream, engine = logged(True), logging.getLogger("dbos")
    frames = 'Traceback (most recent call last):\n  File "a.py", line 1, in b\n    c()\n'
    engine.warning(f"Polling: {frames}psycopg.OperationalError: gone\nDETAIL: Key (name)=(Doe)\n[SQL: x]")
    engine.warning(f"Something: {frames}KeyboardInterrupt\n")
    messages = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert messages[-2:] == ["Polling: OperationalError", "Something: an error"]


def test_times_of_the_repeated_hour_of_autumn_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """In listings and in the story of a study: each time states its offset."""
    from tbsnode.pipeline.study_dates import local_time

    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        first, second = 1_792_888_200.0, 1_792_891_800.0  # 2026-10-25 00:30 and 01:30 UTC
        shown = [tell(at) for tell in (partial(output.cell, time=True), local_time) for at in (first, second)]
    time.tzset()
    assert shown == ["2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00"] * 2
