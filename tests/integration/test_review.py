"""A result and its readers, from the first publication to the amendment, with a PACS that takes what is sent.

The node runs without processes (`desk`); what is due is done when asked for, so that every moment
between two steps can be looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pypdf import PdfReader

from tbsnode.dicom import acquisition
from tbsnode.errors import (
    CalibrationError,
    CorrectionError,
    NotAReviewer,
    NotFound,
    ReviewRefused,
    TbsNodeError,
)
from tbsnode.model import Corrections, FollowUp, RejectionReason, ReviewState
from tbsnode.pipeline import acting, assemble, calibrate, operate, outgoing, reject, sign
from tbsnode.pipeline.acts import Outcome
from tbsnode.pipeline.site import Site
from tbsnode.reasons import Code, Finding
from tbsnode.store import catalogue, deliveries, listing, reviews
from tests import desk, nodes, peers, reading
from tests.ledger import Ledger

pytestmark = [pytest.mark.peer]

ME = acting.login()
SR, PDF = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.104.1"
KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.59"
WITHOUT_L3 = Corrections(exclude=("L3",))


@dataclass
class Clinic:
    """A node at a desk, and two archives: one takes all results, one only signed ones."""

    desk: desk.Desk
    node: nodes.Node
    archives: dict[str, peers.Storescp]
    folder: Path
    number: int = 0

    @property
    def site(self) -> Site:
        """The node."""
        return self.desk.site

    @property
    def ledger(self) -> Ledger:
        """Its rows."""
        return self.desk.ledger

    def image(self, study_key: str, **more: Any) -> Path:
        """Write one spine image of a study; a later `series` is a later acquisition."""
        patient = acquisition.PatientTags(patient_id=study_key, name="Doe^Jane")
        self.number += 1
        options = acquisition.Options(small=True, anatomy_seed=7)
        made = acquisition.study(
            "display", patient=patient, seed=more.pop("seed", 7), study_date="20261101",
            study_key=study_key, options=replace(options, **more),
        )  # fmt: skip
        return nodes.write(self.folder / str(self.number), made)[0]

    def preliminary(self, study_key: str) -> str:
        """Take a study in, and let its preliminary result be sent."""
        uid = self.desk.take([self.image(study_key)])
        self.desk.work()
        return uid

    def held(self, name: str, uid: str) -> list[Dataset]:
        """Return what an archive has of a study."""
        read = [dcmread(path) for path in self.archives[name].files()]
        return [ds for ds in read if ds.StudyInstanceUID == uid]

    def states(self, uid: str) -> dict[str, tuple[str, str]]:
        """Return state and reason of the newest delivery to each destination."""
        return {row["destination"]: (row["state"], row["reason"]) for row in self.ledger.deliveries(uid)}

    def again(self, uid: str) -> None:
        """Analyze a study again, and send what came of it."""
        operate.reprocess(self.site, [uid])
        self.desk.work()
        self.desk.work()

    def late(self, uid: str, study_key: str) -> None:
        """Let another image of the study arrive, and do all that is due."""
        operate.import_file(self.site, self.second(study_key))
        operate.ready(self.site, uid)
        self.desk.work()
        self.desk.work()

    def second(self, study_key: str) -> Path:
        """Write a second, later image of a study: other pixels, another UID."""
        path = self.image(study_key, noise=2.0)
        ds = dcmread(path)
        ds.SOPInstanceUID = f"{ds.SOPInstanceUID}.9"[:64]
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.SeriesNumber, ds.AcquisitionTime, ds.ContentTime = "9", "235900", "235900"
        ds.save_as(path)
        return path

    def review_state(self, uid: str) -> str:
        """Return where the result stands with its readers."""
        return str(self.ledger.study(uid)["review_state"])


@pytest.fixture(scope="module")
def clinic(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    work = tmp_path_factory.mktemp("review")
    with peers.storescp(work) as everything, peers.storescp(work) as signed_only:
        node = nodes.Node(
            work / "node",
            peers.free_port(),
            [
                nodes.Destination("pacs", everything.ae_title, everything.port),
                nodes.Destination(
                    "ris", signed_only.ae_title, signed_only.port, 'release = "signed"\nsend = ["pdf"]'
                ),
            ],
            database_url=database_url,
            settings=nodes.reviewers(ME),
        )
        with desk.desk(node) as opened:
            yield Clinic(opened, node, {"pacs": everything, "ris": signed_only}, work / "sent")


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A patient of this test alone."""
    return f"R-{abs(hash(request.node.nodeid)) % 10**9}"


