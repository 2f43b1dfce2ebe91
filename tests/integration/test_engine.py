"""The engine itself: poison, lost workflows, errors of our own, another database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dbos import DBOS, DBOSClient

from tbsnode import engine
from tbsnode.model import StudyState
from tbsnode.node import node_id
from tbsnode.store import audit, catalogue, readiness, work
from tbsnode.store.database import Database
from tests import peers

pytestmark = pytest.mark.timeout(180)

# A worker process with a study step of the test's own; it ends when nothing is due or at work.
_WORKER = """
import os, sys, threading, time
from pathlib import Path
from types import SimpleNamespace
from tbsnode import engine
from tbsnode.model import StudyState
from tbsnode.store import work
from tbsnode.store.database import Database

def process(site, ticket):
    with site.database.transaction() as tx:
        if not work.start(tx, ticket):
            return
    {step}
    with site.database.transaction() as tx:
        work.finish(tx, ticket, StudyState.DONE)

engine.study.process = process
site = SimpleNamespace(database=Database(sys.argv[1]))
settings = engine.EngineSettings(executor_id="test/analyze-0", queues=("analyze",), concurrency=1,
    scan_lock=Path(sys.argv[2]) / "scanner", lease_s=2.0, scan_s=0.05, poll_s=0.05)
running = engine.Engine(site, settings)
running.start()
deadline = time.monotonic() + float(sys.argv[3])
idle = 0  # looked at three times: between two statements a row may go from out to due and back
while time.monotonic() < deadline and idle < 3:
    with site.database.read() as tx:
        busy = work.is_due(tx) or work.at_work(tx, untouched_for_s=-1)
    idle = 0 if busy else idle + 1
    time.sleep(0.05)
running.stop()
"""


BOTH = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)], indirect=True
)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with all tables: SQLite, and PostgreSQL for the tests that say `BOTH`."""
    url = f"sqlite:///{tmp_path}/tbsnode.db"
    if getattr(request, "param", "sqlite") == "postgresql":
        url = request.getfixturevalue("postgres_url")
    made = Database(url)
    made.upgrade()
    engine.migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def due_study(database: Database, identity: object) -> int:
    """A study that is due."""
    with database.transaction() as tx:
        study_id = catalogue.add_instance(tx, identity, KEPT, ORIGIN).study_ref  # type: ignore[arg-type]
        readiness.arm(tx, study_id, ready_at=tx.now)
    return study_id


KEPT = catalogue.KeptFile(path="studies/a.dcm", size_bytes=1, data_set_sha256="0" * 64, state="current")
ORIGIN = catalogue.Origin(calling_ae_title="DXA", host="127.0.0.1", association_id="")


@pytest.fixture
def identity() -> object:
    from tests.unit.store.conftest import IDENTITY

    return IDENTITY


