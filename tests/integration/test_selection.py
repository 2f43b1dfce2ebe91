"""What of a study is reported, what is kept, what waits; and when a study counts as complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tbsnode.dicom import acquisition
from tbsnode.phantom.page_layout import WHITE_PAGE
from tests import desk, nodes, peers
from tests.ledger import Ledger

SLOW = "SLOWPACS"  # a caller that waits long for more, unless its association is released
LONG_S = 600.0
QUIET = {"environment": {"TBSNODE__ANALYSIS__REPORT_REFUSALS": "false"}}
CALLERS = f'{{ ae_title = "{SLOW}", host = "{peers.LOOPBACK}", quiet_s = {LONG_S}, after_release_s = 0.2 }},'

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@dataclass
class House:
    """A node and the archive that it sends to."""

    node: nodes.Node
    ledger: Ledger
    pacs: peers.Storescp

    def received(self, uid: str) -> list[str]:
        """Return the SOP classes that the archive holds of a study."""
        read = [dcmread(path, stop_before_pixels=True) for path in self.pacs.files()]
        return [str(ds.SOPClassUID) for ds in read if ds.StudyInstanceUID == uid]


@pytest.fixture(scope="module")
def house(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("selection")
    with peers.storescp(work) as pacs:
        destination = nodes.Destination("pacs", pacs.ae_title, pacs.port)
        node = nodes.Node(
            work / "node", peers.free_port(), [destination], database_url=database_url, callers=CALLERS
        )
        with nodes.serving(node):
            yield House(node, Ledger(node), pacs)
            assert node.stop() == 0
            assert "Traceback" not in node.log.read_text()


def images(
    folder: Path,
    patient_id: str,
    kind: str = "display",
    *,
    seed: int = 7,
    date: str = "20261101",
    **more: Any,
) -> list[Path]:
    """Write the images of one acquisition; equal patient IDs make one study."""
    small = kind == "display"
    made = acquisition.study(
        kind,
        patient=acquisition.PatientTags(patient_id=patient_id),
        seed=seed,
        study_date=date,
        study_key=patient_id,
        options=acquisition.Options(small=small, anatomy_seed=7, **more),
    )
    return nodes.write(folder, made, f"{kind}-{seed}")


def study_of(paths: list[Path]) -> str:
    return str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)


# ---- which instance ------------------------------------------------------------------------------


def test_a_phantom_is_scored_and_never_reported(house: House, tmp_path: Path) -> None:
    paths = images(tmp_path, "QC-0815")
    nodes.send(house.node.port, paths)
    study = house.ledger.settle(study_of(paths))
    assert (study["state"], study["reason"]) == ("done", "PHANTOM")
    (analysis,) = house.ledger.analyses(study_of(paths))
    assert (analysis["status"], analysis["published"]) == ("scored", 0)
    assert house.received(study_of(paths)) == []


def test_the_latest_of_several_spines_is_reported_and_names_the_others(house: House, tmp_path: Path) -> None:
    late = images(tmp_path, "MANY-1", seed=8, study_time="113000")
    early = images(tmp_path, "MANY-1", seed=9, study_time="101500")
    nodes.send(house.node.port, [*late, *early])
    house.ledger.settle(study_of(late))
    analyses = {row["result"]["sop_instance_uid"]: row for row in house.ledger.analyses(study_of(late))}
    uids = [str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in (*late, *early)]
    assert set(analyses) == set(uids)
    assert [analyses[uid]["reported"] for uid in uids] == [1, 0]
    (finding,) = [f for f in analyses[uids[0]]["result"]["findings"] if f["code"] == "MULTIPLE_SPINES"]
    assert uids[1] in finding["text"]
    assert len(house.received(study_of(late))) == 2


def test_copies_of_one_picture_make_one_result(house: House, tmp_path: Path) -> None:
    paths = images(tmp_path, "COPY-1", copies=3)
    nodes.send(house.node.port, paths)
    house.ledger.settle(study_of(paths))
    assert len(house.ledger.instances(study_of(paths))) == 3
    (analysis,) = house.ledger.analyses(study_of(paths))
    assert "MULTIPLE_SPINES" not in str(analysis["result"]["findings"])
    assert len(house.received(study_of(paths))) == 2


def test_the_spine_beside_a_hip_is_reported(house: House, tmp_path: Path) -> None:
    paths = [*images(tmp_path, "BOTH-1", "hip"), *images(tmp_path, "BOTH-1")]
    nodes.send(house.node.port, paths)
    study = house.ledger.settle(study_of(paths))
    assert (study["state"], study["reason"]) == ("done", "")
    (analysis,) = house.ledger.analyses(study_of(paths))
    spine = dcmread(paths[1], stop_before_pixels=True)
    assert analysis["result"]["sop_instance_uid"] == spine.SOPInstanceUID
    assert len(house.received(study_of(paths))) == 2


def test_what_a_page_states_holds_for_the_better_picture_of_the_same_scan(
    house: House, tmp_path: Path
) -> None:
    """A page and the 16-bit picture that it shows: the picture is reported, with the page's densities."""
    page, raw = (images(tmp_path, "PAGE-1", kind) for kind in ("page", "raw"))
    nodes.send(house.node.port, [*page, *raw])
    house.ledger.settle(study_of(page))
    found = {row["result"]["input_class"]: row for row in house.ledger.analyses(study_of(page))}
    assert {name: row["reported"] for name, row in found.items()} == {"IMAGE": 1, "DISPLAY": 0}
    image, copy = found["IMAGE"]["result"], found["DISPLAY"]["result"]
    stated = {site["site"]: site["t_score"] for site in image["densitometry"]["sites"]}
    assert set(stated) >= {"L1", "L2", "L3", "L4"}
    assert image["densitometry"]["sop_instance_uid"] == copy["sop_instance_uid"]
    # the table judges our labels, and agrees
    assert "scanner" in {vote["cue"] for vote in image["label_votes"]}
    assert "LEVELS_DISAGREE_WITH_SCANNER" not in str(image["findings"])


