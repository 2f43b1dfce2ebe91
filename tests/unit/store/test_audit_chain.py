"""The audit trail is sealed: what is changed, deleted or rewritten afterwards is found."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
import sqlalchemy as sa

from tbsnode.store import audit, audit_chain
from tbsnode.store.audit_chain import BATCH, START, Verdict
from tbsnode.store.database import Database
from tbsnode.store.schema import audit_seal, event


def tell(database: Database, count: int) -> None:
    with database.transaction() as tx:
        for number in range(count):
            audit.add_event(tx, "test.done", f"number {number}", data={"n": number, "uid": "1.2"})


def seal(database: Database, *, late: bool = False) -> int:
    with database.transaction() as tx:
        return audit_chain.seal(tx, late=late)


def verdict(database: Database, expect: str = "") -> Verdict:
    with database.read() as tx:
        return audit_chain.verify(tx, expect=expect)


def test_the_first_seal_is_that_of_a_pocket_calculator(database: Database) -> None:
    tell(database, 1)
    assert seal(database) == 1
    with database.read() as tx:
        found = tx.one(sa.select(event))
        assert found is not None
        stated = [START, found.id, found.at, "", "test.done", "number 0", {"n": 0, "uid": "1.2"}]
        by_hand = json.dumps(stated, sort_keys=True, separators=(",", ":"))
        assert tx.scalar(sa.select(audit_seal.c.digest)) == hashlib.sha256(by_hand.encode()).hexdigest()
    assert verdict(database).intact


def test_an_empty_trail_is_intact(database: Database) -> None:
    assert verdict(database) == Verdict(sealed=0, waiting=0, head=START, problems=())
    assert seal(database) == 0


def test_events_wait_and_are_sealed_in_batches(database: Database) -> None:
    tell(database, BATCH + 3)
    assert verdict(database).waiting == BATCH + 3
    assert [seal(database), seal(database), seal(database)] == [BATCH, 3, 0]
    found = verdict(database)
    assert (found.sealed, found.waiting, found.intact) == (BATCH + 3, 0, True)


def test_an_event_that_shows_late_is_sealed_after_its_successors(database: Database) -> None:
    """A long transaction commits an older number later; it is in the chain all the same.

    On SQLite, where one writes at a time, only a database that was moved there has such.
    """
    tell(database, 3)
    with database.transaction() as tx:
        middle = tx.all(sa.select(event).order_by(event.c.id))[1]
        tx.execute(sa.delete(event).where(event.c.id == middle.id))
    seal(database)
    with database.transaction() as tx:
        tx.execute(event.insert().values(**middle._mapping))
    assert seal(database, late=database.dialect == "sqlite") == 1
    assert verdict(database).intact


@pytest.mark.parametrize(
    "change",
    [{"text": "other"}, {"at": 1.0}, {"action": "x"}, {"study_instance_uid": "9"}, {"data": {"n": 7}}],
)
def test_a_changed_event_is_found_and_told_once(database: Database, change: dict[str, object]) -> None:
    tell(database, 5)
    seal(database)
    with database.transaction() as tx:
        third = tx.all(sa.select(event.c.id).order_by(event.c.id))[2].id
        tx.execute(sa.update(event).where(event.c.id == third).values(**change))
    (problem,) = verdict(database).problems
    assert (problem.number, problem.event_id, problem.what) == (3, third, "changed")


def test_what_is_changed_in_any_batch_is_found(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_chain, "BATCH", 2)
    tell(database, 5)
    audit_chain.catch_up(database)
    assert (verdict(database).sealed, verdict(database).waiting) == (5, 0)
    noted = verdict(database).head
    with database.transaction() as tx:
        last = tx.scalar(sa.select(sa.func.max(event.c.id)))
        tx.execute(sa.update(event).where(event.c.id == last).values(text="other"))
    assert [problem.event_id for problem in verdict(database, noted).problems] == [last]
    assert verdict(database, noted).expected_found


def test_a_deleted_event_is_found(database: Database) -> None:
    tell(database, 5)
    seal(database)
    with database.transaction() as tx:
        last = tx.scalar(sa.select(sa.func.max(event.c.id)))
        tx.execute(sa.delete(event).where(event.c.id == last))
    (problem,) = verdict(database).problems
    assert (problem.event_id, problem.what) == (last, "deleted")


def test_a_missing_seal_is_found(database: Database) -> None:
    tell(database, 5)
    seal(database)
    with database.transaction() as tx:
        tx.execute(sa.delete(audit_seal).where(audit_seal.c.number == 3))
    told = [problem.what for problem in verdict(database).problems]
    assert told[:2] == ["seal missing", "changed"]
    assert told[2:] == ([] if database.dialect == "postgresql" else ["put in"]), "it may be sealed late there"


@pytest.mark.parametrize("old", [0, -7])
def test_an_event_put_in_among_sealed_ones_is_found(database: Database, old: int) -> None:
    tell(database, 5)
    seal(database)
    with database.transaction() as tx:
        last = tx.all(sa.select(event).order_by(event.c.id))[-1]
        tx.execute(event.insert().values({**last._mapping, "id": old, "text": "never happened"}))
    assert seal(database) == 0, "or it would become true"
    (problem,) = (found := verdict(database)).problems
    assert (problem.number, problem.event_id, problem.what) == (0, old, "put in")
    assert found.waiting == 0
    assert not found.intact


def test_an_event_put_into_a_gap_is_found_where_none_can_be_late(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_chain, "LATE", 2)
    tell(database, 6)
    with database.transaction() as tx:
        second = tx.all(sa.select(event).order_by(event.c.id))[1]
        tx.execute(sa.delete(event).where(event.c.id == second.id))
    seal(database)
    assert verdict(database).intact
    with database.transaction() as tx:
        tx.execute(event.insert().values(**second._mapping))
    assert seal(database) == 0
    assert [(problem.event_id, problem.what) for problem in verdict(database).problems] == [
        (second.id, "put in")
    ]


def test_a_head_noted_earlier_stays_in_the_chain_and_shows_a_rewriting(database: Database) -> None:
    tell(database, 3)
    seal(database)
    noted = verdict(database).head
    tell(database, 3)
    seal(database)
    assert verdict(database, noted).intact
    # somebody who owns the database cuts the trail and seals it anew
    with database.transaction() as tx:
        tx.execute(sa.delete(audit_seal))
        first = tx.scalar(sa.select(sa.func.min(event.c.id)))
        tx.execute(sa.delete(event).where(event.c.id == first))
    seal(database)
    assert verdict(database).intact
    assert verdict(database, noted).expected_found is False
    assert not verdict(database, noted).intact


def test_two_that_seal_at_once_make_one_chain(database: Database) -> None:
    tell(database, 4)
    if database.dialect == "postgresql":
        with database.transaction() as one:
            assert audit_chain.seal(one) == 4
            with database.transaction() as other:
                assert audit_chain.seal(other) == 0
    else:
        seal(database)
    assert seal(database) == 0
    assert verdict(database).sealed == 4


def test_events_are_filtered(database: Database) -> None:
    tell(database, 2)
    with database.transaction() as tx:
        audit.add_event(tx, "review.accepted", "signed", study_instance_uid="1.9")
        later = tx.now + 1
        tx.execute(sa.update(event).where(event.c.action == "review.accepted").values(at=later + 1))
    with database.read() as tx:
        wanted = [
            audit.EventFilter(action="review."),
            audit.EventFilter(study_instance_uid="1.9"),
            audit.EventFilter(since=later),
            audit.EventFilter(until=later),
            audit.EventFilter(since=later + 1),  # that moment is within, as an end it is not
            audit.EventFilter(until=later + 1),
            audit.EventFilter(action="review_"),  # a letter like any other
        ]
        counts = [len(audit.recent_events(tx, 10, each)) for each in wanted]
    assert counts == [1, 1, 1, 2, 1, 2, 0]


def test_purged_studies_are_told_whole_a_portion_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup leaves out what was deleted on purpose: each one missed is restored."""
    monkeypatch.setattr(audit, "_PORTION", 3)
    with database.transaction() as tx:
        for number in range(7):
            audit.add_event(tx, audit.PURGED, "deleted", study_instance_uid=f"1.{number}")
            audit.add_event(tx, "review.accepted", "signed", study_instance_uid="1.9")
    assert list(audit.purged_studies(database)) == [f"1.{number}" for number in range(7)]


