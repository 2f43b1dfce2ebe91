"""Identity taken over from elsewhere, studies in quarantine, refusal reports that are paused."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tbs_identity_change",
        sa.Column("id", _Id, nullable=False),
        sa.Column("study_ref", _Id, nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("login", sa.String(length=80), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["tbs_study.id"], name=op.f("fk_tbs_identity_change_study_ref_tbs_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_identity_change")),
    )
    op.create_index(op.f("ix_tbs_identity_change_study_ref"), "tbs_identity_change", ["study_ref"])
    op.create_table(
        "tbs_quarantine",
        sa.Column("study_ref", _Id, autoincrement=False, nullable=False),
        sa.Column("login", sa.String(length=80), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["tbs_study.id"], name=op.f("fk_tbs_quarantine_study_ref_tbs_study")
        ),
        sa.PrimaryKeyConstraint("study_ref", name=op.f("pk_tbs_quarantine")),
    )
    op.create_table(
        "tbs_refusal_pause",
        sa.Column("scanner", sa.String(length=200), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("paused_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("scanner", name=op.f("pk_tbs_refusal_pause")),
    )
