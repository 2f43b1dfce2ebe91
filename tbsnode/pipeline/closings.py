"""Associations that have ended, written to the catalogue a few at a time.

A release only shortens the wait of its studies: nobody waits for the row. One association after the
other, each with a transaction of its own, took as long as storing a third of an image; together they take
one, and where the database is away they wait for it. What is not written when the process dies is found
by its next life (`readiness.forget_associations`).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tbsnode.errors import TbsNodeError
from tbsnode.store import readiness

if TYPE_CHECKING:
    from tbsnode.store.database import Database

log = logging.getLogger(__name__)

_GATHER_S = 0.05
_AGAIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An association that brought instances and has ended.

    Attributes
    ----------
    association_id : str
        UUID.
    outcome : str
        ``"released"`` or ``"aborted"``.
    after_release_s : float
        How long its studies wait from then on [s].
    at : float
        When, on the monotonic clock [s].
    """

    association_id: str
    outcome: str
    after_release_s: float
    at: float = field(default_factory=time.monotonic)


class Closings:
    """Writes ended associations in a thread of its own.

    Parameters
    ----------
    database : Database
        Where they are open.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write from now on."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="closings")
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, if the database allows it, and end."""
        if self._thread is not None:
            self._stopping.set()
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def add(self, ended: Ended) -> None:
        """Write this soon."""
        self._queue.put(ended)

    def _run(self) -> None:
        gathered: list[Ended] = []
        while True:
            if not gathered:
                self._take(self._queue.get(), gathered)
            self._stopping.wait(_GATHER_S)
            while not self._queue.empty():
                self._take(self._queue.get(), gathered)
            if self._write(gathered):
                gathered = []
            elif not self._stopping.is_set():
                self._stopping.wait(_AGAIN_S)
            if self._stopping.is_set() and self._queue.empty():
                return

    @staticmethod
    def _take(ended: Ended | None, gathered: list[Ended]) -> None:
        if ended is not None:
            gathered.append(ended)

    def _write(self, gathered: list[Ended]) -> bool:
        if not gathered:
            return True
        try:
            with self._database.transaction() as tx:
                for each in gathered:
                    readiness.close_association(
                        tx,
                        each.association_id,
                        outcome=each.outcome,
                        after_release_s=each.after_release_s,
                        ago_s=time.monotonic() - each.at,
                    )
        except TbsNodeError as error:
            extra = {"action": "association.postponed"}
            log.warning("%d ended associations not noted yet: %s", len(gathered), error, extra=extra)
            return False
        return True
