"""The database: one engine a process, short transactions, one place that knows its errors.

Nothing else names SQLAlchemy's errors. A write transaction on SQLite begins IMMEDIATE: one that
begins by reading and writes later fails at once when another writer came between, however long
the busy timeout is. Threads of one process queue on a lock before that, because SQLite itself
waits by sleeping ever longer.

The engine is made when first used, once in each process, so that a `Database` may be handed to a
child. Children are spawned: SQLite's locks belong to a process and do not survive a fork, so using
an inherited open SQLite database is refused rather than damaging it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc, pool

from tbsnode.errors import ConfigError, DatabaseUnavailable, ResourceError, SchemaOutdated, StorageFull
from tbsnode.store import connections, sqlite_file
from tbsnode.store.connections import Connections
from tbsnode.store.together import Together, Work
from tbsnode.store.transaction import Transaction

__all__ = ["REVISION_TABLE", "Database", "Transaction"]

REVISION_TABLE = "tbs_revision"
_UPGRADE = "Run `tbsnode db upgrade`."
_AWAY = "Start the database server, or correct [database] url."
_NOT_WRITABLE = "Use the account of the node (`sudo -u ACCOUNT tbsnode ...`), or mend the read-only disk."


@dataclass(frozen=True, slots=True)
class _InProcess:
    """What one process holds of a database; readers have connections of their own on SQLite."""

    writers: Connections
    readers: Connections
    together: Together
    writer: threading.Lock = field(default_factory=threading.Lock)


class Database:
    """A catalogue on SQLite or PostgreSQL.

    Parameters
    ----------
    url : str
        ``sqlite:////absolute/path`` or ``postgresql+psycopg://...``. Nothing is opened yet.

    Attributes
    ----------
    path : Path or None
        The SQLite file; None on PostgreSQL.

    Raises
    ------
    ConfigError
        If the URL is of another kind.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._parsed = sa.make_url(url)
        except exc.ArgumentError as error:
            raise ConfigError("database.url is not a database URL.", remedy=_URL_FORMS) from error
        if self._parsed.drivername not in ("sqlite", "postgresql+psycopg"):
            raise ConfigError(f"database.url: {self._parsed.drivername} is not supported.", remedy=_URL_FORMS)
        self.dialect = self._parsed.get_backend_name()
        if self.dialect == "sqlite" and self._parsed.database in (None, "", ":memory:"):
            raise ConfigError("database.url names no file.", remedy=_URL_FORMS)
        self.path = Path(str(self._parsed.database)) if self.dialect == "sqlite" else None
        # by process ID: an entry inherited by fork stays alive and untouched
        self._processes: dict[int, _InProcess] = {}

    def __repr__(self) -> str:
        return f"Database({self._parsed.render_as_string(hide_password=True)})"

    def __reduce__(self) -> tuple[type[Database], tuple[str]]:
        return Database, (self.url,)

    @property
    def engine(self) -> sa.Engine:
        """The engine of this process, for the job engine only.

        Raises
        ------
        ConfigError
            If the SQLite file would lie on a network share, or the library is too old.
        """
        return self._here().writers.engine

    @property
    def server_engine(self) -> sa.Engine | None:
        """The same on PostgreSQL; None on SQLite. The job engine's own waits for hours on a dead line."""
        return self.engine if self.path is None else None

    @contextmanager
    def transaction(self, *, references_checked: bool = True) -> Iterator[Transaction]:
        """Begin a write transaction; commit at the end, roll back on any exception.

        Do not nest: on SQLite the inner one waits for the outer until it gives up.

        Parameters
        ----------
        references_checked : bool
            False where rows are deleted after all that refer to them. SQLite would look for such rows
            through whole tables, for there is no index to find them by: one would make every arrival dearer.
            PostgreSQL looks nevertheless; it keeps nobody waiting meanwhile.

        Raises
        ------
        DatabaseUnavailable
            If the database cannot be reached, is locked for too long or lost the connection. After
            an error while committing it may still have committed.
        StorageFull
            If the database's disk is full.
        SchemaOutdated
            If a table or column is missing.
        """
        here = self._here()
        writers = here.writers
        if self.path is not None and not references_checked:
            writers = Connections(self._make_engine(pool.NullPool, foreign_keys=False), stay=False)
        with Translated(), self._writer(here), writers.connected() as connection:
            if self.path is None:
                connection.begin()
            else:  # SQLAlchemy joins in with the first statement that it runs: see `connections.begin`
                connections.begin(connection, sqlite_file.begin_writing)
            yield Transaction(connection, writes=True)
            connections.commit(connection)

    def together(self, work: Work) -> Any:
        """Do short work in a write transaction: on SQLite in one with what other threads want written.

        PostgreSQL has many writers at a time, and locks rows: there each has its own. Raises what
        `transaction` does; the work may be done again.
        """
        if self.path is not None:
            return self._here().together.run(work)
        with self.transaction() as tx:
            return work(tx)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Begin a read transaction: one consistent view on SQLite; a write in it fails.

        Raises
        ------
        DatabaseUnavailable, SchemaOutdated
            As for `transaction`.
        """
        with Translated(), self._here().readers.connected() as connection:
            if self.path is None:
                connection.execution_options(postgresql_readonly=True)
            with connection.begin():
                yield Transaction(connection, writes=False)

    @contextmanager
    def glance(self) -> Iterator[Transaction]:
        """Have a connection for one prepared query; on SQLite no transaction is begun for it.

        Raises
        ------
        DatabaseUnavailable, SchemaOutdated
            As for `transaction`.
        """
        if self.path is None:
            with self.read() as tx:
                yield tx
            return
        with Translated(), self._here().readers.connected() as connection:
            yield Transaction(connection, writes=False)

    def ping(self) -> None:
        """Raise DatabaseUnavailable unless the database answers."""
        with self.read() as tx:
            tx.scalar(sa.text("SELECT 1"))

    def dispose(self) -> None:
        """Close this process's idle connections; the next use opens new ones."""
        here = self._processes.pop(os.getpid(), None)
        if here is not None:
            here.writers.dispose()
            here.readers.dispose()

    def current_revision(self) -> str | None:
        """Return the schema revision the database has, None where it has no tables yet."""
        if self.path is not None and not self.path.exists():
            sqlite_file.refuse_unfit(self.path)
            return None
        with self.read() as tx:
            return _revision(tx.connection)

    def head_revision(self) -> str:
        """Return the schema revision that this version needs."""
        from tbsnode.store import revision  # Alembic loads only when asked for

        return revision.head()

    def require_current(self) -> None:
        """Raise SchemaOutdated unless the database has the schema that this version needs."""
        from tbsnode.store import revision

        current = self.current_revision()
        if current == revision.head():
            return
        if current is None:
            raise SchemaOutdated("The database has no tables yet.", remedy=_UPGRADE)
        revision.require_known(current)
        raise SchemaOutdated(
            f"The database has revision {current}, this version needs {revision.head()}.", remedy=_UPGRADE
        )

    def upgrade(self, to: str = "head", *, told: Callable[[str], None] = lambda _: None) -> None:
        """Create what is missing and run all migrations; does nothing when up to date.

        Two upgrades at once are safe: the second waits and finds nothing to do.

        Parameters
        ----------
        to : str
            Revision to stop at: an older one is what an older version had.
        told : callable, optional
            Gets a line before each thing that may take a while.

        Raises
        ------
        ConfigError
            As for `engine`; SchemaOutdated if a newer version made it.
        DatabaseUnavailable
            As for `transaction`.
        """
        from tbsnode.store import revision

        if self.path is not None:
            sqlite_file.refuse_unfit(self.path)
        with Translated():
            if self.path is not None:
                _create_file(self.path)
            revision.require_known(self.current_revision())
            # rebuilding a table, SQLite's way to alter one, needs foreign keys off
            engine = self._make_engine(pool.NullPool, foreign_keys=False)
            with engine.connect() as connection, connection.begin():
                revision.upgrade(connection, to, current=_revision, told=told)

    def _here(self) -> _InProcess:
        here = self._processes.get(os.getpid())
        if here is None:
            if self.path is not None:
                if set(self._processes) - {os.getpid()}:
                    raise RuntimeError("an open SQLite database was inherited by fork; spawn the child")
                sqlite_file.refuse_unfit(self.path)
            engine = self._make_engine(pool.QueuePool)
            reader = engine if self.path is None else self._make_engine(pool.QueuePool, writes=False)
            stay = self.path is not None
            together = Together(self.transaction)
            made = _InProcess(Connections(engine, stay), Connections(reader, stay), together)
            here = self._processes.setdefault(os.getpid(), made)  # atomic: the first thread wins
        return here

    def _make_engine(
        self, poolclass: type[pool.Pool], *, foreign_keys: bool = True, writes: bool = True
    ) -> sa.Engine:
        options: dict[str, Any] = {
            "poolclass": poolclass,
            "hide_parameters": True,
            "json_serializer": _json,
        }
        if poolclass is pool.QueuePool:
            options |= {"pool_size": 5, "max_overflow": 15, "pool_timeout": connections.LOCK_TIMEOUT_S}
        if self.path is not None:
            connect = partial(
                sqlite_file.connect,
                self.path,
                foreign_keys=foreign_keys,
                writes=writes,
                patience_s=0.0 if writes else sqlite_file.BUSY_TIMEOUT_S,  # BEGIN waits: see begin_writing
            )
            engine = sa.create_engine(self._parsed, creator=connect, **options)
            begin = sqlite_file.begin_writing if writes else sqlite_file.begin_reading
            sa.event.listen(engine, "begin", lambda connection: connections.begin(connection, begin))
            return engine
        from tbsnode.store import postgresql  # its driver loads only where it is used

        line = {name: str(value) for name, value in postgresql.LINE.items() if name not in self._parsed.query}
        url = self._parsed.update_query_dict(line)
        engine = sa.create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED", **options)
        sa.event.listen(engine, "connect", postgresql.connected)
        if poolclass is pool.QueuePool:  # an upgrade takes as long as it takes
            sa.event.listen(engine, "do_connect", postgresql.connect)
        return engine

    def _writer(self, here: _InProcess) -> AbstractContextManager[None]:
        return _held(here.writer) if self.dialect == "sqlite" else nullcontext()


