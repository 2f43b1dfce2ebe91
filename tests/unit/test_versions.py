"""A sender that uses one SOP Instance UID for ever other content is stopped before it slows the node."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from tbsnode.errors import TooManyVersions
from tbsnode.net import status
from tbsnode.pipeline import intake, operate
from tbsnode.pipeline.site import Site


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


def test_what_is_kept_already_is_taken_again_at_the_limit(
    site: Site, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_VERSIONS", 2)
    first, second = version(image, 1), version(image, 2)
    operate.import_file(site, first)
    operate.import_file(site, second)
    assert operate.import_file(site, second) == "duplicate"
    assert operate.import_file(site, first) == "restored"
