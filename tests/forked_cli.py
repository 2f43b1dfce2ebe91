"""Commands as processes of their own, forked from one that has loaded their libraries.

Two thirds of what a command costs in a test is importing, the same each time. A process that has
imported everything and done nothing else (`python -m tests.forked_cli`) forks one for each command,
with the caller's environment, folder and pipes; its exit is an exit of the interpreter. Tests of the
start itself call ``python -m tbsnode``.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from setproctitle import setproctitle

_READ_AT_START = ("PYTHON", "LD_", "OPENBLAS", "OMP_", "MKL_")
_HEADER = 1 << 20
_START_S = 60.0
_ENVIRONMENT = dict(os.environ)
_COUNTS = "prometheus_client"


class Process:
    """A command that runs, as `subprocess.Popen` shows one."""

    def __init__(self, arguments: Sequence[str], line: socket.socket) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        self._line = line
        self._told = line.makefile("rb")
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """Return the exit code, None as long as it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._line, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._told.readline())
            self._told.close()
            self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


Running = Process | subprocess.Popen[bytes]


def start_interpreter(
    arguments: Sequence[str], *, cwd: Path, out: IO[bytes], err: IO[bytes], session: bool
) -> subprocess.Popen[bytes]:
    """Start ``python -m tbsnode ARGUMENTS``, in a session of its own if wanted."""
    command = [sys.executable, "-m", "tbsnode", *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd, start_new_session=session
    )


def start(arguments: Sequence[str], *, cwd: Path, out: IO[bytes], err: IO[bytes], session: bool) -> Running:
    """Start ``tbsnode ARGUMENTS`` by a fork, on this thread's machine.

    Where the environment changes what an interpreter does, one is started.
    """
    if _read_at_start(os.environ) != _read_at_start(_ENVIRONMENT):
        return start_interpreter(arguments, cwd=cwd, out=out, err=err, session=session)
    line = socket.socket(socket.AF_UNIX)
    line.connect(_server())
    asked = {
        "argv": ["tbsnode", *arguments],
        "cwd": str(cwd),
        "environment": dict(os.environ),
        "session": session,
    }
    with Path("/proc/thread-self/ns/net").open("rb") as network:
        socket.send_fds(line, [json.dumps(asked).encode()], [out.fileno(), err.fileno(), network.fileno()])
    line.shutdown(socket.SHUT_WR)
    return Process(arguments, line)


def run(arguments: Sequence[str], *, cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run ``tbsnode ARGUMENTS`` and return what it said, as `subprocess.run` would with captured text."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start(arguments, cwd=cwd, out=out, err=err, session=False)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        said = [_read(file.fileno()) for file in (out, err)]
    return subprocess.CompletedProcess(list(arguments), code, *said)


def _read(descriptor: int) -> str:
    """Return the text of a file that another process has written."""
    with open(descriptor, closefd=False) as file:
        file.seek(0)
        return file.read()


def _read_at_start(environment: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """Return the variables that an interpreter or a library looks at when it starts."""
    return {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}


@cache
def _server() -> str:
    """Start the process that forks, once; it ends with the pipe to this one. Return its socket's path."""
    folder = tempfile.mkdtemp(prefix="cli-")
    path = f"{folder}/s"
    atexit.register(shutil.rmtree, folder)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked_cli", path],
        stdin=subprocess.PIPE,
        env=_ENVIRONMENT | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # as `serve` loads them
        cwd=Path(__file__).parents[1],
    )
    atexit.register(server.communicate)
    deadline = time.monotonic() + _START_S
    while not Path(path).exists():
        assert time.monotonic() < deadline, "the process that forks commands has not started"
        time.sleep(0.02)
    return path


def _load() -> None:
    """Import all that a command may need, but what counts: it looks at the environment when it is loaded."""
    import tbsnode

    sys.modules[_COUNTS] = None  # type: ignore[assignment]  # what needs it is loaded by the command itself
    for module in pkgutil.walk_packages(tbsnode.__path__, "tbsnode."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if error.name != _COUNTS:
                    raise
    del sys.modules[_COUNTS]
    gc.collect()
    gc.freeze()


def _serve(path: str) -> None:
    """Fork a process for each connection, and send its process ID and its exit code there."""
    _load()
    selector = selectors.DefaultSelector()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(16)
    os.rename(f"{path}.new", path)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    running: dict[int, tuple[int, socket.socket]] = {}  # by a descriptor that tells of the end
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:  # who ran the tests is gone, perhaps killed: nothing stays behind
                for pid, _ in running.values():
                    os.kill(pid, signal.SIGKILL)
                return
            if key.fileobj is not listener:
                pid, line = running.pop(key.fd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with suppress(OSError):  # whoever asked may have given up
                    line.send(f"{code}\n".encode())
                line.close()
                selector.unregister(key.fd)
                os.close(key.fd)
                continue
            line, _ = listener.accept()
            message, descriptors, _, _ = socket.recv_fds(line, _HEADER, 3)
            while more := line.recv(_HEADER):
                message += more
            pid = os.fork()
            if pid == 0:
                for each in (selector, listener, line, *(other for _, other in running.values())):
                    each.close()
                for descriptor in running:
                    os.close(descriptor)
                return _become(json.loads(message), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            line.send(f"{pid}\n".encode())
            end = os.pidfd_open(pid)
            running[end] = pid, line
            selector.register(end, selectors.EVENT_READ)


def _become(asked: dict[str, Any], descriptors: list[int]) -> None:
    """Run the command in this process, which has been forked for it."""
    setproctitle(" ".join(asked["argv"]))
    if asked["session"]:
        os.setsid()
    *streams, network = descriptors
    if not os.path.samestat(os.fstat(network), os.stat("/proc/self/ns/net")):
        importlib.import_module("tests.machines").enter(network)
    os.close(network)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    for number, descriptor in enumerate([os.open(os.devnull, os.O_RDONLY), *streams]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = asked["argv"]
    importlib.import_module("tbsnode.cli").main()


if __name__ == "__main__":
    _serve(sys.argv[1])
