"""Strangers to test against: DCMTK, Orthanc, dicom3tools and PostgreSQL, each started and stopped by pid.

Everything listens on loopback with a free port, is waited for until it answers, and is reaped.
A missing program skips the test at a desk and fails it where ``CI=true``: a skipped test must not
look like a passed one. The fixtures are in ``conftest.py``; the misbehaving peer in ``raw_peer.py``.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

LOOPBACK = "127.0.0.1"

# Nagle's algorithm together with delayed acknowledgment costs DCMTK 40 ms a message.
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1", "LC_ALL": "C"}

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/sbin", "/usr/local/sbin")
_handed_out: set[int] = set()


def find_program(name: str) -> str | None:
    """Return the path of a program, None where it is not installed."""
    if found := shutil.which(name):
        return found
    candidates = [path for folder in _FOLDERS for path in glob.glob(f"{folder}/{name}")]
    return max(candidates, default=None)


def require_program(name: str) -> str:
    """Return the path of a program; skip the test without it, fail it where CI=true."""
    if path := find_program(name):
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed, and CI must not skip")
    pytest.skip(f"{name} is not installed")


def free_port() -> int:
    """Return a loopback port that nothing listens on and that was not handed out before."""
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in _handed_out:
            _handed_out.add(port)
            return port


def wait_until(
    condition: Callable[[], object], what: str, timeout_s: float = 20.0, *, every_s: float = 0.02
) -> None:
    """Poll `condition` until it is true; fail the test with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:g} s for: {what}")
        time.sleep(every_s)


