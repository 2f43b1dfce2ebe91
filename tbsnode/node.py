"""The wiring: configuration to archive, database, peers and executors. No decisions."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
import uuid
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tbsnode import __version__
from tbsnode.dicom import uids
from tbsnode.dicom.hints import ScannerHints
from tbsnode.errors import ConfigError
from tbsnode.model import Peer, Reviewer, TlsFiles
from tbsnode.pipeline.site import CallerTiming, HintRule, Notify, Policy, Site
from tbsnode.store import work
from tbsnode.store.archive import Archive
from tbsnode.store.database import Database
from tbsnode.tbs import reference
from tbsnode.tbs.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO

    from tbsnode.config import Caller, Config, ScannerHint
    from tbsnode.config.sections import Tls
    from tbsnode.engine import Engine

log = logging.getLogger(__name__)

# Between two looks at a queue while work is at hand; see `pace`.
_ANALYZE_POLL_S = 0.05  # a worker that has ended a study waits for this
_DELIVER_POLL_S, _LONGEST_POLL_S = 0.1, 1.0
_REPORT_POLL_S = 0.5


@contextmanager
def open_site(config: Config, *, owner: str = "command") -> Iterator[Site]:
    """Open archive and database for the pipeline, and close them at the end.

    Parameters
    ----------
    config : Config
        The configuration.
    owner : str
        Whose unfinished files in the archive are ours: a worker slot, or any command.

    Raises
    ------
    SchemaOutdated
        If the database is not at this version's schema; the remedy is in the message.
    DatabaseUnavailable
        If it does not answer.
    """
    database = Database(config.database.url)
    try:
        database.require_current()
        archive = Archive(config.archive.path, owner)
        archive.prepare()
        yield Site(
            database=database,
            archive=archive,
            peers=peers(config),
            policy=policy(config),
            callers=reported_callers(config),
        )
    finally:
        database.dispose()


def peers(config: Config) -> tuple[Peer, ...]:
    """Return the destinations as the network layer takes them."""
    return tuple(
        Peer(
            name=destination.name,
            ae_title=destination.ae_title,
            host=destination.host,
            port=destination.port,
            calling_ae_title=config.node.ae_title,
            send=destination.send,
            sr_class=destination.sr_class,
            release=destination.release,
            commitment=destination.commitment,
            tls=_tls_of(destination.tls, verify_host=destination.tls is None or destination.tls.verify_host),
            wait_for_study_s=destination.wait_for_study_s,
        )
        for destination in config.destinations
    )


def _tls_of(own: Tls | None, *, verify_host: bool) -> TlsFiles | None:
    if own is None:
        return None
    return TlsFiles(certificate=own.certificate, key=own.key, ca=own.ca, verify_host=verify_host)


def reported_callers(config: Config) -> tuple[Peer, ...]:
    """Return the callers that get reports of storage commitment at a port of theirs.

    A network or any host is left blank: such a caller is reported to at the address it calls from. One
    that is a destination with TLS listens at that port for TLS and nothing else; another one with
    `port_tls` is called with our own certificate. Where no host is written, none can be in its.
    """
    secured = {(peer.ae_title, peer.port): peer for peer in peers(config) if peer.tls is not None}
    found = []
    for caller in config.receiver.callers:
        if caller.port is None:
            continue
        same = secured.get((caller.ae_title, caller.port))
        written = "" if caller.host == "*" or "/" in caller.host else caller.host
        reports = _tls_of(config.receiver.tls if caller.port_tls else None, verify_host=bool(written))
        found.append(
            Peer(
                name=caller.ae_title,
                ae_title=caller.ae_title,
                host=same.host if same is not None else written,
                port=caller.port,
                calling_ae_title=config.node.ae_title,
                tls=same.tls if same is not None else reports,
            )
        )
    return tuple(found)


def policy(config: Config) -> Policy:
    """Return what the site decided, as the pipeline takes it."""
    return replace(
        _policy_of_work(config),
        threshold_set=config.interpretation.threshold_set,
        reference_file=reference_file(config),
        frax_adjustment=config.interpretation.frax_adjustment,
        reviewers=_reviewers(config),
        page_size=config.report.page_size,
        priors_from=config.priors.destination,
        priors_most=config.priors.most,
        priors_timeout_s=config.priors.timeout_s,
        institution=config.site.name,
        clearance=config.site.clearance,
        coding=config.coding.enabled,
    )


def _policy_of_work(config: Config) -> Policy:
    """Return the part that is about receiving, measuring, sending and keeping."""
    serial = config.site.serial_number or f"{config.node.ae_title}@{socket.gethostname()}"[:64]
    return Policy(
        ae_title=config.node.ae_title,
        serial_number=serial,
        device_uid=uids.device_uid(serial),
        version=__version__,
        shadow=config.node.mode == "shadow",
        report_refusals=config.analysis.report_refusals,
        refusal_pause_after=config.analysis.refusal_pause_after,
        workers=config.analysis.workers,
        timing=CallerTiming(
            quiet_s=config.completion.quiet_s, after_release_s=config.completion.after_release_s
        ),
        timing_of={caller.ae_title: _timing(caller, config) for caller in config.receiver.callers},
        settle_s=config.completion.settle_s,
        when=config.selection.when,
        order_codes=config.selection.order_codes,
        max_study_age_days=config.selection.max_study_age_days,
        phantom_patient_ids=config.selection.phantom_patient_ids,
        min_free_bytes=config.archive.min_free_bytes,
        min_free_fraction=config.archive.min_free_percent / 100,
        retry_first_s=config.delivery.retry_first_s,
        retry_cap_s=config.delivery.retry_cap_s,
        retry_horizon_s=config.delivery.retry_hours * 3600,
        commitment_timeout_s=config.delivery.commitment_timeout_hours * 3600,
        hint_rules=tuple(_hint_rule(hint) for hint in config.scanners),
        parameters=Parameters(exclusion_policy=config.analysis.exclusion_policy),
        retention_days=config.retention.days,
        keep_priors_years=config.retention.keep_priors_years,
        notify=_notify(config),
    )


def _notify(config: Config) -> Notify | None:
    told = config.notify
    if not told.webhook:
        return None
    own = config.receiver.tls
    certificates = [("receiver", own.certificate)] if own is not None else []
    certificates += [
        (destination.name, destination.tls.certificate)
        for destination in config.destinations
        if destination.tls is not None
    ]
    return Notify(
        webhook=told.webhook,
        token_file=told.token_file,
        interval_s=told.interval_s,
        unsent_after_s=told.unsent_minutes * 60,
        certificates=tuple(certificates),
    )


def _reviewers(config: Config) -> tuple[Reviewer, ...]:
    return tuple(
        Reviewer(login=one.login, name=one.name, organization=one.organization)
        for one in config.interpretation.reviewers
    )


def reference_file(config: Config) -> Path | None:
    """Return the site's own curve, read once so that a mistake in it stops the start, not a study."""
    path = config.interpretation.reference_file
    try:
        reference.reference_curve(path)
    except reference.ReferenceDataError as error:
        raise ConfigError(
            f"[interpretation] reference_file: {error}", remedy="Mend the file or remove the key."
        ) from error
    return path