@pytest.mark.peer
def test_sealing_does_not_pass_over_what_was_sealed_long_ago(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL read every seal of all years, and did so every 5 s."""
    monkeypatch.setattr(audit_chain, "LATE", 2000)
    database = Database(postgres_url)
    database.upgrade()
    numbers = "FROM generate_series(1, 30000) AS n"
    with database.transaction() as tx:
        columns = "tbs_event (at, study_instance_uid, action, text, data)"
        tx.execute(sa.text(f"INSERT INTO {columns} SELECT n, '', 'x', 'x', '{{}}' {numbers}"))
        columns = "tbs_audit_seal (number, event_ref, digest, sealed_at)"
        tx.execute(sa.text(f"INSERT INTO {columns} SELECT n, n, '', 0 {numbers}"))
        tx.execute(sa.text("ANALYZE tbs_event, tbs_audit_seal"))
        asked = audit_chain._unsealed(tx).compile(tx.connection, compile_kwargs={"literal_binds": True})
        plan = "\n".join(row[0] for row in tx.all(sa.text(f"EXPLAIN (ANALYZE, TIMING OFF) {asked}")))
    database.dispose()
    assert max(int(rows) for rows in re.findall(r"actual rows=(\d+)", plan)) <= 2000, plan
    assert "Rows Removed by Filter" not in plan
