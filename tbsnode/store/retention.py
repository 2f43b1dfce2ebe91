"""Whose files may be deleted: what stands against it, and the rows of files that are gone.

A row is never deleted. It says that its file was (`purged`), and what arrives again is new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    from collections.abc import Collection, Iterable, Mapping

    from tbsnode.store.database import Transaction

PURGED = "purged"
_PORTION = 500
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


def newest_study_dates(tx: Transaction, most: int) -> tuple[str, ...]:
    """Return the Study Dates of the studies that came last, in whatever order they were made."""
    query = sa.select(study.c.study_date).order_by(study.c.id.desc()).limit(most)
    return tuple(row.study_date for row in tx.all(query))


def portion(tx: Transaction, *, after: int) -> tuple[int, ...]:
    """Return the next studies after a row, at most 500."""
    query = sa.select(study.c.id).where(study.c.id > after)
    return tuple(row.id for row in tx.all(query.order_by(study.c.id).limit(_PORTION)))


def candidates(
    tx: Transaction, study_ids: Collection[int], *, before: float = math.inf
) -> tuple[Candidate, ...]:
    """Return those of a portion of studies that have files and were left alone since `before`, by row.

    What is asked is asked of these studies only: an archive of years must not be looked through for one.

    Parameters
    ----------
    tx : Transaction
        Any.
    study_ids : collection of int
        No more than a statement may hold.
    before : float
        Seconds since the epoch; by default it does not matter.
    """
    received = _files(tx, instance, instance.c.state != PURGED, instance.c.received_at, study_ids)
    made = _files(tx, derived_instance, ~derived_instance.c.purged, derived_instance.c.created_at, study_ids)
    ids = {*received, *made}
    results, sent = (
        _newest(tx, analysis, analysis.c.created_at, ids),
        _newest(tx, delivery, delivery.c.updated_at, ids),
    )
    found = []
    for row in tx.all(sa.select(study).where(study.c.id.in_(ids)).order_by(study.c.id)):
        files = [each[row.id] for each in (received, made) if row.id in each]
        times = [each.newest for each in files] + [each[row.id] for each in (results, sent) if row.id in each]
        if max(times) < before:
            count, size = sum(each.files for each in files), sum(int(each.bytes) for each in files)
            found.append(read_row(Candidate, row, touched_at=max(times), files=count, bytes=size))
    return tuple(found)


def _files(
    tx: Transaction,
    table: sa.Table,
    there: sa.ColumnElement[bool],
    at: sa.ColumnElement[float],
    study_ids: Collection[int],
) -> dict[int, sa.Row[Any]]:
    number, size = sa.func.count().label("files"), sa.func.sum(table.c.size_bytes).label("bytes")
    query = sa.select(table.c.study_ref, number, size, sa.func.max(at).label("newest"))
    rows = tx.all(query.where(table.c.study_ref.in_(study_ids), there).group_by(table.c.study_ref))
    return {row.study_ref: row for row in rows}


def _newest(
    tx: Transaction, table: sa.Table, at: sa.ColumnElement[float], study_ids: Collection[int]
) -> dict[int, float]:
    query = sa.select(table.c.study_ref, sa.func.max(at).label("newest"))
    rows = tx.all(query.where(table.c.study_ref.in_(study_ids)).group_by(table.c.study_ref))
    return {row.study_ref: row.newest for row in rows}


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
    """Say what a destination lacks: its newest delivery counts, and those before it only while they run."""
    live = sa.select(delivery).where(
        delivery.c.study_ref == study_id, delivery.c.state != DeliveryState.SUPERSEDED.value
    )
    every = tx.all(live.order_by(delivery.c.id))
    by_destination = {row.destination: row for row in every}
    sent = list(by_destination.values())
    if any(row.state in readiness.AT_WORK for row in every) or any(row.state not in _STORED for row in sent):
        return "unsent"
    newest = sa.select(sa.func.max(analysis.c.id))
    last = tx.scalar(newest.where(analysis.c.study_ref == study_id, analysis.c.published))
    if last is not None and not any(row.analysis_ref == last for row in sent):
        return "unsent"
    if any(deliveries.owed_rejections(tx, study_id, row.destination) for row in sent):
        return "unsent"
    for name, row in by_destination.items():
        if name in committing and row.state != DeliveryState.COMMITTED.value:
            return "uncommitted"
    asked = sa.select(commitment.c.state).join(delivery, delivery.c.id == commitment.c.delivery_ref)
    wanted = asked.where(delivery.c.id.in_([row.id for row in sent]), commitment.c.state.in_(_OPEN))
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


def touched(tx: Transaction, *, since: float, after: int) -> tuple[int, ...]:
    """Return studies touched since a time, by row after `after`, at most 500: the next portion."""
    query = sa.select(study.c.id).where(study.c.id > after, study.c.updated_at >= since)
    return tuple(row.id for row in tx.all(query.order_by(study.c.id).limit(_PORTION)))


def gone(tx: Transaction, study_ids: Collection[int]) -> dict[str, int]:
    """Return the names of files whose rows say that they are gone, each with its study's row."""
    received = sa.select(instance.c.path, instance.c.study_ref).where(instance.c.state == PURGED)
    made = sa.select(derived_instance.c.path, derived_instance.c.study_ref).where(derived_instance.c.purged)
    return {
        row.path: row.study_ref
        for query, table in ((received, instance), (made, derived_instance))
        for row in tx.all(query.where(table.c.study_ref.in_(study_ids)).order_by(table.c.id))
    }


def vouched(tx: Transaction, names: Mapping[str, int]) -> frozenset[str]:
    """Return those of these names, each with its study's row, for which a row vouches: their files stay.

    A name begins with its study's UID: no other study's row has it.
    """
    found: set[str] = set()
    every = list(names)
    kept = ((instance, instance.c.state != PURGED), (derived_instance, ~derived_instance.c.purged))
    for start in range(0, len(every), _PORTION):
        part = every[start : start + _PORTION]
        for table, there in kept:
            of_study = table.c.study_ref.in_({names[name] for name in part})
            rows = tx.all(sa.select(table.c.path).where(of_study, table.c.path.in_(part), there))
            found.update(row.path for row in rows)
    return frozenset(found)
