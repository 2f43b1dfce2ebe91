"""Tickets: a row is taken once, worked on by whoever holds its newest ticket, and never lost."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from tbsnode.model import DeliveryState, StudyState
from tbsnode.store import catalogue, deliveries, queue, readiness, schema, work
from tbsnode.store.database import Database
from tests.unit.store.conftest import IDENTITY, ORIGIN, AddStudy, kept


def arm(database: Database, study_id: int, *, in_s: float = 0.0) -> None:
    with database.transaction() as tx:
        readiness.arm(tx, study_id, ready_at=tx.now + in_s)


def take(database: Database) -> list[work.Ticket]:
    with database.transaction() as tx:
        return work.take_due(tx, limit=10)


def state_of(database: Database, study_id: int) -> tuple[StudyState, int, int]:
    with database.read() as tx:
        row = catalogue.study_by_id(tx, study_id)
    assert row is not None
    return row.state, row.generation, row.attempt


def test_a_due_study_becomes_one_ticket_of_a_new_generation(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    arm(database, study_id)
    (ticket,) = take(database)
    assert ticket.workflow_id == f"study/{study_id}/1"
    assert state_of(database, study_id) == (StudyState.QUEUED, 1, 1)
    assert take(database) == []


def test_a_study_whose_time_has_not_come_is_left(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    arm(database, study_id, in_s=60)
    with database.read() as tx:
        assert not work.is_due(tx)
    assert take(database) == []
    assert state_of(database, study_id) == (StudyState.RECEIVING, 0, 0)


def test_a_late_instance_waits_until_the_running_generation_is_over(
    database: Database, add_study: AddStudy
) -> None:
    study_id = add_study(1)
    arm(database, study_id)
    (first,) = take(database)
    with database.transaction() as tx:
        assert work.start(tx, first)
    arm(database, study_id)
    assert state_of(database, study_id)[0] is StudyState.RUNNING
    assert take(database) == []
    with database.transaction() as tx:
        assert work.finish(tx, first, StudyState.DONE)
    (second,) = take(database)
    assert (second.attempt, state_of(database, study_id)) == (2, (StudyState.QUEUED, 2, 2))


def test_a_postponed_study_keeps_its_generation(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    arm(database, study_id)
    (first,) = take(database)
    with database.transaction() as tx:
        assert work.start(tx, first)
        assert work.postpone(tx, first, delay_s=-1, error="the disk was full")
    (second,) = take(database)
    assert (second.attempt, state_of(database, study_id)[1]) == (2, 1)
    with database.read() as tx:
        assert work.tries_of(tx, second) == 2


def test_a_void_ticket_changes_nothing(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    arm(database, study_id)
    (old,) = take(database)
    with database.transaction() as tx:
        work.postpone(tx, old, delay_s=-1, error="its worker died")
    (new,) = take(database)
    with database.transaction() as tx:
        assert not work.start(tx, old)
        assert not work.finish(tx, old, StudyState.DONE)
        assert not work.postpone(tx, old, delay_s=0, error="late")
        assert work.start(tx, new)
    assert state_of(database, study_id)[0] is StudyState.RUNNING


def test_a_ticket_ends_once(database: Database, add_study: AddStudy) -> None:
    """A frozen worker that comes back finds the row done by the one that took over."""
    study_id = add_study(1)
    arm(database, study_id)
    (ticket,) = take(database)
    with database.transaction() as tx:
        assert work.start(tx, ticket)
        assert work.start(tx, ticket), "taken over after a crash: the same ticket starts again"
        assert work.finish(tx, ticket, StudyState.DONE)
    with database.transaction() as tx:
        assert not work.finish(tx, ticket, StudyState.FAILED)
    assert state_of(database, study_id)[0] is StudyState.DONE


def test_scanners_at_once_take_each_row_once(database: Database, add_study: AddStudy) -> None:
    for number in range(1, 31):
        arm(database, add_study(number))
    taken: list[work.Ticket] = []
    lock = threading.Lock()

    def scan() -> None:
        while tickets := take(database):
            with lock:
                taken.extend(tickets)

    threads = [threading.Thread(target=scan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ticket.row_id for ticket in taken) == sorted({ticket.row_id for ticket in taken})
    assert len(taken) == 30


def test_a_paused_queue_gives_no_tickets(database: Database, add_study: AddStudy) -> None:
    arm(database, add_study(1))
    with database.transaction() as tx:
        work.pause(tx, work.ANALYZE_QUEUE, by="test")
    assert take(database) == []
    with database.transaction() as tx:
        assert work.paused_queues(tx) == (work.ANALYZE_QUEUE,)
        work.resume(tx, work.ANALYZE_QUEUE)
    assert len(take(database)) == 1


def test_what_is_out_for_long_is_the_reconcilers(database: Database, add_study: AddStudy) -> None:
    arm(database, add_study(1))
    tickets = take(database)
    with database.read() as tx:
        assert work.at_work(tx, untouched_for_s=60) == []
        assert work.at_work(tx, untouched_for_s=-1) == tickets


@pytest.mark.peer
def test_a_row_that_another_transaction_has_is_not_waited_for(postgres_url: str) -> None:
    """On PostgreSQL; on SQLite a write transaction is alone."""
    database = Database(postgres_url)
    database.upgrade()
    with database.transaction() as tx:
        study_id = catalogue.add_instance(tx, IDENTITY, kept(IDENTITY), ORIGIN).study_ref
    ticket = work.Ticket("study", study_id, 1, work.ANALYZE_QUEUE)
    with database.transaction() as first, database.transaction() as second:
        assert work.can_lock(first, ticket)
        assert not work.can_lock(second, ticket)
    database.dispose()


@pytest.mark.peer
def test_the_server_ends_a_frozen_transaction(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.engine.connect() as connection:
        limit = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
    database.dispose()
    assert limit == "20s"


def test_a_lease_lives_as_long_as_it_says(database: Database) -> None:
    with database.transaction() as tx:
        work.renew_lease(tx, "alive", ttl_s=60)
        work.renew_lease(tx, "dead", ttl_s=-1)
    with database.transaction() as tx:
        assert work.live_executors(tx) == {"alive"}
        work.end_lease(tx, ["alive"])
    with database.read() as tx:
        assert work.live_executors(tx) == frozenset()


def test_a_worker_of_last_year_is_forgotten(database: Database) -> None:
    lease = schema.executor_lease
    with database.transaction() as tx:
        for name in ("of today", "of last year"):
            work.renew_lease(tx, name, ttl_s=60)
        old = lease.update().where(lease.c.executor_id == "of last year")
        tx.execute(old.values(expires_at=tx.now - 365 * 86400))
        work.renew_lease(tx, "another", ttl_s=60)
        assert {row.executor_id for row in tx.all(lease.select())} == {"of today", "another"}


# ---- associations ------------------------------------------------------------------------------


def ready_in(database: Database, study_id: int) -> float | None:
    with database.read() as tx:
        row = catalogue.study_by_id(tx, study_id)
        assert row is not None
        return None if row.ready_at is None else row.ready_at - tx.now


def open_association(database: Database, name: str, study_id: int, receiver: str = "r") -> None:
    """Open an association that brought the study's instance."""
    with database.transaction() as tx:
        readiness.open_association(
            tx, readiness.OpenAssociation(id=name, receiver=receiver, caller="DXA", host="127.0.0.1")
        )
        (instance,) = catalogue.instances_of_study(tx, study_id)
        tx.execute(
            schema.instance.update().where(schema.instance.c.id == instance.id).values(association_id=name)
        )


