"""What is due, who has it, when to try again: the rows that the job engine turns into workflows.

Every function takes an open transaction and performs one guarded statement or a few of them; none
waits. A *ticket* is (row, attempt): whoever works presents it, and a ticket whose attempt is no
longer the row's is void, so an old worker cannot overwrite a newer one's result.

Study::

    arm ──> RECEIVING (ready_at) ──take──> QUEUED ──start──> RUNNING ──finish──> DONE | ...
                                             ^                  │
                                             └── next_try_at <──┴── postpone

A late instance arms a study that is being worked on too (`store.readiness`); it is taken again once
that work is over. Delivery rows move the same way, without `ready_at`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, and_, case, delete, func, insert, or_, select, update

from tbsnode.errors import ConfigError
from tbsnode.model import DeliveryState, StudyState
from tbsnode.model.commitment import CommitmentState
from tbsnode.store.readiness import AT_WORK
from tbsnode.store.schema import (
    commitment,
    commitment_request,
    delivery,
    executor_lease,
    queue_pause,
    study,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Column, ColumnElement

    from tbsnode.store.database import Database, Transaction

ANALYZE_QUEUE = "analyze"
REPORT_QUEUE = "report"

_AHEAD_S = 60.0  # no clock of another machine is further ahead

_TABLES = {"study": study, "delivery": delivery, "commitment": commitment, "report": commitment_request}


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to work on one row, as long as the row's attempt is this one.

    Attributes
    ----------
    kind : str
        ``"study"``, ``"delivery"``, ``"commitment"`` (asked by us) or ``"report"`` (asked of us).
    row_id : int
        Its row.
    attempt : int
        Rises with every enqueue.
    queue : str
        ``"analyze"``, ``"deliver:<destination>"`` or ``"report"``.
    """

    kind: str
    row_id: int
    attempt: int
    queue: str

    @property
    def workflow_id(self) -> str:
        """Name of the workflow that carries this ticket."""
        return f"{self.kind}/{self.row_id}/{self.attempt}"


def deliver_queue(destination: str) -> str:
    """Return the queue name of a destination."""
    return f"deliver:{destination}"


# ---- taking ------------------------------------------------------------------------------------


def is_due(tx: Transaction, *, within_s: float = 0.0) -> bool:
    """Tell whether anything is due, or will be soon, without taking the write lock."""
    for table, column in ((study, "ready_at"), *((table, "next_try_at") for table in _TABLES.values())):
        due = select(table.c.id).where(table.c[column] <= tx.now + within_s).limit(1)
        if tx.connection.execute(due).first() is not None:
            return True
    return False


def take_due(tx: Transaction, *, limit: int) -> list[Ticket]:
    """Take all rows that are due, each in one guarded statement; each becomes one ticket.

    On PostgreSQL several scanners may take at once (SKIP LOCKED inside the statement); on SQLite
    the write transaction is exclusive, and a SELECT before the UPDATE would take a study twice.
    """
    paused = set(tx.connection.execute(select(queue_pause.c.queue)).scalars())
    tickets = [] if ANALYZE_QUEUE in paused else _take_studies(tx, limit)
    tickets += _take_deliveries(tx, limit, paused) + _take_commitments(tx, limit, paused)
    return tickets if REPORT_QUEUE in paused else tickets + _take_reports(tx, limit)


def _take_studies(tx: Transaction, limit: int) -> list[Ticket]:
    waiting = or_(study.c.state.not_in(AT_WORK), study.c.next_try_at.is_not(None))
    fresh = _take(
        tx,
        study.c.ready_at,
        waiting,
        limit,
        ready_at=None,
        next_try_at=None,
        shadow=study.c.ready_shadow,
        ready_shadow=False,
        generation=study.c.generation + 1,
        content_at=tx.now,
        tries=1,
        state=StudyState.QUEUED.value,
        reason="",
        last_error="",
    )
    again = _take(
        tx,
        study.c.next_try_at,
        _is_queued(study),
        limit,
        next_try_at=None,
        tries=study.c.tries + 1,
    )
    return [Ticket("study", row.id, row.attempt, ANALYZE_QUEUE) for row in fresh + again]


