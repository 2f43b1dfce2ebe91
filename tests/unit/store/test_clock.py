"""A clock that is set back: what is scheduled keeps its distance from now."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tbsnode.store import clock
from tbsnode.store.database import Database
from tbsnode.store.schema import event, executor_lease, study


class Steady:
    """A clock that nobody sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Wall:
    """What `Steps` takes of a transaction: its time, and the time of the newest event."""

    def __init__(self, now: float, newest: float | None = None) -> None:
        self.now = now
        self.newest = newest

    def scalar(self, _: object) -> float | None:
        return self.newest


def test_only_a_step_back_counts() -> None:
    steady = Steady()
    steps = clock.Steps(steady)
    wall = 1_000_000.0
    seen = []
    for passed, jump in ((0.1, 0.0), (0.1, 0.0), (0.1, -1.0), (60.0, 0.0), (0.1, 7200.0), (0.1, -7200.0)):
        steady.seconds += passed
        wall += passed + jump
        seen.append(round(steps.back(Wall(wall)), 3))  # type: ignore[arg-type]
    assert seen == [0.0, 0.0, 0.0, 0.0, 0.0, 7200.0]
    steady.seconds += 1.0
    assert steps.back(Wall(wall + 1.0)) == 0.0  # type: ignore[arg-type]  # told once


@pytest.mark.parametrize(("newest", "step"), [(None, 0.0), (999.0, 0.0), (1002.0, 0.0), (8200.0, 7200.0)])
def test_a_step_before_the_start_is_told_by_events_from_the_future(newest: float | None, step: float) -> None:
    assert clock.Steps(Steady()).back(Wall(1000.0, newest)) == step  # type: ignore[arg-type]


def test_a_step_that_was_noticed_before_is_not_told_at_every_start(database: Database) -> None:
    """Events of a year ahead stay in the trail; what arrives before anyone looks does not hide them."""
    with database.transaction() as tx:
        tx.add(event, at=tx.now + 31536000.0, action="instance.stored", text="", data={})
        tx.add(event, at=tx.now, action="instance.stored", text="", data={})
        assert clock.Steps(Steady()).back(tx) == pytest.approx(31536000.0)
    clock.set_back(database, 31536000.0)
    with database.transaction() as tx:
        assert clock.Steps(Steady()).back(tx) == 0.0


def test_what_is_scheduled_follows_and_what_is_due_stays(database: Database, add_study: object) -> None:
    row = add_study(1)  # type: ignore[operator]
    other = add_study(2, patient_id="P2")  # type: ignore[operator]
    with database.transaction() as tx:
        now = tx.now
        tx.execute(sa.update(study).where(study.c.id == row).values(ready_at=now + 7200 + 30))
        tx.execute(sa.update(study).where(study.c.id == other).values(ready_at=now - 10))
        tx.execute(executor_lease.insert().values(executor_id="x", expires_at=now + 7200 + 20))
        tx.execute(executor_lease.insert().values(executor_id="y", expires_at=now + 25))  # after the step
    with database.transaction() as tx:
        clock.follow(tx, 7200.0)
    with database.read() as tx:
        waits = tx.scalar(sa.select(study.c.ready_at).where(study.c.id == row)) - now
        due = tx.scalar(sa.select(study.c.ready_at).where(study.c.id == other)) - now
        leases = tx.all(sa.select(executor_lease).order_by(executor_lease.c.executor_id))
    assert (round(waits), round(due)) == (30, -10)
    assert [round(lease.expires_at - now) for lease in leases] == [20, 25]
