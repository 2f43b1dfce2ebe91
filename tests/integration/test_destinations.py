"""Destinations that take little, nothing, or not now; none of them is in another's way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import dcmread

from tbsnode.dicom import acquisition
from tests import nodes, peers
from tests.ledger import Ledger

SR_3D = "1.2.840.10008.5.1.4.1.1.88.34"
SR_ENHANCED = "1.2.840.10008.5.1.4.1.1.88.22"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
CR = "1.2.840.10008.5.1.4.1.1.1"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"

# What storescp accepts in a profile, DCMTK's asconfig.txt
PROFILES = f"""\
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = {EXPLICIT}
TransferSyntax2 = {IMPLICIT}
[[PresentationContexts]]
[Enhanced]
PresentationContext1 = 1.2.840.10008.1.1\\Plain
PresentationContext2 = {SR_ENHANCED}\\Plain
PresentationContext3 = {PDF}\\Plain
[Nothing]
PresentationContext1 = 1.2.840.10008.1.1\\Plain
[[Profiles]]
[Enhanced]
PresentationContexts = Enhanced
[Nothing]
PresentationContexts = Nothing
"""

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@dataclass
class House:
    """A node with five destinations; some are started and mended by the tests."""

    node: nodes.Node
    ledger: Ledger
    work: Path
    peers: dict[str, peers.Storescp]
    ports: dict[str, int]
    running: dict[str, contextlib.ExitStack] = field(default_factory=dict)

    def start(self, name: str, *options: str) -> None:
        """Run a destination's storescp, in place of one that runs."""
        self.stop(name)
        self.running[name] = contextlib.ExitStack()
        peer = peers.storescp(self.work, *options, port=self.ports[name])
        self.peers[name] = self.running[name].enter_context(peer)

    def stop(self, name: str) -> None:
        """End a destination's storescp."""
        self.running.pop(name, contextlib.ExitStack()).close()

    def send(self, patient_id: str, name: str = "Doe^Jane") -> str:
        """Send a study of one picture and return it."""
        made = acquisition.study(
            "display",
            patient=acquisition.PatientTags(patient_id=patient_id, name=name),
            seed=7,
            study_date="20261101",
            options=acquisition.Options(small=True, anatomy_seed=7),
        )
        paths = nodes.write(self.work / "sent", made, f"{patient_id}-{name}")
        nodes.send(self.node.port, paths)
        return str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)

    def states(self, uid: str) -> dict[str, str]:
        """Return the state of the newest delivery to each destination."""
        return {row["destination"]: row["state"] for row in self.ledger.deliveries(uid)}

    def wait_state(self, uid: str, name: str, *states: str) -> None:
        """Wait until the newest delivery to a destination is in one of these states."""
        peers.wait_until(lambda: self.states(uid).get(name) in states, f"{name}: {states}", 40)

    def received(self, name: str, uid: str) -> list[Path]:
        """Return what a destination holds of a study."""
        files = self.peers[name].files()
        return [path for path in files if dcmread(path, stop_before_pixels=True).StudyInstanceUID == uid]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("destinations")
    profiles = work / "profiles.cfg"
    profiles.write_text(PROFILES)
    ports = {name: peers.free_port() for name in ("enhanced", "implicit", "dead", "refusing", "all")}
    options = {"all": 'send = ["sr", "pdf", "overlay", "source"]'}
    destinations = [
        nodes.Destination(name, "STORESCP", port, options.get(name, "")) for name, port in ports.items()
    ]
    node = nodes.Node(work / "node", peers.free_port(), destinations)
    house = House(node, Ledger(node), work, {}, ports)
    try:
        house.start("enhanced", "-xf", str(profiles), "Enhanced")
        house.start("implicit", "+xi")
        house.start("refusing", "-xf", str(profiles), "Nothing")
        house.start("all")
        with nodes.serving(node):
            yield house
            assert node.stop() == 0
            assert "Traceback" not in node.log.read_text()
    finally:
        for name in ports:
            house.stop(name)


@pytest.fixture(scope="module")
def first(house: House) -> str:
    """A study that all destinations have been offered, the dead one in vain."""
    uid = house.send("OFFER-1")
    for name in ("enhanced", "implicit", "all"):
        house.wait_state(uid, name, "sent")
    house.wait_state(uid, "refusing", "refused")
    return uid


def classes(paths: list[Path]) -> list[str]:
    return sorted(str(dcmread(path, stop_before_pixels=True).SOPClassUID) for path in paths)


def test_a_destination_of_enhanced_sr_gets_one_of_that_class(house: House, first: str) -> None:
    assert classes(house.received("enhanced", first)) == sorted([SR_ENHANCED, PDF])
    made = {row["sop_class_uid"]: row for row in house.ledger.made(first) if row["kind"] == "sr"}
    enhanced = dcmread(house.ledger.archived(made[SR_ENHANCED]["path"]))
    (received,) = [p for p in house.received("enhanced", first) if dcmread(p).SOPClassUID == SR_ENHANCED]
    assert dcmread(received) == enhanced
    usual = dcmread(house.ledger.archived(made[SR_3D]["path"]))
    assert usual.SOPInstanceUID != enhanced.SOPInstanceUID
    assert usual.SeriesInstanceUID == enhanced.SeriesInstanceUID
    assert usual.ContentSequence == enhanced.ContentSequence


