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
from tbsnode.store import revision, schema, sqlite_file
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
