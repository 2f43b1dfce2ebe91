"""Many studies analyzed again: looked at before, fed in small portions, followed, compared.

A run feeds the queue a few studies at a time, so that what scanners send meanwhile is not kept waiting
behind a whole archive. The run and where each of its studies stands are rows: after a kill another
command goes on with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbsnode.errors import NotFound
from tbsnode.pipeline import acting
from tbsnode.store import audit, bulk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tbsnode.pipeline.site import Site

AT_ONCE = 4  # a worker: one at work, and enough due that none of them waits for the next portion
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run came to.

    Attributes
    ----------
    run : int
        Its number.
    sent : bool
        Whether changed results were sent; false for a comparison.
    studies, ended, changed, failed : int
        How many, how many it is over with, whose result states something else, whose analysis failed.
    compared : int
        How many have a score before and after.
    difference_median, difference_p5, difference_p95 : float or None
        Of the texture slope, after less before; percentiles by linear interpolation.
    """

    run: int
    sent: bool
    studies: int
    ended: int
    changed: int
    failed: int
    compared: int
    difference_median: float | None
    difference_p5: float | None
    difference_p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run would be about, before it is begun.

    `seconds` is the time it would take with all workers of this node, None before anything was analyzed.
    """

    studies: int
    signed: int
    rejected: int
    seconds: float | None


def estimate(site: Site, uids: Sequence[str]) -> Estimate:
    """Say how many studies are meant, how many readers have acted on, and how long it would take."""
    with site.database.read() as tx:
        seen = bulk.preview(tx, list(_rows(site, uids).values()), workers=site.policy.workers)
    each = seen.seconds_each
    return Estimate(
        studies=seen.studies,
        signed=seen.signed,
        rejected=seen.rejected,
        seconds=None if each is None else each * seen.studies / site.policy.workers,
    )


def _rows(site: Site, uids: Sequence[str]) -> dict[str, int]:
    with site.database.read() as tx:
        found = bulk.ids_of(tx, list(uids))
    for uid in uids:
        if uid not in found:
            raise NotFound(
                f"There is no study {uid} here.", remedy="`tbsnode study list` shows those there are."
            )
    return found


def begin(site: Site, uids: Sequence[str], *, shadow: bool) -> int:
    """Write a run with its studies; nothing is due yet (see `feed`).

    Parameters
    ----------
    site : Site
        The node.
    uids : sequence of str
        Study Instance UIDs.
    shadow : bool
        Whether results are compared only, and never sent.

    Returns
    -------
    int
        Number of the run.

    Raises
    ------
    NotFound
        If one of the studies is not here.
    """
    found = _rows(site, uids)
    with site.database.transaction() as tx:
        run_id = bulk.create(tx, [found[uid] for uid in dict.fromkeys(uids)], shadow=shadow)
        what = "for comparison, nothing is sent" if shadow else "changed results are sent"
        audit.add_event(
            tx,
            "bulk.begun",
            f"{acting.who()} has {len(found)} studies analyzed again: run {run_id}, {what}",
        )
    return run_id


def known(site: Site, run_id: int | None = None) -> bulk.Run:
    """Return a run; without a number, the newest.

    Raises
    ------
    NotFound
        If there is none.
    """
    with site.database.read() as tx:
        run = bulk.find(tx, run_id)
    if run is None:
        raise NotFound(
            "There is no such run." if run_id else "Nothing was reprocessed in bulk yet.",
            remedy="`tbsnode study reprocess --since 30d --wait` begins one.",
        )
    return run


def feed(site: Site, run_id: int, *, at_once: int | None = None) -> bulk.Run:
    """See what is over, and make the next studies due; return where the run stands.

    Parameters
    ----------
    site : Site
        The node.
    run_id : int
        The run.
    at_once : int, optional
        How many may be due or at work; by default four for each worker.
    """
    with site.database.transaction() as tx:
        bulk.observe(tx, run_id)
        run = bulk.find(tx, run_id)
        assert run is not None, "a run is never deleted"
        most = AT_ONCE * site.policy.workers if at_once is None else at_once
        bulk.ask(tx, run, at_once=most)
        fed = bulk.find(tx, run_id)
        assert fed is not None
    return fed


def follow(site: Site, run_id: int, *, told: Callable[[int, int], None]) -> bulk.Run:
    """Feed a run until it is over.

    Parameters
    ----------
    site : Site
        The node; something must run its workers.
    run_id : int
        The run.
    told : callable
        Gets how many studies are over, and how many there are, at each look.
    """
    while True:
        run = feed(site, run_id)
        told(run.ended, run.total)
        if run.ended == run.total:
            return run
        time.sleep(_LOOK_S)


def comparison(site: Site, run_id: int) -> tuple[Summary, tuple[bulk.Compared, ...]]:
    """Return what a run came to, and each of its studies."""
    run = known(site, run_id)
    with site.database.read() as tx:
        studies = bulk.compared(tx, run_id)
    differences = sorted(one.difference for one in studies if one.difference is not None)
    summary = Summary(
        run=run.id,
        sent=not run.shadow,
        studies=run.total,
        ended=run.ended,
        changed=sum(one.changed for one in studies),
        failed=run.counts.get(bulk.ItemState.FAILED, 0),
        compared=len(differences),
        difference_median=percentile(differences, 0.50),
        difference_p5=percentile(differences, 0.05),
        difference_p95=percentile(differences, 0.95),
    )
    return summary, studies


def percentile(ordered: Sequence[float], fraction: float) -> float | None:
    """Return a percentile of ordered values, interpolated between neighbors; None where there are none.

    Examples
    --------
    >>> percentile([0.0, 1.0, 2.0, 3.0], 0.5), percentile([7.0], 0.95)
    (1.5, 7.0)
    """
    if not ordered:
        return None
    place = fraction * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