@pytest.mark.parametrize(("outcome", "shortened"), [("released", True), ("aborted", False)])
def test_a_release_shortens_and_an_abort_does_not(
    database: Database, add_study: AddStudy, outcome: str, shortened: bool
) -> None:
    study_id = add_study(1)
    arm(database, study_id, in_s=100)
    open_association(database, "a", study_id)
    with database.transaction() as tx:
        readiness.close_association(tx, "a", outcome=outcome, after_release_s=2)
    left = ready_in(database, study_id)
    assert left is not None
    assert (left < 3) is shortened


def test_a_lost_association_rearms_what_it_brought(database: Database, add_study: AddStudy) -> None:
    mine, other = add_study(1), add_study(2)
    for study_id, name, receiver in ((mine, "a", "r"), (other, "b", "another")):
        arm(database, study_id, in_s=1)
        open_association(database, name, study_id, receiver)
    with database.transaction() as tx:
        assert readiness.forget_associations(tx, receiver="r", quiet_s=50) == 1
    assert (ready_in(database, mine) or 0) > 40
    assert (ready_in(database, other) or 0) < 2


# ---- deliveries --------------------------------------------------------------------------------


def queue_delivery(database: Database, study_id: int, analysis_id: int, destination: str = "pacs") -> int:
    with database.transaction() as tx:
        return deliveries.add_delivery(
            tx,
            deliveries.NewDelivery(study_id=study_id, analysis_id=analysis_id, destination=destination),
        )


