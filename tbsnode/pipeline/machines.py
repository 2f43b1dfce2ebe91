"""Which machines of a node were started, and whether they were started with the same settings.

Each machine works by its own file: what one would hold back, another one sends. Nobody sees that in the
results, so each start is an event that says a digest of each section, and is compared with the others'.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tbsnode.store import audit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction

log = logging.getLogger(__name__)

_STARTED, _STOPPED = "serve.started", "serve.stopped"
_REMEMBERED_S = 100 * 86400.0
_MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One `serve`.

    Attributes
    ----------
    node_id : str
        Of its state folder.
    host : str
        Name of the machine.
    version, roles : str
        What it runs.
    settings : mapping of str to str
        Digest of each section that all machines should have in common.
    """

    node_id: str
    host: str
    version: str
    roles: str
    settings: Mapping[str, str]


def started(site: Site, start: Start) -> None:
    """Write down that a machine was started; warn of each other one that has other settings."""
    with site.database.transaction() as tx:
        others = _running(tx, but=start.node_id)
        text = f"{start.host} serves {start.roles}, version {start.version}"
        audit.add_event(tx, _STARTED, text, data=asdict(start))
    for host, settings in sorted(others):
        differing = sorted(
            name for name in {*settings, *start.settings} if settings.get(name) != start.settings.get(name)
        )
        if differing:
            log.warning(
                "%s serves the same node with other settings in %s: each machine works by its own. Give both"
                " the same file but for addresses and paths; [site] serial_number too, which is by default"
                " that of each host. If that machine is gone, nothing is to be done.",
                host,
                ", ".join(f"[{name}]" for name in differing),
                extra={"action": "serve.settings_differ"},
            )


def stopped(site: Site, start: Start) -> None:
    """Write down that a machine was stopped in order."""
    with site.database.transaction() as tx:
        data = {"node_id": start.node_id, "host": start.host}
        audit.add_event(tx, _STOPPED, f"{start.host} stopped serving {start.roles}", data=data)


def _running(tx: Transaction, *, but: str) -> list[tuple[str, dict[str, str]]]:
    """Return host and settings of the other machines whose last word was that they started."""
    wanted = audit.EventFilter(since=tx.now - _REMEMBERED_S, action="serve.")
    last: dict[str, audit.EventRow] = {}
    for event in audit.recent_events(tx, _MOST, wanted):  # newest first
        last.setdefault(str(event.data.get("node_id", "")), event)
    return [
        (str(event.data["host"]), dict(event.data["settings"]))
        for node_id, event in last.items()
        if node_id not in ("", but) and event.action == _STARTED
    ]
