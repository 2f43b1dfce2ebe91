"""Whose studies are by now, which are in quarantine, and which refusal reports are paused: the rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.model.stated_identity import StatedIdentity
from tbsnode.store import fit
from tbsnode.store.records import read_row
from tbsnode.store.schema import (
    analysis,
    clinical,
    identity_change,
    instance,
    patient,
    quarantine,
    refusal_pause,
    study,
)

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import InstanceRow


_LOOKED_AT = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did something: the login of the process's owner, and the machine."""

    login: str
    host: str


# ---- whose a study is ----------------------------------------------------------------------------


def add_change(tx: Transaction, study_id: int, stated: StatedIdentity, source: str, by: Actor) -> None:
    """Write whose a study is by now."""
    values = {"study_ref": study_id, "source": source, "created_at": tx.now, **asdict(by)}
    tx.add(identity_change, **fit.columns(identity_change, values), record=asdict(stated))


def stated_of(tx: Transaction, study_id: int) -> StatedIdentity | None:
    """Return whose a study is by now; None where it is whose its scanner wrote."""
    query = sa.select(identity_change.c.record).where(identity_change.c.study_ref == study_id)
    record = tx.scalar(query.order_by(identity_change.c.id.desc()).limit(1))
    return None if record is None else StatedIdentity(**record)


def arrived_with(tx: Transaction, new: InstanceRow, old: InstanceRow) -> None:
    """Let a restated version have come when, and with, what it restates came."""
    values = {"received_at": old.received_at, "fetched": old.fetched}
    tx.execute(sa.update(instance).where(instance.c.id == new.id).values(**values))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPatient:
    """A patient of the catalogue."""

    id: int
    patient_id: str
    issuer: str
    name: str
    birth_date: str
    sex: str


def patients(tx: Transaction, patient_id: str, issuer: str | None = None) -> tuple[KnownPatient, ...]:
    """Return the patients that have a study here, under a Patient ID; of one issuer, or of any."""
    has_study = sa.select(study.c.id).where(study.c.patient_ref == patient.c.id).exists()
    query = sa.select(patient).where(patient.c.patient_id == fit.text(patient_id, 64), has_study)
    if issuer is not None:
        query = query.where(patient.c.issuer == fit.text(issuer, 64))
    return tuple(read_row(KnownPatient, row) for row in tx.all(query.order_by(patient.c.id)))


def study_uids(tx: Transaction, patient_row: int) -> tuple[str, ...]:
    """Return the studies of a patient, oldest first."""
    query = sa.select(study.c.study_instance_uid).where(study.c.patient_ref == patient_row)
    return tuple(str(row[0]) for row in tx.all(query.order_by(study.c.id)))


def clinical_records(tx: Transaction, of: KnownPatient) -> int:
    """Count the records of clinical data of a patient."""
    count = sa.select(sa.func.count()).select_from(clinical)
    return int(tx.scalar(count.where(*_clinical_of(of))) or 0)


def move_clinical(tx: Transaction, of: KnownPatient, to: StatedIdentity) -> int:
    """Give a patient's records of clinical data to another one; return how many."""
    values = {"patient_id": to.patient_id or "", "issuer": to.issuer or ""}
    done = tx.execute(
        sa.update(clinical)
        .where(*_clinical_of(of))
        .values(**fit.columns(clinical, values), updated_at=tx.now)
    )
    return int(done.rowcount)


def _clinical_of(of: KnownPatient) -> tuple[sa.ColumnElement[bool], ...]:
    # a record that was imported ahead may state no issuer
    return clinical.c.patient_id == of.patient_id, clinical.c.issuer.in_({of.issuer, ""})


# ---- quarantine ----------------------------------------------------------------------------------


def set_aside(tx: Transaction, study_id: int, by: Actor) -> bool:
    """Put a study into quarantine; False where it is there already."""
    if is_set_aside(tx, study_id):
        return False
    values = {"study_ref": study_id, "created_at": tx.now, **asdict(by)}
    tx.execute(sa.insert(quarantine).values(**fit.columns(quarantine, values)))
    return True


