"""Storage commitment as rows: what we asked destinations for.

A transaction UID is written before it is sent, so that a report finds its row whenever it comes, also
after a restart. The work on the rows goes through `store.work` as all other work does.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model import DeliveryState
from tbsnode.model.commitment import CommitmentState
from tbsnode.store.readiness import AT_WORK
from tbsnode.store.schema import (
    commitment,
    delivery,
    delivery_item,
    derived_instance,
    instance,
    series,
    study,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tbsnode.store.database import Transaction

_STORED = ("success", "warning")  # outcomes of what a destination has
_OPEN = (*AT_WORK, CommitmentState.WAITING.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedInstance:
    """One instance of a transaction; `reason` is 0 where it is committed, None where nothing is known."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str = ""
    reason: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRow:
    """One transaction that we asked a destination for, with the study it is about."""

    id: int
    delivery_ref: int
    destination: str
    delivery_state: DeliveryState
    study_ref: int
    study_instance_uid: str
    transaction_uid: str
    round: int
    asked_at: float | None
    reported_at: float | None
    sent_again: bool
    instances: tuple[AskedInstance, ...]
    state: CommitmentState
    tries: int
    deadline: float
    last_error: str


def add_commitment(tx: Transaction, delivery_id: int, *, horizon_s: float, round_: int = 1) -> int | None:
    """Write a transaction for all that a destination stored of a delivery; it is due now.

    Earlier transactions of the delivery that are still open are replaced by it.

    Returns
    -------
    int or None
        None where nothing was stored.
    """
    asked = _stored_instances(tx, delivery_id)
    if not asked:
        return None
    expire_open(tx, delivery_id)
    return tx.add(
        commitment,
        delivery_ref=delivery_id,
        transaction_uid=f"2.25.{uuid.uuid4().int}",  # PS3.5 B.2
        round=round_,
        instances=asked,
        state=CommitmentState.QUEUED.value,
        next_try_at=tx.now,
        deadline=tx.now + horizon_s,
        created_at=tx.now,
        updated_at=tx.now,
    )


def _stored_instances(tx: Transaction, delivery_id: int) -> list[dict[str, Any]]:
    made, taken, within = derived_instance, instance, series
    joined = (
        delivery_item.outerjoin(made, made.c.id == delivery_item.c.derived_ref)
        .outerjoin(taken, taken.c.id == delivery_item.c.instance_ref)
        .outerjoin(within, within.c.id == taken.c.series_ref)
    )
    query = (
        sa.select(
            delivery_item.c.sop_class_uid,
            delivery_item.c.sop_instance_uid,
            sa.func.coalesce(made.c.series_instance_uid, within.c.series_instance_uid, "").label("in_series"),
        )
        .select_from(joined)
        .where(delivery_item.c.delivery_ref == delivery_id, delivery_item.c.outcome.in_(_STORED))
        .order_by(delivery_item.c.id)
    )
    return [
        {
            "sop_class_uid": row.sop_class_uid,
            "sop_instance_uid": row.sop_instance_uid,
            "series_instance_uid": row.in_series,
            "reason": None,
        }
        for row in tx.all(query)
    ]


def expire_open(tx: Transaction, delivery_id: int, *, besides: int = 0) -> None:
    """End the open transactions of a delivery, besides one."""
    tx.execute(
        sa.update(commitment)
        .where(
            commitment.c.delivery_ref == delivery_id,
            commitment.c.id != besides,
            commitment.c.state.in_(_OPEN),
        )
        .values(state=CommitmentState.EXPIRED.value, next_try_at=None, updated_at=tx.now)
    )


def commitment_by_id(tx: Transaction, commitment_id: int) -> CommitmentRow | None:
    """Return a transaction by its row."""
    return _one(tx, commitment.c.id == commitment_id)


def commitment_by_uid(tx: Transaction, transaction_uid: str) -> CommitmentRow | None:
    """Return a transaction by its UID, and hold its row against other writers until `tx` ends."""
    if tx.dialect == "postgresql" and tx.writes:
        row = sa.select(commitment.c.id).where(commitment.c.transaction_uid == transaction_uid)
        tx.execute(row.with_for_update())
    return _one(tx, commitment.c.transaction_uid == transaction_uid)


def commitments_of_study(tx: Transaction, study_id: int) -> tuple[CommitmentRow, ...]:
    """Return the transactions about a study, oldest first."""
    query = _joined().where(delivery.c.study_ref == study_id).order_by(commitment.c.id)
    return tuple(_read(row) for row in tx.all(query))


