"""What several threads want written goes into one transaction, and each gets its own answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, cast

import pytest

from tbsnode.errors import DatabaseUnavailable
from tbsnode.store import audit
from tbsnode.store.database import Database
from tbsnode.store.together import Together
from tbsnode.store.transaction import Transaction

THREADS = 4


class Line:
    """A writer that counts its transactions; the first waits until the others stand in line."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.fail_to_commit = False
        self.together = Together(self._transaction)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        done: list[str] = []
        if not self.sizes:
            self.sizes.append(0)
            ends = time.monotonic() + 10.0
            while len(self.together._waiting) < THREADS - 1 and time.monotonic() < ends:
                time.sleep(0.001)
            self.sizes.clear()
        yield cast("Transaction", done)
        if self.fail_to_commit and len(done) > 1:
            raise DatabaseUnavailable("no disk")
        self.sizes.append(len(done))

    def all(self, works: list[Callable[[Any], Any]]) -> list[Any]:
        """Let each thread ask for its work; return values or exceptions."""

        def ask(work: Callable[[Any], Any]) -> Any:
            try:
                return self.together.run(work)
            except (DatabaseUnavailable, ZeroDivisionError) as error:
                return error

        with ThreadPoolExecutor(THREADS) as threads:
            first = threads.submit(ask, works[0])
            while not self.sizes and not first.done():
                time.sleep(0.001)
            return [each.result() for each in (first, *(threads.submit(ask, one) for one in works[1:]))]


def writing(name: str) -> Callable[[list[str]], str]:
    def work(tx: list[str]) -> str:
        tx.append(name)
        return name

    return work


def failing(_: object) -> None:
    raise ZeroDivisionError


def test_who_waits_is_written_in_one_transaction_and_gets_its_own_value() -> None:
    line = Line()
    assert line.all([writing(name) for name in "abcd"]) == list("abcd")
    assert line.sizes == [1, 3]


def test_a_transaction_that_fails_fails_for_everybody_in_it() -> None:
    line = Line()
    line.fail_to_commit = True
    first, *others = line.all([writing(name) for name in "abcd"])
    assert first == "a"
    assert {str(each) for each in others} == {"no disk"}
    assert line.together.run(cast("Any", writing("e"))) == "e"


def test_a_bug_in_one_piece_is_answered_to_two_at_most_and_the_rest_is_written() -> None:
    line = Line()
    answers = line.all([writing("a"), failing, writing("c"), writing("d")])
    bugs = [each for each in answers if isinstance(each, ZeroDivisionError)]
    assert 1 <= len(bugs) <= 2  # whose turn it was gets it; the piece itself fails when it is its turn
    assert not line.together._waiting
    assert sum(line.sizes) == THREADS - len(bugs)


@pytest.mark.parametrize("raising", [False, True])
def test_what_was_answered_is_in_the_database_and_nothing_else(database: Database, raising: bool) -> None:
    def work(number: int) -> Callable[[Transaction], int]:
        def add(tx: Transaction) -> int:
            audit.add_event(tx, "test.together", str(number))
            if raising and number % 5 == 0:
                raise ZeroDivisionError
            return number

        return add

    answered: list[int] = []
    ready = threading.Barrier(THREADS)

    def ask(first: int) -> None:
        ready.wait()
        for number in range(first, 80, THREADS):
            with suppress(ZeroDivisionError):
                answered.append(database.together(work(number)))

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(ask, range(THREADS)))
    with database.read() as tx:
        events = audit.recent_events(tx, 100, audit.EventFilter(action="test.together"))
    assert sorted(int(each.text) for each in events) == sorted(answered)
    assert (len(answered) == 80) is not raising
