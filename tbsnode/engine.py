"""The engine: due rows become durable workflows, and nobody's work is lost with its process.

DBOS is the motor; our tables are the truth. The scanner takes due rows and enqueues one workflow a
ticket in the same transaction. A workflow does its work in one piece and waits for nothing: a retry
is a row with a later `next_try_at`. The reconciler is the same scan over rows that are out: where
the workflow is gone, the row gets another attempt. Leases say which executors live, because the
open-source DBOS moves a dead worker's workflows to nobody; ours hands them to a living one.

Workflows have no steps on purpose: what they do is at-least-once with derived names, and one guarded
transaction at its end decides. This module holds the package's only catch-all.
"""

from __future__ import annotations

import fcntl
import json
import logging
import threading
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dbos import DBOS, DBOSClient, DBOSConfig
from dbos import Serializer as DbosSerializer
from dbos._serialization import DefaultSerializer as DbosPickles

from tbsnode.errors import ResourceError, TbsNodeError, describe
from tbsnode.model import DeliveryState, StudyState
from tbsnode.pace import PERIOD_S, Pace
from tbsnode.pipeline import housekeeping, metrics, workers
from tbsnode.pipeline.turns import Turns, die
from tbsnode.store import audit, audit_chain, clock, work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import IO

    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Database

log = logging.getLogger(__name__)

APPLICATION_NAME = "tbsnode"
APPLICATION_VERSION = "1"  # constant: a hash of the sources would strand what waits at an upgrade
_MAX_RECOVERY_ATTEMPTS = 5
_MAX_MISHAPS = 5
_RECONCILE_S = 5.0
_FORGET_S, _FORGET_MORE_S = 3600.0, 10.0
_FORGOTTEN = 500  # at once; a bulk run of an archive leaves hundreds of thousands
_HISTORY = timedelta(days=7)
_BATCH = 50
_ASKED = 1000  # workflows in one question; a statement takes 65,535 values on PostgreSQL, fewer on SQLite
_ENDED = ["SUCCESS", "ERROR", "CANCELLED"]


class JsonSerializer(DbosSerializer):
    """Store arguments as JSON: whoever can write the database cannot run code in a worker."""

    def serialize(self, data: Any) -> str:
        """Return JSON; an exception becomes the name of its class."""
        return json.dumps(data, default=lambda value: {"type": type(value).__name__})

    def deserialize(self, serialized_data: str) -> Any:
        """Return the value."""
        return json.loads(serialized_data)


# DBOS reads a row as the row itself says, also as a pickle: such a row is no JSON, and ends as an error.
DbosPickles.deserialize = JsonSerializer.deserialize  # type: ignore[method-assign,assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How one executor runs.

    Attributes
    ----------
    executor_id : str
        Fixed for its worker slot, so that a restart recovers its own work at once.
    queues : mapping of str to float
        What it works on (``"analyze"``, ``"deliver:<name>"``), each with the time between two looks [s]
        while work is at hand.
    concurrency : int
        Workflows of one queue at once in this process.
    scan_lock : Path
        Lock file that lets one process of this machine scan.
    lease_s : float
        How long an executor counts as alive after its last sign of life.
    scan_s : float
        Period of the scanner [s].
    """

    executor_id: str
    queues: Mapping[str, float]
    concurrency: int
    scan_lock: Path
    lease_s: float = 30.0
    scan_s: float = 0.1


def dbos_url(database: Database) -> str:
    """Return the database's address in the form that DBOS takes."""
    return database.url.replace("postgresql+psycopg://", "postgresql://")


def migrate(database: Database) -> None:
    """Bring the engine's own tables up to date."""
    DBOS.migrate(dbos_url(database))


@dataclass(slots=True)
class _Running:
    """The one executor of this process; the workflow function finds its site here."""

    site: Site | None = None
    in_hand: list[str] = field(default_factory=list)  # workflows; one may be run twice at a time


_running = _Running()


@DBOS.workflow(name="ticket", max_recovery_attempts=_MAX_RECOVERY_ATTEMPTS)  # type: ignore[untyped-decorator,unused-ignore]
def _ticket(kind: str, row_id: int, attempt: int, queue: str) -> None:
    """Work on one ticket; IDs only, never a patient's data, are its arguments."""
    site = _running.site
    assert site is not None, "a workflow runs only in a started engine"
    ticket = work.Ticket(kind, row_id, attempt, queue)
    _running.in_hand.append(ticket.workflow_id)
    try:
        perform(site, ticket)
    finally:
        _running.in_hand.remove(ticket.workflow_id)


def perform(site: Site, ticket: work.Ticket) -> None:
    """Do the work of a ticket; whatever goes wrong ends in its row.

    Raises
    ------
    DatabaseUnavailable
        If not even that could be written; the reconciler finds the row later.
    """
    try:
        with metrics.timed_work(ticket.kind):
            workers.work_of(ticket.kind)(site, ticket)
        if ticket.kind == "delivery":
            metrics.delivered(site, ticket)
    except Exception as error:  # noqa: BLE001  the one place that catches everything
        _mishap(site, ticket, error)


