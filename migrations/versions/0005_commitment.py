"""Storage commitment, both roles: what we asked for, and what was asked of us."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _work() -> list[sa.Column]:
    """What every row has that stands for work."""
    return [
        sa.Column("instances", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Double(), nullable=True),
        sa.Column("deadline", sa.Double(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
    ]


def upgrade() -> None:
    # nothing wrote a row of it before this revision, so it is made anew
    op.drop_table("tbs_commitment")
    op.create_table(
        "tbs_commitment",
        sa.Column("id", _Id, nullable=False),
        sa.Column("delivery_ref", _Id, nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=True),
        sa.Column("reported_at", sa.Double(), nullable=True),
        sa.Column("sent_again", sa.Boolean(), nullable=False),
        *_work(),
        sa.ForeignKeyConstraint(
            ["delivery_ref"], ["tbs_delivery.id"], name=op.f("fk_tbs_commitment_delivery_ref_tbs_delivery")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_commitment")),
        sa.UniqueConstraint("transaction_uid", name=op.f("uq_tbs_commitment_transaction_uid")),
    )
    op.create_index(op.f("ix_tbs_commitment_next_try_at"), "tbs_commitment", ["next_try_at"])
    op.create_index(op.f("ix_tbs_commitment_delivery_ref"), "tbs_commitment", ["delivery_ref"])
    op.create_table(
        "tbs_commitment_request",
        sa.Column("id", _Id, nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        *_work(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tbs_commitment_request")),
        sa.UniqueConstraint(
            "calling_ae_title",
            "transaction_uid",
            name=op.f("uq_tbs_commitment_request_calling_ae_title_transaction_uid"),
        ),
    )
    op.create_index(op.f("ix_tbs_commitment_request_next_try_at"), "tbs_commitment_request", ["next_try_at"])
