"""What a node has written down, read from its database without asking it.

A command of the node costs a second and says what people see; a test that only waits, or that looks
at every row, reads here.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests import nodes, peers

_LOOK_S = 0.1
_BUSY = ("receiving", "queued", "running")


@dataclass(frozen=True)
class Ledger:
    """The rows of a node, on SQLite or on PostgreSQL."""

    node: nodes.Node
    _held: list[psycopg.Connection[dict[str, Any]]] = field(default_factory=list, repr=False, compare=False)

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows of a query by column name; ``?`` stands for a value."""
        if self.node.database_url.startswith("postgresql"):
            return self._rows_of_postgresql(sql.replace("?", "%s"), values)
        database = self.node.folder / "state" / "tbsnode.db"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]

    def _rows_of_postgresql(self, sql: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
        for connection in self._held:
            with suppress(psycopg.OperationalError):  # its server was away meanwhile
                return list(connection.execute(sql, values or None))  # type: ignore[arg-type]
        with psycopg.connect(self._address, row_factory=dict_row) as connection:
            return list(connection.execute(sql, values or None))  # type: ignore[arg-type]

    @property
    def _address(self) -> str:
        return self.node.database_url.replace("+psycopg", "")

    def _wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Look until it is so; on PostgreSQL by one connection, each of which is a process of its server."""
        with ExitStack() as stack:
            if self.node.database_url.startswith("postgresql"):
                connect = psycopg.connect(self._address, autocommit=True, row_factory=dict_row)
                self._held.append(stack.enter_context(connect))
                stack.callback(self._held.clear)
            peers.wait_until(condition, what, timeout_s, every_s=_LOOK_S)

    def _of_study(self, table: str, uid: str) -> list[dict[str, Any]]:
        sql = f"SELECT t.* FROM {table} t JOIN tbs_study s ON s.id = t.study_ref"
        return self.rows(f"{sql} WHERE s.study_instance_uid = ? ORDER BY t.id", uid)

    def study(self, uid: str) -> dict[str, Any]:
        """Return the row of a study."""
        (row,) = self.rows("SELECT * FROM tbs_study WHERE study_instance_uid = ?", uid)
        return row

    def instances(self, uid: str) -> list[dict[str, Any]]:
        """Return what was received for a study."""
        return self._of_study("tbs_instance", uid)

    def analyses(self, uid: str) -> list[dict[str, Any]]:
        """Return the results of a study, oldest first; `result` decoded."""
        found = self._of_study("tbs_analysis", uid)
        return [{**row, "result": _decoded(row["result"])} for row in found]

    def made(self, uid: str) -> list[dict[str, Any]]:
        """Return the derived instances of a study."""
        return self._of_study("tbs_derived_instance", uid)

    def deliveries(self, uid: str) -> list[dict[str, Any]]:
        """Return the deliveries of a study, oldest first."""
        return self._of_study("tbs_delivery", uid)

    def answers(self, uid: str, destination: str) -> list[dict[str, Any]]:
        """Return what a destination answered for each instance of a study."""
        sql = """SELECT i.* FROM tbs_delivery_item i JOIN tbs_delivery d ON d.id = i.delivery_ref
                 JOIN tbs_study s ON s.id = d.study_ref
                 WHERE s.study_instance_uid = ? AND d.destination = ? ORDER BY i.id"""
        return self.rows(sql, uid, destination)

    def actions(self, uid: str) -> list[str]:
        """Return the actions in a study's story, in order."""
        sql = "SELECT action FROM tbs_event WHERE study_instance_uid = ? ORDER BY id"
        return [row["action"] for row in self.rows(sql, uid)]

    def archived(self, relative: str) -> Path:
        """Return the file of a row."""
        return self.node.folder / self.node.archive / relative

    def settle(self, uid: str, *, generation: int = 1, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait until a generation of a study has ended and its deliveries too; return the study's row."""

        def settled() -> bool:
            found = self.rows("SELECT * FROM tbs_study WHERE study_instance_uid = ?", uid)
            if not found or found[0]["generation"] < generation or found[0]["state"] in _BUSY:
                return False
            return all(row["state"] not in _BUSY for row in self.deliveries(uid))

        with self._telling_where_it_hangs():
            self._wait_until(settled, f"generation {generation} of {uid}", timeout_s)
        return self.study(uid)

    @contextmanager
    def _telling_where_it_hangs(self) -> Iterator[None]:
        """Where a wait was in vain, let each process say where its threads stand, and show rows and log."""
        try:
            yield
        except pytest.fail.Exception:
            for pid in self.node.children():
                os.kill(pid, signal.SIGUSR1)
            time.sleep(1.0)
            print(self.node.log.read_text(errors="replace")[-30000:])
            for table in ("tbs_study", "tbs_delivery", "workflow_status"):
                with suppress(sqlite3.Error, psycopg.Error):
                    print(table, self.rows(f"SELECT * FROM {table}")[-5:])
            raise

    def settle_analysis(self, uid: str, *, generation: int = 1, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait until a generation of a study has ended, whatever its deliveries do; return its row."""

        def over() -> bool:
            found = self.rows("SELECT * FROM tbs_study WHERE study_instance_uid = ?", uid)
            return bool(found) and found[0]["generation"] >= generation and found[0]["state"] not in _BUSY

        self._wait_until(over, f"generation {generation} of {uid}", timeout_s)
        return self.study(uid)

    def settle_all(self, number: int, *, timeout_s: float = 60.0) -> None:
        """Wait until so many studies are done and no study and no delivery is on its way."""

        def arrived() -> bool:
            states = [row["state"] for row in self.rows("SELECT state FROM tbs_study")]
            if states.count("done") < number or set(states) & set(_BUSY):
                return False
            deliveries = self.rows("SELECT DISTINCT state FROM tbs_delivery")
            return not {row["state"] for row in deliveries} & set(_BUSY)

        deadline = time.monotonic() + timeout_s
        while not arrived():
            if time.monotonic() > deadline:
                studies = self.rows("SELECT state, count(*) AS number FROM tbs_study GROUP BY state")
                said = self.node.log.read_text()[-3000:]
                pytest.fail(f"{number} studies were not done after {timeout_s:g} s: {studies}\n{said}")
            time.sleep(0.2)


def _decoded(value: Any) -> Any:
    """Return a JSON column, which SQLite gives as text."""
    return json.loads(value) if isinstance(value, str) else value
