"""The audit trail: what happened to a study, in sentences that name nobody.

An event is written in the transaction of what it tells, so that neither exists without the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.store import fit
from tbsnode.store.records import EventRow, read_row
from tbsnode.store.schema import event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tbsnode.store.database import Transaction


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


def events_of_study(tx: Transaction, study_instance_uid: str) -> tuple[EventRow, ...]:
    """Return a study's events, oldest first."""
    query = sa.select(event).where(event.c.study_instance_uid == study_instance_uid).order_by(event.c.id)
    return tuple(read_row(EventRow, row) for row in tx.all(query))


def recent_events(tx: Transaction, limit: int = 100) -> tuple[EventRow, ...]:
    """Return the newest events of the node, newest first."""
    query = sa.select(event).order_by(event.c.id.desc()).limit(limit)
    return tuple(read_row(EventRow, row) for row in tx.all(query))
