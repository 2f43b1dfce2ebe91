"""Machines that vanish without a word: each on a network of its own, whose cable is cut and mended."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tbsnode.dicom import acquisition
from tests import machines, nodes, peers, schemas
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(240)]
STUDIES = 6
HTTP = 8043
_ESTABLISHED = "01"


@dataclass
class Hospital:
    """A scanner, a database, a node of three machines and an archive, each with a cable of its own."""

    at: dict[str, machines.Machine]
    node: dict[str, nodes.Node]
    pacs: peers.Storescp
    folder: Path
    sent: int = 0

    def rows(self, sql: str, *values: object) -> list[dict[str, object]]:
        """Ask the database, on its own machine: what is cut off elsewhere is none of ours."""
        with self.at["database"].here():
            return Ledger(self.node["front"]).rows(sql, *values)

    def settle(self) -> None:
        with self.at["database"].here():
            Ledger(self.node["front"]).settle_all(self.sent, timeout_s=60)

    def made(self, number: int) -> list[Path]:
        """Return images of so many new studies."""
        images = []
        for seed in range(self.sent, self.sent + number):
            patient = acquisition.PatientTags(patient_id=f"P-{seed:02d}")
            options = acquisition.Options(small=True, anatomy_seed=3)
            study = acquisition.study("display", patient=patient, seed=seed, options=options)
            images += nodes.write(self.folder / "in", study, name=f"p-{seed:02d}")
        self.sent += number
        return images

    def send(self, images: list[Path]) -> str:
        """Let the scanner send; return what it was answered."""
        front = self.at["front"].address, str(self.node["front"].port)
        with self.at["scanner"].here():
            titles = ["-aet", "SCANNER", "-aec", nodes.AE_TITLE]
            return peers.run(["storescu", "-v", "-R", "-td", "60", *titles, *front, *images]).stdout

    def in_hand(self, name: str) -> int:
        """Count the workflows that a worker machine has."""
        executor = (self.node[name].folder / "state" / "node-id").read_text().strip()
        sql = "SELECT 1 FROM dbos.workflow_status WHERE status = 'PENDING' AND executor_id LIKE ?"
        return len(self.rows(sql, f"{executor}/%"))

    def lines_to_database(self, name: str) -> int:
        """Count the connections that a machine believes in."""
        with self.at[name].here():
            table = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
        there = self.at["database"].address.split(".")
        address = "".join(f"{int(part):02X}" for part in reversed(there))
        return sum(
            words[2].startswith(address) and words[3] == _ESTABLISHED for words in map(str.split, table)
        )


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    with contextlib.ExitStack() as stack:
        at = stack.enter_context(machines.hospital("scanner", "database", "front", "first", "second", "pacs"))
        with at["database"].here():
            url = schemas.fresh_postgresql(
                stack.enter_context(peers.postgres(at["database"].address)), engine=True
            )
        with at["pacs"].here():
            pacs = stack.enter_context(peers.storescp(folder, "+xa", "+uf"))
        node = {}
        for name, only in (("front", "receive,deliver,http"), ("first", "analyze"), ("second", "analyze")):
            node[name] = nodes.Node(
                folder / name,
                peers.free_port(),
                [nodes.Destination("pacs", pacs.ae_title, pacs.port, host=at["pacs"].address)],
                database_url=url,
                archive=str(folder / "shared"),
                http_port=HTTP,
                bind="0.0.0.0",
                callers='{ ae_title = "SCANNER", host = "*" },',
            )
            with at[name].here():
                stack.enter_context(nodes.serving(node[name], only=only))
        yield Hospital(at, node, pacs, folder)


def test_a_worker_machine_that_is_cut_off_is_replaced_and_comes_back_by_itself(hospital: Hospital) -> None:
    assert "(Success)" in hospital.send(hospital.made(STUDIES))
    peers.wait_until(lambda: hospital.in_hand("first"), "work in the first worker's hands", 60)
    with hospital.at["first"].away():
        hospital.settle()
        before = hospital.rows("SELECT * FROM tbs_study ORDER BY id")
        gone = lambda: hospital.lines_to_database("first") == 0  # noqa: E731
        peers.wait_until(gone, "the first worker to see that its lines are dead", 20, every_s=0.2)
    with hospital.at["second"].here():
        hospital.node["second"].stop()  # so that only the one that was away is left
    hospital.send(hospital.made(1))
    hospital.settle()
    after = hospital.rows("SELECT * FROM tbs_study ORDER BY id")
    assert after[:STUDIES] == before, "what the late worker had in hand changed something"
    counted = "SELECT count(*) AS n FROM tbs_analysis GROUP BY study_ref"
    assert [row["n"] for row in hospital.rows(counted)] == [1] * hospital.sent
    assert (
        len({path.name for path in hospital.pacs.files()}) == 2 * hospital.sent == len(hospital.pacs.files())
    )


def test_a_database_that_is_cut_off_is_told_in_time_and_work_goes_on_after(hospital: Hospital) -> None:
    image = hospital.made(1)
    with hospital.at["database"].away():
        began = time.monotonic()
        status, told = watch(hospital, "/health/ready")
        assert (status, "no answer within" in str(told)) == (503, True), told
        assert time.monotonic() - began < 6
        began = time.monotonic()
        assert "OutOfResources" in hospital.send(image)
        assert time.monotonic() - began < 25, "a scanner waits for 30 s"
        with hospital.at["front"].here():
            listed = hospital.node["front"].cli("queue", "list", ok=False)
        assert (listed.returncode, "did not answer" in listed.stderr) == (40, True), listed
    ready = lambda: watch(hospital, "/health/ready")[0] == 200  # noqa: E731
    peers.wait_until(ready, "the node to be ready again", 15, every_s=0.2)
    assert "(Success)" in hospital.send(image)
    hospital.settle()
    assert len(hospital.pacs.files()) == 2 * hospital.sent


def test_a_pacs_that_is_cut_off_gets_everything_once_when_it_is_back(hospital: Hospital) -> None:
    with hospital.at["pacs"].away():
        hospital.send(hospital.made(1))
        said = lambda: hospital.rows("SELECT 1 FROM tbs_delivery WHERE last_error LIKE ?", "%no connection%")  # noqa: E731
        peers.wait_until(said, "the delivery to say that there is no connection", 30, every_s=0.2)
    hospital.settle()
    assert len(hospital.pacs.files()) == 2 * hospital.sent


def test_a_node_stops_while_its_database_is_cut_off(hospital: Hospital) -> None:
    """Within the minute that a service manager waits; what was in hand is gone on with after the start."""
    front = hospital.node["front"]
    hospital.send(hospital.made(1))
    with hospital.at["database"].away():
        assert front.stop() == 0
        assert nodes.processes_of(front.config) == {}
    assert "Traceback" not in front.log.read_text()
    with hospital.at["front"].here():
        front.start(only="receive,deliver,http")
    hospital.settle()
    assert len(hospital.pacs.files()) == 2 * hospital.sent


def watch(hospital: Hospital, path: str) -> tuple[int, object]:
    """Ask the front machine's HTTP as a watcher on it would."""
    url = f"http://{peers.LOOPBACK}:{HTTP}{path}"
    with hospital.at["front"].here():
        try:
            with urllib.request.urlopen(url, timeout=9) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