# ---- when a study is complete ---------------------------------------------------------------------


def test_a_release_with_a_spine_does_not_wait_long(house: House, tmp_path: Path) -> None:
    paths = images(tmp_path, "READY-1")
    nodes.send(house.node.port, paths, caller=SLOW)
    assert house.ledger.settle(study_of(paths))["state"] == "done"  # the quiet time is ten minutes


def test_a_release_without_a_spine_waits_for_one(house: House, tmp_path: Path) -> None:
    hip = images(tmp_path, "READY-2", "hip")
    nodes.send(house.node.port, hip, caller=SLOW)
    wait_closed(house, study_of(hip), ["released"])
    assert waits_s(house, study_of(hip)) == pytest.approx(LONG_S, abs=1.0)
    nodes.send(house.node.port, images(tmp_path, "READY-2"), caller=SLOW)
    study = house.ledger.settle(study_of(hip))
    assert (study["state"], study["generation"]) == ("done", 1)


def test_an_abort_leaves_the_quiet_time(house: House, tmp_path: Path) -> None:
    paths = images(tmp_path, "READY-3")
    argv = ["storescu", "--abort", "-R", "-aet", SLOW, "-aec", nodes.AE_TITLE]
    done = peers.run([*argv, peers.LOOPBACK, str(house.node.port), *paths])
    assert done.returncode == 0, done.stdout
    wait_closed(house, study_of(paths), ["aborted"])
    assert waits_s(house, study_of(paths)) == pytest.approx(LONG_S, abs=1.0)
    house.node.cli("study", "ready", study_of(paths))
    assert house.ledger.settle(study_of(paths))["state"] == "done"
    assert len(house.received(study_of(paths))) == 2


def wait_closed(house: House, uid: str, outcomes: list[str]) -> None:
    """Wait until the associations that brought a study are over, in these ways."""
    sql = """SELECT DISTINCT a.id, a.outcome FROM tbs_association a
             JOIN tbs_instance i ON i.association_id = a.id
             JOIN tbs_study s ON s.id = i.study_ref WHERE s.study_instance_uid = ?"""
    peers.wait_until(
        lambda: [row["outcome"] for row in house.ledger.rows(sql, uid)] == outcomes, str(outcomes)
    )


def waits_s(house: House, uid: str) -> float:
    """Return how long after its last instance a study is taken for complete."""
    ready_at = house.ledger.study(uid)["ready_at"]
    assert ready_at is not None
    return float(ready_at - max(row["received_at"] for row in house.ledger.instances(uid)))


def test_a_study_in_two_associations_makes_one_result(house: House, tmp_path: Path) -> None:
    """The first brings only what is no spine, so that its release does not end the wait."""
    hip, spine = images(tmp_path, "SPLIT-1", "hip"), images(tmp_path, "SPLIT-1")
    for paths in (hip, spine):
        nodes.send(house.node.port, paths, caller=SLOW)
    study = house.ledger.settle(study_of(spine))
    assert (study["state"], study["generation"]) == ("done", 1)
    assert len(house.ledger.instances(study_of(spine))) == 2
    assert len(house.received(study_of(spine))) == 2
    assert "2 associations" in house.node.cli("study", "trace", study_of(spine)).stdout


def test_a_late_image_that_changes_nothing_makes_nothing(house: House, tmp_path: Path) -> None:
    spine = images(tmp_path, "LATE-1")
    nodes.send(house.node.port, spine)
    house.ledger.settle(study_of(spine))
    nodes.send(house.node.port, images(tmp_path, "LATE-1", "hip"))
    study = house.ledger.settle(study_of(spine), generation=2)
    assert (study["state"], study["generation"]) == ("done", 2)
    assert len(house.ledger.made(study_of(spine))) == 2
    assert len(house.ledger.deliveries(study_of(spine))) == 1


