"""What works on the tickets of each kind, loaded when it is needed.

A process that only sends starts in half the time without the libraries of image analysis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.store import work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tbsnode.pipeline.site import Site

    Worker = Callable[[Site, work.Ticket], None]


def work_of(kind: str) -> Worker:
    """Return what works on tickets of a kind."""
    if kind == "study":
        from tbsnode.pipeline import study

        return study.process
    if kind == "delivery":
        from tbsnode.pipeline import deliver

        return deliver.deliver
    from tbsnode.pipeline import commitment_requests

    return commitment_requests.work_on


def load(queues: Iterable[str]) -> None:
    """Load what works on these queues, so that the first ticket does not wait for it."""
    for queue in queues:
        for kind in ("study",) if queue == work.ANALYZE_QUEUE else ("delivery", "report"):
            work_of(kind)
