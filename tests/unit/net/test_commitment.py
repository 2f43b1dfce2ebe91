"""Storage commitment on the wire: requests and reports, both roles, both kinds of association."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt

from tbsnode.errors import AssociationRejected, DatabaseUnavailable, PeerUnreachable
from tbsnode.model import Peer, Reference
from tbsnode.model.commitment import CommitmentReport, CommitmentRequest, SopReference
from tbsnode.net import commitment, presence
from tbsnode.net.scp import Caller, ScpSettings, StorageScp
from tests import commitment_peer, peers
from tests.commitment_peer import INSTANCE, PUSH_MODEL, Pacs, item, report_of, request_of

SC = "1.2.840.10008.5.1.4.1.1.7"
ONE, TWO = (SC, "1.2.3.1"), (SC, "1.2.3.2")
BOTH = tuple(SopReference(sop_class_uid=a, sop_instance_uid=b) for a, b in (ONE, TWO))


class Desk:
    """Takes everything, or fails as a test wants; reports all as kept where it is to report at once."""

    def __init__(self) -> None:
        self.requests: list[CommitmentRequest] = []
        self.reports: list[CommitmentReport] = []
        self.answers: list[int | None] = []
        self.on_the_spot = False
        self.known = True
        self.failure: Exception | None = None

    def requested(self, request: CommitmentRequest) -> bool:
        if self.failure is not None:
            raise self.failure
        self.requests.append(request)
        return self.on_the_spot

    def report_now(self, request: CommitmentRequest) -> CommitmentReport | None:
        return CommitmentReport(transaction_uid=request.transaction_uid, committed=request.instances)

    def reported(self, request: CommitmentRequest, answer: int | None) -> None:
        self.answers.append(answer)

    def heard(self, report: CommitmentReport) -> bool:
        if self.failure is not None:
            raise self.failure
        self.reports.append(report)
        return self.known


class Receiver:
    def __init__(self, folder: Path, desk: Desk | None) -> None:
        self.desk = desk or Desk()
        self.refused: list[str] = []
        self.stored: list[Any] = []
        settings = ScpSettings(
            ae_title="TBSNODE",
            bind=peers.LOOPBACK,
            port=0,
            callers=(Caller("SCANNER", peers.LOOPBACK),),
            reporters=(Caller("PACS", peers.LOOPBACK),),
            incoming=folder,
            storage_classes=frozenset({SC}),
            transfer_syntaxes=(ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        )
        self.scp = StorageScp(settings, self.stored.append, self._note, desk)

    def _note(self, event: Any) -> None:
        if event.kind == "rejected" or event.text:
            self.refused.append(event.text)

    @property
    def port(self) -> int:
        return self.scp.port


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path, Desk())
    made.scp.start()
    yield made
    made.scp.stop(grace_s=0.0)


class Asking:
    """A scanner's association, and the reports that came on it."""

    def __init__(self, port: int, calling: str = "SCANNER", answer: int = 0) -> None:
        self.heard: list[tuple[int, Dataset]] = []
        self.answer = answer
        ae = AE(calling)
        ae.add_requested_context(PUSH_MODEL)
        ae.add_requested_context(SC)
        handlers = [(evt.EVT_N_EVENT_REPORT, self._report)]
        self.assoc = ae.associate(peers.LOOPBACK, port, ae_title="TBSNODE", evt_handlers=handlers)  # type: ignore[arg-type]
        assert self.assoc.is_established

    def _report(self, event: Any) -> tuple[int, None]:
        self.heard.append((event.request.EventTypeID, event.event_information))
        return self.answer, None

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        if self.assoc.is_established:
            self.assoc.release()
        self.assoc.join()

    def ask(self, request: Dataset | None, *, action: int = 1, instance: str = INSTANCE) -> int:
        answer, _ = self.assoc.send_n_action(request, action, PUSH_MODEL, instance)  # type: ignore[arg-type]
        return int(answer.get("Status", -1))


# ---- asked of us ---------------------------------------------------------------------------------


def test_a_request_is_handed_on_and_answered(receiver: Receiver) -> None:
    with Asking(receiver.port) as scanner:
        assert scanner.ask(request_of("1.2.9", [ONE, TWO])) == 0x0000
    (request,) = receiver.desk.requests
    assert (request.transaction_uid, request.instances) == ("1.2.9", BOTH)
    assert (request.calling_ae_title, request.host) == ("SCANNER", peers.LOOPBACK)
    assert receiver.desk.answers == []


