"""Queues are looked at seldom while nothing is at hand, and are awake before work is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tbsnode.errors import DatabaseUnavailable, StorageFull
from tbsnode.model import StudyState
from tbsnode.pace import ASLEEP_S, AWAKE_S, PERIOD_S, SOON_S, Pace
from tbsnode.store import readiness, work

if TYPE_CHECKING:
    from tbsnode.store.database import Database
    from tests.unit.store.conftest import AddStudy

QUEUES = {"analyze": 0.05, "report": 2.0}


class Told:
    """What the job engine was told, and a clock that is set by hand."""

    def __init__(self, database: Database) -> None:
        self.pace = Pace(database, QUEUES, set_poll_s=self.tell, monotonic=lambda: self.now)
        self.now = 1000.0
        self.polls: dict[str, float] = {}
        self.writes = 0
        self.fails: Exception | None = None

    def tell(self, name: str, seconds: float) -> None:
        if self.fails is not None:
            raise self.fails
        self.polls[name] = seconds
        self.writes += 1

    def after(self, seconds: float) -> dict[str, float]:
        self.now += seconds
        self.pace.follow()
        return self.polls


def arm(database: Database, study_id: int, *, in_s: float) -> None:
    with database.transaction() as tx:
        readiness.arm(tx, study_id, ready_at=tx.now + in_s)


def test_an_idle_node_looks_seldom_and_says_so_once(database: Database) -> None:
    told = Told(database)
    assert told.after(0.0) == {"analyze": ASLEEP_S, "report": 2.0}
    assert told.after(60.0) == {"analyze": ASLEEP_S, "report": 2.0}
    assert told.writes == 2


def test_a_study_that_is_due_soon_wakes_the_queues(database: Database, add_study: AddStudy) -> None:
    told = Told(database)
    study_id = add_study(1)
    arm(database, study_id, in_s=30.0)  # its association is open: it is waited for
    assert told.after(0.0)["analyze"] == ASLEEP_S
    arm(database, study_id, in_s=2.0)  # released
    assert told.after(PERIOD_S)["analyze"] == QUEUES["analyze"]


def test_the_queues_are_awake_before_anything_is_due() -> None:
    """The pace is found one period late, and a queue that sleeps reads it one look late."""
    assert PERIOD_S + ASLEEP_S < 2.0 < SOON_S  # `after_release_s` by default


def test_they_stay_awake_while_a_study_is_worked_on(database: Database, add_study: AddStudy) -> None:
    told = Told(database)
    arm(database, add_study(1), in_s=0.0)
    with database.transaction() as tx:
        (ticket,) = work.take_due(tx, limit=9)
    assert told.after(0.0)["analyze"] == QUEUES["analyze"]
    with database.transaction() as tx:
        assert work.start(tx, ticket)
    assert told.after(60.0)["analyze"] == QUEUES["analyze"]
    with database.transaction() as tx:
        assert work.finish(tx, ticket, StudyState.DONE)
    assert told.after(AWAKE_S - 1.0)["analyze"] == QUEUES["analyze"]
    assert told.after(1.0)["analyze"] == ASLEEP_S


@pytest.mark.parametrize("error", [StorageFull("full"), DatabaseUnavailable("away")])
def test_what_could_not_be_told_is_told_at_the_next_turn(database: Database, error: Exception) -> None:
    told = Told(database)
    told.fails = error
    try:
        told.after(0.0)
    except DatabaseUnavailable:
        assert isinstance(error, DatabaseUnavailable)  # said once a minute by who takes the turns
    told.fails = None
    assert told.after(PERIOD_S)["analyze"] == ASLEEP_S
