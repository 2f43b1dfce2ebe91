"""A study that nothing may happen to: set aside, let go again, or deleted for good.

Whatever arrives meanwhile is archived as always; the row in the table of quarantine ends every piece of
work before it begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbsnode.errors import NotFound, ReviewRefused
from tbsnode.model import DeliveryState, ReviewState, StudyState
from tbsnode.pipeline import acting
from tbsnode.reasons import Code
from tbsnode.store import audit, catalogue, deliveries, identity_changes, purge, readiness, work

if TYPE_CHECKING:
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow

_SIGNED = (ReviewState.SIGNED, ReviewState.NEEDS_RE_REVIEW, ReviewState.REJECTED)
_UNSENT = (
    DeliveryState.QUEUED,
    DeliveryState.RUNNING,
    DeliveryState.HELD,
    DeliveryState.FAILED,
    DeliveryState.PARTIAL,
)


def ends(tx: Transaction, ticket: work.Ticket, study: StudyRow) -> bool:
    """End started work on a study, or a delivery of it, where the study is in quarantine."""
    if not identity_changes.is_set_aside(tx, study.id):
        return False
    held = StudyState.HELD if ticket.kind == "study" else DeliveryState.HELD
    work.finish(tx, ticket, held, reason=Code.QUARANTINED.value)
    return True


def set_aside(site: Site, uid: str) -> None:
    """Keep a study from all work and sending; what is being sent in this moment is not stopped.

    Raises
    ------
    NotFound
        If there is no such study.
    ReviewRefused
        If it is in quarantine already.
    """
    by = acting.administrator()
    with site.database.transaction() as tx:
        study = _study(tx, uid)
        if not identity_changes.set_aside(tx, study.id, by):
            raise ReviewRefused("The study is in quarantine already.", remedy="`study release` ends it.")
        purge.void_work(tx, study.id, Code.QUARANTINED.value)
        told = f"{by.login} on {by.host} put the study into quarantine"
        audit.add_event(tx, "study.quarantined", told, study_instance_uid=uid)


def release(site: Site, uid: str) -> None:
    """End the quarantine of a study: it is analyzed again, and what was held for it is sent.

    Raises
    ------
    NotFound
        If there is no such study.
    ReviewRefused
        If it is not in quarantine.
    """
    by = acting.administrator()
    with site.database.transaction() as tx:
        study = _study(tx, uid)
        if not identity_changes.release(tx, study.id):
            raise ReviewRefused(
                "The study is not in quarantine.", remedy="`study show` says where it stands."
            )
        readiness.arm(tx, study.id, ready_at=tx.now)
        purge.let_go(
            tx,
            study.id,
            Code.QUARANTINED.value,
            held_for=Code.SHADOW_MODE.value if site.policy.shadow else "",
            horizon_s=site.policy.retry_horizon_s,
        )
        told = f"{by.login} on {by.host} released the study from quarantine"
        audit.add_event(tx, "study.released", told, study_instance_uid=uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was, or would be, deleted.

    Attributes
    ----------
    study_instance_uid : str
        Which study.
    files, size_bytes, results : int
        Files of the archive, their size, and results.
    signed : bool
        Whether a physician has acted on it.
    unsent : int
        Deliveries that did not end well.
    """

    study_instance_uid: str
    files: int
    size_bytes: int
    results: int
    signed: bool
    unsent: int

    @property
    def needs_force(self) -> bool:
        """Whether more than a copy would be lost."""
        return self.signed or self.unsent > 0


def purged(site: Site, uid: str, *, delete: bool, force: bool = False) -> Purged:
    """Delete a study with its files, rows and results; its story stays in the audit trail.

    Parameters
    ----------
    site : Site
        The node.
    uid : str
        Study Instance UID.
    delete : bool
        False: only say what would be deleted.
    force : bool
        Also where a physician has signed it, or something of it was not sent.

    Raises
    ------
    NotFound
        If there is no such study.
    ReviewRefused
        If it is at work, or more than a copy would be lost.
    """
    by = acting.administrator()
    with site.database.transaction(references_checked=False) as tx:  # children first
        study = _study(tx, uid)
        content = purge.content_of(tx, study.id)
        sent = deliveries.deliveries_of_study(tx, study.id)
        unsent = [row for row in sent if row["state"] in _UNSENT]
        told = Purged(
            study_instance_uid=uid,
            files=len(content.paths),
            size_bytes=content.size_bytes,
            results=content.results,
            signed=study.review_state in _SIGNED,
            unsent=len(unsent),
        )
        if not delete:
            return told
        _require_deletable(study, told, sending=any(row["state"] == "running" for row in unsent), force=force)
        purge.delete_study(tx, study.id)
        audit.add_event(
            tx,
            audit.PURGED,
            f"{by.login} on {by.host} deleted the study: {told.files} files, {told.results} results",
            study_instance_uid=uid,
            data={"files": told.files, "signed": told.signed, "unsent": told.unsent, "forced": force},
        )
    for path in content.paths:
        site.archive.remove(path)
    return told


def _require_deletable(study: StudyRow, told: Purged, *, sending: bool, force: bool) -> None:
    if study.state in (StudyState.QUEUED, StudyState.RUNNING) or sending:
        raise ReviewRefused("The study is at work.", remedy="`tbsnode study quarantine` it first, then wait.")
    if told.needs_force and not force:
        what = (
            "a physician has signed or rejected it" if told.signed else f"{told.unsent} deliveries of it wait"
        )
        raise ReviewRefused(f"Nothing was deleted: {what}.", remedy="--force deletes it nevertheless.")


def _study(tx: Transaction, uid: str) -> StudyRow:
    row = catalogue.study_by_uid(tx, uid)
    if row is None:
        raise NotFound(f"There is no study {uid} here.", remedy="`tbsnode study list` shows those there are.")
    return row
