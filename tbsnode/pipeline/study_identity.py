"""A study belongs to somebody else by now: its results are made again in that name, the old ones withdrawn.

Received files stay as they came. What a study is to state is a row; beside each received file lies a copy
that states it, which is the current version of its instance as one that a scanner had corrected would
be. So there is one place where identity is decided, and all that reads an instance (the analysis, the
report, earlier examinations) reads the right one.

A result that nobody has signed is made again by the next generation, which sends it together with the
Key Object that withdraws the old one. A signed result waits for its reader, as after any change.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tbsnode import text
from tbsnode.dicom import identity as dicom_identity
from tbsnode.dicom import part10, restate
from tbsnode.errors import NotFound, ReviewRefused
from tbsnode.model import (
    DerivedKind,
    Reference,
    RejectionReason,
    Review,
    ReviewAction,
    Reviewer,
    ReviewState,
    StudyState,
)
from tbsnode.model.stated_identity import StatedIdentity
from tbsnode.net import scu
from tbsnode.pipeline import acting, identity_check, publish, registered
from tbsnode.pipeline.making import checked
from tbsnode.store import audit, catalogue, deliveries, identity_changes, purge, readiness, results

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tbsnode.model import DerivedInstance, InstanceIdentity, Peer
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import DerivedRow, InstanceRow, StudyRow

_AT_WORK = (StudyState.QUEUED, StudyState.RUNNING)
_SIGNED = (ReviewState.SIGNED, ReviewState.NEEDS_RE_REVIEW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What taking over an identity does, or would do, to one study.

    Attributes
    ----------
    study_instance_uid : str
        Which study.
    source : str
        Where the identity comes from: ``"pacs:<destination>"`` or ``"merge"``.
    changed : tuple of str
        Names of the attributes that differ, never their values; empty where nothing does.
    instances : int
        Received instances that get a copy with the new identity.
    withdrawn : int
        Documents of ours that a Key Object withdraws.
    signed : bool
        Whether a reader has to accept the result again.
    dry_run : bool
        True where nothing was written.
    """

    study_instance_uid: str
    source: str
    changed: tuple[str, ...]
    instances: int
    withdrawn: int
    signed: bool
    dry_run: bool


def from_pacs(site: Site, uid: str, *, destination: str = "", dry_run: bool = False) -> Change:
    """Take over whose a study is at a destination.

    Raises
    ------
    NotFound
        If there is no such study here, or there; or no such destination.
    PeerError
        If the destination cannot be asked.
    ReviewRefused
        If the study is at work, or something of it is being sent.
    """
    peer = _peer(site, destination)
    with site.database.read() as tx:
        study = _study(tx, uid)
        ours = _header(_current(tx, study))
    found = scu.find_study(peer, uid)
    if found is None:
        raise NotFound(
            f"{peer.name} does not have this study.",
            remedy="Where it was deleted on purpose: `tbsnode study quarantine UID`, or `study purge UID`.",
        )
    return take_over(site, uid, _stated(found, ours), source=f"pacs:{peer.name}", dry_run=dry_run)


def _stated(found: scu.FoundStudy, ours: InstanceIdentity) -> StatedIdentity:
    """Return what the destination states; where it is silent, what we have."""
    who = ours.demographics
    return StatedIdentity(
        patient_id=found.patient_id or who.patient_id,
        # an issuer belongs to its ID: another ID without one has none that we know
        issuer=found.issuer or (who.issuer if found.patient_id in ("", who.patient_id) else ""),
        name=identity_check.name_at(found, who.name) or who.name,
        birth_date=found.birth_date or who.birth_date,
        sex=found.sex or who.sex,
        accession_number=found.accession_number or ours.accession_number,
    )


