"""Where an SQLite file may lie."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from tbsnode.errors import ConfigError
from tbsnode.store import sqlite_file
from tbsnode.store.database import Database

MOUNTS = r"""/dev/sda1 / ext4 rw 0 0
nas:/vol /mnt/nas nfs4 rw 0 0
//server/share /mnt/my\040share cifs rw 0 0
/dev/sdb1 /mnt/nas/local xfs rw 0 0
tmpfs /mnt/nasty tmpfs rw 0 0
/dev/sda1 /twice ext4 rw 0 0
me@host:/ /twice fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/x.db", "ext4"),
        ("/mnt/nas/x.db", "nfs4"),
        ("/mnt/nas/local/x.db", "xfs"),
        ("/mnt/nasty/x.db", "tmpfs"),  # a prefix of letters is not a folder
        ("/mnt/my share/a/x.db", "cifs"),
        ("/twice/x.db", "fuse.sshfs"),  # the later mount covers the earlier
    ],
)
def test_the_deepest_mount_counts(path: str, kind: str) -> None:
    assert sqlite_file.file_system_type(Path(path), MOUNTS) == kind


def test_no_mounts_say_nothing() -> None:
    assert sqlite_file.file_system_type(Path("/x.db"), "") == ""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p"])
def test_a_network_share_is_refused(kind: str, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nhost:/x {tmp_path}/share {kind} rw 0 0\n")
    with pytest.raises(ConfigError, match=r"database\.url.*network share.*PostgreSQL"):
        sqlite_file.refuse_network_share(tmp_path / "share" / "x.db", mounts)
    sqlite_file.refuse_network_share(tmp_path / "x.db", mounts)


def test_a_link_to_a_network_share_is_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"host:/x {tmp_path.resolve()}/share nfs rw 0 0\n")
    (tmp_path / "share").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "share")
    with pytest.raises(ConfigError):
        sqlite_file.refuse_network_share(tmp_path / "state" / "x.db", mounts)


def test_a_unc_path_is_refused() -> None:
    with pytest.raises(ConfigError):
        sqlite_file.refuse_network_share(Path(r"\\server\share\x.db"))


def test_a_path_with_odd_letters_works(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a b#c ä/x.db")
    database.upgrade()
    database.require_current()
    database.dispose()
    assert (tmp_path / "a b#c ä" / "x.db").exists()


def test_others_may_not_read_the_file(tmp_path: Path) -> None:
    sqlite_file.create(tmp_path / "x.db")
    assert (tmp_path / "x.db").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize(
    ("python", "library", "needed"),
    [
        ((3, 11), (3, 40, 1), ""),  # Debian 12 as it comes
        ((3, 11), (3, 34, 1), "3.35"),
        ((3, 12), (3, 45, 1), ""),  # Ubuntu 24.04 as it comes
        ((3, 12), (3, 42, 0), ""),
        ((3, 12), (3, 41, 2), "3.42"),
        ((3, 13), (3, 40, 1), "3.42"),  # a newer Python on Debian 12
    ],
)
def test_a_library_too_old_for_its_python_is_refused(
    python: tuple[int, int], library: tuple[int, int, int], needed: str
) -> None:
    if not needed:
        sqlite_file.refuse_old_library(python, library)
        return
    with pytest.raises(ConfigError, match=rf"{needed}.*PostgreSQL"):
        sqlite_file.refuse_old_library(python, library)


def test_nobody_opens_a_database_with_a_library_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    monkeypatch.setattr(sqlite_file.sqlite3, "sqlite_version_info", (3, 34, 0))
    for use in (database.upgrade, database.ping, database.current_revision):
        with pytest.raises(ConfigError, match=r"SQLite 3\.34\.0"):
            use()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("patience_s", [0.0, 5.0])
def test_a_file_that_another_has_alone_for_a_moment_is_waited_for(tmp_path: Path, patience_s: float) -> None:
    """A process that opens or closes the file, or recovers it, has it to itself for that long."""
    path = tmp_path / "x.db"
    sqlite_file.create(path)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE taken (x)")
    other.execute("COMMIT")
    leaves = threading.Timer(0.5, other.close)
    leaves.start()
    connection = sqlite_file.connect(path, patience_s=patience_s)
    leaves.join()
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (1000 * patience_s,)
    connection.close()


def test_the_log_shrinks_after_somebody_has_read_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was as large as what came during the longest look, until the node was stopped."""
    monkeypatch.setattr(sqlite_file, "_CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(sqlite_file, "_LOG_BYTES", 200_000)
    path = tmp_path / "a.db"
    sqlite_file.create(path)
    log = path.with_name("a.db-wal")
    writer, reader = sqlite_file.connect(path), sqlite_file.connect(path, writes=False)
    writer.execute("CREATE TABLE t (x)")
    sqlite_file.begin_reading(reader)
    reader.execute("SELECT * FROM t").fetchall()
    for _ in range(20):
        writer.execute("INSERT INTO t VALUES (randomblob(50000))")
    assert log.stat().st_size > 1_000_000
    reader.execute("COMMIT")
    for _ in range(2):  # the first copies what was held up, the second begins anew
        writer.execute("INSERT INTO t VALUES (1)")
    assert log.stat().st_size <= 200_000
    writer.close()
    reader.close()
