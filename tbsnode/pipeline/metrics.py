"""What every process counts and times, kept in files that `http` puts together for a watcher.

Each process writes its own numbers into small files of one folder, so that all children of `serve`
are seen as one node, and a child that dies loses nothing. Labels are codes, roles and destinations:
never a patient, a study or a UID.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

from tbsnode.store import observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tbsnode.pipeline.site import Site
    from tbsnode.store.work import Ticket

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

INGEST = Histogram(
    "tbsnode_ingest_seconds",
    "From a received instance to its durable, committed acknowledgment.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.03, 0.06, 0.1, 0.25, 1.0, 5.0),
)
INSTANCES = Counter("tbsnode_instances", "Received instances by outcome.", ["outcome"])
ASSOCIATIONS = Counter("tbsnode_associations", "Associations of the receiver by their end.", ["end"])
WORK = Histogram(
    "tbsnode_work_seconds",
    "Time that one piece of work took, by kind: study (analysis and report) or delivery.",
    ["kind"],
    buckets=(0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 5.0, 15.0, 60.0),
)
END_TO_END = Histogram(
    "tbsnode_end_to_end_seconds",
    "From the newest instance of a study to its first results stored at a destination that waits for nobody.",
    ["destination"],
    buckets=(0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 35.0, 60.0, 300.0, 3600.0),
)


@contextmanager
def timed_ingest() -> Iterator[None]:
    """Time one instance on its way into archive and catalogue; what was refused is not timed."""
    began = time.perf_counter()
    yield
    INGEST.observe(time.perf_counter() - began)


@contextmanager
def timed_work(kind: str) -> Iterator[None]:
    """Time one piece of work, however it ends."""
    began = time.perf_counter()
    try:
        yield
    finally:
        WORK.labels(kind).observe(time.perf_counter() - began)


def delivered(site: Site, ticket: Ticket) -> None:
    """Note how long a study took to its destination, where this delivery has just brought it there.

    One that gets signed results only waits for its reader, and says nothing of this node.
    """
    with site.database.read() as tx:
        took = observed.end_to_end(tx, ticket.row_id, horizon_s=site.policy.retry_horizon_s)
    signed = {peer.name for peer in site.peers if peer.release == "signed"}
    if took is not None and took.destination not in signed:
        END_TO_END.labels(took.destination).observe(took.seconds)
