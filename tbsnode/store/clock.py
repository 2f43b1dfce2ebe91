"""A clock that is set back must not stop the work: what is due in five minutes stays due in five minutes.

Rows hold times of the wall clock, because several machines read them. Where that clock jumps back, by an
hour or by a year, everything scheduled would wait as long as it jumped. The scanner holds it against a
clock that cannot be set, and moves the rows by the same step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.store import audit
from tbsnode.store.schema import event, metadata

if TYPE_CHECKING:
    from tbsnode.store.database import Database, Transaction

log = logging.getLogger(__name__)

STEP_S = 5.0  # NTP slews what is smaller
SOON_S = 900.0  # quiet times and retries lie nearer; a deadline may move by a step
_LOOKED_AT = 10_000  # events; a node writes no more between a step and the next look
_NOTICED = "clock.set_back"
_SCHEDULED = ("ready_at", "next_try_at", "deadline", "expires_at")


class Steps:
    """Notices a wall clock that was set back, while it is watched or before.

    Parameters
    ----------
    steady : callable
        Seconds of a clock that nobody sets.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._offset: float | None = None

    def back(self, tx: Transaction) -> float:
        """Return by how much the wall clock has been set back since the last call [s]; 0.0 if it was not.

        The first call holds it against the last events: if one is from the future, the step came after it.
        What came before a step that was noticed says nothing any more.
        """
        offset = tx.now - self._steady()
        before, self._offset = self._offset, offset
        if before is None:
            newest = tx.scalar(_newest())
            step = 0.0 if newest is None else float(newest) - tx.now
        else:
            step = before - offset
        return step if step >= STEP_S else 0.0


def _newest() -> sa.Select[tuple[float]]:
    """Return the question when the newest event was, since a step that was noticed."""
    last = sa.select(event.c.id, event.c.at, event.c.action).order_by(event.c.id.desc()).limit(_LOOKED_AT)
    recent = last.subquery()
    noticed = sa.select(sa.func.max(recent.c.id)).where(recent.c.action == _NOTICED).scalar_subquery()
    return sa.select(sa.func.max(recent.c.at)).where(recent.c.id > sa.func.coalesce(noticed, 0))


def set_back(database: Database, step_s: float) -> None:
    """Say that the clock was set back, and let everything that is scheduled follow."""
    told = f"the clock was set back by {step_s:.0f} s"
    log.warning("%s", told, extra={"action": _NOTICED})
    with database.transaction() as tx:
        follow(tx, step_s)
        audit.add_event(tx, _NOTICED, told)


def follow(tx: Transaction, step_s: float) -> None:
    """Move everything that is scheduled back by a step of the clock.

    What was scheduled after the step lies no further ahead than `SOON_S`, and is right already.
    """
    for table in metadata.sorted_tables:
        for name in _SCHEDULED:
            if name in table.c:
                column = table.c[name]
                before = column > tx.now + max(0.0, step_s - SOON_S)
                tx.execute(sa.update(table).where(before).values({name: column - step_s}))
