"""Connections of an engine: which stay open, where that pays, and how a transaction begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from tbsnode.store import sqlite_file

_MOST_WAITING = 4
LOCK_TIMEOUT_S = 30.0  # for another thread, or another session of PostgreSQL


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections of an engine; on SQLite they stay open, which spares a tenth of storing an instance."""

    engine: sa.Engine
    stay: bool
    waiting: list[sa.Connection] = field(default_factory=list)

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Have a connection for one transaction; after an error it is closed."""
        try:
            connection = self.waiting.pop()  # atomic
        except IndexError:
            connection = self.engine.connect()
        stays = False
        try:
            yield connection
            stays = self.stay and len(self.waiting) < _MOST_WAITING
        finally:
            if stays:
                self.waiting.append(connection)
            else:
                connection.close()

    def dispose(self) -> None:
        """Close what waits."""
        while self.waiting:
            self.waiting.pop().close()
        self.engine.dispose()


def begin(connection: sa.Connection, how: Callable[[Any], None]) -> None:
    """Begin a transaction on SQLite, unless one is open, without what SQLAlchemy does around a statement."""
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        return
    try:
        how(driver)
    except sqlite_file.Error as error:
        raise exc.DBAPIError.instance("BEGIN", None, error, sqlite_file.Error) from error


def commit(connection: sa.Connection) -> None:
    """Commit a write transaction; where it fails, closing the connection rolls back."""
    if connection.in_transaction():
        connection.commit()
        return
    driver: Any = connection.connection.driver_connection
    try:
        driver.commit()
    except sqlite_file.Error as error:
        raise exc.DBAPIError.instance("COMMIT", None, error, sqlite_file.Error) from error
