"""The same refusal many times in a row: reported so often, then only stored, until a study is scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tbsnode.cli import check_refusals
from tbsnode.errors import NotFound
from tbsnode.model import AnalysisStatus, StudyState
from tbsnode.pipeline import refusal_pause
from tbsnode.pipeline.assemble import Selection
from tbsnode.pipeline.site import Site
from tbsnode.reasons import Code, Finding
from tbsnode.store import audit, catalogue, schema
from tbsnode.store.database import Database
from tests import schemas
from tests.unit.store.conftest import IDENTITY, ORIGIN, kept

MOST = 4


class Line:
    """Studies of scanners, one after the other."""

    def __init__(self, database: Database, most: int = MOST) -> None:
        policy = SimpleNamespace(refusal_pause_after=most)
        self.site = cast("Site", SimpleNamespace(database=database, policy=policy))
        self.database = database
        self.number = 0

    def study(self, code: Code | None, serial: str = "77") -> str:
        """Let a study of a scanner come to a refusal or a score; return why it is not published."""
        self.number += 1
        uid = f"1.2.{self.number}"
        scanner = replace(IDENTITY.scanner, device_serial_number=serial)
        one = replace(IDENTITY, study_instance_uid=uid, sop_instance_uid=f"{uid}.4", scanner=scanner)
        with self.database.transaction() as tx:
            study_id = catalogue.add_instance(tx, one, kept(one), ORIGIN).study_ref
            row = catalogue.study_by_id(tx, study_id)
        assert row is not None
        status = AnalysisStatus.REFUSED if code else AnalysisStatus.SCORED
        analysis: Any = SimpleNamespace(status=status, reason=Finding(code) if code else None)
        reported: Any = SimpleNamespace(analysis=analysis)
        selection = Selection(state=StudyState.DONE, reported=reported, publish=True)
        judged = refusal_pause.judged(self.site, row, selection)
        assert judged.publish == (judged.reason is None)
        with self.database.transaction() as tx:
            values: dict[str, Any] = {"version": "0", "result": {}, "created_at": tx.now, "generation": 1}
            values |= {"status": status.value, "reason": code.value if code else "", "reported": True}
            tx.add(schema.analysis, study_ref=study_id, **values)
        return judged.reason.code.value if judged.reason else ""

    def actions(self) -> list[str]:
        """Return what the audit trail says, oldest first."""
        with self.database.read() as tx:
            return [event.action for event in reversed(audit.recent_events(tx))]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    database = Database(schemas.fill_sqlite(tmp_path / "tbsnode.db"))
    yield Line(database)
    database.dispose()


PAGE, NOT_REPORTED = Code.REPORT_PAGE, Code.REFUSALS_PAUSED.value


def test_the_last_of_a_full_row_begins_the_pause(line: Line) -> None:
    assert [line.study(PAGE) for _ in range(6)] == ["", "", "", NOT_REPORTED, NOT_REPORTED, NOT_REPORTED]
    assert line.actions() == ["refusals.paused"], "one alert, not one a study"
    (paused,) = refusal_pause.paused(line.site)
    assert (paused.code, paused.count) == ("REPORT_PAGE", MOST)
    assert paused.scanner == "Example Densitometer 1 77"


def test_a_score_ends_it(line: Line) -> None:
    for _ in range(5):
        line.study(PAGE)
    assert line.study(None) == ""
    assert refusal_pause.paused(line.site) == ()
    assert line.actions() == ["refusals.paused", "refusals.resumed"]
    assert [line.study(PAGE) for _ in range(4)] == ["", "", "", NOT_REPORTED]


@pytest.mark.parametrize("between", [None, Code.LOSSY_COMPRESSION], ids=["a score", "another refusal"])
def test_only_a_row_without_a_gap_counts(line: Line, between: Code | None) -> None:
    for code in (PAGE, PAGE, PAGE, between, PAGE, PAGE, PAGE):
        assert line.study(code) == ""


def test_each_scanner_has_its_own_row(line: Line) -> None:
    for _ in range(MOST - 1):
        assert (line.study(PAGE, "77"), line.study(PAGE, "78")) == ("", "")
    assert line.study(PAGE, "79") == ""
    assert line.study(PAGE, "77") == NOT_REPORTED


def test_another_refusal_of_a_paused_scanner_is_withheld_too(line: Line) -> None:
    for _ in range(MOST):
        line.study(PAGE)
    assert line.study(Code.LOSSY_COMPRESSION) == NOT_REPORTED


def test_an_administrator_ends_it(line: Line) -> None:
    for _ in range(MOST):
        line.study(PAGE)
    refusal_pause.resume(line.site, "Example Densitometer 1 77")
    assert refusal_pause.paused(line.site) == ()
    assert [line.study(PAGE) for _ in range(4)] == ["", "", "", NOT_REPORTED], "counted from here"
    refusal_pause.resume(line.site, "Example Densitometer 1 77")
    with pytest.raises(NotFound):
        refusal_pause.resume(line.site, "Example Densitometer 1 77")


def test_zero_never_pauses(line: Line) -> None:
    always = Line(line.database, most=0)
    assert [always.study(PAGE) for _ in range(8)] == [""] * 8


def test_check_names_the_scanner_and_what_to_do(line: Line) -> None:
    for _ in range(MOST):
        line.study(PAGE)
    with line.database.read() as tx:
        (said,) = check_refusals.lines(tx)
    assert not said.ok
    assert "Example Densitometer 1 77: refused 4 times in a row with REPORT_PAGE" in said.text
    assert "A scored study ends the pause." in said.remedy
