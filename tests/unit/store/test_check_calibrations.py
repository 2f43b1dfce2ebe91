"""A scanner without a calibration that holds is said by `check`, where the site works with calibrations."""

from __future__ import annotations

from tbsnode.cli import check_calibrations
from tbsnode.cli.check_line import Line
from tbsnode.pipeline import notify
from tbsnode.store import calibrations
from tbsnode.store.database import Database
from tests import desk_results
from tests.unit.store.conftest import AddStudy
from tests.unit.tbs.test_calibration import LINE


def said(database: Database) -> list[Line]:
    with database.read() as tx:
        return list(check_calibrations.lines(tx))


def test_a_device_in_the_place_of_a_calibrated_one_is_told(database: Database, add_study: AddStudy) -> None:
    """It sent under the same AE title, and only the reports said that TBS had ended."""
    number = 0
    for name, *of_studies in (
        ("Old", ["CALIBRATION_EXPIRING"]),
        ("New", ["SCANNER_UNCALIBRATED"]),
        ("Changed", [], ["CALIBRATION_SUSPENDED"]),
        ("Restored", ["CALIBRATION_SUSPENDED"], []),
    ):
        for findings in of_studies:
            number += 1
            study_id = add_study(number, manufacturer=name)
            with database.transaction() as tx:
                desk_results.add(tx, study_id, findings=tuple(findings))
    assert said(database) == [], "a site that works without TBS"
    with database.transaction() as tx:
        calibrations.add(tx, LINE, {})
    changed, new = said(database)
    assert (new.ok, changed.ok) == (True, False)
    assert new.text.startswith("New Densitometer 1 77: none")
    assert "calibration transfer" in new.remedy
    assert "suspended" in changed.text
    assert "calibration extend" in changed.remedy


def test_the_webhook_is_told_of_a_scanner_whose_tbs_ended(database: Database, add_study: AddStudy) -> None:
    """Until then only `check` knew: one in the place of a calibrated device sends numbers without TBS."""
    study_id = add_study(1, manufacturer="New")
    with database.transaction() as tx:
        desk_results.add(tx, study_id, findings=("SCANNER_UNCALIBRATED",))
        assert notify.calibration_ended(tx) == (), "a site that works without TBS"
        calibrations.add(tx, LINE, {})
        (cause,) = notify.calibration_ended(tx)
    assert cause.kind in notify.KINDS
    assert cause.subject == "New Densitometer 1 77"
    assert cause.data == {"reason": "SCANNER_UNCALIBRATED"}