def _timing(caller: Caller, config: Config) -> CallerTiming:
    own, usual = caller, config.completion
    return CallerTiming(
        quiet_s=usual.quiet_s if own.quiet_s is None else own.quiet_s,
        after_release_s=usual.after_release_s if own.after_release_s is None else own.after_release_s,
    )


def _hint_rule(hint: ScannerHint) -> HintRule:
    return HintRule(
        manufacturer=hint.manufacturer,
        model_name=hint.model,
        device_serial_number=hint.serial,
        hints=ScannerHints(linear=hint.linear, pixel_spacing_mm=hint.pixel_spacing_mm),
    )


def upgrade(config: Config, *, idle: bool = False, told: Callable[[str], None] = lambda _: None) -> None:
    """Bring the catalogue and the engine's own tables up to date; `told` gets a line before what may last.

    Raises ConfigError where there is something to do and a node runs, which would go on with tables that
    it does not know; unless nobody is known to work with the database (`idle`).
    """
    from tbsnode import engine

    database = Database(config.database.url)
    try:
        current = database.current_revision()
        refuses = not idle and current is not None and current < database.head_revision()
        with _stopped(config.node.state, shared=True) if refuses else nullcontext():
            if refuses:
                work.require_no_executor(database)
            database.upgrade(told=told)
            engine.migrate(database)
    finally:
        database.dispose()


