"""Statements that are run for every instance that arrives: compiled once, then given to the driver.

SQLAlchemy takes several times as long to run a statement as SQLite does. Here it writes the statement
and knows the types of its columns, as everywhere in `store`; after that a row is a tuple of the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exc

if TYPE_CHECKING:
    from tbsnode.store.transaction import Transaction

_Convert = Callable[[Any], Any]


class Prepared:
    """A constant statement with bound parameters.

    Parameters
    ----------
    statement : sqlalchemy.Select, Insert or Update
        Without parameters that stand for lists.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def rows(self, tx: Transaction, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run it and return all rows, by column name."""
        compiled = self._for(tx, values)
        return [compiled.row(each) for each in compiled.run(tx.driver, values)]

    def any(
        self, tx: Transaction, values: Mapping[str, Any], wanted: Callable[[dict[str, Any]], bool]
    ) -> bool:
        """Run it and tell whether there is a row that is wanted; rows after that are not read."""
        compiled = self._for(tx, values)
        with closing(compiled.each(tx.driver, values)) as found:
            return any(wanted(compiled.row(each)) for each in found)

    def value(self, tx: Transaction, values: Mapping[str, Any]) -> Any:
        """Run it and return the first column of the first row, or None."""
        compiled = self._for(tx, values)
        found = compiled.run(tx.driver, values)
        return compiled.first(found[0]) if found else None

    def run(self, tx: Transaction, values: Mapping[str, Any]) -> None:
        """Run it."""
        self._for(tx, values).run(tx.driver, values)

    def _for(self, tx: Transaction, values: Mapping[str, Any]) -> _Compiled:
        key = (tx.dialect, *values)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = _Compiled(self._statement, tx.connection.dialect, tuple(values))
        return compiled


class _Compiled:
    """A statement in one dialect, with these parameters given."""

    def __init__(self, statement: Any, dialect: sa.Dialect, names: tuple[str, ...]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        self._sql = str(compiled)
        assert "POSTCOMPILE" not in self._sql, "a parameter that stands for a list"
        self._dialect = dialect
        self._order: list[str] | None = compiled.positiontup
        converts = {
            name: convert
            for name, bound in compiled.binds.items()
            if (convert := bound.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        self._binds = [(name, convert) for name, convert in converts.items() if name in names]
        standing = dict(compiled.params)
        for column in getattr(compiled, "insert_prefetch", None) or ():
            assert column.default.is_scalar
            standing[column.key] = column.default.arg
        self._standing = {
            name: converts[name](value) if name in converts else value
            for name, value in standing.items()
            if name not in names
        }
        returned = getattr(statement, "exported_columns", None)
        self._columns: list[sa.ColumnElement[Any]] = list(returned if returned is not None else ())
        self._converts: list[_Convert | None] | None = None  # once the driver has told what it returns

    def run(self, driver: Any, values: Mapping[str, Any]) -> list[Any]:
        """Run it and return the driver's rows."""
        try:
            cursor = driver.execute(self._sql, self._parameters(values))
            if not self._columns:
                return []
            self._learn(cursor)
            found: list[Any] = cursor.fetchall()
            return found
        except self._dialect.loaded_dbapi.Error as error:
            raise self._translated(error) from error

    def each(self, driver: Any, values: Mapping[str, Any]) -> Generator[Any, None, None]:
        """Run it and yield the driver's rows."""
        try:
            with closing(driver.execute(self._sql, self._parameters(values))) as cursor:
                self._learn(cursor)
                yield from iter(cursor.fetchone, None)
        except self._dialect.loaded_dbapi.Error as error:
            raise self._translated(error) from error

    def _learn(self, cursor: Any) -> None:
        if self._converts is None:
            self._converts = [
                self._convert(*each) for each in zip(self._columns, cursor.description, strict=True)
            ]

    def _translated(self, error: Exception) -> exc.StatementError:
        base = self._dialect.loaded_dbapi.Error
        return exc.DBAPIError.instance(self._sql, None, error, base, hide_parameters=True)

    def row(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """Return a row by column name, as the types of its columns say."""
        assert self._converts is not None
        return {
            str(column.key): value if convert is None else convert(value)
            for column, convert, value in zip(self._columns, self._converts, values, strict=True)
        }

    def first(self, values: tuple[Any, ...]) -> Any:
        """Return the first value of a row."""
        assert self._converts is not None
        convert = self._converts[0]
        return values[0] if convert is None else convert(values[0])

    def _convert(self, column: sa.ColumnElement[Any], described: Any) -> _Convert | None:
        return column.type.dialect_impl(self._dialect).result_processor(self._dialect, described[1])

    def _parameters(self, values: Mapping[str, Any]) -> dict[str, Any] | list[Any]:
        bound = {**self._standing, **values}
        for name, convert in self._binds:
            bound[name] = convert(bound[name])
        return bound if self._order is None else [bound[name] for name in self._order]
