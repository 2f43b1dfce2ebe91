"""One database into another kind: every row of ours, by the same names and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.errors import ConfigError
from tbsnode.store import audit_chain
from tbsnode.store.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from tbsnode.store.database import Database, Transaction

BATCH = 1000


def copy_rows(source: Database, target: Database, *, told: Callable[[str, int], None]) -> int:
    """Copy all rows in one transaction of the target; return how many.

    Parameters
    ----------
    source : Database
        Where nobody writes meanwhile.
    target : Database
        With all tables and no rows.
    told : callable
        Gets each table's name and number of rows, once it is copied.

    Raises
    ------
    ConfigError
        If the target has rows already.
    """
    total = 0
    with source.read() as old, target.transaction() as new:
        for table in metadata.sorted_tables:  # parents before children
            if new.one(sa.select(sa.literal(1)).select_from(table).limit(1)) is not None:
                raise ConfigError(
                    f"The target has rows in {table.name} already.", remedy="Name an empty database."
                )
            number = _copy_table(old, new, table)
            _continue_numbers(new, table)
            told(table.name, number)
            total += number
        while audit_chain.seal(new, late=True):  # what the other kind of database had not got to yet
            pass
    return total


def _copy_table(old: Transaction, new: Transaction, table: sa.Table) -> int:
    (key,) = table.primary_key.columns
    query, number = sa.select(table).order_by(key).limit(BATCH), 0
    rows = old.all(query)
    while rows:
        new.execute(table.insert(), [dict(row._mapping) for row in rows])
        number += len(rows)
        # by key, not by number: those that were copied are not passed over again for each batch
        rows = old.all(query.where(key > rows[-1]._mapping[key]))
    return number


def _continue_numbers(new: Transaction, table: sa.Table) -> None:
    """Let PostgreSQL number new rows after those that came with their numbers."""
    if new.dialect != "postgresql" or "id" not in table.c or not isinstance(table.c.id.type, sa.BigInteger):
        return
    sequence = sa.func.pg_get_serial_sequence(table.name, "id")
    newest = sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0) + 1).scalar_subquery()
    new.execute(sa.select(sa.func.setval(sequence, newest, sa.false())))
