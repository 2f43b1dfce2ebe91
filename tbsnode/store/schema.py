"""The tables, as they are after all migrations.

Our tables are the truth and the job engine only the motor (design, section 5): every row that
stands for work carries its state, its attempt, when it is next due and its last error. Times that
schedule are seconds since the epoch (UTC) as double precision; nothing depends on a time zone.
All names start with ``tbs_`` because the engine keeps its own tables in the same database. What an
administrator does is in `store.schema_operations`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from tbsnode.store.metadata import Id as _Id
from tbsnode.store.metadata import metadata as metadata
from tbsnode.store.schema_operations import bulk_run as bulk_run
from tbsnode.store.schema_operations import bulk_study as bulk_study
from tbsnode.store.schema_operations import identity_change as identity_change
from tbsnode.store.schema_operations import notice as notice
from tbsnode.store.schema_operations import quarantine as quarantine
from tbsnode.store.schema_operations import refusal_pause as refusal_pause

patient = Table(
    "tbs_patient",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("patient_id", String(64), nullable=False),
    Column("issuer", String(64), nullable=False, default=""),
    Column("name", Text, nullable=False, default=""),
    Column("birth_date", String(16), nullable=False, default=""),
    Column("sex", String(16), nullable=False, default=""),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("patient_id", "issuer"),
)

study = Table(
    "tbs_study",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("study_instance_uid", String(64), nullable=False, unique=True),
    Column("patient_ref", _Id, ForeignKey("tbs_patient.id"), nullable=False),
    Column("study_date", String(16), nullable=False, default=""),
    Column("study_time", String(16), nullable=False, default=""),
    Column("accession_number", String(64), nullable=False, default=""),
    Column("description", Text, nullable=False, default=""),
    Column("scanner", Text, nullable=False, default=""),
    # work: see store.work for the transitions
    Column("state", String(16), nullable=False),
    Column("reason", String(40), nullable=False, default=""),  # a reasons.Code
    Column("ready_at", Double),  # due for a new generation at this time
    Column("generation", Integer, nullable=False, default=0),
    Column("content_at", Double),  # committed with the generation: Content Date and Time
    Column("attempt", Integer, nullable=False, default=0),
    Column("next_try_at", Double),  # due for another attempt at the same generation
    Column("tries", Integer, nullable=False, default=0),  # attempts at this generation
    Column("last_error", Text, nullable=False, default=""),
    Column(
        "review_state", String(20), nullable=False, default="none", server_default="none"
    ),  # model.ReviewState
    # the generation at work is compared and never sent; the next one will be
    Column("shadow", Boolean, nullable=False, default=False, server_default=false()),
    Column("ready_shadow", Boolean, nullable=False, default=False, server_default=false()),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index(None, "ready_at"),
    Index(None, "next_try_at"),
    Index(None, "state", "reason"),
    Index(None, "patient_ref"),
    Index(None, "created_at"),
)

series = Table(
    "tbs_series",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("series_instance_uid", String(64), nullable=False),
    Column("study_ref", _Id, ForeignKey("tbs_study.id"), nullable=False),
    Column("modality", String(16), nullable=False, default=""),
    Column("series_number", String(16), nullable=False, default=""),
    Column("description", Text, nullable=False, default=""),
    Column("protocol_name", Text, nullable=False, default=""),
    UniqueConstraint("study_ref", "series_instance_uid"),
)

instance = Table(
    "tbs_instance",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("version", Integer, nullable=False),  # 1, 2, ... for the same UID
    Column("sop_class_uid", String(64), nullable=False),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("series_ref", _Id, ForeignKey("tbs_series.id"), nullable=False),
    Column("study_ref", _Id, ForeignKey("tbs_study.id"), nullable=False),
    # current | superseded (corrected header arrived) | conflict (other pixels) | own (our result)
    # | purged (its file was deleted by retention)
    Column("state", String(16), nullable=False),
    Column("path", Text, nullable=False),  # relative to the archive
    Column("size_bytes", BigInteger, nullable=False),
    Column("data_set_sha256", String(64), nullable=False),
    Column("identity", JSON, nullable=False),
    Column("calling_ae_title", String(16), nullable=False, default=""),
    Column("host", String(64), nullable=False, default=""),
    Column("association_id", String(40), nullable=False, default=""),
    Column("received_at", Double, nullable=False),
    # moved here as an earlier examination
    Column("fetched", Boolean, nullable=False, default=False, server_default=false()),
    UniqueConstraint("sop_instance_uid", "version"),
    Index(None, "study_ref"),
    Index(None, "association_id"),
)

association = Table(
    "tbs_association",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("receiver", String(64), nullable=False),  # which receiver process slot has it
    Column("calling_ae_title", String(16), nullable=False),
    Column("host", String(64), nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("closed_at", Double),
    Column("outcome", String(16), nullable=False, default=""),  # released | aborted | lost
    Index(None, "closed_at"),
)

analysis = Table(
    "tbs_analysis",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("study_ref", _Id, ForeignKey("tbs_study.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("instance_ref", _Id, ForeignKey("tbs_instance.id")),
    Column("frame", Integer, nullable=False, default=0),
    Column("reported", Boolean, nullable=False, default=False),  # the one of its generation
    Column("published", Boolean, nullable=False, default=False),  # result set made from it
    # neither of both: what its generation would have reported, kept for comparison
    Column("shadow", Boolean, nullable=False, default=False, server_default=false()),
    Column("status", String(16), nullable=False),
    Column("reason", String(40), nullable=False, default=""),
    Column("score", Double),
    Column("standard_error", Double),
    Column("tbs", Double),
    Column("category", String(32), nullable=False, default=""),
    Column("input_class", String(16), nullable=False, default=""),
    Column("content_digest", String(64), nullable=False, default=""),  # without version and time
    Column("result_digest", String(64), nullable=False, default=""),
    Column("content_at", Double),
    Column("version", String(32), nullable=False),
    Column("result", JSON, nullable=False),  # the whole Analysis, as `analyze --json` prints it
    Column("created_at", Double, nullable=False),
    Index(None, "study_ref", "generation"),
    Index(None, "status", "reason", "reported"),
)

vertebra_score = Table(
    "tbs_vertebra_score",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("analysis_ref", _Id, ForeignKey("tbs_analysis.id"), nullable=False),
    Column("label", String(4), nullable=False),
    Column("included", Boolean, nullable=False),
    Column("excluded", String(40), nullable=False, default=""),
    Column("score", Double),
    Column("standard_error", Double),
    Column("native_score", Double),
    Column("fit_r2", Double),
    Column("pairs", BigInteger, nullable=False, default=0),
    Column("area_mm2", Double),
    UniqueConstraint("analysis_ref", "label"),
)

derived_instance = Table(
    "tbs_derived_instance",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("analysis_ref", _Id, ForeignKey("tbs_analysis.id"), nullable=False),
    Column("study_ref", _Id, ForeignKey("tbs_study.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False, unique=True),
    Column("series_instance_uid", String(64), nullable=False),
    Column("predecessor_uid", String(64), nullable=False, default=""),
    Column("path", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("purged", Boolean, nullable=False, default=False, server_default=false()),  # no file any more
    Column("created_at", Double, nullable=False),
    Index(None, "analysis_ref"),
    Index(None, "study_ref"),
)

delivery = Table(
    "tbs_delivery",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("study_ref", _Id, ForeignKey("tbs_study.id"), nullable=False),
    Column("analysis_ref", _Id, ForeignKey("tbs_analysis.id"), nullable=False),
    Column("destination", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(40), nullable=False, default=""),
    Column("attempt", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_try_at", Double),
    Column("deadline", Double),
    Column("last_error", Text, nullable=False, default=""),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index(None, "next_try_at"),
    Index(None, "study_ref", "destination"),
    Index(None, "state", "destination", "updated_at"),
)

delivery_item = Table(
    "tbs_delivery_item",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("delivery_ref", _Id, ForeignKey("tbs_delivery.id"), nullable=False),
    Column("kind", String(16), nullable=False),  # sr | pdf | overlay | source
    Column("derived_ref", _Id, ForeignKey("tbs_derived_instance.id")),
    Column("instance_ref", _Id, ForeignKey("tbs_instance.id")),
    Column("sop_class_uid", String(64), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("outcome", String(20), nullable=False, default=""),  # SendOutcome.category
    Column("status", Integer),  # DIMSE status
    Column("text", Text, nullable=False, default=""),
    Column("sent_at", Double),
    UniqueConstraint("delivery_ref", "sop_instance_uid"),
)

commitment = Table(
    "tbs_commitment",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("delivery_ref", _Id, ForeignKey("tbs_delivery.id"), nullable=False),
    Column("transaction_uid", String(64), nullable=False, unique=True),
    Column("round", Integer, nullable=False, default=1),  # how often this delivery's has been asked for
    Column("asked_at", Double),  # the peer accepted the request
    Column("reported_at", Double),  # the peer reported: what comes later changes nothing
    Column("sent_again", Boolean, nullable=False, default=False),  # because of what it reported
    # [{sop_class_uid, sop_instance_uid, series_instance_uid, reason}]: reason null until reported
    Column("instances", JSON, nullable=False),
    Column("state", String(16), nullable=False),  # model.commitment.CommitmentState
    Column("attempt", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_try_at", Double),
    Column("deadline", Double, nullable=False),
    Column("last_error", Text, nullable=False, default=""),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index(None, "next_try_at"),
    Index(None, "delivery_ref"),
    Index(None, "state"),
)

# storage commitment that others ask of us
commitment_request = Table(
    "tbs_commitment_request",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("calling_ae_title", String(16), nullable=False),
    Column("host", String(64), nullable=False),
    Column("transaction_uid", String(64), nullable=False),
    Column("instances", JSON, nullable=False),  # as above, without series
    Column("state", String(16), nullable=False),  # model.commitment.CommitmentState
    Column("attempt", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_try_at", Double),
    Column("deadline", Double, nullable=False),
    Column("last_error", Text, nullable=False, default=""),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    UniqueConstraint("calling_ae_title", "transaction_uid"),
    Index(None, "next_try_at"),
    Index(None, "state"),
)

event = Table(
    "tbs_event",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at", Double, nullable=False),
    Column("study_instance_uid", String(64), nullable=False, default=""),
    Column("action", String(40), nullable=False),  # stable: instance.stored, delivery.sent ...
    Column("text", Text, nullable=False),  # a sentence without identifying values
    Column("data", JSON, nullable=False),
    Index(None, "study_instance_uid"),
    Index(None, "at"),
)

# no foreign key: an event that somebody deleted leaves its seal behind, and so is missed
audit_seal = Table(
    "tbs_audit_seal",
    metadata,
    Column("number", _Id, primary_key=True, autoincrement=False),  # 1, 2, ... without a gap
    Column("event_ref", _Id, nullable=False, unique=True),
    Column("digest", String(64), nullable=False),  # of the seal before and this event
    Column("sealed_at", Double, nullable=False),
)

queue_pause = Table(
    "tbs_queue_pause",
    metadata,
    Column("queue", String(80), primary_key=True),  # "analyze" or "deliver:<destination>"
    Column("paused_at", Double, nullable=False),
    Column("paused_by", String(80), nullable=False, default=""),
)

executor_lease = Table(
    "tbs_executor_lease",
    metadata,
    Column("executor_id", String(80), primary_key=True),
    Column("expires_at", Double, nullable=False),
)

calibration = Table(
    "tbs_calibration",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("calibration_id", String(40), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),  # calibration.Kind
    Column("state", String(16), nullable=False),  # active | superseded | retired
    Column("reason", Text, nullable=False, default=""),
    # the calibration, never edited; a change is a new row
    Column("record", JSON, nullable=False),
    Column("details", JSON, nullable=False),  # the numbers of the fit, and the pairs by UID
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

precision = Table(
    "tbs_precision",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("record", JSON, nullable=False),  # scanner key, estimator, level sets
    Column("approved_by", Text, nullable=False, default=""),
    Column("created_at", Double, nullable=False),
)

review = Table(
    "tbs_review",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("study_ref", _Id, ForeignKey("tbs_study.id"), nullable=False),
    # the result that the act led to; of a rejection, the one it withdraws
    Column("analysis_ref", _Id, ForeignKey("tbs_analysis.id"), nullable=False),
    Column("action", String(16), nullable=False),  # model.ReviewAction
    Column("login", String(80), nullable=False),
    Column("host", String(255), nullable=False),
    Column("at", Double, nullable=False),
    Column("version", Integer, nullable=False),
    Column("record", JSON, nullable=False),  # the whole model.Review
    Index(None, "study_ref"),
    Index(None, "at"),
)

clinical = Table(
    "tbs_clinical",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("patient_id", String(64), nullable=False),
    Column("issuer", String(64), nullable=False, default=""),
    Column("accession_number", String(64), nullable=False, default=""),
    Column("state", String(16), nullable=False),  # active | superseded
    Column("record", JSON, nullable=False),  # the whole model.ClinicalContext
    Column("source", Text, nullable=False),
    Column("imported_by", String(80), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index(None, "patient_id", "accession_number"),
)
