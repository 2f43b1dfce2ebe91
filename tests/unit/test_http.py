"""/health, /health/ready and /metrics on a real socket, a real database and a real archive."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.error import HTTPError

import pytest
import sqlalchemy as sa

from tbsnode import config as configuration
from tbsnode import node
from tbsnode.errors import ResourceError
from tbsnode.http import Watching, working_days
from tbsnode.pipeline import queues
from tbsnode.store import audit, observed, work
from tbsnode.store import queue as work_queue
from tbsnode.store import schema as tables
from tbsnode.store.database import Database, Transaction

HORIZON_S = 3600.0


@pytest.fixture
def settings(tmp_path: Path) -> configuration.Config:
    path = tmp_path / "tbsnode.toml"
    path.write_text(
        '[receiver]\nbind = "127.0.0.1"\nport = 11198\n[archive]\nmin_free_bytes = 0\nmin_free_percent = 0\n'
        "[http]\nport = 0\n"
        '[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "127.0.0.1"\nport = 9\n',
        encoding="utf-8",
    )
    loaded = configuration.load(path)
    node.upgrade(loaded)
    return loaded


@pytest.fixture
def watching(settings: configuration.Config) -> Iterator[Watching]:
    with node.open_site(settings) as site:
        made = Watching(settings, site)
        made.start()
        yield made
        made.stop()


def get(watching: Watching, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{watching.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def value(text: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    assert found, f"{sample} is not in\n{text}"
    return float(found[1])


def test_health_answers(watching: Watching) -> None:
    status, body = get(watching, "/health")
    assert (status, json.loads(body)["status"]) == (200, "alive")
    assert get(watching, "/")[0] == 404


def test_a_slow_watcher_is_hung_up_on_and_many_cost_few_threads(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then kept a connection, and its thread, for days."""
    monkeypatch.setattr("tbsnode.http._REQUEST_S", 2.0)
    before = threading.active_count()
    with contextlib.ExitStack() as slow:
        crowd = [
            slow.enter_context(socket.create_connection(("127.0.0.1", watching.port), timeout=5))
            for _ in range(60)
        ]
        until = time.monotonic() + 4.0
        while time.monotonic() < until:
            for one in crowd:
                with contextlib.suppress(OSError):
                    one.sendall(b"G")
            assert threading.active_count() - before <= 32
            time.sleep(0.3)
        assert get(watching, "/health")[0] == 200


