"""Storage commitment of a whole node: Orthanc both ways, a PACS that reports when it likes, scanners."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from tbsnode.dicom import acquisition
from tests import commitment_peer, nodes, peers
from tests.commitment_peer import INSTANCE, PUSH_MODEL, Pacs, report_of, request_of
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow]

PORTLESS = "SCANNER"  # a caller of which we know no port
CR, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.7"


@dataclass
class House:
    """A node with two destinations: Orthanc, and a PACS of ours."""

    node: nodes.Node
    ledger: Ledger
    orthanc: peers.Orthanc
    pacs: Pacs
    work: Path
    sent: int = field(default=0)

    def send(self, caller: str = nodes.CALLER) -> str:
        """Send a study of one picture and return it."""
        self.sent += 1
        made = acquisition.study(
            "display",
            patient=acquisition.PatientTags(patient_id=f"COMMIT-{self.sent}"),
            seed=self.sent,
            study_date="20261101",
            options=acquisition.Options(small=True, anatomy_seed=7),
        )
        paths = nodes.write(self.work / "sent", made, f"study-{self.sent}")
        nodes.send(self.node.port, paths, caller=caller)
        return str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)

    def commitments(self, uid: str, destination: str) -> list[dict[str, Any]]:
        """Return the transactions of a study with a destination, oldest first; instances decoded."""
        rows = self.ledger.rows(
            """SELECT c.* FROM tbs_commitment c JOIN tbs_delivery d ON d.id = c.delivery_ref
               JOIN tbs_study s ON s.id = d.study_ref
               WHERE s.study_instance_uid = ? AND d.destination = ? ORDER BY c.id""",
            uid,
            destination,
        )
        return [{**row, "instances": json.loads(row["instances"])} for row in rows]

    def delivery(self, uid: str, destination: str) -> str:
        """Return the state of the newest delivery."""
        found = [row["state"] for row in self.ledger.deliveries(uid) if row["destination"] == destination]
        return found[-1] if found else ""

    def wait_commitment(self, uid: str, destination: str, *states: str) -> None:
        """Wait until the transactions of a study are in these states."""

        def arrived() -> bool:
            return tuple(row["state"] for row in self.commitments(uid, destination)) == states

        peers.wait_until(arrived, f"{destination} {states}", 20.0, every_s=0.05)

    def request(self, uid: str) -> Dataset:
        """Return what the PACS was asked for in the newest transaction of a study."""
        transaction = self.commitments(uid, "pacs")[-1]["transaction_uid"]
        (request,) = [each for each in self.pacs.requests if each.TransactionUID == transaction]
        return request


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("commitment")
    with commitment_peer.pacs() as pacs, peers.orthanc(work / "orthanc", nodes.AE_TITLE) as orthanc:
        node = nodes.Node(
            work / "node",
            orthanc.node_port,
            [
                nodes.Destination("orthanc", orthanc.ae_title, orthanc.port, "commitment = true"),
                nodes.Destination("pacs", pacs.ae_title, pacs.port, "commitment = true"),
            ],
            callers=f'{{ ae_title = "ORTHANC", host = "{peers.LOOPBACK}", port = {orthanc.port} }},'
            f'{{ ae_title = "{PORTLESS}", host = "{peers.LOOPBACK}" }}',
        )
        with nodes.serving(node):
            yield House(node, Ledger(node), orthanc, pacs, work)
            assert node.stop() == 0
            assert "Traceback" not in node.log.read_text()


@pytest.fixture(autouse=True)
def quiet(house: House) -> None:
    """Let the PACS take everything and report nothing."""
    house.pacs.reports_on_the_spot, house.pacs.failed, house.pacs.hold = False, {}, None
    house.pacs.requests.clear()
    house.pacs.sent.clear()


@pytest.fixture(scope="module")
def first(house: House) -> str:
    """A study that Orthanc has committed to."""
    uid = house.send()
    house.wait_commitment(uid, "orthanc", "committed")
    return uid


# ---- we ask --------------------------------------------------------------------------------------


def test_orthanc_commits_and_only_then_it_is_called_so(house: House, first: str) -> None:
    (row,) = house.commitments(first, "orthanc")
    assert {each["reason"] for each in row["instances"]} == {0}
    assert {each["sop_instance_uid"] for each in row["instances"]} <= house.orthanc.sop_instance_uids()
    assert len(row["instances"]) == 2
    assert house.delivery(first, "orthanc") == "committed"
    house.wait_commitment(first, "pacs", "waiting")
    assert house.delivery(first, "pacs") == "sent", "accepted is not committed"
    trace = house.node.cli("study", "trace", first).stdout
    assert "commitment.committed: orthanc keeps all 2 instances" in trace
    assert "commitment.asked: pacs was asked to keep 2 instances" in trace
    shown = house.node.json("study", "show", first)["commitments"]
    assert {row["destination"]: row["state"] for row in shown} == {"orthanc": "committed", "pacs": "waiting"}
    listed = house.node.json("queue", "list")
    assert [(row["state"], row["queue"]) for row in listed] == [("waiting", "deliver:pacs")]


def test_what_a_pacs_does_not_have_is_sent_once_more(house: House) -> None:
    """It reports at once, on the association of the request; it loses the SR each time."""
    house.pacs.reports_on_the_spot = True
    lose, requests = house.pacs.failed, house.pacs.requests
    house.pacs.hold = threading.Event()
    uid = house.send()
    peers.wait_until(lambda: requests, "the request")
    lost = str(requests[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    lose[lost] = 0x0112
    house.pacs.hold.set()
    house.wait_commitment(uid, "pacs", "failed", "failed")
    for row in house.commitments(uid, "pacs"):
        reasons = {each["sop_instance_uid"]: each["reason"] for each in row["instances"]}
        assert reasons.pop(lost) == 0x0112
        assert set(reasons.values()) == {0}
    assert house.pacs.sent.count(lost) == 2, "sent again, once"
    assert len(house.pacs.sent) == 3
    assert house.delivery(uid, "pacs") == "sent"
    told = [
        row["text"] for row in house.ledger.rows("SELECT * FROM tbs_event WHERE action = 'commitment.failed'")
    ]
    assert [text.endswith("; sent again") for text in told] == [True, False]
    assert all(f"{lost} (0x0112 No such SOP instance)" in text for text in told)
    lose.clear()
    failed = [row["id"] for row in house.node.json("queue", "list", "--state", "failed")]
    house.node.cli("queue", "retry", failed[-1])
    house.wait_commitment(uid, "pacs", "failed", "failed", "committed")
    assert house.delivery(uid, "pacs") == "committed"


def test_a_node_that_is_killed_asks_again_and_knows_its_reports(house: House) -> None:
    """Two transactions wait, and are reported in the other order; a third is being asked for."""
    one, two = house.send(), house.send()
    for uid in (one, two):
        house.wait_commitment(uid, "pacs", "waiting")
    house.pacs.hold = threading.Event()
    three = house.send()
    peers.wait_until(lambda: len(house.pacs.requests) == 3, "the third request")
    house.node.kill_supervisor()
    peers.wait_until(lambda: not peers.answers(house.node.port), "the end of its receiver")
    peers.wait_until(lambda: not nodes.processes_of(house.node.config), "the end of its children")
    house.pacs.hold.set()
    house.node.start()
    report_all(house, one, two)
    peers.wait_until(lambda: len(house.pacs.requests) == 4, "the third request again", 30.0)
    house.wait_commitment(three, "pacs", "waiting")
    transactions = [str(each.TransactionUID) for each in house.pacs.requests]
    assert transactions[2] == transactions[3]
    assert house.pacs.report(house.node.port, house.pacs.requests[3]) == 0x0000
    house.wait_commitment(three, "pacs", "committed")
    assert len(house.pacs.sent) == 6, "nothing was stored twice"


def report_all(house: House, one: str, two: str) -> None:
    """Report two transactions of the PACS, one of them twice at once, beside reports that are refused."""
    port, pacs = house.node.port, house.pacs
    assert commitment_peer.report(port, *report_of(house.request(one)), calling=nodes.CALLER) == 0x0115
    assert pacs.report(port, request_of("1.2.3", [(CR, "1.2.3.4")])) == 0x0115
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda uid=uid: answers.append(pacs.report(port, house.request(uid))))
        for uid in (two, one, one)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0, 0, 0]
    assert [house.delivery(uid, "pacs") for uid in (one, two)] == ["committed", "committed"]
    lost = str(house.request(one).ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    assert pacs.report(port, house.request(one), {lost: 0x0112}) == 0, "what was reported first stands"
    house.wait_commitment(one, "pacs", "committed")
    for uid, refused in ((one, 1), (two, 0)):
        actions = house.ledger.actions(uid)
        assert actions.count("commitment.refused") == refused
        assert actions.count("commitment.committed") == 2, "of Orthanc and of the PACS, each once"
    assert house.ledger.rows("SELECT * FROM tbs_event WHERE action = 'commitment.unknown'")


# ---- asked of us ---------------------------------------------------------------------------------


def outcome(house: House, transaction: str) -> dict[str, Any]:
    """Wait until Orthanc has the report for a transaction."""

    def done() -> bool:
        return bool(house.orthanc.json(f"/storage-commitment/{transaction}")["Status"] != "Pending")

    peers.wait_until(done, "the report to Orthanc", 15.0, every_s=0.05)
    told: dict[str, Any] = house.orthanc.json(f"/storage-commitment/{transaction}")
    return told


def test_orthanc_is_told_what_we_keep(house: House, first: str) -> None:
    """A scanner's picture that it sends, and our own SR and PDF that it got from us."""
    (kept,) = house.ledger.instances(first)
    house.orthanc.store(house.ledger.archived(kept["path"]).read_bytes())
    studies = house.orthanc.json("/studies")
    answer = house.orthanc.json(
        "/modalities/node/store", "POST", {"Resources": studies[:1], "StorageCommitment": True}
    )
    told = outcome(house, answer["StorageCommitmentTransactionUID"])
    assert told["Status"] == "Success"
    assert (told["RemoteAET"], len(told["Failures"])) == (nodes.AE_TITLE, 0)
    assert len(told["Success"]) >= 2
    peers.wait_until(
        lambda: house.ledger.rows("SELECT * FROM tbs_event WHERE action = 'commitment.reported'"), "the event"
    )


