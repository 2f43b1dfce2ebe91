"""Bulk runs, results that are never sent, files deleted by retention, notices to a webhook."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _flag(name: str) -> sa.Column:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def upgrade() -> None:
    op.add_column("tbs_study", _flag("shadow"))
    op.add_column("tbs_study", _flag("ready_shadow"))
    op.add_column("tbs_analysis", _flag("shadow"))
    op.add_column("tbs_derived_instance", _flag("purged"))
    op.create_table(
        "tbs_bulk_run",
        sa.Column("id", _Id, nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_bulk_run")),
    )
    op.create_table(
        "tbs_bulk_study",
        sa.Column("id", _Id, nullable=False),
        sa.Column("run_ref", _Id, nullable=False),
        sa.Column("study_ref", _Id, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("before_ref", _Id, nullable=True),
        sa.Column("state_before", sa.String(length=16), nullable=False),
        sa.Column("reason_before", sa.String(length=40), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["before_ref"], ["tbs_analysis.id"], name=op.f("fk_tbs_bulk_study_before_ref_tbs_analysis")
        ),
        sa.ForeignKeyConstraint(
            ["run_ref"], ["tbs_bulk_run.id"], name=op.f("fk_tbs_bulk_study_run_ref_tbs_bulk_run")
        ),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["tbs_study.id"], name=op.f("fk_tbs_bulk_study_study_ref_tbs_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_bulk_study")),
        sa.UniqueConstraint("run_ref", "study_ref", name=op.f("uq_tbs_bulk_study_run_ref_study_ref")),
    )
    op.create_index(
        op.f("ix_tbs_bulk_study_study_ref_generation"), "tbs_bulk_study", ["study_ref", "generation"]
    )
    op.create_table(
        "tbs_notice",
        sa.Column("id", _Id, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("sent_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_notice")),
    )
    op.create_index(op.f("ix_tbs_notice_kind_subject"), "tbs_notice", ["kind", "subject"])
