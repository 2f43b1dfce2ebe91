"""Ports in `tbsnode check`: is each one that `serve` listens on free, or this node's already."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbsnode.cli.check_line import Line
from tbsnode.errors import ResourceError

if TYPE_CHECKING:
    from pathlib import Path

    from tbsnode.config import Config


@dataclass(frozen=True, slots=True)
class _Listener:
    what: str
    bind: str
    port: int
    slot: str  # whose lock is held while we listen there
    section: str


def lines(config: Config) -> Iterator[Line]:
    """Yield a line for each port that `serve` listens on."""
    for each in _listeners(config):
        yield _line(each, config.node.state)


def _listeners(config: Config) -> Iterator[_Listener]:
    receiver, tls, http = config.receiver, config.receiver.tls, config.http
    if tls is None or not tls.only:
        yield _Listener("port", receiver.bind, receiver.port, "receive-0", "receiver")
    if tls is not None:
        yield _Listener("port for TLS", receiver.bind, tls.port, "receive-0", "receiver.tls")
    if http.port:
        yield _Listener("port for HTTP", http.bind, http.port, "http-0", "http")


def _line(listener: _Listener, state: Path) -> Line:
    where = f"{listener.bind}:{listener.port}"
    try:
        _bind(listener)
    except OSError as error:
        return _taken(listener, state, where, error)
    return Line(listener.what, f"{where} is free")


def _bind(listener: _Listener) -> None:
    family, _, _, _, address = socket.getaddrinfo(
        listener.bind, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _taken(listener: _Listener, state: Path, where: str, error: OSError) -> Line:
    """Tell our own running node from a stranger on its port."""
    key = f"{listener.section}.port"
    if error.errno == errno.EADDRINUSE:
        if _is_ours(state, listener.slot):
            return Line(listener.what, f"{where}: this node is running")
        text, remedy = "another program has it.", f"Stop that program, or choose another {key}."
    elif error.errno == errno.EACCES:
        text, remedy = "this account may not use it.", f"Choose {key} above 1023, or grant the privilege."
    else:
        bind = "http.bind" if listener.section == "http" else "receiver.bind"
        text, remedy = f"it cannot be used: {error.strerror or error}.", f"Correct {bind}."
    return Line(listener.what, f"{where}: {text}", remedy, ResourceError.exit_code)


def _is_ours(state: Path, slot: str) -> bool:
    """Tell whether that child of this state folder is running: it holds its slot's lock."""
    import fcntl

    lock = state / "locks" / slot
    if not lock.exists():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
