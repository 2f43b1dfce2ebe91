"""A whole node for a test: its own folder, real processes, real sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import forked_cli, peers, schemas

AE_TITLE = "TBSNODE"
CALLER = "DXA"
_READY_S = 60.0


@dataclass
class Destination:
    """One destination of the test's node."""

    name: str
    ae_title: str
    port: int
    options: str = ""
    host: str = peers.LOOPBACK


@dataclass
class Node:
    """A configured node; `running` serves it, `cli` runs one of its commands.

    `settings` is TOML appended to the configuration, `callers` more rows of the table of callers;
    `only` are roles of `serve`; one that `migrates` has its tables from its own command. What a start
    costs, loads and leaves in memory is seen with its `own_interpreter`.
    """

    folder: Path
    port: int
    destinations: Sequence[Destination] = ()
    database_url: str = "sqlite:///state/tbsnode.db"
    mode: str = "live"
    quiet_s: float = 1.0
    after_release_s: float = 0.2
    settle_s: float = 1.0
    workers: int = 1
    receivers: int = 1
    archive: str = "state/archive"
    settings: str = ""
    callers: str = ""
    max_study_age_days: int = 100000
    min_free_bytes: int = 0
    migrates: bool = False
    http_port: int = 0
    bind: str = peers.LOOPBACK
    own_interpreter: bool = False
    process: forked_cli.Running | None = field(default=None, repr=False)

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "tbsnode.toml"

    def incoming(self) -> list[Path]:
        """Return the files that are not stored yet."""
        return [path for path in (self.folder / self.archive / "incoming").rglob("*") if path.is_file()]

    def write(self) -> None:
        """Write the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        destinations = "".join(
            f"\n[[destinations]]\nname = {d.name!r}\nae_title = {d.ae_title!r}\n"
            f'host = "{d.host}"\nport = {d.port}\n{d.options}\n'
            for d in self.destinations
        )
        self.config.write_text(
            f"""\
[node]
ae_title = "{AE_TITLE}"
mode = "{self.mode}"
[receiver]
bind = "{self.bind}"
port = {self.port}
processes = {self.receivers}
callers = [
    {{ ae_title = "{CALLER}", host = "{peers.LOOPBACK}" }},
    {{ ae_title = "ORTHANC", host = "*" }},
    {self.callers}
]
[database]
url = "{self.database_url}"
[archive]
path = "{self.archive}"
min_free_bytes = {self.min_free_bytes}
min_free_percent = 0
[completion]
quiet_s = {self.quiet_s}
after_release_s = {self.after_release_s}
settle_s = {self.settle_s}
[analysis]
workers = {self.workers}
[delivery]
retry_first_s = 0.5
retry_cap_s = 2
[engine]
lease_s = 3
[http]
port = {self.http_port}
[selection]
max_study_age_days = {self.max_study_age_days}
{self.settings}
{destinations}
"""
        )

    def cli(self, *args: str | Path, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command of the node and return what it said."""
        arguments = [*map(str, args), "--config", str(self.config)]
        done = forked_cli.run(arguments, cwd=self.folder, timeout=120.0)
        if ok and done.returncode != 0:
            pytest.fail(f"tbsnode {args} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def json(self, *args: str | Path) -> Any:
        """Run a listing and return its JSON."""
        return json.loads(self.cli(*args, "--json").stdout)

    def prepare(self) -> None:
        """Write the configuration; make the tables, which a PostgreSQL URL brings with it."""
        self.write()
        if self.migrates:
            self.cli("db", "upgrade")
        elif self.database_url.startswith("sqlite:///"):
            schemas.fill_sqlite(self.folder / self.database_url.removeprefix("sqlite:///"), engine=True)

    @property
    def log(self) -> Path:
        """What the processes said."""
        return self.folder / "serve.log"

    def start(self, *, only: str = "") -> None:
        """Start `serve`; wait until all its processes are there, and it receives or is ready for the rest."""
        said = len(self.log.read_text()) if self.log.exists() else 0
        with self.log.open("ab") as out:
            start = forked_cli.start_interpreter if self.own_interpreter else forked_cli.start
            self.process = start(
                ["serve", "--config", str(self.config), *(["--only", only] if only else [])],
                cwd=Path.cwd(),
                out=out,
                err=out,
                session=True,
            )
        self._wait(lambda: "serving as" in self.log.read_text()[said:], "has not started its processes")
        if not only or "receive" in only:
            self.wait_receiving()
        else:
            self._wait(lambda: " ready" in self.log.read_text()[said:], "is not ready")
        if self.http_port and (not only or "http" in only):
            self._wait(lambda: peers.answers(self.http_port), "does not answer watchers")

    def wait_receiving(self) -> None:
        """Wait until the receiver answers."""
        self._wait(lambda: peers.answers(self.port), "does not receive")

    def _wait(self, condition: Callable[[], bool], lacking: str) -> None:
        """Wait for a condition as long as the supervisor lives."""
        deadline = time.monotonic() + _READY_S
        while not condition():
            process = self.process
            if process is None or process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the node {lacking}:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop in order and return the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.process = None
        return code

    def kill_supervisor(self) -> None:
        """Kill the supervisor alone, as the out-of-memory killer would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def children(self) -> dict[int, str]:
        """Process IDs of the running children, each with its role and slot."""
        return {pid: name for pid, name in processes_of(self.config).items() if name}

    def studies(self) -> dict[str, dict[str, Any]]:
        """`study list` by Study Instance UID."""
        listed: list[dict[str, Any]] = self.json("study", "list", "--limit", "100000")
        return {row["study_instance_uid"]: row for row in listed}


def processes_of(config: Path) -> dict[int, str]:
    """Return every live process that serves this configuration: role and slot, "" for a supervisor."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").split()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if "serve" in words and str(config) in words and state != "Z":
            following = words[words.index("serve") + 1]  # a child says its slot there
            found[int(folder.name)] = "" if following.startswith("--") else following
    return found


@contextmanager
def serving(node: Node, *, only: str = "") -> Iterator[Node]:
    """Prepare and serve a node until the block ends; nothing of it is left afterwards."""
    node.prepare()
    try:
        node.start(only=only)
        yield node
    finally:
        if node.process is not None:
            node.stop()
        for pid in processes_of(node.config):
            os.kill(pid, signal.SIGKILL)


def send(port: int, files: Sequence[Path], *, caller: str = CALLER) -> str:
    """Send files with DCMTK in one association and return what it said."""
    done = peers.run(
        ["storescu", "-v", "-R", "-aet", caller, "-aec", AE_TITLE, peers.LOOPBACK, str(port), *files]
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def write(folder: Path, instances: Iterable[bytes], name: str = "image") -> list[Path]:
    """Write Part 10 bytes as files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, part10 in enumerate(instances):
        path = folder / f"{name}-{number}.dcm"
        path.write_bytes(part10)
        paths.append(path)
    return paths


def reviewers(*logins: str) -> str:
    """Return settings that let these logins sign, all under one made-up name."""
    rows = ", ".join(
        f'{{ login = "{login}", name = "Reader^Rita", organization = "Reading Room" }}' for login in logins
    )
    return f"[interpretation]\nreviewers = [{rows}]\n"
