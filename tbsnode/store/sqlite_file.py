"""The SQLite file: where it may lie, what library it needs, and how a connection to it is opened.

A write-ahead log needs shared memory and dependable locks, which network shares do not give; a
database on one is refused before it can be damaged. A missing file is an error everywhere but in
`tbsnode db upgrade`, so that a mistyped path never looks like an empty node.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tbsnode.errors import ConfigError

BUSY_TIMEOUT_S = 30.0
_LIBRARY, _LIBRARY_FROM_PYTHON_3_12 = (3, 35), (3, 42)  # RETURNING; unixepoch('subsec')
_CHECKPOINT_PAGES = 4000  # of 4 KiB
_LOG_BYTES = 64 << 20  # four times that; the log of a busy hour would keep its size until the node stops
_SHORTEST_SLEEP_S, _LONGEST_SLEEP_S = 0.0002, 0.005
Error = sqlite3.Error  # what `create` may raise beside OSError

_NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"}
    | {"prl_fs", "smb2", "smb3", "smbfs", "vboxsf"}
    | {"fuse.ceph", "fuse.cephfs", "fuse.curlftpfs", "fuse.davfs2", "fuse.glusterfs", "fuse.goofys"}
    | {"fuse.rclone", "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs"}
)

_MOUNTS = Path("/proc/self/mounts")


def file_system_type(path: Path, mounts: str) -> str:
    r"""Tell on which type of file system a path lies.

    Parameters
    ----------
    path : Path
        Absolute, symbolic links resolved.
    mounts : str
        Text in the form of ``/proc/self/mounts``; a later line covers an earlier one.

    Returns
    -------
    str
        The type, as the kernel names it; empty where no line fits.

    Examples
    --------
    >>> file_system_type(Path("/data/x.db"), "/dev/sda / ext4 rw 0 0\nnas:/x /data nfs4 rw 0 0\n")
    'nfs4'
    """
    found, depth = "", -1
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        mount_point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        if path.is_relative_to(mount_point) and len(mount_point.parts) >= depth:
            found, depth = fields[2], len(mount_point.parts)
    return found


def refuse_network_share(path: Path, mounts: Path = _MOUNTS) -> None:
    """Raise if the file would lie on a network share, as far as this system tells.

    Parameters
    ----------
    path : Path
        The database file, present or not.
    mounts : Path
        The kernel's list of mounts.

    Raises
    ------
    ConfigError
        With the file system's type.
    """
    kind = ""
    if str(path).startswith(("\\\\", "//")):
        kind = "UNC path"
    elif mounts.exists():
        kind = file_system_type(path.resolve(), mounts.read_text(errors="replace"))
    if kind == "UNC path" or kind in _NETWORK:
        raise ConfigError(
            f"database.url: {path} lies on a network share ({kind}), where SQLite loses data.",
            remedy="Put the file on a local disk, or use PostgreSQL.",
        )


def refuse_unfit(path: Path) -> None:
    """Raise ConfigError where this SQLite, or this place for its file, would not do."""
    refuse_old_library()
    refuse_network_share(path)


def refuse_old_library(
    python: tuple[int, ...] = sys.version_info[:2], library: tuple[int, ...] | None = None
) -> None:
    """Raise if the SQLite that this Python was built with lacks what we use.

    From Python 3.12 on, the job engine writes time stamps with ``unixepoch('subsec')``: SQLite 3.42 has
    it, an older one gives NULL. Debian's and Ubuntu's own Python fit; a newer one put beside them may not.

    Parameters
    ----------
    python : tuple of int
        Major and minor version.
    library : tuple of int, optional
        Version of SQLite; the one in use where not given.

    Raises
    ------
    ConfigError
        With both versions.
    """
    library = sqlite3.sqlite_version_info if library is None else library
    needed = _LIBRARY_FROM_PYTHON_3_12 if python >= (3, 12) else _LIBRARY
    if library < needed:
        raise ConfigError(
            f"Python {_dotted(python)} is used with SQLite {_dotted(library)}, too old:"
            f" {_dotted(needed)} is needed.",
            remedy="Use the Python of your distribution, one with a newer SQLite, or PostgreSQL.",
        )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def connect(
    path: Path, *, foreign_keys: bool = True, writes: bool = True, patience_s: float = BUSY_TIMEOUT_S
) -> sqlite3.Connection:
    """Open a connection to an existing file; the caller begins and ends transactions itself.

    Whether it may write is settled for good: to change it makes SQLite prepare every statement again.
    `patience_s` is how long SQLite itself waits for a lock; none where `begin_writing` does.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,  # no implicit BEGIN: see Database
        check_same_thread=False,  # the pool hands a connection to one thread at a time
    )
    with ExitStack() as undo:
        undo.callback(connection.close)
        # what reads the file first waits for another process that is just opening or closing it
        connection.execute("PRAGMA synchronous=FULL")  # an acknowledged commit survives a power cut
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
        # four times the usual: the pages that every instance changes are copied into the file less often
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        # while somebody reads for long (`audit verify`) nothing is copied: the log grows, and shrinks after
        connection.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
        connection.execute(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.execute(f"PRAGMA busy_timeout={int(patience_s * 1000)}")
        undo.pop_all()
    return connection


def begin_writing(connection: sqlite3.Connection) -> None:
    """Begin a write transaction; wait for another process that is writing.

    SQLite waits in ever longer sleeps, a tenth of a second at last, while the lock is free hundreds of
    times: whoever came later gets it. Sleeps of a millisecond let each process have its turn.

    Raises
    ------
    Error
        "database is locked" after `BUSY_TIMEOUT_S`.
    """
    began = time.monotonic()
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            waited = time.monotonic() - began
            # extended codes have the plain one in their low byte
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or waited > BUSY_TIMEOUT_S:
                raise
        time.sleep(min(_LONGEST_SLEEP_S, max(_SHORTEST_SLEEP_S, waited / 20)))


def begin_reading(connection: sqlite3.Connection) -> None:
    """Begin a read transaction: its first statement settles what it sees."""
    connection.execute("BEGIN DEFERRED")


def create(path: Path) -> None:
    """Create the file and its folders if missing, and switch it to a write-ahead log for good."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o640))
    connection = connect(path)
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    try:
        while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:  # SQLite does not wait for the lock it needs here
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
    finally:
        connection.close()
