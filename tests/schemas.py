"""Databases with all tables, copied from one that the migrations made: once a process, not once a test.

The migrations themselves are run by `integration/test_migrations.py`, by the tests of the command
line and by the main job; everyone else needs only what they leave behind. A template holds our
tables, and those of the job engine where a node is to run on it.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from tbsnode.store import sqlite_file
from tbsnode.store.database import Database
from tests import peers


def _migrate(url: str, *, engine: bool) -> None:
    database = Database(url)
    database.upgrade()
    if engine:
        from tbsnode import engine as job_engine

        job_engine.migrate(database)
    database.dispose()


@functools.cache
def _sqlite_template(*, engine: bool) -> bytes:
    with tempfile.TemporaryDirectory(prefix="tbsnode-schema-") as folder:
        path = Path(folder) / "template.db"
        _migrate(f"sqlite:///{path}", engine=engine)
        assert [each.name for each in Path(folder).iterdir()] == [path.name], "a log is left unwritten"
        return path.read_bytes()


@functools.cache
def _postgresql_template(server: peers.Postgres, *, engine: bool) -> str:
    url = server.fresh_database()
    _migrate(url, engine=engine)
    return url.rpartition("/")[2]


def fill_sqlite(path: Path, *, engine: bool = False) -> str:
    """Make a migrated SQLite file with the rights that `db upgrade` gives it; return its URL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sqlite_file.create(path)
    path.write_bytes(_sqlite_template(engine=engine))
    return f"sqlite:///{path}"


def fresh_postgresql(server: peers.Postgres, *, engine: bool = False) -> str:
    """Return the URL of a new, migrated PostgreSQL database."""
    return server.fresh_database(template=_postgresql_template(server, engine=engine))
