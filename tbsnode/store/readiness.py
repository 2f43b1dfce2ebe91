"""When a study is ready: a row, so that a restart cannot lose the timer.

Every instance sets ``ready_at = now + quiet_s``. The release of an association shortens it; an abort
does not. C-STORE has no end-of-study signal, so this is as near to one as DICOM comes. What comes after
the result and is no spine (a hip, a report) can only add densities: it sets ``now + settle_s``, which no
release shortens, so that all of it together makes one successor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import BindParameter, bindparam, case, exists, or_, select, update

from tbsnode.model import StudyState
from tbsnode.store.prepared import Prepared
from tbsnode.store.schema import analysis, association, instance, study

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tbsnode.store.database import Transaction

AT_WORK = (StudyState.QUEUED.value, StudyState.RUNNING.value)

# What the receiver asks for each instance and each release. The names of bound parameters end in "_"
# where a column of the statement has the plain one.
_STUDY_IS = study.c.id == bindparam("study_")
_IN_TIME: dict[str, BindParameter[object]] = {
    name: bindparam(name) for name in ("ready_at", "ready_shadow", "updated_at")
}
_IS_AT_WORK = or_(*(study.c.state == state for state in AT_WORK))  # a list would be another statement
_STATE = case((_IS_AT_WORK, study.c.state), else_=StudyState.RECEIVING.value)
_ARM = Prepared(update(study).where(_STUDY_IS).values(state=_STATE, **_IN_TIME))
_SETTLE = Prepared(update(study).where(_STUDY_IS).values(**_IN_TIME))
_SHORTEN = Prepared(
    update(study)
    .where(_STUDY_IS, study.c.ready_at > bindparam("sooner"))
    .values(ready_at=bindparam("sooner"))
)
_CLOSE = Prepared(
    update(association)
    .where(association.c.id == bindparam("association_"))
    .values(closed_at=bindparam("closed_at"), outcome=bindparam("outcome"))
)
_WHERE_IT_STANDS = Prepared(select(study.c.state, study.c.content_at).where(_STUDY_IS))
_IS_PUBLISHED = Prepared(
    select(exists().where(analysis.c.study_ref == bindparam("study_"), analysis.c.published))
)
_STUDIES_OF = Prepared(
    select(instance.c.study_ref).where(instance.c.association_id == bindparam("association_")).distinct()
)
_OPEN_ELSEWHERE = Prepared(
    select(instance.c.id)
    .where(
        instance.c.study_ref == bindparam("study_"),
        exists().where(
            association.c.id == instance.c.association_id,
            association.c.closed_at.is_(None),
            association.c.id != bindparam("association_"),
        ),
    )
    .limit(1)
)
_HEADERS = Prepared(
    select(instance.c.identity).where(
        instance.c.study_ref == bindparam("study_"),
        or_(instance.c.state == "current", instance.c.state == bindparam("or_state")),
        instance.c.received_at > bindparam("since"),
    )
)


def arm(tx: Transaction, study_id: int, *, ready_at: float, shadow: bool = False) -> None:
    """Make a study due at `ready_at`; a study at work keeps its state and is taken again later.

    With `shadow`, the generation is compared and never sent; whatever arms the study otherwise before it
    is taken makes it an ordinary one.
    """
    values = {"study_": study_id, "ready_at": ready_at, "ready_shadow": shadow, "updated_at": tx.now}
    _ARM.run(tx, values)


def settle(tx: Transaction, study_id: int, *, ready_at: float) -> None:
    """Make a study due at `ready_at` that keeps its result, and the state it has, until then."""
    values = {"study_": study_id, "ready_at": ready_at, "ready_shadow": False, "updated_at": tx.now}
    _SETTLE.run(tx, values)


def is_settling(tx: Transaction, study_id: int) -> bool:
    """Tell whether a study has, or is getting, its result, and no spine candidate has come since.

    Then whatever else has come can only add to the result.
    """
    [row] = _WHERE_IT_STANDS.rows(tx, {"study_": study_id})
    if row["content_at"] is None:
        return False
    if row["state"] not in AT_WORK and not _IS_PUBLISHED.value(tx, {"study_": study_id}):
        return False
    return not _has_candidate(tx, study_id, since=row["content_at"])


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
    values = {
        "id": opened.id,
        "receiver": opened.receiver,
        "calling_ae_title": opened.caller,
        "host": opened.host,
        "opened_at": tx.now,
    }
    tx.ensure(association, **values)


def close_association(
    tx: Transaction, association_id: str, *, outcome: str, after_release_s: float, ago_s: float = 0.0
) -> None:
    """Close an association that ended some time ago; a release shortens the wait of the studies it brought.

    It shortens only where no other open association brought instances of the study and a spine
    candidate is present: the others wait out their quiet time, and settling studies theirs.
    """
    at = tx.now - ago_s
    _CLOSE.run(tx, {"association_": association_id, "closed_at": at, "outcome": outcome})
    if outcome != "released":
        return
    for study_id in _studies_of(tx, association_id):
        if _open_elsewhere(tx, study_id, association_id) or not _has_candidate(tx, study_id):
            continue
        if is_settling(tx, study_id):
            continue
        _SHORTEN.run(tx, {"study_": study_id, "sooner": at + after_release_s})


def forget_associations(tx: Transaction, *, receiver: str, quiet_s: float) -> int:
    """At receiver start: associations of a previous life are lost, their waiting studies re-armed."""
    lost = tx.connection.execute(
        update(association)
        .where(association.c.receiver == receiver, association.c.closed_at.is_(None))
        .values(closed_at=tx.now, outcome="lost")
        .returning(association.c.id)
    ).scalars()
    ids = list(lost)
    for study_id in sorted({each for lost_id in ids for each in _studies_of(tx, lost_id)}):
        tx.connection.execute(
            update(study)
            .where(study.c.id == study_id, study.c.ready_at < tx.now + quiet_s)
            .values(ready_at=tx.now + quiet_s)
        )
    return len(ids)


def _studies_of(tx: Transaction, association_id: str) -> list[int]:
    return [row["study_ref"] for row in _STUDIES_OF.rows(tx, {"association_": association_id})]


def _open_elsewhere(tx: Transaction, study_id: int, association_id: str) -> bool:
    values = {"study_": study_id, "association_": association_id}
    return _OPEN_ELSEWHERE.value(tx, values) is not None


def _has_candidate(tx: Transaction, study_id: int, *, since: float = 0.0) -> bool:
    or_state = "conflict" if since else "current"
    values = {"study_": study_id, "or_state": or_state, "since": since}
    return _HEADERS.any(tx, values, lambda row: _is_candidate(row["identity"]))


def _is_candidate(identity: Mapping[str, Any]) -> bool:
    return bool(identity["is_image"] and identity["claim"] != "other")