def move(config: Config, target: Config, *, told: Callable[[str, int], None]) -> int:
    """Copy every row into another, empty database; return how many.

    Raises
    ------
    ConfigError
        If the node runs, or the target has rows.
    """
    from tbsnode.store import moving

    with _stopped(config.node.state):
        upgrade(config, idle=True)
        upgrade(target, idle=True)
        source, new = Database(config.database.url), Database(target.database.url)
        try:
            work.require_no_executor(source)
            return moving.copy_rows(source, new, told=told)
        finally:
            source.dispose()
            new.dispose()


@contextmanager
def _stopped(state: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the locks of all slots, alone or shared with other commands; refuse where one is worked in."""
    folder = state / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    names = {"receive-0", "scanner"} | {path.name for path in folder.iterdir()} - {"metrics"}
    with ExitStack() as held:
        try:
            for name in sorted(names):
                lock = held.enter_context((folder / name).open("ab"))
                fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError("The node is running.", remedy="Stop `tbsnode serve` first.") from error
        yield


# ---- what a child process runs ------------------------------------------------------------------


def load_engine(role: str) -> None:
    """Load what an executor of a role needs, so that its first ticket does not wait for it."""
    from tbsnode import engine  # noqa: F401
    from tbsnode.pipeline import workers

    workers.load([work.ANALYZE_QUEUE if role == "analyze" else work.REPORT_QUEUE])


def make_engine(config: Config, site: Site, *, role: str, slot: int) -> Engine:
    """Build the executor of one worker slot: ``"analyze"`` or ``"deliver"``."""
    from tbsnode.engine import Engine, EngineSettings

    queues = {work.ANALYZE_QUEUE: _ANALYZE_POLL_S}
    if role == "deliver":
        queues = deliver_queues([peer.name for peer in site.peers])
    return Engine(
        site,
        EngineSettings(
            executor_id=f"{node_id(config.node.state)}/{role}-{slot}",
            queues=queues,
            concurrency=1 if role == "analyze" else 2,
            scan_lock=config.node.state / "locks" / "scanner",
            lease_s=config.engine.lease_s,
        ),
    )


def deliver_queues(destinations: Sequence[str]) -> dict[str, float]:
    """Return the queues of a sender, each with the time between two looks [s].

    A look costs 3 ms of processor time. With many destinations each is looked after less often.

    Examples
    --------
    >>> deliver_queues(["pacs", "archive"])
    {'deliver:pacs': 0.2, 'deliver:archive': 0.2, 'report': 0.5}
    """
    poll_s = min(_DELIVER_POLL_S * len(destinations), _LONGEST_POLL_S)
    return {work.deliver_queue(name): poll_s for name in destinations} | {work.REPORT_QUEUE: _REPORT_POLL_S}


def node_id(state: Path) -> str:
    """Return the identity of this state folder, made once: executors of several nodes differ by it."""
    path = state / "node-id"
    if not path.exists():
        state.mkdir(parents=True, exist_ok=True)
        draft = state / f"node-id.{os.getpid()}.{threading.get_ident()}"
        draft.write_text(uuid.uuid4().hex[:12])
        try:
            os.link(draft, path)  # the first of several processes decides
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def hold_slot(state: Path, role: str, slot: int) -> IO[bytes]:
    """Wait for the lock of a worker slot and hold it as long as this process lives.

    Two processes of one slot would share an executor ID, and each would take the other's running
    work for its own that a crash left behind.
    """
    folder = state / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = (folder / f"{role}-{slot}").open("ab")
    except OSError as error:
        raise ConfigError(
            f"The state folder {state} cannot be written ({error.strerror}).",
            remedy="Give the account of the node write access to it, or set [node] state.",
        ) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.warning(
            "%s-%d waits: another process of the same state folder is %s-%d. If that is no restart,"
            " another `serve` uses this configuration: stop one of the two.",
            role,
            slot,
            role,
            slot,
            extra={"action": f"{role}.waiting"},
        )
        fcntl.flock(held, fcntl.LOCK_EX)
    return held
