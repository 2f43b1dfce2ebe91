"""A study that is somebody else's by now: new documents, old ones withdrawn, received bytes as they came."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tbsnode import engine
from tbsnode.dicom import acquisition
from tbsnode.errors import NotFound, ReviewRefused
from tbsnode.model import ClinicalContext
from tbsnode.model.stated_identity import StatedIdentity
from tbsnode.pipeline import acting, operate, patient_merge, quarantine, sign, study_identity
from tbsnode.pipeline.site import Site
from tbsnode.store import clinical, priors, readiness, work
from tests import desk, nodes, peers
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer]

ME = acting.login()
KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.59"
ROE = StatedIdentity(patient_id="ROE-1", issuer="", name="Roe^Rita", birth_date="19490203", sex="F")


@dataclass
class Ward:
    """A node at a desk that sends to an Orthanc, which answers queries."""

    desk: desk.Desk
    orthanc: peers.Orthanc
    folder: Path
    number: int = 0

    @property
    def site(self) -> Site:
        """The node; every sending is a late one, and asks first."""
        policy = replace(self.desk.site.policy, identity_check_after_s=-1.0)
        return replace(self.desk.site, policy=policy)

    @property
    def ledger(self) -> Ledger:
        """Its rows."""
        return self.desk.ledger

    def image(self, patient_id: str, **more: Any) -> Path:
        """Write the spine image of a patient's study."""
        self.number += 1
        patient = acquisition.PatientTags(patient_id=patient_id, name=more.pop("name", "Doe^Jane"))
        options = acquisition.Options(small=True, anatomy_seed=7)
        made = acquisition.study(
            "display",
            patient=patient,
            seed=7,
            study_date="20261101",
            study_key=more.pop("key", patient_id),
            options=replace(options, **more),
        )
        return nodes.write(self.folder / str(self.number), made)[0]

    def work(self) -> None:
        """Do all that is due, and what comes of it."""
        late = desk.Desk(self.site, self.ledger)
        late.work()
        late.work()

    def reported(self, patient_id: str, **more: Any) -> str:
        """Take a study in that Orthanc has too, and send its results."""
        path = self.image(patient_id, **more)
        self.orthanc.store(path.read_bytes())
        uid = self.desk.take([path])
        self.work()
        return uid

    def held(self, uid: str) -> list[Dataset]:
        """Return what Orthanc has of a study."""
        read = [dcmread(BytesIO(self.orthanc.fetch(each))) for each in self.orthanc.sop_instance_uids()]
        return [ds for ds in read if ds.StudyInstanceUID == uid]

    def ours(self, uid: str) -> dict[str, Dataset]:
        """Return what of it we made, by SOP Instance UID."""
        return {
            ds.SOPInstanceUID: ds for ds in self.held(uid) if ds.get("ManufacturerModelName") == "tbsnode"
        }

    def merge_at_pacs(self, uid: str, patient_id: str) -> None:
        """Give a study to another patient at Orthanc: equal UIDs, other identity."""
        held = self.held(uid)
        (found,) = self.orthanc.json(
            "/tools/find", "POST", {"Level": "Study", "Query": {"StudyInstanceUID": uid}}
        )
        self.orthanc.request(f"/studies/{found}", "DELETE")
        for ds in held:
            ds.PatientID, ds.PatientName = patient_id, "Roe^Rita"
            buffer = BytesIO()
            ds.save_as(buffer)
            self.orthanc.store(buffer.getvalue())

    def newest(self, uid: str) -> tuple[str, str]:
        """Return state and reason of the newest delivery."""
        row = self.ledger.deliveries(uid)[-1]
        return row["state"], row["reason"]

    def files(self, uid: str) -> dict[str, str]:
        """Return the received files of a study with their digests."""
        rows = [row for row in self.ledger.instances(uid) if row["version"] == 1]
        paths = [self.site.archive.path(row["path"]) for row in rows]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def ward(orthanc_server: peers.Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    work = tmp_path_factory.mktemp("taken-over")
    orthanc_server.clear()
    node = nodes.Node(
        work / "node",
        peers.free_port(),
        [nodes.Destination("pacs", orthanc_server.ae_title, orthanc_server.port)],
        settings=nodes.reviewers(ME),
    )
    with desk.desk(node) as opened:
        yield Ward(opened, orthanc_server, work / "sent")


def withdrawn(documents: dict[str, Dataset]) -> set[str]:
    """Return what the Key Objects among documents name."""
    return {
        item.ReferencedSOPInstanceUID
        for ds in documents.values()
        if ds.SOPClassUID == KEY_OBJECT
        for study in ds.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }


def test_the_pacs_values_are_taken_over(ward: Ward) -> None:
    uid = ward.reported("TAKE-1")
    old, files = ward.ours(uid), ward.files(uid)
    assert len(old) == 2
    ward.merge_at_pacs(uid, "ROE-9")
    operate.resend(ward.site, uid)
    ward.work()
    assert ward.newest(uid) == ("held", "IDENTITY_CHANGED")
    dry = study_identity.from_pacs(ward.site, uid, dry_run=True)
    assert (dry.changed, dry.instances, dry.withdrawn) == (("patient_id", "name"), 1, 2)
    assert ward.newest(uid) == ("held", "IDENTITY_CHANGED"), "a dry run changes nothing"
    done = study_identity.from_pacs(ward.site, uid)
    assert done == replace(dry, dry_run=False)
    ward.work()
    assert ward.newest(uid) == ("sent", "")
    now = ward.ours(uid)
    new = {each: ds for each, ds in now.items() if each not in old}
    assert sorted(ds.Modality for ds in new.values()) == ["DOC", "KO", "SR"]
    assert {(ds.PatientID, str(ds.PatientName)) for ds in now.values()} == {("ROE-9", "Roe^Rita")}
    assert withdrawn(new) == set(old)
    assert ward.files(uid) == files, "received bytes stay as they came"
    assert [row["state"] for row in ward.ledger.instances(uid)] == ["superseded", "current"]
    story = " ".join(operate.trace(ward.site, uid)) + str(operate.study_show(ward.site, uid)["events"])
    assert not any(value in story for value in ("TAKE-1", "ROE-9", "Roe^", "Doe^"))
    assert ME in story
    again = study_identity.from_pacs(ward.site, uid)
    assert again.changed == ()


def test_what_comes_later_follows(ward: Ward) -> None:
    """A scanner knows nothing of a merge: it sends the same header again, and more of the study."""
    uid = ward.reported("LATER-1")
    study_identity.take_over(ward.site, uid, ROE, source="merge")
    ward.work()
    made = ward.ledger.made(uid)
    operate.import_file(ward.site, ward.image("LATER-1"))  # equal to what had come
    other = dcmread(ward.image("LATER-1", noise=2.0))
    other.SOPInstanceUID = f"{other.SOPInstanceUID}.9"[:64]
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    path = ward.folder / "later.dcm"
    other.save_as(path)
    operate.import_file(ward.site, path)
    operate.ready(ward.site, uid)
    ward.work()
    study = ward.ledger.study(uid)
    assert (study["state"], study["reason"]) == ("done", ""), "no conflict of identities"
    current = [row for row in ward.ledger.instances(uid) if row["state"] == "current"]
    read = [dcmread(ward.site.archive.path(row["path"])).PatientID for row in current]
    assert read == ["ROE-1", "ROE-1"]
    assert len(ward.ledger.made(uid)) > len(made), "the late image is reported, in the right name"


def test_a_signed_result_waits_for_its_reader(ward: Ward) -> None:
    uid = ward.reported("SIGNED-1")
    sign.accept(ward.site, uid)
    ward.work()
    before = ward.ours(uid)
    ward.merge_at_pacs(uid, "ROE-2")
    change = study_identity.from_pacs(ward.site, uid)
    assert change.signed
    ward.work()
    study = ward.ledger.study(uid)
    assert (study["review_state"], study["reason"]) == ("needs_re_review", "NEEDS_RE_REVIEW")
    assert set(ward.ours(uid)) == set(before), "nothing is sent until a reader acts"
    sign.accept(ward.site, uid)
    ward.work()
    new = {each: ds for each, ds in ward.ours(uid).items() if each not in before}
    assert withdrawn(new) == set(before)
    assert {ds.PatientID for ds in new.values()} == {"ROE-2"}
    assert [ds.VerificationFlag for ds in new.values() if ds.Modality == "SR"] == ["VERIFIED"]


def test_a_patient_is_merged(ward: Ward) -> None:
    kept = ward.reported("NEW-1", name="Roe^Rita")
    uids = [ward.reported("OLD-1", key=f"OLD-{n}") for n in (1, 2)]
    with ward.site.database.transaction() as tx:
        clinical.add(
            tx,
            clinical.Subject(patient_id="OLD-1", issuer="", accession_number=""),
            ClinicalContext(source="test"),
            ME,
            None,
        )
    for uid in uids:
        ward.merge_at_pacs(uid, "NEW-1")
    plan = patient_merge.merge(ward.site, "OLD-1", "NEW-1", dry_run=True)
    assert [change.study_instance_uid for change in plan.changes] == uids
    rows = "SELECT id FROM tbs_identity_change"
    before = len(ward.ledger.rows(rows))
    assert ward.ledger.study(uids[0])["ready_at"] is None, "a dry run changes nothing"
    done = patient_merge.merge(ward.site, "OLD-1", "NEW-1")
    assert (len(done.changes), done.failed, done.clinical) == (2, (), 1)
    assert len(ward.ledger.rows(rows)) == before + 2
    ward.work()
    for uid in uids:
        assert ward.newest(uid) == ("sent", "")
        assert {ds.PatientID for ds in ward.held(uid)} == {"NEW-1"}
        assert any(ds.SOPClassUID == KEY_OBJECT for ds in ward.ours(uid).values())
    with ward.site.database.read() as tx:
        found = priors.studies_under(tx, "NEW-1", besides=0)
        assert {each.study.study_instance_uid for each in found} == {kept, *uids}
        assert priors.studies_under(tx, "OLD-1", besides=0) == ()
        assert (
            clinical.applicable(tx, clinical.Subject(patient_id="NEW-1", issuer="", accession_number=""))
            is not None
        )
    with pytest.raises(NotFound):
        patient_merge.merge(ward.site, "OLD-1", "NEW-1")


def test_whom_nobody_knows_is_not_merged_into(ward: Ward) -> None:
    uid = ward.reported("LONELY-1")
    with pytest.raises(NotFound, match="Nothing is known"):
        patient_merge.merge(ward.site, "LONELY-1", "NOBODY-1")
    with pytest.raises(ReviewRefused, match="the same"):
        patient_merge.merge(ward.site, "LONELY-1", "LONELY-1")
    assert ward.newest(uid) == ("sent", "")


def test_a_study_at_work_is_left_alone(ward: Ward) -> None:
    uid = ward.reported("BUSY-1")
    operate.resend(ward.site, uid)
    with ward.site.database.transaction() as tx:
        tickets = work.take_due(tx, limit=9)
    with pytest.raises(ReviewRefused, match="in this moment"):
        study_identity.take_over(ward.site, uid, ROE, source="merge")
    for ticket in tickets:
        engine.perform(ward.site, ticket)
    assert study_identity.take_over(ward.site, uid, ROE, source="merge", dry_run=True).instances == 1


def test_quarantine_holds_everything_until_the_release(ward: Ward) -> None:
    uid = ward.reported("QUARANTINE-1")
    operate.resend(ward.site, uid)
    quarantine.set_aside(ward.site, uid)
    ward.work()
    assert ward.newest(uid) == ("held", "QUARANTINED")
    operate.import_file(ward.site, ward.image("QUARANTINE-1", name="Doe^Janet"))
    with pytest.raises(ReviewRefused, match="in quarantine"):
        operate.ready(ward.site, uid)
    with ward.site.database.transaction() as tx:  # its timer ends
        readiness.arm(tx, ward.ledger.study(uid)["id"], ready_at=tx.now)
    ward.work()
    study = ward.ledger.study(uid)
    assert (study["state"], study["reason"]) == ("held", "QUARANTINED"), "what arrives changes nothing"
    assert len(ward.ledger.made(uid)) == 2
    with pytest.raises(ReviewRefused, match="already"):
        quarantine.set_aside(ward.site, uid)
    quarantine.release(ward.site, uid)
    ward.work()
    ward.work()
    assert ward.ledger.study(uid)["state"] == "done"
    assert len(ward.ledger.made(uid)) == 4, "the corrected header is reported now"
    with pytest.raises(ReviewRefused, match="not in quarantine"):
        quarantine.release(ward.site, uid)


def test_purge_deletes_bytes_and_rows_and_keeps_the_story(ward: Ward) -> None:
    uid = ward.reported("PURGE-1")
    study = ward.ledger.study(uid)
    paths = [
        ward.site.archive.path(row["path"]) for row in ward.ledger.instances(uid) + ward.ledger.made(uid)
    ]
    would = quarantine.purged(ward.site, uid, delete=False)
    assert (would.files, would.results, would.needs_force) == (3, 1, False)
    assert all(path.exists() for path in paths)
    quarantine.purged(ward.site, uid, delete=True)
    assert not any(path.exists() for path in paths)
    for table in ("instance", "analysis", "delivery", "derived_instance", "series", "review"):
        sql = f"SELECT id FROM tbs_{table} WHERE study_ref = ?"
        assert ward.ledger.rows(sql, study["id"]) == []
    assert ward.ledger.rows("SELECT id FROM tbs_patient WHERE patient_id = 'PURGE-1'") == []
    events = ward.ledger.rows("SELECT action FROM tbs_event WHERE study_instance_uid = ?", uid)
    assert [each["action"] for each in events][-1] == "study.purged"
    assert ward.reported("PURGE-1") == uid, "and it may come again"


def test_what_was_signed_or_not_sent_needs_force(ward: Ward) -> None:
    signed = ward.reported("PURGE-2")
    sign.accept(ward.site, signed)
    ward.work()
    waiting = ward.reported("PURGE-3")
    operate.resend(ward.site, waiting)
    for uid, why in ((signed, "signed"), (waiting, "wait")):
        with pytest.raises(ReviewRefused, match=why):
            quarantine.purged(ward.site, uid, delete=True)
        assert ward.ledger.study(uid)["state"] == "done"
        quarantine.purged(ward.site, uid, delete=True, force=True)
        assert ward.ledger.rows("SELECT id FROM tbs_study WHERE study_instance_uid = ?", uid) == []