def _take_deliveries(tx: Transaction, limit: int, paused: set[str]) -> list[Ticket]:
    stopped = [name.removeprefix("deliver:") for name in paused if name.startswith("deliver:")]
    due = and_(_is_queued(delivery), delivery.c.destination.not_in(stopped))
    rows = _take(tx, delivery.c.next_try_at, due, limit, next_try_at=None, tries=delivery.c.tries + 1)
    return [Ticket("delivery", row.id, row.attempt, deliver_queue(row.destination)) for row in rows]


def _take_commitments(tx: Transaction, limit: int, paused: set[str]) -> list[Ticket]:
    """Take what is to be asked, and what was asked and not reported in time."""
    stopped = [name.removeprefix("deliver:") for name in paused if name.startswith("deliver:")]
    names = {row.id: row.destination for row in _open_commitments(tx, stopped)}
    if not names:
        return []
    due = and_(
        commitment.c.state.in_((CommitmentState.QUEUED.value, CommitmentState.WAITING.value)),
        commitment.c.id.in_(names),
    )
    rows = _take(
        tx,
        commitment.c.next_try_at,
        due,
        limit,
        next_try_at=None,
        state=CommitmentState.QUEUED.value,
        tries=commitment.c.tries + 1,
    )
    return [Ticket("commitment", row.id, row.attempt, deliver_queue(names[row.id])) for row in rows]


def _open_commitments(tx: Transaction, stopped: Iterable[str]) -> list[Any]:
    joined = commitment.join(delivery, delivery.c.id == commitment.c.delivery_ref)
    query = select(commitment.c.id, delivery.c.destination).select_from(joined)
    due = query.where(commitment.c.next_try_at <= tx.now, delivery.c.destination.not_in(list(stopped)))
    return list(tx.connection.execute(due.order_by(commitment.c.next_try_at).limit(1000)))


def _take_reports(tx: Transaction, limit: int) -> list[Ticket]:
    table = commitment_request
    tries = table.c.tries + 1
    rows = _take(tx, table.c.next_try_at, _is_queued(table), limit, next_try_at=None, tries=tries)
    return [Ticket("report", row.id, row.attempt, REPORT_QUEUE) for row in rows]


def _is_queued(table: Table) -> ColumnElement[bool]:
    """Match what is queued, in words that use no index: after an outage that is most of what there is."""
    return func.coalesce(table.c.state, "") == "queued"


def _take(
    tx: Transaction, at: Column[float], due: ColumnElement[bool], limit: int, **values: Any
) -> list[Any]:
    """Take what has been due longest by the column `at`, whose index has that in order, and nothing else."""
    table = at.table
    chosen = select(table.c.id).where(at <= tx.now, due).order_by(at).limit(limit)
    if tx.connection.dialect.name == "postgresql":
        chosen = chosen.with_for_update(skip_locked=True)
    taken = tx.connection.execute(
        update(table)
        .where(table.c.id.in_(chosen.scalar_subquery()))
        .values(attempt=table.c.attempt + 1, updated_at=tx.now, **values)
        .returning(*table.c)
    )
    return list(taken)


# ---- working on a ticket -----------------------------------------------------------------------


def _mine(table: Table, ticket: Ticket) -> ColumnElement[bool]:
    return and_(table.c.id == ticket.row_id, table.c.attempt == ticket.attempt, table.c.state.in_(AT_WORK))


def _table(ticket: Ticket) -> Table:
    return _TABLES[ticket.kind]


def start(tx: Transaction, ticket: Ticket) -> bool:
    """Mark the row as running; False where the ticket is void and nothing may be done."""
    table = _table(ticket)
    done = update(table).where(_wanted(table, ticket)).values(state="running", updated_at=tx.now)
    return tx.connection.execute(done).rowcount == 1 or _give_up(tx, ticket)


