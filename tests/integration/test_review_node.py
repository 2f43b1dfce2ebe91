"""A running node and its readers on the command line: sign, come second, be killed, be a stranger."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tbsnode.dicom import acquisition
from tbsnode.pipeline import acting
from tests import forked_cli, nodes, peers
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow]

ME = acting.login()
SR, PDF = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.104.1"
KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.59"


@pytest.fixture(scope="module")
def database_url() -> str:
    """The `[database] url`: what differs on PostgreSQL, the guards, is in test_review.py on both."""
    return "sqlite:///state/tbsnode.db"


# `tbsnode study ...` that ends without a word in the middle of its last transaction
KILLED = """
import os, sys
from tbsnode.pipeline import acting, reject, sign
reject.tell = sign.tell = lambda *_: os._exit(9)
from tbsnode.cli import main
sys.argv = ["tbsnode", *sys.argv[1:]]
main()
"""


@dataclass
class House:
    """A serving node, the archive that it sends to, and one that is down until it is started."""

    node: nodes.Node
    ledger: Ledger
    pacs: peers.Storescp
    work: Path
    dead_port: int

    def study(self, patient_id: str) -> str:
        """Let the scanner send a study, and wait until the PACS has its preliminary result."""
        made = acquisition.study(
            "display",
            patient=acquisition.PatientTags(patient_id=patient_id, name="Oriole^Wren"),
            seed=7,
            study_date="20261101",
            options=acquisition.Options(small=True, anatomy_seed=7),
        )
        paths = nodes.write(self.work / "sent", made, patient_id)
        nodes.send(self.node.port, paths)
        uid = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
        self.wait_sent(uid)
        return uid

    def wait_sent(self, uid: str) -> None:
        """Wait until the newest delivery to the PACS has ended."""
        self.ledger.settle_analysis(uid)
        peers.wait_until(lambda: self.newest(uid, "pacs")["state"] == "sent", "the PACS has it", 30)

    def newest(self, uid: str, destination: str) -> dict[str, Any]:
        """Return the newest delivery to a destination."""
        rows = [row for row in self.ledger.deliveries(uid) if row["destination"] == destination]
        return rows[-1] if rows else {"state": ""}

    def received(self, uid: str, sop_class: str) -> list[Dataset]:
        """Return what the PACS has of a study and a class, oldest first."""
        found = [ds for ds in map(dcmread, self.pacs.files()) if ds.StudyInstanceUID == uid]
        return sorted((ds for ds in found if sop_class == ds.SOPClassUID), key=lambda ds: ds.ContentTime)

    def killed(self, *args: str) -> int:
        """Run a command that dies inside its transaction; return its exit code."""
        argv = [sys.executable, "-c", KILLED, *args, "--config", str(self.node.config)]
        return subprocess.run(argv, cwd=self.node.folder, timeout=120, check=False).returncode


@pytest.fixture(scope="module")
def house(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("signing")
    dead = peers.free_port()
    with peers.storescp(work) as pacs:
        node = nodes.Node(
            work / "node",
            peers.free_port(),
            [
                nodes.Destination("pacs", pacs.ae_title, pacs.port),
                nodes.Destination("dead", "STORESCP", dead),
            ],
            database_url=database_url,
            settings=nodes.reviewers(ME),
        )
        with nodes.serving(node):
            yield House(node, Ledger(node), pacs, work, dead)
            assert node.stop() == 0
            assert "Traceback" not in node.log.read_text()


def test_a_reading_physician_signs(house: House) -> None:
    uid = house.study("SIGN-1")
    said = house.node.cli("study", "accept", uid, "--comment", "agreed").stdout
    assert said.startswith(f"Signed: version 1, Reader^Rita ({ME} on ")
    assert "L1, L2, L3, L4" in said
    house.wait_sent(uid)
    before, after = house.received(uid, SR)
    assert (before.VerificationFlag, after.VerificationFlag) == ("UNVERIFIED", "VERIFIED")
    assert [len(house.received(uid, sop_class)) for sop_class in (SR, PDF)] == [2, 2]
    (listed,) = [row for row in house.node.json("study", "list") if row["study_instance_uid"] == uid]
    assert listed["review_state"] == "signed"
    again = house.node.cli("study", "accept", uid, ok=False)
    assert again.returncode == 2
    assert f"already signed by {ME}" in again.stderr
    assert "Oriole" not in house.node.log.read_text()


def test_a_correction_on_the_command_line(house: House) -> None:
    uid = house.study("SIGN-2")
    tried = house.node.json("study", "correct", uid, "--exclude", "L3", "--dry-run")
    assert (tried["dry_run"], tried["version"]) == (True, 1)
    assert house.ledger.study(uid)["review_state"] == "preliminary"
    done = house.node.json("study", "correct", uid, "--exclude", "L3", "--comment", "cement")
    assert done["result"]["score"] == tried["result"]["score"] != done["before"]["score"]
    assert done["corrections"]["exclude"] == ["L3"]
    house.wait_sent(uid)
    assert len(house.received(uid, PDF)) == 2
    bad = house.node.cli("study", "correct", uid, "--disc", "between", "--comment", "x", ok=False)
    assert bad.returncode == 2
    assert "L2/L3=143.5" in bad.stderr
    nothing = house.node.cli("study", "correct", uid, "--comment", "x", "--exclude", "L3", ok=False)
    assert nothing.returncode == 2


def test_a_rejection_waits_for_a_destination_that_is_down(house: House) -> None:
    """It never had anything, so nothing is owed to it, and nothing of the result goes there."""
    uid = house.study("SIGN-3")
    house.node.cli("study", "reject", uid, "--reason", "quality", "--comment", "moved")
    house.wait_sent(uid)
    (document,) = house.received(uid, KEY_OBJECT)
    assert document.Modality == "KO"
    peers.wait_until(
        lambda: house.newest(uid, "dead")["state"] == "superseded", "nothing is tried there any more", 30
    )
    with peers.storescp(house.work, port=house.dead_port) as risen:
        house.node.cli("queue", "retry", "--all")
        late = house.node.cli("study", "resend", uid, ok=False)
        assert late.returncode == 2
        assert "never sent again" in late.stderr
        assert [ds for ds in map(dcmread, risen.files()) if ds.StudyInstanceUID == uid] == []


def test_of_two_physicians_one_signs(house: House) -> None:
    uid = house.study("SIGN-4")
    with ThreadPoolExecutor(2) as pool:
        acts = [("accept", uid), ("correct", uid, "--exclude", "L4", "--comment", "metal")]
        done = list(pool.map(lambda act: house.node.cli("study", *act, ok=False), acts))
    assert sorted(one.returncode for one in done)[0] == 0
    study = house.ledger.study(uid)
    versions = house.ledger.rows(
        "SELECT version FROM tbs_review WHERE study_ref = ? ORDER BY id", study["id"]
    )
    # accept then correct is an order in which both may come; two first versions are not
    assert [row["version"] for row in versions] == list(range(1, len(versions) + 1))
    assert len(versions) == sum(one.returncode == 0 for one in done)


@pytest.mark.parametrize("act", ["accept", "correct", "reject"])
def test_killed_in_its_transaction_an_act_leaves_nothing(house: House, act: str) -> None:
    uid = house.study(f"SIGN-{act}")
    more = {
        "accept": [],
        "correct": ["--exclude", "L3", "--comment", "cement"],
        "reject": ["--reason", "safety", "--comment", "wrong"],
    }[act]
    made, archive = house.ledger.made(uid), house.node.folder / house.node.archive
    files = {path for path in archive.rglob("*") if path.is_file() and uid in str(path)}
    assert house.killed("study", act, uid, *more) == 9
    assert house.ledger.study(uid)["review_state"] == "preliminary"
    assert house.ledger.made(uid) == made
    left = {path for path in archive.rglob("*") if path.is_file() and uid in str(path)} - files
    assert left, "the files were archived"
    house.node.cli("study", act, uid, *more)
    assert {house.ledger.archived(row["path"]) for row in house.ledger.made(uid)[len(made) :]} >= left
    house.wait_sent(uid)
    assert len(house.received(uid, KEY_OBJECT if act == "reject" else PDF)) == (1 if act == "reject" else 2)


def test_a_stranger_changes_nothing(house: House) -> None:
    uid = house.study("SIGN-5")
    before = house.ledger.study(uid)
    text = house.node.config.read_text()
    stranger = house.node.folder / "stranger.toml"
    stranger.write_text(text.replace(f'login = "{ME}"', 'login = "somebody-else"'))
    for act in (
        ["accept"],
        ["correct", "--exclude", "L3", "--comment", "x"],
        ["reject", "--reason", "safety"],
    ):
        argv = ["study", act[0], uid, *act[1:], "--config", str(stranger)]
        if act[0] == "reject":
            argv += ["--comment", "x"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("USER", "somebody-else")
            patch.setenv("LOGNAME", "somebody-else")
            done = forked_cli.run(argv, cwd=house.node.folder, timeout=120.0)
        assert done.returncode == 10, done.stderr
        assert f"The login {ME} may not sign" in done.stderr
    assert house.ledger.study(uid) == before