def take_over(site: Site, uid: str, stated: StatedIdentity, *, source: str, dry_run: bool = False) -> Change:
    """Let a study state another identity from now on.

    Parameters
    ----------
    site : Site
        The node.
    uid : str
        Study Instance UID.
    stated : StatedIdentity
        What it is to state.
    source : str
        Where that comes from.
    dry_run : bool
        Only say what would be done.

    Raises
    ------
    NotFound
        If there is no such study.
    ReviewRefused
        If it is at work, or something of it is being sent.
    """
    with site.database.read() as tx:
        study = _study(tx, uid)
        _require_rest(tx, study)
        current = _current(tx, study)
        old = _to_withdraw(tx, study)
    differing = [row for row in current if stated.differences(row.identity)]
    change = Change(
        study_instance_uid=uid,
        source=source,
        changed=tuple(dict.fromkeys(n for row in differing for n in stated.differences(row.identity))),
        instances=len(differing),
        withdrawn=len(old) if differing else 0,
        signed=study.review_state in _SIGNED,
        dry_run=dry_run,
    )
    if dry_run or not differing:
        return change
    copies = [_copied(site, row, stated) for row in differing]
    withdrawing = _key_object(site, study, copies, old) if old else None
    with site.database.transaction() as tx:
        deliveries.lock_study(tx, study.id)
        _require_rest(tx, _study(tx, uid))
        if _current(tx, study) != current or _to_withdraw(tx, study) != old:
            raise ReviewRefused("Something of the study arrived in this moment.", remedy="Do it again.")
        _register(tx, study, copies)
        if withdrawing is not None:
            last = results.last_published(tx, study.id)
            assert last is not None, "what is withdrawn was published"
            registered.register(tx, site, last.id, study.id, withdrawing)
        _tell(tx, study, stated, change)
    return change


def as_stated(site: Site, study: StudyRow, instances: Sequence[InstanceRow]) -> tuple[InstanceRow, ...]:
    """Return a study's instances, with the identity that the study is to state.

    What came after the identity had been taken over (a late image, a header that a scanner sent again)
    is copied here, at the beginning of the generation that it led to.
    """
    with site.database.read() as tx:
        stated = identity_changes.stated_of(tx, study.id)
    if stated is None:
        return tuple(instances)
    late = [row for row in instances if row.state == "current" and stated.differences(row.identity)]
    copies = [_copied(site, row, stated) for row in late]
    if not copies:
        return tuple(instances)
    with site.database.transaction() as tx:
        _register(tx, study, copies)
        return catalogue.instances_of_study(tx, study.id)


# ---- copies --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """A received instance and its copy."""

    row: InstanceRow
    path: str
    identity: InstanceIdentity
    digest: str
    size_bytes: int


def _copied(site: Site, row: InstanceRow, stated: StatedIdentity) -> _Copy:
    """Write the copy of an instance under a name that its content decides."""
    draft = site.archive.incoming / f"{row.sop_instance_uid}.{row.version}.restated"
    try:
        restate.restate(site.archive.path(row.path), draft, stated)
        identity = dicom_identity.read_identity(draft)
        digest, size_bytes = part10.data_set_digest(draft), draft.stat().st_size
        wanted = site.archive.relative_path(
            row.identity.study_instance_uid, row.sop_instance_uid, digest[:16]
        )
        path = site.archive.keep(draft, wanted)
    finally:
        draft.unlink(missing_ok=True)
    return _Copy(row=row, path=path, identity=identity, digest=digest, size_bytes=size_bytes)


def _register(tx: Transaction, study: StudyRow, copies: Sequence[_Copy]) -> None:
    """Make each copy the current version of its instance."""
    for copy in copies:
        row = copy.row
        known = catalogue.find_instances(tx, row.sop_instance_uid)
        if copy.digest == row.data_set_sha256 or row.id not in [k.id for k in known if k.state == "current"]:
            continue  # it says what it can, or something else came meanwhile and arms the study itself
        catalogue.set_instance_state(tx, row.id, "superseded")
        there = next((each for each in known if each.data_set_sha256 == copy.digest), None)
        if there is not None:
            catalogue.set_instance_state(tx, there.id, "current")
            continue
        kept = catalogue.KeptFile(path=copy.path, size_bytes=copy.size_bytes, data_set_sha256=copy.digest)
        origin = catalogue.Origin(
            calling_ae_title=row.calling_ae_title,
            host=row.host,
            association_id=row.association_id,
            fetched=row.fetched,
        )
        identity_changes.arrived_with(tx, catalogue.add_instance(tx, copy.identity, kept, origin), row)
    catalogue.follow_identity(tx, study.id, copies[0].identity)


