"""The queues as an administrator sees them: what waits, runs or failed, and how to steer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model import DeliveryState, StudyState
from tbsnode.model.commitment import CommitmentState
from tbsnode.store import commitments
from tbsnode.store.readiness import AT_WORK
from tbsnode.store.schema import commitment, commitment_request, delivery, study
from tbsnode.store.work import ANALYZE_QUEUE, GIVEN_UP, REPORT_QUEUE, deliver_queue, is_due

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction

_ENDED_WELL: dict[str, tuple[StudyState | DeliveryState | CommitmentState, ...]] = {
    "study": (StudyState.DONE, StudyState.NOT_APPLICABLE),
    "delivery": (
        DeliveryState.SENT,
        DeliveryState.COMMITTED,
        DeliveryState.SUPERSEDED,
        DeliveryState.CANCELLED,
    ),
    "commitment": (
        CommitmentState.COMMITTED,
        CommitmentState.VERIFIED,
        CommitmentState.EXPIRED,
        CommitmentState.CANCELLED,
    ),
    "report": (CommitmentState.REPORTED, CommitmentState.CANCELLED),
}
# by name, so that an index finds them: nearly all work has ended well
_NOT_ENDED_WELL = {
    kind: tuple(state.value for state in type(ended[0]) if state not in ended)
    for kind, ended in _ENDED_WELL.items()
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
    "commitment": (CommitmentState.FAILED.value, CommitmentState.UNCONFIRMED.value),
    "report": (CommitmentState.FAILED.value,),
}


_CANCELLABLE = (
    *("queued", "running", "held", "failed", "refused", "partial"),
    *(CommitmentState.WAITING.value, CommitmentState.UNCONFIRMED.value),
)
_CANCELLABLE_STUDIES = ("receiving", "queued", "failed")
_TABLES = {"study": study, "delivery": delivery, "commitment": commitment, "report": commitment_request}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One piece of work.

    Attributes
    ----------
    id : str
        ``"study/12"``, ``"delivery/34"``, ``"commitment/5"`` (asked of a destination) or ``"report/6"``
        (asked of us).
    queue : str
        ``"analyze"``, ``"deliver:<destination>"`` or ``"report"``.
    state : str
        A StudyState, DeliveryState or CommitmentState.
    tries : int
        Attempts at the present work.
    next_try_at : float or None
        When it is due [seconds since the epoch].
    reason, last_error : str
        Code, and what went wrong last.
    study_instance_uid : str
        The study it is about.
    scanner : str
        Whose study.
    created_at : float
        Since when it is there [seconds since the epoch].
    """

    id: str
    queue: str
    state: str
    tries: int
    next_try_at: float | None
    reason: str
    last_error: str
    study_instance_uid: str
    scanner: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """Which work; what is empty or None does not restrict.

    Attributes
    ----------
    state, queue : str
        As `QueueRow` has them.
    destination : str
        Name in the configuration.
    since, until : float or None
        Work that is there since this time or later, since before this time [seconds since the epoch].
    scanner : str
        Part of the scanner's name; letter case is ignored.
    study : str
        Study Instance UID.
    """

    state: str = ""
    queue: str = ""
    destination: str = ""
    since: float | None = None
    until: float | None = None
    scanner: str = ""
    study: str = ""

    def matches(self, row: QueueRow) -> bool:
        """Tell whether a piece of work is meant."""
        return (
            self.state in ("", row.state)
            and self.queue in ("", row.queue)
            and (not self.destination or row.queue == deliver_queue(self.destination))
            and (self.since is None or row.created_at >= self.since)
            and (self.until is None or row.created_at < self.until)
            and self.scanner.casefold() in row.scanner.casefold()
            and self.study in ("", row.study_instance_uid)
        )


def is_cancellable(row: QueueRow) -> bool:
    """Tell whether `cancel` would give it up: what is being analyzed just now is finished."""
    if row.id.startswith("study/"):
        return row.state in _CANCELLABLE_STUDIES
    return row.state in _CANCELLABLE


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
        *_commitments(tx, state, chosen["commitment"] if chosen else None),
        *_reports(tx, state, chosen["report"] if chosen else None),
    ]
    return tuple(row for row in found if queue is None or row.queue == queue)


