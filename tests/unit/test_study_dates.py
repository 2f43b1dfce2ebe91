"""Days are those of the node's time zone, as the dates that its scanners write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from tbsnode.pipeline.study_dates import local_day, study_age_days

EARLY, LATE = (datetime(2026, 11, 27, hour, 30, tzinfo=UTC).timestamp() for hour in (3, 22))


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("zone", ["Australia/Brisbane"], indirect=True)
@pytest.mark.usefixtures("zone")
def test_east_of_utc_the_day_has_begun() -> None:
    assert local_day(LATE) == date(2026, 11, 28)
    assert study_age_days("20261128", LATE) == 0


@pytest.mark.parametrize("zone", ["America/Los_Angeles"], indirect=True)
@pytest.mark.usefixtures("zone")
def test_west_of_utc_the_day_has_not_begun() -> None:
    assert local_day(EARLY) == date(2026, 11, 26)
    assert study_age_days("20261126", EARLY) == 0
