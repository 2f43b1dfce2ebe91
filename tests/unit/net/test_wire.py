"""Whole PDUs from a connection: in pieces, several at once, too large, late, cut."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbsnode.net import pdu
from tbsnode.net.wire import Ending, Lost, Silent, TooLarge, Wire


class Pair:
    """Both ends of a connection: `said` is what the peer says, `wire` what is tested."""

    def __init__(self, transfer_timeout_s: float = 5.0) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.peer = socket.create_connection(listening.getsockname())
            near, _ = listening.accept()
        self.ends = False
        self.wire = Wire(near, 1 << 18, transfer_timeout_s, lambda: self.ends)

    def receive(self, patience_s: float = 5.0) -> tuple[int, bytes]:
        kind, body = self.wire.receive(patience_s)
        copied = bytes(body)
        self.wire.skip(body)
        return kind, copied

    def close(self) -> None:
        self.peer.close()
        self.wire.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair(transfer_timeout_s=0.3)
    yield made
    made.close()


def test_a_pdu_comes_whole(pair: Pair) -> None:
    pair.peer.sendall(pdu.encoded(4, b"abc"))
    assert pair.receive() == (4, b"abc")
    pair.wire.send(pdu.RELEASE_REPLY)
    assert pair.peer.recv(100) == pdu.RELEASE_REPLY


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 7), st.integers(0, 200_000)), max_size=5),
    st.lists(st.integers(1, 100_000), max_size=20),
)
def test_pieces_of_any_size_make_the_same_pdus(wanted: list[tuple[int, int]], pieces: list[int]) -> None:
    pair = Pair()
    said = [(kind, bytes([kind]) * size) for kind, size in wanted]
    stream = b"".join(pdu.encoded(*each) for each in said)

    def speak() -> None:
        at = 0
        for piece in [*pieces, len(stream)]:
            pair.peer.sendall(stream[at : at + piece])
            at += piece

    speaking = threading.Thread(target=speak)
    speaking.start()
    assert [pair.receive() for _ in said] == said
    speaking.join()
    pair.close()


def test_nothing_comes(pair: Pair) -> None:
    with pytest.raises(Silent):
        pair.receive(patience_s=0.1)
    pair.ends = True
    with pytest.raises(Ending):
        pair.receive()


def test_the_peer_hangs_up(pair: Pair) -> None:
    pair.peer.sendall(pdu.encoded(4, b"abc")[:5])
    pair.peer.close()
    with pytest.raises(Lost):
        pair.receive()


def test_a_pdu_that_does_not_end_is_given_up_however_it_trickles(pair: Pair) -> None:
    stop = threading.Event()

    def trickle() -> None:
        pair.peer.sendall(pdu.encoded(4, bytes(1000))[:6])
        while not stop.wait(0.05):
            pair.peer.sendall(b"x")

    trickling = threading.Thread(target=trickle)
    trickling.start()
    began = time.monotonic()
    with pytest.raises(Lost):
        pair.receive()
    assert time.monotonic() - began < 5.0
    assert pair.wire.unread.startswith(b"\x04\0\0\0\x03\xe8xx")
    stop.set()
    trickling.join()


def test_what_is_being_read_can_be_cut(pair: Pair) -> None:
    pair.peer.sendall(b"\x04\0")
    pair.wire.is_cut = True
    with pytest.raises(Lost):
        pair.receive()


def test_nobody_is_given_4_gigabytes(pair: Pair) -> None:
    pair.peer.sendall(b"\x04\0\xff\xff\xff\xff")
    with pytest.raises(TooLarge):
        pair.receive()