@pytest.fixture
def uid(clinic: Clinic, key: str) -> str:
    """A study whose preliminary result was sent."""
    return clinic.preliminary(key)


def predecessors(ds: Dataset) -> list[str]:
    """Return the SOP Instance UIDs that an object says it replaces."""
    return [
        str(item.ReferencedSOPInstanceUID)
        for study in ds.get("PredecessorDocumentsSequence", [])
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]


def of_class(held: list[Dataset], sop_class: str) -> list[Dataset]:
    return sorted(
        (ds for ds in held if sop_class == ds.SOPClassUID),
        key=lambda ds: (ds.ContentDate, ds.ContentTime, int(ds.InstanceNumber)),
    )


def test_a_preliminary_result_is_held_where_only_signed_ones_go(clinic: Clinic, uid: str) -> None:
    assert clinic.review_state(uid) == "preliminary"
    assert clinic.states(uid) == {"pacs": ("sent", ""), "ris": ("held", "AWAITING_SIGNATURE")}
    assert len(clinic.held("pacs", uid)) == 2
    assert clinic.held("ris", uid) == []
    (waiting,) = [row for row in clinic.ledger.deliveries(uid) if row["destination"] == "ris"]
    work_id = f"delivery/{waiting['id']}"
    assert work_id not in [row.id for row in operate.queue_retriable(clinic.site)]
    with pytest.raises(ReviewRefused, match="signed results only") as refused:
        operate.queue_retry(clinic.site, [work_id])
    assert "study accept" in refused.value.remedy
    with pytest.raises(ReviewRefused, match="signed results only"):
        operate.resend(clinic.site, uid, "ris")
    assert operate.resend(clinic.site, uid) == 1, "to the one that takes it"
    clinic.desk.work()
    assert clinic.held("ris", uid) == []


def test_an_accepted_result_reaches_everyone(clinic: Clinic, uid: str) -> None:
    before = {ds.SOPClassUID: ds for ds in clinic.held("pacs", uid)}
    done = sign.accept(clinic.site, uid, comment="agreed")
    assert (done.version, done.review_state, done.changes) == (1, ReviewState.SIGNED, ())
    assert clinic.review_state(uid) == "signed"
    clinic.desk.work()
    assert clinic.states(uid) == {"pacs": ("sent", ""), "ris": ("sent", "")}
    for sop_class in (SR, PDF):
        _, after = of_class(clinic.held("pacs", uid), sop_class)
        assert predecessors(after) == [before[sop_class].SOPInstanceUID]
        assert after.SeriesInstanceUID == before[sop_class].SeriesInstanceUID
    (final,) = clinic.held("ris", uid)
    assert (final.SOPClassUID, predecessors(final)) == (PDF, []), "it never had a preliminary one"
    signed = of_class(clinic.held("pacs", uid), SR)[-1]
    assert (before[SR].VerificationFlag, signed.VerificationFlag) == ("UNVERIFIED", "VERIFIED")
    assert signed.VerifyingObserverSequence[0].VerifyingObserverName == "Reader^Rita"
    assert "review.accepted" in clinic.ledger.actions(uid)


def test_what_was_signed_is_not_signed_twice(clinic: Clinic, uid: str) -> None:
    sign.accept(clinic.site, uid)
    with pytest.raises(ReviewRefused, match=f"already signed by {ME}"):
        sign.accept(clinic.site, uid)
    clinic.desk.work()
    made = clinic.ledger.made(uid)
    clinic.again(uid)
    assert clinic.ledger.made(uid) == made, "the same result makes nothing"
    assert clinic.review_state(uid) == "signed"
    assert clinic.ledger.study(uid)["reason"] == ""
    assert not {"review.needed", "review.restored"} & set(clinic.ledger.actions(uid)), "nothing changed"


