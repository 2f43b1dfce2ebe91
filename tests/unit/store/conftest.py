"""A catalogue for each test: on SQLite always, on PostgreSQL where there is a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tbsnode.model import Claim, Demographics, InstanceIdentity, Scanner
from tbsnode.store import catalogue
from tbsnode.store.database import Database
from tests import schemas

IDENTITY = InstanceIdentity(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
    sop_instance_uid="1.2.3.4",
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.1",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    modality="OT",
    demographics=Demographics(
        patient_id="P1", name="Muster^Änne", birth_date="19500101", sex="F", height_m=1.6, weight_kg=60.5
    ),
    scanner=Scanner(manufacturer="Example", model_name="Densitometer 1", device_serial_number="77"),
    accession_number="A1",
    study_date="20261101",
    order_codes=("77089", "TBS"),
    claim=Claim.SPINE,
    is_image=True,
)


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/state/tbsnode.db"


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database without tables."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, sqlite_url: str) -> Iterator[Database]:
    """A database with all tables and no rows."""
    if request.param == "sqlite":
        schemas.fill_sqlite(Path(sqlite_url.removeprefix("sqlite:///")))
        made = Database(sqlite_url)
    else:
        made = Database(schemas.fresh_postgresql(request.getfixturevalue("postgres")))
    yield made
    made.dispose()


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    """An SQLite database with all tables and no rows."""
    schemas.fill_sqlite(Path(sqlite_url.removeprefix("sqlite:///")))
    made = Database(sqlite_url)
    yield made
    made.dispose()


@pytest.fixture
def identity() -> InstanceIdentity:
    """A spine image of one patient."""
    return IDENTITY


def kept(identity: InstanceIdentity, state: str = "current", version: int = 1) -> catalogue.KeptFile:
    """A file that was kept for an identity."""
    return catalogue.KeptFile(
        path=f"studies/{identity.sop_instance_uid}.{version}.dcm",
        size_bytes=1000,
        data_set_sha256=f"{version:064d}",
        state=state,
    )


ORIGIN = catalogue.Origin(calling_ae_title="LUNAR", host="192.0.2.10", association_id="a-1")

AddStudy = Callable[..., int]


@pytest.fixture
def add_study(database: Database, identity: InstanceIdentity) -> AddStudy:
    """``add_study(number, patient_id=...)``: add a study with one instance; returns its row."""

    def add(number: int, patient_id: str = "P1", manufacturer: str = "Example") -> int:
        one = replace(
            identity,
            sop_instance_uid=f"1.2.{number}.4",
            study_instance_uid=f"1.2.{number}",
            demographics=replace(identity.demographics, patient_id=patient_id),
            scanner=replace(identity.scanner, manufacturer=manufacturer),
        )
        with database.transaction() as tx:
            return catalogue.add_instance(tx, one, kept(one), ORIGIN).study_ref

    return add
