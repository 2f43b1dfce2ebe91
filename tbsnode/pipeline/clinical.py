"""What people declare about an examination: read from files, matched, stored, and found again.

Records are matched by patient ID (and issuer) and accession number, never by name. An import is one
transaction: with one mistake anywhere nothing of the file is stored.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tbsnode.errors import FileMistake, InvalidClinicalFile
from tbsnode.pipeline.study_dates import study_age_days
from tbsnode.store import audit, clinical, readiness

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tbsnode.model import ClinicalContext, InstanceIdentity
    from tbsnode.pipeline.clinical_fields import Declaration
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow

ADDED, SUPERSEDED, UNCHANGED = "added", "superseded", "unchanged"


def context_of(site: Site, identity: InstanceIdentity) -> ClinicalContext | None:
    """Return what was declared for an examination: of its accession number, else of its patient."""
    subject = clinical.Subject(
        patient_id=identity.demographics.patient_id,
        issuer=identity.demographics.issuer,
        accession_number=identity.accession_number,
    )
    with site.database.read() as tx:
        row = clinical.applicable(tx, subject)
    if row is None or row.context == type(row.context)(source=row.context.source):
        return None  # an empty record withdraws what was declared
    return row.context


# ---- import ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """Who imports, from which machine, and how.

    Attributes
    ----------
    login, host : str
        As the operating system says.
    ahead : bool
        Whether records may be about patients and examinations that have not arrived yet.
    dry_run : bool
        Whether everything is checked and nothing is stored.
    """

    login: str
    host: str
    ahead: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a file.

    Attributes
    ----------
    records : int
        How many it has: the sum of the next three.
    added, superseded, unchanged : int
        New ones, those that replace an older one, those equal to what was declared already.
    study_instance_uids : tuple of str
        Studies that are analyzed again.
    dry_run : bool
        Whether it was only tried.
    """

    records: int
    added: int
    superseded: int
    unchanged: int
    study_instance_uids: tuple[str, ...]
    dry_run: bool