# NaN is not JSON: PostgreSQL refuses it, SQLite would keep it for a reader that cannot
_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_URL_FORMS = "Use sqlite:///path/to/file.db or postgresql+psycopg://user@host/name."


@contextmanager
def _held(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(timeout=connections.LOCK_TIMEOUT_S):
        raise DatabaseUnavailable("The database was busy in this process for too long.")
    try:
        yield
    finally:
        lock.release()


def _revision(connection: sa.Connection) -> str | None:
    asked = sa.select(sa.column("version_num", sa.String)).select_from(sa.table(REVISION_TABLE))
    return connection.scalar(asked) if sa.inspect(connection).has_table(REVISION_TABLE) else None


def _create_file(path: Path) -> None:
    try:
        sqlite_file.create(path)
    except OSError as error:
        raise DatabaseUnavailable(
            f"The database file {path} cannot be created: {error.strerror}.",
            remedy="Correct database.url or the folder's permissions.",
        ) from error
    except sqlite_file.Error as error:
        raise DatabaseUnavailable(f"The database file {path} cannot be used: {error}.") from error


class Translated:
    """Turns what the driver raises into our errors; what is a bug passes."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, lines: object) -> None:
        if isinstance(error, exc.TimeoutError):
            raise DatabaseUnavailable("All database connections are in use.") from error
        if isinstance(error, exc.DatabaseError) and (translated := _translate(error)) is not None:
            raise translated from error
        if isinstance(error, exc.InterfaceError):
            raise DatabaseUnavailable(f"The database did not answer: {_first_line(error)}") from error


def _translate(error: exc.DatabaseError) -> ResourceError | SchemaOutdated | None:
    state = getattr(error.orig, "sqlstate", None) or ""
    text = _first_line(error)
    if state in ("42P01", "42703") or text.startswith(("no such table", "no such column")):
        return SchemaOutdated("A table or column is missing in the database.", remedy=_UPGRADE)
    if state == "53100" or text == "database or disk is full":
        return StorageFull("The database's disk is full.", remedy="Free disk space.")
    if text == "attempt to write a readonly database":
        return DatabaseUnavailable("The database file cannot be written.", remedy=_NOT_WRITABLE)
    # DatabaseError itself, no subclass: SQLite's damaged file
    if isinstance(error, exc.OperationalError) or type(error) is exc.DatabaseError:
        server = type(error.orig).__module__.startswith("psycopg")
        return DatabaseUnavailable(f"The database did not answer: {text.rstrip('.')}.", remedy=_AWAY * server)
    return None


def _first_line(error: exc.DBAPIError) -> str:
    """Return the driver's message without the lines that PostgreSQL fills with values."""
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