def _mishap(site: Site, ticket: work.Ticket, error: Exception) -> None:
    """Put an error where an administrator sees it, and try again where that can help."""
    text = describe(error)
    if not isinstance(error, TbsNodeError):
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("%s in %s\n%s", text, ticket.workflow_id, frames, extra={"action": "job.mishap"})
    with site.database.transaction() as tx:
        tries = work.tries_of(tx, ticket)
        lasting = not isinstance(error, ResourceError) and tries >= _MAX_MISHAPS
        delay_s = min(600.0, 5.0 * 2 ** min(max(tries - 1, 0), 8))
        if isinstance(error, TbsNodeError) and not error.retryable:
            lasting = True
        if lasting:
            failed = StudyState.FAILED if ticket.kind == "study" else DeliveryState.FAILED
            ended = work.finish(tx, ticket, failed, last_error=text)
            text += "; `tbsnode queue retry` runs it again"
        else:
            ended = work.postpone(tx, ticket, delay_s=delay_s, error=text)
            text += f"; again in {delay_s:.0f} s"
        if ended:
            uid = work.study_uid_of(tx, ticket)
            audit.add_event(tx, f"{ticket.kind}.mishap", text, study_instance_uid=uid)
    if ended:
        extra = {"action": f"{ticket.kind}.mishap", "study_instance_uid": uid}
        log.log(
            logging.ERROR if lasting else logging.WARNING, "%s: %s", ticket.workflow_id, text, extra=extra
        )


