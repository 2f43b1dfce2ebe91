"""`serve`: a parent that keeps its child processes alive, and children that never outlive it.

The configured number of receivers and analysis workers, one sender. Every child reads a pipe from
its parent and ends when that closes: a supervisor killed alone leaves no orphan. A child that dies
is started again, slower each time it dies young. A worker slot's lock makes a new child wait until
the old one of the same slot is really gone.

The parent loads what a role needs and forks its children off: libraries are loaded once, and their
memory is shared. It may fork because it has one thread and no connection, socket or lock that a child
goes on with, except those named in `_Shared`. A child has the settings that the parent has read.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import math
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from socket import gethostname
from typing import TYPE_CHECKING

from setproctitle import setproctitle

from tbsnode import __version__, node, worker_slot
from tbsnode.errors import TbsNodeError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import IO

    from tbsnode.config import Config
    from tbsnode.pipeline.machines import Start
    from tbsnode.pipeline.site import Site

log = logging.getLogger(__name__)

# In the order of their start: whoever comes later has the libraries of those before, too.
ROLES = ("receive", "http", "analyze", "deliver")
_YOUNG_S = 5.0
_LONGEST_PAUSE_S = 30.0
_PATIENCE_S = 30.0
_LAST_WORDS_S = 0.3
_STEP_S = 0.02
# One thread a process for the math libraries, which read this when they are loaded: workers share the
# cores, numbers stay the same, and a process with one thread may fork.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ROLES_VARIABLE = "TBSNODE_ROLES"  # what this `serve` runs: a machine that only analyzes has no receiver
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # read by the library when it is loaded


def serve(
    config: Config,
    only: frozenset[str],
    title: str,
    load_http: Callable[[], worker_slot.Make],
    *,
    adopt_archive: bool,
) -> int:
    """Run receiver, workers and sender until a signal says stop.

    Parameters
    ----------
    config : Config
        As read; the children go on with it.
    only : frozenset of str
        Roles to run, of ``"receive"``, ``"analyze"``, ``"deliver"``, ``"http"``; empty for all.
    title : str
        What a list of processes shows for this node, beside the name of each child.
    load_http : callable
        Loads what answers watchers, and returns what makes it: it stands above this module.
    adopt_archive : bool
        Start with an archive that is marked as another database's, or has lost its files.

    Returns
    -------
    int
        Exit code: 0 after an orderly stop.

    Raises
    ------
    SystemExit
        In every child, with its exit code: its process ends as any other does.
    SchemaOutdated
        Before anything is started; the message names the command that mends it.
    ConfigError, ResourceError
        Before anything is started: the archive is not that of the database.
    """
    wanted = slots(config, only)
    begun = _start_of(config, " ".join(sorted({role for role, _ in wanted})))
    os.environ.update(_ENVIRONMENT)
    _open_standard_streams()
    # it refuses an outdated schema, an archive that cannot be written, a database that is away
    with node.open_site(config) as site:
        _begin(site, begun, adopt_archive=adopt_archive)
    os.environ[ROLES_VARIABLE] = begun.roles
    stop = _stopped_by_signals()
    shared = _Shared(
        config=config,
        title=title,
        load_http=load_http,
        listening=_receiver_sockets(config) if ("receive", 1) in wanted else (),
        metrics=_metrics_folder(config.node.state),
        lifeline=os.pipe(),
    )
    children = [_Child(role, slot) for role, slot in wanted]
    for child in children:
        child.start(shared)
    names = ", ".join(f"{child.role}-{child.slot}" for child in children)
    log.info("serving as %s: %s", config.node.ae_title, names, extra={"action": "serve.started"})
    while not stop.wait(0.2):
        for child in children:
            child.look_after(shared)
    _stop(children)
    shared.close()
    _tell_end(config, begun)
    log.info("stopped", extra={"action": "serve.stopped"})
    return 0


def _stop(children: Sequence[_Child]) -> None:
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + _PATIENCE_S
    for child in children:
        child.wait(deadline)


def _stopped_by_signals() -> threading.Event:
    """Return what a signal to stop sets; make sure that the end of a child is told."""
    stop = threading.Event()
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)  # `nohup`
    for number in (signal.SIGTERM, signal.SIGINT, *hangup):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started us may not have cared for children
    return stop


def _open_standard_streams() -> None:
    """Put something at the places of standard streams that whoever started us had closed.

    Else the next pipe or socket takes such a place, and a child writes its log into it.
    """
    for place in range(3):
        try:
            os.fstat(place)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free place is this one


def _start_of(config: Config, roles: str) -> Start:
    """Return what this machine tells the others of its start."""
    from tbsnode.config import digests
    from tbsnode.pipeline.machines import Start

    return Start(
        node_id=node.node_id(config.node.state),
        host=gethostname(),
        version=__version__,
        roles=roles,
        settings=digests(config),
    )


def _begin(site: Site, start: Start, *, adopt_archive: bool) -> None:
    """Refuse an archive of another database; write the start down, mark the archive as ours, warn."""
    from tbsnode.pipeline import first_look, machines, mounted

    may_mark = mounted.require(site, adopt=adopt_archive)
    machines.started(site, start)
    if may_mark:
        mounted.mark(site)
    first_look.warn(site)


def _tell_end(config: Config, start: Start) -> None:
    """Write the orderly stop down; where the database is away, nobody waits for it."""
    from tbsnode.pipeline import machines

    with suppress(TbsNodeError), node.open_site(config) as site:
        machines.stopped(site, start)


def _receiver_sockets(config: Config) -> tuple[socket.socket, ...]:
    from tbsnode import receivers  # loads the network's libraries

    return receivers.receiver_sockets(config)


def _metrics_folder(state: Path) -> IO[bytes]:
    """Name the folder of the children's counters, emptied unless another `serve` counts there.

    Counters of children that died are kept: a restart must not look like a reset of one of them.
    """
    folder = state / "metrics"
    (state / "locks").mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    held = (state / "locks" / "metrics").open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in folder.glob("*.db"):
            path.unlink(missing_ok=True)
    except BlockingIOError:
        pass
    fcntl.flock(held, fcntl.LOCK_SH)
    os.environ[_METRICS_VARIABLE] = str(folder)
    return held


def slots(config: Config, only: frozenset[str]) -> list[tuple[str, int]]:
    """Return the worker slots of this configuration: (role, slot).

    Without a destination, and without a caller that may ask for storage commitment, nothing is sent,
    so no sender is run.
    """
    wanted = [role for role in ROLES if not only or role in only]
    number = {
        "receive": config.receiver.processes,
        "analyze": config.analysis.workers,
        "deliver": 1 if config.destinations or config.receiver.callers else 0,
        "http": 1 if config.http.port else 0,
    }
    return [(role, slot) for role in wanted for slot in range(number[role])]


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the supervisor holds while its children live."""

    config: Config
    title: str
    load_http: Callable[[], worker_slot.Make]
    listening: tuple[socket.socket, ...]  # of several receivers
    metrics: IO[bytes]
    lifeline: tuple[int, int]  # a pipe on which nothing is said; it closes with the supervisor

    def close(self) -> None:
        self.metrics.close()
        for each in self.listening:
            each.close()
        for end in self.lifeline:
            os.close(end)

    def inherit(self, role: str, slot: int) -> list[int]:
        """Let go, in a child, of what is not its own; return the descriptors that it listens on."""
        setproctitle(f"tbsnode serve {role}-{slot} {self.title}")
        os.setsid()  # a Ctrl-C at the terminal reaches the supervisor only
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        self.metrics.close()
        os.dup2(self.lifeline[0], worker_slot.LIFELINE)
        for end in self.lifeline:
            os.close(end)
        if role == "receive":
            return [each.detach() for each in self.listening]
        for each in self.listening:
            each.close()
        return []


