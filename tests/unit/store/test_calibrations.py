"""Calibrations in the database: written once, superseded or retired, never edited."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from tbsnode.store import calibrations, schema
from tbsnode.store.database import Database
from tbsnode.tbs.calibration import Calibration, Kind, ScannerKey
from tbsnode.tbs.calibration_choice import choose
from tests.unit.tbs.test_calibration import LINE


def add(database: Database, calibration: Calibration) -> bool:
    with database.transaction() as tx:
        return calibrations.add(tx, calibration, {"pairs": []})


def active(database: Database) -> list[str]:
    with database.read() as tx:
        return [each.calibration_id for each in calibrations.active(tx)]


def test_it_comes_back_as_it_was(database: Database) -> None:
    assert add(database, LINE)
    with database.read() as tx:
        row = calibrations.by_id(tx, LINE.calibration_id)
    assert row is not None
    assert row.calibration == LINE
    assert (row.state, row.details) == ("active", {"pairs": []})


def test_a_newer_one_of_the_same_scanner_supersedes(database: Database) -> None:
    newer = replace(LINE, slope=1.2).named()
    other = replace(LINE, key=replace(LINE.key, device_serial_number="78")).named()
    for each in (LINE, other, newer):
        add(database, each)
    assert active(database) == [other.calibration_id, newer.calibration_id]
    with database.read() as tx:
        old = calibrations.by_id(tx, LINE.calibration_id)
    assert old is not None
    assert (old.state, old.reason) == ("superseded", f"by {newer.calibration_id}")
    assert old.calibration == LINE


@pytest.mark.parametrize(
    "other", [replace(LINE.key, software_versions="2.0"), replace(LINE.key, pixel_spacing_mm=(0.9, 0.9))]
)
def test_one_of_another_state_stands_beside(database: Database, other: ScannerKey) -> None:
    """Images made before the change, or in the other scan mode, keep theirs when they are measured again."""
    beside = replace(LINE, key=other).named()
    add(database, LINE)
    add(database, beside)
    assert active(database) == [LINE.calibration_id, beside.calibration_id]
    with database.read() as tx:
        both = calibrations.active(tx)
    for key, expected in ((LINE.key, LINE), (other, beside)):
        found = choose(both, key, estimator=LINE.estimator, on=LINE.valid_until)
        assert found.calibration == expected


def test_a_reference_stands_beside_a_line(database: Database) -> None:
    adults = replace(LINE, kind=Kind.REFERENCE, reference_scores=(1.0, 1.2)).named()
    add(database, LINE)
    add(database, adults)
    assert active(database) == [LINE.calibration_id, adults.calibration_id]


def test_the_same_one_again_changes_nothing(database: Database) -> None:
    assert add(database, LINE)
    assert not add(database, LINE)
    assert active(database) == [LINE.calibration_id]


def test_retired(database: Database) -> None:
    add(database, LINE)
    with database.transaction() as tx:
        assert calibrations.retire(tx, LINE.calibration_id, "scanner sold")
        assert not calibrations.retire(tx, LINE.calibration_id, "again")
        assert not calibrations.retire(tx, "CAL-none", "unknown")
    assert active(database) == []


def test_precision_studies_newest_first(database: Database) -> None:
    for number in (1, 2):
        with database.transaction() as tx:
            calibrations.add_precision(tx, {"sets": [], "number": number}, "Dr. Example")
    with database.read() as tx:
        assert [each["number"] for each in calibrations.precision_records(tx)] == [2, 1]


def test_the_first_schema_with_rows_in_it_is_upgraded(sqlite_url: str) -> None:
    """A database of revision 0001 keeps its rows and gains the new tables and columns."""
    database = Database(sqlite_url)
    database.upgrade("0001")
    with database.transaction() as tx:
        patient = tx.add(schema.patient, patient_id="P1", created_at=tx.now)
        for number, published in ((1, True), (2, False)):
            tx.execute(
                sa.text(
                    "INSERT INTO tbs_study (id, study_instance_uid, patient_ref, study_date, study_time,"
                    " accession_number, description, scanner, state, reason, generation, attempt, tries,"
                    " last_error, created_at, updated_at) VALUES"
                    " (:id, :uid, :patient, '', '', '', '', '', 'done', '', 1, 1, 1, '', 0, 0)"
                ),
                {"id": number, "uid": f"1.2.{number}", "patient": patient},
            )
            tx.execute(
                sa.text(
                    "INSERT INTO tbs_analysis (study_ref, generation, frame, reported, published, status,"
                    " reason, category, input_class, content_digest, result_digest, version, result,"
                    " created_at)"
                    " VALUES (:study, 1, 0, :published, :published, 'scored', '', '', '', '', '', '0.1.0',"
                    " '{}', 0)"
                ),
                {"study": number, "published": published},
            )
    database.upgrade()
    database.require_current()
    assert add(database, LINE)
    with database.read() as tx:
        assert tx.scalar(sa.select(schema.patient.c.patient_id)) == "P1"
        states = sa.select(schema.study.c.review_state).order_by(schema.study.c.id)
        assert [row.review_state for row in tx.all(states)] == ["preliminary", "none"]
    database.dispose()