def delivery_state(database: Database, delivery_id: int) -> str:
    with database.read() as tx:
        return str(deliveries.delivery_of(tx, delivery_id)["state"])


@pytest.fixture
def analysis_id(database: Database, add_study: AddStudy) -> int:
    """A row of `tbs_analysis` of study 1."""
    study_id = add_study(1)
    with database.transaction() as tx:
        return tx.add(
            schema.analysis,
            study_ref=study_id,
            generation=1,
            status="scored",
            version="0",
            result={},
            created_at=tx.now,
        )


def test_a_newer_result_replaces_what_was_not_sent(
    database: Database, analysis_id: int, add_study: AddStudy
) -> None:
    old = queue_delivery(database, 1, analysis_id)
    elsewhere = queue_delivery(database, 1, analysis_id, "other")
    new = queue_delivery(database, 1, analysis_id)
    assert delivery_state(database, old) == DeliveryState.SUPERSEDED.value
    assert delivery_state(database, elsewhere) == DeliveryState.QUEUED.value
    assert {ticket.row_id for ticket in take(database)} == {elsewhere, new}


def test_one_destination_is_paused_and_not_the_other(database: Database, analysis_id: int) -> None:
    queue_delivery(database, 1, analysis_id)
    other = queue_delivery(database, 1, analysis_id, "other")
    with database.transaction() as tx:
        work.pause(tx, work.deliver_queue("pacs"), by="test")
    (ticket,) = take(database)
    assert (ticket.row_id, ticket.queue) == (other, "deliver:other")


def test_the_last_answer_counts(database: Database, analysis_id: int) -> None:
    delivery_id = queue_delivery(database, 1, analysis_id)
    for outcome in ("out_of_resources", "success"):
        with database.transaction() as tx:
            deliveries.record_item(
                tx, delivery_id, kind="sr", sop_class_uid="1.2", sop_instance_uid="1.2.3", outcome=outcome
            )
    with database.read() as tx:
        assert deliveries.answered(tx, delivery_id) == {"1.2.3": deliveries.Answer("sr", "success")}


def test_a_retry_makes_failed_and_waiting_work_due(database: Database, analysis_id: int) -> None:
    delivery_id = queue_delivery(database, 1, analysis_id)
    (ticket,) = take(database)
    with database.transaction() as tx:
        work.start(tx, ticket)
        work.postpone(tx, ticket, delay_s=3600, error="connection refused")
    assert take(database) == []
    with database.read() as tx:
        assert [row.id for row in queue.rows(tx, retriable=True)] == [f"delivery/{delivery_id}"]
    with database.transaction() as tx:
        assert queue.revive(tx, "delivery", delivery_id, horizon_s=60) == "1.2.1"
    (again,) = take(database)
    with database.transaction() as tx:
        work.finish(tx, again, DeliveryState.SENT)
    with database.transaction() as tx:
        assert queue.revive(tx, "delivery", delivery_id, horizon_s=60) is None, "it was sent"
        assert queue.cancel(tx, "delivery", delivery_id) is None
        assert queue.rows(tx, queue="deliver:pacs") == ()


@pytest.mark.parametrize(
    ("ended", "left"),
    [
        (DeliveryState.SENT, DeliveryState.SENT),
        (DeliveryState.PARTIAL, DeliveryState.PARTIAL),
        (DeliveryState.REFUSED, DeliveryState.CANCELLED),
    ],
)
def test_a_delivery_cancelled_while_it_is_tried_is_not_tried_again_and_what_was_stored_is_told(
    database: Database, analysis_id: int, ended: DeliveryState, left: DeliveryState
) -> None:
    delivery_id = queue_delivery(database, 1, analysis_id)
    (ticket,) = take(database)
    with database.transaction() as tx:
        work.start(tx, ticket)
    with database.transaction() as tx:
        assert queue.cancel(tx, "delivery", delivery_id) == "1.2.1"
    with database.transaction() as tx:
        work.finish(tx, ticket, ended)
    assert delivery_state(database, delivery_id) == left.value
    assert take(database) == []


