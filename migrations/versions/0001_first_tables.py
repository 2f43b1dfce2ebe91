"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tbs_association",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("receiver", sa.String(length=64), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_association")),
    )
    op.create_index(op.f("ix_tbs_association_closed_at"), "tbs_association", ["closed_at"])
    op.create_table(
        "tbs_event",
        sa.Column("id", _Id, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_event")),
    )
    op.create_index(op.f("ix_tbs_event_at"), "tbs_event", ["at"])
    op.create_index(op.f("ix_tbs_event_study_instance_uid"), "tbs_event", ["study_instance_uid"])
    op.create_table(
        "tbs_executor_lease",
        sa.Column("executor_id", sa.String(length=80), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("executor_id", name=op.f("pk_tbs_executor_lease")),
    )
    op.create_table(
        "tbs_patient",
        sa.Column("id", _Id, nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("birth_date", sa.String(length=16), nullable=False),
        sa.Column("sex", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_patient")),
        sa.UniqueConstraint("patient_id", "issuer", name=op.f("uq_tbs_patient_patient_id_issuer")),
    )
    op.create_table(
        "tbs_queue_pause",
        sa.Column("queue", sa.String(length=80), nullable=False),
        sa.Column("paused_at", sa.Double(), nullable=False),
        sa.Column("paused_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("queue", name=op.f("pk_tbs_queue_pause")),
    )
    op.create_table(
        "tbs_study",
        sa.Column("id", _Id, nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("patient_ref", _Id, nullable=False),
        sa.Column("study_date", sa.String(length=16), nullable=False),
        sa.Column("study_time", sa.String(length=16), nullable=False),
        sa.Column("accession_number", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("scanner", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("ready_at", sa.Double(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("content_at", sa.Double(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Double(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_ref"], ["tbs_patient.id"], name=op.f("fk_tbs_study_patient_ref_tbs_patient")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_study")),
        sa.UniqueConstraint("study_instance_uid", name=op.f("uq_tbs_study_study_instance_uid")),
    )
    op.create_index(op.f("ix_tbs_study_created_at"), "tbs_study", ["created_at"])
    op.create_index(op.f("ix_tbs_study_next_try_at"), "tbs_study", ["next_try_at"])
    op.create_index(op.f("ix_tbs_study_ready_at"), "tbs_study", ["ready_at"])
    op.create_index(op.f("ix_tbs_study_state"), "tbs_study", ["state"])
    op.create_table(
        "tbs_series",
        sa.Column("id", _Id, nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("study_ref", _Id, nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=False),
        sa.Column("series_number", sa.String(length=16), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("protocol_name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["tbs_study.id"], name=op.f("fk_tbs_series_study_ref_tbs_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_series")),
        sa.UniqueConstraint(
            "study_ref", "series_instance_uid", name=op.f("uq_tbs_series_study_ref_series_instance_uid")
        ),
    )
    op.create_table(
        "tbs_instance",
        sa.Column("id", _Id, nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(length=64), nullable=False),
        sa.Column("series_ref", _Id, nullable=False),
        sa.Column("study_ref", _Id, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("data_set_sha256", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.JSON(), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("association_id", sa.String(length=40), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_ref"], ["tbs_series.id"], name=op.f("fk_tbs_instance_series_ref_tbs_series")
        ),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["tbs_study.id"], name=op.f("fk_tbs_instance_study_ref_tbs_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_instance")),
        sa.UniqueConstraint(
            "sop_instance_uid", "version", name=op.f("uq_tbs_instance_sop_instance_uid_version")
        ),
    )
    op.create_index(op.f("ix_tbs_instance_association_id"), "tbs_instance", ["association_id"])
    op.create_index(op.f("ix_tbs_instance_study_ref"), "tbs_instance", ["study_ref"])
    op.create_table(
        "tbs_analysis",
        sa.Column("id", _Id, nullable=False),
        sa.Column("study_ref", _Id, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("instance_ref", _Id, nullable=True),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("reported", sa.Boolean(), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("standard_error", sa.Double(), nullable=True),
        sa.Column("tbs", sa.Double(), nullable=True),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("input_class", sa.String(length=16), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("result_digest", sa.String(length=64), nullable=False),
        sa.Column("content_at", sa.Double(), nullable=True),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_ref"], ["tbs_instance.id"], name=op.f("fk_tbs_analysis_instance_ref_tbs_instance")
        ),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["tbs_study.id"], name=op.f("fk_tbs_analysis_study_ref_tbs_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_analysis")),
    )
    op.create_index(op.f("ix_tbs_analysis_study_ref_generation"), "tbs_analysis", ["study_ref", "generation"])
    op.create_table(
        "tbs_delivery",
        sa.Column("id", _Id, nullable=False),
        sa.Column("study_ref", _Id, nullable=False),
        sa.Column("analysis_ref", _Id, nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Double(), nullable=True),
        sa.Column("deadline", sa.Double(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["analysis_ref"], ["tbs_analysis.id"], name=op.f("fk_tbs_delivery_analysis_ref_tbs_analysis")
        ),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["tbs_study.id"], name=op.f("fk_tbs_delivery_study_ref_tbs_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_delivery")),
    )
    op.create_index(op.f("ix_tbs_delivery_next_try_at"), "tbs_delivery", ["next_try_at"])
    op.create_index(op.f("ix_tbs_delivery_state"), "tbs_delivery", ["state"])
    op.create_index(
        op.f("ix_tbs_delivery_study_ref_destination"), "tbs_delivery", ["study_ref", "destination"]
    )
    op.create_table(
        "tbs_derived_instance",
        sa.Column("id", _Id, nullable=False),
        sa.Column("analysis_ref", _Id, nullable=False),
        sa.Column("study_ref", _Id, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("predecessor_uid", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["analysis_ref"],
            ["tbs_analysis.id"],
            name=op.f("fk_tbs_derived_instance_analysis_ref_tbs_analysis"),
        ),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["tbs_study.id"], name=op.f("fk_tbs_derived_instance_study_ref_tbs_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_derived_instance")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_tbs_derived_instance_sop_instance_uid")),
    )
    op.create_index(op.f("ix_tbs_derived_instance_analysis_ref"), "tbs_derived_instance", ["analysis_ref"])
    op.create_index(op.f("ix_tbs_derived_instance_study_ref"), "tbs_derived_instance", ["study_ref"])
    op.create_table(
        "tbs_vertebra_score",
        sa.Column("id", _Id, nullable=False),
        sa.Column("analysis_ref", _Id, nullable=False),
        sa.Column("label", sa.String(length=4), nullable=False),
        sa.Column("included", sa.Boolean(), nullable=False),
        sa.Column("excluded", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("standard_error", sa.Double(), nullable=True),
        sa.Column("native_score", sa.Double(), nullable=True),
        sa.Column("fit_r2", sa.Double(), nullable=True),
        sa.Column("pairs", sa.BigInteger(), nullable=False),
        sa.Column("area_mm2", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["analysis_ref"],
            ["tbs_analysis.id"],
            name=op.f("fk_tbs_vertebra_score_analysis_ref_tbs_analysis"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_vertebra_score")),
        sa.UniqueConstraint("analysis_ref", "label", name=op.f("uq_tbs_vertebra_score_analysis_ref_label")),
    )
    op.create_table(
        "tbs_commitment",
        sa.Column("id", _Id, nullable=False),
        sa.Column("delivery_ref", _Id, nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Double(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_ref"], ["tbs_delivery.id"], name=op.f("fk_tbs_commitment_delivery_ref_tbs_delivery")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_commitment")),
        sa.UniqueConstraint("transaction_uid", name=op.f("uq_tbs_commitment_transaction_uid")),
    )
    op.create_index(op.f("ix_tbs_commitment_next_try_at"), "tbs_commitment", ["next_try_at"])
    op.create_table(
        "tbs_delivery_item",
        sa.Column("id", _Id, nullable=False),
        sa.Column("delivery_ref", _Id, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("derived_ref", _Id, nullable=True),
        sa.Column("instance_ref", _Id, nullable=True),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_ref"], ["tbs_delivery.id"], name=op.f("fk_tbs_delivery_item_delivery_ref_tbs_delivery")
        ),
        sa.ForeignKeyConstraint(
            ["derived_ref"],
            ["tbs_derived_instance.id"],
            name=op.f("fk_tbs_delivery_item_derived_ref_tbs_derived_instance"),
        ),
        sa.ForeignKeyConstraint(
            ["instance_ref"], ["tbs_instance.id"], name=op.f("fk_tbs_delivery_item_instance_ref_tbs_instance")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_delivery_item")),
        sa.UniqueConstraint(
            "delivery_ref",
            "sop_instance_uid",
            name=op.f("uq_tbs_delivery_item_delivery_ref_sop_instance_uid"),
        ),
    )
