"""A worker process whose study step is a test's own; it ends when nothing is due or at work.

It is forked from a server that has imported the engine already: a process of its own, killed for real,
but started in a twentieth of the time.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tbsnode import engine
from tbsnode.model import StudyState
from tbsnode.pipeline import study
from tbsnode.store import work
from tbsnode.store.database import Database

_PATIENCE_S = 90.0


@dataclass(frozen=True)
class Ended:
    """How a worker ended, and what it said."""

    returncode: int
    stderr: str


def run(step: str, url: str, folder: Path, seconds: float) -> Ended:
    """Run a worker whose study step is this code, for so long at most; `folder` holds its lock."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tbsnode.engine"])
    said = folder / "worker.log"
    process = context.Process(target=_work, args=(step, url, folder, seconds, said))
    process.start()
    process.join(_PATIENCE_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    assert process.exitcode is not None
    return Ended(process.exitcode, said.read_text(errors="replace"))


def _work(step: str, url: str, folder: Path, seconds: float, said: Path) -> None:
    with said.open("wb") as out:
        os.dup2(out.fileno(), 2)

    def process(site: Any, ticket: work.Ticket) -> None:
        with site.database.transaction() as tx:
            if not work.start(tx, ticket):
                return
        exec(step, {"os": os, "Path": Path})
        with site.database.transaction() as tx:
            work.finish(tx, ticket, StudyState.DONE)

    study.process = process
    database = Database(url)
    settings = engine.EngineSettings(
        executor_id="test/analyze-0",
        queues={"analyze": 0.05},
        concurrency=1,
        scan_lock=folder / "scanner",
        lease_s=2.0,
        scan_s=0.05,
    )
    running = engine.Engine(cast("Any", SimpleNamespace(database=database)), settings)
    running.start()
    _wait_until_idle(database, seconds)
    running.stop()


def _wait_until_idle(database: Database, seconds: float) -> None:
    """Look three times: between two statements a row may go from out to due and back."""
    deadline = time.monotonic() + seconds
    idle = 0
    while time.monotonic() < deadline and idle < 3:
        with database.read() as tx:
            busy = work.is_due(tx) or work.at_work(tx, untouched_for_s=-1)
        idle = 0 if busy else idle + 1
        time.sleep(0.05)
