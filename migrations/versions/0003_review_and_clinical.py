"""Reviews and signatures, declared clinical context, and instances fetched as earlier examinations."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "tbs_study", sa.Column("review_state", sa.String(length=20), nullable=False, server_default="none")
    )
    op.add_column(
        "tbs_instance", sa.Column("fetched", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    # what was published before signatures existed is preliminary
    op.execute(
        "UPDATE tbs_study SET review_state = 'preliminary' WHERE id IN "
        "(SELECT study_ref FROM tbs_analysis WHERE published)"
    )
    op.create_table(
        "tbs_review",
        sa.Column("id", _Id, nullable=False),
        sa.Column("study_ref", _Id, nullable=False),
        sa.Column("analysis_ref", _Id, nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("login", sa.String(length=80), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["analysis_ref"], ["tbs_analysis.id"], name=op.f("fk_tbs_review_analysis_ref_tbs_analysis")
        ),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["tbs_study.id"], name=op.f("fk_tbs_review_study_ref_tbs_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_review")),
    )
    op.create_index(op.f("ix_tbs_review_study_ref"), "tbs_review", ["study_ref"])
    op.create_index(op.f("ix_tbs_review_at"), "tbs_review", ["at"])
    op.create_table(
        "tbs_clinical",
        sa.Column("id", _Id, nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("accession_number", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("imported_by", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_clinical")),
    )
    op.create_index(
        op.f("ix_tbs_clinical_patient_id_accession_number"),
        "tbs_clinical",
        ["patient_id", "accession_number"],
    )