# The deadline of what an administrator gave up while it was being sent: it stays RUNNING until it ends, so
# that no newer delivery of its study starts beside it, and is not tried again.
GIVEN_UP = 0.0


def _wanted(table: Table, ticket: Ticket) -> ColumnElement[bool]:
    mine = _mine(table, ticket)
    return and_(mine, func.coalesce(table.c.deadline, 1) != GIVEN_UP) if table is delivery else mine


def _give_up(tx: Transaction, ticket: Ticket) -> bool:
    """End a delivery that is not to be tried again; False, as there is nothing to do."""
    if ticket.kind == "delivery":
        given_up = update(delivery).where(_mine(delivery, ticket), delivery.c.deadline == GIVEN_UP)
        tx.connection.execute(given_up.values(state=DeliveryState.CANCELLED.value, updated_at=tx.now))
    return False


_STORED = (DeliveryState.SENT, DeliveryState.WARNING, DeliveryState.PARTIAL)


def finish(
    tx: Transaction, ticket: Ticket, state: StudyState | DeliveryState | CommitmentState, **values: Any
) -> bool:
    """End the work on a ticket in the transaction that stores its result; False if it is void.

    What a peer has stored is a fact, also where an administrator cancelled the delivery meanwhile.
    """
    table = _table(ticket)
    from_states = (*AT_WORK, DeliveryState.CANCELLED.value) if state in _STORED else AT_WORK
    ended: Any = state.value
    if table is delivery and state not in _STORED:
        ended = case((delivery.c.deadline == GIVEN_UP, DeliveryState.CANCELLED.value), else_=ended)
    done = tx.connection.execute(
        update(table)
        .where(
            table.c.id == ticket.row_id,
            table.c.attempt == ticket.attempt,
            table.c.state.in_(from_states),
        )
        .values(state=ended, next_try_at=None, updated_at=tx.now, **values)
    )
    return bool(done.rowcount == 1)


def postpone(
    tx: Transaction, ticket: Ticket, *, delay_s: float, error: str, state: str = "queued", **values: Any
) -> bool:
    """Try again after `delay_s`; nothing waits meanwhile but this row."""
    table = _table(ticket)
    values |= {"state": state, "next_try_at": tx.now + delay_s, "last_error": error, "updated_at": tx.now}
    done = update(table).where(_wanted(table, ticket)).values(**values)
    return tx.connection.execute(done).rowcount == 1 or _give_up(tx, ticket)


def can_lock(tx: Transaction, ticket: Ticket) -> bool:
    """Lock the row of a ticket without waiting; False where another transaction has it now."""
    table = _table(ticket)
    row = select(table.c.id).where(table.c.id == ticket.row_id)
    if tx.connection.dialect.name == "postgresql":
        row = row.with_for_update(skip_locked=True)
    return tx.connection.execute(row).first() is not None


def tries_of(tx: Transaction, ticket: Ticket) -> int:
    """Return how often the present generation or delivery has been tried."""
    c = _table(ticket).c
    return int(tx.connection.execute(select(c.tries).where(c.id == ticket.row_id)).scalar_one())


def study_uid_of(tx: Transaction, ticket: Ticket) -> str:
    """Return the Study Instance UID that a ticket is about; empty for a report, of any studies."""
    query = select(study.c.study_instance_uid)
    if ticket.kind == "report":
        return ""
    if ticket.kind == "study":
        query = query.where(study.c.id == ticket.row_id)
    else:
        query = query.join(delivery, delivery.c.study_ref == study.c.id)
        if ticket.kind == "commitment":
            query = query.join(commitment, commitment.c.delivery_ref == delivery.c.id)
        query = query.where(_table(ticket).c.id == ticket.row_id)
    return str(tx.connection.execute(query).scalar_one())


