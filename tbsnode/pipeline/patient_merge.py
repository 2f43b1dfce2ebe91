"""Two patient records were one person: every study of the one takes over the identity of the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tbsnode.errors import NotFound, PeerError, ReviewRefused
from tbsnode.model.stated_identity import StatedIdentity
from tbsnode.net import scu
from tbsnode.pipeline import acting, identity_check, study_identity
from tbsnode.store import audit, identity_changes

if TYPE_CHECKING:
    from tbsnode.pipeline.site import Site
    from tbsnode.pipeline.study_identity import Change
    from tbsnode.store.identity_changes import KnownPatient


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What a merge did, or would do.

    Attributes
    ----------
    changes : tuple of Change
        One for each study, oldest first.
    failed : tuple of (str, str)
        Studies that could not be changed in this moment, each with the reason; repeat the command.
    clinical : int
        Records of clinical data that follow.
    """

    changes: tuple[Change, ...]
    failed: tuple[tuple[str, str], ...]
    clinical: int


def merge(site: Site, old_id: str, new_id: str, *, issuer: str | None = None, dry_run: bool = False) -> Merge:
    """Let all studies under one Patient ID be those of another.

    Name, birth date, sex and issuer are those of the other patient's studies here; where there are none,
    those that a destination states for the studies that it has under the other ID already.

    Parameters
    ----------
    site : Site
        The node.
    old_id, new_id : str
        Patient IDs.
    issuer : str or None
        Of the old ID, where several issuers gave it.
    dry_run : bool
        Only say what would be done.

    Raises
    ------
    NotFound
        If nobody here has the old ID, or nothing is known of the new one.
    ReviewRefused
        If an ID is of several issuers, or both are the same.
    """
    if old_id == new_id:
        raise ReviewRefused(
            "Both patient IDs are the same; nothing was changed.", remedy="Name OLD, then NEW."
        )
    with site.database.read() as tx:
        old = _only(identity_changes.patients(tx, old_id, issuer), "The old patient ID")
        news = identity_changes.patients(tx, new_id)
        uids = identity_changes.study_uids(tx, old.id)
    if len(news) > 1:
        raise ReviewRefused("The new patient ID was given by several issuers; nothing was changed.")
    stated = _of_patient(news[0]) if news else _of_destinations(site, uids, new_id, old.name)
    clinical = _begin(site, old, stated, dry_run=dry_run)
    changes, failed = [], []
    for uid in uids:
        try:
            changes.append(study_identity.take_over(site, uid, stated, source="merge", dry_run=dry_run))
        except (ReviewRefused, NotFound) as error:
            failed.append((uid, error.message))
    return Merge(changes=tuple(changes), failed=tuple(failed), clinical=clinical)


def _only(found: tuple[KnownPatient, ...], what: str) -> KnownPatient:
    if not found:
        raise NotFound(f"{what} has no study here.", remedy="`tbsnode study list --patient ID` looks for it.")
    if len(found) > 1:
        raise ReviewRefused(f"{what} was given by several issuers.", remedy="Say which: --issuer.")
    return found[0]


def _of_patient(patient: KnownPatient) -> StatedIdentity:
    return StatedIdentity(
        patient_id=patient.patient_id,
        issuer=patient.issuer,
        name=patient.name,
        birth_date=patient.birth_date,
        sex=patient.sex,
    )


def _of_destinations(site: Site, uids: tuple[str, ...], new_id: str, old_name: str) -> StatedIdentity:
    """Return what a destination says of the patient, where it has one of the studies under the new ID."""
    for peer in site.peers:
        for uid in uids:
            try:
                found = scu.find_study(peer, uid)
            except PeerError:
                break  # it cannot be asked now; another one may
            if found is not None and found.patient_id == new_id:
                return StatedIdentity(
                    patient_id=new_id,
                    issuer=found.issuer,
                    name=identity_check.name_at(found, old_name) or None,
                    birth_date=found.birth_date or None,
                    sex=found.sex or None,
                )
    raise NotFound(
        "Nothing is known of the new patient ID, neither here nor at a destination.",
        remedy="Merge at the PACS first, then repeat this.",
    )


def _begin(site: Site, old: KnownPatient, stated: StatedIdentity, *, dry_run: bool) -> int:
    """Let clinical data follow, before the first study is analyzed in the new name."""
    if dry_run:
        with site.database.read() as tx:
            return identity_changes.clinical_records(tx, old)
    by = acting.administrator()
    with site.database.transaction() as tx:
        number = identity_changes.move_clinical(tx, old, stated)
        told = f"{by.login} on {by.host} merges two patients; {number} records of clinical data follow"
        audit.add_event(tx, "patient.merged", told, data={**asdict(by), "clinical": number})
    return number
