"""Lines of `tbsnode check` about work that nobody takes: paused queues, destinations that are gone."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tbsnode.cli.check_line import Line
from tbsnode.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tbsnode.store import work
    from tbsnode.store.database import Transaction

_WAITING = ("queued", "running", "held")


def lines(tx: Transaction, destinations: Collection[str]) -> Iterator[Line]:
    """Yield one failure for each paused queue, and for each destination that is gone and has work.

    Parameters
    ----------
    tx : Transaction
        A read transaction.
    destinations : collection of str
        Names of those in the configuration.
    """
    from tbsnode.store import queue, work

    for pause in work.pauses(tx):
        yield Line(
            f"queue {pause.queue}",
            paused(pause),
            f"`tbsnode queue resume {pause.queue}` goes on.",
            ResourceError.exit_code,
        )
    known = {work.deliver_queue(name) for name in destinations}
    for name, states in queue.counts(tx).items():
        waiting = sum(states.get(state, 0) for state in _WAITING)
        destination = name.removeprefix("deliver:")
        if waiting and destination != name and name not in known:
            yield Line(
                f"queue {name}",
                f"{waiting} deliveries wait for {destination}, which is no destination any more.",
                f"Name a destination so again, or `tbsnode queue cancel --destination {destination}` and"
                " `tbsnode study resend`.",
                ConfigError.exit_code,
            )


def paused(pause: work.Pause) -> str:
    """Say since when a queue is paused, and by whom."""
    since = datetime.fromtimestamp(pause.paused_at).astimezone().isoformat(sep=" ", timespec="minutes")
    return f"paused since {since} by {pause.paused_by}: nothing is taken from it."