class Engine:
    """One executor: listens to its queues, scans when nobody else on this machine does.

    Parameters
    ----------
    site : Site
        What workflows work with.
    settings : EngineSettings
        Identity, queues and periods.
    """

    def __init__(self, site: Site, settings: EngineSettings) -> None:
        self.site = site
        self.settings = settings
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._client: DBOSClient | None = None

    def start(self) -> None:
        """Take the first lease, launch DBOS and start scanning."""
        _running.site = self.site
        workers.load(self.settings.queues)
        with self.site.database.transaction() as tx:
            work.renew_lease(tx, self.settings.executor_id, ttl_s=self.settings.lease_s)
        config: DBOSConfig = {
            "name": APPLICATION_NAME,
            "system_database_url": dbos_url(self.site.database),
            "system_database_engine": self.site.database.server_engine,
            "executor_id": self.settings.executor_id,
            "application_version": APPLICATION_VERSION,
            "run_migrations": False,
            "serializer": JsonSerializer(),
            "log_level": "WARNING",
            "console_log_level": "WARNING",
            "enable_otlp": False,
        }
        DBOS(config=config)
        DBOS.listen_queues(list(self.settings.queues))
        DBOS.launch()
        for queue, poll_s in self.settings.queues.items():
            DBOS.register_queue(
                queue,
                worker_concurrency=self.settings.concurrency,
                polling_interval_sec=poll_s,
                on_conflict="always_update",
            )
        self._client = DBOSClient(
            system_database_url=dbos_url(self.site.database),
            system_database_engine=self.site.database.server_engine,
            serializer=JsonSerializer(),
            application_name=APPLICATION_NAME,
        )
        scanner = _Scanner(self.site, self.settings, self._client)
        self._spawn("scanner", scanner.scan, self.settings.scan_s)
        self._spawn("pace", Pace(self.site.database, self.settings.queues).follow, PERIOD_S)
        self._spawn("leases", _Leases(self.site, self.settings).renew, self.settings.lease_s / 3)
        housekeeping.start(self.site, self._stop, holds=lambda: scanner.lock is not None)

    def stop(self, *, patience_s: int = 20) -> None:
        """Finish what runs, leave the rest to others."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=patience_s)
        DBOS.destroy(workflow_completion_timeout_sec=patience_s)
        if self._client is not None:
            self._client.destroy()
        _running.site = None

    def _spawn(self, name: str, turn: Callable[[], None], period_s: float) -> None:
        turns = Turns(name, turn)

        def loop_or_die() -> None:
            try:
                while not self._stop.wait(period_s):
                    turns.take()
            finally:
                if not self._stop.is_set():
                    die(name)

        thread = threading.Thread(target=loop_or_die, name=f"tbsnode-{name}", daemon=True)
        thread.start()
        self._threads.append(thread)


@dataclass(slots=True)
class _Scanner:
    """Takes due rows, looks after those that are out, forgets finished workflows."""

    site: Site
    settings: EngineSettings
    client: DBOSClient
    lock: IO[bytes] | None = None
    turn: int = 0
    forget_at: int = 0
    steps: clock.Steps = field(default_factory=clock.Steps)

    def scan(self) -> None:
        """Enqueue what is due; now and then look for what got lost."""
        if not self._holds_lock():
            return
        with self.site.database.read() as tx:
            due, step_s = work.is_due(tx), self.steps.back(tx)
        if step_s:
            clock.set_back(self.site.database, step_s)
        if due:
            self._take()
        self.turn += 1
        if self.turn % max(1, round(_RECONCILE_S / self.settings.scan_s)) == 1:
            self._reconcile()
            audit_chain.catch_up(self.site.database)
        self._forget()

    def _holds_lock(self) -> bool:
        """Be the only scanner on this machine; the lock goes with the process that held it."""
        if self.lock is not None:
            return True
        self.settings.scan_lock.parent.mkdir(parents=True, exist_ok=True)
        candidate = self.settings.scan_lock.open("ab")
        try:
            fcntl.flock(candidate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            candidate.close()
            return False
        self.lock = candidate
        return True

    def _take(self) -> None:
        with self.site.database.transaction() as tx:
            for ticket in work.take_due(tx, limit=_BATCH):
                self.client.enqueue_in_transaction(
                    tx.connection,
                    {
                        "workflow_name": "ticket",
                        "queue_name": ticket.queue,
                        "workflow_id": ticket.workflow_id,
                        "app_version": APPLICATION_VERSION,
                    },
                    ticket.kind,
                    ticket.row_id,
                    ticket.attempt,
                    ticket.queue,
                )

    def _reconcile(self) -> None:
        with self.site.database.read() as tx:
            out = work.at_work(tx, untouched_for_s=_RECONCILE_S)
        for start in range(0, len(out), _ASKED):
            some = out[start : start + _ASKED]
            known = self.client.list_workflows(
                workflow_ids=[ticket.workflow_id for ticket in some], load_input=False, load_output=False
            )
            status = {workflow.workflow_id: workflow.status for workflow in known}
            for ticket in some:
                found = status.get(ticket.workflow_id, "gone")
                if found not in ("ENQUEUED", "PENDING", "DELAYED"):
                    self._put_right(ticket, found)

    def _put_right(self, ticket: work.Ticket, found: str) -> None:
        with self.site.database.transaction() as tx:
            if not work.can_lock(tx, ticket):
                return  # somebody is at it; the scanner must not wait for one row
            if found == "MAX_RECOVERY_ATTEMPTS_EXCEEDED" or work.tries_of(tx, ticket) > 4 * _MAX_MISHAPS:
                failed = StudyState.FAILED if ticket.kind == "study" else DeliveryState.FAILED
                text = f"stopped its worker {_MAX_RECOVERY_ATTEMPTS} times"
                changed = work.finish(tx, ticket, failed, last_error=text)
            else:
                text = f"its workflow was {found}; tried again"
                changed = work.postpone(tx, ticket, delay_s=0.0, error=text)
            if changed:
                uid = work.study_uid_of(tx, ticket)
                audit.add_event(tx, f"{ticket.kind}.reconciled", text, study_instance_uid=uid)

    def _forget(self) -> None:
        """Forget workflows that ended long ago, hourly; while there are many, a portion every few seconds."""
        if self.turn < self.forget_at:
            return
        before = (datetime.now(UTC) - _HISTORY).isoformat()
        old = self.client.list_workflows(
            status=_ENDED, completed_before=before, limit=_FORGOTTEN, load_input=False, load_output=False
        )
        if old:
            self.client.delete_workflows([workflow.workflow_id for workflow in old])
        again_s = _FORGET_S if len(old) < _FORGOTTEN else _FORGET_MORE_S
        self.forget_at = self.turn + max(1, round(again_s / self.settings.scan_s))


@dataclass(slots=True)
class _Leases:
    """Says that we live, and takes over the work of executors that do not."""

    site: Site
    settings: EngineSettings
    suspects: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def renew(self) -> None:
        """Renew our lease; an executor found dead on two passes loses its workflows to us."""
        with self.site.database.transaction() as tx:
            work.renew_lease(tx, self.settings.executor_id, ttl_s=self.settings.lease_s)
            live = work.live_executors(tx)
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        orphaned = {workflow.executor_id for workflow in pending if workflow.executor_id} - live
        for executor_id in orphaned & self.suspects:
            log.warning("recovering the work of %s", executor_id, extra={"action": "executor.recovered"})
            DBOS._recover_pending_workflows([executor_id])
        self.suspects = orphaned
        own = {each.workflow_id for each in pending if each.executor_id == self.settings.executor_id}
        self._cancel_unknown(own - set(_running.in_hand))

    def _cancel_unknown(self, unknown: set[str]) -> None:
        """Cancel what we are said to have and have not, on two passes: the reconciler tries it again.

        We had ended it, and a standby that had not heard of that has taken over.
        """
        for workflow_id in unknown & self.unknown:
            log.warning("%s is not in hand", workflow_id, extra={"action": "workflow.unknown"})
            DBOS.cancel_workflow(workflow_id)
        self.unknown = unknown