def test_what_is_named_twice_is_asked_for_once(receiver: Receiver) -> None:
    with Asking(receiver.port) as scanner:
        assert scanner.ask(request_of("1.2.9", [ONE, ONE])) == 0x0000
    assert receiver.desk.requests[0].instances == BOTH[:1]


@pytest.mark.parametrize(
    ("request_", "more", "expected"),
    [
        (request_of("1.2.9", [ONE]), {"instance": "1.2.3"}, 0x0112),
        (request_of("1.2.9", [ONE]), {"action": 2}, 0x0123),
        (request_of("", [ONE]), {}, 0x0115),
        (request_of("1." + "2" * 63, [ONE]), {}, 0x0115),
        (request_of("1.2.9", []), {}, 0x0115),
        (request_of("1.2.9", [ONE, (SC, "../../x")]), {}, 0x0115),
        (request_of("1.2.9", [("", "1.2.3.1")]), {}, 0x0115),
        (item(*ONE), {}, 0x0115),
        (None, {}, 0x0115),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    receiver: Receiver, request_: Dataset | None, more: dict[str, Any], expected: int
) -> None:
    with Asking(receiver.port) as scanner:
        assert scanner.ask(request_, **more) == expected
        assert scanner.ask(request_of("1.2.10", [ONE])) == 0x0000, "the association goes on"
    assert [each.transaction_uid for each in receiver.desk.requests] == ["1.2.10"]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (DatabaseUnavailable(), 0x0213),
        (commitment.RequestRefused(0x0115, "in use"), 0x0115),
        (ValueError("Canary^Name"), 0x0110),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_request_that_was_not_stored_is_never_answered_with_success(
    receiver: Receiver, failure: Exception, expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.desk.failure = failure
    with Asking(receiver.port) as scanner:
        assert scanner.ask(request_of("1.2.9", [ONE])) == expected
    assert "anary" not in caplog.text


def test_without_the_service_the_class_is_not_accepted(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, None)
    receiver.scp.start()
    with Asking(receiver.port) as scanner:
        assert [str(each.abstract_syntax) for each in scanner.assoc.accepted_contexts] == [SC]
    receiver.scp.stop(grace_s=0.0)


def test_a_report_on_the_association_of_its_request_comes_after_the_answer(receiver: Receiver) -> None:
    receiver.desk.on_the_spot = True
    with Asking(receiver.port) as scanner:
        assert scanner.ask(request_of("1.2.9", [ONE, TWO])) == 0x0000
        assert scanner.heard == []
        peers.wait_until(lambda: receiver.desk.answers, "the answer to the report")
        assert scanner.ask(request_of("1.2.10", [ONE])) == 0x0000
        peers.wait_until(lambda: len(receiver.desk.answers) == 2, "the second report")
    (kind, report), (_, second) = scanner.heard
    assert (kind, report.TransactionUID, second.TransactionUID) == (1, "1.2.9", "1.2.10")
    assert [each.ReferencedSOPInstanceUID for each in report.ReferencedSOPSequence] == ["1.2.3.1", "1.2.3.2"]
    assert "FailedSOPSequence" not in report
    assert receiver.desk.answers == [0x0000, 0x0000]


def test_the_callers_refusal_of_a_report_is_seen(receiver: Receiver) -> None:
    receiver.desk.on_the_spot = True
    with Asking(receiver.port, answer=0x0110) as scanner:
        scanner.ask(request_of("1.2.9", [ONE]))
        peers.wait_until(lambda: receiver.desk.answers, "the answer to the report")
    assert receiver.desk.answers == [0x0110]


def test_a_caller_that_leaves_at_once_is_not_waited_for(receiver: Receiver) -> None:
    receiver.desk.on_the_spot = True
    began = time.monotonic()
    with Asking(receiver.port) as scanner:
        scanner.ask(request_of("1.2.9", [ONE]))
    assert time.monotonic() - began < 2.0
    assert scanner.assoc.is_released
    peers.wait_until(lambda: receiver.desk.answers, "the end")
    assert receiver.desk.answers == [None]
    assert scanner.heard == []


def test_a_caller_that_does_not_answer_is_not_waited_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for longer than we say."""
    monkeypatch.setattr("tbsnode.net.same_association.PATIENCE_S", 1.0)
    receiver.desk.on_the_spot = True
    with Asking(receiver.port) as scanner:
        scanner.assoc.bind(evt.EVT_N_EVENT_REPORT, lambda event: time.sleep(1.5) or (0, None))
        scanner.ask(request_of("1.2.9", [ONE]))
        peers.wait_until(lambda: receiver.desk.answers, "the end", 3.0)
    assert receiver.desk.answers == [None]


# ---- reported to us ------------------------------------------------------------------------------


def test_a_report_on_a_new_association_is_handed_on(receiver: Receiver) -> None:
    information, kind = report_of(request_of("1.2.9", [ONE, TWO]), {"1.2.3.2": 0x0112})
    assert commitment_peer.report(receiver.port, information, kind) == 0x0000
    (told,) = receiver.desk.reports
    assert told == CommitmentReport(
        transaction_uid="1.2.9",
        committed=BOTH[:1],
        failed=((BOTH[1], 0x0112),),
        calling_ae_title="PACS",
        host=peers.LOOPBACK,
    )


def test_a_report_that_nobody_asked_for_is_refused(receiver: Receiver) -> None:
    receiver.desk.known = False
    assert commitment_peer.report(receiver.port, *report_of(request_of("1.2.9", [ONE]))) == 0x0115


@pytest.mark.parametrize(
    ("kind", "instance", "expected"), [(3, INSTANCE, 0x0113), (1, "1.2.3", 0x0112), (2, INSTANCE, 0x0000)]
)
def test_kind_and_instance_of_a_report_are_checked(
    receiver: Receiver, kind: int, instance: str, expected: int
) -> None:
    information, _ = report_of(request_of("1.2.9", [ONE]))
    assert commitment_peer.report(receiver.port, information, kind, instance=instance) == expected
    assert len(receiver.desk.reports) == (expected == 0)


def test_a_report_without_a_reason_is_no_success(receiver: Receiver) -> None:
    information = Dataset()
    information.TransactionUID = "1.2.9"
    information.FailedSOPSequence = [item(*ONE)]
    assert commitment_peer.report(receiver.port, information, 2) == 0x0000
    assert receiver.desk.reports[0].failed == ((BOTH[0], 0x0110),)


def test_while_it_cannot_be_stored_the_peer_is_told_to_report_again(receiver: Receiver) -> None:
    receiver.desk.failure = DatabaseUnavailable()
    assert commitment_peer.report(receiver.port, *report_of(request_of("1.2.9", [ONE]))) == 0x0213


def test_a_destination_that_is_no_caller_may_report_and_nothing_else(receiver: Receiver) -> None:
    with Asking(receiver.port, calling="PACS") as pacs:
        assert [str(each.abstract_syntax) for each in pacs.assoc.accepted_contexts] == [PUSH_MODEL]
        assert pacs.ask(request_of("1.2.9", [ONE])) == 0x0124
    assert receiver.desk.requests == []
    assert commitment_peer.report(receiver.port, *report_of(request_of("1.2.9", [ONE])), calling="X") == -1
    assert "not a known caller" in receiver.refused[-1]


@pytest.mark.parametrize("calling", ["SCANNER", "PACS"])
def test_nothing_is_stored_in_the_context_of_commitment(receiver: Receiver, calling: str) -> None:
    sneaked = Dataset()
    sneaked.SOPClassUID, sneaked.SOPInstanceUID = PUSH_MODEL, "1.2.3.4"
    sneaked.file_meta = FileMetaDataset()
    sneaked.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    with Asking(receiver.port, calling=calling) as caller:
        assert caller.assoc.send_c_store(sneaked).Status == 0x0122
    assert receiver.stored == []


# ---- we ask --------------------------------------------------------------------------------------


def asked(pacs: Pacs, port: int | None = None) -> Peer:
    port = port or pacs.port
    return Peer(
        name="pacs",
        ae_title="PACS",
        host=peers.LOOPBACK,
        port=port,
        calling_ae_title="TBSNODE",
        commitment=True,
    )


REQUEST = CommitmentRequest(transaction_uid="1.2.9", instances=BOTH)


def test_a_peer_is_asked_and_reports_on_the_spot() -> None:
    reports: list[CommitmentReport] = []
    with commitment_peer.pacs() as pacs:
        pacs.reports_on_the_spot = True
        pacs.failed = {"1.2.3.2": 0x0213}
        code = commitment.ask(asked(pacs), REQUEST, lambda told: not reports.append(told), patience_s=5.0)
        assert code == 0x0000
        peers.wait_until(lambda: pacs.answers, "the answer to the report")
    assert pacs.answers == [0x0000]
    (request,) = pacs.requests
    assert request.TransactionUID == "1.2.9"
    assert [(e.ReferencedSOPClassUID, e.ReferencedSOPInstanceUID) for e in request.ReferencedSOPSequence] == [
        ONE,
        TWO,
    ]
    (told,) = reports
    assert (told.committed, told.failed) == (BOTH[:1], ((BOTH[1], 0x0213),))
    assert (told.calling_ae_title, told.host) == ("PACS", peers.LOOPBACK)


def test_a_peer_that_reports_elsewhere_is_not_waited_for_in_vain() -> None:
    began = time.monotonic()
    with commitment_peer.pacs() as pacs:
        answers = iter([False, True])
        code = commitment.ask(
            asked(pacs), REQUEST, lambda _: True, patience_s=10.0, settled=lambda: next(answers)
        )
    assert code == 0x0000
    assert time.monotonic() - began < 5.0


def test_a_refusal_is_returned() -> None:
    with commitment_peer.pacs() as pacs:
        pacs.statuses = [0x0124]
        assert commitment.ask(asked(pacs), REQUEST, lambda _: True, patience_s=10.0) == 0x0124


@pytest.mark.parametrize(
    ("code", "accepted"), [(0, True), (0x0131, True), (0xB000, True), (0x0110, False), (0x0124, False)]
)
def test_which_answers_mean_that_a_report_will_come(code: int, accepted: bool) -> None:
    assert commitment.is_accepted(code) is accepted


def test_a_peer_without_the_service_says_so() -> None:
    with commitment_peer.pacs(commitment=False) as pacs:
        with pytest.raises(commitment.NotOffered, match="offers no storage commitment"):
            commitment.ask(asked(pacs), REQUEST, lambda _: True, patience_s=0.0)
        assert commitment.offers(asked(pacs)) == commitment.Offer(False, False)


def test_nobody_there() -> None:
    with pytest.raises(PeerUnreachable):
        commitment.ask(asked(Pacs(), peers.free_port()), REQUEST, lambda _: True, patience_s=0.0)


# ---- we report -----------------------------------------------------------------------------------


def test_our_report_takes_the_role_of_scp(receiver: Receiver) -> None:
    peer = Peer(
        name="X", ae_title="TBSNODE", host=peers.LOOPBACK, port=receiver.port, calling_ae_title="SCANNER"
    )
    told = CommitmentReport(transaction_uid="1.2.9", failed=((BOTH[0], 0x0112), (BOTH[1], 0x0119)))
    assert commitment.report(peer, told) == 0x0000
    (got,) = receiver.desk.reports
    assert (got.committed, got.failed) == ((), told.failed)
    assert commitment.offers(peer) == commitment.Offer(True, True)


def test_a_caller_that_does_not_take_our_role_is_named() -> None:
    with commitment_peer.pacs() as pacs:
        pacs.stop()
        pacs.ae.remove_supported_context(PUSH_MODEL)
        pacs.ae.add_supported_context(PUSH_MODEL)  # default roles only
        pacs.start()
        with pytest.raises(commitment.NotOffered, match="our role as SCP"):
            commitment.report(asked(pacs), CommitmentReport(transaction_uid="1.2.9", committed=BOTH))


# ---- where nobody commits ------------------------------------------------------------------------


def references(*uids: str) -> list[Reference]:
    return [
        Reference(
            sop_class_uid=SC, sop_instance_uid=uid, series_instance_uid="1.2.3", study_instance_uid="1.2"
        )
        for uid in uids
    ]


def test_a_query_shows_what_is_there() -> None:
    with commitment_peer.pacs(find=True) as pacs:
        pacs.stored = {"1.2.3.1": SC}
        assert presence.present(asked(pacs), references("1.2.3.1", "1.2.3.2")) == {"1.2.3.1"}


def test_no_query_is_no_answer() -> None:
    with commitment_peer.pacs() as pacs, pytest.raises(presence.NoQuery, match="Study Root"):
        presence.present(asked(pacs), references("1.2.3.1"))


def test_a_rejected_association_is_told_apart() -> None:
    with commitment_peer.pacs() as pacs:
        pacs.ae.require_calling_aet = ["OTHER"]
        with pytest.raises(AssociationRejected):
            commitment.ask(asked(pacs), REQUEST, lambda _: True, patience_s=0.0)
