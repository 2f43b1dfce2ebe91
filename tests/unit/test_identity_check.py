"""What counts as another identity at the destination, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tbsnode.errors import PeerError, PeerUnreachable
from tbsnode.model import Demographics, InstanceIdentity, Peer
from tbsnode.net import scu
from tbsnode.pipeline import identity_check
from tbsnode.reasons import Code

PEER = Peer(name="pacs", ae_title="PACS", host="192.0.2.1", port=104, calling_ae_title="TBSNODE")
OURS = InstanceIdentity(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
    sop_instance_uid="1.2.3.4",
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.1",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    demographics=Demographics(patient_id="P1", name="Müller^Ann", birth_date="19500102"),
    accession_number="A1",
)
SAME = scu.FoundStudy(patient_id="P1", name="Müller^Ann", birth_date="19500102", accession_number="A1")


def ask(monkeypatch: pytest.MonkeyPatch, answer: object, peer: Peer = PEER) -> str | None:
    def find_study(asked: Peer, uid: str) -> object:
        assert (asked, uid) == (peer, "1.2.3")
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(scu, "find_study", find_study)
    found = identity_check.changed_at(peer, OURS)
    if found is None:
        return None
    assert found.code is Code.IDENTITY_CHANGED
    return str(dict(found.values)["attributes"])


@pytest.mark.parametrize(
    ("change", "attributes"),
    [
        ({}, None),
        ({"patient_id": "P2"}, "Patient ID"),
        ({"name": "Muller^Ann"}, "Patient's Name"),
        ({"name": "MÜLLER^ANN^^"}, None),
        ({"name": "Müller^Ann=山田"}, None),
        ({"birth_date": "19500103"}, "Patient's Birth Date"),
        ({"accession_number": "A2"}, "Accession Number"),
        ({"accession_number": ""}, None),
        ({"patient_id": "P2", "accession_number": "A2"}, "Patient ID, Accession Number"),
    ],
)
def test_what_differs(
    change: dict[str, str], attributes: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(monkeypatch, replace(SAME, **change)) == attributes


@pytest.mark.parametrize(
    ("ours", "theirs", "encodings", "differs"),
    [
        ("Żółć^Łukasz", "ó^ukasz", ("latin_1",), False),  # what Orthanc leaves
        ("Żółć^Łukasz", "?ó??^?ukasz", ("latin_1",), False),
        ("Żółć^Łukasz", "Zolc^Lukasz", ("ascii",), False),
        ("Żółć^Łukasz", "ó^ukasz", ("utf_8",), True),  # it could have said more
        ("Иванов^Иван", "^", ("latin_1",), False),
        ("Иванов^Иван", "??????^????", ("ascii",), False),
        ("Kowal^Żżż", "Kowal", ("latin_1",), False),
        ("Müller^Ann", "M\\XFC\\ller^Ann", ("ascii",), True),
        ("Müller^Ann", "Mueller^Ann", ("ascii",), False),
        ("Müller^Ann", "Schmidt^Ann", ("ascii",), True),
        ("Żak^Jan", "Kowal^Jan", ("latin_1",), True),
        ("Doe^Jane", "Doe^Janet", ("ascii",), True),
        ("Müller^Ann", "Müller^Ann", ("ascii",), False),  # undeclared, and meant as Latin-1
    ],
)
def test_a_name_that_the_answer_cannot_hold_is_the_same_if_the_rest_of_it_is(
    ours: str, theirs: str, encodings: tuple[str, ...], *, differs: bool
) -> None:
    found = scu.FoundStudy(name=theirs, encodings=encodings)
    assert identity_check.name_at(found, ours) == (theirs if differs else ours)


def test_a_study_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, None) == "study"


def test_a_study_that_only_we_bring_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, None, replace(PEER, send=("sr", "pdf", "source"))) is None


def test_a_peer_that_offers_no_query_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(monkeypatch, PeerError("does not offer Study Root queries", peer="pacs")) is None
    assert "not asked whose the study is: does not offer Study Root queries" in caplog.text


def test_a_peer_that_is_away_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PeerUnreachable):
        ask(monkeypatch, PeerUnreachable("connection refused", peer="pacs"))