def _restricted(table: sa.Table, kind: str, state: str | None, among: tuple[str, ...] | None) -> Any:
    if state is not None:
        return table.c.state == state
    if among is not None:
        failed = [name for name in among if name != DeliveryState.CANCELLED.value]
        return sa.or_(table.c.state.in_(failed), _waiting(table))
    return table.c.state.in_(_NOT_ENDED_WELL[kind])


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
            scanner=row.scanner,
            created_at=row.created_at,
        )
        for row in tx.all(query)
    ]


def _deliveries(
    tx: Transaction, state: str | None, among: tuple[str, ...] | None, *, newest: bool
) -> list[QueueRow]:
    query = (
        sa.select(delivery, study.c.study_instance_uid, study.c.scanner)
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
            scanner=row.scanner,
            created_at=row.created_at,
        )
        for row in tx.all(query)
    ]


def _commitments(tx: Transaction, state: str | None, among: tuple[str, ...] | None) -> list[QueueRow]:
    query = (
        sa.select(commitment, delivery.c.destination, study.c.study_instance_uid, study.c.scanner)
        .join(delivery, delivery.c.id == commitment.c.delivery_ref)
        .join(study, study.c.id == delivery.c.study_ref)
        .where(_restricted(commitment, "commitment", state, among))
        .where(_is_last() if state is None else sa.true())
        .order_by(commitment.c.id)
    )
    return [
        _row("commitment", row, deliver_queue(row.destination), (row.study_instance_uid, row.scanner))
        for row in tx.all(query)
    ]


def _reports(tx: Transaction, state: str | None, among: tuple[str, ...] | None) -> list[QueueRow]:
    query = sa.select(commitment_request).where(_restricted(commitment_request, "report", state, among))
    rows = tx.all(query.order_by(commitment_request.c.id))
    return [_row("report", row, REPORT_QUEUE, ("", "")) for row in rows]


def _row(kind: str, row: sa.Row[Any], queue: str, about: tuple[str, str]) -> QueueRow:
    return QueueRow(
        id=f"{kind}/{row.id}",
        queue=queue,
        state=row.state,
        tries=row.tries,
        next_try_at=row.next_try_at,
        reason="",
        last_error=row.last_error,
        study_instance_uid=about[0],
        scanner=about[1],
        created_at=row.created_at,
    )


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


def _is_last() -> sa.ColumnElement[bool]:
    """Tell whether a delivery was not asked for again after this transaction."""
    later = commitment.alias()
    return ~sa.exists().where(later.c.delivery_ref == commitment.c.delivery_ref, later.c.id > commitment.c.id)


def counts(tx: Transaction) -> dict[str, dict[str, int]]:
    """Return how many rows of each state each queue has, finished ones included, by name on any database."""
    found: dict[str, dict[str, int]] = {}
    number = sa.func.count()
    by_state = sa.select(study.c.state, number.label("n")).group_by(study.c.state)
    for row in tx.all(by_state.order_by(study.c.state)):
        found.setdefault(ANALYZE_QUEUE, {})[row.state] = row.n
    placed = (delivery.c.destination, delivery.c.state)
    query = sa.select(*placed, number.label("n"))
    for row in tx.all(query.group_by(*placed).order_by(*placed)):
        found.setdefault(deliver_queue(row.destination), {})[row.state] = row.n
    asked = sa.select(delivery.c.destination, commitment.c.state, number.label("n"))
    asked = asked.join(delivery, delivery.c.id == commitment.c.delivery_ref)
    placed = (delivery.c.destination, commitment.c.state)
    for row in tx.all(asked.group_by(*placed).order_by(*placed)):
        found.setdefault(f"commitment:{row.destination}", {})[row.state] = row.n
    reports = sa.select(commitment_request.c.state, number.label("n"))
    by_state = reports.group_by(commitment_request.c.state)
    for row in tx.all(by_state.order_by(commitment_request.c.state)):
        found.setdefault(REPORT_QUEUE, {})[row.state] = row.n
    return found


