"""Orthanc as PACS: an earlier study is fetched, measured again and compared; strangers stay where they are.

The pictures are one simulated spine, scanned again: only noise and repositioning differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tbsnode.dicom import acquisition, measurement_report
from tbsnode.model import Analysis
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tests import nodes, peers, reported
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer, pytest.mark.slow]
SMALL = acquisition.Options(small=True, anatomy_seed=7)
NOW, THEN = "20261101", "20250314"


@dataclass
class House:
    """A node beside an Orthanc that it may ask for earlier examinations."""

    node: nodes.Node
    ledger: Ledger
    orthanc: peers.Orthanc
    work: Path
    count: int = 0

    def file(self, patient_id: str, *, seed: int = 7, day: str = NOW, **changes: Any) -> Path:
        """Write one examination; `attributes` overwrite its header, the rest is the patient's."""
        options = replace(SMALL, attributes=changes.pop("attributes", ()))
        patient = acquisition.PatientTags(**({"patient_id": patient_id, "name": "Doe^Jane"} | changes))
        made = acquisition.study("display", patient=patient, seed=seed, study_date=day, options=options)
        self.count += 1
        return nodes.write(self.work / "files", made, f"{self.count}")[0]

    def archive(self, path: Path) -> str:
        """Put an examination into Orthanc alone; return its study."""
        self.orthanc.store(path.read_bytes())
        return study_of(path)

    def report(self, path: Path, generation: int = 1) -> dict[str, Any]:
        """Let the scanner send an examination; return its result."""
        nodes.send(self.node.port, [path])
        return self.result(study_of(path), generation)

    def result(self, uid: str, generation: int = 1) -> dict[str, Any]:
        self.ledger.settle(uid, generation=generation, timeout_s=60.0)
        result: dict[str, Any] = self.ledger.analyses(uid)[-1]["result"]
        return result

    def is_here(self, uid: str) -> bool:
        sql = "SELECT id FROM tbs_study WHERE study_instance_uid = ?"
        return bool(self.ledger.rows(sql, uid))

    def at_orthanc(self, uid: str) -> list[str]:
        """Return the modalities of the instances that Orthanc holds of a study."""
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": uid}}
        found = self.orthanc.json("/tools/find", "POST", query)
        return [
            str(dcmread(BytesIO(self.orthanc.request(f"/instances/{each}/file"))).Modality) for each in found
        ]

    def retrievals(self) -> int:
        sql = "SELECT count(*) AS number FROM tbs_association WHERE calling_ae_title = 'ORTHANC'"
        return int(self.ledger.rows(sql)[0]["number"])


def study_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)


def measured(path: Path) -> Analysis:
    (result,) = analyze_file(path, AnalysisSettings())
    return result.analysis


