"""The audit trail: what happened to a study, in sentences that name nobody.

An event is written in the transaction of what it tells, so that neither exists without the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.store import fit
from tbsnode.store.records import EventRow, read_row
from tbsnode.store.schema import event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tbsnode.store.database import Database, Transaction


def add_event(
    tx: Transaction,
    action: str,
    text: str,
    study_instance_uid: str = "",
    data: Mapping[str, Any] | None = None,
) -> int:
    """Write one event; return its `id`.

    Parameters
    ----------
    tx : Transaction
        The write transaction that does what the event tells.
    action : str
        A stable word such as ``"instance.stored"``.
    text : str
        A sentence without identifying values.
    study_instance_uid : str
        The study it belongs to; empty where it belongs to none.
    data : mapping, optional
        JSON types: UIDs, codes, counts.
    """
    values = {"at": tx.now, "study_instance_uid": study_instance_uid, "action": action, "text": text}
    return tx.add(event, **fit.columns(event, values), data=dict(data or {}))


PURGED = "study.purged"  # its files, or all of it, were deleted on purpose
_PORTION = 500


def purged_studies(database: Database) -> Iterator[str]:
    """Yield UIDs of studies that were deleted on purpose, in whole or their files; some rows at a time."""
    query = sa.select(event.c.id, event.c.study_instance_uid).where(event.c.action == PURGED)
    after = 0
    while True:
        with database.read() as tx:
            rows = tx.all(query.where(event.c.id > after).order_by(event.c.id).limit(_PORTION))
        yield from (row.study_instance_uid for row in rows)
        if len(rows) < _PORTION:
            return
        after = rows[-1].id


def events_of_study(tx: Transaction, study_instance_uid: str) -> tuple[EventRow, ...]:
    """Return a study's events, oldest first."""
    query = sa.select(event).where(event.c.study_instance_uid == study_instance_uid).order_by(event.c.id)
    return tuple(read_row(EventRow, row) for row in tx.all(query))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are wanted; what is not given matches all.

    Attributes
    ----------
    since, until : float or None
        At or after, and before [seconds since the epoch].
    study_instance_uid : str
        Of one study.
    action : str
        Beginning of the action, such as ``"review."``.
    """

    since: float | None = None
    until: float | None = None
    study_instance_uid: str = ""
    action: str = ""


def recent_events(
    tx: Transaction, limit: int = 100, wanted: EventFilter | None = None
) -> tuple[EventRow, ...]:
    """Return the newest events of the node, newest first."""
    chosen = wanted or EventFilter()
    query = sa.select(event).order_by(event.c.id.desc()).limit(limit)
    if chosen.since is not None:
        query = query.where(event.c.at >= chosen.since)
    if chosen.until is not None:
        query = query.where(event.c.at < chosen.until)
    if chosen.study_instance_uid:
        query = query.where(event.c.study_instance_uid == chosen.study_instance_uid)
    if chosen.action:
        query = query.where(event.c.action.startswith(chosen.action, autoescape=True))
    return tuple(read_row(EventRow, row) for row in tx.all(query))
