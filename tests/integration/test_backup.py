"""Backup while the node is in use, restore into an empty place, and proof of every file."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import dcmread
from typer.testing import CliRunner

from tbsnode import config as configuration
from tbsnode import node as wiring
from tbsnode.cli import app
from tbsnode.dicom import acquisition
from tbsnode.errors import ConfigError, ResourceError
from tbsnode.model import DerivedKind
from tbsnode.pipeline import backup as backups
from tbsnode.pipeline import mounted, operate
from tbsnode.store import snapshot, work
from tbsnode.store.database import REVISION_TABLE, Database
from tests import nodes, peers, schemas

SMALL = acquisition.Options(small=True)
OLDER = "0006"  # a schema before this version's
WHOLE = "Every file is what its row says.\n"
Made = Callable[..., nodes.Node]


def instances(count: int) -> list[bytes]:
    return [
        part10
        for number in range(count)
        for part10 in acquisition.study(
            "hip", patient=acquisition.PatientTags(patient_id=f"B-{number}"), seed=number, options=SMALL
        )
    ]


def written(folder: Path, **settings: Any) -> nodes.Node:
    """Write the configuration of a node without tables."""
    node = nodes.Node(folder, peers.free_port(), **settings)
    node.write()
    return node


def bring(node: nodes.Node, paths: list[Path]) -> None:
    with wiring.open_site(configuration.load(node.config)) as site:
        for path in paths:
            operate.import_file(site, path)


def backed_up(node: nodes.Node, folder: Path) -> backups.Backup:
    with wiring.open_site(configuration.load(node.config)) as site:
        return backups.backup(site, folder, track=iter)


def faults(node: nodes.Node) -> dict[str, str]:
    with wiring.open_site(configuration.load(node.config)) as site:
        return {fault.path: fault.what for fault in backups.verify(site, track=iter)}


def command(node: nodes.Node, *words: str | Path) -> Any:
    return CliRunner().invoke(app, [*map(str, words), "--config", str(node.config)])


def uids(node: nodes.Node) -> list[str]:
    listed = command(node, "study", "list", "--json")
    return sorted(row["study_instance_uid"] for row in json.loads(listed.stdout))


@pytest.fixture
def node(tmp_path: Path) -> nodes.Node:
    """A node on SQLite with three studies."""
    made = written(tmp_path / "node")
    schemas.fill_sqlite(made.folder / "state" / "tbsnode.db", engine=True)
    bring(made, nodes.write(tmp_path / "in", instances(3)))
    return made


def test_a_backup_is_restored_into_an_empty_place(tmp_path: Path, node: nodes.Node) -> None:
    said = command(node, "db", "backup", tmp_path / "backup").stdout
    assert "3 files, 3 of them new" in said
    assert "patient data" in said
    # the second one copies what is new only
    bring(node, nodes.write(tmp_path / "in", instances(4)))
    assert (backed_up(node, tmp_path / "backup").files, backed_up(node, tmp_path / "backup").copied) == (4, 0)
    assert command(node, "db", "verify", tmp_path / "backup").stdout == WHOLE

    other = written(tmp_path / "other")
    restored = command(other, "db", "restore", tmp_path / "backup")
    assert "4 files" in restored.stdout
    assert uids(other) == uids(node)
    assert command(other, "db", "verify").stdout == WHOLE
    # and it works on
    bring(other, nodes.write(tmp_path / "more", instances(5)))
    assert len(uids(other)) == 5
    # never over what is there
    refused = command(other, "db", "restore", tmp_path / "backup")
    assert (refused.exit_code, "empty place" in refused.stderr) == (10, True)


def test_what_was_deleted_on_purpose_leaves_the_backup_too(tmp_path: Path, node: nodes.Node) -> None:
    """A restore would bring a purged patient's files back, where no row names them."""
    folder = tmp_path / "backup"
    backed_up(node, folder)
    purged, emptied, again = uids(node)
    command(node, "study", "purge", purged, "--yes", "--force")
    command(node, "study", "delete", emptied, "--discard")
    command(node, "study", "purge", again, "--yes", "--force")
    bring(node, [path for path in (tmp_path / "in").iterdir() if dcmread(path).StudyInstanceUID == again])
    assert backed_up(node, folder).files == 1
    assert [path.parent.name for path in (folder / "archive").rglob("*.dcm")] == [again]
    assert command(node, "db", "verify", folder).stdout == WHOLE