def test_a_correction_is_measured_and_amended(clinic: Clinic, uid: str) -> None:
    tried = sign.correct(clinic.site, uid, WITHOUT_L3, dry_run=True)
    assert tried.dry_run
    assert clinic.review_state(uid) == "preliminary"
    done = sign.correct(clinic.site, uid, WITHOUT_L3, comment="cement in L3")
    assert (done.version, done.result["score"]) == (1, tried.result["score"])
    assert done.result["score"] != done.before["score"]  # type: ignore[index]
    assert {each.what: (each.before, each.after) for each in done.changes}["levels"] == (
        "L1, L2, L3, L4",
        "L1, L2, L4",
    )
    codes = [finding["code"] for finding in done.result["findings"]]
    assert "CORRECTED_BY_REVIEWER" in codes
    assert {v["label"]: v["excluded"] and v["excluded"]["code"] for v in done.result["vertebrae"]}["L3"] == (
        "EXCLUDED_BY_REVIEWER"
    )
    clinic.desk.work()
    clinic.again(uid)
    assert clinic.review_state(uid) == "signed", "the correction stands in later generations"
    assert len(clinic.held("pacs", uid)) == 4
    amended = sign.correct(clinic.site, uid, Corrections(exclude=("L4",)), comment="L4 rather")
    assert (amended.version, amended.review_state) == (2, ReviewState.SIGNED)
    assert dict((each.what, each.after) for each in amended.changes)["levels"] == "L1, L2, L3"
    clinic.desk.work()
    held = of_class(clinic.held("pacs", uid), SR)
    first, second, third = sorted(held, key=lambda ds: int(ds.InstanceNumber))
    assert (predecessors(second), predecessors(third)) == ([first.SOPInstanceUID], [second.SOPInstanceUID])
    assert [ds.VerificationFlag for ds in (first, second, third)] == ["UNVERIFIED", "VERIFIED", "VERIFIED"]
    assert len(clinic.held("ris", uid)) == 2


def test_a_corrected_number_is_the_same_wherever_it_is_read(clinic: Clinic, uid: str) -> None:
    done = sign.correct(clinic.site, uid, WITHOUT_L3, comment="cement in L3")
    clinic.desk.work()
    number = done.result["score"]
    sr, pdf = (of_class(clinic.held("pacs", uid), sop_class)[-1] for sop_class in (SR, PDF))
    slope, _ = reading.values(reading.groups(sr)["L1-L4"])["TEXSLOPE"]
    pages = PdfReader(BytesIO(pdf.EncapsulatedDocument)).pages
    listed = {one.study_instance_uid: one for one in operate.study_list(clinic.site, listing.StudyFilter())}
    everywhere = [slope, listed[uid].score, clinic.ledger.analyses(uid)[-1]["score"]]
    assert everywhere == pytest.approx([number] * 3, abs=1e-6)
    assert f"{number:.3f}" in "".join(page.extract_text() for page in pages)
    assert f"{number:.3f}" != f"{done.before['score']:.3f}", "else this proves nothing"  # type: ignore[index]


def test_a_correction_that_corrects_nothing_is_refused(clinic: Clinic, uid: str) -> None:
    with pytest.raises(ReviewRefused, match="corrects nothing"):
        sign.correct(clinic.site, uid, Corrections(), comment="hm")
    sign.correct(clinic.site, uid, WITHOUT_L3, comment="cement")
    with pytest.raises(ReviewRefused, match="corrects nothing"):
        sign.correct(clinic.site, uid, WITHOUT_L3, comment="cement")
    undone = sign.correct(clinic.site, uid, Corrections(), comment="no cement after all")
    assert dict((each.what, each.after) for each in undone.changes)["levels"] == "L1, L2, L3, L4"
    assert undone.version == 2


