"""The first sending waits until the destination shows the study: by hand, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tbsnode.errors import PeerError, PeerUnreachable
from tbsnode.model import Peer
from tbsnode.net import scu
from tbsnode.pipeline import deliver
from tbsnode.pipeline.site import Site
from tbsnode.store import audit, catalogue, deliveries, schema, work
from tbsnode.store.database import Database
from tests import schemas
from tests.unit.store.conftest import IDENTITY, ORIGIN, kept

PEER = Peer(
    name="pacs",
    ae_title="PACS",
    host="127.0.0.1",
    port=1,
    calling_ae_title="TBSNODE",
    wait_for_study_s=60.0,
)
SHOWN = scu.FoundStudy(patient_id="P1")


class Waiting:
    """A delivery to a PACS whose answers a test decides, and what came of each try."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database, self.monkeypatch = database, monkeypatch
        self.peer = PEER
        self.sent: list[int] = []
        monkeypatch.setattr(deliver, "items", lambda *_: [])
        monkeypatch.setattr(deliver, "_conclude", lambda _, job, __: self.sent.append(job.ticket.row_id))
        with database.transaction() as tx:
            self.study_id = catalogue.add_instance(tx, IDENTITY, kept(IDENTITY), ORIGIN).study_ref
            values: dict[str, Any] = {"status": "scored", "version": "0", "result": {}, "created_at": tx.now}
            made = tx.add(schema.analysis, study_ref=self.study_id, generation=1, **values)
            new = deliveries.NewDelivery(study_id=self.study_id, analysis_id=made, destination="pacs")
            self.row_id = deliveries.add_delivery(tx, new)

    def answer(self, answer: object) -> None:
        """Let C-FIND answer so."""

        def find_study(_: Peer, uid: str) -> object:
            assert uid == IDENTITY.study_instance_uid
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.monkeypatch.setattr(scu, "find_study", find_study)

    def try_now(self) -> dict[str, Any]:
        """Do the delivery as if its time had come; return its row."""
        policy = SimpleNamespace(retry_cap_s=600.0, retry_first_s=30.0, identity_check_after_s=3600.0)
        site = SimpleNamespace(
            database=self.database, policy=policy, peer=lambda _: self.peer, archive=None, peers=()
        )
        with self.database.transaction() as tx:
            tx.execute(schema.delivery.update().values(next_try_at=tx.now))
            (ticket,) = work.take_due(tx, limit=10)
        deliver.deliver(cast("Site", site), ticket)
        with self.database.read() as tx:
            return deliveries.delivery_of(tx, self.row_id)

    def age(self, seconds: float) -> None:
        """Make the delivery older."""
        with self.database.transaction() as tx:
            created = schema.delivery.c.created_at - seconds
            tx.execute(schema.delivery.update().values(created_at=created))

    def actions(self) -> list[str]:
        """Return what the study's story says."""
        with self.database.read() as tx:
            return [event.action for event in audit.events_of_study(tx, IDENTITY.study_instance_uid)]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiting]:
    database = Database(schemas.fill_sqlite(tmp_path / "tbsnode.db"))
    yield Waiting(database, monkeypatch)
    database.dispose()


def test_it_waits_in_its_row_until_the_study_is_there(waiting: Waiting) -> None:
    waiting.answer(None)
    row = waiting.try_now()
    assert (row["state"], waiting.sent) == ("queued", [])
    assert row["next_try_at"] == pytest.approx(row["updated_at"] + 3.0), "a twentieth of the wait"
    assert "does not show the study yet" in row["last_error"]
    assert row["tries"] == 0, "a look is no try"
    waiting.answer(SHOWN)
    waiting.try_now()
    assert waiting.sent == [waiting.row_id]
    assert waiting.actions() == []


def test_when_the_time_is_over_it_is_sent_with_an_event(waiting: Waiting) -> None:
    waiting.answer(None)
    waiting.age(59.0)
    assert waiting.try_now()["state"] == "queued"
    waiting.age(2.0)
    waiting.try_now()
    assert waiting.sent == [waiting.row_id]
    assert waiting.actions() == ["delivery.study_not_seen"]


@pytest.mark.parametrize(
    ("peer", "answer"),
    [
        (replace(PEER, wait_for_study_s=0.0), AssertionError("asked")),
        (replace(PEER, send=("sr", "source")), AssertionError("asked")),
        (PEER, PeerError("offers no query", peer="pacs")),
    ],
    ids=["not configured", "we bring the study", "no C-FIND"],
)
def test_who_is_not_waited_for(waiting: Waiting, peer: Peer, answer: object) -> None:
    waiting.peer = peer
    waiting.answer(answer)
    waiting.try_now()
    assert waiting.sent == [waiting.row_id]


def test_a_destination_that_has_an_earlier_result_is_not_waited_for(waiting: Waiting) -> None:
    waiting.answer(AssertionError("asked"))
    with waiting.database.transaction() as tx:
        before = tx.add(
            schema.delivery,
            study_ref=waiting.study_id,
            analysis_ref=1,
            destination="pacs",
            state="sent",
            created_at=tx.now,
            updated_at=tx.now,
        )
        tx.execute(schema.delivery.update().where(schema.delivery.c.id == before).values(id=0))
        deliveries.record_item(
            tx, 0, kind="sr", sop_class_uid="1.2", sop_instance_uid="1.2.9", outcome="success"
        )
    waiting.try_now()
    assert waiting.sent == [waiting.row_id]


def test_a_destination_that_is_away_is_tried_as_always(waiting: Waiting) -> None:
    waiting.answer(PeerUnreachable("connection refused", peer="pacs"))
    row = waiting.try_now()
    assert (row["state"], row["last_error"]) == ("queued", "connection refused")
    assert row["next_try_at"] == pytest.approx(row["updated_at"] + 30.0)