def test_a_watcher_that_hangs_up_says_nothing_in_the_log(
    watching: Watching, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", watching.port), timeout=5) as hasty:
            hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            hasty.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert get(watching, "/metrics")[0] == 200
    assert "Traceback" not in capsys.readouterr().err
    assert caplog.records == []


def test_ready_names_what_is_missing(watching: Watching) -> None:
    status, body = get(watching, "/health/ready")
    assert status == 503
    assert json.loads(body)["checks"] == {
        "database": "ok",
        "archive": "ok",
        "receiver": "nobody listens on port 11198",
        "queues": "ok",
    }
    with socket.create_server(("127.0.0.1", 11198)):
        assert get(watching, "/health/ready")[0] == 200
        assert value(get(watching, "/metrics")[1], 'tbsnode_ready{check="receiver"}') == 1.0
    assert value(get(watching, "/metrics")[1], 'tbsnode_ready{check="receiver"}') == 0.0
    assert value(get(watching, "/metrics")[1], 'tbsnode_ready{check="archive"}') == 1.0


def pause(settings: configuration.Config, *queues: str) -> None:
    with node.open_site(settings) as site, site.database.transaction() as tx:
        for queue in queues:
            work.pause(tx, queue, by="canary")


def test_a_paused_queue_is_told_and_the_node_is_ready(
    watching: Watching, settings: configuration.Config
) -> None:
    """An administrator wanted it: a balancer must not take the receiver away for that."""
    pause(settings, "analyze", "deliver:pacs")
    with socket.create_server(("127.0.0.1", 11198)):
        status, body = get(watching, "/health/ready")
    told = json.loads(body)
    assert (status, told["status"]) == (200, "ready")
    assert re.fullmatch(
        r"paused: analyze since \d{4}-\d\d-\d\dT\d\d:\d\dZ, deliver:pacs since \S+Z; "
        r"`tbsnode queue resume` goes on",
        told["checks"]["queues"],
    )
    assert "canary" not in body


def test_metrics_tell_each_queue_and_whether_it_is_paused(
    watching: Watching, settings: configuration.Config
) -> None:
    text = get(watching, "/metrics")[1]
    for queue in ("analyze", "report", "deliver:pacs"):
        assert value(text, f'tbsnode_queue_paused{{queue="{queue}"}}') == 0
    pause(settings, "deliver:pacs", "deliver:gone")
    text = get(watching, "/metrics")[1]
    assert value(text, 'tbsnode_queue_paused{queue="analyze"}') == 0
    assert value(text, 'tbsnode_queue_paused{queue="deliver:pacs"}') == 1
    assert value(text, 'tbsnode_queue_paused{queue="deliver:gone"}') == 1


def test_a_database_that_is_away_is_told_once(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: object) -> None:
        raise ResourceError("The database does not answer.")

    monkeypatch.setattr(Database, "ping", away)
    monkeypatch.setattr(Database, "read", away)
    status, body = get(watching, "/health/ready")
    checks = json.loads(body)["checks"]
    assert status == 503
    assert (checks["database"], checks["queues"]) == ("The database does not answer.", "not known")


def test_ready_means_every_port_of_the_receiver(settings: configuration.Config, tmp_path: Path) -> None:
    path = tmp_path / "tbsnode.toml"
    files = "".join(f'{name} = "absent.pem"\n' for name in ("certificate", "key", "ca"))
    tls = f"[receiver.tls]\nport = 11196\n{files}"
    path.write_text(path.read_text(encoding="utf-8") + tls, encoding="utf-8")
    secured = configuration.load(path)
    with node.open_site(secured) as site, socket.create_server(("127.0.0.1", 11198)):
        made = Watching(secured, site)
        made.start()
        try:
            status, body = get(made, "/health/ready")
        finally:
            made.stop()
    assert (status, json.loads(body)["checks"]["receiver"]) == (503, "nobody listens on port 11196")


def test_a_machine_without_a_receiver_can_be_ready(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TBSNODE_ROLES", "analyze http")
    status, body = get(watching, "/health/ready")
    assert (status, json.loads(body)["checks"]) == (200, {"database": "ok", "archive": "ok", "queues": "ok"})


def fill(tx: Transaction) -> int:
    """A patient whose name must appear nowhere, a study of one scanner, a result, an unsent delivery."""
    patient = tx.add(tables.patient, patient_id="CANARY-ID", name="Canary^Zoe", created_at=tx.now)
    study = tx.add(
        tables.study,
        study_instance_uid="1.2.3",
        patient_ref=patient,
        scanner="Example Densitometer 77",
        state="done",
        created_at=tx.now,
        updated_at=tx.now,
    )
    series = tx.add(tables.series, series_instance_uid="1.2.3.1", study_ref=study)
    tx.add(
        tables.instance,
        sop_instance_uid="1.2.3.4",
        version=1,
        sop_class_uid="1.2",
        transfer_syntax_uid="1.2",
        series_ref=series,
        study_ref=study,
        state="current",
        path="x",
        size_bytes=1,
        data_set_sha256="0" * 64,
        identity={},
        received_at=tx.now - 100,
    )
    analysis = tx.add(
        tables.analysis,
        study_ref=study,
        generation=1,
        reported=True,
        status="refused",
        reason="LOSSY_COMPRESSION",
        version="1",
        result={},
        created_at=tx.now,
    )
    return tx.add(
        tables.delivery,
        study_ref=study,
        analysis_ref=analysis,
        destination="pacs",
        state="queued",
        created_at=tx.now - 50,
        updated_at=tx.now,
    )


def test_metrics_tell_states_ages_and_refusals_and_no_patient(
    watching: Watching, settings: configuration.Config
) -> None:
    assert value(get(watching, "/metrics")[1], 'tbsnode_oldest_unsent_seconds{destination="pacs"}') == 0.0
    with node.open_site(settings) as site, site.database.transaction() as tx:
        fill(tx)
        audit.add_event(tx, "test.done", "done")
    status, text = get(watching, "/metrics")
    assert status == 200
    assert value(text, 'tbsnode_results{reason="LOSSY_COMPRESSION",status="refused"}') == 1
    assert value(text, 'tbsnode_studies{reason="",state="done"}') == 1
    assert value(text, 'tbsnode_deliveries{destination="pacs",state="queued"}') == 1
    assert 50 <= value(text, 'tbsnode_oldest_unsent_seconds{destination="pacs"}') < 80
    assert value(text, 'tbsnode_scanner_quiet_working_days{scanner="Example Densitometer 77"}') == 0
    assert value(text, "tbsnode_audit_unsealed") == 1
    assert value(text, "tbsnode_archive_free_bytes") > 0
    assert not re.search("canary|1\\.2\\.3", text, re.IGNORECASE)


def test_a_scanner_whose_scores_moved_is_seen(watching: Watching, settings: configuration.Config) -> None:
    day = 86400.0
    with node.open_site(settings) as site, site.database.transaction() as tx:
        fill(tx)
        patient = tx.scalar(sa.select(tables.patient.c.id))
        for number in range(20):
            recent = number < 10
            came = tx.now - (1 if recent else 90) * day
            study = tx.add(
                tables.study,
                study_instance_uid=f"1.2.4.{number}",
                patient_ref=patient,
                scanner="Example Densitometer 77",
                state="done",
                created_at=came,
                updated_at=came,
            )
            tx.add(
                tables.analysis,
                study_ref=study,
                generation=1,
                reported=True,
                status="scored",
                score=1.30 if recent else 1.20,
                version="1",
                result={},
                created_at=came,
            )
    text = get(watching, "/metrics")[1]
    assert value(text, 'tbsnode_scanner_score_shift{scanner="Example Densitometer 77"}') == pytest.approx(0.1)


def test_only_the_first_delivery_of_a_study_is_timed_from_end_to_end(
    settings: configuration.Config,
) -> None:
    with node.open_site(settings) as site, site.database.transaction() as tx:
        first = fill(tx)
        row = tx.one(sa.select(tables.delivery).where(tables.delivery.c.id == first))
        assert row is not None
        later = {key: value for key, value in row._mapping.items() if key != "id"}
        again = tx.add(tables.delivery, **later)
        assert observed.end_to_end(tx, first, horizon_s=HORIZON_S) is None  # not sent yet
        tx.connection.execute(sa.update(tables.delivery).values(state="sent", updated_at=tx.now))
        took = observed.end_to_end(tx, first, horizon_s=HORIZON_S)
        assert took is not None
        assert 100 <= took.seconds < 110
        assert observed.end_to_end(tx, again, horizon_s=HORIZON_S) is None


def test_what_waited_in_a_paused_queue_is_not_timed_from_end_to_end(settings: configuration.Config) -> None:
    """A weekend of maintenance at the PACS alerted on Monday."""
    with node.open_site(settings) as site:
        with site.database.transaction() as tx:
            first = fill(tx)
            tx.connection.execute(sa.update(tables.delivery).values(state="sent", updated_at=tx.now))
            assert observed.end_to_end(tx, first, horizon_s=HORIZON_S) is not None
        queues.queue_pause(site, ["deliver:pacs"])
        queues.queue_resume(site, ["deliver:pacs"])
        with site.database.read() as tx:
            assert observed.end_to_end(tx, first, horizon_s=HORIZON_S) is None


def test_what_waited_for_a_person_is_not_timed_from_end_to_end(settings: configuration.Config) -> None:
    """After weeks of shadow mode `queue retry --all` wrote weeks into the histogram, and alerted."""
    with node.open_site(settings) as site, site.database.transaction() as tx:
        held = fill(tx)
        row = sa.update(tables.delivery).where(tables.delivery.c.id == held)
        made = tx.now - 900
        tx.connection.execute(row.values(state="held", created_at=made, deadline=made + HORIZON_S))
        assert work_queue.revive(tx, "delivery", held, horizon_s=HORIZON_S) is not None
        tx.connection.execute(row.values(state="sent", updated_at=tx.now))
        assert observed.end_to_end(tx, held, horizon_s=HORIZON_S) is None


@pytest.mark.parametrize(
    ("after", "until", "days"),
    [
        ("2026-11-20", "2026-11-23", 0),  # Friday to Monday
        ("2026-11-20", "2026-11-24", 1),
        ("2026-11-16", "2026-11-23", 4),
        ("2026-11-25", "2026-11-25", 0),
        ("2026-11-25", "2026-11-24", 0),  # a clock that was set back
    ],
)
def test_working_days(after: str, until: str, days: int) -> None:
    assert working_days(date.fromisoformat(after), date.fromisoformat(until)) == days


def test_every_alert_asks_for_a_metric_that_there_is(watching: Watching) -> None:
    rules = (Path(__file__).parents[2] / "config" / "alerts.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\btbsnode_[a-z_]+", rules))
    assert len(asked) >= 10
    told = set(re.findall(r"^# TYPE (\S+)", get(watching, "/metrics")[1], re.MULTILINE))
    told |= {f"{name}_bucket" for name in ("tbsnode_end_to_end_seconds",)}  # counted by the workers
    assert asked <= told
