"""The tables of statuses agree with the standard's, and every error has an answer."""

from __future__ import annotations

import inspect

import pytest
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from tbsnode import errors
from tbsnode.errors import (
    AnalysisError,
    DatabaseUnavailable,
    InstanceError,
    InvalidInstance,
    MismatchedInstance,
    NotFound,
    ResourceError,
    StorageFull,
    TbsNodeError,
    UnsupportedInstance,
)
from tbsnode.net import status
from tbsnode.reasons import Code, Finding


def an_instance_of(kind: type[TbsNodeError]) -> TbsNodeError:
    return kind(Finding(Code.NO_TEXTURE)) if issubclass(kind, AnalysisError) else kind("Doe^Jane, 1.2.3")


ALL_ERRORS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TbsNodeError)
]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnsupportedInstance(), 0x0122),
        (MismatchedInstance(keyword="SOPClassUID"), 0xA900),
        (MismatchedInstance(keyword="SOPInstanceUID"), 0xA900),
        (InvalidInstance(keyword="StudyInstanceUID"), 0xC000),
        (InvalidInstance(keyword="SOPInstanceUID"), 0x0117),
        (InvalidInstance(), 0xC000),
        (InstanceError(), 0xC000),
        (ResourceError(), 0xA700),
        (StorageFull(), 0xA700),
        (DatabaseUnavailable(), 0xA700),
        (NotFound(), 0x0110),
    ],
)
def test_each_error_has_its_status(error: TbsNodeError, expected: int) -> None:
    assert status.status_of(error)[0] == expected


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_answers_are_failures_of_the_storage_table_and_quote_nothing(kind: type[TbsNodeError]) -> None:
    code, comment = status.status_of(an_instance_of(kind))
    assert STORAGE_SERVICE_CLASS_STATUS[code][0] == "Failure"
    assert comment.isascii()
    assert 0 < len(comment) <= 64
    assert "Doe" not in comment
    assert "1.2.3" not in comment
    assert status.category(code) != "success"


def test_a_retryable_error_is_answered_so_that_the_sender_tries_again() -> None:
    for kind in ALL_ERRORS:
        if issubclass(kind, ResourceError):
            assert status.category(status.status_of(kind())[0]) == "out_of_resources"


def test_a_long_keyword_is_cut_and_a_strange_one_left_out() -> None:
    assert len(status.status_of(InvalidInstance(keyword="A" * 99))[1]) == 64
    assert status.status_of(InvalidInstance(keyword="Doe^Jane"))[1] == "Missing or invalid attribute"


@pytest.mark.parametrize(
    "name", [name for name in dir(status) if name.isupper() and not name.startswith("_")]
)
def test_each_constant_is_a_storage_status(name: str) -> None:
    value = getattr(status, name)
    if isinstance(value, int):
        assert value in STORAGE_SERVICE_CLASS_STATUS


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0x0000, "success"),
        (0x0001, "warning"),
        (0x0107, "warning"),
        (0x0111, "warning"),
        (0x0116, "warning"),
        (0xB000, "warning"),
        (0xB006, "warning"),
        (0xB007, "warning"),
        (0xBFFF, "warning"),
        (0x0110, "out_of_resources"),
        (0x0213, "out_of_resources"),
        (0xA700, "out_of_resources"),
        (0xA7FF, "out_of_resources"),
        (0xA800, "refused"),
        (0xA900, "refused"),
        (0xC000, "refused"),
        (0xC211, "refused"),
        (0x0117, "refused"),
        (0x0122, "refused"),
        (0x0124, "refused"),
        (0x1234, "refused"),
    ],
)
def test_what_a_peer_means(code: int, expected: str) -> None:
    assert status.category(code) == expected


def test_every_standard_status_is_described_and_never_mistaken_for_success() -> None:
    for code in STORAGE_SERVICE_CLASS_STATUS:
        assert status.describe(code).startswith(f"0x{code:04X} ")
        assert "Unknown" not in status.describe(code)
        ours = {"success": "Success", "warning": "Warning"}.get(status.category(code), "Failure")
        standard = code_to_category(code).replace("Cancel", "Failure")
        assert ours == ("Warning" if code == 0x0111 else standard), hex(code)


def test_a_status_of_no_table_is_shown_as_it_is() -> None:
    assert status.describe(0x1234) == "0x1234 Unknown status"
