"""A connection to PostgreSQL that ends: a dead line, a lock that is kept, a server that is frozen.

A scanner waits for 30 s, and it has to be told.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import TransactionStatus

from tbsnode.store.connections import LOCK_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Generator

# Longer than the wait for a lock: the server says itself what was locked. The system does not notice a
# server whose processes stand still (a frozen machine or disk, a standby that does not confirm), because
# its kernel goes on confirming.
ANSWER_S = 40.0
_IDLE_IN_TRANSACTION_S = 20.0  # less than the wait for a lock, so that who waits gets it

# psycopg passes these to libpq. A line that is dead without a word (cut, dropped by a firewall, the server's
# machine gone) is noticed in 10 s, whether we sent something (the user timeout; the system's own is a
# quarter of an hour) or wait for an answer (keepalives).
LINE = {
    "connect_timeout": 5,
    "application_name": "tbsnode",
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
}
# The same on the server's side [s]: there, a session whose machine is gone counts against the most that it
# takes (max_connections), for two hours if it is left to the system.
_SERVER_KEEPALIVES = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}


class Connection(psycopg.Connection[Any]):
    """A connection that is closed where the server is silent to a statement for `ANSWER_S`."""

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        """Go through what the driver does for a statement, as far as the server answers."""
        try:
            return super().wait(self._answered(gen), *args, **options)
        except _Silent:
            self.close()
            raise

    def _answered(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Pass on what the driver waits for; it looks in ten times a second, also when nothing came."""
        heard_at = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                now = time.monotonic()
                if ready:
                    heard_at = now
                # one that listens for notifications has asked nothing
                elif now - heard_at > ANSWER_S and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                    raise _Silent(f"the server was silent for {ANSWER_S:.0f} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


class _Silent(psycopg.OperationalError):
    """The server did not answer."""


def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> Connection:
    """Open a connection for SQLAlchemy's pool."""
    return Connection.connect(*arguments, **options)


def connected(connection: Any, _record: object) -> None:
    """Bound the wait for locks, and undo an asynchronous commit: success means durable.

    The server ends a session that stays idle inside a transaction: a machine that froze there would
    hold its locks for as long as it is frozen, and nobody could take over what it had in hand. It ends
    one whose machine does not answer any more, too.
    """
    with connection.cursor() as cursor:
        for name, value in _SERVER_KEEPALIVES.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
        idle = f"{int(_IDLE_IN_TRANSACTION_S)}s"
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, false)", (idle,))
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{int(LOCK_TIMEOUT_S)}s",))
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()
