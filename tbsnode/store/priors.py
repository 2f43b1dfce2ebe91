"""Earlier examinations in the catalogue: whose they may be, and what was fetched for them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.store import fit
from tbsnode.store.records import InstanceRow, StudyRow, read_row
from tbsnode.store.schema import instance, patient, series, study

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStudy:
    """A study with its instances, of every state but superseded, in order of arrival."""

    study: StudyRow
    instances: tuple[InstanceRow, ...]

    @property
    def current(self) -> tuple[InstanceRow, ...]:
        """What counts of it, our own results aside."""
        return tuple(row for row in self.instances if row.state == "current")


def adopt(tx: Transaction, instance_id: int) -> None:
    """Make an instance that was fetched as an earlier examination an ordinary one: a scanner sent it."""
    tx.execute(sa.update(instance).where(instance.c.id == instance_id).values(fetched=False))


def studies_under(tx: Transaction, patient_id: str, *, besides: int) -> tuple[KeptStudy, ...]:
    """Return all studies under a Patient ID but one, newest first; whose they are is not judged here.

    Parameters
    ----------
    tx : Transaction
        Any.
    patient_id : str
        As the header states it, of whatever issuer.
    besides : int
        Row of the study that is left out.
    """
    query = (
        sa.select(study)
        .join(patient, study.c.patient_ref == patient.c.id)
        .where(patient.c.patient_id == fit.text(patient_id, 64), study.c.id != besides)
        .order_by(study.c.study_date.desc(), study.c.study_time.desc(), study.c.id.desc())
    )
    studies = [read_row(StudyRow, row) for row in tx.all(query)]
    kept: dict[int, list[InstanceRow]] = defaultdict(list)
    if studies:
        ids = [each.id for each in studies]
        instances = sa.select(instance).where(instance.c.study_ref.in_(ids), instance.c.state != "superseded")
        for row in tx.all(instances.order_by(instance.c.id)):
            kept[row.study_ref].append(read_row(InstanceRow, row))
    return tuple(KeptStudy(study=each, instances=tuple(kept[each.id])) for each in studies)


def is_sent(tx: Transaction, study_instance_uid: str) -> bool:
    """Tell whether a scanner sent us an image of a study: then nothing of it need be fetched."""
    query = (
        sa.select(instance)
        .join(study, instance.c.study_ref == study.c.id)
        .where(
            study.c.study_instance_uid == study_instance_uid,
            instance.c.state == "current",
            instance.c.fetched.is_(sa.false()),
        )
    )
    return any(read_row(InstanceRow, row).identity.is_image for row in tx.all(query))


def instances_of_series(tx: Transaction, study_instance_uid: str, series_instance_uid: str) -> int:
    """Count the instances that we keep of a series, of whatever state."""
    query = (
        sa.select(sa.func.count(instance.c.sop_instance_uid.distinct()))
        .join(series, instance.c.series_ref == series.c.id)
        .join(study, instance.c.study_ref == study.c.id)
        .where(study.c.study_instance_uid == study_instance_uid, series.c.study_ref == study.c.id)
        .where(series.c.series_instance_uid == series_instance_uid, instance.c.state != "purged")
    )
    return int(tx.scalar(query) or 0)
