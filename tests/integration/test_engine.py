"""The engine itself: poison, lost workflows, errors of our own, another database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from dbos import DBOS, DBOSClient, EnqueueOptions

from tbsnode import engine
from tbsnode.model import StudyState
from tbsnode.node import node_id
from tbsnode.store import audit, catalogue, readiness, work
from tbsnode.store.database import Database
from tests import engine_worker, peers, schemas

pytestmark = pytest.mark.timeout(180)

BOTH = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)], indirect=True
)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with all tables: SQLite, and PostgreSQL for the tests that say `BOTH`."""
    if getattr(request, "param", "sqlite") == "postgresql":
        url: str = request.getfixturevalue("node_postgres_url")
    else:
        url = schemas.fill_sqlite(tmp_path / "tbsnode.db", engine=True)
    made = Database(url)
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


RunWorker = Callable[..., engine_worker.Ended]


@pytest.fixture
def run_worker(database: Database, tmp_path: Path) -> RunWorker:
    """``run_worker("pass")``: run a worker whose study step is this code."""

    def run(step: str, *, seconds: float = 30.0) -> engine_worker.Ended:
        database.dispose()
        return engine_worker.run(step, database.url, tmp_path, seconds)

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
    died = run_worker(f"Path({str(tmp_path / 'begun')!r}).touch(); os._exit(9)")
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
    run_worker("from tbsnode.errors import StorageFull\nraise StorageFull('12 bytes are left')", seconds=4)
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


class Trap:
    """An argument that runs code where somebody unpickles it."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.sprung,)


@BOTH
def test_a_row_that_says_it_is_a_pickle_is_not_unpickled(
    database: Database, due_study: int, run_worker: RunWorker, tmp_path: Path
) -> None:
    """Whoever writes the database names the serializer in the row, and DBOS would believe it."""
    client = DBOSClient(system_database_url=engine.dbos_url(database))  # DBOS's own: pickle
    try:
        options: EnqueueOptions = {
            "workflow_name": "ticket",
            "queue_name": work.ANALYZE_QUEUE,
            "workflow_id": "trap",
            "app_version": engine.APPLICATION_VERSION,
        }
        client.enqueue(options, Trap(tmp_path / "sprung"))
        run_worker("pass")
        assert study_of(database, due_study).state is StudyState.DONE
        assert not (tmp_path / "sprung").exists()
        (trap,) = client.list_workflows(workflow_ids=["trap"])
    finally:
        client.destroy()
    assert trap.status == "ERROR"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.peer
def test_our_tables_alone_move_to_another_database(
    postgres: peers.Postgres, tmp_path: Path, identity: object
) -> None:
    """Embedded to distributed: only our tables are copied, the engine rebuilds its own from them."""
    from tbsnode.store import schema

    old = Database(schemas.fill_sqlite(tmp_path / "old.db"))
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
    done = engine_worker.run("pass", new.url, tmp_path, 30)
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


class _Cancelled(SimpleNamespace):
    """What the engine knows of DBOS here: workflows that are said to be in somebody's hand."""

    def __init__(self, *pending: str) -> None:
        super().__init__(cancelled=[])
        self.pending = [SimpleNamespace(workflow_id=name, executor_id="me") for name in pending]

    def list_workflows(self, **_: object) -> list[SimpleNamespace]:
        return self.pending

    def cancel_workflow(self, name: str) -> None:
        self.cancelled.append(name)


def test_what_a_living_executor_is_said_to_have_and_has_not_is_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end was committed on a primary that is gone, and the standby had not heard of it: it hung."""
    known = _Cancelled("study/1/1", "study/2/1")
    monkeypatch.setattr(engine, "DBOS", known)
    monkeypatch.setattr(engine._running, "in_hand", ["study/2/1"])
    site, settings = SimpleNamespace(database=database), SimpleNamespace(executor_id="me", lease_s=30.0)
    leases = engine._Leases(site, settings)  # type: ignore[arg-type]
    leases.renew()
    assert known.cancelled == [], "it may have been taken in this moment"
    leases.renew()
    assert known.cancelled == ["study/1/1"]
