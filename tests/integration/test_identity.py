"""One UID, several contents: resends, corrections, conflicts; and results that name what they replace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from tbsnode.dicom import acquisition
from tests import nodes, peers
from tests.ledger import Ledger

SR = "1.2.840.10008.5.1.4.1.1.88.34"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
EXPLICIT = "1.2.840.10008.1.2.1"

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@dataclass
class House:
    """A node and the archive that it sends to."""

    node: nodes.Node
    ledger: Ledger
    pacs: peers.Storescp
    folder: Path

    def picture(self, patient_id: str, *, name: str = "Doe^Jane", **options: object) -> Path:
        """Write the one image of a patient's study; the same options make the same bytes."""
        chosen = acquisition.Options(small=True, anatomy_seed=7, **options)  # type: ignore[arg-type]
        patient = acquisition.PatientTags(patient_id=patient_id, name=name)
        made = acquisition.study(
            "display",
            patient=patient,
            seed=7,
            study_date="20261101",
            study_key=patient_id,
            options=chosen,
        )
        return nodes.write(self.folder / f"{len(list(self.folder.iterdir()))}", made)[0]

    def received(self, uid: str) -> list[Dataset]:
        """Return what the archive holds of a study."""
        read = [dcmread(path) for path in self.pacs.files()]
        return [ds for ds in read if ds.StudyInstanceUID == uid]


@pytest.fixture(scope="module")
def house(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("identity")
    (work / "sent").mkdir()
    with peers.storescp(work) as pacs:
        destination = nodes.Destination("pacs", pacs.ae_title, pacs.port)
        node = nodes.Node(work / "node", peers.free_port(), [destination], database_url=database_url)
        with nodes.serving(node):
            yield House(node, Ledger(node), pacs, work / "sent")
            assert node.stop() == 0
            assert "Traceback" not in node.log.read_text()


def study_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)


def sent_and_settled(house: House, path: Path, generation: int = 1) -> str:
    """Send one image and wait for what it leads to; return its study."""
    nodes.send(house.node.port, [path])
    house.ledger.settle(study_of(path), generation=generation)
    return study_of(path)


def test_a_corrected_name_makes_a_successor(house: House) -> None:
    uid = sent_and_settled(house, house.picture("NAME-1", name="Deo^Jane"))
    first = {ds.SOPClassUID: ds for ds in house.received(uid)}
    sent_and_settled(house, house.picture("NAME-1", name="Doe^Jane"), generation=2)
    everything = house.received(uid)
    assert len(everything) == 4
    for sop_class in (SR, PDF):
        before = first[sop_class]
        (after,) = [
            ds
            for ds in everything
            if ds.SOPClassUID == sop_class and ds.SOPInstanceUID != before.SOPInstanceUID
        ]
        assert (before.PatientName, after.PatientName) == ("Deo^Jane", "Doe^Jane")
        assert after.SeriesInstanceUID == before.SeriesInstanceUID
        assert predecessors(before) == []
        assert predecessors(after) == [before.SOPInstanceUID]
    assert "identity.changed" in house.ledger.actions(uid)
    assert [row["state"] for row in house.ledger.instances(uid)] == ["superseded", "current"]


def predecessors(ds: Dataset) -> list[str]:
    """Return the SOP Instance UIDs that an object says it replaces."""
    return [
        str(item.ReferencedSOPInstanceUID)
        for study in ds.get("PredecessorDocumentsSequence", [])
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]


def test_a_correction_in_another_character_set_is_one_too(house: House) -> None:
    latin = house.picture("NAME-2", name="Muller^Jurgen")
    uid = sent_and_settled(house, latin)
    sent_and_settled(house, house.picture("NAME-2", name="Müller^Jürgen"), generation=2)
    names = {str(ds.PatientName) for ds in house.received(uid)}
    assert names == {"Muller^Jurgen", "Müller^Jürgen"}


@pytest.mark.parametrize("how", ["same bytes", "another transfer syntax"])
def test_an_equal_resend_makes_nothing(house: House, how: str) -> None:
    patient_id = f"EQUAL-{len(how)}"
    uid = sent_and_settled(house, house.picture(patient_id))
    before = [house.ledger.made(uid), house.ledger.deliveries(uid), house.ledger.instances(uid)]
    other = {"transfer_syntax": EXPLICIT} if how == "another transfer syntax" else {}
    again = house.picture(patient_id, **other)
    nodes.send(house.node.port, [again])
    study = house.ledger.study(uid)
    assert (study["ready_at"], study["generation"]) == (None, 1)
    assert [house.ledger.made(uid), house.ledger.deliveries(uid), house.ledger.instances(uid)] == before


