"""A sender that uses one SOP Instance UID for ever other content is stopped before it slows the node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from tbsnode.errors import StorageFull, TooManyVersions
from tbsnode.net import status
from tbsnode.pipeline import intake, operate
from tbsnode.pipeline.site import Site
from tbsnode.store import audit, catalogue, schema


def version(image: Path, number: int) -> Path:
    """Return the same UID with another header."""
    ds = pydicom.dcmread(image)
    ds.StudyDescription = f"Version {number}"
    path = image.with_name(f"{number}.dcm")
    ds.save_as(path)
    return path


def kept(site: Site) -> int:
    return len(list((site.archive.root / "studies").rglob("*.dcm")))


def test_one_more_version_than_the_limit_is_refused_and_leaves_nothing(
    site: Site, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_VERSIONS", 3)
    versions = [version(image, number) for number in range(4)]
    outcomes = [operate.import_file(site, path) for path in versions[:3]]
    assert outcomes == ["stored", "corrected", "corrected"]
    with pytest.raises(TooManyVersions, match="3 different versions") as refused:
        operate.import_file(site, versions[3])
    assert status.status_of(refused.value) == (
        0xC000,
        "One UID for too many different instances: SOPInstanceUID",
    )
    assert (kept(site), list(site.archive.incoming.rglob("*.*"))) == (3, [])


def test_a_corrected_header_takes_its_study_along_and_only_another_identity_is_told(
    site: Site, image: Path
) -> None:
    ds = pydicom.dcmread(image)
    uid, ds.AccessionNumber = str(ds.StudyInstanceUID), "A-1"
    ds.save_as(image)
    operate.import_file(site, image)
    ds.AccessionNumber = "A-2"
    ds.save_as(image)
    assert operate.import_file(site, image) == "corrected"
    with site.database.read() as tx:
        study = catalogue.study_by_uid(tx, uid)
        assert study is not None
        assert study.accession_number == "A-2"
        assert "identity.changed" not in [each.action for each in audit.events_of_study(tx, uid)]
    ds.PatientName = "Other^Name"
    ds.save_as(image)
    assert operate.import_file(site, image) == "corrected"
    with site.database.read() as tx:
        (told,) = [each for each in audit.events_of_study(tx, uid) if each.action == "identity.changed"]
    assert told.data["changed"] == ["name"]
    assert "Other" not in f"{told.text} {told.data}"


def test_where_the_disk_is_nearly_full_nothing_is_taken(site: Site, image: Path) -> None:
    full = replace(site, policy=replace(site.policy, min_free_bytes=1 << 60))
    with pytest.raises(StorageFull):
        operate.import_file(full, image)
    assert kept(site) == 0
    assert operate.import_file(site, image) == "stored"
    with site.database.read() as tx:
        assert tx.all(schema.association.select()) == [], "a file comes in no association"


def test_what_is_kept_already_is_taken_again_at_the_limit(
    site: Site, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_VERSIONS", 2)
    first, second = version(image, 1), version(image, 2)
    operate.import_file(site, first)
    operate.import_file(site, second)
    assert operate.import_file(site, second) == "duplicate"
    assert operate.import_file(site, first) == "restored"
