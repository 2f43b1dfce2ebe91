"""What becomes of a transaction of storage commitment, whatever the other side does; and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tbsnode.errors import ResourceError
from tbsnode.model import DeliveryState, Peer
from tbsnode.model.commitment import CommitmentReport, CommitmentRequest, SopReference
from tbsnode.net import commitment as wire
from tbsnode.pipeline import commitment_requests, commitments, deliver
from tbsnode.pipeline.site import Site
from tbsnode.store import audit, catalogue, deliveries, queue, schema, work
from tbsnode.store import commitments as rows
from tbsnode.store.archive import Archive
from tbsnode.store.commitments import AskedInstance, CommitmentRow
from tbsnode.store.database import Database
from tests import commitment_peer, peers, schemas
from tests.unit.store.conftest import IDENTITY, ORIGIN, kept

SR, PDF = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.104.1"
ONE = SopReference(sop_class_uid=SR, sop_instance_uid="1.2.3.11")
TWO = SopReference(sop_class_uid=PDF, sop_instance_uid="1.2.3.12")
IMAGE = SopReference(sop_class_uid=IDENTITY.sop_class_uid, sop_instance_uid=IDENTITY.sop_instance_uid)


@dataclass
class Bench:
    """A database, an archive and one destination, whose port is that of nobody until a test says whose."""

    database: Database
    archive: Archive
    policy: SimpleNamespace
    destination: Peer
    callers: tuple[Peer, ...] = ()
    study_id: int = 0
    delivery_id: int = 0
    now_due: list[work.Ticket] = field(default_factory=list)

    def peer(self, name: str) -> Peer | None:
        return self.destination if name == self.destination.name else None

    @property
    def site(self) -> Site:
        return cast("Site", self)

    def deliver(self, state: DeliveryState = DeliveryState.SENT) -> int:
        """Bring an SR and a PDF to the destination, as `deliver` writes it."""
        with self.database.transaction() as tx:
            values: dict[str, Any] = {"status": "scored", "version": "0", "result": {}, "created_at": tx.now}
            made = tx.add(schema.analysis, study_ref=self.study_id, generation=1, **values)
            new = deliveries.NewDelivery(study_id=self.study_id, analysis_id=made, destination="pacs")
            self.delivery_id = deliveries.add_delivery(tx, new)
            for kind, each in (("sr", ONE), ("pdf", TWO)):
                derived = tx.scalar(
                    schema.derived_instance.select().where(
                        schema.derived_instance.c.sop_instance_uid == each.sop_instance_uid
                    )
                ) or tx.add(
                    schema.derived_instance,
                    analysis_ref=made,
                    study_ref=self.study_id,
                    kind=kind,
                    sop_class_uid=each.sop_class_uid,
                    sop_instance_uid=each.sop_instance_uid,
                    series_instance_uid=f"1.2.3.{kind == 'sr':d}",
                    path=f"studies/{kind}.dcm",
                    size_bytes=4,
                    sha256="0" * 64,
                    created_at=tx.now,
                )
                deliveries.record_item(
                    tx,
                    self.delivery_id,
                    kind=kind,
                    derived_ref=derived,
                    sop_class_uid=each.sop_class_uid,
                    sop_instance_uid=each.sop_instance_uid,
                    outcome="success",
                    status=0,
                )
            tx.execute(schema.delivery.update().values(state=state.value, next_try_at=None))
            commitments.want(tx, self.site, self.destination, self.delivery_id, state)
        return self.delivery_id

    def take(self, kind: str = "commitment") -> list[work.Ticket]:
        with self.database.transaction() as tx:
            return [ticket for ticket in work.take_due(tx, limit=10) if ticket.kind == kind]

    def ask(self) -> CommitmentRow:
        """Do what is due, once, and return the newest transaction."""
        (ticket,) = self.take()
        assert ticket.queue == "deliver:pacs"
        commitment_requests.work_on(self.site, ticket)
        return self.all()[-1]

    def hurry(self) -> None:
        """Let the time pass that a row waits for."""
        for table in (schema.commitment, schema.commitment_request):
            with self.database.transaction() as tx:
                tx.execute(table.update().where(table.c.next_try_at.is_not(None)).values(next_try_at=tx.now))

    def all(self) -> tuple[CommitmentRow, ...]:
        with self.database.read() as tx:
            return rows.commitments_of_study(tx, self.study_id)

    def states(self) -> list[str]:
        return [row.state.value for row in self.all()]

    def delivery(self) -> str:
        with self.database.read() as tx:
            return str(deliveries.delivery_of(tx, self.delivery_id)["state"])

    def told(self) -> list[str]:
        with self.database.read() as tx:
            return [f"{one.action}: {one.text}" for one in reversed(audit.recent_events(tx))]

    def request(self) -> dict[str, Any]:
        """The row of the only request asked of us."""
        with self.database.read() as tx:
            (row,) = tx.all(schema.commitment_request.select())
        return dict(row._mapping)


BOTH = pytest.mark.parametrize(
    "bench", ["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)], indirect=True
)


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if getattr(request, "param", "sqlite") == "postgresql":
        database = Database(schemas.fresh_postgresql(request.getfixturevalue("postgres")))
    else:
        database = Database(schemas.fill_sqlite(tmp_path / "tbsnode.db"))
    archive = Archive(tmp_path / "archive")
    archive.prepare()
    policy = SimpleNamespace(
        retry_first_s=30.0,
        retry_cap_s=600.0,
        retry_horizon_s=3600.0,
        commitment_timeout_s=24 * 3600.0,
        identity_check_after_s=3600.0,
    )
    destination = Peer(
        name="pacs", ae_title="PACS", host=peers.LOOPBACK, port=1, calling_ae_title="TBSNODE", commitment=True
    )
    made = Bench(database, archive, policy, destination)
    with database.transaction() as tx:
        made.study_id = catalogue.add_instance(tx, IDENTITY, kept(IDENTITY), ORIGIN).study_ref
    yield made
    database.dispose()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not stay for a report on the spot, but where a test is about that."""
    monkeypatch.setattr(commitments, "_PATIENCE_S", 0.0)


