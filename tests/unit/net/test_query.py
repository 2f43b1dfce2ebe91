"""C-FIND and C-MOVE against an archive that answers as told, also wrongly, slowly or not at all."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable
from tbsnode.model import Peer
from tbsnode.net import query, scu
from tests import peers, raw_peer
from tests.raw_peer import ASSOCIATE_AC, RELEASE_RP, RELEASE_RQ, SECONDARY_CAPTURE
from tests.raw_peer import Caller as RawCaller
from tests.receiving_node import ReceivingNode, explicit, write_instance

FIND, MOVE = StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelMove


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    peers.wait_until(lambda: set(threading.enumerate()) <= before, "the threads of associations to end", 5.0)


@pytest.fixture(autouse=True)
def servers_that_stop_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library's server looks every half second if it shall stop."""
    monkeypatch.setattr(socketserver.BaseServer.serve_forever, "__defaults__", (0.02,))


def match(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


@dataclass
class Archive:
    """An archive whose answers are given: to a query (status, match) pairs, to a retrieval its files."""

    answers: list[tuple[int, Dataset | None]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    receiver: tuple[str, int] | None = None
    delay_s: float = 0.0
    asked: list[Dataset] = field(default_factory=list)
    destinations: list[str] = field(default_factory=list)

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        for answer in self.answers:
            time.sleep(self.delay_s)
            yield answer

    def move(self, event: Any) -> Iterator[Any]:
        self.asked.append(event.identifier)
        self.destinations.append(event.move_destination)
        yield (*self.receiver, {"contexts": _stores()}) if self.receiver else (None, None)
        yield len(self.files)
        for path in self.files:
            time.sleep(self.delay_s)
            yield 0xFF00, _read(path)


def _read(path: Path) -> Dataset:
    from pydicom import dcmread

    return dcmread(path)


def _stores() -> list[Any]:
    from pynetdicom import build_context

    return [build_context(SECONDARY_CAPTURE)]


@contextmanager
def served(archive: Archive, *services: Any, ae_title: str = "ARCHIVE") -> Iterator[Peer]:
    ae = AE(ae_title)
    ae.require_calling_aet = ["TBSNODE"]
    for service in services or (FIND, MOVE):
        ae.add_supported_context(service)
    ae.add_requested_context(SECONDARY_CAPTURE)
    handlers = [(evt.EVT_C_FIND, archive.find), (evt.EVT_C_MOVE, archive.move)]
    server = ae.start_server((peers.LOOPBACK, 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield peer_at(server.server_address[1], ae_title=ae_title)
    finally:
        server.shutdown()


def peer_at(port: int, calling: str = "TBSNODE", ae_title: str = "ARCHIVE") -> Peer:
    return Peer(name="pacs", ae_title=ae_title, host=peers.LOOPBACK, port=port, calling_ae_title=calling)


def studies(archive: Archive, patient_id: str = "P1", timeout_s: float = 5.0) -> list[query.ArchivedStudy]:
    with served(archive) as peer, query.asking(peer, timeout_s=timeout_s) as asked:
        return list(asked.studies(patient_id))


def move(archive: Archive, *services: Any) -> None:
    with served(archive, *services) as peer, query.asking(peer, timeout_s=10.0) as asked:
        asked.move("1.2.3.4", "1.2.3.4.1")


# What goes well


def test_a_study_is_found_with_what_tells_whose_it_is() -> None:
    archive = Archive(
        answers=[
            (
                0xFF00,
                match(
                    StudyInstanceUID="1.2",
                    PatientID="P1",
                    PatientBirthDate="19500102",
                    PatientSex="F",
                    IssuerOfPatientID="CLINIC",
                    StudyDate="20240305",
                    StudyTime="101500",
                    StudyDescription="DXA Exam",
                    ModalitiesInStudy=["CR", "SR"],
                ),
            )
        ]
    )
    assert studies(archive) == [
        query.ArchivedStudy(
            study_instance_uid="1.2",
            patient_id="P1",
            issuer="CLINIC",
            birth_date="19500102",
            sex="F",
            study_date="20240305",
            study_time="101500",
            description="DXA Exam",
            modalities=("CR", "SR"),
        )
    ]
    (asked,) = archive.asked
    assert (asked.QueryRetrieveLevel, asked.PatientID) == ("STUDY", "P1")
    assert "PatientName" not in asked, "by name nobody is looked for"
    assert (asked.IssuerOfPatientID, asked.PatientBirthDate, asked.PatientSex) == ("", "", "")


def test_an_archive_that_takes_an_id_for_a_pattern_gives_no_other_patient() -> None:
    """`P*` and letter case: PS3.4 C.2.2.2 lets an archive match more than was meant."""
    answers = [
        (0xFF00, match(StudyInstanceUID=f"1.2.{n}", PatientID=each))
        for n, each in enumerate(("P*", "P12", "p*", "P* ", ""))
    ]
    assert [each.patient_id for each in studies(Archive(answers=answers), "P*")] == ["P*", "P*"]


def test_every_question_is_in_unicode_so_that_the_answer_can_hold_any_name() -> None:
    """An archive answers in the character set of the question, and leaves out what that cannot hold."""
    archive = Archive()
    assert studies(archive, "Ä-7") == studies(archive, "P1") == []
    with served(archive) as peer:
        assert scu.find_study(peer, "1.2") is None
    assert [each.SpecificCharacterSet for each in archive.asked] == ["ISO_IR 192"] * 3
    assert archive.asked[0].PatientID == "Ä-7"


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        ("ISO_IR 192", "Żółć^Łukasz"),
        ("ISO_IR 144", "Иванов^Иван"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_a_name_is_read_in_the_character_set_of_the_answer(terms: str | list[str], name: str) -> None:
    answer = match(SpecificCharacterSet=terms, StudyInstanceUID="1.2", PatientID="P1", PatientName=name)
    with served(Archive(answers=[(0xFF00, answer)])) as peer:
        found = scu.find_study(peer, "1.2")
    assert found == scu.FoundStudy(patient_id="P1", name=name)


def test_series_with_what_they_may_be() -> None:
    answers = [
        (0xFF00, match(SeriesInstanceUID="1.2.1", Modality="CR", NumberOfSeriesRelatedInstances="4")),
        (0xFF01, match(SeriesInstanceUID="1.2.2", Modality="SR", SeriesDescription="TBS Measurements")),
        (0xFF00, match(Modality="CT")),
    ]
    archive = Archive(answers=answers)
    with served(archive) as peer, query.asking(peer, timeout_s=5.0) as asked:
        found = asked.series("1.2")
    assert [(each.series_instance_uid, each.modality, each.instances) for each in found] == [
        ("1.2.1", "CR", 4),
        ("1.2.2", "SR", None),
    ]
    assert archive.asked[0].StudyInstanceUID == "1.2"


def test_what_is_moved_arrives_as_fetched(
    make_receiver: Callable[..., ReceivingNode], tmp_path: Path
) -> None:
    from tbsnode.net.scp import Caller

    # pynetdicom writes its own title, and not ours, into Move Originator: here both are the same
    receiver = make_receiver(callers=(Caller("TBSNODE", peers.LOOPBACK),))
    files = [write_instance(tmp_path / f"{n}.dcm", f"1.2.3.4.{n}") for n in (5, 6)]
    archive = Archive(files=files, receiver=(peers.LOOPBACK, receiver.port))
    with served(archive, ae_title="TBSNODE") as peer, query.asking(peer, timeout_s=10.0) as asked:
        asked.move("1.2.3.4", "1.2.3.4.1")
        # it is there when the retrieval has ended, not some time later
        assert [each.sop_instance_uid for each in receiver.stored] == ["1.2.3.4.5", "1.2.3.4.6"]
    assert archive.destinations == ["TBSNODE"]
    assert (archive.asked[0].StudyInstanceUID, archive.asked[0].SeriesInstanceUID) == ("1.2.3.4", "1.2.3.4.1")
    assert all(each.fetched for each in receiver.stored)


@pytest.mark.parametrize(
    ("originator", "fetched"),
    [(b"TBSNODE ", True), (b" TBSNODE", True), (b"WORKSTATION ", False), (b"tbsnode ", False), (None, False)],
)
def test_only_our_own_retrieval_makes_an_instance_fetched(
    receiver: ReceivingNode, originator: bytes | None, fetched: bool
) -> None:
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        caller.send(raw_peer.data(raw_peer.store_command(x1030=originator), control=3), explicit())
        assert caller.status() == 0x0000
        caller.send(raw_peer.pdu(RELEASE_RQ, bytes(4)))
        assert caller.receive()[0] == RELEASE_RP
    assert [each.fetched for each in receiver.stored] == [fetched]


# What goes wrong


def test_a_failed_query_says_why() -> None:
    archive = Archive(answers=[(0xFF00, match(StudyInstanceUID="1.2", PatientID="P1")), (0xA700, None)])
    with pytest.raises(query.QueryFailed) as raised:
        studies(archive)
    assert raised.value.why == "the query failed: 0xA700 Refused: out of resources"


@pytest.mark.parametrize(
    ("code", "later"), [(0xA700, True), (0x0110, True), (0x0213, True), (0xA900, False), (0xC001, False)]
)
def test_a_query_for_a_study_that_fails_for_the_moment_is_for_later(code: int, *, later: bool) -> None:
    with served(Archive(answers=[(code, None)])) as peer, pytest.raises(PeerError) as raised:
        scu.find_study(peer, "1.2")
    assert isinstance(raised.value, PeerUnreachable) is later
    assert f"0x{code:04X}" in str(raised.value)


def test_a_value_that_breaks_the_rules_is_read_and_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """pydicom would quote it in the log; here it may be a patient's name at the wrong place."""
    bad = match(SeriesInstanceUID="1.2.1")
    bad.add_new(0x00201209, "LO", "canary")  # NumberOfSeriesRelatedInstances is IS
    with served(Archive(answers=[(0xFF00, bad)])) as peer, query.asking(peer, timeout_s=5.0) as asked:
        (found,) = asked.series("1.2")
    assert (found.series_instance_uid, found.instances) == ("1.2.1", None)
    assert "canary" not in caplog.text


def test_an_identity_in_another_character_set_is_decoded() -> None:
    answer = match(SpecificCharacterSet="ISO_IR 144", StudyInstanceUID="1.2", PatientID="Ж-1")
    (found,) = studies(Archive(answers=[(0xFF00, answer)]), "Ж-1")
    assert found.patient_id == "Ж-1"


def test_an_unknown_move_destination_says_so() -> None:
    with pytest.raises(query.QueryFailed) as raised:
        move(Archive())
    assert raised.value.why == "the retrieval failed: 0xA801 Move destination unknown"


def test_instances_that_did_not_arrive_are_a_failure(
    make_receiver: Callable[..., ReceivingNode], tmp_path: Path
) -> None:
    """Our disk is full: the archive ends with a warning, 0xB000, and the count of what failed."""
    from tbsnode.errors import StorageFull
    from tbsnode.net.scp import Caller

    receiver = make_receiver(callers=(Caller("ARCHIVE", peers.LOOPBACK),))
    receiver.failure = StorageFull()
    files = [write_instance(tmp_path / "5.dcm", "1.2.3.4.5")]
    archive = Archive(files=files, receiver=(peers.LOOPBACK, receiver.port))
    with pytest.raises(query.QueryFailed) as raised:
        move(archive)
    assert raised.value.why.startswith("the retrieval failed: 0x")


@pytest.mark.parametrize(
    ("services", "why"),
    [
        ((MOVE,), "it offers no query"),
        ((FIND,), "it offers no retrieval"),
        ((Verification,), "it offers no query"),
    ],
)
def test_an_archive_without_the_service(services: tuple[Any, ...], why: str) -> None:
    with pytest.raises(query.QueryFailed) as raised:
        move(Archive(), *services)
    assert raised.value.why == why


def test_an_archive_that_does_not_know_us_rejects() -> None:
    with served(Archive()) as peer, pytest.raises(AssociationRejected):  # noqa: SIM117
        with query.asking(peer_at(peer.port, "STRANGER"), timeout_s=5.0):
            pytest.fail("there is nobody to ask")


def test_nobody_there(free_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(PeerUnreachable), query.asking(peer_at(free_port), timeout_s=2.0):
        pytest.fail("there is nobody to ask")
    assert time.monotonic() - started < 2.5


def test_the_limit_of_time_is_for_everything_together() -> None:
    """A hundred answers, each in good time: the sum is what counts."""
    answers: list[tuple[int, Dataset | None]] = [
        (0xFF00, match(StudyInstanceUID=f"1.2.{n}", PatientID="P1")) for n in range(100)
    ]
    started = time.monotonic()
    with pytest.raises(query.OutOfTime):
        studies(Archive(answers=answers, delay_s=0.1), timeout_s=0.5)
    assert time.monotonic() - started < 3.0


def test_an_archive_that_falls_silent_is_left() -> None:
    def accept_and_stay_silent(connection: RawCaller) -> None:
        kind, body = connection.receive()
        assert kind == raw_peer.ASSOCIATE_RQ
        connection.send(raw_peer.associate_accept(raw_peer.pdu(kind, body)))

    started = time.monotonic()
    with raw_peer.listener(accept_and_stay_silent) as archive:  # noqa: SIM117
        with pytest.raises(PeerUnreachable), query.asking(peer_at(archive.port), timeout_s=0.5) as asked:
            asked.studies("P1")
    assert time.monotonic() - started < 5.0


def test_an_archive_that_hangs_up_between_two_questions() -> None:
    archive = Archive()
    with served(archive) as peer, query.asking(peer, timeout_s=5.0) as asked:
        asked.studies("P1")
        asked._assoc.abort()
        with pytest.raises(query.AssociationBroken):
            asked.studies("P1")
        with pytest.raises(query.AssociationBroken):
            asked.move("1.2", "1.2.1")


def test_an_archive_that_lists_everything_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "_MOST_MATCHES", 3)
    answers: list[tuple[int, Dataset | None]] = [
        (0xFF00, match(StudyInstanceUID=f"1.2.{n}", PatientID="P1")) for n in range(10)
    ]
    with pytest.raises(query.QueryFailed) as raised:
        studies(Archive(answers=answers))
    assert raised.value.why == "the query finds too much"
