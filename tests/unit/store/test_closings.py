"""Ended associations: written soon and together, also after the database was away, also at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from tbsnode.errors import DatabaseUnavailable
from tbsnode.pipeline import closings
from tbsnode.pipeline.closings import Closings, Ended
from tbsnode.store import readiness, schema
from tbsnode.store.database import Database
from tbsnode.store.transaction import Transaction
from tests import peers
from tests.unit.store.conftest import AddStudy
from tests.unit.store.test_work import arm, open_association, ready_in


def outcomes(database: Database) -> dict[str, str]:
    with database.read() as tx:
        rows = tx.all(sa.select(schema.association.c.id, schema.association.c.outcome))
    return {row.id: row.outcome for row in rows}


def opened(database: Database, *names: str) -> None:
    with database.transaction() as tx:
        for name in names:
            who = readiness.OpenAssociation(id=name, receiver="r", caller="DXA", host="127.0.0.1")
            readiness.open_association(tx, who)


def released(name: str) -> Ended:
    return Ended(association_id=name, outcome="released", after_release_s=2.0)


def test_they_are_written_together_and_the_wait_counts_from_the_release(
    database: Database, add_study: AddStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closings, "_GATHER_S", 0.5)
    study_id = add_study(1)
    arm(database, study_id, in_s=100)
    open_association(database, "a", study_id)
    opened(database, "b", "c")
    transactions: list[float] = []
    counted = Database.transaction

    @contextmanager
    def counting(self: Database) -> Iterator[Transaction]:
        transactions.append(time.monotonic())
        with counted(self) as tx:
            yield tx

    monkeypatch.setattr(Database, "transaction", counting)
    writing = Closings(database)
    writing.start()
    for name in ("a", "b", "c"):
        writing.add(released(name))
    peers.wait_until(lambda: set(outcomes(database).values()) == {"released"}, "all to be written")
    assert len(transactions) == 1
    assert (ready_in(database, study_id) or 99) < 1.7, "0.5 s of the 2 s are over"
    writing.stop()


def test_the_end_waits_for_no_gathering_and_loses_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closings, "_GATHER_S", 60.0)
    opened(database, "a", "b")
    writing = Closings(database)
    writing.start()
    writing.add(released("a"))
    writing.add(Ended(association_id="b", outcome="aborted", after_release_s=2.0))
    began = time.monotonic()
    writing.stop()
    assert time.monotonic() - began < 30.0
    assert outcomes(database) == {"a": "released", "b": "aborted"}


def test_a_database_that_was_away_gets_them_later(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(closings, "_AGAIN_S", 0.05)
    opened(database, "a")
    writing = Closings(database)
    with monkeypatch.context() as away:
        away.setattr(Database, "transaction", _away)
        writing.start()
        writing.add(released("a"))
        peers.wait_until(lambda: "not noted yet" in caplog.text, "the attempt to fail")
        assert outcomes(database) == {"a": ""}
    peers.wait_until(lambda: outcomes(database) == {"a": "released"}, "it to be written after all")
    writing.stop()


def test_a_database_that_stays_away_holds_up_no_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "transaction", _away)
    writing = Closings(database)
    writing.start()
    writing.add(released("a"))
    began = time.monotonic()
    writing.stop()
    assert time.monotonic() - began < 5.0


@contextmanager
def _away(self: Database) -> Iterator[Transaction]:
    raise DatabaseUnavailable
    yield
