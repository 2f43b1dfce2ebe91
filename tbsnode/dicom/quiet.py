"""Keeps pydicom's warnings about other people's values away from our log.

Real senders write values that the standard forbids. pydicom warns about each, through `warnings`
and through its logger, and quotes the value, which may be a name. There is no way to ask it
quietly but its global settings, so they are changed only while it works for us, counted, because
several threads may be in here at once, and restored by the last one out.
"""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NoReturn

from pydicom import config
from pydicom.errors import BytesLengthException, InvalidDicomError

# what pydicom and its decoders raise over broken elements and pixels: whoever reads foreign bytes
# turns any of them into one refusal
UNREADABLE = (
    ArithmeticError, AssertionError, AttributeError, BytesLengthException, EOFError, InvalidDicomError,
    LookupError, MemoryError, NotImplementedError, RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip

_lock = Lock()
_LOGGER = logging.getLogger("pydicom")


class _State:
    users = 0
    reading = config.WARN
    level = logging.NOTSET
    filters: warnings.catch_warnings[None] | None = None


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Read tolerantly and without warnings while inside; all that pydicom raises is `UNREADABLE`.

    Catch that outside: what pydicom calls an OSError, with no number of the system's, leaves as a ValueError.
    """
    with _lock:
        _State.users += 1
        if _State.users == 1:
            _enter()
    try:
        yield
    except OSError as error:
        _raise_again(error)
    finally:
        with _lock:
            _State.users -= 1
            if _State.users == 0:
                _leave()


def _raise_again(error: OSError) -> NoReturn:
    """Tell a fault of the system from a broken element, about which pydicom raises an OSError too."""
    if error.errno is not None:
        raise error
    behind = error.__context__
    if isinstance(behind, OSError) and behind.errno is not None:
        raise behind  # pydicom's writer hides a full disk
    raise ValueError("pydicom gave up") from None  # its message may quote a value


def _enter() -> None:
    _State.reading = config.settings.reading_validation_mode
    _State.level = _LOGGER.level
    config.settings.reading_validation_mode = config.IGNORE
    _LOGGER.setLevel(logging.CRITICAL)
    _State.filters = warnings.catch_warnings(action="ignore")
    _State.filters.__enter__()


def _leave() -> None:
    config.settings.reading_validation_mode = _State.reading
    _LOGGER.setLevel(_State.level)
    if _State.filters is not None:
        _State.filters.__exit__(None, None, None)
        _State.filters = None
