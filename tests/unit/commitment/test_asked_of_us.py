"""What callers are told that we keep, and how the report reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tbsnode.errors import ResourceError
from tbsnode.model import Peer
from tbsnode.model.commitment import CommitmentRequest, SopReference
from tbsnode.net import commitment as wire
from tbsnode.pipeline import commitment_requests
from tbsnode.store import audit, catalogue, queue, schema, work
from tests import commitment_peer, peers
from tests.unit.commitment.conftest import BOTH, IMAGE, ONE, SR, TWO, Bench
from tests.unit.store.conftest import IDENTITY, ORIGIN, kept

# ---- asked of us ---------------------------------------------------------------------------------


def asked(*instances: SopReference, transaction_uid: str = "1.2.9") -> CommitmentRequest:
    return CommitmentRequest(
        transaction_uid=transaction_uid,
        instances=instances or (IMAGE,),
        calling_ae_title="LUNAR",
        host=peers.LOOPBACK,
    )


@pytest.fixture
def scanner(bench: Bench) -> Iterator[commitment_peer.Pacs]:
    """A scanner that takes reports at its port; the picture that it sent lies in the archive."""
    lay(bench, 1000)
    with commitment_peer.pacs() as made:
        made.ae.ae_title = "LUNAR"
        bench.callers = (caller(made.port),)
        yield made


def caller(port: int, host: str = "") -> Peer:
    return Peer(name="LUNAR", ae_title="LUNAR", host=host, port=port, calling_ae_title="TBSNODE")


def lay(bench: Bench, size_bytes: int) -> Path:
    path = bench.archive.path(kept(IDENTITY).path)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size_bytes))
    return path


def tell(bench: Bench) -> dict[str, Any]:
    """Report what is due, once, and return the row."""
    bench.hurry()
    (ticket,) = bench.take("report")
    assert ticket.queue == "report"
    commitment_requests.work_on(bench.site, ticket)
    return bench.request()


@BOTH
def test_a_caller_with_a_port_is_told_there(bench: Bench, scanner: commitment_peer.Pacs) -> None:
    desk = commitment_requests.Commitments(bench.site)
    assert not desk.requested(asked(IMAGE, ONE))
    assert bench.request()["state"] == "queued"
    assert bench.take("report") == [], "it shall not overtake the answer"
    assert tell(bench)["state"] == "reported"
    ((kind, told),) = scanner.heard
    assert (kind, told.TransactionUID) == (2, "1.2.9")
    assert [each.ReferencedSOPInstanceUID for each in told.ReferencedSOPSequence] == ["1.2.3.4"]
    assert [(e.ReferencedSOPInstanceUID, e.FailureReason) for e in told.FailedSOPSequence] == [
        ("1.2.3.11", 0x0112)
    ]
    with bench.database.read() as tx:
        story = audit.events_of_study(tx, IDENTITY.study_instance_uid)
    assert [event.action for event in story] == ["commitment.reported"]
    assert story[0].text == (
        "LUNAR at 127.0.0.1 was told that we keep 1 of 2 instances, "
        "not 1.2.3.11 (0x0112 No such SOP instance)"
    )


@pytest.mark.parametrize(
    ("size_bytes", "sop_class_uid", "reason"),
    [
        (1000, IMAGE.sop_class_uid, 0),
        (999, IMAGE.sop_class_uid, 0x0110),
        (-1, IMAGE.sop_class_uid, 0x0112),
        (1000, SR, 0x0119),
    ],
)
def test_only_what_lies_in_the_archive_is_kept(
    bench: Bench, size_bytes: int, sop_class_uid: str, reason: int
) -> None:
    path = lay(bench, max(size_bytes, 0))
    if size_bytes < 0:
        path.unlink()
    wanted = replace(IMAGE, sop_class_uid=sop_class_uid)
    told = commitment_requests.examine(bench.site, "1.2.9", [wanted])
    assert told.committed == (() if reason else (wanted,))
    assert told.failed == (((wanted, reason),) if reason else ())


@pytest.mark.parametrize("state", ["superseded", "conflict", "own"])
def test_every_version_under_the_uid_must_be_there(bench: Bench, state: str) -> None:
    """The scanner's copy may be any of them."""
    lay(bench, 1000)
    with bench.database.transaction() as tx:
        catalogue.add_instance(tx, IDENTITY, kept(IDENTITY, state, version=2), ORIGIN)
    assert commitment_requests.examine(bench.site, "1.2", [IMAGE]).failed == ((IMAGE, 0x0112),)
    bench.archive.path(kept(IDENTITY, version=2).path).write_bytes(bytes(1000))
    assert commitment_requests.examine(bench.site, "1.2", [IMAGE]).committed == (IMAGE,)


def test_what_we_made_ourselves_is_kept_too(bench: Bench) -> None:
    bench.deliver()
    lay(bench, 1000)
    bench.archive.path("studies/sr.dcm").write_bytes(bytes(4))
    told = commitment_requests.examine(bench.site, "1.2", [ONE, TWO])
    assert (told.committed, told.failed) == ((ONE,), ((TWO, 0x0112),))