def release(tx: Transaction, study_id: int) -> bool:
    """Take a study out of quarantine; False where it was not there."""
    done = tx.execute(sa.delete(quarantine).where(quarantine.c.study_ref == study_id))
    return bool(done.rowcount)


def is_set_aside(tx: Transaction, study_id: int) -> bool:
    """Tell whether a study is in quarantine."""
    return tx.scalar(sa.select(quarantine.c.study_ref).where(quarantine.c.study_ref == study_id)) is not None


# ---- paused refusal reports ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalPause:
    """A scanner whose refusals are stored and not reported.

    Attributes
    ----------
    scanner : str
        Manufacturer, model and serial number, as its studies have them.
    code : str
        The refusal that came too often.
    count : int
        How many in a row led to it.
    paused_at : float
        Since when [seconds since the epoch].
    """

    scanner: str
    code: str
    count: int
    paused_at: float


def refusal_pauses(tx: Transaction) -> tuple[RefusalPause, ...]:
    """Return the scanners whose refusal reports are paused."""
    query = sa.select(refusal_pause).where(refusal_pause.c.resumed_at.is_(None))
    rows = tx.all(query.order_by(refusal_pause.c.scanner))
    return tuple(read_row(RefusalPause, row) for row in rows)


def is_paused(tx: Transaction, scanner: str) -> bool:
    """Tell whether the refusal reports of a scanner are paused."""
    return tx.scalar(sa.select(refusal_pause.c.scanner).where(*_paused(scanner))) is not None


def resumed_at(tx: Transaction, scanner: str) -> float:
    """Return when the refusals of a scanner were last reported again; 0.0 where they never were paused."""
    key = fit.text(scanner, 200)
    return tx.scalar(sa.select(refusal_pause.c.resumed_at).where(refusal_pause.c.scanner == key)) or 0.0


def _paused(scanner: str) -> tuple[sa.ColumnElement[bool], ...]:
    return refusal_pause.c.scanner == fit.text(scanner, 200), refusal_pause.c.resumed_at.is_(None)


def pause_refusals(tx: Transaction, scanner: str, code: str, count: int) -> None:
    """Pause the refusal reports of a scanner."""
    values = fit.columns(refusal_pause, {"scanner": scanner, "code": code, "count": count})
    tx.execute(sa.delete(refusal_pause).where(refusal_pause.c.scanner == values["scanner"]))
    tx.execute(sa.insert(refusal_pause).values(**values, paused_at=tx.now))


def resume_refusals(tx: Transaction, scanner: str) -> bool:
    """Report the refusals of a scanner again; False where they were not paused."""
    done = tx.execute(sa.update(refusal_pause).where(*_paused(scanner)).values(resumed_at=tx.now))
    return bool(done.rowcount)


def latest_reasons(
    tx: Transaction, scanner: str, *, besides: int, since: float, limit: int
) -> tuple[str, ...]:
    """Return what the newest studies of a scanner came to: a code of refusal, or empty for a score.

    Only the newest `_LOOKED_AT` studies of the node are looked at: what lies behind them is no flood.

    Parameters
    ----------
    tx : Transaction
        Any.
    scanner : str
        As the studies' rows have it.
    besides : int
        Row of the study at hand, which is left out.
    since : float
        Results before this time do not count [seconds since the epoch].
    limit : int
        At most so many studies, the newest first.
    """
    of_study = sa.and_(analysis.c.study_ref == study.c.id, analysis.c.reported, analysis.c.created_at > since)
    newest = sa.select(analysis.c.reason).where(of_study).order_by(analysis.c.id.desc()).limit(1)
    oldest = sa.select(sa.func.max(study.c.id) - _LOOKED_AT).scalar_subquery()
    query = (
        sa.select(newest.scalar_subquery())
        .where(study.c.id > oldest, study.c.scanner == scanner, study.c.id != besides)
        .where(sa.exists().where(of_study))
        .order_by(study.c.id.desc())
        .limit(limit)
    )
    return tuple(str(row[0]) for row in tx.all(query))
