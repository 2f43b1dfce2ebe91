"""The webhook: told once, again until it takes it, never more often than the interval, never a patient."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tbsnode.dicom import acquisition
from tbsnode.model import DeliveryState, StudyState
from tbsnode.pipeline import housekeeping, notify, webhook
from tbsnode.pipeline.site import Notify, Site
from tbsnode.store import catalogue, deliveries
from tests import certificates, desk, desk_results, nodes, peers
from tests.hook import Hook, listening

SECRETS = ("canary", "zoe", "1951-02-03", "19510203", "notify-patient", "1.2.826", "2.25.")


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening() as got:
        yield got


@contextmanager
def opened(tmp_path: Path, hook: Hook, **more: Any) -> Iterator[tuple[Site, int]]:
    """Open a node with one study that has a result; yield it and the study's row."""
    node = nodes.Node(tmp_path / "node", peers.free_port(), [nodes.Destination("pacs", "PACS", 9)])
    patient = acquisition.PatientTags(patient_id="NOTIFY-PATIENT", name="Canary^Zoe", birth_date="19510203")
    made = acquisition.study("hip", patient=patient, seed=2, options=acquisition.Options(small=True))
    with desk.desk(node) as at:
        uid = at.take(nodes.write(tmp_path / "images", made))
        told = Notify(webhook=hook.url, **({"interval_s": 0.0} | more))
        site = replace(at.site, policy=replace(at.site.policy, notify=told))
        yield site, int(at.ledger.study(uid)["id"])


def fail(site: Site, study_id: int) -> None:
    with site.database.transaction() as tx:
        catalogue.update_study(
            tx, study_id, state=StudyState.FAILED.value, last_error="Canary^Zoe went wrong, 19510203"
        )


def deliver(site: Site, study_id: int, state: DeliveryState, reason: str = "") -> int:
    with site.database.transaction() as tx:
        result = desk_results.add(tx, study_id)
        new = deliveries.NewDelivery(
            study_id=study_id, analysis_id=result, destination="pacs", state=state, reason=reason
        )
        return deliveries.add_delivery(tx, new)


def test_all_well_nothing_is_told(tmp_path: Path, hook: Hook) -> None:
    with opened(tmp_path, hook) as (site, _):
        assert notify.turn(site) == 0
    assert hook.bodies == []


def test_a_failed_study_is_told_once_and_again_after_it_was_well(tmp_path: Path, hook: Hook) -> None:
    with opened(tmp_path, hook) as (site, study_id):
        fail(site, study_id)
        assert [notify.turn(site) for _ in range(3)] == [1, 0, 0]
        (body,) = hook.bodies
        assert (body["kind"], body["count"], body["node"]) == ("study_failed", 1, "TBSNODE")
        assert body["causes"][0]["subject"] == f"study/{study_id}"
        with site.database.transaction() as tx:
            catalogue.update_study(tx, study_id, state=StudyState.DONE.value)
        assert notify.turn(site) == 0
        fail(site, study_id)
        assert notify.turn(site) == 1


def test_told_again_until_it_is_taken_with_the_same_id(tmp_path: Path, hook: Hook) -> None:
    with opened(tmp_path, hook) as (site, study_id):
        fail(site, study_id)
        hook.answer = 500
        assert [notify.turn(site), notify.turn(site)] == [0, 0]
        hook.answer = 200
        assert [notify.turn(site), notify.turn(site)] == [1, 0]
    assert hook.kinds() == ["study_failed"] * 3
    assert len({body["id"] for body in hook.bodies}) == 1


