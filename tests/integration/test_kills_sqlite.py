"""Kill -9 at random moments, on SQLite; a file of its own, so that both databases are tried at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import kills


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    kills.nothing_is_lost_and_nothing_is_doubled("sqlite:///state/tbsnode.db", tmp_path)