def test_it_was_really_another_transfer_syntax(house: House) -> None:
    usual, other = house.picture("EQUAL-0"), house.picture("EQUAL-0", transfer_syntax=EXPLICIT)
    read = [dcmread(path) for path in (usual, other)]
    assert read[0].file_meta.TransferSyntaxUID != read[1].file_meta.TransferSyntaxUID
    assert read[0].SOPInstanceUID == read[1].SOPInstanceUID


@pytest.mark.parametrize("use", ["first", "latest"])
def test_other_pixels_under_one_uid_are_held_until_someone_decides(house: House, use: str) -> None:
    uid = sent_and_settled(house, house.picture(f"PIXELS-{use}"))
    (before,) = house.ledger.analyses(uid)
    sent_and_settled(house, house.picture(f"PIXELS-{use}", noise=2.0), generation=2)
    study = house.ledger.study(uid)
    assert (study["state"], study["reason"]) == ("held", "INSTANCE_CONFLICT")
    assert len(house.received(uid)) == 2, "nothing of the conflict has left"
    assert "study resolve" in house.node.cli("study", "trace", uid).stdout
    house.node.cli("study", "resolve", uid, "--use", use)
    house.ledger.settle(uid, generation=3)
    first, second = house.ledger.instances(uid)
    assert (first["state"], second["state"]) == {
        "first": ("current", "superseded"),
        "latest": ("superseded", "current"),
    }[use]
    last = house.ledger.analyses(uid)[-1]
    assert (last["score"] == before["score"]) == (use == "first")
    assert len(house.received(uid)) == (2 if use == "first" else 4)


def test_without_a_conflict_there_is_nothing_to_resolve(house: House) -> None:
    uid = sent_and_settled(house, house.picture("PIXELS-0"))
    said = house.node.cli("study", "resolve", uid, "--use", "first", ok=False)
    assert said.returncode != 0
    assert "no conflict" in said.stderr
    assert house.ledger.study(uid)["generation"] == 1


def test_a_conflict_that_is_sent_again_after_its_decision_changes_nothing(house: House) -> None:
    uid = sent_and_settled(house, house.picture("PIXELS-2"))
    other = house.picture("PIXELS-2", noise=2.0)
    sent_and_settled(house, other, generation=2)
    house.node.cli("study", "resolve", uid, "--use", "first")
    house.ledger.settle(uid, generation=3)
    nodes.send(house.node.port, [other])
    study = house.ledger.study(uid)
    assert (study["state"], study["ready_at"], study["generation"]) == ("done", None, 3)


def test_two_patients_in_one_study_are_held(house: House) -> None:
    mine, stranger = house.picture("TWO-A"), house.picture("TWO-A")
    ds = dcmread(stranger)
    ds.PatientID, ds.SOPInstanceUID = "TWO-B", f"{ds.SOPInstanceUID}1"[:64]
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(stranger)
    nodes.send(house.node.port, [mine, stranger])
    study = house.ledger.settle(study_of(mine))
    assert (study["state"], study["reason"]) == ("held", "IDENTITY_CONFLICT")
    assert house.ledger.made(study_of(mine)) == []
    assert house.received(study_of(mine)) == []
    assert "TWO-" not in house.node.cli("study", "trace", study_of(mine)).stdout


def test_going_back_to_an_earlier_header_is_a_correction_too(house: House) -> None:
    """A wrong correction is corrected by sending what was sent first."""
    right = house.picture("BACK-1", name="Doe^Jane")
    uid = sent_and_settled(house, right)
    sent_and_settled(house, house.picture("BACK-1", name="Wrong^Name"), generation=2)
    sent_and_settled(house, right, generation=3)
    last = max(house.ledger.made(uid), key=lambda row: (row["kind"] == "sr", row["id"]))
    assert str(dcmread(house.ledger.archived(last["path"])).PatientName) == "Doe^Jane"
    assert [row["state"] for row in house.ledger.instances(uid)].count("current") == 1
