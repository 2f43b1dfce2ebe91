"""The tables of what administrators do: bulk runs, notices, identity, quarantine, paused refusals.

Import them from `store.schema`, which has all tables.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
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
)

from tbsnode.store.metadata import Id as _Id
from tbsnode.store.metadata import metadata

# several studies analyzed again in one act
bulk_run = Table(
    "tbs_bulk_run",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("shadow", Boolean, nullable=False),  # compared and never sent
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

bulk_study = Table(
    "tbs_bulk_study",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run_ref", _Id, ForeignKey("tbs_bulk_run.id"), nullable=False),
    Column("study_ref", _Id, ForeignKey("tbs_study.id"), nullable=False),
    Column("state", String(16), nullable=False),  # store.bulk.ItemState
    Column("generation", Integer),  # the one that this run asked for
    Column("before_ref", _Id, ForeignKey("tbs_analysis.id")),  # what stood then
    Column("state_before", String(16), nullable=False, default=""),
    Column("reason_before", String(40), nullable=False, default=""),
    Column("last_error", Text, nullable=False, default=""),
    Column("updated_at", Double, nullable=False),
    UniqueConstraint("run_ref", "study_ref"),
    Index(None, "study_ref", "generation"),
)

# what a webhook is told: one row for each cause, as long as it lasts
notice = Table(
    "tbs_notice",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", String(40), nullable=False),  # pipeline.notify.Kind
    Column("subject", String(120), nullable=False),  # a destination, a row; never a patient
    Column("data", JSON, nullable=False),  # codes and counts
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("ended_at", Double),  # the cause is gone
    Column("sent_at", Double),  # the webhook took it
    Index(None, "kind", "subject"),
)

# whose a study is by now; the newest row counts, and received files stay as they are
identity_change = Table(
    "tbs_identity_change",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("study_ref", _Id, ForeignKey("tbs_study.id"), nullable=False),
    Column("record", JSON, nullable=False),  # model.StatedIdentity
    Column("source", String(64), nullable=False),  # "pacs:<destination>" or "merge"
    Column("login", String(80), nullable=False),
    Column("host", String(255), nullable=False),
    Column("created_at", Double, nullable=False),
    Index(None, "study_ref"),
)

# kept from all work and sending until an administrator releases it, whatever arrives meanwhile
quarantine = Table(
    "tbs_quarantine",
    metadata,
    Column("study_ref", _Id, ForeignKey("tbs_study.id"), primary_key=True, autoincrement=False),
    Column("login", String(80), nullable=False),
    Column("host", String(255), nullable=False),
    Column("created_at", Double, nullable=False),
)

# scanners whose refusal reports are not sent for the time being, or were not once: one row each
refusal_pause = Table(
    "tbs_refusal_pause",
    metadata,
    Column("scanner", String(200), primary_key=True),
    Column("code", String(40), nullable=False),  # a reasons.Code
    Column("count", Integer, nullable=False),  # how many in a row led to it
    Column("paused_at", Double, nullable=False),
    Column("resumed_at", Double),  # they are reported again, and counted from here
)