@pytest.fixture
def pacs(bench: Bench) -> Iterator[commitment_peer.Pacs]:
    with commitment_peer.pacs(find=True) as made:
        bench.destination = replace(bench.destination, port=made.port)
        yield made


def report(row: CommitmentRow, **failed: int) -> CommitmentReport:
    """A report on a transaction: `one` and `two` are reasons why the SR, the PDF is not kept."""
    reasons = {"one": ONE, "two": TWO}
    return CommitmentReport(
        transaction_uid=row.transaction_uid,
        committed=tuple(each for name, each in reasons.items() if name not in failed),
        failed=tuple((reasons[name], reason) for name, reason in failed.items()),
        calling_ae_title="PACS",
        host=peers.LOOPBACK,
    )


# ---- what a report says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("committed", "failed", "expected"),
    [
        ((ONE, TWO), (), {"1.2.3.11": 0, "1.2.3.12": 0}),
        ((ONE,), ((TWO, 0x0112),), {"1.2.3.11": 0, "1.2.3.12": 0x0112}),
        ((ONE,), (), {"1.2.3.11": 0, "1.2.3.12": None}),
        ((), (), {"1.2.3.11": None, "1.2.3.12": None}),
        ((ONE, TWO), ((TWO, 0x0213),), {"1.2.3.11": 0, "1.2.3.12": 0x0213}),
        ((ONE,), ((TWO, 0),), {"1.2.3.11": 0, "1.2.3.12": 0x0110}),
        ((ONE, replace(TWO, sop_class_uid=SR), IMAGE), (), {"1.2.3.11": 0, "1.2.3.12": None}),
    ],
    ids=["all", "one failed", "one not named", "none named", "in both lists", "no reason", "other class"],
)
def test_committed_is_only_what_is_named_and_not_failed(
    committed: tuple[SopReference, ...],
    failed: tuple[tuple[SopReference, int], ...],
    expected: dict[str, int | None],
) -> None:
    asked = [
        AskedInstance(sop_class_uid=e.sop_class_uid, sop_instance_uid=e.sop_instance_uid) for e in (ONE, TWO)
    ]
    told = CommitmentReport(transaction_uid="1.2", committed=committed, failed=failed)
    assert commitments.judge(asked, told) == expected


# ---- asking --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "number"),
    [
        (DeliveryState.SENT, 1),
        (DeliveryState.WARNING, 1),
        (DeliveryState.PARTIAL, 0),
        (DeliveryState.REFUSED, 0),
        (DeliveryState.SUPERSEDED, 0),
    ],
)
def test_what_was_stored_is_asked_for(bench: Bench, state: DeliveryState, number: int) -> None:
    bench.deliver(state)
    assert len(bench.all()) == number
    for row in bench.all():
        assert [(e.sop_class_uid, e.sop_instance_uid) for e in row.instances] == [
            (SR, "1.2.3.11"),
            (PDF, "1.2.3.12"),
        ]
        assert [e.series_instance_uid for e in row.instances] == ["1.2.3.1", "1.2.3.0"]