def at_work(tx: Transaction, *, untouched_for_s: float) -> list[Ticket]:
    """Return tickets that are out and untouched for a while: what the reconciler asks about."""
    studies = tx.connection.execute(
        select(study.c.id, study.c.attempt).where(_untouched(tx, study, untouched_for_s))
    )
    deliveries = tx.connection.execute(
        select(delivery.c.id, delivery.c.attempt, delivery.c.destination).where(
            _untouched(tx, delivery, untouched_for_s)
        )
    )
    out = [Ticket("study", row.id, row.attempt, ANALYZE_QUEUE) for row in studies]
    out += [Ticket("delivery", row.id, row.attempt, deliver_queue(row.destination)) for row in deliveries]
    for kind, table in (("commitment", commitment), ("report", commitment_request)):
        lost = select(table.c.id, table.c.attempt).where(_untouched(tx, table, untouched_for_s))
        rows = tx.connection.execute(lost)
        out += [Ticket(kind, row.id, row.attempt, "") for row in rows]  # nobody asks for their queue
    return out


def _untouched(tx: Transaction, table: Table, seconds: float) -> ColumnElement[bool]:
    """Match what is out and was touched longer ago, or, by a clock that was wrong, will be."""
    touched = table.c.updated_at.between(tx.now - seconds, tx.now + _AHEAD_S)
    return and_(table.c.state.in_(AT_WORK), table.c.next_try_at.is_(None), ~touched)


# ---- queues ------------------------------------------------------------------------------------


def pause(tx: Transaction, queue: str, *, by: str) -> None:
    """Stop taking rows of a queue; what runs, finishes."""
    resume(tx, queue)
    tx.connection.execute(insert(queue_pause).values(queue=queue, paused_at=tx.now, paused_by=by))


def resume(tx: Transaction, queue: str) -> None:
    """Take rows of a queue again."""
    tx.connection.execute(delete(queue_pause).where(queue_pause.c.queue == queue))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A queue that nothing is taken from, since when, and who wanted that."""

    queue: str
    paused_at: float
    paused_by: str


def pauses(tx: Transaction) -> tuple[Pause, ...]:
    """Return the pauses by queue."""
    rows = tx.connection.execute(select(queue_pause).order_by("queue")).mappings()
    return tuple(Pause(**row) for row in rows)


def paused_queues(tx: Transaction) -> tuple[str, ...]:
    """Return the names of the paused queues."""
    return tuple(tx.connection.execute(select(queue_pause.c.queue).order_by("queue")).scalars())


# ---- leases ------------------------------------------------------------------------------------


def renew_lease(tx: Transaction, executor_id: str, *, ttl_s: float) -> None:
    """Say that an executor is alive; leases long expired are forgotten."""
    table = executor_lease
    known = tx.connection.execute(
        update(table).where(table.c.executor_id == executor_id).values(expires_at=tx.now + ttl_s)
    )
    if known.rowcount == 0:
        tx.connection.execute(insert(table).values(executor_id=executor_id, expires_at=tx.now + ttl_s))
    tx.connection.execute(delete(table).where(table.c.expires_at < tx.now - 60 * ttl_s))


def live_executors(tx: Transaction) -> frozenset[str]:
    """Return the executors whose lease has not expired."""
    table = executor_lease
    return frozenset(
        tx.connection.execute(select(table.c.executor_id).where(table.c.expires_at >= tx.now)).scalars()
    )


def require_no_executor(database: Database) -> None:
    """Raise ConfigError where a worker is alive: on PostgreSQL that of any machine."""
    with database.read() as tx:
        alive = sorted(name.rpartition("/")[2] for name in live_executors(tx))
    if alive:
        raise ConfigError(
            f"A node works with this database: {', '.join(alive)}.",
            remedy="Stop `tbsnode serve` on every machine. One that was killed counts for engine.lease_s.",
        )


def end_lease(tx: Transaction, executor_ids: Iterable[str]) -> None:
    """Forget leases of executors that left in an orderly way."""
    tx.connection.execute(delete(executor_lease).where(executor_lease.c.executor_id.in_(list(executor_ids))))