def test_nobody_listens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried once a turn, not once a kind: a webhook that is cut off takes 10 s each time."""
    nobody = Hook(url=f"http://127.0.0.1:{peers.free_port()}/secret")
    with opened(tmp_path, nobody) as (site, study_id):
        fail(site, study_id)
        deliver(site, study_id, DeliveryState.FAILED)
        caplog.clear()
        assert notify.turn(site) == 0
    (line,) = [each.getMessage() for each in caplog.records if each.name == "tbsnode.pipeline.notify"]
    assert "Connection refused" in line
    assert "secret" not in line


def test_within_the_interval_it_waits_and_is_told_together(tmp_path: Path, hook: Hook) -> None:
    with opened(tmp_path, hook, interval_s=3600.0) as (site, study_id):
        deliver(site, study_id, DeliveryState.REFUSED, "SOP_CLASS_REFUSED")
        assert notify.turn(site) == 1
        for _ in range(2):  # each takes the place of the one before
            deliver(site, study_id, DeliveryState.REFUSED, "SOP_CLASS_REFUSED")
            assert notify.turn(site) == 0
        fail(site, study_id)
        assert notify.turn(site) == 1, "another kind has an interval of its own"
        eager = replace(site.policy, notify=Notify(webhook=hook.url, interval_s=0.0))
        assert notify.turn(replace(site, policy=eager)) == 1
    assert [(body["kind"], body["count"]) for body in hook.bodies] == [
        ("delivery_refused", 1),
        ("study_failed", 1),
        ("delivery_refused", 2),
    ]


@pytest.mark.parametrize(
    ("state", "reason", "kind"),
    [
        (DeliveryState.PARTIAL, "", "delivery_refused"),
        (DeliveryState.FAILED, "", "delivery_refused"),
        (DeliveryState.HELD, "IDENTITY_CHANGED", "study_held"),
        (DeliveryState.HELD, "AWAITING_SIGNATURE", ""),
        (DeliveryState.HELD, "SHADOW_MODE", ""),
        (DeliveryState.SENT, "", ""),
    ],
)
def test_what_is_told_of_deliveries(
    tmp_path: Path, hook: Hook, state: DeliveryState, reason: str, kind: str
) -> None:
    with opened(tmp_path, hook) as (site, study_id):
        deliver(site, study_id, state, reason)
        notify.turn(site)
    assert hook.kinds() == ([kind] if kind else [])


def test_nothing_sent_for_a_while(tmp_path: Path, hook: Hook) -> None:
    with opened(tmp_path, hook, unsent_after_s=3600.0) as (site, study_id):
        deliver(site, study_id, DeliveryState.QUEUED)
        assert notify.turn(site) == 0, "it waits since a moment"
        hasty = replace(site.policy, notify=Notify(webhook=hook.url, interval_s=0.0, unsent_after_s=0.0))
        assert notify.turn(replace(site, policy=hasty)) == 1
    assert hook.bodies[0]["causes"][0]["subject"] == "pacs"


def test_disk_and_certificates(tmp_path: Path, hook: Hook) -> None:
    authority = certificates.authority(tmp_path / "ca")
    soon, late = (
        authority.issue(name, days=days).certificate for name, days in (("soon", 10), ("late", 300))
    )
    uses = (("receiver", soon), ("pacs", late), ("other", tmp_path / "missing.pem"))
    with opened(tmp_path, hook, certificates=uses) as (site, _):
        full = replace(site.policy, min_free_bytes=1 << 60)
        assert notify.turn(replace(site, policy=full)) == 2
    disk, expiring = hook.bodies
    assert disk["kind"] == "disk_low"
    told = {cause["subject"]: cause for cause in expiring["causes"]}
    assert set(told) == {"receiver", "other"}
    assert told["receiver"]["days_left"] in (9, 10)


@pytest.mark.parametrize(
    ("study_date", "retention_days", "kinds"),
    [("20200101", 365, ["clock_doubtful"]), ("20200101", 0, []), ("", 365, [])],
    ids=["years ahead of the scanners", "nothing is ever deleted", "no study says what day it is"],
)
def test_a_clock_that_no_scanner_bears_out_is_told_where_it_stops_retention(
    tmp_path: Path, hook: Hook, study_date: str, retention_days: int, kinds: list[str]
) -> None:
    with opened(tmp_path, hook) as (site, study_id):
        with site.database.transaction() as tx:
            catalogue.update_study(tx, study_id, study_date=study_date)
        notify.turn(replace(site, policy=replace(site.policy, retention_days=retention_days)))
    assert hook.kinds() == kinds
    assert all(body["causes"][0]["subject"] == "clock" for body in hook.bodies)


def test_the_token_is_sent_and_a_redirect_is_not_followed(tmp_path: Path, hook: Hook) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with opened(tmp_path, hook, token_file=token) as (site, study_id):
        fail(site, study_id)
        hook.answer = 302
        assert notify.turn(site) == 0
    assert len(hook.bodies) == 1
    assert hook.headers[0]["Authorization"] == "Bearer s3cret"


def test_no_patient_in_what_is_told(tmp_path: Path, hook: Hook) -> None:
    """The canary is in the header, in the last error and in the order; it is in no message."""
    with opened(tmp_path, hook, unsent_after_s=0.0) as (site, study_id):
        fail(site, study_id)
        with site.database.transaction() as tx:
            delivery_id = deliveries.add_delivery(
                tx,
                deliveries.NewDelivery(
                    study_id=study_id, analysis_id=desk_results.add(tx, study_id), destination="pacs"
                ),
            )
        notify.turn(site)
        deliver(site, study_id, DeliveryState.REFUSED)
        full = replace(site.policy, min_free_bytes=1 << 60)
        notify.turn(replace(site, policy=full))
        assert delivery_id
    assert set(hook.kinds()) == {"study_failed", "nothing_sent", "delivery_refused", "disk_low"}
    for body in hook.bodies:
        body.pop("id")  # begins with the node's own UID
        said = json.dumps(body).lower()
        assert [secret for secret in SECRETS if secret in said] == []


def test_a_slow_webhook_keeps_nobody_waiting(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it does not answer, no transaction is open: others write."""
    monkeypatch.setattr(housekeeping, "_NOTIFY_S", 0.05)
    hook.slow = threading.Event()
    with opened(tmp_path, hook, interval_s=1.0) as (site, study_id):
        fail(site, study_id)
        stop = threading.Event()
        thread = housekeeping.start(site, stop, holds=lambda: True)
        for _ in range(400):
            if hook.bodies:
                break
            stop.wait(0.05)
        assert hook.kinds() == ["study_failed"]
        with site.database.transaction() as tx:
            catalogue.update_study(tx, study_id, state=StudyState.DONE.value)
        stop.set()
        hook.slow.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def dripping() -> Iterator[str]:
    """A webhook that answers one byte at a time and never ends."""
    ended = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.05):
                    self.wfile.write(b"H")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/secret"
        ended.set()
        server.shutdown()


def test_an_answer_that_drips_is_cut_off(dripping: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a socket begins anew with each byte: the housekeeping stood still for ever."""
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.5)
    began = time.monotonic()
    with pytest.raises(webhook.NotThere, match="no answer within"):
        webhook.post(dripping, {})
    assert time.monotonic() - began < 5.0


def test_only_the_one_that_holds_the_lock_tells(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_NOTIFY_S", 0.02)
    with opened(tmp_path, hook) as (site, study_id):
        fail(site, study_id)
        stop = threading.Event()
        thread = housekeeping.start(site, stop, holds=lambda: False)
        stop.wait(0.5)
        stop.set()
        thread.join(20)
    assert hook.bodies == []