def test_a_file_whose_row_was_lost_is_taken_in_from_the_archive(tmp_path: Path, node: nodes.Node) -> None:
    """A standby that was a second behind takes over: what was answered with success has no row any more."""
    lost = uids(node)[0]
    (name,) = archive_of(node).rglob(f"{lost}/*.dcm")
    part10 = name.read_bytes()
    command(node, "study", "purge", lost, "--yes", "--force")
    name.parent.mkdir(exist_ok=True)
    name.write_bytes(part10)
    said = command(node, "study", "import", archive_of(node) / "studies").stdout
    assert "3 files: 2 duplicate, 1 stored" in said
    assert lost in uids(node)
    assert len(list(archive_of(node).rglob("*.dcm"))) == 3
    assert command(node, "db", "verify").stdout == WHOLE


@pytest.mark.peer
def test_a_backup_that_breaks_off_leaves_the_one_before(tmp_path: Path, node: nodes.Node) -> None:
    """The disk that fails in the night is the one that is backed up."""
    folder, before = tmp_path / "backup", uids(node)
    made = backed_up(node, folder)
    purged = before[0]
    command(node, "study", "purge", purged, "--yes", "--force")
    bring(node, nodes.write(tmp_path / "in", instances(4)[3:]))
    (new,) = set(uids(node)) - set(before)
    (image,) = archive_of(node).rglob(f"{new}/*.dcm")
    in_its_way = folder / "archive" / image.relative_to(archive_of(node)).with_name(f"{image.name}.part")
    in_its_way.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        backed_up(node, folder)
    assert list(backups.verify_backup(folder, track=iter)) == []
    other = written(tmp_path / "other")
    assert command(other, "db", "restore", folder).exit_code == 0
    assert uids(other) == before
    # the next one that ends takes its place, and leaves nothing of a purged patient
    in_its_way.rmdir()
    again = backed_up(node, folder)
    assert [path.name for path in folder.glob("database*.*")] == [again.database] != [made.database]
    assert not list((folder / "archive").rglob(f"{purged}/*"))
    assert list(backups.verify_backup(folder, track=iter)) == []


def test_postgresql_is_backed_up_and_restored(tmp_path: Path, postgres: peers.Postgres) -> None:
    node = written(tmp_path / "node", database_url=schemas.fresh_postgresql(postgres, engine=True))
    bring(node, nodes.write(tmp_path / "in", instances(2)))
    backed_up(node, tmp_path / "backup")
    other = written(tmp_path / "other", database_url=postgres.fresh_database())
    assert command(other, "db", "restore", tmp_path / "backup").exit_code == 0
    assert uids(other) == uids(node)
    assert faults(other) == {}
    refused = command(other, "db", "restore", tmp_path / "backup")
    assert (refused.exit_code, "tables already" in refused.stderr) == (10, True)


