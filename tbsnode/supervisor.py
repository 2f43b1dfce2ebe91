"""`serve`: a parent that keeps its child processes alive, and children that never outlive it.

The configured number of receivers and analysis workers, one sender. Every child reads a pipe from
its parent and ends when that closes: a supervisor killed alone leaves no orphan. A child that dies
is started again, slower each time it dies young. A worker slot's lock makes a new child wait until
the old one of the same slot is really gone.
"""

from __future__ import annotations

import faulthandler
import fcntl
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from socket import gethostname
from typing import TYPE_CHECKING, Protocol

from tbsnode import __version__, node
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

ROLES = ("receive", "analyze", "deliver", "http")
_YOUNG_S = 5.0
_LONGEST_PAUSE_S = 30.0
_PATIENCE_S = 30.0
_LAST_WORDS_S = 0.3
_GLANCE_S = 0.5
# One thread a process for the math libraries: workers share the cores, and numbers stay the same.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
ROLES_VARIABLE = "TBSNODE_ROLES"  # what this `serve` runs: a machine that only analyzes has no receiver
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # read by the library when a child loads it


def serve(config_path: Path, config: Config, only: frozenset[str], *, adopt_archive: bool = False) -> int:
    """Run receiver, workers and sender until a signal says stop.

    Parameters
    ----------
    config_path : Path
        The configuration file; every child reads it itself.
    config : Config
        The same, read.
    only : frozenset of str
        Roles to run, of ``"receive"``, ``"analyze"``, ``"deliver"``, ``"http"``; empty for all.
    adopt_archive : bool
        Start with an archive that is marked as another database's, or has lost its files.

    Returns
    -------
    int
        Exit code: 0 after an orderly stop.

    Raises
    ------
    SchemaOutdated
        Before anything is started; the message names the command that mends it.
    ConfigError, ResourceError
        Before anything is started: the archive is not that of the database.
    """
    wanted = slots(config, only)
    begun = _start_of(config, " ".join(sorted({role for role, _ in wanted})))
    # it refuses an outdated schema, an archive that cannot be written, a database that is away
    with node.open_site(config) as site:
        _begin(site, begun, adopt_archive=adopt_archive)
    stop = threading.Event()
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)  # `nohup`
    for number in (signal.SIGTERM, signal.SIGINT, *hangup):
        signal.signal(number, lambda *_: stop.set())
    os.environ[ROLES_VARIABLE] = begun.roles
    shared = _receiver_sockets(config) if ("receive", 1) in wanted else ()
    held = _metrics_folder(config.node.state)
    children = [_Child(role, slot, config_path, shared if role == "receive" else ()) for role, slot in wanted]
    for child in children:
        child.start()
    log.info(
        "serving as %s: %s",
        config.node.ae_title,
        ", ".join(f"{child.role}-{child.slot}" for child in children),
        extra={"action": "serve.started"},
    )
    while not stop.wait(0.2):
        for child in children:
            child.look_after()
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + _PATIENCE_S
    for child in children:
        child.wait(deadline)
    held.close()
    for each in shared:
        each.close()
    _tell_end(config, begun)
    log.info("stopped", extra={"action": "serve.stopped"})
    return 0


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
    """Refuse an archive of another database; write the start down and mark the archive as ours."""
    from tbsnode.pipeline import machines, mounted

    may_mark = mounted.require(site, adopt=adopt_archive)
    machines.started(site, start)
    if may_mark:
        mounted.mark(site)


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


@dataclass(slots=True)
class _Child:
    """One child process and its restarts."""

    role: str
    slot: int
    config_path: Path
    listening: Sequence[socket.socket] = ()  # of several receivers
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = 0.0
    due_at: float = field(default=0.0)

    def start(self) -> None:
        command = [sys.executable, "-m", "tbsnode", "serve", "--config", str(self.config_path)]
        descriptors = [each.fileno() for each in self.listening]
        for descriptor in descriptors:
            command += ["--listen", str(descriptor)]
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            [*command, "--role", self.role, "--slot", str(self.slot)],
            stdin=subprocess.PIPE,
            pass_fds=descriptors,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,  # a Ctrl-C at the terminal reaches the supervisor only
        )
        self.started_at = time.monotonic()

    def look_after(self) -> None:
        """Start the child again if it died, after a pause that grows while it dies young."""
        now = time.monotonic()
        if self.process is not None and (code := self.process.poll()) is not None:
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
            self._close_pipe()
            self.process, self.due_at = None, now + self.pause_s
        if self.process is None and now >= self.due_at:
            self.start()

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for the child until `deadline`, then kill it: what it did is repeatable."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%s-%d did not end in time", self.role, self.slot, extra={"action": "child.killed"})
            self.process.send_signal(signal.SIGUSR1)  # says where its threads stand
            time.sleep(_LAST_WORDS_S)
            self.process.kill()
            self.process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


# ---- in the child -------------------------------------------------------------------------------


class Worker(Protocol):
    """What a worker slot runs."""

    def start(self) -> None:
        """Begin, in threads of its own."""

    def stop(self) -> None:
        """End what runs."""


def run_child(
    config: Config,
    role: str,
    slot: int,
    make: Callable[[Config, Site], Worker] | None = None,
    *,
    listen: Sequence[int] = (),
) -> int:
    """Be one worker slot until the parent says stop, or is gone.

    Parameters
    ----------
    config : Config
        Read by this process.
    role : str
        ``"receive"``, ``"analyze"``, ``"deliver"`` or ``"http"``.
    slot : int
        Which of that role's slots.
    make : callable, optional
        Builds the worker, where it stands above this module; else `node` does.
    listen : sequence of int
        Descriptors of the sockets that a receiver shares with others.

    Returns
    -------
    int
        Exit code.
    """
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.excepthook = _say_what_ended
    faulthandler.register(signal.SIGUSR1)  # files and lines of every thread, no values
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        owner = f"{node.node_id(config.node.state)}-{role}-{slot}"
        with node.hold_slot(config.node.state, role, slot):  # while it waits, SIGTERM just ends it
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
            with node.open_site(config, owner=owner) as site:
                site.archive.sweep_incoming(older_than_s=0)  # a previous life of this slot left them
                worker = make(config, site) if make else _worker(config, site, role, slot, listen)
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


def _worker(config: Config, site: Site, role: str, slot: int, listen: Sequence[int]) -> Worker:
    if role == "receive":
        from tbsnode import receivers  # loads the network's libraries

        return receivers.make_receiver(config, site, slot=slot, inherited=listen)
    return node.make_engine(config, site, role=role, slot=slot)


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
    while os.read(sys.stdin.fileno(), 4096):
        pass
    log.warning("the supervisor %d is gone", parent, extra={"action": "supervisor.gone"})
    os._exit(70)