def _tell(tx: Transaction, study: StudyRow, stated: StatedIdentity, change: Change) -> None:
    """Write whose the study is and who said so, end what waited in the old name, and let it be made anew."""
    by = acting.administrator()
    identity_changes.add_change(tx, study.id, stated, change.source, by)
    deliveries.supersede_waiting(tx, study.id)
    readiness.arm(tx, study.id, ready_at=tx.now)
    told = (
        f"{by.login} on {by.host} took over {', '.join(change.changed)} ({change.source.partition(':')[0]})"
    )
    audit.add_event(
        tx,
        "identity.taken_over",
        told + ("; a reader must accept the result again" if change.signed else ""),
        study_instance_uid=study.study_instance_uid,
        data={**asdict(by), "changed": list(change.changed), "withdrawn": change.withdrawn},
    )


# ---- what is withdrawn ---------------------------------------------------------------------------


def _to_withdraw(tx: Transaction, study: StudyRow) -> tuple[DerivedRow, ...]:
    """Return the documents of ours that no Key Object has withdrawn yet."""
    made = results.derived_of_study(tx, study.id)
    before = max((row.id for row in made if row.kind == DerivedKind.REJECTION.value), default=0)
    return tuple(row for row in made if row.id > before)


def _key_object(
    site: Site, study: StudyRow, copies: Sequence[_Copy], old: Sequence[DerivedRow]
) -> DerivedInstance:
    """Make and archive the Key Object, in the new name: the archive has the old documents there by now."""
    from tbsnode.dicom import rejection

    with site.database.read() as tx:
        at = tx.now
    by = acting.administrator()
    act = Review(
        action=ReviewAction.REJECT,
        reviewer=Reviewer(login=by.login, name=by.login),
        host=by.host,
        at=datetime.fromtimestamp(at, UTC),
        comment=text.phrase("identity_withdrawn"),
        rejection=RejectionReason.WORKLIST,
    )
    references = tuple(
        Reference(
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            series_instance_uid=row.series_instance_uid,
            study_instance_uid=study.study_instance_uid,
        )
        for row in old
    )
    provenance = publish.provenance_of(site, study, at)
    said = [asdict(act), asdict(provenance), [asdict(each) for each in references]]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
    source: Path = site.archive.path(copies[0].path)
    made = checked(rejection.build(references, act, provenance, source, digest=digest))
    site.archive.write(registered.path_of(site, made), made.part10)
    return made


# ---- what is there -------------------------------------------------------------------------------


def _peer(site: Site, destination: str) -> Peer:
    found = next((peer for peer in site.peers if destination in ("", peer.name)), None)
    if found is None:
        names = ", ".join(peer.name for peer in site.peers) or "none"
        raise NotFound(f"There is no destination {destination}".strip() + ".", remedy=f"Configured: {names}.")
    return found


def _study(tx: Transaction, uid: str) -> StudyRow:
    row = catalogue.study_by_uid(tx, uid)
    if row is None:
        raise NotFound(f"There is no study {uid} here.", remedy="`tbsnode study list` shows those there are.")
    return row


def _current(tx: Transaction, study: StudyRow) -> tuple[InstanceRow, ...]:
    """Return what scanners sent and counts, pictures first."""
    rows = catalogue.instances_of_study(tx, study.id, ["current"])
    if not rows:
        raise NotFound("Nothing that a scanner sent is left of this study.")
    return tuple(sorted(rows, key=lambda row: (not row.identity.is_image, row.id)))


def _header(rows: Sequence[InstanceRow]) -> InstanceIdentity:
    return rows[0].identity


def _require_rest(tx: Transaction, study: StudyRow) -> None:
    if study.state in _AT_WORK or purge.is_sending(tx, study.id):
        raise ReviewRefused(
            "The study is being analyzed or sent in this moment; nothing was changed.",
            remedy="Do it again in a minute.",
        )
