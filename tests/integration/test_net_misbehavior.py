"""The SCP against a peer that does not speak properly: it answers or aborts, and serves the next."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tbsnode.net.admission import Admission
from tbsnode.net.fragments import Fragments
from tbsnode.net.scp import AssociationEvent
from tests import peers, raw_peer
from tests.raw_peer import ABORT, ASSOCIATE_AC, RELEASE_RP
from tests.raw_peer import Caller as RawCaller
from tests.receiving_node import ReceivingNode, explicit, still_works


@pytest.fixture(params=["ordinary", "pynetdicom"], autouse=True)
def spoken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who serves the association: we ourselves, or pynetdicom as for a peer that negotiates more."""
    if request.param == "pynetdicom":
        monkeypatch.setattr(Admission, "is_ordinary", lambda self, request: False)
    return str(request.param)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (raw_peer.store_command(sop_instance_uid=None), 0x0117),
        (raw_peer.store_command(sop_instance_uid=""), 0x0117),
        (raw_peer.store_command(sop_instance_uid="../../../etc/x"), 0x0117),
        (raw_peer.store_command(sop_instance_uid="1." + "2" * 80), 0x0117),
        (raw_peer.store_command(sop_class_uid=None), 0x0122),
        (raw_peer.store_command(sop_class_uid="1.2.840.10008.5.1.4.1.1.1"), 0x0122),
        (raw_peer.store_command(), 0x0000),
    ],
)
def test_a_wrong_command_is_answered_and_the_association_lives(
    receiver: ReceivingNode, command: bytes, expected: int
) -> None:
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        caller.send(raw_peer.data(command, control=3), explicit())
        assert caller.status() == expected
        caller.send(raw_peer.data(raw_peer.store_command("1.9.8"), control=3), explicit())
        assert caller.status() == 0x0000
    peers.wait_until(lambda: "aborted" in receiver.log, "the lost connection to be noticed")
    assert list(receiver.incoming.iterdir()) == []


GARBAGE = {
    "no message id": raw_peer.data(raw_peer.store_command(x0110=None), control=3),
    "unaccepted context": raw_peer.data(raw_peer.store_command(), control=3, context_id=9),
    "data before command": explicit(),
    "command within data": raw_peer.data(raw_peer.store_command(), control=3) * 2,
    "other context within data": raw_peer.data(raw_peer.store_command(), control=3)
    + raw_peer.data(b"ab", control=0, context_id=3),
    "command is noise": raw_peer.data(b"\xff" * 33, control=3),
    "command is empty": raw_peer.data(b"", control=3),
    "endless command": raw_peer.data(bytes(16000), control=1) * 6,
    "unknown command": raw_peer.data(raw_peer.store_command(x0100=b"\x55\x55"), control=3),
    "fragment without header": raw_peer.pdu(4, b"\0\0\0\1\1"),
    "fragment of no length": raw_peer.pdu(4, b"\0\0\0\0"),
    "fragment longer than PDU": raw_peer.pdu(4, b"\0\0\xff\xff\1\3ab"),
    "unknown PDU": b"\x99\0\0\0\0\4abcd",
    "PDU of 4 GB": b"\4\0\xff\xff\xff\xff" + bytes(100),
    "second request": raw_peer.associate_request(),
    "release reply out of order": raw_peer.pdu(RELEASE_RP, bytes(4)),
    "text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "flood in one PDU": raw_peer.pdu(
        4, (raw_peer.data(raw_peer.store_command(), control=3)[6:] + explicit()[6:]) * 50
    ),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_within_an_association_ends_it_and_nothing_else(receiver: ReceivingNode, name: str) -> None:
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        caller.send(GARBAGE[name])
        kinds = set()
        while (kind := caller.receive()[0]) not in (0, ABORT):
            kinds.add(kind)
        assert kinds <= {4}, "it may answer what it understood, then it must end"
    peers.wait_until(lambda: "aborted" in receiver.log, "the end to be noticed")
    assert receiver.log.count("aborted") == 1
    assert list(receiver.incoming.iterdir()) == []
    still_works(receiver)


