"""What the machines of one node should have in common: everything but addresses and paths."""

from __future__ import annotations

import hashlib
import json
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tbsnode.config.sections import Config

# Left out: what each machine has of its own.
_OF_EACH: dict[str, set[str]] = {
    "node": {"state"},
    "receiver": {"bind", "port", "processes", "tls"},
    "analysis": {"workers"},
    "interpretation": {"reference_file"},
    "notify": {"token_file"},
}
_OWN = frozenset({"database", "archive", "logging", "http"})


def digests(config: Config) -> dict[str, str]:
    """Return a digest of each section, equal where two machines work alike.

    Examples
    --------
    >>> from tbsnode.config import Config, Completion
    >>> one, other = digests(Config()), digests(Config(completion=Completion(quiet_s=60.0)))
    >>> [name for name in one if one[name] != other[name]]
    ['completion']
    """
    stated: dict[str, Any] = config.model_dump(mode="json")
    for name, keys in _OF_EACH.items():
        stated[name] = {key: value for key, value in stated[name].items() if key not in keys}
    for destination in stated["destinations"]:
        destination["tls"] = destination["tls"] is not None
    # blank, it is made of the host's name, and results tell it
    stated["site"]["serial_number"] = config.site.serial_number or socket.gethostname()
    return {name: _digest(section) for name, section in stated.items() if name not in _OWN}


def _digest(section: object) -> str:
    canonical = json.dumps(section, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
