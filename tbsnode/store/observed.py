"""What a watcher may know of the tables: counts, ages and scores by scanner. Names no patient."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model import DeliveryState, StudyState
from tbsnode.reasons import Code
from tbsnode.store.schema import analysis, audit_seal, delivery, event, instance, study

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction

DAY_S = 86400.0
RECENT_DAYS, BEFORE_DAYS = 30, 180
WATCHED_DAYS = 60  # a scanner that has sent nothing for longer was taken out of service
SHIFT_MIN = 10  # scores on each side; a median of fewer moves by chance
_UNSENT = (DeliveryState.QUEUED, DeliveryState.RUNNING, DeliveryState.FAILED, DeliveryState.PARTIAL)


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """How long a study took to a destination."""

    destination: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Shift:
    """How the texture slope of a scanner has moved: median of the last 30 days less that before."""

    scanner: str
    difference: float
    recent: int
    before: int


def end_to_end(tx: Transaction, delivery_id: int, *, horizon_s: float) -> EndToEnd | None:
    """Return how long a delivery's study took; None unless it was sent just now, for the first time.

    What follows (a late hip, a reprocess, a resend) is as late as somebody made it, not this node. So is
    what somebody let go on, after shadow mode, a quarantine or a failure: it has got new time, more than
    the `horizon_s` that it had when it was made. And so is what may have waited in a paused queue, where
    one was resumed since.
    """
    row = tx.one(
        sa.select(delivery.c.destination, delivery.c.updated_at, delivery.c.study_ref).where(
            delivery.c.id == delivery_id,
            delivery.c.state.in_([DeliveryState.SENT.value, DeliveryState.WARNING.value]),
            sa.func.coalesce(delivery.c.deadline, 0.0) - delivery.c.created_at < horizon_s + 1.0,
        )
    )
    if row is None:
        return None
    before = sa.select(delivery.c.id).where(
        delivery.c.study_ref == row.study_ref,
        delivery.c.destination == row.destination,
        delivery.c.id < delivery_id,
    )
    if tx.one(before.limit(1)) is not None:
        return None
    newest = tx.scalar(
        sa.select(sa.func.max(instance.c.received_at)).where(
            instance.c.study_ref == row.study_ref, instance.c.state == "current"
        )
    )
    if newest is None or _resumed_since(tx, newest):
        return None
    return EndToEnd(row.destination, max(0.0, row.updated_at - newest))


def _resumed_since(tx: Transaction, at: float) -> bool:
    resumed = sa.select(event.c.id).where(event.c.at > at, event.c.action == "queue.resumed")
    return tx.one(resumed.limit(1)) is not None


def _counted(tx: Transaction, query: sa.Select[Any]) -> dict[tuple[str, str], int]:
    return {(one, other): number for one, other, number in map(list, tx.all(query))}


def studies(tx: Transaction) -> dict[tuple[str, str], int]:
    """Count studies by state and reason."""
    query = sa.select(study.c.state, study.c.reason, sa.func.count()).group_by(study.c.state, study.c.reason)
    return _counted(tx, query)


def results(tx: Transaction) -> dict[tuple[str, str], int]:
    """Count reported results by status and reason: the refusals by code."""
    query = (
        sa.select(analysis.c.status, analysis.c.reason, sa.func.count())
        .where(analysis.c.reported)
        .group_by(analysis.c.status, analysis.c.reason)
    )
    return _counted(tx, query)


def deliveries(tx: Transaction) -> dict[tuple[str, str], int]:
    """Count deliveries by destination and state."""
    query = sa.select(delivery.c.destination, delivery.c.state, sa.func.count()).group_by(
        delivery.c.destination, delivery.c.state
    )
    return _counted(tx, query)


def oldest_unsent(tx: Transaction) -> dict[str, float]:
    """Return, for each destination, the age [s] of the oldest result that it has not got.

    One that a newer result of the study has followed is nothing that it lacks.
    """
    newer = delivery.alias()
    followed = sa.exists().where(
        newer.c.study_ref == delivery.c.study_ref,
        newer.c.destination == delivery.c.destination,
        newer.c.id > delivery.c.id,
    )
    query = (
        sa.select(delivery.c.destination, sa.func.min(delivery.c.created_at))
        .where(delivery.c.state.in_([state.value for state in _UNSENT]), ~followed)
        .group_by(delivery.c.destination)
    )
    return {name: max(0.0, tx.now - created) for name, created in map(list, tx.all(query))}


def oldest_waiting(tx: Transaction) -> float:
    """Return the age [s] of the oldest study that is due and not analyzed."""
    due = sa.select(sa.func.min(study.c.ready_at)).where(study.c.ready_at <= tx.now)
    busy = sa.select(sa.func.min(study.c.content_at)).where(
        study.c.state.in_([StudyState.QUEUED.value, StudyState.RUNNING.value])
    )
    ages = [tx.now - float(since) for since in (tx.scalar(due), tx.scalar(busy)) if since is not None]
    return max([0.0, *ages])


def last_received(tx: Transaction) -> dict[str, float]:
    """Return when [seconds since the epoch] each scanner last sent something, if in the last 60 days.

    What was fetched as an earlier examination came from a PACS, and what is dated ahead was received
    while the clock was wrong.
    """
    received = sa.select(sa.func.max(instance.c.received_at)).where(
        instance.c.study_ref == study.c.id,
        instance.c.state != "own",
        instance.c.fetched.is_(sa.false()),
        instance.c.received_at < tx.now + DAY_S,
    )
    query = (
        sa.select(study.c.scanner, sa.func.max(received.scalar_subquery()))
        .where(study.c.created_at > tx.now - WATCHED_DAYS * DAY_S, study.c.scanner != "")
        .group_by(study.c.scanner)
    )
    return {scanner: at for scanner, at in map(list, tx.all(query)) if at is not None}


def newest_findings(tx: Transaction) -> dict[str, frozenset[str]]:
    """Return the codes of the findings of each scanner's newest scored study of the last 30 days."""
    query = (
        sa.select(study.c.scanner, sa.func.max(study.c.id).label("study_id"))
        .join(analysis, analysis.c.study_ref == study.c.id)
        .where(
            study.c.created_at > tx.now - RECENT_DAYS * DAY_S,
            study.c.scanner != "",
            study.c.reason != Code.STUDY_TOO_OLD.value,
            analysis.c.reported,
            analysis.c.score.is_not(None),
        )
        .group_by(study.c.scanner)
    )
    found = {}
    for row in tx.all(query.order_by(study.c.scanner)):
        newest = sa.select(analysis.c.result).where(analysis.c.study_ref == row.study_id, analysis.c.reported)
        result = tx.scalar(newest.order_by(analysis.c.id.desc()).limit(1)) or {}
        found[row.scanner] = frozenset(each["code"] for each in result.get("findings", ()))
    return found


