"""study text: from the archived report of a real node at a desk, in each state of its review."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from tbsnode.cli import app
from tbsnode.dicom import acquisition, conclusion
from tbsnode.errors import NotFound, ReviewRefused
from tbsnode.model import Corrections, RejectionReason, ReportStatus, ReviewState
from tbsnode.pipeline import reject, sign
from tbsnode.pipeline.site import Site
from tbsnode.pipeline.wording import wording
from tbsnode.store import catalogue
from tests import desk, nodes, peers

ME = pwd.getpwuid(os.getuid()).pw_name
Study = Callable[[str], str]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[desk.Desk, nodes.Node]]:
    folder = tmp_path_factory.mktemp("wording")
    node = nodes.Node(folder / "node", peers.free_port(), settings=nodes.reviewers(ME))
    with desk.desk(node) as at_desk:
        yield at_desk, node


@pytest.fixture(scope="module")
def study(opened: tuple[desk.Desk, nodes.Node], tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Take a study of this key in and publish its preliminary result."""
    at_desk, _ = opened

    def taken(key: str) -> str:
        patient = acquisition.PatientTags(patient_id=key, name="Canary^Zoe", birth_date="19510203", sex="F")
        options = acquisition.Options(small=True, anatomy_seed=7)
        made = acquisition.study(
            "display", patient=patient, seed=7, study_date="20261101", study_key=key, options=options
        )
        return at_desk.take(nodes.write(tmp_path_factory.mktemp(key), made))

    return taken


def text(node: nodes.Node, uid: str, *options: str) -> Any:
    return CliRunner().invoke(app, ["study", "text", uid, *options, "--config", str(node.config)])


def waits(site: Site, uid: str) -> None:
    """Let the result count as changed since the newest act."""
    with site.database.transaction() as tx:
        row = catalogue.study_by_uid(tx, uid)
        assert row is not None
        catalogue.update_study(tx, row.id, review_state=ReviewState.NEEDS_RE_REVIEW.value)


def test_from_preliminary_to_withdrawn(opened: tuple[desk.Desk, nodes.Node], study: Study) -> None:
    at_desk, node = opened
    site, uid = at_desk.site, study("TEXT-1")
    first = wording(site, uid)
    assert (first.status, first.version, first.signed_by) == (ReportStatus.PRELIMINARY, 0, "")
    assert first.text.startswith("SIMULATED: demonstration data, no patient. Technically ")
    assert first.text.endswith("Not to be used alone to decide treatment.")
    printed = text(node, uid)
    assert printed.exit_code == 0, printed.output
    assert printed.stdout == f"PRELIMINARY - not reviewed.\n{first.text}\n"

    sign.accept(site, uid)
    signed = wording(site, uid)
    assert (signed.status, signed.version, signed.signed_by) == (ReportStatus.SIGNED, 1, "Reader^Rita")
    assert signed.text == first.text
    assert signed.sop_instance_uid != first.sop_instance_uid
    printed = text(node, uid)
    assert printed.stdout == f"{signed.text}\n", "nothing but what is to be pasted"
    assert printed.stderr.startswith("Signed by Reader, Rita, Reading Room at 20")

    waits(site, uid)
    assert wording(site, uid) == replace(signed, needs_re_review=True), "the signed text stands meanwhile"
    assert "waits for another review" in text(node, uid).stderr

    sign.correct(site, uid, Corrections(exclude=("L3",)), comment="osteophyte")
    amended = wording(site, uid)
    assert (amended.status, amended.version) == (ReportStatus.AMENDED, 2)
    assert "L1, L2 and L4, 3 vertebrae, without L3 (excluded by the reviewing physician)" in amended.text

    reject.reject(site, uid, RejectionReason.QUALITY, comment="wrong patient")
    with pytest.raises(ReviewRefused, match="withdrawn"):
        wording(site, uid)
    waits(site, uid)
    refused = text(node, uid)
    assert refused.exit_code == 2
    assert refused.stdout == ""


def test_what_is_printed_is_what_was_archived(opened: tuple[desk.Desk, nodes.Node], study: Study) -> None:
    at_desk, _ = opened
    found = wording(at_desk.site, study("TEXT-2"))
    row = next(made for made in at_desk.ledger.made(found.study_instance_uid) if made["kind"] == "sr")
    path = at_desk.site.archive.path(row["path"])
    assert dcmread(path).SOPInstanceUID == found.sop_instance_uid
    assert found.text.encode("ascii") in path.read_bytes()


def test_json_names_no_patient(opened: tuple[desk.Desk, nodes.Node], study: Study) -> None:
    _, node = opened
    uid = study("TEXT-3")
    printed = text(node, uid, "--json").stdout
    found = json.loads(printed)
    assert list(found) == [
        "study_instance_uid",
        "sop_instance_uid",
        "status",
        "text",
        "needs_re_review",
        "signed_by",
        "organization",
        "signed_at",
        "version",
    ]
    assert (found["status"], found["needs_re_review"]) == ("preliminary", False)
    for private in ("Canary", "TEXT-3", "19510203"):
        assert private not in printed
        assert private not in text(node, uid).output


def test_studies_that_have_no_text(opened: tuple[desk.Desk, nodes.Node], tmp_path: Path) -> None:
    at_desk, node = opened
    with pytest.raises(NotFound, match=r"no study 1\.2\.3 here"):
        wording(at_desk.site, "1.2.3")
    patient = acquisition.PatientTags(patient_id="HIP")
    hip = acquisition.study("hip", patient=patient, seed=2, options=acquisition.Options(small=True))
    uid = at_desk.take(nodes.write(tmp_path, hip))
    with pytest.raises(NotFound, match="Nothing was published"):
        wording(at_desk.site, uid)
    assert text(node, uid).exit_code == 2


def test_a_report_without_an_interpretation_has_none(tmp_path: Path) -> None:
    (part10,) = acquisition.study(
        "hip", patient=acquisition.PatientTags(), seed=2, options=acquisition.Options(small=True)
    )
    path = tmp_path / "image.dcm"
    path.write_bytes(part10)
    assert conclusion.read(path) == ""
