"""Fixtures that every test may use; what they start is stopped at the end, also after a failure."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from tbsnode.pipeline import allocator
from tests import peers

if TYPE_CHECKING:
    from tests.receiving_node import ReceivingNode


# What takes longest goes first, so that the processes of the tests end at about the same time.
_LONGEST = (
    "test_partition",
    "test_canary",
    "test_kills_postgresql",
    "test_kills_sqlite",
    "test_selection",
    "test_workers",
    "test_identity",
    "test_bulk_node",
    "test_engine",
    "test_operate",
    "test_main_job",
    "test_family",
    "test_report_page",
    "test_calibration_cli",
    "test_demo",
    "test_bad_input",
    "test_commitment",
)


def pytest_configure() -> None:
    """Let the tests' own process keep the memory of a picture, as one that analyzes does.

    How fast the machine is that runs the tests is no property of what they test.
    """
    allocator.keep_freed_memory()
    unhurried = hypothesis.HealthCheck.too_slow
    hypothesis.settings.register_profile("unhurried", deadline=None, suppress_health_check=[unhurried])
    hypothesis.settings.load_profile("unhurried")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests by file: the slow files first, all others as they were."""
    rank = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


# what `tbsnode.cli.logs` configures
_LOGGERS = ("", "tbsnode", "pynetdicom", "pynetdicom.acse", "pydicom", "sqlalchemy", "alembic", "dbos", "PIL")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what a command does to logging: its stream is the test's own, and closed with it."""
    everywhere = logging._srcfile, logging.logThreads
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(one.level, one.propagate, list(one.handlers), list(one.filters)) for one in loggers]
    yield
    logging._srcfile, logging.logThreads = everywhere
    logging.captureWarnings(capture=False)
    for one, (level, propagate, handlers, filters) in zip(loggers, before, strict=True):
        one.setLevel(level)
        one.propagate, one.handlers[:], one.filters[:] = propagate, handlers, filters


@pytest.fixture
def free_port() -> int:
    """A loopback port that nothing listens on."""
    return peers.free_port()


class StartStorescp(Protocol):
    """``storescp("+xi")``: start DCMTK storescp with these options."""

    def __call__(self, *options: str) -> peers.Storescp: ...


@pytest.fixture
def storescp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartStorescp]:
    """Start DCMTK storage SCPs: call it, with options as on the command line, for each."""
    peers.require_program("storescp")
    work = tmp_path_factory.mktemp("storescp")
    with contextlib.ExitStack() as stack:
        yield lambda *options: stack.enter_context(peers.storescp(work, *options))


@pytest.fixture(scope="session")
def orthanc_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Orthanc]:
    """One Orthanc for the session; a test asks for `orthanc`, which is empty."""
    peers.require_program("Orthanc")
    with peers.orthanc(tmp_path_factory.mktemp("orthanc")) as peer:
        yield peer


@pytest.fixture
def orthanc(orthanc_server: peers.Orthanc) -> peers.Orthanc:
    """An empty Orthanc archive that knows TBSNODE on loopback."""
    orthanc_server.clear()
    return orthanc_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[peers.Postgres]:
    """A PostgreSQL server for the session; ``postgres.fresh_database()`` gives an empty database's URL."""
    with peers.postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: peers.Postgres) -> str:
    """The URL of an empty PostgreSQL database."""
    return postgres.fresh_database()


@pytest.fixture
def dciodvfy() -> Callable[..., peers.Verdict]:
    """The IOD checker of dicom3tools: ``dciodvfy(path).errors``."""
    peers.require_program("dciodvfy")
    return peers.dciodvfy


@pytest.fixture
def make_receiver(tmp_path: Path) -> Iterator[Callable[..., ReceivingNode]]:
    """Start receiving nodes: call it, with changes to `ScpSettings`, for each."""
    from tests.receiving_node import ReceivingNode

    receivers: list[ReceivingNode] = []

    def make(**changes: object) -> ReceivingNode:
        folder = tmp_path / f"receiver{len(receivers)}"
        folder.mkdir()
        receivers.append(ReceivingNode(folder, **changes))
        receivers[-1].scp.start()
        return receivers[-1]

    before = set(threading.enumerate())
    yield make
    for receiver in receivers:
        receiver.scp.stop(grace_s=1.0)
    peers.wait_until(lambda: set(threading.enumerate()) <= before, "the threads of the receiver to end")


@pytest.fixture
def receiver(make_receiver: Callable[..., ReceivingNode]) -> ReceivingNode:
    """A receiving node that knows the usual test callers on loopback."""
    return make_receiver()
