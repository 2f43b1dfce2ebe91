"""What a node does after years costs what is asked for, not what lies there: plans and numbers, no times."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from tbsnode import engine
from tbsnode.model import StudyState
from tbsnode.store import (
    audit_chain,
    bulk,
    catalogue,
    commitment_requests,
    deliveries,
    identity_changes,
    listing,
    moving,
    notices,
    observed,
    priors,
    purge,
    queue,
    readiness,
    reconcile,
    results,
    retention,
    reviews,
    schema,
    snapshot,
    sqlite_file,
    work,
)
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


# Of a handful of rows, whatever the node has done.
_SMALL = ("tbs_queue_pause", "tbs_executor_lease", "tbs_notice", "tbs_refusal_pause", "tbs_quarantine")
# what has ended has no time in these: to look for "none" is to look at everything
_NEARLY_ALL = re.compile(r"\((next_try_at|ready_at)=\?")


def looked_through(tx: Transaction, statements: list[tuple[str, Any]]) -> list[str]:
    """Return the steps that pass over a table of years, whichever index they take."""
    return [
        step
        for step in plans(tx, [one for one in statements if _reads(one[0])])
        if (step.startswith("SCAN") and not step.split()[1].startswith((*_SMALL, "(", "CONSTANT")))
        or "AUTOMATIC" in step
        or _NEARLY_ALL.search(step)
    ]


def _reads(statement: str) -> bool:
    return statement.startswith(("SELECT", "UPDATE", "DELETE"))


_TICKET = work.Ticket("delivery", 7, 1, "deliver:pacs")

# What a node asks again and again: each moment, each study, each delivery; and what is listed every day.
ASKED: dict[str, Callable[[Transaction], object]] = {
    "is anything due": work.is_due,
    "is anything at hand": lambda tx: queue.is_work_at_hand(tx, within_s=5.0),
    "take it": lambda tx: work.take_due(tx, limit=50),
    "what is out": lambda tx: work.at_work(tx, untouched_for_s=5.0),
    "what is not sealed": lambda tx: tx.one(audit_chain._unsealed(tx).limit(1)),
    "studies for a person": notices.unwell_studies,
    "deliveries for a person": notices.unwell_deliveries,
    "destinations that get nothing": lambda tx: notices.unsent(tx, after_s=60.0),
    "did it get something": lambda tx: notices._got_something(tx, "pacs", within_s=60.0),
    "the oldest unsent": observed.oldest_unsent,
    "the oldest that waits": observed.oldest_waiting,
    "last received": observed.last_received,
    "scores that moved": observed.score_shifts,
    "what the newest study of each scanner lacks": observed.newest_findings,
    "not sealed": observed.unsealed_events,
    "how long it took": lambda tx: observed.end_to_end(tx, 7, horizon_s=60.0),
    "refusals in a row": lambda tx: identity_changes.latest_reasons(tx, "x", besides=1, since=0.0, limit=19),
    "counted from": lambda tx: identity_changes.resumed_at(tx, "x"),
    "earlier examinations": lambda tx: priors.studies_under(tx, "P1", besides=0),
    "is it sent": lambda tx: priors.is_sent(tx, "1.2"),
    "of a series": lambda tx: priors.instances_of_series(tx, "1.2", "1.2.3"),
    "of a study": lambda tx: catalogue.instances_of_study(tx, 1, ["current"]),
    "results of a study": lambda tx: results.last_published(tx, 1),
    "is it signed": lambda tx: reviews.is_signed(tx, 1),
    "is it rejected": lambda tx: reviews.is_rejected(tx, 1),
    "sent before": lambda tx: deliveries.last_received(tx, 1, "pacs", "sr", before=7),
    "another at work": lambda tx: deliveries.another_at_work(tx, _TICKET, 1, "pacs"),
    "a newer one": lambda tx: deliveries.replaced_by_newer(tx, 7),
    "who has it": lambda tx: deliveries.recipients(tx, 1),
    "who took it": lambda tx: deliveries.takers(tx, 1),
    "rejections owed": lambda tx: deliveries.owed_rejections(tx, 1, "pacs"),
    "begin a delivery": lambda tx: deliveries.supersede_waiting(tx, 1),
    "let go": lambda tx: purge.let_go(tx, 1, "SHADOW_MODE", held_for="", horizon_s=1.0),
    "is it sending": lambda tx: purge.is_sending(tx, 1),
    "kept for a commitment": lambda tx: commitment_requests.kept_files(tx, ["1.2"]),
    "lost associations": lambda tx: readiness.forget_associations(tx, receiver="r", quiet_s=1.0),
    "queue list": queue.rows,
    "queue retry": lambda tx: queue.rows(tx, retriable=True),
    "list of a state": lambda tx: listing.list_studies(tx, listing.StudyFilter(state=StudyState.FAILED)),
    "list of a patient": lambda tx: listing.list_studies(tx, listing.StudyFilter(patient="P1")),
    "list of a day": lambda tx: listing.list_studies(tx, listing.StudyFilter(since=0.0, until=1.0)),
    "studies of a patient": lambda tx: identity_changes.study_uids(tx, 1),
    "patients": lambda tx: identity_changes.patients(tx, "P1"),
    "a bulk run before": lambda tx: bulk.before(tx, 1, 1),
    "images of a study": lambda tx: bulk.has_images(tx, 1),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_all_day_passes_over_no_whole_table(sqlite: Database, name: str) -> None:
    """By an index that finds the few rows meant; one that finds nearly all is none."""
    with sqlite.transaction() as tx:
        with told(tx) as statements:
            ASKED[name](tx)
        assert statements
        assert looked_through(tx, statements) == []


def test_the_numbers_of_a_watcher_are_counted_in_an_index(sqlite: Database) -> None:
    """All rows are counted, but not read: a result of ten thousand letters least of all."""
    with sqlite.read() as tx:
        for count in (observed.studies, observed.results, observed.deliveries):
            with told(tx) as statements:
                count(tx)
            (step,) = (one for one in plans(tx, statements) if one.startswith("SCAN"))
            assert "USING COVERING INDEX" in step


def test_a_preview_asks_for_the_studies_that_are_meant(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    add_study(2)
    with database.read() as tx, told(tx) as statements:
        assert bulk.preview(tx, [study_id], workers=1).studies == 1
    (asked,) = (one for one, _ in statements if "review_state" in one)
    assert "WHERE tbs_study.id IN " in asked


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


def test_finished_workflows_are_forgotten_faster_than_a_bulk_run_makes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bulk run of an archive leaves hundreds of thousands; 500 an hour would take a month."""
    left = list(range(1200))
    client: Any = SimpleNamespace(
        list_workflows=lambda *, limit, **_: [SimpleNamespace(workflow_id=each) for each in left[:limit]],
        delete_workflows=lambda ids: left.__delitem__(slice(len(ids))),
    )
    site: Any = SimpleNamespace(database=None)
    scanner = engine._Scanner(site, SimpleNamespace(scan_s=0.2), client)  # type: ignore[arg-type]
    turns = []
    for turn in range(20_000):
        scanner.turn = turn
        before = len(left)
        scanner._forget()
        if len(left) != before:
            turns.append(turn)
    assert left == []
    assert turns == [0, 50, 100], "a portion each, so that the work between them is not kept waiting"


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


