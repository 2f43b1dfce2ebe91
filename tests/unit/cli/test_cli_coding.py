"""coding export, on a real database: which acts count, in which range, what each row says."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tbsnode import config as configuration
from tbsnode import node
from tbsnode.model import Analysis, Review, ReviewAction
from tbsnode.pipeline import coding
from tbsnode.report import table
from tbsnode.store import catalogue, results, reviews
from tests import report_cases, report_parts, schemas

Reviewed = Callable[..., str]
ON = '[coding]\nenabled = true\n[site]\nname = "Example Clinic"\nclearance = "K000000"\n'
MARCH, APRIL = datetime(2026, 3, 10, 9, 0, tzinfo=UTC), datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
HEADER = (
    "study_date,accession_number,patient_id,study_instance_uid,action,reviewer,organization,reviewed_at,"
    "version,codes,reason"
)


@pytest.fixture
def coding_config(tmp_path: Path) -> Path:
    """A node whose site has the aid on, and its tables."""
    path = tmp_path / "tbsnode.toml"
    path.write_text(ON, encoding="utf-8")
    schemas.fill_sqlite(tmp_path / "state" / "tbsnode.db")
    return path


@pytest.fixture
def reviewed(coding_config: Path) -> Reviewed:
    """Write a study's result with acts of review on it, as the node does; return its UID."""

    def write(number: int, *acts: Review, analysis: Analysis | None = None, **more: Any) -> str:
        who = replace(report_parts.IDENTITY.demographics, patient_id=more.get("patient_id", f"P-{number}"))
        identity = replace(
            report_parts.IDENTITY,
            demographics=who,
            study_instance_uid=f"1.2.{number}",
            sop_instance_uid=f"1.2.{number}.1",
            accession_number=f"A{number}",
        )
        found = replace(analysis or report_cases.calibrated(), identity=identity)
        stored = table.as_json(found) | more.get("stated", {})
        context = results.AnalysisContext(
            generation=1,
            instance_id=None,
            reported=True,
            published=True,
            content_digest="c" * 64,
            result_digest="d" * 64,
            content_at=1000.0,
            result=stored,
        )
        kept = catalogue.KeptFile(path="x", size_bytes=1, data_set_sha256="e" * 64)
        with node.open_site(configuration.load(coding_config)) as site, site.database.transaction() as tx:
            row = catalogue.add_instance(tx, identity, kept, catalogue.Origin())
            context = replace(context, instance_id=row.id)
            analysis_id = results.add_analysis(tx, row.study_ref, found, context)
            for act in acts:
                reviews.add_review(tx, row.study_ref, analysis_id, act)
        return identity.study_instance_uid

    return write


def act(at: datetime = MARCH, action: ReviewAction = ReviewAction.ACCEPT, **changes: Any) -> Review:
    return report_cases.review(action, at=at, **changes)


@pytest.fixture
def rows(run: Any, coding_config: Path) -> Callable[..., list[dict[str, str]]]:
    """Return the rows that `coding export` prints."""

    def exported(*arguments: object) -> list[dict[str, str]]:
        done = run("coding", "export", *arguments, "--config", coding_config)
        assert done.exit_code == 0, done.stderr
        assert done.stdout.splitlines()[0] == HEADER
        return list(csv.DictReader(io.StringIO(done.stdout)))

    return exported


def test_the_aid_is_off_by_default(run: Any, site_config: Path) -> None:
    done = run("coding", "export", "--config", site_config)
    assert done.exit_code == 10
    assert "The coding aid is off." in done.stderr
    assert "[coding]" in done.stderr


def test_nothing_reviewed(rows: Any) -> None:
    assert rows() == []


def test_one_signed_study(reviewed: Reviewed, rows: Any) -> None:
    advised = {"codes": ["77089"], "why": "Computed and signed at Example Clinic."}
    uid = reviewed(1, act(), stated={"coding": advised})
    assert rows() == [
        {
            "study_date": "2026-03-01",
            "accession_number": "A1",
            "patient_id": "P-1",
            "study_instance_uid": uid,
            "action": "accept",
            "reviewer": "Doe^Jane^^Dr",
            "organization": "Example Clinic",
            "reviewed_at": "2026-03-10T09:00:00+00:00",
            "version": "1",
            "codes": "77089",
            "reason": "Computed and signed at Example Clinic.",
        }
    ]


def test_what_the_signed_report_says_stands(reviewed: Reviewed, rows: Any) -> None:
    """A clearance that is declared later makes no code of a report that was signed without one."""
    advised = {"codes": [], "why": "No clearance is declared ([site] clearance)."}
    reviewed(1, act(), stated={"coding": advised})
    (row,) = rows()
    assert (row["codes"], row["reason"]) == ("", advised["why"])