def test_requests_that_wait_for_no_answer_are_answered_one_after_another(receiver: ReceivingNode) -> None:
    one = raw_peer.data(raw_peer.store_command(), control=3) + explicit()
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        caller.send(one * 50)
        assert [caller.status() for _ in range(50)] == [0x0000] * 50
    peers.wait_until(lambda: "aborted" in receiver.log, "the end to be noticed")
    assert receiver.log.count("store") == 50


@pytest.mark.parametrize("name", ["text", "unknown PDU", "PDU of 4 GB", "data before command", "noise"])
def test_garbage_instead_of_a_request(receiver: ReceivingNode, name: str) -> None:
    noise = np.random.default_rng(7).bytes(4096)
    with RawCaller(receiver.port) as caller:
        caller.send(GARBAGE.get(name, b"\1\0\0\0\x0f\xfa" + noise))
        while caller.receive()[0]:
            pass
    still_works(receiver)


def test_an_abort_in_the_middle_of_a_data_set_leaves_nothing(receiver: ReceivingNode) -> None:
    for end in ("abort", "vanish", "close"):
        receiver.log.clear()
        with RawCaller(receiver.port) as caller:
            assert caller.associate() == ASSOCIATE_AC
            caller.send(raw_peer.data(raw_peer.store_command(), control=3), raw_peer.data(b"abcd", control=0))
            peers.wait_until(lambda: list(receiver.incoming.iterdir()), "the file to grow")
            if end == "abort":
                caller.send(raw_peer.pdu(ABORT, bytes(4)))
            elif end == "vanish":
                caller.vanish()
        receiver.wait_for("opened", "aborted")
        assert receiver.events[-1].text
        assert list(receiver.incoming.iterdir()) == []


def test_a_peer_that_stops_in_the_middle_of_a_pdu_is_given_up(
    make_receiver: Callable[..., ReceivingNode],
) -> None:
    receiver = make_receiver(transfer_timeout_s=0.3)
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        caller.send(raw_peer.data(raw_peer.store_command(), control=3)[:40])
        while caller.receive()[0]:
            pass
    receiver.wait_for("opened", "aborted")


