"""How often the queues are looked at: often while work is at hand, seldom while there is none.

A look takes 3 ms of a processor, and a queue that is asked 20 times a second for years takes a fifteenth
of one. What arrives is known before it is due, because a study is waited for until it is complete: the
queues are awake by then, and only what a person orders may wait for the longer period, once.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from dbos import DBOS

from tbsnode.errors import StorageFull
from tbsnode.store import queue
from tbsnode.store.database import Translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tbsnode.store.database import Database

ASLEEP_S = 0.5  # between two looks while nothing is at hand
PERIOD_S = 0.5
SOON_S = 5.0  # what is due within it, is at hand: more than both periods together
AWAKE_S = 10.0  # so long after the last work


class Pace:
    """The pace of the queues of one process. Other processes set the same ones, from the same rows.

    Parameters
    ----------
    database : Database
        Whose rows say what is at hand.
    queues : mapping of str to float
        Each with the time between two looks while work is at hand [s].
    set_poll_s : callable
        ``set_poll_s(queue, seconds)`` changes that time; by default the job engine's.
    monotonic : callable
        Clock [s].
    """

    def __init__(
        self,
        database: Database,
        queues: Mapping[str, float],
        *,
        set_poll_s: Callable[[str, float], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._queues = queues
        self._set_poll_s = set_poll_s or _set_poll_s
        self._monotonic = monotonic
        self._at_hand_at = -math.inf
        self._awake: bool | None = None

    def follow(self) -> None:
        """Look whether work is at hand, and change the pace where that has changed.

        Raises
        ------
        DatabaseUnavailable
            If the database cannot be asked or told now; the next turn does it.
        """
        with self._database.read() as tx:
            at_hand = queue.is_work_at_hand(tx, within_s=SOON_S)
        if at_hand:
            self._at_hand_at = self._monotonic()
        awake = self._monotonic() - self._at_hand_at < AWAKE_S
        if awake is self._awake:
            return
        try:
            for name, poll_s in self._queues.items():
                self._set_poll_s(name, poll_s if awake else max(poll_s, ASLEEP_S))
        except StorageFull:
            return  # the pace stays; whoever has work to write says that the disk is full
        self._awake = awake


def _set_poll_s(name: str, seconds: float) -> None:
    """Tell the job engine, which reads it before each look."""
    with Translated():
        found = DBOS.retrieve_queue(name)
        if found is not None:
            found.set_polling_interval_sec(seconds)
