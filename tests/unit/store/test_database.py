"""Transactions, translated errors, processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tbsnode.errors import ConfigError, DatabaseUnavailable, SchemaOutdated
from tbsnode.store import postgresql, schema, sqlite_file
from tbsnode.store.database import Database


def _add_patient(database: Database, patient_id: str) -> int:
    with database.transaction() as tx:
        return tx.add(schema.patient, patient_id=patient_id, created_at=tx.now)


def _patients(database: Database) -> int:
    with database.read() as tx:
        return int(tx.scalar(sa.select(sa.func.count()).select_from(schema.patient)))


def test_a_transaction_commits_at_its_end(database: Database) -> None:
    assert _add_patient(database, "P1") == 1
    assert _patients(database) == 1


def test_a_transaction_rolls_back_on_any_exception(database: Database) -> None:
    def fail_late() -> None:
        with database.transaction() as tx:
            tx.add(schema.patient, patient_id="P1", created_at=tx.now)
            raise KeyError

    with pytest.raises(KeyError):
        fail_late()
    assert _patients(database) == 0


def test_now_is_the_time_in_seconds_since_the_epoch(database: Database) -> None:
    before = time.time()
    with database.transaction() as tx:
        now = tx.now
        assert tx.now == now
    assert before - 1 <= now <= time.time() + 1


def test_a_write_in_a_read_transaction_fails(database: Database) -> None:
    with pytest.raises((DatabaseUnavailable, sa.exc.InternalError)), database.read() as tx:
        tx.add(schema.patient, patient_id="P1", created_at=0.0)
    assert _add_patient(database, "P1") >= 1  # the connection is not left read-only


def test_add_if_new_adds_once(database: Database) -> None:
    with database.transaction() as tx:
        assert tx.add_if_new(schema.patient, patient_id="P1", created_at=0.0) is not None
        assert tx.add_if_new(schema.patient, patient_id="P1", created_at=0.0) is None
    assert _patients(database) == 1


def test_a_broken_constraint_is_a_bug_and_names_no_value(database: Database) -> None:
    _add_patient(database, "SECRET")
    with pytest.raises(sa.exc.IntegrityError) as caught:
        _add_patient(database, "SECRET")
    assert "SECRET" not in str(caught.value).split("DETAIL")[0]


def test_foreign_keys_are_enforced(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.transaction() as tx:
        tx.add(schema.vertebra_score, analysis_ref=99, label="L1", included=True)


def test_what_is_not_json_is_refused(database: Database) -> None:
    with pytest.raises((ValueError, sa.exc.StatementError)), database.transaction() as tx:
        tx.add(schema.event, at=0.0, action="x", text="x", data={"score": float("nan")})


def test_a_missing_table_says_what_to_do(empty_url: str) -> None:
    database = Database(empty_url)
    database.upgrade()
    with database.transaction() as tx:
        tx.execute(sa.text("DROP TABLE tbs_queue_pause"))
    with pytest.raises(SchemaOutdated, match="tbsnode db upgrade"), database.read() as tx:
        tx.all(sa.select(schema.queue_pause))
    database.dispose()


@pytest.mark.parametrize("url", ["mysql://h/x", "postgresql://h/x", "sqlite://", "sqlite:///:memory:", "x"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"postgresql\+psycopg"):
        Database(url)


def test_nothing_shows_the_password() -> None:
    assert "geheim" not in repr(Database("postgresql+psycopg://me:geheim@192.0.2.1/x"))


def test_no_server_is_unavailable() -> None:
    database = Database("postgresql+psycopg://postgres:geheim@127.0.0.1:1/x")
    with pytest.raises(DatabaseUnavailable) as caught:
        database.ping()
    assert "geheim" not in str(caught.value)
    assert str(caught.value).endswith(". Start the database server, or correct [database] url.")
    database.dispose()


def test_a_missing_file_is_unavailable_and_not_created(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/wrong.db")
    with pytest.raises(DatabaseUnavailable):
        database.ping()
    assert not (tmp_path / "wrong.db").exists()
    with pytest.raises(SchemaOutdated, match="tbsnode db upgrade"):
        database.require_current()


def test_a_damaged_file_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, opened = sqlite3.connect, list[sqlite3.Connection]()

    def watched(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", watched)
    (tmp_path / "x.db").write_bytes(b"no database at all" * 1000)
    database = Database(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(DatabaseUnavailable):
        database.ping()
    with pytest.raises(DatabaseUnavailable):
        database.upgrade()
    database.dispose()
    assert opened
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailable, match=r"database\.url"):
        Database(f"sqlite:///{tmp_path}/file/x.db").upgrade()


def test_a_sqlite_connection_is_durable_and_patient(sqlite: Database) -> None:
    with sqlite.read() as tx:
        asked = {
            name: tx.scalar(sa.text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000, "foreign_keys": 1}


def test_a_write_transaction_begins_immediately(sqlite: Database) -> None:
    assert sqlite.path is not None
    other = sqlite3.connect(sqlite.path, timeout=0, isolation_level=None)
    with sqlite.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    with sqlite.read():
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    other.close()


def test_a_writer_waits_for_another_process_and_no_longer_than_it_may(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite.path is not None
    other = sqlite3.connect(sqlite.path, timeout=0, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    release.start()
    assert _add_patient(sqlite, "P1")
    release.join()
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_S", 0.2)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="locked"):
        _add_patient(sqlite, "P2")
    other.execute("ROLLBACK")
    other.close()
    assert _add_patient(sqlite, "P3")


def _read_then_write(url: str, times: int) -> None:
    database = Database(url)
    for _ in range(times):
        with database.transaction() as tx:
            row = tx.scalar(sa.select(schema.patient.c.name))
            tx.execute(sa.update(schema.patient).values(name=str(int(row) + 1)))
    database.dispose()


def test_four_writers_that_read_first_lose_no_update(sqlite: Database) -> None:
    """Begun without IMMEDIATE, such writers meet "database is locked" at once or lose updates."""
    with sqlite.transaction() as tx:
        tx.add(schema.patient, patient_id="P1", name="0", created_at=tx.now)
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_read_then_write, args=(sqlite.url, 50)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0, 0]
    with sqlite.read() as tx:
        assert tx.scalar(sa.select(schema.patient.c.name)) == "200"


def test_threads_share_an_engine(database: Database) -> None:
    engines = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        engines.append(database.engine)
        _add_patient(database, f"P{number}")

    database.dispose()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engines) == 8
    assert len(set(map(id, engines))) == 1
    assert _patients(database) == 8


def _in_child(database: Database, patient_id: str) -> None:
    try:
        _add_patient(database, patient_id)
    except RuntimeError:
        os._exit(3)
    os._exit(0)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("used", [True, False])
def test_a_database_may_be_handed_to_a_child(database: Database, method: str, used: bool) -> None:
    """SQLite's locks know processes, not connections: a fork must not inherit an open file."""
    if used:
        _add_patient(database, "P1")
    else:
        database.dispose()
    child = multiprocessing.get_context(method).Process(target=_in_child, args=(database, "P2"))
    child.start()
    child.join()
    refused = used and method == "fork" and database.dialect == "sqlite"
    assert child.exitcode == (3 if refused else 0)
    _add_patient(database, "P3")
    assert _patients(database) == used + (not refused) + 1


