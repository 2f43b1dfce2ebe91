"""Settings are changed while reading, and restored by the last one out."""

from __future__ import annotations

import errno
import logging
import warnings
from pathlib import Path
from threading import Barrier, Thread

import pytest
from pydicom import config

from tbsnode.dicom.identity import read_identity
from tbsnode.dicom.quiet import UNREADABLE, quiet_pydicom
from tests import sources


def test_settings_are_restored() -> None:
    before = (
        config.settings.reading_validation_mode,
        logging.getLogger("pydicom").level,
        warnings.filters[:],
    )
    with quiet_pydicom():
        assert config.settings.reading_validation_mode == config.IGNORE
        with quiet_pydicom():
            pass
        assert config.settings.reading_validation_mode == config.IGNORE
    assert before == (
        config.settings.reading_validation_mode,
        logging.getLogger("pydicom").level,
        warnings.filters[:],
    )


def test_threads_that_overlap() -> None:
    before = config.settings.reading_validation_mode
    first_in, second_in, first_out = Barrier(2), Barrier(2), Barrier(2)
    seen = []

    def first() -> None:
        with quiet_pydicom():
            first_in.wait()
            second_in.wait()
        first_out.wait()

    def second() -> None:
        first_in.wait()
        with quiet_pydicom():
            second_in.wait()
            first_out.wait()
            seen.append(config.settings.reading_validation_mode)

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [config.IGNORE]
    assert config.settings.reading_validation_mode == before


def test_no_value_reaches_the_log(tmp_path: Path, caplog: object) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(sources.encoded(sources.spine()).replace(b"ISO_IR 100", b"ISO_IR 192"))
    with caplog.at_level(logging.DEBUG):  # type: ignore[attr-defined]
        read_identity(path)
    assert caplog.text == ""  # type: ignore[attr-defined]


def _write_fails(fault: Exception) -> None:
    """Fail as pydicom's writer of numbers does: every fault becomes an OSError that quotes the element."""
    try:
        raise fault
    except Exception as error:
        raise OSError(f"{error}\nfor data_element:\nDoe^Jane") from error


def test_what_pydicom_calls_an_error_of_the_system_is_a_broken_element() -> None:
    with pytest.raises(ValueError, match=r"^pydicom gave up$") as caught, quiet_pydicom():
        _write_fails(TypeError("no number"))
    assert isinstance(caught.value, UNREADABLE)
    assert caught.value.__suppress_context__, "no value reaches a log by way of the context"


def test_what_the_system_says_stays() -> None:
    with pytest.raises(FileNotFoundError), quiet_pydicom():
        Path("/no/such/file").read_bytes()
    full = OSError(errno.ENOSPC, "full")
    with pytest.raises(OSError, match="full") as caught, quiet_pydicom():
        _write_fails(full)
    assert caught.value is full
