"""The files: received bytes as received, results as made, each under a name that never changes.

A file counts as kept when its bytes, its name and the names of all folders above it are on the disk.
A process may die between that and the commit of the catalogue row; the orphan it leaves is taken up
by an identical file that comes later, and stepped around by a different one. Rows hold relative
paths, so that an archive can be moved or shared.

The root is never created on the way: an unmounted share must not turn into a folder on the system
disk. `prepare` makes it, once, when a node is installed or started.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import lru_cache
from pathlib import Path

from tbsnode.errors import ResourceError, StorageFull

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_VERSION = re.compile(r"[0-9][0-9a-f]{0,63}|[0-9a-f]{16,64}")  # a number or a digest, no kind
_KIND = re.compile(r"[a-z]+")
_INSIDE = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[^/\\:\x00]+(?:/(?!\Z)|\Z))+")  # no part is empty, . or ..
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNUSABLE = frozenset(
    {errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM, errno.ENOTCONN, errno.ETIMEDOUT}
    | {errno.EHOSTDOWN, errno.EMFILE, errno.ENFILE, errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EXDEV}
    | {errno.ENOTDIR}
)
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_REMEMBERED_FOLDERS = 4096
_MOST_ORPHANS = 100


DATABASE_ID = "database-id"  # a file of the archive, and of a backup


def write_small(path: Path, content: str) -> None:
    """Write a short text durably, in place of what was there."""
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with draft.open("x", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


class Archive:
    """A folder of instances; safe for many threads and processes at once.

    Parameters
    ----------
    root : Path
        The archive's folder; made by `prepare`.
    owner : str
        Whose unfinished files these are: each worker slot has a folder of its own below
        ``incoming``, so that it can sweep what its previous life left and nothing of another's.
    """

    def __init__(self, root: Path, owner: str = "command") -> None:
        self.root = Path(root).absolute()
        self.incoming = self.root / "incoming" / owner
        self._durable: set[Path] = set()  # folders whose names this process knows to be on the disk

    def prepare(self) -> None:
        """Make the root, the folder for incoming files and those that studies are spread over, if missing.

        Made here once, a study that arrives needs one folder only, and one flush less.

        Raises
        ------
        StorageFull, ResourceError
            If the disk does not allow it.
        """
        with _Translated():
            missing = [folder for folder in (self.incoming, *self.incoming.parents) if not folder.exists()]
            for folder in reversed(missing):
                folder.mkdir(mode=0o750, exist_ok=True)  # patients' pictures, below any umask
                _sync(folder.parent)
            self._spread()

    def _spread(self) -> None:
        """Make the folders of `_study_folder`; what the disk does not allow now is made when needed."""
        studies = self.root / "studies"
        names = [f"{number:02x}" for number in range(256)]
        with suppress(OSError):
            studies.mkdir(exist_ok=True)
            for name in set(names) - set(os.listdir(studies)):
                (studies / name).mkdir(exist_ok=True)
            _sync(studies)
            _sync(self.root)
            self._durable.update((studies, *(studies / name for name in names)))

    def database_id(self) -> str:
        """Return which database this archive was marked as that of, empty where it was not."""
        try:
            return (self.root / DATABASE_ID).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def mark(self, database_id: str) -> None:
        """Mark this archive as that of a database, in place of any other.

        Raises
        ------
        StorageFull, ResourceError
            If the disk does not allow it.
        """
        with _Translated():
            write_small(self.root / DATABASE_ID, f"{database_id}\n")

    def path(self, relative: str) -> Path:
        """Return where a relative name of a row lies.

        Raises
        ------
        ValueError
            If the name is absolute or could lead out of the archive.
        """
        if not _INSIDE.fullmatch(relative):
            raise ValueError("not a name inside the archive")
        return self.root / relative

    @staticmethod
    def study_folder(study_uid: str) -> str:
        """Return the folder of a study, relative to the archive."""
        return _study_folder(study_uid)

    @staticmethod
    def relative_path(study_uid: str, sop_uid: str, version: int | str) -> str:
        """Return the name of a received instance; `version` tells those of one UID apart.

        Examples
        --------
        >>> Archive.relative_path("1.2", "1.2.3", 1)
        'studies/77/1.2/1.2.3.1.dcm'
        """
        if not _VERSION.fullmatch(str(version)):
            raise ValueError("not a version")
        return f"{_study_folder(study_uid)}/{_checked(sop_uid)}.{version}.dcm"

    @staticmethod
    def derived_path(study_uid: str, kind: str, sop_uid: str) -> str:
        """Return the name of an instance that we made; `kind` is ``"sr"``, ``"pdf"`` or ``"overlay"``."""
        if not _KIND.fullmatch(kind):
            raise ValueError("not a kind of derived instance")
        return f"{_study_folder(study_uid)}/{_checked(sop_uid)}.{kind}.dcm"

    def keep(self, source: Path, relative: str) -> str:
        """Move a complete file to its final name and return that name, once all is on the disk.

        Parameters
        ----------
        source : Path
            A file in `incoming`; gone afterwards.
        relative : str
            The wanted name. Where different bytes have it already, the name gets a number.

        Raises
        ------
        StorageFull, ResourceError
            If the disk does not allow it; `source` may be left.
        """
        with _Translated():
            # new folders first: the file's flush takes their names to the disk with it
            target = self.path(relative)
            made = self._new_folders(target.parent)
            _sync(source)
            self._remember(made)
            return self._place(source, target, relative)

    def write(self, relative: str, data: bytes) -> Path:
        """Write a file under its final name, whole or not at all; nothing to do if it is there.

        Raises
        ------
        FileExistsError
            If other bytes have this name: what we make is made once.
        StorageFull, ResourceError
            If the disk does not allow it.
        """
        target = self.path(relative)
        with _Translated():
            temporary = self._temporary()
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                self._make_folder(target.parent)
                if not self._link(temporary, target):
                    self._adopt(temporary, target, data)
                _sync(target.parent)
            finally:
                temporary.unlink(missing_ok=True)
        return target

    def bring_in(self, source: Path) -> Path:
        """Copy a file from anywhere into `incoming`, for `keep`; return the copy."""
        temporary = self._temporary()
        with ExitStack() as undo:
            undo.callback(temporary.unlink, missing_ok=True)
            with _Translated():
                shutil.copyfile(source, temporary)
            undo.pop_all()
        return temporary

    def remove(self, relative: str) -> None:
        """Delete a file, and its study's folder once that is empty; a missing file is fine."""
        target = self.path(relative)
        with _Translated():
            target.unlink(missing_ok=True)
            with suppress(OSError):
                target.parent.rmdir()
                self._durable.discard(target.parent)

    def sweep_incoming(self, *, older_than_s: float = 86_400.0) -> int:
        """Delete what interrupted associations left behind; return how many files.

        Parameters
        ----------
        older_than_s : float
            Spare younger files: another process of the same owner may be writing them. 0 where
            there is none.
        """
        with _Translated():
            before = time.time() - older_than_s
            swept = 0
            for file in self.incoming.iterdir():
                with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                    if file.stat().st_mtime <= before:
                        file.unlink()
                        swept += 1
            return swept

    def free_bytes(self) -> int:
        """Return how many bytes this process may still write."""
        with _Translated():
            return shutil.disk_usage(self.root).free

    def require_space(self, min_free_bytes: int, min_free_fraction: float) -> None:
        """Raise unless the disk is above both watermarks.

        Raises
        ------
        StorageFull
            If less than `min_free_bytes`, or less than this fraction of the disk, is free.
        ResourceError
            If the archive's folder is not there.
        """
        with _Translated():
            usage = shutil.disk_usage(self.root)
        needed = max(min_free_bytes, int(usage.total * min_free_fraction))
        if usage.free < needed:
            raise StorageFull(
                f"The archive's disk has {usage.free / 1e9:.2f} GB free, {needed / 1e9:.2f} GB are required.",
                remedy="Free disk space.",
            )

    def _temporary(self) -> Path:
        return self.incoming / f"{uuid.uuid4().hex}.part"

    def _place(self, source: Path, wanted: Path, relative: str) -> str:
        stem, dot, suffix = relative.rpartition(".")
        name, target = relative, wanted
        for number in range(1, _MOST_ORPHANS + 1):
            if self._link(source, target) or filecmp.cmp(source, target, shallow=False):
                _sync(target.parent)
                source.unlink(missing_ok=True)
                return name
            name = f"{stem}-{number}{dot}{suffix}"
            target = self.path(name)
        raise ResourceError(f"{_MOST_ORPHANS} files without a catalogue row lie around one name.")

    def _link(self, source: Path, target: Path) -> bool:
        """Give a file a second name unless that is taken; True if it has it now."""
        try:
            os.link(source, target)
        except FileExistsError:
            return False
        except FileNotFoundError:  # the folder was removed since this process made it
            self._durable.discard(target.parent)
            self._make_folder(target.parent)
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            return _rename_exclusively(source, target)
        return True

    @staticmethod
    def _adopt(temporary: Path, target: Path, data: bytes) -> None:
        """Take the file that is there already, if it is the one to be written."""
        there = target.read_bytes()
        if not there:  # a name reserved by a process that died: see _rename_exclusively
            temporary.replace(target)
        elif there != data:
            raise FileExistsError(f"other bytes lie at {target.name}")

    def _make_folder(self, folder: Path) -> None:
        """Make a folder below the root; its name is on the disk, whoever made it."""
        self._remember(self._new_folders(folder))

    def _new_folders(self, folder: Path) -> list[Path]:
        """Make a folder and those above it where this process does not know them; return these."""
        if folder in self._durable or folder == self.root:
            return []
        above = self._new_folders(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
        return [*above, folder]

    def _remember(self, made: Sequence[Path]) -> None:
        """Flush the names of new folders to the disk."""
        for folder in made:
            _sync(folder.parent)
            if len(self._durable) >= _REMEMBERED_FOLDERS:
                self._durable.clear()
            self._durable.add(folder)


def _rename_exclusively(source: Path, target: Path) -> bool:
    """Stand in for a hard link where the file system has none: reserve the name, then rename over it.

    A crash between the two leaves an empty file.
    """
    try:
        target.open("xb").close()
    except FileExistsError:
        return False
    source.replace(target)
    return True


def _checked(uid: str) -> str:
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise ValueError("not a UID")
    return uid


@lru_cache(_REMEMBERED_FOLDERS)
def _study_folder(study_uid: str) -> str:
    shard = hashlib.sha256(_checked(study_uid).encode()).hexdigest()[:2]
    return f"studies/{shard}/{study_uid}"


def _sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows has no such call for folders
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Translated:
    """Turns what the disk refuses into our errors; what is a bug passes."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, lines: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in _FULL:
            raise StorageFull("The archive's disk is full.", remedy="Free disk space.") from error
        if error.errno in _UNUSABLE:
            raise ResourceError(
                f"The archive cannot be used: {error.strerror}.",
                remedy="Check the folder archive.path: mounted, writable, healthy?",
            ) from error
