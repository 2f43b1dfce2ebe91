"""What a watcher is told after years: what is there now; not what was once, or was dated wrongly."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tbsnode.model import DeliveryState, StudyState
from tbsnode.store import deliveries, notices, observed, schema, work
from tbsnode.store.database import Database, Transaction
from tests import desk_results
from tests.unit.store.conftest import AddStudy

DAY_S = observed.DAY_S
YEAR_S = 365 * DAY_S


def move(tx: Transaction, table: sa.Table, row: int, **by_s: float) -> None:
    """Move times of one row."""
    values = {name: table.c[name] + seconds for name, seconds in by_s.items()}
    tx.execute(sa.update(table).where(table.c.id == row).values(**values))


def received(tx: Transaction, study_id: int, ago_s: float) -> None:
    """Let a study have come so long ago."""
    move(tx, schema.study, study_id, created_at=-ago_s)
    tx.execute(
        sa.update(schema.instance)
        .where(schema.instance.c.study_ref == study_id)
        .values(received_at=schema.instance.c.received_at - ago_s)
    )


def test_a_scanner_that_was_taken_out_of_service_is_not_watched_for_ever(
    database: Database, add_study: AddStudy
) -> None:
    retired, quiet, fetched, ahead = (
        add_study(number, manufacturer=name)
        for number, name in enumerate(("Retired", "Quiet", "Fetched", "Ahead"), 1)
    )
    with database.transaction() as tx:
        received(tx, retired, 61 * DAY_S)
        received(tx, quiet, 59 * DAY_S)
        received(tx, ahead, -YEAR_S)  # before the clock was set right
        prior = sa.update(schema.instance).where(schema.instance.c.study_ref == fetched)
        tx.execute(prior.values(fetched=True))
        seen = observed.last_received(tx)
        assert list(seen) == ["Quiet Densitometer 1 77"]
        assert round((tx.now - seen["Quiet Densitometer 1 77"]) / DAY_S) == 59


def test_a_study_that_is_analyzed_again_moves_no_median(database: Database, add_study: AddStudy) -> None:
    """A whole archive reprocessed today would stand for a scanner of today."""
    for number in range(20):
        study_id = add_study(number + 1)
        with database.transaction() as tx:
            recent = number < 10
            received(tx, study_id, (1 if recent else 90) * DAY_S)
            desk_results.add(tx, study_id, score=1.3 if recent else 1.2)
            desk_results.add(tx, study_id, score=1.4, generation=2)
    with database.read() as tx:
        (shift,) = observed.score_shifts(tx)
    assert (shift.recent, shift.before) == (10, 10), "each study once"
    assert shift.difference == pytest.approx(0.0), "with what this version says of it"


def sent(tx: Transaction, study_id: int, state: DeliveryState) -> int:
    """Let a delivery to the PACS end in a state."""
    result = desk_results.add(tx, study_id)
    new = deliveries.NewDelivery(study_id=study_id, analysis_id=result, destination="pacs")
    row = deliveries.add_delivery(tx, new)
    values = {"state": state.value, "next_try_at": None}
    tx.execute(sa.update(schema.delivery).where(schema.delivery.c.id == row).values(**values))
    return row


@pytest.mark.parametrize("state", [DeliveryState.PARTIAL, DeliveryState.REFUSED, DeliveryState.FAILED])
def test_what_was_not_taken_is_over_once_a_newer_result_stands_for_it(
    database: Database, add_study: AddStudy, state: DeliveryState
) -> None:
    """It would be counted, and alerted about, for years, and keep the files of its study."""
    study_id = add_study(1)
    with database.transaction() as tx:
        first = sent(tx, study_id, state)
        assert observed.deliveries(tx) == {("pacs", state.value): 1}
        sent(tx, study_id, DeliveryState.SENT)
        assert deliveries.delivery_of(tx, first)["state"] == "superseded"
        assert observed.oldest_unsent(tx) == {}


def test_an_older_one_that_ends_badly_meanwhile_is_not_the_oldest_unsent(
    database: Database, add_study: AddStudy
) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        first = sent(tx, study_id, DeliveryState.RUNNING)
        sent(tx, study_id, DeliveryState.SENT)
        tx.execute(sa.update(schema.delivery).where(schema.delivery.c.id == first).values(state="partial"))
        assert observed.oldest_unsent(tx) == {}


# ---- after a clock that was wrong ----------------------------------------------------------------


def test_a_notice_that_was_sent_next_year_keeps_nobody_silent_until_then(database: Database) -> None:
    with database.transaction() as tx:
        notices.note(tx, [notices.Cause(kind="study_failed", subject="study/1")], ["study_failed"])
        notices.told(tx, notices.due(tx, "study_failed", interval_s=900.0))
        notices.note(tx, [notices.Cause(kind="study_failed", subject="study/2")], ["study_failed"])
        assert notices.due(tx, "study_failed", interval_s=900.0) == (), "within the interval"
        tx.execute(sa.update(schema.notice).values(sent_at=schema.notice.c.sent_at + YEAR_S))
        assert len(notices.due(tx, "study_failed", interval_s=900.0)) == 1


def test_what_was_sent_next_year_is_no_sign_of_life(database: Database, add_study: AddStudy) -> None:
    taken, waits = add_study(1), add_study(2)
    with database.transaction() as tx:
        row = sent(tx, taken, DeliveryState.SENT)
        move(tx, schema.delivery, sent(tx, waits, DeliveryState.QUEUED), created_at=-7200.0)
        assert notices.unsent(tx, after_s=3600.0) == (), "something was sent just now"
        move(tx, schema.delivery, row, updated_at=YEAR_S)
        assert [cause.subject for cause in notices.unsent(tx, after_s=3600.0)] == ["pacs"]


def test_work_that_was_touched_next_year_is_looked_after_today(
    database: Database, add_study: AddStudy
) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        values = {"state": StudyState.RUNNING.value, "updated_at": tx.now}
        tx.execute(sa.update(schema.study).values(**values))
        assert work.at_work(tx, untouched_for_s=5.0) == []
        move(tx, schema.study, study_id, updated_at=YEAR_S)
        assert [ticket.row_id for ticket in work.at_work(tx, untouched_for_s=5.0)] == [study_id]