def test_verify_names_what_is_missing_and_what_was_changed(tmp_path: Path, node: nodes.Node) -> None:
    with wiring.open_site(configuration.load(node.config)) as site:
        relative = site.archive.derived_path("1.2", DerivedKind.SR.value, "1.2.3")
        orphan = site.archive.write(relative, b"no row vouches for this one")
    files = sorted(p for p in (node.folder / node.archive / "studies").rglob("*.dcm") if p != orphan)
    files[0].unlink()
    data = bytearray(files[1].read_bytes())
    data[-1] ^= 1  # one bit of a pixel
    files[1].write_bytes(data)
    with files[2].open("ab") as file:
        file.write(b"\0\0")
    names = [path.relative_to(node.folder / node.archive).as_posix() for path in files]
    wrong = {names[0]: "missing", names[1]: "other content", names[2]: "other size"}
    assert faults(node) == wrong
    found = command(node, "db", "verify", "--json")
    assert found.exit_code == 1
    assert {one["path"]: one["what"] for one in json.loads(found.stdout)["faults"]} == wrong


def test_a_lost_file_is_told_and_all_others_are_backed_up(tmp_path: Path, node: nodes.Node) -> None:
    folder = tmp_path / "backup"
    backed_up(node, folder)
    bring(node, nodes.write(tmp_path / "in", instances(5)[3:]))
    first, *_, unread, lost = sorted(
        archive_of(node).rglob("*.dcm"), key=lambda path: path.stat().st_mtime_ns
    )
    first.unlink()  # the earlier backup has it
    lost.unlink()
    unread.unlink()
    unread.mkdir()  # a sector that cannot be read, as far as this process is concerned
    gone = {path.relative_to(archive_of(node)).as_posix() for path in (unread, lost)}
    said = command(node, "db", "backup", folder)
    assert said.exit_code == 1
    assert all(f"{path} is missing or unreadable" in said.stderr for path in gone)
    assert "2 files of the archive could not be read" in said.stderr
    made = backups.read_manifest(folder)
    assert (made.files, made.missing, set(made.first_missing)) == (3, 2, gone)
    assert {fault.path for fault in backups.verify_backup(folder, track=iter)} == gone
    assert not list(folder.rglob("*.part"))
    (folder / "archive" / "studies" / "1.dcm.part").write_bytes(b"of a backup that was killed")
    other = written(tmp_path / "other")
    assert "2 files had been lost before the backup" in command(other, "db", "restore", folder).stdout
    assert set(faults(other)) == gone
    assert not list(archive_of(other).rglob("*.part"))
    assert uids(other) == uids(node)


def test_an_archive_that_is_not_mounted_is_not_backed_up(tmp_path: Path, node: nodes.Node) -> None:
    with wiring.open_site(configuration.load(node.config)) as site:
        mounted.mark(site)
    backed_up(node, tmp_path / "backup")
    before = (tmp_path / "backup" / "manifest.json").read_bytes()
    archive_of(node).rename(tmp_path / "elsewhere")
    archive_of(node).mkdir()
    with pytest.raises(ResourceError, match="none of the newest"):
        backed_up(node, tmp_path / "backup")
    assert (tmp_path / "backup" / "manifest.json").read_bytes() == before


def test_a_changed_copy_is_found_and_not_restored(tmp_path: Path, node: nodes.Node) -> None:
    made = backed_up(node, tmp_path / "backup")
    with (tmp_path / "backup" / made.database).open("ab") as file:
        file.write(b"\0")
    (fault,) = backups.verify_backup(tmp_path / "backup", track=iter)
    assert (fault.path, fault.what) == (made.database, "other content")
    refused = command(written(tmp_path / "other"), "db", "restore", tmp_path / "backup")
    assert (refused.exit_code, "earlier backup" in refused.stderr) == (2, True)
    assert not (tmp_path / "other" / "state" / "tbsnode.db").exists()


