"""What was declared about patients and examinations: superseded by newer imports, never edited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from tbsnode.model import ClinicalContext, Factor, ScannerResults
from tbsnode.model.densitometry import SiteResult
from tbsnode.store import fit
from tbsnode.store.records import StudyRow, read_row
from tbsnode.store.schema import clinical as table
from tbsnode.store.schema import patient, study
from tbsnode.tbs.frax import Supplied

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction

T = TypeVar("T")

ACTIVE, SUPERSEDED = "active", "superseded"
_MOST_VALUES = 500  # of one statement


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A study that the archive has, and whose it is."""

    patient_id: str
    issuer: str
    sex: str
    study: StudyRow


def examinations(
    tx: Transaction, patient_ids: Iterable[str], accession_numbers: Iterable[str]
) -> tuple[Examination, ...]:
    """Return the studies of these patient IDs, and those of these accession numbers."""
    found: dict[int, Examination] = {}
    for column, wanted in (
        (patient.c.patient_id, patient_ids),
        (study.c.accession_number, accession_numbers),
    ):
        for some in _chunks(wanted):
            query = (
                sa.select(study, patient.c.patient_id, patient.c.issuer, patient.c.sex)
                .join(patient, study.c.patient_ref == patient.c.id)
                .where(column.in_(some))
                .order_by(study.c.id)
            )
            for row in tx.all(query):
                found[row.id] = Examination(
                    patient_id=row.patient_id, issuer=row.issuer, sex=row.sex, study=read_row(StudyRow, row)
                )
    return tuple(found.values())


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield the different texts in lists that a statement may hold."""
    every = sorted({fit.text(text, 64) for text in texts if text})
    for start in range(0, len(every), _MOST_VALUES):
        yield every[start : start + _MOST_VALUES]


def active_of(tx: Transaction, patient_ids: Iterable[str]) -> dict[Subject, ClinicalRow]:
    """Return the active record of each subject of these patient IDs; of two the newer one."""
    found: dict[Subject, ClinicalRow] = {}
    for some in _chunks(patient_ids):
        query = sa.select(table).where(table.c.patient_id.in_(some), table.c.state == ACTIVE)
        found.update({row.subject: row for row in map(_row, tx.all(query.order_by(table.c.id)))})
    return found


def add(
    tx: Transaction,
    subject: Subject,
    context: ClinicalContext,
    imported_by: str,
    supersedes: ClinicalRow | None,
) -> int:
    """Write a record and return its `id`; the one that it supersedes is kept."""
    if supersedes is not None:
        old = sa.update(table).where(table.c.id == supersedes.id)
        tx.execute(old.values(state=SUPERSEDED, updated_at=tx.now))
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


def applicable(tx: Transaction, subject: Subject) -> ClinicalRow | None:
    """Return what holds for an examination: the record of its accession number, else of its patient.

    A record that was imported ahead may state no issuer; it holds where the patient ID is of one issuer.
    """
    if not subject.patient_id:
        return None
    wanted = fit.text(subject.patient_id, 64)
    issuers = {fit.text(subject.issuer, 64)}
    alike = sa.select(sa.func.count()).select_from(patient).where(patient.c.patient_id == wanted)
    if subject.issuer and tx.scalar(alike) <= 1:
        issuers.add("")
    query = (
        sa.select(table)
        .where(
            table.c.patient_id == wanted,
            table.c.issuer.in_(issuers),
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
