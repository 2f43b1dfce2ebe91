"""Indexes for what a node asks all day, so that years of rows do not slow it down."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ADDED = (
    ("tbs_study", ("state", "reason")),
    ("tbs_study", ("patient_ref",)),
    ("tbs_analysis", ("status", "reason", "reported")),
    ("tbs_delivery", ("state", "destination", "updated_at")),
    ("tbs_commitment", ("state",)),
    ("tbs_commitment_request", ("state",)),
)
_REPLACED = (("tbs_study", "ix_tbs_study_state"), ("tbs_delivery", "ix_tbs_delivery_state"))
# What SQLite's planner is told of these indexes: so many rows, and so many for one value. Told nothing, it
# takes each for as selective as any other, and looks for what is queued among all rows that are not waiting.
# The numbers are those of a node after years; a state that is asked for is a rare one. No ANALYZE: its
# numbers would be those of the day it ran on.
_ROWS = 100_000
_SELECTIVITY = (
    ("tbs_study", "ix_tbs_study_state_reason", (50, 50)),
    ("tbs_study", "ix_tbs_study_ready_at", (_ROWS,)),
    ("tbs_study", "ix_tbs_study_next_try_at", (_ROWS,)),
    ("tbs_study", "ix_tbs_study_patient_ref", (2,)),
    ("tbs_study", "ix_tbs_study_created_at", (1,)),
    ("tbs_delivery", "ix_tbs_delivery_state_destination_updated_at", (50, 25, 1)),
    ("tbs_delivery", "ix_tbs_delivery_next_try_at", (_ROWS,)),
    ("tbs_delivery", "ix_tbs_delivery_study_ref_destination", (2, 1)),
    ("tbs_commitment", "ix_tbs_commitment_state", (50,)),
    ("tbs_commitment", "ix_tbs_commitment_next_try_at", (_ROWS,)),
    ("tbs_commitment", "ix_tbs_commitment_delivery_ref", (1,)),
    ("tbs_commitment_request", "ix_tbs_commitment_request_state", (50,)),
    ("tbs_commitment_request", "ix_tbs_commitment_request_next_try_at", (_ROWS,)),
)


def upgrade() -> None:
    for table, name in _REPLACED:
        op.drop_index(op.f(name), table_name=table)
    for table, columns in _ADDED:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))
    op.add_column("tbs_refusal_pause", sa.Column("resumed_at", sa.Double(), nullable=True))
    _remember_resumed()
    _supersede()
    if op.get_bind().dialect.name == "sqlite":
        _tell_the_planner()


def _remember_resumed() -> None:
    """Take from the audit trail when refusals were last reported again: the trail is not asked any more."""
    event = sa.table("tbs_event", *(sa.column(name) for name in ("id", "at", "action")))
    data = sa.column("data", sa.JSON())
    told = sa.select(event.c.at, data).select_from(event).where(event.c.action == "refusals.resumed")
    connection = op.get_bind()
    last = {row.data.get("scanner"): row.at for row in connection.execute(told.order_by(event.c.id))}
    names = ("scanner", "code", "count", "paused_at", "resumed_at")
    pause = sa.table("tbs_refusal_pause", *(sa.column(name) for name in names))
    paused = set(connection.execute(sa.select(pause.c.scanner)).scalars())
    for scanner, at in last.items():
        if scanner and scanner[:200] not in paused:
            values = {"scanner": scanner[:200], "code": "", "count": 0, "paused_at": at, "resumed_at": at}
            connection.execute(sa.insert(pause).values(**values))


def _supersede() -> None:
    """End what a destination refused, in whole or in part, and what a newer delivery has followed."""
    delivery = sa.table(
        "tbs_delivery",
        *(sa.column(name) for name in ("id", "study_ref", "destination", "state", "next_try_at")),
    )
    newer = delivery.alias("newer")
    followed = sa.exists().where(
        newer.c.study_ref == delivery.c.study_ref,
        newer.c.destination == delivery.c.destination,
        newer.c.id > delivery.c.id,
    )
    ended = sa.update(delivery).where(delivery.c.state.in_(("refused", "partial")), followed)
    op.execute(ended.values(state="superseded", next_try_at=None))


def _tell_the_planner() -> None:
    op.execute("ANALYZE sqlite_schema")  # makes the table of what it is told, and looks at nothing
    told = sa.table("sqlite_stat1", *(sa.column(name) for name in ("tbl", "idx", "stat")))
    for table, index, for_one in _SELECTIVITY:
        op.execute(sa.delete(told).where(told.c.idx == index))
        numbers = " ".join(str(number) for number in (_ROWS, *for_one))
        op.execute(sa.insert(told).values(tbl=table, idx=index, stat=numbers))
