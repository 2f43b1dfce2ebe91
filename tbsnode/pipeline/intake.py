"""Take one received instance: archive, catalogue row and the study's timer, or a clear refusal.

Success means durable. When `take` returns, the bytes are under their final name with file and
folder fsynced, and the catalogue row and the study's `ready_at` are committed in one transaction.
Until then a sender keeps its copy, and the worst that a kill can leave is a file without a row,
which the next identical file replaces.

This judges identity only. Whether a vertebra can be found is the worker's question.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tbsnode.dicom import identity as dicom_identity
from tbsnode.dicom import part10
from tbsnode.errors import MismatchedInstance, TooManyVersions
from tbsnode.model import Claim, StudyState
from tbsnode.pipeline import healing
from tbsnode.reasons import Code
from tbsnode.store import audit, catalogue, priors, readiness

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tbsnode.model import InstanceIdentity, ReceivedInstance
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import InstanceRow

log = logging.getLogger(__name__)

STORED = "stored"
DUPLICATE = "duplicate"  # equal data set: nothing new
CORRECTED = "corrected"  # same pixels, other header: the newer becomes current
RESTORED = "restored"  # equal to a header that had been corrected: that one is current again
CONFLICT = "conflict"  # other pixels under the same UID: held
OWN = "own"  # made by this or another tbsnode: kept, triggers nothing
ADOPTED = "adopted"  # equal to one fetched as an earlier examination: now the scanner's own, and triggers

# A newcomer is compared with every version of its UID: without a limit, a sender that uses one UID for
# everything would make each intake slower than the one before.
MOST_VERSIONS = 64


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of a received instance.

    Attributes
    ----------
    outcome : str
        ``"stored"``, ``"duplicate"``, ``"corrected"``, ``"restored"``, ``"conflict"``, ``"own"`` or
        ``"adopted"``.
    study_instance_uid : str
        The study it belongs to.
    """

    outcome: str
    study_instance_uid: str


