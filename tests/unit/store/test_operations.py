"""Bulk runs, retention and notices as statements: on SQLite always, on PostgreSQL where there is a server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from tbsnode.model import DeliveryState, StudyState
from tbsnode.store import bulk, catalogue, deliveries, notices, queue, readiness, retention, schema, work
from tbsnode.store.bulk import ItemState
from tbsnode.store.database import Database, Transaction
from tests import desk_results

AddStudy = Callable[..., int]


def rest(tx: Transaction, study_id: int, generation: int = 1) -> None:
    """Let a study be over with its first generation."""
    catalogue.update_study(
        tx, study_id, state=StudyState.DONE.value, generation=generation, ready_at=None, content_at=tx.now
    )


def take(tx: Transaction) -> list[work.Ticket]:
    return [ticket for ticket in work.take_due(tx, limit=10) if ticket.kind == "study"]


def ask(tx: Transaction, run_id: int, at_once: int = 10) -> bulk.Run:
    run = bulk.find(tx, run_id)
    assert run is not None
    bulk.ask(tx, run, at_once=at_once)
    asked = bulk.find(tx, run_id)
    assert asked is not None
    return asked


def finished(tx: Transaction, ticket: work.Ticket) -> None:
    work.start(tx, ticket)
    assert work.finish(tx, ticket, StudyState.DONE)


def test_a_run_moves_its_studies_once(database: Database, add_study: AddStudy) -> None:
    ids = [add_study(number) for number in (1, 2)]
    with database.transaction() as tx:
        for study_id in ids:
            rest(tx, study_id)
        run_id = bulk.create(tx, ids, shadow=False)
        assert ask(tx, run_id, at_once=1).counts == {ItemState.ASKED: 1, ItemState.WAITING: 1}
        assert ask(tx, run_id, at_once=1).counts == {ItemState.ASKED: 1, ItemState.WAITING: 1}
    with database.transaction() as tx:
        (ticket,) = take(tx)
        bulk.observe(tx, run_id)
        assert ask(tx, run_id, at_once=1).counts[ItemState.ASKED] == 1, "it is at work"
        finished(tx, ticket)
        bulk.observe(tx, run_id)
        assert ask(tx, run_id, at_once=1).counts == {ItemState.DONE: 1, ItemState.ASKED: 1}


def test_shadow_travels_with_the_generation_and_not_further(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        rest(tx, study_id)
        readiness.arm(tx, study_id, ready_at=tx.now, shadow=True)
        (ticket,) = take(tx)
        row = catalogue.study_by_id(tx, study_id)
        assert row is not None
        assert row.shadow
        readiness.arm(tx, study_id, ready_at=tx.now)  # an instance arrives meanwhile
        finished(tx, ticket)
        take(tx)
        row = catalogue.study_by_id(tx, study_id)
        assert row is not None
        assert not row.shadow


@pytest.mark.parametrize("again", [readiness.arm, readiness.settle])
def test_an_arrival_makes_a_waiting_comparison_ordinary(
    database: Database, add_study: AddStudy, again: Callable[..., None]
) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        rest(tx, study_id)
        readiness.arm(tx, study_id, ready_at=tx.now, shadow=True)
        again(tx, study_id, ready_at=tx.now)
        assert len(take(tx)) == 1
        row = catalogue.study_by_id(tx, study_id)
        assert row is not None
        assert not row.shadow


def test_compared_by_hand(database: Database, add_study: AddStudy) -> None:
    study_id, other = add_study(1), add_study(2)
    with database.transaction() as tx:
        rest(tx, study_id)
        rest(tx, other)
        desk_results.add(tx, study_id, score=1.25, content="a" * 64)
        run_id = bulk.create(tx, [study_id, other], shadow=True)
        ask(tx, run_id)
        for ticket in take(tx):
            finished(tx, ticket)
        desk_results.add(tx, study_id, score=1.30, generation=2, content="b" * 64, shadow=True)
        desk_results.add(tx, study_id, score=1.40, generation=2)  # signed later, in the same generation
        bulk.observe(tx, run_id)
        one, two = bulk.compared(tx, run_id)
    assert (one.state, one.score_before, one.score_after) == ("done", 1.25, 1.30)
    assert one.difference == pytest.approx(0.05)
    assert one.changed
    assert (two.state, two.score_before, two.difference, two.changed) == ("done", None, None, False)


def test_the_newest_run_is_found_and_none_where_there_is_none(database: Database) -> None:
    with database.transaction() as tx:
        assert bulk.find(tx) is None
        bulk.create(tx, [], shadow=False)
        newest = bulk.create(tx, [], shadow=True)
        found = bulk.find(tx)
    assert found is not None
    assert (found.id, found.shadow, found.total) == (newest, True, 0)


def test_candidates_obstacle_mark(database: Database, add_study: AddStudy) -> None:
    study_id, other = add_study(1), add_study(2)
    with database.transaction() as tx:
        rest(tx, study_id)
        (one, two) = retention.candidates(tx, retention.portion(tx, after=0), before=tx.now + 10.0)
        assert [one.id, two.id] == [study_id, other]
        assert (one.files, one.bytes) == (1, 1000)
        assert retention.candidates(tx, [study_id, other], before=tx.now - 10.0) == ()
        assert retention.portion(tx, after=study_id) == (other,)
        assert retention.obstacle(tx, study_id, committing=(), signing=True) == ""
        assert retention.obstacle(tx, other, committing=(), signing=False) == "unfinished"
        paths = retention.mark(tx, study_id)
        assert len(paths) == 1
        names = dict.fromkeys(paths, study_id)
        assert retention.vouched(tx, names) == frozenset()
        assert retention.touched(tx, since=tx.now - 1.0, after=other - 1) == (other,)
        assert retention.touched(tx, since=tx.now + 1.0, after=0) == ()
        assert retention.gone(tx, [study_id, other]) == names
        assert [each.id for each in retention.candidates(tx, [study_id, other])] == [other]
        assert not bulk.has_images(tx, study_id)
        assert catalogue.find_instances(tx, "1.2.1.4") == (), "if it comes again, it is new"


def test_what_was_given_up_once_keeps_no_files_when_a_newer_result_was_taken(
    database: Database, add_study: AddStudy
) -> None:
    """A delivery that was cancelled, and one whose commitment failed, kept them for ever."""
    study_id = add_study(1)

    def deliver(state: DeliveryState, *, failed_commitment: bool = False) -> int:
        result = desk_results.add(tx, study_id)
        new = deliveries.NewDelivery(study_id=study_id, analysis_id=result, destination="pacs")
        row = deliveries.add_delivery(tx, new)
        values = {"state": state.value, "next_try_at": None}
        tx.execute(sa.update(schema.delivery).where(schema.delivery.c.id == row).values(**values))
        if failed_commitment:
            times = {"deadline": tx.now, "created_at": tx.now, "updated_at": tx.now}
            named = {"transaction_uid": f"2.25.{row}", "instances": [], "state": "failed"}
            tx.add(schema.commitment, delivery_ref=row, **named, **times)
        return row

    def why() -> str:
        return retention.obstacle(tx, study_id, committing=("pacs",), signing=False)

    with database.transaction() as tx:
        rest(tx, study_id)
        deliver(DeliveryState.CANCELLED)
        assert why() == "unsent"
        deliver(DeliveryState.SENT, failed_commitment=True)
        assert why() == "uncommitted"
        last = deliver(DeliveryState.COMMITTED)
        assert why() == ""
        first = sa.update(schema.delivery).where(schema.delivery.c.id < last)
        tx.execute(first.values(state=DeliveryState.RUNNING.value))
        assert why() == "unsent", "an older one is on its way"


def test_discard_gives_up_what_waits(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        readiness.arm(tx, study_id, ready_at=tx.now + 60)
        delivery_id = deliveries.add_delivery(
            tx,
            deliveries.NewDelivery(
                study_id=study_id, analysis_id=desk_results.add(tx, study_id), destination="pacs"
            ),
        )
        assert not retention.at_work(tx, study_id)
        retention.discard(tx, study_id)
        row = catalogue.study_by_id(tx, study_id)
        assert row is not None
        assert (row.state, row.ready_at) == (StudyState.HELD, None)
        assert deliveries.delivery_of(tx, delivery_id)["state"] == DeliveryState.SUPERSEDED.value


def test_what_a_worker_has_is_at_work(database: Database, add_study: AddStudy) -> None:
    """Nobody deletes its files: not even who gives it up."""
    study_id = add_study(1)
    with database.transaction() as tx:
        for state in StudyState:
            catalogue.update_study(tx, study_id, state=state.value)
            at_work = state in (StudyState.QUEUED, StudyState.RUNNING)
            assert retention.at_work(tx, study_id) == at_work, state


def test_a_cause_is_one_row_as_long_as_it_lasts(database: Database) -> None:
    cause = notices.Cause(kind="disk_low", subject="archive")
    with database.transaction() as tx:
        for _ in range(3):
            notices.note(tx, [cause], ["disk_low"])
        (one,) = notices.due(tx, "disk_low", interval_s=60.0)
        notices.told(tx, [one])
        notices.note(tx, [cause], ["disk_low"])
        assert notices.due(tx, "disk_low", interval_s=0.0) == ()
        notices.note(tx, [], ["disk_low"])
        notices.note(tx, [cause], ["disk_low"])
        assert notices.due(tx, "disk_low", interval_s=60.0) == (), "too soon after the last"
        (two,) = notices.due(tx, "disk_low", interval_s=0.0)
    assert two.id != one.id


def test_nothing_sent_is_about_what_waits(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        result = desk_results.add(tx, study_id)
        new = deliveries.NewDelivery(study_id=study_id, analysis_id=result, destination="pacs")
        deliveries.add_delivery(tx, new)
    with database.transaction() as tx:
        (cause,) = notices.unsent(tx, after_s=0.0)
        assert cause.subject == "pacs"
        assert notices.unsent(tx, after_s=60.0) == ()
        assert notices.unwell_deliveries(tx) == notices.unwell_studies(tx) == ()


def test_a_destination_that_gets_something_is_not_said_to_get_nothing(
    database: Database, add_study: AddStudy
) -> None:
    """A result waits for two hours, an hour is allowed; what was sent last, to whom and when, decides."""
    rows = []
    with database.transaction() as tx:
        waiting_since = tx.now - 7200.0
    for study_id in (add_study(1), add_study(2)):
        with database.transaction() as tx:
            result = desk_results.add(tx, study_id)
            new = deliveries.NewDelivery(study_id=study_id, analysis_id=result, destination="pacs")
            rows.append(deliveries.add_delivery(tx, new))
    with database.transaction() as tx:
        waits, sent = (sa.update(schema.delivery).where(schema.delivery.c.id == row) for row in rows)
        tx.execute(waits.values(created_at=waiting_since))
        for destination, ago_s, told in (
            ("pacs", 60.0, []),
            ("pacs", 7000.0, ["pacs"]),
            ("pacs", -365 * 86400.0, ["pacs"]),  # next year: the clock was wrong
            ("other", 60.0, ["pacs"]),
        ):
            values = {"state": DeliveryState.SENT.value, "updated_at": tx.now - ago_s}
            tx.execute(sent.values(destination=destination, **values))
            found = [cause.subject for cause in notices.unsent(tx, after_s=3600.0)]
            assert found == told, (destination, ago_s)


def test_cancellable_by_state(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        (row,) = queue.rows(tx)
        assert queue.is_cancellable(row)
        catalogue.update_study(tx, study_id, state=StudyState.RUNNING.value)
        (row,) = queue.rows(tx)
        assert not queue.is_cancellable(row)


def test_what_studies_waited_for_is_not_taken_for_their_work(database: Database, add_study: AddStudy) -> None:
    """After three hundred came at once, a reprocess of four minutes was said to take four hours."""
    studies = [add_study(number) for number in range(1, 41)]
    with database.transaction() as tx:
        came = tx.now - 3600.0
        for number, study_id in enumerate(studies, 1):
            result = desk_results.add(tx, study_id)
            done = sa.update(schema.analysis).where(schema.analysis.c.id == result)
            tx.execute(done.values(content_at=came, created_at=came + 2.0 * ((number + 1) // 2)))
        assert bulk.preview(tx, [1], workers=2).seconds_each == pytest.approx(2.0)