def test_orthanc_is_told_what_we_do_not_keep(house: House, first: str) -> None:
    kept = house.ledger.instances(first)[0]["sop_instance_uid"]
    asked = [[CR, "1.2.3.4.5"], [SECONDARY_CAPTURE, kept]]
    answer = house.orthanc.json("/modalities/node/storage-commitment", "POST", {"DicomInstances": asked})
    told = outcome(house, answer["ID"])
    assert told["Status"] == "Failure"
    reasons = {each["SOPInstanceUID"]: each["FailureReason"] for each in told["Failures"]}
    assert reasons == {"1.2.3.4.5": 0x0112, kept: 0x0119}


class Scanner:
    """A scanner that stores, asks for commitment and waits on one association."""

    def __init__(self, port: int, calling: str) -> None:
        self.reports: list[Dataset] = []
        ae = AE(calling)
        ae.add_requested_context(PUSH_MODEL)
        handlers = [(evt.EVT_N_EVENT_REPORT, self._heard)]
        self.assoc = ae.associate(peers.LOOPBACK, port, ae_title=nodes.AE_TITLE, evt_handlers=handlers)  # type: ignore[arg-type]
        assert self.assoc.is_established

    def _heard(self, event: Any) -> tuple[int, None]:
        self.reports.append(event.event_information)
        return 0x0000, None

    def ask(self, transaction: str, *instances: tuple[str, str]) -> Dataset:
        """Ask, and return the report."""
        number = len(self.reports)
        request = request_of(transaction, instances)
        answer, _ = self.assoc.send_n_action(request, 1, PUSH_MODEL, INSTANCE)  # type: ignore[arg-type]
        assert answer.Status == 0x0000
        peers.wait_until(lambda: len(self.reports) > number, "the report")
        return self.reports[-1]


