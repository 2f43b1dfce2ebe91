"""All migrations from nothing make exactly the tables of `store.schema`, also from a built wheel."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tbsnode.errors import DatabaseUnavailable, SchemaOutdated
from tbsnode.store import identity_changes, revision, schema, sqlite_file
from tbsnode.store.database import REVISION_TABLE, Database

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/tbsnode.db"
    made: str = request.getfixturevalue("postgres_url")
    return made


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = Database(url)
    yield made
    made.dispose()


def _differences(database: Database) -> list[Any]:
    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or (name or "").startswith("tbs_")

    with database.read() as tx:
        context = MigrationContext.configure(
            tx.connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": ours,
                "version_table": REVISION_TABLE,
            },
        )
        return compare_metadata(context, schema.metadata)


def test_all_migrations_make_the_schema(database: Database) -> None:
    database.upgrade()
    assert _differences(database) == []


def test_a_difference_would_be_seen(database: Database) -> None:
    database.upgrade()
    with database.transaction() as tx:
        tx.execute(sa.text("DROP INDEX ix_tbs_study_ready_at"))
        tx.execute(sa.text("ALTER TABLE tbs_study DROP COLUMN tries"))
    assert len(_differences(database)) == 2


def test_migrations_carry_constraints_that_a_comparison_does_not_see(database: Database) -> None:
    """Primary keys and foreign keys, by name, as the naming convention makes them."""
    database.upgrade()
    with database.read() as tx:
        inspector = sa.inspect(tx.connection)
        for table in schema.metadata.sorted_tables:
            assert inspector.get_pk_constraint(table.name)["name"] == table.primary_key.name
            found = {key["name"] for key in inspector.get_foreign_keys(table.name)}
            assert found == {key.name for key in table.foreign_key_constraints}


def test_an_upgrade_is_idempotent_and_keeps_rows(database: Database) -> None:
    assert database.current_revision() is None
    with pytest.raises(SchemaOutdated, match=r"no tables yet.*Run `tbsnode db upgrade`"):
        database.require_current()
    database.upgrade()
    with database.transaction() as tx:
        tx.add(schema.patient, patient_id="P1", created_at=tx.now)
    database.upgrade()
    database.require_current()
    assert database.current_revision() == database.head_revision()
    with database.read() as tx:
        assert tx.scalar(sa.select(schema.patient.c.patient_id)) == "P1"


def test_a_newer_database_is_told_from_an_older_one(database: Database) -> None:
    database.upgrade()
    with database.transaction() as tx:
        tx.execute(sa.text(f"UPDATE {REVISION_TABLE} SET version_num = '9999'"))
    for refused in (database.require_current, database.upgrade):
        with pytest.raises(SchemaOutdated, match="newer tbsnode"):
            refused()


def test_two_upgrades_at_once_make_one_schema(url: str, database: Database) -> None:
    """Two in processes of their own, two more in threads of this one."""
    code = "import sys; from tbsnode.store.database import Database; Database(sys.argv[1]).upgrade()"
    children = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(2)]
    threads = [threading.Thread(target=database.upgrade) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [child.wait() for child in children] == [0, 0]
    assert _differences(database) == []


def test_a_failed_migration_leaves_nothing(database: Database) -> None:
    """Tables and revision are one transaction, on SQLite too."""
    if database.path is not None:
        sqlite_file.create(database.path)
    with database.transaction() as tx:
        tx.execute(sa.text("CREATE TABLE tbs_vertebra_score (id INTEGER)"))
    with pytest.raises((sa.exc.ProgrammingError, DatabaseUnavailable), match="tbs_vertebra_score"):
        database.upgrade()
    with database.read() as tx:
        assert sa.inspect(tx.connection).get_table_names() == ["tbs_vertebra_score"]


def _before_0008(database: Database) -> None:
    """Fill a database as 0007 left it: a pause of refusals that ended, and deliveries that were refused."""
    database.upgrade("0007")
    rows = (
        "INSERT INTO tbs_event (at, study_instance_uid, action, text, data)"
        """ VALUES (7.0, '', 'refusals.resumed', '', '{"scanner": "Example 77"}')""",
        "INSERT INTO tbs_patient (id, patient_id, issuer, name, birth_date, sex, created_at)"
        " VALUES (1, 'P', '', '', '', '', 0)",
        "INSERT INTO tbs_study (id, study_instance_uid, patient_ref, study_date, study_time,"
        " accession_number, description, scanner, state, reason, generation, attempt, tries, last_error,"
        " created_at, updated_at)"
        " VALUES (1, '1.2', 1, '', '', '', '', '', 'done', '', 1, 1, 1, '', 0, 0)",
        "INSERT INTO tbs_analysis (id, study_ref, generation, frame, reported, published, status, reason,"
        " category, input_class, content_digest, result_digest, version, result, created_at)"
        " VALUES (1, 1, 1, 0, true, true, 'scored', '', '', '', '', '', '1', '{}', 0)",
    )
    delivery = (
        "INSERT INTO tbs_delivery (study_ref, analysis_ref, destination, state, reason, attempt, tries,"
        " last_error, created_at, updated_at) VALUES (1, 1, '{}', '{}', '', 1, 1, '', 0, 0)"
    )
    made = (("pacs", "partial"), ("pacs", "refused"), ("pacs", "sent"), ("other", "refused"))
    with database.transaction() as tx:
        for statement in (*rows, *(delivery.format(*each) for each in made)):
            tx.connection.exec_driver_sql(statement)


def test_what_0008_takes_over_from_years_before(database: Database) -> None:
    _before_0008(database)
    said: list[str] = []
    database.upgrade(told=said.append)
    assert said[0].startswith("Schema 0008: Indexes for what a node asks all day")
    with database.read() as tx:
        states = [row.state for row in tx.all(sa.select(schema.delivery).order_by(schema.delivery.c.id))]
        assert identity_changes.resumed_at(tx, "Example 77") == 7.0
        assert identity_changes.refusal_pauses(tx) == ()
    assert states == ["superseded", "superseded", "sent", "refused"], "the last to each destination stands"


def test_an_upgrade_with_nothing_to_do_looks_at_nothing(database: Database) -> None:
    """The service runs it before each start: checking the references of years of rows took seconds."""
    database.upgrade()
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        database.upgrade(told=asked.append)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert asked
    assert [one for one in asked if "foreign_key" in one or one.startswith("Schema")] == []


def test_the_revisions_are_one_chain() -> None:
    names = sorted(path.name for path in (revision.scripts() / "versions").glob("*.py"))
    assert [name[:5] for name in names] == [f"{number:04d}_" for number in range(1, len(names) + 1)]
    assert revision.head() == f"{len(names):04d}"


@pytest.mark.slow
def test_a_wheel_brings_its_migrations(tmp_path: Path) -> None:
    """Built, unpacked and run without the repository beside it."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    code = (
        "import tbsnode; from tbsnode.store import revision; from tbsnode.store.database import Database\n"
        f"database = Database('sqlite:///{tmp_path}/x.db'); database.upgrade(); database.require_current()\n"
        "print(tbsnode.__file__, revision.scripts())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
        check=True,
        capture_output=True,
        text=True,
    )
    module, scripts = ran.stdout.split()
    assert Path(module).parent == tmp_path / "installed" / "tbsnode"
    assert Path(scripts) == tmp_path / "installed" / "tbsnode" / "_migrations"


def test_a_source_distribution_has_every_file(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no clone")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert set(listed.stdout.splitlines()) - names == set()


def test_a_file_name_begins_with_its_revision_and_history_is_a_line() -> None:
    """What `revision.known` reads from names is what Alembic reads from the scripts."""
    scripts = ScriptDirectory(str(revision.scripts()))
    walked = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(walked)) == revision.known()
    assert scripts.get_current_head() == revision.head()
