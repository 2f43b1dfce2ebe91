"""HTTP for watchers: ``/health``, ``/health/ready``, ``/metrics``. It reads only and names nobody.

Counters and times come from the files that every process of this machine writes; what the tables
know (states, ages, scores by scanner) is asked at each visit.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from tbsnode import __version__
from tbsnode.errors import ConfigError, TbsNodeError
from tbsnode.pipeline import queues
from tbsnode.pipeline.metrics import DIRECTORY_VARIABLE
from tbsnode.pipeline.study_dates import local_day
from tbsnode.store import observed, work
from tbsnode.supervisor import ROLES_VARIABLE

if TYPE_CHECKING:
    from tbsnode.config import Config
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction

log = logging.getLogger(__name__)

_REQUEST_S = 10.0  # a watcher that has not asked and read for so long is hung up on
_MOST_WATCHERS = 32  # at once; each takes a thread, and may ask the database
_CONNECT_S = 2.0
_DATABASE_S = 3.0  # a database that is cut off is noticed later, and a watcher does not wait for that
_SHIFT_S = 600.0  # scores by scanner move slowly, and the question is the dearest


class Watching:
    """The server of one node.

    Parameters
    ----------
    config : Config
        Address to listen on, and where the receiver is.
    site : Site
        Whose tables are asked.

    Raises
    ------
    ConfigError
        From `start`, if the address cannot be bound.
    """

    def __init__(self, config: Config, site: Site) -> None:
        self._address = (config.http.bind, config.http.port)
        own, secured = config.receiver, config.receiver.tls
        clear = () if secured is not None and secured.only else (own.port,)
        self._receiver = (own.bind, (*clear, secured.port) if secured is not None else clear)
        self._site = site
        self._tables = TableCollector(site)
        self._asking = ThreadPoolExecutor(1, "tbsnode-database")
        self._asked: Future[None] | None = None
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen, in a thread of its own."""
        answers = {"/health": self.alive, "/health/ready": self.ready, "/metrics": self.metrics}
        handler = type("Handler", (_Handler,), {"answers": answers})
        try:
            self._server = _Server(self._address, handler)
        except OSError as error:
            raise ConfigError(
                f"HTTP cannot listen on {self._address[0]}:{self._address[1]} ({error.strerror}).",
                remedy="Set [http] bind and port to a free address, or port = 0 for none.",
            ) from error
        threading.Thread(target=self._server.serve_forever, name="tbsnode-http", daemon=True).start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._asking.shutdown(wait=False)

    def alive(self) -> Answer:
        """Say that this process answers."""
        return _json(HTTPStatus.OK, {"status": "alive", "version": __version__})

    def ready(self) -> Answer:
        """Say whether a study that arrives now would be taken and worked on.

        A paused queue is told and counts as ready: an administrator wants it so, and senders lose nothing.
        """
        checks = self._checks()
        well = not any(checks.values())
        checks["queues"] = "not known" if checks["database"] else self._paused()
        told = {name: problem or "ok" for name, problem in checks.items()}
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, {"status": "ready" if well else "not ready", "checks": told})

    def _checks(self) -> dict[str, str]:
        checks = {"database": self._check_database(), "archive": self._check_archive()}
        if "receive" in os.environ.get(ROLES_VARIABLE, "receive").split():
            checks["receiver"] = self._check_receiver()
        return checks

    def metrics(self) -> Answer:
        """Return everything that is counted, in the text format of Prometheus."""
        if problem := self._check_database():
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": problem})
        registry = CollectorRegistry()
        if os.environ.get(DIRECTORY_VARIABLE):
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(self._tables)
        registry.register(_Readiness(self._checks))
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)

    def _check_database(self) -> str:
        """Say what is wrong with it, or that it does not answer; who asks meanwhile waits for the same."""
        asked = self._asked
        if asked is None or asked.done():
            asked = self._asked = self._asking.submit(self._site.database.ping)
        try:
            asked.result(timeout=_DATABASE_S)
        except TimeoutError:
            return f"The database gives no answer within {_DATABASE_S:.0f} s."
        except TbsNodeError as error:
            return error.message
        return ""

    def _check_archive(self) -> str:
        policy = self._site.policy
        try:
            self._site.archive.require_space(policy.min_free_bytes, policy.min_free_fraction)
        except TbsNodeError as error:
            return f"{error.message} Senders get 0xA700."
        return ""

    def _check_receiver(self) -> str:
        bind, ports = self._receiver
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104
        for port in ports:
            try:
                socket.create_connection((host, port), timeout=_CONNECT_S).close()
            except OSError:
                return f"nobody listens on port {port}"
        return ""

    def _paused(self) -> str:
        """Say which queues are paused; who wanted it is not for everybody who may ask here."""
        try:
            with self._site.database.read() as tx:
                pauses = work.pauses(tx)
        except TbsNodeError:  # away since it was asked whether it is there
            return "not known"
        since = ", ".join(f"{pause.queue} since {_minute(pause.paused_at)}" for pause in pauses)
        return f"paused: {since}; `tbsnode queue resume` goes on" if pauses else ""


Answer = tuple[HTTPStatus, str, bytes]


