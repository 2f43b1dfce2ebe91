"""The strangers themselves: they start, answer, and leave nothing behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import peers
from tests.conftest import StartStorescp

pytestmark = pytest.mark.peer


def test_storescp_answers_and_is_reaped(tmp_path: Path) -> None:
    with peers.storescp(tmp_path) as peer:
        echo = peers.run(["echoscu", peers.LOOPBACK, str(peer.port)])
        assert echo.returncode == 0, echo.stdout
        assert peer.files() == []
    assert not peers.answers(peer.port)


def test_two_storescp_at_once(storescp: StartStorescp) -> None:
    assert storescp().port != storescp("+xi").port


def test_orthanc_knows_only_the_node(orthanc: peers.Orthanc) -> None:
    address = ["-aec", "ORTHANC", peers.LOOPBACK, str(orthanc.port)]
    assert peers.run(["echoscu", "-aet", "TBSNODE", *address]).returncode == 0
    assert peers.run(["echoscu", "-aet", "STRANGER", *address]).returncode != 0
    assert orthanc.instances() == []


def test_postgres_gives_separate_databases(postgres: peers.Postgres, postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE only_here (id int)")
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    with psycopg.connect(postgres.fresh_database().replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)


def test_a_process_that_dies_at_start_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(pytest.fail.Exception, match="did not start"),
        peers.running(["storescp", "--no-such-option"], tmp_path / "log", lambda: False),
    ):
        pass


def test_stop_ends_a_process_that_ignores_the_signal(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "600"])
    peers.stop(process, 0, patience_s=0.1)
    assert process.returncode == -9


def test_a_missing_program_skips_at_a_desk_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception):
        peers.require_program("no-such-program-anywhere")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        peers.require_program("no-such-program-anywhere")
