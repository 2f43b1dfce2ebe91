"""The queues as an administrator sees them: what waits, runs or failed, and how to steer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model import DeliveryState, StudyState
from tbsnode.store.schema import delivery, study
from tbsnode.store.work import ANALYZE_QUEUE, deliver_queue

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction

_ENDED_WELL = {
    "study": (StudyState.DONE.value, StudyState.NOT_APPLICABLE.value),
    "delivery": tuple(
        state.value
        for state in (
            DeliveryState.SENT,
            DeliveryState.COMMITTED,
            DeliveryState.SUPERSEDED,
            DeliveryState.CANCELLED,
        )
    ),
}
_RETRIABLE = {
    "study": (StudyState.FAILED.value,),
    "delivery": tuple(
        state.value
        for state in (
            DeliveryState.FAILED,
            DeliveryState.REFUSED,
            DeliveryState.PARTIAL,
            DeliveryState.HELD,
            DeliveryState.CANCELLED,
        )
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One piece of work.

    Attributes
    ----------
    id : str
        ``"study/12"`` or ``"delivery/34"``.
    queue : str
        ``"analyze"`` or ``"deliver:<destination>"``.
    state : str
        A StudyState or DeliveryState.
    tries : int
        Attempts at the present work.
    next_try_at : float or None
        When it is due [seconds since the epoch].
    reason, last_error : str
        Code, and what went wrong last.
    study_instance_uid : str
        The study it is about.
    """

    id: str
    queue: str
    state: str
    tries: int
    next_try_at: float | None
    reason: str
    last_error: str
    study_instance_uid: str


def rows(
    tx: Transaction, *, state: str | None = None, queue: str | None = None, retriable: bool = False
) -> tuple[QueueRow, ...]:
    """Return the work that has not ended well, oldest first; `retriable` what a retry would help.

    What an administrator cancelled is retried only where it is named.
    """
    chosen = _RETRIABLE if retriable else None
    found = [
        *_studies(tx, state, chosen["study"] if chosen else None),
        *_deliveries(tx, state, chosen["delivery"] if chosen else None, newest=retriable),
    ]
    return tuple(row for row in found if queue is None or row.queue == queue)


def _restricted(table: sa.Table, kind: str, state: str | None, among: tuple[str, ...] | None) -> Any:
    if state is not None:
        return table.c.state == state
    if among is not None:
        failed = [name for name in among if name != DeliveryState.CANCELLED.value]
        return sa.or_(table.c.state.in_(failed), _waiting(table))
    return table.c.state.not_in(_ENDED_WELL[kind])


def _studies(tx: Transaction, state: str | None, among: tuple[str, ...] | None) -> list[QueueRow]:
    query = sa.select(study).where(_restricted(study, "study", state, among)).order_by(study.c.id)
    return [
        QueueRow(
            id=f"study/{row.id}",
            queue=ANALYZE_QUEUE,
            state=row.state,
            tries=row.tries,
            next_try_at=row.next_try_at or row.ready_at,
            reason=row.reason,
            last_error=row.last_error,
            study_instance_uid=row.study_instance_uid,
        )
        for row in tx.all(query)
    ]


def _deliveries(
    tx: Transaction, state: str | None, among: tuple[str, ...] | None, *, newest: bool
) -> list[QueueRow]:
    query = (
        sa.select(delivery, study.c.study_instance_uid)
        .join(study, study.c.id == delivery.c.study_ref)
        .where(_restricted(delivery, "delivery", state, among))
        .where(_is_newest() if newest else sa.true())
        .order_by(delivery.c.id)
    )
    return [
        QueueRow(
            id=f"delivery/{row.id}",
            queue=deliver_queue(row.destination),
            state=row.state,
            tries=row.tries,
            next_try_at=row.next_try_at,
            reason=row.reason,
            last_error=row.last_error,
            study_instance_uid=row.study_instance_uid,
        )
        for row in tx.all(query)
    ]


def _waiting(table: sa.Table) -> sa.ColumnElement[bool]:
    """Match what waits for its next try: whoever mended the cause wants it to go now."""
    return sa.and_(table.c.state == "queued", table.c.next_try_at.is_not(None))


def _is_newest() -> sa.ColumnElement[bool]:
    """Tell whether no later delivery of the study to the same destination exists."""
    later = delivery.alias()
    return ~sa.exists().where(
        later.c.study_ref == delivery.c.study_ref,
        later.c.destination == delivery.c.destination,
        later.c.id > delivery.c.id,
    )


def counts(tx: Transaction) -> dict[str, dict[str, int]]:
    """Return how many rows of each state each queue has, finished ones included."""
    found: dict[str, dict[str, int]] = {}
    number = sa.func.count()
    for row in tx.all(sa.select(study.c.state, number.label("n")).group_by(study.c.state)):
        found.setdefault(ANALYZE_QUEUE, {})[row.state] = row.n
    query = sa.select(delivery.c.destination, delivery.c.state, number.label("n"))
    for row in tx.all(query.group_by(delivery.c.destination, delivery.c.state)):
        found.setdefault(deliver_queue(row.destination), {})[row.state] = row.n
    return found


def revive(tx: Transaction, kind: str, row_id: int, *, horizon_s: float) -> str | None:
    """Make ended or held work due now; return its study's UID, None where a retry would not help.

    What is waiting for its next try is made due too. A delivery that a newer one to the same
    destination has followed stays as it is: an old result never arrives after a new one.
    """
    table = study if kind == "study" else delivery
    values: dict[str, Any] = {"state": "queued", "next_try_at": tx.now, "tries": 0, "reason": ""}
    helps = sa.or_(table.c.state.in_(_RETRIABLE[kind]), _waiting(table))
    if kind == "delivery":
        values["deadline"] = tx.now + horizon_s
        helps = sa.and_(helps, _is_newest())
    changed = tx.execute(
        sa.update(table).where(table.c.id == row_id, helps).values(updated_at=tx.now, **values)
    )
    return _uid(tx, kind, row_id) if changed.rowcount else None


def cancel(tx: Transaction, kind: str, row_id: int) -> str | None:
    """Give up work that waits; return its study's UID, None where nothing waited.

    A delivery that is being tried just now is given up too: what the peer stores meanwhile is
    recorded as a fact, and nothing is tried again.
    """
    table = study if kind == "study" else delivery
    values: dict[str, Any] = {"state": "cancelled"}
    waiting = table.c.state.in_(("queued", "running", "held", "failed", "refused", "partial"))
    if kind == "study":
        values = {"state": StudyState.HELD.value, "ready_at": None}
        waiting = table.c.state.in_(("receiving", "queued", "failed"))
    changed = tx.execute(
        sa.update(table)
        .where(table.c.id == row_id, waiting)
        .values(next_try_at=None, updated_at=tx.now, last_error="cancelled by an administrator", **values)
    )
    return _uid(tx, kind, row_id) if changed.rowcount else None


def _uid(tx: Transaction, kind: str, row_id: int) -> str:
    query = sa.select(study.c.study_instance_uid)
    if kind == "delivery":
        query = query.join(delivery, delivery.c.study_ref == study.c.id).where(delivery.c.id == row_id)
    else:
        query = query.where(study.c.id == row_id)
    return str(tx.scalar(query))
