"""Whose files may be deleted: what stands against it, and the rows of files that are gone.

A row is never deleted. It says that its file was (`purged`), and what arrives again is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.model import DeliveryState, ReviewState, StudyState
from tbsnode.model.commitment import CommitmentState
from tbsnode.store import bulk, deliveries, readiness
from tbsnode.store.records import read_row
from tbsnode.store.schema import (
    analysis,
    bulk_study,
    commitment,
    delivery,
    derived_instance,
    instance,
    study,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tbsnode.store.database import Transaction

PURGED = "purged"
_RESTING = (StudyState.DONE.value, StudyState.NOT_APPLICABLE.value)
_STORED = (DeliveryState.SENT.value, DeliveryState.WARNING.value, DeliveryState.COMMITTED.value)
_OPEN = tuple(
    state.value
    for state in (
        CommitmentState.QUEUED,
        CommitmentState.RUNNING,
        CommitmentState.WAITING,
        CommitmentState.UNCONFIRMED,
        CommitmentState.FAILED,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A study with files, and when something last happened to it.

    Attributes
    ----------
    id, study_instance_uid, study_date, state, reason, review_state
        As the study's row has them.
    touched_at : float
        When it last received, got a result or a delivery moved [seconds since the epoch].
    files, bytes : int
        What it has on the disk.
    """

    id: int
    study_instance_uid: str
    study_date: str
    state: str
    reason: str
    review_state: str
    touched_at: float
    files: int
    bytes: int


def candidates(
    tx: Transaction, *, before: float | None = None, study_id: int | None = None, after: int = 0
) -> tuple[Candidate, ...]:
    """Return studies with files to which nothing happened since `before`, or one study, by row.

    Parameters
    ----------
    tx : Transaction
        Any.
    before : float, optional
        Seconds since the epoch.
    study_id : int, optional
        Only this one.
    after : int
        Only rows after this one, at most 500: for the next portion.
    """
    received = _files(instance, instance.c.state != PURGED, instance.c.received_at)
    made = _files(derived_instance, ~derived_instance.c.purged, derived_instance.c.created_at)
    results = _newest(analysis, analysis.c.created_at)
    sent = _newest(delivery, delivery.c.updated_at)
    times = [received.c.newest, made.c.newest, results.c.newest, sent.c.newest]
    zero = sa.literal(0)
    query = (
        sa.select(study)
        .add_columns(*(column.label(f"time_{n}") for n, column in enumerate(times)))
        .add_columns(
            (sa.func.coalesce(received.c.files, zero) + sa.func.coalesce(made.c.files, zero)).label("files"),
            (sa.func.coalesce(received.c.bytes, zero) + sa.func.coalesce(made.c.bytes, zero)).label("bytes"),
        )
        .outerjoin(received, received.c.study_ref == study.c.id)
        .outerjoin(made, made.c.study_ref == study.c.id)
        .outerjoin(results, results.c.study_ref == study.c.id)
        .outerjoin(sent, sent.c.study_ref == study.c.id)
        .where(sa.or_(received.c.files > 0, made.c.files > 0), study.c.id > after)
        .order_by(study.c.id)
    )
    if study_id is not None:
        query = query.where(study.c.id == study_id)
    for column in times if before is not None else ():
        query = query.where(sa.or_(column.is_(None), column < before))
    found = []
    for row in tx.all(query.limit(500)):
        moments = [row._mapping[f"time_{n}"] or 0.0 for n in range(len(times))]
        found.append(read_row(Candidate, row, touched_at=max(moments), bytes=int(row.bytes), state=row.state))
    return tuple(found)


def _files(table: sa.Table, there: sa.ColumnElement[bool], at: sa.ColumnElement[float]) -> sa.Subquery:
    return (
        sa.select(
            table.c.study_ref,
            sa.func.count().label("files"),
            sa.func.sum(table.c.size_bytes).label("bytes"),
            sa.func.max(at).label("newest"),
        )
        .where(there)
        .group_by(table.c.study_ref)
        .subquery()
    )


def _newest(table: sa.Table, at: sa.ColumnElement[float]) -> sa.Subquery:
    query = sa.select(table.c.study_ref, sa.func.max(at).label("newest"))
    return query.group_by(table.c.study_ref).subquery()


def at_work(tx: Transaction, study_id: int) -> bool:
    """Tell whether something is being done with a study, or is due, in this moment."""
    row = tx.one(sa.select(study).where(study.c.id == study_id))
    assert row is not None
    moving = sa.select(delivery.c.id).where(
        delivery.c.study_ref == study_id, delivery.c.state == DeliveryState.RUNNING.value
    )
    return row.state in readiness.AT_WORK or tx.one(moving.limit(1)) is not None


def discard(tx: Transaction, study_id: int) -> None:
    """Give up all that waits of a study, for its files are to be deleted."""
    deliveries.supersede_waiting(tx, study_id)
    tx.execute(
        sa.update(study)
        .where(study.c.id == study_id)
        .values(ready_at=None, next_try_at=None, updated_at=tx.now)
    )
    receiving = sa.and_(study.c.id == study_id, study.c.state == StudyState.RECEIVING.value)
    tx.execute(sa.update(study).where(receiving).values(state=StudyState.HELD.value))


