"""One result set to one destination, and what the peer answered for each of its instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, or_, select, true, update

from tbsnode.model import DeliveryState, DerivedKind
from tbsnode.store.records import DerivedRow, read_row
from tbsnode.store.schema import delivery, delivery_item, derived_instance, study

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction
    from tbsnode.store.work import Ticket

# What a newer delivery takes the place of: one that was refused is over with it too, or it would be asked
# about for ever though the destination has the study's result.
_WAITING = tuple(
    state.value
    for state in (
        DeliveryState.QUEUED,
        DeliveryState.HELD,
        DeliveryState.FAILED,
        DeliveryState.REFUSED,
        DeliveryState.PARTIAL,
    )
)
_TAKEN = ("success", "warning")  # outcomes of what a destination has


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One result set to one destination.

    Attributes
    ----------
    study_id, analysis_id : int
        What it delivers.
    destination : str
        Name in the configuration.
    state : DeliveryState
        QUEUED, or HELD with `reason`.
    reason : str
        A reasons.Code where held.
    horizon_s : float
        How long an unreachable peer is tried.
    """

    study_id: int
    analysis_id: int
    destination: str
    state: DeliveryState = DeliveryState.QUEUED
    reason: str = ""
    horizon_s: float = 72 * 3600.0


def add_delivery(tx: Transaction, new: NewDelivery) -> int:
    """Write a delivery that is due now, and replace what older ones have not brought there."""
    tx.connection.execute(
        update(delivery)
        .where(
            delivery.c.study_ref == new.study_id,
            delivery.c.destination == new.destination,
            delivery.c.state.in_(_WAITING),
        )
        .values(state=DeliveryState.SUPERSEDED.value, next_try_at=None, updated_at=tx.now)
    )
    due = tx.now if new.state is DeliveryState.QUEUED else None
    row = tx.connection.execute(
        insert(delivery)
        .values(
            study_ref=new.study_id,
            analysis_ref=new.analysis_id,
            destination=new.destination,
            state=new.state.value,
            reason=new.reason,
            next_try_at=due,
            deadline=tx.now + new.horizon_s,
            created_at=tx.now,
            updated_at=tx.now,
        )
        .returning(delivery.c.id)
    )
    return int(row.scalar_one())


def another_at_work(tx: Transaction, ticket: Ticket, study_id: int, destination: str) -> bool:
    """Tell whether an older result of the study is on its way to the same destination."""
    other = select(delivery.c.id).where(
        delivery.c.study_ref == study_id,
        delivery.c.destination == destination,
        delivery.c.id < ticket.row_id,
        delivery.c.state == DeliveryState.RUNNING.value,
    )
    return tx.connection.execute(other.limit(1)).first() is not None


def replaced_by_newer(tx: Transaction, delivery_id: int) -> bool:
    """Tell whether a newer delivery to the same destination stands for the study.

    `add_delivery` replaces what waits; one that is being tried at that moment ends here, or its next
    try would bring an older result after the newer one.
    """
    newer = delivery.alias()
    row = tx.connection.execute(
        select(newer.c.id)
        .join(
            delivery,
            and_(
                delivery.c.study_ref == newer.c.study_ref,
                delivery.c.destination == newer.c.destination,
                delivery.c.id < newer.c.id,
            ),
        )
        .where(delivery.c.id == delivery_id)
        .limit(1)
    )
    return row.first() is not None


def record_item(tx: Transaction, delivery_id: int, **values: Any) -> None:
    """Write what a peer answered for one instance; the last answer counts."""
    items = delivery_item
    where = and_(items.c.delivery_ref == delivery_id, items.c.sop_instance_uid == values["sop_instance_uid"])
    if tx.connection.execute(update(items).where(where).values(**values)).rowcount == 0:
        tx.connection.execute(insert(items).values(delivery_ref=delivery_id, **values))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer answered for one instance: its kind, and `SendOutcome.category`."""

    kind: str
    outcome: str


def answered(tx: Transaction, delivery_id: int) -> dict[str, Answer]:
    """Return each answer that a delivery has had, by SOP Instance UID."""
    rows = tx.connection.execute(
        select(delivery_item.c.sop_instance_uid, delivery_item.c.kind, delivery_item.c.outcome).where(
            delivery_item.c.delivery_ref == delivery_id
        )
    )
    return {row.sop_instance_uid: Answer(row.kind, row.outcome) for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An instance of ours that a destination took."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


def last_received(
    tx: Transaction, study_id: int, destination: str, kind: str, *, before: int | None = None
) -> Received | None:
    """Return the newest instance of a kind that a destination took, of analyses `before` one.

    It is the predecessor of the next one there, whatever other destinations received.
    """
    older = delivery.c.analysis_ref < before if before is not None else true()
    row = tx.connection.execute(
        select(
            derived_instance.c.sop_class_uid,
            derived_instance.c.sop_instance_uid,
            derived_instance.c.series_instance_uid,
        )
        .join(delivery_item, delivery_item.c.derived_ref == derived_instance.c.id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_ref)
        .where(
            delivery.c.study_ref == study_id,
            delivery.c.destination == destination,
            older,
            delivery_item.c.kind == kind,
            delivery_item.c.outcome.in_(_TAKEN),
        )
        .order_by(delivery.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else Received(**row._mapping)


def delivery_of(tx: Transaction, delivery_id: int) -> dict[str, Any]:
    """Return a delivery's row by column name."""
    row = tx.connection.execute(select(delivery).where(delivery.c.id == delivery_id)).one()
    return dict(row._mapping)


