"""What an administrator does to queues; every act is in the audit trail."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tbsnode.errors import ConfigError, NotFound, ReviewRefused
from tbsnode.pipeline import acting, release
from tbsnode.store import audit, catalogue, deliveries, work
from tbsnode.store import queue as work_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction

EVERYTHING = work_queue.QueueFilter()
_DELIVER = work.deliver_queue("")


def require_live(site: Site) -> None:
    """Refuse to send in shadow mode."""
    if site.policy.shadow:
        raise ConfigError(
            "The node is in shadow mode: nothing leaves.", remedy='Set [node] mode = "live" first.'
        )


def names(site: Site) -> tuple[str, ...]:
    """Return the names of the queues that the configuration has."""
    deliver = (work.deliver_queue(peer.name) for peer in site.peers)
    return (work.ANALYZE_QUEUE, work.REPORT_QUEUE, *deliver)


def _known(site: Site, tx: Transaction) -> tuple[str, ...]:
    """Return the queues that may be named: of a destination that is gone there may be work, or a pause."""
    held = (name for name in work_queue.counts(tx) if name.startswith(_DELIVER))
    return tuple(dict.fromkeys([*names(site), *held, *work.paused_queues(tx)]))


def _require_known(site: Site, tx: Transaction, wanted: work_queue.QueueFilter) -> None:
    """Refuse a filter that names what is not there: an empty answer would look like good news."""
    if wanted.queue or wanted.destination:
        known = _known(site, tx)
        destinations = [name.removeprefix(_DELIVER) for name in known if name.startswith(_DELIVER)]
        if wanted.queue and wanted.queue not in known:
            raise NotFound(f"There is no queue {wanted.queue}.", remedy=f"There are: {', '.join(known)}.")
        if wanted.destination and wanted.destination not in destinations:
            raise NotFound(
                f"There is no destination {wanted.destination}.",
                remedy=f"There are: {', '.join(destinations) or 'none'}.",
            )
    if wanted.study and catalogue.study_by_uid(tx, wanted.study) is None:
        raise NotFound(
            f"There is no study {wanted.study} here.", remedy="`tbsnode study list` shows those there are."
        )


def queue_list(site: Site, wanted: work_queue.QueueFilter = EVERYTHING) -> tuple[work_queue.QueueRow, ...]:
    """Return the work that has not ended well, or that of one state, as far as it is wanted.

    Raises
    ------
    NotFound
        If a queue, destination or study is wanted that is not there.
    """
    with site.database.read() as tx:
        _require_known(site, tx, wanted)
        return tuple(row for row in work_queue.rows(tx, state=wanted.state or None) if wanted.matches(row))


def queue_retriable(
    site: Site, wanted: work_queue.QueueFilter = EVERYTHING
) -> tuple[work_queue.QueueRow, ...]:
    """Return the work that a retry would make due, as far as it is wanted.

    Raises
    ------
    NotFound
        If a queue, destination or study is wanted that is not there.
    """
    with site.database.read() as tx:
        _require_known(site, tx, wanted)
        rows = [row for row in work_queue.rows(tx, retriable=True) if wanted.matches(row)]
        there = (row for row in rows if not row.queue.startswith(_DELIVER) or row.queue in names(site))
        return tuple(row for row in there if _bar(site, tx, *_parsed(row.id)) is None)


def queue_cancellable(site: Site, wanted: work_queue.QueueFilter) -> tuple[work_queue.QueueRow, ...]:
    """Return the work that could be given up, as far as it is wanted."""
    return tuple(row for row in queue_list(site, wanted) if work_queue.is_cancellable(row))


def _require_destination(site: Site, tx: Transaction, work_id: str) -> None:
    """Refuse a delivery that no worker would ever take."""
    kind, row_id = _parsed(work_id)
    row = deliveries.find_delivery(tx, row_id) if kind == "delivery" else None
    if row is not None and site.peer(row["destination"]) is None:
        raise NotFound(
            f"{work_id} is for {row['destination']}, which is no destination any more.",
            remedy="Name a destination so again, or cancel it and `tbsnode study resend UID`.",
        )


def _bar(site: Site, tx: Transaction, kind: str, row_id: int) -> release.Bar | None:
    """Say why a delivery may not be tried again, if so."""
    if kind != "delivery" or (row := deliveries.find_delivery(tx, row_id)) is None:
        return None
    return release.barred(tx, site.peer(row["destination"]), row)


def queue_count(site: Site) -> dict[str, dict[str, int]]:
    """Return how many rows of each state each queue has."""
    with site.database.read() as tx:
        return work_queue.counts(tx)


def queue_retry(site: Site, ids: Iterable[str], *, dry_run: bool = False) -> tuple[str, ...]:
    """Make work due now; return the IDs for which that was, or would be, possible.

    Raises
    ------
    ReviewRefused
        If one is the delivery of a rejected result, of one that waits for a signature, or of a study in
        quarantine; none is tried then.
    NotFound
        If one is no work of this node, or a delivery to a destination that the configuration does not
        have any more.
    ConfigError
        In shadow mode, where nothing leaves.
    """
    ids = tuple(ids)
    with site.database.read() as tx:
        for work_id in ids:
            _require_there(tx, work_id)
            _require_destination(site, tx, work_id)
            kind, row_id = _parsed(work_id)
            if kind in ("delivery", "commitment"):
                require_live(site)
            if (bar := _bar(site, tx, kind, row_id)) is not None:
                raise ReviewRefused(bar.why, remedy=bar.remedy)
    revive = partial(work_queue.revive, horizon_s=site.policy.retry_horizon_s)
    return tuple(each for each in ids if _acted(site, each, revive, ("retry", "retries"), dry_run=dry_run))


def queue_cancel(site: Site, ids: Iterable[str], *, dry_run: bool = False) -> tuple[str, ...]:
    """Give up waiting work; return the IDs for which that was, or would be, possible.

    Raises
    ------
    NotFound
        If one is no work of this node; nothing is given up then.
    """
    ids = tuple(ids)
    with site.database.read() as tx:
        for work_id in ids:
            _require_there(tx, work_id)
    words = ("cancelled", "cancelled")
    return tuple(each for each in ids if _acted(site, each, work_queue.cancel, words, dry_run=dry_run))


class _Undo(Exception):
    """Ends a transaction that only looked what would be possible."""


def _acted(
    site: Site, work_id: str, act: Callable[..., str | None], words: tuple[str, str], *, dry_run: bool
) -> bool:
    """Do something to one piece of work and write it down; tell whether it was possible."""
    kind, row_id = _parsed(work_id)
    action, verb = words
    uid = None
    with suppress(_Undo), site.database.transaction() as tx:
        uid = act(tx, kind, row_id)
        if dry_run:
            raise _Undo
        if uid is not None:
            told = f"{acting.who()} {verb} {work_id}"
            audit.add_event(tx, f"{kind}.{action}", told, study_instance_uid=uid)
    return uid is not None


def _require_there(tx: Transaction, work_id: str) -> None:
    if not work_queue.is_there(tx, *_parsed(work_id)):
        raise NotFound(f"There is no {work_id} here.", remedy="`tbsnode queue list` shows what there is.")


def _parsed(work_id: str) -> tuple[str, int]:
    kind, _, number = work_id.partition("/")
    if kind not in ("study", "delivery", "commitment", "report") or not number.isdigit():
        raise NotFound(f"{work_id} is no work.", remedy="IDs look like study/12 or delivery/34.")
    return kind, int(number)


def queue_pause(site: Site, queues: Iterable[str], *, dry_run: bool = False) -> None:
    """Take nothing more from queues until they are resumed."""
    _each_queue(
        site, queues, "paused", None if dry_run else partial(work.pause, by=acting.administrator().login)
    )


def queue_resume(site: Site, queues: Iterable[str], *, dry_run: bool = False) -> None:
    """Take from queues again."""
    _each_queue(site, queues, "resumed", None if dry_run else work.resume)


def _each_queue(site: Site, queues: Iterable[str], what: str, act: Callable[..., None] | None) -> None:
    wanted = tuple(queues)
    with site.database.read() as tx:
        known = _known(site, tx)
    for name in wanted:
        if name not in known:
            raise NotFound(f"There is no queue {name}.", remedy=f"There are: {', '.join(known)}.")
    if act is None:
        return
    with site.database.transaction() as tx:
        for name in wanted:
            act(tx, name)
            audit.add_event(tx, f"queue.{what}", f"{acting.who()} {what} {name}")
