"""The reviewed studies of a range of time, with what decides their procedure code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model import AnalysisStatus, InstanceIdentity, ReviewAction
from tbsnode.reasons import Code
from tbsnode.store import identity_json
from tbsnode.store.schema import analysis, instance, patient, review, study

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedStudy:
    """A study with its newest act of review, and the result that the act led to or withdrew.

    Attributes
    ----------
    study_instance_uid, study_date, accession_number, patient_id : str
        Which study, and whose.
    action : ReviewAction
        What was done.
    reviewer_name, organization : str
        By whom, as the act recorded it.
    at : float
        When [seconds since the epoch].
    version : int
        Of the signature.
    status : AnalysisStatus
        Of the result.
    tbs : float or None
        Its calibrated value.
    simulated : bool
        Whether a finding says that it shows no patient.
    identity : InstanceIdentity or None
        Header of the reported image.
    stated : dict or None
        The advice on the signed report, where it carries one.
    """

    study_instance_uid: str
    study_date: str
    accession_number: str
    patient_id: str
    action: ReviewAction
    reviewer_name: str
    organization: str
    at: float
    version: int
    status: AnalysisStatus
    tbs: float | None
    simulated: bool
    identity: InstanceIdentity | None
    stated: dict[str, Any] | None


def reviewed_studies(
    tx: Transaction, *, since: float | None = None, until: float | None = None
) -> tuple[ReviewedStudy, ...]:
    """Return the studies whose newest act of review lies in a range of time, oldest act first.

    Parameters
    ----------
    tx : Transaction
        A read transaction.
    since, until : float or None
        At or after, before [seconds since the epoch]; None does not restrict.
    """
    newest = sa.select(sa.func.max(review.c.id)).group_by(review.c.study_ref)
    query = (
        sa.select(
            study.c.study_instance_uid,
            study.c.study_date,
            study.c.accession_number,
            patient.c.patient_id,
            review.c.action,
            review.c.record,
            review.c.at,
            review.c.version,
            analysis.c.status,
            analysis.c.tbs,
            analysis.c.result,
            instance.c.identity,
        )
        .join(study, study.c.id == review.c.study_ref)
        .join(patient, patient.c.id == study.c.patient_ref)
        .join(analysis, analysis.c.id == review.c.analysis_ref)
        .outerjoin(instance, instance.c.id == analysis.c.instance_ref)
        .where(review.c.id.in_(newest))
        .order_by(review.c.at, review.c.id)
    )
    if since is not None:
        query = query.where(review.c.at >= since)
    if until is not None:
        query = query.where(review.c.at < until)
    return tuple(_read(row) for row in tx.all(query))


def _read(row: sa.Row[Any]) -> ReviewedStudy:
    who = row.record["reviewer"]
    findings = row.result.get("findings") or []
    return ReviewedStudy(
        study_instance_uid=row.study_instance_uid,
        study_date=row.study_date,
        accession_number=row.accession_number,
        patient_id=row.patient_id,
        action=ReviewAction(row.action),
        reviewer_name=who["name"],
        organization=who["organization"],
        at=row.at,
        version=row.version,
        status=AnalysisStatus(row.status),
        tbs=row.tbs,
        simulated=any(finding["code"] == Code.SIMULATED.value for finding in findings),
        identity=None if row.identity is None else identity_json.from_json(row.identity),
        stated=row.result.get("coding"),
    )
