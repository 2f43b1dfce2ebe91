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
from tbsnode.model import StudyState
from tbsnode.pipeline.study_dates import study_age_days
from tbsnode.store import audit, clinical, readiness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tbsnode.model import ClinicalContext, InstanceIdentity
    from tbsnode.pipeline.clinical_fields import Declaration
    from tbsnode.pipeline.clinical_file import ClinicalFile
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow

ADDED, SUPERSEDED, UNCHANGED = "added", "superseded", "unchanged"
# states of studies that may have been analyzed without what is imported now
_MADE_WITHOUT = (StudyState.DONE, StudyState.QUEUED, StudyState.RUNNING)


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

    with path.open("rb") as stream:
        data = stream.read(clinical_file.MAX_BYTES + 1)
    read = clinical_file.read(data, datetime.now(UTC).astimezone().date())
    with site.database.read() as tx:  # receivers write meanwhile
        made, changes, studies = _plan(tx, site, read, importer)
    if not importer.dry_run:
        with site.database.transaction() as tx:
            made, changes, studies = _plan(tx, site, read, importer)
            _store(tx, changes, importer, studies)
    return made


def _plan(
    tx: Transaction, site: Site, read: ClinicalFile, importer: Importer
) -> tuple[Imported, list[_Change], list[StudyRow]]:
    """Say what an import comes to, as the archive is now; raises with every mistake."""
    archive = _Archive(tx, read.declarations)
    changes, unmatched = _matched(archive, read.declarations, ahead=importer.ahead)
    mistakes = sorted((*read.mistakes, *unmatched), key=lambda one: (one.line or 0, one.record or 0))
    if mistakes:
        raise InvalidClinicalFile(mistakes=tuple(mistakes))
    studies: dict[int, StudyRow] = {}
    for change in changes:
        if change.outcome != UNCHANGED:
            studies.update({row.id: row for row in _affected(archive, site, change.subject, tx.now)})
    counts = Counter(change.outcome for change in changes)
    made = Imported(
        records=len(changes),
        added=counts[ADDED],
        superseded=counts[SUPERSEDED],
        unchanged=counts[UNCHANGED],
        study_instance_uids=tuple(row.study_instance_uid for row in studies.values()),
        dry_run=importer.dry_run,
    )
    return made, changes, list(studies.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What one record does: `known` is the record that it would supersede."""

    subject: clinical.Subject
    context: ClinicalContext
    known: clinical.ClinicalRow | None

    @property
    def outcome(self) -> str:
        if self.known is None:
            return ADDED
        return UNCHANGED if self.known.context == self.context else SUPERSEDED


class _Archive:
    """What the archive knows of the patients and accession numbers of a file, asked once."""

    def __init__(self, tx: Transaction, declarations: Sequence[Declaration]) -> None:
        patient_ids = {declared.patient_id for declared in declarations}
        numbers = {declared.accession_number for declared in declarations}
        self._active = clinical.active_of(tx, patient_ids)
        self.owners: dict[str, set[tuple[str, str]]] = {}
        self.patients: dict[str, dict[str, list[clinical.Examination]]] = {}
        for one in clinical.examinations(tx, patient_ids, numbers):
            owner = (one.patient_id, one.issuer)
            self.owners.setdefault(one.study.accession_number, set()).add(owner)
            self.patients.setdefault(one.patient_id, {}).setdefault(one.issuer, []).append(one)

    def active(self, subject: clinical.Subject) -> clinical.ClinicalRow | None:
        """Return the active record about a subject; one that was imported ahead may not state the issuer."""
        known = self._active.get(subject)
        if known is None and len(self.patients.get(subject.patient_id, ())) <= 1:
            known = self._active.get(replace(subject, issuer=""))
        return known

    def studies(self, subject: clinical.Subject) -> list[StudyRow]:
        """Return the studies of a subject."""
        found = self.patients.get(subject.patient_id, {}).get(subject.issuer, [])
        number = subject.accession_number
        return [one.study for one in found if number in ("", one.study.accession_number)]


def _affected(archive: _Archive, site: Site, subject: clinical.Subject, now: float) -> list[StudyRow]:
    """Return the studies whose result may change; one too old to be published keeps the one it has."""
    found = []
    for row in archive.studies(subject):
        age = study_age_days(row.study_date, now)
        own = replace(subject, accession_number=row.accession_number)
        of_its_own = row.accession_number and archive.active(own) is not None
        if row.state not in _MADE_WITHOUT or (age is not None and age > site.policy.max_study_age_days):
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
        clinical.add(tx, change.subject, change.context, f"{importer.login}@{importer.host}", change.known)
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
    archive: _Archive, declarations: Sequence[Declaration], *, ahead: bool
) -> tuple[list[_Change], list[FileMistake]]:
    """Find whom each record is about; what cannot be matched is a mistake."""
    changes, mistakes = [], []
    seen: dict[clinical.Subject, Declaration] = {}
    for declared in declarations:
        found = _subject(archive, declared, ahead=ahead)
        if isinstance(found, FileMistake):
            mistakes.append(found)
            continue
        first, known = seen.setdefault(found, declared), archive.active(found)
        if first is not declared:
            where = f"line {first.raw.line}" if first.raw.line else f"record {first.raw.number}"
            name = "accession_number" if found.accession_number else "patient_id"
            problem = f"is stated twice: {where} is about the same {_NOUN[name]}."
            mistakes.append(declared.raw.mistake(name, problem, "Keep one of the two."))
        elif declared.is_empty and known is None:
            problem = "stands in a record that declares nothing."
            mistakes.append(declared.raw.mistake("patient_id", problem, "Fill in a field, or delete it."))
        changes.append(_Change(subject=found, context=declared.context, known=known))
    return changes, mistakes


_NOUN = {"accession_number": "examination", "patient_id": "patient"}


def _subject(archive: _Archive, declared: Declaration, *, ahead: bool) -> clinical.Subject | FileMistake:
    """Return whom a record is about, as the archive knows him or her; or why that cannot be told."""
    stated = clinical.Subject(
        patient_id=declared.patient_id,
        issuer=declared.issuer,
        accession_number=declared.accession_number,
    )
    known = archive.patients.get(stated.patient_id, {})
    issuers = [issuer for issuer in known if stated.issuer in ("", issuer)]
    if stated.accession_number:
        owners = archive.owners.get(stated.accession_number, set())
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
    if known[issuers[0]][-1].sex == "M" and declared.context.menopausal_status:
        problem, remedy = "is stated for a man.", "Check the patient ID, or leave it empty."
        return declared.raw.mistake("menopausal_status", problem, remedy)
    return replace(stated, issuer=issuers[0])


def _unknown(name: str, stated: clinical.Subject, known: Mapping[str, object]) -> tuple[str, str]:
    if name == "patient_id" and known:
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