def test_a_correction_that_leaves_no_score_or_is_none_is_refused(clinic: Clinic, uid: str) -> None:
    before = clinic.ledger.study(uid)
    with pytest.raises((ReviewRefused, CorrectionError)):
        sign.correct(clinic.site, uid, Corrections(exclude=("L1", "L2", "L3")), comment="all bad")
    with pytest.raises(CorrectionError):
        sign.correct(clinic.site, uid, Corrections(disc_rows=(("L9/L9", 3.0),)), comment="typing")
    with pytest.raises(ReviewRefused, match="no picture of a spine"):
        sign.correct(clinic.site, uid, Corrections(), image_uid="1.2.3", comment="that one")
    with pytest.raises(ReviewRefused, match="says why"):
        sign.correct(clinic.site, uid, WITHOUT_L3)
    assert clinic.ledger.study(uid) == before
    assert clinic.ledger.rows("SELECT id FROM tbs_review WHERE study_ref = ?", before["id"]) == []


def test_a_late_image_after_a_signature_waits_for_a_reviewer(clinic: Clinic, uid: str, key: str) -> None:
    sign.accept(clinic.site, uid)
    clinic.desk.work()
    signed, sent = clinic.held("pacs", uid), clinic.ledger.deliveries(uid)
    clinic.late(uid, key)
    study = clinic.ledger.study(uid)
    assert (study["review_state"], study["reason"]) == ("needs_re_review", "NEEDS_RE_REVIEW")
    assert len(clinic.held("pacs", uid)) == len(signed)
    assert clinic.ledger.deliveries(uid) == sent
    newest = clinic.ledger.analyses(uid)[-2:]
    assert not any(row["published"] for row in newest)
    assert "review.needed" in clinic.ledger.actions(uid)
    trace = operate.trace(clinic.site, uid)
    assert any("needs re review" in line for line in trace)
    assert any("the result waits for a reviewer" in line for line in trace)
    done = sign.accept(clinic.site, uid)
    assert done.version == 2
    assert "image" in [each.what for each in done.changes]
    assert clinic.ledger.study(uid)["reason"] == ""
    clinic.desk.work()
    assert predecessors(of_class(clinic.held("pacs", uid), SR)[-1]) == [
        of_class(signed, SR)[-1].SOPInstanceUID
    ]


@pytest.mark.parametrize("state", ["signed", "rejected"])
def test_what_was_decided_may_come_back(clinic: Clinic, uid: str, key: str, state: str) -> None:
    """The image that changed the result is decided against: nothing waits any more, and the act stands."""
    if state == "signed":
        sign.accept(clinic.site, uid)
    else:
        reject.reject(clinic.site, uid, RejectionReason.QUALITY, comment="moved")
    clinic.late(uid, key)
    assert clinic.review_state(uid) == "needs_re_review"
    with clinic.site.database.transaction() as tx:
        late = catalogue.instances_of_study(tx, clinic.ledger.study(uid)["id"])[-1]
        catalogue.set_instance_state(tx, late.id, "superseded")
    clinic.again(uid)
    assert (clinic.review_state(uid), clinic.ledger.study(uid)["reason"]) == (state, "")


def test_the_reviewers_image_wins_over_the_latest(clinic: Clinic, uid: str, key: str) -> None:
    first = clinic.ledger.analyses(uid)[0]["result"]["sop_instance_uid"]
    clinic.late(uid, key)
    assert clinic.review_state(uid) == "preliminary"
    assert clinic.ledger.analyses(uid)[1]["result"]["sop_instance_uid"] != first
    done = sign.correct(clinic.site, uid, Corrections(), image_uid=first, comment="the better one")
    assert (done.result["sop_instance_uid"], done.image_uid) == (first, first)
    clinic.again(uid)
    assert clinic.review_state(uid) == "signed"
    kept = sign.correct(clinic.site, uid, WITHOUT_L3, comment="and without L3")
    assert kept.result["sop_instance_uid"] == first, "the chosen image stays chosen"
    automatic = sign.correct(clinic.site, uid, WITHOUT_L3, image_uid="", comment="the late one after all")
    assert automatic.result["sop_instance_uid"] != first
    assert [v["label"] for v in automatic.result["vertebrae"] if not v["included"]] == ["L3"]


