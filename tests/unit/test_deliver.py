"""A newer result and an older one on its way to the same destination: the PACS never gets the older last."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tbsnode.errors import AssociationRejected, PeerUnreachable
from tbsnode.model import DeliveryState, Outgoing, Peer, SendOutcome
from tbsnode.net import status
from tbsnode.pipeline import deliver
from tbsnode.pipeline.outgoing import Item
from tbsnode.pipeline.site import Site
from tbsnode.store import audit, catalogue, deliveries, schema, work
from tbsnode.store.database import Database
from tests import schemas
from tests.unit.store.conftest import IDENTITY, ORIGIN, kept


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A database and one destination; nothing listens there."""
    database = Database(schemas.fill_sqlite(tmp_path / "tbsnode.db"))
    peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=1, calling_ae_title="TBSNODE")
    policy = SimpleNamespace(retry_cap_s=600.0, retry_first_s=30.0, identity_check_after_s=3600.0)
    made = SimpleNamespace(
        database=database, policy=policy, peer=lambda name: peer, archive=None
    )  # nothing is sent
    yield cast("Site", made)
    database.dispose()


@pytest.fixture
def study_id(site: Site) -> int:
    with site.database.transaction() as tx:
        return catalogue.add_instance(tx, IDENTITY, kept(IDENTITY), ORIGIN).study_ref


def offer(site: Site, study_id: int, generation: int) -> int:
    """Publish another result of the study to the destination."""
    with site.database.transaction() as tx:
        values: dict[str, Any] = {"status": "scored", "version": "0", "result": {}, "created_at": tx.now}
        made = tx.add(schema.analysis, study_ref=study_id, generation=generation, **values)
        new = deliveries.NewDelivery(study_id=study_id, analysis_id=made, destination="pacs")
        return deliveries.add_delivery(tx, new)


def take(site: Site) -> list[work.Ticket]:
    with site.database.transaction() as tx:
        return work.take_due(tx, limit=10)


def states(site: Site, study_id: int) -> list[str]:
    with site.database.read() as tx:
        return [row["state"] for row in deliveries.deliveries_of_study(tx, study_id)]


