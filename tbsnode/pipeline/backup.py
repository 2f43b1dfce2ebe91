"""Backup, restore and proof: rows against the files that they vouch for.

The database is copied first. A file is on the disk before the row that names it is committed, and
never changes, so the files that the copied rows name are complete whenever they are copied after it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbsnode.dicom import part10
from tbsnode.errors import ConfigError, NotFound, TbsNodeError
from tbsnode.pipeline import mounted
from tbsnode.store import audit, audit_chain, catalogue, retention, snapshot
from tbsnode.store.archive import DATABASE_ID, Archive, write_small
from tbsnode.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tbsnode.pipeline.site import Site
    from tbsnode.store.snapshot import KeptFile

    Tracked = Callable[[snapshot.KeptFiles], Iterable[KeptFile]]

MANIFEST = "manifest.json"
ARCHIVE = "archive"
_FIRST_MISSING = 20
_DRAFT = ".part"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A file that is not what its row says.

    Attributes
    ----------
    path : str
        Relative to the archive.
    what : str
        ``"missing"``, ``"other size"``, ``"other content"`` or ``"unreadable"``.
    """

    path: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What was backed up.

    Attributes
    ----------
    database : str
        File name of the database's copy.
    database_sha256 : str
        Its digest.
    revision : str
        Schema of the copy.
    version : str
        Software that made it.
    files, copied : int
        Files that the rows name, and those that were not in the folder yet.
    bytes : int
        Their size.
    missing : int
        Files that the rows name besides, and that could not be read here nor were in the folder yet.
    first_missing : tuple of str
        The first of them, relative to the archive.
    """

    database: str
    database_sha256: str
    revision: str
    version: str
    files: int
    copied: int
    bytes: int
    missing: int = 0
    first_missing: tuple[str, ...] = ()


def backup(site: Site, folder: Path, *, track: Tracked) -> Backup:
    """Copy database and archive into a folder while the node runs; again, only what is new.

    Parameters
    ----------
    site : Site
        Archive and database.
    folder : Path
        Made if missing. Files of an earlier backup in it are kept and not copied again.
        What was deleted from the node on purpose is deleted from it.
    track : callable
        Passes the list of files on, showing progress.

    Raises
    ------
    ConfigError
        If the folder lies inside the archive, or holds the backup of another database.
    ResourceError
        If disk or database failed, or the archive is not there: an earlier backup in the folder stands then.
    """
    folder = folder.absolute()
    if folder.is_relative_to(site.archive.root):
        raise ConfigError("A backup inside the archive is none.", remedy="Name a folder on another disk.")
    for each in (folder, folder / ARCHIVE):  # the account that made it, and nobody else
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_own(site, folder)
    mounted.require(site, adopt=False)
    deleted = _deleted(site, folder / ARCHIVE)  # before the database is copied: it names nothing of these
    copied_database = snapshot.copy(site.database, folder)
    target = folder / ARCHIVE
    made = Backup(
        database=copied_database.name,
        database_sha256=_sha256(copied_database),
        revision=site.database.current_revision() or "",
        version=site.policy.version,
        **_copy_files(site, target, track),
    )
    # until here the backup of before is whole, and stands; from here on it is this one
    write_small(folder / MANIFEST, json.dumps(asdict(made), indent=2) + "\n")
    for uid in deleted:
        _forget(site, target, uid)
    for older in snapshot.others(copied_database):
        older.unlink()
    with site.database.transaction() as tx:
        lost = f"; {made.missing} could not be read" if made.missing else ""
        audit.add_event(tx, "db.backup", f"backed up {made.files} files, {made.copied} of them new{lost}")
    return made


def _copy_files(site: Site, target: Path, track: Tracked) -> dict[str, Any]:
    """Copy what is not there yet; return the fields of a `Backup` that tell of it.

    A file that was lost is no reason to be without a backup of all others.
    """
    files, number, copied, total = snapshot.KeptFiles(site.database), 0, 0, 0
    missing: list[str] = []
    for kept in track(files):
        try:
            copied += _copy(site.archive.path(kept.path), target / kept.path, kept.size_bytes)
        except NotFound:
            if files.has(kept):  # retention may have deleted it since
                missing.append(kept.path)
            continue
        number, total = number + 1, total + kept.size_bytes
    return {
        "files": number,
        "copied": copied,
        "bytes": total,
        "missing": len(missing),
        "first_missing": tuple(missing[:_FIRST_MISSING]),
    }


def _require_own(site: Site, folder: Path) -> None:
    """Refuse to put a copy of this database in the place of another one's.

    After a lost disk a node may run on an empty database; its nightly backup must not take the good one.
    """
    with site.database.transaction() as tx:
        audit_chain.seal(tx)
        own = audit_chain.first(tx)
    path = folder / DATABASE_ID
    kept = path.read_text(encoding="ascii").strip() if path.exists() else ""
    if kept and kept != own:
        raise ConfigError(
            f"{folder} holds the backup of another database; nothing was copied.",
            remedy="Name another folder. If this database should be that one, it was lost: stop the node and"
            " `tbsnode db restore` that backup into an empty place.",
        )
    if own and not kept:
        write_small(path, f"{own}\n")


def _deleted(site: Site, target: Path) -> list[str]:
    """Return the studies in a backup that were deleted on purpose from the node since, or their files."""
    found = dict.fromkeys(audit.purged_studies(site.database))
    return [uid for uid in found if (target / Archive.study_folder(uid)).is_dir()]


def _forget(site: Site, target: Path, uid: str) -> None:
    """Delete from a backup what no row of a study vouches for; it may have come again since."""
    folder = target / Archive.study_folder(uid)
    names = [f"{Archive.study_folder(uid)}/{path.name}" for path in folder.iterdir()]
    with site.database.read() as tx:
        study = catalogue.study_by_uid(tx, uid)
        kept = frozenset() if study is None else retention.vouched(tx, dict.fromkeys(names, study.id))
    for name in set(names) - kept:
        (target / name).unlink()
    if not kept:
        folder.rmdir()


def _copy(source: Path, target: Path, size: int) -> bool:
    """Copy a file that never changes; False where it is there already."""
    if target.exists() and target.stat().st_size == size:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}{_DRAFT}")
    try:
        with draft.open("wb") as file:
            for chunk in _chunks(source):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _chunks(source: Path) -> Iterator[bytes]:
    """Yield the content of a file; what fails here is the disk that it is on."""
    try:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise NotFound(
            f"{source.name} cannot be read: {error.strerror}.",
            remedy="`tbsnode db verify` lists what is missing; restore it from an earlier backup.",
        ) from error


def restore(
    database: Database, archive: Path, folder: Path, *, track: Callable[[list[Path]], Iterable[Path]]
) -> Backup:
    """Put a backup into an empty place.

    Parameters
    ----------
    database : Database
        Not there yet, or empty.
    archive : Path
        Where the archive shall be; files that are there already are kept.
    folder : Path
        The backup.
    track : callable
        Passes the list of files on, showing progress.

    Raises
    ------
    NotFound
        If the folder holds no whole backup.
    ConfigError
        If the database is not empty or of the other kind.
    """
    made = read_manifest(folder)
    if _sha256(folder / made.database) != made.database_sha256:
        raise NotFound(
            "The copy of the database is not the one that the manifest names.",
            remedy="Take an earlier backup.",
        )
    snapshot.put_back(database, folder / made.database)
    source = folder / ARCHIVE
    for path in track(sorted(path for path in source.rglob("*") if path.is_file() and path.suffix != _DRAFT)):
        _copy(path, archive / path.relative_to(source), path.stat().st_size)
    return made


def read_manifest(folder: Path) -> Backup:
    """Read what a backup holds.

    Raises
    ------
    NotFound
        If there is no manifest: the backup was not finished, or it is none.
    """
    try:
        return Backup(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise NotFound(
            f"{folder} holds no finished backup.", remedy="Name a folder that `tbsnode db backup` filled."
        ) from error


def verify(site: Site, *, track: Tracked) -> Iterator[Fault]:
    """Hold every file of the archive against its row; yield what is wrong."""
    files = snapshot.KeptFiles(site.database)
    for kept in track(files):
        what = _fault(site.archive.path(kept.path), kept)
        if what and files.has(kept):  # retention may have deleted it since
            yield Fault(path=kept.path, what=what)


def verify_backup(folder: Path, *, track: Tracked) -> Iterator[Fault]:
    """Hold every file of an SQLite backup against its rows; yield what is wrong."""
    made = read_manifest(folder)
    if not snapshot.is_sqlite(made.database):
        raise ConfigError(
            "A backup of PostgreSQL is verified by restoring it.",
            remedy="`tbsnode db restore` into an empty database, then `tbsnode db verify`.",
        )
    if _sha256(folder / made.database) != made.database_sha256:
        yield Fault(path=made.database, what="other content")
        return
    database = Database(f"sqlite:///{(folder / made.database).absolute()}")
    copies = Archive(folder / ARCHIVE)
    try:
        for kept in track(snapshot.KeptFiles(database)):
            what = _fault(copies.path(kept.path), kept)
            if what:
                yield Fault(path=kept.path, what=what)
    finally:
        database.dispose()


def _fault(path: Path, kept: KeptFile) -> str:
    try:
        if path.stat().st_size != kept.size_bytes:
            return "other size"
        if kept.sha256:
            return "" if _sha256(path) == kept.sha256 else "other content"
        same = part10.is_as_received(
            path, transfer_syntax_uid=kept.transfer_syntax_uid, data_set_sha256=kept.data_set_sha256
        )
        return "" if same else "other content"
    except FileNotFoundError:
        return "missing"
    except (OSError, TbsNodeError):
        return "unreadable"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
