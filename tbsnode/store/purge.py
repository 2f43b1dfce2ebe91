"""A study that is set aside or deleted: its rows in every table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.model import DeliveryState, StudyState
from tbsnode.store.readiness import AT_WORK
from tbsnode.store.schema import (
    analysis,
    bulk_study,
    commitment,
    delivery,
    delivery_item,
    derived_instance,
    identity_change,
    instance,
    patient,
    quarantine,
    review,
    series,
    study,
    vertebra_score,
)

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction


def void_work(tx: Transaction, study_id: int, reason: str) -> None:
    """Hold a study and what of it waits to be sent; work on it that has begun can no longer end."""
    tx.execute(
        sa.update(study)
        .where(study.c.id == study_id)
        .values(
            state=StudyState.HELD.value,
            reason=reason,
            ready_at=None,
            next_try_at=None,
            attempt=study.c.attempt + 1,
            updated_at=tx.now,
        )
    )
    tx.execute(
        sa.update(delivery)
        .where(delivery.c.study_ref == study_id, delivery.c.state == DeliveryState.QUEUED.value)
        .values(
            state=DeliveryState.HELD.value,
            reason=reason,
            next_try_at=None,
            attempt=delivery.c.attempt + 1,
            updated_at=tx.now,
        )
    )


def let_go(tx: Transaction, study_id: int, reason: str, *, held_for: str, horizon_s: float) -> None:
    """Make due what was held for a reason; with `held_for`, it stays held for that one."""
    values: dict[str, object] = {"state": DeliveryState.HELD.value, "reason": held_for, "next_try_at": None}
    if not held_for:
        values = {"state": DeliveryState.QUEUED.value, "reason": "", "next_try_at": tx.now}
    tx.execute(
        sa.update(delivery)
        .where(
            delivery.c.study_ref == study_id,
            delivery.c.state == DeliveryState.HELD.value,
            delivery.c.reason == reason,
        )
        .values(deadline=tx.now + horizon_s, tries=0, updated_at=tx.now, **values)
    )


def is_sending(tx: Transaction, study_id: int) -> bool:
    """Tell whether something of a study is being sent, or has been taken to be."""
    busy = sa.select(delivery.c.id).where(
        delivery.c.study_ref == study_id, delivery.c.state.in_(AT_WORK), delivery.c.next_try_at.is_(None)
    )
    return tx.one(busy.limit(1)) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a study has: its files, relative to the archive, their size, and its results."""

    paths: tuple[str, ...]
    size_bytes: int
    results: int


def content_of(tx: Transaction, study_id: int) -> Content:
    """Return what a study has."""
    files: dict[str, int] = {}
    for table in (instance, derived_instance):
        query = sa.select(table.c.path, table.c.size_bytes).where(table.c.study_ref == study_id)
        files |= {row.path: row.size_bytes for row in tx.all(query)}
    count = sa.select(sa.func.count()).select_from(analysis).where(analysis.c.study_ref == study_id)
    return Content(paths=tuple(files), size_bytes=sum(files.values()), results=int(tx.scalar(count) or 0))


def delete_study(tx: Transaction, study_id: int) -> None:
    """Delete a study's rows, children first, and its patient's if that was the last study."""
    row = tx.one(sa.select(study.c.patient_ref).where(study.c.id == study_id))
    assert row is not None
    sent = sa.select(delivery.c.id).where(delivery.c.study_ref == study_id)
    scored = sa.select(analysis.c.id).where(analysis.c.study_ref == study_id)
    for table, among in (
        (delivery_item, delivery_item.c.delivery_ref.in_(sent)),
        (commitment, commitment.c.delivery_ref.in_(sent)),
        (vertebra_score, vertebra_score.c.analysis_ref.in_(scored)),
    ):
        tx.execute(sa.delete(table).where(among))
    for table in (delivery, derived_instance, review, bulk_study, analysis, instance, series):
        tx.execute(sa.delete(table).where(table.c.study_ref == study_id))
    for table in (identity_change, quarantine):
        tx.execute(sa.delete(table).where(table.c.study_ref == study_id))
    tx.execute(sa.delete(study).where(study.c.id == study_id))
    others = sa.select(study.c.id).where(study.c.patient_ref == row.patient_ref).exists()
    tx.execute(sa.delete(patient).where(patient.c.id == row.patient_ref, ~others))
