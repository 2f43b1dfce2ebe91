"""The SCU against strangers: DCMTK storescp, Orthanc, our own SCP, and archives that misbehave."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom.association import Association

from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable
from tbsnode.model import Outgoing, Peer
from tbsnode.net import requestor, scu, upper_layer
from tbsnode.net.messages import Receiver
from tests import peers, raw_peer
from tests.conftest import StartStorescp
from tests.raw_peer import ABORT, P_DATA, SECONDARY_CAPTURE
from tests.raw_peer import Caller as RawCaller
from tests.receiving_node import data_set, write_instance


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    peers.wait_until(lambda: set(threading.enumerate()) <= before, "the threads of associations to end", 5.0)


def peer_at(
    port: int, ae_title: str = "STORESCP", calling: str = "TBSNODE", host: str = peers.LOOPBACK
) -> Peer:
    return Peer(name="pacs", ae_title=ae_title, host=host, port=port, calling_ae_title=calling)


def outgoing(path: Path) -> Outgoing:
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    return Outgoing(
        path=path,
        sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid=str(ds.SOPInstanceUID),
        transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID),
    )


@pytest.fixture
def items(tmp_path: Path) -> list[Outgoing]:
    return [outgoing(write_instance(tmp_path / f"{n}.dcm", f"1.2.3.4.{n}")) for n in (5, 6, 7)]


# What goes well


@pytest.mark.peer
def test_storescp_gets_the_stored_bytes(
    storescp: StartStorescp, items: list[Outgoing], tmp_path: Path
) -> None:
    implicit = outgoing(write_instance(tmp_path / "8.dcm", "1.2.3.4.8", ImplicitVRLittleEndian))
    archive = storescp()
    outcomes = scu.send(peer_at(archive.port), [*items, implicit])
    assert [(each.status, each.category) for each in outcomes] == [(0, "success")] * 4
    assert [each.sop_instance_uid for each in outcomes] == [f"1.2.3.4.{n}" for n in (5, 6, 7, 8)]
    received = {path.name.split(".", 1)[1]: path for path in archive.files()}
    for item in (*items, implicit):
        assert data_set(received[item.sop_instance_uid]) == data_set(item.path)


class _SlowToWake(threading.Event):
    """Where pynetdicom's own thread pauses: it goes on only a while after it was let go, as under load."""

    def wait(self, timeout: float | None = None) -> bool:
        let_go = super().wait(timeout)
        time.sleep(0.05)
        return let_go