def was_sent_again(tx: Transaction, delivery_id: int) -> bool:
    """Tell whether a delivery was sent again for what a destination said it does not have."""
    again = sa.select(commitment.c.id).where(
        commitment.c.delivery_ref == delivery_id, commitment.c.sent_again.is_(True)
    )
    return tx.one(again.limit(1)) is not None


def conclude(
    tx: Transaction,
    row: CommitmentRow,
    state: CommitmentState,
    reasons: Mapping[str, int | None],
    *,
    error: str = "",
    reported: bool = False,
) -> None:
    """Write what became of a transaction: a reason for each instance, 0 where it is committed."""
    told = [
        {
            "sop_class_uid": each.sop_class_uid,
            "sop_instance_uid": each.sop_instance_uid,
            "series_instance_uid": each.series_instance_uid,
            "reason": reasons.get(each.sop_instance_uid),
        }
        for each in row.instances
    ]
    values: dict[str, Any] = {"reported_at": tx.now} if reported else {}
    tx.execute(
        sa.update(commitment)
        .where(commitment.c.id == row.id)
        .values(
            state=state.value, instances=told, next_try_at=None, last_error=error, updated_at=tx.now, **values
        )
    )


def set_committed(tx: Transaction, delivery_id: int) -> None:
    """Say that a destination took responsibility for what it stored of a delivery."""
    stored = (DeliveryState.SENT.value, DeliveryState.WARNING.value)
    tx.execute(
        sa.update(delivery)
        .where(delivery.c.id == delivery_id, delivery.c.state.in_(stored))
        .values(state=DeliveryState.COMMITTED.value, updated_at=tx.now)
    )


def send_again(
    tx: Transaction, row: CommitmentRow, missing: Sequence[str], *, text: str, horizon_s: float
) -> bool:
    """Make a delivery due for what its destination said it does not have, once; False if it was already.

    A delivery that a newer result has followed stays as it is.
    """
    later = delivery.alias()
    newer = sa.exists().where(
        later.c.study_ref == delivery.c.study_ref,
        later.c.destination == delivery.c.destination,
        later.c.id > delivery.c.id,
    )
    stored = (DeliveryState.SENT.value, DeliveryState.WARNING.value)
    if was_sent_again(tx, row.delivery_ref):
        return False
    due = tx.execute(
        sa.update(delivery)
        .where(delivery.c.id == row.delivery_ref, delivery.c.state.in_(stored), ~newer)
        .values(
            state=DeliveryState.QUEUED.value,
            next_try_at=tx.now,
            tries=0,
            deadline=tx.now + horizon_s,
            last_error=text,
            updated_at=tx.now,
        )
    )
    if due.rowcount == 0:
        return False
    tx.execute(
        sa.update(delivery_item)
        .where(
            delivery_item.c.delivery_ref == row.delivery_ref,
            delivery_item.c.sop_instance_uid.in_(list(missing)),
        )
        .values(outcome="lost", text=text)
    )
    tx.execute(sa.update(commitment).where(commitment.c.id == row.id).values(sent_again=True))
    return True


def _joined() -> sa.Select[Any]:
    return (
        sa.select(
            commitment,
            delivery.c.destination,
            delivery.c.state.label("delivery_state"),
            delivery.c.study_ref,
            study.c.study_instance_uid,
        )
        .join(delivery, delivery.c.id == commitment.c.delivery_ref)
        .join(study, study.c.id == delivery.c.study_ref)
    )


def _one(tx: Transaction, where: sa.ColumnElement[bool]) -> CommitmentRow | None:
    row = tx.one(_joined().where(where))
    return None if row is None else _read(row)


def _read(row: sa.Row[Any]) -> CommitmentRow:
    return CommitmentRow(
        id=row.id,
        delivery_ref=row.delivery_ref,
        destination=row.destination,
        delivery_state=DeliveryState(row.delivery_state),
        study_ref=row.study_ref,
        study_instance_uid=row.study_instance_uid,
        transaction_uid=row.transaction_uid,
        round=row.round,
        asked_at=row.asked_at,
        reported_at=row.reported_at,
        sent_again=row.sent_again,
        instances=tuple(AskedInstance(**each) for each in row.instances),
        state=CommitmentState(row.state),
        tries=row.tries,
        deadline=row.deadline,
        last_error=row.last_error,
    )
