"""Several machines on one PostgreSQL: a dead or frozen worker's study is finished by another."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tbsnode.dicom import acquisition
from tests import nodes, peers
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow]
STUDIES = 12


@dataclass
class Machines:
    """One that receives and sends, two that analyze: each with a state folder of its own."""

    front: nodes.Node
    first: nodes.Node
    second: nodes.Node
    pacs: peers.Storescp
    address: str

    def pending_of(self, machine: nodes.Node) -> set[str]:
        """Return the workflows that a machine's executors have in hand."""
        name = (machine.folder / "state" / "node-id").read_text().strip()
        with psycopg.connect(self.address) as connection:
            rows = connection.execute(
                "SELECT workflow_uuid FROM dbos.workflow_status"
                " WHERE status = 'PENDING' AND executor_id LIKE %s",
                (f"{name}/analyze-%",),
            ).fetchall()
        return {row[0] for row in rows}


@pytest.fixture
def machines(node_postgres_url: str, tmp_path: Path) -> Iterator[Machines]:
    with contextlib.ExitStack() as stack:
        pacs = stack.enter_context(peers.storescp(tmp_path, "+xa"))
        destination = nodes.Destination("pacs", pacs.ae_title, pacs.port)
        made = [
            nodes.Node(
                tmp_path / name,
                peers.free_port(),
                [destination],
                database_url=node_postgres_url,
                archive=str(tmp_path / "shared-archive"),
            )
            for name in ("front", "first", "second")
        ]
        stack.enter_context(nodes.serving(made[0], only="receive,deliver"))
        for worker in made[1:]:
            stack.enter_context(nodes.serving(worker, only="analyze"))
        yield Machines(*made, pacs, node_postgres_url.replace("+psycopg", ""))


def send_studies(machines: Machines, folder: Path) -> None:
    options = acquisition.Options(small=True, anatomy_seed=3)
    images = []
    for number in range(STUDIES):
        patient = acquisition.PatientTags(patient_id=f"W-{number:02d}")
        made = acquisition.study("display", patient=patient, seed=number, options=options)
        images += nodes.write(folder, made, name=f"w-{number:02d}")
    nodes.send(machines.front.port, images)


def signal_all(machine: nodes.Node, number: int) -> list[int]:
    """Send a signal to every process of a machine: children first, so that none starts another."""
    pids = sorted(nodes.processes_of(machine.config).items(), key=lambda item: item[1], reverse=True)
    for pid, _ in pids:
        os.kill(pid, number)
    return [pid for pid, _ in pids]


def catch_at_work(machines: Machines, number: int) -> tuple[list[int], set[str]]:
    """Signal the first worker machine while it has a study in hand."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if machines.pending_of(machines.first):
            pids = signal_all(machines.first, number)
            if caught := machines.pending_of(machines.first):
                return pids, caught
            pytest.fail("it had finished between look and signal: nothing was tested")
        time.sleep(0.02)
    pytest.fail(f"the first worker never had work:\n{machines.first.log.read_text()[-2000:]}")


def results(machines: Machines) -> int:
    return len({path.name for path in machines.pacs.files()})


@pytest.mark.timeout(240)
def test_a_killed_machine_leaves_its_study_to_another(machines: Machines, tmp_path: Path) -> None:
    send_studies(machines, tmp_path / "in")
    _, caught = catch_at_work(machines, signal.SIGKILL)
    Ledger(machines.front).settle_all(STUDIES, timeout_s=120)
    assert caught
    assert not machines.pending_of(machines.first)
    assert results(machines) == 2 * STUDIES
    assert {row["delivered"] for row in machines.front.studies().values()} == {"pacs: sent"}


@pytest.mark.timeout(240)
def test_a_frozen_machine_is_fenced_when_it_comes_back(machines: Machines, tmp_path: Path) -> None:
    send_studies(machines, tmp_path / "in")
    pids, _ = catch_at_work(machines, signal.SIGSTOP)
    try:
        Ledger(machines.front).settle_all(STUDIES, timeout_s=120)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    ledger = Ledger(machines.front)
    before = ledger.rows("SELECT * FROM tbs_study ORDER BY id")
    time.sleep(3)  # what the revived worker had in hand runs to its end and must change nothing
    ledger.settle_all(STUDIES)
    assert ledger.rows("SELECT * FROM tbs_study ORDER BY id") == before
    assert results(machines) == 2 * STUDIES
    assert [len(ledger.analyses(row["study_instance_uid"])) for row in before] == [1] * STUDIES
    assert {row["delivered"] for row in machines.front.studies().values()} == {"pacs: sent"}
