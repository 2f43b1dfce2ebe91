"""After a downtime: what the PACS has and never came here, what we made and the PACS lost: listed, closed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tbsnode.dicom import acquisition
from tests import nodes, peers
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow]
DAY = "20261101"
RANGE = ("--since", "2026-11-01", "--until", "2026-11-02")


@dataclass
class House:
    """A node beside an Orthanc that gets the scanner's images too, and moves what it is asked for."""

    node: nodes.Node
    ledger: Ledger
    orthanc: peers.Orthanc
    folder: Path

    def picture(self, patient_id: str) -> Path:
        """Write a patient's study."""
        patient = acquisition.PatientTags(patient_id=patient_id, name="Doe^Jane")
        options = acquisition.Options(small=True, anatomy_seed=7)
        made = acquisition.study(
            "display", patient=patient, seed=7, study_date=DAY, study_key=patient_id, options=options
        )
        return nodes.write(self.folder, made, patient_id)[0]

    def compared(self, *options: str) -> dict[str, Any]:
        """Compare, and return what that came to; the exit code says whether it is closed."""
        done = self.node.cli("study", "reconcile", *RANGE, *options, "--json", ok=False)
        found: dict[str, Any] = json.loads(done.stdout)
        rows = found["missing"] + found["lacking"]
        assert done.returncode == (0 if all(row["done"] for row in rows) else 1), done.stderr
        return found

    def made_at_pacs(self, uid: str) -> dict[str, str]:
        """Return modality by SOP Instance UID of what Orthanc has of our documents."""
        read = [dcmread(BytesIO(self.orthanc.fetch(each))) for each in self.orthanc.sop_instance_uids()]
        return {
            ds.SOPInstanceUID: ds.Modality
            for ds in read
            if ds.StudyInstanceUID == uid and ds.get("ManufacturerModelName") == "tbsnode"
        }


@pytest.fixture(scope="module")
def house(orthanc_server: peers.Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("reconcile")
    orthanc_server.clear()
    destination = nodes.Destination("pacs", orthanc_server.ae_title, orthanc_server.port)
    node = nodes.Node(work / "node", orthanc_server.node_port, [destination])
    with nodes.serving(node):
        yield House(node, Ledger(node), orthanc_server, work / "sent")
        assert node.stop() == 0
        assert "Traceback" not in node.log.read_text()


def uid_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)


def test_a_downtime_is_listed_and_closed(house: House) -> None:
    both = house.picture("BOTH-1")
    house.orthanc.store(both.read_bytes())
    nodes.send(house.node.port, [both])
    here = uid_of(both)
    house.ledger.settle(here)
    assert len(house.made_at_pacs(here)) == 2

    first = house.compared()
    assert (first["missing"], first["lacking"], first["compared"]) == ([], [], 1)

    # we were away: the scanner's study is at the PACS alone
    away = house.picture("AWAY-1")
    house.orthanc.store(away.read_bytes())
    # the PACS came back from a backup: our report is gone
    (report,) = [each for each, modality in house.made_at_pacs(here).items() if modality == "SR"]
    found = house.orthanc.request("/tools/lookup", "POST", report.encode())
    (orthanc_id,) = [each["ID"] for each in json.loads(found) if each["Type"] == "Instance"]
    house.orthanc.request(f"/instances/{orthanc_id}", "DELETE")

    gap = house.compared()
    assert [row["study_instance_uid"] for row in gap["missing"]] == [uid_of(away)]
    assert [(row["study_instance_uid"], row["why"]) for row in gap["lacking"]] == [
        (here, "sent, and not there")
    ]
    said = house.node.cli("study", "reconcile", *RANGE, ok=False).stdout
    assert "--fetch" in said
    assert "--send" in said
    assert "AWAY" not in said + str(gap)

    closed = house.compared("--send", "--fetch")
    assert [row["done"] for row in closed["missing"] + closed["lacking"]] == ["fetched", "queued"]
    house.ledger.settle(here)
    house.ledger.settle(uid_of(away))
    assert sorted(house.made_at_pacs(here).values()) == ["DOC", "SR"]
    assert sorted(house.made_at_pacs(uid_of(away)).values()) == ["DOC", "SR"], "analyzed and reported"
    last = house.compared()
    assert (last["missing"], last["lacking"], last["compared"]) == ([], [], 2)


def test_other_modalities_and_other_scanners_are_no_gap(house: House) -> None:
    stranger = dcmread(house.picture("STRANGER-1"))
    stranger.StationName = "CHESTROOM"
    picture = dcmread(house.picture("STRANGER-2"))
    picture.Modality = "CT"
    for ds in (stranger, picture):
        buffer = BytesIO()
        ds.save_as(buffer)
        house.orthanc.store(buffer.getvalue())
    found = house.compared()
    assert (found["missing"], found["strangers"]) == ([], {"CHESTROOM": 1}), "it may be a new scanner"
    assert "CHESTROOM (1)" in house.node.cli("study", "reconcile", *RANGE).stdout
    wanted = house.compared("--modality", "CT")["missing"]
    assert [row["modalities"] for row in wanted] == [["CT"]]


def test_years_are_compared_and_no_day_is_a_mistake(house: House) -> None:
    """After a year without the node more than 400 days were refused as a fault of the configuration."""
    done = house.node.cli(
        "study", "reconcile", "--since", "2024-06-01", "--modality", "CT", "--json", ok=False
    )
    assert done.returncode == 1, done.stderr
    assert [row["modalities"] for row in json.loads(done.stdout)["missing"]] == [["CT"]]
    done = house.node.cli("study", "reconcile", "--since", "2026-11-02", "--until", "2026-11-01", ok=False)
    assert done.returncode == 2
    assert "No day lies between 2026-11-02 and 2026-11-01" in done.stderr
