"""Files: names that never change, never lost, never overwritten, never outside."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tbsnode.errors import ResourceError, StorageFull
from tbsnode.store.archive import Archive

NAME = Archive.relative_path("1.2", "1.2.3", 1)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(tmp_path / "archive")
    made.prepare()
    return made


def _receive(archive: Archive, data: bytes, name: str = "a.part") -> Path:
    source = archive.incoming / name
    source.write_bytes(data)
    return source


def _files(archive: Archive) -> list[Path]:
    return sorted(path for path in archive.root.rglob("*") if path.is_file())


def test_keep_moves_a_file_to_its_name(archive: Archive) -> None:
    source = _receive(archive, b"x")
    assert archive.keep(source, NAME) == NAME
    assert archive.path(NAME).read_bytes() == b"x"
    assert _files(archive) == [archive.path(NAME)]


def test_an_orphan_with_the_same_bytes_is_taken_up(archive: Archive) -> None:
    """A process died between the name and the commit; the sender sends again."""
    archive.keep(_receive(archive, b"x"), NAME)
    assert archive.keep(_receive(archive, b"x"), NAME) == NAME
    assert _files(archive) == [archive.path(NAME)]


def test_an_orphan_with_other_bytes_is_stepped_around(archive: Archive) -> None:
    archive.keep(_receive(archive, b"x"), NAME)
    other = archive.keep(_receive(archive, b"y"), NAME)
    assert other != NAME
    assert archive.path(NAME).read_bytes() == b"x"
    assert archive.path(other).read_bytes() == b"y"
    assert archive.keep(_receive(archive, b"y"), NAME) == other


def _keep_and_be_killed(root: Path, number: int) -> None:
    archive = Archive(root)
    archive.keep(_receive(archive, b"x" * 100_000, f"{number}.part"), NAME)
    os.kill(os.getpid(), signal.SIGKILL)


def test_kill_between_name_and_commit_then_keep_again(archive: Archive) -> None:
    for number in range(2):
        child = multiprocessing.get_context("spawn").Process(
            target=_keep_and_be_killed, args=(archive.root, number)
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    assert archive.keep(_receive(archive, b"x" * 100_000), NAME) == NAME
    assert _files(archive) == [archive.path(NAME)]


def _keep_forever(root: Path) -> None:
    archive = Archive(root)
    number = 0
    while True:
        number += 1
        source = _receive(archive, f"{number}".encode() * 5000, f"{number}.part")
        archive.keep(source, Archive.relative_path("1.2", f"1.{number}", 1))


@pytest.mark.parametrize("after_files", [3, 8, 13])
def test_killed_anywhere_only_whole_files_have_a_name(archive: Archive, after_files: int) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_keep_forever, args=(archive.root,))
    child.start()
    folder = archive.path(NAME).parent
    while not folder.exists() or len(list(folder.iterdir())) < after_files:
        assert child.is_alive()
    child.kill()
    child.join()
    for path in folder.iterdir():
        number = path.name.split(".")[1]
        assert path.read_bytes() == number.encode() * 5000
    archive.sweep_incoming(older_than_s=0)
    assert list(archive.incoming.iterdir()) == []
    assert len(list(folder.iterdir())) >= after_files


def _keep_own(root: Path, worker: int) -> None:
    archive = Archive(root)
    for number in range(20):
        source = _receive(archive, f"{worker}".encode(), f"{worker}-{number}.part")
        kept = archive.keep(source, Archive.relative_path("1.2", f"1.{number}", 1))
        assert archive.path(kept).read_bytes() == f"{worker}".encode()


def test_processes_that_keep_under_one_name_never_overwrite(archive: Archive) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_keep_own, args=(archive.root, worker)) for worker in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    contents = sorted(path.read_bytes() for path in _files(archive))
    assert contents == [b"0"] * 20 + [b"1"] * 20 + [b"2"] * 20


def test_write_is_idempotent_and_never_overwrites(archive: Archive) -> None:
    name = Archive.derived_path("1.2", "sr", "2.25.1")
    assert archive.write(name, b"x") == archive.path(name)
    archive.write(name, b"x")
    with pytest.raises(FileExistsError):
        archive.write(name, b"y")
    assert archive.path(name).read_bytes() == b"x"
    assert _files(archive) == [archive.path(name)]


def test_a_file_system_without_hard_links(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert archive.keep(_receive(archive, b"x"), NAME) == NAME
    assert archive.keep(_receive(archive, b"x"), NAME) == NAME
    other = archive.keep(_receive(archive, b"y"), NAME)
    assert archive.path(NAME).read_bytes() == b"x"
    derived = Archive.derived_path("1.2", "sr", "2.25.1")
    archive.path(derived).touch()  # reserved by a process that died
    archive.write(derived, b"z")
    assert archive.path(derived).read_bytes() == b"z"
    assert _files(archive) == sorted([archive.path(NAME), archive.path(other), archive.path(derived)])


def test_every_new_name_is_flushed_before_keep_returns(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File first, then each new folder's name in its parent, then the file's name."""
    flushed: list[Path] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    source = _receive(archive, b"x")
    archive.keep(source, NAME)
    folder = archive.path(NAME).parent
    root = archive.root
    assert flushed == [source, folder.parent, folder]
    flushed.clear()
    archive.keep(_receive(archive, b"y"), Archive.relative_path("1.2", "1.2.4", 1))
    assert flushed == [source, folder]
    flushed.clear()
    knows_nothing = Archive(root)
    knows_nothing.keep(_receive(archive, b"z"), Archive.relative_path("1.2", "1.2.5", 1))
    assert flushed == [source, root, root / "studies", folder.parent, folder]


