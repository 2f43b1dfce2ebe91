"""What was declared about patients and examinations: superseded by newer imports, never edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from tbsnode.model import ClinicalContext, Factor, ScannerResults, StudyState
from tbsnode.model.densitometry import SiteResult
from tbsnode.store import fit
from tbsnode.store.readiness import AT_WORK
from tbsnode.store.records import StudyRow, read_row
from tbsnode.store.schema import clinical as table
from tbsnode.store.schema import patient, study
from tbsnode.tbs.frax import Supplied

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction

T = TypeVar("T")

ACTIVE, SUPERSEDED = "active", "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose examination a record is about.

    Attributes
    ----------
    patient_id, issuer : str
        As headers state them; no issuer means that the import named none and none was known.
    accession_number : str
        Of one examination; empty: of the patient.
    """

    patient_id: str
    issuer: str = ""
    accession_number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalRow:
    """One stored record; `state` is ``"active"`` or ``"superseded"``, times are since the epoch [s]."""

    id: int
    subject: Subject
    context: ClinicalContext
    state: str
    imported_by: str
    created_at: float
    updated_at: float


# ---- what the archive knows ------------------------------------------------------------------------


def patients_with_studies(tx: Transaction, patient_id: str) -> dict[str, str]:
    """Return the sex stated for each issuer's patient of this ID that has a study."""
    wanted = fit.text(patient_id, 64)
    found = tx.all(
        sa.select(patient.c.issuer, patient.c.sex)
        .join(study, study.c.patient_ref == patient.c.id)
        .where(patient.c.patient_id == wanted)
        .distinct()
    )
    return {row.issuer: row.sex for row in found}


def owners_of(tx: Transaction, accession_number: str) -> tuple[tuple[str, str], ...]:
    """Return patient ID and issuer of every patient with a study of this accession number."""
    found = tx.all(
        sa.select(patient.c.patient_id, patient.c.issuer)
        .join(study, study.c.patient_ref == patient.c.id)
        .where(study.c.accession_number == fit.text(accession_number, 64))
        .distinct()
        .order_by(patient.c.patient_id, patient.c.issuer)
    )
    return tuple((row.patient_id, row.issuer) for row in found)


def finished_studies(tx: Transaction, subject: Subject) -> tuple[StudyRow, ...]:
    """Return the studies that a record is about and that may have been analyzed without it."""
    query = (
        sa.select(study)
        .join(patient, study.c.patient_ref == patient.c.id)
        .where(
            patient.c.patient_id == subject.patient_id,
            patient.c.issuer == subject.issuer,
            study.c.state.in_([StudyState.DONE.value, *AT_WORK]),
        )
        .order_by(study.c.id)
    )
    if subject.accession_number:
        query = query.where(study.c.accession_number == subject.accession_number)
    return tuple(read_row(StudyRow, row) for row in tx.all(query))


# ---- records ---------------------------------------------------------------------------------------


def add(tx: Transaction, subject: Subject, context: ClinicalContext, imported_by: str) -> int:
    """Write a record and return its `id`; the active one of the same subject is superseded."""
    tx.execute(
        sa.update(table)
        .where(_about(tx, subject), table.c.state == ACTIVE)
        .values(state=SUPERSEDED, updated_at=tx.now)
    )
    values = {
        "patient_id": subject.patient_id,
        "issuer": subject.issuer,
        "accession_number": subject.accession_number,
        "state": ACTIVE,
        "source": context.source,
        "imported_by": imported_by,
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    return tx.add(table, **fit.columns(table, values), record=to_json(context))


def active(tx: Transaction, subject: Subject) -> ClinicalRow | None:
    """Return the record that a newer one about the same subject would supersede."""
    query = sa.select(table).where(_about(tx, subject), table.c.state == ACTIVE)
    row = tx.one(query.order_by(table.c.id.desc()))
    return None if row is None else _row(row)


def _about(tx: Transaction, subject: Subject) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.patient_id == fit.text(subject.patient_id, 64),
        table.c.issuer.in_(_issuers(tx, subject)),
        table.c.accession_number == fit.text(subject.accession_number, 64),
    )


def _issuers(tx: Transaction, subject: Subject) -> list[str]:
    """Return the issuers that a record about a subject may state.

    One that was imported ahead may state none; it counts where the patient ID is of one issuer only.
    """
    alone = bool(subject.issuer) and len(patients_with_studies(tx, subject.patient_id)) <= 1
    return [fit.text(subject.issuer, 64), ""] if alone else [fit.text(subject.issuer, 64)]


def applicable(tx: Transaction, subject: Subject) -> ClinicalRow | None:
    """Return what holds for an examination: the record of its accession number, else of its patient."""
    if not subject.patient_id:
        return None
    query = (
        sa.select(table)
        .where(
            table.c.patient_id == fit.text(subject.patient_id, 64),
            table.c.issuer.in_(_issuers(tx, subject)),
            table.c.accession_number.in_([fit.text(subject.accession_number, 64), ""]),
            table.c.state == ACTIVE,
        )
        .order_by((table.c.accession_number == "").asc(), table.c.id.desc())
    )
    row = tx.one(query)
    return None if row is None else _row(row)


def rows(
    tx: Transaction, *, patient_id: str = "", accession_number: str = "", every: bool = False
) -> tuple[ClinicalRow, ...]:
    """Return the active records, or every one, the newest first; all or those of a patient or accession."""
    query = sa.select(table).order_by(table.c.id.desc())
    for column, wanted in ((table.c.patient_id, patient_id), (table.c.accession_number, accession_number)):
        if wanted:
            query = query.where(column == wanted)
    if not every:
        query = query.where(table.c.state == ACTIVE)
    return tuple(_row(row) for row in tx.all(query))


def _row(row: Any) -> ClinicalRow:
    return ClinicalRow(
        id=row.id,
        subject=Subject(patient_id=row.patient_id, issuer=row.issuer, accession_number=row.accession_number),
        context=from_json(row.record),
        state=row.state,
        imported_by=row.imported_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


# ---- JSON ------------------------------------------------------------------------------------------


def to_json(context: ClinicalContext) -> dict[str, Any]:
    """Return declared context as JSON types, key = field name."""
    values = asdict(context)
    for name in ("present", "absent"):
        values[name] = [factor.value for factor in values[name]]
    values["fracture_sites"] = list(context.fracture_sites)
    if values["densitometry"] is not None:
        values["densitometry"]["sites"] = list(values["densitometry"]["sites"])
    return values


def from_json(values: Mapping[str, Any]) -> ClinicalContext:
    """Return the context that `to_json` wrote; absent keys take their defaults, unknown ones are ignored."""
    known = dict(values)
    for name in ("present", "absent"):
        known[name] = tuple(Factor(word) for word in known.get(name, ()))
    known["fracture_sites"] = tuple(known.get("fracture_sites", ()))
    if known.get("frax") is not None:
        known["frax"] = _build(Supplied, known["frax"])
    if known.get("densitometry") is not None:
        results = dict(known["densitometry"])
        results["sites"] = tuple(_build(SiteResult, site) for site in results["sites"])
        known["densitometry"] = _build(ScannerResults, results)
    return _build(ClinicalContext, known)


def _build(kind: type[T], values: Mapping[str, Any]) -> T:
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})