def take(site: Site, received: ReceivedInstance, *, receiver: str = "", is_open: bool = False) -> Intake:
    """Store a received instance durably, or raise what the sender must be told.

    Parameters
    ----------
    site : Site
        Archive, database and policy.
    received : ReceivedInstance
        The file in ``incoming``; it is moved or deleted.
    receiver : str
        Name of the receiver that has the association; empty for an import.
    is_open : bool
        Whether an earlier instance of this association was stored: then its row is there.

    Returns
    -------
    Intake
        What became of it.

    Raises
    ------
    InstanceError
        The instance cannot be accepted: no or invalid UIDs, not what the command announced, or one more
        version of a UID that has `MOST_VERSIONS` already.
    ResourceError
        Disk below its watermark, or no database: the sender tries again.
    """
    site.archive.require_space(site.policy.min_free_bytes, site.policy.min_free_fraction)
    header = part10.read_header(received.path, received.beginning, received.size_bytes)
    identity = dicom_identity.identity_of(header)
    _require_announced(identity, received)
    arrival = _Arrival(
        identity=identity,
        received=received,
        digest=received.data_set_sha256 or part10.data_set_digest(received.path, header.meta),
        size_bytes=received.size_bytes or received.path.stat().st_size,
        receiver=receiver,
        is_open=is_open,
    )
    with site.database.glance() as tx:
        known = catalogue.find_instances(tx, identity.sop_instance_uid)
    kept_as = ""
    outcome, equal = _judge(site, arrival, received.path, known)
    while outcome != DUPLICATE:
        if equal is None and not kept_as:
            _require_few(known, identity)
            kept_as = _keep(site, arrival)
        verdict = (outcome, equal)
        newer = site.database.together(partial(_write, site, arrival, kept_as, known=known, verdict=verdict))
        if newer == known:
            break
        # The same UID arrived elsewhere meanwhile: judge again, beside what is known now.
        known = newer
        path = site.archive.path(kept_as) if kept_as else received.path
        outcome, equal = _judge(site, arrival, path, known)
    if outcome == DUPLICATE and equal is not None:
        healing.heal(site, equal, received.path, arrival.digest)
    if not kept_as:
        received.path.unlink(missing_ok=True)
    _log(outcome, identity, received)
    return Intake(outcome, identity.study_instance_uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    identity: InstanceIdentity
    received: ReceivedInstance
    digest: str
    size_bytes: int
    receiver: str
    is_open: bool


def _keep(site: Site, arrival: _Arrival) -> str:
    """Move the file to a name that its content decides, so that the same file finds itself there."""
    identity = arrival.identity
    relative = site.archive.relative_path(
        identity.study_instance_uid, identity.sop_instance_uid, arrival.digest[:16]
    )
    return site.archive.keep(arrival.received.path, relative)


_STATE_OF = {STORED: "current", CORRECTED: "current", CONFLICT: "conflict", OWN: "own"}


def _require_announced(identity: InstanceIdentity, received: ReceivedInstance) -> None:
    """PS3.4 B.2.3, A9xx: the data set must be the instance that the command named."""
    for keyword, told, found in (
        ("SOPInstanceUID", received.sop_instance_uid, identity.sop_instance_uid),
        ("SOPClassUID", received.sop_class_uid, identity.sop_class_uid),
    ):
        if told and told != found:
            raise MismatchedInstance(
                f"{keyword} of the data set is not the one of the C-STORE command.",
                keyword=keyword,
                uid=found,
                remedy="The sender must announce the instance that it sends.",
            )


def _write(
    site: Site,
    arrival: _Arrival,
    kept_as: str,
    tx: Transaction,
    *,
    known: Sequence[InstanceRow],
    verdict: tuple[str, InstanceRow | None],
) -> tuple[InstanceRow, ...]:
    """Write what was decided if it was decided beside all that is known now; return what is known now."""
    identity, (outcome, equal) = arrival.identity, verdict
    newer = catalogue.find_instances(tx, identity.sop_instance_uid)  # locks the UID
    if newer == known:
        study_id = _register(tx, arrival, kept_as, outcome) if equal is None else equal.study_ref
        if equal is not None and equal.fetched and not arrival.received.fetched:
            priors.adopt(tx, equal.id)
        _settle(tx, site, arrival, outcome, study_id)
        if outcome in (CORRECTED, RESTORED):
            _replace(tx, identity, study_id, known, now_current=equal)
    return newer


def _require_few(known: Sequence[InstanceRow], identity: InstanceIdentity) -> None:
    """Refuse one more version of a UID that has many (several that arrive at once may pass together)."""
    if len(known) >= MOST_VERSIONS:
        raise TooManyVersions(
            f"The SOP Instance UID is kept in {len(known)} different versions already.",
            keyword="SOPInstanceUID",
            uid=identity.sop_instance_uid,
            remedy="The sender's service must see to it that every image gets a UID of its own.",
        )


def _judge(
    site: Site, arrival: _Arrival, path: Path, known: Sequence[InstanceRow]
) -> tuple[str, InstanceRow | None]:
    """Compare with what is kept under the same UID; the row is the kept one that it equals."""
    current = next((row for row in known if row.state == "current"), None)
    fetched = arrival.received.fetched
    if fetched and current is not None and not current.fetched:
        return DUPLICATE, current  # the scanner's own came meanwhile, and stays
    equal = _equal(site, arrival, path, known)
    if equal is not None and equal is current and equal.fetched and not fetched:
        return ADOPTED, equal
    if equal is not None:
        # A header that was corrected may come back; a picture that was decided against may not.
        back = equal.state == "superseded" and current is not None and _same_pixels(site, equal, current)
        return (RESTORED if back else DUPLICATE), equal
    if current is None:
        return (OWN if arrival.identity.made_by_tbsnode else STORED), None
    sameness = part10.compare(site.archive.path(current.path), path)
    return (CORRECTED if sameness == "header" else CONFLICT), None


def _equal(site: Site, arrival: _Arrival, path: Path, known: Sequence[InstanceRow]) -> InstanceRow | None:
    """Return the kept instance with an equal data set, in whatever transfer syntax."""
    for row in known:
        if row.data_set_sha256 == arrival.digest:
            return row
    for row in known:
        if part10.compare(site.archive.path(row.path), path) == "equal":
            return row
    return None


def _same_pixels(site: Site, one: InstanceRow, other: InstanceRow) -> bool:
    return part10.compare(site.archive.path(one.path), site.archive.path(other.path)) != "pixels"


def _register(tx: Transaction, arrival: _Arrival, kept_as: str, outcome: str) -> int:
    """Write the instance's row and return that of its study."""
    received = arrival.received
    kept = catalogue.KeptFile(
        path=kept_as,
        size_bytes=arrival.size_bytes,
        data_set_sha256=arrival.digest,
        state=_STATE_OF[outcome],
    )
    origin = catalogue.Origin(
        calling_ae_title=received.calling_ae_title,
        host=received.host,
        association_id=received.association_id,
        fetched=received.fetched,
    )
    return catalogue.add_instance(tx, arrival.identity, kept, origin).study_ref


def _settle(tx: Transaction, site: Site, arrival: _Arrival, outcome: str, study_id: int) -> None:
    """Write the association, the study's line and its timer."""
    received = arrival.received
    if received.association_id and not arrival.is_open:
        readiness.open_association(tx, _association(received, arrival.receiver))
    _tell(tx, arrival, outcome)
    if outcome == OWN or received.fetched:
        _leave_alone(tx, study_id, Code.FETCHED_PRIOR if received.fetched else Code.OWN_RESULT)
        return
    quiet_s = site.policy.timing_for(received.calling_ae_title).quiet_s
    may_be_spine = arrival.identity.is_image and arrival.identity.claim is not Claim.OTHER
    if outcome == STORED and not may_be_spine and readiness.is_settling(tx, study_id):
        readiness.settle(tx, study_id, ready_at=tx.now + max(quiet_s, site.policy.settle_s))
    else:
        readiness.arm(tx, study_id, ready_at=tx.now + quiet_s)


def _tell(tx: Transaction, arrival: _Arrival, outcome: str) -> None:
    """Write the instance's line in its study's story."""
    identity, received = arrival.identity, arrival.received
    who = f"from {received.calling_ae_title} at {received.host}" if received.host else "by import"
    who += " as an earlier examination" if received.fetched else ""
    what = {
        STORED: f"stored {who}",
        CORRECTED: f"stored {who}: same pixels with another header, now current",
        RESTORED: f"received {who}: equal to an earlier header, which is current again",
        CONFLICT: f"held {who}: other pixels under the same SOP Instance UID",
        OWN: f"kept {who}: made by a tbsnode, triggers nothing",
        ADOPTED: f"received {who}: equal to what was fetched as an earlier examination",
    }[outcome]
    audit.add_event(
        tx,
        f"instance.{outcome}",
        f"{identity.modality or 'instance'} {identity.sop_instance_uid} {what}",
        study_instance_uid=identity.study_instance_uid,
        data={"sop_instance_uid": identity.sop_instance_uid, "association_id": received.association_id},
    )


def _association(received: ReceivedInstance, receiver: str) -> readiness.OpenAssociation:
    return readiness.OpenAssociation(
        id=received.association_id,
        receiver=receiver,
        caller=received.calling_ae_title,
        host=received.host,
    )


def _replace(
    tx: Transaction,
    identity: InstanceIdentity,
    study_id: int,
    known: Sequence[InstanceRow],
    *,
    now_current: InstanceRow | None,
) -> None:
    """Make the newer header the current one; a changed identity is audited."""
    for row in known:
        if row.state != "current":
            continue
        catalogue.set_instance_state(tx, row.id, "superseded")
        if row.study_ref != study_id:
            _moved_away(tx, row, identity)
        if row.identity.demographics != identity.demographics:
            changed = [
                name
                for name in ("patient_id", "issuer", "name", "birth_date", "sex")
                if getattr(row.identity.demographics, name) != getattr(identity.demographics, name)
            ]
            audit.add_event(
                tx,
                "identity.changed",
                f"a corrected header changed {', '.join(changed) or 'body size or age'}",
                study_instance_uid=identity.study_instance_uid,
                data={"sop_instance_uid": identity.sop_instance_uid, "changed": changed},
            )
    if now_current is not None:
        catalogue.set_instance_state(tx, now_current.id, "current")
    catalogue.follow_identity(tx, study_id, identity)


def _moved_away(tx: Transaction, row: InstanceRow, identity: InstanceIdentity) -> None:
    """Let a study that lost its instance to another one say so, and be judged without it."""
    readiness.arm(tx, row.study_ref, ready_at=tx.now)
    audit.add_event(
        tx,
        "instance.moved",
        f"{identity.sop_instance_uid} now belongs to study {identity.study_instance_uid}",
        study_instance_uid=row.identity.study_instance_uid,
    )


def _leave_alone(tx: Transaction, study_id: int, reason: Code) -> None:
    """Give a study of our own results only, or of fetched ones, its end: it has nothing to wait for."""
    row = catalogue.study_by_id(tx, study_id)
    if row is None or row.ready_at is not None:
        return
    if row.state is StudyState.RECEIVING or row.reason == Code.OWN_RESULT:
        catalogue.update_study(tx, study_id, state=StudyState.NOT_APPLICABLE.value, reason=reason.value)


def _log(outcome: str, identity: InstanceIdentity, received: ReceivedInstance) -> None:
    log.info(
        "%s %s",
        outcome,
        identity.sop_instance_uid,
        extra={
            "action": f"instance.{outcome}",
            "sop_instance_uid": identity.sop_instance_uid,
            "study_instance_uid": identity.study_instance_uid,
            "calling_ae_title": received.calling_ae_title,
        },
    )
