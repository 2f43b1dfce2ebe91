"""Alembic, run inside this process: which schema revision there is, and how to get to the newest.

Alembic keeps its state in module globals, hence the lock. The scripts lie beside the package in a
checkout and inside it in a wheel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import sqlalchemy as sa

import tbsnode
from tbsnode.errors import SchemaOutdated

_lock = threading.Lock()
_ADVISORY_LOCK = 7_427_063_771  # any number of our own; one upgrade at a time


def scripts() -> Path:
    """Return the folder of the migrations."""
    package = Path(tbsnode.__file__).parent
    shipped = package / "_migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


@cache
def known() -> tuple[str, ...]:
    """Return the revisions that there are scripts for, oldest first.

    The history is a line, and a script's file name begins with its revision (tested), so that a
    command which only looks need not load Alembic.
    """
    return tuple(sorted(path.name[:4] for path in (scripts() / "versions").glob("[0-9]*_*.py")))


def head() -> str:
    """Return the newest revision."""
    return known()[-1]


def require_known(revision: str | None) -> None:
    """Raise SchemaOutdated if a newer version than this one made a revision."""
    if revision is not None and revision not in known():
        raise SchemaOutdated(
            f"The database has revision {revision}, made by a newer tbsnode.",
            remedy="Install that version, or restore a backup.",
        )


def upgrade(
    connection: sa.Connection,
    to: str = "head",
    *,
    current: Callable[[sa.Connection], str | None],
    told: Callable[[str], None],
) -> None:
    """Run the outstanding migrations up to a revision in the open transaction of a connection.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    to : str
        Revision to stop at.
    current : callable
        Returns the revision that a connection sees; asked once nobody else can change it.
    told : callable
        Gets a line before each thing that may take a while: a database of years is not upgraded in a moment.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    has = current(connection) or ""
    wanted = [each for each in known() if each > has and (to in ("head", each) or each < to)]
    if not wanted:
        return
    say = told if has else lambda _: None  # an empty one takes no time
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _lock:
        texts = ScriptDirectory.from_config(config)
        for each in wanted:
            say(f"Schema {each}: {texts.get_revision(each).doc}")
            command.upgrade(config, each)
    if connection.dialect.name == "sqlite":
        say("Looking whether every reference leads somewhere.")
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        assert broken is None, f"a migration left a dangling reference in {broken[0] if broken else ''}"