def test_a_delivery_cancelled_while_it_is_sent_runs_to_its_end_and_a_newer_one_waits_for_it(
    database: Database, analysis_id: int
) -> None:
    """The newer one started beside it, and the older result could arrive last."""
    older = queue_delivery(database, 1, analysis_id)
    (first,) = take(database)
    with database.transaction() as tx:
        work.start(tx, first)
    with database.transaction() as tx:
        assert queue.cancel(tx, "delivery", older) == "1.2.1"
    assert delivery_state(database, older) == "running"
    queue_delivery(database, 1, analysis_id)
    (second,) = take(database)
    with database.transaction() as tx:
        assert deliveries.another_at_work(tx, second, 1, "pacs")
        assert not work.postpone(tx, first, delay_s=-1, error="unreachable")
        assert not deliveries.another_at_work(tx, second, 1, "pacs")
    assert delivery_state(database, older) == "cancelled"


def test_a_delivery_cancelled_while_it_is_sent_is_not_begun_again_when_its_worker_dies(
    database: Database, analysis_id: int
) -> None:
    delivery_id = queue_delivery(database, 1, analysis_id)
    (ticket,) = take(database)
    with database.transaction() as tx:
        work.start(tx, ticket)
        queue.cancel(tx, "delivery", delivery_id)
    with database.transaction() as tx:
        assert not work.start(tx, ticket)
    assert delivery_state(database, delivery_id) == "cancelled"
    with database.transaction() as tx:
        assert queue.revive(tx, "delivery", delivery_id, horizon_s=60) == "1.2.1"
    (again,) = take(database)
    with database.transaction() as tx:
        assert work.start(tx, again), "who retries it wants it again"


def test_only_a_delivery_is_given_up_by_its_own_ticket(database: Database, analysis_id: int) -> None:
    """A study of the same number is another row."""
    delivery_id = queue_delivery(database, 1, analysis_id)
    (ticket,) = take(database)
    with database.transaction() as tx:
        work.start(tx, ticket)
        queue.cancel(tx, "delivery", delivery_id)
        assert not work.start(tx, replace(ticket, kind="study"))
    assert delivery_state(database, delivery_id) == "running"


def test_a_retry_is_about_the_newest_delivery_of_a_study_to_a_destination(
    database: Database, analysis_id: int, add_study: AddStudy
) -> None:
    """Retried, an older one would bring an older result after the newer one."""
    add_study(2)
    rows = {}
    for name, study_id, destination in (
        ("older", 1, "pacs"),
        ("elsewhere", 1, "other"),
        ("of another study", 2, "pacs"),
        ("newer", 1, "pacs"),
    ):
        rows[name] = queue_delivery(database, study_id, analysis_id, destination)
    with database.transaction() as tx:
        tx.execute(schema.delivery.update().values(state=DeliveryState.FAILED.value))
    with database.read() as tx:
        retriable = {row.id for row in queue.rows(tx, retriable=True) if row.id.startswith("delivery")}
        assert len(queue.rows(tx, state="failed")) == 4, "each is still listed"
    assert retriable == {f"delivery/{rows[name]}" for name in rows if name != "older"}


def test_cancelled_work_stays_cancelled_until_it_is_retried(database: Database, analysis_id: int) -> None:
    delivery_id = queue_delivery(database, 1, analysis_id)
    with database.transaction() as tx:
        assert queue.cancel(tx, "delivery", delivery_id) == "1.2.1"
    assert take(database) == []
    with database.read() as tx:
        assert queue.counts(tx)["deliver:pacs"] == {"cancelled": 1}


def test_counts_are_listed_by_name_on_any_database(database: Database, analysis_id: int) -> None:
    """The same work was listed in another order after a move to the other database."""
    for state in (DeliveryState.SENT, DeliveryState.CANCELLED, DeliveryState.COMMITTED):
        row = queue_delivery(database, 1, analysis_id)
        with database.transaction() as tx:
            tx.execute(schema.delivery.update().where(schema.delivery.c.id == row).values(state=state.value))
    with database.read() as tx:
        assert list(queue.counts(tx)["deliver:pacs"]) == ["cancelled", "committed", "sent"]