def test_a_request_that_takes_too_long_to_arrive_is_aborted(
    make_receiver: Callable[..., ReceivingNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest comes after the time for a request is over, and within that for one PDU."""
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    receiver = make_receiver(acse_timeout_s=0.2)
    request = raw_peer.associate_request()
    with RawCaller(receiver.port) as caller:
        caller.send(request[:40])
        time.sleep(0.4)
        caller.send(request[40:])
        assert caller.receive()[0] == ABORT
        server = receiver.scp._server
        assert server is not None
        peers.wait_until(lambda: server.connected == [], "the association to end, while the caller stays")
    assert died == receiver.log == []
    still_works(receiver)


def test_an_idle_association_is_aborted(make_receiver: Callable[..., ReceivingNode]) -> None:
    receiver = make_receiver(idle_timeout_s=0.3)
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        assert caller.receive()[0] == ABORT
    receiver.wait_for("opened", "aborted")


@pytest.mark.parametrize("within", ["a data set", "a command"])
def test_a_peer_that_stops_between_two_pdus_of_a_message_is_not_idle(
    make_receiver: Callable[..., ReceivingNode], within: str
) -> None:
    """A scanner that vanished held its association, and the place of another, for the idle 5 minutes."""
    receiver = make_receiver(transfer_timeout_s=0.3, idle_timeout_s=60.0)
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        if within == "a command":
            caller.send(raw_peer.data(raw_peer.store_command()[:40], control=1))
        else:
            caller.send(raw_peer.data(raw_peer.store_command(), control=3), raw_peer.data(b"ab", control=0))
        assert caller.receive()[0] == ABORT
    receiver.wait_for("opened", "aborted")
    assert list(receiver.incoming.iterdir()) == []


def test_a_request_that_cannot_be_read_is_told_with_its_address(
    make_receiver: Callable[..., ReceivingNode],
) -> None:
    """Nobody could tell from the library's own lines which machine it was."""
    receiver = make_receiver()
    request = raw_peer.associate_request(calling="A\x1b[31mB")
    with RawCaller(receiver.port) as caller:
        caller.send(request)
        while caller.receive()[0]:
            pass
    receiver.wait_for("rejected")
    (event,) = receiver.events
    assert "127.0.0.1" in event.text
    assert "cannot be read" in event.text
    assert "\x1b" not in event.text
    still_works(receiver)


def test_300_aborts_leave_no_thread_no_file_and_no_descriptor(receiver: ReceivingNode) -> None:
    def abort_once(count: int) -> None:
        with RawCaller(receiver.port) as caller:
            if count % 3 == 0:
                return  # a probe: connects and says nothing
            assert caller.associate() == ASSOCIATE_AC
            caller.send(raw_peer.data(raw_peer.store_command(), control=3), raw_peer.data(b"ab", control=0))
            if count % 3 == 1:
                caller.send(raw_peer.pdu(ABORT, bytes(4)))

    def settled() -> bool:
        return receiver.scp._server is not None and receiver.scp._server.connected == []

    abort_once(1)
    peers.wait_until(settled, "the first to end")
    threads, descriptors = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for count in range(300):
        abort_once(count)
    peers.wait_until(settled, "all to end")
    gc.collect()
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors
    assert list(receiver.incoming.iterdir()) == []
    assert receiver.log.count("opened") == receiver.log.count("aborted") == 201
    still_works(receiver)


def test_a_state_machine_that_fails_aborts_its_association_and_no_other(
    receiver: ReceivingNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that a peer sends is known to do this; a bug of ours would."""
    died: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    with monkeypatch.context() as broken, RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        broken.setattr(Fragments, "take", _fail)
        caller.send(raw_peer.data(raw_peer.store_command(), control=3))
        assert caller.receive()[0] == ABORT
        assert caller.receive()[0] == 0, "and hangs up"
    peers.wait_until(lambda: "aborted" in receiver.log, "the end to be noticed")
    peers.wait_until(lambda: died, "whoever logs ended threads to be told")
    assert [each.exc_type for each in died] == [ZeroDivisionError]
    still_works(receiver)


def _fail(self: Fragments, context_id: int, data: bytes) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("said", ["nothing", "half a PDU"])
def test_a_peer_that_says_no_more_does_not_hold_up_the_end(receiver: ReceivingNode, said: str) -> None:
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        if said == "half a PDU":
            caller.send(raw_peer.data(raw_peer.store_command(), control=3)[:40])
            time.sleep(0.3)  # it is being read
        ends = threading.Thread(target=receiver.scp.stop, kwargs={"grace_s": 0.1})
        ends.start()
        ends.join(10.0)  # the PDU itself may take a minute
        assert not ends.is_alive()
    assert receiver.log.count("aborted") == 1


def test_the_end_waits_until_how_an_association_ended_is_told(
    receiver: ReceivingNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who closes the database after it would lose the line of the log."""
    tells, may_tell, note = threading.Event(), threading.Event(), receiver.scp._on_association

    def slowly(event: AssociationEvent) -> None:
        if event.kind == "aborted":
            tells.set()
            may_tell.wait(10.0)
        note(event)

    monkeypatch.setattr(receiver.scp, "_on_association", slowly)
    with RawCaller(receiver.port) as caller:
        assert caller.associate() == ASSOCIATE_AC
        caller.send(raw_peer.pdu(ABORT, bytes(4)))
        assert tells.wait(10.0)
        ends = threading.Thread(target=receiver.scp.stop, kwargs={"grace_s": 0.0})
        ends.start()
        ends.join(0.5)
        assert ends.is_alive()
        may_tell.set()
        ends.join(10.0)
    assert not ends.is_alive()
    assert receiver.log == ["opened", "aborted"]