def unsealed_events(tx: Transaction) -> int:
    """Count the newest events that the audit chain does not hold yet."""
    newest = tx.scalar(sa.select(sa.func.max(audit_seal.c.event_ref))) or 0
    query = sa.select(sa.func.count()).select_from(event).where(event.c.id > newest)
    return int(tx.scalar(query) or 0)


def score_shifts(tx: Transaction) -> tuple[Shift, ...]:
    """Compare each scanner's texture slopes of the last 30 days with those of the half year before.

    A study counts once, by when it came and with its newest score: a reprocess says nothing of the scanner.
    """
    result = analysis.alias()
    newest = sa.select(sa.func.max(result.c.id)).where(result.c.study_ref == study.c.id, result.c.reported)
    query = (
        sa.select(study.c.scanner, analysis.c.score, study.c.created_at)
        .select_from(study)
        .join(analysis, analysis.c.id == newest.correlate(study).scalar_subquery())
        .where(
            study.c.created_at > tx.now - (RECENT_DAYS + BEFORE_DAYS) * DAY_S,
            study.c.reason != Code.STUDY_TOO_OLD.value,
            analysis.c.score.is_not(None),
        )
    )
    split = tx.now - RECENT_DAYS * DAY_S
    scores: dict[str, tuple[list[float], list[float]]] = {}
    for row in tx.all(query):
        scores.setdefault(row.scanner, ([], []))[row.created_at <= split].append(row.score)
    return tuple(
        Shift(scanner, median(recent) - median(before), len(recent), len(before))
        for scanner, (recent, before) in sorted(scores.items())
        if min(len(recent), len(before)) >= SHIFT_MIN
    )
