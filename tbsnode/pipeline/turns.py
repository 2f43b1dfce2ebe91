"""Work that is done again every moment, and what is said while its database is away: not all of it."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING

from tbsnode.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

SAID_AGAIN_S = 60.0


class Turns:
    """One such work.

    Parameters
    ----------
    name : str
        What it is called in the log.
    turn : callable
        One turn of it.
    """

    def __init__(self, name: str, turn: Callable[[], None]) -> None:
        self._name = name
        self._turn = turn
        self._said_at = -math.inf
        self._fails = False

    def take(self) -> None:
        """Do it; where it cannot be done now, say so once a minute, and once when it can again."""
        try:
            self._turn()
        except (DatabaseUnavailable, OSError) as error:
            self._fails = True
            if time.monotonic() - self._said_at >= SAID_AGAIN_S:
                self._said_at = time.monotonic()
                log.warning("%s: %s", self._name, error, extra={"action": f"{self._name}.postponed"})
            return
        if self._fails:
            self._fails, self._said_at = False, -math.inf
            log.warning("%s goes on", self._name, extra={"action": f"{self._name}.resumed"})


def die(name: str) -> None:
    """End the process whose scanner or leases stopped: the supervisor starts a whole one again."""
    kind, _, frames = sys.exc_info()
    where = "".join(traceback.format_tb(frames))
    log.critical("%s ended by %s\n%s", name, kind and kind.__name__, where, extra={"action": "engine.died"})
    logging.shutdown()
    os._exit(71)
