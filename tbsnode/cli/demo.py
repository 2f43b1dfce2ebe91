"""``tbsnode demo``: a simulated scanner, this node, and a simulated PACS, all on this machine.

The node is the real one, in processes of its own; only scanners and PACS are played here. The studies show
the ways one can end: TBS of a calibrated scanner, texture slope of one that is not (a display copy, a report
page), not applicable, and refused with a reason. The calibration is simulated, and every page says so.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import demo_reading, output, simulated_pacs
from tbsnode.cli.demo_cases import CASES, Case, Outcome, report
from tbsnode.errors import ConfigError, ResourceError, TbsNodeError

if TYPE_CHECKING:
    from rich.progress import Progress

    from tbsnode.model import Outgoing, Peer
    from tbsnode.pipeline.site import Site
    from tbsnode.store.listing import ListedStudy
    from tbsnode.tbs.calibration import Calibration

_SCANNER = "DEMODXA"
_NODE = "TBSDEMO"
_PACS = "DEMOPACS"
_LOOPBACK = "127.0.0.1"
_START_S = 60.0
_RESULTS_S = 120.0
_STOP_S = 40.0

_CONFIGURATION = """\
# Written by `tbsnode demo`.
[node]
ae_title = "{node}"
mode = "live"
[receiver]
bind = "{host}"
port = {receiver_port}
callers = [{{ ae_title = "{scanner}", host = "{host}" }}]
[archive]
min_free_bytes = 0
min_free_percent = 0
[completion]
quiet_s = 3
after_release_s = 0.5
[[destinations]]
name = "pacs"
ae_title = "{pacs}"
host = "{host}"
port = {pacs_port}
[http]
port = {http_port}
{reviewers}"""


@dataclass(frozen=True, slots=True)
class Acquired:
    """One study as the simulated scanner stored it."""

    case: Case
    patient_id: str
    study_instance_uid: str
    items: tuple[Outgoing, ...]


Keep = Annotated[
    Path | None,
    typer.Option(
        "--keep", metavar="DIR", help="Folder for everything; default: a new one for temporary files."
    ),
]


def demo(*, keep: Keep = None) -> None:
    """Play scanner and PACS around a real node on this machine, and show where PDF and SR are.

    Takes less than a minute, needs no configuration and touches none. One scanner gets a simulated
    calibration. Exit 0 if all studies ended as they have to.
    """
    from tbsnode import config, node

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the node is stopped, too
    folder = _folder(keep)
    started = time.monotonic()
    with (
        simulated_pacs.run(folder / "pacs", ae_title=_PACS, node_ae_title=_NODE) as pacs,
        _node(folder, pacs.port) as node_port,
        output.progress() as shown,
    ):
        acquired = _acquire(folder, shown)
        with node.open_site(config.load(folder / "tbsnode.toml")) as site:
            calibration = _calibrate(site, acquired)
            _send(node_port, acquired, shown)
            _wait(site, folder, acquired, shown)
            signed = _read(site, folder, acquired, shown)
            outcomes = _outcomes(site, acquired, pacs)
    report(outcomes, calibration, signed, folder, time.monotonic() - started)
    raise typer.Exit(0 if all(outcome.as_expected for outcome in outcomes) else 1)


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="tbsnode-demo-"))
    if keep.exists() and any(keep.iterdir()):
        raise ConfigError(f"{keep} is not empty.", remedy="Name a new folder.")
    keep.mkdir(parents=True, exist_ok=True)
    return keep.absolute()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


# ---- the node --------------------------------------------------------------------------------------


@contextmanager
def _node(folder: Path, pacs_port: int) -> Iterator[int]:
    """Run a node of its own, with its own configuration and database; yield its port."""
    port = _free_port()
    config = folder / "tbsnode.toml"
    ports = {"receiver_port": port, "pacs_port": pacs_port, "http_port": _free_port()}
    names = {"node": _NODE, "scanner": _SCANNER, "pacs": _PACS, "host": _LOOPBACK}
    names["reviewers"] = demo_reading.configuration()
    config.write_text(_CONFIGURATION.format(**names, **ports), encoding="utf-8")
    typer.echo(f"Folder of the demonstration: {folder}", err=True)
    if _start(config, "db", "upgrade").wait() != 0:
        raise ResourceError("The database could not be made.", remedy=f"See {folder / 'node.log'}.")
    serve = _start(config, "serve")
    try:
        _await(lambda: _answers(port, serve), _START_S, "The node did not start", folder)
        yield port
    finally:
        _stop(serve)


def _start(config: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start a command of ours that says everything to node.log."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TBSNODE_")}
    with (config.parent / "node.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "tbsnode", *command, "--config", str(config)],
            env=ours,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C reaches only us; we stop it in order
        )


def _answers(port: int, serve: subprocess.Popen[bytes]) -> bool:
    from tbsnode.net import scu

    if serve.poll() is not None:
        raise ResourceError(f"The node ended with exit code {serve.returncode}.", remedy="See node.log.")
    return scu.echo(_node_peer(port)).ok


def _stop(serve: subprocess.Popen[bytes]) -> None:
    serve.terminate()
    try:
        serve.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        serve.kill()  # its children end when its pipes close
        serve.wait()


def _await(happened: Callable[[], bool], at_most_s: float, otherwise: str, folder: Path) -> None:
    deadline = time.monotonic() + at_most_s
    while not happened():
        if time.monotonic() > deadline:
            raise ResourceError(
                f"{otherwise} within {at_most_s:.0f} s.", remedy=f"See {folder / 'node.log'}."
            )
        time.sleep(0.1)


# ---- the simulated scanner -------------------------------------------------------------------------


def _node_peer(port: int) -> Peer:
    from tbsnode.model import Peer

    return Peer(name="node", ae_title=_NODE, host=_LOOPBACK, port=port, calling_ae_title=_SCANNER)


def _acquire(folder: Path, shown: Progress) -> list[Acquired]:
    """Make each study as its scanner would store it."""
    from tbsnode.dicom import acquisition, identity
    from tbsnode.model import Outgoing

    acquired = []
    now = date.today()  # noqa: DTZ011  a scanner writes local dates
    today = now.strftime("%Y%m%d")
    for number, case in enumerate(shown.track(CASES, description="Scanning"), start=1):
        patient = acquisition.PatientTags(patient_id=f"DEMO-{number}", name=f"Demo^{case.kind.title()}")
        items, uid = [], ""
        options = acquisition.Options(attributes=case.attributes)
        instances = acquisition.study(
            case.made_as or case.kind, patient=patient, seed=number, study_date=today, options=options
        )
        if case.calibrated:  # its patient was here before: what is older is kept and not reported
            instances = (demo_reading.earlier(patient, now, seed=number, options=options), *instances)
        for index, part10 in enumerate(instances):
            path = folder / "scanner" / f"{case.kind}-{index}.dcm"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(part10)
            header = identity.read_identity(path)
            uid = header.study_instance_uid
            items.append(
                Outgoing(
                    path=path,
                    sop_class_uid=header.sop_class_uid,
                    sop_instance_uid=header.sop_instance_uid,
                    transfer_syntax_uid=header.transfer_syntax_uid,
                )
            )
        made = Acquired(case=case, patient_id=patient.patient_id, study_instance_uid=uid, items=tuple(items))
        acquired.append(made)
    return acquired


def _calibrate(site: Site, acquired: list[Acquired]) -> Calibration:
    """Calibrate the scanner of the one case that says it is calibrated."""
    from tbsnode.cli import simulated_calibration

    (path,) = (each.items[-1].path for each in acquired if each.case.calibrated)
    return simulated_calibration.install(site, path)


def _send(port: int, acquired: list[Acquired], shown: Progress) -> None:
    """Send each study in an association of its own."""
    from tbsnode.net import scu

    for each in shown.track(acquired, description="Sending"):
        outcomes = scu.send(_node_peer(port), each.items)
        if any(outcome.category != "success" for outcome in outcomes):
            raise TbsNodeError(f"The node did not take the study {each.case.title}: {outcomes[0].text}")


# ---- the results -----------------------------------------------------------------------------------


def _wait(site: Site, folder: Path, acquired: list[Acquired], shown: Progress) -> None:
    """Wait until each study has ended and what it gave is in the PACS."""
    task = shown.add_task("Waiting for results", total=len(acquired))
    wanted = {each.study_instance_uid for each in acquired}

    def all_ended() -> bool:
        ended = {listed.study.study_instance_uid for listed in _ended(site)}
        shown.update(task, completed=len(ended))
        return wanted <= ended

    _await(all_ended, _RESULTS_S, "Not all results came", folder)


def _read(site: Site, folder: Path, acquired: list[Acquired], shown: Progress) -> str:
    """Let a referral come in for the calibrated study, and a reader sign; return who signed."""
    (read,) = (each for each in acquired if each.case.calibrated)
    demo_reading.declare(site, folder, read.patient_id)
    _wait(site, folder, acquired, shown)
    signed = demo_reading.sign(site, read.study_instance_uid)
    _wait(site, folder, acquired, shown)
    return signed


def _ended(site: Site) -> Iterator[ListedStudy]:
    from tbsnode.model import DeliveryState, StudyState
    from tbsnode.store import listing

    at_work = (StudyState.RECEIVING, StudyState.QUEUED, StudyState.RUNNING)
    under_way = (DeliveryState.QUEUED, DeliveryState.RUNNING)
    with site.database.read() as tx:
        found = listing.list_studies(tx, listing.StudyFilter())
    for listed in found:
        if listed.study.state in at_work or any(state in under_way for _, state in listed.deliveries):
            continue
        yield listed


def _outcomes(site: Site, acquired: list[Acquired], pacs: simulated_pacs.Pacs) -> list[Outcome]:
    ended = {listed.study.study_instance_uid: listed for listed in _ended(site)}
    return [_outcome(ended[each.study_instance_uid], each.case, pacs) for each in acquired]


def _outcome(listed: ListedStudy, case: Case, pacs: simulated_pacs.Pacs) -> Outcome:
    uid, result = listed.study.study_instance_uid, listed.result
    return Outcome(
        case=case,
        status=result.status.value if result is not None else listed.study.state.value,
        reason=(result.reason if result is not None else "") or listed.study.reason,
        score=result.score if result is not None else None,
        tbs=result.tbs if result is not None else None,
        category=result.category if result is not None else "",
        pdf=pacs.find(uid, "pdf"),
        sr=pacs.find(uid, "sr"),
    )