def test_a_destination_of_implicit_vr_gets_it_so(house: House, first: str) -> None:
    received = house.received("implicit", first)
    assert classes(received) == sorted([SR_3D, PDF])
    made = {row["sop_instance_uid"]: row for row in house.ledger.made(first)}
    for path in received:
        ds = dcmread(path)
        assert ds.file_meta.TransferSyntaxUID == IMPLICIT
        assert ds == dcmread(house.ledger.archived(made[ds.SOPInstanceUID]["path"]))
    assert house.node.incoming() == []


def test_overlay_and_originals_go_where_they_are_wanted(house: House, first: str) -> None:
    received = {
        str(dcmread(path, stop_before_pixels=True).SOPClassUID) for path in house.received("all", first)
    }
    assert received == {SR_3D, PDF, CR, "1.2.840.10008.5.1.4.1.1.7"}
    (source,) = house.ledger.instances(first)
    (copy,) = [path for path in house.received("all", first) if dcmread(path).SOPClassUID == CR]
    assert dcmread(copy) == dcmread(house.ledger.archived(source["path"]))
    assert house.states(first)["all"] == "sent"


def test_a_dead_destination_holds_up_nobody_and_gets_its_results_later(house: House, first: str) -> None:
    (row,) = [row for row in house.ledger.deliveries(first) if row["destination"] == "dead"]
    assert row["state"] in ("queued", "running")
    house.wait_state(first, "all", "sent")
    house.start("dead")
    house.wait_state(first, "dead", "sent")
    assert classes(house.received("dead", first)) == sorted([SR_3D, PDF])
    assert "delivery.postponed" in house.ledger.actions(first)
    house.stop("dead")


def test_what_a_destination_never_received_is_no_predecessor_there(house: House) -> None:
    """It gets the corrected result only, as the first of its kind."""
    uid = house.send("OFFER-2", "Deo^Jane")
    house.wait_state(uid, "all", "sent")
    house.send("OFFER-2", "Doe^Jane")
    house.ledger.settle_analysis(uid, generation=2)
    house.wait_state(uid, "all", "sent")
    house.start("dead")
    house.wait_state(uid, "dead", "sent")
    peers.wait_until(lambda: len(house.received("all", uid)) == 7, "the successor, and the source anew")
    dead = [dcmread(path) for path in house.received("dead", uid)]
    assert [str(ds.PatientName) for ds in dead] == ["Doe^Jane", "Doe^Jane"]
    assert not [ds for ds in dead if "PredecessorDocumentsSequence" in ds]
    states = [row["state"] for row in house.ledger.deliveries(uid) if row["destination"] == "dead"]
    assert states == ["superseded", "sent"]
    replaced = [ds for ds in map(dcmread, house.received("all", uid)) if "PredecessorDocumentsSequence" in ds]
    assert {ds.SOPClassUID for ds in replaced} == {SR_3D, PDF}
    house.stop("dead")


def test_a_refusing_destination_ends_with_its_reason_and_can_be_retried(house: House, first: str) -> None:
    (row,) = [row for row in house.ledger.deliveries(first) if row["destination"] == "refusing"]
    assert (row["state"], row["next_try_at"]) == ("refused", None)
    assert {each.partition(":")[0] for each in row["last_error"].split("; ")} == {"SR", "PDF"}
    listed = house.node.json("queue", "list", "--state", "refused")
    assert f"delivery/{row['id']}" in [each["id"] for each in listed]
    house.start("refusing")
    house.node.cli("queue", "retry", f"delivery/{row['id']}")
    house.wait_state(first, "refusing", "sent")
    assert classes(house.received("refusing", first)) == sorted([SR_3D, PDF])


def test_a_paused_queue_keeps_its_work(house: House) -> None:
    house.node.cli("queue", "pause", "deliver:implicit")
    uid = house.send("OFFER-3")
    house.wait_state(uid, "all", "sent")
    (row,) = [row for row in house.ledger.deliveries(uid) if row["destination"] == "implicit"]
    assert (row["state"], row["tries"]) == ("queued", 0)
    house.node.cli("queue", "resume", "deliver:implicit")
    house.wait_state(uid, "implicit", "sent")
    assert house.node.cli("queue", "pause", "deliver:nowhere", ok=False).returncode != 0


def test_cancelled_work_is_given_up_until_someone_retries_it(house: House) -> None:
    uid = house.send("OFFER-4")
    house.wait_state(uid, "all", "sent")
    (row,) = [row for row in house.ledger.deliveries(uid) if row["destination"] == "dead"]
    house.wait_state(uid, "dead", "queued")
    house.node.cli("queue", "cancel", f"delivery/{row['id']}")
    assert house.states(uid)["dead"] == "cancelled"
    house.start("dead")
    house.node.cli("queue", "retry", f"delivery/{row['id']}")
    house.wait_state(uid, "dead", "sent")
    house.stop("dead")