RunWorker = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_worker(database: Database, tmp_path: Path) -> RunWorker:
    """``run_worker("pass")``: run a worker whose study step is this code."""

    def run(step: str, *, seconds: float = 30.0) -> subprocess.CompletedProcess[str]:
        database.dispose()
        return subprocess.run(
            [sys.executable, "-c", _WORKER.format(step=step), database.url, str(tmp_path), str(seconds)],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    return run


def study_of(database: Database, study_id: int) -> catalogue.StudyRow:
    with database.read() as tx:
        row = catalogue.study_by_id(tx, study_id)
    assert row is not None
    return row


@BOTH
def test_a_due_study_is_done(database: Database, due_study: int, run_worker: RunWorker) -> None:
    done = run_worker("pass")
    assert done.returncode == 0, done.stderr
    row = study_of(database, due_study)
    assert (row.state, row.generation, row.attempt) == (StudyState.DONE, 1, 1)


@BOTH
def test_a_killed_worker_resumes_its_own_ticket(
    database: Database, due_study: int, run_worker: RunWorker, tmp_path: Path
) -> None:
    died = run_worker(f"(Path({str(tmp_path)!r}) / 'begun').touch(); os._exit(9)")
    assert died.returncode == 9, died.stderr
    assert (tmp_path / "begun").exists()
    assert run_worker("pass").returncode == 0
    row = study_of(database, due_study)
    assert (row.state, row.attempt) == (StudyState.DONE, 1)


def test_poison_is_set_aside_after_five_dead_workers(
    database: Database, due_study: int, run_worker: RunWorker
) -> None:
    codes = []
    for _ in range(12):
        codes.append(run_worker("os._exit(9)", seconds=20).returncode)
        if study_of(database, due_study).state is StudyState.FAILED:
            break
    row = study_of(database, due_study)
    assert row.state is StudyState.FAILED, codes
    assert row.last_error == "stopped its worker 5 times"
    assert codes.count(9) == 6, "the first run and five recoveries"


@BOTH
def test_a_lost_workflow_gets_another_attempt(
    database: Database, due_study: int, run_worker: RunWorker
) -> None:
    """The engine's tables are lost or were not copied: ours are the truth."""
    with database.transaction() as tx:
        (ticket,) = work.take_due(tx, limit=1)  # taken, and no workflow carries it
    assert run_worker("pass").returncode == 0
    row = study_of(database, due_study)
    assert (row.state, row.generation, row.attempt) == (StudyState.DONE, 1, ticket.attempt + 1)


def test_an_unexpected_error_ends_in_the_row_without_what_it_said(
    database: Database, due_study: int, run_worker: RunWorker
) -> None:
    done = run_worker("raise KeyError('MUSTERMANN')", seconds=8)
    row = study_of(database, due_study)
    assert row.state is StudyState.QUEUED
    assert row.last_error.startswith("unexpected KeyError in <string>:")
    with database.read() as tx:
        told = " ".join(event.text for event in audit.events_of_study(tx, row.study_instance_uid))
    assert "again in 5 s" in told
    assert "MUSTERMANN" not in told + row.last_error + done.stderr


def test_a_resource_that_is_short_is_waited_for(
    database: Database, due_study: int, run_worker: RunWorker
) -> None:
    run_worker(
        "from tbsnode.errors import StorageFull\n    raise StorageFull('12 bytes are left')", seconds=4
    )
    row = study_of(database, due_study)
    assert (row.state, row.last_error) == (StudyState.QUEUED, "12 bytes are left")
    assert row.next_try_at is not None


def test_arguments_are_numbers_and_names_only(
    database: Database, due_study: int, run_worker: RunWorker
) -> None:
    run_worker("pass")
    client = DBOSClient(system_database_url=engine.dbos_url(database), serializer=engine.JsonSerializer())
    try:
        (workflow,) = client.list_workflows()
    finally:
        client.destroy()
    assert workflow.input is not None
    assert list(workflow.input["args"]) == ["study", due_study, 1, "analyze"]


@pytest.mark.peer
def test_our_tables_alone_move_to_another_database(
    postgres: peers.Postgres, tmp_path: Path, identity: object
) -> None:
    """Embedded to distributed: only our tables are copied, the engine rebuilds its own from them."""
    from tbsnode.store import schema

    old = Database(f"sqlite:///{tmp_path}/old.db")
    old.upgrade()
    with old.transaction() as tx:
        study_id = catalogue.add_instance(tx, identity, KEPT, ORIGIN).study_ref  # type: ignore[arg-type]
        readiness.arm(tx, study_id, ready_at=tx.now)
        work.take_due(tx, limit=1)
    new = Database(postgres.fresh_database())
    new.upgrade()
    engine.migrate(new)
    with old.read() as source, new.transaction() as target:
        for table in schema.metadata.sorted_tables:
            rows = [dict(row._mapping) for row in source.all(table.select())]
            if rows:
                target.execute(table.insert(), rows)
    old.dispose()
    new.dispose()
    done = subprocess.run(
        [sys.executable, "-c", _WORKER.format(step="pass"), new.url, str(tmp_path), "30"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert study_of(new, study_id).state is StudyState.DONE
    new.dispose()


def test_the_internal_call_that_failover_needs_is_there() -> None:
    """DBOS marks it internal: this test says so before a hospital does, when dbos changes."""
    assert callable(DBOS._recover_pending_workflows)


def test_a_state_folder_has_one_identity(tmp_path: Path) -> None:
    first = node_id(tmp_path / "state")
    assert node_id(tmp_path / "state") == first
    assert node_id(tmp_path / "other") != first
