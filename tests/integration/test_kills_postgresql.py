"""Kill -9 at random moments, on PostgreSQL; a file of its own, so that both databases are tried at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import kills


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_and_nothing_is_doubled(node_postgres_url: str, tmp_path: Path) -> None:
    kills.nothing_is_lost_and_nothing_is_doubled(node_postgres_url, tmp_path)
