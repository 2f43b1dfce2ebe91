"""What a node does beside its work: tell who must act, delete what is old. Nobody waits for it."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from tbsnode.errors import TbsNodeError
from tbsnode.pipeline import notify, retention, trusted_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from tbsnode.pipeline.site import Site

log = logging.getLogger(__name__)

_NOTIFY_S = 20.0
_RETENTION_S = 600.0
# In one go, so that notices come in between: studies deleted, and looked at. An archive of years is walked
# through in hours, which is soon enough.
_STUDIES, _LOOKED_AT = 200, 2000


def start(site: Site, stop: threading.Event, *, holds: Callable[[], bool]) -> threading.Thread:
    """Keep house in a thread of its own until `stop`, while this process is the one that `holds` that.

    Parameters
    ----------
    site : Site
        The node.
    stop : Event
        Ends the thread.
    holds : callable
        Tells whether this process is the machine's scanner: one keeps house.
    """
    thread = threading.Thread(
        target=_keep, args=(site, stop, holds), name="tbsnode-housekeeping", daemon=True
    )
    thread.start()
    return thread


def _keep(site: Site, stop: threading.Event, holds: Callable[[], bool]) -> None:
    try:
        _loop(site, stop, holds)
    finally:
        if not stop.is_set():  # the work goes on without; only a restart brings it back
            log.critical("housekeeping ended", extra={"action": "housekeeping.died"})


def _loop(site: Site, stop: threading.Event, holds: Callable[[], bool]) -> None:
    delete_at, after, doubtful = time.monotonic() + _NOTIFY_S, 0, False

    def retain() -> None:
        nonlocal after, doubtful
        done = retention.run(site, after=after, most=_STUDIES, most_looked_at=_LOOKED_AT)
        if done.clock_ahead_days and not doubtful:
            told = f"{trusted_time.told(done.clock_ahead_days)} {trusted_time.REMEDY}"
            log.warning("%s", told, extra={"action": "retention.waits"})
        after, doubtful = done.after, bool(done.clock_ahead_days)

    while not stop.wait(_NOTIFY_S if site.policy.notify is None else min(_NOTIFY_S, _wait_s(site))):
        if not holds():
            continue
        _once("notify", lambda: notify.turn(site))
        if time.monotonic() >= delete_at:
            delete_at = time.monotonic() + _RETENTION_S
            _once("retention", retain)


def _wait_s(site: Site) -> float:
    assert site.policy.notify is not None
    return max(0.2, site.policy.notify.interval_s)


def _once(name: str, act: Callable[[], object]) -> None:
    try:
        act()
    except (TbsNodeError, OSError) as error:
        log.warning("%s: %s", name, error, extra={"action": f"{name}.postponed"})
