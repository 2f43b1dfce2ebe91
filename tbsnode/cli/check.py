"""``tbsnode check``: what must be right before `serve`, one line each, the remedy beside a failure.

Every check runs, whatever the others found; only a configuration that cannot be read ends it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbsnode.cli import (
    check_calibrations,
    check_commitment,
    check_ports,
    check_queues,
    check_refusals,
    check_tls,
    check_webhook,
    options,
    output,
)
from tbsnode.cli.check_line import Line, failed
from tbsnode.errors import ConfigError, InvalidConfiguration, PeerError, ResourceError

if TYPE_CHECKING:
    from tbsnode.config import Config
    from tbsnode.model import Peer
    from tbsnode.store.archive import Archive
    from tbsnode.store.database import Transaction

# no clock was right before this version existed; a scanner or PACS may be a minute off, not more
_VERSION_MADE_AT = 1_767_225_600.0  # 2026-01-01 UTC
_CLOCK_TOLERANCE_S = 60.0
_WITHDRAWAL = "withdrawals"
_NOBODYS_STUDY = "2.25.0"
_ALLOW_QUERY = "Ask its administrator to allow C-FIND (Study Root) to us."


GoLive = Annotated[
    bool,
    typer.Option("--go-live", help="Also list the last 20 studies and send documents of a test patient."),
]


def check(
    *, go_live: GoLive = False, as_json: options.AsJson = False, config: options.ConfigFile = None
) -> None:
    """Look at everything that `serve` needs, and say what to do about what is wrong.

    Configuration, database, archive, port, clock, and every destination: is it there, does it take
    our SR and PDF? Exit 0 if all is well, else the code of the first failure.
    """
    lines = []
    for line in _lines(config):
        lines.append(line)
        if not as_json:
            typer.echo(f"{'OK  ' if line.ok else 'FAIL'}  {line.what}: {line.text}")
            if line.remedy:
                typer.echo(f"      -> {line.remedy}")
    told: dict[str, Any] = {"ok": all(line.ok for line in lines), "checks": [_told(line) for line in lines]}
    exit_code = next((line.exit_code for line in lines if not line.ok), 0)
    if go_live:
        told["go_live"] = _go_live(config, checks_ok=told["ok"], silent=as_json)
        exit_code = exit_code or (0 if told["go_live"] and told["go_live"]["ready"] else 1)
    if as_json:
        output.as_json(told)
    raise typer.Exit(exit_code)


def _told(line: Line) -> dict[str, Any]:
    return {"what": line.what, "ok": line.ok, "text": line.text, "remedy": line.remedy or None}


def _go_live(config_file: Path | None, *, checks_ok: bool, silent: bool) -> dict[str, Any] | None:
    """Take the last look before results leave; None where a check has said why that cannot be."""
    from tbsnode.cli import go_live

    try:
        config = options.load(config_file)
        found = go_live.look(config)
    except (ConfigError, ResourceError):
        return None
    if not silent:
        go_live.say(found, config, checks_ok=checks_ok)
    return go_live.as_json(found, config, checks_ok=checks_ok)


def _lines(config_file: Path | None) -> Iterator[Line]:
    from tbsnode import config as configuration

    path = configuration.find(config_file)
    try:
        config = options.load(path)
    except InvalidConfiguration as error:
        for mistake in error.mistakes:
            key = " = ".join(part for part in (mistake.key, mistake.value) if part)
            what = f"configuration {key}".strip()
            yield Line(what, mistake.problem, mistake.remedy, error.exit_code)
        return
    sending = "results are sent" if config.node.mode == "live" else "shadow mode, nothing is sent"
    yield Line("configuration", f"{path}; {config.node.ae_title}, {sending}")
    yield _callers(config)
    yield from _database(config)
    yield from _folders(config)
    yield from check_ports.lines(config)
    yield from check_tls.lines(config)
    yield from _reviewers(config)
    yield from _files(config)
    yield from _destinations(config)
    yield from check_commitment.of_callers(config)
    yield from _priors(config)


def _callers(config: Config) -> Line:
    callers = config.receiver.callers
    if not callers:
        return Line(
            "callers",
            "nobody may send: every association is rejected.",
            "Enter your scanners in receiver.callers.",
            ConfigError.exit_code,
        )
    return Line("callers", ", ".join(f"{caller.ae_title} from {caller.host}" for caller in callers))


def _reviewers(config: Config) -> Iterator[Line]:
    """Say who signs, where somebody does or must."""
    waiting = [each.name for each in config.destinations if each.release == "signed"]
    names = [reviewer.login for reviewer in config.interpretation.reviewers]
    if waiting and not names:
        text = f"nobody may sign, and {', '.join(waiting)} gets signed results only: it would get nothing."
        remedy = "Enter the reading physicians in [interpretation] reviewers."
        yield Line("reviewers", text, remedy, ConfigError.exit_code)
    elif names:
        yield Line("reviewers", ", ".join(names))


def _files(config: Config) -> Iterator[Line]:
    """Read what else the configuration names: `serve` stops over the one, and is not heard by the other."""
    from tbsnode import node

    try:
        curve = node.reference_file(config)
    except ConfigError as error:
        yield failed("reference curve", error)
    else:
        if curve is not None:
            yield Line("reference curve", str(curve))
    yield from check_webhook.lines(config)


def _database(config: Config) -> Iterator[Line]:
    from tbsnode.store.database import Database

    try:
        database = Database(config.database.url)
        try:
            database.require_current()
            yield Line("database", f"{database.dialect}, revision {database.current_revision()}")
            with database.read() as tx:
                yield _clock(tx.now)
                yield from _dates(config, tx)
                yield from check_refusals.lines(tx)
                yield from check_calibrations.lines(tx)
                yield from check_queues.lines(tx, [each.name for each in config.destinations])
                yield from _mounted(config, tx)
        finally:
            database.dispose()
    except (ConfigError, ResourceError) as error:
        on_file = "Look at the file and its disk; `tbsnode db restore` puts back a backup."
        yield failed("database", error, on_file if config.database.url.startswith("sqlite") else "")
        yield _clock(time.time())


def _mounted(config: Config, tx: Transaction) -> Iterator[Line]:
    """Compare the archive with the database: on another machine it may be another folder."""
    from tbsnode.pipeline import mounted
    from tbsnode.store.archive import Archive

    if (problem := mounted.objection(tx, Archive(config.archive.path))) is not None:
        yield failed("files of the archive", problem)


def _clock(database_now: float) -> Line:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    apart = now - database_now
    remedy = "Let the machine keep time by NTP."
    if now < _VERSION_MADE_AT:
        return Line("clock", f"{shown} is before this version was made.", remedy, ResourceError.exit_code)
    if abs(apart) > _CLOCK_TOLERANCE_S:
        text = f"{shown} is {apart:+.0f} s from the database server."
        return Line("clock", text, remedy, ResourceError.exit_code)
    return Line("clock", shown)


def _dates(config: Config, tx: Transaction) -> Iterator[Line]:
    """Hold the clock against the dates of what scanners send, where files are deleted by it."""
    from tbsnode.pipeline import trusted_time

    if config.retention.days and (told := trusted_time.objection(tx)):
        yield Line("dates", told, trusted_time.REMEDY, ResourceError.exit_code)


def _folders(config: Config) -> Iterator[Line]:
    from tbsnode.store import archive

    for what, path, key in (
        ("state", config.node.state, "node.state"),
        ("archive", config.archive.path, "archive.path"),
    ):
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        made = "" if there == path else " (made when the node starts)"
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            text = f"{there} is not a folder this account may write to."
            yield Line(what, text, f"Correct {key}, or the owner of the folder.", ResourceError.exit_code)
        elif what == "state":
            yield Line(what, f"{path}{made}")
        else:
            yield _space(config, archive.Archive(there), f"{path}{made}")


def _space(config: Config, archive: Archive, shown: str) -> Line:
    try:
        archive.require_space(config.archive.min_free_bytes, config.archive.min_free_percent / 100)
    except ResourceError as error:
        return failed("archive", error)
    return Line("archive", f"{shown}, {archive.free_bytes() / 1e9:.1f} GB free")


def _destinations(config: Config) -> Iterator[Line]:
    from tbsnode import node

    peers = node.peers(config)
    if not peers and config.node.mode == "shadow":
        yield Line("destinations", "none: results stay on this machine")
    elif not peers:
        yield Line(
            "destinations",
            "none: results would stay here.",
            "Enter your PACS in [[destinations]].",
            ConfigError.exit_code,
        )
    for peer in peers:
        yield from _destination(peer)


def _destination(peer: Peer) -> Iterator[Line]:
    from tbsnode.net import scu

    what = f"destination {peer.name}"
    answer = scu.echo(peer)
    if not answer.ok:
        remedy = f"Check host, port and AE titles with its administrator; we call as {peer.calling_ae_title}."
        yield Line(what, answer.text, remedy, PeerError.exit_code)
        return
    where = f"{peer.ae_title}@{peer.host}:{peer.port}"
    yield Line(what, f"{where} answers C-ECHO in {answer.milliseconds:.0f} ms")
    try:
        yield from _classes(peer, what)
        yield _query(peer, what)
        yield from check_commitment.of_destination(peer)
    except PeerError as error:
        yield failed(what, error)


def _classes(peer: Peer, what: str) -> Iterator[Line]:
    """Ask whether the destination takes what it is to get."""
    from tbsnode.dicom import sop_classes
    from tbsnode.net import scu

    wanted: list[tuple[str, tuple[str, ...]]] = []
    if "sr" in peer.send:
        wanted.append(("SR", tuple(sop_classes.SR_CLASSES[name] for name in peer.sr_class)))
    if "pdf" in peer.send:
        wanted.append(("PDF", (sop_classes.PDF,)))
    if "overlay" in peer.send:
        wanted.append(("overlay", (sop_classes.SECONDARY_CAPTURE,)))
    wanted.append((_WITHDRAWAL, (sop_classes.KEY_OBJECT_SELECTION,)))
    accepted = scu.accepts(peer, [uid for _, uids in wanted for uid in uids])
    for name, uids in wanted:
        taken = next((uid for uid in uids if accepted.get(uid)), None)
        if taken is not None:
            syntaxes = ", ".join(sop_classes.TRANSFER_SYNTAXES.get(uid, uid) for uid in accepted[taken])
            yield Line(what, f"takes {name}: {sop_classes.name(taken)} ({syntaxes})")
            continue
        offered = ", ".join(sop_classes.name(uid) for uid in uids)
        yield Line(
            what,
            f"does not accept {name} ({offered}).",
            "Ask its administrator to accept it: a rejected result would stay there as it is."
            if name == _WITHDRAWAL
            else f"Ask its administrator to accept it, or take it out of send of {peer.name}.",
            PeerError.exit_code,
        )


def _query(peer: Peer, what: str) -> Line:
    """Ask a question: some accept the association of whoever they do not know, and break it off then."""
    from tbsnode.net import scu

    try:
        scu.find_study(peer, _NOBODYS_STUDY)
    except scu.NoQuery:
        return Line(what, "offers no query: it is not asked whose a study is before a late sending")
    except PeerError as error:
        late = " What is sent more than an hour after its study waits for it." if error.retryable else ""
        return Line(what, error.message + late, error.remedy or _ALLOW_QUERY, error.exit_code)
    return Line(what, "answers queries (C-FIND)")


def _priors(config: Config) -> Iterator[Line]:
    """Ask whether the PACS can be asked for earlier examinations, and may bring them."""
    from tbsnode import node
    from tbsnode.net import query

    peer = next((each for each in node.peers(config) if each.name == config.priors.destination), None)
    if peer is None:
        return
    what = f"earlier examinations from {peer.name}"
    if peer.ae_title not in [caller.ae_title for caller in config.receiver.callers]:
        text = f"{peer.ae_title} is no known caller: what it moves here would be refused."
        entry = f'{{ ae_title = "{peer.ae_title}", host = "{peer.host}" }}'
        yield Line(what, text, f"Add {entry} to receiver.callers.", ConfigError.exit_code)
    try:
        with query.asking(peer, timeout_s=config.priors.timeout_s):
            yield Line(
                what, f"offers query and retrieval; {peer.calling_ae_title} must be one of its targets"
            )
    except PeerError as error:
        remedy = f"Ask its administrator to allow C-FIND and C-MOVE to {peer.calling_ae_title}."
        yield Line(what, error.message, error.remedy or remedy, PeerError.exit_code)
