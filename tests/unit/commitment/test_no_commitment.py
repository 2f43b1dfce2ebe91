"""Where commitment is not to be had: a query instead, or nothing; and what the queue shows of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tbsnode.pipeline import commitments
from tbsnode.store import queue, schema, work
from tests import commitment_peer, peers
from tests.unit.commitment.conftest import BOTH, PDF, SR, Bench, report
from tests.unit.store.conftest import IDENTITY

# ---- where it is not to be had -------------------------------------------------------------------


@pytest.fixture
def plain(bench: Bench) -> Iterator[commitment_peer.Pacs]:
    """A PACS without storage commitment, with queries."""
    with commitment_peer.pacs(commitment=False, find=True) as made:
        bench.destination = replace(bench.destination, port=made.port)
        yield made


def test_a_pacs_that_cannot_commit_is_asked_what_it_has(bench: Bench, plain: commitment_peer.Pacs) -> None:
    plain.stored = {"1.2.3.11": SR, "1.2.3.12": PDF}
    bench.deliver()
    row = bench.ask()
    assert (row.state, bench.delivery()) == ("verified", "sent")
    assert row.last_error == "it offers no storage commitment"
    assert {each.reason for each in row.instances} == {None}


def test_an_archive_may_index_what_it_has_just_taken(bench: Bench, plain: commitment_peer.Pacs) -> None:
    plain.stored = {"1.2.3.11": SR}
    bench.deliver()
    assert bench.ask().state == "queued"
    assert "does not show 1 of 2 instances yet" in bench.all()[-1].last_error
    plain.stored["1.2.3.12"] = PDF
    bench.hurry()
    assert bench.ask().state == "verified"


def test_what_no_query_shows_is_sent_again(bench: Bench, plain: commitment_peer.Pacs) -> None:
    plain.stored = {"1.2.3.11": SR}
    bench.deliver()
    for _ in range(3):
        bench.hurry()
        row = bench.ask()
    assert row.state == "failed"
    assert [each.reason for each in row.instances] == [None, 0x0112]
    assert bench.delivery() == "queued"
    assert row.sent_again


def test_neither_commitment_nor_query(bench: Bench) -> None:
    with commitment_peer.pacs(commitment=False) as made:
        bench.destination = replace(bench.destination, port=made.port)
        bench.deliver()
        row = bench.ask()
    assert (row.state, bench.delivery()) == ("unconfirmed", "sent")
    assert "does not offer Study Root queries" in row.last_error


def test_a_refused_request_is_not_repeated(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    pacs.statuses, pacs.stored = [0x0124], {"1.2.3.11": SR, "1.2.3.12": PDF}
    bench.deliver()
    row = bench.ask()
    assert row.state == "verified"
    assert row.last_error == "it refuses the request (0x0124 Refused: not authorized)"


@pytest.mark.parametrize("status", [0x0110, 0x0213])
def test_a_busy_pacs_is_asked_again_for_the_same(
    bench: Bench, pacs: commitment_peer.Pacs, status: int
) -> None:
    pacs.statuses = [status]
    bench.deliver()
    row = bench.ask()
    assert (row.state, row.tries) == ("queued", 1)
    bench.hurry()
    assert bench.ask().state == "waiting"
    assert [str(each.TransactionUID) for each in pacs.requests] == 2 * [row.transaction_uid]


def test_an_unreachable_pacs_is_waited_for_until_the_deadline(bench: Bench) -> None:
    bench.destination = replace(bench.destination, port=peers.free_port())
    bench.deliver()
    row = bench.ask()
    assert row.state == "queued"
    assert "commitment.postponed" in bench.told()[-1]
    assert "again in 30 s" in bench.told()[-1]
    with bench.database.transaction() as tx:
        tx.execute(schema.commitment.update().values(deadline=tx.now))
    bench.hurry()
    assert bench.ask().state == "unconfirmed"
    assert bench.delivery() == "sent"


def test_a_permanent_rejection_ends_it(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    pacs.ae.require_calling_aet = ["OTHER"]
    bench.deliver()
    assert bench.ask().state == "unconfirmed"


def test_what_is_switched_off_is_not_asked_for(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    bench.destination = replace(bench.destination, commitment=False)
    assert bench.ask().state == "cancelled"
    assert pacs.requests == []


def test_a_void_ticket_asks_nothing(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    (ticket,) = bench.take()
    with bench.database.transaction() as tx:
        work.postpone(tx, ticket, delay_s=0.0, error="lost")
    bench.take()
    commitments.ask(bench.site, ticket)
    assert pacs.requests == []


# ---- the queue -----------------------------------------------------------------------------------


def listed(bench: Bench, **chosen: Any) -> list[tuple[str, str]]:
    with bench.database.read() as tx:
        found = queue.rows(tx, **chosen)
    return [(row.id, row.state) for row in found if not row.id.startswith(("study", "delivery"))]


@BOTH
def test_the_queue_shows_the_newest_and_asks_again(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    first = bench.ask()
    assert listed(bench) == [("commitment/1", "waiting")]
    assert listed(bench, retriable=True) == []
    commitments.heard(bench.site, report(first, one=0x0213))
    assert listed(bench, retriable=True) == [("commitment/1", "failed")]
    with bench.database.transaction() as tx:
        assert queue.revive(tx, "commitment", 1, horizon_s=60.0) == IDENTITY.study_instance_uid
        assert queue.revive(tx, "commitment", 1, horizon_s=60.0) is None, "the newer one is the one"
    second = bench.ask()
    assert second.transaction_uid != first.transaction_uid
    assert listed(bench) == [("commitment/2", "waiting")]
    with bench.database.transaction() as tx:
        assert queue.counts(tx)["commitment:pacs"] == {"failed": 1, "waiting": 1}
        assert queue.cancel(tx, "commitment", 2) == IDENTITY.study_instance_uid
    assert listed(bench) == []
    bench.hurry()
    assert bench.take() == []


@BOTH
def test_one_that_waits_for_its_report_is_asked_again_where_it_is_named(
    bench: Bench, pacs: commitment_peer.Pacs
) -> None:
    bench.deliver()
    first = bench.ask()
    assert listed(bench, retriable=True) == [], "a retry of everything asks nobody twice"
    with bench.database.transaction() as tx:
        assert queue.revive(tx, "commitment", first.id, horizon_s=60.0) == IDENTITY.study_instance_uid
    second = bench.ask()
    assert second.transaction_uid != first.transaction_uid
    assert bench.states() == ["expired", "waiting"]


def test_a_paused_destination_is_not_asked(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    with bench.database.transaction() as tx:
        work.pause(tx, "deliver:pacs", by="test")
    assert bench.take() == []
    with bench.database.transaction() as tx:
        work.resume(tx, "deliver:pacs")
    assert len(bench.take()) == 1


@BOTH
def test_the_reconciler_finds_what_is_lost(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    (ticket,) = bench.take()
    with bench.database.read() as tx:
        (lost,) = work.at_work(tx, untouched_for_s=-1.0)
        assert work.study_uid_of(tx, lost) == IDENTITY.study_instance_uid
    assert lost.workflow_id == ticket.workflow_id == "commitment/1/1"