def test_folders_that_cannot_be_made_beforehand_are_made_when_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Archive(tmp_path / "archive")
    made.prepare()
    shutil.rmtree(made.root / "studies")
    with monkeypatch.context() as refusing:
        refusing.setattr(Path, "mkdir", _refuse)
        made = Archive(tmp_path / "archive")
        made.prepare()
    assert not (made.root / "studies").exists()
    assert made.keep(_receive(made, b"x"), NAME) == NAME


def _refuse(*_args: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_was_removed_is_made_again(archive: Archive) -> None:
    archive.keep(_receive(archive, b"x"), NAME)
    archive.remove(NAME)
    assert not archive.path(NAME).parent.exists()
    other = Archive(archive.root)
    archive.keep(_receive(archive, b"x"), NAME)
    other.keep(_receive(other, b"y"), Archive.relative_path("1.2", "1.2.9", 1))
    archive.remove(NAME)
    other.remove(Archive.relative_path("1.2", "1.2.9", 1))
    archive.keep(_receive(archive, b"x"), NAME)
    assert archive.path(NAME).read_bytes() == b"x"


def test_remove_tolerates_a_missing_file_and_spares_neighbors(archive: Archive) -> None:
    neighbor = Archive.relative_path("1.2", "1.2.4", 1)
    archive.keep(_receive(archive, b"x"), NAME)
    archive.keep(_receive(archive, b"y"), neighbor)
    archive.remove(NAME)
    archive.remove(NAME)
    assert _files(archive) == [archive.path(neighbor)]


def test_bring_in_copies(archive: Archive, tmp_path: Path) -> None:
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(b"x")
    copy = archive.bring_in(outside)
    assert copy.parent == archive.incoming
    archive.keep(copy, NAME)
    assert outside.read_bytes() == b"x"
    with pytest.raises(ResourceError):
        archive.bring_in(tmp_path / "missing")
    assert list(archive.incoming.iterdir()) == []


def test_sweep_spares_what_another_receiver_is_writing(archive: Archive) -> None:
    old, new = _receive(archive, b"x", "old.part"), _receive(archive, b"x", "new.part")
    os.utime(old, (0, 0))
    assert archive.sweep_incoming() == 1
    assert [old.exists(), new.exists()] == [False, True]
    assert archive.sweep_incoming(older_than_s=0) == 1


def test_watermarks(archive: Archive) -> None:
    free = archive.free_bytes()
    assert free > 0
    archive.require_space(0, 0.0)
    archive.require_space(free // 2, 0.0)
    with pytest.raises(StorageFull, match="GB"):
        archive.require_space(free * 2, 0.0)
    with pytest.raises(StorageFull):
        archive.require_space(0, 1.0)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EROFS, ResourceError),
        (errno.EIO, ResourceError),
    ],
)
@pytest.mark.parametrize("act", ["keep", "write"])
def test_what_the_disk_refuses_is_retryable_and_loses_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, number: int, error: type[ResourceError], act: str
) -> None:
    source = _receive(archive, b"x")

    def refuse(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    acts: dict[str, Callable[[], object]] = {
        "keep": lambda: archive.keep(source, NAME),
        "write": lambda: archive.write(NAME, b"x"),
    }
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(error) as caught:
        acts[act]()
    assert type(caught.value) is error
    assert caught.value.retryable
    assert _files(archive) == [source]


def test_an_archive_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "share")
    source = tmp_path / "a.dcm"
    source.write_bytes(b"x")
    for act in (
        lambda: archive.keep(source, NAME),
        lambda: archive.write(NAME, b"x"),
        lambda: archive.require_space(0, 0.0),
        lambda: archive.sweep_incoming(),
        archive.free_bytes,
    ):
        with pytest.raises(ResourceError, match=r"archive\.path"):
            act()
    assert not archive.root.exists()
    assert source.exists()


