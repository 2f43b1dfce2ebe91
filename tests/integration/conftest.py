"""Fixtures of tests that run a whole node."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The `[database] url` of a node: each test that asks for it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return "sqlite:///state/tbsnode.db"
    url: str = request.getfixturevalue("postgres").fresh_database()
    return url
