"""What is in the archive: patients, studies, series and received instances.

Two receivers may bring the first instances of one study at the same moment: SQLite lets one write
transaction in at a time; on PostgreSQL `Transaction.add_if_new` waits for the other one, and an
advisory lock a SOP Instance UID makes "look whether it is there, then add it" one act. Patients come
before studies, studies before series, always, so that no two transactions wait for each other.
Results are in `store.results`, whole listings in `store.listing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model import Demographics, InstanceIdentity, StudyState
from tbsnode.store import fit, identity_json
from tbsnode.store.prepared import Prepared
from tbsnode.store.records import InstanceRow, PatientRow, StudyRow, read_row
from tbsnode.store.results import (
    AnalysisContext,
    add_analysis,
    add_derived,
    analyses_of_study,
    derived_by_uid,
    derived_of_analysis,
    last_published,
)
from tbsnode.store.schema import instance, patient, series, study

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction

# What is asked for each instance that arrives.
_UID_IS = instance.c.sop_instance_uid == sa.bindparam("uid")
_VERSIONS = Prepared(
    sa.select(instance).where(_UID_IS, instance.c.state != "purged").order_by(instance.c.version)
)
_NEWEST = sa.select(sa.func.coalesce(sa.func.max(instance.c.version), 0) + 1).where(_UID_IS)
_ADD_VERSION = Prepared(
    instance.insert().values(version=_NEWEST.scalar_subquery()).returning(instance.c.id, instance.c.version)
)
_STUDY_AND_SERIES = Prepared(
    sa.select(study.c.id, series.c.id.label("series_id"))
    .outerjoin_from(
        study,
        series,
        sa.and_(series.c.study_ref == study.c.id, series.c.series_instance_uid == sa.bindparam("series_uid")),
    )
    .where(study.c.study_instance_uid == sa.bindparam("uid"))
)
_UID = sa.bindparam("uid", type_=sa.Text)
_LOCK_UID = Prepared(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(_UID, 0))))

__all__ = [
    "AnalysisContext", "KeptFile", "Origin", "add_analysis", "add_derived", "add_instance",
    "analyses_of_study", "derived_by_uid", "derived_of_analysis", "find_instances",
    "follow_identity", "instances_of_study", "last_published", "patient_of_study",
    "set_instance_file", "set_instance_state", "study_by_id", "study_by_uid", "update_study",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A received file as it lies in the archive.

    Attributes
    ----------
    path : str
        Relative to the archive.
    size_bytes : int
        Its size.
    data_set_sha256 : str
        Digest of its encoded data set.
    state : str
        ``"current"``, ``"superseded"``, ``"conflict"`` or ``"own"``.
    """

    path: str
    size_bytes: int
    data_set_sha256: str
    state: str = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who sent an instance, in which association; all empty for an import.

    `fetched` is true for what a PACS moved here on our request, as an earlier examination.
    """

    calling_ae_title: str = ""
    host: str = ""
    association_id: str = ""
    fetched: bool = False


def find_instances(tx: Transaction, sop_instance_uid: str) -> tuple[InstanceRow, ...]:
    """Return all versions kept under a SOP Instance UID, oldest first.

    In a write transaction nobody else can add one under this UID until the transaction ends: what
    was found is still true when `add_instance` follows. What retention deleted is not kept: if it
    comes again, it is new.
    """
    _lock_uid(tx, sop_instance_uid)
    rows = _VERSIONS.rows(tx, {"uid": sop_instance_uid})
    return tuple(read_row(InstanceRow, row) for row in rows)


def add_instance(tx: Transaction, identity: InstanceIdentity, kept: KeptFile, origin: Origin) -> InstanceRow:
    """Write the row of a kept file, and those of its patient, study and series where they are new.

    A new study starts as RECEIVING without `ready_at` (`readiness.arm` sets that); patient and study
    keep what their first instance said (see `follow_identity`).

    Parameters
    ----------
    tx : Transaction
        A write transaction.
    identity : InstanceIdentity
        What the header says; stored whole.
    kept : KeptFile
        Where the file lies.
    origin : Origin
        Who sent it.

    Returns
    -------
    InstanceRow
        With the next free version of its UID.
    """
    study_id, series_id = _study_and_series(tx, identity)
    _lock_uid(tx, identity.sop_instance_uid)
    values: dict[str, Any] = {
        "sop_instance_uid": identity.sop_instance_uid,
        "sop_class_uid": identity.sop_class_uid,
        "transfer_syntax_uid": identity.transfer_syntax_uid,
        "series_ref": series_id,
        "study_ref": study_id,
        "state": kept.state,
        "path": kept.path,
        "size_bytes": kept.size_bytes,
        "data_set_sha256": kept.data_set_sha256,
        "calling_ae_title": origin.calling_ae_title,
        "host": origin.host,
        "association_id": origin.association_id,
        "received_at": tx.now,
        "fetched": origin.fetched,
    }
    values = fit.columns(instance, values) | {"identity": identity_json.to_json(identity)}
    [added] = _ADD_VERSION.rows(tx, {"uid": identity.sop_instance_uid} | values)
    return InstanceRow(**added, **(values | {"identity": identity}))


def set_instance_state(tx: Transaction, instance_id: int, state: str) -> None:
    """Say what an instance counts as: ``"current"``, ``"superseded"``, ``"conflict"`` or ``"own"``."""
    tx.execute(sa.update(instance).where(instance.c.id == instance_id).values(state=state))


def set_instance_file(tx: Transaction, instance_id: int, *, path: str, size_bytes: int) -> None:
    """Say where the file of an instance lies, after it was put back."""
    where = instance.c.id == instance_id
    tx.execute(sa.update(instance).where(where).values(path=path, size_bytes=size_bytes))


def instances_of_study(
    tx: Transaction, study_id: int, states: Iterable[str] | None = None
) -> tuple[InstanceRow, ...]:
    """Return a study's instances in order of arrival, of all states or of these."""
    query = sa.select(instance).where(instance.c.study_ref == study_id).order_by(instance.c.id)
    if states is not None:
        query = query.where(instance.c.state.in_(list(states)))
    return tuple(read_row(InstanceRow, row) for row in tx.all(query))


