"""Old files go once everybody has them, rows stay; what is unsent, held or unsigned never goes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from tbsnode.cli import app
from tbsnode.dicom import acquisition
from tbsnode.errors import NotFound, ReviewRefused, StorageFull
from tbsnode.model import Reviewer
from tbsnode.pipeline import backup, bulk, operate, retention
from tbsnode.pipeline.site import Site
from tbsnode.store import commitments, deliveries, schema
from tbsnode.store import retention as rows
from tbsnode.store.bulk import ItemState
from tbsnode.store.database import Database
from tbsnode.store.snapshot import KeptFile
from tests import desk, nodes, peers

pytestmark = pytest.mark.slow

OLD = 400 * 86400.0
AGED = (
    ("tbs_instance", "received_at"),
    ("tbs_derived_instance", "created_at"),
    ("tbs_analysis", "created_at"),
    ("tbs_delivery", "updated_at"),
)
STUDY_DATE = "20200302"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    patient = acquisition.PatientTags(patient_id="KEEP-1", name="Canary^Zoe")
    made = acquisition.study(
        "display",
        patient=patient,
        seed=7,
        study_date=STUDY_DATE,
        options=acquisition.Options(small=True, anatomy_seed=7),
    )
    return nodes.write(tmp_path_factory.mktemp("drawn"), made)


class Office:
    """A node with one study that was sent and committed, made to look old; those of today have no files."""

    def __init__(self, at: desk.Desk, paths: list[Path]) -> None:
        self.at = at
        self.paths = paths
        self.site = with_rule(at.site)
        operate.queue_pause(at.site, ["deliver:pacs"])
        for number in range(3):
            self.examined_today(number)
        self.uid = at.take(paths)
        self.study_id = int(at.ledger.study(self.uid)["id"])
        self.sql("UPDATE tbs_delivery SET state = 'sent', next_try_at = NULL")
        self.age()

    def sql(self, statement: str) -> None:
        with self.site.database.transaction() as tx:
            tx.connection.exec_driver_sql(statement)

    def examined_today(self, number: int) -> None:
        """Add a study that says what day it is."""
        values = {"study_instance_uid": f"1.2.{number}", "study_date": time.strftime("%Y%m%d")}
        with self.site.database.transaction() as tx:
            patient = tx.add(schema.patient, patient_id=f"TODAY-{number}", created_at=tx.now)
            times = {"created_at": tx.now, "updated_at": tx.now}
            tx.add(schema.study, patient_ref=patient, state="done", **values, **times)

    def age(self) -> None:
        """Make everything happen long ago."""
        for table, column in AGED:
            self.sql(f"UPDATE {table} SET {column} = {column} - {OLD}")

    def files(self) -> list[Path]:
        return sorted((self.site.archive.root / "studies").rglob("*.dcm"))

    def run(self, site: Site | None = None) -> retention.Outcome:
        """Ask first, then do; both must say the same."""
        chosen = site or self.site
        before = self.files()
        asked = retention.run(chosen, dry_run=True)
        assert self.files() == before, "a dry run deletes nothing"
        done = retention.run(chosen)
        assert asked == done
        return done


def with_rule(site: Site, **more: Any) -> Site:
    rule = {"retention_days": 365, "keep_priors_years": 0.0} | more
    return replace(site, policy=replace(site.policy, **rule))


@pytest.fixture
def office(tmp_path: Path, drawn: list[Path]) -> Iterator[Office]:
    nowhere = nodes.Destination("pacs", "NOBODY", peers.free_port())
    with desk.desk(nodes.Node(tmp_path / "node", peers.free_port(), [nowhere])) as at:
        yield Office(at, drawn)


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the minute of grace be over."""
    monkeypatch.setattr(retention, "GRACE_S", -1.0)


