"""Connections of an engine that stay open between transactions, where that is worth it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

_MOST_WAITING = 4


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
        with ExitStack() as undo:
            undo.callback(connection.close)
            yield connection
            if self.stay and len(self.waiting) < _MOST_WAITING:
                undo.pop_all()
                self.waiting.append(connection)

    def dispose(self) -> None:
        """Close what waits."""
        while self.waiting:
            self.waiting.pop().close()
        self.engine.dispose()