def import_file(site: Site, path: Path, importer: Importer) -> Imported:
    """Store what a file declares, all of it or nothing, and have the studies it is about analyzed again.

    Parameters
    ----------
    site : Site
        Database and policy.
    path : Path
        CSV or JSON.
    importer : Importer
        Who, and how.

    Returns
    -------
    Imported
        Counts, and the studies.

    Raises
    ------
    InvalidClinicalFile
        With every mistake, in the order of the file.
    """
    from tbsnode.pipeline import clinical_file

    read = clinical_file.read(path.read_bytes(), datetime.now(UTC).astimezone().date())
    opened = site.database.read() if importer.dry_run else site.database.transaction()
    with opened as tx:
        subjects, unmatched = _matched(tx, read.declarations, ahead=importer.ahead)
        mistakes = sorted((*read.mistakes, *unmatched), key=lambda one: (one.line or 0, one.record or 0))
        if mistakes:
            raise InvalidClinicalFile(mistakes=tuple(mistakes))
        changes = [_change(tx, *pair) for pair in zip(subjects, read.declarations, strict=True)]
        studies: dict[int, StudyRow] = {}
        for change in changes:
            if change.outcome != UNCHANGED:
                studies.update({row.id: row for row in _affected(tx, site, change.subject)})
        if not importer.dry_run:
            _store(tx, changes, importer, tuple(studies.values()))
    counts = Counter(change.outcome for change in changes)
    return Imported(
        records=len(changes),
        added=counts[ADDED],
        superseded=counts[SUPERSEDED],
        unchanged=counts[UNCHANGED],
        study_instance_uids=tuple(row.study_instance_uid for row in studies.values()),
        dry_run=importer.dry_run,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    subject: clinical.Subject
    context: ClinicalContext
    outcome: str


def _change(tx: Transaction, subject: clinical.Subject, declared: Declaration) -> _Change:
    known = clinical.active(tx, subject)
    outcome = ADDED if known is None else UNCHANGED if known.context == declared.context else SUPERSEDED
    return _Change(subject=subject, context=declared.context, outcome=outcome)


def _affected(tx: Transaction, site: Site, subject: clinical.Subject) -> list[StudyRow]:
    """Return the studies whose result may change; one too old to be published keeps the one it has."""
    found = []
    for row in clinical.finished_studies(tx, subject):
        age = study_age_days(row.study_date, tx.now)
        own = replace(subject, accession_number=row.accession_number)
        of_its_own = row.accession_number and clinical.active(tx, own) is not None
        if age is not None and age > site.policy.max_study_age_days:
            continue
        if subject.accession_number or not of_its_own:
            found.append(row)
    return found


def _store(
    tx: Transaction, changes: Sequence[_Change], importer: Importer, studies: Sequence[StudyRow]
) -> None:
    """Write what is new, make the studies due, and say so without naming anybody."""
    new = [change for change in changes if change.outcome != UNCHANGED]
    if not new:
        return
    for change in new:
        clinical.add(tx, change.subject, change.context, f"{importer.login}@{importer.host}")
    for row in studies:
        readiness.arm(tx, row.id, ready_at=tx.now)
        audit.add_event(
            tx,
            "clinical.changed",
            "clinical data was imported: analyzed again",
            study_instance_uid=row.study_instance_uid,
        )
    superseded = sum(change.outcome == SUPERSEDED for change in new)
    audit.add_event(
        tx,
        "clinical.imported",
        f"{importer.login} at {importer.host} imported clinical records: {len(new) - superseded} new, "
        f"{superseded} in place of older ones; studies analyzed again: {len(studies)}",
        data={
            "records": len(changes),
            "added": len(new) - superseded,
            "superseded": superseded,
            "unchanged": len(changes) - len(new),
            "studies": len(studies),
            "login": importer.login,
            "host": importer.host,
        },
    )


# ---- matching -------------------------------------------------------------------------------------


def _matched(
    tx: Transaction, declarations: Sequence[Declaration], *, ahead: bool
) -> tuple[list[clinical.Subject], list[FileMistake]]:
    """Find whom each record is about; what cannot be matched is a mistake."""
    subjects, mistakes = [], []
    seen: dict[clinical.Subject, Declaration] = {}
    for declared in declarations:
        found = _subject(tx, declared, ahead=ahead)
        if isinstance(found, FileMistake):
            mistakes.append(found)
            continue
        first = seen.setdefault(found, declared)
        if first is not declared:
            where = f"line {first.raw.line}" if first.raw.line else f"record {first.raw.number}"
            name = "accession_number" if found.accession_number else "patient_id"
            problem = f"is stated twice: {where} is about the same {_NOUN[name]}."
            mistakes.append(declared.raw.mistake(name, problem, "Keep one of the two."))
        elif declared.is_empty and clinical.active(tx, found) is None:
            problem = "stands in a record that declares nothing."
            mistakes.append(declared.raw.mistake("patient_id", problem, "Fill in a field, or delete it."))
        subjects.append(found)
    return subjects, mistakes


_NOUN = {"accession_number": "examination", "patient_id": "patient"}


def _subject(tx: Transaction, declared: Declaration, *, ahead: bool) -> clinical.Subject | FileMistake:
    """Return whom a record is about, as the archive knows him or her; or why that cannot be told."""
    stated = clinical.Subject(
        patient_id=declared.patient_id,
        issuer=declared.issuer,
        accession_number=declared.accession_number,
    )
    known = clinical.patients_with_studies(tx, stated.patient_id)
    issuers = [issuer for issuer in known if stated.issuer in ("", issuer)]
    if stated.accession_number:
        owners = clinical.owners_of(tx, stated.accession_number)
        own = [issuer for issuer in issuers if (stated.patient_id, issuer) in owners]
        if not own and owners:
            problem, remedy = "is that of another patient.", "Check patient ID and accession number."
            return declared.raw.mistake("accession_number", problem, remedy)
        if not own and not ahead:
            name = "accession_number" if issuers else "patient_id"
            return declared.raw.mistake(name, *_unknown(name, stated, known))
        issuers = own or issuers
    elif not issuers and not ahead:
        return declared.raw.mistake("patient_id", *_unknown("patient_id", stated, known))
    if len(issuers) > 1:
        problem = "is that of several patients, of several issuers."
        return declared.raw.mistake("patient_id", problem, "State the issuer, or the accession number.")
    if not issuers:
        return stated
    if known[issuers[0]] == "M" and declared.context.menopausal_status:
        problem, remedy = "is stated for a man.", "Check the patient ID, or leave it empty."
        return declared.raw.mistake("menopausal_status", problem, remedy)
    return replace(stated, issuer=issuers[0])


def _unknown(name: str, stated: clinical.Subject, known: dict[str, str]) -> tuple[str, str]:
    if name == "patient_id" and known and stated.issuer:
        return "is known here, but not of this issuer.", "Correct the issuer, or leave it empty."
    noun = "examination" if name == "accession_number" else "patient"
    problem = f"is that of no {noun} in the archive."
    zeros = " Spreadsheets drop leading zeros." if name == "patient_id" else ""
    return problem, f"Correct it, or import with --ahead before the study arrives.{zeros}"


def listed(
    site: Site, *, patient_id: str = "", accession_number: str = "", every: bool = False
) -> tuple[clinical.ClinicalRow, ...]:
    """Return what is declared, the newest first; with `every`, also what was superseded."""
    with site.database.read() as tx:
        return clinical.rows(tx, patient_id=patient_id, accession_number=accession_number, every=every)
