"""The only place that configures logging: sentences for people, or JSON for a collector.

Modules log with ``extra={"action": ...}``, a stable word a program can match, and UIDs; nothing that
identifies a patient is ever an argument of a log call.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import time
from datetime import datetime
from functools import lru_cache
from typing import Any

from tbsnode.cli.plain import plain

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# they speak about bytes and statements, and hardly ever about what an operator can change
_QUIET = ("pynetdicom", "pydicom", "sqlalchemy", "alembic", "dbos", "PIL")

_JOB_ENGINE = "dbos"
_WHILE_S, _KIND_CHARACTERS, _MOST_KINDS = 10.0, 40, 100

_JSON = json.JSONEncoder(ensure_ascii=False, default=str)  # `json.dumps` would make one for each line

# what it says of a rejected association or a peer that is away, `net` says in words that name the peer
_SAID_BY_US = ("pynetdicom.acse", "pynetdicom.transport")


def configure(*, level: str, as_json: bool, libraries: str = "warning") -> None:
    """Log to standard error, once for the process; called again it replaces itself.

    Parameters
    ----------
    level : str
        ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``, for tbsnode's own loggers.
    as_json : bool
        One JSON object a line.
    libraries : str
        Level for what is not ours.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Sentences())
    root = logging.getLogger()
    root.handlers[:] = [one for one in root.handlers if not isinstance(one.formatter, JsonLines | Sentences)]
    root.addHandler(handler)
    root.setLevel(libraries.upper())
    logging.getLogger("tbsnode").setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(libraries.upper())
    _take_over(logging.getLogger(_JOB_ENGINE))
    for name in _SAID_BY_US:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
    # neither form of a line names the thread, nor the line of the code, which the stack is walked for
    logging.logThreads = False
    logging._srcfile = None  # as the logging HOWTO has it


def _take_over(logger: logging.Logger) -> None:
    """Let the job engine speak through our handler: it adds one of its own, unless there is one."""
    logger.handlers[:] = [logging.NullHandler()]
    logger.propagate = True
    logger.filters[:] = [_OnceInAWhile()]


_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception))(?=: |$)", re.MULTILINE)


def _first_line(text: str) -> str:
    """Return the first line; the class of an exception in place of the head of its traceback."""
    first = text.partition("\n")[0]
    if not first.endswith(_TRACEBACK):
        return first
    raised = _RAISED.findall(text.partition(_TRACEBACK)[2])
    return first.removesuffix(_TRACEBACK) + (raised[-1] if raised else "an error")


class _OnceInAWhile(logging.Filter):
    """Lets one line of a kind through in ten seconds, and of that its first line, which quotes no row.

    While the database is away the job engine complains hundreds of times a second, each time with the
    whole of the driver's message; what an operator needs, `tbsnode` says itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record; keep it if none like it was kept just now."""
        first = _first_line(record.getMessage().strip())
        kind, now = first[:_KIND_CHARACTERS], time.monotonic()
        since, left_out = self._kinds.get(kind, (-math.inf, 0))
        if now - since < _WHILE_S:
            self._kinds[kind] = (since, left_out + 1)
            return False
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        if record.exc_info and record.exc_info[0]:
            first += f" ({record.exc_info[0].__name__})"
        record.msg = f"{first} ({left_out} more like it left out)" if left_out else first
        record.args, record.exc_info, record.exc_text = None, None, None
        record.__dict__.setdefault("action", "engine")
        return True


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _at(record: logging.LogRecord) -> str:
    until_seconds, zone = _second(int(record.created))
    return f"{until_seconds}.{int(record.msecs):03d}{zone}"


@lru_cache(4)  # a receiver writes some hundred lines a second
def _second(second: int) -> tuple[str, str]:
    whole = datetime.fromtimestamp(second).astimezone().isoformat()
    return whole[:19], whole[19:]


class Sentences(logging.Formatter):
    """``time LEVEL action: sentence (name=value ...)``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the traceback below it where there is one."""
        extras = _extras(record)
        action = extras.pop("action", record.name)
        named = " ".join(f"{name}={value}" for name, value in extras.items() if value not in ("", None))
        line = f"{_at(record)} {record.levelname:<7} {action}: {record.getMessage()}"
        line = plain(f"{line} ({named})" if named else line)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object a line: at, level, logger, action, message, and every extra by its name."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        extras = _extras(record)
        entry = {
            "at": _at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "action": extras.pop("action", ""),
            "message": record.getMessage(),
            **extras,
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return _JSON.encode(entry)