def test_an_archive_that_is_a_file_is_said_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"")
    with pytest.raises(ResourceError, match=r"archive\.path"):
        Archive(tmp_path / "archive").prepare()


def test_names_do_not_meet() -> None:
    names = {
        Archive.relative_path("1.2", "1.2.3", 1),
        Archive.relative_path("1.2", "1.2.3", 2),
        Archive.relative_path("1.2", "1.2.3", "0123456789abcdef"),
        Archive.relative_path("1.2", "1.2.3.1", 1),
        Archive.relative_path("1.2.3", "1.2.3", 1),
        *(Archive.derived_path("1.2", kind, "1.2.3") for kind in ("sr", "pdf", "overlay")),
    }
    assert len(names) == 8


@pytest.mark.parametrize(
    "uid", ["", "..", "1..2", ".1", "1.", "1/2", "../1", "1.2\n", "1.a", "١.2", "1" * 65, "1.2 "]
)
def test_what_is_no_uid_makes_no_name(uid: str) -> None:
    for make in (
        lambda: Archive.relative_path(uid, "1.2", 1),
        lambda: Archive.relative_path("1.2", uid, 1),
        lambda: Archive.derived_path(uid, "sr", "1.2"),
        lambda: Archive.derived_path("1.2", "sr", uid),
    ):
        with pytest.raises(ValueError, match="not a UID"):
            make()


@pytest.mark.parametrize("version", ["../1", "", "1/2", "sr", -1])
def test_what_is_no_version_makes_no_name(version: str | int) -> None:
    with pytest.raises(ValueError, match="not a version"):
        Archive.relative_path("1.2", "1.2", version)


@given(st.text(alphabet=st.sampled_from("ab./\\:\x00 ~%"), max_size=20) | st.text(max_size=20))
@example("/etc/passwd")
@example("a/../../b")
@example("..")
@example("a//b")
@example("C:\\x")
@example("C:x")
def test_no_name_leads_out_of_the_archive(name: str) -> None:
    root = Path("/data/archive")
    try:
        path = Archive(root).path(name)
    except ValueError:
        return
    assert Path(os.path.normpath(path)).is_relative_to(root)
    assert os.path.normpath(path) == str(path)
    assert path != root
    assert path == root / name
