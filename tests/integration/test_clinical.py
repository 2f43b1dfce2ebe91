"""Context comes in: a late hip, a file of clinical data; each changes the result once, equal ones never."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tbsnode.dicom import acquisition
from tbsnode.phantom.page_layout import WHITE_PAGE
from tbsnode.pipeline import operate
from tests import desk, nodes, peers

pytestmark = [pytest.mark.slow]

SETTLE_S = 600.0
HEAD = (
    "patient_id,accession_number,source,previous_fracture,fracture_sites,frax_major_percent,frax_hip_percent"
)
GOOD = [f"{HEAD},frax_with_bmd,total_hip_right_t_score", "CLIN-1,ACC-1,letter,yes,hip,22.0,6.0,yes,-2.7"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A spine and two hip pages of one study."""
    folder = tmp_path_factory.mktemp("pictures")
    hip = replace(WHITE_PAGE, pictures="hip")
    kinds = {
        "spine": ("display", acquisition.Options(small=True, accession_number="ACC-1")),
        "left": ("page", acquisition.Options(page=hip, accession_number="ACC-1", protocol="Left Hip")),
        "right": ("page", acquisition.Options(page=hip, accession_number="ACC-1", protocol="Right Hip")),
    }
    paths = {}
    for seed, (name, (kind, options)) in enumerate(kinds.items(), start=1):
        patient = acquisition.PatientTags(patient_id="CLIN-1", birth_date="19580101", sex="F")
        made = acquisition.study(
            kind, patient=patient, seed=seed, study_date="20261101", study_key="CLIN-1", options=options
        )
        (paths[name],) = nodes.write(folder, made, name)
    return paths


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[desk.Desk]:
    nowhere = nodes.Destination("pacs", "NOBODY", peers.free_port())
    node = nodes.Node(tmp_path / "node", peers.free_port(), [nowhere], settle_s=SETTLE_S)
    with desk.desk(node) as made:
        yield made


def table(folder: Path, *lines: str) -> Path:
    path = folder / "declared.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def newest(opened: desk.Desk, uid: str) -> dict[str, Any]:
    result: dict[str, Any] = opened.ledger.analyses(uid)[-1]["result"]
    return result


def waits_s(opened: desk.Desk, uid: str) -> float:
    ready_at = opened.ledger.study(uid)["ready_at"]
    assert ready_at is not None
    return float(ready_at - max(row["received_at"] for row in opened.ledger.instances(uid)))


def test_late_hips_make_one_successor(opened: desk.Desk, pictures: dict[str, Path]) -> None:
    uid = opened.take([pictures["spine"]])
    assert newest(opened, uid)["bmd_diagnosis"] is None
    for side in ("left", "right"):
        operate.import_file(opened.site, pictures[side])
        assert opened.ledger.study(uid)["state"] == "done"  # the result stands meanwhile
        assert waits_s(opened, uid) == pytest.approx(SETTLE_S, abs=1.0)
        opened.work()
        assert len(opened.ledger.made(uid)) == 2
    operate.ready(opened.site, uid)  # ten minutes later
    opened.work()
    made = opened.ledger.made(uid)
    assert [row["predecessor_uid"] for row in made[2:]] == [""] * 2  # nothing of the first had been received
    stated = [site for each in newest(opened, uid)["other_densitometry"] for site in each["sites"]]
    found = {(site["site"], site["side"]) for site in stated}
    assert found == {(site, side) for site in ("total_hip", "femoral_neck") for side in ("left", "right")}
    assert newest(opened, uid)["bmd_diagnosis"]["site"] in ("total_hip", "femoral_neck")


def test_an_import_makes_a_successor_once(
    opened: desk.Desk, pictures: dict[str, Path], tmp_path: Path
) -> None:
    uid = opened.take([pictures["spine"]])
    node = opened.ledger.node
    path = table(tmp_path, *GOOD)
    said = json.loads(node.cli("clinical", "import", path, "--json").stdout)
    assert (said["added"], said["study_instance_uids"], said["mistakes"]) == (1, [uid], [])
    opened.work()
    result = newest(opened, uid)
    assert result["clinical"]["present"] == ["previous_fracture"]
    assert result["clinical"]["frax"]["major_percent"] == 22.0
    assert result["clinical"]["source"] == "letter"
    assert (result["bmd_diagnosis"]["diagnosis"], result["bmd_diagnosis"]["score"]) == ("osteoporosis", -2.7)
    assert len(opened.ledger.made(uid)) == 4
    node.cli("clinical", "import", path)
    assert opened.ledger.study(uid)["ready_at"] is None
    assert len(opened.ledger.rows("SELECT * FROM tbs_clinical")) == 1
    # other words of the same: a successor, because the report names its source
    node.cli("clinical", "import", table(tmp_path, GOOD[0], GOOD[1].replace("letter", "questionnaire")))
    opened.work()
    assert newest(opened, uid)["clinical"]["source"] == "questionnaire"
    assert "clinical data was imported" in json.dumps(opened.ledger.rows("SELECT text FROM tbs_event"))


def test_what_was_imported_ahead_is_in_the_first_result(
    opened: desk.Desk, pictures: dict[str, Path], tmp_path: Path
) -> None:
    path = table(tmp_path, *GOOD)
    assert opened.ledger.node.cli("clinical", "import", path, ok=False).returncode == 20
    opened.ledger.node.cli("clinical", "import", path, "--ahead")
    uid = opened.take([pictures["spine"]])
    assert newest(opened, uid)["clinical"]["fracture_sites"] == ["hip"]
    assert len(opened.ledger.made(uid)) == 2
