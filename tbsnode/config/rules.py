"""Rules of single values: AE titles, hosts, paths and database URLs, each with its words for a mistake."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from pydantic import ValidationInfo

from tbsnode.config.mistakes import wrong

_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def ae_title(value: str) -> str:
    """Keep to PS3.5 section 6.2: AE is 16 characters, no control character, no backslash."""
    if not 1 <= len(value) <= 16:
        raise wrong(f"an AE title has 1 to 16 characters, this one has {len(value)}.", "Shorten it.")
    if value != value.strip() or not value.isascii() or not value.isprintable() or "\\" in value:
        raise wrong(
            "an AE title holds printable ASCII without backslash, and no blank at either end.",
            "Write it exactly as the other system shows it, usually capitals and digits.",
        )
    return value


def _is_host_name(value: str) -> bool:
    labels = value.rstrip(".").split(".")
    return all(_HOST_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def host(value: str) -> str:
    """Keep to an IP address or a host name."""
    if _is_address(value) or _is_host_name(value):
        return value
    raise wrong("this is neither an IP address nor a host name.", 'Write "192.0.2.20" or "pacs.example.org".')


def caller_host(value: str) -> str:
    """Keep to an address, a network, a host name or ``*``."""
    if value == "*" or _is_address(value):
        return value
    if "/" in value:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            raise wrong(f"this is not a network: {error}.", 'Write "192.0.2.0/24".') from error
        return value
    if _is_host_name(value):
        return value
    raise wrong(
        "this is neither an address, a network, a host name nor *.",
        'Write "192.0.2.10", "192.0.2.0/24", "dxa.example.org" or "*".',
    )


def not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    """Keep to lists that name something."""
    if not value:
        raise wrong("this list is empty.", "Name at least one.")
    return value


def resolved(value: Path, info: ValidationInfo) -> Path:
    """Make a path absolute: relative to the folder of the file."""
    folder = (info.context or {}).get("folder")
    expanded = _expanded(value)
    return (folder / expanded).absolute() if folder is not None else expanded


def _expanded(path: Path) -> Path:
    """Put the home folder for ``~``: an account of the system, or one in a container, may have none."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise wrong("the home folder in it is not known.", "Write an absolute path.") from error


def database_url(value: str, info: ValidationInfo) -> str:
    """Keep to the databases that there are a driver for; make the path of SQLite's file absolute."""
    scheme, separator, rest = value.partition("://")
    if not separator or scheme.split("+")[0] not in ("sqlite", "postgresql"):
        raise wrong(
            "this is not a database this node runs on.",
            'Write "sqlite:///state/tbsnode.db" or "postgresql+psycopg://user@host/database".',
        )
    if scheme.startswith("postgresql"):
        if scheme != "postgresql+psycopg":
            raise wrong(f"the driver {scheme} is not installed.", "Begin with postgresql+psycopg://")
        return value
    if scheme != "sqlite" or not rest.startswith("/") or rest == "/" or ":memory:" in rest:
        raise wrong(
            "SQLite needs a file that survives a restart.",
            'Write three slashes and a path: "sqlite:///state/tbsnode.db".',
        )
    folder = (info.context or {}).get("folder")
    path = _expanded(Path(rest[1:]))
    return f"sqlite:///{(folder / path).absolute()}" if folder is not None else value
