"""Machines of a hospital, each in a network namespace of its own: cables between them that can be cut.

What is cut is silent: packets vanish and nobody answers in their place, as with a firewall that drops
them, a switch that is off or a virtual machine that stands still. A frozen process is another thing: its
kernel goes on acknowledging. Only root may make namespaces, on Linux, with `ip` of iproute2.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import peers

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Machine:
    """One machine: its name here, and its address in the hospital's network."""

    namespace: str
    address: str
    mac: str
    port: str  # of the switch, where its cable ends
    switch: str

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """Let this thread, and what it starts meanwhile, be on this machine."""
        with Path("/proc/thread-self/ns/net").open("rb") as before:
            with Path(f"/run/netns/{self.namespace}").open("rb") as there:
                enter(there.fileno())
            try:
                yield
            finally:
                enter(before.fileno())

    def cut(self) -> None:
        """Let everything vanish that comes from this machine or goes to it, itself excepted."""
        _ip("-n", self.switch, "link", "set", self.port, "nomaster")

    def mend(self) -> None:
        """Let packets through again."""
        _ip("-n", self.switch, "link", "set", self.port, "master", "switch")

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Be cut off until the block ends."""
        self.cut()
        try:
            yield
        finally:
            self.mend()


@contextlib.contextmanager
def hospital(*names: str) -> Iterator[dict[str, Machine]]:
    """Build machines on one switch, by name; skip the test where this user may not, fail it where CI=true."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    peers.require_program("ip")
    prefix = f"tbs{os.getpid()}"
    switch = f"{prefix}-switch"
    made = {
        name: Machine(f"{prefix}-{name}", f"198.18.0.{n}", f"02:00:00:00:00:{n:02x}", f"port{n}", switch)
        for n, name in enumerate(names, start=1)
    }
    with contextlib.ExitStack() as undo:
        for namespace in (switch, *(machine.namespace for machine in made.values())):
            _add_namespace(namespace)
            undo.callback(_ip, "netns", "del", namespace)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        for machine in made.values():
            _plug_in(machine, [other for other in made.values() if other is not machine])
        yield made


def _add_namespace(name: str) -> None:
    done = peers.run(["ip", "netns", "add", name])
    if done.returncode != 0:
        said = f"network namespaces cannot be made here: {done.stdout.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)


def _plug_in(machine: Machine, others: list[Machine]) -> None:
    """Connect a machine with the switch; it knows the others, so that a dead one is no routing error."""
    _ip(
        *("-n", machine.switch, "link", "add", machine.port, "type", "veth"),
        *("peer", "name", "cable", "netns", machine.namespace),
    )
    inside = ("-n", machine.namespace)
    _ip(*inside, "link", "set", "cable", "address", machine.mac)
    _ip(*inside, "address", "add", f"{machine.address}/24", "dev", "cable")
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "link", "set", "cable", "up")
    for other in others:
        permanent = ("lladdr", other.mac, "nud", "permanent", "dev", "cable")
        _ip(*inside, "neighbour", "add", other.address, *permanent)
    machine.mend()
    _ip("-n", machine.switch, "link", "set", machine.port, "up")


def _ip(*words: str) -> None:
    program = peers.require_program("ip")
    subprocess.run([program, *words], check=True, capture_output=True, timeout=20)


def enter(descriptor: int) -> None:
    """Bring this thread into the network namespace of an open file."""
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
