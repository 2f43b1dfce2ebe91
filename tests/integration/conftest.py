"""Fixtures of tests that run a whole node."""

from __future__ import annotations

import pytest

from tests import peers, schemas


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The `[database] url` of a node, with its tables: each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return "sqlite:///state/tbsnode.db"
    return schemas.fresh_postgresql(request.getfixturevalue("postgres"), engine=True)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """The `[database] url` of a node that makes its tables itself, on both databases too."""
    if request.param == "sqlite":
        return "sqlite:///state/tbsnode.db"
    url: str = request.getfixturevalue("postgres").fresh_database()
    return url


@pytest.fixture
def node_postgres_url(postgres: peers.Postgres) -> str:
    """The URL of a PostgreSQL database with the tables of a node."""
    return schemas.fresh_postgresql(postgres, engine=True)
