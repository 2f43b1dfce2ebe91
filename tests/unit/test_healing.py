"""A lost or damaged file of the archive is put back by a sender that sends it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbsnode.pipeline import backup, operate
from tbsnode.pipeline.site import Site
from tbsnode.store import audit


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
