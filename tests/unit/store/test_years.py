"""What a node does after years costs what is asked for, not what lies there: plans and numbers, no times."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from tbsnode import engine
from tbsnode.store import listing, moving, reconcile, retention, schema, snapshot, sqlite_file
from tbsnode.store.database import Database, Transaction
from tests import desk_results, schemas
from tests.unit.store.conftest import AddStudy

_MOST_STEPS = 500


@contextmanager
def told(tx: Transaction) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that SQLAlchemy gives to the driver, with their parameters."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append((statement, parameters))

    sa.event.listen(tx.connection, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(tx.connection, "before_cursor_execute", note)


def plans(tx: Transaction, statements: list[tuple[str, Any]]) -> list[str]:
    """Return the steps by which SQLite answers."""
    return [
        str(row[3])
        for statement, parameters in statements
        for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    ]


def test_retention_looks_at_a_portion_and_not_at_the_whole_archive(
    database: Database, add_study: AddStudy
) -> None:
    study_id = add_study(1)
    with database.read() as tx:
        with told(tx) as statements:
            retention.candidates(tx, [study_id])
            retention.gone(tx, [study_id])
            retention.vouched(tx, {"studies/77/1.2/1.2.3.dcm": study_id})
        steps = plans(tx, statements) if tx.dialect == "sqlite" else []
    assert len(statements) == 9, "so many, whatever the archive holds"
    assert [step for step in steps if step.startswith("SCAN") and "tbs_" in step] == []
    assert all("AUTOMATIC" not in step for step in steps)


def test_reconciling_asks_for_the_deliveries_of_a_study_and_not_for_all(
    database: Database, add_study: AddStudy
) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        desk_results.add(tx, study_id, score=1.25)
        day = tx.scalar(sa.select(schema.study.c.study_date))
        with told(tx) as statements:
            assert len(reconcile.published(tx, day, day, "pacs")) == 1
        each = [one for one in statements if "study_date >=" not in one[0]]
        steps = plans(tx, each) if tx.dialect == "sqlite" else []
    assert [step for step in steps if step.startswith("SCAN")] == []


def test_the_reconciler_asks_for_so_many_workflows_at_once_and_no_more(
    database: Database, add_study: AddStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bulk run puts a whole archive out, and PostgreSQL takes 65,535 values in one statement."""
    asked: list[list[str]] = []

    def answer(*, workflow_ids: list[str], **_: object) -> list[SimpleNamespace]:
        asked.append(workflow_ids)
        return [SimpleNamespace(workflow_id=each, status="PENDING") for each in workflow_ids]

    for number in range(5):
        add_study(number + 1)
    with database.transaction() as tx:
        tx.execute(schema.study.update().values(state="queued", next_try_at=None, updated_at=0.0))
    monkeypatch.setattr(engine, "_ASKED", 2)
    site: Any = SimpleNamespace(database=database)
    client: Any = SimpleNamespace(list_workflows=answer)
    engine._Scanner(site, site, client)._reconcile()
    assert [len(each) for each in asked] == [2, 2, 1]
    assert len({name for each in asked for name in each}) == 5


def test_a_list_of_studies_reads_no_whole_result(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        desk_results.add(tx, study_id, score=1.25)
    with database.read() as tx, told(tx) as statements:
        (one,) = listing.list_studies(tx, listing.StudyFilter())
    assert one.result is not None
    assert one.result.score == 1.25
    assert [statement for statement, _ in statements if "tbs_analysis.result," in statement] == []


def test_rows_are_moved_without_passing_over_those_that_were(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 2)
    with sqlite.transaction() as tx:
        for number in range(5):
            tx.add(schema.patient, patient_id=f"P{number}", created_at=tx.now)
        for name in ("deliver:b", "analyze", "deliver:a"):
            tx.execute(schema.queue_pause.insert().values(queue=name, paused_at=tx.now))
    target = Database(schemas.fill_sqlite(tmp_path / "target.db"))
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "LIMIT" in statement:
            asked.append((statement, parameters))

    sa.event.listen(sqlite._here().readers.engine, "before_cursor_execute", note)
    try:
        assert moving.copy_rows(sqlite, target, told=lambda *_: None) == 8
        with target.read() as tx:
            moved = list(tx.connection.execute(sa.select(schema.patient.c.patient_id)).scalars())
            paused = set(tx.connection.execute(sa.select(schema.queue_pause.c.queue)).scalars())
    finally:
        target.dispose()
    assert moved == [f"P{number}" for number in range(5)]
    assert paused == {"deliver:b", "analyze", "deliver:a"}
    assert asked
    assert {parameters[-1] for _, parameters in asked} == {0}, "no batch passes over rows (OFFSET)"


class _Interrupted:
    """A connection to the database whose backup is followed, step by step, by another process's commit."""

    def __init__(self, path: Path) -> None:
        self._real = sqlite_file.connect(path)
        self._other = sqlite_file.connect(path)
        self.steps = 0

    def execute(self, *args: Any) -> sqlite3.Cursor:
        return self._real.execute(*args)

    def backup(self, target: sqlite3.Connection, **options: Any) -> None:
        def step(*_: int) -> None:
            self.steps += 1
            assert self.steps < _MOST_STEPS, "it begins anew after each commit, and never ends"
            self._other.execute(f"INSERT INTO tbs_queue_pause VALUES ('during-{self.steps}', 0, '')")

        self._real.backup(target, **{**options, "pages": 8, "sleep": 0.0}, progress=step)

    def close(self) -> None:
        self._real.close()
        self._other.close()


def test_a_backup_ends_though_others_write_all_the_time(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite.transaction() as tx:
        tx.execute(schema.queue_pause.insert().values(queue="before", paused_at=0.0))
    assert sqlite.path is not None
    source = _Interrupted(sqlite.path)
    with monkeypatch.context() as patched:
        patched.setattr(snapshot.sqlite_file, "connect", lambda _: source)
        made = snapshot.copy(sqlite, tmp_path)
    assert source.steps > 5
    with sqlite3.connect(made) as copied:
        found = {row[0] for row in copied.execute("SELECT queue FROM tbs_queue_pause")}
    assert found == {"before"}, "what was there when it began, and nothing of what came meanwhile"
