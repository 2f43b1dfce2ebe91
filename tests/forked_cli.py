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
from functools import cache
from pathlib import Path
from typing import Any

_READ_AT_START = ("PYTHON", "LD_", "OPENBLAS", "OMP_", "MKL_")
_HEADER = 1 << 20
_START_S = 60.0
_ENVIRONMENT = dict(os.environ)


def run(arguments: Sequence[str], *, cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run ``tbsnode ARGUMENTS`` and return what it said, as `subprocess.run` would with captured text."""
    if _read_at_start(os.environ) != _read_at_start(_ENVIRONMENT):
        command = [sys.executable, "-m", "tbsnode", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd)
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        socket.socket(socket.AF_UNIX) as line,
    ):
        line.settimeout(timeout)
        line.connect(_server())
        asked = {"argv": ["tbsnode", *arguments], "cwd": str(cwd), "environment": dict(os.environ)}
        socket.send_fds(line, [json.dumps(asked).encode()], [out.fileno(), err.fileno()])
        line.shutdown(socket.SHUT_WR)
        with line.makefile() as told:
            pid = int(told.readline())
            try:
                code = int(told.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout) from None
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
        env=_ENVIRONMENT,
        cwd=Path(__file__).parents[1],
    )
    atexit.register(server.communicate)
    deadline = time.monotonic() + _START_S
    while not Path(path).exists():
        assert time.monotonic() < deadline, "the process that forks commands has not started"
        time.sleep(0.02)
    return path


def _serve(path: str) -> None:
    """Fork a process for each connection, and send its process ID and its exit code there."""
    import tbsnode

    for module in pkgutil.walk_packages(tbsnode.__path__, "tbsnode."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
    selector = selectors.DefaultSelector()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(16)
    os.rename(f"{path}.new", path)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is not listener:
                pid, line = key.data
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                line.send(f"{code}\n".encode())
                line.close()
                selector.unregister(key.fd)
                os.close(key.fd)
                continue
            line, _ = listener.accept()
            message, descriptors, _, _ = socket.recv_fds(line, _HEADER, 2)
            while more := line.recv(_HEADER):
                message += more
            pid = os.fork()
            if pid == 0:
                return _become(json.loads(message), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            line.send(f"{pid}\n".encode())
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, line))


def _become(asked: dict[str, Any], descriptors: list[int]) -> None:
    """Run the command in this process, which has been forked for it."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    for number, descriptor in enumerate([os.open(os.devnull, os.O_RDONLY), *descriptors]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = asked["argv"]
    importlib.import_module("tbsnode.cli").main()


if __name__ == "__main__":
    _serve(sys.argv[1])