def answers(port: int) -> bool:
    """Return True where something accepts TCP connections on the loopback port."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1.0):
        return True
    return False


def run(argv: Sequence[str | Path], timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said (stdout and stderr together)."""
    return subprocess.run(
        [require_program(str(argv[0])), *map(str, argv[1:])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=ENVIRONMENT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


@contextlib.contextmanager
def running(
    argv: Sequence[str | Path],
    log: Path,
    ready: Callable[[], object],
    user: str | None = None,
    stop_signal: int = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the background until the block ends; its output goes to `log`."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [require_program(str(argv[0])), *map(str, argv[1:])],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=ENVIRONMENT,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=log.parent,
        )
    try:
        deadline = time.monotonic() + 30.0
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{argv[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield process
    finally:
        stop(process, stop_signal)


def stop(
    process: subprocess.Popen[bytes], stop_signal: int = signal.SIGTERM, patience_s: float = 10.0
) -> None:
    """End a process that we started, politely first, and reap it."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


@dataclass(frozen=True)
class Storescp:
    """DCMTK's storage SCP, writing bit-preserving files into `folder`."""

    port: int
    folder: Path
    ae_title: str = "STORESCP"

    def files(self) -> list[Path]:
        """Return what it has stored, complete or not, by name."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())


@contextlib.contextmanager
def storescp(work: Path, *options: str, port: int = 0) -> Iterator[Storescp]:
    """Run DCMTK storescp; `options` as on its command line (``"+xi"``: implicit VR only)."""
    port = port or free_port()
    folder = work / f"storescp-{port}"
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["storescp", "-v", "-aet", "STORESCP", "-od", folder, "+B", *options, str(port)]
    with running(argv, work / f"storescp-{port}.log", lambda: answers(port)):
        yield Storescp(port, folder)


class Orthanc:
    """An Orthanc archive (AE title ORTHANC); only `node_ae_title` on loopback may talk to it.

    It knows us as ``node_ae_title@127.0.0.1:node_port``, for C-MOVE and storage commitment.
    """

    ae_title = "ORTHANC"

    def __init__(self, port: int, http_port: int, node_ae_title: str, node_port: int) -> None:
        self.port = port
        self.http_port = http_port
        self.node_ae_title = node_ae_title
        self.node_port = node_port

    def request(self, path: str, method: str = "GET", body: bytes | None = None) -> bytes:
        """Speak REST; raises `urllib.error.HTTPError` where Orthanc refuses."""
        url = f"http://{LOOPBACK}:{self.http_port}{path}"
        request = urllib.request.Request(url, data=body, method=method)
        with urllib.request.urlopen(request, timeout=30.0) as answer:
            return bytes(answer.read())

    def json(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Speak REST in JSON."""
        encoded = None if body is None else json.dumps(body).encode()
        return json.loads(self.request(path, method, encoded))

    def instances(self) -> list[dict[str, Any]]:
        """Return what it holds: each with ``MainDicomTags`` and Orthanc's ``ID``."""
        return list(self.json("/instances?expand"))

    def sop_instance_uids(self) -> set[str]:
        """Return the SOP Instance UIDs that it holds."""
        return {each["MainDicomTags"]["SOPInstanceUID"] for each in self.instances()}

    def fetch(self, sop_instance_uid: str) -> bytes:
        """Return one instance as a Part 10 file."""
        found = json.loads(self.request("/tools/lookup", "POST", sop_instance_uid.encode()))
        (orthanc_id,) = [each["ID"] for each in found if each["Type"] == "Instance"]
        return self.request(f"/instances/{orthanc_id}/file")

    def store(self, part10: bytes) -> None:
        """Give it an instance by REST."""
        self.request("/instances", "POST", part10)

    def clear(self) -> None:
        """Delete all that it holds."""
        for orthanc_id in self.json("/patients"):
            self.request(f"/patients/{orthanc_id}", "DELETE")

    def know(self, name: str, ae_title: str, port: int) -> None:
        """Let it accept and send to one more loopback peer, until it ends."""
        entry = {"AET": ae_title, "Host": LOOPBACK, "Port": port, "AllowStorageCommitment": True}
        self.request(f"/modalities/{name}", "PUT", json.dumps(entry).encode())


@contextlib.contextmanager
def orthanc(work: Path, node_ae_title: str = "TBSNODE", **settings: object) -> Iterator[Orthanc]:
    """Run Orthanc with an empty archive under `work`; `settings` override its configuration."""
    peer = Orthanc(free_port(), free_port(), node_ae_title, free_port())
    work.mkdir(parents=True, exist_ok=True)
    allowed = {"AllowEcho": True, "AllowStore": True, "AllowFind": True, "AllowGet": True, "AllowMove": True}
    node = {"AET": node_ae_title, "Host": LOOPBACK, "Port": peer.node_port, "AllowStorageCommitment": True}
    configuration = {
        "Name": "peer",
        "StorageDirectory": str(work / "archive"),
        "IndexDirectory": str(work / "archive"),
        "Plugins": [],
        "HttpPort": peer.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": peer.ae_title,
        "DicomPort": peer.port,
        "DicomCheckCalledAet": True,
        # The DICOM port listens on every address (no option for that), so it must know its callers.
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomCheckModalityHost": True,
        "OverwriteInstances": True,
        "UnknownSopClassAccepted": False,
        "SaveJobs": False,
        "DicomModalities": {"node": {**node, **allowed}},
        **settings,
    }
    file = work / "orthanc.json"
    file.write_text(json.dumps(configuration))
    ready = lambda: answers(peer.http_port) and answers(peer.port)  # noqa: E731
    with running(["Orthanc", file], work / "orthanc.log", ready):
        yield peer


@dataclass(frozen=True)
class Verdict:
    """What dciodvfy said about one instance."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    text: str


def dciodvfy(path: Path) -> Verdict:
    """Check one instance against its IOD with dicom3tools."""
    text = run(["dciodvfy", "-new", path]).stdout
    lines = tuple(line.strip() for line in text.splitlines())
    return Verdict(
        errors=tuple(line for line in lines if line.startswith("Error")),
        warnings=tuple(line for line in lines if line.startswith("Warning")),
        text=text,
    )


class Postgres:
    """A PostgreSQL server of our own, with trust authentication."""

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self.port = port
        self.host = host

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@{self.host}:{self.port}/{database}"

    def fresh_database(self, template: str = "template1") -> str:
        """Create a database, empty or as another one is, and return its SQLAlchemy URL."""
        import psycopg

        name = f"test_{uuid4().hex}"
        address = f"postgresql://postgres@{self.host}:{self.port}/postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')  # type: ignore[arg-type]
        return self.url(name)


@contextlib.contextmanager
def postgres(host: str = LOOPBACK) -> Iterator[Postgres]:
    """Run a new PostgreSQL cluster in a folder of its own, durable as in production (fsync on).

    `host` is the address that it listens on; what is not loopback lies in a test's own network.

    PostgreSQL refuses to run as root; then it runs as the system user ``postgres``.
    """
    initdb = require_program("initdb")
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="tbsnode-postgres-"))
    try:
        if user:
            shutil.chown(folder, user, user)
        data, port = folder / "data", free_port()
        subprocess.run(
            [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"],
            user=user, group=user, extra_groups=None if user is None else [],
            cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, timeout=120.0,
        )  # fmt: skip
        if host != LOOPBACK:
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")
        argv = ["postgres", "-D", data, "-k", folder, "-p", str(port), "-h", host, "-N", "200"]
        ready = lambda: run(["pg_isready", "-q", "-h", host, "-p", str(port)]).returncode == 0  # noqa: E731
        # SIGTERM would wait for whoever is left; SIGINT would write all databases before they are deleted.
        with running(argv, folder / "log", ready, user, signal.SIGQUIT):
            yield Postgres(port, host)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