def test_a_scanner_without_a_port_is_told_on_its_association(house: House) -> None:
    """What is in the catalogue and not on the disk any more is not kept."""
    uid = house.send(PORTLESS)
    (kept,) = house.ledger.instances(uid)
    wanted = (kept["sop_class_uid"], kept["sop_instance_uid"])
    scanner = Scanner(house.node.port, PORTLESS)
    told = scanner.ask("1.2.9.1", wanted)
    assert [each.ReferencedSOPInstanceUID for each in told.ReferencedSOPSequence] == [wanted[1]]
    path = house.ledger.archived(kept["path"])
    content = path.read_bytes()
    house.ledger.settle_analysis(uid)
    path.write_bytes(content[:-1])
    assert scanner.ask("1.2.9.2", wanted).FailedSOPSequence[0].FailureReason == 0x0110
    path.rename(path.with_suffix(".away"))
    assert scanner.ask("1.2.9.3", wanted).FailedSOPSequence[0].FailureReason == 0x0112
    path.write_bytes(content)
    assert scanner.ask("1.2.9.3", wanted).get("FailedSOPSequence") is None, "asked again, looked at again"
    scanner.assoc.release()
    rows = house.ledger.rows("SELECT * FROM tbs_commitment_request WHERE calling_ae_title = ?", PORTLESS)
    peers.wait_until(lambda: {row["state"] for row in rows} == {"reported"}, "the ends")
    assert "commitment.reported: SCANNER at 127.0.0.1" in house.node.cli("study", "trace", uid).stdout


def test_check_says_what_a_destination_takes(house: House) -> None:
    said = house.node.cli("check", ok=False).stdout
    assert "destination orthanc: takes requests for storage commitment" in said
    assert "destination pacs: takes requests for storage commitment" in said
