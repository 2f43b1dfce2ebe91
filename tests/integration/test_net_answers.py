"""An archive that answers something else than it was asked: nothing is believed, every wait has an end."""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tbsnode.errors import AssociationRejected
from tbsnode.model import Outgoing, Peer, Reference
from tbsnode.net import presence, requestor, scu
from tests import peers, raw_peer
from tests.raw_peer import P_DATA, SECONDARY_CAPTURE
from tests.raw_peer import Caller as RawCaller
from tests.receiving_node import write_instance

STUDY = "1.2.3"
C_STORE_RSP, C_ECHO_RSP, C_FIND_RSP = 0x8001, 0x8030, 0x8020
PENDING = 0xFF00


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    peers.wait_until(lambda: set(threading.enumerate()) <= before, "the threads of associations to end", 5.0)


@pytest.fixture
def items(tmp_path: Path) -> list[Outgoing]:
    return [
        Outgoing(
            path=write_instance(tmp_path / f"{n}.dcm", f"1.2.3.4.{n}"),
            sop_class_uid=SECONDARY_CAPTURE,
            sop_instance_uid=f"1.2.3.4.{n}",
            transfer_syntax_uid=raw_peer.EXPLICIT,
        )
        for n in (5, 6)
    ]


def pacs(port: int) -> Peer:
    return Peer(name="pacs", ae_title="PACS", host=peers.LOOPBACK, port=port, calling_ae_title="TBSNODE")


def answer(field: int, message_id: int, status: int = 0, *, data_set: bytes = b"") -> bytes:
    elements = {
        0x0100: struct.pack("<H", field),
        0x0120: struct.pack("<H", message_id),
        0x0800: struct.pack("<H", 0x0000 if data_set else 0x0101),
        0x0900: struct.pack("<H", status),
    }
    encoded = raw_peer.data(raw_peer.command(elements), control=3)
    return encoded + raw_peer.data(data_set, control=2) if data_set else encoded


def element(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def of_study(uid: str = STUDY) -> bytes:
    """Encode a match of a query, in Implicit VR."""
    return element(0x0020000D, raw_peer.uid(uid))


def accepted(caller: RawCaller, transfer_syntax: str, maximum_length: int = 16384) -> None:
    """Accept whatever is asked for."""
    kind, body = caller.receive()
    encoded = raw_peer.associate_accept(raw_peer.pdu(kind, body), transfer_syntax=transfer_syntax)
    usual = struct.pack(">BxHL", 0x51, 4, 16384)
    caller.send(encoded.replace(usual, struct.pack(">BxHL", 0x51, 4, maximum_length)))


def asked(caller: RawCaller) -> bool:
    """Read on to the end of a data set; False where the association ends before."""
    while True:
        kind, body = caller.receive()
        if kind != P_DATA:
            return False
        if body[5] == 2:
            return True


def storing(*answers: Sequence[bytes]) -> Callable[[RawCaller], None]:
    """Return a script that answers each C-STORE with what is given for it."""

    def script(caller: RawCaller) -> None:
        accepted(caller, raw_peer.EXPLICIT)
        for one in answers:
            if not asked(caller):
                return
            caller.send(*one)

    return script


WRONG = {"id": answer(C_STORE_RSP, 999), "echo": answer(C_ECHO_RSP, 1), "query": answer(C_FIND_RSP, 1)}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_answer_to_something_else_is_no_success(items: list[Outgoing], wrong: bytes) -> None:
    with (
        raw_peer.listener(storing([wrong])) as archive,
        pytest.raises(scu.AssociationBroken, match="answer to something else") as raised,
    ):
        scu.send(pacs(archive.port), items)
    assert raised.value.outcomes == ()


def test_an_answer_that_comes_twice_does_not_answer_the_next_instance(items: list[Outgoing]) -> None:
    first = answer(C_STORE_RSP, 1)
    script = storing([first, first], [answer(C_STORE_RSP, 2, 0xA700)])
    with raw_peer.listener(script) as archive, pytest.raises(scu.AssociationBroken) as raised:
        scu.send(pacs(archive.port), items)
    assert [outcome.sop_instance_uid for outcome in raised.value.outcomes] == ["1.2.3.4.5"]


def test_a_transfer_syntax_that_was_not_proposed_is_not_taken() -> None:
    """Deflated, a match of half a megabyte would be 600 MB in memory."""

    def deflated(caller: RawCaller) -> None:
        accepted(caller, "1.2.840.10008.1.2.1.99")

    with raw_peer.listener(deflated) as archive, pytest.raises(scu.NoQuery):
        scu.find_study(pacs(archive.port), STUDY)


def of_instance(uid: str) -> Reference:
    return Reference(
        sop_class_uid=SECONDARY_CAPTURE,
        sop_instance_uid=uid,
        series_instance_uid="1.2.4",
        study_instance_uid=STUDY,
    )


ASKED: dict[str, Callable[[Peer], object]] = {
    "study": lambda peer: scu.find_study(peer, STUDY),
    "instance": lambda peer: presence.present(peer, [of_instance("1.2.3.4.5")]),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_answers_to_a_query_that_never_end_are_given_up(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[Peer], object]
) -> None:
    monkeypatch.setattr(requestor, "ANSWERS_S", 0.3)

    def endless(caller: RawCaller) -> None:
        accepted(caller, raw_peer.IMPLICIT)
        asked(caller)
        with contextlib.suppress(OSError):
            while True:
                caller.socket.sendall(answer(C_FIND_RSP, 1, PENDING, data_set=of_study()))

    with (
        raw_peer.listener(endless) as archive,
        pytest.raises(scu.AssociationBroken, match="still answers one query"),
    ):
        ask(pacs(archive.port))


def test_each_query_for_an_instance_has_its_own_number() -> None:
    def script(caller: RawCaller) -> None:
        accepted(caller, raw_peer.IMPLICIT)
        for number in (1, 2):
            asked(caller)
            caller.send(answer(C_FIND_RSP, number))

    with raw_peer.listener(script) as archive:
        assert presence.present(pacs(archive.port), [of_instance("1.2.5"), of_instance("1.2.6")]) == set()


@pytest.mark.parametrize("most", [1, 5, 6, 7])
def test_a_maximum_pdu_in_which_nothing_fits_is_told(items: list[Outgoing], most: int) -> None:
    with (
        raw_peer.listener(lambda caller: accepted(caller, raw_peer.EXPLICIT, most)) as archive,
        pytest.raises(AssociationRejected, match=f"PDUs of {most} bytes at most") as raised,
    ):
        scu.send(pacs(archive.port), items)
    assert not raised.value.transient
