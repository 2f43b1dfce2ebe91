"""What an administrator does to studies: look, explain, repeat, bring in; and what nothing may do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tbsnode.dicom import acquisition
from tbsnode.phantom.page_layout import WHITE_PAGE
from tbsnode.pipeline import operate
from tests import desk, nodes, peers
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow]

NAME, BIRTH_DATE = "Oriole^Wren", "19290817"
SECRETS = ("oriole", "wren", "operate-", BIRTH_DATE)


@dataclass
class House:
    """A node, the archive that it sends to, and one study that has gone the whole way."""

    node: nodes.Node
    ledger: Ledger
    pacs: peers.Storescp
    work: Path
    uid: str = ""

    def received(self, uid: str) -> dict[str, float]:
        """Return what the archive holds of a study: UID and time of writing."""
        return {
            str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path.stat().st_mtime
            for path in self.pacs.files()
            if dcmread(path, stop_before_pixels=True).StudyInstanceUID == uid
        }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("operate")
    with peers.storescp(work) as pacs:
        destination = nodes.Destination("pacs", pacs.ae_title, pacs.port)
        node = nodes.Node(work / "node", peers.free_port(), [destination], quiet_s=600.0)
        with nodes.serving(node):
            house = House(node, Ledger(node), pacs, work)
            paths = images(work / "first", "OPERATE-1")
            nodes.send(node.port, paths)
            house.uid = study_of(paths)
            house.ledger.settle(house.uid)
            yield house
            assert node.stop() == 0
            assert "Traceback" not in node.log.read_text()


def images(folder: Path, patient_id: str, kind: str = "display", **more: Any) -> list[Path]:
    """Write the one image of a study; equal patient IDs make one study."""
    patient = acquisition.PatientTags(patient_id=patient_id, name=NAME, birth_date=BIRTH_DATE)
    made = acquisition.study(
        kind,
        patient=patient,
        seed=7,
        study_date="20261101",
        study_key=patient_id,
        options=acquisition.Options(small=kind == "display", anatomy_seed=7, **more),
    )
    return nodes.write(folder, made, kind)


def study_of(paths: list[Path]) -> str:
    return str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)


def test_reprocessing_an_unchanged_study_makes_nothing_new(house: House) -> None:
    before = house.ledger.study(house.uid)["generation"]
    made, sent, received = (
        house.ledger.made(house.uid),
        house.ledger.deliveries(house.uid),
        house.received(house.uid),
    )
    house.node.cli("study", "reprocess", house.uid)
    house.ledger.settle(house.uid, generation=before + 1)
    assert house.ledger.made(house.uid) == made
    assert house.ledger.deliveries(house.uid) == sent
    assert house.received(house.uid) == received
    assert "unchanged" in house.node.cli("study", "trace", house.uid).stdout


def test_a_dry_run_reprocesses_nothing(house: House) -> None:
    before = house.ledger.study(house.uid)
    said = house.node.json("study", "reprocess", "--since", "7d", "--dry-run")
    assert said["study_instance_uids"] == [house.uid]
    assert (said["dry_run"], said["signed"], said["rejected"]) == (True, 0, 0)
    assert 0 < said["seconds"] < 60
    assert house.ledger.study(house.uid) == before


def test_resending_sends_the_same_instances(house: House) -> None:
    before = house.received(house.uid)
    deliveries = len(house.ledger.deliveries(house.uid))
    house.node.cli("study", "resend", house.uid)
    house.ledger.settle(house.uid)
    after = house.received(house.uid)
    assert set(after) == set(before)
    assert all(after[uid] > before[uid] for uid in before), "written again"
    assert [row["state"] for row in house.ledger.deliveries(house.uid)] == ["sent"] * (deliveries + 1)


def test_ready_does_not_wait(house: House, tmp_path: Path) -> None:
    """A hip alone waits its quiet time for a spine: ten minutes."""
    paths = images(tmp_path, "OPERATE-2", "hip")
    nodes.send(house.node.port, paths)
    assert house.ledger.study(study_of(paths))["state"] == "receiving"
    trace = house.node.cli("study", "trace", study_of(paths)).stdout
    assert "study ready" in trace
    house.node.cli("study", "ready", study_of(paths))
    assert house.ledger.settle(study_of(paths))["state"] == "not_applicable"


def test_an_imported_study_goes_the_same_way(house: House, tmp_path: Path) -> None:
    paths = images(tmp_path, "OPERATE-3")
    before = paths[0].read_bytes()
    dry = house.node.json("study", "import", tmp_path, "--dry-run")
    assert [each["outcome"] for each in dry["results"]] == ["would import"]
    assert house.ledger.rows("SELECT id FROM tbs_study WHERE study_instance_uid = ?", study_of(paths)) == []
    done = house.node.json("study", "import", tmp_path)
    assert [each["outcome"] for each in done["results"]] == ["stored"]
    again = house.node.json("study", "import", paths[0])
    assert [each["outcome"] for each in again["results"]] == ["duplicate"]
    assert paths[0].read_bytes() == before
    house.node.cli("study", "ready", study_of(paths))
    assert house.ledger.settle(study_of(paths))["state"] == "done"
    assert len(house.received(study_of(paths))) == 2


def test_show_has_everything(house: House) -> None:
    shown = house.node.json("study", "show", house.uid)
    assert shown["study_instance_uid"] == house.uid
    assert shown["patient"]["patient_id"] == "OPERATE-1"
    assert len(shown["instances"]) == 1
    assert {row["kind"] for row in shown["made"]} == {"sr", "pdf"}
    assert [row["status"] for row in shown["results"]][:1] == ["scored"]
    assert shown["results"][0]["result"]["score"] == pytest.approx(shown["results"][0]["score"], abs=1e-6)
    assert {row["status"] for row in shown["answers"]} == {0}
    actions = [row["action"] for row in shown["events"]]
    assert actions == house.ledger.actions(house.uid)
    for kind in ("instance.stored", "study.done", "result.published", "delivery.sent"):
        assert kind in actions


def test_trace_tells_the_story_in_order_and_names_nobody(house: House) -> None:
    lines = house.node.cli("study", "trace", house.uid).stdout.splitlines()
    story = "\n".join(lines)
    assert len(lines) <= 20
    told = ["instance.stored", "study.done", "result.published", "delivery.success", "delivery.sent"]
    places = [story.index(action) for action in told]
    assert places == sorted(places)
    assert "0x0000" in story
    assert "texture slope" in story
    assert [secret for secret in SECRETS if secret in story.lower()] == []


def test_nothing_is_known_of_a_study_that_never_came(house: House) -> None:
    for command in ("trace", "resend"):
        said = house.node.cli("study", command, "1.2.3.999", ok=False)
        assert said.returncode not in (0, 1), command
        assert "1.2.3.999" in said.stderr


def test_a_refused_study_says_who_must_act(house: House, tmp_path: Path) -> None:
    paths = images(tmp_path, "OPERATE-4", "page", page=replace(WHITE_PAGE, pictures="none"))
    nodes.send(house.node.port, paths)
    house.ledger.settle(study_of(paths))
    story = house.node.cli("study", "trace", study_of(paths)).stdout
    assert "REPORT_PAGE" in story
    assert "Scanner operator" in story or "Administrator" in story
    (row,) = [row for row in house.node.json("study", "list", "--patient", "OPERATE-4")]
    assert row["result"] == "refused REPORT_PAGE"


def test_the_longest_story_has_twenty_lines(tmp_path: Path) -> None:
    """However often someone asked for it again."""
    node = nodes.Node(tmp_path / "node", peers.free_port())
    with desk.desk(node) as open_desk:
        uid = open_desk.take(images(tmp_path, "OPERATE-5"))
        for _ in range(30):
            operate.ready(open_desk.site, uid)
            operate.reprocess(open_desk.site, [uid])
        lines = node.cli("study", "trace", uid).stdout.splitlines()
        assert len(open_desk.ledger.actions(uid)) > 60
    assert len(lines) == 20
    assert "more; `tbsnode study show" in "\n".join(lines)
    assert [secret for secret in SECRETS if secret in "\n".join(lines).lower()] == []


def test_an_old_result_is_not_retried_after_a_new_one(tmp_path: Path) -> None:
    nowhere = nodes.Destination("pacs", "NOBODY", peers.free_port())
    node = nodes.Node(tmp_path / "node", peers.free_port(), [nowhere])
    with desk.desk(node) as open_desk:
        paths = images(tmp_path, "OPERATE-6")
        uid = open_desk.take(paths)
        (old,) = open_desk.ledger.deliveries(uid)
        assert operate.queue_cancel(open_desk.site, [f"delivery/{old['id']}"])
        ds = dcmread(paths[0])
        ds.PatientName = "Oriole^Corrected"
        ds.save_as(paths[0])
        open_desk.take(paths)
        old, new = open_desk.ledger.deliveries(uid)
        assert (old["state"], new["state"]) == ("cancelled", "queued")
        assert operate.queue_retry(open_desk.site, [f"delivery/{old['id']}"]) == ()
        assert [row.id for row in operate.queue_retriable(open_desk.site)] == [f"delivery/{new['id']}"]
        assert operate.queue_cancel(open_desk.site, [f"delivery/{new['id']}"])
        assert operate.queue_retriable(open_desk.site) == (), "only where it is named"
        assert operate.queue_retry(open_desk.site, [f"delivery/{new['id']}"]) == (f"delivery/{new['id']}",)
