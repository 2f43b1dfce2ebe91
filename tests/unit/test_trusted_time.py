"""What day it is, by the dates of the studies that came last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tbsnode.pipeline import trusted_time
from tbsnode.pipeline.trusted_time import DAY_S, TrustedTime
from tbsnode.store import schema
from tbsnode.store.database import Database
from tests import schemas


class Came:
    """Studies of given ages, in the order in which they came."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, *ages: int | None) -> None:
        """Add studies so many days old; None has no date."""
        with self.database.transaction() as tx:
            for age in ages:
                day = "" if age is None else time.strftime("%Y%m%d", time.gmtime(tx.now - age * DAY_S))
                patient = tx.add(schema.patient, patient_id=str(time.monotonic_ns()), created_at=tx.now)
                values: dict[str, Any] = {"state": "done", "created_at": tx.now, "updated_at": tx.now}
                uid = str(time.monotonic_ns())
                tx.add(schema.study, patient_ref=patient, study_date=day, study_instance_uid=uid, **values)

    def seen(self, kept_days: float = 365.0) -> tuple[int, int]:
        """Return by how many days the trusted time is before the clock, and how far that is ahead."""
        with self.database.read() as tx:
            found: TrustedTime = trusted_time.trusted_time(tx, kept_days=kept_days)
            return round((tx.now - found.now) / DAY_S), found.ahead_days


@pytest.fixture
def came(tmp_path: Path) -> Iterator[Came]:
    database = Database(schemas.fill_sqlite(tmp_path / "tbsnode.db"))
    yield Came(database)
    database.dispose()


def test_nothing_to_go_by_is_the_clock(came: Came) -> None:
    assert came.seen() == (0, 0)
    came.add(None, None, 3650)
    assert came.seen() == (3650 - 8, 3650), "the only date there is"


def test_a_clock_that_scanners_bear_out_counts(came: Came) -> None:
    came.add(800, 400, 3, 0, 0, 0)
    assert came.seen() == (0, 0)


def test_a_holiday_changes_nothing_and_a_closed_house_grows_no_older(came: Came) -> None:
    came.add(8, 8, 8)
    assert came.seen() == (0, 8)
    assert came.seen(kept_days=4.0) == (6, 8), "what is kept for days only has less leeway"


def test_a_clock_years_ahead_is_not_followed(came: Came) -> None:
    came.add(1461, 1461, 1462)
    assert came.seen() == (1462 - 8, 1462)
    with came.database.read() as tx:
        assert trusted_time.objection(tx).startswith("The newest studies are dated 1462 days before")


def test_two_studies_that_are_dated_wrongly_bear_nothing_out(came: Came) -> None:
    came.add(*[1500] * 10, 0, 0)
    assert came.seen()[1] == 1500


def test_dates_to_come_bear_nothing_out_but_tomorrow_has_begun_somewhere(came: Came) -> None:
    came.add(*[100] * 3, *[-400] * 5)
    assert came.seen()[1] == 100
    came.add(-1, -1, -1)
    assert came.seen() == (0, 0)


def test_an_import_of_old_studies_hides_no_new_ones(came: Came) -> None:
    came.add(0, 0, 0, *[2000] * 900)
    assert came.seen() == (0, 0)
