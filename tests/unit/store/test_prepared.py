"""Prepared statements give what SQLAlchemy's own execution gives, on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tbsnode.errors import SchemaOutdated
from tbsnode.store import schema
from tbsnode.store.database import Database
from tbsnode.store.prepared import Prepared
from tests.unit.store.conftest import AddStudy

ROW = {"at": 12.5, "study_instance_uid": "1.2", "action": "a", "text": "Änne %s :x ?"}
DATA = {"uid": "1.2", "list": [1, None, "é"], "no": None}


def test_a_row_is_written_and_read_as_its_types_say(database: Database) -> None:
    add = Prepared(schema.event.insert().returning(schema.event.c.id))
    one = sa.select(schema.event).where(schema.event.c.id == sa.bindparam("id_"))
    with database.transaction() as tx:
        made = add.value(tx, {**ROW, "data": DATA})
        (row,) = Prepared(one).rows(tx, {"id_": made})
        usual = tx.one(one, {"id_": made})
    assert row == {"id": made, **ROW, "data": DATA}
    assert usual is not None
    assert row == dict(usual._mapping)


def test_defaults_and_truth_values_are_those_of_the_table(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    one = sa.select(schema.study).where(schema.study.c.id == sa.bindparam("id_"))
    with database.read() as tx:
        (row,) = Prepared(one).rows(tx, {"id_": study_id})
        usual = tx.one(one, {"id_": study_id})
    assert usual is not None
    assert row == dict(usual._mapping)
    assert row["shadow"] is False
    assert row["last_error"] == ""


def test_nothing_found(database: Database) -> None:
    none = Prepared(
        sa.select(schema.study.c.id).where(schema.study.c.study_instance_uid == sa.bindparam("u"))
    )
    with database.read() as tx:
        assert none.value(tx, {"u": "1.2.3"}) is None
        assert none.rows(tx, {"u": "1.2.3"}) == []


def test_what_the_driver_refuses_is_translated_and_undone(database: Database, add_study: AddStudy) -> None:
    missing = Prepared(sa.select(sa.table("tbs_no_such_table", sa.column("x", sa.Integer)).c.x))

    def write_and_fail() -> None:
        with database.transaction() as tx:
            tx.add(schema.event, **ROW, data={})
            missing.rows(tx, {})

    with pytest.raises(SchemaOutdated):
        write_and_fail()
    with database.read() as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(schema.event)) == 0
    assert add_study(2), "and the connection is as good as before"


def test_a_list_is_not_a_parameter(database: Database) -> None:
    several = Prepared(sa.select(schema.study.c.id).where(schema.study.c.id.in_([1, 2])))
    with database.read() as tx, pytest.raises(AssertionError, match="list"):
        several.rows(tx, {})
