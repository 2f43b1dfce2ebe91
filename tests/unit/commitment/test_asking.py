"""What becomes of a transaction that we ask for, whatever the destination does, and in which order."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from tbsnode.model import DeliveryState
from tbsnode.model.commitment import CommitmentReport, SopReference
from tbsnode.net.messages import Receiver
from tbsnode.pipeline import commitments, deliver
from tbsnode.store import catalogue, deliveries, schema
from tbsnode.store import commitments as commitment_rows
from tbsnode.store.commitments import AskedInstance
from tests import commitment_peer, peers
from tests.unit.commitment.conftest import BOTH, IMAGE, ONE, PDF, SR, TWO, Bench, report
from tests.unit.store.conftest import IDENTITY, ORIGIN, kept

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


def test_an_original_is_asked_for_with_its_own_series(bench: Bench) -> None:
    """A destination may get the scanner's images too; other studies have series of their own."""
    bench.deliver()
    another = replace(
        IDENTITY, sop_instance_uid="1.9.4", study_instance_uid="1.9", series_instance_uid="1.9.1"
    )
    with bench.database.transaction() as tx:
        catalogue.add_instance(tx, another, kept(another), ORIGIN)
        (image,) = catalogue.find_instances(tx, IMAGE.sop_instance_uid)
        deliveries.record_item(
            tx,
            bench.delivery_id,
            kind="source",
            instance_ref=image.id,
            sop_class_uid=IMAGE.sop_class_uid,
            sop_instance_uid=IMAGE.sop_instance_uid,
            outcome="success",
        )
        commitment_rows.add_commitment(tx, bench.delivery_id, horizon_s=60.0)
    asked = [(each.sop_instance_uid, each.series_instance_uid) for each in bench.all()[-1].instances]
    assert asked[2:] == [(IMAGE.sop_instance_uid, IDENTITY.series_instance_uid)]


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


def test_the_answer_to_a_report_goes_out_before_the_release(
    bench: Bench, pacs: commitment_peer.Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pynetdicom serves a report in a thread of its own, and a release that overtook it waited for ever."""
    monkeypatch.setattr(commitments, "_PATIENCE_S", 10.0)
    send = Receiver.send_msg

    def slowly(self: Receiver, primitive: Any, context_id: int) -> None:
        if isinstance(primitive, N_EVENT_REPORT):
            time.sleep(0.3)
        send(self, primitive, context_id)

    monkeypatch.setattr(Receiver, "send_msg", slowly)
    pacs.reports_on_the_spot = True
    bench.deliver()
    assert bench.ask().state == "committed"
    peers.wait_until(lambda: pacs.answers, "the answer to the report")
    assert pacs.answers == [0]


def test_a_report_before_the_answer_to_its_request_is_served(
    bench: Bench, pacs: commitment_peer.Pacs
) -> None:
    """A PACS of one thread may report first, and answers our request when its report is answered."""
    bench.deliver()
    action = pacs._action

    def reported_first(event: Any) -> tuple[int, None]:
        information, kind = commitment_peer.report_of(event.action_information)
        answer, _ = event.assoc.send_n_event_report(
            information, kind, commitment_peer.PUSH_MODEL, commitment_peer.INSTANCE
        )
        pacs.answers.append(answer.Status)
        return action(event)

    pacs.stop()
    pacs.handlers[1] = (pacs.handlers[1][0], reported_first)
    pacs.start()
    assert bench.ask().state == "committed"
    assert pacs.answers == [0]


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
