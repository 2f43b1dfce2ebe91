"""A lost or damaged file of the archive is put back by a sender that sends it again."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from tbsnode import engine
from tbsnode.errors import ConfigError, DamagedFile, ResourceError
from tbsnode.pipeline import backup, mounted, operate
from tbsnode.pipeline.assemble import assemble
from tbsnode.pipeline.site import Site
from tbsnode.store import audit, catalogue, work
from tbsnode.store.database import Database
from tests import schemas


def archived(site: Site) -> Path:
    (path,) = (site.archive.root / "studies").rglob("*.dcm")
    return path


def whole(site: Site) -> bool:
    return not list(backup.verify(site, track=iter))


def healed(site: Site) -> int:
    with site.database.read() as tx:
        return len(audit.recent_events(tx, 10, audit.EventFilter(action="instance.healed")))


def test_a_duplicate_of_a_whole_file_changes_nothing(site: Site, image: Path) -> None:
    assert operate.import_file(site, image) == "stored"
    before = archived(site).stat().st_mtime_ns
    assert operate.import_file(site, image) == "duplicate"
    assert (archived(site).stat().st_mtime_ns, healed(site)) == (before, 0)


def damaged(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
        return
    if damage == "transfer syntax":
        stated = str(dcmread(path).file_meta.TransferSyntaxUID).encode()
        data = data.replace(stated, stated[:-1] + b"9", 1)
    elif damage == "prefix":
        data[:200] = bytes(200)
    else:
        data[-1] ^= 1
    path.write_bytes(data[:-100] if damage == "cut" else data)


DAMAGE = pytest.mark.parametrize("damage", ["missing", "cut", "changed", "transfer syntax", "prefix"])


def test_an_archive_that_is_not_mounted_is_told_from_one_lost_file(site: Site, image: Path) -> None:
    def said() -> str:
        with site.database.read() as tx:
            return str(mounted.objection(tx, site.archive) or "")

    assert said() == "", "a new node"
    operate.import_file(site, image)
    assert said() == ""
    there = site.archive.root / "studies"
    there.rename(there.with_name("elsewhere"))
    assert "none of the newest 1 files" in said()
    assert "Mount the shared folder" in said()


def test_an_archive_is_marked_as_that_of_its_database(
    site: Site, image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    operate.import_file(site, image)
    studies = site.archive.root / "studies"
    studies.rename(tmp_path / "elsewhere")
    assert not mounted.require(site, adopt=False), "of before there were marks: said, and not marked"
    assert "none of the newest 1 files" in caplog.text
    caplog.clear()
    (tmp_path / "elsewhere").rename(studies)
    assert mounted.require(site, adopt=False)
    mounted.mark(site)
    mounted.require(site, adopt=False)
    mark = site.archive.database_id()
    assert re.fullmatch(r"[0-9a-f]{64}", mark)
    # the mark says that the folder is the right one, so what is lost in it stops nobody
    studies.rename(tmp_path / "elsewhere")
    mounted.require(site, adopt=False)
    assert "none of the newest 1 files" in caplog.text
    # below a share that is not mounted there is no mark
    (site.archive.root / "database-id").unlink()
    with pytest.raises(ResourceError, match="none of the newest 1 files"):
        mounted.require(site, adopt=False)
    mounted.require(site, adopt=True)
    # another node's archive is refused, also with a database that is new
    site.archive.mark("0" * 64)
    with pytest.raises(ConfigError, match="of another database") as refused:
        mounted.require(site, adopt=False)
    assert "--adopt-archive" in str(refused.value)
    new = replace(site, database=Database(schemas.fill_sqlite(tmp_path / "new.db")))
    with pytest.raises(ConfigError, match="of another database"):
        mounted.require(new, adopt=False)
    new.database.dispose()
    mounted.mark(site)
    assert site.archive.database_id() == mark


def test_a_study_that_fails_is_in_the_log(site: Site, image: Path, caplog: pytest.LogCaptureFixture) -> None:
    operate.import_file(site, image)
    archived(site).unlink()
    operate.ready(site, str(dcmread(image).StudyInstanceUID))
    with site.database.transaction() as tx:
        (ticket,) = work.take_due(tx, limit=10)
    engine.perform(site, ticket)
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "study/1/1: The archived file" in told.getMessage()
    assert "is missing" in told.getMessage()


@DAMAGE
def test_nothing_is_measured_from_a_damaged_file(site: Site, image: Path, damage: str) -> None:
    """Another number would replace the right one; an unreadable file would be "no AP spine"."""
    operate.import_file(site, image)
    with site.database.read() as tx:
        study = catalogue.study_by_id(tx, 1)
        assert study is not None
        instances = catalogue.instances_of_study(tx, study.id)
    assert assemble(site, study, instances).reason is not None, "a hip, and said to be none of ours"
    path = archived(site)
    damaged(path, damage)
    with pytest.raises(DamagedFile, match=path.name) as caught:
        assemble(site, study, instances)
    assert not caught.value.retryable
    assert "send it again" in str(caught.value)


@DAMAGE
def test_a_lost_or_damaged_file_comes_back(site: Site, image: Path, damage: str) -> None:
    operate.import_file(site, image)
    path = archived(site)
    damaged(path, damage)
    assert not whole(site)
    assert operate.import_file(site, image) == "duplicate"
    assert whole(site)
    assert healed(site) == 1
    assert operate.import_file(site, image) == "duplicate"
    assert healed(site) == 1
