"""A desk for storage commitment: a database, an archive, a destination, and what happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tbsnode.model import DeliveryState, Peer
from tbsnode.model.commitment import CommitmentReport, SopReference
from tbsnode.pipeline import commitment_requests, commitments
from tbsnode.pipeline.site import Site
from tbsnode.store import audit, catalogue, deliveries, schema, work
from tbsnode.store import commitments as rows
from tbsnode.store.archive import Archive
from tbsnode.store.commitments import CommitmentRow
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
