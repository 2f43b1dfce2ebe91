"""Any bytes to the SCP end in a status, an abort or a closed connection; the next caller is served."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tbsnode.net.admission import Admission
from tests import peers, raw_peer
from tests.raw_peer import ASSOCIATE_AC
from tests.raw_peer import Caller as RawCaller
from tests.receiving_node import ReceivingNode, explicit, still_works

# Valid pieces, so that noise also meets the states behind them.
PIECES = st.one_of(
    st.binary(max_size=64),
    st.sampled_from(
        [
            raw_peer.associate_request(),
            raw_peer.data(raw_peer.store_command(), control=3),
            raw_peer.data(raw_peer.store_command(), control=1),
            explicit(),
            raw_peer.data(b"more", control=0),
            raw_peer.pdu(raw_peer.RELEASE_RQ, bytes(4)),
            raw_peer.pdu(raw_peer.RELEASE_RP, bytes(4)),
            raw_peer.pdu(raw_peer.ABORT, bytes(4)),
        ]
    ),
    st.builds(raw_peer.pdu, st.integers(0, 9), st.binary(max_size=64)),
    st.builds(raw_peer.data, st.binary(max_size=64), control=st.integers(0, 3), context_id=st.integers(0, 5)),
    st.builds(
        lambda command, at, byte: raw_peer.data(command[:at] + bytes([byte]) + command[at + 1 :], control=3),
        st.just(raw_peer.store_command()),
        st.integers(0, len(raw_peer.store_command()) - 1),
        st.integers(0, 255),
    ),
)


@pytest.fixture(params=["ordinary", "pynetdicom"], autouse=True)
def spoken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an association be served by us, or by pynetdicom as for a peer that negotiates more."""
    if request.param == "pynetdicom":
        monkeypatch.setattr(Admission, "is_ordinary", lambda self, request: False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(associated=st.booleans(), script=st.lists(PIECES, max_size=6))
def test_any_bytes_end_in_an_answer(receiver: ReceivingNode, associated: bool, script: list[bytes]) -> None:
    with RawCaller(receiver.port) as caller:
        if associated:
            assert caller.associate() == ASSOCIATE_AC
        caller.send(*script)
    still_works(receiver)
    server = receiver.scp._server
    assert server is not None
    peers.wait_until(lambda: server.connected == [], "every association to end")
    count = receiver.log.count
    assert count("opened") == count("released") + count("aborted")
    assert list(receiver.incoming.iterdir()) == []
