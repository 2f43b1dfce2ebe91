"""Ordinary associations are served from the bytes, all others by pynetdicom: a peer sees no difference."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from tbsnode.net.acceptor import Acceptor
from tbsnode.net.admission import Admission
from tbsnode.net.ordinary import OrdinaryAssociation
from tests import peers, raw_peer
from tests.raw_peer import ASSOCIATE_AC, RELEASE_RP, RELEASE_RQ, SECONDARY_CAPTURE
from tests.raw_peer import Caller as RawCaller
from tests.receiving_node import ReceivingNode, still_works, write_instance


def test_pynetdicom_would_answer_an_ordinary_request_with_the_same_bytes(
    receiver: ReceivingNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposed = (
        (SECONDARY_CAPTURE, (ImplicitVRLittleEndian, ExplicitVRLittleEndian)),
        ("1.2.840.10008.5.1.4.1.1.1", (ExplicitVRLittleEndian,)),  # not taken
        (SECONDARY_CAPTURE, ("1.2.840.10008.1.2.4.90",)),  # not in this transfer syntax
        (raw_peer.VERIFICATION, (ImplicitVRLittleEndian,)),
    )

    def answer() -> bytes:
        with RawCaller(receiver.port) as caller:
            caller.send(raw_peer.associate_request(contexts=proposed))
            kind, body = caller.receive()
            caller.send(raw_peer.pdu(RELEASE_RQ, bytes(4)))
            assert caller.receive()[0] == RELEASE_RP
        assert kind == ASSOCIATE_AC
        return body

    ours = answer()
    with monkeypatch.context() as patched:
        patched.setattr(Admission, "is_ordinary", lambda self, request: False)
        theirs = answer()
    assert _without_order(ours) == _without_order(theirs)
    receiver.wait_for("opened", "released", "opened", "released")


def _without_order(accept: bytes) -> tuple[bytes, list[bytes]]:
    """Cut the body of an A-ASSOCIATE-AC into its items; those of contexts may have any order."""
    items, position = [], 68
    while position < len(accept):
        end = position + 4 + int.from_bytes(accept[position + 2 : position + 4], "big")
        items.append(accept[position:end])
        position = end
    return accept[:68], sorted(items)


def test_a_system_without_threads_left_loses_one_connection_and_counts_it_no_longer(
    receiver: ReceivingNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as exhausted:
        exhausted.setattr(OrdinaryAssociation, "start", _no_thread)
        with RawCaller(receiver.port) as caller:
            assert caller.receive() == (0, b"")
    server = receiver.scp._server
    assert server is not None
    assert server.connected == []
    still_works(receiver)


def _no_thread(self: OrdinaryAssociation) -> None:
    raise RuntimeError("can't start new thread")


def test_who_negotiates_more_is_served_by_pynetdicom(receiver: ReceivingNode, tmp_path: Path) -> None:
    ae = AE("SCANNER")
    ae.add_requested_context(SECONDARY_CAPTURE, ExplicitVRLittleEndian)
    who = UserIdentityNegotiation()
    who.user_identity_type, who.primary_field = 1, b"technologist"
    assoc = ae.associate(peers.LOOPBACK, receiver.port, ae_title="TBSNODE", ext_neg=[who])
    assert assoc.is_established
    server = receiver.scp._server
    assert server is not None
    (serving,) = server.connected
    assert isinstance(serving, Acceptor)
    assert assoc.send_c_store(write_instance(tmp_path / "a.dcm")).Status == 0x0000
    assoc.release()
    receiver.wait_for("opened", "store", "released")
