"""The chain that seals the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tbs_audit_seal",
        sa.Column("number", _Id, nullable=False, autoincrement=False),
        sa.Column("event_ref", _Id, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tbs_audit_seal")),
        sa.UniqueConstraint("event_ref", name=op.f("uq_tbs_audit_seal_event_ref")),
    )