def test_what_is_replaced_while_it_is_tried_is_not_tried_again(
    site: Site, study_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(site, study_id, 1)
    (ticket,) = take(site)

    def newer_result_comes(*_: object) -> None:
        offer(site, study_id, 2)
        raise PeerUnreachable("connection refused", peer="pacs")

    monkeypatch.setattr(deliver, "_send_all", newer_result_comes)
    deliver.deliver(site, ticket)
    assert states(site, study_id) == [DeliveryState.SUPERSEDED.value, DeliveryState.QUEUED.value]
    with site.database.read() as tx:
        assert "delivery.superseded" in [event.action for event in audit.recent_events(tx)]


def test_what_was_replaced_before_its_retry_is_not_sent(
    site: Site, study_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older one's first try ended with an error of ours, so that it waits beside the newer one."""
    offer(site, study_id, 1)
    (first,) = take(site)
    with site.database.transaction() as tx:
        work.start(tx, first)
    offer(site, study_id, 2)
    with site.database.transaction() as tx:
        work.postpone(tx, first, delay_s=-1, error="the disk was full")
    older = next(ticket for ticket in take(site) if ticket.row_id == first.row_id)
    monkeypatch.setattr(deliver, "_send_all", lambda *_: pytest.fail("an older result was sent"))
    deliver.deliver(site, older)
    assert states(site, study_id)[0] == DeliveryState.SUPERSEDED.value


def test_a_result_that_nothing_replaces_is_tried_again(
    site: Site, study_id: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    offer(site, study_id, 1)
    (ticket,) = take(site)

    def nobody_there(*_: object) -> None:
        raise PeerUnreachable("connection refused", peer="pacs")

    monkeypatch.setattr(deliver, "_send_all", nobody_there)
    deliver.deliver(site, ticket)
    assert states(site, study_id) == [DeliveryState.QUEUED.value]
    (line,) = [each for each in caplog.records if each.name == "tbsnode.pipeline.deliver"]
    assert line.levelname == "WARNING"
    assert re.match(r"delivery to pacs \(\S+:\d+\): connection refused; again in \d+ s$", line.getMessage())


@pytest.mark.parametrize(
    ("transient", "state"), [(True, DeliveryState.QUEUED), (False, DeliveryState.REFUSED)]
)
def test_a_rejection_of_the_association_is_tried_again_where_the_peer_says_it_may_pass(
    site: Site, study_id: int, monkeypatch: pytest.MonkeyPatch, transient: bool, state: DeliveryState
) -> None:
    """A PACS that is busy for a moment is no PACS that does not know us."""
    row_id = offer(site, study_id, 1)

    def reject(*_: object) -> None:
        raise AssociationRejected("rejected", peer="pacs", transient=transient)

    monkeypatch.setattr(deliver, "_send_all", reject)
    deliver.deliver(site, *take(site))
    with site.database.read() as tx:
        row = deliveries.delivery_of(tx, row_id)
    assert (row["state"], row["last_error"]) == (state.value, "rejected")
    assert (row["next_try_at"] is None) == (state is DeliveryState.REFUSED)


def test_a_look_whether_an_older_one_is_through_is_no_try(site: Site, study_id: int) -> None:
    """A PACS that hangs for two minutes would else be said to have been tried a hundred times."""
    offer(site, study_id, 1)
    (first,) = take(site)
    with site.database.transaction() as tx:
        work.start(tx, first)
    offer(site, study_id, 2)
    for _ in range(3):
        (second,) = take(site)
        deliver.deliver(site, second)
        with site.database.transaction() as tx:
            row = deliveries.delivery_of(tx, second.row_id)
            assert (row["state"], row["tries"]) == (DeliveryState.QUEUED.value, 0)
            assert "another delivery" in row["last_error"]
            tx.execute(schema.delivery.update().values(next_try_at=tx.now - 1))


@pytest.mark.parametrize("ended", [DeliveryState.REFUSED, DeliveryState.PARTIAL])
def test_what_was_refused_is_over_when_a_newer_delivery_stands_for_it(
    site: Site, study_id: int, ended: DeliveryState
) -> None:
    """It was counted and alerted for ever, though the destination had the result."""
    offer(site, study_id, 1)
    (ticket,) = take(site)
    with site.database.transaction() as tx:
        work.start(tx, ticket)
        work.finish(tx, ticket, ended, last_error="SR: 0xC000")
    offer(site, study_id, 2)
    assert states(site, study_id) == [DeliveryState.SUPERSEDED.value, DeliveryState.QUEUED.value]


class Archive:
    """A destination that takes every presentation context, and then only some SOP classes."""

    def __init__(self, refused: dict[str, int]) -> None:
        self.refused = refused
        self.offered: list[str] = []

    def __call__(self, _: Peer, offered: list[Outgoing]) -> tuple[SendOutcome, ...]:
        self.offered += [each.sop_class_uid for each in offered]
        return tuple(self._answer(each) for each in offered)

    def _answer(self, item: Outgoing) -> SendOutcome:
        code = self.refused.get(item.sop_class_uid, 0)
        return SendOutcome(
            sop_instance_uid=item.sop_instance_uid,
            status=code,
            category=status.category(code),
            text=status.describe(code),
        )


@pytest.mark.parametrize(
    ("refused", "offered", "state"),
    [
        ({"3d": 0x0122}, ["3d", "pdf", "comprehensive"], DeliveryState.SENT),
        (
            {"3d": 0xA900, "comprehensive": 0xA901},
            ["3d", "pdf", "comprehensive", "enhanced"],
            DeliveryState.SENT,
        ),
        ({"3d": 0xC000}, ["3d", "pdf"], DeliveryState.PARTIAL),
        ({"pdf": 0xA700}, ["3d", "pdf"], DeliveryState.QUEUED),
        (dict.fromkeys(("3d", "comprehensive", "enhanced"), 0x0122), None, DeliveryState.PARTIAL),
    ],
    ids=["class", "data set", "content", "out of resources", "no class"],
)
def test_an_sr_class_that_is_refused_when_it_comes_is_followed_by_the_next(
    site: Site,
    study_id: int,
    monkeypatch: pytest.MonkeyPatch,
    refused: dict[str, int],
    offered: list[str] | None,
    state: DeliveryState,
) -> None:
    row_id = offer(site, study_id, 1)
    wanted = [[item("sr", name) for name in ("3d", "comprehensive", "enhanced")], [item("pdf", "pdf")]]
    archive = Archive(refused)
    monkeypatch.setattr(deliver, "items", lambda *_: wanted)
    monkeypatch.setattr(deliver, "prepare", lambda _site, _job, each: each)
    monkeypatch.setattr(deliver, "require_intact", lambda _: None)
    monkeypatch.setattr(deliver.scu, "send", archive)
    deliver.deliver(site, *take(site))
    with site.database.read() as tx:
        row = deliveries.delivery_of(tx, row_id)
    assert row["state"] == state.value
    assert archive.offered == (offered or ["3d", "pdf", "comprehensive", "enhanced"])
    assert ("SR" in row["last_error"]) == (state is DeliveryState.PARTIAL)
    assert ("pacs is out of resources (0xA700)" in row["last_error"]) == (state is DeliveryState.QUEUED)
    assert (row["next_try_at"] is not None) == (state is DeliveryState.QUEUED)


def item(kind: str, name: str) -> Item:
    """Return something to send, named by its class."""
    outgoing = Outgoing(
        path=Path("none"), sop_class_uid=name, sop_instance_uid=f"1.2.{name}", transfer_syntax_uid="1.2"
    )
    return Item(kind=kind, outgoing=outgoing)


def test_a_sender_loads_nothing_that_makes_reports() -> None:
    program = (
        "import sys, tbsnode.pipeline.deliver\n"
        "print([name for name in ('reportlab', 'scipy', 'tbsnode.report') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