def test_a_report_that_says_nothing_is_judged_today_and_says_so(reviewed: Reviewed, rows: Any) -> None:
    reviewed(1, act())
    (row,) = rows()
    assert row["codes"] == "77089"
    assert row["reason"].endswith("Not on the signed report: worked out from the configuration of today.")


def test_signed_elsewhere(reviewed: Reviewed, rows: Any) -> None:
    reviewed(1, act(reviewer=replace(report_cases.REVIEWER, organization="Other Practice")))
    (row,) = rows()
    assert (row["codes"], row["organization"]) == ("77091 77092", "Other Practice")
    assert row["reason"].startswith("77091: computed at Example Clinic. 77092: signed at Other Practice.")


@pytest.mark.parametrize(
    ("analysis", "why"),
    [
        (report_parts.analysis(), "No TBS was computed."),
        (report_parts.refused(report_cases.Finding(report_cases.Code.NO_TEXTURE)), "No TBS is reported."),
        (
            report_cases.calibrated(findings=(report_cases.Finding(report_cases.Code.SIMULATED),)),
            "This is a simulation.",
        ),
    ],
)
def test_without_a_code_the_reason(reviewed: Reviewed, rows: Any, analysis: Analysis, why: str) -> None:
    reviewed(1, act(), analysis=analysis)
    (row,) = rows()
    assert (row["codes"], row["reason"]) == ("", why)


def test_the_newest_act_counts_in_the_range_of_its_time(reviewed: Reviewed, rows: Any) -> None:
    advised = {"coding": {"codes": ["77089"], "why": "Computed and signed at Example Clinic."}}
    amended = reviewed(1, act(MARCH), act(APRIL, ReviewAction.CORRECT, version=2))
    withdrawn = reviewed(2, act(MARCH), act(APRIL, ReviewAction.REJECT), stated=advised)
    signed = reviewed(3, act(MARCH))
    in_march = rows("--since", "2026-03-01T00:00+00:00", "--until", "2026-04-01T00:00+00:00")
    assert [row["study_instance_uid"] for row in in_march] == [signed]
    in_april = {row["study_instance_uid"]: row for row in rows("--since", "2026-04-01T00:00+00:00")}
    assert set(in_april) == {amended, withdrawn}
    assert in_april[amended]["version"] == "2"
    assert "Amended: charge once." in in_april[amended]["reason"]
    assert (in_april[withdrawn]["action"], in_april[withdrawn]["codes"]) == ("reject", "")
    assert in_april[withdrawn]["reason"] == "The result was withdrawn."
    assert rows("--until", "2026-03-01T00:00+00:00") == []
    assert len(rows()) == 3


def test_the_bounds_of_a_range(reviewed: Reviewed, rows: Any) -> None:
    reviewed(1, act(MARCH))
    assert len(rows("--since", MARCH.isoformat())) == 1
    assert rows("--until", MARCH.isoformat()) == []


def test_of_the_patient_only_the_id(reviewed: Reviewed, run: Any, coding_config: Path) -> None:
    reviewed(1, act())
    printed = run("coding", "export", "--config", coding_config).stdout
    assert "P-1" in printed
    for private in ("Muster", "Erika", "19560229", "1956-02-29"):
        assert private not in printed


def test_a_cell_is_never_a_formula(reviewed: Reviewed, rows: Any) -> None:
    reviewed(1, act(), patient_id='=HYPERLINK("x")')
    (row,) = rows()
    assert row["patient_id"] == '\'=HYPERLINK("x")'


def test_a_file_is_its_owners_and_is_not_replaced(
    reviewed: Reviewed, run: Any, coding_config: Path, tmp_path: Path
) -> None:
    reviewed(1, act())
    target = tmp_path / "codes.csv"
    done = run("coding", "export", "--output", target, "--config", coding_config)
    assert (done.exit_code, done.stdout) == (0, f"{target}: 1 study.\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.read_text("utf-8").splitlines()[0] == HEADER
    assert ",".join(coding.COLUMNS) == HEADER
    before = target.read_bytes()
    again = run("coding", "export", "--output", target, "--config", coding_config)
    assert again.exit_code == 40
    assert "File exists" in again.stderr
    assert target.read_bytes() == before


def test_a_time_that_is_none(run: Any, coding_config: Path) -> None:
    assert run("coding", "export", "--since", "soon", "--config", coding_config).exit_code == 2