def test_a_copy_of_the_other_kind_of_database_is_refused(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(ConfigError, match="no copy of this kind of database"):
        snapshot.put_back(database, tmp_path / "database.dump")
    assert not list(tmp_path.iterdir())


def test_nobody_else_can_read_archive_and_backup(tmp_path: Path, node: nodes.Node) -> None:
    there = tmp_path / "backups"
    there.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        backed_up(node, there / "new")
        made = backed_up(node, there)
    finally:
        os.umask(before)
    for private in (
        there / "new",
        there / "archive",
        there / made.database,
        node.folder / "state/archive",
    ):
        assert private.stat().st_mode & 0o007 == 0, private


def test_a_backup_inside_the_archive_is_refused(node: nodes.Node) -> None:
    with pytest.raises(ConfigError, match="inside the archive"):
        backed_up(node, node.folder / node.archive / "backup")


def test_a_backup_during_reception_is_whole(tmp_path: Path, node: nodes.Node) -> None:
    """Instances come in while it is made: every row of the copy has its file."""
    paths = nodes.write(tmp_path / "more", instances(40))
    sender = threading.Thread(target=bring, args=(node, paths))
    sender.start()
    counts = []
    while sender.is_alive():
        counts.append(backed_up(node, tmp_path / "backup").files)
        assert list(backups.verify_backup(tmp_path / "backup", track=iter)) == []
    sender.join()
    assert len(counts) >= 2
    assert counts == sorted(counts)


# ---- another kind of database -------------------------------------------------------------------


@pytest.mark.peer
def test_a_node_moves_to_postgresql_and_back(
    tmp_path: Path, node: nodes.Node, postgres: peers.Postgres
) -> None:
    before = uids(node)
    moved = written(tmp_path / "moved", database_url=postgres.fresh_database(), archive=str(archive_of(node)))
    said = command(node, "db", "move", moved.database_url)
    assert said.exit_code == 0, said.stderr
    assert "tbs_study: 3" in said.stderr
    assert uids(moved) == before
    assert faults(moved) == {}
    # its backup goes on in the same folder, and leaves no second copy of all patients behind
    kept = tmp_path / "kept"
    for each, kind in ((node, ".sqlite"), (moved, ".dump")):
        assert command(each, "db", "backup", str(kept)).exit_code == 0
        assert [path.suffix for path in kept.glob("database*.*")] == [kind]
    # new rows get numbers after the old ones
    bring(moved, nodes.write(tmp_path / "more", instances(4)))
    assert len(uids(moved)) == 4
    again = command(node, "db", "move", moved.database_url)
    assert (again.exit_code, "The target has rows in tbs_" in again.stderr) == (10, True)

    back = written(tmp_path / "back", archive=str(archive_of(node)))
    assert command(moved, "db", "move", f"sqlite:///{back.folder}/state/tbsnode.db").exit_code == 0
    assert uids(back) == uids(moved)
    assert faults(back) == {}


def archive_of(node: nodes.Node) -> Path:
    return node.folder / node.archive


def test_a_running_node_is_not_moved(tmp_path: Path, node: nodes.Node) -> None:
    with wiring.hold_slot(node.folder / "state", "receive", 0):
        refused = command(node, "db", "move", f"sqlite:///{tmp_path}/other.db")
    assert (refused.exit_code, "node is running" in refused.stderr) == (10, True)


@pytest.fixture
def older(tmp_path: Path) -> Iterator[tuple[nodes.Node, Database]]:
    """A node on SQLite whose tables are of an earlier version."""
    node = written(tmp_path / "node")
    database = Database(f"sqlite:///{node.folder}/state/tbsnode.db")
    database.upgrade(OLDER)
    yield node, database
    database.dispose()


@pytest.mark.parametrize("role", ["receive", "analyze", "deliver", "http"])
def test_a_database_is_not_upgraded_under_a_running_node(
    older: tuple[nodes.Node, Database], role: str
) -> None:
    """It would go on with a schema that it does not know; a restart of one that is current is no upgrade."""
    node, database = older
    with wiring.hold_slot(node.folder / "state", role, 0):
        refused = command(node, "db", "upgrade")
        assert (refused.exit_code, "node is running" in refused.stderr) == (10, True)
        assert database.current_revision() == OLDER
    assert "upgraded" in command(node, "db", "upgrade").stdout
    with wiring.hold_slot(node.folder / "state", role, 0):
        assert "nothing to do" in command(node, "db", "upgrade").stdout


def test_a_database_is_not_upgraded_under_workers_of_another_machine(
    older: tuple[nodes.Node, Database],
) -> None:
    node, database = older
    with database.transaction() as tx:
        work.renew_lease(tx, "elsewhere/analyze-1", ttl_s=60)
        work.renew_lease(tx, "elsewhere/deliver-0", ttl_s=-1)
    refused = command(node, "db", "upgrade")
    assert (refused.exit_code, "works with this database: analyze-1." in refused.stderr) == (10, True)
    assert "on every machine" in refused.stderr
    with database.transaction() as tx:
        work.end_lease(tx, ["elsewhere/analyze-1"])
    assert "upgraded" in command(node, "db", "upgrade").stdout


def test_a_backup_of_an_older_schema_is_restored_though_its_node_ran(
    tmp_path: Path, node: nodes.Node
) -> None:
    made = backed_up(node, tmp_path / "backup")
    manifest = tmp_path / "backup" / backups.MANIFEST
    file = (tmp_path / "backup" / made.database).rename(tmp_path / "backup" / "database.sqlite")  # as it was
    copied = Database(f"sqlite:///{file}")
    with copied.transaction() as tx:
        work.renew_lease(tx, "node/analyze-0", ttl_s=60)
        for name in (
            *("study_state_reason", "study_patient_ref", "analysis_status_reason_reported"),
            *("delivery_state_destination_updated_at", "commitment_state", "commitment_request_state"),
        ):
            tx.execute(sa.text(f"DROP INDEX ix_tbs_{name}"))
        tx.execute(sa.text("CREATE INDEX ix_tbs_study_state ON tbs_study (state)"))
        tx.execute(sa.text("CREATE INDEX ix_tbs_delivery_state ON tbs_delivery (state)"))
        tx.execute(sa.text("DROP TABLE tbs_refusal_pause"))
        tx.execute(sa.text("DROP TABLE tbs_quarantine"))
        tx.execute(sa.text("DROP TABLE tbs_identity_change"))
        tx.execute(sa.text(f"UPDATE {REVISION_TABLE} SET version_num = '{OLDER}'"))
    copied.dispose()
    noted = json.loads(manifest.read_text())
    manifest.write_text(
        json.dumps(
            noted | {"database": file.name, "database_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        )
    )
    restored = written(tmp_path / "restored")
    said = command(restored, "db", "restore", tmp_path / "backup")
    assert said.exit_code == 0, said.stderr
    assert uids(restored) == uids(node)
    # and the next backup into that folder takes the old copy's place
    again = backed_up(node, tmp_path / "backup")
    assert [path.name for path in (tmp_path / "backup").glob("database*.*")] == [again.database]


def test_a_backup_is_never_replaced_by_that_of_another_database(tmp_path: Path, node: nodes.Node) -> None:
    """A lost disk, an empty database in its place, and the nightly backup into the usual folder."""
    folder = tmp_path / "backup"
    backed_up(node, folder)
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for count in (0, 1):  # an empty one, and one that works again
        other = written(tmp_path / f"new-{count}")
        schemas.fill_sqlite(other.folder / "state" / "tbsnode.db", engine=True)
        bring(other, nodes.write(tmp_path / "again", instances(count)))
        said = command(other, "db", "backup", folder)
        assert (said.exit_code, "holds the backup of another database" in said.stderr) == (10, True)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == kept
    # what was restored from it is the same database, and so is one that was moved
    restored = written(tmp_path / "restored")
    assert command(restored, "db", "restore", folder).exit_code == 0
    assert command(restored, "db", "backup", folder).exit_code == 0
    # and a backup of before there was such a mark is gone on with
    (folder / "database-id").unlink()
    assert command(node, "db", "backup", folder).exit_code == 0
    assert (folder / "database-id").exists()
