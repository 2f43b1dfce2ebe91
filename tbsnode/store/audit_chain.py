"""The audit trail, sealed: each event's digest covers the one before, so that no line can be changed.

Events are written in the transaction of what they tell, many at a time; a chain that each of them had
to lock would make every transaction wait for every other. So the engine seals them a moment later, in
the order in which it finds them. What is changed, deleted or put in between afterwards breaks the
chain. Whoever can rewrite the whole table can rewrite the chain too: its head, noted elsewhere, shows
that.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.store.schema import audit_seal, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tbsnode.store.database import Database, Transaction

    Track = Callable[[Iterable[sa.Row[Any]], int], Iterable[sa.Row[Any]]]

START = "0" * 64
BATCH = 500
LATE = 10_000  # an event may become visible after so many later ones: its transaction took longer
MOST_PROBLEMS = 20
_LOCK = 7_427_063_772  # any number of our own; one that seals at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One break of the chain.

    Attributes
    ----------
    number : int
        Of the seal; 0 for an event that has none.
    event_id : int
        Of the event that it sealed; 0 where nothing tells.
    what : str
        ``"changed"``, ``"deleted"``, ``"seal missing"``, or ``"put in"`` for an event among sealed ones.
    """

    number: int
    event_id: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check of the chain found.

    Attributes
    ----------
    sealed, waiting : int
        Events in the chain, and those that are not sealed yet.
    head : str
        Digest of the newest seal; noted elsewhere, it proves later that nothing was rewritten.
    problems : tuple of Problem
        The first of them.
    expected_found : bool or None
        Whether a head noted earlier is part of the chain; None where none was given.
    """

    sealed: int
    waiting: int
    head: str
    problems: tuple[Problem, ...]
    expected_found: bool | None = None

    @property
    def intact(self) -> bool:
        """Whether nothing was changed, deleted, put in between or rewritten."""
        return not self.problems and self.expected_found is not False


def catch_up(database: Database) -> None:
    """Seal the audit trail as far as it goes; where it is whole already, nobody has to wait for that."""
    with database.read() as tx:
        sealed = BATCH if tx.one(_unsealed(tx).limit(1)) is not None else 0
    while sealed == BATCH:
        with database.transaction() as tx:
            sealed = seal(tx)


def _since(tx: Transaction, *, late: bool = False) -> int:
    """Return the number of the event after which one may still come that is not sealed.

    On SQLite one transaction writes at a time, so that no event appears before one that is sealed.
    """
    newest = int(tx.scalar(sa.select(sa.func.max(audit_seal.c.event_ref))) or 0)
    return max(0, newest - LATE) if late or tx.dialect == "postgresql" else newest


def _unsealed(tx: Transaction, *, late: bool = False) -> sa.Select[Any]:
    """Return the query for events that are not sealed yet."""
    since = _since(tx, late=late)
    # the seals are bounded too: PostgreSQL does not conclude that itself, and would pass over all there are
    sealed = sa.exists().where(audit_seal.c.event_ref == event.c.id, audit_seal.c.event_ref > since)
    return sa.select(event).where(event.c.id > since, ~sealed).order_by(event.c.id)


def seal(tx: Transaction, *, late: bool = False) -> int:
    """Seal what is not sealed yet, at most `BATCH` events; return how many.

    Where another process is at it, nothing is done.

    Parameters
    ----------
    tx : Transaction
        A write transaction.
    late : bool
        Also look behind what is sealed, as is always done on PostgreSQL.
    """
    if tx.dialect == "postgresql" and not tx.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))):
        return 0
    last = tx.one(sa.select(audit_seal).order_by(audit_seal.c.number.desc()).limit(1))
    number, digest = (0, START) if last is None else (last.number, last.digest)
    rows = []
    for found in tx.all(_unsealed(tx, late=late).limit(BATCH)):
        number, digest = number + 1, _digest(digest, found)
        rows.append({"number": number, "event_ref": found.id, "digest": digest, "sealed_at": tx.now})
    if rows:
        tx.execute(audit_seal.insert(), rows)
    return len(rows)


def first(tx: Transaction) -> str:
    """Return the digest of the first seal, empty where there is none yet.

    No two databases have the same, and a copy, a backup or a moved one has that of its origin.
    """
    return str(tx.scalar(sa.select(audit_seal.c.digest).order_by(audit_seal.c.number).limit(1)) or "")


def verify(tx: Transaction, *, expect: str = "", track: Track = lambda seals, _: seals) -> Verdict:
    """Compute the whole chain again.

    Parameters
    ----------
    tx : Transaction
        A read transaction.
    expect : str
        A head noted earlier, which must be part of the chain.
    track : callable
        Gets the seals and their number, and passes them on, showing progress.
    """
    problems: list[Problem] = []
    number, digest, expected = 0, START, expect == START
    sealed_count = int(tx.scalar(sa.select(sa.func.count()).select_from(audit_seal)) or 0)
    for sealed in track(_sealed(tx), sealed_count):
        while number + 1 < sealed.number and len(problems) < MOST_PROBLEMS:
            number += 1
            problems.append(Problem(number=number, event_id=0, what="seal missing"))
        number = sealed.number
        if sealed.id is None:
            problems.append(Problem(number=number, event_id=sealed.event_ref, what="deleted"))
        elif _digest(digest, sealed) != sealed.digest:
            problems.append(Problem(number=number, event_id=sealed.event_ref, what="changed"))
        # go on from what was sealed: one break is told once, not for every event after it
        digest = sealed.digest
        expected = expected or digest == expect
    unsealed = ~sa.exists().where(audit_seal.c.event_ref == event.c.id)
    put_in = sa.select(event.c.id).where(event.c.id <= _since(tx), unsealed).order_by(event.c.id)
    problems += [
        Problem(number=0, event_id=found.id, what="put in") for found in tx.all(put_in.limit(MOST_PROBLEMS))
    ]
    waiting = sa.select(sa.func.count()).where(event.c.id > _since(tx), unsealed)
    return Verdict(
        sealed=sealed_count,
        waiting=int(tx.scalar(waiting.select_from(event)) or 0),
        head=digest,
        problems=tuple(problems[:MOST_PROBLEMS]),
        expected_found=expected if expect else None,
    )


def _sealed(tx: Transaction) -> Iterator[sa.Row[Any]]:
    """Yield each seal with its event, in order, a batch at a time."""
    last = 0
    while True:
        query = (
            sa.select(audit_seal.c.number, audit_seal.c.event_ref, audit_seal.c.digest, event)
            .outerjoin(event, event.c.id == audit_seal.c.event_ref)
            .where(audit_seal.c.number > last)
            .order_by(audit_seal.c.number)
            .limit(BATCH)
        )
        rows = tx.all(query)
        yield from rows
        if len(rows) < BATCH:
            return
        last = rows[-1].number


def _digest(before: str, found: sa.Row[Any]) -> str:
    stated = [before, found.id, found.at, found.study_instance_uid, found.action, found.text, found.data]
    canonical = json.dumps(stated, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