def obstacle(tx: Transaction, study_id: int, *, committing: Iterable[str], signing: bool) -> str:
    """Say in one or two words why a study's files must stay, empty where nothing stands against it.

    Parameters
    ----------
    tx : Transaction
        Any.
    study_id : int
        The study.
    committing : iterable of str
        Destinations that are asked for storage commitment: theirs must be committed.
    signing : bool
        Whether somebody signs results at this site: what waits for that stays.
    """
    row = tx.one(sa.select(study).where(study.c.id == study_id))
    assert row is not None
    if row.state not in _RESTING or row.ready_at is not None or row.next_try_at is not None:
        return "held" if row.state == StudyState.HELD.value else "unfinished"
    unsigned = (ReviewState.PRELIMINARY.value,) if signing else ()
    if row.review_state in (ReviewState.NEEDS_RE_REVIEW.value, *unsigned):
        return "unsigned"
    waiting = sa.select(bulk_study.c.id).where(
        bulk_study.c.study_ref == study_id,
        bulk_study.c.state.in_((bulk.ItemState.WAITING.value, bulk.ItemState.ASKED.value)),
    )
    if tx.one(waiting.limit(1)) is not None:
        return "in a bulk run"
    return _undelivered(tx, study_id, set(committing))


def _undelivered(tx: Transaction, study_id: int, committing: set[str]) -> str:
    live = sa.select(delivery).where(
        delivery.c.study_ref == study_id, delivery.c.state != DeliveryState.SUPERSEDED.value
    )
    sent = list(tx.all(live))
    if any(row.state not in _STORED for row in sent):
        return "unsent"
    newest = sa.select(sa.func.max(analysis.c.id))
    last = tx.scalar(newest.where(analysis.c.study_ref == study_id, analysis.c.published))
    if last is not None and not any(row.analysis_ref == last for row in sent):
        return "unsent"
    if any(deliveries.owed_rejections(tx, study_id, row.destination) for row in sent):
        return "unsent"
    by_destination = {row.destination: row for row in sorted(sent, key=lambda row: row.id)}
    for name, row in by_destination.items():
        if name in committing and row.state != DeliveryState.COMMITTED.value:
            return "uncommitted"
    asked = sa.select(commitment.c.state).join(delivery, delivery.c.id == commitment.c.delivery_ref)
    wanted = asked.where(delivery.c.study_ref == study_id, commitment.c.state.in_(_OPEN))
    newer = commitment.alias()
    last_asked = ~sa.exists().where(
        newer.c.delivery_ref == commitment.c.delivery_ref, newer.c.id > commitment.c.id
    )
    return "uncommitted" if tx.one(wanted.where(last_asked).limit(1)) is not None else ""


def mark(tx: Transaction, study_id: int) -> tuple[str, ...]:
    """Say that the files of a study are gone; return their names, relative to the archive."""
    received = sa.select(instance.c.path).where(instance.c.study_ref == study_id, instance.c.state != PURGED)
    made = sa.select(derived_instance.c.path).where(
        derived_instance.c.study_ref == study_id, ~derived_instance.c.purged
    )
    paths = [row.path for row in (*tx.all(received), *tx.all(made))]
    tx.execute(sa.update(instance).where(instance.c.study_ref == study_id).values(state=PURGED))
    tx.execute(
        sa.update(derived_instance).where(derived_instance.c.study_ref == study_id).values(purged=True)
    )
    tx.execute(sa.update(study).where(study.c.id == study_id).values(updated_at=tx.now))
    return tuple(dict.fromkeys(paths))


def gone(tx: Transaction, *, since: float) -> tuple[str, ...]:
    """Return the names of files whose rows say that they are gone, of studies touched since a time."""
    of_study = sa.select(study.c.id).where(study.c.updated_at >= since)
    received = sa.select(instance.c.path).where(
        instance.c.state == PURGED, instance.c.study_ref.in_(of_study)
    )
    made = sa.select(derived_instance.c.path).where(
        derived_instance.c.purged, derived_instance.c.study_ref.in_(of_study)
    )
    return tuple(dict.fromkeys(row.path for row in (*tx.all(received), *tx.all(made))))


def vouched(tx: Transaction, paths: Sequence[str]) -> frozenset[str]:
    """Return those of these names for which a row vouches: their files must stay."""
    found: set[str] = set()
    for start in range(0, len(paths), 500):
        part = list(paths[start : start + 500])
        received = sa.select(instance.c.path).where(instance.c.path.in_(part), instance.c.state != PURGED)
        made = sa.select(derived_instance.c.path).where(
            derived_instance.c.path.in_(part), ~derived_instance.c.purged
        )
        found.update(row.path for row in (*tx.all(received), *tx.all(made)))
    return frozenset(found)