@dataclass(slots=True)
class _Child:
    """One child process and its restarts."""

    role: str
    slot: int
    pid: int | None = None
    started_at: float = 0.0
    pause_s: float = 0.0
    due_at: float = 0.0

    def start(self, shared: _Shared) -> None:
        """Load what the role needs and fork; in the child, live its life and raise SystemExit."""
        make = shared.load_http() if self.role == "http" else worker_slot.load(self.role)
        gc.freeze()  # the collector would write to pages that are shared
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()  # else both print what waits in it
        # a signal to a child that is not one yet would be taken for the supervisor's
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self.started_at = time.monotonic()
        try:
            self.pid = os.fork()
        except OSError as error:
            self.due_at = self.started_at + _YOUNG_S
            log.error(
                "%s-%d cannot be started (%s), tried again in %.0f s",
                self.role,
                self.slot,
                error.strerror,
                _YOUNG_S,
                extra={"action": "child.refused"},
            )
        listening = shared.inherit(self.role, self.slot) if self.pid == 0 else ()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if self.pid == 0:
            raise SystemExit(worker_slot.run_child(shared.config, self.role, self.slot, listening, make))

    def ended(self) -> int | None:
        """Return the exit code of a child that has ended since it was last asked."""
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def look_after(self, shared: _Shared) -> None:
        """Start the child again if it died, after a pause that grows while it dies young."""
        now = time.monotonic()
        if (code := self.ended()) is not None:
            young = now - self.started_at < _YOUNG_S
            self.pause_s = min(_LONGEST_PAUSE_S, max(0.5, 2 * self.pause_s)) if young else 0.0
            log.warning(
                "%s-%d ended with %d, started again in %.1f s",
                self.role,
                self.slot,
                code,
                self.pause_s,
                extra={"action": "child.died"},
            )
            self.due_at = now + self.pause_s
        if self.pid is None and now >= self.due_at:
            self.start(shared)

    def ask_to_stop(self) -> None:
        self.ended()
        self._send(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Wait for the child until `deadline`, then kill it: what it did is repeatable."""
        if self._ends(deadline):
            return
        log.warning("%s-%d did not end in time", self.role, self.slot, extra={"action": "child.killed"})
        self._send(signal.SIGUSR1)  # says where its threads stand
        time.sleep(_LAST_WORDS_S)
        self._send(signal.SIGKILL)
        self._ends(math.inf)

    def _send(self, number: int) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)

    def _ends(self, deadline: float) -> bool:
        while self.pid is not None and self.ended() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_STEP_S)
        return True
