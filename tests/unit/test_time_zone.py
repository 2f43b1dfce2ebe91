"""The times of our documents stand beside those of the scanner: both are of the place, not of Greenwich."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from tbsnode.dicom import acquisition
from tests import desk, nodes

ATTRIBUTES = ("ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime")


@pytest.fixture(params=["Asia/Tokyo", "America/St_Johns", "UTC"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """This machine's time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("offset", [None, "+0930"])
def test_a_document_is_as_old_as_the_clock_on_the_wall_says(
    tmp_path: Path, place: str, offset: str | None
) -> None:
    """Without an offset a report made in Tokyo would be nine hours older than its scan."""
    options = acquisition.Options(
        small=True, anatomy_seed=7, attributes=() if offset is None else (("TimezoneOffsetFromUTC", offset),)
    )
    patient = acquisition.PatientTags(patient_id="P-1", name="Doe^Jane")
    image = acquisition.study("display", patient=patient, seed=7, study_date="20261101", options=options)
    with desk.desk(nodes.Node(tmp_path / "node", 11112)) as node:
        uid = node.take(nodes.write(tmp_path, image))
        study = node.ledger.study(uid)
        made = [dcmread(node.ledger.archived(row["path"])) for row in node.ledger.made(uid)]
    at = datetime.fromtimestamp(study["content_at"], UTC)
    wall = at.astimezone() if offset is None else at.astimezone(datetime.strptime(offset, "%z").tzinfo)
    expected = [f"{wall:%Y%m%d}", f"{wall:%H%M%S}"] * 2
    assert len(made) >= 2, place
    for ds in made:
        assert [ds[keyword].value for keyword in ATTRIBUTES] == expected
