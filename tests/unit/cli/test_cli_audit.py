"""``tbsnode audit``: what people read, and the exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tbsnode.store import audit, audit_chain
from tbsnode.store.database import Database
from tbsnode.store.schema import event


@pytest.fixture
def told(site_config: Path) -> Path:
    """Three sealed events of two kinds; return the configuration."""
    database = Database(f"sqlite:///{site_config.parent}/state/tbsnode.db")
    with database.transaction() as tx:
        audit.add_event(tx, "study.done", "generation 1: scored", study_instance_uid="1.2.3")
        audit.add_event(tx, "review.accepted", "jdoe at host signed version 1", study_instance_uid="1.2.3")
        audit.add_event(tx, "queue.paused", "an administrator paused analyze")
        audit_chain.seal(tx)
    database.dispose()
    return site_config


def spoil(config: Path) -> None:
    database = Database(f"sqlite:///{config.parent}/state/tbsnode.db")
    with database.transaction() as tx:
        tx.execute(sa.update(event).where(event.c.action == "review.accepted").values(text="nobody signed"))
    database.dispose()


def test_show_filters(run: Any, run_json: Any, told: Path) -> None:
    assert [one["action"] for one in run_json("audit", "show", "--config", told)] == [
        "queue.paused",
        "review.accepted",
        "study.done",
    ]
    found = run_json("audit", "show", "--action", "review.", "--study", "1.2.3", "--config", told)
    assert [one["text"] for one in found] == ["jdoe at host signed version 1"]
    assert run_json("audit", "show", "--until", "1h", "--config", told) == []
    assert "No event matches." in run("audit", "show", "--study", "9", "--config", told).stdout


def test_verify_prints_a_head_that_holds_later(run: Any, run_json: Any, told: Path) -> None:
    found = run_json("audit", "verify", "--config", told)
    assert (found["intact"], found["sealed"], found["waiting"]) == (True, 3, 0)
    again = run("audit", "verify", "--expect", found["head"].upper(), "--config", told)
    assert again.exit_code == 0
    assert "Intact: 3 events sealed" in again.stdout
    assert run("audit", "verify", "--expect", "ab" * 32, "--config", told).exit_code == 1
    torn = run("audit", "verify", "--expect", found["head"][:-1], "--config", told)
    assert torn.exit_code == 2, "half a head proves nothing, and accuses nobody"


def test_verify_names_what_was_changed(run: Any, told: Path) -> None:
    spoil(told)
    found = run("audit", "verify", "--config", told)
    assert found.exit_code == 1
    assert "seal 2: event 2 changed" in found.stdout
    assert "BROKEN" in found.stdout