def test_nobody_is_asked_that_is_not_configured_so(bench: Bench) -> None:
    bench.destination = replace(bench.destination, commitment=False)
    bench.deliver()
    assert bench.all() == ()


def test_delivery_and_request_are_written_together_or_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two, a delivery would be sent and never asked for."""
    bench.deliver(DeliveryState.QUEUED)
    with bench.database.transaction() as tx:
        tx.execute(schema.delivery.update().values(next_try_at=tx.now))
    (ticket,) = bench.take("delivery")

    def died(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(deliver, "_send_all", lambda *_: None)
    monkeypatch.setattr(commitments, "want", died)
    with pytest.raises(KeyError):
        deliver.deliver(bench.site, ticket)
    assert (bench.delivery(), bench.all()) == ("running", ())
    monkeypatch.undo()
    monkeypatch.setattr(deliver, "_send_all", lambda *_: None)
    deliver.deliver(bench.site, ticket)
    assert (bench.delivery(), bench.states()) == ("sent", ["queued"])


def test_a_report_on_the_spot_commits(
    bench: Bench, pacs: commitment_peer.Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitments, "_PATIENCE_S", 10.0)
    pacs.reports_on_the_spot = True
    bench.deliver()
    row = bench.ask()
    assert row.state == "committed"
    assert {each.reason for each in row.instances} == {0}
    assert bench.delivery() == "committed"
    assert bench.told()[-1] == "commitment.committed: pacs keeps all 2 instances"


@BOTH
def test_a_report_that_overtakes_the_answer_stands(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    """It comes on another association while the answer to the request is still on its way."""
    bench.deliver()
    transaction = bench.all()[0]
    action = pacs._action

    def reported_first(event: Any) -> tuple[int, None]:
        assert commitments.heard(bench.site, report(transaction))
        return action(event)

    pacs.stop()
    pacs.handlers[1] = (pacs.handlers[1][0], reported_first)
    pacs.start()
    assert bench.ask().state == "committed"
    assert bench.delivery() == "committed"


def test_accepted_is_waiting_and_the_first_report_stands(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    row = bench.ask()
    assert (row.state, bench.delivery()) == ("waiting", "sent")
    assert bench.take() == []
    assert commitments.heard(bench.site, report(row))
    events = bench.told()
    assert commitments.heard(bench.site, report(row)), "the same again is true again"
    assert commitments.heard(bench.site, report(row, one=0x0112))
    assert (bench.states(), bench.delivery(), bench.told()) == (["committed"], "committed", events)
    assert bench.take("delivery") == []


def test_a_stranger_cannot_report(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    row = bench.ask()
    assert not commitments.heard(bench.site, replace(report(row), calling_ae_title="LUNAR"))
    assert not commitments.heard(bench.site, replace(report(row), transaction_uid="1.2.3"))
    assert (bench.states(), bench.delivery()) == (["waiting"], "sent")
    assert [event.split(":")[0] for event in bench.told()[-2:]] == [
        "commitment.refused",
        "commitment.unknown",
    ]


@BOTH
def test_what_is_not_there_is_sent_again_once(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    row = bench.ask()
    commitments.heard(bench.site, report(row, two=0x0112))
    assert (bench.states(), bench.delivery()) == (["failed"], "queued")
    with bench.database.read() as tx:
        outcomes = [(item["kind"], item["outcome"]) for item in deliveries.items_of(tx, bench.delivery_id)]
    assert outcomes == [("sr", "success"), ("pdf", "lost")]
    assert "1.2.3.12 (0x0112 No such SOP instance); sent again" in bench.told()[-1]
    with bench.database.transaction() as tx:  # the delivery brings it again
        tx.execute(schema.delivery_item.update().values(outcome="success"))
        tx.execute(schema.delivery.update().values(state="sent", next_try_at=None))
        commitments.want(tx, bench.site, bench.destination, bench.delivery_id, DeliveryState.SENT)
    commitments.heard(bench.site, report(bench.ask(), two=0x0112))
    assert (bench.states(), bench.delivery()) == (["failed", "failed"], "sent")
    assert not bench.told()[-1].endswith("sent again")


def test_what_was_replaced_is_not_sent_again(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    first, older = bench.ask(), bench.delivery_id
    bench.deliver()
    commitments.heard(bench.site, report(first, one=0x0112))
    with bench.database.read() as tx:
        assert deliveries.delivery_of(tx, older)["state"] == "sent"


@pytest.mark.parametrize("reason", [0x0110, 0x0213, 0x0122])
def test_other_reasons_leave_the_delivery_as_it_is(
    bench: Bench, pacs: commitment_peer.Pacs, reason: int
) -> None:
    bench.deliver()
    commitments.heard(bench.site, report(bench.ask(), one=reason))
    assert (bench.states(), bench.delivery()) == (["failed"], "sent")
    assert f"1.2.3.11 (0x{reason:04X}" in bench.told()[-1]
    assert f"0x{reason:04X}" in bench.all()[-1].last_error


def test_a_report_that_names_not_all_commits_nothing(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    told = replace(report(bench.ask()), committed=(ONE,))
    commitments.heard(bench.site, told)
    assert (bench.states(), bench.delivery()) == (["failed"], "sent")
    assert "1.2.3.12 (not named in the report)" in bench.told()[-1]


def test_a_transaction_uid_in_use_is_replaced(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    first = bench.ask()
    commitments.heard(bench.site, report(first, one=0x0131, two=0x0131))
    assert bench.states() == ["expired", "queued"]
    second = bench.ask()
    assert second.transaction_uid != first.transaction_uid
    commitments.heard(bench.site, report(second))
    assert bench.delivery() == "committed"


@BOTH
def test_without_a_report_it_is_asked_three_times_then_looked_for(
    bench: Bench, pacs: commitment_peer.Pacs
) -> None:
    bench.deliver()
    pacs.stored = {"1.2.3.11": SR, "1.2.3.12": PDF}
    for _ in range(commitments.MOST_ROUNDS):
        assert bench.ask().state == "waiting"
        bench.hurry()
        bench.ask()
    assert bench.states() == ["expired", "expired", "verified"]
    assert len({request.TransactionUID for request in pacs.requests}) == 3
    assert bench.delivery() == "sent", "what a query shows is not committed"
    assert bench.told()[-1].startswith("commitment.verified: pacs shows all 2 instances (C-FIND); no report")
    assert bench.take() == []
    commitments.heard(bench.site, report(bench.all()[0]))
    assert bench.states() == ["committed", "expired", "verified"], "late, and true all the same"
    assert bench.delivery() == "committed"


def test_a_late_report_ends_the_request_that_took_its_place(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    bench.ask()
    bench.hurry()
    bench.ask()
    commitments.heard(bench.site, report(bench.all()[0]))
    assert bench.states() == ["committed", "expired"]
    assert bench.take() == []


# ---- where it is not to be had -------------------------------------------------------------------


@pytest.fixture
def plain(bench: Bench) -> Iterator[commitment_peer.Pacs]:
    """A PACS without storage commitment, with queries."""
    with commitment_peer.pacs(commitment=False, find=True) as made:
        bench.destination = replace(bench.destination, port=made.port)
        yield made


def test_a_pacs_that_cannot_commit_is_asked_what_it_has(bench: Bench, plain: commitment_peer.Pacs) -> None:
    plain.stored = {"1.2.3.11": SR, "1.2.3.12": PDF}
    bench.deliver()
    row = bench.ask()
    assert (row.state, bench.delivery()) == ("verified", "sent")
    assert row.last_error == "it offers no storage commitment"
    assert {each.reason for each in row.instances} == {None}


def test_an_archive_may_index_what_it_has_just_taken(bench: Bench, plain: commitment_peer.Pacs) -> None:
    plain.stored = {"1.2.3.11": SR}
    bench.deliver()
    assert bench.ask().state == "queued"
    assert "does not show 1 of 2 instances yet" in bench.all()[-1].last_error
    plain.stored["1.2.3.12"] = PDF
    bench.hurry()
    assert bench.ask().state == "verified"


def test_what_no_query_shows_is_sent_again(bench: Bench, plain: commitment_peer.Pacs) -> None:
    plain.stored = {"1.2.3.11": SR}
    bench.deliver()
    for _ in range(3):
        bench.hurry()
        row = bench.ask()
    assert row.state == "failed"
    assert [each.reason for each in row.instances] == [None, 0x0112]
    assert bench.delivery() == "queued"
    assert row.sent_again


def test_neither_commitment_nor_query(bench: Bench) -> None:
    with commitment_peer.pacs(commitment=False) as made:
        bench.destination = replace(bench.destination, port=made.port)
        bench.deliver()
        row = bench.ask()
    assert (row.state, bench.delivery()) == ("unconfirmed", "sent")
    assert "does not offer Study Root queries" in row.last_error


def test_a_refused_request_is_not_repeated(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    pacs.statuses, pacs.stored = [0x0124], {"1.2.3.11": SR, "1.2.3.12": PDF}
    bench.deliver()
    row = bench.ask()
    assert row.state == "verified"
    assert row.last_error == "it refuses the request (0x0124 Refused: not authorized)"


@pytest.mark.parametrize("status", [0x0110, 0x0213])
def test_a_busy_pacs_is_asked_again_for_the_same(
    bench: Bench, pacs: commitment_peer.Pacs, status: int
) -> None:
    pacs.statuses = [status]
    bench.deliver()
    row = bench.ask()
    assert (row.state, row.tries) == ("queued", 1)
    bench.hurry()
    assert bench.ask().state == "waiting"
    assert [str(each.TransactionUID) for each in pacs.requests] == 2 * [row.transaction_uid]


def test_an_unreachable_pacs_is_waited_for_until_the_deadline(bench: Bench) -> None:
    bench.destination = replace(bench.destination, port=peers.free_port())
    bench.deliver()
    row = bench.ask()
    assert row.state == "queued"
    assert "commitment.postponed" in bench.told()[-1]
    assert "again in 30 s" in bench.told()[-1]
    with bench.database.transaction() as tx:
        tx.execute(schema.commitment.update().values(deadline=tx.now))
    bench.hurry()
    assert bench.ask().state == "unconfirmed"
    assert bench.delivery() == "sent"


def test_a_permanent_rejection_ends_it(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    pacs.ae.require_calling_aet = ["OTHER"]
    bench.deliver()
    assert bench.ask().state == "unconfirmed"


def test_what_is_switched_off_is_not_asked_for(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    bench.destination = replace(bench.destination, commitment=False)
    assert bench.ask().state == "cancelled"
    assert pacs.requests == []


def test_a_void_ticket_asks_nothing(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    (ticket,) = bench.take()
    with bench.database.transaction() as tx:
        work.postpone(tx, ticket, delay_s=0.0, error="lost")
    bench.take()
    commitments.ask(bench.site, ticket)
    assert pacs.requests == []


# ---- the queue -----------------------------------------------------------------------------------


def listed(bench: Bench, **chosen: Any) -> list[tuple[str, str]]:
    with bench.database.read() as tx:
        found = queue.rows(tx, **chosen)
    return [(row.id, row.state) for row in found if not row.id.startswith(("study", "delivery"))]


@BOTH
def test_the_queue_shows_the_newest_and_asks_again(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    first = bench.ask()
    assert listed(bench) == [("commitment/1", "waiting")]
    assert listed(bench, retriable=True) == []
    commitments.heard(bench.site, report(first, one=0x0213))
    assert listed(bench, retriable=True) == [("commitment/1", "failed")]
    with bench.database.transaction() as tx:
        assert queue.revive(tx, "commitment", 1, horizon_s=60.0) == IDENTITY.study_instance_uid
        assert queue.revive(tx, "commitment", 1, horizon_s=60.0) is None, "the newer one is the one"
    second = bench.ask()
    assert second.transaction_uid != first.transaction_uid
    assert listed(bench) == [("commitment/2", "waiting")]
    with bench.database.transaction() as tx:
        assert queue.counts(tx)["commitment:pacs"] == {"failed": 1, "waiting": 1}
        assert queue.cancel(tx, "commitment", 2) == IDENTITY.study_instance_uid
    assert listed(bench) == []
    bench.hurry()
    assert bench.take() == []


def test_a_paused_destination_is_not_asked(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    with bench.database.transaction() as tx:
        work.pause(tx, "deliver:pacs", by="test")
    assert bench.take() == []
    with bench.database.transaction() as tx:
        work.resume(tx, "deliver:pacs")
    assert len(bench.take()) == 1


@BOTH
def test_the_reconciler_finds_what_is_lost(bench: Bench, pacs: commitment_peer.Pacs) -> None:
    bench.deliver()
    (ticket,) = bench.take()
    with bench.database.read() as tx:
        (lost,) = work.at_work(tx, untouched_for_s=-1.0)
        assert work.study_uid_of(tx, lost) == IDENTITY.study_instance_uid
    assert lost.workflow_id == ticket.workflow_id == "commitment/1/1"


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
