"""Studies at a glance, for `study list` and for the numbers of `/metrics`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.model import AnalysisStatus, DeliveryState, ReviewState, StudyState
from tbsnode.store.records import PatientRow, StudyRow, read_row
from tbsnode.store.schema import analysis, delivery, instance, patient, study

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFilter:
    """Which studies; what is None does not restrict.

    Attributes
    ----------
    since, until : float or None
        First instance received at or after, before [seconds since the epoch].
    patient : str or None
        Patient ID; ``*`` and ``?`` stand for other characters, letter case is then ignored.
    state : StudyState or None
        Where the work stands.
    review : ReviewState or None
        Where the result stands with its readers.
    scanner : str or None
        Part of manufacturer, model and serial number; letter case is ignored.
    limit : int or None
        At most so many, the newest.
    """

    since: float | None = None
    until: float | None = None
    patient: str | None = None
    state: StudyState | None = None
    review: ReviewState | None = None
    scanner: str | None = None
    limit: int | None = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSummary:
    """The newest reported result of a study."""

    status: AnalysisStatus
    reason: str
    score: float | None
    tbs: float | None
    category: str
    published: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedStudy:
    """One line of `study list`.

    Attributes
    ----------
    study : StudyRow
        The study.
    patient : PatientRow
        Its patient.
    instances : int
        How many instances it has, of any state.
    result : ResultSummary or None
        Its newest reported result.
    deliveries : tuple of (str, DeliveryState)
        Destination and state of the newest delivery to each, by destination.
    """

    study: StudyRow
    patient: PatientRow
    instances: int
    result: ResultSummary | None
    deliveries: tuple[tuple[str, DeliveryState], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many rows there are: studies by state, deliveries by destination and state."""

    studies: dict[StudyState, int]
    instances: int
    deliveries: dict[tuple[str, DeliveryState], int]


def list_studies(tx: Transaction, chosen: StudyFilter) -> tuple[ListedStudy, ...]:
    """Return studies, the newest first."""
    restrictions = _restrictions(chosen)
    query = (
        sa.select(study, patient.c.patient_id, patient.c.issuer, patient.c.name)
        .add_columns(patient.c.birth_date, patient.c.sex)
        .join(patient, study.c.patient_ref == patient.c.id)
        .where(*restrictions)
        .order_by(study.c.created_at.desc(), study.c.id.desc())
        .limit(chosen.limit)
    )
    # the further queries choose the same studies again: a list of IDs has no fixed bound
    ids = (
        sa.select(study.c.id)
        .join(patient, study.c.patient_ref == patient.c.id)
        .where(*restrictions)
        .order_by(study.c.created_at.desc(), study.c.id.desc())
        .limit(chosen.limit)
        .scalar_subquery()
    )
    results, deliveries, counts = _results(tx, ids), _deliveries(tx, ids), _instances(tx, ids)
    return tuple(
        ListedStudy(
            study=read_row(StudyRow, row),
            patient=read_row(PatientRow, row, id=row.patient_ref),
            instances=counts.get(row.id, 0),
            result=results.get(row.id),
            deliveries=tuple(sorted(deliveries.get(row.id, {}).items())),
        )
        for row in tx.all(query)
    )


def counts(tx: Transaction) -> Counts:
    """Count studies, instances and deliveries."""
    number = sa.func.count().label("number")
    studies = tx.all(sa.select(study.c.state, number).group_by(study.c.state))
    deliveries = tx.all(
        sa.select(delivery.c.destination, delivery.c.state, number).group_by(
            delivery.c.destination, delivery.c.state
        )
    )
    return Counts(
        studies={StudyState(row.state): row.number for row in studies},
        instances=int(tx.scalar(sa.select(sa.func.count()).select_from(instance))),
        deliveries={(row.destination, DeliveryState(row.state)): row.number for row in deliveries},
    )


def _restrictions(chosen: StudyFilter) -> list[sa.ColumnElement[bool]]:
    wanted: list[sa.ColumnElement[bool]] = []
    if chosen.since is not None:
        wanted.append(study.c.created_at >= chosen.since)
    if chosen.until is not None:
        wanted.append(study.c.created_at < chosen.until)
    if chosen.state is not None:
        wanted.append(study.c.state == chosen.state.value)
    if chosen.review is not None:
        wanted.append(study.c.review_state == chosen.review.value)
    if chosen.scanner is not None:
        wanted.append(study.c.scanner.icontains(chosen.scanner, autoescape=True))
    if chosen.patient is not None:
        among = sa.select(patient.c.id).where(_matches(patient.c.patient_id, chosen.patient))
        wanted.append(study.c.patient_ref.in_(among))
    return wanted


def _matches(column: sa.Column[str], pattern: str) -> sa.ColumnElement[bool]:
    """Compare with a pattern as DICOM queries write it (PS3.4 C.2.2.2.4)."""
    if not set(pattern) & set("*?"):
        return column == pattern
    for literal in "\\%_":
        pattern = pattern.replace(literal, "\\" + literal)
    return column.ilike(pattern.replace("*", "%").replace("?", "_"), escape="\\")


def _results(tx: Transaction, ids: sa.ScalarSelect[int]) -> dict[int, ResultSummary]:
    newest = (
        sa.select(sa.func.max(analysis.c.id))
        .where(analysis.c.study_ref.in_(ids), analysis.c.reported)
        .group_by(analysis.c.study_ref)
    )
    columns = (analysis.c[name] for name in ("study_ref", *(each.name for each in fields(ResultSummary))))
    rows = tx.all(sa.select(*columns).where(analysis.c.id.in_(newest)))  # the whole result is large
    return {row.study_ref: read_row(ResultSummary, row) for row in rows}


def _deliveries(tx: Transaction, ids: sa.ScalarSelect[int]) -> dict[int, dict[str, DeliveryState]]:
    newest = (
        sa.select(sa.func.max(delivery.c.id))
        .where(delivery.c.study_ref.in_(ids))
        .group_by(delivery.c.study_ref, delivery.c.destination)
    )
    found: dict[int, dict[str, DeliveryState]] = {}
    for row in tx.all(sa.select(delivery).where(delivery.c.id.in_(newest))):
        found.setdefault(row.study_ref, {})[row.destination] = DeliveryState(row.state)
    return found


def _instances(tx: Transaction, ids: sa.ScalarSelect[int]) -> dict[int, int]:
    number = sa.func.count().label("number")
    query = sa.select(instance.c.study_ref, number).where(instance.c.study_ref.in_(ids))
    return {row.study_ref: row.number for row in tx.all(query.group_by(instance.c.study_ref))}
