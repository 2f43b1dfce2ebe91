"""What a child process of `serve` is: one worker slot, held until the supervisor says stop or is gone."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from tbsnode import node
from tbsnode.errors import TbsNodeError

if TYPE_CHECKING:
    from tbsnode.config import Config
    from tbsnode.pipeline.site import Site

log = logging.getLogger(__name__)

LIFELINE = 0  # the descriptor of a pipe on which nothing is said; it closes with the supervisor
_GLANCE_S = 0.5


class Worker(Protocol):
    """What a worker slot runs."""

    def start(self) -> None:
        """Begin, in threads of its own."""

    def stop(self) -> None:
        """End what runs."""


Make = Callable[["Config", "Site", int, Sequence[int]], Worker]
"""Builds a worker of a slot, out of configuration, site, slot and the descriptors that it listens on."""


def load(role: str) -> Make:
    """Load what a role needs, so that its first work does not wait for it; return what builds its worker.

    Parameters
    ----------
    role : str
        ``"receive"``, ``"analyze"`` or ``"deliver"``; what answers watchers stands above this module.
    """
    if role == "receive":
        from tbsnode import receivers  # loads the network's libraries

        return lambda config, site, slot, listening: receivers.make_receiver(
            config, site, slot=slot, inherited=listening
        )
    node.load_engine(role)
    return lambda config, site, slot, _: node.make_engine(config, site, role=role, slot=slot)


def run_child(config: Config, role: str, slot: int, listening: Sequence[int], make: Make) -> int:
    """Be one worker slot until the parent says stop, or is gone.

    Parameters
    ----------
    config : Config
        The configuration.
    role : str
        ``"receive"``, ``"analyze"``, ``"deliver"`` or ``"http"``.
    slot : int
        Which of that role's slots.
    listening : sequence of int
        Descriptors of the sockets that a receiver shares with others.
    make : callable
        Builds the worker.

    Returns
    -------
    int
        Exit code.
    """
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.excepthook = _say_what_ended
    if sys.stderr is not None:
        faulthandler.register(signal.SIGUSR1)  # files and lines of every thread, no values
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        owner = f"{node.node_id(config.node.state)}-{role}-{slot}"
        with node.hold_slot(config.node.state, role, slot):  # while it waits, SIGTERM just ends it
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
            with node.open_site(config, owner=owner) as site:
                site.archive.sweep_incoming(older_than_s=0)  # a previous life of this slot left them
                worker = make(config, site, slot, listening)
                worker.start()
                gc.freeze()  # what was loaded stays; looking through it again and again costs more
                log.info("%s-%d ready", role, slot, extra={"action": f"{role}.ready"})
                while not stop.wait(_GLANCE_S):
                    pass  # a signal that comes just before a wait without end would be seen at its end
                worker.stop()
    except TbsNodeError as error:
        log.error("%s-%d: %s", role, slot, error, extra={"action": f"{role}.failed"})
        return error.exit_code
    return 0


def _say_what_ended(ended: threading.ExceptHookArgs) -> None:
    """Log a thread that an error ended, without the error's message, which may quote a patient's data."""
    where = "".join(traceback.format_tb(ended.exc_traceback))
    name = ended.thread.name if ended.thread is not None else "a thread"
    log.error("%s ended by %s\n%s", name, ended.exc_type.__name__, where, extra={"action": "thread.died"})


def _die_with_parent(parent: int) -> None:
    """End this process at once when the pipe from the supervisor closes.

    At once, because a half-alive worker could still write over its successor's result; whatever it
    was doing is repeatable.
    """
    while os.read(LIFELINE, 4096):
        pass
    log.warning("the supervisor %d is gone", parent, extra={"action": "supervisor.gone"})
    os._exit(70)
