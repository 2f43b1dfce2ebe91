"""Ordinary PDUs as bytes: what a person can check by hand, and what pynetdicom makes of the same bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import build_context

from tbsnode.net import pdu, upper_layer
from tbsnode.net.receipt import ProtocolViolation
from tests import raw_peer
from tests.raw_peer import EXPLICIT, IMPLICIT, SECONDARY_CAPTURE, VERIFICATION

BOTH = ((SECONDARY_CAPTURE, (EXPLICIT, IMPLICIT)), (VERIFICATION, (IMPLICIT,)))


def body_of(encoded: bytes) -> memoryview:
    return memoryview(encoded)[6:]


def read(encoded: bytes) -> pdu.Request:
    request = pdu.read_request(body_of(encoded))
    assert request is not None
    return request


def test_a_request_is_read() -> None:
    request = read(raw_peer.associate_request("SCANNER", "TBSNODE", BOTH))
    assert (request.calling_ae_title, request.called_ae_title) == ("SCANNER", "TBSNODE")
    assert request.contexts == (
        pdu.Proposed(1, SECONDARY_CAPTURE, (EXPLICIT, IMPLICIT)),
        pdu.Proposed(3, VERIFICATION, (IMPLICIT,)),
    )


def test_the_request_of_pynetdicom_is_read() -> None:
    assert read(_of_pynetdicom()).contexts == (pdu.Proposed(1, VERIFICATION, (EXPLICIT,)),)


def _of_pynetdicom(*more: object) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = "SCANNER", "TBSNODE"
    context = build_context(VERIFICATION, [EXPLICIT])
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    length = MaximumLengthNotification()
    length.maximum_length_received = 16382
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID("1.2.3")
    primitive.user_information = [length, implementation, *more]  # type: ignore[list-item]
    made = A_ASSOCIATE_RQ()
    made.from_primitive(primitive)
    return made.encode()


def test_who_negotiates_more_is_not_ordinary() -> None:
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = UID(VERIFICATION), True, True
    who = UserIdentityNegotiation()
    who.user_identity_type, who.primary_field = 1, b"physician"
    for more in (role, who):
        assert pdu.read_request(body_of(_of_pynetdicom(more))) is None


GOOD = raw_peer.associate_request()


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        GOOD[6:60],
        GOOD[6:-3],
        GOOD[6:7] + b"\0" + GOOD[8:],  # another protocol version
        GOOD[6:].replace(b"TBSNODE ", b"TBSN\\DE "),
        GOOD[6:].replace(b"TBSNODE ", b"TBSN\xc4DE "),
        GOOD[6:].replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.2"),
        GOOD[6:].replace(EXPLICIT.encode(), b"../../../etc/passwd"),
        GOOD[6:].replace(b"\x20\0\0\x38\1", b"\x20\0\0\x38\2"),  # an even context ID
        GOOD[6:] + GOOD[74:],  # everything twice
        raw_peer.associate_request(contexts=())[6:],
        raw_peer.associate_request(contexts=((SECONDARY_CAPTURE, ()),))[6:],
    ],
)
def test_what_breaks_a_rule_is_left_to_pynetdicom(wrong: bytes) -> None:
    assert wrong != GOOD[6:]
    assert pdu.read_request(memoryview(wrong)) is None


@given(st.data())
def test_no_bytes_make_it_fail(data: st.DataObject) -> None:
    damaged = bytearray(GOOD[6:])
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    request = pdu.read_request(memoryview(damaged[:cut]))
    if request is not None:
        assert request.contexts
        assert all(each.context_id % 2 for each in request.contexts)


def test_an_answer_is_what_pynetdicom_reads() -> None:
    request = read(raw_peer.associate_request(contexts=BOTH))
    answers = [
        pdu.Answered(1, SECONDARY_CAPTURE, pdu.ACCEPTED, IMPLICIT),
        pdu.Answered(3, VERIFICATION, pdu.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT),
    ]
    made = A_ASSOCIATE_AC()
    made.decode(pdu.accept(request, answers, 262144))
    primitive = made.to_primitive()
    results = primitive.presentation_context_definition_results_list
    assert [(each.context_id, each.result) for each in results] == [(1, 0), (3, 3)]
    assert results[0].transfer_syntax == [IMPLICIT]
    assert primitive.maximum_length_received == 262144
    assert primitive.implementation_class_uid == upper_layer.IMPLEMENTATION_CLASS_UID
    titles = made.reserved_aet.strip(), made.reserved_aec.strip()
    assert titles == ("TBSNODE", "SCANNER"), "they are repeated"


def test_the_last_words_are_what_pynetdicom_reads() -> None:
    rejected = A_ASSOCIATE_RJ()
    rejected.decode(pdu.reject(1, 1, 7))
    assert (rejected.result, rejected.source, rejected.reason_diagnostic) == (1, 1, 7)
    aborted = A_ABORT_RQ()
    aborted.decode(pdu.abort(2, 6))
    assert (aborted.source, aborted.reason_diagnostic) == (2, 6)
    assert pdu.RELEASE_REPLY == b"\x06\0\0\0\0\x04\0\0\0\0"


@given(st.lists(st.tuples(st.integers(0, 127), st.binary(min_size=1, max_size=40)), max_size=6))
def test_fragments_are_what_pynetdicom_reads(said: list[tuple[int, bytes]]) -> None:
    parts = [(2 * number + 1, fragment) for number, fragment in said]
    body = b"".join(pdu.data(*part)[6:] for part in parts)
    assert [(number, bytes(fragment)) for number, fragment in pdu.fragments(memoryview(body))] == parts
    theirs = P_DATA_TF()
    theirs.decode(pdu.encoded(pdu.P_DATA, body))
    assert [list(each) for each in theirs.to_primitive().presentation_data_value_list] == [
        list(each) for each in parts
    ]


@pytest.mark.parametrize("body", [b"\0", b"\0\0\0\0\1", b"\0\0\0\2\1", b"\xff\xff\xff\xff\1\3ab"])
def test_fragments_that_are_none(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        list(pdu.fragments(memoryview(body)))


def test_a_pdu_by_hand() -> None:
    assert pdu.data(5, b"\x03ab") == b"\x04\0\0\0\0\x08" + struct.pack(">L", 4) + b"\x05\x03ab"
