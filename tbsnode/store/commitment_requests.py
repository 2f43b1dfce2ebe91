"""Storage commitment that callers ask of us, as rows, and the files that it is about.

A request is written before it is answered, so that its report goes out whatever happens to the
process that took it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model.commitment import CommitmentRequest, CommitmentState, SopReference
from tbsnode.store.schema import commitment_request, derived_instance, instance, study
from tbsnode.store.work import Ticket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tbsnode.store.database import Transaction

_KEPT = ("current", "superseded", "conflict", "own")
_AT_ONCE = 500  # values in one IN list


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """One transaction that a caller asked us for."""

    id: int
    calling_ae_title: str
    host: str
    transaction_uid: str
    instances: tuple[SopReference, ...]
    state: CommitmentState
    attempt: int
    tries: int
    deadline: float


def add_request(
    tx: Transaction, request: CommitmentRequest, *, due_in_s: float, horizon_s: float
) -> RequestRow | None:
    """Write what a caller asks for; None where its transaction UID is in use for other instances.

    The same request again, because our answer was lost, is reported again.
    """
    key = {"calling_ae_title": request.calling_ae_title, "transaction_uid": request.transaction_uid}
    due: dict[str, Any] = {
        "host": request.host,
        "state": CommitmentState.QUEUED.value,
        "tries": 0,
        "next_try_at": tx.now + due_in_s,
        "deadline": tx.now + horizon_s,
        "last_error": "",
        "updated_at": tx.now,
    }
    asked = [[each.sop_class_uid, each.sop_instance_uid] for each in request.instances]
    added = tx.add_if_new(commitment_request, **key, **due, instances=asked, created_at=tx.now)
    if added is None:
        known = _request(tx, *(commitment_request.c[name] == value for name, value in key.items()))
        if known is None or set(known.instances) != set(request.instances):
            return None
        # whoever was reporting it meanwhile has a void ticket
        table = commitment_request
        again = sa.update(table).where(table.c.id == known.id)
        tx.execute(again.values(attempt=table.c.attempt + 1, **due))
        added = known.id
    return _request(tx, commitment_request.c.id == added)


def request_by_id(tx: Transaction, request_id: int) -> RequestRow | None:
    """Return what a caller asked for, by its row."""
    return _request(tx, commitment_request.c.id == request_id)


def claim_request(tx: Transaction, request: CommitmentRequest) -> Ticket | None:
    """Take a request out of the queue, to be reported by whoever claims it; None if it is out."""
    table = commitment_request
    row = tx.one(
        sa.update(table)
        .where(
            table.c.calling_ae_title == request.calling_ae_title,
            table.c.transaction_uid == request.transaction_uid,
            table.c.state == CommitmentState.QUEUED.value,
            table.c.next_try_at.is_not(None),
        )
        .values(
            state=CommitmentState.RUNNING.value,
            attempt=table.c.attempt + 1,
            tries=table.c.tries + 1,
            next_try_at=None,
            updated_at=tx.now,
        )
        .returning(table.c.id, table.c.attempt)
    )
    return None if row is None else Ticket("report", row.id, row.attempt, "")


def put_off_others(tx: Transaction, row: RequestRow, *, delay_s: float) -> None:
    """Let the other reports to a caller that is away wait too: each try would cost its time limit."""
    table = commitment_request
    tx.execute(
        sa.update(table)
        .where(
            table.c.calling_ae_title == row.calling_ae_title,
            table.c.host == row.host,
            table.c.state == CommitmentState.QUEUED.value,
            table.c.next_try_at < tx.now + delay_s,
        )
        .values(next_try_at=tx.now + delay_s)
    )


def _request(tx: Transaction, *where: sa.ColumnElement[bool]) -> RequestRow | None:
    row = tx.one(sa.select(commitment_request).where(*where))
    if row is None:
        return None
    return RequestRow(
        id=row.id,
        calling_ae_title=row.calling_ae_title,
        host=row.host,
        transaction_uid=row.transaction_uid,
        instances=tuple(SopReference(sop_class_uid=one, sop_instance_uid=two) for one, two in row.instances),
        state=CommitmentState(row.state),
        attempt=row.attempt,
        tries=row.tries,
        deadline=row.deadline,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file that the catalogue says we keep."""

    sop_class_uid: str
    sop_instance_uid: str
    path: str
    size_bytes: int
    study_instance_uid: str


def kept_files(tx: Transaction, sop_instance_uids: Iterable[str]) -> dict[str, list[Kept]]:
    """Return every file under each SOP Instance UID: received, in all versions, or made here."""
    wanted = list(sop_instance_uids)
    found: dict[str, list[Kept]] = {}
    for begin in range(0, len(wanted), _AT_ONCE):
        for table in (instance, derived_instance):
            query = (
                sa.select(
                    table.c.sop_class_uid,
                    table.c.sop_instance_uid,
                    table.c.path,
                    table.c.size_bytes,
                    study.c.study_instance_uid,
                )
                .join(study, study.c.id == table.c.study_ref)
                .where(table.c.sop_instance_uid.in_(wanted[begin : begin + _AT_ONCE]))
            )
            query = query.where(
                instance.c.state.in_(_KEPT) if table is instance else ~derived_instance.c.purged
            )
            for row in tx.all(query):
                found.setdefault(row.sop_instance_uid, []).append(Kept(**row._mapping))
    return found
