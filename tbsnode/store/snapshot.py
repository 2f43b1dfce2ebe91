"""A database copied while others write to it: SQLite by its own backup, PostgreSQL by pg_dump."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.errors import ConfigError, ResourceError
from tbsnode.store import sqlite_file
from tbsnode.store.schema import derived_instance, instance

if TYPE_CHECKING:
    from tbsnode.store.database import Database, Transaction

_SQLITE, _POSTGRESQL = ".sqlite", ".dump"
_PAGES = 4096  # a step of the copy, between which writers get their turn
_ROWS = 1000  # read at once
_KEPT = ((instance, instance.c.state != "purged"), (derived_instance, ~derived_instance.c.purged))
_COLUMNS = ("path", "size_bytes", "data_set_sha256", "transfer_syntax_uid", "sha256")


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that a row vouches for.

    Attributes
    ----------
    row_id : int
        Which row.
    path : str
        Relative to the archive.
    size_bytes : int
        As the row has it.
    data_set_sha256, transfer_syntax_uid : str
        Of a received instance: digest of its encoded data set, and how that is encoded. Empty for one that
        we made.
    sha256 : str
        Of one that we made: digest of the whole file. Empty for a received one.
    """

    row_id: int
    path: str
    size_bytes: int
    data_set_sha256: str = ""
    transfer_syntax_uid: str = ""
    sha256: str = ""


class KeptFiles:
    """Every file that a row vouches for: received instances, then what was made.

    They are read as they are asked for, some rows at a time: an archive of years has millions, and a
    backup of it takes hours, in which nobody may wait for one view of the database.

    Parameters
    ----------
    database : Database
        Where the rows are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __len__(self) -> int:
        """Return how many there are now."""
        with self._database.read() as tx:
            counts = (sa.select(sa.func.count()).select_from(table).where(there) for table, there in _KEPT)
            return sum(int(tx.scalar(count) or 0) for count in counts)

    def __iter__(self) -> Iterator[KeptFile]:
        """Yield them in the order in which they came."""
        for table, there in _KEPT:
            columns = [table.c[name] for name in _COLUMNS if name in table.c]
            query = sa.select(table.c.id.label("row_id"), *columns).where(there).order_by(table.c.id)
            after = 0
            while True:
                with self._database.read() as tx:
                    rows = tx.all(query.where(table.c.id > after).limit(_ROWS))
                yield from (KeptFile(**row._mapping) for row in rows)
                if len(rows) < _ROWS:
                    break
                after = rows[-1].row_id

    def has(self, kept: KeptFile) -> bool:
        """Tell whether a row still vouches for a file."""
        with self._database.read() as tx:
            table, there = _KEPT[1 if kept.sha256 else 0]
            return tx.one(sa.select(table.c.id).where(table.c.id == kept.row_id, there)) is not None


def newest_paths(tx: Transaction, most: int) -> tuple[str, ...]:
    """Return where the newest received files lie."""
    query = sa.select(instance.c.path).where(instance.c.state != "purged").order_by(instance.c.id.desc())
    return tuple(row.path for row in tx.all(query.limit(most)))


def copy(database: Database, folder: Path) -> Path:
    """Copy the whole database, the job engine's tables included, as of one moment.

    Parameters
    ----------
    database : Database
        In use or not.
    folder : Path
        Exists; copies in it stay as they are, also those of this database.

    Returns
    -------
    Path
        The copy, named by its content.

    Raises
    ------
    ConfigError
        If PostgreSQL's client programs are missing.
    ResourceError
        If the copy failed.
    """
    draft = folder / "database.part"
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)  # it holds all patients
    if database.path is not None:
        with closing(sqlite_file.connect(database.path)) as source, closing(sqlite3.connect(draft)) as made:
            # one view of it until the end: SQLite begins anew after each commit of another process
            sqlite_file.begin_reading(source)
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(made, pages=_PAGES, sleep=0.01)
    else:
        _run(database, ["pg_dump", "--format=custom", f"--file={draft}"])
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return draft.replace(folder / f"database-{digest[:16]}{_kind(database)}")


def others(made: Path) -> Iterator[Path]:
    """Yield the other copies in a copy's folder, also of the other kind (of before a move)."""
    for path in made.parent.glob("database[-.]*"):
        # with what SQLite lays beside one while it is looked into
        if not path.name.startswith(made.name) and path.suffix.startswith((_SQLITE, _POSTGRESQL)):
            yield path


def is_sqlite(copied: str) -> bool:
    """Tell if a copy of that name is a database of SQLite."""
    return copied.endswith(_SQLITE)


def _kind(database: Database) -> str:
    return _POSTGRESQL if database.path is None else _SQLITE


def put_back(database: Database, copied: Path) -> None:
    """Make the database from a copy; it must not have tables of ours yet.

    Raises
    ------
    ConfigError
        If the copy is of the other kind of database, or the database is not empty.
    ResourceError
        If it failed.
    """
    if copied.suffix != _kind(database):
        raise ConfigError(
            f"{copied} is no copy of this kind of database.",
            remedy="Set [database] url to the kind that was backed up; `tbsnode db move` changes it later.",
        )
    if database.path is not None:
        if database.path.exists():
            raise ConfigError(
                f"{database.path} exists; a backup is restored only into an empty place.",
                remedy="Move the old database away first, with its -wal and -shm files.",
            )
        database.path.parent.mkdir(parents=True, exist_ok=True)
        draft = database.path.with_suffix(".part")
        shutil.copyfile(copied, draft)
        draft.chmod(0o640)
        draft.replace(database.path)
        sqlite_file.create(database.path)
        return
    if database.current_revision() is not None:
        raise ConfigError(
            "The database has tables already; a backup is restored only into an empty one.",
            remedy="Create an empty database and name it in [database] url.",
        )
    _run(database, ["pg_restore", "--no-owner", "--exit-on-error", str(copied)])


def _run(database: Database, command: list[str]) -> None:
    """Run a client program of PostgreSQL; the password travels in its environment only."""
    url = sa.make_url(database.url)
    program = shutil.which(command[0])
    if program is None:
        raise ConfigError(
            f"{command[0]} is not installed.",
            remedy="Install the client programs of PostgreSQL (Debian: postgresql-client).",
        )
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    done = subprocess.run(  # noqa: S603  a fixed program, its arguments are paths and a URL
        [program, f"--dbname={plain}", *command[1:]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ResourceError(f"{command[0]} ended with {done.returncode}: {last}")