def found(result: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the earlier examinations of a result, and the codes of what was left out."""
    course = result["follow_up"]
    return course["priors"], [each["code"] for each in course["findings"]]


@pytest.fixture(scope="module")
def house(orthanc_server: peers.Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("priors")
    orthanc_server.clear()
    node = nodes.Node(
        work / "node",
        orthanc_server.node_port,
        [nodes.Destination("pacs", orthanc_server.ae_title, orthanc_server.port)],
        settings='[priors]\ndestination = "pacs"\n',
    )
    with nodes.serving(node):
        yield House(node, Ledger(node), orthanc_server, work)
        assert node.stop() == 0
        log = node.log.read_text()
        assert "Traceback" not in log
        assert "Doe" not in log
        assert "PRI-" not in log


def test_an_earlier_study_is_fetched_measured_and_compared(house: House) -> None:
    then, now = house.file("PRI-1", seed=8, day=THEN), house.file("PRI-1")
    uid = house.archive(then)
    result = house.report(now)
    (prior,), codes = found(result)
    assert codes == []
    assert (prior["study_instance_uid"], prior["examined_on"]) == (uid, THEN)
    assert (prior["origin"], prior["comparable"]) == ("pacs", True)
    score_then, score_now = measured(then).score, measured(now).score
    assert score_then is not None
    assert score_now is not None
    assert prior["score"] == pytest.approx(score_then, abs=1e-6)
    assert prior["difference"] == pytest.approx(score_now - score_then, abs=1e-6)
    assert abs(prior["difference"]) > 1e-4, "two scans, not one"
    # and nothing is made of what was fetched: no job, no result, no delivery
    row = house.ledger.study(uid)
    assert (row["state"], row["reason"], row["generation"]) == ("not_applicable", "FETCHED_PRIOR", 0)
    assert [each["fetched"] for each in house.ledger.instances(uid)] == [1]
    assert (house.ledger.analyses(uid), house.ledger.made(uid), house.ledger.deliveries(uid)) == ([], [], [])
    assert house.at_orthanc(uid) == ["CR"]
    assert sorted(house.at_orthanc(study_of(now))) == ["DOC", "SR"]


def test_looking_again_moves_nothing(house: House) -> None:
    house.archive(house.file("PRI-2", seed=8, day=THEN))
    now = house.file("PRI-2")
    first = house.report(now)
    retrievals = house.retrievals()
    assert retrievals > 0
    house.node.cli("study", "reprocess", study_of(now))
    again = house.result(study_of(now), 2)
    assert again["follow_up"] == first["follow_up"]
    assert house.retrievals() == retrievals
    assert len(house.ledger.made(study_of(now))) == 2, "the same result makes nothing new"


def test_what_the_scanner_sends_later_is_reported(house: House) -> None:
    then = house.file("PRI-3", seed=8, day=THEN)
    uid = house.archive(then)
    house.report(house.file("PRI-3"))
    assert house.ledger.study(uid)["state"] == "not_applicable"
    result = house.report(then)
    assert result["status"] == "scored"
    assert house.ledger.study(uid)["state"] == "done"
    assert sorted(house.at_orthanc(uid)) == ["CR", "DOC", "SR"]


def test_nothing_earlier_is_an_empty_course(house: House) -> None:
    result = house.report(house.file("PRI-4"))
    assert found(result) == ([], [])


def test_another_patient_of_the_same_name_stays_where_he_is(house: House) -> None:
    others = [
        house.archive(house.file(patient_id, seed=seed, day=THEN))
        for seed, patient_id in ((8, "PRI-55"), (9, "pri-5"), (10, "XPRI-5"))
    ]
    result = house.report(house.file("PRI-5"))
    assert found(result) == ([], [])
    assert not any(house.is_here(uid) for uid in others)


def test_an_id_that_looks_like_a_pattern_finds_nobody_else(house: House) -> None:
    uid = house.archive(house.file("PRI-61", seed=8, day=THEN))
    result = house.report(house.file("PRI-6*"))
    assert found(result) == ([], [])
    assert not house.is_here(uid)


@pytest.mark.parametrize("change", [{"birth_date": "19660412"}, {"sex": "M"}])
def test_another_birth_date_or_sex_is_said_and_not_moved(house: House, change: dict[str, str]) -> None:
    patient_id = f"PRI-7-{next(iter(change))}"
    uid = house.archive(house.file(patient_id, seed=8, day=THEN, **change))
    result = house.report(house.file(patient_id))
    assert found(result) == ([], ["PRIOR_IDENTITY"])
    assert not house.is_here(uid)


def test_a_stranger_under_the_same_id_does_not_hide_the_patient(house: House) -> None:
    own = house.archive(house.file("PRI-8", seed=8, day="20240101"))
    strange = house.archive(house.file("PRI-8", seed=9, day=THEN, birth_date="19710707"))
    result = house.report(house.file("PRI-8"))
    (prior,), codes = found(result)
    assert prior["study_instance_uid"] == own
    assert codes == ["PRIOR_IDENTITY"]
    assert not house.is_here(strange)


def test_only_densitometry_is_moved(house: House) -> None:
    """The patient's chest, a plain radiograph of her spine, and a computed tomography."""
    other = (("StationName", "XRAY1"), ("SeriesDescription", "LWS a.p."), ("ProtocolName", None))
    strangers = [
        house.archive(house.file("PRI-9", seed=seed, day=THEN, attributes=(*other, *more)))
        for seed, more in (
            (8, (("StudyDescription", "Thorax"), ("SeriesDescription", "Thorax p.a."))),
            (9, (("StudyDescription", "XR lumbar spine"),)),
            (10, (("StudyDescription", "CT abdomen"), ("Modality", "CT"))),
        )
    ]
    own = house.archive(house.file("PRI-9", seed=11, day="20240101"))
    result = house.report(house.file("PRI-9"))
    (prior,), codes = found(result)
    assert (prior["study_instance_uid"], codes) == (own, [])
    assert not any(house.is_here(uid) for uid in strangers)


def test_our_report_is_told_where_no_image_is_left(house: House) -> None:
    then = house.file("PRI-10", seed=8, day=THEN)
    analysis = measured(then)
    sr = measurement_report.build(reported.report(analysis), then).part10
    house.orthanc.store(sr)
    result = house.report(house.file("PRI-10"))
    (prior,), codes = found(result)
    assert (prior["origin"], prior["comparable"], prior["difference"]) == ("own report", False, None)
    assert prior["score"] == pytest.approx(analysis.score, abs=1e-6)
    assert codes == ["PRIOR_NOT_COMPARABLE"]


# ---- a PACS that fails ------------------------------------------------------------------------------


def reported_by(node: nodes.Node, work: Path) -> dict[str, Any]:
    """Let a node report one examination; return its result."""
    patient = acquisition.PatientTags(patient_id="DOWN-1", name="Doe^Jane")
    made = acquisition.study("display", patient=patient, seed=7, study_date=NOW, options=SMALL)
    (path,) = nodes.write(work, made)
    with nodes.serving(node):
        nodes.send(node.port, [path])
        Ledger(node).settle_analysis(study_of(path), timeout_s=60.0)
        (row,) = Ledger(node).analyses(study_of(path))
        assert len(Ledger(node).made(study_of(path))) == 2
        assert node.stop() == 0
    log = node.log.read_text()
    assert "Traceback" not in log
    assert "DOWN-1" not in log
    result: dict[str, Any] = row["result"]
    return result


def test_a_pacs_that_is_down_stops_no_report(tmp_path: Path) -> None:
    pacs = nodes.Destination("pacs", "ORTHANC", peers.free_port())
    node = nodes.Node(
        tmp_path / "node", peers.free_port(), [pacs], settings='[priors]\ndestination = "pacs"\n'
    )
    result = reported_by(node, tmp_path)
    assert found(result) == ([], ["PRIORS_NOT_FETCHED"])
    assert "The PACS cannot be reached." in result["follow_up"]["findings"][0]["text"]


def test_a_pacs_that_takes_another_node_for_us(house: House, orthanc: peers.Orthanc, tmp_path: Path) -> None:
    """It sends to where it knows TBSNODE to be, which is the other node of these tests, and says success."""
    assert house.node.port == orthanc.node_port
    patient = acquisition.PatientTags(patient_id="DOWN-1", name="Doe^Jane")
    (then,) = acquisition.study("display", patient=patient, seed=8, study_date=THEN, options=SMALL)
    orthanc.store(then)
    pacs = nodes.Destination("pacs", orthanc.ae_title, orthanc.port)
    node = nodes.Node(
        tmp_path / "node", peers.free_port(), [pacs], settings='[priors]\ndestination = "pacs"\n'
    )
    result = reported_by(node, tmp_path)
    assert found(result) == ([], ["PRIORS_NOT_FETCHED"])
    assert "What the PACS sent did not arrive here." in result["follow_up"]["findings"][0]["text"]