def test_a_rejection_reaches_whoever_has_the_result(clinic: Clinic, uid: str) -> None:
    sent = {ds.SOPInstanceUID for ds in clinic.held("pacs", uid)}
    done = reject.reject(clinic.site, uid, RejectionReason.QUALITY, comment="moved")
    assert done.review_state is ReviewState.REJECTED
    clinic.desk.work()
    (document,) = of_class(clinic.held("pacs", uid), KEY_OBJECT)
    named = {
        str(item.ReferencedSOPInstanceUID)
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert named == sent
    assert document.ConceptNameCodeSequence[0].CodeValue == "113001"
    assert clinic.held("ris", uid) == [], "it never had anything"
    assert clinic.states(uid) == {"pacs": ("sent", ""), "ris": ("superseded", "AWAITING_SIGNATURE")}
    assert "review.rejected" in clinic.ledger.actions(uid)
    story = operate.trace(clinic.site, uid)
    assert any(f"rejected by {ME}" in line and line.endswith(": quality") for line in story), "why is told"


def test_a_rejected_result_never_leaves_again(clinic: Clinic, uid: str, key: str) -> None:
    reject.reject(clinic.site, uid, RejectionReason.SAFETY, comment="wrong patient")
    clinic.desk.work()
    with pytest.raises(ReviewRefused, match="never sent again"):
        operate.resend(clinic.site, uid)
    for row in clinic.ledger.deliveries(uid):
        with pytest.raises(ReviewRefused, match="never sent again"):
            operate.queue_retry(clinic.site, [f"delivery/{row['id']}"])
    clinic.again(uid)
    assert clinic.review_state(uid) == "rejected", "the same result again changes nothing"
    with pytest.raises(ReviewRefused, match="already rejected"):
        sign.accept(clinic.site, uid)
    clinic.late(uid, key)
    assert clinic.review_state(uid) == "needs_re_review"
    assert len(clinic.held("pacs", uid)) == 3
    with clinic.site.database.read() as tx:
        assert reviews.is_rejected(tx, clinic.ledger.study(uid)["id"])
    done = sign.accept(clinic.site, uid)
    assert done.version == 1, "the first signature of the study"
    clinic.desk.work()
    assert len(of_class(clinic.held("pacs", uid), SR)) == 2
    assert len(clinic.held("ris", uid)) == 1


def test_a_rejection_by_mistake_is_taken_back_by_a_correction(clinic: Clinic, uid: str) -> None:
    reject.reject(clinic.site, uid, RejectionReason.WORKLIST, comment="wrong entry")
    done = sign.correct(clinic.site, uid, Corrections(), comment="it was the right entry")
    assert (done.review_state, done.changes) == (ReviewState.SIGNED, ())
    clinic.desk.work()
    assert len(of_class(clinic.held("pacs", uid), KEY_OBJECT)) == 1, "the rejection that is owed, too"
    assert len(of_class(clinic.held("pacs", uid), SR)) == 2
    second = reject.reject(clinic.site, uid, RejectionReason.QUALITY, comment="no, it moved")
    clinic.desk.work()
    assert second.version == 1
    assert len(of_class(clinic.held("pacs", uid), KEY_OBJECT)) == 2


def test_a_result_that_cannot_be_found_again_is_not_signed(
    clinic: Clinic, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an update of the software: what would be signed is not what was read."""
    newer = replace(clinic.site.policy.parameters, exclusion_policy="none")
    changed = replace(clinic.site, policy=replace(clinic.site.policy, parameters=newer))
    with pytest.raises(ReviewRefused, match="has changed since it was made") as refused:
        sign.accept(changed, uid)
    assert "study reprocess" in refused.value.remedy
    assert clinic.review_state(uid) == "preliminary"


def test_nobody_but_a_reviewer_acts(clinic: Clinic, uid: str) -> None:
    stranger = replace(clinic.site, policy=replace(clinic.site.policy, reviewers=()))
    before = clinic.ledger.study(uid), clinic.ledger.actions(uid)
    acts: tuple[Callable[[], object], ...] = (
        lambda: sign.accept(stranger, uid),
        lambda: sign.correct(stranger, uid, WITHOUT_L3, comment="x"),
        lambda: sign.correct(stranger, uid, WITHOUT_L3, dry_run=True),
        lambda: reject.reject(stranger, uid, RejectionReason.QUALITY, comment="x"),
    )
    for act in acts:
        with pytest.raises(NotAReviewer):
            act()
    assert (clinic.ledger.study(uid), clinic.ledger.actions(uid)) == before


def test_there_is_nothing_to_sign_where_nothing_is_known(clinic: Clinic) -> None:
    with pytest.raises(NotFound):
        sign.accept(clinic.site, "1.2.3.999")


def test_while_a_study_is_at_work_nobody_signs_it(clinic: Clinic, uid: str) -> None:
    operate.reprocess(clinic.site, [uid])
    for act in (sign.accept, lambda s, u: reject.reject(s, u, RejectionReason.QUALITY, comment="x")):
        with pytest.raises(ReviewRefused, match="at work"):
            act(clinic.site, uid)
    clinic.desk.work()
    sign.accept(clinic.site, uid)


def in_threads(*acts: Callable[[], Outcome]) -> list[Outcome | TbsNodeError]:
    """Let several act at once and return what each got."""
    found: list[Outcome | TbsNodeError] = []
    together = threading.Barrier(len(acts))

    def run(act: Callable[[], Outcome]) -> None:
        together.wait()
        try:
            found.append(act())
        except TbsNodeError as error:
            found.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_two_acts_at_once_exactly_one_counts(clinic: Clinic, uid: str) -> None:
    found = in_threads(
        lambda: sign.accept(clinic.site, uid),
        lambda: sign.correct(clinic.site, uid, WITHOUT_L3, comment="cement"),
    )
    assert sorted(isinstance(each, Outcome) for each in found) == [False, True]
    assert [type(each) for each in found if not isinstance(each, Outcome)] == [ReviewRefused]
    study = clinic.ledger.study(uid)
    assert len(clinic.ledger.rows("SELECT id FROM tbs_review WHERE study_ref = ?", study["id"])) == 1
    assert len([row for row in clinic.ledger.analyses(uid) if row["published"]]) == 2


def test_two_corrections_of_a_signed_result_at_once(clinic: Clinic, uid: str) -> None:
    """The state does not move, and still one of them comes second."""
    sign.accept(clinic.site, uid)
    found = in_threads(
        lambda: sign.correct(clinic.site, uid, WITHOUT_L3, comment="L3"),
        lambda: sign.correct(clinic.site, uid, Corrections(exclude=("L4",)), comment="L4"),
    )
    done = [each.version for each in found if isinstance(each, Outcome)]
    assert done == [2] or sorted(done) == [2, 3], "one after the other is fine, two second versions are not"


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("what", ["accept", "reject"])
def test_an_act_that_is_broken_off_leaves_nothing_and_is_repeated(
    clinic: Clinic, uid: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts: dict[str, Callable[[], Outcome]] = {
        "accept": lambda: sign.accept(clinic.site, uid),
        "reject": lambda: reject.reject(clinic.site, uid, RejectionReason.QUALITY, comment="moved"),
    }
    before = clinic.ledger.made(uid), clinic.ledger.deliveries(uid), clinic.ledger.analyses(uid)
    written: list[str] = []
    archive = type(clinic.site.archive)
    write = archive.write

    def noted(self: Any, path: str, *rest: Any, **more: Any) -> Any:
        written.append(path)
        return write(self, path, *rest, **more)

    monkeypatch.setattr(archive, "write", noted)
    tell = "tbsnode.pipeline.sign.tell" if what == "accept" else "tbsnode.pipeline.reject.tell"
    with monkeypatch.context() as patch:
        patch.setattr(tell, lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            acts[what]()
    first = sorted(written)
    assert first, "files were archived before the transaction"
    assert clinic.review_state(uid) == "preliminary"
    assert (clinic.ledger.made(uid), clinic.ledger.deliveries(uid), clinic.ledger.analyses(uid)) == before
    written.clear()
    acts[what]()
    assert sorted(written) == first, "the same names"
    assert clinic.review_state(uid) == ("signed" if what == "accept" else "rejected")


def test_lists_and_stories_say_where_a_result_stands(clinic: Clinic, uid: str) -> None:
    sign.accept(clinic.site, uid, comment="agreed with the reading")
    shown = operate.study_show(clinic.site, uid)
    assert shown["review_state"] == "signed"
    assert [(act["login"], act["version"], act["comment"]) for act in shown["reviews"]] == [
        (ME, 1, "agreed with the reading")
    ]
    story = "\n".join(operate.trace(clinic.site, uid))
    assert "review: signed" in story
    assert ME in story
    assert "agreed with the reading" not in story, "the reviewer's words may name somebody"


def test_what_came_after_a_rejection_can_be_rejected_too(clinic: Clinic, uid: str, key: str) -> None:
    """Nothing was published since, so nothing is named again."""
    reject.reject(clinic.site, uid, RejectionReason.QUALITY, comment="moved")
    clinic.desk.work()
    clinic.late(uid, key)
    sent = clinic.ledger.deliveries(uid)
    done = reject.reject(clinic.site, uid, RejectionReason.QUALITY, comment="moved again")
    assert done.review_state is ReviewState.REJECTED
    assert clinic.ledger.deliveries(uid) == sent
    clinic.again(uid)
    assert clinic.review_state(uid) == "rejected", "the one that was rejected last, again"


def test_a_rejected_examination_is_no_pair_of_a_calibration(clinic: Clinic, uid: str) -> None:
    image = clinic.ledger.analyses(uid)[0]["result"]["sop_instance_uid"]
    settings = assemble.settings_of(clinic.site, date(2026, 11, 25))

    def scores(name: str) -> int:
        line = calibrate.Line(number=2, cells={"uid": name})
        return len(list(calibrate.score(clinic.site, [line], settings)))

    assert (scores(uid), scores(image)) == (1, 1)
    reject.reject(clinic.site, uid, RejectionReason.QUALITY, comment="moved")
    for name in (uid, image):
        with pytest.raises(CalibrationError, match="rejected"):
            scores(name)


def test_in_shadow_mode_a_signature_leaves_nothing(clinic: Clinic, uid: str) -> None:
    shadow = replace(clinic.site, policy=replace(clinic.site.policy, shadow=True))
    sign.accept(shadow, uid)
    assert set(clinic.states(uid).values()) == {("held", "SHADOW_MODE")}
    reject.reject(shadow, uid, RejectionReason.QUALITY, comment="moved")
    assert clinic.states(uid)["pacs"] == ("held", "SHADOW_MODE")
    before = len(clinic.held("pacs", uid))
    clinic.desk.work()
    assert len(clinic.held("pacs", uid)) == before
    assert operate.queue_retry(clinic.site, [f"delivery/{clinic.ledger.deliveries(uid)[-1]['id']}"])
    clinic.desk.work()
    assert len(of_class(clinic.held("pacs", uid), KEY_OBJECT)) == 1, "the news of a rejection may be retried"


def test_a_destination_that_now_waits_for_signatures_gets_nothing_unsigned(clinic: Clinic, key: str) -> None:
    """What was queued before the configuration was changed is looked at again when its turn comes."""
    study_uid = clinic.desk.take([clinic.image(key)])
    peer = clinic.site.peer("pacs")
    assert peer is not None
    strict = replace(clinic.site, peers=(replace(peer, release="signed"),))
    desk.Desk(strict, clinic.ledger).work()
    assert clinic.states(study_uid)["pacs"] == ("held", "AWAITING_SIGNATURE")
    assert clinic.held("pacs", study_uid) == []
    (row,) = [row for row in clinic.ledger.deliveries(study_uid) if row["destination"] == "pacs"]
    assert operate.queue_retry(clinic.site, [f"delivery/{row['id']}"]), "the other way round it may go"


@pytest.mark.parametrize("act", ["accept", "reject"])
def test_before_a_late_act_is_sent_the_pacs_is_asked_whose_study_it_is(
    clinic: Clinic, uid: str, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = replace(clinic.site, policy=replace(clinic.site.policy, identity_check_after_s=-1.0))
    changed = Finding(Code.IDENTITY_CHANGED, values=(("attributes", "Patient ID"),))
    monkeypatch.setattr("tbsnode.pipeline.identity_check.changed_at", lambda *_: changed)
    before = len(clinic.held("pacs", uid))
    if act == "accept":
        sign.accept(late, uid)
    else:
        reject.reject(late, uid, RejectionReason.WORKLIST, comment="wrong entry")
    desk.Desk(late, clinic.ledger).work()
    assert clinic.states(uid)["pacs"] == ("held", "IDENTITY_CHANGED")
    assert len(clinic.held("pacs", uid)) == before


def test_after_a_rejection_no_variant_is_made_any_more(
    clinic: Clinic, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that had begun before the rejection: what it would make now, no rejection would name."""
    peer = clinic.site.peer("pacs")
    assert peer is not None
    other = replace(clinic.site, peers=(replace(peer, name="late", sr_class=("enhanced",), send=("sr",)),))
    with other.database.transaction() as tx:
        study, last = clinic.ledger.study(uid), clinic.ledger.analyses(uid)[-1]
        new = deliveries.NewDelivery(study_id=study["id"], analysis_id=last["id"], destination="late")
        deliveries.add_delivery(tx, new)
    made, before = len(clinic.ledger.made(uid)), len(clinic.held("pacs", uid))
    begin = outgoing.items

    def rejected_meanwhile(site: Site, job: outgoing.Job) -> Any:
        wanted = begin(site, job)
        reject.reject(clinic.site, uid, RejectionReason.QUALITY, comment="moved")
        return wanted

    monkeypatch.setattr("tbsnode.pipeline.deliver.items", rejected_meanwhile)
    desk.Desk(other, clinic.ledger).work()
    assert [row["kind"] for row in clinic.ledger.made(uid)[made:]] == ["rejection"]
    assert len(clinic.held("pacs", uid)) == before
    monkeypatch.undo()
    desk.Desk(other, clinic.ledger).work()
    assert clinic.states(uid)["late"][0] == "superseded", "it never had anything"


def test_studies_that_wait_for_a_reader_are_listed(clinic: Clinic, uid: str, key: str) -> None:
    def waiting(state: ReviewState) -> set[str]:
        found = operate.study_list(clinic.site, listing.StudyFilter(review=state, limit=None))
        return {one.study_instance_uid for one in found}

    assert uid in waiting(ReviewState.PRELIMINARY)
    sign.accept(clinic.site, uid)
    clinic.late(uid, key)
    assert uid in waiting(ReviewState.NEEDS_RE_REVIEW)
    assert uid not in waiting(ReviewState.PRELIMINARY)


def test_the_code_of_a_signed_report_is_kept_with_it(clinic: Clinic, uid: str) -> None:
    billing = replace(clinic.site, policy=replace(clinic.site.policy, coding=True))
    operate.reprocess(billing, [uid])
    desk.Desk(billing, clinic.ledger).work()
    sign.accept(billing, uid)
    (kept,) = [row["result"]["coding"] for row in clinic.ledger.analyses(uid) if "coding" in row["result"]]
    assert kept["codes"] == []
    assert kept["why"]


def test_when_the_pacs_does_not_answer_nothing_is_signed(
    clinic: Clinic, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The course that the reader saw cannot be found again; that is no change of the result."""
    missed = Finding(Code.PRIORS_NOT_FETCHED, values=(("detail", "pacs does not answer"),))
    monkeypatch.setattr("tbsnode.pipeline.priors.follow_up", lambda *_: FollowUp(findings=(missed,)))
    with pytest.raises(ReviewRefused, match="cannot be found again just now"):
        sign.accept(clinic.site, uid)
    assert clinic.review_state(uid) == "preliminary"


def test_a_pacs_that_does_not_answer_changes_no_signed_result(
    clinic: Clinic, uid: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another picture does, also while the PACS is down."""
    sign.accept(clinic.site, uid)
    missed = Finding(Code.PRIORS_NOT_FETCHED, values=(("detail", "pacs does not answer"),))
    monkeypatch.setattr("tbsnode.pipeline.priors.follow_up", lambda *_: FollowUp(findings=(missed,)))
    clinic.again(uid)
    assert clinic.review_state(uid) == "signed"
    clinic.late(uid, key)
    assert clinic.review_state(uid) == "needs_re_review"
