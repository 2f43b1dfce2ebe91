"""A node of the first schema with a thousand studies in it is upgraded, and goes on where it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import dcmread

from tbsnode.dicom import identity as dicom_identity
from tbsnode.dicom import part10
from tbsnode.store import identity_json
from tbsnode.store.archive import Archive
from tbsnode.store.database import Database
from tests import many_studies, nodes, peers
from tests.ledger import Ledger

STUDIES = 1000
WAITING = 4  # came shortly before the old version was stopped
FIRST = "0001"
# What the first version wrote where a column's type does not say it.
WROTE: dict[str, dict[str, Any]] = {
    "tbs_study": {"state": "done", "scanner": "ACME DXA-9 SN-1", "ready_at": None, "next_try_at": None},
    "tbs_instance": {"state": "current", "version": 1, "identity": {}},
    "tbs_analysis": {"status": "scored", "reported": True, "published": True, "frame": 0, "generation": 1},
    "tbs_delivery": {"state": "sent", "destination": "pacs", "next_try_at": None, "deadline": None},
    "tbs_derived_instance": {"kind": "sr"},
    "tbs_association": {"outcome": "released"},
    "tbs_vertebra_score": {"label": "L1"},
    "tbs_delivery_item": {"state": "stored"},
}
# One row of these would stop a node, or belongs to a process that runs; the first version never wrote
# a commitment, and a later one made that table anew.
LEFT_OUT = ("tbs_queue_pause", "tbs_executor_lease", "tbs_revision", "tbs_commitment")

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def row(table: sa.Table, number: int) -> dict[str, Any]:
    """Return a row of the first schema; rows of one number belong together."""
    wrote = WROTE.get(table.name, {})
    return {
        column.name: wrote[column.name] if column.name in wrote else value(table, column, number)
        for column in table.columns
        if not (column.name == "id" and isinstance(column.type, sa.Integer))  # counted by the database
    }


def value(table: sa.Table, column: sa.Column[Any], number: int) -> Any:
    if column.name == "id" or column.foreign_keys:
        return f"association-{number}" if isinstance(column.type, sa.String) else number
    if isinstance(column.type, sa.String):
        length = column.type.length or 100
        return f"1.2.{number}" if column.name.endswith("uid") else f"{table.name[4:]}-{number}"[-length:]
    if isinstance(column.type, sa.JSON):
        return {"number": number}
    return bool(number % 2) if isinstance(column.type, sa.Boolean) else number


def fill(database: Database, waiting: list[dict[str, Any]]) -> dict[str, int]:
    """Write what the first version had written; return how many rows each table has."""
    tables = sa.MetaData()
    with database.transaction() as tx:
        tables.reflect(tx.connection, only=lambda name, _: name.startswith("tbs_"))
        counts = {}
        for table in tables.sorted_tables:
            if table.name in LEFT_OUT:
                continue
            rows = [row(table, number) for number in range(1, STUDIES + 1)]
            for number, changes in enumerate(waiting, 1):
                rows[number - 1].update(changes.get(table.name, {}))
            tx.execute(table.insert(), rows)
            counts[table.name] = len(rows)
    return counts


def arrived(files: list[tuple[str, Path]], archive: Path) -> Iterator[dict[str, Any]]:
    """Put images into the archive as the first version did; yield what its rows said of each."""
    kept = Archive(archive)
    for uid, path in files:
        identity = dicom_identity.read_identity(path)
        relative = kept.relative_path(uid, identity.sop_instance_uid, 1)
        kept.path(relative).parent.mkdir(parents=True)
        shutil.copyfile(path, kept.path(relative))
        known = identity_json.to_json(identity)
        known.pop("body_declarations")  # a later version's
        yield {
            "tbs_study": {"study_instance_uid": uid, "state": "receiving", "ready_at": 1.0, "generation": 0},
            "tbs_analysis": {"published": False, "reported": False, "generation": 0},
            "tbs_delivery": {"state": "superseded"},
            "tbs_instance": {
                "sop_instance_uid": identity.sop_instance_uid,
                "sop_class_uid": identity.sop_class_uid,
                "transfer_syntax_uid": identity.transfer_syntax_uid,
                "path": relative,
                "size_bytes": path.stat().st_size,
                "data_set_sha256": part10.data_set_digest(path),
                "identity": known,
                "received_at": 0.0,
            },
        }


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_a_thousand_studies_are_kept_and_those_that_wait_are_done(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if where == "postgresql" else "sqlite:///state/tbsnode.db"
    with peers.storescp(tmp_path) as pacs:
        destination = nodes.Destination("pacs", pacs.ae_title, pacs.port)
        node = nodes.Node(
            tmp_path / "node", peers.free_port(), [destination], database_url=url, migrates=True, workers=1
        )
        node.write()
        absolute = url if where == "postgresql" else f"sqlite:///{node.folder}/state/tbsnode.db"
        old = Database(absolute)
        old.upgrade(FIRST)
        files = list(many_studies.studies(tmp_path / "images", WAITING, size="small"))
        counts = fill(old, list(arrived(files, node.folder / node.archive)))
        old.dispose()
        assert "Run `tbsnode db upgrade`" in node.cli("study", "list", ok=False).stderr

        with nodes.serving(node):  # migrates first, as an administrator does
            ledger = Ledger(node)
            waiting = [uid for uid, _ in files]
            for uid in waiting:
                assert ledger.settle(uid, generation=1)["state"] == "done"
            listed = node.studies()
            assert len(listed) == STUDIES
            assert {each["state"] for each in listed.values()} == {"done"}
            found = {
                name: ledger.rows(f"SELECT count(*) AS n FROM {name} WHERE id <= {STUDIES}")[0]["n"]
                for name in counts
                if name not in ("tbs_association", "tbs_vertebra_score")
            }
            assert {name: n for name, n in found.items() if n != STUDIES} == {}
            assert node.json("queue", "list") is not None
            assert node.cli("audit", "verify").returncode == 0
        results = [dcmread(path, stop_before_pixels=True) for path in pacs.files()]
        assert sorted(str(ds.StudyInstanceUID) for ds in results) == sorted(waiting * 2)