def test_an_archive_that_is_not_mounted_is_no_answer(bench: Bench, scanner: commitment_peer.Pacs) -> None:
    commitment_requests.Commitments(bench.site).requested(asked())
    bench.archive.root.rename(bench.archive.root.with_name("away"))
    with pytest.raises(ResourceError):
        tell(bench)
    assert scanner.heard == []


@BOTH
def test_a_scanner_that_is_away_is_told_when_it_is_back(bench: Bench, scanner: commitment_peer.Pacs) -> None:
    desk = commitment_requests.Commitments(bench.site)
    desk.requested(asked())
    scanner.stop()
    row = tell(bench)
    assert (row["state"], row["tries"]) == ("queued", 1)
    assert "cannot be reached" in row["last_error"]
    with bench.database.transaction() as tx:  # another one is due, and not tried in vain at once
        other = commitment_requests.commitment_requests.add_request(
            tx, asked(transaction_uid="1.2.10"), due_in_s=0.0, horizon_s=60.0
        )
        assert other is not None
        commitment_requests.commitment_requests.put_off_others(tx, other, delay_s=30.0)
        assert work.take_due(tx, limit=10) == []
        tx.execute(schema.commitment_request.delete().where(schema.commitment_request.c.id == other.id))
    scanner.start()
    assert tell(bench)["state"] == "reported"


def test_a_report_is_given_up_after_the_deadline(bench: Bench, scanner: commitment_peer.Pacs) -> None:
    scanner.stop()
    commitment_requests.Commitments(bench.site).requested(asked())
    with bench.database.transaction() as tx:
        tx.execute(schema.commitment_request.update().values(deadline=tx.now))
    assert tell(bench)["state"] == "failed"
    assert bench.told()[-1].startswith("commitment.unreported: LUNAR (LUNAR@127.0.0.1:")
    with bench.database.transaction() as tx:
        assert queue.revive(tx, "report", 1, horizon_s=60.0) == ""
    scanner.start()
    assert tell(bench)["state"] == "reported"


@pytest.mark.parametrize(
    ("status", "state"), [(0x0115, "failed"), (0x0112, "failed"), (0x0110, "queued"), (0x0213, "queued")]
)
def test_what_the_caller_answers_decides(
    bench: Bench, scanner: commitment_peer.Pacs, status: int, state: str
) -> None:
    scanner.statuses = [status]
    commitment_requests.Commitments(bench.site).requested(asked())
    row = tell(bench)
    assert row["state"] == state
    assert f"0x{status:04X}" in row["last_error"]


@BOTH
def test_the_same_request_again_is_reported_again(bench: Bench, scanner: commitment_peer.Pacs) -> None:
    """Its first answer was lost; another request under its transaction UID is refused."""
    desk = commitment_requests.Commitments(bench.site)
    desk.requested(asked())
    tell(bench)
    desk.requested(asked())
    assert tell(bench)["state"] == "reported"
    assert len(scanner.heard) == 2
    with pytest.raises(wire.RequestRefused, match="in use") as refused:
        desk.requested(asked(ONE))
    assert refused.value.code == 0x0115
    assert bench.request()["state"] == "reported"


@BOTH
def test_without_a_port_it_is_told_on_the_spot_or_never(bench: Bench) -> None:
    lay(bench, 1000)
    desk = commitment_requests.Commitments(bench.site)
    assert desk.requested(asked())
    assert bench.take("report") == []
    told = desk.report_now(asked())
    assert told is not None
    assert told.committed == (IMAGE,)
    assert desk.report_now(asked()) is None, "it is out"
    desk.reported(asked(), None)
    assert bench.request()["state"] == "failed"
    assert "add its port to receiver.callers" in bench.told()[-1]
    desk.requested(asked())
    desk.report_now(asked())
    desk.reported(asked(), 0x0000)
    assert bench.request()["state"] == "reported"


def test_the_same_request_on_two_associations_at_once(bench: Bench) -> None:
    lay(bench, 1000)
    desk = commitment_requests.Commitments(bench.site)
    for _ in range(2):
        desk.requested(asked())
        assert desk.report_now(asked()) is not None
    desk.reported(asked(), 0x0000)
    desk.reported(asked(), 0x0000)
    assert bench.request()["state"] == "reported"


def test_without_a_port_and_with_a_receiver_that_died_it_fails_in_words(bench: Bench) -> None:
    commitment_requests.Commitments(bench.site).requested(asked())
    assert tell(bench)["state"] == "failed"
    assert "could not be told on the spot: add its port" in bench.told()[-1]


def test_a_caller_of_any_host_is_told_where_it_called_from(bench: Bench) -> None:
    bench.callers = (caller(104), caller(105, "192.0.2.7"), replace(caller(106), ae_title="OTHER"))
    for host, expected in (("192.0.2.7", ("192.0.2.7", 105)), ("192.0.2.8", ("192.0.2.8", 104))):
        found = commitment_requests.address_of(bench.site, "LUNAR", host)
        assert found is not None
        assert (found.host, found.port) == expected
    assert commitment_requests.address_of(bench.site, "HOLOGIC", "192.0.2.8") is None