def test_a_late_spine_makes_a_successor(house: House, tmp_path: Path) -> None:
    first = images(tmp_path, "LATE-2", seed=8)
    nodes.send(house.node.port, first)
    house.ledger.settle(study_of(first))
    nodes.send(house.node.port, images(tmp_path, "LATE-2", seed=9, study_time="160000"))
    house.ledger.settle(study_of(first), generation=2)
    made = house.ledger.made(study_of(first))
    assert [row["predecessor_uid"] for row in made] == [
        "",
        "",
        *(row["sop_instance_uid"] for row in made[:2]),
    ]
    assert len(house.received(study_of(first))) == 4


# ---- what a site may decide -----------------------------------------------------------------------


@pytest.fixture
def open_desk(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[desk.Desk]:
    """A desk with one destination that nobody answers at, and the settings of the test."""
    fields = dict(request.param)
    for name, value in fields.pop("environment", {}).items():
        monkeypatch.setenv(name, value)
    nowhere = nodes.Destination("pacs", "NOBODY", peers.free_port())
    node = nodes.Node(tmp_path / "node", peers.free_port(), [nowhere], **fields)
    with desk.desk(node) as opened:
        yield opened


def days_ago(days: int) -> str:
    return f"{datetime.now(UTC) - timedelta(days=days):%Y%m%d}"


@pytest.mark.parametrize("open_desk", [{"max_study_age_days": 30}], indirect=True)
@pytest.mark.parametrize(("days", "reason", "made"), [(730, "STUDY_TOO_OLD", 0), (3, "", 2)])
def test_an_old_study_is_scored_and_not_published(
    open_desk: desk.Desk, tmp_path: Path, days: int, reason: str, made: int
) -> None:
    uid = open_desk.take(images(tmp_path, "OLD-1", date=days_ago(days)))
    study = open_desk.ledger.study(uid)
    assert (study["state"], study["reason"]) == ("done", reason)
    (analysis,) = open_desk.ledger.analyses(uid)
    assert analysis["status"] == "scored"
    assert len(open_desk.ledger.made(uid)) == made
    assert len(open_desk.ledger.deliveries(uid)) == made // 2


@pytest.mark.parametrize("open_desk", [{"mode": "shadow"}], indirect=True)
def test_in_shadow_mode_everything_runs_and_nothing_leaves(open_desk: desk.Desk, tmp_path: Path) -> None:
    uid = open_desk.take(images(tmp_path, "SHADOW-1"))
    open_desk.work()
    assert open_desk.ledger.analyses(uid)[0]["status"] == "scored"
    assert len(open_desk.ledger.made(uid)) == 2
    (delivery,) = open_desk.ledger.deliveries(uid)
    assert (delivery["state"], delivery["reason"], delivery["tries"]) == ("held", "SHADOW_MODE", 0)
    node = open_desk.ledger.node
    for command in (["study", "resend", uid], ["queue", "retry", f"delivery/{delivery['id']}"]):
        said = node.cli(*command, ok=False)
        assert said.returncode == 10, said.stdout
        assert "shadow" in said.stderr
    assert "shadow mode" in node.cli("study", "trace", uid).stdout


@pytest.mark.parametrize(
    "open_desk", [{"settings": 'when = "ordered"\norder_codes = ["77089", "TBS"]'}], indirect=True
)
@pytest.mark.parametrize(
    ("order", "state", "reason"),
    [
        ({}, "not_applicable", "NOT_ORDERED"),
        ({"procedure_code": "77089"}, "done", ""),
        ({"procedure_code": "77080"}, "not_applicable", "NOT_ORDERED"),
        ({"attributes": (("StudyDescription", "DXA spine and tbs"),)}, "done", ""),
        ({"attributes": (("StudyDescription", "DXA 770891"),)}, "not_applicable", "NOT_ORDERED"),
    ],
)
def test_where_it_must_be_ordered_an_order_is_looked_for(
    open_desk: desk.Desk, tmp_path: Path, order: dict[str, Any], state: str, reason: str
) -> None:
    uid = open_desk.take(images(tmp_path, "ORDER-1", **order))
    study = open_desk.ledger.study(uid)
    assert (study["state"], study["reason"]) == (state, reason)
    assert len(open_desk.ledger.made(uid)) == (2 if state == "done" else 0)


@pytest.mark.parametrize("open_desk", [QUIET], indirect=True)
def test_refusals_are_reported_only_where_wanted(open_desk: desk.Desk, tmp_path: Path) -> None:
    uid = open_desk.take(images(tmp_path, "QUIET-1", "page", page=replace(WHITE_PAGE, pictures="none")))
    study = open_desk.ledger.study(uid)
    assert (study["state"], study["reason"]) == ("done", "REPORT_PAGE")
    assert open_desk.ledger.analyses(uid)[0]["status"] == "refused"
    assert open_desk.ledger.made(uid) == []
