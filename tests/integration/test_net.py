"""The SCP against strangers: pynetdicom, DCMTK, and a peer that does not speak properly."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from tbsnode.errors import (
    ConfigError,
    DatabaseUnavailable,
    InvalidInstance,
    MismatchedInstance,
    NotFound,
    StorageFull,
    UnsupportedInstance,
)
from tbsnode.model import ReceivedInstance
from tbsnode.net import scu
from tbsnode.net.scp import Caller
from tests import peers, raw_peer
from tests.raw_peer import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, RELEASE_RP, RELEASE_RQ, SECONDARY_CAPTURE
from tests.raw_peer import Caller as RawCaller
from tests.receiving_node import ReceivingNode, data_set, explicit, still_works, write_instance


def store_by_pynetdicom(receiver: ReceivingNode, path: Path, calling: str = "PYNETDICOM") -> Dataset:
    ae = AE(calling)
    ae.add_requested_context(SECONDARY_CAPTURE, [ExplicitVRLittleEndian])
    assoc = ae.associate(peers.LOOPBACK, receiver.port, ae_title="TBSNODE")
    assert assoc.is_established
    answer = assoc.send_c_store(path)
    assoc.release()
    assoc.join()
    return answer


def dcmtk(program: str, receiver: ReceivingNode, *arguments: str | Path, called: str = "TBSNODE") -> int:
    head = [program, "-aec", called, *([] if program == "dcmsend" else ["-aet", "SCANNER"])]
    return peers.run([*head, peers.LOOPBACK, str(receiver.port), *arguments]).returncode


# What goes well


def test_pynetdicom_stores(receiver: ReceivingNode, tmp_path: Path) -> None:
    source = write_instance(tmp_path / "a.dcm")
    assert store_by_pynetdicom(receiver, source).Status == 0x0000
    receiver.wait_for("opened", "store", "released")
    (received,) = receiver.stored
    assert received.sop_class_uid == SECONDARY_CAPTURE
    assert received.sop_instance_uid == "1.2.3.4.5"
    assert received.transfer_syntax_uid == ExplicitVRLittleEndian
    assert (received.calling_ae_title, received.called_ae_title) == ("PYNETDICOM", "TBSNODE")
    assert received.host == peers.LOOPBACK
    assert {event.association_id for event in receiver.events} == {received.association_id}
    assert data_set(receiver.archive / "1.2.3.4.5") == data_set(source)
    assert list(receiver.incoming.iterdir()) == []


@pytest.mark.peer
def test_echoscu(receiver: ReceivingNode) -> None:
    assert dcmtk("echoscu", receiver) == 0
    receiver.wait_for("opened", "released")


@pytest.mark.peer
@pytest.mark.parametrize(
    ("program", "options", "syntax"),
    [
        ("storescu", ["-xe"], ExplicitVRLittleEndian),
        ("storescu", ["-xi"], ImplicitVRLittleEndian),
        ("dcmsend", [], ExplicitVRLittleEndian),
    ],
)
def test_dcmtk_stores_bytes_as_they_are(
    receiver: ReceivingNode, tmp_path: Path, program: str, options: list[str], syntax: str
) -> None:
    sources = [write_instance(tmp_path / f"{n}.dcm", f"1.2.3.4.{n}", syntax) for n in (5, 6, 7)]
    assert dcmtk(program, receiver, *options, *sources) == 0
    receiver.wait_for("opened", "store", "store", "store", "released")
    assert {received.transfer_syntax_uid for received in receiver.stored} == {syntax}
    for source, received in zip(sources, receiver.stored, strict=True):
        assert data_set(receiver.archive / received.sop_instance_uid) == data_set(source)


@pytest.mark.peer
def test_uncompressed_explicit_is_chosen_where_a_peer_leaves_the_choice(
    receiver: ReceivingNode, tmp_path: Path
) -> None:
    source = write_instance(tmp_path / "a.dcm")
    assert dcmtk("storescu", receiver, "-R", source) == 0
    assert receiver.stored[0].transfer_syntax_uid == ExplicitVRLittleEndian


def test_a_context_that_we_do_not_take_is_refused_and_reported(
    make_receiver: Callable[..., ReceivingNode],
) -> None:
    receiver = make_receiver(transfer_syntaxes=(ImplicitVRLittleEndian,))
    computed_radiography = "1.2.840.10008.5.1.4.1.1.1"
    peer = scu_peer(receiver)
    assert scu.accepts(peer, [SECONDARY_CAPTURE, computed_radiography]) == {
        SECONDARY_CAPTURE: (ImplicitVRLittleEndian,),
        computed_radiography: (),
    }
    receiver.wait_for("opened", "released")
    assert receiver.events[0].text == "not accepted: Computed Radiography Image Storage"


def scu_peer(receiver: ReceivingNode, calling: str = "SCANNER") -> scu.Peer:
    return scu.Peer(
        name="node", ae_title="TBSNODE", host=peers.LOOPBACK, port=receiver.port, calling_ae_title=calling
    )


def test_at_level_debug_both_sides_say_what_was_agreed_on(
    receiver: ReceivingNode, caplog: pytest.LogCaptureFixture
) -> None:
    peer = scu_peer(receiver)
    with caplog.at_level("INFO", logger="tbsnode"):
        scu.accepts(peer, [SECONDARY_CAPTURE])
        receiver.wait_for("opened", "released")
    assert not [each for each in caplog.records if each.levelname == "DEBUG"]
    with caplog.at_level("DEBUG", logger="tbsnode"):
        scu.accepts(peer, [SECONDARY_CAPTURE, "1.2.3.4"])
        receiver.wait_for("opened", "released", "opened", "released")
    agreed = (
        "Secondary Capture Image Storage in Explicit VR Little Endian and Implicit VR Little Endian; "
        "1.2.3.4: abstract syntax not supported"
    )
    told = sorted(each.getMessage() for each in caplog.records if each.levelname == "DEBUG")
    assert told == [
        f"with SCANNER at {peers.LOOPBACK}: {agreed}",
        f"with node (TBSNODE@{peers.LOOPBACK}:{receiver.port}): {agreed}",
    ]


def test_several_associations_at_once(receiver: ReceivingNode, tmp_path: Path) -> None:
    sources = [write_instance(tmp_path / f"{n}.dcm", f"1.2.3.4.{n}") for n in range(4)]
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda s=source: statuses.append(store_by_pynetdicom(receiver, s).Status))
        for source in sources
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0, 0, 0, 0]
    peers.wait_until(lambda: receiver.log.count("released") == 4, "four releases")
    assert {path.name for path in receiver.archive.iterdir()} == {f"1.2.3.4.{n}" for n in range(4)}


def test_an_instance_that_nobody_took_is_not_left_behind(receiver: ReceivingNode, tmp_path: Path) -> None:
    receiver._store = None  # type: ignore[method-assign, assignment]
    receiver.scp._on_store = lambda received: None
    assert store_by_pynetdicom(receiver, write_instance(tmp_path / "a.dcm")).Status == 0x0000
    assert list(receiver.incoming.iterdir()) == []


# Who may call


@pytest.mark.peer
def test_an_unknown_caller_is_rejected_with_the_line_to_add(
    make_receiver: Callable[..., ReceivingNode],
) -> None:
    receiver = make_receiver(callers=(Caller("LUNAR", "127.0.0.1"),))
    assert dcmtk("echoscu", receiver) != 0
    receiver.wait_for("rejected")
    assert '{ ae_title = "SCANNER", host = "127.0.0.1" }' in receiver.events[0].text


def test_a_known_ae_title_from_elsewhere_is_rejected(make_receiver: Callable[..., ReceivingNode]) -> None:
    receiver = make_receiver(callers=(Caller("SCANNER", "192.0.2.0/24"),))
    with RawCaller(receiver.port) as caller:
        caller.send(raw_peer.associate_request())
        kind, body = caller.receive()
    assert kind == ASSOCIATE_RJ
    assert tuple(body[1:4]) == (1, 1, 3)  # permanent, service user, calling AE title not recognized
    receiver.wait_for("rejected")
    assert "192.0.2.0/24" in receiver.events[0].text


@pytest.mark.peer
def test_a_wrong_called_ae_title_is_rejected_in_words(receiver: ReceivingNode) -> None:
    assert dcmtk("echoscu", receiver, called="TBS") != 0
    receiver.wait_for("rejected")
    assert 'caller sent called AE "TBS", we are "TBSNODE"' in receiver.events[0].text
    with RawCaller(receiver.port) as caller:
        caller.send(raw_peer.associate_request(called="TBS"))
        _, body = caller.receive()
    assert tuple(body[1:4]) == (1, 1, 7)  # called AE title not recognized


def test_too_many_associations_are_rejected_as_transient(make_receiver: Callable[..., ReceivingNode]) -> None:
    receiver = make_receiver(max_associations=2)
    with (
        RawCaller(receiver.port) as first,
        RawCaller(receiver.port) as second,
        RawCaller(receiver.port) as third,
    ):
        assert first.associate() == ASSOCIATE_AC
        assert second.associate() == ASSOCIATE_AC
        third.send(raw_peer.associate_request())
        kind, body = third.receive()
        assert kind == ASSOCIATE_RJ
        assert tuple(body[1:4]) == (2, 3, 2)
        assert "2 associations are open" in receiver.events[-1].text
        first.send(raw_peer.pdu(RELEASE_RQ, bytes(4)))
        assert first.receive()[0] == RELEASE_RP
        peers.wait_until(lambda: receiver.scp.open_associations == 1, "the first to be gone")
        with RawCaller(receiver.port) as fourth:
            assert fourth.associate() == ASSOCIATE_AC


def test_idle_connections_are_limited_and_do_not_block_for_long(
    make_receiver: Callable[..., ReceivingNode],
) -> None:
    receiver = make_receiver(max_associations=1, max_idle_connections=1, acse_timeout_s=1.0)
    with RawCaller(receiver.port) as first, RawCaller(receiver.port), RawCaller(receiver.port):
        assert first.receive() == (0, b"")  # the oldest makes room
        peers.wait_until(lambda: receiver.scp._server.connected == [], "silent connections to be closed")  # type: ignore[union-attr]
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC


def test_silent_connections_keep_no_scanner_out(make_receiver: Callable[..., ReceivingNode]) -> None:
    """Whoever reaches the port may hold connections open, and open new ones as they are closed."""
    receiver = make_receiver(max_associations=2, max_idle_connections=2)
    with ExitStack() as crowd:
        held = [crowd.enter_context(RawCaller(receiver.port)) for _ in range(4)]
        held[1].send(b"\x01\x00\x00")  # the beginning of a request counts as silence
        peers.wait_until(lambda: len(receiver.scp._server.connected) == 4, "the crowd to be there")  # type: ignore[union-attr]
        with RawCaller(receiver.port) as scanner, RawCaller(receiver.port) as other:
            assert (scanner.associate(), other.associate()) == (ASSOCIATE_AC, ASSOCIATE_AC)
            crowd.enter_context(RawCaller(receiver.port))
            still_here = raw_peer.pdu(RELEASE_RQ, bytes(4))  # who was admitted is not hung up on
            scanner.send(still_here)
            assert scanner.receive()[0] == RELEASE_RP


def test_who_is_rejected_and_stays_on_the_line_keeps_no_scanner_out(
    make_receiver: Callable[..., ReceivingNode],
) -> None:
    receiver = make_receiver(max_associations=1, max_idle_connections=1)
    with ExitStack() as crowd:
        for _ in range(6):
            stranger = crowd.enter_context(RawCaller(receiver.port))
            assert stranger.associate("EVIL") == ASSOCIATE_RJ
        assert len(receiver.scp._server._leaving) <= 2  # type: ignore[union-attr]
        with RawCaller(receiver.port) as scanner:
            assert scanner.associate() == ASSOCIATE_AC


def test_when_the_database_is_away_the_sender_is_told_to_try_again(receiver: ReceivingNode) -> None:
    receiver.event_failure = DatabaseUnavailable()
    with RawCaller(receiver.port) as caller:
        caller.send(raw_peer.associate_request())
        _, body = caller.receive()
    assert tuple(body[1:4]) == (2, 3, 1)
    receiver.event_failure = None
    peers.wait_until(lambda: receiver.scp._server.connected == [], "the association to end")  # type: ignore[union-attr]
    assert receiver.log == ["opened"]  # it was not, so it does not end either


# What the handler raises


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (UnsupportedInstance(), 0x0122),
        (MismatchedInstance(), 0xA900),
        (InvalidInstance(keyword="StudyInstanceUID"), 0xC000),
        (InvalidInstance(keyword="SOPInstanceUID"), 0x0117),
        (StorageFull(), 0xA700),
        (DatabaseUnavailable(), 0xA700),
        (NotFound(), 0x0110),
        (ValueError("Canary^Name"), 0xC211),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_is_answered_and_leaves_nothing(
    receiver: ReceivingNode,
    tmp_path: Path,
    failure: Exception,
    expected: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.failure = failure
    answer = store_by_pynetdicom(receiver, write_instance(tmp_path / "a.dcm"))
    assert answer.Status == expected
    assert list(receiver.incoming.iterdir()) == []
    receiver.wait_for("opened", "store", "released")
    assert "anary" not in caplog.text
    assert "CANARY" not in caplog.text
    receiver.failure = None
    assert store_by_pynetdicom(receiver, write_instance(tmp_path / "a.dcm")).Status == 0x0000


def test_the_error_comment_reaches_the_sender(receiver: ReceivingNode, tmp_path: Path) -> None:
    receiver.failure = InvalidInstance(keyword="StudyInstanceUID")
    source = write_instance(tmp_path / "a.dcm")
    item = scu.Outgoing(
        path=source,
        sop_class_uid=SECONDARY_CAPTURE,
        sop_instance_uid="1.2.3.4.5",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    (outcome,) = scu.send(scu_peer(receiver), [item])
    assert outcome.category == "refused"
    assert outcome.text == "0xC000 Cannot understand: Missing or invalid attribute: StudyInstanceUID"


# Starting and stopping


def test_a_port_in_use_is_a_configuration_error(receiver: ReceivingNode, tmp_path: Path) -> None:
    other = ReceivingNode(tmp_path, port=receiver.port)
    with pytest.raises(ConfigError, match=r"another port in \[receiver\]") as raised:
        other.scp.start()
    assert str(receiver.port) in str(raised.value)


def test_an_address_of_another_machine_is_a_configuration_error(tmp_path: Path) -> None:
    other = ReceivingNode(tmp_path, bind="192.0.2.1")
    with pytest.raises(ConfigError, match=r"receiver\.bind"):
        other.scp.start()


def test_stop_aborts_what_does_not_end_and_tells(make_receiver: Callable[..., ReceivingNode]) -> None:
    receiver = make_receiver()
    with RawCaller(receiver.port) as silent, RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        receiver.scp.stop(grace_s=0.1)
        assert caller.receive()[0] in (0, ABORT)
        assert silent.receive()[0] == 0
    assert receiver.log == ["opened", "aborted"]
    assert receiver.events[-1].text == "this node is stopping"


def test_stop_waits_for_an_instance_that_is_being_stored(
    make_receiver: Callable[..., ReceivingNode], tmp_path: Path
) -> None:
    receiver = make_receiver()
    entered, leave = threading.Event(), threading.Event()
    take = receiver.scp._on_store

    def slow(received: ReceivedInstance) -> None:
        entered.set()
        assert leave.wait(10.0)
        take(received)

    receiver.scp._on_store = slow
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        caller.send(raw_peer.data(raw_peer.store_command(), control=3), explicit())
        assert entered.wait(10.0)
        stopper = threading.Thread(target=receiver.scp.stop, kwargs={"grace_s": 0.0})
        stopper.start()
        leave.set()
        stopper.join(10.0)
    assert receiver.log == ["opened", "store", "aborted"]
    assert (receiver.archive / "1.2.3.4").exists()


def test_it_starts_again_after_a_stop(receiver: ReceivingNode) -> None:
    receiver.scp.stop()
    receiver.scp.stop()
    receiver.scp.start()
    still_works(receiver)
