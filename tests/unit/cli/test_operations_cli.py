"""study reprocess, study delete, retention run: what is asked, what is said, and what a dry run leaves."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from tbsnode import config as configuration
from tbsnode import node
from tbsnode.cli.reprocess import _duration
from tbsnode.pipeline import bulk
from tbsnode.store import catalogue
from tests import desk_results


@pytest.fixture
def rested(run: Any, run_json: Any, site_config: Path, instances: Path) -> tuple[Path, str]:
    """Return a node whose two studies rest; the spine of CLI-1 has a result."""
    run("study", "import", instances, "--config", site_config)
    listed = run_json("study", "list", "--patient", "CLI-1", "--config", site_config)
    uid = listed[0]["study_instance_uid"]
    with node.open_site(configuration.load(site_config)) as site, site.database.transaction() as tx:
        for study_id in (1, 2):
            catalogue.update_study(tx, study_id, state="done", ready_at=None, generation=1)
        study = catalogue.study_by_uid(tx, uid)
        assert study is not None
        desk_results.add(tx, study.id)
    return site_config, uid


def over(config: Path) -> int:
    """Write a run whose studies have all been analyzed, without a worker."""
    with node.open_site(configuration.load(config)) as site:
        with site.database.read() as tx:
            uids = [catalogue.study_by_id(tx, n).study_instance_uid for n in (1, 2)]  # type: ignore[union-attr]
        run = bulk.begin(site, uids, shadow=True)
        bulk.feed(site, run)
        with site.database.transaction() as tx:
            for study_id in (1, 2):
                catalogue.update_study(tx, study_id, state="done", ready_at=None, generation=2)
                desk_results.add(tx, study_id, score=1.3, generation=2, content="n" * 64, shadow=True)
        bulk.feed(site, run)
    return run


def test_the_preview(run: Any, run_json: Any, rested: tuple[Path, str]) -> None:
    config, uid = rested
    seen = run_json("study", "reprocess", "--since", "1h", "--dry-run", "--config", config)
    assert (len(seen["study_instance_uids"]), seen["signed"], seen["rejected"]) == (2, 0, 0)
    with node.open_site(configuration.load(config)) as site, site.database.transaction() as tx:
        catalogue.update_study(tx, 1, review_state="signed")
    said = run("study", "reprocess", "--since", "1h", "--dry-run", "--config", config).stdout
    assert "Would analyze 2 studies again." in said
    assert "1 are signed" in said
    assert "judged by past analyses" in said
    assert uid in said


def test_a_finished_run_is_shown_again(run: Any, run_json: Any, rested: tuple[Path, str]) -> None:
    config, uid = rested
    number = over(config)
    said = run("study", "reprocess", "--resume", "--config", config).stdout
    assert f"Run {number}: 2 of 2 studies, 2 changed, 0 failed; nothing was sent." in said
    assert "median +0.0500, 5th percentile +0.0500, 95th percentile +0.0500" in said
    listed = run("study", "reprocess", "--resume", "--run", number, "--csv", "--config", config).stdout
    rows = {row["study_instance_uid"]: row for row in csv.DictReader(io.StringIO(listed))}
    assert (rows[uid]["score_before"], rows[uid]["score_after"], rows[uid]["changed"]) == (
        "1.25",
        "1.3",
        "True",
    )
    found = run_json("study", "reprocess", "--resume", "--config", config)
    assert found["summary"]["difference_median"] == pytest.approx(0.05)


def test_no_study_and_no_run(run: Any, site_config: Path) -> None:
    nothing = run("study", "reprocess", "--resume", "--config", site_config)
    assert nothing.exit_code == 2
    assert "Nothing was reprocessed in bulk yet." in nothing.stderr
    for arguments in ((), ("1.2.3", "--since", "1h"), ("1.2.3", "--resume")):
        assert run("study", "reprocess", *arguments, "--config", site_config).exit_code == 2
    assert run("study", "reprocess", "1.2.3", "--wait", "--config", site_config).exit_code == 2
    empty = run("study", "reprocess", "--since", "1h", "--wait", "--config", site_config)
    assert "0 of 0 studies" in empty.stdout


def test_a_failed_study_of_a_run_ends_with_one(run: Any, rested: tuple[Path, str]) -> None:
    config, uid = rested
    with node.open_site(configuration.load(config)) as site:
        number = bulk.begin(site, [uid], shadow=False)
        bulk.feed(site, number)
        with site.database.transaction() as tx:
            study = catalogue.study_by_uid(tx, uid)
            assert study is not None
            catalogue.update_study(
                tx, study.id, state="failed", ready_at=None, generation=2, last_error="broken"
            )
    result = run("study", "reprocess", "--resume", "--config", config)
    assert result.exit_code == 1
    assert "broken" in result.stdout


def test_durations() -> None:
    assert [_duration(seconds) for seconds in (0.2, 99.5, 101.0, 3600.0, 7200.0)] == [
        "1 s",
        "100 s",
        "2 min",
        "60 min",
        "2.0 h",
    ]


def test_delete(run: Any, run_json: Any, rested: tuple[Path, str]) -> None:
    config, uid = rested
    refused = run("study", "delete", uid, "--config", config)
    assert refused.exit_code != 0
    assert "unsent" in refused.stderr, "its result was never delivered"
    assert "--discard" in refused.stderr
    dry = run("study", "delete", uid, "--discard", "--dry-run", "--config", config)
    assert dry.stdout.startswith("Would delete 1 file,")
    done = run_json("study", "delete", uid, "--discard", "--config", config)
    assert (done["study_instance_uid"], done["files"]) == (uid, 1)
    shown = run_json("study", "show", uid, "--config", config)
    assert [one["state"] for one in shown["instances"]] == ["purged"]


def test_retention_says_what_it_would_do(
    run: Any, run_json: Any, rested: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = rested
    assert "Nothing is ever deleted" in run("retention", "run", "--config", config).stdout
    monkeypatch.setenv("TBSNODE__RETENTION__DAYS", "1")
    monkeypatch.setenv("TBSNODE__RETENTION__KEEP_PRIORS_YEARS", "0")
    with node.open_site(configuration.load(config)) as site, site.database.transaction() as tx:
        for table in ("tbs_instance", "tbs_analysis"):
            column = "received_at" if table == "tbs_instance" else "created_at"
            tx.connection.exec_driver_sql(f"UPDATE {table} SET {column} = 1")
    said = run("retention", "run", "--dry-run", "--config", config).stdout
    assert "Would delete 1 file of 1 study," in said
    assert "Kept 1 old study: unsent." in said
    done = run_json("retention", "run", "--config", config)
    assert (len(done["deleted"]), done["kept"], done["days"]) == (1, {"unsent": 1}, 1)