def find_delivery(tx: Transaction, delivery_id: int) -> dict[str, Any] | None:
    """Return a delivery's row by column name, None where there is none."""
    row = tx.connection.execute(select(delivery).where(delivery.c.id == delivery_id)).first()
    return None if row is None else dict(row._mapping)


def deliveries_of_study(tx: Transaction, study_id: int) -> list[dict[str, Any]]:
    """Return the deliveries of a study by column name, oldest first."""
    rows = tx.connection.execute(
        select(delivery).where(delivery.c.study_ref == study_id).order_by(delivery.c.id)
    )
    return [dict(row._mapping) for row in rows]


def items_of(tx: Transaction, delivery_id: int) -> list[dict[str, Any]]:
    """Return what the peer answered for each instance of a delivery, by column name."""
    rows = tx.connection.execute(
        select(delivery_item).where(delivery_item.c.delivery_ref == delivery_id).order_by(delivery_item.c.id)
    )
    return [dict(row._mapping) for row in rows]


def held_for(tx: Transaction, reason: str) -> int:
    """Count what is held for a reason."""
    held = select(func.count()).where(
        delivery.c.state == DeliveryState.HELD.value, delivery.c.reason == reason
    )
    return int(tx.connection.execute(held).scalar_one())


def lock_study(tx: Transaction, study_id: int) -> None:
    """Wait for whoever else decides about the study in this moment; on SQLite every writer does."""
    row = select(study.c.id).where(study.c.id == study_id)
    if tx.dialect == "postgresql":
        row = row.with_for_update()
    tx.connection.execute(row)


def recipients(tx: Transaction, study_id: int) -> tuple[str, ...]:
    """Return the destinations that took an instance of ours of a study, or may be taking one now."""
    took = select(delivery_item.c.id).where(
        delivery_item.c.delivery_ref == delivery.c.id,
        delivery_item.c.derived_ref.is_not(None),
        delivery_item.c.outcome.in_(_TAKEN),
    )
    query = select(delivery.c.destination).where(
        delivery.c.study_ref == study_id,
        or_(delivery.c.state == DeliveryState.RUNNING.value, took.exists()),
    )
    return tuple(tx.connection.execute(query.distinct().order_by(delivery.c.destination)).scalars())


def takers(tx: Transaction, study_id: int) -> frozenset[str]:
    """Return the destinations that have taken something of a study from us."""
    query = (
        select(delivery.c.destination)
        .join(delivery_item, delivery_item.c.delivery_ref == delivery.c.id)
        .where(delivery.c.study_ref == study_id, delivery_item.c.outcome.in_(_TAKEN))
    )
    return frozenset(tx.connection.execute(query.distinct()).scalars())


def supersede_waiting(tx: Transaction, study_id: int) -> None:
    """End what of a study waits for any destination: what it would bring has been withdrawn."""
    tx.connection.execute(
        update(delivery)
        .where(delivery.c.study_ref == study_id, delivery.c.state.in_(_WAITING))
        .values(state=DeliveryState.SUPERSEDED.value, next_try_at=None, updated_at=tx.now)
    )


def owed_rejections(tx: Transaction, study_id: int, destination: str) -> tuple[DerivedRow, ...]:
    """Return the rejections that a destination has not taken, of results that it has, oldest first."""
    taken = tx.all(
        select(derived_instance.c.id, derived_instance.c.kind, derived_instance.c.analysis_ref)
        .join(delivery_item, delivery_item.c.derived_ref == derived_instance.c.id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_ref)
        .where(
            delivery.c.study_ref == study_id,
            delivery.c.destination == destination,
            delivery_item.c.outcome.in_(_TAKEN),
        )
    )
    known = {row.id for row in taken}
    results = [row.analysis_ref for row in taken if row.kind != DerivedKind.REJECTION.value]
    rejections = tx.all(
        select(derived_instance)
        .where(
            derived_instance.c.study_ref == study_id,
            derived_instance.c.kind == DerivedKind.REJECTION.value,
        )
        .order_by(derived_instance.c.id)
    )
    return tuple(
        read_row(DerivedRow, row)
        for row in rejections
        if row.id not in known and any(made <= row.analysis_ref for made in results)
    )
