"""From shadow to live: what an administrator sees before the first result leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tbsnode.dicom import acquisition
from tests import desk, nodes, peers
from tests.hook import Hook, listening

pytestmark = [pytest.mark.peer]


@dataclass
class Site:
    """A node in shadow mode, and what its scanner sends."""

    desk: desk.Desk
    node: nodes.Node
    orthanc: peers.Orthanc
    folder: Path

    def take(self, patient_id: str, kind: str = "display", **options: Any) -> str:
        """Take a study in and do all that comes of it."""
        patient = acquisition.PatientTags(patient_id=patient_id, name="Canary^Zoe")
        chosen = acquisition.Options(small=kind == "display", anatomy_seed=7, **options)
        made = acquisition.study(kind, patient=patient, seed=7, study_date="20261101", options=chosen)
        name = patient_id or "nobody"
        return self.desk.take(nodes.write(self.folder, made, f"{name}-{kind}"))

    def check(self) -> tuple[int, dict[str, Any]]:
        """Run the check; return its exit code and JSON."""
        done = self.node.cli("check", "--go-live", "--json", ok=False)
        found: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, found

    def tested(self) -> list[Dataset]:
        """Return what Orthanc has of the test patient."""
        read = [dcmread(BytesIO(self.orthanc.fetch(each))) for each in self.orthanc.sop_instance_uids()]
        return [ds for ds in read if ds.PatientID == "TBSNODE-TEST"]


@pytest.fixture
def site(orthanc: peers.Orthanc, tmp_path: Path) -> Iterator[Site]:
    destination = nodes.Destination("pacs", orthanc.ae_title, orthanc.port)
    node = nodes.Node(tmp_path / "node", peers.free_port(), [destination], mode="shadow")
    with desk.desk(node) as opened:
        yield Site(opened, node, orthanc, tmp_path / "sent")


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening() as got:
        yield got


def test_from_shadow_to_live(site: Site) -> None:
    code, before = site.check()
    assert code == 1
    assert not before["go_live"]["ready"]
    assert "No scanner has sent anything yet" in " ".join(before["go_live"]["obstacles"])

    scored = site.take("GO-1", accession_number="A1", procedure_code="77089")
    refused = site.take("GO-2", attributes=(("LossyImageCompression", "01"),))
    hip = site.take("GO-3", kind="hip")
    code, found = site.check()
    live = found["go_live"]
    assert (code, found["ok"], live["ready"], live["obstacles"]) == (0, True, True, [])
    rows = {row["study_instance_uid"]: row for row in live["studies"]}
    assert rows[scored]["result"] == "scored"
    assert (rows[scored]["accession_number"], rows[scored]["order_code"]) == (True, True)
    assert rows[refused]["result"] == "refused LOSSY_COMPRESSION"
    assert (rows[refused]["accession_number"], rows[refused]["order_code"]) == (False, False)
    assert rows[hip]["result"] == "not_applicable NOT_AP_SPINE"
    assert [row["study_instance_uid"] for row in live["studies"]] == [hip, refused, scored], "newest first"
    assert live["counts"] == {"scored": 1, "refused LOSSY_COMPRESSION": 1, "not_applicable NOT_AP_SPINE": 1}
    assert "2 of the last 3 studies have no accession number" in " ".join(live["remarks"])

    held = site.tested()
    assert sorted(ds.Modality for ds in held) == ["DOC", "SR"], "tested three times, there once"
    assert {str(ds.PatientName) for ds in held} == {"Test^Tbsnode"}
    assert len(site.orthanc.sop_instance_uids()) == 2, "nothing of a patient has left"
    assert list(site.desk.site.archive.incoming.glob("go-live*")) == []

    said = site.node.cli("check", "--go-live").stdout
    assert said.rstrip().endswith('mode = "live"')
    assert "Canary" not in said
    assert "GO-1" not in said
    for fact in (scored, refused, "LOSSY_COMPRESSION", "pacs SR: ", "pacs PDF: ", *live["remarks"]):
        assert fact in said


def test_a_destination_that_refuses_is_an_obstacle(site: Site) -> None:
    site.take("GO-4")
    with peers.storescp(site.folder) as closing:
        port = closing.port
    site.node.destinations = [*site.node.destinations, nodes.Destination("ris", "RIS", port)]
    site.node.write()
    code, found = site.check()
    assert code == 50
    assert not found["go_live"]["ready"]
    obstacles = found["go_live"]["obstacles"]
    assert [text.split(":")[0] for text in obstacles] == [
        "ris did not take the SR",
        "ris did not take the PDF",
    ]
    assert [(row["destination"], row["ok"]) for row in found["go_live"]["sent"]] == [
        ("pacs", True), ("pacs", True), ("ris", False), ("ris", False),
    ]  # fmt: skip


def test_a_study_without_a_patient_id_is_an_obstacle(site: Site) -> None:
    site.take("GO-5")
    site.take("")
    code, found = site.check()
    assert code == 1
    assert found["go_live"]["obstacles"] == ["1 of the last 2 studies have no patient ID."]


def test_ordered_studies_only_and_none_came(site: Site) -> None:
    site.take("GO-6")
    site.node.write()
    text = site.node.config.read_text().replace("[selection]\n", '[selection]\nwhen = "ordered"\n')
    site.node.config.write_text(text)
    _, found = site.check()
    assert 'when = "ordered"' in " ".join(found["go_live"]["obstacles"])


def test_without_a_database_the_checks_say_so(tmp_path: Path) -> None:
    node = nodes.Node(tmp_path, peers.free_port(), mode="shadow")
    node.write()
    done = node.cli("check", "--go-live", "--json", ok=False)
    found = json.loads(done.stdout)
    assert (found["ok"], found["go_live"]) == (False, None)
    assert done.returncode != 0


def test_the_webhook_is_sent_a_test_that_says_so(site: Site, hook: Hook) -> None:
    """It was never tried: that nobody would be told was known when somebody should have been."""
    site.take("GO-7")
    site.node.settings = f'[notify]\nwebhook = "{hook.url}"\n'
    site.node.write()
    code, found = site.check()
    (line,) = [each for each in found["checks"] if each["what"] == "notify"]
    assert line["ok"]
    assert (code, found["go_live"]["webhook"]["ok"]) == (0, True)
    (body,) = hook.bodies
    assert (body["kind"], body["causes"]) == ("test", [])
    assert "GO-7" not in json.dumps(body)

    hook.answer = 403
    code, found = site.check()
    assert code == 1
    assert "The webhook did not take a message: it answered 403" in " ".join(found["go_live"]["obstacles"])

    site.node.settings = f'[notify]\nwebhook = "http://127.0.0.1:{peers.free_port()}/secret"\n'
    site.node.write()
    done = site.node.cli("check", ok=False)
    assert done.returncode == 40
    assert (
        "FAIL  notify: the webhook does not answer: ConnectionRefusedError: Connection refused" in done.stdout
    )
    assert "secret" not in done.stdout


def test_what_shadow_mode_held_is_counted(site: Site) -> None:
    site.take("GO-8")
    _, found = site.check()
    assert "1 result waits because of shadow mode" in " ".join(found["go_live"]["remarks"])