def test_files_go_rows_and_story_stay(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(office.files()) == 3
    (gone,) = office.run().deleted
    assert (gone.study_instance_uid, gone.files) == (office.uid, 3)
    assert office.files() == []
    later(monkeypatch)
    assert retention.sweep(office.site) == 3
    assert not list((office.site.archive.root / "studies").rglob("*.*cm*"))
    shown = operate.study_show(office.site, office.uid)
    assert [row["state"] for row in shown["instances"]] == ["purged"]
    assert shown["results"][0]["score"] > 0.5
    assert [row["action"] for row in shown["events"]][-1] == "study.purged"
    assert office.run() == retention.Outcome(deleted=(), kept={}), "nothing twice"
    assert list(backup.verify(office.site, track=lambda files: files)) == [], "no fault: the rows say so"


def test_what_stays_is_only_looked_at_a_portion_a_turn(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most old studies stay for years: each turn would hold the database for all of them, to no end."""
    kept = with_rule(office.site, keep_priors_years=100.0)

    def refuse(_: Database) -> None:
        raise AssertionError("nothing is to be written")

    def asks(*_: object, **__: object) -> str:
        raise AssertionError("for a possible prior, no other row need be looked at")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "transaction", refuse)
        patched.setattr(rows, "obstacle", asks)
        first = retention.run(kept, most_looked_at=1)
        rest = retention.run(kept, after=first.after, most_looked_at=1)
    assert first == retention.Outcome(deleted=(), kept={"a possible prior": 1}, after=office.study_id)
    assert rest == retention.Outcome(deleted=(), kept={}), "and then from the beginning"


YEARS = 4 * 365.25 * 86400.0


def ahead(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the clock ahead."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)


def test_a_clock_years_ahead_makes_nothing_old(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """NTP set 2030: every study would go, but for those that no destination has."""
    office.sql("UPDATE tbs_study SET study_date = strftime('%Y%m%d', 'now')")
    for table, column in AGED:
        office.sql(f"UPDATE {table} SET {column} = {column} + {OLD}")
    ahead(monkeypatch, YEARS)
    waits = office.run()
    assert (waits.deleted, waits.clock_ahead_days) == ((), 1461)
    assert len(office.files()) == 3
    config = ["--config", str(office.at.ledger.node.config)]
    monkeypatch.setenv("TBSNODE__RETENTION__DAYS", "365")
    said = CliRunner().invoke(app, ["retention", "run", "--dry-run", *config])
    assert "dated 1461 days before the clock" in said.output
    assert "`tbsnode retention run --trust-clock`" in said.output
    checked = CliRunner().invoke(app, ["check", *config])
    assert "FAIL  dates: The newest studies are dated 1461 days before the clock" in checked.output
    meant = retention.run(office.site, trust_clock=True)
    assert (len(meant.deleted), meant.clock_ahead_days) == (1, 0)


def test_what_was_examined_since_is_not_old_whatever_the_clock_said_then(office: Office) -> None:
    """A machine that began in 2000, until it had the time: what came then was 26 years old a minute later."""
    office.sql("UPDATE tbs_study SET study_date = strftime('%Y%m%d', 'now', '-30 days')")
    assert office.run().deleted == ()
    office.sql(f"UPDATE tbs_study SET study_date = strftime('%Y%m%d', 'now') WHERE id != {office.study_id}")
    assert office.run() == retention.Outcome(deleted=(), kept={"examined since": 1})


def test_a_file_that_was_put_aside_next_year_goes_today(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.run()
    for path in (office.site.archive.root / "studies").rglob(f"*{retention.ASIDE}"):
        os.utime(path, (time.time() + YEARS, time.time() + YEARS))
    assert retention.sweep(office.site) == 0, "its minute begins now"
    later(monkeypatch)
    assert retention.sweep(office.site) == 3


def test_off_by_default(office: Office) -> None:
    off = replace(office.site, policy=replace(office.site.policy, retention_days=0))
    assert office.run(off) == retention.Outcome(deleted=(), kept={})
    assert len(office.files()) == 3


def test_what_is_not_old_stays(office: Office) -> None:
    assert office.run(with_rule(office.site, retention_days=500)).deleted == ()
    office.sql(f"UPDATE tbs_delivery SET updated_at = updated_at + {OLD}")
    assert office.run().deleted == (), "it was sent again today"


STAYS: dict[str, tuple[str, str]] = {
    "queued": ("UPDATE tbs_delivery SET state = 'queued'", "unsent"),
    "running": ("UPDATE tbs_delivery SET state = 'running'", "unsent"),
    "failed": ("UPDATE tbs_delivery SET state = 'failed'", "unsent"),
    "refused": ("UPDATE tbs_delivery SET state = 'refused'", "unsent"),
    "partial": ("UPDATE tbs_delivery SET state = 'partial'", "unsent"),
    "held": ("UPDATE tbs_delivery SET state = 'held'", "unsent"),
    "cancelled": ("UPDATE tbs_delivery SET state = 'cancelled'", "unsent"),
    "never queued": ("DELETE FROM tbs_delivery", "unsent"),
    "only an old result": ("UPDATE tbs_delivery SET state = 'superseded'", "unsent"),
    "study held": ("UPDATE tbs_study SET state = 'held'", "held"),
    "study failed": ("UPDATE tbs_study SET state = 'failed'", "unfinished"),
    "study running": ("UPDATE tbs_study SET state = 'running'", "unfinished"),
    "study due": ("UPDATE tbs_study SET ready_at = 1", "unfinished"),
    "to be reviewed": ("UPDATE tbs_study SET review_state = 'needs_re_review'", "unsigned"),
}


@pytest.mark.parametrize("name", STAYS)
def test_work_that_is_not_over_is_never_deleted(office: Office, name: str) -> None:
    statement, why = STAYS[name]
    office.sql(statement)
    assert office.run() == retention.Outcome(deleted=(), kept={why: 1})
    assert len(office.files()) == 3
    with pytest.raises(ReviewRefused):
        retention.delete(office.site, office.uid)
    assert len(office.files()) == 3


def test_where_somebody_signs_what_is_unsigned_stays(office: Office) -> None:
    signing = with_rule(office.site, reviewers=(Reviewer(login="jdoe", name="Doe^Jane", organization=""),))
    assert office.run(signing).kept == {"unsigned": 1}
    office.sql("UPDATE tbs_study SET review_state = 'signed'")
    assert len(office.run(signing).deleted) == 1


def test_where_commitment_is_wanted_it_must_be_committed(office: Office) -> None:
    peer = replace(office.site.peers[0], commitment=True)
    committing = replace(office.site, peers=(peer,))
    assert office.run(committing).kept == {"uncommitted": 1}
    office.sql("UPDATE tbs_delivery SET state = 'committed'")
    assert len(office.run(committing).deleted) == 1


def test_an_open_commitment_keeps_the_files(office: Office) -> None:
    (delivery,) = office.at.ledger.deliveries(office.uid)
    made = office.at.ledger.made(office.uid)[0]
    with office.site.database.transaction() as tx:
        deliveries.record_item(
            tx,
            delivery["id"],
            kind=made["kind"],
            derived_ref=made["id"],
            sop_class_uid=made["sop_class_uid"],
            sop_instance_uid=made["sop_instance_uid"],
            outcome="success",
        )
        assert commitments.add_commitment(tx, delivery["id"], horizon_s=60.0)
    assert office.run().kept == {"uncommitted": 1}


def test_a_possible_prior_stays_unless_the_pacs_has_it(office: Office) -> None:
    for_priors = with_rule(office.site, keep_priors_years=100.0)
    assert office.run(for_priors).kept == {"a possible prior": 1}
    from_pacs = with_rule(office.site, keep_priors_years=100.0, priors_from="pacs")
    assert len(office.run(from_pacs).deleted) == 1


def test_a_study_of_a_bulk_run_stays(office: Office) -> None:
    bulk.begin(office.site, [office.uid], shadow=True)
    assert office.run().kept == {"in a bulk run": 1}


def test_a_bulk_run_skips_what_was_deleted(office: Office) -> None:
    office.run()
    run = bulk.begin(office.site, [office.uid], shadow=False)
    assert bulk.feed(office.site, run).counts == {ItemState.SKIPPED: 1}
    assert operate.reprocess(office.site, [office.uid]) == ()
    told = CliRunner().invoke(
        app, ["study", "reprocess", office.uid, "--config", str(office.at.ledger.node.config)]
    )
    assert (told.exit_code, "Left out 1 study: " in told.output and "images were deleted" in told.output) == (
        0,
        True,
    )
    for act in (operate.ready, operate.resend):
        with pytest.raises(NotFound, match="deleted"):
            act(office.site, office.uid)
    assert office.at.ledger.study(office.uid)["state"] == "done"


def test_what_comes_again_is_kept_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scanner sends its study once more: success must mean that we have it."""
    office.run()
    assert operate.import_file(office.site, office.paths[0]) == "stored"
    later(monkeypatch)
    retention.run(office.site)
    (kept,) = office.files()
    assert dcmread(kept, stop_before_pixels=True).StudyInstanceUID == office.uid
    assert [row["state"] for row in office.at.ledger.instances(office.uid)] == ["purged", "current"]
    operate.ready(office.site, office.uid)
    office.at.work()
    assert office.at.ledger.study(office.uid)["state"] == "done"
    assert len(office.at.ledger.deliveries(office.uid)) == 1, "the same result: nothing new is sent"


def test_what_comes_in_that_moment_finds_its_file_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is written between the mark and the deletion, and counts on the file that lay there."""
    (row,) = office.at.ledger.instances(office.uid)
    office.run()
    columns = ", ".join(name for name in row if name not in ("id", "version", "state"))
    office.sql(
        f"INSERT INTO tbs_instance ({columns}, version, state) "
        f"SELECT {columns}, 2, 'current' FROM tbs_instance WHERE id = {row['id']}"
    )
    later(monkeypatch)
    retention.sweep(office.site)
    assert [path.name for path in office.files()] == [Path(row["path"]).name]


def test_killed_between_row_and_file_the_next_run_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_put_aside", lambda *_: None)
    retention.run(office.site)
    assert len(office.files()) == 3
    monkeypatch.undo()
    later(monkeypatch)
    retention.sweep(office.site)
    assert office.files() == []
    assert retention.sweep(office.site) == 3


def test_a_backup_goes_on_where_retention_deletes_meanwhile(office: Office, tmp_path: Path) -> None:
    """A copy of an archive takes hours: what went in them is no fault, and what is lost is."""

    def while_it_copies(files: Iterable[KeptFile]) -> list[KeptFile]:
        listed = list(files)
        office.run()
        return listed

    made = backup.backup(office.site, tmp_path / "copy", track=while_it_copies)
    assert (made.files, made.missing) == (0, 0)
    assert list(backup.verify(office.site, track=while_it_copies)) == []
    assert operate.import_file(office.site, office.paths[0]) == "stored"
    office.files()[0].unlink()
    assert backup.backup(office.site, tmp_path / "copy", track=iter).missing == 1


def test_an_administrator_deletes_one_study(office: Office) -> None:
    recent = with_rule(office.site, retention_days=100000, keep_priors_years=100.0)
    assert retention.delete(recent, office.uid, dry_run=True).files == 3
    assert len(office.files()) == 3
    assert retention.delete(recent, office.uid).files == 3
    assert office.files() == []
    with pytest.raises(NotFound):
        retention.delete(recent, office.uid)
    with pytest.raises(NotFound):
        retention.delete(recent, "1.2.3")


def test_what_is_unsent_is_given_up_only_if_said(office: Office) -> None:
    office.sql("UPDATE tbs_delivery SET state = 'queued', next_try_at = 1")
    with pytest.raises(ReviewRefused, match="unsent"):
        retention.delete(office.site, office.uid)
    retention.delete(office.site, office.uid, discard=True)
    (row,) = office.at.ledger.deliveries(office.uid)
    assert (row["state"], row["next_try_at"]) == ("superseded", None)
    assert office.files() == []


def test_what_runs_is_not_deleted_even_if_said(office: Office) -> None:
    office.sql("UPDATE tbs_delivery SET state = 'running'")
    with pytest.raises(ReviewRefused, match="worked on"):
        retention.delete(office.site, office.uid, discard=True)
    assert len(office.files()) == 3


def test_a_full_disk_refuses_and_deletes_nothing_unsent(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However full it is: the sender keeps its copy, we keep ours."""
    office.sql("UPDATE tbs_delivery SET state = 'queued', next_try_at = 1")
    full = with_rule(office.site, min_free_bytes=1 << 60)
    with pytest.raises(StorageFull):
        operate.import_file(full, office.paths[0])
    later(monkeypatch)
    assert retention.run(full).kept == {"unsent": 1}
    assert len(office.files()) == 3


def test_two_at_once_delete_each_study_once(office: Office) -> None:
    outcomes: list[retention.Outcome] = []
    both: list[Callable[[], None]] = [lambda: outcomes.append(retention.run(office.site))] * 2
    threads = [threading.Thread(target=act) for act in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == 2
    assert office.at.ledger.actions(office.uid).count("study.purged") == 1
    assert os.listdir(office.site.archive.incoming) == []
