"""What somebody must act on, told once: a row for each cause as long as it lasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.model import DeliveryState, StudyState
from tbsnode.reasons import Code
from tbsnode.store import observed
from tbsnode.store.records import read_row
from tbsnode.store.schema import delivery, notice, study

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tbsnode.store.database import Transaction

_UNWELL = (DeliveryState.REFUSED.value, DeliveryState.FAILED.value, DeliveryState.PARTIAL.value)
_STORED = (DeliveryState.SENT.value, DeliveryState.WARNING.value, DeliveryState.COMMITTED.value)
_WAITS_BY_DESIGN = (Code.SHADOW_MODE.value, Code.AWAITING_SIGNATURE.value)
_MOST = 500  # causes of one kind that are looked at; more are one outage
_KEPT_S = 90 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why somebody must act.

    Attributes
    ----------
    kind : str
        Such as ``"study_failed"``.
    subject : str
        A row of the queue, a destination, a certificate's use: never a patient, no UID.
    data : dict
        Codes, names of destinations and numbers.
    """

    kind: str
    subject: str
    data: dict[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A cause as it was written down; `sent_at` is None until the webhook took it."""

    id: int
    kind: str
    subject: str
    data: dict[str, str | float]
    created_at: float
    sent_at: float | None


def unwell_studies(tx: Transaction) -> tuple[Cause, ...]:
    """Return the studies that failed, and those that wait for a person."""
    query = sa.select(study.c.id, study.c.state, study.c.reason).where(
        study.c.state.in_((StudyState.FAILED.value, StudyState.HELD.value))
    )
    return tuple(
        Cause(kind=f"study_{row.state}", subject=f"study/{row.id}", data={"reason": row.reason})
        for row in tx.all(query.order_by(study.c.id.desc()).limit(_MOST))
    )


def unwell_deliveries(tx: Transaction) -> tuple[Cause, ...]:
    """Return the deliveries that a destination refused, in whole or in part, or that were given up.

    Those held for a person are among them, but not for shadow mode or for a signature.
    """
    newer = delivery.alias()
    last = ~sa.exists().where(
        newer.c.study_ref == delivery.c.study_ref,
        newer.c.destination == delivery.c.destination,
        newer.c.id > delivery.c.id,
    )
    held = delivery.c.state == DeliveryState.HELD.value
    unwell = sa.or_(delivery.c.state.in_(_UNWELL), sa.and_(held, delivery.c.reason.not_in(_WAITS_BY_DESIGN)))
    query = sa.select(delivery.c.id, delivery.c.destination, delivery.c.state, delivery.c.reason)
    rows = tx.all(query.where(unwell, last).order_by(delivery.c.id.desc()).limit(_MOST))
    return tuple(
        Cause(
            kind="study_held" if row.state == DeliveryState.HELD.value else "delivery_refused",
            subject=f"delivery/{row.id}",
            data={"destination": row.destination, "state": row.state, "reason": row.reason},
        )
        for row in rows
    )


def unsent(tx: Transaction, *, after_s: float) -> tuple[Cause, ...]:
    """Return the destinations that got nothing for so long while results wait for them."""
    return tuple(
        Cause(kind="nothing_sent", subject=name, data={"oldest_waits_s": float(round(age_s))})
        for name, age_s in sorted(observed.oldest_unsent(tx).items())
        if age_s > after_s and not _got_something(tx, name, within_s=after_s)
    )


def _got_something(tx: Transaction, destination: str, *, within_s: float) -> bool:
    got = sa.select(delivery.c.id).where(
        delivery.c.state.in_(_STORED),
        delivery.c.destination == destination,
        delivery.c.updated_at > tx.now - within_s,
        # what is said to have been sent next year was sent while the clock was wrong
        delivery.c.updated_at < tx.now + within_s,
    )
    return tx.one(got.limit(1)) is not None


def note(tx: Transaction, causes: Iterable[Cause], kinds: Collection[str]) -> None:
    """Write down what is new, and what of these kinds is over; causes known already stay one row."""
    now_there = {(cause.kind, cause.subject): cause for cause in causes}
    open_rows = tx.all(
        sa.select(notice.c.id, notice.c.kind, notice.c.subject).where(
            notice.c.ended_at.is_(None), notice.c.kind.in_(list(kinds))
        )
    )
    for row in open_rows:
        lasts = now_there.pop((row.kind, row.subject), None) is not None
        values = {"seen_at": tx.now} if lasts else {"ended_at": tx.now}
        tx.execute(sa.update(notice).where(notice.c.id == row.id).values(**values))
    for cause in now_there.values():
        tx.add(
            notice,
            kind=cause.kind,
            subject=cause.subject[:120],
            data=cause.data,
            created_at=tx.now,
            seen_at=tx.now,
        )
    tx.execute(sa.delete(notice).where(notice.c.ended_at < tx.now - _KEPT_S))


def due(tx: Transaction, kind: str, *, interval_s: float) -> tuple[Notice, ...]:
    """Return what the webhook has not taken of a kind, once its interval is over.

    A cause that came and went before it could be told is told all the same.
    """
    last = tx.scalar(sa.select(sa.func.max(notice.c.sent_at)).where(notice.c.kind == kind))
    if last is not None and abs(tx.now - last) < interval_s:  # far in the future: the clock was wrong
        return ()
    query = sa.select(notice).where(notice.c.kind == kind, notice.c.sent_at.is_(None))
    return tuple(read_row(Notice, row) for row in tx.all(query.order_by(notice.c.id)))


def told(tx: Transaction, notices: Iterable[Notice]) -> None:
    """Write down that the webhook took them."""
    ids = [one.id for one in notices]
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        tx.execute(sa.update(notice).where(notice.c.id.in_(part)).values(sent_at=tx.now))
