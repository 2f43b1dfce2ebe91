"""When a study is ready: a row, so that a restart cannot lose the timer.

Every instance sets ``ready_at = now + quiet_s``. The release of an association shortens it; an abort
does not. C-STORE has no end-of-study signal, so this is as near to one as DICOM comes. What comes after
the result and is no spine (a hip, a report) can only add densities: it sets ``now + settle_s``, which no
release shortens, so that all of it together makes one successor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import exists, insert, select, update

from tbsnode.model import StudyState
from tbsnode.store.schema import analysis, association, instance, study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.store.database import Transaction

AT_WORK = (StudyState.QUEUED.value, StudyState.RUNNING.value)


def arm(tx: Transaction, study_id: int, *, ready_at: float, shadow: bool = False) -> None:
    """Make a study due at `ready_at`; a study at work keeps its state and is taken again later.

    With `shadow`, the generation is compared and never sent; whatever arms the study otherwise before it
    is taken makes it an ordinary one.
    """
    tx.connection.execute(
        update(study)
        .where(study.c.id == study_id)
        .values(ready_at=ready_at, ready_shadow=shadow, updated_at=tx.now)
    )
    tx.connection.execute(
        update(study)
        .where(study.c.id == study_id, study.c.state.not_in(AT_WORK))
        .values(state=StudyState.RECEIVING.value)
    )


def settle(tx: Transaction, study_id: int, *, ready_at: float) -> None:
    """Make a study due at `ready_at` that keeps its result, and the state it has, until then."""
    tx.connection.execute(
        update(study)
        .where(study.c.id == study_id)
        .values(ready_at=ready_at, ready_shadow=False, updated_at=tx.now)
    )


def is_settling(tx: Transaction, study_id: int) -> bool:
    """Tell whether a study has, or is getting, its result, and no spine candidate has come since.

    Then whatever else has come can only add to the result.
    """
    row = tx.connection.execute(select(study.c.state, study.c.content_at).where(study.c.id == study_id)).one()
    if row.content_at is None:
        return False
    published = exists().where(analysis.c.study_ref == study_id, analysis.c.published)
    if row.state not in AT_WORK and not tx.connection.scalar(select(published)):
        return False
    return not _has_candidate(tx, study_id, since=row.content_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAssociation:
    """An association that has brought an instance.

    Attributes
    ----------
    id : str
        UUID of the association.
    receiver : str
        Which receiver process slot has it, the same at every start.
    caller, host : str
        Calling AE title and address.
    """

    id: str
    receiver: str
    caller: str
    host: str


def open_association(tx: Transaction, opened: OpenAssociation) -> None:
    """Note with its first instance that an association is open: no release elsewhere shortens its studies."""
    known = select(association.c.id).where(association.c.id == opened.id)
    if tx.connection.execute(known).first() is None:
        tx.connection.execute(
            insert(association).values(
                id=opened.id,
                receiver=opened.receiver,
                calling_ae_title=opened.caller,
                host=opened.host,
                opened_at=tx.now,
            )
        )


def close_association(tx: Transaction, association_id: str, *, outcome: str, after_release_s: float) -> None:
    """Close an association; a release shortens the wait of the studies it brought.

    It shortens only where no other open association brought instances of the study and a spine
    candidate is present: the others wait out their quiet time, and settling studies theirs.
    """
    tx.connection.execute(
        update(association)
        .where(association.c.id == association_id)
        .values(closed_at=tx.now, outcome=outcome)
    )
    if outcome != "released":
        return
    for study_id in _studies_of(tx, [association_id]):
        if _open_elsewhere(tx, study_id, association_id) or not _has_candidate(tx, study_id):
            continue
        if is_settling(tx, study_id):
            continue
        sooner = tx.now + after_release_s
        tx.connection.execute(
            update(study).where(study.c.id == study_id, study.c.ready_at > sooner).values(ready_at=sooner)
        )


def forget_associations(tx: Transaction, *, receiver: str, quiet_s: float) -> int:
    """At receiver start: associations of a previous life are lost, their waiting studies re-armed."""
    lost = tx.connection.execute(
        update(association)
        .where(association.c.receiver == receiver, association.c.closed_at.is_(None))
        .values(closed_at=tx.now, outcome="lost")
        .returning(association.c.id)
    ).scalars()
    ids = list(lost)
    for study_id in _studies_of(tx, ids):
        tx.connection.execute(
            update(study)
            .where(study.c.id == study_id, study.c.ready_at < tx.now + quiet_s)
            .values(ready_at=tx.now + quiet_s)
        )
    return len(ids)


def _studies_of(tx: Transaction, association_ids: Sequence[str]) -> list[int]:
    if not association_ids:
        return []
    found = tx.connection.execute(
        select(instance.c.study_ref).where(instance.c.association_id.in_(association_ids)).distinct()
    )
    return list(found.scalars())


def _open_elsewhere(tx: Transaction, study_id: int, association_id: str) -> bool:
    other = exists().where(
        association.c.id == instance.c.association_id,
        association.c.closed_at.is_(None),
        association.c.id != association_id,
    )
    return (
        tx.connection.execute(
            select(instance.c.id).where(instance.c.study_ref == study_id, other).limit(1)
        ).first()
        is not None
    )


def _has_candidate(tx: Transaction, study_id: int, *, since: float = 0.0) -> bool:
    headers = tx.connection.execute(
        select(instance.c.identity).where(
            instance.c.study_ref == study_id,
            instance.c.state.in_(["current", "conflict"] if since else ["current"]),
            instance.c.received_at > since,
        )
    ).scalars()
    return any(header["is_image"] and header["claim"] != "other" for header in headers)
