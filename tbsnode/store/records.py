"""The rows, frozen: what leaves `store` instead of a SQLAlchemy row.

Field names are column names. Times are seconds since the epoch (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from tbsnode.model import AnalysisStatus, DeliveryState, InstanceIdentity, ReviewState, StudyState
from tbsnode.store import identity_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

R = TypeVar("R")

_READ: Mapping[str, Any] = {
    "identity": identity_json.from_json,
    "StudyState": StudyState,
    "ReviewState": ReviewState,
    "DeliveryState": DeliveryState,
    "AnalysisStatus": AnalysisStatus,
}


def read_row(record: type[R], row: sa.Row[Any] | dict[str, Any], **extra: object) -> R:
    """Build a record from the columns of its name; `extra` gives what is not a column."""
    values = dict(extra)
    columns = row if isinstance(row, dict) else row._mapping
    for field in fields(record):  # type: ignore[arg-type]
        if field.name not in values:
            convert = _READ.get(str(field.type)) or _READ.get(field.name)
            value = columns[field.name]
            values[field.name] = value if convert is None else convert(value)
    return record(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRow:
    """A patient as first seen, or as a corrected header states it."""

    id: int
    patient_id: str
    issuer: str
    name: str
    birth_date: str
    sex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """A study and where the work on it stands; see `store.work` for the transitions.

    `shadow` is true for a generation that is compared and never sent.
    """

    id: int
    study_instance_uid: str
    patient_ref: int
    study_date: str
    study_time: str
    accession_number: str
    description: str
    scanner: str
    state: StudyState
    reason: str
    ready_at: float | None
    generation: int
    content_at: float | None
    attempt: int
    next_try_at: float | None
    tries: int
    last_error: str
    review_state: ReviewState
    shadow: bool
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One version of a received instance.

    `state` is ``"current"``, ``"superseded"``, ``"conflict"``, ``"own"`` or ``"purged"``; `path` is
    relative to the archive; `fetched` is true for what a PACS moved here on our request.
    """

    id: int
    sop_instance_uid: str
    version: int
    sop_class_uid: str
    transfer_syntax_uid: str
    series_ref: int
    study_ref: int
    state: str
    path: str
    size_bytes: int
    data_set_sha256: str
    identity: InstanceIdentity
    calling_ae_title: str
    host: str
    association_id: str
    received_at: float
    fetched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VertebraRow:
    """The numbers of one level."""

    label: str
    included: bool
    excluded: str
    score: float | None
    standard_error: float | None
    native_score: float | None
    fit_r2: float | None
    pairs: int
    area_mm2: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRow:
    """The stored result of one image in one generation of a study.

    `reported` is true for the one of its generation that the study stands for, `published` where a
    result set was made from it; `result` is the whole of it, as ``analyze --json`` prints it.
    """

    id: int
    study_ref: int
    generation: int
    instance_ref: int | None
    frame: int
    reported: bool
    published: bool
    status: AnalysisStatus
    reason: str
    score: float | None
    standard_error: float | None
    tbs: float | None
    category: str
    input_class: str
    content_digest: str
    result_digest: str
    content_at: float | None
    version: str
    result: dict[str, Any]
    created_at: float
    vertebrae: tuple[VertebraRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedRow:
    """One archived instance that we made; of a `purged` one the file was deleted."""

    id: int
    analysis_ref: int
    study_ref: int
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    predecessor_uid: str
    path: str
    size_bytes: int
    sha256: str
    purged: bool
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One result set to one destination."""

    id: int
    study_ref: int
    analysis_ref: int
    destination: str
    state: DeliveryState
    reason: str
    attempt: int
    tries: int
    next_try_at: float | None
    deadline: float | None
    last_error: str
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryItemRow:
    """What a peer answered for one instance of a delivery."""

    id: int
    delivery_ref: int
    kind: str
    derived_ref: int | None
    instance_ref: int | None
    sop_class_uid: str
    sop_instance_uid: str
    outcome: str
    status: int | None
    text: str
    sent_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One line of the audit trail."""

    id: int
    at: float
    study_instance_uid: str
    action: str
    text: str
    data: dict[str, Any]
