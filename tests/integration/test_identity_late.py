"""A late sending first asks the PACS whose study it is by now; what was merged or deleted there is held."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from tbsnode.dicom import acquisition
from tests import nodes, peers
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow]
SMALL = acquisition.Options(small=True, anatomy_seed=7)


@dataclass
class House:
    """A node beside an Orthanc that gets the scanner's images too."""

    node: nodes.Node
    ledger: Ledger
    orthanc: peers.Orthanc
    work: Path

    def study(self, patient_id: str, name: str = "Doe^Jane") -> str:
        """Let the scanner send a study to both, and wait for its results."""
        patient = acquisition.PatientTags(patient_id=patient_id, name=name)
        unicode = replace(SMALL, attributes=(("SpecificCharacterSet", "ISO_IR 192"),))
        made = acquisition.study("display", patient=patient, seed=7, study_date="20261101", options=unicode)
        (path,) = nodes.write(self.work / "sent", made, patient_id)
        self.orthanc.store(path.read_bytes())
        nodes.send(self.node.port, [path])
        uid = str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)
        self.ledger.settle(uid)
        return uid

    def age(self, uid: str, hours: float) -> None:
        """Make a study look as if it had been received long ago."""
        with closing(sqlite3.connect(self.node.folder / "state" / "tbsnode.db", timeout=30)) as database:
            sql = """UPDATE tbs_instance SET received_at = received_at - ? WHERE study_ref =
                     (SELECT id FROM tbs_study WHERE study_instance_uid = ?)"""
            assert database.execute(sql, (hours * 3600.0, uid)).rowcount == 1
            database.commit()

    def at_orthanc(self, uid: str) -> str:
        """Return Orthanc's own name of a study."""
        (found,) = self.orthanc.json(
            "/tools/find", "POST", {"Level": "Study", "Query": {"StudyInstanceUID": uid}}
        )
        return str(found)

    def merge(self, uid: str, patient_id: str) -> None:
        """Give the study to another patient at Orthanc, as a merge does: equal UIDs, other Patient ID."""
        held = [dcmread(BytesIO(self.orthanc.fetch(each))) for each in self.orthanc.sop_instance_uids()]
        self.orthanc.request(f"/studies/{self.at_orthanc(uid)}", "DELETE")
        for ds in held:
            if ds.StudyInstanceUID == uid:
                ds.PatientID = patient_id
                buffer = BytesIO()
                ds.save_as(buffer)
                self.orthanc.store(buffer.getvalue())

    def resend(self, uid: str) -> dict[str, object]:
        """Resend the results and return the delivery that came of it."""
        self.node.cli("study", "resend", uid)
        self.ledger.settle(uid)
        return self.ledger.deliveries(uid)[-1]


@pytest.fixture(scope="module")
def house(orthanc_server: peers.Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("late")
    orthanc_server.clear()
    destinations = [nodes.Destination("pacs", orthanc_server.ae_title, orthanc_server.port)]
    node = nodes.Node(work / "node", peers.free_port(), destinations)
    with nodes.serving(node):
        yield House(node, Ledger(node), orthanc_server, work)
        assert node.stop() == 0
        assert "Traceback" not in node.log.read_text()


def test_a_study_merged_to_another_patient_is_held(house: House) -> None:
    uid = house.study("LATE-1")
    house.merge(uid, "MERGED-1")
    house.age(uid, 2)
    row = house.resend(uid)
    assert (row["state"], row["reason"]) == ("held", "IDENTITY_CHANGED")
    assert "Patient ID" in str(row["last_error"])
    assert "LATE-1" not in str(row["last_error"])
    assert "MERGED-1" not in str(row["last_error"])
    held = house.node.json("queue", "list", "--state", "held")
    assert f"delivery/{row['id']}" in [each["id"] for each in held]


def test_a_study_that_is_gone_is_held(house: House) -> None:
    uid = house.study("LATE-2")
    house.orthanc.request(f"/studies/{house.at_orthanc(uid)}", "DELETE")
    house.age(uid, 2)
    row = house.resend(uid)
    assert (row["state"], row["reason"]) == ("held", "IDENTITY_CHANGED")


def test_an_unchanged_study_is_sent_however_late(house: House) -> None:
    uid = house.study("LATE-3", "Müller^Jürgen")
    house.age(uid, 100)
    assert house.resend(uid)["state"] == "sent"


@pytest.mark.parametrize(("patient_id", "name"), [("LATE-5", "Żółć^Łukasz"), ("LATE-6", "Иванов^Иван")])
def test_an_archive_that_answers_in_latin_1_holds_up_no_other_name(
    house: House, patient_id: str, name: str
) -> None:
    """Orthanc does, whatever character set is asked in, and leaves out the letters it cannot write."""
    uid = house.study(patient_id, name)
    house.age(uid, 100)
    assert house.resend(uid)["state"] == "sent"


def test_within_the_hour_nobody_is_asked(house: House) -> None:
    uid = house.study("LATE-4")
    house.orthanc.request(f"/studies/{house.at_orthanc(uid)}", "DELETE")
    assert house.resend(uid)["state"] == "sent"
