"""One open transaction: what the functions of `store` work with.

Building a SQLAlchemy statement costs several times what running it does, and running it several times
what the driver takes. So rows are added through statements prepared once for a table, and what the
receiver asks for every instance is prepared too (see `prepared`, `catalogue` and `readiness`);
elsewhere statements are built where they are needed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import sqlalchemy as sa

from tbsnode.store.prepared import Prepared


class Transaction:
    """One open transaction; `store` functions take it, the pipeline hands it on.

    Attributes
    ----------
    connection : sqlalchemy.Connection
        For `store` and `engine` only.
    driver : sqlite3.Connection or psycopg.Connection
        The same connection without SQLAlchemy, for `prepared` only.
    dialect : str
        ``"sqlite"`` or ``"postgresql"``.
    writes : bool
        False in a read transaction.
    """

    def __init__(self, connection: sa.Connection, *, writes: bool) -> None:
        self.connection = connection
        self.driver: Any = connection.connection.driver_connection
        self.writes = writes
        self.dialect = connection.dialect.name
        if self.dialect == "sqlite":
            self.now = time.time()  # after the write lock was granted

    @cached_property
    def now(self) -> float:
        """Seconds since the epoch at the transaction's begin; the database's clock on PostgreSQL."""
        return float(self.connection.scalar(sa.text("SELECT extract(epoch FROM now())::float8")))

    def execute(
        self,
        statement: sa.Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> sa.CursorResult[Any]:
        """Run a statement; a sequence of `parameters` runs it once for each mapping."""
        result = self.connection.execute(statement, parameters)
        assert isinstance(result, sa.CursorResult)
        return result

    def all(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[sa.Row[Any]]:
        """Return all rows."""
        return self.connection.execute(statement, parameters).all()

    def one(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> sa.Row[Any] | None:
        """Return the first row, or None."""
        return self.connection.execute(statement, parameters).first()

    def scalar(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the first column of the first row, or None."""
        return self.connection.scalar(statement, parameters)

    def add(self, table: sa.Table, **values: Any) -> int:
        """Insert a row and return its `id`."""
        return int(_insert(table).value(self, values))

    def add_if_new(self, table: sa.Table, **values: Any) -> int | None:
        """Insert a row and return its `id`, or None where a unique constraint has it already.

        On PostgreSQL this waits for another transaction that is inserting the same row.
        """
        row_id = _insert_if_new(table, self.dialect).value(self, values)
        return None if row_id is None else int(row_id)

    def ensure(self, table: sa.Table, **values: Any) -> None:
        """Insert a row whose key is not a number, unless it is there already."""
        _insert_if_new(table, self.dialect).run(self, values)


@cache
def _insert(table: sa.Table) -> Prepared:
    return Prepared(table.insert().returning(table.c.id))


@cache
def _insert_if_new(table: sa.Table, dialect: str) -> Prepared:
    if dialect == "sqlite":  # either is loaded only where it is spoken
        from sqlalchemy.dialects.sqlite import insert

        return Prepared(insert(table).on_conflict_do_nothing().returning(table.c.id))
    from sqlalchemy.dialects.postgresql import insert as insert_there

    return Prepared(insert_there(table).on_conflict_do_nothing().returning(table.c.id))
