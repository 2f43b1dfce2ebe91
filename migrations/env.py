"""How Alembic runs here: only inside `tbsnode db upgrade`, in the transaction it is given.

A new revision is written by hand from `script.py.mako`; tests/integration/test_migrations.py proves
that all revisions together make exactly `tbsnode.store.schema`.
"""

from alembic import context

from tbsnode.store.database import REVISION_TABLE
from tbsnode.store.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Run `tbsnode db upgrade`; Alembic's own command is not used.")

context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=REVISION_TABLE,
    render_as_batch=True,  # SQLite alters a table by rebuilding it
)
with context.begin_transaction():
    context.run_migrations()