def is_work_at_hand(tx: Transaction, *, within_s: float) -> bool:
    """Tell whether anything is being worked on, or is due within a while."""
    if is_due(tx, within_s=within_s):
        return True
    for table in _TABLES.values():
        out = sa.select(table.c.id).where(table.c.state.in_(AT_WORK), table.c.next_try_at.is_(None))
        if tx.connection.execute(out.limit(1)).first() is not None:
            return True
    return False


def is_there(tx: Transaction, kind: str, row_id: int) -> bool:
    """Tell whether there is such work, ended or not."""
    table = _TABLES[kind]
    return tx.one(sa.select(table.c.id).where(table.c.id == row_id)) is not None


def revive(tx: Transaction, kind: str, row_id: int, *, horizon_s: float) -> str | None:
    """Make ended or held work due now; return its study's UID, None where a retry would not help.

    What is waiting for its next try is made due too. A delivery that a newer one to the same
    destination has followed stays as it is: an old result never arrives after a new one. A destination
    is asked again for commitment with a new transaction.
    """
    table = _TABLES[kind]
    values: dict[str, Any] = {"state": "queued", "next_try_at": tx.now, "tries": 0}
    ended: sa.ColumnElement[bool] = table.c.state.in_(_RETRIABLE[kind])
    if kind == "commitment":
        # who names one that waits for its report knows that none will come
        asked = sa.or_(ended, commitment.c.state == CommitmentState.WAITING.value)
        row = tx.one(sa.select(commitment.c.delivery_ref).where(commitment.c.id == row_id, asked, _is_last()))
        if row is not None:
            commitments.add_commitment(tx, row.delivery_ref, horizon_s=horizon_s)
            return _uid(tx, kind, row_id)
        ended = sa.false()  # its transaction UID is dead
    helps = sa.and_(sa.or_(ended, _waiting(table)), _is_newest() if kind == "delivery" else sa.true())
    if kind in ("study", "delivery"):
        values["reason"] = ""
    if kind != "study":
        values["deadline"] = tx.now + horizon_s
    changed = tx.execute(
        sa.update(table).where(table.c.id == row_id, helps).values(updated_at=tx.now, **values)
    )
    return _uid(tx, kind, row_id) if changed.rowcount else None


def cancel(tx: Transaction, kind: str, row_id: int) -> str | None:
    """Give up work that waits; return its study's UID, None where nothing waited.

    A delivery that is being sent just now runs on to its end, for a newer one must not start beside it:
    what the peer stores of it is recorded as a fact, and nothing is tried again. What a peer reports of a
    commitment is recorded too.
    """
    table = _TABLES[kind]
    values: dict[str, Any] = {"state": "cancelled", "next_try_at": None}
    waiting = table.c.state.in_(_CANCELLABLE)
    if kind == "delivery":
        running = delivery.c.state == DeliveryState.RUNNING.value
        values["state"] = sa.case((running, delivery.c.state), else_=values["state"])
        values["deadline"] = sa.case((running, GIVEN_UP), else_=delivery.c.deadline)
    if kind == "study":
        values = {"state": StudyState.HELD.value, "ready_at": None, "next_try_at": None}
        waiting = table.c.state.in_(_CANCELLABLE_STUDIES)
    changed = tx.execute(
        sa.update(table)
        .where(table.c.id == row_id, waiting)
        .values(updated_at=tx.now, last_error="cancelled by an administrator", **values)
    )
    return _uid(tx, kind, row_id) if changed.rowcount else None


def _uid(tx: Transaction, kind: str, row_id: int) -> str:
    if kind == "report":
        return ""  # it may be about several
    query = sa.select(study.c.study_instance_uid)
    if kind != "study":
        query = query.join(delivery, delivery.c.study_ref == study.c.id)
    if kind == "commitment":
        query = query.join(commitment, commitment.c.delivery_ref == delivery.c.id)
    return str(tx.scalar(query.where(_TABLES[kind].c.id == row_id)))