def _steps_of_deleting(database: Database, study_id: int) -> int:
    """Count the steps of SQLite's machine, those for foreign keys too, which no plan shows."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    with database.transaction(references_checked=False) as tx:
        tx.driver.set_progress_handler(count, 10)
        purge.delete_study(tx, study_id)
        tx.driver.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # nobody waits on PostgreSQL
def test_a_study_is_deleted_without_looking_through_the_others(
    database: Database, add_study: AddStudy
) -> None:
    """It held SQLite's write lock for 2 to 10 s after 100,000 studies, and scanners waited."""
    few = [add_study(number, patient_id=f"P{number}") for number in range(3)]
    with database.transaction() as tx:
        for study_id in few:
            desk_results.add(tx, study_id)
    before = _steps_of_deleting(database, few[0])
    with database.transaction() as tx:
        for number in range(100, 200):
            desk_results.add(tx, _add_row(tx, number))
    assert _steps_of_deleting(database, few[1]) < before * 1.2


def _add_row(tx: Transaction, number: int) -> int:
    patient_id = tx.add(schema.patient, patient_id=f"P{number}", created_at=tx.now)
    values = {"study_instance_uid": f"1.9.{number}", "patient_ref": patient_id, "state": "done"}
    return tx.add(schema.study, **values, created_at=tx.now, updated_at=tx.now)


def _anything(column: sa.Column[Any]) -> object:
    if column.foreign_keys or isinstance(column.type, sa.Integer):
        return 1
    return {sa.Double: 1.0, sa.Boolean: False, sa.JSON: {}}.get(type(column.type), "1")


def test_nothing_that_refers_to_a_deleted_study_is_left(sqlite: Database) -> None:
    """One row in every table there is: one added later is either deleted with a study, or fails here."""
    with sqlite.transaction() as tx:
        for table in schema.metadata.sorted_tables:
            tx.execute(table.insert().values({each.name: _anything(each) for each in table.columns}))
    with sqlite.transaction(references_checked=False) as tx:
        purge.delete_study(tx, 1)
    with sqlite.read() as tx:
        assert tx.all(sa.text("PRAGMA foreign_key_check")) == []
        assert tx.one(sa.select(schema.study)) is None
        assert tx.one(sa.select(schema.patient)) is None


def test_the_files_of_an_archive_are_read_some_rows_at_a_time(
    database: Database, add_study: AddStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of millions, a backup and `db verify` held a list, in one view of the database."""
    monkeypatch.setattr(snapshot, "_ROWS", 2)
    for number in range(5):
        add_study(number + 1)
    with database.transaction() as tx:
        tx.execute(sa.update(schema.instance).where(schema.instance.c.id == 2).values(state="purged"))
    files = snapshot.KeptFiles(database)
    assert len(files) == 4
    found = []
    for each in files:
        found.append(each)
        with database.transaction() as tx:  # nobody waits for the rest
            tx.execute(sa.update(schema.instance).where(schema.instance.c.id == 5).values(state="purged"))
    assert [each.row_id for each in found] == [1, 3, 4]
    assert files.has(found[0])
    assert not files.has(snapshot.KeptFile(row_id=5, path="", size_bytes=0))


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
    with closing(sqlite3.connect(made)) as copied:
        found = {row[0] for row in copied.execute("SELECT queue FROM tbs_queue_pause")}
    assert found == {"before"}, "what was there when it began, and nothing of what came meanwhile"