def study_by_uid(tx: Transaction, study_instance_uid: str) -> StudyRow | None:
    """Return a study by its Study Instance UID."""
    row = tx.one(sa.select(study).where(study.c.study_instance_uid == study_instance_uid))
    return None if row is None else read_row(StudyRow, row)


def study_by_id(tx: Transaction, study_id: int) -> StudyRow | None:
    """Return a study by its row."""
    row = tx.one(sa.select(study).where(study.c.id == study_id))
    return None if row is None else read_row(StudyRow, row)


def patient_of_study(tx: Transaction, study_id: int) -> PatientRow:
    """Return the patient that a study's row points to."""
    row = tx.one(
        sa.select(patient).join(study, study.c.patient_ref == patient.c.id).where(study.c.id == study_id)
    )
    assert row is not None, "every study has a patient"
    return read_row(PatientRow, row)


def update_study(tx: Transaction, study_id: int, **values: Any) -> None:
    """Set columns of a study and its `updated_at`."""
    fitted = fit.columns(study, values) | {"updated_at": tx.now}
    tx.execute(sa.update(study).where(study.c.id == study_id).values(**fitted))


def follow_identity(tx: Transaction, study_id: int, identity: InstanceIdentity) -> None:
    """Make the rows of study and patient say what a corrected header says."""
    patient_id = _patient(tx, identity.demographics)
    told = fit.columns(patient, _told(identity.demographics))
    tx.execute(sa.update(patient).where(patient.c.id == patient_id).values(**told))
    update_study(tx, study_id, patient_ref=patient_id, **_described(identity))


def _lock_uid(tx: Transaction, sop_instance_uid: str) -> None:
    """Exclude other writers of one UID until the transaction ends; SQLite's has excluded all."""
    if tx.dialect == "postgresql" and tx.writes:
        _LOCK_UID.run(tx, {"uid": sop_instance_uid})


def _found_or_added(tx: Transaction, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> int:
    """Return the row with this unique key, adding it where it is missing."""
    key = fit.columns(table, key)
    query = _by_key(table, tuple(key))
    found = query.value(tx, key)
    if found is None:
        found = tx.add_if_new(table, **key, **fit.columns(table, values))
    if found is None:  # another transaction added it between the two statements
        found = query.value(tx, key)
    return int(found)


@cache
def _by_key(table: sa.Table, names: tuple[str, ...]) -> Prepared:
    return Prepared(sa.select(table.c.id).where(*(table.c[name] == sa.bindparam(name) for name in names)))


def _told(demographics: Demographics) -> dict[str, str]:
    return {
        "name": demographics.name,
        "birth_date": demographics.birth_date,
        "sex": demographics.sex,
    }


def _described(identity: InstanceIdentity) -> dict[str, str]:
    return {
        "study_date": identity.study_date,
        "study_time": identity.study_time,
        "accession_number": identity.accession_number,
        "description": identity.study_description,
    }


def _patient(tx: Transaction, demographics: Demographics) -> int:
    key = {"patient_id": demographics.patient_id, "issuer": demographics.issuer}
    return _found_or_added(tx, patient, key, {**_told(demographics), "created_at": tx.now})


def _study_and_series(tx: Transaction, identity: InstanceIdentity) -> tuple[int, int]:
    """Return the rows of study and series; one look for all images of a series but the first."""
    uids = {"uid": identity.study_instance_uid, "series_uid": identity.series_instance_uid}
    found = _STUDY_AND_SERIES.rows(tx, uids)
    study_id = int(found[0]["id"]) if found else _study(tx, identity)
    series_id = found[0]["series_id"] if found else None
    return study_id, int(series_id) if series_id is not None else _series(tx, study_id, identity)


def _study(tx: Transaction, identity: InstanceIdentity) -> int:
    scanner = identity.scanner
    parts = (scanner.manufacturer, scanner.model_name, scanner.device_serial_number)
    values = {
        "patient_ref": _patient(tx, identity.demographics),
        "scanner": " ".join(part for part in parts if part),
        "state": StudyState.RECEIVING.value,
        "created_at": tx.now,
        "updated_at": tx.now,
        **_described(identity),
    }
    return _found_or_added(tx, study, {"study_instance_uid": identity.study_instance_uid}, values)


def _series(tx: Transaction, study_id: int, identity: InstanceIdentity) -> int:
    key = {"study_ref": study_id, "series_instance_uid": identity.series_instance_uid}
    values = {
        "modality": identity.modality,
        "series_number": identity.series_number,
        "description": identity.series_description,
        "protocol_name": identity.protocol_name,
    }
    return _found_or_added(tx, series, key, values)