@pytest.mark.peer
def test_an_answer_is_not_taken_by_the_thread_that_serves_requests(
    storescp: StartStorescp, items: list[Outgoing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let go before we sent, it wakes after the answer came and took it: the sender waited two minutes."""
    attach = upper_layer.attach

    def slowly(assoc: Association, max_waiting: int = 0) -> None:
        attach(assoc, max_waiting)
        assoc._reactor_checkpoint = _SlowToWake()
        assoc._reactor_checkpoint.set()

    def dawdle(self: Receiver, primitive: Any, context_id: int) -> None:
        send_msg(self, primitive, context_id)
        time.sleep(0.1)  # the answer is there before anybody waits for it

    send_msg = Receiver.send_msg
    monkeypatch.setattr(upper_layer, "attach", slowly)
    monkeypatch.setattr(Receiver, "send_msg", dawdle)
    monkeypatch.setattr(requestor, "DIMSE_S", 3.0)
    archive = storescp()
    for _ in range(5):
        outcomes = scu.send(peer_at(archive.port), items)
        assert [(each.status, each.category) for each in outcomes] == [(0, "success")] * 3


@pytest.mark.peer
def test_orthanc_gets_and_gives_back_the_same_data_set(
    orthanc: peers.Orthanc, items: list[Outgoing], tmp_path: Path
) -> None:
    outcomes = scu.send(peer_at(orthanc.port, "ORTHANC"), items)
    assert [each.category for each in outcomes] == ["success"] * 3
    assert orthanc.sop_instance_uids() == {item.sop_instance_uid for item in items}
    for item in items:
        back = tmp_path / "back"
        back.write_bytes(orthanc.fetch(item.sop_instance_uid))
        assert data_set(back) == data_set(item.path)
    assert [each.category for each in scu.send(peer_at(orthanc.port, "ORTHANC"), items)] == ["success"] * 3


@pytest.mark.peer
def test_a_large_instance_arrives_whole(storescp: StartStorescp, tmp_path: Path) -> None:
    item = outgoing(write_instance(tmp_path / "large.dcm", rows=3000))
    archive = storescp("+xe")
    (outcome,) = scu.send(peer_at(archive.port), [item])
    assert outcome.category == "success"
    assert data_set(archive.files()[0]) == data_set(item.path)


def test_nothing_to_send_opens_no_association() -> None:
    assert scu.send(peer_at(1), []) == ()


# What a peer does not take


@pytest.mark.peer
def test_a_peer_that_takes_only_implicit_says_so(storescp: StartStorescp, items: list[Outgoing]) -> None:
    archive = storescp("+xi")
    outcomes = scu.send(peer_at(archive.port), items)
    assert {(each.status, each.category, each.text) for each in outcomes} == {
        (None, "not_accepted", scu.IMPLICIT_ONLY)
    }
    assert archive.files() == []


@pytest.mark.peer
def test_a_class_or_transfer_syntax_that_a_peer_does_not_take(orthanc: peers.Orthanc, tmp_path: Path) -> None:
    unknown = Outgoing(
        path=tmp_path / "never-read",
        sop_class_uid="1.2.3.999",
        sop_instance_uid="1.2.3.4.1",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    (outcome,) = scu.send(peer_at(orthanc.port, "ORTHANC"), [unknown])
    assert (outcome.status, outcome.category) == (None, "not_accepted")
    assert "SOP class" in outcome.text


@pytest.mark.peer
def test_part_of_the_items_not_taken(storescp: StartStorescp, items: list[Outgoing], tmp_path: Path) -> None:
    compressed = outgoing(write_instance(tmp_path / "9.dcm", "1.2.3.4.9"))
    compressed = Outgoing(
        path=compressed.path,
        sop_class_uid=compressed.sop_class_uid,
        sop_instance_uid=compressed.sop_instance_uid,
        transfer_syntax_uid=JPEGLosslessSV1,
    )
    archive = storescp("+x=")  # uncompressed only
    outcomes = scu.send(peer_at(archive.port), [items[0], compressed, items[1]])
    assert [each.category for each in outcomes] == ["success", "not_accepted", "success"]
    assert len(archive.files()) == 2


@pytest.mark.peer
def test_accepts_tells_each_class_and_transfer_syntax(storescp: StartStorescp) -> None:
    known = scu.accepts(peer_at(storescp("+xi").port), [SECONDARY_CAPTURE, "1.2.3.999"])
    assert known == {SECONDARY_CAPTURE: (ImplicitVRLittleEndian,), "1.2.3.999": ()}
    known = scu.accepts(peer_at(storescp().port), [SECONDARY_CAPTURE])
    assert known == {SECONDARY_CAPTURE: (ExplicitVRLittleEndian, ImplicitVRLittleEndian)}


# Echo and find


@pytest.mark.peer
def test_echo(storescp: StartStorescp, orthanc: peers.Orthanc) -> None:
    for peer in (peer_at(storescp().port), peer_at(orthanc.port, "ORTHANC")):
        result = scu.echo(peer)
        assert result.ok, result.text
        assert "0x0000 Success" in result.text
        assert result.milliseconds > 0


@pytest.mark.peer
def test_echo_says_what_is_wrong(orthanc: peers.Orthanc) -> None:
    unknown = scu.echo(peer_at(orthanc.port, "ORTHANC", calling="STRANGER"))
    misdialed = scu.echo(peer_at(orthanc.port, "WRONG"))
    absent = scu.echo(peer_at(peers.free_port()))
    nameless = scu.echo(peer_at(104, host="no-such-host.invalid"))
    for result in (unknown, misdialed, absent, nameless):
        assert not result.ok
        assert "pacs (" in result.text
    assert "ae_title" in misdialed.text
    assert "cannot be reached: connection refused" in absent.text


@pytest.mark.peer
def test_find_study(orthanc: peers.Orthanc, tmp_path: Path) -> None:
    path = write_instance(tmp_path / "a.dcm")
    ds = pydicom.dcmread(path)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName, ds.PatientBirthDate, ds.AccessionNumber = "Müller^Ann", "19500102", "ACC-1"
    ds.save_as(path)
    scu.send(peer_at(orthanc.port, "ORTHANC"), [outgoing(path)])
    found = scu.find_study(peer_at(orthanc.port, "ORTHANC"), str(ds.StudyInstanceUID))
    assert found == scu.FoundStudy(
        patient_id="CANARY-ID", name="Müller^Ann", birth_date="19500102", accession_number="ACC-1"
    )
    assert scu.find_study(peer_at(orthanc.port, "ORTHANC"), "1.2.3.4.999") is None


@pytest.mark.peer
def test_find_study_at_a_peer_without_that_service(storescp: StartStorescp) -> None:
    with pytest.raises(PeerError, match="does not offer"):
        scu.find_study(peer_at(storescp().port), "1.2.3")


# Peers that are away, or misbehave


def test_a_peer_that_is_away(items: list[Outgoing]) -> None:
    with pytest.raises(PeerUnreachable) as raised:
        scu.send(peer_at(peers.free_port()), items)
    assert raised.value.retryable
    assert raised.value.peer == "pacs"


def test_a_name_that_nobody_knows(items: list[Outgoing]) -> None:
    with pytest.raises(PeerUnreachable):
        scu.send(peer_at(104, host="no-such-host.invalid"), items)


@pytest.mark.parametrize(("result", "transient"), [(1, False), (2, True)])
def test_a_rejection_says_if_a_later_try_may_help(
    items: list[Outgoing], result: int, transient: bool
) -> None:
    def reject(caller: RawCaller) -> None:
        caller.receive()
        caller.send(raw_peer.pdu(3, bytes([0, result, 1, 3])))

    with raw_peer.listener(reject) as archive, pytest.raises(AssociationRejected) as raised:
        scu.send(peer_at(archive.port), items)
    assert raised.value.transient is transient
    assert "AE title" in str(raised.value)


def accept_then(follow: str, answers: int = 1):  # type: ignore[no-untyped-def]
    """Return a script that accepts, answers some C-STOREs with success, then does `follow`."""

    def script(caller: RawCaller) -> None:
        kind, body = caller.receive()
        caller.send(raw_peer.associate_accept(raw_peer.pdu(kind, body), transfer_syntax=raw_peer.EXPLICIT))
        for number in range(1, answers + 1):
            while not _ends_data_set(caller.receive()):
                pass
            caller.send(raw_peer.data(_success(number), control=3))
        if follow == "abort":
            caller.send(raw_peer.pdu(ABORT, bytes(4)))
        elif follow == "close":
            caller.socket.close()
        elif follow == "vanish":
            caller.vanish()
        elif follow == "garbage":
            caller.send(b"\x99" * 50)
        elif follow == "noise command":
            caller.send(raw_peer.data(b"\xff" * 20, control=3))

    return script


def _ends_data_set(received: tuple[int, bytes]) -> bool:
    kind, body = received
    if kind == 0:
        raise ConnectionError
    return kind == P_DATA and body[5] == 2


def _success(message_id: int) -> bytes:
    return raw_peer.command(
        {
            0x0100: struct.pack("<H", 0x8001),
            0x0120: struct.pack("<H", message_id),
            0x0800: struct.pack("<H", 0x0101),
            0x0900: struct.pack("<H", 0),
        }
    )


@pytest.mark.parametrize("follow", ["abort", "close", "vanish", "garbage", "noise command"])
def test_a_broken_association_keeps_what_was_answered(items: list[Outgoing], follow: str) -> None:
    with raw_peer.listener(accept_then(follow)) as archive, pytest.raises(PeerUnreachable) as raised:
        scu.send(peer_at(archive.port), items)
    assert isinstance(raised.value, scu.AssociationBroken)
    (outcome,) = raised.value.outcomes
    assert (outcome.sop_instance_uid, outcome.category) == ("1.2.3.4.5", "success")
    assert "1 of 3" in str(raised.value)


def test_a_peer_that_accepts_and_never_answers_is_given_up(
    items: list[Outgoing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestor, "DIMSE_S", 0.3)
    with (
        raw_peer.listener(accept_then("silence", answers=2)) as archive,
        pytest.raises(scu.AssociationBroken) as raised,
    ):
        scu.send(peer_at(archive.port), items)
    assert len(raised.value.outcomes) == 2


def test_a_peer_that_stops_reading_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requestor, "TRANSFER_S", 0.5)
    release = threading.Event()

    def stop_reading(caller: RawCaller) -> None:
        kind, body = caller.receive()
        caller.send(raw_peer.associate_accept(raw_peer.pdu(kind, body), transfer_syntax=raw_peer.EXPLICIT))
        release.wait(20.0)

    item = outgoing(write_instance(tmp_path / "large.dcm", rows=4000))
    with raw_peer.listener(stop_reading) as archive:
        with pytest.raises(scu.AssociationBroken):
            scu.send(peer_at(archive.port), [item])
        release.set()


@pytest.mark.parametrize("silent", ["says nothing", "hangs up", "garbage"])
def test_a_peer_that_does_not_answer_the_request(
    items: list[Outgoing], silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestor, "ACSE_S", 0.3)

    def script(caller: RawCaller) -> None:
        caller.receive()
        if silent == "hangs up":
            caller.socket.close()
        elif silent == "garbage":
            caller.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw_peer.listener(script) as archive, pytest.raises(PeerUnreachable):
        scu.send(peer_at(archive.port), items)


def test_a_peer_that_accepts_no_context(items: list[Outgoing]) -> None:
    def script(caller: RawCaller) -> None:
        kind, body = caller.receive()
        caller.send(raw_peer.associate_accept(raw_peer.pdu(kind, body), result=3))

    with raw_peer.listener(script) as archive:
        outcomes = scu.send(peer_at(archive.port), items)
        assert {each.category for each in outcomes} == {"not_accepted"}
        assert not scu.echo(peer_at(archive.port)).ok


def test_a_file_that_is_gone_ends_the_association(storescp: StartStorescp, items: list[Outgoing]) -> None:
    items[1].path.unlink()
    with pytest.raises(FileNotFoundError):
        scu.send(peer_at(storescp().port), items)