def _json(status: HTTPStatus, value: object) -> Answer:
    return status, "application/json", json.dumps(value).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    """Serves a few watchers at once, and none of them for long: whoever may ask here proves nothing."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._due: dict[socket.socket, float] = {}  # watchers, and when they are hung up on
        super().__init__(address, handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take a watcher unless there are too many."""
        if len(self._due) >= _MOST_WATCHERS:
            return False
        self._due[request] = time.monotonic() + _REQUEST_S
        return True

    def shutdown_request(self, request: Any) -> None:
        """Forget a watcher and close its connection."""
        self._due.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Hang up on those that take too long: a byte now and then is no question."""
        now = time.monotonic()
        for request, due in list(self._due.items()):
            if due < now:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what failed without its message; a watcher that hung up is nobody's concern."""
        kind = sys.exc_info()[0]
        if kind is not None and not issubclass(kind, OSError):
            log.error("a watcher got no answer: %s", kind.__name__, extra={"action": "http.failed"})


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of the known paths, nothing else."""

    answers: dict[str, Callable[[], Answer]]
    timeout = _REQUEST_S
    server_version = "tbsnode"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        make = self.answers.get(self.path.partition("?")[0])
        if make is None:
            known = ", ".join(self.answers)
            status, kind, data = _json(HTTPStatus.NOT_FOUND, {"error": f"There is: {known}."})
        else:
            try:
                status, kind, data = make()
            except TbsNodeError as error:
                status, kind, data = _json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": error.message})
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a watcher asks all day."""


class _Readiness(Collector):
    """The answer of ``/health/ready`` as numbers: a disk below its watermark, a port without receiver."""

    def __init__(self, checks: Callable[[], dict[str, str]]) -> None:
        self._checks = checks

    def collect(self) -> Iterable[Metric]:
        """Yield one family."""
        told = "1 where a study that arrives now would be taken, as far as this check sees; else 0."
        values = {name: float(not problem) for name, problem in self._checks().items()}
        yield _by_one("tbsnode_ready", told, "check", values)


class TableCollector(Collector):
    """What the tables know, asked when a watcher asks.

    Parameters
    ----------
    site : Site
        Whose tables.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._shifts: tuple[float, tuple[observed.Shift, ...]] = (float("-inf"), ())

    def collect(self) -> Iterable[Metric]:
        """Yield one family after the other."""
        yield InfoMetricFamily("tbsnode", "Which node this is.", value={"version": __version__})
        with self._site.database.read() as tx:
            shifts = self._score_shifts(tx)
            yield _counts("tbsnode_studies", "Studies.", ("state", "reason"), observed.studies(tx))
            yield _counts("tbsnode_results", "Reported results.", ("status", "reason"), observed.results(tx))
            sent = observed.deliveries(tx)
            yield _counts("tbsnode_deliveries", "Deliveries.", ("destination", "state"), sent)
            unsent = {peer.name: 0.0 for peer in self._site.peers} | observed.oldest_unsent(tx)
            told = "Age of the oldest result that a destination has not got."
            yield _by_one("tbsnode_oldest_unsent_seconds", told, "destination", unsent)
            told = "Age of the oldest study that is due and not analyzed."
            yield GaugeMetricFamily("tbsnode_oldest_waiting_seconds", told, observed.oldest_waiting(tx))
            paused = dict.fromkeys(queues.names(self._site), 0.0)
            paused |= dict.fromkeys(work.paused_queues(tx), 1.0)
            yield _by_one("tbsnode_queue_paused", "1 where a queue is paused.", "queue", paused)
            last = observed.last_received(tx)
            now = local_day(tx.now)
            waiting = observed.unsealed_events(tx)
        yield GaugeMetricFamily("tbsnode_audit_unsealed", "Events not in the audit chain yet.", waiting)
        told = "When a scanner last sent something."
        yield _by_one("tbsnode_scanner_last_received_timestamp_seconds", told, "scanner", last)
        quiet = {name: float(working_days(local_day(at), now)) for name, at in last.items()}
        told = "Whole working days (Monday to Friday) without anything from a scanner."
        yield _by_one("tbsnode_scanner_quiet_working_days", told, "scanner", quiet)
        told = "Median texture slope of the last 30 days less that of the half year before."
        moved = {shift.scanner: shift.difference for shift in shifts}
        yield _by_one("tbsnode_scanner_score_shift", told, "scanner", moved)
        free = self._site.archive.free_bytes()
        yield GaugeMetricFamily("tbsnode_archive_free_bytes", "Free space of the archive.", free)

    def _score_shifts(self, tx: Transaction) -> tuple[observed.Shift, ...]:
        asked_at, shifts = self._shifts
        if time.monotonic() - asked_at > _SHIFT_S:
            shifts = observed.score_shifts(tx)
            self._shifts = (time.monotonic(), shifts)
        return shifts


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def working_days(after: date, until: date) -> int:
    """Count the working days strictly between two days.

    Examples
    --------
    >>> working_days(date(2026, 11, 20), date(2026, 11, 23))  # Friday to Monday
    0
    >>> working_days(date(2026, 11, 18), date(2026, 11, 25))  # Wednesday to Wednesday
    4
    """
    between = (after + timedelta(days=number) for number in range(1, (until - after).days))
    return sum(day.weekday() < 5 for day in between)


def _counts(name: str, told: str, labels: tuple[str, str], counted: dict[tuple[str, str], int]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for values, number in sorted(counted.items()):
        family.add_metric(values, number)
    return family


def _by_one(name: str, told: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family


def make(config: Config, site: Site) -> Watching:
    """Return the server of a configuration."""
    return Watching(config, site)
