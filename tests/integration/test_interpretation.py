"""From a scan to the words that a physician signs, the code that fits them, and what a PACS would keep.

A node at a desk: the scan of a woman of 68 years is analyzed, its scanner is calibrated, what is declared
about her is entered, and the result is analyzed again, signed and exported.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tbsnode.dicom import acquisition
from tbsnode.model import ClinicalContext, Corrections, Factor, ReportStatus
from tbsnode.pipeline import acting, coding, operate, sign
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.interpret import scanner_key
from tbsnode.pipeline.wording import Wording, wording
from tbsnode.store import calibrations, clinical
from tbsnode.tbs.calibration import Calibration, Kind, estimator_of
from tbsnode.tbs.frax import Supplied
from tests import desk, nodes, peers

SETTINGS = """frax_adjustment = true
[coding]
enabled = true
[site]
name = "Reading Room"
clearance = "K000000"
"""
TBS = 1.180
AROUND = (
    "TBS (calibrated) 1.180 +- 0.045: degraded microarchitecture (cut-offs 1.23/1.31); this is a texture "
    "class, not the patient's overall fracture risk. Z-score -0.7 (US NHANES 2007-2008 women) does not "
    "change the class. Declared: previous wrist fracture and glucocorticoid treatment; each raises "
    "fracture risk independently of BMD, and a normal TBS would not cancel it. FRAX with BMD as supplied "
    "(referral letter): major osteoporotic 22.0 %, hip 4.5 %; research estimate adjusted for TBS 23.9 % "
    "(22.7-25.2) and 5.3 % (4.9-5.8). FRAX does not account for glucocorticoid dose or for how recent a "
    "fracture is. Not to be used alone to decide treatment."
)
DECLARED = ClinicalContext(
    present=(Factor.PREVIOUS_FRACTURE, Factor.GLUCOCORTICOIDS),
    fracture_sites=("wrist",),
    frax=Supplied(major_percent=22.0, hip_percent=4.5, with_bmd=True, source="referral letter"),
    source="questionnaire",
)


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Iterator[desk.Desk]:
    me = acting.login()
    node = nodes.Node(
        tmp_path / "node",
        peers.free_port(),
        database_url=database_url,
        settings=nodes.reviewers(me) + SETTINGS,
    )
    with desk.desk(node) as at_desk:
        yield at_desk


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """The scan of a woman of 68 years with BMI 26, of a machine that is no simulator."""
    patient = acquisition.PatientTags(
        patient_id="W-68", name="Canary^Zoe", birth_date="19580101", sex="F", height_m=1.60, weight_kg=66.56
    )
    real = (("StationName", "DXA1"), ("InstitutionName", "Reading Room"))
    options = acquisition.Options(small=True, anatomy_seed=7, accession_number="A-68", attributes=real)
    made = acquisition.study("display", patient=patient, seed=7, study_date="20261101", options=options)
    return nodes.write(tmp_path / "sent", made)[0]


def calibrate(opened: desk.Desk, scan: Path) -> None:
    """Store a calibration that gives this scan the value of the worked example."""
    (found,) = analyze_file(scan, AnalysisSettings())
    assert found.analysis.score is not None
    line = Calibration(
        kind=Kind.PAIRED,
        key=scanner_key(found.analysis),
        intercept=TBS - found.analysis.score,
        slope=1.0,
        see=0.045,
        pairs=80,
        allows_category=True,
        estimator=estimator_of(found.analysis.parameters),
        approved_by="Dr. Example",
        approved_on=date(2026, 1, 1),
        valid_until=date(2100, 1, 1),
    ).named()
    with opened.site.database.transaction() as tx:
        calibrations.add(tx, line, {})


def again(opened: desk.Desk, uid: str) -> Wording:
    operate.reprocess(opened.site, [uid])
    opened.work()
    return wording(opened.site, uid)


def exported(opened: desk.Desk) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(coding.export(opened.site))))


def test_from_the_scan_to_the_signed_words(opened: desk.Desk, scan: Path) -> None:
    uid = opened.take([scan])
    bare = wording(opened.site, uid)
    assert "TBS not available: scanner not calibrated. For TBS the scanner needs a calibration" in bare.text
    assert "degraded" not in bare.text

    calibrate(opened, scan)
    with opened.site.database.transaction() as tx:
        clinical.add(tx, clinical.Subject(patient_id="W-68"), DECLARED, "clerk", None)
    said = again(opened, uid)
    assert said.status is ReportStatus.PRELIMINARY
    technical, _, rest = said.text.partition("; no soft-tissue correction. ")
    assert "L1-L4, 4 vertebrae, BMI 26, paired calibration SEE 0.045" in technical
    assert rest == AROUND
    assert exported(opened) == [], "nobody has signed"

    sign.accept(opened.site, uid)
    signed = wording(opened.site, uid)
    assert (signed.status, signed.text) == (ReportStatus.SIGNED, said.text)
    (row,) = exported(opened)
    assert (row["codes"], row["reason"]) == ("77089", "Computed and signed at Reading Room.")
    assert (row["accession_number"], row["patient_id"], row["version"]) == ("A-68", "W-68", "1")

    sign.correct(opened.site, uid, Corrections(exclude=("L3",)), comment="osteophyte")
    amended = wording(opened.site, uid)
    assert "without L3 (excluded by the reviewing physician)" in amended.text
    (row,) = exported(opened)
    assert (row["codes"], row["version"]) == ("77089", "2")
    assert row["reason"] == "Computed and signed at Reading Room. Amended: charge once."
