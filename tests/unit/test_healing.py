"""A lost or damaged file of the archive is put back by a sender that sends it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tbsnode import config as configuration
from tbsnode import node as wiring
from tbsnode.dicom import acquisition
from tbsnode.pipeline import backup, operate
from tbsnode.pipeline.site import Site
from tbsnode.store import audit
from tests import nodes, schemas


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    node = nodes.Node(tmp_path / "node", 11197)
    node.write()
    schemas.fill_sqlite(node.folder / "state" / "tbsnode.db")
    with wiring.open_site(configuration.load(node.config)) as opened:
        yield opened


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (part10,) = acquisition.study(
        "hip",
        patient=acquisition.PatientTags(patient_id="H-1"),
        seed=1,
        options=acquisition.Options(small=True),
    )
    return nodes.write(tmp_path / "in", [part10])[0]


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


@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_a_lost_or_damaged_file_comes_back(site: Site, image: Path, damage: str) -> None:
    operate.import_file(site, image)
    path = archived(site)
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        data[-1] ^= 1
        path.write_bytes(data[:-100] if damage == "cut" else data)
    assert not whole(site)
    assert operate.import_file(site, image) == "duplicate"
    assert whole(site)
    assert healed(site) == 1
    assert operate.import_file(site, image) == "duplicate"
    assert healed(site) == 1