def test_a_database_pickles_as_its_url(sqlite: Database) -> None:
    assert pickle.loads(pickle.dumps(sqlite)).url == sqlite.url


@pytest.mark.peer
def test_postgresql_never_commits_asynchronously(postgres_url: str) -> None:
    database = Database(f"{postgres_url}?options=-csynchronous_commit%3Doff")
    with database.read() as tx:
        assert tx.scalar(sa.text("SHOW synchronous_commit")) == "on"
        assert tx.scalar(sa.text("SHOW lock_timeout")) == "30s"
        assert tx.scalar(sa.text("SHOW transaction_isolation")) == "read committed"
    database.dispose()


@pytest.mark.peer
def test_a_cut_connection_is_unavailable_and_the_next_one_works(postgres_url: str) -> None:
    database = Database(postgres_url)
    other = Database(postgres_url)

    def be_cut_off() -> None:
        with database.transaction() as tx:
            pid = tx.scalar(sa.text("SELECT pg_backend_pid()"))
            with other.transaction() as killer:
                killer.execute(sa.select(sa.func.pg_terminate_backend(pid, 5000)))
            tx.scalar(sa.text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable):
        be_cut_off()
    database.ping()
    database.dispose()
    other.dispose()


@pytest.mark.peer
def test_a_server_that_stands_still_is_unavailable(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kernel goes on confirming, so that no time-out of the line ever ends the wait."""
    monkeypatch.setattr(postgresql, "ANSWER_S", 0.3)
    database = Database(postgres_url)
    stopped = []

    def ask() -> None:
        with database.transaction() as tx:
            stopped.append(tx.scalar(sa.text("SELECT pg_backend_pid()")))
            os.kill(stopped[0], signal.SIGSTOP)
            tx.scalar(sa.text("SELECT 1"))

    try:
        with pytest.raises(DatabaseUnavailable, match="silent"):
            ask()
        database.ping()
    finally:
        os.kill(stopped[0], signal.SIGCONT)
        database.dispose()


@pytest.mark.peer
def test_who_listens_for_notifications_may_wait(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the job engine does, all night; and a long answer is no silence."""
    monkeypatch.setattr(postgresql, "ANSWER_S", 0.2)
    database = Database(postgres_url)
    raw = database.engine.raw_connection()
    raw.driver_connection.autocommit = True
    raw.driver_connection.execute("LISTEN here")
    assert list(raw.driver_connection.notifies(timeout=0.6)) == []
    slow = "SELECT pg_sleep(0.05), repeat('x', 100000) FROM generate_series(1, 10)"
    assert len(raw.driver_connection.execute(slow).fetchall()) == 10
    raw.close()
    database.dispose()


def test_a_file_of_another_account_is_told_with_what_to_do(database: Database) -> None:
    """A reviewer who works under an account of their own beside the service's."""
    error = sqlite3.OperationalError("attempt to write a readonly database")
    with pytest.raises(DatabaseUnavailable, match="cannot be written") as refused, database.read():
        raise sa.exc.OperationalError("UPDATE", {}, error)
    assert "sudo -u" in refused.value.remedy
